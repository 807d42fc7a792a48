"""Scores of weights against linear algebra by numpy, masks, and the published schedule."""

import numpy as np
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.dynamics.phoenix import LAYERS
from sbnn.dynamics.pruning import INFLUENCE, Pruner, prunings


def sizes(network):
    """Shares of the sizes of the weights of each layer."""
    weights = [layer.detach().double() for layer in network.weights]
    decay = network.decay().detach().double()[:, None]
    found = [weights[0].abs(), weights[1].exp(), *(layer.abs() * decay for layer in weights[2:])]
    return [(size / size.sum()).numpy() for size in found]


def test_pruning_by_size_keeps_the_largest_of_each_layer_for_good(phoenix):
    expected = sizes(phoenix)
    pruner = Pruner(phoenix, INFLUENCE["imp"])
    pruner.prune(0.3)
    for name, size in zip(LAYERS, expected, strict=True):
        layer = getattr(phoenix, name)
        layer.data[:] = 9
        pruner.apply()
        assert_array_equal(layer != 0, size >= np.sort(size.ravel())[-30])
    pruner.prune(1e-9)
    assert (phoenix.sum_in != 0).sum() == 1, "one weight is always left"


def test_scores_mix_size_and_prior_and_follow_those_before(phoenix, generator, rng):
    """With the pseudoinverse of numpy, and with given interactions."""
    prior = rng.integers(-1, 2, (20, 20))
    interactions = rng.random((20, 20)) - 0.5
    edges = np.abs(prior)
    together = np.abs(interactions) / np.abs(interactions).sum()
    of_prior, given = map(torch.from_numpy, (prior, interactions))
    pruner = Pruner(phoenix, (0.3, 0.6), of_prior, generator, given)
    pruner.scores[:, 1] = pruner.scores[:, 0]  # a singular system at first
    before = pruner.scores.numpy()
    of_size = sizes(phoenix)
    for _ in range(2):
        found = [score.numpy() for score in pruner.next_scores().values()]
        for i in range(2):
            by_prior = np.abs(np.linalg.pinv(before[i].T) @ together)
            assert_allclose(found[i], 0.3 * by_prior + 0.7 * of_size[i], rtol=1e-6)
            by_prior = np.abs(np.linalg.pinv(found[i].T) @ edges).T
            assert_allclose(found[2 + i], 0.6 * by_prior + 0.4 * of_size[2 + i], rtol=1e-6)
        before = found[:2]


def test_weights_are_removed_until_the_sparsity_is_reached():
    found = prunings(0.95, 3, 0.7, 10, 0.1)
    assert list(found) == [3, *range(10, 181, 10)]
    assert list(found.values()) == approx([*0.3 * 0.9 ** np.arange(18), 0.05])
    assert prunings(0.5, 3, 0.7, 10, 0.1) == {3: 0.5}


def test_the_prior_decides_alone_or_not_at_all():
    assert INFLUENCE["biological"] == (1, 1)
    assert INFLUENCE["imp"] == (0, 0)
