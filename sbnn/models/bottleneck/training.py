"""The training loop of the network, and the batches of the paper and distilled protocols."""

import math
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from sbnn.models.bottleneck.gene_prior import GenePrior
from sbnn.models.bottleneck.network import BottleneckNetwork, Ensemble, Gradient
from sbnn.models.bottleneck.settings import DistilledSettings

ADAM_EPSILON = 1e-7  # as in Keras, which the published code used
ALIVE = 0.1  # a gene counts as alive if its weight norm exceeds this fraction of the largest norm


class Trained(NamedTuple):
    """Result of a protocol; the network takes only the kept genes, and the history is a list of rows."""

    network: BottleneckNetwork
    support: np.ndarray
    gene_norms: np.ndarray
    history: list


class Run(NamedTuple):
    """Settings, sources of randomness and gene prior, shared by all steps of the distilled protocol."""

    settings: DistilledSettings
    random: np.random.RandomState = None  # for the trees and for subsets of the cells
    # The generator for weights, batches and noise is on the CPU, so that all devices use the same
    # random numbers.
    generator: torch.Generator = None
    prior: GenePrior | None = None


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980) for a list of (values, gradient, weight decay) with flat tensors."""

    # The networks are so small that the bookkeeping of torch's optimisers takes as long as their
    # arithmetic.
    def __init__(self, parts, epsilon=1e-8, betas=(0.9, 0.999)):
        zeros = torch.zeros_like
        self.parts = [
            ([values], [slope], [zeros(values)], [zeros(values)], decay)
            for values, slope, decay in parts
        ]
        self.epsilon, self.betas = epsilon, betas
        self.count = parts[0][0].new_zeros(())

    def step(self, learning_rate):
        """Take one step along the current gradients."""
        self.count += 1
        for values, gradient, mean, square, decay in self.parts:
            # This is what torch.optim.Adam(fused=True) calls.
            torch._fused_adam_(
                values,
                gradient,
                mean,
                square,
                [],
                [self.count],
                lr=learning_rate,
                beta1=self.betas[0],
                beta2=self.betas[1],
                weight_decay=decay,
                eps=self.epsilon,
                amsgrad=False,
                maximize=False,
            )


@torch.inference_mode()  # slightly faster than no_grad, with bit-identical results
def descend(network, batches, first=0, group_lasso=0.0, weight_decay=0.0, epsilon=1e-8):
    """Take a step of Adam for each batch, given as (inputs, function for the gradient at the output, learning rate)."""
    # Weight decay applies to all parameters not covered by the group lasso. The inputs enter layer
    # `first`; earlier layers are frozen.
    gradient = Gradient(network, first)
    genes, slope_of_genes = gradient.network_weights[0], gradient.weights[0]
    lasso = group_lasso if first == 0 else 0.0
    flat, n_lasso = network.flat[gradient.start :], genes.numel() if lasso else 0
    parts = ((slice(0, n_lasso), 0.0), (slice(n_lasso, None), 2 * weight_decay))
    adam = Adam(
        [(flat[part], gradient.flat[part], decay) for part, decay in parts if flat[part].numel()],
        epsilon,
    )
    for inputs, slope, rate in batches:
        gradient.backward(slope(gradient.forward(inputs)))
        if lasso:
            norms = torch.linalg.vector_norm(genes, dim=1, keepdim=True).clamp_min_(1e-12)
            slope_of_genes.addcdiv_(genes, norms, value=lasso)
        adam.step(rate)


# -- the paper protocol: epochs over the cells -----------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One stage of training; the first `frozen` layers are not trained."""

    name: str
    epochs: int
    learning_rate: float
    frozen: int = 0
    group_lasso: float = 0.0
    # train on cluster labels (cross-entropy) instead of on the outputs (mean squared error)
    classify: bool = False


class Trainer:
    """Trains one network in stages and records the history, with one row per epoch."""

    def __init__(self, network, generator, batch_size=32, weight_decay=1e-10, progress=None):
        self.network = network
        # on the CPU, so that every device sees the cells in the same order
        self.generator = generator
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.progress = progress  # called after every epoch
        self.history = []

    def run(self, stage, X, target, eval_set=None):
        """Train the network through one stage; the losses on `eval_set` are recorded but not used."""
        if stage.frozen:
            # Frozen layers do not change, so their activations are computed once and only the other
            # layers are run.
            with torch.no_grad():
                X = self.network(X, last=stage.frozen)
                eval_set = eval_set and (self.network(eval_set[0], last=stage.frozen), eval_set[1])
        batches = self._epochs(stage, X, target, eval_set)
        descend(
            self.network, batches, stage.frozen, stage.group_lasso, self.weight_decay, ADAM_EPSILON
        )

    def _epochs(self, stage, X, target, eval_set):
        """Batches of all epochs of a stage; a row of the history is written after the last batch of each epoch."""
        slope_of = _slope_of_cross_entropy if stage.classify else _slope_of_squared_error
        variance = None if stage.classify else float(target.square().sum())
        for _ in range(stage.epochs):
            order = torch.randperm(len(X), generator=self.generator).to(X.device)
            Xs, ts, total = X[order], target[order], X.new_zeros(())
            for start in range(0, len(X), self.batch_size):
                batch = slice(start, start + self.batch_size)
                yield Xs[batch], partial(slope_of, ts[batch], total), stage.learning_rate
            self._record(stage, float(total / target.numel()), variance, target.numel(), eval_set)
            if self.progress is not None:
                self.progress()

    @torch.no_grad()
    def _record(self, stage, loss, variance, count, eval_set):
        norms = self.network.input_norms()
        row = {"stage": stage.name, "loss": loss, "penalty": stage.group_lasso * float(norms.sum())}
        row["r2"] = 1 - loss * count / variance if variance else np.nan
        row |= {
            "eval_loss": np.nan,
            "eval_r2": np.nan,
            "genes_alive": int((norms > ALIVE * norms.max()).sum()),
        }
        if eval_set is not None:
            output, target = self.network(eval_set[0], first=stage.frozen), eval_set[1]
            if stage.classify:
                row["eval_loss"] = float(F.cross_entropy(output, target))
            else:
                error = float((output - target).square().sum())
                row["eval_loss"] = error / target.numel()
                row["eval_r2"] = 1 - error / float(target.square().sum())
        self.history.append(row)


def _slope_of_squared_error(target, total, output):
    """Replace `output` by the gradient of the mean squared error, and add the sum of squared errors to `total`."""
    residual = output.sub_(target)
    total += residual.square().sum()
    return residual.mul_(2 / target.numel())


def _slope_of_cross_entropy(target, total, output):
    log_p = F.log_softmax(output, 1)
    total += F.nll_loss(log_p, target, reduction="sum")
    delta = log_p.exp_()
    delta[torch.arange(len(target), device=target.device), target] -= 1
    return delta.div_(len(target))


# -- the distilled protocol: steps with noise on the inputs ----------------------------------------


def train_with_noise(
    network,
    x,
    target,
    noise,
    generator,
    *,
    n_steps,
    learning_rate,
    batch_size=128,
    members=None,
    labelled=None,
    settings=None,
    eval_set=None,
    progress=None,
):
    """Train on measured cells with input noise and, for a student, on twice as many cells labelled by a teacher."""
    # For an `Ensemble`, `members` has the training cells of each network. Only a student has
    # settings and a history.
    history = []
    size = min(batch_size, *map(len, [x] if members is None else members))
    if members is None:
        measured = _batches(len(x), size, generator)
    else:
        each = [_batches(len(cells), size, generator) for cells in members]
        measured = (
            torch.stack([cells[next(own)] for own, cells in zip(each, members, strict=True)])
            for _ in count()
        )
    if labelled is not None:
        n_labelled = min(2 * batch_size, len(labelled[0]))
        others = _batches(len(labelled[0]), n_labelled, generator)
        weights = torch.cat(
            [x.new_full((size,), settings.weight_of_measured), x.new_ones(n_labelled)]
        )
        weights = (weights / weights.mean())[:, None]

    def steps():
        error, recorded = 0.0, 0

        def slope(output):
            nonlocal error
            residual = output.sub_(outputs)
            if labelled is not None:
                error += residual.square().mean()
                residual.mul_(weights)
            return residual.mul_(2 / (residual.shape[-2] * residual.shape[-1]))

        for step, rate in enumerate(one_cycle(n_steps, learning_rate), 1):
            cells = next(measured).to(x.device)
            inputs, outputs = x[cells], target[cells]
            inputs.add_(torch.randn(inputs.shape, generator=generator).to(x.device), alpha=noise)
            if labelled is not None:
                cells = next(others).to(x.device)
                inputs, outputs = (
                    torch.cat([inputs, labelled[0][cells]]),
                    torch.cat([outputs, labelled[1][cells]]),
                )
            yield inputs, slope, rate
            if labelled is not None and (step % settings.recorded_every == 0 or step == n_steps):
                watched = slice(0, settings.watched_cells)
                loss = float(error) / (step - recorded)
                history.append(
                    _row_of_student(network, loss, x[watched], target[watched], eval_set)
                )
                error, recorded = 0.0, step
                if progress is not None:
                    progress()

    descend(network, steps())
    return history


def networks_of_teacher(new, x, target, run, noise, members):
    """Train several networks at once with input noise; each entry of `members` has the training cells of a network."""
    together, settings = Ensemble([new().to(x.device) for _ in members]), run.settings
    how = {
        "n_steps": settings.steps_of_teachers,
        "learning_rate": settings.rate_of_teachers,
        "members": members,
    }
    train_with_noise(together, x, target, noise, run.generator, **how)
    return [together.member(i) for i in range(len(members))]


@torch.no_grad()
def _row_of_student(network, loss, x, target, eval_set):
    row = {"stage": "student", "loss": loss, "penalty": 0.0}
    row["r2"] = 1 - float((network(x) - target).square().sum() / target.square().sum())
    row |= {"eval_loss": np.nan, "eval_r2": np.nan, "genes_alive": x.shape[1]}
    if eval_set is not None:
        error = (network(eval_set[0]) - eval_set[1]).square()
        row["eval_loss"] = float(error.mean())
        row["eval_r2"] = 1 - float(error.sum() / eval_set[1].square().sum())
    return row


def one_cycle(n_steps, peak, rising=0.15, start=1 / 25, end=1e-4 / 25):
    """Learning rates that rise to a peak and then fall along half cosines (Smith and Topin, arXiv 1708.07120)."""
    top, last = max(rising * n_steps - 1, 0), max(n_steps - 1, 1)

    def between(first, second, share):
        return peak * (second + (first - second) * (1 + math.cos(math.pi * share)) / 2)

    return [
        between(start, 1, step / top)
        if step < top
        else between(1, end, (step - top) / max(last - top, 1))
        for step in range(n_steps)
    ]


def _batches(n, size, generator):
    """Yield full batches of positions endlessly; each pass over the cells uses every cell at most once."""
    while True:
        order = torch.randperm(n, generator=generator)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]
