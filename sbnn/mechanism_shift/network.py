"""Encoder and decoder, the likelihood of counts under the decoder, and bounds on the likelihood of cells."""

import math

import torch
from torch import nn

from sbnn.mechanism_shift.cells import blocks

LOG_VARIANCES = (-10.0, 4.0)  # of the encoder, clamped
DRAWS_AT_ONCE = 2**23  # values of decoded cells


class ShiftNetwork(nn.Module):
    """Counts to latents and back; neither way sees the perturbation."""

    def __init__(self, n_genes, n_latents, recipe):
        super().__init__()
        self.encoder = _layers(n_genes, recipe, recipe.dropout)
        self.mean = nn.Linear(recipe.hidden, n_latents)
        self.log_variance = nn.Linear(recipe.hidden, n_latents)
        self.decoder = _layers(n_latents, recipe, 0.0)
        self.logits = nn.Linear(recipe.hidden, n_genes)
        self.dispersion = nn.Parameter(torch.full((n_genes,), float(recipe.dispersion)))
        self.register_buffer("input_mean", torch.zeros(n_genes))
        self.register_buffer("input_sd", torch.ones(n_genes))

    def encode(self, counts):
        """Mean and log variance of the latents, each (b, n_latents), of counts (b, n_genes)."""
        hidden = self.encoder((counts.log1p() - self.input_mean) / self.input_sd)
        return self.mean(hidden), self.log_variance(hidden).clamp(*LOG_VARIANCES)

    def decode(self, latents):
        """Log of the share of each gene in the counts of a cell, (..., n_genes)."""
        flat = latents.reshape(-1, latents.shape[-1])
        return torch.log_softmax(self.logits(self.decoder(flat)), dim=1).reshape(*latents.shape[:-1], -1)

    @torch.no_grad()
    def change_latents(self, matrix, origin):
        """Make ``(latents - origin) @ matrix`` the latents, and let the decoder undo it."""
        first, inverse = self.decoder[0], torch.linalg.inv(matrix)
        # Uncertainty of the new latents, as if that of the old ones was the same for all cells.
        variance = self.log_variance.bias.exp() @ matrix**2
        self.mean.weight.copy_(matrix.T @ self.mean.weight)
        self.mean.bias.copy_((self.mean.bias - origin) @ matrix)
        self.log_variance.weight.zero_()
        self.log_variance.bias.copy_(variance.log())
        first.bias.add_(first.weight @ origin)
        first.weight.copy_(first.weight @ inverse.T)


def _layers(size, recipe, dropout):
    layers = []
    for _ in range(2):
        layers += [nn.Linear(size, recipe.hidden)]
        layers += [nn.BatchNorm1d(recipe.hidden)] if recipe.batch_norm else []
        layers += [nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
        size = recipe.hidden
    return nn.Sequential(*layers)


def log_likelihood(counts, totals, log_shares, dispersion):
    """Log likelihood (..., b) of counts (b, p) under negative binomials, without their `log_factorials`.

    The mean of a gene is its share times the total of the cell, (b, 1); `dispersion` (p,) is the logarithm of the
    inverse dispersion, which is infinite for a Poisson distribution.
    """
    inverse, log_mean = dispersion.exp(), log_shares + totals.log()
    log_sum = torch.logaddexp(log_mean, dispersion)
    combinations = torch.lgamma(counts + inverse) - torch.lgamma(inverse)
    return (combinations + inverse * (dispersion - log_sum) + counts * (log_mean - log_sum)).sum(-1)


def log_factorials(counts):
    """Sum of the logarithms of the factorials of the counts of each cell, (b,)."""
    return torch.lgamma(counts + 1).sum(-1)


def divergence(mean, log_variance, prior):
    """Kullback-Leibler divergence of normal distributions from N(prior, I), (b,)."""
    return 0.5 * ((mean - prior) ** 2 + log_variance.exp() - log_variance - 1).sum(1)


def log_normal(values, mean, log_variance):
    """Log density of independent normal distributions, summed over the last axis."""
    return -0.5 * ((values - mean) ** 2 / log_variance.exp() + log_variance + math.log(2 * math.pi)).sum(-1)


@torch.no_grad()
def encoded(network, cells, positions):
    """Mean and variance of the latents of cells, Tensors of shape (len(positions), d)."""
    network.eval()
    parts = [network.encode(cells.batch(block)[0]) for block in blocks(positions)]
    return torch.cat([mean for mean, _ in parts]), torch.cat([log_variance.exp() for _, log_variance in parts])


@torch.no_grad()
def elbo_of_cells(network, cells, positions, centres, n_samples=1):
    """Evidence lower bound of each cell, in nats, with all constants; the prior of its latents is N(centre, I)."""
    network.eval()
    generator, values = torch.Generator().manual_seed(0), []
    for block, centre in zip(blocks(positions), blocks(centres), strict=True):
        counts, totals = cells.batch(block)
        mean, log_variance = network.encode(counts)
        fit = torch.zeros(len(counts))
        for _ in range(n_samples):
            noise = torch.randn(mean.shape, generator=generator)
            log_shares = network.decode(mean + noise * (0.5 * log_variance).exp())
            fit += log_likelihood(counts, totals, log_shares, network.dispersion)
        values.append(fit / n_samples - log_factorials(counts) - divergence(mean, log_variance, centre))
    return torch.cat(values)


@torch.no_grad()
def iwelbo_of_cells(network, cells, positions, centres, n_samples=1000):
    """Importance-weighted bound of each cell (Burda et al. 2016), in nats; parameters as `elbo_of_cells`."""
    network.eval()
    generator, values = torch.Generator().manual_seed(0), []
    size = max(DRAWS_AT_ONCE // (n_samples * cells.shape[1]), 1)
    for block, centre in zip(blocks(positions, size), blocks(centres, size), strict=True):
        counts, totals = cells.batch(block)
        mean, log_variance = network.encode(counts)
        noise = torch.randn((n_samples, *mean.shape), generator=generator)
        latents = mean + noise * (0.5 * log_variance).exp()
        weights = log_likelihood(counts, totals, network.decode(latents), network.dispersion)
        weights += log_normal(latents, centre, torch.zeros(())) - log_normal(latents, mean, log_variance)
        values.append(weights.logsumexp(0) - math.log(n_samples) - log_factorials(counts))
    return torch.cat(values)
