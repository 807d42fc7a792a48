"""Encoder and decoder, and the likelihood of counts under the decoder."""

import math

import torch
from torch import nn

LOG_VARIANCES = (-10.0, 4.0)  # what the encoder can say


class ShiftNetwork(nn.Module):
    """Counts to latents and back; neither way sees the perturbation.

    Parameters
    ----------
    n_genes, n_latents : int
    recipe : Recipe
    shares : Tensor, shape (n_genes,)
        Of each gene in all counts, where the decoder starts.
    """

    def __init__(self, n_genes, n_latents, recipe, shares):
        super().__init__()
        self.encoder = _layers(n_genes, recipe, recipe.dropout)
        self.mean = nn.Linear(recipe.hidden, n_latents)
        self.log_variance = nn.Linear(recipe.hidden, n_latents)
        self.decoder = _layers(n_latents, recipe, 0.0)
        self.logits = nn.Linear(recipe.hidden, n_genes)
        self.dispersion = nn.Parameter(torch.full((n_genes,), float(recipe.dispersion)))
        with torch.no_grad():
            self.logits.bias.copy_(shares.clamp_min(1e-8).log())

    def encode(self, inputs):
        """Mean and log variance of the latents, each (b, n_latents), of cells (b, n_genes)."""
        hidden = self.encoder(inputs)
        return self.mean(hidden), self.log_variance(hidden).clamp(*LOG_VARIANCES)

    def decode(self, latents):
        """Log of the share of each gene in the counts of a cell, (..., n_genes)."""
        flat = latents.reshape(-1, latents.shape[-1])
        return torch.log_softmax(self.logits(self.decoder(flat)), dim=1).reshape(*latents.shape[:-1], -1)

    @torch.no_grad()
    def change_latents(self, matrix, origin):
        """Make ``(latents - origin) @ matrix`` the latents, and let the decoder undo it.

        Parameters
        ----------
        matrix : Tensor, shape (d, d)
        origin : Tensor, shape (d,)
        """
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
    """Log likelihood of cells under negative binomials, without what depends on the counts alone.

    Parameters
    ----------
    counts : Tensor, shape (b, p)
    totals : Tensor, shape (b, 1)
        Of the counts.
    log_shares : Tensor, shape (..., b, p)
        The mean of a gene is its share times the total.
    dispersion : Tensor, shape (p,)
        Logarithm of the inverse dispersion: of a Poisson distribution it is infinite.

    Returns
    -------
    Tensor, shape (..., b)
        To be less `log_factorials`.
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
