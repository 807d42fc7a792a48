"""Training of PHOENIX: recipe, schedule, losses and loop."""

import math
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType

import torch
from sklearn.utils._param_validation import Interval
from torch.nn.functional import mse_loss

from sbnn.dynamics.solver import DivergenceError, advance, step_factors
from sbnn.errors import check_number
from sbnn.models.best_weights import BestWeights

COUNT = [Interval(Integral, 1, None, closed="left")]


@dataclass(frozen=True)
class Schedule:
    """Pruning schedule.

    A fraction `first_share` of the weights is removed at `first_epoch`, then a fraction `share` of
    the rest at each multiple of `every` epochs.

    Examples
    --------
    >>> from sbnn.dynamics import Schedule
    >>> Schedule().prunings(0.7)  # epoch: share of the weights that is kept
    {3: 0.30000000000000004}
    """

    first_epoch: int = 3
    first_share: float = 0.7
    every: int = 10
    share: float = 0.1

    def prunings(self, sparsity: float) -> dict:
        """Map epochs after which weights are pruned to the shares of weights that are kept."""
        check_number("sparsity", sparsity, float, 0, 1)
        check_number("share", self.share, float, 1e-9, 1)  # with 0, it would never be reached
        shares = {}
        epoch = self.first_epoch
        left = 1 - self.first_share
        while left > 1 - sparsity:
            shares[epoch] = left
            epoch += self.every - epoch % self.every
            left = (1 - self.first_share) * (1 - self.share) ** len(shares)
        shares[epoch] = 1 - sparsity
        return shares


@dataclass(frozen=True)
class Recipe:
    """Training of a `PhoenixRegressor`.

    Parameters
    ----------
    epochs : int
        Largest number of epochs.
    batch_size : int
        Samples in a step; published: 1.
    learning_rate : float
    multiplier_speed : float
        Ratio of the learning rate of the multipliers to `learning_rate`.
    lowest_rate, rate_factor, rate_patience : float, float, int
        The learning rate of Adam is multiplied by `rate_factor` after more than `rate_patience`
        epochs without a lower validation loss, down to `lowest_rate`, and reset at each pruning.
    patience : int
        Number of epochs without a lower validation loss that ends training after the last pruning.
    n_steps : int
        Solver steps from one time to the next.
    validation_share : float
        Share of the samples, in [0, 1), set aside to monitor the loss; of a single sample, none.
    data_weight : float
        Weight of the data in the loss, in (0, 1]; the prior has the rest.
    n_prior_points : int
        Random points at which the network is compared with the prior.
    schedule : Schedule
    fine_tuning : int
        Epochs after pruning, used only if ``pruning="post_hoc"``.
    penalty : float, optional
        Weight of the penalty of "l0", "c_node" or "path_reg", by default 1e-2, 1e-3 or 1e-4; in
        "path_reg", the sizes of paths have ten times this weight.
    drop_rates : tuple of (float, float)
        Initial probabilities, in (0, 1), that the gate of a gene, and that of a sum or product, is
        closed. Used only with a penalty.
    as_published : bool
        Whether training follows the published code where the default differs: weights are pruned at
        the start of the scheduled epoch, and Adam keeps its moments; the validation loss must fall
        by 1e-6, not by 1e-4 of itself; biases start at random; 95 % of the input weights of each
        gene start at 0 (all with fewer than 20 sums); the penalty of "path_reg" counts paths with
        the gates drawn in each step.

    Examples
    --------
    >>> from sbnn.dynamics import PhoenixRegressor, Recipe, Schedule
    >>> recipe = Recipe(epochs=60, schedule=Schedule(every=5))
    >>> model = PhoenixRegressor(n_hidden=10, recipe=recipe)
    """

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
    as_published: bool = False

    def prunings(self, sparsity: float) -> dict:
        """Map the number of epochs trained before each pruning to the share that is kept."""
        shares = self.schedule.prunings(sparsity)
        if self.as_published:
            return {max(epoch - 1, 0): left for epoch, left in shares.items()}
        return shares


#: Settings of the published code of PHOENIX, DASH and PathReg.
PUBLISHED = Recipe(batch_size=1, as_published=True)


class Intervals:
    """Intervals of some samples: `before` and `after`, (samples, intervals, genes), `length`.

    Lengths, (samples, intervals, 1), are 0 for padding; `n`, (samples,), counts the others.
    """

    def __init__(self, samples, chosen):
        values, times = map(torch.from_numpy, samples.padded())
        values = values[chosen].float()
        self.before = values[:, :-1]
        self.after = values[:, 1:]
        self.length = times[chosen].diff(dim=1).float()[..., None]
        self.n = (self.length > 0).sum(dim=(1, 2))

    def loss(self, network, n_steps, rows=slice(None)):
        """Mean squared error of predictions one interval ahead."""
        length = self.length[rows]
        real = length[..., 0] > 0  # (samples, intervals)
        factors = step_factors(network.decay(), length[real] / n_steps)
        predicted = advance(network.targets, self.before[rows][real], factors, n_steps)
        return mse_loss(predicted, self.after[rows][real])


class Training:
    """Training of a network on some samples and validation on others, given by `parts`.

    `penalty` is one of `PENALTIES` of `sbnn.dynamics.phoenix`.
    """

    def __init__(
        self, network, samples, parts, recipe, generator, prior=None, pruner=None, penalty=None
    ):
        self.network = network
        self.recipe = recipe
        self.generator = generator
        self.pruner = pruner
        self.gated = penalty is not None
        if self.gated:
            self.size, self.weight = penalty
            if recipe.penalty is not None:
                self.weight = recipe.penalty
        self.train, self.validation = [Intervals(samples, part) for part in parts]
        self.history = []
        if recipe.data_weight < 1:
            self.points = torch.rand((recipe.n_prior_points, len(prior)), generator=generator) - 0.5
            self.expected = self.points @ prior.float()

    def penalty(self):
        """Penalty of a `GatedPhoenix`."""
        return self.weight * self.size(self.network)

    def prior_loss(self):
        """Mean of ``(J(z) - z P)^2`` for the prior P and uniform points z in [-1/2, 1/2]."""
        return mse_loss(self.network.targets(self.points), self.expected)

    def run(self, epochs, prunings=MappingProxyType({})):
        """Train, prune as in `Schedule.prunings`, and keep the best epoch after that.

        Training does not end early if a pruning would come after the last epoch.
        """
        done = 0
        optimizer = self._optimizer()
        patience = self.recipe.patience
        for epoch, left in prunings.items():
            if epoch > epochs:
                patience = math.inf
                break
            self._descend(optimizer, epoch - done)
            self.pruner.prune(left)
            moments = optimizer.state
            optimizer = self._optimizer()
            if self.recipe.as_published:
                optimizer.state = moments
            done = epoch
        best = self._descend(optimizer, epochs - done, patience)
        best.restore()

    def _optimizer(self):
        multiplier = self.network.multiplier
        others = [value for value in self.network.parameters() if value is not multiplier]
        rate = self.recipe.learning_rate
        fast = {"params": [multiplier], "lr": rate * self.recipe.multiplier_speed}
        return torch.optim.Adam([{"params": others}, fast], lr=rate, fused=True)

    def _descend(self, optimizer, n_epochs, patience=math.inf):
        """Train; returns the `BestWeights`, by the lowest monitored loss."""
        recipe = self.recipe
        least_fall = {"threshold": 1e-4, "threshold_mode": "rel"}
        if recipe.as_published:
            least_fall = {"threshold": 1e-6, "threshold_mode": "abs"}
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=recipe.rate_factor,
            patience=recipe.rate_patience,
            min_lr=recipe.lowest_rate,
            **least_fall,
        )
        best = BestWeights(self.network)
        for _ in range(n_epochs):
            monitored = self._epoch(optimizer)
            plateau.step(monitored)
            best.offer(-monitored)
            if best.waited >= max(patience, 1):
                break
        return best

    def _epoch(self, optimizer):
        """Train for one epoch; returns the monitored loss."""
        network = self.network
        network.train()
        loss = self._steps(optimizer)
        network.eval()
        entry = {"epoch": len(self.history) + 1, "loss": loss, "validation_loss": math.nan}
        monitored = loss
        with torch.no_grad():
            if len(self.validation.n):
                monitored = self.validation.loss(network, self.recipe.n_steps).item()
                entry["validation_loss"] = monitored
            entry["sparsity"] = network.sparsity()
            if self.gated:
                entry["penalty"] = self.penalty().item()
                monitored += entry["penalty"]
        self.history.append(entry)
        if not math.isfinite(loss + monitored):
            raise DivergenceError(
                f"training diverged in epoch {entry['epoch']}: the loss is {loss}; "
                "lower Recipe.learning_rate, or scale the data to [0, 1]"
            )
        return monitored

    def _steps(self, optimizer):
        """One step for each batch; returns the mean loss."""
        weight = self.recipe.data_weight
        n_intervals = self.train.n
        n_samples = len(n_intervals)
        mean_length = n_intervals.sum() / n_samples
        order = torch.randperm(n_samples, generator=self.generator)
        losses = []
        for batch in order.split(self.recipe.batch_size):
            optimizer.zero_grad()
            self.network.draw(self.generator)
            loss = self.train.loss(self.network, self.recipe.n_steps, batch)
            share = n_intervals[batch].sum() / mean_length
            losses.append(loss.item() * share.item())
            if weight < 1:
                loss = weight * loss + (1 - weight) * self.prior_loss()
            if self.gated:
                loss = loss + self.penalty()
            loss.backward()
            optimizer.step()
            if self.pruner is not None:
                self.pruner.apply()
        return sum(losses) / n_samples
