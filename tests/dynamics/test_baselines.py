"""Baselines against least squares by other libraries and by brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pytest import approx
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

from sbnn.data.trajectories import Samples
from sbnn.dynamics.baselines import (
    BASELINES,
    PENALTIES,
    RATES,
    AutoRegression,
    TrainingPath,
    held_out_ridge,
    slopes_of,
)

TIMES = [np.array([0.0, 1, 2, 4, 5]), np.array([1.0, 2, 4, 6]), np.array([0.0, 3, 4])]


@pytest.fixture
def samples(rng):
    """Samples (5, 4 and 3 times) of a random linear system of three genes."""
    values = [0.5 + 0.2 * rng.standard_normal((len(times), 3)).cumsum(axis=0) for times in TIMES]
    return Samples(values, TIMES, np.array(["a", "b", "c"]))


def test_auto_regression_has_the_least_squares_of_all_rates_and_levels(samples):
    before, after, spans = samples.intervals()
    length = np.diff(spans, axis=1)
    squares = []
    for rate in RATES / length.mean():
        left = np.exp(-rate * length)
        squares.append(np.linalg.lstsq(1 - left, after - left * before)[1])
    residuals = AutoRegression().fit(samples).predict(before, spans)[:, 1] - after
    assert_allclose((residuals**2).sum(axis=0), np.min(squares, axis=0))


def test_linear_maps_are_of_deviations_from_the_mean(samples):
    """One slope, all genes on all genes, or a slope for each gene and ridge on the rest."""
    mean = np.concatenate(samples.values).mean(axis=0)
    before, after = (values - mean for values in samples.intervals()[:2])
    common, own = slopes_of(before, after)
    assert_allclose(slopes_of(before, [1, 0, -1] * before)[1], [1, 0, -1])
    assert common == approx((before * after).sum() / (before**2).sum())
    maps = {
        "mean": np.zeros((3, 3)),
        "ar1_mean": common * np.eye(3),
        "ridge": held_out_ridge(before, after),
        "ar1_ridge": np.diag(own) + held_out_ridge(before, after - own * before),
    }
    for name, expected in maps.items():
        path = clone(BASELINES[name]).fit(samples).predict(mean + before, [0, 1, 2])
        assert_allclose(path[:, 2], mean + before @ expected @ expected)


def test_the_ridge_penalty_has_the_least_error_on_held_out_blocks(rng):
    penalties = {"alpha": PENALTIES}
    errors = "neg_mean_squared_error"
    search = GridSearchCV(Ridge(fit_intercept=False), penalties, cv=KFold(5), scoring=errors)
    for _ in range(4):
        X = rng.standard_normal((10, 3))
        Y = X @ rng.standard_normal((3, 2)) + rng.standard_normal((10, 2))
        search.fit(X, Y)
        assert_allclose(held_out_ridge(X, Y), search.best_estimator_.coef_.T)
    with pytest.raises(ValueError, match="trajectories: got 1 interval"):
        held_out_ridge(X[:1], Y[:1])


@pytest.mark.parametrize(("x", "beyond"), [(0.5, 0), (2, 1), (-1, 1)])
def test_the_training_path_moves_along_near_intervals(x, beyond):
    """Two are parallel; the second is longer in time, and its squared distance larger by 0.02."""
    values = [np.array([[0.0, y], [1.0, y]]) for y in (0, 1)]
    model = TrainingPath().fit(Samples(values, [np.arange(2), 2 * np.arange(2)], [*"ab"]))
    weight = 2 * np.exp(-0.2 / (0.49**2 + beyond))
    rate = (1 + weight / 2) / (1 + weight)
    assert_allclose(model.predict([[x, 0.49]], [0, 3])[0, 1], [x + 3 * rate, 0.49])
