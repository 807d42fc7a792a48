"""Scores of weights against linear algebra by numpy, masks, and the published schedule."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.dynamics.phoenix import LAYERS
from sbnn.dynamics.pruning import INFLUENCE, Pruner, pruning_schedule


@pytest.fixture
def sizes(phoenix):
    """Sizes of the weights of each layer, divided by their sum."""
    sum_in, product_in, sum_out, product_out = (
        layer.detach().double() for layer in phoenix.weights
    )
    decay = phoenix.decay().detach().double()[:, None]
    layers = [sum_in.abs(), product_in.exp(), sum_out.abs() * decay, product_out.abs() * decay]
    return [(layer / layer.sum()).numpy() for layer in layers]


def test_pruning_by_size_keeps_the_largest(phoenix, sizes):
    Pruner(phoenix, INFLUENCE["imp"]).prune(0.3)
    for name, size in zip(LAYERS, sizes, strict=True):
        layer = getattr(phoenix, name)
        assert_array_equal(layer != 0, size >= np.sort(size.ravel())[-30])


def test_pruned_weights_stay_zero(phoenix):
    pruner = Pruner(phoenix, INFLUENCE["imp"])
    pruner.prune(0.3)
    is_pruned = phoenix.sum_in == 0
    phoenix.sum_in.data[:] = 9  # as after a step of the optimiser
    pruner.apply_masks()
    assert_array_equal(phoenix.sum_in == 0, is_pruned)


def test_one_weight_is_always_left(phoenix):
    Pruner(phoenix, INFLUENCE["imp"]).prune(1e-9)
    assert (phoenix.sum_in != 0).sum() == 1


def test_scores_mix_size_and_prior(phoenix, sizes, generator, rng):
    """With the pseudoinverse of numpy, at two prunings, of which the second follows the first."""
    prior = rng.integers(-1, 2, (20, 20))
    interactions = rng.random((20, 20)) - 0.5
    similarity = np.abs(interactions) / np.abs(interactions).sum()
    pruner = Pruner(
        phoenix,
        influence=(0.3, 0.6),
        prior=torch.from_numpy(prior),
        generator=generator,
        interactions=torch.from_numpy(interactions),
    )
    for scores in pruner.scores:
        scores[1] = scores[0]  # a singular system at first
    before = [scores.numpy() for scores in pruner.scores]
    for _ in range(2):
        scores = [score.numpy() for score in pruner.next_scores().values()]
        for i in range(2):
            by_prior = np.abs(np.linalg.pinv(before[i].T) @ similarity)
            assert_allclose(scores[i], 0.3 * by_prior + 0.7 * sizes[i], rtol=1e-6)
            by_prior = np.abs(np.linalg.pinv(scores[i].T) @ np.abs(prior)).T
            assert_allclose(scores[2 + i], 0.6 * by_prior + 0.4 * sizes[2 + i], rtol=1e-6)
        before = scores[:2]


@pytest.fixture
def published_schedule():
    return pruning_schedule(0.95, 3, first_fraction=0.7, interval=10, fraction=0.1)


def test_weights_are_pruned_every_ten_epochs(published_schedule):
    assert list(published_schedule) == [3, *range(10, 181, 10)]


def test_weights_are_pruned_until_the_sparsity(published_schedule):
    expected = [*0.3 * 0.9 ** np.arange(18), 0.05]
    assert list(published_schedule.values()) == approx(expected)


def test_a_low_sparsity_needs_one_pruning():
    schedule = pruning_schedule(0.5, 3, first_fraction=0.7, interval=10, fraction=0.1)
    assert schedule == {3: 0.5}


@pytest.mark.parametrize(("pruning", "influence"), [("biological", (1, 1)), ("imp", (0, 0))])
def test_the_prior_decides_alone_or_never(pruning, influence):
    assert INFLUENCE[pruning] == influence
