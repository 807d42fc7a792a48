"""Bayesian selection of regulators: networks more accurate than the prior they start from."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.base import clone

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics import SparseRegulationRegressor
from sbnn.dynamics.held_out import followed

TIMES = [0, 2, 3, 7, 9]
GENES = list("abcd")
PRIOR = pd.DataFrame(0.0, GENES, GENES)
PRIOR.loc[["a", "d"], "b"] = 1


@pytest.fixture(scope="module")
def many(network):
    return network.simulate(100, 0.025, 1)


@pytest.fixture(scope="module")
def fitted(many, prior):
    return SparseRegulationRegressor().fit(many, prior)


def edges(model):
    return model.edge_scores_.to_numpy() != 0


def small_samples(n, noise, lag=0.0):
    """Samples of four genes, of which a activates b, and b and d together repress c."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 1, (n, 4))
    proteins = x.copy()
    path = [x]
    for i in range(1, 401):
        acting = proteins if lag else x
        change = np.zeros((n, 4))
        a, b, _, d = acting.T
        change[:, 1] = 0.8 * (0.1 + 0.8 * a - x[:, 1])
        change[:, 2] = 0.5 * (0.9 - 0.7 * b * d - x[:, 2])
        x = x + 0.01 * change
        if lag:
            proteins = proteins + 0.01 * (x - proteins) / lag
        if i % 100 == 0:
            path.append(x)
    values = np.stack(path, axis=1) + noise * rng.standard_normal((n, 5, 4))
    return trajectories(values, 2 * np.arange(5), GENES)


@pytest.fixture(scope="module")
def averaged():
    """A network of which noisy samples leave a weighted mean with a simple model."""
    return SparseRegulationRegressor(2).fit(small_samples(20, 0.07), PRIOR)


def test_the_network_is_more_accurate_than_the_prior(fitted, network, prior):
    truth = network.graph.to_numpy()
    true = truth != 0
    given = prior.to_numpy() != 0
    found = edges(fitted)
    assert found[true & ~given].mean() >= 0.75
    assert found[given & ~true].mean() <= 0.25
    assert found[true & given].mean() > 0.95
    assert (found & ~true).sum() <= 2
    signs = np.sign(fitted.edge_scores_.to_numpy())
    assert_array_equal(signs[true & found], truth[true & found])
    assert fitted.sparsity_ == 1 - found.mean()


def test_edges_are_those_with_a_probability_of_a_half(fitted, network):
    p = fitted.edge_probabilities_.to_numpy()
    found = edges(fitted)
    assert (p[found] >= 0.5).all()
    assert (p[~found] > 0.5).mean() < 0.01
    assert not p[:, network.is_input].any(), "what does not change has no regulators"


def test_rates_and_scores_are_in_the_unit_of_the_times(fitted, many, prior):
    """The prior is matched by name, in any order."""
    minutes = many.copy()
    minutes.obs["time"] *= 60
    slow = clone(fitted).fit(minutes, prior.iloc[::-1])
    assert_allclose(slow.rates_ * 60, fitted.rates_)
    assert_allclose(slow.edge_scores_ * 60, fitted.edge_scores_, rtol=1e-8)
    start = many.X[[0, 5]]
    expected = fitted.predict(start, [0, 1, 2])
    assert_allclose(slow.predict(start, [0, 60, 120]), expected, atol=1e-9)


def test_a_network_that_explains_its_samples_predicts_alone(fitted, many, network):
    assert fitted.explains_
    assert fitted.weights_["network"] == 1
    assert (fitted.lag_, fitted.scale_) == (0, 1)
    assert abs(fitted.autocorrelation_) < 0.15
    assert fitted.noise_ == approx(0.025, rel=0.1)
    errors = fitted.held_out_errors_
    assert errors["network"] < 0.6 * errors["ar1"] < 0.6
    ratio = errors["together"] / errors[errors.index[1:6]].min()
    assert f"explains {1 - ratio:.0%} of what" in fitted.verdict_
    start = many.X[:3]
    expected = followed(fitted.network_, start, np.array([TIMES] * 3, dtype=float))
    assert_allclose(fitted.predict(start, TIMES), expected)


def test_noise_around_a_mean_has_no_network_and_the_prior_is_kept(rng):
    """White noise: the best prediction is the mean, and nothing speaks for or against edges."""
    data = trajectories([0.5 + 0.1 * rng.standard_normal((40, 8))], [np.arange(40.0)])
    prior = np.zeros((8, 8))
    prior[0, 1:5] = 1
    prior[6, 7] = -1
    model = SparseRegulationRegressor(2).fit(data, prior)
    assert not model.explains_
    assert model.weights_["network"] == 0
    assert "regulation explains nothing of the held-out intervals here" in model.verdict_
    p = model.edge_probabilities_.to_numpy()
    assert p[prior != 0].min() > 0.5 > p[prior == 0].max()
    assert_array_equal(np.sign(model.edge_scores_), prior)
    ahead = model.predict(data.X[:1], [0, 1, 2])[0, 1:]
    assert np.abs(ahead - data.X.mean(axis=0)).max() < 0.1, "to the mean"
    alone = SparseRegulationRegressor(1).fit(data)
    assert alone.edge_probabilities_.to_numpy().max() < 0.5, "without a prior, the fit decides"


def test_predictions_are_a_mean_with_the_best_simple_model(averaged):
    weight = averaged.weights_["network"]
    assert 0.3 < weight < 0.9
    assert averaged.weights_.sum() == 1
    start = np.array([[0.5, 0.2, 0.7, 0.9], [0.9, 0, 0, 0]])
    times = np.array([[0.0, 1, 4], [3, 5, 6]])
    path = averaged.predict(start, times)
    for i in range(2):
        span = times[:, i : i + 2]
        by_network = followed(averaged.network_, path[:, i], span)[:, 1]
        simple = averaged.simple_.predict(path[:, i], span)[:, 1]
        expected = weight * by_network + (1 - weight) * simple
        assert_allclose(path[:, i + 1], expected)
    assert averaged.held_out_errors_["together"] < averaged.held_out_errors_["network"]


def test_regulators_that_act_late_are_recognised():
    model = SparseRegulationRegressor(4).fit(small_samples(30, 0.02, lag=1.5), PRIOR)
    assert 0.9 < model.lag_ < 3
    assert f"a lag of about {model.lag_:.3g}" in model.verdict_
    true = np.zeros((4, 4), dtype=bool)
    true[[0, 1, 3], [1, 2, 2]] = True
    assert_array_equal(edges(model), true)
    assert model.predict(np.full((2, 4), 0.5), TIMES).shape == (2, 5, 4)


def test_a_long_course_is_cut_into_pieces_and_warned_of_if_residuals_persist():
    """A gene follows one that is missing, along a single course of 34 times."""
    times = np.arange(34.0)
    late = 0.5 + 0.4 * np.sin(times / 3)
    values = np.stack([late, 0.9 * np.exp(-times / 20)], axis=1)
    with pytest.warns(UserWarning, match="residuals"):
        model = SparseRegulationRegressor(2).fit(trajectories([values], [times]))
    assert model.autocorrelation_ > 0.25
    assert model.held_out_errors_["no change"] == 1


def test_a_short_course_has_nothing_to_hold_out():
    values = np.random.default_rng(0).random((5, 3))
    model = SparseRegulationRegressor(2).fit(trajectories([values], [np.arange(5)]))
    assert model.held_out_errors_ is None
    assert "too few intervals" in model.verdict_
    assert model.weights_.tolist() == [1, 0, 0, 0, 0, 0]


def test_values_on_another_scale_are_scaled_and_come_back(samples, prior):
    blocks = np.stack(as_trajectories(samples).values)
    large = trajectories(100.5 * blocks, TIMES)
    with pytest.warns(UserWarning, match="trajectories: .*divided"):
        model = SparseRegulationRegressor(1).fit(large, prior.to_numpy())
    scale = np.abs(large.X).max()
    assert model.scale_ == scale
    scaled = trajectories(large.X.reshape(24, 5, 30) / scale, TIMES)
    plain = SparseRegulationRegressor(1).fit(scaled, prior.to_numpy())
    assert_allclose(model.edge_scores_, plain.edge_scores_)
    assert model.noise_ == approx(scale * plain.noise_)
    assert model.score(large) == approx(plain.score(scaled))
    ahead = plain.predict(scaled.X[:2], [0, 1])
    assert_allclose(model.predict(large.X[:2], [0, 1]), scale * ahead)


@pytest.mark.parametrize(("largest", "scale"), [(0.49, 0.49), (0.5, 1), (1.5, 1), (1.51, 1.51)])
@pytest.mark.filterwarnings("ignore:trajectories", "ignore:some genes")
def test_values_near_one_are_not_scaled(largest, scale):
    values = np.zeros((2, 3, 2))
    values[0, 1, 0] = -largest
    model = SparseRegulationRegressor(1).fit(trajectories(values, [0, 1, 2]))
    assert model.scale_ == scale


def test_data_without_change_are_taken():
    start = np.random.default_rng(0).random((9, 1, 4))
    still = trajectories(np.repeat(start, 3, axis=1), [0, 1, 2])
    model = SparseRegulationRegressor().fit(still)
    assert not edges(model).any()
    assert model.sparsity_ == 1
    with pytest.raises(ValueError, match="n_passes"):
        SparseRegulationRegressor(0).fit(still)
