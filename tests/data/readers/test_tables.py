"""A user's own tables: right in every form, or refused with the place that is wrong."""

import gzip
import random
import re
import warnings
import zipfile
from types import SimpleNamespace

import numpy as np
import openpyxl
import pandas as pd
import pytest

from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.table_checks import MARKS, kept, no_genes, to_numbers
from sbnn.data.readers.tables import read_tables

CELLS = [f"c{i}" for i in range(8)]
GENES = ["Gad1", "Sst", "NA", "Vip", "Ercc1"]


@pytest.fixture
def counts(rng):
    """Plainly counts, cells x genes."""
    return pd.DataFrame(rng.poisson(60, (8, 5)) + 1, index=CELLS, columns=GENES)


@pytest.fixture
def ephys(rng):
    return pd.DataFrame(
        rng.normal(0, 30, (8, 3)).round(2), index=CELLS, columns=["Tau", "AP width", "Sag"]
    )


@pytest.fixture
def labels():
    return pd.DataFrame(
        {"family": ["Sst", "Vip"] * 4, "type": ["Sst 1", "Vip 1", "Sst 2", "Vip 2"] * 2},
        index=CELLS,
    )


def refused(message, *given, error=ValueError, **options):
    with pytest.raises(error, match=message):
        read(*given, **options)


def read(expression, outputs, labels=None, **options):
    """What is read, and the warnings of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adata = read_tables(expression, outputs, labels, **options)
    about = adata.uns["sbnn"]
    colors = dict(zip(adata.obs["type"].cat.categories, adata.uns["type_colors"], strict=True))
    return SimpleNamespace(
        X=adata.to_df(),
        Y=adata.obsm["outputs"],
        counts=adata.layers.get("counts"),
        labels=adata.obs.astype(object),
        colors=colors,
        dropped=about["dropped"],
        notes=" ".join(about["notes"]),
        about=about,
        warned=" ".join(str(one.message) for one in caught),
    )


def assert_read(data, counts, ephys):
    """Counts of the genes and outputs, under their names."""
    pd.testing.assert_frame_equal(
        pd.DataFrame(data.counts, data.X.index, data.X.columns), counts, check_dtype=False
    )
    pd.testing.assert_frame_equal(data.Y, ephys.astype("f4"), check_names=False)


def written(folder, text, name="ephys.csv"):
    (folder / name).write_bytes(text.encode())
    return folder / name


FORMS = {
    "frame": None,
    "comma.csv": ",",
    "semicolon.csv": ";",
    "tab.tsv": "\t",
    "bar.txt": "|",
    "table.csv.gz": ",",
}
FORMS |= {"table.zip": ",", "bom.csv": ",", "R.txt": " "}


def write(folder, form, table):
    path = folder / form
    if form == "frame":
        return table
    text = table.to_csv(sep=FORMS[form], quoting=2 if form in ("table.zip", "R.txt") else 0)
    if form == "table.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("table.csv", text)
            archive.writestr("__MACOSX/._table.csv", b"\0\5")
        return path
    # write.table gives no name above the row names
    text = text.removeprefix('"" ') if form == "R.txt" else text
    content = text.encode("utf-8-sig" if form == "bom.csv" else "utf-8")
    path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_data(tmp_path, counts, ephys, labels, form):
    paths = []
    for i, table in enumerate((counts.T, ephys.iloc[::-1])):
        (tmp_path / str(i)).mkdir()
        paths.append(write(tmp_path / str(i), form, table))
    data = read(*paths, write(tmp_path, "comma.csv", labels.sample(frac=1)), name="mine")
    assert_read(data, counts, ephys)
    assert data.labels[["family", "type"]].equals(labels)
    assert (data.about["name"], data.dropped, data.warned) == ("mine", {}, "")
    if form != "frame":
        assert (
            data.about["source"]
            == f"the user's tables: expression ({form}), outputs ({form}), labels (comma.csv)"
        )


@pytest.mark.parametrize("seed", range(40))
def test_a_table_in_any_dialect_is_read_right_or_refused_by_name(tmp_path, counts, ephys, seed):
    """Spreadsheets, R and other countries write them; one gene looks like a missing value."""
    pick = random.Random(seed).choice
    paths = [tmp_path / "counts.csv", tmp_path / "ephys.csv"]
    ephys = ephys.rename(columns={"Tau": "Tau (µs)"})
    for path, table in zip(
        paths, (counts * 1.25, ephys.sample(frac=1, random_state=seed)), strict=True
    ):
        dialect = {
            "sep": pick(",;\t"),
            "decimal": pick(".,"),
            "lineterminator": pick(["\n", "\r\n"]),
        }
        text = pick([table, table, table.T]).to_csv(**dialect, quoting=pick([0, 1, 2]))
        # R names no column of row names
        text = text[text.index(dialect["sep"]) + 1 :] if pick(range(5)) == 0 else text
        path.write_bytes(text.encode(pick(["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])))
    try:
        data = read(*paths, counts=False)
    except ValueError as error:
        assert re.search("expression|outputs", str(error))
    else:
        assert {*data.X.index, *sum(data.dropped.values(), [])} >= set(CELLS)
        assert len(data.X)
        np.testing.assert_array_equal(data.X, 1.25 * counts.loc[data.X.index, data.X.columns])
        pd.testing.assert_frame_equal(
            data.Y, ephys.loc[data.Y.index].astype("f4"), check_names=False
        )


def workbook(folder, **sheets):
    with pd.ExcelWriter(folder / "book.xlsx") as book:
        for name, table in sheets.items():
            table.to_excel(book, sheet_name=name, index=len(table) > 0)
    return folder / "book.xlsx"


def test_workbooks_and_text_that_is_called_one(tmp_path, counts, ephys, labels):
    pytest.importorskip("openpyxl")
    assert_read(read(counts, written(tmp_path, ephys.to_csv(sep="\t"), "text.xls")), counts, ephys)
    assert_read(read(counts, workbook(tmp_path, only=ephys, empty=pd.DataFrame())), counts, ephys)
    path = workbook(tmp_path, counts=counts.T, ephys=ephys, cells=labels)
    data = read((path, "counts"), (path, "ephys"), (path, "cells"))
    assert_read(data, counts, ephys)
    assert data.labels[["family", "type"]].equals(labels)
    assert "expression (book.xlsx, sheet counts)" in data.about["source"]
    refused(r"outputs .*sheet .* \['counts', 'ephys', 'cells'\].*--sheet", counts, path)
    refused("outputs .*'Ephys'", counts, (path, "Ephys"))
    (packed := tmp_path / "book.xlsx.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert_read(read(counts, (packed, "ephys")), counts, ephys)


def test_what_is_no_table_is_refused_by_name(tmp_path, counts):
    for name, content, message in (
        ("table.csv.gz", gzip.compress(b"x" * 99, mtime=0)[:30], ""),
        ("table.zip", b"PK\3\4 broken", ""),
        ("table.csv", b"\n\n", "is empty"),
        ("table.csv", b",Tau,Sag\nc0,1,2\n,3,4\n", "row 2 of 2 has values but no name.*cell_key"),
        ("table.csv", b",Tau,Sag\nc0,1,2\nc0,3,4\n", "row names appear more than once: c0"),
        ("table.csv", b",Tau,Sag,Rin,Vm\nc0,1,2\n", "3 elements, new values have 5"),
        ("table.csv", b",Tau,Sag\nc0,1,2\nc1,1,2,3\n", "line 3|saw 4"),
        (
            "table.csv",
            b"c0,1.5,-2.5\nc1,1.5,2.5\n",
            "first row has numbers instead of names: 1.5, -2.5",
        ),
    ):
        (tmp_path / name).write_bytes(content)
        refused(rf"outputs \({name}\).*{message}", counts, tmp_path / name)


# --- names


def test_empty_rows_and_columns_units_and_titles_are_no_data(tmp_path, counts, ephys):
    names, *rows = ephys.to_csv().splitlines()
    # as spreadsheets leave them
    lines = [f"{line},," for line in (names, ",(ms),ms,-", *rows, ",,,")]
    data = read(counts, written(tmp_path, "\n".join(lines) + "\n"))
    assert_read(data, counts, ephys)
    assert "nor a number are left out: (ms), ms" in data.warned
    data = read(counts, written(tmp_path, "\n".join([names, "Units,ms,ms,%", *rows]) + "\n"))
    assert_read(data, counts, ephys)
    assert data.dropped == {"cells only in outputs": ["Units"]}
    # but for the names
    text = "cell,Tau,AP width,Sag\n" + ephys.to_csv(header=False).replace("\n", ",\n")
    assert_read(read(counts, written(tmp_path, text)), counts, ephys)
    numbered = ephys.set_axis(["11", "12", "1.5"], axis=1)
    path = written(tmp_path, "Table S2. Cells, of mice\n\n# made by hand\n" + numbered.to_csv())
    refused(r"outputs \(ephys.csv\).*header", counts, path, header={"outputs": 13})
    assert_read(read(counts, path, header={"outputs": 4}), counts, numbered)
    data = read(counts, path)
    assert_read(data, counts, numbered)
    assert (
        "taken from row 4, below Table S2. Cells of mice, # made by hand; to change it, set header"
        in data.warned
    )
    # half as many names as columns
    two = written(tmp_path, "\n,Tau\n" + ephys[["Tau"]].to_csv(header=False))
    assert_read(read(counts, two), counts, ephys[["Tau"]])


def test_columns_and_cells_of_a_supplement_are_renamed_and_left_out(
    tmp_path, counts, ephys, labels
):
    """Two outputs have one name, one is text, and cells have other names than in the expression."""
    other = {name: f"mouse 1, {name}" for name in ephys.index}
    table = ephys.set_axis(["Tau", "Tau", "Sag"], axis=1).assign(note="fine").rename(other)
    told = {"drop_columns": ["note"], "rename": {"Tau (2)": "AP width"}}
    refused("share no cell name.*cell_names", counts, table)
    names = written(
        tmp_path,
        "\n".join(["ephys,counts", *(f'"{b}",{a}' for a, b in other.items())]),
        "names.csv",
    )
    data = read(counts, table, labels.rename(other), cell_names=names, **told)
    assert_read(data, counts, ephys)
    assert "numbered: Tau" in data.warned
    assert list(data.labels["type"]) == list(labels["type"])
    # names of the expression stay
    moved = dict(zip(ephys.index, np.roll(ephys.index, 1), strict=True))
    names = pd.DataFrame({"counts": moved.keys()}, moved.values())
    assert_read(read(counts, ephys.rename(moved).T, cell_names=names), counts, ephys)
    assert [*read(counts, ephys, rename={"Sag": "Tau"}).Y] == ["Tau", "AP width", "Tau (2)"]
    absent = "drop_columns: not a column .*: Rin; .*'outputs': 'Tau, Tau .2., Sag"
    refused(absent, counts, table, drop_columns="Rin")


def test_the_column_of_the_cells_can_be_named(tmp_path, counts, ephys, labels):
    table = (
        ephys.reset_index(names="cell")
        .set_axis([3, 3, 3, 1, 2, 3, 4, 5], axis=0)
        .rename_axis("row")
    )
    path = written(tmp_path, table.to_csv())
    refused("outputs .*row names appear more than once: 3.*cell_key", counts, path)
    refused("share no cell name.*cell_key", counts, table.set_axis(range(8)))
    refused("cell_key: no column 'id'.*outputs", counts, table.set_axis(range(8)), cell_key="id")
    assert_read(
        read(counts, path, labels, cell_key="cell"),
        counts,
        ephys.assign(row=table.index)[["row", *ephys]],
    )
    assert_read(read(counts, table, labels, cell_key={"outputs": "cell"}), counts, ephys)
    ids = (
        counts.T.rename_axis("symbol")
        .reset_index()
        .set_axis([f"ENSG{j}" for j in range(5)], axis=0)
    )
    for given in (ids, written(tmp_path, ids.to_csv())):
        assert_read(read(given, ephys, cell_key={"expression": "symbol"}), counts, ephys)
    cell_key = {"outputs": "cell", "labels": "cell"}
    refused("cell_key: .*'labels': 'family, type'", counts, table, labels, cell_key=cell_key)


def test_orientation_is_that_of_the_shared_names_or_given(counts, ephys):
    # either way fits
    square = pd.DataFrame(np.arange(64.0).reshape(8, 8) ** 2 / 80, index=CELLS, columns=CELLS)
    np.testing.assert_allclose(read(square, ephys, counts=False).X, square)
    np.testing.assert_allclose(read(square, ephys, counts=False, genes_in_rows=True).X, square.T)
    told = "rows: c0, c1, c2 and 5 more; columns: Tau, AP width, Sag.*share no cell name"
    refused(told, counts, ephys, genes_in_rows=True)


BARCODES = [10 * "ACGT" + first + second for first in "ACGT" for second in "AC"]
CHANGES = {"case": str.upper, "blanks": " {}".format, "punctuation": lambda n: n.replace("-", ".")}
CHANGES |= {"R": lambda n: f"X{n}".replace("-", "_"), "barcodes": "{}-1".format}


@pytest.mark.parametrize("what", CHANGES)
def test_names_that_differ_a_little_match_if_asked_for(counts, ephys, labels, what):
    names = BARCODES if what == "barcodes" else [f"2020-{cell}" for cell in CELLS]
    changed = [CHANGES[what](name) for name in names]
    counts = counts.set_axis(names)
    ephys = ephys.set_axis(changed)
    labels = labels.set_axis(changed)
    more = pd.concat([counts, counts[:2].set_axis(["zz 1", "zz.1"])])
    data = read(more, ephys.iloc[::-1], labels, match="loose")
    assert_read(data, counts, ephys.set_axis(names))
    assert data.labels["type"].tolist() == labels["type"].tolist()
    if what != "blanks":
        refused("share no cell name.*match='loose', which matches 8", counts, ephys)
    twice = pd.concat([ephys, ephys.iloc[[0]].set_axis([changed[0].swapcase() + "."])])
    refused("outputs: cells appear more than once", counts, twice, match="loose")


def test_cells_of_one_table_alone_are_listed(counts, ephys, labels):
    data = read(
        counts.drop("c1"),
        ephys.drop(["c5", "c0"]).iloc[::-1],
        labels.drop("c7").rename({"c4": "c99"}),
    )
    kept = ["c2", "c3", "c4", "c6", "c7"]
    assert_read(data, counts.loc[kept], ephys.loc[kept])
    only = {
        f"cells only in {what}": cells
        for what, cells in (("expression", ["c0", "c5"]), ("outputs", ["c1"]))
    }
    assert data.dropped == only | {"labels of unknown cells": ["c99"]}
    assert data.labels["type"].tolist() == ["Sst 2", "Vip 2", "unknown", "Sst 2", "unknown"]
    for said in (
        "2 of 7 left out (cells only in expression): c0, c5",
        "no labels for 2 of 5 cells: c4, c7",
    ):
        assert said in data.warned
    refused("expression.*more than once: c0", counts.rename({"c1": "c0"}), ephys)
    refused("outputs.*more than once: c0", counts, ephys.rename({"c1": "c0"}))


# --- numbers


def test_marks_of_missing_values_are_gaps():
    for mark in [*MARKS - {""}, "NA", "N/A", "NaN", "Not measured"]:
        numbers, text = numbers_of(["1.5", f" {mark} ", 2, None])
        assert numbers["a"].isna().tolist() == [False, True, False, True]
        assert not text.any(), mark
    table = pd.DataFrame({"a": ["1", "Failed", "-999"], "b": [1, -999, 3]})
    numbers, text = numbers_of(table, marks=["failed", "-999"])
    np.testing.assert_array_equal(numbers, [[1, 1], [np.nan, np.nan], [np.nan, 3]])
    assert not text.any()


def numbers_of(values, decimal=None, marks=(), notes=None):
    table = values if isinstance(values, pd.DataFrame) else pd.DataFrame({"a": values})
    return to_numbers(table, "outputs", decimal, marks, [] if notes is None else notes)


def test_decimal_commas_and_thousands_are_detected():
    for texts, expected, commas in (
        (["0,5", "-1,25", "3", "1,234", 1.5], [0.5, -1.25, 3, 1.234, 1.5], True),
        (["1.234,5", "1.234", "12,5e-3"], [1234.5, 1234, 0.0125], True),
        (["1.234.567", "2"], [1234567, 2], False),
        (["1,234.5", "1,234", "7"], [1234.5, 1234, 7], False),
        (["12.5", "1,234", ".5", "5."], [12.5, 1234, 0.5, 5], False),
        (["1 234.5", "12'345", "−7"], [1234.5, 12345, -7], False),
        (["1.234", "0.500", "1e3"], [1.234, 0.5, 1000], False),
    ):
        notes = []
        numbers, text = numbers_of(texts, notes=notes)
        assert numbers["a"].tolist() == expected
        assert not text.any()
        assert notes == ["outputs: decimal commas are read as points"] * commas


def test_numbers_that_can_be_read_in_two_ways_are_refused():
    for texts in (["1,234", "7"], ["0,5", "12.5"]):
        with pytest.raises(ValueError, match="outputs: .*decimal="):
            numbers_of(texts)
        with pytest.raises(ValueError, match="decimal"):
            numbers_of(texts, ";")
        assert numbers_of(texts, ",")[0].iat[0, 0] == float(texts[0].replace(",", "."))
    for texts, decimal in ((["0,5", "12.5"], ","), (["1,234", "0,5"], ".")):
        assert numbers_of(texts, decimal)[1].ravel().tolist() == [False, True]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_point_is_no_decimal_mark_in_a_file_with_commas(tmp_path, counts, ephys, separator):
    ephys["Tau"] *= 1000
    # a column of numbers if read alone
    ephys["Sag"] = [1234.0, 2345, 3456, 4567, 5678, 6789, 7890, 1111]
    spelled = ephys.map(lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,")))
    spelled["Sag"] = [f"{value:,.0f}".replace(",", ".") for value in ephys["Sag"]]
    path = written(tmp_path, spelled.to_csv(sep=separator))
    assert_read(read(counts, path), counts, ephys.round(2))
    data = read(counts.astype(str) + ",0", path, decimal={"outputs": "."})
    assert_read(data, counts, ephys[["Sag"]] / 1000)
    assert data.dropped == {"outputs without a number": ["Tau", "AP width"]}
    assert "dtype" not in data.warned


@pytest.mark.parametrize(
    "value", ["broken", np.inf, pd.Timestamp("2024-03-01"), "1.5 mV", "0x1", "1_0"]
)
def test_text_among_numbers_is_named(counts, ephys, value):
    ephys = ephys.astype(object)
    ephys.loc["c2", "AP width"] = value
    for what, given in {"outputs": (counts, ephys), "expression": (ephys, counts)}.items():
        refused(
            rf"{what}: .* not numbers: 1 in column 'AP width'.* cell 'c2'.*missing_marks", *given
        )


# --- missing values


@pytest.mark.parametrize(
    ("missing", "cells", "outputs"),
    [
        ("cells", ["c0", "c2", "c3"], ["Tau", "AP width", "Sag"]),
        ("outputs", CELLS, ["AP width"]),
        ("fewest", ["c0", *CELLS[2:]], ["AP width", "Sag"]),
    ],
)
def test_gaps_are_left_out_as_asked_for(counts, ephys, labels, missing, cells, outputs):
    ephys.loc[CELLS[4:], "Tau"] = np.nan
    ephys.loc["c1", "Sag"] = np.nan
    refused(
        r"outputs: missing values: 4 in column 'Tau', 1 in column 'Sag'.*missing=", counts, ephys
    )
    data = read(counts, ephys, labels, missing=missing)
    assert_read(data, counts.loc[cells], ephys.loc[cells, outputs])
    assert data.dropped.get("cells with missing outputs", []) == [
        cell for cell in CELLS if cell not in cells
    ]
    assert data.dropped.get("outputs with missing values", []) == [
        name for name in ephys if name not in outputs
    ]
    assert "labels of cells" not in str(data.dropped), (
        "labels of cells that were left out are not strangers"
    )
    gap = counts.astype(float)
    gap.loc["c0", "Sst"] = np.nan
    lacking = (
        r"expression: missing values: 1 in column 'Sst'.* cell 'c0'; set unobserved genes to 0"
    )
    refused(lacking, gap, ephys, missing=missing)


def test_most_values_are_left_where_fewest_are_left_out():
    gaps = np.zeros((12, 3), bool)
    gaps[:4, 1:] = True
    cells, outputs = kept(gaps, "fewest")
    assert cells.sum() == 8
    assert outputs.all(), "24 values, not 12 of one output"
    gaps = np.zeros((12, 4), bool)
    gaps[2:, 3] = gaps[0, :2] = True
    cells, outputs = kept(gaps, "fewest")
    assert np.flatnonzero(~cells).tolist() == [0]
    assert np.flatnonzero(~outputs).tolist() == [3], "33 values of both"
    cells, outputs = kept(np.array([[True, True], [False, False], [False, True]]), "outputs")
    assert cells.tolist() == [False, True, True]
    assert outputs.tolist() == [True, False], "not for a cell that has none"


# --- expression


def test_what_expression_is_taken_for_is_detected_and_noted(counts, ephys):
    data = read(counts, ephys)
    np.testing.assert_array_equal(data.X, log2p1(normalize_library_size(counts)))
    assert "taken for raw counts" in data.notes
    assert "counts=False" in data.notes
    assert read(counts, ephys, counts=True).notes == ""
    tpm = counts.div(counts.sum(axis=1), axis=0) * 1e6
    data = read(tpm, ephys)
    np.testing.assert_array_equal(data.X, log2p1(tpm))
    assert data.counts is None
    assert "normalised values that are not logarithms" in data.notes
    assert read(tpm.mul(tpm.index != "c3", axis=0), ephys).dropped["cells without counts"] == ["c3"]
    for logs in (np.log1p(tpm), np.log2(counts + 1), counts - counts.mean()):
        data = read(logs, ephys)
        np.testing.assert_array_equal(data.X, logs.astype("f4"))
        assert data.counts is None
        assert "taken for log values" in data.notes
    for values, doubt in (
        ((0.1 * counts).round(), "small whole numbers may be counts"),
        (0.4 * counts, "large for"),
    ):
        assert doubt in read(values, ephys).warned
    refused(
        "counts", counts.astype(float).where(counts != counts.iloc[2, 1], 0.5), ephys, counts=True
    )


def test_uninformative_cells_genes_and_outputs_are_left_out(counts, ephys):
    counts.loc["c3"], counts["Vip"] = 0, 0
    data = read(counts.assign(Length="n.d."), ephys.assign(Rin=1, Cre="SST+"))
    cells = counts.index.drop("c3")
    assert_read(data, counts.loc[cells].drop(columns="Vip"), ephys.loc[cells])
    without = {"outputs without a number": ["Cre"], "genes without a number": ["Length"]}
    constant = {
        "genes with one value in all cells": ["Vip"],
        "outputs with one value in all cells": ["Rin"],
    }
    assert data.dropped == without | constant | {"cells without counts": ["c3"]}
    assert "c3" in read(counts, ephys, counts=False).X.index, (
        "of log values zeros are nothing special"
    )
    refused("outputs: all 3 are left out", counts, ephys * 0)
    refused("expression: all 1 are left out", counts[["Vip"]], ephys)
    gaps = pd.DataFrame({"Tau": [1.0] + 7 * [np.nan], "AP width": [np.nan] + 7 * [1.0]}, CELLS)
    refused("outputs: all 8 are left out", counts, gaps, missing="cells")


def test_spike_ins_and_counters_are_not_part_of_the_library(counts, ephys):
    added = [
        "ERCC-00002",
        "gSpikein_ERCC-00003",
        "Spike1",
        "RNA_SPIKE_4",
        "ERCC_00005",
        "__no_feature",
        "N_unmapped",
    ]
    raw = counts.assign(**{name: 1000 * i + np.arange(8) for i, name in enumerate(added, 1)})
    data = read(raw.T, ephys)
    assert_read(data, counts, ephys)
    assert data.dropped == {"spike-ins and counters": added}
    assert "7 of 12 left out" in data.warned
    np.testing.assert_array_equal(data.X, read(counts, ephys).X)
    assert_read(read(raw, ephys, spike_ins="keep"), raw, ephys)
    genes = [
        "ERCC1",
        "Ercc6l2",
        "ERCC6-PGBD3",
        "Ercc8",
        "Spag1",
        "N_gene",
        "Nfix",
        "Spink1",
        "ambiguousA",
    ]
    assert not no_genes(pd.Index(genes)).any()


def test_genes_of_one_name_are_added_up_or_the_first_is_taken(counts, ephys):
    raw = counts.set_axis(["Gad1", "Sst", "NA", "Sst", "NA"], axis=1)
    added = {
        "Gad1": counts["Gad1"],
        "Sst": counts["Sst"] + counts["Vip"],
        "NA": counts["NA"] + counts["Ercc1"],
    }
    assert_read(read(raw.T, ephys, duplicates="sum"), pd.DataFrame(added), ephys)
    data = read(raw.T, ephys, duplicates="first")
    assert_read(data, counts[["Gad1", "Sst", "NA"]], ephys)
    assert "more than once (2)" in data.notes
    told = "gene names .* more than once .2.: Sst, NA; set duplicates='first'"
    refused(told, raw.T, ephys, duplicates="error")
    refused(told, np.log2(raw + 1), ephys, duplicates="sum")
    refused("'duplicates' parameter .* Got 'other'", counts, ephys, duplicates="other")


# --- labels


def test_labels_may_have_other_names_or_be_of_one_kind(counts, ephys, labels):
    renamed = labels.rename(columns={"family": "subclass", "type": "t-type"}).assign(layer=5)
    keys, colors = {"family_key": "subclass", "type_key": "t-type"}, {"Sst 1": "#102030"}
    data = read(counts, ephys, renamed, **keys, colors=colors, source="our rig")
    assert data.labels[["family", "type"]].equals(labels)
    assert data.labels["layer"].tolist() == [5] * 8
    assert data.colors["Sst 1"] == "#102030" and data.about["source"] == "our rig"
    for one in (labels[["family"]], renamed[["subclass"]]):
        data = read(counts, ephys, one)
        assert data.labels["type"].tolist() == data.labels["family"].tolist() == ["Sst", "Vip"] * 4
    refused("labels: expected type_key .*'cluster'", counts, ephys, labels, type_key="cluster")
    refused("labels: all 8 are left out .*: xc0", counts, ephys, labels.add_prefix("x", axis=0))


def test_what_unpacks_to_far_more_than_a_table_is_refused(tmp_path, monkeypatch, ephys):
    monkeypatch.setattr("sbnn.data.readers.counts._USUAL_UNPACKED", 2**20)
    text = b"cell,Gad1\nc0,1\n" + b"0," * 2**21
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", text)
    book = openpyxl.Workbook()
    book.active["B2"], book.active["XFD1048576"] = 1, 1
    book.save(tmp_path / "x.xlsx")
    far = "sheet 'Sheet', 1048576 rows x 16384 columns"
    for form, message in {"csv.gz": "unpack to", "zip": "unpack to", "xlsx": far}.items():
        refused(rf"expression \(x.{form}\): .* {message}", tmp_path / f"x.{form}", ephys)
