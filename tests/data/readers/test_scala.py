"""The raw files of Scala et al. as far as they are here, and simulated files of exactly the published layout."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sbnn.data.paired import as_paired
from sbnn.data.readers.scala import (
    EPHYS_FEATURES,
    EXCLUDED_CELLS,
    cell_labels,
    ephys_from_raw,
    join_cell_names,
    read_counts,
    type_colors,
)
from sbnn.data.simulate import simulate_patchseq

# Position -> column of the published table that is not used.
UNUSED = {
    0: "AP Fano factor", 3: "AP amplitude average adaptation index", 7: "Afterdepolarization (mV)", 9: "Burstiness",
    10: "ISI Fano factor", 12: "ISI average adaptation index", 15: "Latency (ms)", 19: "Rebound number of APs",
    22: "Sag area (mV*s)", 24: "Sag time (s)", 25: "Spike frequency adaptation", 27: "Wildness",
}  # fmt: skip
SHORT_NAMES = [
    *("AP amp", "AP amp adapt", "AP amp CV", "AP thresh", "AP width", "AHP", "AI", "ISI CV", "R_input", "Max AP num"),
    *("Tau", "Rebound", "V_rest", "Rheobase", "Sag", "UDR"),
]


def ephys_table(cells, rng):
    """Raw electrophysiology of cells named YYYYMMDD_sample_N, in the layout of Cell_Features_M1.csv."""
    paths = []
    for cell in cells:
        day, _, sample = cell.split("_")
        date = f"{day[4:6]} {day[6:]} {day[:4]}"
        paths.append(f"../M1/{day[:4]}/{date}/{date} sample {sample}.mat")
    columns = list(EPHYS_FEATURES)
    for position, column in UNUSED.items():
        columns.insert(position, column)
    table = pd.DataFrame(rng.gamma(2, size=(len(cells), len(columns))), columns=columns, index=[0] * len(cells))
    table.loc[:, "Spike frequency adaptation"] = np.nan  # unused, so that no cell is dropped for it
    table["Max number of APs"] = rng.integers(1, 100, len(cells))
    table.insert(0, "name sample", paths)
    return table


@pytest.fixture
def published():
    """The three raw tables, simulated, with every reason for which a cell is dropped, and the cells that are kept."""
    rng = np.random.default_rng(1)
    data = as_paired(simulate_patchseq(n_cells=60, n_genes=80, n_outputs=1, n_true_genes=5, random_state=1))
    cells = [f"201809{i // 6 + 1:02d}_sample_{i % 6 + 1}" for i in range(59)] + ["20180315_sample_6"]
    counts = pd.DataFrame(data.counts.T, index=data.gene_names, columns=cells)
    metadata = pd.DataFrame({"Cell": cells, "Targeted layer": "2/3", "Cre": "SST+", "RNA type confidence": 0.9})
    metadata["RNA family"], metadata["RNA type"] = data.labels["family"].array, data.labels["type"].array
    metadata.loc[[4, 9], ["RNA family", "RNA type"]] = ["low quality", None]
    metadata.loc[11, "RNA type"] = "low quality"
    shuffled = rng.permutation(cells[1:])  # the first cell has no ephys
    ephys = ephys_table(shuffled, rng)
    ephys.iloc[shuffled.tolist().index(cells[20]), ephys.columns.get_loc("ISI adaptation index")] = np.nan
    gone = {cells[i] for i in (0, 4, 9, 11, 20, 59)}
    return SimpleNamespace(
        counts=counts, metadata=metadata, ephys=ephys, kept=[c for c in shuffled if c not in gone], shuffled=shuffled
    )


@pytest.fixture(scope="module")
def real_ephys(real_file):
    table = pd.read_csv(real_file("Cell_Features_M1.csv"))
    metadata = pd.read_csv(real_file("mini-atlas-meta-data.csv"), sep="\t")
    return table, ephys_from_raw(table, metadata)


def test_real_ephys_is_the_published_one(real_ephys, real_file):
    features = real_ephys[1][0]
    expected = pd.read_csv(real_file("ephys_values.csv"), index_col=0)
    assert list(features.index) == list(expected.index) and list(features.columns) == list(expected.columns)
    np.testing.assert_allclose(features, expected, rtol=1e-12, atol=1e-12)


def test_real_cells_are_dropped_in_the_published_numbers(real_ephys):
    table, (features, dropped) = real_ephys
    reasons = dropped.value_counts()
    assert len(table) - reasons["RNA and firing disagree"] - reasons["outside of M1"] == 1312
    assert 1312 - reasons["missing ephys value"] == 1304
    assert 1304 - reasons["no RNA type (missing or low quality)"] == len(features) == 1213
    assert len(features) + len(dropped) == len(table) == 1319


def test_features_and_dropped_cells_of_the_published_layout(published):
    features, _ = ephys_from_raw(published.ephys, published.metadata)
    assert list(features.index) == [cell.replace("_", "") for cell in published.kept]
    assert list(features.columns) == SHORT_NAMES
    raw = published.ephys[np.isin(published.shuffled, published.kept)]
    for column, name in zip(EPHYS_FEATURES, SHORT_NAMES, strict=True):
        expected = np.log(raw[column]) if name in ("AI", "ISI CV", "AP amp CV") else raw[column]
        np.testing.assert_allclose(features[name], expected, rtol=1e-5, err_msg=name)
    metadata = published.metadata[published.metadata["Cell"] != published.kept[3]]
    features, dropped = ephys_from_raw(published.ephys, metadata)
    assert dropped["20180315sample6"] == EXCLUDED_CELLS["20180315sample6"] == "RNA and firing disagree"
    assert dropped[published.kept[3].replace("_", "")] == "not in the metadata"
    assert (dropped == "missing ephys value").sum() == 1
    assert (dropped == "no RNA type (missing or low quality)").sum() == 3
    assert len(features) + len(dropped) == len(published.ephys)


@pytest.mark.parametrize("layout", ["csv.gz", "csv.zip", "macos.zip", "txt", "quoted", "blocks", "longer names"])
def test_counts_are_read_from_every_published_form(published, layout, monkeypatch, tmp_path):
    counts, path = published.counts.rename({"gene02": "NA"}), tmp_path / f"other.{layout}"
    if layout == "macos.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("counts.txt", counts.rename_axis("gene").to_csv(sep="\t"))
            archive.writestr("__MACOSX/._counts.txt", b"\0\5")
    elif layout == "txt":
        counts.rename_axis("gene").to_csv(path, sep="\t")
    elif layout == "quoted":
        counts.to_csv(path, quoting=2)
    elif layout == "longer names":
        counts.add_suffix("_S12_L001").to_csv(path)
    else:
        counts.to_csv(path)
    if layout == "blocks":
        monkeypatch.setattr("sbnn.data.readers.counts._GENES_AT_ONCE", 7)
    read, cells, genes = read_counts(path)
    np.testing.assert_array_equal(read.toarray(), counts.T)
    assert read.dtype == np.int32
    assert list(cells) == list(join_cell_names(counts.columns)) and list(genes) == list(counts.index)


def test_cell_names_are_joined():
    names = ["20180918_sample_1", "20180918sample12", "20180918_sample_3_S12"]
    assert list(join_cell_names(names)) == ["20180918sample1", "20180918sample12", "20180918sample3"]


def test_labels_keep_low_quality_cells_without_a_type(published):
    labels = cell_labels(published.metadata)
    assert labels["type"].iloc[[4, 9, 11]].tolist() == [""] * 3 and labels["family"].iloc[4] == "low quality"
    assert {"layer", "cre", "type_confidence"} <= set(labels) and len(labels) == 60


def test_type_colors_are_those_of_the_taxonomy():
    colors = type_colors(["Sst Chodl", "L6b Kcnip1", "L5 ET_2", "L5 PT_2", "unknown"])
    assert colors["Sst Chodl"] == "#FFFF00" and colors["L6b Kcnip1"] == "#573D90"
    assert colors["L5 ET_2"] == colors["L5 PT_2"] and len(colors) == 4
