"""The network of PHOENIX, its gates and its penalties, against the equations of the papers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy.special import expit, logit

from sbnn.dynamics.phoenix import (
    DROP_RATES,
    LAYERS,
    PENALTIES,
    PUBLISHED,
    Phoenix,
    open_probability,
)


@pytest.fixture
def plain(generator):
    """20 genes, 8 units, a third of the weights."""
    network = Phoenix(20, 8, generator)
    with torch.no_grad():
        for value in network.parameters():
            value.normal_(generator=generator).mul_(torch.rand(value.shape) < 1 / 3)
    return network


@pytest.fixture
def gated(generator):
    return Phoenix(6, 4, generator, gated=True)


def arrays(network):
    return {name: value.detach().double().numpy() for name, value in network.named_parameters()}


def test_targets_edges_and_sparsity_are_those_of_the_paper(plain, rng):
    w = arrays(plain)
    x = rng.uniform(-1, 2, (3, 20))
    u = (x - 0.5) / (1 + np.abs(x - 0.5))
    sums = u @ w["sum_in"].T + w["sum_bias"]
    products = np.prod((1 + u[:, None]) ** w["product_in"], axis=2) * np.exp(w["product_bias"])
    expected = sums @ w["sum_out"].T + products @ w["product_out"].T
    assert_allclose(plain.targets(torch.tensor(x).float()).detach(), expected, rtol=1e-3, atol=1e-4)
    rates = np.maximum(w["multiplier"], 0)
    assert_allclose(plain.decay().detach(), rates)
    paths = w["sum_out"] @ w["sum_in"] + w["product_out"] @ w["product_in"]
    assert_allclose(plain.edges(), (rates[:, None] * paths).T)
    alive = (rates > 0)[:, None]
    layers = [w["sum_in"], w["product_in"], alive * w["sum_out"], alive * w["product_out"]]
    assert plain.sparsity() == approx(np.mean([(layer == 0).mean() for layer in layers]))


def test_weights_at_the_start_as_published(generator):
    """As `torch.nn.init.sparse_` and `torch.nn.Linear` set them: 95 % zeros for every gene."""
    network = Phoenix(400, 50, generator, ("exact_zeros", "random_biases"))
    for layer in (network.sum_in, network.product_in):
        n_zeros = (layer == 0).sum(dim=0)
        assert set(n_zeros.tolist()) == {np.ceil(0.95 * 50)}
        assert layer[layer != 0].std().item() == approx(0.05, rel=0.1)
    biases = torch.cat([network.sum_bias, network.product_bias])
    assert biases.abs().max().item() == approx(1 / 20, rel=0.1)
    assert biases.std().item() == approx(1 / 20 / 3**0.5, rel=0.2), "uniform"


def test_gates_belong_to_columns_of_layers(gated, generator):
    """Genes start closed with a probability of 0.2, sums and products with 0.5."""
    drawn = gated.layers()
    assert gated.layers() is drawn, "all batches of a step share their gates"
    for name, after in zip(LAYERS, drawn, strict=True):
        layer = getattr(gated, name)
        closed = DROP_RATES[name.endswith("out")]
        assert_allclose(gated.locations[name].detach(), logit(1 - closed), rtol=1e-5)
        gates = (after * layer).sum(dim=0) / (layer**2).sum(dim=0).clamp(min=1e-9)
        assert_allclose((layer * gates).detach(), after.detach(), atol=1e-5)
        assert gates.min() >= 0
    gated.draw(generator)
    assert not torch.equal(gated.layers()[2], drawn[2])
    gated.eval()
    with torch.no_grad():
        gated.locations["sum_out"][1] = -20
        gated.multiplier[:] = 0.3
    plain = gated.settled()
    assert not plain.locations
    settled = np.clip(1.2 * expit(gated.locations["sum_in"].detach()) - 0.1, 0, 1)
    assert_allclose(gated.gates()["sum_in"].detach(), settled, atol=1e-6)
    assert not plain.sum_out[:, 1].any()
    x = torch.rand((3, 6), generator=generator)
    torch.testing.assert_close(plain.targets(x), gated.targets(x))
    assert plain.decay().tolist() == approx([0.3] * 6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("as_published", [PUBLISHED, ()])
def test_penalties_are_those_of_counting_weights_and_paths(as_published, training, generator):
    """As published, a path counts with its gates, drawn in training and settled afterwards."""
    gated = Phoenix(6, 4, generator, as_published, gated=True)
    with torch.no_grad():
        for location in gated.locations.values():
            location.normal_(generator=generator)
    gated.draw(generator)
    gated.train(training)
    n_open = 0
    paths = 0
    sizes = 0
    for kind in ("sum", "product"):
        into = np.abs(arrays(gated)[f"{kind}_in"])
        out = np.abs(arrays(gated)[f"{kind}_out"])
        p_in = open_probability(gated.locations[f"{kind}_in"]).detach().numpy()
        p_out = open_probability(gated.locations[f"{kind}_out"]).detach().numpy()
        n_open += (p_in * np.ones_like(into)).sum() + (p_out * np.ones_like(out)).sum()
        if as_published:
            p_in = gated.gates()[f"{kind}_in"].detach().numpy()
            p_out = gated.gates()[f"{kind}_out"].detach().numpy()
        paths += np.multiply.outer(p_in, p_out).sum(axis=1).mean()
        sizes += (out @ into).mean()
    expected = {"l0": n_open / (4 * 24), "c_node": sizes, "path_reg": paths + 10 * sizes}
    for name in PENALTIES:
        assert gated.penalty(name).item() == approx(expected[name], rel=1e-5)
