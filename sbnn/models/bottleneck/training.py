"""Losses, the penalty, the optimiser, and the loop over minibatches."""

import math
from itertools import islice, repeat

import torch
import torch.nn.functional as F

from sbnn.models.bottleneck.network import apply_layers, backpropagate, layers_of

ADAM_EPSILON = 1e-7  # of the published network, as in Keras, which its code used
WEIGHT_DECAY = 1e-10  # of all weights and biases without a group lasso
ALIVE = 0.1  # of the largest weight norm


# -- losses: the sum over cells, and the gradient of the mean at the output, which it may overwrite


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


def add_group_lasso(strength, weights, gradient):
    """Add the gradient of `strength` times the sum of the norms of the rows, (p, units)."""
    norms = torch.linalg.vector_norm(weights, dim=1, keepdim=True).clamp_min_(1e-12)
    gradient.addcdiv_(weights, norms, value=strength)


# -- the loop --------------------------------------------------------------------------------------


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980) for a flat tensor of values and their gradient."""

    def __init__(self, values, gradient, weight_decay, epsilon):
        self.tensors = [values], [gradient], [torch.zeros_like(values)], [torch.zeros_like(values)]
        self.count = values.new_zeros(())
        self.weight_decay = weight_decay
        self.epsilon = epsilon

    def step(self, learning_rate):
        """Take one step along the gradient."""
        self.count += 1
        # what torch.optim.Adam(fused=True) calls
        torch._fused_adam_(
            *self.tensors,
            [],
            [self.count],
            lr=learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self.weight_decay,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
        )


def shuffled(n, size, generator, drop_last=False):
    """Yield positions of n cells, batch after batch, in a new order for every pass."""
    while True:
        order = torch.randperm(n, generator=generator)
        if drop_last:
            order = order[: n - n % size]
        yield from order.split(size)


def descend(
    network, batches, rates, loss=squared_error, frozen=0, lasso=0.0, decay=0.0, epsilon=1e-8
):
    """Take a step for every batch (inputs, target) and rate; yield the loss before each step.

    The first `frozen` layers are not trained, and `inputs` are what comes out of them. With a group
    lasso on the first layer, this layer has no weight decay.
    """
    activation = network.activation
    layers = network.layers[frozen:]
    n_trained = sum(weight.numel() + bias.numel() for weight, bias, _ in layers)
    values = network.flat[-n_trained:]
    flat = torch.zeros_like(values)
    gradients = layers_of(flat, network.sizes[frozen:], network.networks)
    first = layers[0].weight
    n_lasso = first.numel() if lasso else 0
    optimisers = [Adam(values[n_lasso:], flat[n_lasso:], decay, epsilon)]
    if lasso:
        optimisers.append(Adam(values[:n_lasso], flat[:n_lasso], 0.0, epsilon))
    for rate, (inputs, target) in zip(rates, batches, strict=False):
        output, passed = apply_layers(layers, activation, inputs)
        value, slope = loss(output, target)
        backpropagate(slope, layers, activation, passed, gradients)
        if lasso:
            add_group_lasso(lasso, first, gradients[0].weight)
        for optimiser in optimisers:
            optimiser.step(rate)
        yield value


@torch.inference_mode()
def train_stage(
    network,
    generator,
    batch_size,
    name,
    n_epochs,
    rate,
    x,
    target,
    eval_set=None,
    frozen=0,
    lasso=0.0,
    loss=squared_error,
):
    """Train on cells, (n, p), and targets, (n, q), as published; return a row for every epoch."""
    inputs = network(x, last=frozen)
    n_batches = math.ceil(len(x) / batch_size)
    rows = shuffled(len(x), batch_size, generator)
    batches = ((inputs[cells], target[cells]) for cells in rows)
    decay = 2 * WEIGHT_DECAY
    values = descend(network, batches, repeat(rate), loss, frozen, lasso, decay, ADAM_EPSILON)
    history = []
    for _ in range(n_epochs):
        mean = float(sum(islice(values, n_batches)) / target.numel())
        norms = network.input_norms()
        row = {
            "stage": name,
            "loss": mean,
            "penalty": lasso * float(norms.sum()),
            "r2": r2_of(loss, mean * target.numel(), target),
            "genes_alive": int((norms > ALIVE * norms.max()).sum()),
        }
        if eval_set is not None:
            watched, wanted = eval_set
            value, _ = loss(network(watched), wanted)
            row["eval_loss"] = float(value) / wanted.numel()
            row["eval_r2"] = r2_of(loss, float(value), wanted)
        history.append(row)
    return history


def r2_of(loss, value, target):
    """R2 of a sum of squared errors, relative to the mean; NaN for other losses."""
    reference = float(target.square().sum()) if loss is squared_error else 0.0
    return 1 - value / reference if reference else math.nan
