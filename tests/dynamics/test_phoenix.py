"""The network of PHOENIX, its gates and its penalties, against the equations of the papers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy.special import expit

from sbnn.dynamics import PUBLISHED
from sbnn.dynamics.phoenix import LAYERS, Phoenix


def arrays(values):
    return {name: value.detach().double().numpy() for name, value in values}


def test_targets_edges_and_sparsity_are_those_of_the_paper(rng, phoenix):
    phoenix.sum_in.data[:2] = 0
    w = arrays(phoenix.named_parameters())
    x = rng.uniform(-1, 2, (3, 20))
    u = (x - 0.5) / (1 + np.abs(x - 0.5))
    sums = u @ w["sum_in"].T + w["sum_bias"]
    products = np.prod((1 + u[:, None]) ** w["product_in"], axis=2) * np.exp(w["product_bias"])
    expected = sums @ w["sum_out"].T + products @ w["product_out"].T
    assert_allclose(phoenix.double().targets(torch.tensor(x)).detach(), expected)
    rates = np.maximum(w["multiplier"], 0)
    paths = w["sum_out"] @ w["sum_in"] + w["product_out"] @ w["product_in"]
    assert_allclose(phoenix.edges(), (rates[:, None] * paths).T)
    alive = (rates > 0)[:, None]
    layers = [w["sum_in"], w["product_in"], alive * w["sum_out"], alive * w["product_out"]]
    assert phoenix.sparsity() == approx(np.mean([(layer == 0).mean() for layer in layers]))


def test_weights_at_the_start_as_published(generator):
    """As `torch.nn.init.sparse_` and `torch.nn.Linear` set them: 95 % zeros for every gene."""
    network = Phoenix(400, 50, generator, ("exact_zeros", "random_biases"))
    assert ((network.sum_in == 0).sum(dim=0) == np.ceil(0.95 * 50)).all()
    assert network.sum_in[network.sum_in != 0].std().item() == approx(0.05, rel=0.1)
    assert network.sum_bias.abs().max().item() == approx(1 / 20, rel=0.1)
    assert network.sum_bias.std().item() == approx(1 / 20 / 3**0.5, rel=0.2), "uniform"


def test_gates_belong_to_columns_of_layers(generator):
    """Genes start closed with a probability of 0.2, sums and products with 0.5."""
    gated = Phoenix(6, 4, generator, gated=True)
    drawn = gated.weights
    for name, after, odds in zip(LAYERS, drawn, (4, 4, 1, 1), strict=True):
        assert_allclose(gated.locations[name].detach(), np.log(odds), rtol=1e-5)
        torch.testing.assert_close(after, getattr(gated, name) * gated.gates[name])
        assert gated.gates[name].min() >= 0
    gated.draw(generator)
    assert not torch.equal(gated.weights[2], drawn[2])
    gated.eval().draw()
    settled = np.clip(1.2 * expit(gated.locations["sum_in"].detach()) - 0.1, 0, 1)
    assert_allclose(gated.gates["sum_in"].detach(), settled, atol=1e-6)
    before = gated.weights
    gated.settle()
    torch.testing.assert_close(gated.weights, before)
    assert not gated.gates


@pytest.mark.parametrize("as_published", [PUBLISHED, ()])
def test_penalties_are_those_of_counting_weights_and_paths(as_published, generator):
    """As published, a path counts with its gates."""
    gated = Phoenix(6, 4, generator, as_published, gated=True)
    for location in gated.locations.values():
        location.data.normal_(generator=generator)
    gated.draw(generator)
    weights = arrays(gated.named_parameters())
    is_open = {}
    for name, location in arrays(gated.locations.items()).items():
        is_open[name] = expit(location - 2 / 3 * np.log(0.1 / 1.1))
    n_open = sum(p.sum() * len(weights[name]) for name, p in is_open.items())
    if as_published:
        is_open = arrays(gated.gates.items())
    paths = sizes = 0
    for kind in ("sum", "product"):
        into, out = (np.abs(weights[f"{kind}_{end}"]) for end in ("in", "out"))
        paths += is_open[f"{kind}_in"].mean() * is_open[f"{kind}_out"].sum()
        sizes += (out @ into).mean()
    expected = {"l0": n_open / (4 * 24), "c_node": sizes, "path_reg": paths + 10 * sizes}
    for name, penalty in expected.items():
        assert gated.penalty(name).item() == approx(penalty, rel=1e-5)
