"""The network of PHOENIX against the equations of the paper."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.dynamics.phoenix import LAYERS, Phoenix


@pytest.fixture
def w(phoenix):
    """Weights by name; those of two sums are zero."""
    phoenix.sum_in.data[:2] = 0
    return {name: value.detach().double().numpy() for name, value in phoenix.named_parameters()}


def test_targets_are_sums_and_products(rng, phoenix, w):
    x = rng.uniform(-1, 2, (3, 20))
    u = (x - 0.5) / (1 + np.abs(x - 0.5))
    sums = u @ w["sum_in"].T + w["sum_bias"]
    products = np.prod((1 + u[:, None]) ** w["product_in"], axis=2) * np.exp(w["product_bias"])
    expected = sums @ w["sum_out"].T + products @ w["product_out"].T
    assert_allclose(phoenix.double().targets(torch.tensor(x)).detach(), expected)


def test_edges_are_paths_times_decay_rates(phoenix, w):
    rates = np.maximum(w["multiplier"], 0)
    paths = w["sum_out"] @ w["sum_in"] + w["product_out"] @ w["product_in"]
    assert_allclose(phoenix.edges(), (rates[:, None] * paths).T)


def test_sparsity_counts_weights_of_constant_genes(phoenix, w):
    changes = (w["multiplier"] > 0)[:, None]
    layers = [w["sum_in"], w["product_in"], changes * w["sum_out"], changes * w["product_out"]]
    zeros = [(layer == 0).mean() for layer in layers]
    assert phoenix.sparsity() == approx(np.mean(zeros))


def test_penalties_are_means_over_gates_that_are_drawn(generator, phoenix, w):
    """Of the fraction of the weights with an open gate, and of open paths between two genes."""
    gated = Phoenix(n_genes=20, n_hidden=5, gated=True)
    gated.load_state_dict(phoenix.state_dict(), strict=False)
    for location in gated.locations.values():
        location.data.normal_(generator=generator)
    fractions, paths = [], []
    for _ in range(2000):
        gated.sample_gates(generator)
        gates = {name: (gate > 0).double() for name, gate in gated.gates.items()}
        layers = [gates[name].expand(getattr(gated, name).shape) for name in LAYERS]
        fractions.append(np.mean([layer.mean() for layer in layers]))
        sum_in, product_in, sum_out, product_out = layers
        paths.append((sum_out @ sum_in + product_out @ product_in).mean())
    sizes = {name: np.abs(values) for name, values in w.items()}
    path_sizes = sizes["sum_out"] @ sizes["sum_in"] + sizes["product_out"] @ sizes["product_in"]
    assert gated.penalty("l0").item() == approx(np.mean(fractions), rel=0.02)
    assert gated.penalty("c_node").item() == approx(path_sizes.mean(), rel=1e-5)
    of_paths = gated.penalty("path_reg").item() - 10 * path_sizes.mean()
    assert of_paths == approx(np.mean(paths), rel=0.03)
