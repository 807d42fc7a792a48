"""Beliefs about effects and edges against counts and moments of made-up fits."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.special import logit

from sbnn.dynamics.beliefs import calibrated, first_beliefs, kinds_of_edges, learned_beliefs

KINDS = np.array([0, 1, 1, 3, 2, 3])  # of the weights of two regulators


@pytest.fixture
def learned(rng):
    """Weights (30, 6) of made-up fits with variances of 0.04, and the beliefs learned from them."""
    weights = rng.standard_normal((30, 6))
    fits = []
    for of_fit in weights:
        fit = SimpleNamespace(weights=of_fit, kinds=KINDS, regulators=[0, 1], signs=[1, -1])
        fit.variances = lambda: np.full(6, 0.04)
        fits.append(fit)
    kinds = np.repeat([0, 3], 4)[:, None] * np.ones(8, dtype=int)
    possible = ~np.eye(8, dtype=bool)
    return weights, learned_beliefs(fits, np.full((8, 8), 0.25), kinds, possible)


def test_kinds_count_the_other_targets_of_a_regulator_that_change():
    """Of gene 4, which does not change, nothing is known."""
    prior = np.array([[0, 1, -1, 1, 1], [0, 0, 1, 0, 1]])
    changing = np.arange(5) != 4
    assert_array_equal(kinds_of_edges(prior, changing), [[2, 5, 5, 5, 5], [1, 1, 3, 1, 4]])


def test_moments_of_effects_are_learned_for_their_number_of_regulators(learned):
    first = first_beliefs()
    weights, found = learned
    effects = weights[:, 1:3] * [1, -1]
    mean = (effects.sum() + 10 * first.effect_mean[2]) / 70
    assert found.effect_mean[2] == approx(mean)
    variances = first.sds**2
    rest = weights - [0, mean, -mean, 0, 0, 0]
    for kind in (1, 2, 3):
        squares = rest[:, kind == KINDS] ** 2 + 0.04
        before = 10 * variances[kind, 2]
        variances[kind, 2] = (squares.sum() + before) / (squares.size + 10)
    assert_allclose(found.sds, np.sqrt(variances))


def test_odds_are_shares_of_edges_of_each_kind(learned):
    shares = 7.5 / (5e4 + 28), 0.5 / 5e4, 8.6 / 30
    assert learned[1].log_odds[[0, 1, 3]] == approx(logit(shares))


def test_weak_edges_are_less_probable_those_of_the_prior_only_if_residuals_persist():
    """The effects of two genes on two, weak and strong; those of the second are in the prior."""
    effects = np.array([[0.1, 0.1], [0.1, 0.1], [1.0, 0.1]])
    given = np.array([[False], [True], [True]])
    found = [calibrated(0.9999, given, effects, 1.0, persistent) for persistent in (0.0, 0.2)]
    assert_array_equal(found[0][:2, 0] < found[0][:2, 1], [True, False])
    new, old = found[1][:2, 0]
    assert new < 0.5 == old, "edges of the prior are not removed"
