"""The bottleneck network, in the paper genes -> 512 -> 128 -> d -> 128 -> 512 -> outputs."""

# In so small a network, autograd and optimisers mostly do bookkeeping, so the gradient is written
# out, into the same tensors in every step.

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

WEIGHT_DECAY = 1e-10  # of all weights and biases without a group lasso
ACTIVATIONS = {"elu": F.elu_, "silu": F.silu}
# take what the activation function was given, in which `elu_` has left its values
BACKWARD = {
    "elu": lambda delta, after: torch.ops.aten.elu_backward(delta, 1, 1, 1, True, after),
    "silu": torch.ops.aten.silu_backward,
}


# -- layers ----------------------------------------------------------------------------------------


class Layer(NamedTuple):
    """Weights, (inputs, outputs), so that those of a gene are a row, and biases, (1, outputs).

    With several networks, both have one more axis in front.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    is_linear: bool  # without an activation function: the bottleneck and the output


class BottleneckNetwork:
    """Multilayer perceptron with a linear bottleneck in the middle.

    `sizes` has the number of genes, of the units of every layer, and of outputs.
    """

    def __init__(self, sizes, activation="elu", *, generator, device="cpu"):
        self.activation = activation
        self.bottleneck = len(sizes) // 2 - 1  # index of the layer with the latent space
        linear = self.bottleneck, len(sizes) - 2
        self.layers = [
            sample_layer(*shape, number in linear, generator, device)
            for number, shape in enumerate(pairwise(sizes))
        ]

    def replace_head(self, n_outputs, generator):
        """Replace the output layer by a new one."""
        units = self.layers[-1].weight
        self.layers[-1] = sample_layer(len(units), n_outputs, True, generator, units.device)

    def input_norms(self):
        """2-norm of the outgoing weights of every gene."""
        return torch.linalg.vector_norm(self.layers[0].weight, dim=1)

    def __call__(self, x, last=None):
        """Apply the layers up to ``last - 1``, by default all."""
        return apply_layers(self.layers[:last], self.activation, x)


def sample_layer(n_inputs, n_outputs, is_linear, generator, device):
    """Layer with Glorot-uniform weights and without biases."""
    bound = math.sqrt(6 / (n_inputs + n_outputs))
    weight = torch.rand((n_inputs, n_outputs), generator=generator) * (2 * bound) - bound
    return Layer(weight.to(device), torch.zeros((1, n_outputs), device=device), is_linear)


def list_parameters(layers):
    """Weights and biases, layer by layer."""
    return [values for layer in layers for values in layer[:2]]


# -- the gradient ----------------------------------------------------------------------------------


def apply_layers(layers, activation, x, passed=None):
    """Output for x, (n, inputs).

    What each layer was given, and gave before its activation, is appended to a list `passed`.
    """
    for weight, bias, is_linear in layers:
        add = torch.addmm if weight.dim() == 2 else torch.baddbmm
        before = add(bias, x, weight)
        if passed is not None:
            passed.append((x, before))
        x = before if is_linear else ACTIVATIONS[activation](before)
    return x


def backpropagate(delta, layers, activation, passed, gradients):
    """Write the gradients of weights and biases, from that of the loss at the output, (n, q)."""
    for i in reversed(range(len(layers))):
        x, before = passed[i]
        if not layers[i].is_linear:
            delta = BACKWARD[activation](delta, before)
        torch.matmul(x.mT, delta, out=gradients[2 * i])
        torch.sum(delta, -2, keepdim=True, out=gradients[2 * i + 1])
        if i:
            delta = delta @ layers[i].weight.mT


# Losses: the sum over cells, and the gradient of the mean at the output, which they may overwrite.


def squared_error(output, target, weights=None):
    """Squared error, (n, q), or of several networks, (m, n, q); weights of the gradient: (n, 1)."""
    residual = output.sub_(target)
    value = residual.square().sum()
    if weights is not None:
        residual.mul_(weights)
    return value, residual.mul_(2 / target.shape[-2:].numel())


def cross_entropy(output, target):
    """Cross-entropy of class labels, (n,), given scores, (n, n_classes)."""
    value = F.cross_entropy(output, target, reduction="sum")
    slope = F.log_softmax(output, 1).exp_()
    slope[torch.arange(len(target), device=target.device), target] -= 1
    return value, slope.div_(len(target))


def add_penalties(lasso, values, gradients):
    """Add the gradients of weight decay and, for the first weights, (p, units), of a group lasso.

    The group lasso is `lasso` times the sum of the norms of rows.
    """
    if lasso:
        norms = torch.linalg.vector_norm(values[0], dim=1, keepdim=True).clamp_min_(1e-12)
        gradients[0].addcdiv_(values[0], norms, value=lasso)
        values, gradients = values[1:], gradients[1:]
    torch._foreach_add_(gradients, values, alpha=2 * WEIGHT_DECAY)


# -- the descent -----------------------------------------------------------------------------------


def train(layers, activation, batches, rates, loss=squared_error, penalty=None, epsilon=1e-8):
    """Take a step of Adam for every batch (inputs, target) and rate; yield the loss before it.

    Adam: Kingma and Ba, arXiv 1412.6980. A penalty adds to the gradients of weights and biases.
    """
    values = list_parameters(layers)
    flat = parameters_to_vector(values)
    slopes, means, squares = (torch.zeros_like(flat) for _ in range(3))
    gradients = [torch.empty_like(value) for value in values]
    # make them views of one vector, on which Adam is a single fused call
    vector_to_parameters(flat, values)
    vector_to_parameters(slopes, gradients)
    count = flat.new_zeros(())
    for rate, (inputs, target) in zip(rates, batches, strict=False):
        passed = []
        value, delta = loss(apply_layers(layers, activation, inputs, passed), target)
        backpropagate(delta, layers, activation, passed, gradients)
        if penalty is not None:
            penalty(values, gradients)
        count += 1
        # what torch.optim.Adam(fused=True) calls
        torch._fused_adam_(
            [flat],
            [slopes],
            [means],
            [squares],
            [],
            [count],
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
        )
        yield value
