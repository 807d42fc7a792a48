"""The raw files of Scala et al. as far as they are here, and simulated files of exactly the published layout."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.scala import (
    EPHYS_FEATURES,
    EXCLUDED_CELLS,
    LOG_FEATURES,
    cell_labels,
    cell_names_from_paths,
    ephys_from_raw,
    join_cell_names,
    read_counts,
)
from sbnn.data.simulate import simulate_patchseq

# Columns of the published table that are not used, among those that are.
UNUSED = {
    "AP Fano factor": 0,
    "AP amplitude average adaptation index": 3,
    "Afterdepolarization (mV)": 7,
    "Burstiness": 9,
    "ISI Fano factor": 10,
    "ISI average adaptation index": 12,
    "Latency (ms)": 15,
    "Rebound number of APs": 19,
    "Sag area (mV*s)": 22,
    "Sag time (s)": 24,
    "Spike frequency adaptation": 25,
    "Wildness": 27,
}
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
    for column, position in UNUSED.items():
        columns.insert(position, column)
    table = pd.DataFrame(rng.gamma(2, size=(len(cells), len(columns))), columns=columns, index=[0] * len(cells))
    table.loc[:, "Spike frequency adaptation"] = np.nan  # unused, so that no cell is dropped for it
    table["Max number of APs"] = rng.integers(1, 100, len(cells))
    table.insert(0, "name sample", paths)
    return table


def metadata_table(cells, families, types):
    return pd.DataFrame(
        {
            "Number": np.arange(1, len(cells) + 1),
            "Cell": cells,
            "Sample": ["Sample " + cell.split("_")[2] for cell in cells],
            "Targeted layer": "2/3",
            "Cre": "SST+",
            "RNA family": families,
            "RNA type": types,
            "RNA type confidence": 0.9,
            "Soma depth (µm)": 300.5,
        }
    )


class Published:
    """The three raw files, simulated, with every reason for which a cell is dropped."""

    def __init__(self, folder):
        rng = np.random.default_rng(1)
        data = simulate_patchseq(n_cells=60, n_genes=80, n_outputs=1, n_true_genes=5, random_state=1)
        cells = [f"201809{i // 6 + 1:02d}_sample_{i % 6 + 1}" for i in range(59)] + ["20180315_sample_6"]
        self.counts = pd.DataFrame(data.counts.T, index=data.gene_names, columns=cells)
        self.metadata = metadata_table(cells, data.labels["family"].array, data.labels["type"].array)
        self.metadata.loc[[4, 9], ["RNA family", "RNA type"]] = ["low quality", None]
        self.metadata.loc[11, "RNA type"] = "low quality"
        shuffled = rng.permutation(cells[1:])  # the first cell has no ephys
        self.ephys = ephys_table(shuffled, rng)
        self.ephys.iloc[shuffled.tolist().index(cells[20]), self.ephys.columns.get_loc("ISI adaptation index")] = np.nan
        gone = {cells[i] for i in (0, 4, 9, 11, 20, 59)}
        self.kept = [cell for cell in shuffled if cell not in gone]
        self.folder = folder

    def write(self):
        paths = [self.folder / name for name in ("counts.csv", "Cell_Features_M1.csv", "mini-atlas-meta-data.csv")]
        self.counts.to_csv(paths[0])
        self.ephys.to_csv(paths[1])
        self.metadata.to_csv(paths[2], sep="\t", index=False)
        return paths


@pytest.fixture
def published(tmp_path):
    return Published(tmp_path)


@pytest.fixture(scope="module")
def real_ephys(real_file):
    table = pd.read_csv(real_file("Cell_Features_M1.csv"))
    metadata = pd.read_csv(real_file("mini-atlas-meta-data.csv"), sep="\t")
    return table, ephys_from_raw(table, metadata)


def test_real_ephys_is_the_published_one(real_ephys, real_file):
    features = real_ephys[1].features
    expected = pd.read_csv(real_file("ephys_values.csv"), index_col=0)
    assert list(features.index) == list(expected.index) and list(features.columns) == list(expected.columns)
    np.testing.assert_allclose(features, expected, rtol=1e-12, atol=1e-12)


def test_real_cells_are_dropped_in_the_published_numbers(real_ephys):
    table, (features, labels, dropped) = real_ephys
    reasons = dropped.value_counts()
    assert len(table) - reasons["RNA and firing disagree"] - reasons["outside of M1"] == 1312
    assert 1312 - reasons["missing ephys value"] == 1304
    assert 1304 - reasons["no RNA type (missing or low quality)"] == len(features) == 1213
    assert len(features) + len(dropped) == len(table) == 1319
    families = {"Pvalb": 286, "Sst": 271, "IT": 244, "Vip": 152, "CT": 102, "Lamp5": 92, "PT": 48, "Sncg": 13, "NP": 5}
    assert labels["family"].value_counts().to_dict() == families
    assert labels["type"].nunique() == 77


def test_real_outputs_and_labels_agree_with_the_loader(real_ephys, real_scala):
    features, labels, _ = real_ephys[1]
    np.testing.assert_array_equal(features.index, real_scala.cell_names)
    np.testing.assert_array_equal(features.columns, real_scala.feature_names)
    np.testing.assert_allclose(features.to_numpy(np.float32), real_scala.Y, rtol=1e-6)
    pd.testing.assert_frame_equal(labels[["family", "type"]], real_scala.labels[["family", "type"]])


def test_features_and_labels_of_the_published_layout(published):
    features, labels, _ = ephys_from_raw(published.ephys, published.metadata)
    cells = [cell.replace("_", "") for cell in published.kept]
    assert list(features.index) == list(labels.index) == cells and list(features.columns) == SHORT_NAMES
    raw = published.ephys.set_axis(cell_names_from_paths(published.ephys["name sample"])).loc[cells]
    for column, name in zip(EPHYS_FEATURES, SHORT_NAMES, strict=True):
        expected = np.log(raw[column]) if name in ("AI", "ISI CV", "AP amp CV") else raw[column]
        np.testing.assert_allclose(features[name], expected, rtol=1e-5, err_msg=name)
    metadata = published.metadata.set_index("Cell").loc[published.kept]
    np.testing.assert_array_equal(labels["family"], metadata["RNA family"])
    np.testing.assert_array_equal(labels["type"], metadata["RNA type"])


def test_reasons_of_dropped_cells_are_told(published):
    published.metadata = published.metadata[published.metadata["Cell"] != published.kept[3]]
    features, labels, dropped = ephys_from_raw(published.ephys, published.metadata)
    assert dropped["20180315sample6"] == EXCLUDED_CELLS["20180315sample6"] == "RNA and firing disagree"
    assert dropped[published.kept[3].replace("_", "")] == "not in the metadata"
    assert (dropped == "missing ephys value").sum() == 1
    assert (dropped == "no RNA type (missing or low quality)").sum() == 3
    assert len(features) + len(dropped) == len(published.ephys) and list(labels.index) == list(features.index)


@pytest.mark.parametrize("layout", ["csv.gz", "csv.zip", "macos.zip", "txt", "quoted", "blocks", "longer names"])
def test_counts_are_read_from_every_published_form(published, layout, monkeypatch):
    counts, path = published.counts, published.folder / f"other.{layout}"
    published.write()
    expected = read_counts(published.folder / "counts.csv")
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
    np.testing.assert_array_equal(read.toarray(), published.counts.T)
    assert read.dtype == np.int32
    assert list(cells) == list(expected[1]) and list(genes) == list(expected[2]) == list(counts.index)


def test_gene_names_that_look_like_missing_values_are_names(published):
    published.counts = published.counts.rename({"gene02": "NA", "gene03": "nan"})
    assert list(read_counts(published.write()[0])[2][1:3]) == ["NA", "nan"]


def damage(text, what):
    """Damage a count file of the published layout."""
    lines = text.splitlines(keepends=True)
    if what == "repeated cell":
        lines[0] = lines[0].replace("20180901_sample_2", "20180901_sample_1")
    elif what == "repeated gene":
        lines[2] = lines[2].replace("gene02", "gene01")
    elif what == "short last row":
        lines[-1] = lines[-1][: len(lines[-1]) // 2]
    elif what == "long row":
        lines[5] = lines[5].rstrip("\n") + ",1\n"
    elif what == "long rows":
        lines[1:] = [line.rstrip("\n") + ",1\n" for line in lines[1:]]
    elif what == "no rows":
        del lines[1:]
    elif what == "empty":
        return ""
    else:
        lines[3] = "gene03," + what + lines[3][lines[3].index(",", 7) :]
    return "".join(lines)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("repeated cell", "cells of counts.csv appear more than once: 20180901sample1"),
        ("repeated gene", "genes of counts.csv appear more than once: gene01"),
        ("short last row", "gene 'gene80', cell '.*' has the value ''; expected whole numbers"),
        ("long row", "not a complete table"),
        ("long rows", "the header names 60 cells but the rows hold 61 values"),
        ("no rows", "not a complete table"),
        ("empty", "not a complete table"),
        ("1.5", "gene 'gene03', cell '20180901sample1' has the value .*1.5"),
        ("-1", "has the value .*-1"),
        ("many", "has the value 'many'"),
        ("inf", "has the value .*inf"),
        ("3000000000", "has the value .*3000000000.*whole numbers from 0 to 2147483647"),
    ],
)
def test_damaged_counts_are_refused(published, what, message):
    path = published.write()[0]
    path.write_text(damage(path.read_text(), what))
    with pytest.raises(ValueError, match=message):
        read_counts(path)


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zip"])
def test_truncated_archives_are_refused(published, suffix):
    path = published.folder / f"counts.{suffix}"
    published.counts.to_csv(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="is not a complete table of counts"):
        read_counts(path)


def test_archives_with_several_files_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(ValueError, match=r"expected one file in the archive, found \['a.csv', 'b.csv'\]"):
        read_counts(tmp_path / "two.zip")


def test_missing_columns_are_named(published):
    with pytest.raises(ValueError, match=r"lacks the column\(s\) \['Rheobase \(pA\)', 'Sag ratio'\]; it has"):
        ephys_from_raw(published.ephys.drop(columns=["Sag ratio", "Rheobase (pA)"]), published.metadata)
    with pytest.raises(ValueError, match=r"metadata lacks the column\(s\) \['RNA type'\]; it has \['Number', "):
        cell_labels(published.metadata.drop(columns="RNA type"))


def test_repeated_cells_are_named(published):
    with pytest.raises(ValueError, match="cells of the ephys table appear more than once: 2018"):
        ephys_from_raw(pd.concat([published.ephys, published.ephys.iloc[[3]]]), published.metadata)
    with pytest.raises(ValueError, match="cells of the metadata appear more than once: 20180901sample3"):
        ephys_from_raw(published.ephys, pd.concat([published.metadata, published.metadata.iloc[[2]]]))


def test_ephys_that_is_no_number_or_has_no_logarithm_is_refused(published):
    wrong = published.ephys.astype({"Sag ratio": object})
    wrong.iloc[0, wrong.columns.get_loc("Sag ratio")] = "n/a?"
    with pytest.raises(ValueError, match="values that are not numbers: .*n/a"):
        ephys_from_raw(wrong, published.metadata)
    adaptation = published.ephys.columns.get_loc("ISI adaptation index")
    cell = published.ephys["name sample"].str.contains("09 03 2018 sample 2").to_numpy()
    published.ephys.iloc[cell, adaptation] = 0
    with pytest.raises(ValueError, match="logarithm of .* needs positive values; 1 cells have others: 20180903sample2"):
        ephys_from_raw(published.ephys, published.metadata)


def test_cell_names_are_joined():
    names = ["20180918_sample_1", "20180918sample12", "20180918_sample_3_S12"]
    assert list(join_cell_names(names)) == ["20180918sample1", "20180918sample12", "20180918sample3"]


def test_cell_names_are_read_off_paths():
    paths = ["../M1/2018/sept/09 18 2018/09 18 2018 sample 1.mat", "a/10 02 2019 sample 11.mat"]
    assert list(cell_names_from_paths(paths)) == ["20180918sample1", "20191002sample11"]
    with pytest.raises(ValueError, match="1 of 3 values of column 'name sample' do not end in .*: 2018.mat"):
        cell_names_from_paths([*paths, "2018.mat"])


def test_labels_keep_low_quality_cells_without_a_type(published):
    labels = cell_labels(published.metadata)
    assert labels["type"].iloc[[4, 9, 11]].tolist() == [""] * 3 and labels["family"].iloc[4] == "low quality"
    assert {"layer", "cre", "type_confidence"} <= set(labels) and len(labels) == 60


def test_tables_are_consistent():
    assert list(EPHYS_FEATURES.values()) == SHORT_NAMES and set(LOG_FEATURES) == {"AI", "ISI CV", "AP amp CV"}
    assert len(EXCLUDED_CELLS) == 7 and set(EXCLUDED_CELLS.values()) == {"RNA and firing disagree", "outside of M1"}
