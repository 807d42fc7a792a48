"""Training of a network as published, or in cycles of the learning rate."""

from copy import deepcopy
from itertools import count
from math import comb
from operator import itemgetter

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.optim.lr_scheduler import OneCycleLR

from sbnn.mechanism_shift.network import (
    MANY,
    divergence,
    drawn,
    elbo_of_cells,
    iwelbo_of_cells,
    log_likelihood,
    sampled_likelihood,
)
from sbnn.models.training import BestWeights

HELD_OUT = 0.1  # share of the cells of each perturbation that is set aside for validation


class Training:
    """A new network and its cells; `history` has a dict for each epoch.

    `codes` are the perturbations of the cells. Subclasses have the method ``run(epochs)``.
    """

    batch_size = 128
    every = 1  # of the cells of a batch, the likelihood is computed

    def __init__(self, counts, codes, new_network, seed=None):
        random = check_random_state(seed)
        self.seed = random.randint(2**31 - 1)
        self.train, self.validation = split(codes, HELD_OUT, random)  # positions
        self.counts = torch.from_numpy(counts.toarray())
        self.codes = torch.from_numpy(codes)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.history = []
        torch.manual_seed(self.seed)  # for initial weights and dropout
        self.network = new_network()
        self.inputs = self.network.inputs(self.counts)

    @property
    def n_batches(self):
        """Number of updates in an epoch."""
        return max(len(self.train) // self.batch_size, 1)

    def epoch(self, optimizer, weights, schedule=None):
        """Train for an epoch; `weights` yields the weight of the divergence at each step."""
        self.network.train()
        losses = []
        for batch in self.batches():
            loss = self.loss(batch, next(weights))
            optimizer.zero_grad()
            (loss * len(self.train) if self.network.summed else loss).backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            losses.append(loss.item())
        self.history.append({"epoch": len(self.history) + 1, "loss": float(np.mean(losses))})

    def warmed_up(self, epochs):
        """Yield the weight of the divergence at each step, which rises from 0 to 1."""
        n_steps = max(epochs * self.n_batches, 1)
        for step in count(1):
            yield min(step / n_steps, 1.0)

    def batches(self):
        """Positions of the training cells in random order, in batches of equal size."""
        order = torch.randperm(len(self.train), generator=self.generator)
        return torch.from_numpy(self.train)[order].split(self.batch_size)[: self.n_batches]

    def held_out(self, bound, n_samples):
        """Mean of a bound over the validation cells (NaN without any), with fixed draws."""
        means = self.network.means()
        cells = self.counts[self.validation], self.codes[self.validation]
        values = bound(self.network, *cells, means, torch.zeros(len(means), 1), n_samples)
        return float(values.mean())

    def loss(self, batch, weight=1.0):
        """Negative evidence lower bound, a mean over a batch, plus the penalty of the prior."""
        network = self.network
        mean, log_variance = network.encode_inputs(self.inputs.index_select(0, batch))
        noise = torch.randn(mean.shape, generator=self.generator)
        log_shares = network.decode(drawn(mean, log_variance, noise))
        cells = self.counts.index_select(0, batch), log_shares, network.dispersion
        every = min(self.every, len(batch))
        if every == 1:
            fit = log_likelihood(*cells)
        else:
            first = int(torch.randint(every, (), generator=self.generator))
            fit = sampled_likelihood(*cells, slice(first, None, every))
        kl = divergence(mean, log_variance, network.drawn_means(self.codes[batch], self.generator))
        penalty = network.penalty()
        if network.summed:
            penalty = weight * penalty / len(self.train)
        return (weight * kl - fit).mean() + penalty


class PublishedTraining(Training):
    """Steps of Lopez et al. 2022 and their code; unlike there, the best weights are kept."""

    precision = 0.0  # without a prior on the weights
    patience = 45  # epochs without a better validation score

    def run(self, epochs):
        """Train for 300 epochs at most."""
        epochs = epochs or 300
        # published: 50 of 300 epochs, and 10 of 50 on a real screen
        self.until_best(epochs, min(50, epochs // 5))

    def until_best(self, epochs, warm_up):
        """Train until the validation score is no longer improved."""
        how = {"eps": 0.01, "weight_decay": 1e-6, "fused": True}
        optimizer = torch.optim.Adam(self.network.parameters(), 1e-3, **how)
        weights = self.warmed_up(warm_up)
        best = BestWeights(self.network)
        for epoch in range(epochs):
            self.epoch(optimizer, weights)
            score = self.held_out(elbo_of_cells, 1)
            self.history[-1]["validation_elbo"] = score
            if not len(self.validation):
                continue
            # scores are not comparable before
            best.offer(score, always=epoch < warm_up)
            if best.n_waited >= self.patience:
                break
        best.restore()


class RetrainedTraining(PublishedTraining):
    """As published, and then once more with each gate open or closed."""

    def run(self, epochs):
        """Train for 300 epochs at most, twice."""
        super().run(epochs)
        gates = self.network.gates.requires_grad_(False)
        gates.copy_(torch.where(gates > 0, torch.inf, -torch.inf))
        self.until_best(epochs or 300, warm_up=1)


class OneCycleTraining(Training):
    """Four cycles of the learning rate (Smith and Topin 2018), with a normal prior on all weights.

    Validation cells choose between a strong and a weak prior in the last cycle. With many genes,
    large matrices next to them would take most of the time, and fit noise.
    """

    rate = 2.5e-3  # highest
    precision = 36.0  # of the prior on the weights, before the last cycle
    factors = 2.0, 0.5  # of the precision in the last cycle
    least_updates = 3400
    updates_per_pair = 32  # of latents

    def __init__(self, counts, *arguments):
        super().__init__(counts, *arguments)
        shares = np.asarray(counts[self.train].sum(axis=0) / counts[self.train].sum())
        log_shares = torch.from_numpy(shares).float().clamp_min(1e-8).log()
        self.network.logits.bias.data.copy_(log_shares)
        many = self.counts.shape[1] > MANY
        self.batch_size = 64 if many else 128
        self.warm_up = 5 if many else 10  # epochs
        self.every = 16 if many else 1
        self.draws = 10 if many else 50  # of the latents of each validation cell
        logs = self.counts[self.train].log1p().double()
        sd = logs.std(0, correction=0)
        sd[sd <= 1e-6] = 1
        self.network.input_mean = logs.mean(0).float()
        self.network.input_sd = sd.float()
        self.inputs = self.network.inputs(self.counts)

    def run(self, epochs):
        """Train; half of the epochs are in the first cycle."""
        pairs = comb(self.network.shifts.shape[1], 2)
        least = max(self.least_updates, self.updates_per_pair * pairs)
        epochs = epochs or max(28, -(-least // self.n_batches))
        first = max(round(0.5 * epochs), 1)
        ends = np.linspace(0, epochs - first, 4).round().astype(int)
        self.cycle(first, self.warm_up)
        *others, last = np.diff(ends).tolist()
        for epochs in others:
            self.cycle(epochs)
        self.best_cycle(last)

    def cycle(self, epochs, warm_up=0):
        """One cycle of the learning rate; new moments of Adam."""
        precision = self.precision
        if not self.network.summed:  # the loss is a mean
            precision = precision / len(self.train)
        gates = self.network.gates
        weights = [values for values in self.network.parameters() if values is not gates]
        groups = [{"params": weights, "weight_decay": precision}, {"params": [gates]}]
        optimizer = torch.optim.Adam(groups, self.rate, eps=1e-6, fused=True)
        schedule = None
        n_steps = epochs * self.n_batches
        if n_steps >= 10:
            schedule = OneCycleLR(optimizer, self.rate, total_steps=n_steps, pct_start=0.2)
        rise = self.warmed_up(warm_up)
        for _ in range(epochs):
            self.epoch(optimizer, rise, schedule)

    def best_cycle(self, epochs):
        """A cycle with strong and one with weak shrinkage: validation cells choose."""
        random_state = self.generator.get_state()
        before = self.network, self.history, self.precision
        runs = []
        for factor in self.factors:
            network, history, precision = before
            self.network = deepcopy(network)
            self.history = list(history)
            self.precision = factor * precision
            self.generator.set_state(random_state)
            self.cycle(epochs)
            # the evidence lower bound preferred too strong shrinkage on a real screen
            score = self.held_out(iwelbo_of_cells, self.draws)
            runs.append((score, self.network, self.history, self.precision))
        _, self.network, self.history, self.precision = max(runs, key=itemgetter(0))


TRAININGS = {
    "one-cycle": OneCycleTraining,
    "published": PublishedTraining,
    "retrained": RetrainedTraining,
}


def split(codes, share, random):
    """Sorted positions of training cells, and of a `share` of each perturbation for validation."""
    held_out = []
    for code in range(codes.max() + 1):
        cells = random.permutation(np.flatnonzero(codes == code))
        held_out.append(cells[: int(share * len(cells))])
    held_out = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(codes)), held_out), held_out
