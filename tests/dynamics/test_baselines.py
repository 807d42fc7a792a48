"""Baselines against least squares by other libraries and by brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.base import clone
from sklearn.linear_model import Ridge

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics.baselines import BASELINES, PENALTIES, RATES, held_out_ridge


@pytest.fixture(scope="module")
def data():
    """Two genes that rise and fall and one that drifts, in samples of 5, 4 and 3 times."""
    times = [np.array([0.0, 1, 2, 4, 5]), np.array([1.0, 2, 4, 6]), np.array([0.0, 3, 4])]
    values = []
    for t, start in zip(times, (0.9, 0.1, 0.5), strict=True):
        wave = start * np.cos(t)
        late = 0.3 + start * np.sin(t + start)
        drift = 0.2 + 0.1 * t + 0.05 * start * t**2
        values.append(np.stack([wave, late, drift], axis=1))
    return trajectories(values, times, ["a", "b", "c"])


@pytest.fixture(scope="module")
def intervals(data):
    return as_trajectories(data).intervals()


def fitted(name, data):
    return clone(BASELINES[name]).fit(data, np.diag([0.0, 0, -1]))


START = np.array([[0.6, 0.4, 0.3], [0.1, -0.2, 0.8]])


@pytest.mark.parametrize("name", BASELINES)
def test_paths_begin_at_their_starts_and_edges_are_those_of_the_prior_or_none(name, data):
    model = fitted(name, data)
    path = model.predict(START, [0, 1, 3])
    assert path.shape == (2, 3, 3)
    assert_allclose(path[:, 0], START, atol=1e-12)
    expected = np.zeros((3, 3))
    if name == "prior":
        expected[2, 2] = -1
        assert_array_equal(path, np.repeat(START[:, None], 3, axis=1))
    assert_array_equal(model.edge_scores_, expected)
    assert model.edge_scores_.index.tolist() == ["a", "b", "c"]
    assert model.sparsity_ == approx((expected == 0).mean())


def test_auto_regression_has_the_least_squares_of_every_rate(data, intervals):
    before, after, spans = intervals
    length = np.diff(spans, axis=1)
    model = fitted("ar1", data)
    squares = np.empty((len(RATES), 3))
    levels = np.empty((len(RATES), 3))
    for i, rate in enumerate(RATES / length.mean()):
        left = np.exp(-rate * length)
        rest = after - left * before
        levels[i], squares[i], *_ = np.linalg.lstsq(1 - left, rest)
    best = squares.argmin(axis=0)
    assert_allclose(model.rates_, RATES[best] / length.mean())
    assert_allclose(model.levels_, levels[best, range(3)])


def test_auto_regression_decays_at_times_of_each_sample(data):
    model = fitted("ar1", data)
    path = model.predict(START, [[0, 0.5, 4], [2, 4, 5]])
    for sample, since in ((0, 4), (1, 3)):
        left = np.exp(-model.rates_ * since)
        expected = left * START[sample] + (1 - left) * model.levels_
        assert_allclose(path[sample, 2], expected)


def test_linear_maps_are_least_squares_around_the_mean(data, intervals):
    mean = data.X.mean(axis=0)
    before = intervals[0] - mean
    after = intervals[1] - mean
    assert_array_equal(fitted("mean", data).map_, np.zeros((3, 3)))
    common = np.linalg.lstsq(before.reshape(-1, 1), after.ravel(), rcond=None)[0]
    assert_allclose(fitted("ar1_mean", data).map_, common * np.eye(3))
    ridge = fitted("ridge", data)
    expected = Ridge(ridge.penalty_, fit_intercept=False).fit(before, after).coef_.T
    assert_allclose(ridge.map_, expected)
    path = ridge.predict(START, [0, 1, 2])
    twice = mean + (START - mean) @ expected @ expected
    assert_allclose(path[:, 2], twice)


def test_slopes_of_genes_are_shrunk_to_the_common_one_and_ridge_takes_the_rest(data, intervals):
    mean = data.X.mean(axis=0)
    before = intervals[0] - mean
    after = intervals[1] - mean
    common = (before * after).sum() / (before**2).sum()
    own = (before * after).sum(axis=0) / (before**2).sum(axis=0)
    residuals = after - own * before
    variance = (residuals**2).mean(axis=0) / (before**2).sum(axis=0)
    spread = max(np.median((own - common) ** 2 - variance), 1e-6)
    slopes = (variance * common + spread * own) / (variance + spread)
    weights, penalty = held_out_ridge(before, after - slopes * before)
    model = fitted("ar1_ridge", data)
    assert model.penalty_ == penalty
    assert_allclose(model.map_, np.diag(slopes) + weights)


@pytest.mark.parametrize("n_folds", [2, 5, 99])
def test_the_ridge_penalty_has_the_least_error_on_held_out_blocks(rng, n_folds):
    X = rng.standard_normal((8, 3))
    Y = X @ rng.standard_normal((3, 2)) + rng.standard_normal((8, 2))
    rows = np.arange(8)
    errors = np.zeros(len(PENALTIES))
    for held in np.array_split(rows, min(n_folds, 8)):
        kept = np.delete(rows, held)
        for i, penalty in enumerate(PENALTIES[:-1]):
            model = Ridge(penalty, fit_intercept=False).fit(X[kept], Y[kept])
            errors[i] += ((Y[held] - model.predict(X[held])) ** 2).sum()
        errors[-1] += (Y[held] ** 2).sum()
    weights, penalty = held_out_ridge(X, Y, n_folds)
    assert penalty == PENALTIES[errors.argmin()]
    expected = Ridge(penalty, fit_intercept=False).fit(X, Y).coef_.T
    assert_allclose(weights, expected)


def test_without_anything_to_learn_the_penalty_is_infinite():
    X = np.sin(np.arange(24.0).reshape(8, 3) ** 1.3)
    noise = np.random.default_rng(3).standard_normal((8, 1))
    weights, penalty = held_out_ridge(X, noise)
    assert penalty == np.inf
    assert not weights.any()


def test_the_training_path_moves_along_near_intervals(data, intervals):
    """Distances to lines by a fine grid of their points."""
    before, after, spans = intervals
    length = spans[:, 1] - spans[:, 0]
    points = before + np.linspace(0, 1, 5001)[:, None, None] * (after - before)
    far = np.empty((2, len(before)))
    for sample in range(2):
        squares = ((points - START[sample]) ** 2).sum(axis=2)
        far[sample] = squares.min(axis=0)
    width = 0.1 * np.median(far.min(axis=1))
    kernel = np.exp(-(far - far.min(axis=1, keepdims=True)) / width)
    weights = kernel * length / (kernel * length).sum(axis=1, keepdims=True)
    rate = weights @ ((after - before) / length[:, None])
    spans = np.array([[2.0], [0.5]])
    path = fitted("path", data).predict(START, [[0, 2], [3, 3.5]])
    assert_allclose(path[:, 1], START + spans * rate, rtol=1e-3, atol=1e-4)


def test_the_training_path_takes_a_gap_as_one_interval(data):
    samples = as_trajectories(data)
    kept = samples.pieces(1).chosen([0, 3])  # without two intervals of the first sample
    model = clone(BASELINES["path"]).fit(kept)
    assert_array_equal(model.length_, [1, 3, 1])
    after = model.before_ + model.change_
    assert_allclose(after, samples.values[0][[1, 3, 4]])


def test_on_a_training_state_the_training_path_stays_finite(data, intervals):
    path = fitted("path", data).predict(intervals[0][:1], [0, 1])
    assert np.isfinite(path).all()


def test_a_replicate_is_the_first_sample_whatever_the_start(data):
    path = fitted("replicate", data).predict(START, [[0, 1, 3], [2, 4, 5]])
    values = as_trajectories(data).values[0]
    assert_allclose(path[0, 1:], [values[1], (values[2] + values[3]) / 2])
    assert_allclose(path[1, 1:], values[3:])
