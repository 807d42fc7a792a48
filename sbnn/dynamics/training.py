"""Training of PHOENIX, with its prunings."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn.functional import mse_loss

from sbnn.dynamics.data import Samples
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.pruning import Pruner
from sbnn.dynamics.solver import DivergenceError, integrate_in_steps, step_factors
from sbnn.models.training import BestWeights, epoch_batches, take_steps, train_epochs

# That of L0 is our choice: the published comparison adds no L0 penalty.
PENALTY_WEIGHTS = {"l0": 1e-2, "c_node": 1e-3, "path_reg": 1e-4}
N_TRAINING_STEPS = 3  # of the solver from one time to the next
# epochs without a lower validation loss that end training after the last pruning
PHOENIX_PATIENCE = 40


@dataclass(frozen=True)
class PhoenixSettings:
    """Parameters of `PhoenixRegressor` on which the training of its network depends."""

    pruning: str
    batch_size: int
    learning_rate: float
    data_weight: float
    n_prior_points: int
    penalty: float | None
    as_published: Collection[str]


class Intervals:
    """Values `before` and `after` the intervals of samples, (intervals, genes), and `length`.

    `rows` are the positions of the intervals of each sample.
    """

    def __init__(self, samples: Samples, time_scale: float) -> None:
        before, after, times = samples.intervals()
        scaled_times = torch.from_numpy(times) * time_scale
        self.before = torch.from_numpy(before).float()
        self.after = torch.from_numpy(after).float()
        self.length = scaled_times.diff(dim=1).float()
        numbers_of_intervals = [len(sample_times) - 1 for sample_times in samples.times]
        self.rows = torch.arange(len(before)).split(numbers_of_intervals)

    def loss(self, network: Phoenix, rows: torch.Tensor | slice = slice(None)) -> torch.Tensor:
        """Mean squared error of predictions one interval ahead, in all or some intervals."""
        factors = step_factors(network.decay(), self.length[rows] / N_TRAINING_STEPS)
        predicted = integrate_in_steps(
            network.targets, self.before[rows], factors, n_steps=N_TRAINING_STEPS
        )
        return mse_loss(predicted, self.after[rows])


class PhoenixTraining:
    """Training of the network of a pruner.

    Parameters
    ----------
    settings : PhoenixSettings
    pruner : Pruner
    generator : torch.Generator
        Draws points for the prior, orders of samples, and gates.
    train : Intervals
    prior : Tensor, shape (genes, genes)
        ``[regulator, target]``.
    validation : Intervals, optional
        Without them, the training loss is monitored.

    Attributes
    ----------
    history : list of dict
        Losses and sparsity of each epoch.
    """

    def __init__(
        self,
        settings: PhoenixSettings,
        pruner: Pruner,
        generator: torch.Generator,
        train: Intervals,
        *,
        prior: torch.Tensor,
        validation: Intervals | None = None,
    ) -> None:
        self.settings = settings
        self.pruner = pruner
        self.network = pruner.network
        self.generator = generator
        self.train = train
        self.validation = validation
        self.history: list[dict[str, float]] = []
        if settings.data_weight < 1:
            size = (settings.n_prior_points, len(prior))
            self.points = torch.rand(size, generator=generator) - 0.5
            self.expected = self.points @ prior.float()

    def run(self, n_epochs: int, schedule: Mapping[int, float]) -> None:
        """Train, prune by the schedule, and then restore the best epoch after the last pruning.

        `schedule` maps numbers of epochs after which weights are pruned to the fractions of the
        weights that are kept, see `pruning_schedule`.
        """
        self._start_optimizer()

        def prune_and_train(epoch):
            if epoch in schedule:
                self._prune(schedule[epoch])
            monitored = self._train_epoch()
            self.plateau.step(monitored)
            return -monitored

        # Losses before the last pruning are those of other networks, with more weights.
        last_pruning = max(schedule, default=0)
        train_epochs(
            BestWeights(self.network),
            prune_and_train,
            n_epochs,
            patience=PHOENIX_PATIENCE,
            first_counted=last_pruning + 1,
            never_stop_before=last_pruning,
        )

    def prior_loss(self) -> torch.Tensor:
        """Mean of ``(J(z) - z P)^2`` for the prior P and uniform points z in [-1/2, 1/2]."""
        return mse_loss(self.network.targets(self.points), self.expected)

    def penalty(self) -> torch.Tensor:
        """Weighted penalty of a network with gates."""
        kind = self.settings.pruning
        weight = self.settings.penalty
        if weight is None:
            weight = PENALTY_WEIGHTS[kind]
        return weight * self.network.penalty(kind)

    def _start_optimizer(self):
        """Start Adam, and the schedule of its learning rates."""
        # The multipliers learn five times as fast as the weights.
        rate = self.settings.learning_rate
        multiplier = self.network.multiplier
        weights = [value for value in self.network.parameters() if value is not multiplier]
        groups: list[dict[str, Any]] = [
            {"params": weights},
            {"params": [multiplier], "lr": 5 * rate},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=rate, fused=True)
        # The rates fall by a tenth after more than three epochs without a lower monitored loss.
        threshold = 1e-4
        threshold_mode: Literal["rel", "abs"] = "rel"
        if "absolute_fall" in self.settings.as_published:
            threshold = 1e-6
            threshold_mode = "abs"
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer,
            mode="min",
            factor=0.9,
            patience=3,
            threshold=threshold,
            threshold_mode=threshold_mode,
            min_lr=4e-5,
        )

    def _prune(self, kept_fraction):
        """Prune the network, and train it with the initial learning rate again."""
        self.pruner.prune(kept_fraction)
        moments = self.optimizer.state
        self._start_optimizer()
        if "keep_moments" in self.settings.as_published:
            self.optimizer.state = moments

    def _train_epoch(self) -> float:
        """Train for one epoch; returns the monitored loss."""
        train = self.train
        network = self.network.train()
        squared_error = 0.0

        def batch_losses() -> Iterator[torch.Tensor]:
            nonlocal squared_error
            batches = epoch_batches(len(train.rows), self.settings.batch_size, self.generator)
            for batch in batches:
                # New gates for each step, which the samples of a batch share.
                network.sample_gates(self.generator)
                rows = torch.cat([train.rows[sample] for sample in batch])
                data_loss = train.loss(network, rows)
                squared_error += data_loss.item() * len(rows)
                yield self._add_prior_and_penalty(data_loss)

        # Momentum moves pruned weights, too, so they are set to zero after each step.
        steps = take_steps(batch_losses(), self.optimizer, after_step=self.pruner.apply_masks)
        for _ in steps:
            pass
        return self._monitor(squared_error / len(train.before))

    def _add_prior_and_penalty(self, data_loss):
        """Loss of a batch: that of data and prior by their weights, and the penalty on gates."""
        loss = data_loss
        weight = self.settings.data_weight
        if weight < 1:
            loss = weight * data_loss + (1 - weight) * self.prior_loss()
        if self.network.locations:
            loss = loss + self.penalty()
        return loss

    @torch.no_grad()
    def _monitor(self, loss):
        """Loss that decides about learning rate and best epoch, after adding to the history."""
        network = self.network.eval()
        network.sample_gates()
        epoch = len(self.history) + 1
        monitored = loss
        validation_loss = math.nan
        if self.validation is not None:
            validation_loss = self.validation.loss(network).item()
            monitored = validation_loss
        entry: dict[str, float] = {
            "epoch": epoch,
            "loss": loss,
            "validation_loss": validation_loss,
            "sparsity": network.sparsity(),
        }
        if network.locations:
            entry["penalty"] = self.penalty().item()
            monitored += entry["penalty"]
        self.history.append(entry)
        if not math.isfinite(loss + monitored):
            raise DivergenceError(
                f"training diverged in epoch {epoch}: the loss is {loss}; "
                "lower learning_rate, or scale the data to [0, 1]"
            )
        return monitored
