"""Penalty, optimiser and training loops."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from sbnn.models.bottleneck.losses import CrossEntropy, SquaredError
from sbnn.models.bottleneck.network import BottleneckNetwork, Ensemble, Gradient
from sbnn.models.bottleneck.settings import DistilledSettings

ADAM_EPSILON = 1e-7  # as in Keras, which the published code used
WEIGHT_DECAY = 1e-10  # of all weights and biases without a group lasso
ALIVE = 0.1  # of the largest weight norm
NOT_EVALUATED = np.nan, np.nan
SQUARED_ERROR = SquaredError()
TEACHERS_AT_ONCE = 128  # cells in a step of each network of the teacher
# measured cells in a step of the student, and twice as many labelled cells
MEASURED_AT_ONCE = 64
WEIGHT_OF_MEASURED = 0.5  # in the loss, relative to a labelled cell
RECORDED_EVERY = 100  # steps of the student
WATCHED_CELLS = 20_000  # most cells on which R2 is recorded


class Trained(NamedTuple):
    """Result of a protocol; the network takes the kept genes."""

    network: BottleneckNetwork
    support: np.ndarray
    gene_norms: np.ndarray
    history: list


class Run(NamedTuple):
    """Settings and randomness of the distilled protocol."""

    settings: DistilledSettings
    random: np.random.RandomState = None  # for the trees and for subsets of the cells
    # for weights, batches and noise; on the CPU, for the same numbers on all devices
    generator: torch.Generator = None


class GroupLasso:
    """Sum of the norms of the outgoing weights of every gene, (p, units), times a strength."""

    def __init__(self, strength):
        self.strength = strength

    def value(self, weights):
        """The penalty."""
        return self.strength * float(torch.linalg.vector_norm(weights, dim=1).sum())

    def add_gradient(self, weights, gradient):
        """Add the gradient of the penalty to `gradient`, (p, units)."""
        norms = torch.linalg.vector_norm(weights, dim=1, keepdim=True).clamp_min_(1e-12)
        gradient.addcdiv_(weights, norms, value=self.strength)


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980) for a flat tensor of values and their gradient."""

    def __init__(self, values, gradient, weight_decay=0.0, epsilon=1e-8, betas=(0.9, 0.999)):
        self.values = values
        self.gradient = gradient
        self.weight_decay = weight_decay
        self.epsilon = epsilon
        self.betas = betas
        self.mean = torch.zeros_like(values)
        self.square = torch.zeros_like(values)
        self.count = values.new_zeros(())

    def step(self, learning_rate):
        """Take one step along the gradient."""
        self.count += 1
        # what torch.optim.Adam(fused=True) calls
        torch._fused_adam_(
            [self.values],
            [self.gradient],
            [self.mean],
            [self.square],
            [],
            [self.count],
            lr=learning_rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
        )


# -- the paper protocol: epochs over the cells -----------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One stage of training; the first `frozen` layers are not trained."""

    name: str
    epochs: int
    learning_rate: float
    frozen: int = 0
    group_lasso: float = 0.0  # on the first layer, which must not be frozen
    loss: SquaredError | CrossEntropy = SQUARED_ERROR


class Trainer:
    """Trains one network in stages; the history has one row per epoch."""

    def __init__(self, network, generator, batch_size=32):
        self.network = network
        self.generator = generator
        self.batch_size = batch_size
        self.history = []

    @torch.inference_mode()
    def run(self, stage, x, target, eval_set=None):
        """Train on cells, (n, p), and targets, (n, q); losses on `eval_set` are only recorded."""
        x = self.network(x, last=stage.frozen)
        loss = stage.loss
        penalty = GroupLasso(stage.group_lasso)
        gradient = Gradient(self.network, stage.frozen)
        optimisers = self._optimisers(gradient, stage.group_lasso)
        for _ in range(stage.epochs):
            order = torch.randperm(len(x), generator=self.generator).to(x.device)
            inputs = x[order].split(self.batch_size)
            targets = target[order].split(self.batch_size)
            total = x.new_zeros(())
            for cells, wanted in zip(inputs, targets, strict=True):
                output = gradient.forward(cells)
                total += loss.value(output, wanted)
                gradient.backward(loss.gradient(output, wanted))
                if stage.group_lasso:
                    penalty.add_gradient(gradient.network_weights[0], gradient.weights[0])
                for optimiser in optimisers:
                    optimiser.step(stage.learning_rate)
            self._record(stage, float(total / target.numel()), target, eval_set)

    def _optimisers(self, gradient, group_lasso):
        """Adam for all trained parameters; the group lasso replaces weight decay."""
        values = gradient.trained
        decay = 2 * WEIGHT_DECAY
        if not group_lasso:
            return [Adam(values, gradient.flat, decay, ADAM_EPSILON)]
        n_lasso = gradient.weights[0].numel()
        genes = Adam(values[:n_lasso], gradient.flat[:n_lasso], 0.0, ADAM_EPSILON)
        others = Adam(values[n_lasso:], gradient.flat[n_lasso:], decay, ADAM_EPSILON)
        return [genes, others]

    def _record(self, stage, loss, target, eval_set):
        norms = self.network.input_norms()
        n_alive = int((norms > ALIVE * norms.max()).sum())
        penalty = GroupLasso(stage.group_lasso).value(self.network.weights[0])
        r2 = stage.loss.r2(loss * target.numel(), target)
        evaluated = NOT_EVALUATED
        if eval_set is not None:
            inputs, wanted = eval_set
            error = float(stage.loss.value(self.network(inputs), wanted))
            evaluated = error / wanted.numel(), stage.loss.r2(error, wanted)
        self.history.append(_row(stage.name, loss, penalty, r2, evaluated, n_alive))


def _row(stage, loss, penalty, r2, evaluated, genes_alive):
    eval_loss, eval_r2 = evaluated
    return {
        "stage": stage,
        "loss": loss,
        "penalty": penalty,
        "r2": r2,
        "eval_loss": eval_loss,
        "eval_r2": eval_r2,
        "genes_alive": genes_alive,
    }


# -- the distilled protocol: steps with noise on the inputs ----------------------------------------


def networks_of_teacher(new, x, target, run, noise, members):
    """Train networks at once with input noise; `members` has the training cells of each."""
    networks = [new().to(x.device) for _ in members]
    together = Ensemble(networks)
    size = min(TEACHERS_AT_ONCE, min(map(len, members)))
    batches = [_batches(len(cells), size, run.generator) for cells in members]
    with torch.inference_mode():
        gradient = Gradient(together)
        adam = Adam(gradient.trained, gradient.flat)
        for rate in one_cycle(run.settings.steps_of_teachers, run.settings.rate_of_teachers):
            drawn = [cells[next(own)] for cells, own in zip(members, batches, strict=True)]
            rows = torch.stack(drawn).to(x.device)  # shape (members, size)
            output = gradient.forward(_with_noise(x[rows], noise, run.generator))
            gradient.backward(SQUARED_ERROR.gradient(output, target[rows]))
            adam.step(rate)
    together.write_to(networks)
    return networks


@torch.inference_mode()
def train_student(network, x, target, labelled, noise, run, eval_set=None):
    """Train on cells x, (n, k), and target, (n, q), and on such a pair that a teacher labelled.

    Returns the history.
    """
    settings = run.settings
    n_measured = min(MEASURED_AT_ONCE, len(x))
    n_labelled = min(2 * MEASURED_AT_ONCE, len(labelled[0]))
    measured = _batches(len(x), n_measured, run.generator)
    others = _batches(len(labelled[0]), n_labelled, run.generator)
    weights = x.new_ones((n_measured + n_labelled, 1))
    weights[:n_measured] = WEIGHT_OF_MEASURED
    weights /= weights.mean()
    gradient = Gradient(network)
    adam = Adam(gradient.trained, gradient.flat)
    history = []
    total = 0.0
    first = 1  # the first step of a row
    for step, rate in enumerate(one_cycle(settings.steps_of_student, settings.rate_of_student), 1):
        cells = next(measured).to(x.device)
        noisy = _with_noise(x[cells], noise, run.generator)
        more = next(others).to(x.device)
        inputs = torch.cat([noisy, labelled[0][more]])
        outputs = torch.cat([target[cells], labelled[1][more]])
        output = gradient.forward(inputs)
        total += SQUARED_ERROR.value(output, outputs) / outputs.numel()
        gradient.backward(SQUARED_ERROR.gradient(output, outputs, weights))
        adam.step(rate)
        if step % RECORDED_EVERY == 0 or step == settings.steps_of_student:
            loss = float(total) / (step - first + 1)
            watched = slice(0, WATCHED_CELLS)
            history.append(_row_of_student(network, loss, x[watched], target[watched], eval_set))
            total = 0.0
            first = step + 1
    return history


def _row_of_student(network, loss, x, target, eval_set):
    evaluated = NOT_EVALUATED
    if eval_set is not None:
        inputs, outputs = eval_set
        error = float((network(inputs) - outputs).square().mean())
        evaluated = error, 1 - _unexplained(network, inputs, outputs)
    r2 = 1 - _unexplained(network, x, target)
    return _row("student", loss, 0.0, r2, evaluated, x.shape[1])


def _unexplained(network, x, target):
    """Squared error relative to the sum of squares of centred outputs."""
    error = SQUARED_ERROR.value(network(x), target)
    return float(error / target.square().sum())


def one_cycle(n_steps, peak, rising=0.15, start=1 / 25, end=1e-4 / 25):
    """Learning rates that rise to a peak and then fall (Smith and Topin, arXiv 1708.07120)."""
    top = max(rising * n_steps - 1, 0)
    falling = max(max(n_steps - 1, 1) - top, 1)
    rates = []
    for step in range(n_steps):
        if step < top:
            rates.append(peak * _half_cosine(start, 1, step / top))
        else:
            rates.append(peak * _half_cosine(1, end, (step - top) / falling))
    return rates


def _half_cosine(first, last, share):
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _with_noise(inputs, noise, generator):
    drawn = torch.randn(inputs.shape, generator=generator).to(inputs.device)
    return inputs.add_(drawn, alpha=noise)


def _batches(n, size, generator):
    """Yield full batches of positions endlessly; a pass over the cells uses each at most once."""
    while True:
        order = torch.randperm(n, generator=generator)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]
