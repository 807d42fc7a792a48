"""Scores of weights against linear algebra by numpy, masks, and the published schedule."""

import numpy as np
import pytest
import torch

from sbnn.dynamics import pruning as scores
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.pruning import INFLUENCE, Pruner
from sbnn.dynamics.training import Schedule


@pytest.fixture
def network(generator):
    """20 genes, 5 units, normal weights."""
    network = Phoenix(20, 5, generator)
    with torch.no_grad():
        for name in network.LAYERS:
            getattr(network, name).normal_(generator=generator)
    return network


@pytest.fixture
def prior(generator):
    return torch.randint(-1, 2, (20, 20), generator=generator)


def sizes(network):
    """Shares of the sizes of the weights of each layer."""
    decay = network.multiplier.detach().double().clamp(min=0)[:, None]
    w = {name: getattr(network, name).detach().double() for name in network.LAYERS}
    found = [
        w["sum_in"].abs(),
        w["product_in"].exp(),
        w["sum_out"].abs() * decay,
        w["product_out"].abs() * decay,
    ]
    return [size / size.sum() for size in found]


def test_pruning_by_size_keeps_the_largest_of_each_layer(network):
    with torch.no_grad():
        network.multiplier[:2] = torch.tensor([-1.0, 2.0])
    before = {name: getattr(network, name).detach().clone() for name in network.LAYERS}
    pruner, expected = Pruner(network, INFLUENCE["imp"]), sizes(network)
    for found, size in zip(pruner.next_scores().values(), expected, strict=True):
        torch.testing.assert_close(found, size)
    pruner.prune(0.3)
    for (name, old), size in zip(before.items(), expected, strict=True):
        new = getattr(network, name).detach()
        assert (new != 0).sum() == 30 and size[new != 0].min() > size[new == 0].max()
        np.testing.assert_array_equal(new[new != 0], old[new != 0])


def test_a_prior_may_have_an_influence_on_outputs_alone(network, prior, generator):
    found = list(Pruner(network, (0.0, 1.0), prior, generator).next_scores().values())
    into = sizes(network)[:2]
    for score, expected in zip(
        found, [*into, *(scores.prior_of_outputs(size, prior) for size in into)], strict=True
    ):
        torch.testing.assert_close(score, expected)


@pytest.mark.parametrize("rank", [3, 1])
def test_scores_of_the_prior_are_the_shortest_least_squares(generator, rank):
    s = torch.rand((3, rank), generator=generator, dtype=torch.float64)
    s = s @ torch.rand((rank, 6), generator=generator, dtype=torch.float64)
    # without an inverse, exactly
    s = s if rank == 3 else s.round(decimals=1)[:1] * torch.tensor([[1.0], [2], [4]])
    prior = torch.randint(-1, 2, (6, 6), generator=generator).double()
    together = scores.partners(prior)
    expected = np.abs(np.linalg.pinv(s.numpy().T) @ together.numpy())
    np.testing.assert_allclose(scores.prior_of_inputs(s, together), expected, rtol=1e-6, atol=1e-9)
    # A = (S T)' (S S')^-1 makes A S the best approximation of T', regulators by their units.
    best = np.abs(np.linalg.pinv(s.numpy().T) @ np.abs(prior.numpy())).T
    np.testing.assert_allclose(scores.prior_of_outputs(s, prior), best, rtol=1e-6, atol=1e-9)


def test_the_published_schedule():
    shares = Schedule().prunings(0.955)
    assert list(shares) == [3, *range(10, 191, 10)]
    np.testing.assert_allclose(list(shares.values()), np.maximum(0.3 * 0.9 ** np.arange(20), 0.045))
    assert Schedule().prunings(0.5) == {3: 0.5} and list(Schedule(5, 0.7, 4).prunings(0.75)) == [
        5,
        8,
        12,
    ]
