"""The network of PHOENIX, its gates and its penalties, against the equations of the papers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy.special import expit

from sbnn.dynamics import PUBLISHED_OPTIONS
from sbnn.dynamics.phoenix import LAYERS, Phoenix


def to_arrays(tensors):
    """Arrays by name, from pairs of names and tensors."""
    return {name: tensor.detach().double().numpy() for name, tensor in tensors}


@pytest.fixture
def w(phoenix):
    """Weights by name; those of two sums are zero."""
    phoenix.sum_in.data[:2] = 0
    return to_arrays(phoenix.named_parameters())


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


@pytest.fixture
def published_start(generator):
    """Weights at the start as `torch.nn.init.sparse_` and `torch.nn.Linear` set them."""
    as_published = ("exact_zeros", "random_biases")
    return Phoenix(n_genes=400, n_hidden=50, generator=generator, as_published=as_published)


def test_published_input_weights_are_mostly_zero(published_start):
    n_zeros = (published_start.sum_in == 0).sum(dim=0)
    assert (n_zeros == np.ceil(0.95 * 50)).all(), "of each gene"


def test_published_input_weights_have_an_sd(published_start):
    weights = published_start.sum_in
    assert weights[weights != 0].std().item() == approx(0.05, rel=0.1)


def test_published_biases_are_uniform(published_start):
    biases = published_start.sum_bias
    assert biases.abs().max().item() == approx(1 / 20, rel=0.1)
    assert biases.std().item() == approx(1 / 20 / 3**0.5, rel=0.2)


@pytest.fixture
def gated(generator):
    return Phoenix(n_genes=6, n_hidden=4, generator=generator, gated=True)


@pytest.mark.parametrize(("name", "odds"), [*zip(LAYERS, (4, 4, 1, 1), strict=True)])
def test_gates_start_with_odds(gated, name, odds):
    """Genes start closed with a probability of 0.2, sums and products with 0.5."""
    assert_allclose(gated.locations[name].detach(), np.log(odds), rtol=1e-5)


def test_gates_belong_to_columns_of_layers(gated):
    for name, weights in zip(LAYERS, gated.weights, strict=True):
        torch.testing.assert_close(weights, getattr(gated, name) * gated.gates[name])
        assert gated.gates[name].min() >= 0


def test_gates_are_random_in_training(gated, generator):
    before = gated.gates["sum_out"]
    gated.sample_gates(generator)
    assert not torch.equal(gated.gates["sum_out"], before)


def test_gates_are_fixed_after_training(gated):
    gated.eval().sample_gates()
    location = gated.locations["sum_in"].detach().numpy()
    expected = np.clip(1.2 * expit(location) - 0.1, 0, 1)
    assert_allclose(gated.gates["sum_in"].detach(), expected, atol=1e-6)


def test_weights_stay_without_their_gates(gated):
    gated.eval().sample_gates()
    before = gated.weights
    gated.remove_gates()
    torch.testing.assert_close(gated.weights, before)
    assert not gated.gates


@pytest.fixture
def varied_gates(gated, generator):
    """With another probability for each gate."""
    for location in gated.locations.values():
        location.data.normal_(generator=generator)
    gated.sample_gates(generator)
    return gated


@pytest.fixture
def probabilities(varied_gates):
    """Probabilities that gates are open, by layer."""
    locations = to_arrays(varied_gates.locations.items())
    shift = 2 / 3 * np.log(0.1 / 1.1)
    return {name: expit(location - shift) for name, location in locations.items()}


def count_paths(is_open):
    """Mean number of open paths between two genes."""
    n_paths = 0
    for kind in ("sum", "product"):
        n_paths += is_open[f"{kind}_in"].mean() * is_open[f"{kind}_out"].sum()
    return n_paths


def path_sizes(network):
    """Mean over pairs of genes of the sum of the sizes of their paths."""
    weights = to_arrays(network.named_parameters())
    through_sums = np.abs(weights["sum_out"]) @ np.abs(weights["sum_in"])
    through_products = np.abs(weights["product_out"]) @ np.abs(weights["product_in"])
    return (through_sums + through_products).mean()


def test_l0_is_the_fraction_of_open_weights(varied_gates, probabilities):
    n_open = 0
    for name, p in probabilities.items():
        n_open += p.sum() * len(getattr(varied_gates, name))
    assert varied_gates.penalty("l0").item() == approx(n_open / (4 * 24), rel=1e-5)


def test_c_node_is_the_size_of_paths(varied_gates):
    assert varied_gates.penalty("c_node").item() == approx(path_sizes(varied_gates), rel=1e-5)


def test_path_reg_counts_paths_by_probability(varied_gates, probabilities):
    expected = count_paths(probabilities) + 10 * path_sizes(varied_gates)
    assert varied_gates.penalty("path_reg").item() == approx(expected, rel=1e-5)


def test_published_path_reg_counts_sampled_paths(varied_gates):
    varied_gates.as_published = PUBLISHED_OPTIONS
    gates = to_arrays(varied_gates.gates.items())
    expected = count_paths(gates) + 10 * path_sizes(varied_gates)
    assert varied_gates.penalty("path_reg").item() == approx(expected, rel=1e-5)
