"""Layers of the network, and its first weights."""

import pytest
import torch
from torch.nn.functional import elu, silu
from torch.testing import assert_close

from sbnn.models.network import BottleneckNetwork

SIZES = [7, 6, 4, 2, 4, 6, 5]


@pytest.mark.parametrize(("name", "function"), [("elu", elu), ("silu", silu)])
def test_only_bottleneck_and_output_are_linear(name, function):
    network = BottleneckNetwork(SIZES, name, generator=torch.Generator())
    x = torch.randn(50, 7)
    hidden = x
    for i, (weight, bias, _) in enumerate(network.layers):
        hidden = hidden @ weight + bias
        if i not in (2, 5):
            hidden = function(hidden)
    assert_close(network(x), hidden)


def test_the_bottleneck_is_in_the_middle():
    network = BottleneckNetwork(SIZES, generator=torch.Generator())
    latent = network(torch.randn(50, 7), last=network.bottleneck + 1)
    assert latent.shape == (50, 2)


@pytest.fixture
def wide_network():
    generator = torch.Generator().manual_seed(0)
    network = BottleneckNetwork([1000, *SIZES[1:]], generator=generator)
    network.replace_head(30, generator)
    return network


def test_the_head_can_be_replaced(wide_network):
    assert wide_network(torch.randn(4, 1000)).shape == (4, 30)


@pytest.mark.parametrize("i", range(6))
def test_weights_are_glorot_uniform(i, wide_network):
    weight = wide_network.layers[i].weight
    bound = (6 / sum(weight.shape)) ** 0.5
    assert 0.8 * bound < weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.3)


def test_biases_begin_at_zero(wide_network):
    assert not any(layer.bias.any() for layer in wide_network.layers)
