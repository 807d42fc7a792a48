import json

import numpy as np
from scipy.io import savemat

from sbnn.data.paired import as_paired
from sbnn.data.readers.gouwens import EXCLUDED_FEATURES, read_gouwens

CELLS, GENES, COMPONENTS, FEATURES = 14, 6, 9, 7
SHORT = [*EXCLUDED_FEATURES, "tau", "v baseline", "rheobase i"]


def cells_of_text(texts):
    """A MATLAB cell array of strings."""
    return np.array(texts, dtype=object)[:, np.newaxis]


def test_the_release_is_read_from_its_layout(tmp_path):
    rng = np.random.default_rng(0)
    raw = [f"raw_{i}" for i in range(COMPONENTS + FEATURES)]
    types = [
        ("Sst Calb2 Pdlim5", "#AABBCC"),
        ("Vip Chat Htr1f", "#00ff00"),
        ("Pvalb Reln Tac1", "#102030"),
    ]
    components = rng.normal(size=(CELLS, COMPONENTS))
    components[3, 2] = np.nan
    features = rng.normal(size=(CELLS, FEATURES)).clip(-6, 6)
    features[11, 0] = np.nan  # an output that is not used makes a cell incomplete too, as published
    fields = {
        "T_dat": rng.gamma(1, 2, (CELLS, GENES)),
        "E_pc_scaled": components,
        "E_feature": features,
    }
    fields |= {
        "gene_id": cells_of_text([f"Gene{i}" for i in range(GENES)]),
        "map_conf": np.linspace(0, 1, CELLS)[None],
    }
    fields["T_spec_id_label"] = np.arange(3)  # not of these cells
    fields["pc_name"] = cells_of_text(raw[:COMPONENTS]).T
    # stored as padded characters, all of the same length
    fields["feature_name"] = np.array(raw[COMPONENTS:])
    fields["sample_id"] = cells_of_text([f"PS0810_E1-50_S{i}" for i in range(CELLS)])
    fields["cluster"] = cells_of_text([types[i % 3][0] for i in range(CELLS)])
    fields["cluster_color"] = np.array([types[i % 3][1] for i in range(CELLS)])
    short = dict(zip(raw, np.random.default_rng(1).permutation(SHORT).tolist(), strict=True))
    savemat(tmp_path / "release.mat", fields)
    (tmp_path / "names.json").write_text(json.dumps(short))
    data = as_paired(read_gouwens(tmp_path / "release.mat", tmp_path / "names.json", {}))
    complete = np.delete(np.arange(CELLS), [3, 11])
    np.testing.assert_array_equal(data.X, fields["T_dat"][complete].astype(np.float32))
    outputs = dict(zip(short.values(), np.hstack([components, features]).T, strict=True))
    assert data.feature_names.tolist() == [
        name for name in short.values() if name not in EXCLUDED_FEATURES
    ]
    for name, values in zip(data.feature_names, data.Y.T, strict=True):
        np.testing.assert_array_equal(values, outputs[name][complete].astype(np.float32))
    assert data.gene_names.tolist() == [f"Gene{i}" for i in range(GENES)]
    assert data.cell_names.tolist() == [f"PS0810_E1-50_S{i}" for i in complete]
    assert data.labels["type"].tolist() == [types[i % 3][0] for i in complete]
    assert set(data.labels["family"]) == {"Sst", "Vip", "Pvalb"}
    assert data.colors == dict(types)
    np.testing.assert_allclose(data.labels["type_confidence"], fields["map_conf"].ravel()[complete])
    assert data.about["dropped"] == {"missing output": ["PS0810_E1-50_S3", "PS0810_E1-50_S11"]}
