import copy

import pytest
import torch
from torch.nn.functional import elu
from torch.testing import assert_close

from sbnn.models.bottleneck.network import BottleneckNetwork, Gradient


def network_of(seed=0, n_inputs=7, activation="elu"):
    generator = torch.Generator().manual_seed(seed)
    return BottleneckNetwork(n_inputs, 5, 2, (6, 4), activation, generator=generator)


@pytest.fixture
def network():
    return network_of()


def test_elu_between_layers_linear_at_bottleneck_and_output(network):
    x = torch.randn(50, 7)
    hidden = x
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        hidden = hidden @ weight + bias
        if layer == 2:
            assert_close(network(x, last=3), hidden)
        if layer not in (2, 5):
            hidden = elu(hidden)
    assert_close(network(x), hidden)
    double = copy.deepcopy(network).double()
    assert_close(double(x.double()), hidden, check_dtype=False)


def test_weights_are_glorot_uniform_and_biases_zero():
    network = network_of(n_inputs=1000)
    for weight, bias in zip(network.weights, network.biases, strict=True):
        bound = (6 / sum(weight.shape)) ** 0.5
        assert 0.8 * bound < weight.abs().max() <= bound
        assert not bias.any()
    first = network.weights[0]
    assert abs(first.mean()) < 0.03 * first.abs().max()
    assert first.std() / first.abs().max() == pytest.approx(3**-0.5, rel=0.03)


@pytest.mark.parametrize("activation", ["elu", "silu"])
@pytest.mark.parametrize("first", [0, 2, 3])
def test_gradient_equals_autograd(first, activation):
    network = network_of(activation=activation)
    gradient = Gradient(network, first)
    n_inputs, _ = network.shapes[first]
    x, y = torch.randn(9, n_inputs), torch.randn(9, 5)
    gradient.backward((gradient.forward(x) - y) * (2 / y.numel()))
    network.flat.requires_grad_()
    (network(x, first=first) - y).square().mean().backward()
    n_frozen = network.flat.numel() - gradient.flat.numel()
    assert_close(gradient.flat, network.flat.grad[n_frozen:])
    assert_close(gradient.trained, network.flat[n_frozen:])


def test_a_new_head_leaves_the_latent_space(network):
    x = torch.randn(4, 7)
    latent = network(x, last=3)
    network.replace_head(3, torch.Generator())
    assert network.shapes[-1] == (6, 3)
    assert network.weights[-1].any() and not network.biases[-1].any()
    assert_close(network(x, last=3), latent)


def test_cutting_genes_keeps_their_weights(network):
    kept = torch.tensor([1, 4])
    x = torch.randn(5, 7)
    alone = torch.zeros_like(x)
    alone[:, kept] = x[:, kept]
    expected = network(alone)
    norms = network.weights[0].square().sum(1).sqrt()
    network.keep_inputs(kept)
    assert_close(network(x[:, kept]), expected)
    assert_close(network.input_norms(), norms[kept])
