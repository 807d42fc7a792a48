import numpy as np
import pytest
import torch
from scipy.special import expit

from sbnn.dynamics import PhoenixRegressor, Recipe
from sbnn.dynamics.gates import GatedPhoenix
from sbnn.dynamics.network import Phoenix
from sbnn.dynamics.penalties import PENALTIES, open_paths, open_weights, path_sizes

# Location of a gate that is open with a given probability.
HALF = 2 / 3 * np.log(0.1 / 1.1)


@pytest.fixture
def gated():
    """Three genes and two units; gates are open with probability 1/2 but for those that a test moves."""
    network = GatedPhoenix(3, 2, (0.2, 0.5), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for location in network.locations.values():
            location.fill_(HALF)
    return network


def test_open_weights_are_counted_behind_their_gates(gated):
    assert open_weights(gated).item() == pytest.approx(0.5)
    with torch.no_grad():
        gated.locations["sum_in"][0] = 99  # opens the gate of 2 weights of 24
        gated.locations["product_out"][1] = -99  # closes that of 3
    assert open_weights(gated).item() == pytest.approx(0.5 + (0.5 * 2 - 0.5 * 3) / 24)


def test_open_paths_are_counted_over_all_pairs(gated):
    # One path through each of two sums and two products, open with probability 1/4.
    assert open_paths(gated).item() == pytest.approx(1)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for location in gated.locations.values():
            location += torch.from_numpy(rng.standard_normal(len(location))).float()
    p = {name: expit(location.detach().numpy() - HALF) for name, location in gated.locations.items()}
    paths = [
        p[f"{kind}_in"][gene] * p[f"{kind}_out"][unit]
        for kind in ("sum", "product") for gene in range(3) for unit in range(2)
    ]  # fmt: skip
    # Whatever the target is: a mean over 3 regulators and 3 targets.
    assert open_paths(gated).item() == pytest.approx(3 * sum(paths) / 9)


def test_path_sizes_are_those_of_the_products_of_layers():
    network = Phoenix(6, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name in network.LAYERS:
            getattr(network, name).normal_(generator=torch.Generator().manual_seed(len(name)))
    ws, wp, out_s, out_p = (layer.detach().abs().numpy() for layer in network.layers())
    assert path_sizes(network).item() == pytest.approx((ws.T @ out_s.T + wp.T @ out_p.T).mean(), rel=1e-5)


def test_penalties_push_towards_fewer_paths(gated):
    for penalty in (open_weights, open_paths):
        gated.zero_grad()
        penalty(gated).backward()
        assert all((location.grad > 0).all() for location in gated.locations.values())
        assert all(getattr(gated, name).grad is None for name in gated.LAYERS), "sizes of weights do not count"
    plain = Phoenix(30, 4, torch.Generator().manual_seed(0))
    path_sizes(plain).backward()
    for name in plain.LAYERS:
        weights = getattr(plain, name)
        chosen = weights.grad != 0
        assert chosen.any()
        np.testing.assert_array_equal(weights.grad[chosen].sign(), weights[chosen].sign().detach())


def test_weights_of_penalties_are_the_published_ones(samples):
    assert PENALTIES["c_node"][2] == 1e-3 and PENALTIES["path_reg"][2] == 1e-4
    recipe = Recipe(epochs=1, learning_rate=0)
    model = PhoenixRegressor(4, "c_node", recipe=recipe, random_state=0).fit(samples)
    assert model.history_["penalty"][0] == pytest.approx(1e-3 * path_sizes(model.network_).item(), rel=1e-5)
