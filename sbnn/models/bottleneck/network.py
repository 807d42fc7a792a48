"""The bottleneck network; in the paper, genes -> 512 -> 128 -> d -> 128 -> 512 -> outputs."""

# In so small a network, autograd and optimisers mostly do bookkeeping. All weights are therefore in
# one flat vector, layer by layer, like the gradient, and a step is one fused call on its end.

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn


class Activation(NamedTuple):
    """`apply` returns values and what `backward` needs."""

    apply: Callable
    backward: Callable


def _apply_elu(x):
    F.elu_(x)
    return x, x


def _backward_elu(delta, after):
    return torch.ops.aten.elu_backward(delta, 1, 1, 1, True, after)


def _apply_silu(x):
    return F.silu(x), x


ACTIVATIONS = {
    "elu": Activation(_apply_elu, _backward_elu),
    "silu": Activation(_apply_silu, torch.ops.aten.silu_backward),
}


class BottleneckNetwork(nn.Module):
    """Multilayer perceptron with a linear bottleneck; the decoder mirrors the encoder."""

    # Weights have shape (inputs, outputs), so that those of a gene are a contiguous row.

    def __init__(
        self, n_inputs, n_outputs, n_components, hidden_layers, activation="elu", *, generator
    ):
        super().__init__()
        self.activation = activation
        self.bottleneck = len(hidden_layers)  # index of the layer with the latent space
        sizes = [n_inputs, *hidden_layers, n_components, *hidden_layers[::-1], n_outputs]
        self.shapes = list(pairwise(sizes))  # (inputs, outputs) of every layer
        self.register_buffer("flat", torch.zeros(sum(map(n_values, self.shapes))))
        for layer in range(len(self.shapes)):
            self.reset_layer(layer, generator)

    @property
    def weights(self):
        """Of every layer, as views."""
        return _views(self.flat, self.shapes)[0]

    @property
    def biases(self):
        """Of every layer, as views."""
        return _views(self.flat, self.shapes)[1]

    @torch.no_grad()
    def reset_layer(self, layer, generator):
        """Draw Glorot-uniform weights; set biases to zero."""
        weight = self.weights[layer]
        bound = math.sqrt(6 / sum(weight.shape))
        uniform = torch.rand(weight.shape, generator=generator)
        weight.copy_(uniform * (2 * bound) - bound)
        self.biases[layer].zero_()

    @torch.no_grad()
    def replace_head(self, n_outputs, generator):
        """Replace the output layer by a new one."""
        n_units, _ = last = self.shapes.pop()
        others = self.flat[: -n_values(last)]
        self.shapes.append((n_units, n_outputs))
        head = others.new_zeros(n_values(self.shapes[-1]))
        self.flat = torch.cat([others, head])
        self.reset_layer(-1, generator)

    @torch.no_grad()
    def keep_inputs(self, index):
        """Reduce the first layer to the given genes."""
        weights = self.weights[0]
        kept = weights[index]
        others = self.flat[weights.numel() :]
        self.flat = torch.cat([kept.flatten(), others])
        self.shapes[0] = tuple(kept.shape)

    @torch.no_grad()
    def input_norms(self):
        """2-norm of the outgoing weights of every gene."""
        return torch.linalg.vector_norm(self.weights[0], dim=1)

    def is_linear(self, layer):
        """Whether a layer has no activation function."""
        return layer in (self.bottleneck, len(self.shapes) - 1)

    def forward(self, x, first=0, last=None):
        """Apply the layers ``first`` ... ``last - 1``, by default all."""
        activation = ACTIVATIONS[self.activation]
        weights, biases = _views(self.flat, self.shapes)
        for layer in range(len(weights))[first:last]:
            x = affine(biases[layer], x, weights[layer])
            if not self.is_linear(layer):
                x, _ = activation.apply(x)
        return x


def affine(bias, x, weight):
    """``bias + x @ weight``, (n, q), or (m, n, q) for m networks."""
    add = torch.addmm if weight.dim() == 2 else torch.baddbmm
    return add(bias, x, weight)


def n_values(shape):
    """Number of weights and biases of a layer, also of several networks."""
    *networks, n_inputs, n_outputs = shape
    return math.prod(networks) * (n_inputs + 1) * n_outputs


def _views(flat, shapes):
    weights = []
    biases = []
    for shape in shapes:
        *networks, n_inputs, n_outputs = shape
        n_weights = math.prod(shape)
        end = n_values(shape)
        weights.append(flat[:n_weights].view(shape))
        biases.append(flat[n_weights:end].view(*networks, 1, n_outputs))
        flat = flat[end:]
    return weights, biases


class Ensemble(BottleneckNetwork):
    """Networks of one shape that run together, along the first axis."""

    def __init__(self, networks):
        nn.Module.__init__(self)
        self.activation = networks[0].activation
        self.bottleneck = networks[0].bottleneck
        self.shapes = [(len(networks), *shape) for shape in networks[0].shapes]
        self.flat = torch.zeros(sum(map(n_values, self.shapes))).to(networks[0].flat)
        for own, separate in self._pairs(networks):
            own.copy_(separate)

    def write_to(self, networks):
        """Copy the weights and biases to the separate networks."""
        for own, separate in self._pairs(networks):
            separate.copy_(own)

    def _pairs(self, networks):
        for i, network in enumerate(networks):
            stacked = self.weights + self.biases
            for own, separate in zip(stacked, network.weights + network.biases, strict=True):
                yield own[i], separate


class Gradient:
    """Forward pass and gradient of a network from a given layer on."""

    def __init__(self, network, first=0):
        shapes = network.shapes[first:]
        self.activation = ACTIVATIONS[network.activation]
        self.linear = [network.is_linear(first + layer) for layer in range(len(shapes))]
        self.network_weights = network.weights[first:]
        self.network_biases = network.biases[first:]
        n_trained = sum(map(n_values, shapes))
        self.trained = network.flat[-n_trained:]  # the values that an optimiser changes
        self.flat = torch.zeros_like(self.trained)
        self.weights, self.biases = _views(self.flat, shapes)

    def forward(self, x):
        """Output; stores what `backward` needs."""
        self.inputs = []
        self.saved = []
        for layer, linear in enumerate(self.linear):
            self.inputs.append(x)
            x = affine(self.network_biases[layer], x, self.network_weights[layer])
            saved = None
            if not linear:
                x, saved = self.activation.apply(x)
            self.saved.append(saved)
        return x

    def backward(self, delta):
        """Gradients, from that of the loss at the output, (n, q)."""
        for layer in reversed(range(len(self.weights))):
            if not self.linear[layer]:
                delta = self.activation.backward(delta, self.saved[layer])
            torch.matmul(self.inputs[layer].mT, delta, out=self.weights[layer])
            torch.sum(delta, -2, keepdim=True, out=self.biases[layer])
            if layer:
                delta = delta @ self.network_weights[layer].mT
