"""Baselines against least squares by other libraries and by brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

from sbnn.dynamics.baselines import (
    BASELINES,
    CANDIDATE_PENALTIES,
    DECAY_RATES,
    AutoRegression,
    TrainingPath,
    held_out_ridge,
    shrunken_slopes,
)
from sbnn.dynamics.data import Samples

TIMES = [np.array([0.0, 1, 2, 4, 5]), np.array([1.0, 2, 4, 6]), np.array([0.0, 3, 4])]


@pytest.fixture
def samples(rng):
    """Samples (5, 4 and 3 times) of a random walk of three genes."""
    values = []
    for times in TIMES:
        steps = rng.standard_normal((len(times), 3))
        values.append(0.5 + 0.2 * steps.cumsum(axis=0))
    return Samples(values, TIMES, np.array(["a", "b", "c"]))


def test_auto_regression_has_the_least_squares(samples):
    """Of all rates and levels."""
    before, after, spans = samples.intervals()
    length = np.diff(spans, axis=1)
    squares = []
    for rate in DECAY_RATES / length.mean():
        decay = np.exp(-rate * length)
        _, residues, *_ = np.linalg.lstsq(1 - decay, after - decay * before)
        squares.append(residues)
    predicted = AutoRegression().fit(samples).predict(before, spans)[:, 1]
    assert_allclose(((predicted - after) ** 2).sum(axis=0), np.min(squares, axis=0))


@pytest.fixture
def mean(samples):
    return np.concatenate(samples.values).mean(axis=0)


@pytest.fixture
def deviations(samples, mean):
    """Before and after intervals."""
    before, after, _ = samples.intervals()
    return before - mean, after - mean


def predict_two_steps(name, samples, mean, before):
    """Deviations from the mean after two steps of a baseline."""
    model = clone(BASELINES[name]).fit(samples)
    return model.predict(mean + before, [0, 1, 2])[:, 2] - mean


def test_the_mean_predicts_no_deviation(samples, mean, deviations):
    before, _ = deviations
    assert_allclose(predict_two_steps("mean", samples, mean, before), 0, atol=1e-12)


def test_ar1_has_one_slope(samples, mean, deviations):
    before, after = deviations
    slope = (before * after).sum() / (before**2).sum()
    predicted = predict_two_steps("ar1_mean", samples, mean, before)
    assert_allclose(predicted, slope**2 * before)


def test_ridge_maps_all_genes_on_all(samples, mean, deviations):
    before, after = deviations
    weights = held_out_ridge(before, after)
    predicted = predict_two_steps("ridge", samples, mean, before)
    assert_allclose(predicted, before @ weights @ weights)


def test_ridge_of_residuals_follows_slopes_of_genes(samples, mean, deviations):
    before, after = deviations
    _, slopes = shrunken_slopes(before, after)
    weights = np.diag(slopes) + held_out_ridge(before, after - slopes * before)
    predicted = predict_two_steps("ar1_ridge", samples, mean, before)
    assert_allclose(predicted, before @ weights @ weights)


def test_slopes_without_error_are_not_shrunken(deviations):
    before, _ = deviations
    _, slopes = shrunken_slopes(before, [1, 0, -1] * before)
    assert_allclose(slopes, [1, 0, -1])


def test_the_ridge_penalty_is_of_held_out_blocks(rng):
    search = GridSearchCV(
        Ridge(fit_intercept=False),
        {"alpha": CANDIDATE_PENALTIES},
        cv=KFold(5),
        scoring="neg_mean_squared_error",
    )
    for _ in range(2):
        X = rng.standard_normal((10, 3))
        Y = X @ rng.standard_normal((3, 2)) + rng.standard_normal((10, 2))
        search.fit(X, Y)
        assert_allclose(held_out_ridge(X, Y), search.best_estimator_.coef_.T)


def test_ridge_of_one_interval_is_refused():
    with pytest.raises(ValueError, match="trajectories: got 1 interval"):
        held_out_ridge(np.ones((1, 3)), np.ones((1, 2)))


@pytest.mark.parametrize(("x", "beyond"), [(0.5, 0), (2, 1), (-1, 1)])
def test_the_training_path_moves_along_near_intervals(x, beyond):
    """Two are parallel; the second is longer in time, and its squared distance larger by 0.02."""
    low = np.array([[0.0, 0.0], [1.0, 0.0]])
    high = np.array([[0.0, 1.0], [1.0, 1.0]])
    samples = Samples([low, high], [np.array([0, 1]), np.array([0, 2])], np.array(["a", "b"]))
    model = TrainingPath().fit(samples)
    weight = 2 * np.exp(-0.2 / (0.49**2 + beyond))
    rate = (1 + weight / 2) / (1 + weight)
    end = model.predict([[x, 0.49]], [0, 3])[0, 1]
    assert_allclose(end, [x + 3 * rate, 0.49])
