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
        for layer in network.layers():
            layer.normal_(generator=generator)
        network.multiplier[:2] = torch.tensor([-1.0, 2.0])
    return network


@pytest.fixture
def prior(generator):
    return torch.randint(-1, 2, (20, 20), generator=generator)


def sizes(network):
    """Shares of the sizes of the weights of each layer."""
    sum_in, product_in, sum_out, product_out = [
        layer.detach().double() for layer in network.layers()
    ]
    decay = network.multiplier.detach().double().clamp(min=0)[:, None]
    found = [sum_in.abs(), product_in.exp(), sum_out.abs() * decay, product_out.abs() * decay]
    return [size / size.sum() for size in found]


def test_pruning_by_size_keeps_the_largest_of_each_layer(network):
    before = [layer.detach().clone() for layer in network.layers()]
    pruner = Pruner(network, INFLUENCE["imp"])
    expected = sizes(network)
    for found, size in zip(pruner.next_scores().values(), expected, strict=True):
        torch.testing.assert_close(found, size)
    pruner.prune(0.3)
    for layer, old, size in zip(network.layers(), before, expected, strict=True):
        new = layer.detach()
        kept = new != 0
        assert kept.sum() == 30
        assert size[kept].min() > size[~kept].max()
        assert_array_equal(new[kept], old[kept])


def test_pruned_weights_stay_pruned(network):
    pruner = Pruner(network, INFLUENCE["imp"])
    pruner.prune(0.5)
    pruned = network.sum_in == 0
    with torch.no_grad():
        network.sum_in.fill_(9)
    pruner.apply()
    assert_array_equal(network.sum_in == 0, pruned)
    pruner.prune(0.2)
    assert (network.sum_in[pruned] == 0).all()
    assert (network.sum_in != 0).sum() == 20
    pruner.prune(1e-9)
    assert (network.sum_in != 0).sum() == 1, "one weight is always left"


def test_scores_mix_size_and_prior_and_follow_those_before(network, prior, generator):
    influence = 0.3, 0.6
    pruner = Pruner(network, influence, prior, generator)
    before = pruner.scores
    assert before[0].shape == network.sum_in.shape
    of_size = sizes(network)
    for _ in range(2):
        found = [*pruner.next_scores().values()]
        for i in range(2):
            by_prior = prior_of_inputs(before[i], partners(prior))
            into = 0.3 * by_prior + 0.7 * of_size[i]
            torch.testing.assert_close(found[i], into)
            out = 0.6 * prior_of_outputs(into, prior) + 0.4 * of_size[2 + i]
            torch.testing.assert_close(found[2 + i], out)
        before = found[:2]


@pytest.mark.parametrize("rank", [3, 1])
def test_scores_of_the_prior_are_the_shortest_least_squares(generator, rank):
    s = torch.rand((3, rank), generator=generator, dtype=torch.float64)
    s = s @ torch.rand((rank, 6), generator=generator, dtype=torch.float64)
    if rank == 1:  # without an inverse, exactly
        s = s.round(decimals=1)[:1] * torch.tensor([[1.0], [2], [4]])
    prior = torch.randint(-1, 2, (6, 6), generator=generator).double()
    edges = np.abs(prior.numpy())
    together = partners(prior)
    overlap = edges @ edges.T
    assert_allclose(together, overlap / overlap.sum())
    inverse = np.linalg.pinv(s.numpy().T)
    expected = np.abs(inverse @ together.numpy())
    assert_allclose(prior_of_inputs(s, together), expected, rtol=1e-6, atol=1e-9)
    # A = (S T)' (S S')^-1 makes A S the best approximation of T', regulators by their units.
    best = np.abs(inverse @ edges).T
    assert_allclose(prior_of_outputs(s, prior), best, rtol=1e-6, atol=1e-9)


def test_the_published_schedule():
    shares = Schedule().prunings(0.955)
    assert list(shares) == [3, *range(10, 191, 10)]
    expected = np.maximum(0.3 * 0.9 ** np.arange(20), 0.045)
    assert_allclose(list(shares.values()), expected)


@pytest.mark.parametrize(
    ("schedule", "sparsity", "shares"),
    [
        (Schedule(), 0.5, {3: 0.5}),
        (Schedule(0, 0.5, 4, 0.5), 0.9, {0: 0.5, 4: 0.25, 8: 0.125, 12: 0.1}),
        (Schedule(5, 0.5, 4, 0.2), 0.5, {5: 0.5}),
        (Schedule(5, 0.5, 4, 0.2), 0.6, {5: 0.5, 8: 0.4}),
    ],
)
def test_weights_are_removed_until_the_sparsity_is_reached(schedule, sparsity, shares):
    assert schedule.prunings(sparsity) == approx(shares)
