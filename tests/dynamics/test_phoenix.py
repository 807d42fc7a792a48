"""The network of PHOENIX against the equations of the paper."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx


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
