import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit, logit

from sbnn.dynamics.gates import GatedPhoenix, hard_concrete, open_probability, settled_gates
from sbnn.dynamics.network import Phoenix


@pytest.fixture
def gated():
    return GatedPhoenix(12, 5, (0.2, 0.5), torch.Generator().manual_seed(0))


def close(network, name, positions):
    with torch.no_grad():
        network.locations[name][positions] = -9


@pytest.mark.parametrize("location", [-3.0, 0.0, 2.0])
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
    assert open_probability(torch.tensor(location)).item() == pytest.approx(above(0))


def test_settled_gates_are_open_closed_or_between():
    gates = settled_gates(torch.tensor([-9, logit(1 / 12) - 1e-3, logit(1 / 12) + 1e-3, 0, logit(11 / 12) + 1e-3]))
    assert gates[0] == gates[1] == 0 and 0 < gates[2] < 1e-3 and gates[4] == 1
    assert gates[3] == pytest.approx(0.5)


def test_a_gate_moves_by_the_gradient_unless_it_is_cut():
    location = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    uniform = torch.tensor([0.001, 0.4, 0.999], dtype=torch.float64)
    hard_concrete(uniform, location).sum().backward()
    s = expit(logit(0.4) * 1.5)
    np.testing.assert_allclose(location.grad, [0, 1.2 * s * (1 - s) * 1.5, 0])


def test_gates_start_at_the_drop_rates(gated):
    start = {name: location.detach().numpy() for name, location in gated.locations.items()}
    assert [len(start[name]) for name in gated.LAYERS] == [12, 12, 5, 5]
    for name, value in start.items():
        np.testing.assert_allclose(value, math.log(4) if name.endswith("_in") else 0, atol=1e-6)


def test_a_closed_gate_cuts_all_that_comes_through_it(gated):
    close(gated, "product_in", [3])
    close(gated, "sum_out", [1, 2])
    plain = gated.settled()
    assert type(plain) is Phoenix and not plain.product_in[:, 3].any() and not plain.sum_out[:, 1:3].any()
    opened = settled_gates(torch.tensor(math.log(4)))
    torch.testing.assert_close(plain.sum_in, opened * gated.sum_in)
    torch.testing.assert_close(plain.product_out, 0.5 * gated.product_out)
    gated.eval()
    x = torch.rand((4, 12), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(gated.targets(x), plain.targets(x))
    assert torch.equal(gated.edges(), plain.edges()) and gated.sparsity() == plain.sparsity()
    assert gated.sparsity() > Phoenix(12, 5, torch.Generator().manual_seed(0)).sparsity()


def test_gates_are_drawn_in_training_alone(gated):
    def layers():
        return [layer.detach().clone() for layer in gated.layers()]

    generator = torch.Generator().manual_seed(3)
    gated.draw(generator)
    first = layers()
    assert all(torch.equal(a, b) for a, b in zip(first, layers(), strict=True)), "one draw for a whole step"
    gated.draw(generator)
    assert any(not torch.equal(a, b) for a, b in zip(first, layers(), strict=True))
    shares = first[2] / gated.sum_out
    np.testing.assert_allclose(shares.std(dim=0).detach(), 0, atol=1e-5)
    assert shares[0].std() > 0.1, "one gate a unit"
    gated.eval()
    settled = layers()
    gated.draw(generator)
    assert all(torch.equal(a, b) for a, b in zip(settled, layers(), strict=True))


def test_gradients_reach_weights_and_gates(gated):
    with torch.no_grad():
        for name in gated.LAYERS:
            getattr(gated, name).uniform_(0.1, 0.2)
    gated.draw(torch.Generator().manual_seed(3))
    x = torch.rand((4, 12), generator=torch.Generator().manual_seed(2))
    gated.targets(x).square().sum().backward()
    for name in gated.LAYERS:
        assert getattr(gated, name).grad.any() and gated.locations[name].grad.any()
