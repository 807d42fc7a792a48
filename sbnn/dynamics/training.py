"""Training of PHOENIX: recipe, pruning schedule, losses and the training loop."""

import copy
import math
from dataclasses import dataclass
from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval

from sbnn.data.checks import CheckedSettings
from sbnn.dynamics.solver import DivergenceError, advance, step_factors
from sbnn.errors import check_number

COUNT = [Interval(Integral, 1, None, closed="left")]


@dataclass(frozen=True)
class Schedule(CheckedSettings):
    """Pruning schedule.

    A fraction `first_share` of the weights is removed at `first_epoch`, then a fraction `share` of
    the remaining weights at each multiple of `every` epochs.
    """

    _LEAST = {"first_epoch": 0, "share": 1e-9}
    _MOST = {"first_share": 0.999, "share": 1}

    first_epoch: int = 3
    first_share: float = 0.7
    every: int = 10
    share: float = 0.1

    def prunings(self, sparsity):
        """Map each epoch after which weights are pruned to the share of weights kept, until `sparsity` is reached."""
        check_number("sparsity", sparsity, float, 0, 1)
        shares, epoch, left = {}, self.first_epoch, 1 - self.first_share
        while left > 1 - sparsity:
            shares[epoch] = left
            epoch += self.every - epoch % self.every
            n = epoch // self.every - self.first_epoch // self.every
            left = (1 - self.first_share) * (1 - self.share) ** n
        return shares | {epoch: 1 - sparsity}


@dataclass(frozen=True)
class Recipe(CheckedSettings):
    """Settings for training a `PhoenixRegressor`.

    Parameters
    ----------
    epochs : int
        Maximum number of passes over the training samples.
    batch_size : int
        Number of samples in a training step; the published value is 1.
    learning_rate : float
        Learning rate of Adam.
    multiplier_speed : float
        Ratio of the learning rate of the multipliers m to `learning_rate`.
    lowest_rate, rate_factor, rate_patience : float, float, int
        The learning rate is multiplied by `rate_factor` after more than `rate_patience` epochs
        without a lower validation loss, but it never falls below `lowest_rate`. The learning rate
        is reset at each pruning.
    patience : int
        Number of epochs without a lower validation loss after which training stops, once pruning is
        complete.
    n_steps : int
        Number of steps of the solver from one time to the next.
    validation_share : float
        Share of the samples, in [0, 1), set aside to monitor the loss. With a single sample, the
        training loss is used.
    data_weight : float
        Weight lambda of the data in the loss, in (0, 1]; the prior has the weight 1 - lambda.
    n_prior_points : int
        Number of random points at which the network is compared with the prior.
    schedule : Schedule
        Pruning schedule.
    fine_tuning : int
        Number of training epochs after pruning, used only if ``pruning="post_hoc"``.
    penalty : float, optional
        Weight of the penalty in the loss, used only if ``pruning`` is "l0", "c_node" or "path_reg".
        The default is 1e-2, 1e-3 or 1e-4, respectively; for "path_reg", the sizes of paths have ten
        times this weight.
    drop_rates : tuple of (float, float)
        Initial probability that the gate of a gene is closed, and initial probability that the gate
        of a sum or product is closed, both in (0, 1). Used only with a penalty.
    """

    _LENGTHS = {"drop_rates": (2, 2)}
    _LEAST = {"rate_patience": 0, "patience": 0, "fine_tuning": 0, "data_weight": 1e-9}
    _MOST = {
        "learning_rate": 1e6,
        "lowest_rate": 1,
        "rate_factor": 1,
        "data_weight": 1,
        "validation_share": 0.999,
        "drop_rates": 1,
    }

    epochs: int = 200
    batch_size: int = 4
    learning_rate: float = 1e-3
    multiplier_speed: float = 5.0
    lowest_rate: float = 4e-5
    rate_factor: float = 0.9
    rate_patience: int = 3
    patience: int = 40
    n_steps: int = 3
    validation_share: float = 0.07
    data_weight: float = 1.0
    n_prior_points: int = 10_000
    schedule: Schedule = Schedule()
    fine_tuning: int = 40
    penalty: float | None = None
    drop_rates: tuple = (0.2, 0.5)


class Intervals:
    """Intervals between consecutive times of some samples; intervals of length 0 (padding) are ignored."""

    def __init__(self, samples, chosen):
        values, times = (torch.from_numpy(part[chosen]) for part in samples.padded())
        values = values.float()
        self.before, self.after = values[:, :-1], values[:, 1:]
        self.length = times.diff(dim=1).float()[..., None]
        self.n = (self.length > 0).sum(dim=(1, 2))  # number of intervals of each sample
        self.ragged = bool((self.n != self.n[0]).any())

    def loss(self, network, n_steps, rows=slice(None)):
        """Mean squared error of predictions one interval ahead of each observed time."""
        before, after, length = self.before[rows], self.after[rows], self.length[rows]
        if self.ragged:
            real = length[..., 0] > 0
            before, after, length = before[real], after[real], length[real]
        factors = step_factors(network.decay(), length / n_steps)
        return torch.nn.functional.mse_loss(
            advance(network.targets, before, factors, n_steps), after
        )


class Training:
    """Training of a network on some samples and validation on others.

    If there are no validation samples, the training loss is monitored.
    """

    def __init__(
        self, network, samples, parts, recipe, generator, prior=None, pruner=None, penalty=None
    ):
        self.network, self.recipe, self.generator = network, recipe, generator
        self.train, self.validation = (
            Intervals(samples, part) if len(part) else None for part in parts
        )
        self.pruner, self.penalty, self.history = pruner, penalty, []
        if recipe.data_weight < 1:
            self.points = torch.rand((recipe.n_prior_points, len(prior)), generator=generator) - 0.5
            self.expected = self.points @ prior.float()

    def prior_loss(self):
        """Distance of the targets J from the prior P: mean of ``(J(z) - z P)^2`` over uniform z in [-1/2, 1/2]."""
        return torch.nn.functional.mse_loss(self.network.targets(self.points), self.expected)

    def run(self, epochs, prunings=None):
        """Train, prune as in `Schedule.prunings`, and keep the network of the best epoch after the last pruning."""
        done, prunings = 0, prunings or {}
        for epoch in sorted(prunings):
            if epoch <= epochs:
                self._descend(epoch - done)
                self.pruner.prune(prunings[epoch])
                done = epoch
        patience = self.recipe.patience if max(prunings, default=0) <= epochs else math.inf
        self.network.load_state_dict(self._descend(epochs - done, patience))

    def _descend(self, n_epochs, patience=math.inf):
        """Reset the learning rate and train; returns the weights of the epoch with the lowest monitored loss."""
        recipe, network = self.recipe, self.network
        others = [value for name, value in network.named_parameters() if name != "multiplier"]
        fast = {
            "params": [network.multiplier],
            "lr": recipe.learning_rate * recipe.multiplier_speed,
        }
        optimizer = torch.optim.Adam(
            [{"params": others}, fast], lr=recipe.learning_rate, fused=True
        )
        rates = {
            "factor": recipe.rate_factor,
            "patience": recipe.rate_patience,
            "min_lr": recipe.lowest_rate,
        }
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **rates)
        lowest, waited, best = math.inf, 0, copy.deepcopy(network.state_dict())
        for _ in range(n_epochs):
            watched = self._epoch(optimizer)
            plateau.step(watched)
            waited += 1
            if watched < lowest:
                lowest, waited, best = watched, 0, copy.deepcopy(network.state_dict())
            elif waited >= patience:
                break
        return best

    def _epoch(self, optimizer):
        """Train for one epoch; returns the monitored loss."""
        network, recipe, train = self.network, self.recipe, self.train
        network.train()
        losses, n_samples = [], len(train.n)
        for batch in torch.randperm(n_samples, generator=self.generator).split(recipe.batch_size):
            optimizer.zero_grad(set_to_none=True)
            network.draw(self.generator)
            loss = train.loss(network, recipe.n_steps, batch)
            losses.append(loss.item() * (train.n[batch].sum() / (train.n.sum() / n_samples)).item())
            if recipe.data_weight < 1:
                loss = recipe.data_weight * loss + (1 - recipe.data_weight) * self.prior_loss()
            if self.penalty is not None:
                loss = loss + self.penalty(network)
            loss.backward()
            optimizer.step()
            if self.pruner is not None:
                self.pruner.apply()
        network.eval()
        watched = loss = sum(losses) / n_samples
        entry = {"epoch": len(self.history) + 1, "loss": loss, "validation_loss": math.nan}
        with torch.no_grad():
            if self.validation is not None:
                watched = entry["validation_loss"] = self.validation.loss(
                    network, recipe.n_steps
                ).item()
            entry["sparsity"] = network.sparsity()
            if self.penalty is not None:
                entry["penalty"] = self.penalty(network).item()
                watched += entry["penalty"]
        self.history.append(entry)
        if not math.isfinite(loss + watched):
            text = f"training diverged in epoch {entry['epoch']}: the loss is {loss}"
            raise DivergenceError(
                f"{text}; lower Recipe.learning_rate, or scale the data to [0, 1]"
            )
        return watched
