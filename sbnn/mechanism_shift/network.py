"""Encoder, decoder and prior of the latents, and likelihoods of cells."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

PENALTY_STRENGTHS = {"svae+": 10.0, "svae": 100.0}  # as published
LOG_VARIANCE_RANGE = (-10.0, 4.0)  # of the encoder
FIRST_LOGIT = 5.0  # of a gate, which is open at first
FIRST_LOG_DISPERSION = 3.0  # unless published
CELLS_IN_BLOCK = 2048
SAMPLED_VALUES_IN_BLOCK = 2**23  # at most
# number above which layers next to the genes are small, and the likelihood of few cells is computed
MANY_GENES = 500


class ShiftNetwork(nn.Module):
    """Encoder and decoder between counts and latents, and the prior N(m, I) of the latents.

    The mean m of a perturbation is trained (`prior` "ivae"), 0 ("vae"), or trained and multiplied
    by trained gates ("svae", "svae+") (Lopez et al. 2022). As `published`, there are batch
    normalisation and dropout, layers have 128 units by default, and shifts and log dispersions
    start at random.
    """

    input_mean: torch.Tensor
    input_sd: torch.Tensor

    def __init__(
        self,
        n_genes: int,
        n_latents: int,
        n_perturbations: int,
        prior: str = "svae+",
        strength: float | None = None,
        hidden: int | None = None,
        published: bool = False,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.strength = strength or PENALTY_STRENGTHS.get(prior, 0.0)
        # a sum, as the gradients of a mean are smaller than the published epsilon of Adam
        self.loss_is_sum = prior == "svae+"
        n_hidden = hidden or (128 if published else 400)
        n_near_genes = 64 if n_genes > MANY_GENES and not published else n_hidden
        dropout = 0.1 if published else 0.0
        self.encoder = _layers([n_genes, n_near_genes, n_hidden], published, dropout)
        self.mean = nn.Linear(n_hidden, n_latents)
        self.log_variance = nn.Linear(n_hidden, n_latents)
        self.decoder = _layers([n_latents, n_hidden, n_near_genes], published)
        self.logits = nn.Linear(n_near_genes, n_genes)
        if published:
            dispersion = torch.randn(n_genes)
            shifts = torch.randn(n_perturbations, n_latents)
        else:
            dispersion = torch.full((n_genes,), FIRST_LOG_DISPERSION)
            shifts = torch.zeros(n_perturbations, n_latents)
        self.dispersion = nn.Parameter(dispersion)
        self.shifts = nn.Parameter(shifts, requires_grad=prior != "vae")
        first_logit = {"ivae": math.inf, "vae": -math.inf}.get(prior, FIRST_LOGIT)
        gates = torch.full(shifts.shape, first_logit)
        self.gates = nn.Parameter(gates, requires_grad=prior in PENALTY_STRENGTHS)
        self.register_buffer("input_mean", torch.zeros(n_genes))
        self.register_buffer("input_sd", torch.ones(n_genes))

    def inputs(self, counts: torch.Tensor) -> torch.Tensor:
        """Standardised logarithms of counts, of the same shape."""
        return (counts.log1p() - self.input_mean) / self.input_sd

    def encode(self, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the latents, each of shape (b, n_latents)."""
        return self.encode_inputs(self.inputs(counts))

    def encode_inputs(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `encode`."""
        hidden = self.encoder(inputs)
        least, most = LOG_VARIANCE_RANGE
        log_variance = self.log_variance(hidden).clamp(least, most)
        return self.mean(hidden), log_variance

    def decode(self, latents: torch.Tensor, direct: torch.Tensor | None = None) -> torch.Tensor:
        """Log fractions of the genes, (b, n_genes); `direct` effects are added to the logits."""
        logits = self.logits(self.decoder(latents))
        if direct is not None:
            logits += direct
        return torch.log_softmax(logits, dim=-1)

    def sample_means(self, codes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Prior means of shape (b, d) for b perturbations; trained gates are sampled for each."""
        gates = self.gates[codes]
        if self.gates.requires_grad:
            return sample_gates(gates, generator) * self.shifts[codes]
        return (gates > 0) * self.shifts[codes]

    @torch.no_grad()
    def means(self) -> torch.Tensor:
        """Prior means of shape (n_perturbations, d)."""
        return (self.gates > 0) * self.shifts

    def penalty(self) -> torch.Tensor:
        """Term of the loss: of all cells if `loss_is_sum`, otherwise of their mean.

        For SVAE+, it is the sum of the negative log densities of Beta(1, strength) of the
        probabilities, and for SVAE their mean, times the strength.
        """
        if not self.gates.requires_grad:
            return torch.zeros(())
        if self.prior == "svae":
            return self.strength * self.gates.sigmoid().mean()
        # log Beta(p; 1, K) = log K + (K - 1) log(1 - p), and 1 - sigmoid(x) = sigmoid(-x): finite
        # even if a probability rounds to 1
        log_density = (self.strength - 1) * functional.logsigmoid(-self.gates)
        return -(math.log(self.strength) + log_density).sum()


def _layers(sizes: list[int], published: bool, dropout: float = 0.0) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_inputs, n_units in pairwise(sizes):
        layers.append(nn.Linear(n_inputs, n_units))
        if published:
            layers.append(nn.BatchNorm1d(n_units, eps=1e-3, momentum=0.01))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def sample_gates(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Gates, 0 or 1, from relaxed Bernoulli distributions; they have the gradients of soft ones."""
    uniform = torch.rand(logits.shape, generator=generator)
    logistic_noise = uniform.clamp(1e-6, 1 - 1e-6).logit()
    # binary concrete variable of temperature 1: sigmoid(logit + logistic noise)
    # (Maddison et al. 2017; Jang et al. 2017)
    soft = torch.sigmoid(logits + logistic_noise)
    hard = (soft > 0.5).float()
    # straight-through estimator: the value of the hard gate with the gradient of the soft one
    # (Jang et al. 2017)
    return hard - soft.detach() + soft


def log_likelihood(
    counts: torch.Tensor, log_fractions: torch.Tensor, dispersion: torch.Tensor
) -> torch.Tensor:
    """Log likelihood of negative binomial counts without the log factorials, of shape (..., b).

    The mean of a count, of shape (b, p), is a fraction times the total of the cell. `dispersion`,
    of shape (p,), is the logarithm of the inverse dispersion, infinite for Poisson.
    """
    inverse = dispersion.exp()
    sums = counts + inverse
    log_totals = counts.sum(1, keepdim=True).log()
    log_odds = log_fractions + log_totals - dispersion  # of a success
    # log NB(x) = lgamma(x + r) - lgamma(r) + x log p + r log(1 - p), where p = sigmoid(log odds)
    fit = torch.lgamma(sums) + counts * log_odds - sums * functional.softplus(log_odds)
    return fit.sum(-1) - torch.lgamma(inverse).sum()


def estimate_likelihood(
    counts: torch.Tensor, log_fractions: torch.Tensor, dispersion: torch.Tensor, subset: slice
) -> torch.Tensor:
    """Mean `log_likelihood` of a batch, of which only the gradient of the fractions is exact.

    The value and the gradient of the dispersions are estimated from the cells in `subset`,
    because gamma functions take most of the time.
    """
    with torch.no_grad():
        log_odds = log_fractions - dispersion
        log_odds += counts.sum(1, keepdim=True).log()
        # derivative by a log fraction: x - (x + r) p, which needs no gamma function
        sums = counts + dispersion.exp()
        slopes = torch.addcmul(counts, sums, log_odds.sigmoid_(), value=-1)
    linear = slopes.ravel() @ log_fractions.ravel() / len(counts)
    fit = log_likelihood(counts[subset], log_fractions[subset].detach(), dispersion)
    # `linear` adds its gradient, and nothing to the value
    return fit.mean() + linear - linear.detach()


def sample_latents(
    mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Latents from normal distributions, by standard normal `noise`.

    They are differentiable by mean and variance (reparametrisation of Kingma and Welling 2014).
    """
    return mean + noise * (0.5 * log_variance).exp()


def divergence(
    mean: torch.Tensor, log_variance: torch.Tensor, prior_mean: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence of normal distributions from N(prior_mean, I), of shape (b,)."""
    squares = (mean - prior_mean) ** 2
    return 0.5 * (squares + log_variance.exp() - log_variance - 1).sum(1)


@torch.no_grad()
def encode_cells(network: ShiftNetwork, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of the latents of n cells, each of shape (n, d)."""
    network.eval()
    means = []
    variances = []
    for block in counts.split(CELLS_IN_BLOCK):
        mean, log_variance = network.encode(block)
        means.append(mean)
        variances.append(log_variance.exp())
    return torch.cat(means), torch.cat(variances)


@torch.no_grad()
def elbo_of_cells(
    network: ShiftNetwork,
    counts: torch.Tensor,
    codes: torch.Tensor,
    prior_means: torch.Tensor,
    direct: torch.Tensor,
    n_samples: int = 1,
) -> torch.Tensor:
    """Evidence lower bound of each cell, in nats.

    `codes` are the rows of `prior_means` and of the `direct` effects that belong to each cell.
    """
    network.eval()
    generator = torch.Generator().manual_seed(0)
    bounds = []
    blocks = zip(counts.split(CELLS_IN_BLOCK), codes.split(CELLS_IN_BLOCK), strict=True)
    for block, block_codes in blocks:
        mean, log_variance = network.encode(block)
        noise = [torch.randn(mean.shape, generator=generator) for _ in range(n_samples)]
        latents = sample_latents(mean, log_variance, torch.stack(noise))
        # ELBO = E_q[log p(x | z)] - KL(q(z | x) || p(z)); the divergence is exact
        fits = _log_likelihoods(network, latents, counts=block, direct=direct[block_codes])
        kl = divergence(mean, log_variance, prior_means[block_codes])
        bounds.append(fits.mean(0) - kl)
    return torch.cat(bounds)


@torch.no_grad()
def iwelbo_of_cells(
    network: ShiftNetwork,
    counts: torch.Tensor,
    codes: torch.Tensor,
    prior_means: torch.Tensor,
    direct: torch.Tensor,
    n_samples: int = 1000,
) -> torch.Tensor:
    """Importance-weighted bound of each cell (Burda et al. 2016); see `elbo_of_cells`."""
    network.eval()
    generator = torch.Generator().manual_seed(0)
    bounds = []
    n_cells = max(SAMPLED_VALUES_IN_BLOCK // (n_samples * counts.shape[1]), 1)
    for block, block_codes in zip(counts.split(n_cells), codes.split(n_cells), strict=True):
        mean, log_variance = network.encode(block)
        noise = torch.randn((n_samples, *mean.shape), generator=generator)
        latents = sample_latents(mean, log_variance, noise)
        # log p(z) - log q(z | x), times two; the factors 1 / sqrt(2 pi) cancel
        distances = latents - prior_means[block_codes]
        ratios = noise**2 + log_variance - distances**2
        fits = _log_likelihoods(network, latents, counts=block, direct=direct[block_codes])
        # IWELBO = log of the mean over k samples of w = p(x | z) p(z) / q(z | x)
        log_weights = fits + ratios.sum(-1) / 2
        bounds.append(log_weights.logsumexp(0) - math.log(n_samples))
    return torch.cat(bounds)


def _log_likelihoods(network, latents, counts, direct):
    """Log likelihood by sample and cell, (n_samples, b), for latents of shape (n_samples, b, d)."""
    log_factorials = torch.lgamma(counts + 1).sum(-1)
    fits = []
    for sample in latents:  # whose tables stay in the cache
        log_fractions = network.decode(sample, direct)
        fit = log_likelihood(counts, log_fractions, network.dispersion)
        fits.append(fit - log_factorials)
    return torch.stack(fits)
