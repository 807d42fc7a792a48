"""Scores against scikit-learn and closed forms, in double precision, with training means."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score
from sklearn.model_selection import RepeatedKFold

from sbnn import metrics


def test_about_their_own_means_they_are_those_of_scikit_learn(rng):
    y = rng.normal(size=(30, 3)) * [1, 2, 5] + 7
    predicted = y + rng.normal(size=(30, 3))
    expected = r2_score(y, predicted, multioutput="raw_values")
    assert_allclose(metrics.feature_r2(y, predicted, y.mean(0)), expected)
    expected = r2_score(y, predicted, multioutput="variance_weighted")
    assert metrics.pooled_r2(y, predicted, y.mean(0)) == pytest.approx(expected)
    means = np.array([1.0, 2.0, 3.0])
    assert metrics.pooled_r2(y, np.tile(means, (30, 1)), means) == 0


def test_without_variance():
    ones = np.ones((3, 2))
    assert_array_equal(metrics.feature_r2(ones, ones * [1, 2], [1.0, 0.0]), [np.nan, 0])
    assert metrics.pooled_r2(ones, ones, 1.0) == 1
    assert metrics.pooled_r2(ones, 2 * ones, 1.0) == 0


def test_sums_are_in_double_precision():
    y = np.full(10_000, 1000, dtype=np.float32)
    y[0] = 1001
    score = metrics.pooled_r2(y, np.full_like(y, 1000), 1000.5)
    assert score == pytest.approx(0.9996, abs=1e-12)


def test_the_error_of_a_mean_grows_with_shared_training_cells(rng):
    folds = [(np.arange(8), np.arange(2)), (np.arange(6), np.arange(3))]
    assert metrics.test_fraction(folds) == (2 / 8 + 3 / 6) / 2
    differences = rng.normal(size=(3, 2))
    expected = differences.std(axis=0, ddof=1) * (1 / 3 + 0.5) ** 0.5
    assert_allclose(metrics.corrected_error(differences, 0.5), expected)
    of_two = differences.std(axis=0, ddof=1)
    assert_allclose(metrics.corrected_error(differences, 0.5, 2), of_two)


@pytest.mark.parametrize(("repeats", "counted"), [(1, 5), (3, 15), (4, 15), (10, 15)])
def test_at_most_three_repeats_of_the_folds_count(repeats, counted):
    splitter = RepeatedKFold(n_splits=5, n_repeats=repeats, random_state=0)
    folds = list(splitter.split(np.zeros(20)))
    assert metrics.folds_counted(folds) == pytest.approx(counted, abs=1e-12 * (repeats > 3))


def test_fewer_folds_count_if_cells_are_not_tested_equally_often():
    folds = [([3], [0, 1]), ([3], [0, 2])]
    # a test is of a cell with 6 / 4 tests on average; a cell has 4 / 3 tests on average
    assert metrics.folds_counted(folds) == pytest.approx(2 / (1 + 6 / 4 - 4 / 3))


def test_the_smallest_number_within_one_error_of_the_best():
    """10 genes are .083 behind 25 on average, with a standard error of .042 or, shared, .097."""
    r2 = [[0.30, 0.36, 0.40, 0.41], [0.20, 0.31, 0.36, 0.34], [0.28, 0.28, 0.40, 0.42]]
    assert metrics.smallest_sufficient(r2, [5, 10, 25, 50]) == 25
    assert metrics.smallest_sufficient(r2, [5, 10, 25, 50], test_fraction=1.5) == 10
