"""Layers of the network, and its first weights."""

import pytest
import torch
from material.estimators import seeded
from torch.nn.functional import elu, silu
from torch.testing import assert_close

from sbnn.models.network import BottleneckNetwork

SIZES = [7, 6, 4, 2, 4, 6, 5]


@pytest.mark.parametrize(("name", "function"), [("elu", elu), ("silu", silu)])
def test_only_bottleneck_and_output_are_linear(name, function):
    network = BottleneckNetwork(SIZES, name, generator=torch.Generator())
    x = torch.randn(50, 7)
    hidden = [x]
    for i, (weight, bias, _) in enumerate(network.layers):
        values = hidden[-1] @ weight + bias
        hidden.append(values if i in (2, 5) else function(values))
    assert_close(network(x), hidden[6])
    assert_close(network(x, last=network.bottleneck + 1), hidden[3])


@pytest.fixture
def wide_network():
    generator = seeded()
    network = BottleneckNetwork([1000, *SIZES[1:]], generator=generator)
    network.replace_head(30, generator)
    return network


@pytest.mark.parametrize("i", range(6))
def test_weights_are_glorot_uniform(i, wide_network):
    weight = wide_network.layers[i].weight
    bound = (6 / sum(weight.shape)) ** 0.5
    assert 0.8 * bound < weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.3)


def test_biases_begin_at_zero(wide_network):
    assert not any(layer.bias.any() for layer in wide_network.layers)
