"""The one training loop of PHOENIX, with pruning on the way."""

import math

import numpy as np
import torch

from sbnn.dynamics.solver import DivergenceError, advance, step_factors


class Intervals:
    """Every step from one time to the next of some samples.

    Parameters
    ----------
    trajectories : Trajectories
    samples : ndarray of int
        Positions.

    Attributes
    ----------
    before, after : Tensor of float32, shape (samples, intervals, genes)
    length : Tensor of float32, shape (samples, intervals, 1)
    """

    def __init__(self, trajectories, samples):
        values = torch.from_numpy(trajectories.values[samples]).float()
        self.before, self.after = values[:, :-1], values[:, 1:]
        self.length = torch.from_numpy(np.diff(trajectories.times[samples], axis=1)).float()[..., None]

    def __len__(self):
        return len(self.before)


def interval_loss(network, before, after, length, n_steps):
    """Mean squared error one interval ahead of each observed point; shapes as in `Intervals`."""
    factors = step_factors(network.decay(), length / n_steps)
    return torch.nn.functional.mse_loss(advance(network.targets, before, factors, n_steps), after)


class PriorLoss:
    """How far the targets J are from what a prior says: mean of ``(J(z) - z P)^2`` over fixed random points z.

    Parameters
    ----------
    prior : Tensor, shape (genes, genes)
        [regulator, target].
    n_points : int
        Each uniform between -1/2 and 1/2.
    generator : torch.Generator
    """

    def __init__(self, prior, n_points, generator):
        self.points = torch.rand((n_points, len(prior)), generator=generator) - 0.5
        self.expected = self.points @ prior.float()

    def __call__(self, network):
        """Loss, a scalar Tensor."""
        return torch.nn.functional.mse_loss(network.targets(self.points), self.expected)


class Training:
    """A network and the samples it is trained on.

    Parameters
    ----------
    network : Phoenix
    train, validation : Intervals
        An empty validation leaves the training loss to be watched.
    recipe : Recipe
    generator : torch.Generator
    prior_loss : PriorLoss or None
    pruner : Pruner or None
    penalty : callable or None
        Of the network; what it gives is added to the loss, and to the loss that is watched.

    Attributes
    ----------
    history : list of dict
        One entry per epoch: ``epoch``, ``loss``, ``validation_loss`` (NaN where there is none), ``sparsity`` and, where
        there is one, ``penalty``.
    """

    def __init__(self, network, train, validation, recipe, generator, prior_loss=None, pruner=None, penalty=None):
        self.network, self.train, self.validation, self.recipe = network, train, validation, recipe
        self.generator, self.prior_loss, self.pruner, self.penalty = generator, prior_loss, pruner, penalty
        self.history = []

    def run(self, epochs, schedule=None, sparsity=0.0):
        """Train, and keep the weights of the best epoch after the last pruning.

        Parameters
        ----------
        epochs : int
            At most.
        schedule : Schedule or None
            Of the pruning on the way.
        sparsity : float
            That the pruning reaches.

        Raises
        ------
        DivergenceError
            A loss that is not finite.
        """
        recipe = self.recipe
        last_pruning = 0 if schedule is None else schedule.last_epoch(sparsity)
        optimizer, plateau = self._optimizer()
        best, waited = (math.inf, self._state()), 0
        for epoch in range(1, epochs + 1):
            watched = self._epoch(optimizer)
            left = None if schedule is None else schedule.left(epoch, sparsity)
            if left is not None:
                self.pruner.prune(left)
                optimizer, plateau = self._optimizer()
                best, waited = (math.inf, self._state()), 0  # what was better had more weights
                continue
            plateau.step(watched)
            if watched < best[0]:
                best, waited = (watched, self._state()), 0
            elif epoch > last_pruning:
                waited += 1
                if waited >= recipe.patience:
                    break
        self.network.load_state_dict(best[1])

    def _epoch(self, optimizer):
        """One pass over the samples; gives the loss that is watched."""
        network, recipe, train = self.network, self.recipe, self.train
        network.train()
        losses = []
        for batch in torch.randperm(len(train), generator=self.generator).split(recipe.batch_size):
            optimizer.zero_grad(set_to_none=True)
            network.draw(self.generator)
            loss = interval_loss(network, train.before[batch], train.after[batch], train.length[batch], recipe.n_steps)
            losses.append(loss.item() * len(batch))
            if self.prior_loss is not None:
                loss = recipe.data_weight * loss + (1 - recipe.data_weight) * self.prior_loss(network)
            if self.penalty is not None:
                loss = loss + self.penalty(network)
            loss.backward()
            optimizer.step()
            if self.pruner is not None:
                self.pruner.apply()
        network.eval()
        entry = {"epoch": len(self.history) + 1, "loss": sum(losses) / len(train), "validation_loss": math.nan}
        if len(self.validation):
            v = self.validation
            with torch.no_grad():
                entry["validation_loss"] = interval_loss(network, v.before, v.after, v.length, recipe.n_steps).item()
        entry["sparsity"] = network.sparsity()
        watched = entry["validation_loss"] if len(self.validation) else entry["loss"]
        if self.penalty is not None:
            with torch.no_grad():
                entry["penalty"] = self.penalty(network).item()
            watched += entry["penalty"]
        self.history.append(entry)
        if not math.isfinite(entry["loss"]) or not math.isfinite(watched):
            raise DivergenceError(
                f"training diverged in epoch {entry['epoch']}: the loss is {entry['loss']}. A lower learning rate "
                "(Recipe.learning_rate) or data on a scale from 0 to 1 may help"
            )
        return watched

    def _optimizer(self):
        recipe, network = self.recipe, self.network
        others = [value for name, value in network.named_parameters() if name != "multiplier"]
        rates = recipe.learning_rate, recipe.learning_rate * recipe.multiplier_speed
        optimizer = torch.optim.Adam(
            [{"params": others}, {"params": [network.multiplier], "lr": rates[1]}], lr=rates[0], fused=True
        )
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=recipe.rate_factor, patience=recipe.rate_patience, min_lr=recipe.lowest_rate
        )
        return optimizer, plateau

    def _state(self):
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}
