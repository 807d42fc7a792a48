import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest

from sbnn import PairedData
from sbnn.data.preprocessing import log2p1, normalize_library_size

CELLS = [f"c{i}" for i in range(8)]


@pytest.fixture
def tables():
    """Small whole numbers as expression of four genes, two features and labels of eight cells."""
    rng = np.random.default_rng(0)
    counts = pd.DataFrame(rng.poisson(6, (8, 4)) + 1, index=CELLS, columns=["Gad1", "Sst", "NA", "Vip"])
    ephys = pd.DataFrame(rng.normal(size=(8, 2)).round(6), index=CELLS, columns=["Tau", "AP width"])
    labels = pd.DataFrame({"family": ["Sst", "Vip"] * 4, "type": ["Sst 1", "Vip 1", "Sst 2", "Vip 2"] * 2}, index=CELLS)
    return counts, ephys, labels


def as_they_are(*tables, **options):
    """Small whole numbers may be counts too."""
    return PairedData.from_tables(*tables, **{"counts": False} | options)


def assert_holds(data, counts, ephys):
    np.testing.assert_array_equal(data.X, counts.astype(np.float32))
    np.testing.assert_array_equal(data.Y, ephys.astype(np.float32))
    assert data.gene_names.tolist() == list(counts.columns)
    assert data.feature_names.tolist() == list(ephys.columns)
    assert data.cell_names.tolist() == list(counts.index)


FORMS = ["frame", "comma.csv", "semicolon.csv", "tab.tsv", "bar.txt", "table.csv.gz", "table.zip", "bom.csv", "R.txt"]


def write(folder, form, table):
    path = folder / form
    if form == "frame":
        return table
    if form == "table.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("table.csv", table.to_csv(quoting=2))
            archive.writestr("__MACOSX/._table.csv", b"\0\5")
    elif form == "R.txt":  # as write.table leaves it: no name above the row names
        path.write_text(table.to_csv(sep=" ", quoting=2).removeprefix('"" '))
    else:
        mark = {"semicolon": ";", "tab": "\t", "bar": "|"}.get(form.split(".")[0], ",")
        content = table.to_csv(sep=mark).encode("utf-8-sig" if form == "bom.csv" else "utf-8")
        path.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("flip", [False, True], ids=["cells in rows", "genes in rows"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_data(tmp_path, tables, form, flip):
    counts, ephys, labels = tables
    folders = [tmp_path / name for name in ("expression", "outputs", "labels")]
    for folder in folders:
        folder.mkdir()
    given = (counts.T if flip else counts, ephys.iloc[::-1].T if flip else ephys.iloc[::-1], labels.sample(frac=1))
    expression, outputs = (write(folder, form, table) for folder, table in zip(folders, given[:2], strict=False))
    data = as_they_are(expression, outputs, write(folders[2], "comma.csv", given[2]), name="mine")
    assert_holds(data, counts, ephys)
    assert data.labels[["family", "type"]].equals(labels)
    assert (data.name, data.counts, data.dropped) == ("mine", None, {})
    if form != "frame":
        assert data.source == f"the user's tables: expression ({form}), outputs ({form}), labels (comma.csv)"
        assert data.sha256 == as_they_are(counts, ephys).sha256


def test_orientation_can_be_told(tables):
    counts, ephys, _ = tables
    square = pd.DataFrame(np.arange(64.0).reshape(8, 8) ** 2 / 8, index=CELLS, columns=CELLS)  # either way fits
    np.testing.assert_array_equal(as_they_are(square, ephys).X, square)
    np.testing.assert_array_equal(as_they_are(square, ephys, genes_in_rows=True).X, square.T)
    with pytest.raises(ValueError, match=r"share no cell name.*genes_in_rows=True"):
        as_they_are(counts, ephys, genes_in_rows=True)


def test_counts_are_kept_and_normalised(tables):
    counts, ephys, _ = tables
    counts *= 10
    data = as_they_are(counts.T, ephys, counts=True)
    np.testing.assert_array_equal(data.counts, counts)
    np.testing.assert_array_equal(data.X, log2p1(normalize_library_size(counts)))
    assert data.counts.dtype.kind == "i"
    for value, message in ((0.5, "counts must be whole numbers"), (-1, "counts must not be negative")):
        wrong = counts.astype(float)
        wrong.iloc[2, 1] = value
        with pytest.raises(ValueError, match=message):
            as_they_are(wrong, ephys, counts=True)
    counts.loc["c3"] = 0
    with pytest.warns(UserWarning, match=r"1 of 8 cells are left out \(cells without counts\): c3"):
        data = as_they_are(counts, ephys, counts=True)
    np.testing.assert_array_equal(data.counts, counts.drop("c3"))
    np.testing.assert_array_equal(data.Y, ephys.drop("c3").astype("f4"))
    assert data.dropped == {"cells without counts": ["c3"]}
    assert as_they_are(counts, ephys).n_cells == 8  # of log values zeros are nothing special


def test_tables_without_a_common_cell_show_their_names(tables):
    counts, ephys, _ = tables
    message = (
        "expression and outputs share no cell name: expression has the rows c0, c1, c2 and 5 more and the columns "
        "Gad1, Sst, NA and 1 more, outputs has the rows x0, x1, x2 and 5 more and the columns Tau, AP width"
    )
    with pytest.raises(ValueError, match=message):
        as_they_are(counts, ephys.rename(index=lambda cell: cell.replace("c", "x")))


def test_cells_of_one_table_alone_are_listed(tables):
    counts, ephys, labels = tables
    with pytest.warns(UserWarning) as caught:
        data = as_they_are(counts.drop("c1"), ephys.drop(["c5", "c0"]).iloc[::-1], labels.drop("c7"))
    assert [str(warning.message) for warning in caught] == [
        "2 of 7 cells are left out (cells only in expression): c0, c5",
        "1 of 6 cells are left out (cells only in outputs): c1",
        "1 of 5 cells have no labels: c7",
    ]
    assert caught[0].filename == __file__
    kept = ["c2", "c3", "c4", "c6", "c7"]
    assert_holds(data, counts.loc[kept], ephys.loc[kept])
    assert data.dropped == {"cells only in expression": ["c0", "c5"], "cells only in outputs": ["c1"]}
    assert data.labels["type"].tolist() == ["Sst 2", "Vip 2", "Sst 1", "Sst 2", "unknown"]
    assert data.subset(cells=["c2", "c3", "c4"]).dropped == data.dropped


def test_labels_of_other_cells_are_listed(tables):
    counts, ephys, labels = tables
    stranger = pd.DataFrame({"family": ["L5"], "type": ["L5 PT"]}, index=["c99"])
    with pytest.warns(UserWarning, match=r"1 of 9 labels are left out \(labels of cells that are not there\): c99"):
        data = as_they_are(counts, ephys, pd.concat([labels, stranger]))
    assert data.dropped == {"labels of cells that are not there": ["c99"]}
    assert data.labels[["family", "type"]].equals(labels)


@pytest.mark.filterwarnings("error")
def test_labels_may_have_other_names_or_be_of_one_kind(tables):
    counts, ephys, labels = tables
    renamed = labels.rename(columns={"family": "subclass", "type": "t-type"}).assign(layer=5)
    colors = {"Sst 1": "#102030"}
    data = as_they_are(
        counts, ephys, renamed, family_key="subclass", type_key="t-type", colors=colors, source="our rig"
    )
    assert data.labels[["family", "type"]].equals(labels) and data.labels["layer"].tolist() == [5] * 8
    assert data.colors["Sst 1"] == "#102030" and data.source == "our rig"
    data = as_they_are(counts, ephys, labels[["family"]])
    assert data.labels["type"].tolist() == data.labels["family"].tolist() == ["Sst", "Vip"] * 4
    with pytest.raises(
        ValueError, match=r"labels: no column 'family' or 'type'; it has \['subclass', 't-type', 'layer'"
    ):
        as_they_are(counts, ephys, renamed)
    with pytest.raises(ValueError, match="labels: no column 'cluster'"):
        as_they_are(counts, ephys, labels, type_key="cluster")


def test_missing_outputs_are_named_or_left_out(tables):
    counts, ephys, labels = tables
    ephys.loc[["c2", "c6"], "Tau"] = np.nan
    ephys.loc["c2", "AP width"] = np.nan
    with pytest.raises(
        ValueError, match=r"outputs: 2 column\(s\) have missing values in some of 8 cells: Tau \(2\), AP"
    ):
        as_they_are(counts, ephys)
    with pytest.warns(UserWarning, match=r"2 of 8 cells are left out \(cells with missing outputs\): c2, c6") as caught:
        data = as_they_are(counts, ephys, labels, missing="drop")
    assert len(caught) == 1  # the labels of cells that were left out are not strangers
    assert_holds(data, counts.drop(["c2", "c6"]), ephys.drop(["c2", "c6"]))
    assert data.dropped == {"cells with missing outputs": ["c2", "c6"]}
    with (
        pytest.warns(UserWarning, match="8 of 8 cells"),
        pytest.raises(ValueError, match="no cell is left, every one has a missing value"),
    ):
        gaps = {"Tau": [1.0] + 7 * [np.nan], "AP width": [np.nan] + 7 * [1.0]}
        as_they_are(counts, pd.DataFrame(gaps, CELLS), missing="drop")
    with pytest.raises(ValueError, match="missing must be 'error' or 'cells' or 'outputs' or 'fewest', got 'mean'"):
        as_they_are(counts, ephys, missing="mean")


def test_missing_expression_is_always_an_error(tables):
    counts, ephys, _ = tables
    counts = counts.astype(float)
    counts.loc["c4", "Sst"] = np.nan
    with pytest.raises(ValueError, match=r"expression: 1 column\(s\) have missing values .*: Sst \(1\); a gene that"):
        as_they_are(counts, ephys, missing="drop")


def test_genes_with_one_value_are_left_out(tables):
    counts, ephys, _ = tables
    counts *= 10
    counts["Vip"] = 0
    with pytest.warns(UserWarning, match=r"1 of 4 genes are left out \(genes with one value in all cells\): Vip"):
        data = as_they_are(counts, ephys, counts=True)
    assert data.gene_names.tolist() == ["Gad1", "Sst", "NA"] and data.counts.shape == (8, 3)
    with pytest.warns(UserWarning, match=r"1 of 2 outputs are left out \(outputs with one value in all cells\): Tau"):
        data = as_they_are(counts[["Gad1", "Sst"]], ephys.assign(Tau=1))
    assert "Tau" not in data.feature_names and data.dropped["outputs with one value in all cells"] == ["Tau"]
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no output is left, each has one value in all 8"):
        as_they_are(counts[["Gad1", "Sst"]], ephys * 0)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no gene is left, each has one value in all 8"):
        as_they_are(counts[["Vip"]], ephys)


@pytest.mark.parametrize("value", ["SST+", pd.Timestamp("2024-03-01"), np.nan, "n.d."])
def test_outputs_without_a_number_are_left_out(tables, value):
    counts, ephys, _ = tables
    with pytest.warns(UserWarning, match=r"1 of 3 outputs are left out \(outputs without a number\): Cre"):
        data = as_they_are(counts, ephys.assign(Cre=value))
    assert_holds(data, counts, ephys)
    assert data.dropped == {"outputs without a number": ["Cre"]}
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no output is left, none of 1 columns holds"):
        as_they_are(counts, ephys[[]].assign(Cre=value))


def test_text_among_numbers_is_named(tables):
    counts, ephys, _ = tables
    ephys = ephys.astype(object)
    ephys.loc[["c2", "c5"], "AP width"] = "broken", pd.Timestamp("2024-03-01")
    message = "outputs: column 'AP width' holds 2 .* not numbers, the first 'broken' for cell 'c2'; .* in missing_marks"
    with pytest.raises(ValueError, match=message):
        as_they_are(counts, ephys)
    with pytest.raises(ValueError, match="holds 1 .* the first '2024-03-01 00:00:00' for cell 'c5'"):
        as_they_are(counts, ephys, missing_marks=["Broken"])


def test_numbers_written_as_text_are_numbers(tables):
    counts, ephys, _ = tables
    data = as_they_are(counts.astype(str).astype("category"), ephys.astype("Float64"))
    assert_holds(data, counts, ephys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"outputs \(table.csv\) holds no values"),
        (",Tau,Sag\n", r"outputs \(table.csv\) holds no values \(0 rows x 2 columns\)"),
        ("cell:Tau\nc0:1\n", "holds no values .*; text is separated by tabs, commas, semicolons, blanks or |"),
        (
            ",Tau,\nc0,1,2\n",
            r"outputs \(table.csv\): 1 of 2 columns of values have no name, the first is number 2. Merged",
        ),
        ("Features,,\n,11,12\nc0,1,2\n", "2 of 2 columns of values have no name, the first is number 1.*header="),
        (",Tau,Sag\nc0,1,2\n,3,4\n", "1 of 2 rows of values have no name, the first is number 2"),
        (",Tau,Tau\nc0,1,2\n", "column names appear more than once: Tau"),
        (",Tau,Sag\nc0,1,2\nc0,3,4\nc1,1,1\n", "row names appear more than once: c0"),
        (",Tau,Sag\nc0,1,2,3,4\n", "the first row names 3 columns but the others have 5"),
        (",Tau,Sag\nc0,1,2\nc1,1,2,3\n", "cannot be read as a table: .*Expected 3 fields in line 2, saw 4"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, tables, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        as_they_are(tables[0], path)


def test_empty_rows_and_columns_without_names_are_no_data(tmp_path, tables):
    counts, ephys, _ = tables
    path = tmp_path / "table.csv"
    lines = ephys.to_csv().splitlines()
    path.write_text("\n".join(f"{line},," for line in [*lines, ","]) + "\n")  # as spreadsheets leave them
    assert_holds(as_they_are(counts, path), counts, ephys)


def test_duplicates_in_a_frame_are_named(tables):
    counts, ephys, _ = tables
    with pytest.raises(ValueError, match="expression: 1 gene names appear more than once: Gad1"):
        as_they_are(counts.rename(columns={"Sst": "Gad1"}), ephys)
    with pytest.raises(ValueError, match="outputs: row names appear more than once: c1"):
        as_they_are(counts, ephys.rename(index={"c2": "c1"}))


def test_files_that_cannot_be_read_are_named(tmp_path, tables):
    counts, ephys, _ = tables
    with pytest.raises(FileNotFoundError, match="outputs: no file '.*nowhere.csv'"):
        as_they_are(counts, tmp_path / "nowhere.csv")
    for name, content, message in (
        (
            "table.xls",
            b"old",
            r"outputs \(table.xls\) holds no values",
        ),
        ("table.doc", b"", r"cannot read the ending '.doc'; expected .csv, .tsv, .txt, .xlsx, .xlsm, .xls, or text in"),
        ("table.csv.gz", gzip.compress(ephys.to_csv().encode())[:40], "cannot be read as a table"),
        ("table.zip", b"PK\3\4 broken", "cannot be read as a table"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            as_they_are(counts, tmp_path / name)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(ValueError, match=r"expected one file in the archive, found \['a.csv', 'b.csv'\]"):
        as_they_are(counts, tmp_path / "two.zip")
    ephys.to_csv(tmp_path / "table.csv")
    with pytest.raises(ValueError, match="only an Excel workbook has sheets"):
        as_they_are(counts, (tmp_path / "table.csv", "Sheet1"))


# --- Excel


@pytest.fixture
def workbook(tmp_path):
    """Write sheets (name -> rows) into a workbook and merge the cell ranges given."""
    openpyxl = pytest.importorskip("openpyxl")

    def save(sheets, merged=()):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(list(row))
            for cells in merged:
                sheet.merge_cells(cells)
        book.save(tmp_path / "book.xlsx")
        return tmp_path / "book.xlsx"

    return save


def rows_of(table):
    return [["", *table.columns], *([name, *row] for name, row in zip(table.index, table.to_numpy(), strict=True))]


@pytest.mark.filterwarnings("error")
def test_excel_gives_the_same_data(workbook, tables):
    counts, ephys, labels = tables
    counts = counts.rename(columns={"NA": "Ndnf"})
    path = workbook({"Sheet1": rows_of(ephys), "Sheet2": [], "Sheet3": []})
    assert_holds(as_they_are(counts, path), counts, ephys)
    counts *= 10
    path = workbook({"counts": rows_of(counts.T.astype(object)), "ephys": rows_of(ephys), "cells": rows_of(labels)})
    data = as_they_are((path, "counts"), (path, "ephys"), (path, "cells"), counts=True)
    np.testing.assert_array_equal(data.counts, counts)
    assert data.labels[["family", "type"]].equals(labels)
    assert "expression (book.xlsx, sheet counts)" in data.source


@pytest.mark.parametrize(
    ("sheets", "merged", "message"),
    [
        (
            {"Sheet1": [["", "ephys", ""], ["c0", 1, 2]]},
            ["B1:C1"],
            "1 of 2 columns of values have no name, the first is number 2. Merged cells and titles leave such gaps",
        ),
        ({"Sheet1": [["", "Tau"], ["Sst", 1], ["", 2]]}, ["A2:A3"], "1 of 2 rows of values have no name"),
        ({"Sheet1": []}, [], r"outputs \(book.xlsx\) holds no values"),
        ({"Sheet1": [["", "Tau", "Sag"]]}, [], r"outputs \(book.xlsx\) holds no values \(0 rows x 2 columns\)"),
        (
            {"a": [["", "T"], ["c0", 1]], "b": [["x"]]},
            [],
            r"holds several sheets, \['a', 'b'\]; choose one: \(path, sheet\), or --sheet",
        ),
    ],
)
def test_excel_sheets_that_are_no_table_are_named(workbook, tables, sheets, merged, message):
    with pytest.raises(ValueError, match=message):
        as_they_are(tables[0], workbook(sheets, merged))


def test_excel_formulas_that_were_never_calculated_are_named(workbook, tables):
    counts, ephys, _ = tables
    rows = rows_of(ephys.astype(object))
    rows[2][1], rows[5][2] = "=B2+1", "=2*C2"
    message = r"outputs \(book.xlsx\): 2 formula\(s\) have no value, the first in B3, .* open the file in Excel"
    with pytest.raises(ValueError, match=message):
        as_they_are(counts, workbook({"Sheet1": rows}))
    rows[2][1], rows[5][2] = None, 3.0  # a gap is a gap
    with pytest.raises(ValueError, match=r"1 column\(s\) have missing values"):
        as_they_are(counts, workbook({"Sheet1": rows}))


def test_slips_between_tables_are_told(tables):
    counts, ephys, _ = tables
    for as_counts in (False, True):
        with pytest.raises(ValueError, match="the expression seems to have been given again as outputs"):
            as_they_are(10 * counts, 10 * counts, counts=as_counts)
    with pytest.warns(UserWarning, match=r"X looks like raw counts \(values from 40 to 140, 100 % of them whole"):
        as_they_are(10 * counts, ephys)
    with pytest.warns(
        UserWarning, match=r"expression is said to be raw counts and looks like log values \(values from 4"
    ):
        as_they_are(counts, ephys, counts=True)


def test_excel_names_that_became_dates_are_named(workbook, tables):
    rows = rows_of(tables[0].rename(columns={"NA": "Ndnf"}))
    rows[0][2] = pd.Timestamp("2024-03-01").to_pydatetime()
    with pytest.raises(ValueError, match=r"1 name\(s\) are dates, the first 2024-03-01; Excel makes them of genes"):
        as_they_are(workbook({"Sheet1": rows}), tables[1])


def test_excel_sheets_and_files_that_are_not_there_are_named(workbook, tables, tmp_path):
    path = workbook({"ephys": rows_of(tables[1]), "empty": []})
    for sheet, state in (("Ephys", "is not there"), ("empty", "is empty")):
        with pytest.raises(ValueError, match=rf"sheet '{sheet}' {state}; the sheets with values are \['ephys'\]"):
            as_they_are(tables[0], (path, sheet))
    (tmp_path / "broken.xlsx").write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"outputs \(broken.xlsx\) is not a complete Excel workbook"):
        as_they_are(tables[0], tmp_path / "broken.xlsx")


@pytest.mark.parametrize(("start", "engine"), [(b"PK\3\4", "openpyxl"), (b"\xd0\xcf\x11\xe0", "xlrd")])
def test_excel_without_its_reader_says_what_to_install(tmp_path, tables, monkeypatch, start, engine):
    def without(*_, **__):
        raise ImportError("Missing optional dependency")

    monkeypatch.setattr(pd, "ExcelFile", without)
    (tmp_path / "book.xls").write_bytes(start)  # the ending does not tell
    message = f"this workbook needs {engine}; pip install {engine} or 'sbnn.excel.', or save the table as CSV"
    with pytest.raises(ImportError, match=message):
        as_they_are(tables[0], tmp_path / "book.xls")
