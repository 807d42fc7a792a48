"""From text files, workbooks and DataFrames to tables with names."""

import gzip
import random
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from sbnn.data.readers.table import read_table
from sbnn.data.readers.table_numbers import as_numbers


@pytest.fixture
def table(rng):
    """Names as from spreadsheets, one of them like a missing value and one like a number."""
    rows = ["NA", "001", "c-1", "cell 4", "a"]
    return pd.DataFrame(rng.normal(0, 3000, (5, 3)).round(2), rows, ["Tau (µs)", "NA", "AP, width"])


@pytest.fixture
def file(tmp_path):
    """Write a text to a file and return its path."""

    def write(text, encoding="utf-8", name="table.csv"):
        path = tmp_path / name
        content = text.encode(encoding)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("table.csv", content)
                archive.writestr("__MACOSX/._table.csv", b"\0\5")
        else:
            path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path

    return write


def assert_read(path, expected, **options):
    found = as_numbers(read_table(path, "features", **options), "features")
    pd.testing.assert_frame_equal(found, expected, check_names=False)


@pytest.mark.parametrize("seed", range(30))
def test_a_table_in_any_dialect_is_read(file, table, seed):
    pick = random.Random(seed).choice
    separator = pick("\t;|, ")
    text = table.to_csv(
        sep=separator,
        decimal="." if separator in ", " else pick(".,"),
        quoting=pick([0, 1]),
        lineterminator=pick(["\n", "\r\n"]),
    )
    if pick([True, False]):  # R gives no name to the column of row names
        text = text[text.index(separator) + 1 :]
    encoding = pick(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be"])
    if encoding == "utf-16-be":
        text = "\ufeff" + text
    name = pick(["table.csv", "table.csv.gz", "table.zip", "text.xls"])
    assert_read(file(text, encoding, name), table)


def test_letters_with_any_bytes_may_be_in_utf_16(file, table):
    table = table.rename_axis("\u0101\u03bc")
    assert_read(file(table.to_csv(), "utf-16"), table)


def test_a_point_may_separate_thousands_in_a_file_with_decimal_commas(file, table):
    table["NA"] = [1234.0, 2345, 3456, 4567, 5678]  # a column of numbers if read alone
    spelled = table.map("{:,.2f}".format)
    spelled["NA"] = table["NA"].map("{:,.0f}".format)
    swapped = spelled.map(lambda text: text.translate(str.maketrans(",.", ".,")))
    assert_read(file(swapped.to_csv(sep="\t")), table)


def test_names_may_be_in_any_row_and_column(file, table):
    keyed = table.reset_index(names="cell").rename_axis("number")
    path = file("Table S2. Cells\n\n# by hand\n" + keyed.to_csv())
    found = read_table(path, "features", key="cell")
    assert found.index.tolist() == table.index.tolist()
    assert found.columns.tolist() == ["number", *table]
    again = read_table(path, "features", header=4, key="cell")
    pd.testing.assert_frame_equal(again, found)
    unnamed = file(keyed.rename_axis(None).to_csv())
    assert_read(unnamed, table, key="cell")
    assert_read(keyed, table, key="cell")
    with pytest.raises(ValueError, match=r"features \(table.csv\).*header"):
        read_table(path, "features", header=99)
    few = table[["NA"]]
    assert_read(file("\n,NA\n" + few.to_csv(header=False)), few)


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("b\nx,1\ny,2\n", ["b"], [[1], [2]]),
        ("b,c\nx,,2\ny,3,\n", ["b", "c"], [[np.nan, 2], [3, np.nan]]),
        ("id,b,c\nx,1,2,\ny,3,4,\n", ["b", "c"], [[1, 2], [3, 4]]),
    ],
    ids=["one column", "one in each row", "commas at the end"],
)
def test_fields_are_counted_to_find_the_names(file, text, columns, values):
    found = as_numbers(read_table(file(text), "features"), "features")
    assert found.columns.tolist() == columns
    np.testing.assert_array_equal(found, values)


def test_units_and_empty_rows_and_columns_are_no_data(file, table):
    names, *rows = table.to_csv().splitlines()
    lines = [f"{line},," for line in (names, ",(ms),,-", *rows, ",,,")]
    with pytest.warns(UserWarning, match="left out: .ms., -$"):
        found = read_table(file("\n".join(lines)), "features")
    assert found.index.tolist() == table.index.tolist()
    assert found.columns.tolist() == table.columns.tolist()
    lines[1] = ",(ms),,7,,"
    with pytest.raises(ValueError, match="row 1 below the names has values but no name"):
        read_table(file("\n".join(lines)), "features")


def test_identifiers_and_row_numbers(file):
    """A program stored identifiers as decimals; another one numbered the rows."""
    found = read_table(file("id,Unnamed: 0,Tau\n601.0,0,3\n602.0,1,4\n"), "features")
    assert found.index.tolist() == ["601", "602"]
    assert found.columns.tolist() == ["Tau"]
    assert read_table(file("id,Tau\n1.0,3\n1.5,4\n"), "features").index.tolist() == ["1.0", "1.5"]


def test_a_table_of_many_genes_has_lines_longer_than_csv_allows(file):
    genes = [f"ENSG{i:011}" for i in range(9000)]
    wide = pd.DataFrame(np.arange(18000.0).reshape(2, -1), ["a", "b"], genes)
    assert_read(file(wide.to_csv(sep=" ")), wide)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("a,1.5,-.5e3\nb,1,2\n", "numbers instead of names"),
        (",2-Sep,b,c\nx,1,2,3\n", "dates instead of names: 2-Sep"),
        (",a,,b\nx,1,2,3\n", "without a name: unnamed column 3"),
        (",b,c\nx,1,2\nx,1,2\n", "row names appear more than once: x"),
        (",b,c,d,e\nx,1,2\n", "5"),
        (",b,c\nx,1,2\ny,1,2,3\n", "saw 4"),
        (",b\n", "No columns"),
        (",b,c\nx,1,2\ny,1\0,2\n", "NUL"),
    ],
)
def test_what_is_no_table_is_refused(file, text, problem):
    with pytest.raises(ValueError, match=rf"features \(table.csv\): .*{problem}"):
        read_table(file(text), "features")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"%PDF-1.5\n%\xe2\x90\n", "a PDF; save its table as CSV$"),
        (b"\n<!DOCTYPE html>\n<html><p>Sign in, please</p></html>\n", "a web page"),
        (
            gzip.compress(b"RDX3\nX\n\0", mtime=0),
            "packed by gzip; name it .gz, or .* if it is from R$",
        ),
        (b"\x80\x04\x95\x07,\n", "neither text nor a workbook"),
        (b"cell,Tau\na,1\nb,\x81\n", "neither text nor a workbook"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path, content, problem):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"features \(table.csv\): the file is {problem}"):
        read_table(tmp_path / "table.csv", "features")


def test_a_row_of_groups_above_the_names_is_no_row_of_names(file, table):
    names, *rows = table.to_csv().splitlines()
    path = file("\n".join([",passive,passive,active", names, *rows]))
    assert_read(path, table)
    path = file("\n".join([",passive,passive,active", names, "cell,,,", *rows]))
    assert [*read_table(path, "outputs")] == [*table], "as pandas writes two rows of names"
    path = file("\n".join(["cell,Tau,Tau,Sag", ",ms,ms,", *rows]))
    with pytest.warns(UserWarning, match="numbered: Tau$"):
        assert [*read_table(path, "outputs")] == ["Tau", "Tau (2)", "Sag"]


@pytest.mark.parametrize("second", ["unit,ms,s,%", "c0,a,b,c", ",mean,SD,peak"])
@pytest.mark.filterwarnings("ignore")
def test_units_labels_and_statistics_below_repeated_names_are_no_names(file, second):
    rows = ["c1,d,e,f"] if second.startswith("c0") else ["c1,1,2,3"]
    table = read_table(file("\n".join(["cell,Tau,Tau,Sag", second, *rows])), "outputs")
    assert [*table] == ["Tau", "Tau (2)", "Sag"]


def test_broken_and_missing_files_are_refused(tmp_path):
    for name, content in (("a.csv.gz", gzip.compress(bytes(99))[:30]), ("a.zip", b"PK\3\4 no")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"features \({name}\)"):
            read_table(tmp_path / name, "features")
    with pytest.raises(ValueError, match="features: .*file"):
        read_table(tmp_path, "features")
    with pytest.raises(ValueError, match="features: .*no values"):
        read_table(pd.DataFrame(columns=["a"]), "features")


def test_names_of_genes_and_outputs_may_repeat(file):
    path = file(",b,a,b,b\nx,1,2,3,4\n")
    assert read_table(path, "expression").columns.tolist() == ["b", "a", "b", "b"]
    with pytest.warns(UserWarning, match="more than once and are numbered: b$"):
        numbered = read_table(path, "outputs")
    assert numbered.columns.tolist() == ["b", "a", "b (2)", "b (3)"]
    with pytest.warns(UserWarning, match="numbered: b$"):
        again = read_table(file(",b,b (2),b\nx,1,2,3\n"), "outputs")
    assert again.columns.tolist() == ["b", "b (2)", "b (3)"], "no name is given twice"


def test_workbooks(tmp_path, table):
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        table.to_excel(book, sheet_name="one")
        pd.DataFrame().to_excel(book, sheet_name="empty", index=False)
    assert_read(path, table)
    broken = table.rename(columns={"AP, width": "AP,\nwidth"})
    broken.to_excel(tmp_path / "broken.xlsx")
    assert_read(tmp_path / "broken.xlsx", table)
    packed = tmp_path / "book.xlsx.gz"
    with pd.ExcelWriter(path) as book:
        table.to_excel(book, sheet_name="one")
        table.T.to_excel(book, sheet_name="two")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert_read((packed, "two"), table.T)
    with pytest.raises(ValueError, match=r"features \(book.xlsx.gz\).*'three'.*\['one', 'two'\]"):
        read_table((packed, "three"), "features")
    with pytest.raises(ValueError, match=r"features \(book.xlsx\).*\['one', 'two'\]"):
        read_table(path, "features")


def test_what_unpacks_to_far_more_than_a_table_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sbnn.data.readers.table_files._USUAL_BYTES", 2**20)
    text = b"cell,Gad1\nc0,1\n" + b"0," * 2**21
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text))
    with pytest.raises(ValueError, match=r"labels \(x.csv.gz\): .* unpack to more than"):
        read_table(tmp_path / "x.csv.gz", "labels")


def test_archives_that_are_no_workbooks_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.csv", "w") as archive:
        archive.writestr("Index/Document.iwa", "x")
    with pytest.raises(ValueError, match=r"labels \(x.csv\): the file is a zip archive"):
        read_table(tmp_path / "x.csv", "labels")


def test_sheets_of_empty_cells_that_do_not_fit_into_memory_are_refused(tmp_path):
    book = openpyxl.Workbook()
    book.active["XFD1048576"] = 1
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(ValueError, match="sheet 'Sheet', 1048576 rows x 16384 columns"):
        read_table(tmp_path / "x.xlsx", "labels")
