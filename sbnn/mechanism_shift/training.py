"""The training loop, and the staged procedure built on it."""

from copy import deepcopy

import numpy as np
import torch

from sbnn.mechanism_shift.graph import EVEN
from sbnn.mechanism_shift.network import (
    divergence,
    elbo_of_cells,
    encoded,
    iwelbo_of_cells,
    log_likelihood,
)
from sbnn.mechanism_shift.unmixing import describe, unmix

IN_DOUBT = (
    0.05  # shifts that are more probable stay free before the last stage; others hardly recover
)
FACTORS = (2.0, 0.5)  # multiples of the weight precision that are tried in the last stage
DRAWS = 50  # draws of the latents of each held-out cell when fits are compared by likelihood
FEWEST_STEPS = 10  # minimum number of steps in a cycle of the learning rate


class Training:
    """A network, a prior and their training cells; `history` has a dict for each epoch."""

    def __init__(self, network, prior, cells, codes, split, recipe, seed):
        self.network = network
        self.prior = prior
        self.modules = torch.nn.ModuleList([network, prior])
        self.cells = cells
        self.codes = torch.from_numpy(codes)  # perturbation of each cell, of shape (n,)
        self.train, self.validation = split  # positions
        self.recipe = recipe
        self.weight_precision = recipe.weight_precision
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self.history = []
        self.n_batches = max(len(self.train) // recipe.batch_size, 1)
        _, n_latents = prior.table.shape
        self.epochs = recipe.epochs_for(self.n_batches, n_latents)

    def run(self, epochs, warm_up=0, follow=False):
        """Train; the weight of the divergence rises over the first `warm_up` epochs.

        With `follow`, the means of the prior are set to the means of the encoder before every epoch
        except the first.
        """
        optimizer, schedule = self._optimizer(epochs)
        best_score = -np.inf
        best_weights = None
        waited = 0
        step = 0
        for epoch in range(epochs):
            if follow and epoch:
                self.follow_encoder()
            losses = []
            for batch in self._batches():
                step += 1
                weight = 1.0
                if warm_up:
                    weight = min(1.0, step / (warm_up * self.n_batches))
                loss = self.loss(batch, weight)
                optimizer.zero_grad(set_to_none=True)
                if self.prior.summed:
                    (loss * len(self.train)).backward()
                else:
                    loss.backward()
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                losses.append(loss.item())
            row = {"epoch": len(self.history) + 1, "loss": float(np.mean(losses))}
            self.history.append(row)
            if self.recipe.patience is None or not len(self.validation):
                continue
            score = self.held_out(elbo_of_cells, 1)
            row["validation_elbo"] = score
            waited += 1
            # The objective changes while the weight rises, so scores are only compared afterwards.
            if score > best_score or epoch < warm_up:
                best_score = score
                best_weights = deepcopy(self.modules.state_dict())
                waited = 0
            if waited >= self.recipe.patience:
                break
        if best_weights is not None:
            self.modules.load_state_dict(best_weights)

    def _optimizer(self, epochs):
        """Adam, and its one cycle of learning rates or None."""
        recipe = self.recipe
        optimizer = torch.optim.Adam(
            self.modules.parameters(),
            recipe.learning_rate,
            eps=recipe.epsilon,
            weight_decay=recipe.weight_decay + self.weight_precision / len(self.train),
            fused=True,
        )
        n_steps = epochs * self.n_batches
        if not recipe.one_cycle or n_steps < FEWEST_STEPS:
            return optimizer, None
        rate = recipe.learning_rate
        cycle = torch.optim.lr_scheduler.OneCycleLR
        return optimizer, cycle(optimizer, rate, total_steps=n_steps, pct_start=0.2)

    def _batches(self):
        """Positions of the training cells in random order, in batches of nearly the same size."""
        order = self.train[torch.randperm(len(self.train), generator=self.generator).numpy()]
        used = order[: self.n_batches * self.recipe.batch_size]
        return np.array_split(used, self.n_batches)

    def held_out(self, bound, n_samples):
        """Mean of a bound over the validation cells (0 without any), with fixed draws."""
        if not len(self.validation):
            return 0.0
        codes = self.codes[self.validation]
        means = self.prior.means().detach()
        direct = torch.zeros(len(means), 1)
        values = bound(self.network, self.cells, self.validation, codes, means, direct, n_samples)
        return float(values.mean())

    def loss(self, batch, weight=1.0):
        """Negative evidence lower bound averaged over a batch, plus the penalty of the prior.

        The divergence has a `weight`, as has a penalty that is `summed` over all training cells.
        """
        self.network.train()
        counts, totals = self.cells.batch(batch)
        mean, log_variance = self.network.encode(counts)
        noise = torch.randn(mean.shape, generator=self.generator)
        log_shares = self.network.decode(mean + noise * (0.5 * log_variance).exp())
        fit = log_likelihood(counts, totals, log_shares, self.network.dispersion)
        kl = divergence(mean, log_variance, self.prior(self.codes[batch], self.generator))
        penalty = self.prior.penalty()
        if self.prior.summed:
            penalty = weight * penalty / len(self.train)
        return (weight * kl - fit).mean() + penalty

    def follow_encoder(self):
        """Set the means of the prior to those of the encoder over each perturbation's cells."""
        mean, _ = encoded(self.network, self.cells, self.train)
        self.prior.set_means(means_of(mean, self.codes[self.train], len(self.prior.table)))

    def run_staged(self, names, control):
        """Train freely, then unmix and train with improbable shifts held at zero, several times.

        Returns the `Unmixing` of the trained latents. Only likely edges stay free in the last
        stage, in which held-out cells also choose the shrinkage.
        """
        first = max(round(self.recipe.first_share * self.epochs), 1)
        self.run(first, self.recipe.warm_up, follow=True)
        n_stages = self.recipe.unmixings
        ends = np.linspace(0, self.epochs - first, n_stages + 1).round().astype(int)
        for stage, epochs in enumerate(np.diff(ends), 1):
            found = unmix(*self._latents(names, control), random_state=self.seed)
            matrix = torch.from_numpy(found.matrix).float()
            origin = torch.from_numpy(found.origin).float()
            self.network.change_latents(matrix, origin)
            last = stage == n_stages
            free = found.probabilities > (EVEN if last else IN_DOUBT)
            free = free.reindex(names, fill_value=False)  # the control has no shifts
            self.prior.mask = torch.from_numpy(free.to_numpy(dtype=np.float32))
            self.follow_encoder()
            if last:
                self.run_best(int(epochs), follow=True)
            else:
                self.run(int(epochs), follow=True)
        return describe(*self._latents(names, control))

    def run_best(self, epochs, follow):
        """Run with strong and with weak shrinkage, and keep what validation cells prefer."""
        weights = deepcopy(self.modules.state_dict())
        random_state = self.generator.get_state()
        history = self.history
        best_score = None
        for factor in FACTORS:
            self.modules.load_state_dict(weights)
            self.generator.set_state(random_state)
            self.history = list(history)
            self.weight_precision = factor * self.recipe.weight_precision
            self.run(epochs, follow=follow)
            # On a real screen, the evidence lower bound prefers strong shrinkage, although the
            # likelihood is lower.
            score = self.held_out(iwelbo_of_cells, DRAWS)
            if best_score is None or score > best_score:
                best_score = score
                best_weights = deepcopy(self.modules.state_dict())
                best_run = self.history, self.weight_precision
        self.modules.load_state_dict(best_weights)
        self.history, self.weight_precision = best_run

    def _latents(self, names, control):
        """Arguments of `unmix`: latents, perturbations, control and variances of training cells."""
        mean, variance = encoded(self.network, self.cells, self.train)
        return mean.numpy(), names[self.codes[self.train]], control, variance.numpy()


def means_of(values, codes, n_classes):
    """Mean of the values of each class, Tensor of shape (n_classes, d)."""
    sums = torch.zeros((n_classes, values.shape[1])).index_add_(0, codes, values)
    return sums / torch.bincount(codes, minlength=n_classes)[:, None]
