"""Scores of weights against linear algebra by numpy, masks, and the published schedule."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.dynamics.phoenix import Phoenix
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
    sum_in, product_in, sum_out, product_out = [
        layer.detach().double() for layer in network.weights
    ]
    decay = network.multiplier.detach().double().clamp(min=0)[:, None]
    found = [sum_in.abs(), product_in.exp(), sum_out.abs() * decay, product_out.abs() * decay]
    return [(size / size.sum()).numpy() for size in found]


def test_pruning_by_size_keeps_the_largest_of_each_layer_for_good(network):
    before = [layer.detach().clone() for layer in network.weights]
    expected = sizes(network)
    pruner = Pruner(network, INFLUENCE["imp"])
    pruner.prune(0.3)
    for layer, old, size in zip(network.weights, before, expected, strict=True):
        kept = layer.detach().numpy() != 0
        assert kept.sum() == 30
        assert size[kept].min() > size[~kept].max()
        assert_array_equal(layer.detach(), old * kept)
    pruned = network.sum_in == 0
    with torch.no_grad():
        network.sum_in.fill_(9)
    pruner.apply()
    assert_array_equal(network.sum_in == 0, pruned)
    pruner.prune(1e-9)
    assert (network.sum_in != 0).sum() == 1, "one weight is always left"


@pytest.mark.parametrize("influence", [(0.3, 0.6), INFLUENCE["biological"]])
@pytest.mark.parametrize("given", [True, False])
def test_scores_mix_size_and_prior_and_follow_those_before(network, generator, influence, given):
    """With the pseudoinverse of numpy; interactions replace shared targets if they are given."""
    prior = torch.randint(-1, 2, (20, 20), generator=generator)
    edges = prior.abs().double().numpy()
    interactions = torch.rand((20, 20), generator=generator) - 0.5 if given else None
    together = np.abs(interactions) if given else edges @ edges.T
    together = np.asarray(together, dtype=float) / float(together.sum())
    pruner = Pruner(network, influence, prior, generator, interactions)
    before = pruner.scores.numpy()
    of_size = sizes(network)
    a, b = influence
    for _ in range(2):
        found = [score.numpy() for score in pruner.next_scores().values()]
        for i in range(2):
            by_prior = np.abs(np.linalg.pinv(before[i].T) @ together)
            assert_allclose(found[i], a * by_prior + (1 - a) * of_size[i], rtol=1e-6)
            by_prior = np.abs(np.linalg.pinv(found[i].T) @ edges).T
            assert_allclose(found[2 + i], b * by_prior + (1 - b) * of_size[2 + i], rtol=1e-6)
        before = found[:2]


def test_a_singular_system_has_the_shortest_least_squares_solution(rng):
    scores = np.outer(rng.integers(1, 9, 3), rng.integers(1, 9, 6)).astype(float)
    right = rng.random((6, 2))
    found = solved(torch.tensor(scores @ scores.T), torch.tensor(scores @ right))
    assert_allclose(found, np.linalg.pinv(scores.T) @ right, rtol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "sparsity", "epochs", "shares"),
    [
        ((3, 0.7, 10, 0.1), 0.95, [3, *range(10, 181, 10)], [*0.3 * 0.9 ** np.arange(18), 0.05]),
        ((3, 0.7, 10, 0.1), 0.5, [3], [0.5]),
        ((0, 0.5, 4, 0.5), 0.9, [0, 4, 8, 12], [0.5, 0.25, 0.125, 0.1]),
    ],
)
def test_weights_are_removed_until_the_sparsity_is_reached(schedule, sparsity, epochs, shares):
    found = prunings(sparsity, *schedule)
    assert list(found) == epochs
    assert list(found.values()) == approx(shares)
