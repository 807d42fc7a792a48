"""The network of PHOENIX, its gates and its penalties, against the equations of the papers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy.integrate import quad
from scipy.special import expit, logit

from sbnn.dynamics.phoenix import (
    PENALTIES,
    GatedPhoenix,
    Penalty,
    Phoenix,
    hard_concrete,
    open_probability,
    settled_gates,
)


@pytest.fixture
def plain(generator):
    """50 genes, 8 units, weights of normal size."""
    network = Phoenix(50, 8, generator)
    with torch.no_grad():
        for value in network.parameters():
            value.normal_(generator=generator)
    return network


@pytest.fixture
def gated(generator):
    return GatedPhoenix(6, 4, (0.2, 0.6), generator)


def test_targets_and_rates_are_those_of_the_paper(plain):
    weights = {name: value.detach().double().numpy() for name, value in plain.named_parameters()}
    x = np.random.default_rng(0).uniform(-1, 2, (3, 50))
    u = (x - 0.5) / (1 + np.abs(x - 0.5))
    sums = u @ weights["sum_in"].T + weights["sum_bias"]
    products = np.prod((1 + u[:, None]) ** weights["product_in"], axis=2)
    products = products * np.exp(weights["product_bias"])
    expected = sums @ weights["sum_out"].T + products @ weights["product_out"].T
    found = plain.targets(torch.from_numpy(x).float()).detach()
    assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    rates = np.maximum(weights["multiplier"], 0)
    assert_allclose(plain.decay().detach(), rates, rtol=1e-6)


def test_weights_at_the_start(generator):
    network = Phoenix(400, 50, generator)
    for layer in (network.sum_in, network.product_in):
        assert (layer != 0).float().mean().item() == approx(0.05, abs=0.01)
        assert layer[layer != 0].std().item() == approx(0.05, rel=0.1)
    for layer in (network.sum_out, network.product_out):
        assert_allclose((layer.T @ layer).detach(), np.eye(50), atol=1e-5)
    assert not torch.equal(network.sum_out, network.product_out)
    assert 0 <= network.multiplier.min() < network.multiplier.max() <= 1


def test_edges_are_paths_of_weights_and_zeros_are_counted(plain):
    with torch.no_grad():
        for layer in plain.layers():
            layer.zero_()
        plain.multiplier.fill_(1)
        plain.sum_in[0, 3] = 2
        plain.sum_out[7, 0] = -0.5
        plain.product_in[1, 4] = 3
        plain.product_out[8, 1] = 1
        plain.product_in[2, 5] = 1
        plain.product_out[9, 2] = 1
        plain.multiplier[[7, 8, 9]] = torch.tensor([0.5, 0.25, -1])
    edges = plain.edges()
    assert edges[3, 7] == -0.5
    assert edges[4, 8] == 0.75
    assert edges.count_nonzero() == 2, "no path to a gene that does not change"
    assert plain.sparsity() == approx(1 - 5 / (4 * 8 * 50)), "nor does a weight to it count"


@pytest.mark.parametrize("location", [-3.0, 2.0])
def test_gates_are_distributed_as_published(location):
    """A binary concrete variable of temperature 2/3, stretched from -0.1 to 1.1 and cut."""

    def above(t):
        return expit(location - 2 / 3 * logit((t + 0.1) / 1.2))

    uniform = torch.rand(200_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gates = hard_concrete(uniform, torch.tensor(location, dtype=torch.float64)).numpy()
    assert gates.min() == 0
    assert gates.max() == 1
    for t in (0, 0.2, 0.7, 1 - 1e-12):
        assert (gates > t).mean() == approx(above(t), abs=0.005)
    assert gates.mean() == approx(quad(above, 0, 1)[0], abs=0.005)
    assert open_probability(torch.tensor(location)).item() == approx(above(0))
    assert hard_concrete(torch.tensor([0.0, 1.0]), torch.zeros(2)).tolist() == [0, 1]


def test_settled_gates_are_closed_or_open_beyond_a_twelfth():
    end = logit(1 / 12)
    settled = settled_gates(torch.tensor([end - 1e-3, end + 1e-3, 0, -end + 1e-3]))
    assert settled[0] == 0
    assert 0 < settled[1] < 1e-3
    assert settled[2] == approx(0.5)
    assert settled[3] == 1


def test_gates_belong_to_genes_and_to_hidden_units(gated, generator):
    """Gates of a column of each layer: genes start closed with 0.2, sums and products with 0.6."""
    starts = {"sum_in": 0.8, "product_in": 0.8, "sum_out": 0.4, "product_out": 0.4}
    for name, layer, drawn in zip(gated.LAYERS, Phoenix.layers(gated), gated.layers(), strict=True):
        expected = torch.full((layer.shape[1],), logit(starts[name]))
        torch.testing.assert_close(gated.locations[name].detach(), expected, check_dtype=False)
        ratio = (drawn / layer)[:, (layer != 0).any(dim=0)]
        spread = np.nanmax(ratio.detach(), axis=0) - np.nanmin(ratio.detach(), axis=0)
        assert_allclose(spread, 0, atol=1e-5)
        assert ((ratio >= 0) | ratio.isnan()).all()
    before = gated.layers()
    assert gated.layers() is before, "all batches of a step share their gates"
    gated.draw(generator)
    assert not torch.equal(gated.layers()[2], before[2])


def test_the_settled_network_has_no_gates(gated):
    with torch.no_grad():
        gated.locations["sum_out"][1] = -20
        gated.locations["product_in"][:] = 20
        gated.multiplier[:] = 0.3
    gated.eval()
    plain = gated.settled()
    assert type(plain) is Phoenix
    assert not plain.sum_out[:, 1].any()
    torch.testing.assert_close(plain.product_in, gated.product_in)
    x = torch.rand((3, 6), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(plain.targets(x), gated.targets(x))
    assert plain.decay().tolist() == approx([0.3] * 6)


def test_penalties_are_those_of_counting_weights_and_paths(gated):
    with torch.no_grad():
        for location in gated.locations.values():
            location.normal_(generator=torch.Generator().manual_seed(1))
    p = {name: open_probability(of).detach().numpy() for name, of in gated.locations.items()}
    sum_in, product_in, sum_out, product_out = [
        layer.detach().abs().numpy() for layer in Phoenix.layers(gated)
    ]
    n_open = 4 * (p["sum_in"].sum() + p["product_in"].sum())
    n_open += 6 * (p["sum_out"].sum() + p["product_out"].sum())
    paths = 0
    sizes = 0
    for i in range(6):
        for _ in range(6):
            paths += p["sum_in"][i] * p["sum_out"].sum()
            paths += p["product_in"][i] * p["product_out"].sum()
        for j in range(6):
            sizes += (sum_in[:, i] * sum_out[j]).sum()
            sizes += (product_in[:, i] * product_out[j]).sum()
    expected = {
        "l0": 1e-2 * n_open / (4 * 6 * 4),
        "c_node": 1e-3 * sizes / 36,
        "path_reg": 1e-4 * (paths + 10 * sizes) / 36,
    }
    for name, penalty in PENALTIES.items():
        assert penalty(gated).item() == approx(expected[name], rel=1e-5)
    twice = Penalty(PENALTIES["l0"].size, 2e-2)
    assert twice(gated).item() == approx(2 * expected["l0"], rel=1e-5)
