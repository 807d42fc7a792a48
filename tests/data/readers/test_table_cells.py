"""Cells of two tables: orientation, matching names, and what to leave out where values miss."""

import itertools

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.table_cells import kept, loosened, same_cells


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
    """Expression of cells a to h, and outputs of cells c to j in another order."""
    X = pd.DataFrame(rng.normal(size=(8, 5)), list("abcdefgh"))
    Y = pd.DataFrame(rng.normal(size=(8, 3)), rng.permutation(list("cdefghij")))
    return X.add_prefix("gene"), Y.add_prefix("output")


@pytest.mark.parametrize("turned", list(itertools.product([False, True], repeat=2)))
def test_cells_are_found_on_either_axis(tables, turned):
    X, Y = tables
    given = [table.T if turn else table for table, turn in zip(tables, turned, strict=True)]
    for genes_in_rows in (None, turned[0]):
        x, y, only_x, only_y = same_cells(*given, genes_in_rows, pd.Index)
        pd.testing.assert_frame_equal(x, X.loc[list("cdefgh")])
        pd.testing.assert_frame_equal(y, Y.loc[list("cdefgh")])
        assert only_x.tolist() == ["a", "b"]
        assert sorted(only_y) == ["i", "j"]
    with pytest.raises(ValueError, match="expression .*outputs .*cell_key.*cell_names"):
        same_cells(*given, not turned[0], pd.Index)


def test_cells_are_in_rows_if_both_axes_fit(rng):
    names = list("abcd")
    square = pd.DataFrame(rng.normal(size=(4, 4)), names, names)
    for genes_in_rows, expected in ((None, square), (True, square.T)):
        X, Y, _, _ = same_cells(square, square, genes_in_rows, pd.Index)
        pd.testing.assert_frame_equal(X, expected)
        pd.testing.assert_frame_equal(Y, square)


def test_names_match_loosely_unless_they_are_too_much_alike(tables):
    X, Y = tables
    loose = Y.rename(lambda name: f" {name.upper()}_")
    x, y, _, _ = same_cells(X, loose, None, loosened)
    pd.testing.assert_frame_equal(y, Y.loc[x.index])
    both = pd.concat([X, X[2:3].rename({"c": "C."})])
    with pytest.raises(ValueError, match="expression: .*more than once: C."):
        same_cells(both, Y, None, loosened)
    with pytest.raises(ValueError, match="outputs: .*more than once: C."):
        same_cells(Y, both, None, loosened)
    alone = pd.concat([X, X[:1].rename({"a": "A."})])
    assert len(same_cells(alone, Y, None, loosened)[0]) == 6, "neither is among the outputs"


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
        if missing == "cells":
            assert outputs.all()
        if missing == "outputs" and outputs.any():
            assert np.flatnonzero(~cells).tolist() == [seed % 9], "it costs no output"
        if missing == "cells":
            assert (cells == ~gaps.any(axis=1)).all()
    if missing == "fewest":
        assert np.mean(shares) > 0.95
