"""What is probably a mistake is named, and usual data give no alarm."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import sbnn
from sbnn.data import diagnose
from sbnn.data.preprocessing import log2p1, normalize_library_size


def tables():
    rng = np.random.default_rng(0)
    cells = [f"c{i}" for i in range(40)]
    counts = pd.DataFrame(rng.poisson(30, (40, 6)) + 1, cells, [f"g{i}" for i in range(6)])
    X = pd.DataFrame(log2p1(normalize_library_size(counts)), cells, counts.columns)
    return X, pd.DataFrame(rng.normal(-50, 3, (40, 2)), cells, ["Vrest", "Rin"]), counts


X, Y, COUNTS = tables()


def with_values(table, column, rows, value):
    table = table.copy()
    table.iloc[rows, table.columns.get_loc(column)] = value
    return table


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((COUNTS, Y), ["X looks like raw counts"]),
        ((X, with_values(Y, "Rin", slice(0, 5), -999)), ["Y: ", "-999", "'Rin'"]),
        ((X, with_values(Y, "Rin", [3], 9999)), ["Y: ", "9999", "'Rin'"]),
        ((with_values(X, "g2", [3, 4], 99), Y), ["X: ", "99", "'g2'"]),
        ((X, with_values(Y, "Rin", [3], -2e9)), ["Y: ", "'c3'", "'Rin'", "-2e+09"]),
        ((with_values(X, "g5", [7], 1e10), Y), ["X: ", "'c7'", "'g5'"]),
        ((X.assign(g1=1.0), Y), ["of X", "g1"]),
        ((X, Y.assign(Rin=1.0)), ["of Y", "Rin"]),
        ((X.rename(columns={"g1": "2-Sep"}), Y), ["X: ", "2-Sep"]),
        ((X, Y.assign(ID=range(2, 82, 2))), ["Y: ", "ID"]),
        ((Y, X), ["Y (6 columns)", "X (2)"]),
        ((X, X[["g4", "g1"]]), ["Y: ", "columns of X"]),
        (sbnn.paired(X, Y, counts=COUNTS[::-1]), ["counts: ", "correlation"]),
        (sbnn.paired(X, Y, counts=COUNTS.iloc[:, ::-1]), ["counts: ", "correlation"]),
        (sbnn.paired(X, Y, counts=COUNTS % 3 + 2), ["counts looks like log values"]),
    ],
)
def test_one_mistake_is_one_sentence(data, words):
    found = [text for text in sbnn.diagnose(data) if words[0] in text]
    assert len(found) == 1
    for word in words:
        assert word in found[0]


def test_usual_cells_give_no_alarm(adata):
    assert sbnn.diagnose(adata) == []
    assert sbnn.diagnose(sbnn.paired(X, Y, counts=COUNTS)) == []
    assert sbnn.diagnose((X, None)) == []
    percent = np.arange(40) * 3 % 80 + 20
    assert sbnn.diagnose((X, Y.assign(percent=percent))) == []


def test_data_that_cannot_be_read_are_an_error():
    with pytest.raises(ValueError, match="X: .*'g2'"):
        sbnn.diagnose((with_values(X, "g2", [0], np.nan), Y))


@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
@pytest.mark.parametrize(
    ("values", "counts", "logs"),
    [
        ([[0, 1], [21, 5]], True, False),
        ([[0, 2], [20, 5]], False, True),
        ([[1, 1], [3, 0]], True, False),
        ([[1, 1], [2, 0]], False, False),
        ([[0.5, 51], [7, 9]], False, True),
        ([[-1, 61], [2, 3]], False, False),
    ],
)
def test_counts_and_logarithms_differ_in_range_and_in_ones(form, values, counts, logs):
    values = form(np.array(values, dtype=float))
    assert len([*diagnose.raw_counts(values, "X")]) == counts
    assert len([*diagnose.log_values(values, "X")]) == logs


@pytest.mark.parametrize(
    ("marks", "scale", "found"),
    [
        ([999], 1, True),
        ([99, 99], 1, True),
        ([-99, -99], 1, True),
        ([999], 300, False),  # less than three times the range of 412 away
        ([-9999], 300, True),
        ([999, 999], 300, True),
        ([999, 999], 500, False),
        ([99.5, 99.5], 1, False),
    ],
)
def test_marks_of_missing_values_are_far_from_all_others(marks, scale, found):
    column = np.concatenate([np.arange(12.0) / 8 * scale, marks, [np.nan]])
    assert bool([*diagnose.marks(column[:, None], "Y", ["a"])]) == found


def test_rare_genes_and_large_units_are_no_outliers(rng):
    rare = np.zeros((40, 2))
    rare[5, 0] = 12.0  # one cell expresses it
    large = 1e9 + 1e9 * rng.normal(size=(40, 2))
    wide = rng.standard_cauchy((1000, 2))
    for values in (rare, large, wide, np.zeros((1, 2))):
        assert not [*diagnose.outliers(values, "X", None, "ab")]


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (np.arange(8), True),
        (np.array([0, 0, 1, 2, 3, 4, 5, 5]), True),  # more than half of the cells
        (np.array([0, 0, 1, 2, 3, 4, 4, 4]), False),
        (np.arange(8)[::-1], False),
        (np.arange(8) / 2, False),
        (np.arange(7), False),
    ],
)
def test_rising_whole_numbers_look_like_ids(output, found):
    sentences = [*diagnose.numbered_cells(output[:, None] + 0.0, np.array(["a"]))]
    assert bool(sentences) == found


def test_outputs_that_are_genes_are_copies(rng):
    genes = rng.normal(size=(9, 4))
    constant = np.ones((9, 1))
    assert [*diagnose.copies(genes, np.hstack([genes[:, [3, 0]], constant]))]
    assert not [*diagnose.copies(genes, genes[:, :1])]
    other = rng.normal(size=(9, 1))
    assert not [*diagnose.copies(genes, np.hstack([genes[:, :2], other]))]
    of_two = np.sign(genes[:2])
    assert not [*diagnose.copies(of_two, of_two)]


def test_outputs_with_more_zeros_than_genes_are_swapped(rng):
    outputs = rng.normal(50, 3, (9, 2))
    counts = rng.poisson(1, (9, 3)) + 0.0
    assert [*diagnose.swapped(outputs, counts)]
    assert [*diagnose.swapped(-outputs, counts + 1)]
    assert not [*diagnose.swapped(outputs, counts + 1)]
    assert not [*diagnose.swapped(-outputs, counts - 1)]
    assert not [*diagnose.swapped(counts[:, :2], counts[:, :2])]


# --- cells for a fitted model

MEAN = np.array([1.0, 2, 3, 4, 5, 0])
GENES = np.array(list("abcdef"))
MODEL = SimpleNamespace(
    n_features_in_=6,
    feature_names_in_=GENES,
    x_mean_=MEAN,
    x_scale_=np.ones(6),
    x_min_=np.zeros(6),
    x_max_=2 * MEAN + 1,
)


def unlike(values, model=MODEL, genes=GENES):
    cells = np.array([f"c{i}" for i in range(len(values))])
    return [*diagnose.unlike_training(model, np.array(values, dtype=float), genes, cells)]


def changed(**attributes):
    return SimpleNamespace(**(vars(MODEL) | attributes))


def test_cells_like_the_training_cells_give_no_alarm():
    assert unlike(np.tile(MEAN, (8, 1))) == []
    assert unlike(np.tile(1.2 * MEAN, (8, 1))) == []
    assert unlike([2 * MEAN + 1.0005]) == []
    assert unlike([2 * MEAN + [2, 2, 2, 0, 0, 0]]) == []
    assert unlike(np.tile(1.3 * MEAN, (7, 1))) == []  # few cells have no reliable mean


def test_cells_beyond_the_training_range_are_named():
    high = 2 * MEAN + [2, 2, 2, 2, 0, 0]
    low = MEAN - 8
    for odd in (high, low):
        (text,) = unlike([MEAN, odd])
        assert "in 1 of 2 cells" in text and "c1" in text
    without_limits = changed(x_min_=np.full(6, -np.inf), x_scale_=np.full(6, 0.1))
    assert unlike([MEAN + 0.4], without_limits) == []
    assert len(unlike([MEAN + 0.6], without_limits)) == 1
    assert len(unlike([MEAN - 0.6], without_limits)) == 1


def test_cells_without_expression_are_named():
    (text,) = unlike([0 * MEAN, MEAN])
    assert "c0" in text and "c1" not in text
    # centred values have no zero of expression
    assert unlike([0 * MEAN, MEAN], changed(x_mean_=MEAN - 1)) == []


@pytest.mark.parametrize("values", [1.3 * MEAN, 0.75 * MEAN, [2, 0, 1, 0, 0, 0]])
def test_another_scale_of_all_cells_is_found(values):
    (text,) = unlike(np.tile(values, (8, 1)))
    assert "times" in text


def test_genes_are_found_by_name_and_missing_ones_are_named():
    cells = np.tile(MEAN, (8, 1))
    assert unlike(cells[:, ::-1], genes=GENES[::-1]) == []
    (text,) = unlike(cells[:, 1:], genes=GENES[1:])
    assert "1 of the 6 genes" in text and "a" in text
    support = np.array([False, True, True, True, True, True])
    assert unlike(cells[:, 1:], changed(support_=support), GENES[1:]) == []
    # five genes are too few for a comparison
    assert unlike(10 * cells, changed(support_=support)) == []
    assert len(unlike(10 * cells)) == 2


def test_a_model_without_names_takes_the_genes_in_order():
    unnamed = changed()
    del unnamed.feature_names_in_
    assert unlike([MEAN], unnamed) == []
    with pytest.raises(ValueError, match="X: "):
        unlike([MEAN[1:]], unnamed, GENES[1:])


def test_a_fitted_model_is_compared_by_name(adata):
    model = sbnn.LeaveOneOutRidge().fit(adata)
    assert sbnn.diagnose(adata[:, ::-1].copy(), model) == []
    other = adata.copy()
    other.X = 100 * other.X
    found = sbnn.diagnose(other, model)
    assert any("outside the range" in text for text in found)
