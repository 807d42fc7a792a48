"""Training of a network with noise on its inputs, on measured cells and on cells that a teacher labelled."""

import math

import numpy as np
import torch

from sbnn.models.bottleneck.adam import Adam
from sbnn.models.bottleneck.network import Ensemble, Gradient


def train_with_noise(
    network,
    x,
    target,
    noise,
    generator,
    distillation,
    *,
    n_steps,
    learning_rate,
    members=None,
    labelled=None,
    eval_set=None,
    progress=None,
    batch_size=128,
):
    """Train a network on measured cells with input noise and, beside them, on cells labelled by a teacher."""
    gradient = Gradient(network)
    adam = Adam([(network.flat, gradient.flat, 0.0)])
    size = min(batch_size, *map(len, [x] if members is None else members))
    measured = _batches(len(x), size, generator) if members is None else _batches_of(members, size, generator)
    if labelled is not None:
        n_labelled = min(2 * batch_size, len(labelled[0]))
        others = _batches(len(labelled[0]), n_labelled, generator)
        weights = torch.cat([x.new_full((size,), distillation.weight_of_measured), x.new_ones(n_labelled)])
        weights = (weights / weights.mean())[:, None]
    history, error, recorded = [], 0.0, 0
    for step, rate in enumerate(one_cycle(n_steps, learning_rate), 1):
        cells = next(measured).to(x.device)
        inputs, outputs = x[cells], target[cells]
        inputs.add_(torch.randn(inputs.shape, generator=generator).to(x.device), alpha=noise)
        if labelled is not None:
            cells = next(others).to(x.device)
            inputs, outputs = torch.cat([inputs, labelled[0][cells]]), torch.cat([outputs, labelled[1][cells]])
        residual = gradient.forward(inputs).sub_(outputs)
        if labelled is not None:
            error += residual.square().mean()
            residual.mul_(weights)
        gradient.backward(residual.mul_(2 / (residual.shape[-2] * residual.shape[-1])))
        adam.step(rate)
        if labelled is not None and (step % distillation.recorded_every == 0 or step == n_steps):
            cells = slice(0, distillation.watched_cells)
            history.append(_record(network, float(error) / (step - recorded), target[cells], x[cells], eval_set))
            error, recorded = 0.0, step
            if progress is not None:
                progress(len(history))
    return history


def train_together(new, members, x, target, noise, generator, distillation):
    """Train networks of a teacher at once, each on its own cells."""
    together = Ensemble([new().to(x.device) for _ in members])
    settings = {"n_steps": distillation.steps_of_teachers, "learning_rate": distillation.rate_of_teachers}
    train_with_noise(together, x, target, noise, generator, distillation, members=members, **settings)
    return [together.member(i) for i in range(len(members))]


def one_cycle(n_steps, peak, rising=0.15, start=1 / 25, end=1e-4 / 25):
    """Learning rates that rise to a peak and fall again, along half a cosine each (Smith and Topin 2018)."""
    top, last = max(rising * n_steps - 1, 0), max(n_steps - 1, 1)

    def between(first, second, share):
        return peak * (second + (first - second) * (1 + math.cos(math.pi * share)) / 2)

    return [
        between(start, 1, step / top) if step < top else between(1, end, (step - top) / max(last - top, 1))
        for step in range(n_steps)
    ]


def _batches(n, size, generator):
    """Endless batches of positions; every cell once before any comes again, as far as whole batches go."""
    while True:
        order = torch.randperm(n, generator=generator)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _batches_of(members, size, generator):
    """Endless batches of each member's own cells, shape (members, size)."""
    each = [_batches(len(cells), size, generator) for cells in members]
    while True:
        yield torch.stack([cells[next(own)] for cells, own in zip(members, each, strict=True)])


@torch.no_grad()
def _record(network, loss, target, x, eval_set):
    row = {
        "stage": "student",
        "epoch": 0,
        "loss": loss,
        "penalty": 0.0,
        "r2": 1 - float((network(x) - target).square().sum() / target.square().sum()),
        "eval_loss": np.nan,
        "eval_r2": np.nan,
        "genes_alive": x.shape[1],
    }
    if eval_set is not None:
        error = (network(eval_set[0]) - eval_set[1]).square()
        row["eval_loss"] = float(error.mean())
        row["eval_r2"] = 1 - float(error.sum() / eval_set[1].square().sum())
    return row
