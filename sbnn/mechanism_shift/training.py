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

# probability above which a shift stays free before the last stage; shifts held at 0 rarely recover
IN_DOUBT = 0.05
# the last stage is trained with each of these multiples of the weight precision
FACTORS = (2.0, 0.5)
# number of draws of the latents of each held-out cell when fits are compared by likelihood
DRAWS = 50
FEWEST_STEPS = 10  # minimum number of steps in a cycle of the learning rate


class Training:
    """A network, a prior and the cells that they are trained on; `history` has a dict for each epoch."""

    def __init__(self, network, prior, cells, codes, split, recipe, seed):
        self.network, self.prior, self.cells, self.recipe, self.seed = (
            network,
            prior,
            cells,
            recipe,
            seed,
        )
        self.modules = torch.nn.ModuleList([network, prior])
        self.codes, self.generator = torch.from_numpy(codes), torch.Generator().manual_seed(seed)
        self.train, self.validation = split  # positions
        self.history, self.weight_precision = [], recipe.weight_precision
        self.n_batches = max(len(self.train) // recipe.batch_size, 1)
        self.epochs = recipe._epochs_for(self.n_batches, prior.table.shape[1])

    def run(self, epochs, warm_up=0, follow=False):
        """Train for a number of epochs; the weight of the divergence rises over the first `warm_up`
        epochs.

        With `follow`, the means of the prior are set to the means of the encoder before every epoch
        except the first.
        """
        recipe, step, n_batches = self.recipe, 0, self.n_batches
        rate, decay = (
            recipe.learning_rate,
            recipe.weight_decay + self.weight_precision / len(self.train),
        )
        parameters = self.modules.parameters()
        optimizer = torch.optim.Adam(
            parameters, rate, eps=recipe.epsilon, weight_decay=decay, fused=True
        )
        schedule, n_steps = None, epochs * n_batches
        if recipe.one_cycle and n_steps >= FEWEST_STEPS:
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, rate, total_steps=n_steps, pct_start=0.2
            )
        best, weights, waited = -np.inf, None, 0
        for epoch in range(epochs):
            if follow and epoch:
                self.follow_encoder()
            order = self.train[torch.randperm(len(self.train), generator=self.generator).numpy()]
            losses = []
            for batch in np.array_split(order[: n_batches * recipe.batch_size], n_batches):
                step += 1
                optimizer.zero_grad(set_to_none=True)
                loss = self.loss(batch, min(1.0, step / (warm_up * n_batches)) if warm_up else 1.0)
                (loss * len(self.train) if self.prior.summed else loss).backward()
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                losses.append(loss.item())
            self.history.append({"epoch": len(self.history) + 1, "loss": float(np.mean(losses))})
            if recipe.patience is not None and len(self.validation):
                score = self.history[-1]["validation_elbo"] = self.held_out(elbo_of_cells, 1)
                # The objective changes while the weight rises, so scores are only compared
                # afterwards.
                if score > best or epoch < warm_up:
                    best, waited = score, 0
                    weights = deepcopy(self.modules.state_dict())
                else:
                    waited += 1
                if waited >= recipe.patience:
                    break
        if weights is not None:
            self.modules.load_state_dict(weights)

    def held_out(self, bound, n_samples):
        """Mean of a bound over the validation cells, computed with the same draws each time; 0 without such cells."""
        if not len(self.validation):
            return 0.0
        of, direct = self.codes[self.validation], torch.zeros(len(self.prior.table), 1)
        means = self.prior.means().detach()
        return float(
            bound(self.network, self.cells, self.validation, of, means, direct, n_samples).mean()
        )

    def loss(self, batch, weight=1.0):
        """Negative evidence lower bound averaged over a batch, plus the penalty of the prior (per cell if `summed`)."""
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
        """Set the means of the prior to the means of the encoder over the cells of each perturbation."""
        mean, _ = encoded(self.network, self.cells, self.train)
        self.prior.set_means(means_of(mean, self.codes[self.train], len(self.prior.table)))

    def run_staged(self, names, control):
        """Train freely, then unmix repeatedly and train with improbable shifts held at zero; returns the `Unmixing`."""
        first = max(round(self.recipe.first_share * self.epochs), 1)
        rest = np.diff(
            np.linspace(0, self.epochs - first, self.recipe.unmixings + 1).round().astype(int)
        )
        self.run(first, self.recipe.warm_up, follow=True)
        for i, epochs in enumerate(rest):
            found = unmix(*self._latents(names, control), random_state=self.seed)
            self.network.change_latents(
                *(torch.from_numpy(part).float() for part in (found.matrix, found.origin))
            )
            least, train = (EVEN, self.run_best) if i == len(rest) - 1 else (IN_DOUBT, self.run)
            # the control has no shifts
            free = (found.probabilities > least).reindex(names, fill_value=False)
            self.prior.mask = torch.from_numpy(free.to_numpy(dtype=np.float32))
            self.follow_encoder()
            train(int(epochs), follow=True)
        return describe(*self._latents(names, control))

    def run_best(self, epochs, follow):
        """Run with strong and with weak shrinkage from the same state, and keep what validation cells prefer."""
        start, state, before = (
            deepcopy(self.modules.state_dict()),
            self.generator.get_state(),
            self.history,
        )
        chosen = None
        for factor in FACTORS:
            self.modules.load_state_dict(start)
            self.generator.set_state(state)
            self.history, self.weight_precision = (
                list(before),
                factor * self.recipe.weight_precision,
            )
            self.run(epochs, follow=follow)
            # On a real screen, the evidence lower bound prefers strong shrinkage, although the
            # likelihood is lower.
            score = self.held_out(iwelbo_of_cells, DRAWS)
            if chosen is None or score > chosen[0]:
                chosen = (
                    score,
                    deepcopy(self.modules.state_dict()),
                    self.history,
                    self.weight_precision,
                )
        _, weights, self.history, self.weight_precision = chosen
        self.modules.load_state_dict(weights)

    def _latents(self, names, control):
        """Arguments of `unmix` for the training cells: latents, perturbations, control and variances."""
        mean, variance = encoded(self.network, self.cells, self.train)
        return mean.numpy(), names[self.codes[self.train]], control, variance.numpy()


def means_of(values, codes, n_classes):
    """Mean of the values of each class, Tensor of shape (n_classes, d)."""
    sums = torch.zeros((n_classes, values.shape[1])).index_add_(0, codes, values)
    return sums / torch.bincount(codes, minlength=n_classes)[:, None]
