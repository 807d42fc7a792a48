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
    outputs.iloc[3, 0] = -5e6
    mistakes = (genes, outputs)
    assert_one_sentence("X: .*2-Sep", mistakes)
    assert_one_sentence("X: .*99 .*'g2'", mistakes)
    assert_one_sentence("X: .*'c7' .*'g5'", mistakes)
    assert_one_sentence("Y: .*-999 .*'Rin'", mistakes)
    assert_one_sentence(r"Y: .*'c3' .*'Vrest' is -5e\+06", mistakes)
    assert_one_sentence(".* of X .*g3", mistakes)
    assert_one_sentence(".* of Y .*same", mistakes)
    assert_one_sentence("Y: .*ID", mistakes)
    assert len(sbnn.diagnose(mistakes)) == 8


def test_tables_that_are_not_what_they_should_be_are_one_sentence():
    assert_one_sentence("X looks like raw counts", (COUNTS, Y))
    assert_one_sentence("X: .*negative whole numbers", (COUNTS - 30, Y))


def assert_one_sentence(pattern, data):
    sentences = pd.Series(sbnn.diagnose(data))
    assert sentences.str.match(pattern).sum() == 1


def test_usual_cells_give_no_alarm(adata):
    assert sbnn.diagnose(adata, sbnn.LeaveOneOutRidge().fit(adata)) == []
    percent = Y.assign(percent=np.arange(40) * 3 % 80 + 20)
    assert sbnn.diagnose(sbnn.paired(X, percent, counts=COUNTS)) == sbnn.diagnose((X, None)) == []


@pytest.mark.parametrize(
    ("mark", "n", "scale", "found"),
    [
        (-99, 2, 1, True),
        (999, 1, 300, False),  # less than three times the range of 412 away
        (-9999, 1, 300, True),
        (999, 2, 300, True),
        (999, 2, 500, False),
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


@pytest.mark.parametrize("digits", ["01234567", "00123455"])  # more than half of the cells
def test_rising_whole_numbers_look_like_ids(digits):
    values = np.array([*digits], dtype=float)[:, None]
    assert [*diagnose.numbered_cells(values, np.array(["a"]))]
    for other in (values / 2, values[::-1], values[1:], np.fmin(values, 4)):
        assert not [*diagnose.numbered_cells(other, np.array(["a"]))]


# --- cells for a fitted model

MEAN = np.array([1.0, 2, 3, 4, 5, 0])
GENES = np.array(list("abcdef"))
MODEL = {"n_features_in_": 6, "feature_names_in_": GENES, "x_mean_": MEAN}
MODEL |= {"x_min_": 0 * MEAN, "x_max_": 2 * MEAN + 1}


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
    for cells, limits in (
        ([MEAN, MEAN + 0.6], unlimited),
        ([MEAN, MEAN - 0.6], unlimited),
        ([MEAN, 2 * MEAN + [2, 2, 2, 2, 0, 0]], {}),
        ([MEAN, MEAN - 8], {}),
    ):
        (text,) = unlike(cells, **limits)
        assert text.startswith("X: ") and ": c1;" in text


def test_cells_without_expression_or_on_another_scale_are_found():
    (text,) = unlike([0 * MEAN, MEAN])
    assert ": c0;" in text
    for values in (1.3 * MEAN, 0.75 * MEAN, [2.0, 0, 1, 0, 0, 0]):
        (text,) = unlike(values, n_cells=8)
        assert "times" in text
    scaled = np.where(np.arange(8)[:, np.newaxis] % 2, MEAN, -MEAN)
    (text,) = unlike(scaled, x_min_=-MEAN)
    assert "0 or less, unlike that of the training cells" in text
    assert unlike(scaled, x_min_=-MEAN, x_mean_=1e-9 * MEAN) == []


def test_genes_are_found_by_name_and_missing_ones_are_named():
    in_order = unlike(10 * MEAN, n_cells=8)
    assert in_order != []
    assert unlike(10 * MEAN[::-1], GENES[::-1], 8) == in_order
    (text,) = unlike(10 * MEAN[1:], GENES[1:], 8)  # five genes are too few for a comparison
    assert "1 genes of the model: a;" in text
    assert unlike(10 * MEAN[1:], GENES[1:], 8, support_=GENES != "a") == []
    with pytest.raises(ValueError, match="X: "):
        unlike(MEAN, n_features_in_=7)
