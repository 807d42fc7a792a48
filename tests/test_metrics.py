"""Scores against scikit-learn and closed forms, in double precision, with training means."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score
from sklearn.model_selection import RepeatedKFold

from sbnn import metrics


@pytest.fixture
def outputs(rng):
    """Three outputs of 30 cells, and predictions."""
    y = rng.normal(size=(30, 3)) * [1, 2, 5] + 7
    return y, y + rng.normal(size=(30, 3))


def test_feature_r2_about_own_means_is_scikit_learns(outputs):
    y, predicted = outputs
    expected = r2_score(y, predicted, multioutput="raw_values")
    assert_allclose(metrics.feature_r2(y, predicted, y.mean(0)), expected)


def test_pooled_r2_about_own_means_is_scikit_learns(outputs):
    y, predicted = outputs
    expected = r2_score(y, predicted, multioutput="variance_weighted")
    pooled = metrics.pooled_r2(y, predicted, y.mean(0))
    assert pooled == pytest.approx(expected)


ONES = np.ones((3, 2))


def test_an_output_without_variance_has_no_r2():
    r2 = metrics.feature_r2(ONES, ONES * [1, 2], [1.0, 0.0])
    assert_array_equal(r2, [np.nan, 0])


def test_without_variance_only_exact_predictions_score():
    assert metrics.pooled_r2(ONES, ONES, 1.0) == 1
    assert metrics.pooled_r2(ONES, 2 * ONES, 1.0) == 0


def test_sums_are_in_double_precision():
    y = np.full(10_000, 1000, dtype=np.float32)
    y[0] = 1001
    predicted = np.full_like(y, 1000)
    r2 = metrics.pooled_r2(y, predicted, 1000.5)
    assert r2 == pytest.approx(0.9996, abs=1e-12)


THREE = np.zeros(3)
MISSING = np.full(3, np.nan)


@pytest.mark.parametrize(
    ("score", "arguments", "message"),
    [
        (metrics.pooled_r2, (MISSING, THREE, 0.0), "^Y_true: expected finite values"),
        (metrics.pooled_r2, (THREE, MISSING, 0.0), "^Y_pred: expected finite values"),
        (metrics.pooled_r2, (THREE, THREE, np.nan), "^Y_mean: expected finite values"),
        (metrics.pooled_r2, (ONES, THREE, 0.0), r"got \(3, 2\), \(3,\) and \(\)"),
        (metrics.smallest_sufficient, ([[0.1, 0.2]] * 2, [10, 5]), "numbers must ascend"),
    ],
)
def test_wrong_arguments_are_refused(score, arguments, message):
    with pytest.raises(ValueError, match=message):
        score(*arguments)


def test_the_test_fraction_is_averaged_over_folds():
    folds = [(range(8), range(2)), (range(6), range(3))]
    assert metrics.test_fraction(folds) == (2 / 8 + 3 / 6) / 2


@pytest.mark.parametrize(("n", "counted"), [(None, 3), (2, 2)])
def test_an_error_grows_with_shared_training_cells(rng, n, counted):
    differences = rng.normal(size=(3, 2))
    sds = differences.std(axis=0, ddof=1)
    error = metrics.corrected_error(differences, 0.5, n)
    assert_allclose(error, sds * np.sqrt(1 / counted + 0.5))


@pytest.mark.parametrize(("repeats", "counted"), [(1, 5), (3, 15), (4, 15), (10, 15)])
def test_at_most_three_repeats_of_the_folds_count(repeats, counted):
    splitter = RepeatedKFold(n_splits=5, n_repeats=repeats, random_state=0)
    folds = list(splitter.split(np.zeros(20)))
    rounding = 1e-12 * (repeats > 3)
    assert metrics.folds_counted(folds) == pytest.approx(counted, abs=rounding)


def test_fewer_folds_count_if_tests_are_unequal():
    folds = [([3], [0, 1]), ([3], [0, 2])]
    # a test is of a cell with 6 / 4 tests on average; a cell has 4 / 3 tests on average
    expected = 2 / (1 + 6 / 4 - 4 / 3)
    assert metrics.folds_counted(folds) == pytest.approx(expected)


@pytest.mark.parametrize(("test_fraction", "number"), [(0.0, 25), (1.5, 10)])
def test_the_smallest_number_is_within_one_error(test_fraction, number):
    """10 genes are .083 behind 25 on average, with a standard error of .042 or, shared, .097."""
    r2 = [[0.30, 0.36, 0.40, 0.41], [0.20, 0.31, 0.36, 0.34], [0.28, 0.28, 0.40, 0.42]]
    assert metrics.smallest_sufficient(r2, [5, 10, 25, 50], test_fraction) == number
