"""Steps of the search for regulators of all genes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.data.trajectories import Samples, as_trajectories
from sbnn.dynamics.beliefs import calibrated
from sbnn.dynamics.paths import relaxation
from sbnn.dynamics.search import LAG_STEP, LAGS, Search, near_median


@pytest.fixture
def search(samples, prior):
    search = Search(as_trajectories(samples), prior.to_numpy())
    search.find_regulators()
    return search


def test_rates_far_from_the_median_start_from_it():
    rates = np.r_[0, np.exp([1.01, -1.01, 0.99, -0.99]), np.ones(25)]
    assert_allclose(near_median(rates), np.r_[0, 1, 1, rates[3:]])
    assert not near_median(np.zeros(3)).any()


def test_nothing_counts_after_the_end_of_a_sample(network, prior):
    """Other values and paths behind the end change nothing."""
    parts = []
    for seed, at in ((1, (0, 2, 3, 7, 9)), (2, (0, 2, 3))):
        parts.append(as_trajectories(network.simulate(20, 0.025, seed, at)))
    long, short = parts
    ragged = Samples(long.values + short.values, long.times + short.times, long.gene_names)
    searches = [Search(ragged, prior.to_numpy()) for _ in range(2)]
    searches[1].values[20:, 3:] = 7.0
    for search in searches:
        search.paths = relaxation(search.values, search.clock)[0]
        search.paths[20:, 13:] = search.paths[20:, 12:13]  # the paths end where the samples do
        search.find_regulators()
        within = [search.paths[:20].reshape(-1, 30), search.paths[20:, :13].reshape(-1, 30)]
        assert_allclose(search.means, np.concatenate(within).mean(axis=0))
        search.learn_rates(0.1)
        search.follow_model()
    one, other = searches
    for name in ("noise", "rates", "paths"):
        assert_allclose(getattr(one, name), getattr(other, name))
    assert_allclose(one.probabilities, other.probabilities, rtol=1e-6, atol=1e-12)
    assert one.autocorrelation() == approx(other.autocorrelation())


def test_noise_is_the_median_error_of_genes_and_persists_in_time(search):
    residuals = []
    for gene, fit in search.fits.items():
        drawn_to = fit.target(search.paths - search.means)
        path = search.clock.left(search.rates[gene]) * search.paths[:, :1, gene]
        path = path + drawn_to @ search.clock.memory(search.rates[gene])[0].T
        residuals.append(search.values[:, 1:, gene] - path[:, search.clock.observed[1:]])
    residuals = np.array(residuals)
    variances = (residuals**2).mean(axis=(1, 2))
    assert search.noise == approx(np.sqrt(np.median(variances)))
    products = residuals[..., 1:] * residuals[..., :-1]
    assert search.autocorrelation() == approx(products.mean() / variances.mean())


def test_rates_and_lags_are_changed_if_this_raises_the_evidence(search):
    def evidence():
        fits = [search._refitted(gene, search.rates[gene]) for gene in search.fits]
        return sum(fit.log_evidence for fit in fits)

    before = evidence()
    rates = search.rates.copy()
    search.learn_rates(0.2)
    changes = np.log(search.rates[search.changing] / rates[search.changing])
    assert set(np.abs(changes).round(9)) == {0.0, 0.2}
    assert evidence() > before
    for tried, start in (((0.0, 0.5, 1.0), 0.3), ((1 / 1.4, 1, 1.4), 1.0), ((0.0,), 0.0)):
        by_lag = []
        for lag in tried:
            search._set_lag(lag)
            by_lag.append(evidence())
        search._set_lag(start)
        search.learn_lag(at_first=start == 0.3)
        assert search.lag == tried[np.argmax(by_lag)]


@pytest.mark.parametrize("gains", [(1.0, 1.2), (5.0, -4.0)])
def test_only_a_first_lag_needs_a_gain_beyond_its_standard_error(search, monkeypatch, gains):
    """The higher of three lags has the most evidence; the second pair of genes disagrees."""
    search.fits = dict(enumerate(gains))

    def refitted(gene, rate):
        return SimpleNamespace(log_evidence=gains[gene] * search.lag)

    monkeypatch.setattr(search, "_refitted", refitted)
    search._set_lag(0.5)
    search.learn_lag(at_first=False)
    assert search.lag == 0.5 * LAG_STEP
    search.learn_lag(at_first=True)
    assert search.lag == (max(LAGS) if gains == (1.0, 1.2) else 0)


def test_proteins_follow_their_genes_with_a_lag(search):
    search._set_lag(0.8)
    start = search.paths[:, :1]
    expected = start + search.clock.memory(1 / 0.8) @ (search.paths - start)
    assert_allclose(search._deviations, expected - search.means)


def test_later_passes_predict_new_samples_better(samples, prior, network):
    values, times = as_trajectories(network.simulate(20, 0.0, 7)).padded()
    errors = []
    for n_passes in (1, 2, 4):
        found = Search(as_trajectories(samples), prior.to_numpy()).run(n_passes).network()
        errors.append(((found.follow(values[:, 0], times) - values) ** 2).mean())
    assert errors[0] > 1.1 * errors[1] > 1.2 * errors[2]


def test_new_paths_start_where_the_values_fit_best(search):
    search.follow_model()
    observed = search.clock.observed
    for gene in list(search.fits)[:3]:
        left = search.clock.left(search.rates[gene])[0, observed]
        rest = search.values[:, :, gene] - search.paths[:, observed, gene]
        assert_allclose(rest @ left, 0, atol=1e-12)


def test_scores_are_slopes_of_the_network_at_mean_expression(search):
    """Regulators are clipped one range beyond what was seen."""
    network = search.network()
    scores = search.scores()
    for gene, step in enumerate(1e-6 * np.eye(30)):
        above = network.targets(torch.tensor(network.means + step)[None])
        below = network.targets(torch.tensor(network.means - step)[None])
        assert_allclose(scores[gene], (network.decay() * (above - below))[0] / 2e-6, atol=1e-6)
    lowest = search.paths.min(axis=(0, 1))
    highest = search.paths.max(axis=(0, 1))
    assert_allclose(network.bounds, [2 * lowest - highest, 2 * highest - lowest])


@pytest.mark.parametrize("rest", [0.3, 0.01, -0.01])
def test_weak_new_edges_are_less_probable_if_residuals_persist(search, monkeypatch, rest):
    search.prior = search.prior * (np.arange(30) % 2)
    monkeypatch.setattr(search, "autocorrelation", lambda: rest)
    effects = np.abs(search.scores())
    share = effects / (0.3 * effects.max(axis=0) + 1e-12)
    new = (effects > 0) & (search.prior == 0)
    factor = np.where(new & (share < 1) & (rest > 0), share, 1)
    probabilities = search.probabilities * factor
    p = calibrated(probabilities, search.prior != 0, new, 0.3 * share, search.misfit(), rest)
    assert_allclose(search.posterior_probabilities(), p)


def test_misfit_is_large_if_some_genes_fit_far_better_than_most(search, monkeypatch, rng):
    assert 1 <= search.misfit() < 1.5
    rest = rng.standard_normal((10, search.seen[:, 1:].size))
    monkeypatch.setattr(search, "_residuals", lambda: rest * np.append(4, np.ones(9))[:, None])
    assert search.misfit() < 1.5
    monkeypatch.setattr(
        search, "_residuals", lambda: rest * np.append([1, 1], 4 * np.ones(8))[:, None]
    )
    assert 10 < search.misfit() < 22
