"""Steps of reading a table: its encoding and layout, numbers, missing values and names."""

import itertools

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.counts import check_unpacked, encoding_of
from sbnn.data.readers.table_checks import (
    as_numbers,
    has_decimal_commas,
    kept,
    loosened,
    no_genes,
    to_numbers,
    unique_genes,
)
from sbnn.data.readers.tables import read_table, read_tables


@pytest.fixture
def file(tmp_path):
    """Write a text to a file and return its path."""

    def write(text, encoding="utf-8"):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("µ", "utf-8", "utf-8-sig"),
        ("µ", "utf-16", "utf-16"),
        ("\ufeffµ", "utf-16-be", "utf-16"),
        ("µ", "cp1252", "cp1252"),
        ("\x81", "latin-1", "latin-1"),
    ],
)
def test_the_encoding_is_detected(file, text, encoding, expected):
    assert encoding_of(file(text, encoding)) == expected


def test_what_may_be_unpacked(tmp_path):
    path = tmp_path / "packed"
    with path.open("wb") as handle:
        handle.truncate(2**26)
    check_unpacked(2**32, path)
    with pytest.raises(ValueError, match="4 GiB"):
        check_unpacked(2**32 + 1, path)
    path.write_bytes(b"small")
    check_unpacked(2**30, path)
    with pytest.raises(ValueError, match="1 GiB"):
        check_unpacked(2**30 + 1, path)


def test_names_are_in_the_first_row_and_column(file):
    table = read_table(file('"b" "a b"\n"x" 1 "q"\n"NA" 2 "r"\n'), "labels")
    expected = pd.DataFrame({"b": [1, 2], "a b": ["q", "r"]}, ["x", "NA"])
    pd.testing.assert_frame_equal(table, expected)


def test_names_are_in_another_row_and_column(file):
    path = file("Title\n\nn\tid\tb\n1\tx\t5\n2\ty\t7\n", "utf-16")
    table = read_table(path, "labels", header=3, key="id")
    assert table.to_dict("list") == {"n": [1, 2], "b": [5, 7]}
    assert table.index.tolist() == ["x", "y"]
    assert table.index.name == "id"


def test_a_title_and_units_are_left_out_with_warnings(file):
    path = file("My table\n\n\n\n\n,b,c,d\n,mV,s,\nx,1,2,3\n")
    with pytest.warns(UserWarning) as warned:
        table = read_table(path, "features")
    assert table.to_dict("index") == {"x": {"b": "1", "c": "2", "d": 3}}
    assert [warning.filename for warning in warned] == [__file__, __file__]
    assert "row 6, below My table" in str(warned[0].message)
    assert "mV, s" in str(warned[1].message)


def test_a_column_of_a_frame_names_its_rows():
    given = pd.DataFrame({"b ": [1, 2], "id": [7, " q"], "c": [3, 4]})
    table = read_table(given, "features", key="id")
    assert table.to_dict("index") == {"7": {"b": 1, "c": 3}, "q": {"b": 2, "c": 4}}
    assert table.index.name == "id"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (",1.5,2.5\nx,1,2\n", "numbers instead of names: 1.5, 2.5"),
        (",2-Sep,b,c\nx,1,2,3\n", "dates instead of column names, such as 2-Sep"),
        (",a,,b\nx,1,2,3\n", "column 2 of 3 has values but no name"),
        (",b,b\nx,1,2\n", "column names appear more than once: b"),
        (",b,c\nx,1,2\nx,1,2\n", "row names appear more than once: x"),
    ],
)
def test_wrong_names_are_refused(file, text, problem):
    with pytest.raises(ValueError, match=rf"features \(table.csv\): .*{problem}.*header"):
        read_table(file(text), "features")


def test_a_table_without_values_is_refused():
    with pytest.raises(ValueError, match="features: .*no values"):
        read_table(pd.DataFrame(columns=["a"]), "features")


def test_names_may_repeat_where_they_are_merged_later(file):
    table = read_table(file(",b,b\nx,1,2\n"), "expression", repeats=True)
    assert table.columns.tolist() == ["b", "b"]
    with pytest.warns(UserWarning, match="numbered: b"):
        table = read_table(file(",b,b,b\nx,1,2,3\n"), "outputs")
    assert table.columns.tolist() == ["b", "b (2)", "b (3)"]


def test_a_missing_file_is_its_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "nowhere.csv", "features")
    with pytest.raises(ValueError, match="features: .*file"):
        read_table(tmp_path, "features")


def test_numbers_of_mixed_columns():
    table = pd.DataFrame(
        {
            "text": ["1,5", " 2", "n.d.", "1.234,5"],
            "number": [1, -99.5, np.nan, np.inf],
            "mixed": ["-", "1e3", "−4", "high"],
        }
    )
    notes = []
    numbers, is_text = to_numbers(table, "outputs", None, ["-99.5"], notes)
    expected = [[1.5, 1, np.nan], [2, np.nan, 1000], [np.nan, np.nan, -4], [1234.5, np.inf, np.nan]]
    np.testing.assert_array_equal(numbers, expected)
    assert np.argwhere(is_text).tolist() == [[3, 1], [3, 2]]
    assert len(notes) == 1
    with pytest.raises(ValueError, match="outputs: .*'mixed'.*'high' for cell 3"):
        as_numbers(table[["mixed"]], "outputs")


@pytest.mark.parametrize(
    ("value", "has"),
    [("1,5", True), ("1.234.567", True), ("1.5", False), ("a,b", False), (1, False)],
)
def test_decimal_commas_are_found(value, has):
    assert has_decimal_commas(pd.DataFrame({"a": [value, 1]})) == has


def best_by_trying(gaps):
    """Largest number of values that any choice of cells and outputs leaves without a gap."""
    best = 0
    for outputs in itertools.product([False, True], repeat=gaps.shape[1]):
        complete = ~gaps[:, outputs].any(axis=1)
        best = max(best, complete.sum() * sum(outputs))
    return best


@pytest.mark.parametrize("missing", ["cells", "outputs", "fewest"])
def test_no_gap_is_left(missing):
    for seed in range(30):
        gaps = np.random.default_rng(seed).random((9, 5)) < 0.15
        cells, outputs = kept(gaps, missing)
        assert not gaps[np.ix_(cells, outputs)].any()
        if missing == "fewest":
            assert cells.sum() * outputs.sum() >= 0.8 * best_by_trying(gaps)
        else:
            assert (cells if missing == "outputs" else outputs).all()


def test_cells_without_any_value_do_not_cost_an_output():
    gaps = np.array([[True, True], [False, True], [False, False]])
    cells, outputs = kept(gaps, "outputs")
    assert cells.tolist() == [False, True, True]
    assert outputs.tolist() == [True, False]


def test_spike_ins_and_counters():
    others = [
        *("ERCC-00002", "ercc00130", "gSpikein_x", "spike-in 3", "RNA_spike_a", "__alignment"),
        *("N_unmapped", "ambiguous"),
    ]
    genes = ["ERCC1", "ERCC-ab", "N_cells", "Spike", "Sst"]
    assert no_genes(pd.Index(others)).all()
    assert not no_genes(pd.Index(genes)).any()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("X1.a b", "1.a.b"),
        ("Xa", "xa"),
        ("_ACGTACGTACGT-1_", "acgtacgtacgt"),
        ("ACGTACGTACG-1", "acgtacgtacg.1"),
        ("acgtacgtacgt.2", "acgtacgtacgt.2"),
        ("Zelle 7!", "zelle.7"),
    ],
)
def test_names_without_what_programs_change(name, expected):
    assert loosened(pd.Index([name])).tolist() == [expected]


def test_genes_of_one_name_keep_their_first_place():
    genes = pd.DataFrame([[1, 2, 3, 4], [5, 6, 7, 8]], columns=list("caba"))
    notes = []
    added = unique_genes(genes, "sum", False, notes)
    assert added.to_dict("list") == {"c": [1, 5], "a": [6, 14], "b": [3, 7]}
    first = unique_genes(genes, "first", True, notes)
    assert first.to_dict("list") == {"c": [1, 5], "a": [2, 6], "b": [3, 7]}
    assert len(notes) == 2


def test_a_key_of_cells_works_together_with_dropped_columns():
    rng = np.random.default_rng(0)
    cells = list("uvwxyz")
    expression = pd.DataFrame(rng.normal(size=(6, 4)), cells, list("ABCD"))
    outputs = pd.DataFrame({"id": cells, "k": rng.normal(size=6), "note": "fine"})
    data = read_tables(expression, outputs, cell_key={"outputs": "id"}, drop_columns="note")
    assert data.obsm["outputs"].columns.tolist() == ["k"]
    assert data.obs_names.tolist() == cells
