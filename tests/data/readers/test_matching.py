"""Cells of two tables: orientation, matching names, and what to leave out where values miss."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.matching import joined, kept, loosened
from sbnn.data.readers.reading import Reading, ReadingError


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


@pytest.fixture
def tables(rng):
    """Expression of cells a to y, and outputs of cells c to Z in another order."""
    X = pd.DataFrame(rng.normal(size=(25, 5)), list("abcdefghijklmnopqrstuvwxy"))
    Y = pd.DataFrame(rng.normal(size=(24, 3)), rng.permutation(list("cdefghijklmnopqrstuvwxyZ")))
    return X.add_prefix("gene"), Y.add_prefix("output")


def join(X, Y, genes_in_rows=None, **how):
    """The joined tables, and how they were read."""
    reading = Reading("paired", how, {"genes_in_rows": genes_in_rows})
    opened = reading.open({"expression": X, "outputs": Y})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = joined(reading, opened["expression"], opened["outputs"])
    return *found, reading


@pytest.mark.parametrize("turned", list(itertools.product([False, True], repeat=2)))
def test_cells_are_found_on_either_axis(tables, turned):
    X, Y = tables
    given = [table.T if turn else table for table, turn in zip(tables, turned, strict=True)]
    cells = list("cdefghijklmnopqrstuvwxy")
    for genes_in_rows in (None, turned[0]):
        x, y, reading = join(*given, genes_in_rows)
        pd.testing.assert_frame_equal(x, X.loc[cells])
        pd.testing.assert_frame_equal(y, Y.loc[cells])
        dropped = {"cells only in expression": ["a", "b"], "cells only in outputs": ["Z"]}
        assert reading.dropped == dropped
        assert reading.choices["genes_in_rows"] == turned[0]
    with pytest.raises(ReadingError, match="expression .*outputs .*share no cell name.*cell_names"):
        join(*given, not turned[0])


def test_cells_are_in_rows_if_both_axes_fit(rng):
    names = list("abcd")
    square = pd.DataFrame(rng.normal(size=(4, 4)), names, names)
    for genes_in_rows, expected in ((None, square), (True, square.T)):
        X, Y, _ = join(square, square, genes_in_rows)
        pd.testing.assert_frame_equal(X, expected)
        pd.testing.assert_frame_equal(Y, square)


def test_names_match_loosely_unless_they_are_too_much_alike(tables):
    X, Y = tables
    for one, other in (("", " "), ("C-01", "c_0_1"), ("mouse_01_", "Mouse 1 ")):
        loose = Y.add_prefix(other, axis=0)
        assert len(join(X.add_prefix(one, axis=0), loose, match="loose")[0]) == 23
    both = pd.concat([X, X[2:3].rename({"c": "C."})])
    with pytest.raises(ReadingError, match="expression: .*more than once: C."):
        join(both, Y, match="loose")
    with pytest.raises(ReadingError, match="outputs: .*more than once: C."):
        join(Y, both, match="loose")
    alone = pd.concat([X, X[:1].rename({"a": "A."})])
    assert len(join(alone, Y, match="loose")[0]) == 23, "neither is among the outputs"


@pytest.mark.parametrize("ending", [".bam", ".sorted.bam", "Aligned.sortedByCoord.out.bam"])
def test_names_of_files_of_aligned_reads_name_cells(tables, ending):
    X, Y = tables
    files = X.rename(lambda name: f"/data/bam/cell.{name}{ending}").T
    files.insert(0, "Length", 900)
    Y = Y.add_prefix("cell.", axis=0)
    _, _, reading = join(files, Y)
    text, solved_by = reading.problems[0]
    assert solved_by == {"match": "loose", "genes_in_rows": True}
    assert f"spelled like /data/bam/cell.c{ending} and cell.c;" in text
    assert len(join(files, Y, match="loose")[0]) == 23


def test_the_column_and_the_spelling_of_the_cells_are_found(tables):
    """What solves a problem is named and taken, so that other problems are found as well."""
    X, Y = tables
    Y = Y.assign(site="a", number=range(24)).reset_index(names="cell").set_index("number")
    asked = {"cell_key": {"outputs": "cell"}}
    _, y, reading = join(X, Y)
    assert [solved_by for _, solved_by in reading.problems] == [asked]
    assert len(y) == 23
    X = X.rename(lambda name: f"cell_{name}.")
    Y["cell"] = "Cell " + Y["cell"]
    _, y, reading = join(X, Y)
    assert reading.problems[0][1] == asked | {"match": "loose"}
    again, _, reading = join(X, Y, **reading.problems[0][1])
    assert not reading.problems
    assert len(again) == 23


def test_numbers_in_another_column_may_name_the_cells(tables):
    X, Y = (table[:20] for table in tables)
    numbers = range(500, 520)
    _, _, reading = join(X.set_axis(numbers), Y.assign(number=numbers))
    assert reading.problems[0][1] == {"cell_key": {"outputs": "number"}}


def test_names_that_only_number_rows_are_no_names(tables):
    X, Y = (table[:20].reset_index(drop=True) for table in tables)
    shuffled = Y.sample(frac=1, random_state=0)
    _, _, reading = join(X, shuffled)
    [(text, solved_by)] = reading.problems
    assert "row numbers" in text
    assert solved_by == {"by_row": True}
    _, y, reading = join(X, shuffled, by_row=True)
    assert not reading.problems
    np.testing.assert_array_equal(y, shuffled, "row by row")
    numbers_are_names = [table.rename_axis("cell") for table in (X, shuffled)]
    _, y, reading = join(*numbers_are_names)
    assert not reading.problems
    np.testing.assert_array_equal(y, Y)
    with pytest.raises(ReadingError, match="by_row: outputs has 19 rows for 20 cells"):
        join(X, Y[1:], by_row=True)


def test_numbers_that_name_cells_match_a_column_beside_row_numbers(tables):
    X, Y = (table[:20].set_axis(range(100, 120), axis=0) for table in tables)
    Y = Y.rename_axis("id")[::-1]
    _, y, reading = join(X, Y.reset_index())
    assert [solved_by for _, solved_by in reading.problems] == [{"cell_key": {"outputs": "id"}}]
    np.testing.assert_array_equal(y, Y[::-1])


def test_row_numbers_of_filtered_tables_are_noted(tables):
    """Numbers match if no column has names of the cells; otherwise, this column is advised."""
    X, Y = (table[:23].reset_index(drop=True) for table in tables)
    x, _, reading = join(X.drop([3, 7]), Y.drop([1]))
    assert len(x) == 20
    assert "matched by numbers in columns without a name" in reading.notes[0]
    names = [f"cell {i}" for i in range(23)]
    named = X.assign(id=names).drop([3]), Y.assign(cell=names[::-1])
    asked = {"expression": "id", "outputs": "cell"}
    for outputs in (named[1], named[1].drop([1])):
        _, _, reading = join(named[0], outputs)
        assert [solved_by for _, solved_by in reading.problems] == [{"cell_key": asked}]
    assert not join(named[0], Y.assign(cell=names))[-1].problems, "both pair the same cells"


def test_row_numbers_of_tables_of_different_length_are_no_names(tables):
    X, Y = (table[:23].reset_index(drop=True) for table in tables)
    with pytest.raises(ReadingError, match=r"only row numbers \(.*; name the column of the cells"):
        join(X, Y[:21])


def test_row_numbers_beside_names_may_be_in_the_same_order(tables):
    X, Y = (table[:20] for table in tables)
    _, _, reading = join(X.reset_index(drop=True), Y)
    assert [solved_by for _, solved_by in reading.problems] == [{"by_row": True}]
    with pytest.raises(ReadingError, match="share no cell name.*cell_key=COLUMN"):
        join(X.reset_index(drop=True), Y[1:])


def test_a_column_may_name_the_cell_of_each_sweep(tables):
    X, Y = tables
    sweeps = pd.concat([Y, Y]).reset_index(names="cell").rename_axis("sweep")
    _, y, reading = join(X, sweeps)
    asked = [{"cell_key": {"outputs": "cell"}}, {"average": True}]
    assert [solved_by for _, solved_by in reading.problems] == asked
    assert len(y) == 23


def test_tables_without_names_may_be_in_the_same_order(tmp_path, tables):
    X, Y = (table[:20] for table in tables)
    X.to_csv(tmp_path / "X.csv", index=False)
    Y.to_csv(tmp_path / "Y.csv", index=False)
    x, y, reading = join(tmp_path / "X.csv", tmp_path / "Y.csv")
    assert [solved_by for _, solved_by in reading.problems] == [{"by_row": True}]
    np.testing.assert_allclose(x.astype(float), X)
    np.testing.assert_allclose(y.astype(float), Y)


def test_few_cells_that_agree_by_chance_are_no_match(tables):
    X, Y = tables
    X = X.rename(columns={"gene0": "c", "gene1": "d"}).add_prefix("cell ", axis=0)
    with pytest.raises(ReadingError, match="share only 2 cell names"):
        join(X, Y)
    many = pd.concat([X, Y.set_axis(X.columns[:3], axis=1)]).fillna(0)
    Y = pd.concat([Y.add_prefix("other ", axis=0), Y, Y.add_prefix("another ", axis=0)])
    x, _, reading = join(many, Y)
    assert reading.problems[0][1] == {"genes_in_rows": False}, "24 of 49 and of 72"
    assert not join(many, Y, False)[-1].problems


def most_values(gaps):
    """Largest number of values that any choice of outputs leaves in cells without a gap."""
    best = 0
    for outputs in itertools.product([False, True], repeat=gaps.shape[1]):
        complete = ~gaps[:, outputs].any(axis=1)
        best = max(best, complete.sum() * sum(outputs))
    return best


@pytest.mark.parametrize("missing", ["cells", "outputs", "fewest"])
def test_no_gap_is_left(missing):
    shares = []
    for seed in range(30):
        gaps = np.random.default_rng(seed).random((9, 5)) < 0.15
        gaps[seed % 9] = True
        cells, outputs = kept(gaps, missing)
        assert not gaps[np.ix_(cells, outputs)].any()
        shares.append(cells.sum() * outputs.sum() / most_values(gaps))
        if missing == "outputs" and outputs.any():
            assert np.flatnonzero(~cells).tolist() == [seed % 9], "it costs no output"
        if missing == "cells":
            assert (cells == ~gaps.any(axis=1)).all()
    if missing == "fewest":
        assert np.mean(shares) > 0.95
