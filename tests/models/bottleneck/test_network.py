"""Layers of the network, and its first weights."""

import pytest
import torch
from torch.nn.functional import elu, silu
from torch.testing import assert_close

from sbnn.models.network import BottleneckNetwork

SIZES = [7, 6, 4, 2, 4, 6, 5]


@pytest.mark.parametrize(("name", "function"), [("elu", elu), ("silu", silu)])
def test_activation_between_layers_linear_at_bottleneck_and_output(name, function):
    network = BottleneckNetwork(SIZES, name, generator=torch.Generator())
    x = torch.randn(50, 7)
    hidden = x
    for i, (weight, bias, _) in enumerate(network.layers):
        hidden = hidden @ weight + bias
        if i == 2:
            assert network.bottleneck == 2
            assert_close(network(x, last=3), hidden)
        if i not in (2, 5):
            hidden = function(hidden)
    assert_close(network(x), hidden)


def test_weights_are_glorot_uniform_and_biases_zero():
    generator = torch.Generator().manual_seed(0)
    network = BottleneckNetwork([1000, *SIZES[1:]], generator=generator)
    x = torch.randn(4, 1000)
    network.replace_head(30, generator)
    assert network(x).shape == (4, 30)
    for weight, bias, _ in network.layers:
        bound = (6 / sum(weight.shape)) ** 0.5
        assert 0.8 * bound < weight.abs().max() <= bound
        assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.3)
        assert not bias.any()
