"""Evidence for regulators against a normal distribution, and the search for the best set."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy.stats import multivariate_normal

from sbnn.dynamics import regulation
from sbnn.dynamics.beliefs import first_beliefs
from sbnn.dynamics.paths import Clock
from sbnn.dynamics.regulation import RegulatedNetwork, Target, products_of

NOISE = 0.02


@pytest.fixture
def target(rng):
    """A gene drawn to 0.5 + 0.8 d0 - 0.5 d2 + 2 d0 d2, of eight genes; 3 and 4 are in the prior."""
    clock = Clock(np.tile([0.0, 1, 2, 4], (40, 1)))
    of_samples = 0.2 * rng.standard_normal((40, 1, 8))
    deviations = of_samples + 0.1 * rng.standard_normal((40, clock.grid.shape[1], 8))
    memory = clock.memory(1.0)[:, clock.observed[1:]]
    one = deviations[:, :, 0]
    other = deviations[:, :, 2]
    drawn_to = 0.5 + 0.8 * one - 0.5 * other + 2 * one * other
    values = memory @ drawn_to[..., None]
    values = values.ravel() + NOISE * rng.standard_normal(120)
    linear = (memory @ deviations).reshape(120, 8)
    signs = np.array([0.0, 0, 0, 1, -1, 0, 0, 0])
    log_odds = np.where(signs != 0, 2.0, -4.0)
    return Target(values, linear, deviations, memory, NOISE, first_beliefs(), log_odds, signs)


def expected_weights(fit, beliefs):
    """Prior mean and SD of the weights."""
    k = len(fit.regulators)
    mean = [0.5, *(fit.signs * beliefs.effect_mean[k])]
    sd = [1.0] + [beliefs.effect_sd[k]] * k
    for i in range(k):
        for j in range(i, k):
            mean.append(0.0)
            sd.append(beliefs.square_sd[k] if i == j else beliefs.pair_sd[k])
    return np.array(mean), np.array(sd)


@pytest.mark.parametrize("chosen", [(), (0,), (0, 2, 4)])
def test_the_evidence_is_that_of_a_normal_distribution(target, chosen):
    fit = target.fit(frozenset(chosen))
    mean, sd = expected_weights(fit, target.beliefs)
    of_weights = np.diag(sd**2)
    covariance = fit.features @ of_weights @ fit.features.T + NOISE**2 * np.eye(120)
    expected = multivariate_normal.logpdf(target.values, fit.features @ mean, covariance)
    assert fit.log_evidence == approx(expected, rel=1e-8)
    gain = of_weights @ fit.features.T @ np.linalg.inv(covariance)
    weights = mean + gain @ (target.values - fit.features @ mean)
    assert_allclose(fit.weights, weights, atol=1e-8)
    variances = np.diag(of_weights - gain @ fit.features @ of_weights)
    assert_allclose(fit.variances(), variances, atol=1e-9)


def test_features_are_what_a_gene_remembers_of_products(target):
    fit = target.fit(frozenset((2, 0)))
    assert fit.regulators == (0, 2)
    a = target.deviations[:, :, 0]
    b = target.deviations[:, :, 2]
    factors = (np.ones_like(a), a, b, a**2, a * b, b**2)
    for column, factor in zip(fit.features.T, factors, strict=True):
        past = factor @ target.memory[0].T
        assert_allclose(column, past.ravel(), atol=1e-12)
    slopes, pairs, squares = fit.parts()
    assert slopes.tolist() == [1, 2]
    assert pairs.tolist() == [4]
    assert squares.tolist() == [3, 5]
    assert fit.weights[[0, 1, 2, 4]] == approx([0.5, 0.8, -0.5, 2], abs=0.25)


def test_target_values_and_their_slopes(target, rng):
    fit = target.fit(frozenset((0, 2, 5)))
    d = rng.standard_normal((4, 3))
    i, j = np.triu_indices(3)
    expected = fit.weights[0] + d @ fit.weights[1:4]
    expected += (d[:, i] * d[:, j]) @ fit.weights[4:]
    assert_allclose(fit.target(d), expected)
    for k, step in enumerate(1e-6 * np.eye(3)):
        difference = (fit.target(d + step) - fit.target(d - step)) / 2e-6
        assert_allclose(fit.slopes(d)[:, k], difference, rtol=1e-6)


@pytest.mark.parametrize("start", [(), (3, 4), (3,)])
def test_the_search_finds_the_regulators_and_drops_those_of_a_wrong_prior(target, start):
    fit = target.search(start)
    assert fit.regulators == (0, 2)
    assert fit.signs.tolist() == [1, -1]


def test_a_step_adds_removes_or_exchanges_one_regulator(target):
    moves = target._moves(frozenset((0, 2)))
    best = np.argsort(-np.delete(target._gains(frozenset((0, 2))), [0, 2]))
    first = np.delete(np.arange(8), [0, 2])[best]
    expected = [{0, 2, gene} for gene in first]
    expected += [{0}, {2}]
    for gene in first[:2]:
        expected += [{0, gene}, {2, gene}]
    assert set(moves) == set(map(frozenset, expected))
    assert len(moves) == 6 + 2 + 4


def test_the_search_ends_where_no_single_change_is_more_probable(target):
    best = frozenset(target.search(()).regulators)
    score = target.score(best)
    for gene in range(8):
        assert target.score(best ^ {gene}) <= score + 1e-9


def test_many_regulators_have_no_products_and_the_strongest_are_taken(target, monkeypatch):
    assert [len(products_of(k)[0]) for k in (2, 15, 16)] == [3, 120, 0]
    monkeypatch.setattr(regulation, "MOST", 2)
    assert target.strongest(np.array([6, 2, 5, 0])).tolist() == [2, 0], "in the given order"
    assert target.search(()).regulators == (0, 2)
    assert target.search((0, 2)).regulators == (0, 2)
    three = target.fit(frozenset((0, 2, 3)))
    mean, sd = expected_weights(target.fit(frozenset((0, 2))), target.beliefs)
    assert len(three.weights) == 4
    assert three.weights[3] == approx(0, abs=4 * sd[1])


def test_probabilities_are_those_of_leaving_out_one_edge(target):
    found = frozenset(target.search(()).regulators)
    p = target.probabilities(found)
    assert p.shape == (8,)
    assert (p[[0, 2]] > 0.99).all()
    assert (np.delete(p, [0, 2]) < 0.2).all()
    for gene in (0, 3):
        change = target.score(found | {gene}) - target.score(found - {gene})
        assert p[gene] == approx(1 / (1 + np.exp(-change)))


def test_gains_of_genes_are_those_of_adding_a_linear_effect(target):
    """Bayesian regression of what the other weights leave, without products of the new gene."""
    found = frozenset((0, 2))
    gains = target._gains(found)
    fit = target.fit(found)
    for gene in (1, 6):
        others = np.linalg.lstsq(fit.features, target.linear[:, gene])[0]
        column = target.linear[:, gene] - fit.features @ others
        rest = target.values - fit.features @ fit.weights
        along = column @ rest
        precision = column @ column / NOISE**2 + 1 / 0.3**2
        gain = (along / NOISE**2) ** 2 / precision / 2
        gain -= np.log(precision * 0.3**2) / 2
        assert gains[gene] == approx(gain - 4, rel=1e-4)
        assert target.signs[gene] == np.sign(along)


def test_odds_and_free_signs_enter_the_score(target):
    in_prior = frozenset((3,))
    new = frozenset((5,))
    assert target.score(in_prior) == approx(target.fit(in_prior).log_evidence + 2)
    evidence = target.fit(new).log_evidence
    assert target.score(new) == approx(evidence - 4 - np.log(2))
    target.log_odds[0] = -np.inf  # an edge that cannot be
    assert 0 not in target.search(()).regulators
    assert target.probabilities(frozenset())[0] == 0


@pytest.mark.parametrize("lag", [0.0, 0.5])
def test_a_network_draws_genes_to_the_targets_of_their_fits(target, lag):
    fits = {1: target.fit(frozenset((0, 2))), 4: target.fit(frozenset())}
    rates = np.linspace(0, 7, 8)
    means = np.linspace(0.2, 0.9, 8)
    network = RegulatedNetwork(rates, means, means - 1, means + 1, fits, lag)
    x = np.random.default_rng(1).uniform(-1, 3, (5, 8))
    state = torch.from_numpy(x)
    decay = rates
    if lag:
        state = torch.cat([torch.full_like(state, 7), state], dim=1)
        decay = [*rates, *[2.0] * 8]
    found = network.targets(state).numpy()
    deviations = np.clip(x - means, -1, 1)
    expected = np.zeros((5, 8))
    expected[:, 1] = fits[1].target(deviations[:, [0, 2]])
    expected[:, 4] = fits[4].weights[0]
    assert_allclose(found[:, :8], expected)
    assert_allclose(network.decay(), decay)
    assert found.shape == state.shape
    assert (found[:, 8:] == 7).all(), "proteins follow their genes"
