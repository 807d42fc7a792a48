"""The bottleneck network; in the paper, genes -> 512 -> 128 -> d -> 128 -> 512 -> outputs."""

# In so small a network, autograd and optimisers mostly do bookkeeping. All weights are therefore in
# one flat vector, layer by layer, like the gradient, and a step is one fused call on its end.

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {"elu": F.elu_, "silu": F.silu}
# take what the activation function was given, in which `elu_` has left its values
BACKWARD = {
    "elu": lambda delta, after: torch.ops.aten.elu_backward(delta, 1, 1, 1, True, after),
    "silu": torch.ops.aten.silu_backward,
}


class Layer(NamedTuple):
    """Weights, (inputs, outputs), so that those of a gene are a row, and biases, (1, outputs).

    With several networks, both have one more axis in front.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    is_linear: bool  # without an activation function: the bottleneck and the output


def layers_of(flat, sizes, networks=()):
    """Layers of one network, or of ``(m,)`` networks, as views of a flat vector."""
    n_networks = math.prod(networks)
    n_layers = len(sizes) - 1
    layers = []
    for number, (n_inputs, n_outputs) in enumerate(pairwise(sizes), 1):
        n_weights = n_networks * n_inputs * n_outputs
        n_biases = n_networks * n_outputs
        weight = flat[:n_weights].view(*networks, n_inputs, n_outputs)
        flat = flat[n_weights:]
        bias = flat[:n_biases].view(*networks, 1, n_outputs)
        flat = flat[n_biases:]
        layers.append(Layer(weight, bias, number in (n_layers // 2, n_layers)))
    return layers


def apply_layers(layers, activation, x):
    """Output for x, (n, inputs), and what each layer was given and gave before its activation."""
    passed = []
    for weight, bias, is_linear in layers:
        add = torch.addmm if weight.dim() == 2 else torch.baddbmm
        before = add(bias, x, weight)
        passed.append((x, before))
        x = before if is_linear else ACTIVATIONS[activation](before)
    return x, passed


def backpropagate(delta, layers, activation, passed, gradients):
    """Write the gradients of `layers`, from that of the loss at the output, (n, q)."""
    for i in reversed(range(len(layers))):
        x, before = passed[i]
        if not layers[i].is_linear:
            delta = BACKWARD[activation](delta, before)
        torch.matmul(x.mT, delta, out=gradients[i].weight)
        torch.sum(delta, -2, keepdim=True, out=gradients[i].bias)
        if i:
            delta = delta @ layers[i].weight.mT


class BottleneckNetwork(nn.Module):
    """Multilayer perceptron with a linear bottleneck in the middle.

    `sizes` has the number of genes, of the units of every layer, and of outputs. With `networks` =
    ``(m,)``, these are m networks that run at once, from inputs (m, n, genes).
    """

    def __init__(self, sizes, activation="elu", networks=(), *, generator):
        super().__init__()
        self.sizes = list(sizes)
        self.activation = activation
        self.networks = networks
        self.bottleneck = len(sizes) // 2 - 1  # index of the layer with the latent space
        n_values = sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(sizes))
        self.register_buffer("flat", torch.zeros(math.prod(networks) * n_values))
        for layers in self.separate() if networks else [self.layers]:
            for layer in layers:
                draw(layer, generator)

    @property
    def layers(self):
        """Layers, as views of the flat vector."""
        return layers_of(self.flat, self.sizes, self.networks)

    def separate(self):
        """Layers of each of several networks."""
        return [
            [Layer(weight[i], bias[i], is_linear) for weight, bias, is_linear in self.layers]
            for i in range(*self.networks)
        ]

    @torch.no_grad()
    def replace_head(self, n_outputs, generator):
        """Replace the output layer by a new one."""
        n_units = self.sizes[-2]
        n_head = (n_units + 1) * self.sizes[-1]
        head = self.flat.new_zeros((n_units + 1) * n_outputs)
        self.flat = torch.cat([self.flat[:-n_head], head])
        self.sizes[-1] = n_outputs
        draw(self.layers[-1], generator)

    @torch.no_grad()
    def keep_inputs(self, index):
        """Reduce the first layer to the given genes."""
        weights = self.layers[0].weight
        others = self.flat[weights.numel() :]
        self.flat = torch.cat([weights[index].flatten(), others])
        self.sizes[0] = len(index)

    @torch.no_grad()
    def input_norms(self):
        """2-norm of the outgoing weights of every gene."""
        return torch.linalg.vector_norm(self.layers[0].weight, dim=1)

    def forward(self, x, first=0, last=None):
        """Apply the layers ``first`` ... ``last - 1``, by default all."""
        output, _ = apply_layers(self.layers[first:last], self.activation, x)
        return output


@torch.no_grad()
def draw(layer, generator):
    """Draw Glorot-uniform weights; set biases to zero."""
    bound = math.sqrt(6 / sum(layer.weight.shape))
    uniform = torch.rand(layer.weight.shape, generator=generator)
    layer.weight.copy_(uniform * (2 * bound) - bound)
    layer.bias.zero_()
