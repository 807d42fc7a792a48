"""Bayesian selection of regulators: networks more accurate than the prior they start from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.integrate import solve_ivp

from sbnn.data.gene_network import TIMES
from sbnn.data.trajectories import trajectories
from sbnn.dynamics import SparseRegulationRegressor, sparse_regulation
from sbnn.dynamics.search import Search


def test_the_network_is_more_accurate_than_the_prior_and_predicts_alone(network, prior):
    fitted = SparseRegulationRegressor().fit(network.simulate(100, 0.025, 1), prior)
    truth = network.graph.to_numpy()
    scores = fitted.edge_scores_.to_numpy()
    wrong = np.sign(scores) != truth
    misplaced = prior.to_numpy() != truth
    assert wrong[misplaced].mean() <= 0.25
    assert wrong[~misplaced].sum() <= 3
    assert fitted.sparsity_ == (scores == 0).mean()
    p = fitted.edge_probabilities_.to_numpy()
    assert not p[:, network.is_input].any(), "what does not change has no regulators"
    assert (fitted.explains_, fitted.weight_, fitted.lag_) == (True, 1, 0)
    assert fitted.noise_ == approx(0.025, rel=0.1)
    errors = fitted.held_out_errors_
    assert errors["network"] < 0.6 * errors["ar1"] < 0.6


def test_a_network_is_judged_by_samples_that_it_was_not_fitted_to(samples, monkeypatch):
    sizes = []

    def search(kept, *known):
        sizes.append(len(kept.times))
        return Search(kept, *known)

    monkeypatch.setattr(sparse_regulation, "Search", search)
    SparseRegulationRegressor(1).fit(samples)
    assert sizes == [19, 19, 19, 19, 20, 24]


def test_noise_around_a_mean_has_no_network_and_the_prior_is_kept(rng):
    """White noise: the best prediction is the mean, and nothing speaks for or against edges."""
    data = trajectories([0.5 + 0.1 * rng.standard_normal((40, 8))], [np.arange(40.0)])
    prior = np.diag([1.0, 1, -1, 0, 0, 0, 1], k=1)
    model = SparseRegulationRegressor(2).fit(data, prior)
    assert (model.explains_, model.weight_) == (False, 0)
    assert_array_equal(np.sign(model.edge_scores_), prior)
    with pytest.warns(UserWarning, match="explains nothing"):
        path = model.predict(data.X[:1], [0, 1])
    assert_allclose(path[0, 1], data.X.mean(axis=0), atol=0.1)


def test_regulators_that_act_late_are_recognised(network, prior, rng):
    """Proteins follow their genes with a lag of 1.5."""

    def rates(_, state):
        genes, proteins = np.split(state, 2)
        targets = network.rates(proteins) + np.where(network.is_input, genes, proteins)
        return np.concatenate([targets - genes, (genes - proteins) / 1.5])

    paths = []
    for start in network.start(40, rng):
        paths.append(solve_ivp(rates, (0, 9), np.tile(start, 2), t_eval=TIMES).y[:30].T)
    samples = trajectories(paths, TIMES, network.gene_names)
    model = SparseRegulationRegressor(3).fit(samples, prior)
    assert 0.5 < model.lag_ < 3
    errors = model.predict(samples.X[::5], TIMES).reshape(samples.shape) - samples.X
    assert errors.std() < 0.05


def test_a_long_course_is_cut_into_pieces_and_warned_of_if_residuals_persist():
    """A gene follows one that is missing, along a single course of 34 times."""
    times = np.arange(34.0)
    late = 0.5 + 0.4 * np.sin(times / 3)
    values = np.stack([late, 0.9 * np.exp(-times / 20)], axis=1)
    with pytest.warns(UserWarning, match="residuals"):
        SparseRegulationRegressor(2).fit(trajectories([values], [times]))


def test_results_do_not_depend_on_the_units_of_times_and_values(samples, prior):
    """The prior is matched by name, in any order."""
    plain = SparseRegulationRegressor(1).fit(samples, prior)
    large = samples.copy()
    large.X *= 64
    large.obs["time"] *= 32
    model = SparseRegulationRegressor(1).fit(large, prior.iloc[::-1])
    assert_allclose(model.rates_ * 32, plain.rates_)
    assert_allclose(model.noise_, 64 * plain.noise_)
    assert_allclose(model.edge_probabilities_, plain.edge_probabilities_, atol=1e-6)
    path = model.predict(large.X[:2], [0, 32])
    assert_allclose(path, 64 * plain.predict(samples.X[:2], [0, 1]), rtol=1e-3)
