"""Raw files of Scala et al., from which the features follow, and counts in every form."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.counts import read_count_table
from sbnn.data.readers.scala import EXCLUDED_CELLS, ephys_from_raw, join_cell_names


@pytest.fixture(scope="module")
def raw(real_file):
    """Electrophysiology and metadata."""
    return pd.read_csv(real_file("Cell_Features_M1.csv")), pd.read_csv(
        real_file("mini-atlas-meta-data.csv"), sep="\t"
    )


def test_real_ephys_is_the_published_one(raw, real_file):
    features, dropped = ephys_from_raw(*raw)
    expected = pd.read_csv(real_file("ephys_values.csv"), index_col=0)
    pd.testing.assert_frame_equal(
        features, expected, rtol=1e-12, atol=1e-12, check_names=False, check_dtype=False
    )
    assert (
        dropped["20180315sample6"] == EXCLUDED_CELLS["20180315sample6"] == "RNA and firing disagree"
    )
    reasons = dropped.value_counts()
    assert len(raw[0]) - reasons["RNA and firing disagree"] - reasons["outside of M1"] == 1312
    assert 1312 - reasons["missing ephys value"] == 1304
    assert 1304 - reasons["no RNA type (missing or low quality)"] == len(features) == 1213
    assert len(features) + len(dropped) == len(raw[0]) == 1319
    lost = raw[1][raw[1]["Cell"].map(lambda cell: cell.replace("_", "") != features.index[3])]
    assert ephys_from_raw(raw[0], lost)[1][features.index[3]] == "not in the metadata"


@pytest.mark.parametrize(
    "layout", ["csv.gz", "macos.zip", "txt", "quoted", "blocks", "longer names"]
)
def test_counts_are_read_from_every_published_form(data, layout, monkeypatch, tmp_path):
    cells = [f"20180918_sample_{i}" for i in range(data.n_cells)]
    counts = pd.DataFrame(data.counts.T, data.gene_names, cells).rename({data.gene_names[2]: "NA"})
    path = tmp_path / f"other.{layout}"
    if layout == "macos.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("counts.txt", counts.rename_axis("gene").to_csv(sep="\t"))
            archive.writestr("__MACOSX/._counts.txt", b"\0\5")
    elif layout == "longer names":
        counts.add_suffix("_S12_L001").to_csv(path)
    else:
        options = {"txt": {"sep": "\t", "index_label": "gene"}, "quoted": {"quoting": 2}}
        counts.to_csv(path, **options.get(layout, {}))
    if layout == "blocks":
        monkeypatch.setattr("sbnn.data.readers.counts._GENES_AT_ONCE", 7)
    read, found, genes = read_count_table(path)
    np.testing.assert_array_equal(read.toarray(), counts.T)
    assert read.dtype == np.int32
    assert list(genes) == list(counts.index)
    assert list(join_cell_names(found)) == [cell.replace("_", "") for cell in cells]
