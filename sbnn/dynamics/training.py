"""Training of PHOENIX, with its prunings."""

import math

import torch
from torch.nn.functional import mse_loss

from sbnn.dynamics.solver import DivergenceError, advance, step_factors
from sbnn.models.training import BestWeights

# That of L0 is our choice: the published comparison adds no L0 penalty.
PENALTIES = {"l0": 1e-2, "c_node": 1e-3, "path_reg": 1e-4}
N_STEPS = 3  # of the solver from one time to the next
PATIENCE = 40  # epochs without a lower validation loss that end training after the last pruning


class Intervals:
    """Values `before` and `after` the intervals of samples, (intervals, genes), and `length`."""

    def __init__(self, samples, time_scale):
        before, after, times = map(torch.from_numpy, samples.intervals())
        self.before = before.float()
        self.after = after.float()
        self.length = (times * time_scale).diff(dim=1).float()
        n_of_samples = [len(at) - 1 for at in samples.times]
        self.rows = torch.arange(len(before)).split(n_of_samples)

    def loss(self, network, rows=slice(None)):
        """Mean squared error of predictions one interval ahead, in all or some intervals."""
        factors = step_factors(network.decay(), self.length[rows] / N_STEPS)
        predicted = advance(network.targets, self.before[rows], factors, N_STEPS)
        return mse_loss(predicted, self.after[rows])


class Training:
    """Training of a network by the parameters of a `PhoenixRegressor`.

    `train` and `validation` are `Intervals`; without validation samples, the latter is None.
    """

    def __init__(self, model, pruner, generator, train, validation=None, prior=None):
        self.model = model
        self.network = pruner.network
        self.generator = generator
        self.train = train
        self.validation = validation
        self.pruner = pruner
        self.history = []
        if model.data_weight < 1:
            size = model.n_prior_points, len(prior)
            self.points = torch.rand(size, generator=generator) - 0.5
            self.expected = self.points @ prior.float()

    def run(self, epochs, at):
        """Train, prune after the epochs in `at`, see `prunings`, and then keep the best epoch."""
        last = max(at, default=0)
        optimizer, plateau, best = self._start()
        for epoch in range(epochs):
            if epoch in at:
                self.pruner.prune(at[epoch])
                moments = optimizer.state
                optimizer, plateau, best = self._start()
                if "keep_moments" in self.model.as_published:
                    optimizer.state = moments
            monitored = self._epoch(optimizer)
            plateau.step(monitored)
            best.offer(-monitored)
            if epoch >= last and best.n_waited >= PATIENCE:
                break
        best.restore()

    def prior_loss(self):
        """Mean of ``(J(z) - z P)^2`` for the prior P and uniform points z in [-1/2, 1/2]."""
        return mse_loss(self.network.targets(self.points), self.expected)

    def penalty(self):
        """Weighted penalty of a network with gates."""
        kind = self.model.pruning
        weight = PENALTIES[kind] if self.model.penalty is None else self.model.penalty
        return weight * self.network.penalty(kind)

    def _start(self):
        """Optimizer, schedule of its learning rates, and `BestWeights` by the monitored loss."""
        multiplier = self.network.multiplier
        others = [value for value in self.network.parameters() if value is not multiplier]
        rate = self.model.learning_rate
        fast = {"params": [multiplier], "lr": 5 * rate}
        optimizer = torch.optim.Adam([{"params": others}, fast], lr=rate, fused=True)
        threshold, mode = 1e-4, "rel"
        if "absolute_fall" in self.model.as_published:
            threshold, mode = 1e-6, "abs"
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, "min", 0.9, 3, threshold, mode, min_lr=4e-5
        )
        return optimizer, plateau, BestWeights(self.network)

    def _epoch(self, optimizer):
        """Train for one epoch; returns the monitored loss."""
        network = self.network.train()
        model = self.model
        train = self.train
        order = torch.randperm(len(train.rows), generator=self.generator)
        total = 0.0
        for batch in order.split(model.batch_size):
            optimizer.zero_grad()
            network.draw(self.generator)
            rows = torch.cat([train.rows[i] for i in batch])
            loss = train.loss(network, rows)
            total += loss.item() * len(rows)
            if model.data_weight < 1:
                loss = model.data_weight * loss + (1 - model.data_weight) * self.prior_loss()
            if network.locations:
                loss = loss + self.penalty()
            loss.backward()
            optimizer.step()
            self.pruner.apply()
        return self._monitored(total / len(train.before))

    @torch.no_grad()
    def _monitored(self, loss):
        """Loss that decides about learning rate and best epoch, after adding to the history."""
        network = self.network.eval()
        network.draw()
        entry = {"epoch": len(self.history) + 1, "loss": loss, "validation_loss": math.nan}
        monitored = loss
        if self.validation is not None:
            monitored = entry["validation_loss"] = self.validation.loss(network).item()
        entry["sparsity"] = network.sparsity()
        if network.locations:
            entry["penalty"] = self.penalty().item()
            monitored += entry["penalty"]
        self.history.append(entry)
        if not math.isfinite(loss + monitored):
            raise DivergenceError(
                f"training diverged in epoch {entry['epoch']}: the loss is {loss}; "
                "lower learning_rate, or scale the data to [0, 1]"
            )
        return monitored
