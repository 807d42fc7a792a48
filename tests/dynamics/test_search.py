"""Steps of the search for regulators of all genes."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.special import expit

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics.held_out import followed
from sbnn.dynamics.paths import relaxation
from sbnn.dynamics.search import Search, near_median


@pytest.fixture
def search(samples, prior):
    search = Search(as_trajectories(samples), prior.to_numpy())
    search.find_regulators()
    return search


def test_rates_far_from_the_median_start_from_it():
    rates = np.r_[0, np.exp([1.01, -1.01, 0.99, -0.99]), np.ones(25)]
    assert_allclose(near_median(rates), np.r_[0, 1, 1, rates[3:]])
    assert_array_equal(near_median(np.zeros(3)), np.zeros(3))


def test_nothing_counts_after_the_end_of_a_sample(network, prior):
    """Other values and paths behind the end change nothing."""
    values = []
    times = []
    for seed, at in ((1, (0, 2, 3, 7, 9)), (2, (0, 2, 3))):
        part = as_trajectories(network.simulate(20, 0.025, seed, at))
        values += part.values
        times += part.times
    ragged = as_trajectories(trajectories(values, times))
    one = Search(ragged, prior.to_numpy())
    other = Search(ragged, prior.to_numpy())
    assert_array_equal(one.seen.sum(axis=1), [5] * 20 + [3] * 20)
    other.values[20:, 3:] = 7.0
    for a, b in zip(
        relaxation(one.values, one.clock), relaxation(other.values, other.clock), strict=True
    ):
        assert_allclose(a, b)
    for search in (one, other):
        search.paths[20:, 13:] = search.paths[20:, 12:13]  # the paths end where the samples do
        search.find_regulators()
        within = [search.paths[:20].reshape(-1, 30), search.paths[20:, :13].reshape(-1, 30)]
        assert_allclose(search.means, np.concatenate(within).mean(axis=0))
        search.learn_beliefs()
        search.learn_rates(0.1)
        search.learn_levels()
        search.follow_model()
    assert_allclose(one.noise, other.noise)
    assert_allclose(one.rates, other.rates)
    assert_allclose(one.probabilities, other.probabilities, rtol=1e-6, atol=1e-12)
    assert_allclose(one.paths, other.paths)
    assert one.autocorrelation() == approx(other.autocorrelation())


def test_noise_is_the_median_error_of_genes(search):
    errors = []
    for gene in search.fits:
        memory = search.clock.memory(search.rates[gene])
        left = search.clock.left(search.rates[gene])
        fit = search.fits[gene]
        drawn_to = fit.target((search.paths - search.means)[:, :, list(fit.regulators)])
        path = left * search.paths[:, :1, gene]
        path = path + (memory @ drawn_to[..., None])[..., 0]
        rest = search.values[:, 1:, gene] - path[:, search.clock.observed[1:]]
        errors.append((rest**2).mean())
    assert search.noise == approx(np.sqrt(np.median(errors)), rel=1e-9)


def test_residuals_at_consecutive_times_are_correlated(search):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((len(search.fits), 24, 4))
    persistent = noise + 2 * noise[:, :, :1]
    search._residuals = lambda: persistent.reshape(len(noise), -1)
    products = (persistent[..., 1:] * persistent[..., :-1]).mean()
    assert search.autocorrelation() == approx(products / (persistent**2).mean())


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
    search._set_lag(1.0)
    before = evidence()
    search.learn_lag(at_first=False)
    assert search.lag in (1 / 1.4, 1.0, 1.4)
    assert evidence() >= before
    search._set_lag(0.0)
    search.learn_lag(at_first=False)
    assert search.lag == 0, "a lag that was not found at first is not looked for again"


def test_far_rates_are_less_probable(search):
    """Without evidence, rates move towards the median."""
    gene = next(iter(search.fits))
    median = np.median(search.rates[search.changing])
    search.rates[gene] = 3 * median
    search.noise = 1e3
    search.fits = {gene: search._refitted(gene, 3 * median)}
    search.learn_rates(0.2)
    assert search.rates[gene] == approx(3 * median * np.exp(-0.2))


def test_proteins_follow_their_genes_with_a_lag(search):
    search._set_lag(0.8)
    memory = search.clock.memory(1 / 0.8)
    gap = search.paths - search.paths[:, :1]
    expected = search.paths[:, :1] + memory @ gap
    assert_allclose(search._deviations, expected - search.means)


def test_later_passes_predict_new_samples_better(samples, prior, network):
    values, times = as_trajectories(network.simulate(20, 0.0, 7)).padded()
    errors = []
    for n_passes in (1, 2, 4):
        found = Search(as_trajectories(samples), prior.to_numpy()).run(n_passes).network()
        errors.append(((followed(found, values[:, 0], times) - values) ** 2).mean())
    assert errors[0] > 1.1 * errors[1]
    assert errors[1] > 1.1 * errors[2]


def test_levels_have_the_least_squares_of_own_values_and_those_of_targets(search):
    """One Gauss-Newton step, against finite differences of all residuals."""
    still = np.flatnonzero(~search.changing)

    def residuals(levels):
        search.paths[0, :, still] = levels[:, None]
        search._set_lag(0.0)
        errors = [(search.values[0][:, still] - levels).ravel()]
        for gene, fit in search.fits.items():
            drawn_to = fit.target(search._deviations[0][:, list(fit.regulators)])
            past = search.clock.later_memory(search.rates[gene])[0] @ drawn_to
            errors.append(search._acquired(gene, search.rates[gene])[0] - past)
        return np.concatenate(errors)

    start = search.paths[0, 0, still]
    slopes = []
    for small in 1e-6 * np.eye(len(still)):
        change = residuals(start + small) - residuals(start - small)
        slopes.append(change / 2e-6)
    step = np.linalg.lstsq(np.transpose(slopes), -residuals(start))[0]
    search.learn_levels()
    assert_allclose(search.paths[0, 3, still], start + step, atol=1e-6)


def test_new_paths_start_where_the_values_fit_best(search):
    search.follow_model()
    for gene in list(search.fits)[:3]:
        left = search.clock.left(search.rates[gene])[0, search.clock.observed]
        rest = search.values[:, :, gene] - search.paths[:, search.clock.observed, gene]
        assert_allclose(rest @ left, 0, atol=1e-12)


def test_scores_are_slopes_of_the_network_at_mean_expression(search):
    network = search.network()
    mean = network.means.numpy()[None]
    scores = search.scores()
    for gene in range(30):
        step = np.zeros((1, 30))
        step[0, gene] = 1e-6
        above, below = [network.targets(torch.from_numpy(mean + s)) for s in (step, -step)]
        slopes = network.decay() * (above - below)[0] / 2e-6
        assert_allclose(scores[gene], slopes, atol=1e-6)


def test_regulators_are_clipped_a_range_beyond_what_was_seen(search):
    network = search.network()
    lowest = search.paths.min(axis=(0, 1))
    highest = search.paths.max(axis=(0, 1))
    assert_allclose(network.lowest, 2 * lowest - highest)
    assert_allclose(network.highest, 2 * highest - lowest)


def test_weak_new_edges_are_less_probable_if_residuals_persist(search, monkeypatch):
    search.prior = search.prior * (np.arange(30) % 2)
    effects = np.abs(search.scores())
    share = effects / np.maximum(0.3 * effects.max(axis=0), 1e-9)
    share[(effects == 0) | (search.prior != 0) | (share > 1)] = 1
    assert 0 < (share < 1).sum() < (effects > 0).sum()
    for rest, factor in ((0.01, share), (-0.01, 1)):
        monkeypatch.setattr(search, "autocorrelation", lambda rest=rest: rest)
        expected = search.probabilities * factor
        assert_allclose(search.posterior_probabilities(), expected)


def test_without_an_explanation_edges_have_the_odds_of_the_prior(search, prior):
    p = search.prior_probabilities()
    given = prior.to_numpy() != 0
    assert_allclose(p[given], expit(1))
    assert_allclose(p[~given], expit(-9))
