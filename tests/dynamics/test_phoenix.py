"""The network of PHOENIX, its gates and its penalties, against the equations of the papers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy.special import expit, logit

from sbnn.dynamics import PUBLISHED
from sbnn.dynamics.phoenix import DROP_RATES, LAYERS, Phoenix


@pytest.fixture
def gated(generator):
    return Phoenix(6, 4, generator, gated=True)


def arrays(network):
    return {name: value.detach().double().numpy() for name, value in network.named_parameters()}


def test_targets_edges_and_sparsity_are_those_of_the_paper(rng, generator):
    """20 genes, 8 units, a third of the weights."""
    plain = Phoenix(20, 8, generator)
    with torch.no_grad():
        for value in plain.parameters():
            value.normal_(generator=generator).mul_(torch.rand(value.shape) < 1 / 3)
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
        assert set((layer == 0).sum(dim=0).tolist()) == {np.ceil(0.95 * 50)}
        assert layer[layer != 0].std().item() == approx(0.05, rel=0.1)
    biases = torch.cat([network.sum_bias, network.product_bias])
    assert biases.abs().max().item() == approx(1 / 20, rel=0.1)
    assert biases.std().item() == approx(1 / 20 / 3**0.5, rel=0.2), "uniform"


def test_gates_belong_to_columns_of_layers(gated, generator):
    """Genes start closed with a probability of 0.2, sums and products with 0.5."""
    drawn = gated.weights
    for name, after in zip(LAYERS, drawn, strict=True):
        closed = DROP_RATES[name.endswith("out")]
        assert_allclose(gated.locations[name].detach(), logit(1 - closed), rtol=1e-5)
        torch.testing.assert_close(after, getattr(gated, name) * gated.gates[name])
        assert gated.gates[name].min() >= 0
    gated.draw(generator)
    assert not torch.equal(gated.weights[2], drawn[2])
    with torch.no_grad():
        gated.locations["sum_out"][1] = -20
    gated.eval().draw()
    settled = np.clip(1.2 * expit(gated.locations["sum_in"].detach()) - 0.1, 0, 1)
    assert_allclose(gated.gates["sum_in"].detach(), settled, atol=1e-6)
    x = torch.rand((3, 6), generator=generator)
    targets = gated.targets(x)
    gated.settle()
    assert not gated.locations
    assert not gated.sum_out[:, 1].any()
    torch.testing.assert_close(gated.targets(x), targets)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("as_published", [PUBLISHED, ()])
def test_penalties_are_those_of_counting_weights_and_paths(as_published, training, generator):
    """As published, a path counts with its gates, drawn in training and settled afterwards."""
    gated = Phoenix(6, 4, generator, as_published, gated=True)
    with torch.no_grad():
        for location in gated.locations.values():
            location.normal_(generator=generator)
    gated.train(training).draw(generator)
    is_open = {}
    for name, location in gated.locations.items():
        is_open[name] = expit(location.detach() - 2 / 3 * np.log(0.1 / 1.1)).numpy()
    weights = arrays(gated)
    n_open = sum((p * np.ones_like(weights[name])).sum() for name, p in is_open.items())
    if as_published:
        is_open = {name: gate.detach().numpy() for name, gate in gated.gates.items()}
    paths = sizes = 0
    for kind in ("sum", "product"):
        into, out = (np.abs(weights[f"{kind}_{end}"]) for end in ("in", "out"))
        ends = is_open[f"{kind}_in"], is_open[f"{kind}_out"]
        paths += np.multiply.outer(*ends).sum(axis=1).mean()
        sizes += (out @ into).mean()
    expected = {"l0": n_open / (4 * 24), "c_node": sizes, "path_reg": paths + 10 * sizes}
    for name, penalty in expected.items():
        assert gated.penalty(name).item() == approx(penalty, rel=1e-5)
