"""Training of a network as published, or in cycles of the learning rate."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from math import ceil, comb
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import check_random_state
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from sbnn.mechanism_shift.network import (
    MANY_GENES,
    ShiftNetwork,
    divergence,
    elbo_of_cells,
    estimate_likelihood,
    iwelbo_of_cells,
    log_likelihood,
    sample_latents,
)
from sbnn.models.training import BestWeights, epoch_batches, take_steps, train_epochs

VALIDATION_FRACTION = 0.1  # of the cells of each perturbation


class ShiftTraining(ABC):
    """A new network and its cells; `history` has a dict for each epoch.

    `codes` are the perturbations of the cells. Subclasses define `prepare` and `run`.
    """

    batch_size: int = 128
    likelihood_stride: int = 1  # the likelihood of every so many cells of a batch is computed
    precision: float = 0.0  # without a prior on the weights

    def __init__(
        self,
        counts: sparse.csr_array,
        codes: np.ndarray,
        new_network: Callable[[], ShiftNetwork],
        seed: int | np.random.RandomState | None = None,
    ) -> None:
        random = check_random_state(seed)
        self.seed: int = random.randint(2**31 - 1)
        # positions of cells
        self.train, self.validation = split_cells(codes, VALIDATION_FRACTION, random)
        self.counts = torch.from_numpy(counts.toarray())
        self.codes = torch.from_numpy(codes)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.history: list[dict[str, float]] = []
        torch.manual_seed(self.seed)  # for initial weights and dropout
        self.network = new_network()
        self.prepare(counts[self.train])
        self.inputs = self.network.inputs(self.counts)

    @abstractmethod
    def prepare(self, train_counts: sparse.csr_array) -> None:
        """Set what depends on the counts of the training cells."""

    @abstractmethod
    def run(self, epochs: int | None) -> None:
        """Train for this number of epochs, or a default."""

    @property
    def n_batches(self) -> int:
        """Number of updates in an epoch."""
        return max(len(self.train) // self.batch_size, 1)

    def train_epoch(
        self,
        optimizer: torch.optim.Optimizer,
        weights: Iterator[float],
        schedule: LRScheduler | None = None,
    ) -> None:
        """Train for an epoch; `weights` yields the weight of the divergence at each step."""
        self.network.train()
        losses: list[float] = []
        for _ in take_steps(self._losses(weights, losses), optimizer, schedule):
            pass
        epoch = len(self.history) + 1
        mean_loss = float(np.mean(losses))
        self.history.append({"epoch": epoch, "loss": mean_loss})

    def _losses(self, weights, losses):
        """Yield the loss of each batch that is minimised; the means over cells go to `losses`."""
        for batch in self.batches():
            loss = self.loss(batch, next(weights))
            losses.append(loss.item())
            yield loss * len(self.train) if self.network.loss_is_sum else loss

    def divergence_weights(self, epochs: int) -> Iterator[float]:
        """Yield the weight of the divergence at each step, which rises from 0 to 1."""
        n_steps = max(epochs * self.n_batches, 1)
        # w = min(t / T, 1): otherwise latents may collapse onto the prior at first
        for step in count(1):
            yield min(step / n_steps, 1.0)

    def batches(self) -> list[torch.Tensor]:
        """Positions of the training cells in random order, in batches of equal size."""
        train = torch.from_numpy(self.train)
        batches = epoch_batches(
            len(train), self.batch_size, generator=self.generator, drop_last=True
        )
        return [train[batch] for batch in batches]

    def validation_bound(self, bound: Callable[..., torch.Tensor], n_samples: int) -> float:
        """Mean of a bound over the validation cells (NaN without any), with fixed samples."""
        prior_means = self.network.means()
        bounds = bound(
            self.network,
            self.counts[self.validation],
            codes=self.codes[self.validation],
            prior_means=prior_means,
            direct=torch.zeros(len(prior_means), 1),
            n_samples=n_samples,
        )
        return float(bounds.mean())

    def loss(self, batch: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        """Negative evidence lower bound, a mean over a batch, plus the penalty of the prior."""
        network = self.network
        mean, log_variance = network.encode_inputs(self.inputs.index_select(0, batch))
        # one sample of q(z | x), by reparametrisation (Kingma and Welling 2014)
        noise = torch.randn(mean.shape, generator=self.generator)
        latents = sample_latents(mean, log_variance, noise)
        log_fractions = network.decode(latents)
        fit = self._likelihood(self.counts.index_select(0, batch), log_fractions)
        # one sample of the gates (Lopez et al. 2022), with gradients for their logits
        prior_means = network.sample_means(self.codes[batch], self.generator)
        kl = divergence(mean, log_variance, prior_means)
        penalty = network.penalty()
        # the penalty is counted once for all cells, and warms up as the divergence does
        if network.loss_is_sum:
            penalty = weight * penalty / len(self.train)
        return (weight * kl - fit).mean() + penalty

    def _likelihood(self, counts, log_fractions):
        """Log likelihood of each cell of a batch, or an estimate of its mean from some."""
        dispersion = self.network.dispersion
        stride = min(self.likelihood_stride, len(counts))
        if stride == 1:
            return log_likelihood(counts, log_fractions, dispersion)
        # every cell is as likely as the others, so the estimate has no bias
        first = int(torch.randint(stride, (), generator=self.generator))
        subset = slice(first, None, stride)
        return estimate_likelihood(counts, log_fractions, dispersion, subset=subset)


class PublishedTraining(ShiftTraining):
    """Steps of Lopez et al. 2022 and their code; unlike there, the best weights are kept."""

    patience: int = 45  # epochs without a better validation score

    def prepare(self, train_counts: sparse.csr_array) -> None:
        """Do nothing, as published."""

    def run(self, epochs: int | None) -> None:
        """Train for at most `epochs`, by default 300."""
        n_epochs = epochs or 300
        # published: 50 of 300 epochs, and 10 of 50 on a real screen
        self.train_until_best(n_epochs, min(50, n_epochs // 5))

    def train_until_best(self, epochs: int, warm_up: int) -> None:
        """Train for at most `epochs`, until the validation score no longer improves."""
        optimizer = torch.optim.Adam(
            self.network.parameters(), lr=1e-3, eps=0.01, weight_decay=1e-6, fused=True
        )
        weights = self.divergence_weights(warm_up)

        def run_epoch(_: int) -> float | None:
            self.train_epoch(optimizer, weights)
            score = self.validation_bound(elbo_of_cells, 1)
            self.history[-1]["validation_elbo"] = score
            return score if len(self.validation) else None

        train_epochs(
            BestWeights(self.network),
            run_epoch,
            epochs,
            patience=self.patience,
            # before, the loss has another weight of the divergence
            first_counted=warm_up,
        )


class RetrainedTraining(PublishedTraining):
    """As published, and then once more with each gate open or closed."""

    def run(self, epochs: int | None) -> None:
        """Train twice, each time for at most `epochs`, by default 300."""
        super().run(epochs)
        # the mask is rounded: a probability above 1/2 becomes 1 (Lopez et al. 2022)
        gates = self.network.gates.requires_grad_(False)
        rounded = torch.where(gates > 0, torch.inf, -torch.inf)
        gates.copy_(rounded)
        self.train_until_best(epochs or 300, warm_up=1)


class _LastCycle(NamedTuple):
    """Network after a last cycle, and its score."""

    score: float
    network: ShiftNetwork
    history: list[dict[str, float]]
    precision: float


class OneCycleTraining(ShiftTraining):
    """Four cycles of the learning rate (Smith and Topin 2018), with a normal prior on all weights.

    Validation cells choose between a strong and a weak prior in the last cycle. With many genes,
    large matrices next to them would take most of the time, and fit noise.
    """

    highest_rate: float = 2.5e-3
    precision: float = 36.0  # of the prior on the weights, before the last cycle
    precision_factors: tuple[float, float] = (2.0, 0.5)  # in the last cycle
    least_updates: int = 3400
    updates_per_pair: int = 32  # of latents

    def prepare(self, train_counts: sparse.csr_array) -> None:
        """Choose the steps by the number of genes, and start from the means and SDs of genes."""
        many_genes = self.counts.shape[1] > MANY_GENES
        self.batch_size = 64 if many_genes else 128
        self.warm_up = 5 if many_genes else 10  # epochs
        self.likelihood_stride = 16 if many_genes else 1
        self.n_validation_samples = 10 if many_genes else 50  # of the latents of each cell
        # without any latent, the decoder gives the mean fractions of the genes
        fractions = np.asarray(train_counts.sum(axis=0) / train_counts.sum())
        log_fractions = torch.from_numpy(fractions).float().clamp_min(1e-8).log()
        self.network.logits.bias.data.copy_(log_fractions)
        logs = self.counts[self.train].log1p().double()
        sd = logs.std(0, correction=0)
        sd[sd <= 1e-6] = 1
        self.network.input_mean = logs.mean(0).float()
        self.network.input_sd = sd.float()

    def run(self, epochs: int | None) -> None:
        """Train; half of the epochs are in the first cycle."""
        pairs = comb(self.network.shifts.shape[1], 2)
        n_updates = max(self.least_updates, self.updates_per_pair * pairs)
        n_epochs = epochs or max(28, ceil(n_updates / self.n_batches))
        n_first = max(round(0.5 * n_epochs), 1)
        boundaries = np.linspace(0, n_epochs - n_first, 4)
        n_second, n_third, n_last = np.diff(boundaries.round().astype(int)).tolist()
        self.cycle(n_first, self.warm_up)
        self.cycle(n_second)
        self.cycle(n_third)
        self.best_cycle(n_last)

    def cycle(self, epochs: int, warm_up: int = 0) -> None:
        """One cycle of the learning rate; new moments of Adam."""
        # the prior N(0, 1 / precision) of a weight w adds precision * w^2 / 2 to the loss of all
        # cells, whose gradient is that of a weight decay
        precision = self.precision
        if not self.network.loss_is_sum:
            precision = precision / len(self.train)
        gates = self.network.gates
        weights = [values for values in self.network.parameters() if values is not gates]
        groups: list[dict[str, Any]] = [
            {"params": weights, "weight_decay": precision},
            {"params": [gates]},
        ]
        optimizer = torch.optim.Adam(groups, lr=self.highest_rate, eps=1e-6, fused=True)
        schedule = None
        n_steps = epochs * self.n_batches
        # a rise over a fifth of the steps, and a fall to nearly 0 (Smith and Topin 2018); few steps
        # have no room for it
        if n_steps >= 10:
            schedule = OneCycleLR(optimizer, self.highest_rate, total_steps=n_steps, pct_start=0.2)
        divergence_weights = self.divergence_weights(warm_up)
        for _ in range(epochs):
            self.train_epoch(optimizer, divergence_weights, schedule)

    def best_cycle(self, epochs: int) -> None:
        """A cycle with strong and one with weak shrinkage: validation cells choose."""
        random_state = self.generator.get_state()
        network = self.network
        history = self.history
        precision = self.precision
        cycles = []
        for factor in self.precision_factors:
            # both cycles start with the same weights, and have the same batches and samples
            self.network = deepcopy(network)
            self.history = list(history)
            self.precision = factor * precision
            self.generator.set_state(random_state)
            self.cycle(epochs)
            # the evidence lower bound preferred too strong shrinkage on a real screen
            score = self.validation_bound(iwelbo_of_cells, self.n_validation_samples)
            cycle = _LastCycle(
                score=score,
                network=self.network,
                history=self.history,
                precision=self.precision,
            )
            cycles.append(cycle)
        best = max(cycles, key=attrgetter("score"))
        self.network = best.network
        self.history = best.history
        self.precision = best.precision


TRAININGS: dict[str, type[ShiftTraining]] = {
    "one-cycle": OneCycleTraining,
    "published": PublishedTraining,
    "retrained": RetrainedTraining,
}


def split_cells(
    codes: np.ndarray, fraction: float, random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted positions of training cells, and of a `fraction` of each perturbation to validate."""
    validation = []
    for code in range(codes.max() + 1):
        cells = random.permutation(np.flatnonzero(codes == code))
        n_validation = int(fraction * len(cells))
        validation.append(cells[:n_validation])
    validation_cells = np.sort(np.concatenate(validation))
    return np.setdiff1d(np.arange(len(codes)), validation_cells), validation_cells
