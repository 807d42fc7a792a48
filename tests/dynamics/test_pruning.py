"""Scores of weights against linear algebra by numpy, masks, and the published schedule."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.dynamics.phoenix import LAYERS, Phoenix
from sbnn.dynamics.pruning import INFLUENCE, Pruner, prunings, solved


@pytest.fixture
def network(generator):
    """20 genes, 5 units, normal weights; one gene does not change."""
    network = Phoenix(20, 5, generator)
    with torch.no_grad():
        for value in network.parameters():
            value.normal_(generator=generator)
        network.multiplier[0] = -1
    return network


def sizes(network):
    """Shares of the sizes of the weights of each layer."""
    weights = [layer.detach().double() for layer in network.weights]
    decay = network.decay().detach().double()[:, None]
    found = [weights[0].abs(), weights[1].exp(), *(layer.abs() * decay for layer in weights[2:])]
    return [(size / size.sum()).numpy() for size in found]


def test_pruning_by_size_keeps_the_largest_of_each_layer_for_good(network):
    expected = sizes(network)
    pruner = Pruner(network, INFLUENCE["imp"])
    pruner.prune(0.3)
    with torch.no_grad():
        for name, size in zip(LAYERS, expected, strict=True):
            layer = getattr(network, name)
            layer.fill_(9)
            pruner.apply()
            assert_array_equal(layer != 0, size >= np.sort(size.ravel())[-30])
    pruner.prune(1e-9)
    assert (network.sum_in != 0).sum() == 1, "one weight is always left"


@pytest.mark.parametrize("given", [True, False])
def test_scores_mix_size_and_prior_and_follow_those_before(network, generator, given):
    """With the pseudoinverse of numpy; interactions replace shared targets if they are given."""
    prior = torch.randint(-1, 2, (20, 20), generator=generator)
    edges = prior.abs().double().numpy()
    interactions = torch.rand((20, 20), generator=generator) - 0.5 if given else None
    together = np.abs(interactions.double().numpy()) if given else edges @ edges.T
    together = together / together.sum()
    pruner = Pruner(network, (0.3, 0.6), prior, generator, interactions)
    before = pruner.scores.numpy()
    of_size = sizes(network)
    for _ in range(2):
        found = [score.numpy() for score in pruner.next_scores().values()]
        for i in range(2):
            by_prior = np.abs(np.linalg.pinv(before[i].T) @ together)
            assert_allclose(found[i], 0.3 * by_prior + 0.7 * of_size[i], rtol=1e-6)
            by_prior = np.abs(np.linalg.pinv(found[i].T) @ edges).T
            assert_allclose(found[2 + i], 0.6 * by_prior + 0.4 * of_size[2 + i], rtol=1e-6)
        before = found[:2]


def test_a_singular_system_has_the_shortest_least_squares_solution(rng):
    scores = np.outer(rng.integers(1, 9, 3), rng.integers(1, 9, 6)).astype(float)
    right = rng.random((6, 2))
    found = solved(torch.tensor(scores @ scores.T), torch.tensor(scores @ right))
    assert_allclose(found, np.linalg.pinv(scores.T) @ right, rtol=1e-6)


@pytest.mark.parametrize(
    ("sparsity", "epochs", "shares"),
    [(0.95, [3, *range(10, 181, 10)], [*0.3 * 0.9 ** np.arange(18), 0.05]), (0.5, [3], [0.5])],
)
def test_weights_are_removed_until_the_sparsity_is_reached(sparsity, epochs, shares):
    found = prunings(sparsity, 3, 0.7, 10, 0.1)
    assert list(found) == epochs
    assert list(found.values()) == approx(shares)


def test_the_prior_decides_alone_or_not_at_all():
    assert INFLUENCE["biological"] == (1, 1)
    assert INFLUENCE["imp"] == (0, 0)
