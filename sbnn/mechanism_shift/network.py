"""Encoder, decoder and prior of the latents, and likelihoods of cells."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

STRENGTH = {"svae+": 10.0, "svae": 100.0}  # of the penalty, as published
LOG_VARIANCES = (-10.0, 4.0)  # range of log variances from the encoder
FIRST_LOGIT = 5.0  # of a gate, which is open at first
BLOCK = 2048  # cells
DRAWS_AT_ONCE = 2**23  # values that are drawn for a block of cells, at most
MANY = 500  # genes above which layers next to the genes are small, and dispersions sampled


class ShiftNetwork(nn.Module):
    """Encoder and decoder between counts and latents, and the prior N(m, I) of the latents.

    The mean m of a perturbation is trained (`prior` "ivae"), 0 ("vae"), or trained and multiplied
    by trained gates ("svae", "svae+"). As `published`, there are batch normalisation and dropout,
    layers have 128 units by default, and shifts and log dispersions start at random.
    """

    def __init__(
        self,
        n_genes,
        n_latents,
        n_perturbations,
        prior="svae+",
        strength=None,
        hidden=None,
        published=False,
    ):
        super().__init__()
        self.prior = prior
        self.strength = strength or STRENGTH.get(prior)
        # a sum, as the gradients of a mean are smaller than the published epsilon of Adam
        self.summed = prior == "svae+"
        hidden = hidden or (128 if published else 400)
        near = hidden if published or n_genes <= MANY else 64  # units next to the genes
        self.encoder = _layers([n_genes, near, hidden], published, 0.1 if published else 0.0)
        self.mean = nn.Linear(hidden, n_latents)
        self.log_variance = nn.Linear(hidden, n_latents)
        self.decoder = _layers([n_latents, hidden, near], published)
        self.logits = nn.Linear(near, n_genes)
        start = torch.randn if published else torch.zeros
        self.dispersion = nn.Parameter(start(n_genes) + (0.0 if published else 3.0))
        shape = n_perturbations, n_latents
        self.shifts = nn.Parameter(start(shape), requires_grad=prior != "vae")
        logit = {"ivae": math.inf, "vae": -math.inf}.get(prior, FIRST_LOGIT)
        gates = torch.full(shape, logit)
        self.gates = nn.Parameter(gates, requires_grad=prior in STRENGTH)
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

    def decode(self, latents, direct=None):
        """Log shares of the genes, of shape (b, n_genes); `direct` is added to the logits."""
        logits = self.logits(self.decoder(latents))
        if direct is not None:
            logits += direct
        return torch.log_softmax(logits, dim=-1)

    def drawn_means(self, codes, generator):
        """Prior means of shape (b, d) for b perturbations; trained gates are drawn for each."""
        gates = self.gates[codes]
        gates = drawn_gates(gates, generator) if self.gates.requires_grad else gates > 0
        return gates * self.shifts[codes]

    @torch.no_grad()
    def means(self):
        """Prior means, Tensor of shape (n_perturbations, d)."""
        return (self.gates > 0) * self.shifts

    def penalty(self):
        """Term of the loss: of all cells if the loss is `summed`, otherwise of their mean.

        For SVAE+, it is the sum of the negative log densities of Beta(1, strength) of the
        probabilities, and for SVAE their mean, times the strength.
        """
        if not self.gates.requires_grad:
            return torch.zeros(())
        if self.prior == "svae":
            return self.strength * self.gates.sigmoid().mean()
        # finite even if a probability rounds to 1
        log_density = (self.strength - 1) * functional.logsigmoid(-self.gates)
        return -(math.log(self.strength) + log_density).sum()


def _layers(sizes, published, dropout=0.0):
    layers = []
    for n_inputs, n_units in pairwise(sizes):
        layers.append(nn.Linear(n_inputs, n_units))
        if published:
            layers.append(nn.BatchNorm1d(n_units, eps=1e-3, momentum=0.01))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def drawn_gates(logits, generator):
    """Gates, 0 or 1, from relaxed Bernoulli distributions; they have the gradients of soft ones."""
    uniform = torch.rand(logits.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
    soft = torch.sigmoid(logits + uniform.logit())
    return (soft > 0.5).float() - soft.detach() + soft


def log_likelihood(counts, log_shares, dispersion):
    """Log likelihood of negative binomial counts without the log factorials, of shape (..., b).

    The mean of a count, of shape (b, p), is a share times the total of the cell. `dispersion`, of
    shape (p,), is the logarithm of the inverse dispersion, infinite for Poisson.
    """
    inverse = dispersion.exp()
    sums = counts + inverse
    log_odds = log_shares + counts.sum(1, keepdim=True).log() - dispersion  # of a success
    fit = torch.lgamma(sums) + counts * log_odds - sums * functional.softplus(log_odds)
    return fit.sum(-1) - torch.lgamma(inverse).sum()


def sampled_likelihood(counts, log_shares, dispersion, some):
    """Mean `log_likelihood` of a batch, of which only the gradient of the shares is exact.

    The value and the gradient of the dispersions are estimated from the cells in the slice `some`,
    because gamma functions take most of the time.
    """
    with torch.no_grad():
        log_odds = log_shares - dispersion
        log_odds += counts.sum(1, keepdim=True).log()
        slopes = torch.addcmul(counts, counts + dispersion.exp(), log_odds.sigmoid_(), value=-1)
    linear = slopes.ravel() @ log_shares.ravel() / len(counts)
    fit = log_likelihood(counts[some], log_shares[some].detach(), dispersion)
    return fit.mean() + linear - linear.detach()


def drawn(mean, log_variance, noise):
    """Latents drawn from normal distributions by standard normal `noise`."""
    return mean + noise * (0.5 * log_variance).exp()


def divergence(mean, log_variance, prior):
    """Kullback-Leibler divergence of normal distributions from N(prior, I), of shape (b,)."""
    return 0.5 * ((mean - prior) ** 2 + log_variance.exp() - log_variance - 1).sum(1)


@torch.no_grad()
def encoded(network, counts):
    """Mean and variance of the latents of n cells, Tensors of shape (n, d)."""
    network.eval()
    means = []
    variances = []
    for block in counts.split(BLOCK):
        mean, log_variance = network.encode(block)
        means.append(mean)
        variances.append(log_variance.exp())
    return torch.cat(means), torch.cat(variances)


@torch.no_grad()
def elbo_of_cells(network, counts, codes, centres, direct, n_samples=1):
    """Evidence lower bound of each cell, in nats.

    `codes` are those of the prior N(centre, I) and of the direct effects of each cell.
    """
    network.eval()
    generator = torch.Generator().manual_seed(0)
    bounds = []
    for block, code in zip(counts.split(BLOCK), codes.split(BLOCK), strict=True):
        mean, log_variance = network.encode(block)
        noise = [torch.randn(mean.shape, generator=generator) for _ in range(n_samples)]
        latents = drawn(mean, log_variance, torch.stack(noise))
        fits = _likelihoods(network, latents, block, direct[code])
        bounds.append(fits.mean(0) - divergence(mean, log_variance, centres[code]))
    return torch.cat(bounds)


@torch.no_grad()
def iwelbo_of_cells(network, counts, codes, centres, direct, n_samples=1000):
    """Importance-weighted bound of each cell (Burda et al. 2016); see `elbo_of_cells`."""
    network.eval()
    generator = torch.Generator().manual_seed(0)
    bounds = []
    size = max(DRAWS_AT_ONCE // (n_samples * counts.shape[1]), 1)
    for block, code in zip(counts.split(size), codes.split(size), strict=True):
        mean, log_variance = network.encode(block)
        noise = torch.randn((n_samples, *mean.shape), generator=generator)
        latents = drawn(mean, log_variance, noise)
        # log densities of the prior minus those of the draws
        ratios = noise**2 + log_variance - (latents - centres[code]) ** 2
        weights = _likelihoods(network, latents, block, direct[code]) + ratios.sum(-1) / 2
        bounds.append(weights.logsumexp(0) - math.log(n_samples))
    return torch.cat(bounds)


def _likelihoods(network, latents, counts, direct):
    """Log likelihood of each draw and cell, (draws, b), for `latents` of shape (draws, b, d)."""
    factorials = torch.lgamma(counts + 1).sum(-1)
    fits = []
    for of_draw in latents:  # whose tables stay in the cache
        log_shares = network.decode(of_draw, direct)
        fits.append(log_likelihood(counts, log_shares, network.dispersion) - factorials)
    return torch.stack(fits)
