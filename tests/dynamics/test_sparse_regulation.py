"""Bayesian selection of regulators: networks more accurate than the prior, from samples of any length."""

import numpy as np
import pytest
import torch
from same import assert_same
from sklearn.base import clone

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics import SparseRegulationRegressor
from sbnn.dynamics.paths import relaxation
from sbnn.dynamics.search import Search

TIMES = [0, 2, 3, 7, 9]


@pytest.fixture(scope="module")
def many(network):
    return network.simulate(100, 0.025, 1)


@pytest.fixture(scope="module")
def fitted(many, prior):
    return SparseRegulationRegressor().fit(many, prior)


def edges(model):
    return model.edge_scores_.to_numpy() != 0


def test_the_network_is_more_right_than_the_prior(fitted, network, prior):
    truth, given, found = network.graph.to_numpy() != 0, prior.to_numpy() != 0, edges(fitted)
    assert found[truth & ~given].mean() >= 0.75 and found[given & ~truth].mean() <= 0.25
    assert found[truth & given].mean() > 0.95 and (found & ~truth).sum() <= 2
    right = np.sign(fitted.edge_scores_.to_numpy())[truth & found]
    np.testing.assert_array_equal(right, network.graph.to_numpy()[truth & found])
    p = fitted.edge_probabilities_.to_numpy()
    assert (
        (p[found] >= 0.5).all()
        and (p[~found] > 0.5).mean() < 0.01
        and fitted.sparsity_ == 1 - found.mean()
    )
    assert not p[:, network.is_input].any(), "what does not change has no regulators"


def test_rates_and_scores_are_in_the_unit_of_the_times_whatever_the_order_of_the_prior(
    fitted, many, prior
):
    minutes = many.copy()
    minutes.obs["time"] *= 60
    slow = clone(fitted).fit(minutes, prior.iloc[::-1])
    np.testing.assert_allclose(slow.rates_ * 60, fitted.rates_)
    np.testing.assert_allclose(slow.edge_scores_ * 60, fitted.edge_scores_, rtol=1e-8)
    start = many.X[[0, 5]]
    np.testing.assert_allclose(
        slow.predict(start, [0, 60, 120]), fitted.predict(start, [0, 1, 2]), atol=1e-9
    )


def test_numbers_stay_as_they_are(samples, prior):
    """Sizes of edges, predictions, score, noise and probabilities of a short fit, whose passes take all steps."""
    model = SparseRegulationRegressor(3).fit(samples, prior)
    found = [
        model.edge_scores_.abs().to_numpy().sum(),
        model.predict(samples.X[:5], [0, 1, 4]).mean(),
    ]
    found += [model.score(samples), model.noise_, model.edge_probabilities_.to_numpy().sum()]
    assert_same(found, [25.9957, 0.49158, 0.839131, 0.0241107, 42.0041], rtol=1e-4)
    levels = model.network_.means[torch.from_numpy(model.rates_.to_numpy() == 0)]
    assert_same([levels.mean(), (levels**2).sum()], [0.574244, 2.01997], rtol=1e-4)


def test_rates_far_from_the_middle_one_start_from_it(many, prior, monkeypatch):
    rates = np.r_[0, np.exp([1.01, -1.01, 0.99, -0.99]), np.ones(25)]
    monkeypatch.setattr(
        "sbnn.dynamics.search.relaxation", lambda values, clock: (None, rates.copy(), 0.02)
    )
    search = Search(as_trajectories(many), prior.to_numpy().astype(float))
    np.testing.assert_allclose(search.rates, np.r_[0, 1, 1, rates[3:]])


def test_nothing_counts_after_the_end_of_a_sample(network, prior):
    parts = [
        as_trajectories(network.simulate(20, 0.025, 1)),
        as_trajectories(network.simulate(20, 0.025, 2, (0, 2, 3))),
    ]
    ragged = trajectories(
        *([*getattr(parts[0], of), *getattr(parts[1], of)] for of in ("values", "times"))
    )
    searches = [Search(as_trajectories(ragged), prior.to_numpy().astype(float)) for _ in range(2)]
    np.testing.assert_array_equal(searches[0].seen.sum(axis=1), [5] * 20 + [3] * 20)
    searches[1].values[20:, 3:] = 7.0
    found = [relaxation(search.values, search.clock) for search in searches]
    for search in searches:
        search.paths[20:, 13:] = search.paths[20:, 12:13]  # the paths end where the samples do
        search.find_regulators()
        within = [search.paths[:20].reshape(-1, 30), search.paths[20:, :13].reshape(-1, 30)]
        np.testing.assert_allclose(search.means, np.concatenate(within).mean(axis=0))
        search.learn_levels()
        search.follow_model()
        search.learn_beliefs()
        search.learn_lag(at_first=False)
        search.learn_rates(0.1)
    one, other = searches
    for a, b in [*zip(*found, strict=True), (one.rates, other.rates), (one.noise, other.noise)]:
        np.testing.assert_allclose(a, b)
    np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(one.paths, other.paths)


def test_a_network_that_explains_its_samples_predicts_alone(fitted):
    assert (
        fitted.explains_
        and fitted.weights_["network"] == 1
        and fitted.lag_ == 0
        and fitted.scale_ == 1
    )
    assert fitted.verdict_.startswith("regulation explains") and "nothing" not in fitted.verdict_
    errors = fitted.held_out_errors_
    assert errors["network"] < 0.6 * errors["ar1"] < 0.6 and abs(fitted.autocorrelation_) < 0.15


def test_noise_around_a_mean_has_no_network_and_the_prior_is_kept(rng):
    """White noise: the best prediction is the mean, and no evidence is left for or against an edge of the prior."""
    data = trajectories([0.5 + 0.1 * rng.standard_normal((40, 8))], [np.arange(40.0)])
    prior = np.zeros((8, 8))
    prior[0, 1:5] = 1
    model = SparseRegulationRegressor(2).fit(data, prior)
    assert not model.explains_ and model.weights_["network"] == 0
    assert "regulation explains nothing of the held-out intervals here" in model.verdict_
    p = model.edge_probabilities_.to_numpy()
    np.testing.assert_array_equal(
        np.unique(p, return_inverse=True)[1].reshape(8, 8), prior, "ranks of the prior"
    )
    np.testing.assert_array_equal(edges(model), prior != 0)
    ahead = model.predict(data.X[:1], [0, 1, 2])[0, 1:]
    assert np.abs(ahead - data.X.mean(axis=0)).max() < 0.1, "to the mean"


def test_weak_new_edges_are_less_probable_if_residuals_persist(many, prior, monkeypatch):
    search = Search(as_trajectories(many), prior.to_numpy().astype(float))
    search.find_regulators()
    effects = np.abs(search.scores())
    weak = (effects > 0) & (effects < 0.3 * effects.max(axis=0)) & (prior.to_numpy() == 0)
    share = np.where(weak, effects / (0.3 * effects.max(axis=0, initial=1e-9)), 1)
    assert weak.any()
    for rest in (0.01, -0.01):
        monkeypatch.setattr(search, "autocorrelation", lambda rest=rest: rest)
        np.testing.assert_allclose(
            search.posterior_probabilities(), search.probabilities * (share if rest > 0 else 1)
        )


def test_regulators_that_act_late_are_recognised(network):
    start = network.starts.draw(60, np.random.default_rng(3))
    state, times, late = np.concatenate([start, start], axis=1), np.array([0, 2, 3, 7, 9.0]), 1.5

    def change(x):
        genes, proteins = x[:, :30].T, x[:, 30:].T
        rates = network.rates(proteins) + np.where(network.is_input[:, None], 0, proteins - genes)
        return np.concatenate([rates, (genes - proteins) / late]).T

    values = [start]
    for i in range(1, 901):
        middle = state + 0.005 * change(state)
        state = state + 0.01 * change(middle)
        if i in (200, 300, 700, 900):
            values.append(state[:, :30])
    noise = 0.02 * np.random.default_rng(0).standard_normal((60, 5, 30))
    data = trajectories(np.stack(values, axis=1) + noise, times, network.gene_names)
    model = SparseRegulationRegressor(3).fit(data, network.graph)
    assert 0.9 < model.lag_ < 2.5 and "act with a lag" in model.verdict_
    assert model.predict(start[:2], times).shape == (2, 5, 30)


def test_values_on_another_scale_are_scaled_and_counts_refused(samples, prior):
    large = trajectories(100.5 * np.stack(as_trajectories(samples).values), TIMES)
    with pytest.warns(UserWarning, match="divided"):
        model = SparseRegulationRegressor(1).fit(large, prior.to_numpy())
    scaled = trajectories(large.X.reshape(24, 5, 30) / model.scale_, TIMES)
    plain = SparseRegulationRegressor(1).fit(scaled, prior.to_numpy())
    np.testing.assert_allclose(model.edge_scores_, plain.edge_scores_)
    ahead = plain.predict(scaled.X[:2], [0, 1])
    np.testing.assert_allclose(model.predict(large.X[:2], [0, 1]), model.scale_ * ahead)
    with pytest.raises(ValueError, match="counts"):
        SparseRegulationRegressor().fit(
            trajectories(large.X.round().reshape(24, 5, 30).clip(0), [0, 1, 2, 3, 4])
        )


def test_data_without_change_are_taken():
    still = trajectories(
        np.repeat(np.random.default_rng(0).random((9, 1, 4)), 3, axis=1), [0, 1, 2]
    )
    model = SparseRegulationRegressor().fit(still)
    assert not edges(model).any() and model.sparsity_ == 1
    with pytest.raises(ValueError, match="n_passes"):
        SparseRegulationRegressor(0).fit(still)
