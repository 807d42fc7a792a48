"""The training loop, and the staged procedure built on it."""

from copy import deepcopy
from functools import partial

import numpy as np
import torch
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from sbnn.mechanism_shift.graph import EVEN
from sbnn.mechanism_shift.network import (
    BLOCK,
    Cells,
    SampledLikelihood,
    ShiftNetwork,
    divergence,
    drawn,
    elbo_of_cells,
    encoded,
    input_blocks,
    iwelbo_of_cells,
    log_likelihood,
)
from sbnn.mechanism_shift.unmixing import describe, unmix
from sbnn.models.best_weights import BestWeights

IN_DOUBT = 0.05  # less probable shifts are held at zero before the last stage; they hardly recover
FACTORS = (2.0, 0.5)  # of the weight precision, tried in the last stage
DRAWS = 50  # of the latents of each held-out cell
FEWEST_STEPS = 10  # in a cycle of the learning rate


class Training:
    """A new network, its prior and their cells; `history` has a dict for each epoch.

    `counts` has the shape (n, p), and `codes`, the perturbation of each cell, (n,).
    """

    def __init__(self, counts, codes, prior, recipe, random_state):
        random = check_random_state(random_state)
        self.seed = random.randint(2**31 - 1)
        self.train, self.validation = split(codes, recipe.validation_share, random)  # positions
        self.cells = Cells(counts)
        self.codes = torch.from_numpy(codes)
        self.prior = prior
        self.recipe = recipe
        self.weight_precision = recipe.weight_precision
        self.generator = torch.Generator().manual_seed(self.seed)
        self.history = []
        torch.manual_seed(self.seed)  # for initial weights and dropout
        self.network = ShiftNetwork(counts.shape[1], prior.table.shape[1], recipe)
        self.modules = torch.nn.ModuleList([self.network, prior])
        shares = np.asarray(counts[self.train].sum(axis=0) / counts[self.train].sum())
        log_shares = torch.from_numpy(shares).float().clamp_min(1e-8).log()
        self.network.logits.bias.data.copy_(log_shares)
        if recipe.standardize:
            moments = self.cells.log_moments(self.train)
            self.network.input_mean, self.network.input_sd = moments
        self.inputs = None  # of the encoder, computed once for small screens
        if self.cells.small:
            counts, _ = self.cells.batch(np.arange(len(codes)))
            self.inputs = self.network.inputs(counts)
        self.n_batches = max(len(self.train) // recipe.batch_size, 1)
        _, n_latents = prior.table.shape
        self.epochs = recipe.epochs_for(self.n_batches, n_latents)

    def run(self, epochs, warm_up=0, follow=False):
        """Train; the weight of the divergence rises over the first `warm_up` epochs.

        With `follow`, prior means are those of the encoder before every epoch but the first.
        """
        optimizer = self._optimizer()
        rates, momenta = self._one_cycle(epochs * self.n_batches)
        steps = zip(self._weights_of_divergence(warm_up), rates, momenta, strict=False)
        best = BestWeights(self.modules)
        # only in a terminal
        for epoch in tqdm(range(epochs), "training", leave=False, disable=None):
            if follow and epoch:
                self.follow_encoder()
            row = {"epoch": len(self.history) + 1, "loss": self._epoch(optimizer, steps)}
            self.history.append(row)
            if self.recipe.patience is None or not len(self.validation):
                continue
            score = self.held_out(elbo_of_cells, 1)
            row["validation_elbo"] = score
            if epoch < warm_up:  # scores are not comparable yet
                best.keep(score)
            else:
                best.offer(score)
            if best.waited >= self.recipe.patience:
                break
        best.restore()

    def _epoch(self, optimizer, steps):
        """Mean loss of an epoch; `steps` yields the settings of each step."""
        self.network.train()
        losses = []
        for batch in self._batches():
            weight, rate, momentum = next(steps)
            loss = self.loss(batch, weight)
            if self.prior.summed:
                (loss * len(self.train)).backward()
            else:
                loss.backward()
            optimizer.step(rate, momentum)
            losses.append(loss.item())
        return float(np.mean(losses))

    def _weights_of_divergence(self, warm_up):
        """Yield the weight of the divergence at each step."""
        n_steps = warm_up * self.n_batches
        for step in range(n_steps):
            yield (step + 1) / n_steps
        while True:
            yield 1.0

    def _optimizer(self):
        recipe = self.recipe
        # The loss is the sum over the training cells, or their mean.
        precision = self.weight_precision
        if not self.prior.summed:
            precision = precision / len(self.train)
        decays = [
            ([*self.network.parameters(), self.prior.table], recipe.weight_decay + precision),
            (self.prior.of_masks(), recipe.weight_decay),
        ]
        return Adam(decays, recipe.epsilon)

    def _one_cycle(self, n_steps):
        """Learning rate and first beta of Adam at each step (Smith and Topin 2018)."""
        rate = self.recipe.learning_rate
        if not self.recipe.one_cycle or n_steps < FEWEST_STEPS:
            return [rate] * n_steps, [0.9] * n_steps
        # as in torch.optim.lr_scheduler.OneCycleLR
        rise = 0.2 * n_steps - 1
        steps = np.arange(n_steps)
        fall = n_steps - 1 - rise
        part = np.where(steps <= rise, steps / rise, 1 - (steps - rise) / fall)
        part = (1 - np.cos(np.pi * part)) / 2
        least = np.where(steps <= rise, rate / 25, rate / 25e4)
        rates = least + (rate - least) * part
        return rates.tolist(), (0.95 - 0.1 * part).tolist()

    def _batches(self):
        """Positions of the training cells in random order, in batches of similar size."""
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
        """Negative evidence lower bound, a mean over a batch, plus the penalty of the prior.

        The divergence and a `summed` penalty have a `weight`.
        """
        counts, totals = self.cells.batch(batch)
        if self.inputs is None:
            inputs = self.network.inputs(counts)
        else:
            inputs = self.inputs.index_select(0, torch.from_numpy(batch))
        mean, log_variance = self.network.encode_inputs(inputs)
        noise = torch.randn(mean.shape, generator=self.generator)
        log_shares = self.network.decode(drawn(mean, log_variance, noise))
        fit = self._likelihood(log_shares, counts, totals)
        kl = divergence(mean, log_variance, self.prior(self.codes[batch], self.generator))
        penalty = self.prior.penalty()
        if self.prior.summed:
            penalty = weight * penalty / len(self.train)
        return (weight * kl - fit).mean() + penalty

    def _likelihood(self, log_shares, *cells):
        """Log likelihood of each cell, or an estimate of its mean."""
        every = min(self.recipe.dispersion_every, len(log_shares))
        if every == 1:
            return log_likelihood(*cells, log_shares, self.network.dispersion)
        first = int(torch.randint(every, (), generator=self.generator))
        return SampledLikelihood.apply(log_shares, self.network.dispersion, *cells, first, every)

    def follow_encoder(self):
        """Set the prior means to those of the encoder."""
        mean, _ = self._encoded()
        self.prior.set_means(means_of(mean, self.codes[self.train], len(self.prior.table)))

    def _encoded(self):
        """Means and variances of the latents of the training cells."""
        if self.inputs is None:
            return encoded(self.network, input_blocks(self.network, self.cells, self.train))
        mean, variance = encoded(self.network, self.inputs.split(BLOCK))
        return mean[self.train], variance[self.train]

    def run_staged(self, names, control):
        """Train freely, then unmix and train with improbable shifts held at zero, several times.

        Returns the `Unmixing` of the trained latents.
        """
        self.run_stages(partial(self._unmix, names, control), follow=True)
        return describe(*self._latents(names, control))

    def run_stages(self, between=None, follow=False):
        """Train in stages, each of which is one cycle of the learning rate.

        In the last stage, held-out cells choose the shrinkage. Before each stage but the first,
        `between` is called with the number of stages that are left.
        """
        first = max(round(self.recipe.first_share * self.epochs), 1)
        self.run(first, self.recipe.warm_up, follow)
        n_left = self.recipe.unmixings
        ends = np.linspace(0, self.epochs - first, n_left + 1).round().astype(int)
        for epochs in np.diff(ends).tolist():
            if between is not None:
                between(n_left)
            train = self.run if n_left > 1 else self._run_best
            train(epochs, follow=follow)
            n_left -= 1

    def _unmix(self, names, control, n_left):
        """Unmix the latents; only likely edges stay free in the last stage."""
        found = unmix(*self._latents(names, control), random_state=self.seed)
        matrix = torch.from_numpy(found.matrix).float()
        origin = torch.from_numpy(found.origin).float()
        self.network.change_latents(matrix, origin)
        free = found.probabilities > (IN_DOUBT if n_left > 1 else EVEN)
        free = free.reindex(names, fill_value=False)  # the control has no shifts
        self.prior.mask = torch.from_numpy(free.to_numpy(dtype=np.float32))
        self.follow_encoder()

    def _run_best(self, epochs, follow):
        """Run with strong and with weak shrinkage, and keep what validation cells prefer."""
        weights = deepcopy(self.modules.state_dict())
        random_state = self.generator.get_state()
        history = self.history
        best = BestWeights(self.modules)
        for factor in FACTORS:
            self.modules.load_state_dict(weights)
            self.generator.set_state(random_state)
            self.history = list(history)
            self.weight_precision = factor * self.recipe.weight_precision
            self.run(epochs, follow=follow)
            # the evidence lower bound preferred too strong shrinkage on a real screen
            best.offer(self.held_out(iwelbo_of_cells, DRAWS))
            if not best.waited:
                best_run = self.history, self.weight_precision
        best.restore()
        self.history, self.weight_precision = best_run

    def _latents(self, names, control):
        """Arguments of `unmix`: latents, perturbations, control and variances of training cells."""
        mean, variance = self._encoded()
        return mean.numpy(), names[self.codes[self.train]], control, variance.numpy()


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980) for lists of parameters, each with a weight decay."""

    # The first optimiser of torch imports its compiler, which takes as long as a short training.
    def __init__(self, decays, epsilon):
        self.epsilon = epsilon
        self.groups = []
        for parameters, decay in decays:
            trained = [values for values in parameters if values.requires_grad]
            if trained:
                means = [torch.zeros_like(values) for values in trained]
                squares = [torch.zeros_like(values) for values in trained]
                counts = [torch.zeros(()) for _ in trained]
                self.groups.append((trained, means, squares, counts, decay))

    @torch.no_grad()
    def step(self, learning_rate, beta1=0.9):
        """Take one step along the gradients, and clear them."""
        for trained, means, squares, counts, decay in self.groups:
            torch._foreach_add_(counts, 1)
            # what torch.optim.Adam(fused=True) calls
            torch._fused_adam_(
                trained,
                [values.grad for values in trained],
                means,
                squares,
                [],
                counts,
                lr=learning_rate,
                beta1=beta1,
                beta2=0.999,
                weight_decay=decay,
                eps=self.epsilon,
                amsgrad=False,
                maximize=False,
            )
            for values in trained:
                values.grad = None


def split(codes, share, random):
    """Sorted positions of training cells, and of a `share` of each perturbation for validation."""
    held_out = []
    for code in range(codes.max() + 1):
        cells = random.permutation(np.flatnonzero(codes == code))
        held_out.append(cells[: int(share * len(cells))])
    held_out = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(codes)), held_out), held_out


def means_of(values, codes, n_classes):
    """Mean of each class, Tensor of shape (n_classes, d)."""
    sums = torch.zeros((n_classes, values.shape[1])).index_add_(0, codes, values)
    return sums / torch.bincount(codes, minlength=n_classes)[:, None]
