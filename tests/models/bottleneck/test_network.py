import copy

import numpy as np
import pytest
import torch

from sbnn.models.bottleneck.network import BottleneckNetwork, Gradient


@pytest.fixture
def network():
    return BottleneckNetwork(7, 5, 2, (6, 4), generator=torch.Generator().manual_seed(0))


def test_elu_between_layers_linear_at_bottleneck_and_output(network):
    x = torch.randn(50, 7)
    linear = torch.addmm(network.biases[2], network(x, last=2), network.weights[2])
    torch.testing.assert_close(network.encode(x), linear)
    hidden = torch.nn.functional.elu(torch.addmm(network.biases[0], x, network.weights[0]))
    torch.testing.assert_close(network(x, last=1), hidden)


@pytest.mark.parametrize("activation", ["elu", "silu"])
@pytest.mark.parametrize("first", [0, 2, 3])
def test_gradient_equals_autograd(network, first, activation):
    network.activation = activation
    x, y = torch.randn(9, network.shapes[first][0]), torch.randn(9, 5)
    (network(x, first=first) - y).square().mean().backward()
    gradient = Gradient(network, first)
    gradient.backward((gradient.forward(x) - y) * (2 / y.numel()))
    layers = zip(network.weights[first:], network.biases[first:], strict=True)
    expected = [t.grad.reshape(-1) for layer in layers for t in layer]
    torch.testing.assert_close(gradient.flat, torch.cat(expected))


def assert_flat_is_shared(network):
    network.flat += 1
    start = 0
    for weight, bias in zip(network.weights, network.biases, strict=True):
        for part in (weight, bias):
            np.testing.assert_array_equal(
                part.detach().reshape(-1), network.flat[start : start + part.numel()]
            )
            start += part.numel()
    assert start == network.flat.numel()


def test_parameters_stay_views_of_the_flat_vector(network):
    x = torch.randn(4, 7)
    before = network(x)
    for again in (copy.deepcopy(network), copy.deepcopy(network).double()):
        torch.testing.assert_close(again(x.to(again.flat.dtype)), before, check_dtype=False)
        assert_flat_is_shared(again)
    network.replace_head(3, torch.Generator())
    network.keep_inputs(torch.tensor([0, 3, 6]))
    assert_flat_is_shared(network)


def test_cutting_genes_keeps_their_weights(network):
    kept = torch.tensor([1, 4])
    x = torch.randn(5, 7)
    alone = torch.zeros_like(x)
    alone[:, kept] = x[:, kept]
    expected = network(alone)
    norms = network.input_norms()[kept]
    network.keep_inputs(kept)
    torch.testing.assert_close(network(x[:, kept]), expected)
    torch.testing.assert_close(network.input_norms(), norms)
