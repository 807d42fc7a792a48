"""Batches of counts, encoder and decoder, priors of latents, and likelihoods of cells."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn

LOG_VARIANCES = (-10.0, 4.0)  # range of log variances from the encoder
FIRST_LOGIT = 5.0  # of a mask, which is open at first
DENSE_VALUES = 2**25  # counts stored as a dense array, at most (128 MiB)
BLOCK = 2048  # cells
DRAWS_AT_ONCE = 2**23  # values that are drawn for a block of cells, at most
IN_CACHE = 2**20  # values that are decoded at once, at most


class Cells:
    """Counts of cells (CSR), converted to dense tensors batch by batch."""

    def __init__(self, counts):
        self.shape = counts.shape
        self.totals = torch.from_numpy(np.asarray(counts.sum(axis=1), dtype=np.float32))[:, None]
        self.small = counts.shape[0] * counts.shape[1] <= DENSE_VALUES
        self._counts = counts.astype(np.float32)
        if self.small:
            self._counts = self._counts.toarray()

    def batch(self, positions):
        """Counts and totals of the cells at b `positions`, Tensors of shape (b, p) and (b, 1)."""
        rows = self._counts[positions]
        if not self.small:
            rows = rows.toarray()
        return torch.from_numpy(rows), self.totals[torch.from_numpy(positions)]

    def log_moments(self, positions):
        """Mean and SD of log(1 + count) of each gene, Tensors of shape (p,)."""
        total = np.zeros(self.shape[1])
        squares = np.zeros(self.shape[1])
        for block in blocks(positions):
            counts, _ = self.batch(block)
            logs = counts.log1p_().double().numpy()
            total += logs.sum(axis=0)
            squares += (logs**2).sum(axis=0)
        mean = total / len(positions)
        sd = np.sqrt(np.maximum(squares / len(positions) - mean**2, 0))
        sd[sd <= 1e-6] = 1
        return torch.from_numpy(mean).float(), torch.from_numpy(sd).float()


def blocks(positions, size=BLOCK):
    """Blocks of positions, for a pass over the cells."""
    return [positions[start : start + size] for start in range(0, len(positions), size)]


class ShiftNetwork(nn.Module):
    """Encoder and decoder between counts and latents; the perturbation is not an input."""

    def __init__(self, n_genes, n_latents, recipe):
        super().__init__()
        near = recipe.gene_units or recipe.hidden
        self.encoder = _layers([n_genes, near, recipe.hidden], recipe, recipe.dropout)
        self.mean = nn.Linear(recipe.hidden, n_latents)
        self.log_variance = nn.Linear(recipe.hidden, n_latents)
        self.decoder = _layers([n_latents, recipe.hidden, near], recipe, 0.0)
        self.logits = nn.Linear(near, n_genes)
        self.dispersion = nn.Parameter(torch.full((n_genes,), float(recipe.dispersion)))
        self.register_buffer("input_mean", torch.zeros(n_genes))
        self.register_buffer("input_sd", torch.ones(n_genes))

    def inputs(self, counts):
        """Standardised logarithms of counts, of the same shape."""
        return (counts.log1p() - self.input_mean) / self.input_sd

    def encode(self, counts):
        """Mean and log variance of the latents, each of shape (b, n_latents)."""
        return self.encode_inputs(self.inputs(counts))

    def encode_inputs(self, inputs):
        """See `encode`."""
        hidden = self.encoder(inputs)
        return self.mean(hidden), self.log_variance(hidden).clamp(*LOG_VARIANCES)

    def decode(self, latents, direct=0.0):
        """Log shares of the genes, of shape (..., n_genes); `direct` is added to the logits."""
        flat = latents.reshape(-1, latents.shape[-1])
        logits = self.logits(self.decoder(flat)).reshape(*latents.shape[:-1], -1)
        return torch.log_softmax(logits + direct, dim=-1)

    @torch.no_grad()
    def change_latents(self, matrix, origin):
        """Replace the latents by ``(latents - origin) @ matrix``."""
        first = self.decoder[0]
        inverse = torch.linalg.inv(matrix)
        # if each old latent has the same variance in all cells
        variance = self.log_variance.bias.exp() @ matrix**2
        self.mean.weight.copy_(matrix.T @ self.mean.weight)
        self.mean.bias.copy_((self.mean.bias - origin) @ matrix)
        self.log_variance.weight.zero_()
        self.log_variance.bias.copy_(variance.log())
        first.bias.add_(first.weight @ origin)
        first.weight.copy_(first.weight @ inverse.T)


def _layers(sizes, recipe, dropout):
    layers = []
    for n_inputs, n_units in pairwise(sizes):
        layers.append(nn.Linear(n_inputs, n_units))
        if recipe.batch_norm:
            layers.append(nn.BatchNorm1d(n_units))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class Prior(nn.Module):
    """Prior of the latents, N(mean of the perturbation, I).

    Means are trained (iVAE), set (staged) or 0 (VAE).
    """

    # Whether the loss is a sum over the cells, not a mean, whose gradients are smaller than the
    # published epsilon of Adam.
    summed = False

    def __init__(self, n_perturbations, n_latents, trained=False, mask=1.0):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(n_perturbations, n_latents), requires_grad=trained)
        self.register_buffer("mask", torch.full((n_perturbations, n_latents), mask))

    def set_means(self, means):
        """Set the means, of shape (n_perturbations, d), 0 where the mask is 0."""
        self.table.data = means * self.mask

    def forward(self, codes, generator):
        """Means of shape (b, d) for the b perturbations in `codes`."""
        return self.means()[codes]

    def means(self):
        """Means, Tensor of shape (n_perturbations, d)."""
        return self.table

    def probabilities(self):
        """Probabilities of shifts, Tensor of shape (n_perturbations, d)."""
        return self.mask

    def of_masks(self):
        """Parameters that give the probabilities; no prior of the weights acts on them."""
        return []

    def penalty(self):
        """Term of the loss."""
        return torch.zeros(())


class MaskedMeans(Prior):
    """Prior of the sparse VAE: means and a mask from relaxed Bernoulli distributions are trained.

    If `summed` (SVAE+), the penalty is the sum of the negative log densities of Beta(1, `strength`)
    of the probabilities. Otherwise (SVAE), it is `strength` times their mean.
    """

    def __init__(self, n_perturbations, n_latents, strength, summed):
        super().__init__(n_perturbations, n_latents, trained=True)
        self.logits = nn.Parameter(torch.full((n_perturbations, n_latents), FIRST_LOGIT))
        self.strength = float(strength)
        self.summed = summed

    def forward(self, codes, generator):
        """Means under masks that are drawn for each cell."""
        return self.draw_masks(codes, generator) * self.table[codes]

    def draw_masks(self, codes, generator):
        """Masks of shape (b, d) for the b perturbations in `codes`."""
        logits = self.logits[codes]
        uniform = torch.rand(logits.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid(logits + uniform.logit())
        # hard masks, with the gradient of soft ones
        return (soft > 0.5).float() - soft.detach() + soft

    def means(self):
        """See `Prior`."""
        return (self.logits > 0).float() * self.table

    def probabilities(self):
        """See `Prior`."""
        return self.logits.sigmoid()

    def of_masks(self):
        """See `Prior`."""
        return [self.logits]

    def penalty(self):
        """See the class."""
        if not self.summed:
            return self.strength * self.probabilities().mean()
        # finite even if p rounds to 1
        log_density = (self.strength - 1) * nn.functional.logsigmoid(-self.logits)
        return -(math.log(self.strength) + log_density).sum()


def log_likelihood(counts, totals, log_shares, dispersion):
    """Log likelihood of negative binomial counts without the log factorials, of shape (..., b).

    The mean of a count, of shape (b, p), is a share times the total of the cell, of shape (b, 1).
    `dispersion`, of shape (p,), is the logarithm of the inverse dispersion, infinite for Poisson.
    """
    inverse = dispersion.exp()
    sums = counts + inverse
    log_odds = log_shares + totals.log() - dispersion  # of a success
    fit = torch.lgamma(sums) + counts * log_odds - sums * nn.functional.softplus(log_odds)
    return fit.sum(-1) - torch.lgamma(inverse).sum()


class SampledLikelihood(torch.autograd.Function):
    """`log_likelihood`, a mean over a batch, of which only the gradient of the shares is exact.

    The value and the gradient of the dispersions are estimated from the cells at the positions
    ``slice(first, None, every)``, because logarithms of sums and of gamma functions take most of
    the time.
    """

    @staticmethod
    def forward(ctx, log_shares, dispersion, counts, totals, first, every):
        """Mean log likelihood of a cell."""
        inverse = dispersion.exp()
        sums = counts + inverse
        log_odds = log_shares - dispersion
        log_odds += totals.log()
        some = slice(first, None, every)
        softplus = nn.functional.softplus(log_odds[some])
        gamma = torch.lgamma(sums[some]) - torch.lgamma(inverse)
        fit = gamma + counts[some] * log_odds[some] - sums[some] * softplus
        digamma = torch.digamma(sums[some]) - torch.digamma(inverse) - softplus
        of_shares = torch.addcmul(counts, sums, log_odds.sigmoid_(), value=-1)
        of_dispersion = (digamma * inverse - of_shares[some]).mean(0)
        ctx.save_for_backward(of_shares.div_(len(counts)), of_dispersion)
        return fit.sum(-1).mean()

    @staticmethod
    def backward(ctx, gradient):
        """Gradients of log shares and dispersions."""
        of_shares, of_dispersion = ctx.saved_tensors
        return gradient * of_shares, gradient * of_dispersion, None, None, None, None


def drawn(mean, log_variance, noise):
    """Latents drawn from normal distributions by standard normal `noise`."""
    return mean + noise * (0.5 * log_variance).exp()


def divergence(mean, log_variance, prior):
    """Kullback-Leibler divergence of normal distributions from N(prior, I), of shape (b,)."""
    return 0.5 * ((mean - prior) ** 2 + log_variance.exp() - log_variance - 1).sum(1)


def log_normal(values, mean, log_variance):
    """Log density of independent normal distributions, summed over the last axis."""
    squares = (values - mean) ** 2 / log_variance.exp()
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)


def input_blocks(network, cells, positions):
    """Inputs of the encoder for the cells at these positions, block by block."""
    for block in blocks(positions):
        counts, _ = cells.batch(block)
        yield network.inputs(counts)


@torch.no_grad()
def encoded(network, inputs):
    """Mean and variance of the latents of n cells, Tensors of shape (n, d), from input blocks."""
    network.eval()
    means = []
    variances = []
    for block in inputs:
        mean, log_variance = network.encode_inputs(block)
        means.append(mean)
        variances.append(log_variance.exp())
    return torch.cat(means), torch.cat(variances)


@torch.no_grad()
def elbo_of_cells(network, cells, positions, codes, centres, direct, n_samples=1):
    """Evidence lower bound of each cell, in nats.

    `codes` are those of the prior N(centre, I) and of the direct effects of each cell.
    """
    network.eval()
    generator = torch.Generator().manual_seed(0)
    bounds = []
    for block, code in zip(blocks(positions), blocks(codes), strict=True):
        counts, totals = cells.batch(block)
        mean, log_variance = network.encode(counts)
        fit = torch.zeros(len(counts))
        for _ in range(n_samples):
            noise = torch.randn(mean.shape, generator=generator)
            log_shares = network.decode(drawn(mean, log_variance, noise), direct[code])
            fit += log_likelihood(counts, totals, log_shares, network.dispersion)
        fit = fit / n_samples - torch.lgamma(counts + 1).sum(-1)
        bounds.append(fit - divergence(mean, log_variance, centres[code]))
    return torch.cat(bounds)


def likelihood_of_draws(network, latents, counts, totals, direct):
    """Log likelihood of each draw and cell, (draws, b), for `latents` of shape (draws, b, d).

    Parts that stay in the cache are decoded faster.
    """
    few = max(IN_CACHE // (len(latents) * counts.shape[1]), 1)
    fits = []
    for start in range(0, len(counts), few):
        part = slice(start, start + few)
        log_shares = network.decode(latents[:, part], direct[part])
        fits.append(log_likelihood(counts[part], totals[part], log_shares, network.dispersion))
    return torch.cat(fits, dim=1)


@torch.no_grad()
def iwelbo_of_cells(network, cells, positions, codes, centres, direct, n_samples=1000):
    """Importance-weighted bound of each cell (Burda et al. 2016); see `elbo_of_cells`."""
    network.eval()
    generator = torch.Generator().manual_seed(0)
    bounds = []
    size = max(DRAWS_AT_ONCE // (n_samples * cells.shape[1]), 1)
    for block, code in zip(blocks(positions, size), blocks(codes, size), strict=True):
        counts, totals = cells.batch(block)
        mean, log_variance = network.encode(counts)
        noise = torch.randn((n_samples, *mean.shape), generator=generator)
        latents = drawn(mean, log_variance, noise)
        weights = likelihood_of_draws(network, latents, counts, totals, direct[code])
        prior = log_normal(latents, centres[code], torch.zeros(()))
        weights += prior - log_normal(latents, mean, log_variance)
        bound = weights.logsumexp(0) - math.log(n_samples)
        bounds.append(bound - torch.lgamma(counts + 1).sum(-1))
    return torch.cat(bounds)
