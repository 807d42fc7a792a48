"""The bottleneck network, in the paper genes -> 512 -> 128 -> d -> 128 -> 512 -> outputs."""

# In so small a network, autograd and optimisers mostly do bookkeeping, so the gradient is written
# out, into the same tensors in every step.

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

L2_PENALTY = 1e-10  # of all weights and biases without a group lasso
ACTIVATIONS: dict[str, Callable] = {"elu": F.elu_, "silu": F.silu}
# take what the activation function was given, in which `elu_` has left its values
BACKWARD: dict[str, Callable] = {
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

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "elu",
        *,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        self.activation = activation
        self.bottleneck = len(sizes) // 2 - 1  # index of the layer with the latent space
        linear = self.bottleneck, len(sizes) - 2
        self.layers = []
        for i, (n_inputs, n_outputs) in enumerate(pairwise(sizes)):
            is_linear = i in linear
            layer = sample_layer(n_inputs, n_outputs, is_linear, generator=generator, device=device)
            self.layers.append(layer)

    def replace_head(self, n_outputs: int, generator: torch.Generator) -> None:
        """Replace the output layer by a new one."""
        head = self.layers[-1].weight
        self.layers[-1] = sample_layer(
            len(head), n_outputs, is_linear=True, generator=generator, device=head.device
        )

    def input_norms(self) -> torch.Tensor:
        """2-norm of the outgoing weights of every gene."""
        return torch.linalg.vector_norm(self.layers[0].weight, dim=1)

    def __call__(self, x: torch.Tensor, last: int | None = None) -> torch.Tensor:
        """Apply the layers up to ``last - 1``, by default all."""
        return apply_layers(self.layers[:last], self.activation, x)


def sample_layer(
    n_inputs: int,
    n_outputs: int,
    is_linear: bool,
    generator: torch.Generator,
    device: torch.device | str,
) -> Layer:
    """Layer with Glorot-uniform weights and without biases."""
    # Glorot and Bengio, AISTATS 2010; drawn on the CPU, so that all devices have the same weights
    bound = math.sqrt(6 / (n_inputs + n_outputs))
    uniform = torch.rand((n_inputs, n_outputs), generator=generator)
    weight = uniform * (2 * bound) - bound
    bias = torch.zeros((1, n_outputs), device=device)
    return Layer(weight=weight.to(device), bias=bias, is_linear=is_linear)


# -- the gradient ----------------------------------------------------------------------------------


def apply_layers(
    layers: Iterable[Layer],
    activation: str,
    x: torch.Tensor,
    tape: list[tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> torch.Tensor:
    """Output for x, (n, inputs).

    What each layer was given, and gave before its activation, is appended to the list `tape`.
    """
    for weight, bias, is_linear in layers:
        add = torch.addmm if weight.dim() == 2 else torch.baddbmm  # of several networks
        before = add(bias, x, weight)
        if tape is not None:
            tape.append((x, before))
        x = before if is_linear else ACTIVATIONS[activation](before)
    return x


def backpropagate(
    delta: torch.Tensor,
    layers: Sequence[Layer],
    activation: str,
    tape: Sequence[tuple[torch.Tensor, torch.Tensor]],
    gradients: Sequence[torch.Tensor],
) -> None:
    """Write the gradients of weights and biases, from that of the loss at the output, (n, q)."""
    for i in reversed(range(len(layers))):
        x, before = tape[i]
        if not layers[i].is_linear:
            delta = BACKWARD[activation](delta, before)
        # of x W + b: x' delta for W, and the sum over cells of delta for b
        torch.matmul(x.mT, delta, out=gradients[2 * i])
        torch.sum(delta, -2, keepdim=True, out=gradients[2 * i + 1])
        if i:
            delta = delta @ layers[i].weight.mT


# Losses: the sum over cells, and the gradient of the mean at the output, which they may overwrite.


def squared_error(
    output: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared error, (n, q), or of several networks, (m, n, q); weights of the gradient: (n, 1)."""
    residual = output.sub_(target)
    value = residual.square().sum()
    if weights is not None:
        residual.mul_(weights)
    n_values = target.shape[-2:].numel()
    return value, residual.mul_(2 / n_values)


def cross_entropy(output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of class labels, (n,), given scores, (n, n_classes)."""
    value = F.cross_entropy(output, target, reduction="sum")
    # probabilities of the classes, minus 1 for that of the label
    slope = F.log_softmax(output, 1).exp_()
    cells = torch.arange(len(target), device=target.device)
    slope[cells, target] -= 1
    return value, slope.div_(len(target))


def add_penalties(lasso: float, values: list[torch.Tensor], gradients: list[torch.Tensor]) -> None:
    """Add the gradients of weight decay and, for the first weights, (p, units), of a group lasso.

    The group lasso is `lasso` times the sum of the norms of rows. The first weights must be those
    of the genes, so it is not for stages whose first layers are frozen.
    """
    if lasso:
        # w / |w| for each row w (Yuan and Lin, J. R. Stat. Soc. B 68, 2006), and 0 for w = 0
        norms = torch.linalg.vector_norm(values[0], dim=1, keepdim=True).clamp_min_(1e-12)
        gradients[0].addcdiv_(values[0], norms, value=lasso)
    first_decayed = 1 if lasso else 0
    torch._foreach_add_(gradients[first_decayed:], values[first_decayed:], alpha=2 * L2_PENALTY)


# -- the descent -----------------------------------------------------------------------------------


def adam_steps(
    layers: Sequence[Layer],
    activation: str,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    rates: Iterable[float],
    loss: Callable[..., tuple[torch.Tensor, torch.Tensor]] = squared_error,
    penalty: Callable[..., None] | None = None,
    epsilon: float = 1e-8,
) -> Iterator[torch.Tensor]:
    """Take a step of Adam for every batch (inputs, target) and rate; yield the loss before it.

    Lazy: each step is taken when its loss is asked for. It changes the weights of the layers in
    place. Adam: Kingma and Ba, arXiv 1412.6980. A penalty adds to the gradients of all weights.
    """
    values = []  # weights and biases, layer by layer
    for layer in layers:
        values += [layer.weight, layer.bias]
    flat = parameters_to_vector(values)
    slopes, means, squares = (torch.zeros_like(flat) for _ in range(3))
    gradients = [torch.empty_like(value) for value in values]
    # make them views of one vector, on which Adam is a single fused call
    vector_to_parameters(flat, values)
    vector_to_parameters(slopes, gradients)
    count = flat.new_zeros(())
    for rate, (inputs, target) in zip(rates, batches, strict=False):
        tape: list[tuple[torch.Tensor, torch.Tensor]] = []
        output = apply_layers(layers, activation, x=inputs, tape=tape)
        value, delta = loss(output, target)
        backpropagate(delta, layers, activation=activation, tape=tape, gradients=gradients)
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
