"""What is probably a mistake is named, and usual data give no alarm."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import sbnn
from sbnn.data import diagnose
from sbnn.data.preprocessing import log2p1, normalize_library_size

RNG = np.random.default_rng(0)
CELLS = [f"c{i}" for i in range(40)]
COUNTS = pd.DataFrame(RNG.poisson(30, (40, 6)) + 1, CELLS).add_prefix("g")
X = pd.DataFrame(log2p1(normalize_library_size(COUNTS)), CELLS, COUNTS.columns)
Y = pd.DataFrame(RNG.normal(-50, 3, (40, 2)), CELLS, ["Vrest", "Rin"])


def test_each_mistake_is_one_sentence():
    genes = X.rename(columns={"g1": "2-Sep"}).assign(g3=1.0)
    genes.iloc[[3, 4], 2] = 99
    genes.iloc[7, 5] = 1e10
    outputs = Y.assign(ID=range(2, 82, 2), same=1.0)
    outputs.iloc[:5, 1] = -999
    outputs.iloc[3, 0] = -2e9
    mistakes = {
        "X: .*2-Sep": (genes, outputs),
        "X: .*99 .*'g2'": (genes, outputs),
        "X: .*'c7' .*'g5'": (genes, outputs),
        "Y: .*-999 .*'Rin'": (genes, outputs),
        r"Y: .*'c3' .*'Vrest' is -2e\+09": (genes, outputs),
        ".* of X .*g3": (genes, outputs),
        ".* of Y .*same": (genes, outputs),
        "Y: .*ID": (genes, outputs),
        "X looks like raw counts": (COUNTS, Y),
        r"Y \(6 columns": (Y, X),
        "Y: .*columns of X": (X, X[["g4", "g1"]]),
        "counts: correlation": sbnn.paired(X, Y, counts=COUNTS[::-1]),
        "counts looks like log values": sbnn.paired(X, Y, counts=COUNTS % 3 + 2),
    }
    for words, data in mistakes.items():
        assert pd.Series(sbnn.diagnose(data)).str.match(words).sum() == 1, words
    assert len(sbnn.diagnose((genes, outputs))) == 8


def test_usual_cells_give_no_alarm(adata):
    assert sbnn.diagnose(adata, sbnn.LeaveOneOutRidge().fit(adata)) == []
    percent = np.arange(40) * 3 % 80 + 20
    assert sbnn.diagnose(sbnn.paired(X, Y.assign(percent=percent), counts=COUNTS)) == []
    assert sbnn.diagnose((X, None)) == []
    with pytest.raises(ValueError, match="X: .*'g2'"):
        sbnn.diagnose((X.assign(g2=np.nan), Y))


@pytest.mark.parametrize(
    ("mark", "n", "scale", "found"),
    [
        (999, 1, 1, True),
        (-99, 2, 1, True),
        (999, 1, 300, False),  # less than three times the range of 412 away
        (-9999, 1, 300, True),
        (999, 2, 300, True),
        (999, 2, 500, False),
        (99.5, 2, 1, False),
        (99, 2, 0, False),
    ],
)
def test_marks_of_missing_values_are_far_from_all_others(mark, n, scale, found):
    column = np.concatenate([np.arange(12.0) / 8 * scale, [mark] * n])
    assert bool([*diagnose.marks(column[:, None], "Y", ["a"])]) == found


def test_rare_genes_and_large_units_are_no_outliers(rng):
    rare = np.eye(40, 2)  # one cell expresses it
    large = 1e9 + 1e9 * rng.normal(size=(40, 2))
    wide = rng.standard_cauchy((1000, 2))
    for values in (rare, large, wide):
        assert not [*diagnose.outliers(values, "X", None, "ab")]


@pytest.mark.parametrize(
    ("digits", "found"),
    [
        ("01234567", True),
        ("00123455", True),  # more than half of the cells
        ("00123444", False),
        ("76543210", False),
        ("0123456", False),
    ],
)
def test_rising_whole_numbers_look_like_ids(digits, found):
    values = np.array([*digits], dtype=float)[:, None]
    assert bool([*diagnose.numbered_cells(values, np.array(["a"]))]) == found
    assert not [*diagnose.numbered_cells(values / 2, np.array(["a"]))]


def test_outputs_that_are_genes_are_copies(rng):
    genes = rng.normal(size=(9, 4))
    constant = np.ones((9, 1))
    assert [*diagnose.copies(genes, np.hstack([genes[:, [3, 0]], constant]))]
    other = np.hstack([genes[:, :2], 2 * genes])
    for X, Y in ((genes, genes[:, :1]), (genes, other), (np.sign(genes[:2]), np.sign(genes[:2]))):
        assert not [*diagnose.copies(X, Y)]


def test_outputs_with_more_zeros_than_genes_are_swapped(rng):
    outputs = rng.normal(50, 3, (9, 2))
    counts = rng.poisson(1, (9, 3)) + 0.0
    assert [*diagnose.swapped(outputs, counts)]
    assert [*diagnose.swapped(-outputs, counts + 1)]
    for X, Y in ((outputs, counts + 1), (-outputs, counts - 1), (-outputs, counts[:, :2])):
        assert not [*diagnose.swapped(X, Y)]


# --- cells for a fitted model

MEAN = np.array([1.0, 2, 3, 4, 5, 0])
GENES = np.array(list("abcdef"))
MODEL = {
    "n_features_in_": 6,
    "feature_names_in_": GENES,
    "x_mean_": MEAN,
    "x_scale_": np.ones(6),
    "x_min_": np.zeros(6),
    "x_max_": 2 * MEAN + 1,
}


def unlike(values, genes=GENES, n_cells=1, **changes):
    """Suspicions about cells, or about `n_cells` equal ones, for a model with some `changes`."""
    values = np.tile(np.atleast_2d(values), (n_cells, 1))
    cells = np.array([f"c{i}" for i in range(len(values))])
    model = SimpleNamespace(**MODEL | changes)
    return [*diagnose.unlike_training(model, values, genes, cells)]


def test_cells_like_the_training_cells_give_no_alarm():
    assert unlike(2 * MEAN + 1.0005) == []
    assert unlike(2 * MEAN + [2, 2, 2, 0, 0, 0]) == []  # half of the genes
    assert unlike(1.2 * MEAN, n_cells=8) == []
    assert unlike(1.3 * MEAN, n_cells=7) == []  # few cells have no reliable mean
    assert unlike(0 * MEAN, x_mean_=MEAN - 1) == []  # centred values have no zero of expression


def test_cells_beyond_the_training_range_are_named():
    unlimited = {"x_min_": np.full(6, -np.inf), "x_scale_": np.full(6, 0.1)}
    assert unlike(MEAN + 0.4, **unlimited) == []
    for odd in (MEAN + 0.6, MEAN - 0.6):
        (text,) = unlike(odd, **unlimited)
        assert text.startswith("X: ")
    for odd in (2 * MEAN + [2, 2, 2, 2, 0, 0], MEAN - 8):
        (text,) = unlike([MEAN, odd])
        assert text.count("in c1;") == 1


def test_cells_without_expression_or_on_another_scale_are_found():
    (text,) = unlike([0 * MEAN, MEAN])
    assert "c0" in text and "c1" not in text
    for values in (1.3 * MEAN, 0.75 * MEAN, [2.0, 0, 1, 0, 0, 0]):
        (text,) = unlike(values, n_cells=8)
        assert "times" in text


def test_genes_are_found_by_name_and_missing_ones_are_named():
    reverse = slice(None, None, -1)
    assert unlike(10 * MEAN[reverse], GENES[reverse], 8) == unlike(10 * MEAN, n_cells=8) != []
    (text,) = unlike(10 * MEAN[1:], GENES[1:], 8)  # five genes are too few for a comparison
    assert "1 genes" in text and text.count("a;") == 1
    support = GENES != "a"
    assert unlike(10 * MEAN[1:], GENES[1:], 8, support_=support) == []
    with pytest.raises(ValueError, match="X: "):
        unlike(MEAN[1:], GENES[1:], n_features_in_=7)
