"""The bottleneck network; in Bernaerts et al. (arXiv 2006.10411), genes -> 512 -> 128 -> d -> 128 -> 512 -> outputs."""

# The network is small, so on a CPU a general-purpose autograd spends much of its time on
# bookkeeping. All weights are therefore stored in one flat vector, layer by layer, and `Gradient`
# writes the gradient in the same layout with a few matrix products. An optimiser step is then one
# fused call, and if the first layers are frozen, the step updates only the end of the vector. The
# weights are ordinary parameters, so `forward` also works with autograd.

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from sbnn.models.bottleneck.products import affine, product, write_gradient


class Activation(NamedTuple):
    """A nonlinearity; `backward` computes the gradient from the values that `apply` saves."""

    forward: Callable
    apply: Callable
    backward: Callable


def _apply_elu(x):
    F.elu_(x)
    return x, x


ACTIVATIONS = {
    "elu": Activation(
        F.elu, _apply_elu, lambda d, after: torch.ops.aten.elu_backward(d, 1, 1, 1, True, after)
    ),
    "silu": Activation(F.silu, lambda x: (F.silu(x), x), torch.ops.aten.silu_backward),
}


class BottleneckNetwork(nn.Module):
    """Multilayer perceptron with a linear bottleneck; the decoder mirrors the `hidden_layers` of the encoder."""

    # Weights have shape (inputs, outputs), so that the outgoing weights of a gene are one
    # contiguous row.

    def __init__(
        self,
        n_inputs,
        n_outputs,
        n_components=2,
        hidden_layers=(512, 128),
        activation="elu",
        *,
        generator,
    ):
        super().__init__()
        self.activation = activation
        sizes = [n_inputs, *hidden_layers, n_components, *hidden_layers[::-1], n_outputs]
        self.bottleneck = len(hidden_layers)  # index of the layer whose output is the latent space
        self._lay_out([torch.empty(a, b) for a, b in zip(sizes, sizes[1:], strict=False)])
        for layer in range(len(self.weights)):
            self.reset_layer(layer, generator)

    def _lay_out(self, weights, biases=None):
        """Put weights and biases into one flat vector; the parameters are views of this vector."""
        biases = biases or [torch.zeros(w.shape[1]) for w in weights]
        self.offsets = [0]
        for w, b in zip(weights, biases, strict=True):
            self.offsets.append(self.offsets[-1] + w.numel() + b.numel())
        self.flat = torch.cat(
            [t.detach().reshape(-1) for wb in zip(weights, biases, strict=True) for t in wb]
        )
        views = _views(self.flat, weights, biases)
        self.weights = nn.ParameterList(nn.Parameter(w) for w, _ in views)
        self.biases = nn.ParameterList(nn.Parameter(b) for _, b in views)

    def _apply(self, fn, recurse=True):
        """Move to another device or dtype, keeping the flat layout."""
        super()._apply(fn, recurse)
        self._lay_out(list(self.weights), list(self.biases))
        return self

    def __setstate__(self, state):
        """Make the parameters views of the flat vector again, which they no longer are after copying or pickling."""
        super().__setstate__(state)
        self._lay_out(list(self.weights), list(self.biases))

    @property
    def shapes(self):
        """Numbers of inputs and outputs of every layer, as a list of pairs."""
        return [tuple(w.shape) for w in self.weights]

    @torch.no_grad()
    def reset_layer(self, layer, generator):
        """Reinitialise a layer with Glorot-uniform weights and zero biases."""
        weight, bias = self.weights[layer], self.biases[layer]
        bound = math.sqrt(6 / sum(weight.shape))
        weight.copy_(torch.rand(weight.shape, generator=generator) * (2 * bound) - bound)
        bias.zero_()

    @torch.no_grad()
    def replace_head(self, n_outputs, generator):
        """Replace the output layer by a new layer with `n_outputs` units."""
        weights, biases = list(self.weights), list(self.biases)
        weights[-1] = weights[-1].new_empty(weights[-1].shape[0], n_outputs)
        biases[-1] = biases[-1].new_zeros(n_outputs)
        self._lay_out(weights, biases)
        self.reset_layer(-1, generator)

    @torch.no_grad()
    def scale_outputs(self, factors):
        """Multiply every output by a factor; the latent space is unchanged."""
        self.weights[-1].mul_(factors)
        self.biases[-1].mul_(factors)

    @torch.no_grad()
    def keep_inputs(self, index):
        """Reduce the first layer to the given genes; the rest of the network is unchanged."""
        weights = list(self.weights)
        self._lay_out([weights[0][index], *weights[1:]], list(self.biases))

    @torch.no_grad()
    def input_norms(self):
        """2-norm of the outgoing weights of every gene."""
        return torch.linalg.vector_norm(self.weights[0], dim=-1)

    def _linear(self, layer):
        """Whether a layer has no activation function."""
        return layer == self.bottleneck or layer == len(self.weights) - 1

    def forward(self, x, first=0, last=None):
        """Apply the layers ``first`` ... ``last - 1``."""
        for layer in range(first, len(self.weights) if last is None else last):
            x = affine(self.biases[layer], x, self.weights[layer])
            if not self._linear(layer):
                x = ACTIVATIONS[self.activation].forward(x)
        return x

    def encode(self, x):
        """Map inputs of shape (n, n_inputs) to latent coordinates of shape (n, n_components)."""
        return self(x, last=self.bottleneck + 1)


def _views(flat, weights, biases):
    """Pairs of views of a flat vector, shaped like the given weights and biases."""
    views, end = [], 0
    for w, b in zip(weights, biases, strict=True):
        start, middle, end = end, end + w.numel(), end + w.numel() + b.numel()
        views.append((flat[start:middle].view(w.shape), flat[middle:end].view(b.shape)))
    return views


class Ensemble(BottleneckNetwork):
    """Networks of the same shape that run together; the first axis of every weight array indexes the networks."""

    def __init__(self, networks):
        nn.Module.__init__(self)
        self.activation, self.bottleneck = networks[0].activation, networks[0].bottleneck
        weights = [torch.stack(own) for own in zip(*(n.weights for n in networks), strict=True)]
        biases = [
            torch.stack(own)[:, None] for own in zip(*(n.biases for n in networks), strict=True)
        ]
        self._lay_out(weights, biases)

    def member(self, i):
        """A copy of one network, on the same device."""
        network = BottleneckNetwork(
            1, 1, 1, (1,) * self.bottleneck, self.activation, generator=torch.Generator()
        )
        network._lay_out([w[i] for w in self.weights], [b[i, 0] for b in self.biases])
        return network


class Gradient:
    """Forward pass and gradient of a network, starting at a given layer, without autograd."""

    def __init__(self, network, first=0):
        self.first = first
        self.start = network.offsets[first]
        self.flat = torch.zeros_like(network.flat[self.start :])
        self.network_weights = [w.detach() for w in network.weights][first:]
        self.network_biases = [b.detach() for b in network.biases][first:]
        self.linear = [network._linear(layer) for layer in range(first, len(network.weights))]
        self.activation = ACTIVATIONS[network.activation]
        self.weights, self.biases = zip(
            *_views(self.flat, self.network_weights, self.network_biases), strict=True
        )

    def forward(self, x):
        """Return the network output for a batch, and store the values that `backward` needs."""
        self.inputs, self.saved = [], []
        for weight, bias, linear in zip(
            self.network_weights, self.network_biases, self.linear, strict=True
        ):
            self.inputs.append(x)
            x, saved = affine(bias, x, weight), None
            if not linear:
                x, saved = self.activation.apply(x)
            self.saved.append(saved)
        return x

    def backward(self, delta):
        """Compute the gradients of weights and biases for a batch, given the gradient of the loss at the output."""
        many = delta.dim() == 3
        for layer in range(len(self.weights) - 1, -1, -1):
            if not self.linear[layer]:
                delta = self.activation.backward(delta, self.saved[layer])
            write_gradient(self.inputs[layer], delta, self.weights[layer])
            torch.sum(delta, -2, keepdim=many, out=self.biases[layer])
            if layer:
                delta = product(delta, self.network_weights[layer].mT)
