"""The one training loop, and the staged procedure that is made of it."""

import numpy as np
import torch

from sbnn.mechanism_shift.likelihood import elbo_of_cells, encoded
from sbnn.mechanism_shift.network import divergence, log_likelihood
from sbnn.mechanism_shift.unmixing import EVEN, describe, unmix

IN_DOUBT = (
    0.05  # probability of a shift, above which it stays free but for the last time: what is held at zero hardly returns
)

FEWEST_STEPS = 10  # of a cycle of the learning rate


class Training:
    """A network, a prior and the cells they are trained on.

    Parameters
    ----------
    network : ShiftNetwork
    prior : Prior
    cells : Cells
    codes : ndarray of int, shape (n,)
        Perturbation of each cell.
    split : tuple of (ndarray of int, ndarray of int)
        Positions of the cells trained on and of those set aside.
    recipe : Recipe
    inputs : callable
        Counts (b, p) to what enters the encoder.
    generator : torch.Generator

    Attributes
    ----------
    history : list of dict
        One entry per epoch: ``epoch``, ``loss`` and, with patience, ``validation_elbo``; means over cells.
    """

    def __init__(self, network, prior, cells, codes, split, recipe, inputs, generator):
        self.network, self.prior, self.cells, self.recipe = network, prior, cells, recipe
        self.codes, self.inputs, self.generator = torch.from_numpy(codes), inputs, generator
        self.train, self.validation = split
        self.history = []
        self.n_batches = max(len(self.train) // recipe.batch_size, 1)

    def run(self, epochs, warm_up=0, follow=False):
        """Train for a number of epochs.

        Parameters
        ----------
        epochs : int
        warm_up : int
            Epochs over which the weight of the divergence rises.
        follow : bool
            Set the means of the prior to those of the encoder before every epoch but the first one.
        """
        recipe, step, n_batches = self.recipe, 0, self.n_batches
        parameters = [*self.network.parameters(), *self.prior.parameters()]
        decay = recipe.weight_decay + recipe.weight_precision / len(self.train)
        optimizer = torch.optim.Adam(
            parameters, recipe.learning_rate, eps=recipe.epsilon, weight_decay=decay, fused=True
        )
        schedule, n_steps = None, epochs * n_batches
        if recipe.one_cycle and n_steps >= FEWEST_STEPS:
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, recipe.learning_rate, total_steps=n_steps, pct_start=0.2
            )
        best, waited = (-np.inf, None), 0
        for epoch in range(epochs):
            if follow and epoch:
                self.follow_encoder()
            order = self.train[torch.randperm(len(self.train), generator=self.generator).numpy()]
            losses = []
            for batch in np.array_split(order[: n_batches * recipe.batch_size], n_batches):
                weight = min(1.0, (step + 1) / (warm_up * n_batches)) if warm_up else 1.0
                optimizer.zero_grad(set_to_none=True)
                loss = self.loss(batch, weight)
                (loss * len(self.train) if self.prior.summed else loss).backward()
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                step += 1
                losses.append(loss.item())
            entry = {"epoch": len(self.history) + 1, "loss": float(np.mean(losses))}
            if recipe.patience is not None and len(self.validation):
                entry["validation_elbo"] = self._validation_elbo()
                # The objective changes while the weight rises: scores are compared from then on.
                if entry["validation_elbo"] > best[0] or epoch < warm_up:
                    best, waited = (entry["validation_elbo"], self._state()), 0
                else:
                    waited += 1
            self.history.append(entry)
            if recipe.patience is not None and waited >= recipe.patience:
                break
        if best[1] is not None:
            self.network.load_state_dict(best[1][0])
            self.prior.load_state_dict(best[1][1])

    def loss(self, batch, weight=1.0):
        """Mean negative evidence lower bound of cells, and their part of the penalty of the prior."""
        self.network.train()
        counts, totals = self.cells.batch(batch)
        mean, log_variance = self.network.encode(self.inputs(counts))
        noise = torch.randn(mean.shape, generator=self.generator)
        log_shares = self.network.decode(mean + noise * (0.5 * log_variance).exp())
        fit = log_likelihood(counts, totals, log_shares, self.network.dispersion)
        codes = self.codes[torch.from_numpy(batch)]
        kl = divergence(mean, log_variance, self.prior(codes, self.generator))
        return (weight * kl - fit).mean() + weight * self.prior.penalty() / len(self.train)

    def follow_encoder(self):
        """Set the means of the prior to those that the encoder gives to the cells of each perturbation."""
        mean, _ = encoded(self.network, self.cells, self.train, self.inputs)
        codes = self.codes[torch.from_numpy(self.train)]
        sums = torch.zeros(self.prior.shape).index_add_(0, codes, mean)
        self.prior.set_means(sums / torch.bincount(codes, minlength=len(sums))[:, None])

    def _validation_elbo(self):
        noise = torch.Generator().manual_seed(0)  # the same draws in every epoch
        codes = self.codes.numpy()[self.validation]
        values = elbo_of_cells(self.network, self.prior, self.cells, self.validation, codes, self.inputs, noise)
        return float(values.mean())

    def _state(self):
        return tuple({k: v.clone() for k, v in part.state_dict().items()} for part in (self.network, self.prior))


def train_staged(training, names, control, seed):
    """Train freely, unmix, and train on with what each perturbation leaves alone held at zero.

    Parameters
    ----------
    training : Training
        Its prior is a `FixedMeans`.
    names : ndarray of str
        Of the perturbations.
    control : str or None
    seed : int

    Returns
    -------
    Unmixing
        Of the latents of the trained network.
    """
    recipe = training.recipe
    epochs = recipe.epochs_for(training.n_batches, training.prior.shape[1])
    first = max(round(recipe.first_share * epochs), 1)
    rest = np.diff(np.linspace(0, epochs - first, recipe.unmixings + 1).round().astype(int))
    training.run(first, recipe.warm_up, follow=True)
    for i, epochs in enumerate(rest):
        found = unmix(*_latents(training, names, control), random_state=seed)
        training.network.change_latents(*(torch.from_numpy(part).float() for part in (found.matrix, found.origin)))
        least = EVEN if i == len(rest) - 1 else IN_DOUBT
        free = (found.probabilities > least).reindex(names, fill_value=False)  # of the control nothing is
        training.prior.mask = torch.from_numpy(free.to_numpy(dtype=np.float32))
        training.follow_encoder()
        if epochs:
            training.run(int(epochs), follow=True)
    return describe(*_latents(training, names, control))


def _latents(training, names, control):
    """Latents of the training cells, as `unmix` takes them."""
    mean, variance = encoded(training.network, training.cells, training.train, training.inputs)
    return mean.numpy(), names[training.codes.numpy()[training.train]], control, variance.numpy()
