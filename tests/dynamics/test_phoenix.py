"""The network of PHOENIX, its gates and its penalties, against the equations of the papers."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit, logit

from sbnn.dynamics import phoenix
from sbnn.dynamics.phoenix import Phoenix, hard_concrete, settled_gates


@pytest.fixture
def plain(generator):
    """50 genes, 8 units, weights of normal size."""
    network = Phoenix(50, 8, generator)
    with torch.no_grad():
        for value in network.parameters():
            value.normal_(generator=generator)
    return network


def test_targets_and_rates_are_those_of_the_paper(plain):
    weights = {name: value.detach().double().numpy() for name, value in plain.named_parameters()}
    x = np.random.default_rng(0).uniform(-1, 2, (3, 50))
    u = (x - 0.5) / (1 + np.abs(x - 0.5))
    sums = u @ weights["sum_in"].T + weights["sum_bias"]
    products = np.prod((1 + u[:, None]) ** weights["product_in"], axis=2) * np.exp(
        weights["product_bias"]
    )
    expected = sums @ weights["sum_out"].T + products @ weights["product_out"].T
    np.testing.assert_allclose(
        plain.targets(torch.from_numpy(x).float()).detach(), expected, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        plain.decay().detach(), np.maximum(weights["multiplier"], 0), rtol=1e-6
    )


def test_edges_are_paths_of_weights_and_zeros_are_counted(plain):
    with torch.no_grad():
        for name in plain.LAYERS:
            getattr(plain, name).zero_()
        plain.multiplier.fill_(1)
        plain.sum_in[0, 3], plain.sum_out[7, 0] = 2, -0.5
        plain.product_in[1, 4], plain.product_out[8, 1] = 3, 1
        plain.product_in[2, 5], plain.product_out[9, 2] = 1, 1
        plain.multiplier[[7, 8, 9]] = torch.tensor([0.5, 0.25, -1])
    edges = plain.edges()
    assert edges[3, 7] == -0.5 and edges[4, 8] == 0.75
    assert edges.count_nonzero() == 2, "no path to a gene that does not change"
    assert plain.sparsity() == pytest.approx(1 - 5 / (4 * 8 * 50)), "nor does a weight to it count"


@pytest.mark.parametrize("location", [-3.0, 2.0])
def test_gates_are_distributed_as_published(location):
    """A binary concrete variable of temperature 2/3, stretched from -0.1 to 1.1 and cut."""

    def above(t):
        return expit(location - 2 / 3 * logit((t + 0.1) / 1.2))

    uniform = torch.rand(200_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gates = hard_concrete(uniform, torch.tensor(location, dtype=torch.float64)).numpy()
    assert gates.min() == 0 and gates.max() == 1
    for t in (0, 0.2, 0.7, 1 - 1e-12):
        assert (gates > t).mean() == pytest.approx(above(t), abs=0.005)
    assert gates.mean() == pytest.approx(quad(above, 0, 1)[0], abs=0.005)
    assert phoenix.open_probability(torch.tensor(location)).item() == pytest.approx(above(0))
    assert hard_concrete(torch.tensor([0.0, 1.0]), torch.zeros(2)).tolist() == [0, 1]
    settled = settled_gates(
        torch.tensor([logit(1 / 12) - 1e-3, logit(1 / 12) + 1e-3, 0, logit(11 / 12) + 1e-3])
    )
    assert (
        settled[0] == 0
        and 0 < settled[1] < 1e-3
        and settled[2] == pytest.approx(0.5)
        and settled[3] == 1
    )
