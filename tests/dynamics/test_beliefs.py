"""Beliefs about effects and edges against counts and moments of made-up fits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.dynamics.beliefs import MOST, first_beliefs, kinds_of_edges, learned_beliefs


class MadeUp:
    """A fit of two regulators, whose weights all have the same variance."""

    regulators = (0, 1)
    signs = np.array([1.0, -1.0])

    def __init__(self, weights):
        self.weights = weights

    def parts(self):
        return np.array([1, 2]), np.array([4]), np.array([3, 5])

    def variances(self):
        return np.full(6, 0.04)


@pytest.fixture
def fits(rng):
    return [MadeUp(rng.standard_normal(6)) for _ in range(30)]


def learned(fits):
    kinds = np.zeros((8, 8), dtype=int)
    kinds[4:] = 3
    possible = ~np.eye(8, dtype=bool)
    return learned_beliefs(fits, np.full((8, 8), 0.25), kinds, possible)


def test_effects_shrink_with_the_number_of_regulators():
    first = first_beliefs()
    assert_allclose(first.effect_mean[:4], [1, 1, 0.6, 0.36])
    assert_allclose(first.effect_sd**2, 0.16 * first.effect_mean**2 + 0.01)
    assert_array_equal(first.pair_sd, first.effect_sd)
    assert_array_equal(first.square_sd, first.effect_sd / 2)
    assert len(first.effect_mean) == MOST + 1


def test_kinds_count_the_other_targets_of_a_regulator_that_change():
    prior = np.zeros((5, 5))
    prior[0, 1] = 1
    prior[1, [0, 2, 3]] = -1
    prior[2, 4] = 1  # does not change
    changing = np.array([True, True, True, True, False])
    expected = np.zeros((5, 5), dtype=int)
    for i in range(5):
        for j in range(5):
            others = [k for k in range(4) if k != j and prior[i, k] != 0]
            expected[i, j] = min(len(others), 2) + 3 * (prior[i, j] != 0)
    assert_array_equal(kinds_of_edges(prior, changing), expected)


def test_moments_of_effects_are_learned_for_their_number_of_regulators(fits):
    first = first_beliefs()
    found = learned(fits)
    weights = np.array([fit.weights for fit in fits])
    effects = weights[:, 1:3] * [1, -1]
    mean = (effects.sum() + 10 * first.effect_mean[2]) / 70
    assert found.effect_mean[2] == approx(mean)
    squares = ((effects - mean) ** 2 + 0.04).sum()
    variance = (squares + 10 * first.effect_sd[2] ** 2) / 70
    assert found.effect_sd[2] == approx(np.sqrt(variance))
    pairs = (weights[:, 4] ** 2 + 0.04).sum()
    variance = (pairs + 10 * first.pair_sd[2] ** 2) / 40
    assert found.pair_sd[2] == approx(np.sqrt(variance))
    squares = (weights[:, [3, 5]] ** 2 + 0.04).sum()
    variance = (squares + 10 * first.square_sd[2] ** 2) / 70
    assert found.square_sd[2] == approx(np.sqrt(variance))
    others = [0, 1, *range(3, MOST + 1)]
    assert_allclose(found.effect_mean[others], first.effect_mean[others])
    assert_allclose(found.effect_sd[others], first.effect_sd[others])


def test_many_regulators_share_the_beliefs_of_the_largest_number(fits):
    fits[0].regulators = tuple(range(40))
    found = learned(fits[:1])
    assert found.effect_mean[MOST] != first_beliefs().effect_mean[MOST]


@pytest.mark.parametrize(("kind", "edges", "pairs"), [(0, 0.5, 5e4), (3, 1.6, 2.0)])
def test_odds_are_shares_of_edges_of_each_kind(fits, kind, edges, pairs):
    share = (edges + 28 * 0.25) / (pairs + 28)
    assert learned(fits).log_odds[kind] == approx(np.log(share / (1 - share)))
    assert_allclose(learned(fits).log_odds[1], np.log(0.5 / (5e4 - 0.5)))
