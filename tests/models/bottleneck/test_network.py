"""Layers, and the written-out gradient against autograd."""

import copy

import pytest
import torch
from torch.nn.functional import elu, silu
from torch.testing import assert_close

from sbnn.models.bottleneck.network import (
    BottleneckNetwork,
    apply_layers,
    backpropagate,
    layers_of,
)

SIZES = [7, 6, 4, 2, 4, 6, 5]


def network_of(sizes=SIZES, activation="elu", networks=()):
    generator = torch.Generator().manual_seed(0)
    return BottleneckNetwork(sizes, activation, networks, generator=generator)


@pytest.fixture
def network():
    return network_of()


@pytest.mark.parametrize(("name", "function"), [("elu", elu), ("silu", silu)])
def test_activation_between_layers_linear_at_bottleneck_and_output(name, function):
    network = network_of(activation=name)
    x = torch.randn(50, 7)
    hidden = x
    for i, (weight, bias, _) in enumerate(network.layers):
        hidden = hidden @ weight + bias
        if i == 2:
            assert network.bottleneck == 2
            assert_close(network(x, last=3), hidden)
            assert_close(network(hidden, first=3), network(x))
        if i not in (2, 5):
            hidden = function(hidden)
    assert_close(network(x), hidden)
    double = copy.deepcopy(network).double()
    assert_close(double(x.double()), hidden, check_dtype=False)


def test_weights_are_glorot_uniform_and_biases_zero():
    network = network_of([1000, *SIZES[1:]])
    for weight, bias, _ in network.layers:
        bound = (6 / sum(weight.shape)) ** 0.5
        assert 0.8 * bound < weight.abs().max() <= bound
        assert not bias.any()
    first = network.layers[0].weight
    assert abs(first.mean()) < 0.03 * first.abs().max()
    assert first.std() / first.abs().max() == pytest.approx(3**-0.5, rel=0.03)


@pytest.mark.parametrize("activation", ["elu", "silu"])
@pytest.mark.parametrize(("first", "networks"), [(0, ()), (2, ()), (3, ()), (0, (3,))])
def test_gradient_equals_autograd(first, networks, activation):
    network = network_of(activation=activation, networks=networks)
    x = torch.randn(*networks, 9, SIZES[first])
    y = torch.randn(*networks, 9, 5)
    flat = torch.zeros_like(network.flat)
    layers = network.layers[first:]
    gradients = layers_of(flat, SIZES, networks)[first:]
    output, passed = apply_layers(layers, activation, x)
    backpropagate((output - y) * (2 / y.numel()), layers, activation, passed, gradients)
    network.flat.requires_grad_()
    (network(x, first=first) - y).square().mean().backward()
    assert_close(flat, network.flat.grad)


def test_networks_at_once_equal_separate_ones():
    together = network_of(networks=(3,))
    x = torch.randn(3, 9, 7)
    for own, layers, output in zip(x, together.separate(), together(x), strict=True):
        assert_close(apply_layers(layers, "elu", own)[0], output)
    first, second, _ = [layers[0].weight for layers in together.separate()]
    assert (first != second).any()


def test_a_new_head_leaves_the_latent_space(network):
    x = torch.randn(4, 7)
    latent = network(x, last=3)
    network.replace_head(3, torch.Generator())
    head = network.layers[-1]
    assert head.weight.shape == (6, 3)
    assert head.weight.any() and not head.bias.any()
    assert_close(network(x, last=3), latent)


def test_cutting_genes_keeps_their_weights(network):
    kept = torch.tensor([1, 4])
    x = torch.randn(5, 7)
    alone = torch.zeros_like(x)
    alone[:, kept] = x[:, kept]
    expected = network(alone)
    norms = network.layers[0].weight.square().sum(1).sqrt()
    network.keep_inputs(kept)
    assert_close(network(x[:, kept]), expected)
    assert_close(network.input_norms(), norms[kept])
