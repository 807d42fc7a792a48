"""Scores of weights against linear algebra by numpy, masks, and the published schedule."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.pruning import INFLUENCE, Pruner, partners, prior_of_inputs, prior_of_outputs
from sbnn.dynamics.training import Schedule


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
        layer.detach().double() for layer in network.layers()
    ]
    decay = network.multiplier.detach().double().clamp(min=0)[:, None]
    found = [sum_in.abs(), product_in.exp(), sum_out.abs() * decay, product_out.abs() * decay]
    return [size / size.sum() for size in found]


def test_pruning_by_size_keeps_the_largest_of_each_layer_for_good(network):
    before = [layer.detach().clone() for layer in network.layers()]
    expected = sizes(network)
    pruner = Pruner(network, INFLUENCE["imp"])
    pruner.prune(0.3)
    for layer, old, size in zip(network.layers(), before, expected, strict=True):
        kept = layer.detach() != 0
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


@pytest.mark.parametrize(
    ("influence", "share"), [((0.3, 0.6), (0.3, 0.6)), (INFLUENCE["biological"], (1, 1))]
)
def test_scores_mix_size_and_prior_and_follow_those_before(network, generator, influence, share):
    prior = torch.randint(-1, 2, (20, 20), generator=generator)
    pruner = Pruner(network, influence, prior, generator)
    before = pruner.scores
    of_size = sizes(network)
    a, b = share
    for _ in range(2):
        found = [*pruner.next_scores().values()]
        for i in range(2):
            by_prior = prior_of_inputs(before[i], partners(prior))
            torch.testing.assert_close(found[i], a * by_prior + (1 - a) * of_size[i])
            by_prior = prior_of_outputs(found[i], prior)
            torch.testing.assert_close(found[2 + i], b * by_prior + (1 - b) * of_size[2 + i])
        before = found[:2]


@pytest.mark.parametrize("rank", [3, 1])
def test_scores_of_the_prior_are_the_shortest_least_squares(rng, rank):
    """A = (S T)' (S S')^-1 makes A S the best approximation of T'."""
    factors = rng.integers(1, 9, (3, rank)), rng.integers(0, 9, (rank, 6))
    scores = (factors[0] @ factors[1]).astype(float)
    prior = rng.integers(-1, 2, (6, 6))
    edges = np.abs(prior)
    together = edges @ edges.T / (edges @ edges.T).sum()
    assert_allclose(partners(torch.tensor(prior)), together)
    inverse = np.linalg.pinv(scores.T)
    found = prior_of_inputs(torch.tensor(scores), torch.tensor(together))
    assert_allclose(found, np.abs(inverse @ together), rtol=1e-6, atol=1e-9)
    found = prior_of_outputs(torch.tensor(scores), torch.tensor(prior))
    assert_allclose(found, np.abs(inverse @ edges).T, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("schedule", "sparsity", "epochs", "shares"),
    [
        (Schedule(), 0.955, [3, *range(10, 191, 10)], np.fmax(0.3 * 0.9 ** np.arange(20), 0.045)),
        (Schedule(), 0.5, [3], [0.5]),
        (Schedule(0, 0.5, 4, 0.5), 0.9, [0, 4, 8, 12], [0.5, 0.25, 0.125, 0.1]),
        (Schedule(5, 0.5, 4, 0.2), 0.6, [5, 8], [0.5, 0.4]),
    ],
)
def test_weights_are_removed_until_the_sparsity_is_reached(schedule, sparsity, epochs, shares):
    found = schedule.prunings(sparsity)
    assert list(found) == epochs
    assert list(found.values()) == approx(shares)
