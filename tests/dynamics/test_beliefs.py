"""Beliefs about effects and edges against counts and moments of made-up fits."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.dynamics.beliefs import (
    MOST,
    calibrated,
    first_beliefs,
    kinds_of_edges,
    learned_beliefs,
)

KINDS = np.array([0, 1, 1, 3, 2, 3])  # of the weights of two regulators


def learned(rng, k=2):
    """Weights (30, 6) of made-up fits with variances of 0.04, and the beliefs learned from them."""
    weights = rng.standard_normal((30, 6))
    same = {"kinds": KINDS, "regulators": range(k), "signs": [1, -1]}
    fits = []
    for of_fit in weights:
        fits.append(SimpleNamespace(weights=of_fit, variances=lambda: np.full(6, 0.04), **same))
    kinds = np.repeat([0, 3], 4)[:, None] * np.ones(8, dtype=int)
    possible = ~np.eye(8, dtype=bool)
    return weights, learned_beliefs(fits, np.full((8, 8), 0.25), kinds, possible)


def test_kinds_count_the_other_targets_of_a_regulator_that_change(rng):
    prior = np.tril(rng.integers(-1, 2, (7, 7)), -1)
    changing = np.arange(7) != 4
    expected = np.zeros((7, 7), dtype=int)
    for i, j in np.ndindex(7, 7):
        others = [k for k in range(7) if k not in (j, 4) and prior[i, k]]
        expected[i, j] = min(len(others), 2) + 3 * (prior[i, j] != 0)
    assert set(expected.ravel()) == set(range(6))
    assert_array_equal(kinds_of_edges(prior, changing), expected)


def test_moments_of_effects_are_learned_for_their_number_of_regulators(rng):
    first = first_beliefs()
    weights, found = learned(rng)
    effects = weights[:, 1:3] * [1, -1]
    mean = (effects.sum() + 10 * first.effect_mean[2]) / 70
    assert found.effect_mean[2] == approx(mean)
    moments = {1: (effects - mean) ** 2 + 0.04}
    moments[2] = weights[:, 4] ** 2 + 0.04
    moments[3] = weights[:, [3, 5]] ** 2 + 0.04
    for kind, squares in moments.items():
        before = first.sds[kind]
        variance = (squares.sum() + 10 * before[2] ** 2) / (squares.size + 10)
        assert_allclose(found.sds[kind], np.r_[before[:2], np.sqrt(variance), before[3:]])
    _, many = learned(rng, k=40)
    assert many.effect_mean[MOST] != approx(first.effect_mean[MOST])


@pytest.mark.parametrize(
    ("kind", "edges", "pairs"), [(0, 7.5, 5e4 + 28), (3, 8.6, 30), (1, 0.5, 5e4)]
)
def test_odds_are_shares_of_edges_of_each_kind(rng, kind, edges, pairs):
    _, found = learned(rng)
    assert found.log_odds[kind] == approx(np.log(edges / (pairs - edges)))


def test_weak_edges_are_less_probable_those_of_the_prior_only_if_residuals_persist():
    p = np.full((1, 2), 0.9999)
    new = np.array([[True, False]])

    def probabilities(share, autocorrelation):
        return calibrated(p, ~new, new, np.full((1, 2), share), 1.0, autocorrelation)

    strong = probabilities(1.0, 0.0)
    assert_array_equal(probabilities(0.1, 0.0) < strong, [[True, False]])
    assert_array_equal(probabilities(0.1, 0.2), 0.5, "no edge is removed")
