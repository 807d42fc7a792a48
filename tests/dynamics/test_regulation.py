"""Evidence for regulators against a normal distribution, and the search for the best set."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.special import expit
from scipy.stats import multivariate_normal

from sbnn.dynamics.beliefs import first_beliefs
from sbnn.dynamics.paths import Clock
from sbnn.dynamics.regulation import RegulatedNetwork, Target

NOISE = 0.02
TRUE = frozenset((0, 2))


def factors(deviations):
    """1, the deviations of some genes, and their products."""
    i, j = np.triu_indices(deviations.shape[-1])
    products = deviations[..., i] * deviations[..., j]
    return np.concatenate([np.ones_like(products[..., :1]), deviations, products], axis=-1)


@pytest.fixture
def target(rng):
    """A gene drawn to 0.5 + 0.8 d0 - 0.5 d2 + 2 d0 d2, of eight genes; 3 and 4 are in the prior."""
    clock = Clock(np.tile([0.0, 1, 2, 4], (40, 1)))
    deviations = 0.2 * rng.standard_normal((40, 1, 8)) + 0.1 * rng.standard_normal((40, 19, 8))
    memory = clock.later_memory(1.0)
    drawn_to = factors(deviations[..., [0, 2]]) @ [0.5, 0.8, -0.5, 0, 2, 0]
    values = (memory @ drawn_to[..., None]).ravel() + NOISE * rng.standard_normal(120)
    signs = np.array([0.0, 0, 0, 1, -1, 0, 0, 0])
    log_odds = np.where(signs != 0, 2.0, -4.0)
    return Target(values, deviations, memory, NOISE, first_beliefs(), log_odds, signs)


def test_the_evidence_is_that_of_a_normal_distribution(target):
    """Features are the past of 1, of the regulators and of their products."""
    fit = target.fit(frozenset((0, 2, 4)))
    past = (target.memory @ factors(target.deviations[..., [0, 2, 4]])).reshape(120, -1)
    beliefs = target.beliefs
    mean = np.r_[0.5, fit.signs * beliefs.effect_mean[3], np.zeros(6)]
    kinds = [0, 1, 1, 1, 3, 2, 2, 3, 2, 3]  # slopes, squares and products of pairs
    variance = np.diag(beliefs.sds[kinds, 3] ** 2)
    covariance = past @ variance @ past.T + NOISE**2 * np.eye(120)
    expected = multivariate_normal.logpdf(target.values, past @ mean, covariance)
    assert fit.log_evidence == approx(expected, rel=1e-8)
    gain = variance @ past.T @ np.linalg.inv(covariance)
    assert_allclose(fit.weights, mean + gain @ (target.values - past @ mean), atol=1e-8)
    assert_allclose(fit.variances(), np.diag(variance - gain @ past @ variance), atol=1e-9)


def test_probabilities_are_those_of_leaving_out_one_edge(target):
    """Exact for edges of the set and of the prior, and for probable ones."""
    target.log_odds[7] = -np.inf  # an edge that cannot be
    expected = expit(target._gains(TRUE))
    for gene in (0, 2, 3, 4):
        expected[gene] = expit(target.score(TRUE | {gene}) - target.score(TRUE - {gene}))
    assert expected[7] == 0
    assert_allclose(target.probabilities(TRUE), expected)
    assert target.probabilities(TRUE, 0.0)[1] != expected[1], "none is approximated"
    evidence = target.fit(TRUE).log_evidence
    assert target.score(TRUE) == approx(evidence - 8 - 2 * np.log(2))


def test_a_network_draws_genes_to_the_targets_of_clipped_proteins(target, rng):
    """Proteins follow their genes with a lag."""
    fit = target.fit(TRUE)
    network = RegulatedNetwork(np.ones(8), np.zeros(8), (-1, 1), {1: fit}, 0.5)
    genes, proteins = rng.uniform(-2, 2, (2, 5, 8))
    expected = np.zeros((5, 16))
    expected[:, 1] = factors(proteins.clip(-1, 1)[:, [0, 2]]) @ fit.weights
    expected[:, 8:] = genes
    state = np.append(genes, proteins, axis=1)
    assert_allclose(network.targets(torch.tensor(state)), expected)
    assert_array_equal(network.decay(), np.repeat([1.0, 2.0], 8))
