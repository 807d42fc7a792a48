"""What held-out cells say of a model: one function for the bound on their likelihood, for all methods."""

import math

import torch

from sbnn.mechanism_shift.network import divergence, log_factorials, log_likelihood, log_normal

DRAWS_AT_ONCE = 2**23  # values of decoded cells


@torch.no_grad()
def encoded(network, cells, positions, inputs):
    """Mean and variance of the latents of cells, Tensors of shape (len(positions), d)."""
    network.eval()
    parts = [network.encode(inputs(cells.batch(block)[0])) for block in cells.blocks(positions)]
    return torch.cat([mean for mean, _ in parts]), torch.cat([log_variance.exp() for _, log_variance in parts])


@torch.no_grad()
def elbo_of_cells(network, prior, cells, positions, codes, inputs, generator, n_samples=1):
    """Evidence lower bound of each cell, in nats, with all constants.

    Parameters
    ----------
    network : ShiftNetwork
    prior : Prior
    cells : Cells
    positions : ndarray of int, shape (b,)
    codes : ndarray of int, shape (b,)
        Perturbations of these cells.
    inputs : callable
    generator : torch.Generator
    n_samples : int
        Draws of the latents of a cell.

    Returns
    -------
    Tensor, shape (b,)
    """
    network.eval()
    means, values = prior.means(), []
    for block in cells.blocks(range(len(positions))):
        counts, totals = cells.batch(positions[block.start : block.stop])
        mean, log_variance = network.encode(inputs(counts))
        fit = torch.zeros(len(counts))
        for _ in range(n_samples):
            noise = torch.randn(mean.shape, generator=generator)
            log_shares = network.decode(mean + noise * (0.5 * log_variance).exp())
            fit += log_likelihood(counts, totals, log_shares, network.dispersion)
        centres = means[torch.from_numpy(codes[block.start : block.stop])]
        values.append(fit / n_samples - log_factorials(counts) - divergence(mean, log_variance, centres))
    return torch.cat(values)


@torch.no_grad()
def iwelbo_of_cells(network, prior, cells, positions, codes, inputs, generator, n_samples=1000):
    """Importance-weighted bound of each cell (Burda et al. 2016), in nats; parameters as `elbo_of_cells`."""
    network.eval()
    means, values = prior.means(), []
    size = max(DRAWS_AT_ONCE // (n_samples * cells.shape[1]), 1)
    for start in range(0, len(positions), size):
        counts, totals = cells.batch(positions[start : start + size])
        mean, log_variance = network.encode(inputs(counts))
        noise = torch.randn((n_samples, *mean.shape), generator=generator)
        latents = mean + noise * (0.5 * log_variance).exp()
        centres = means[torch.from_numpy(codes[start : start + size])]
        weights = log_likelihood(counts, totals, network.decode(latents), network.dispersion)
        weights += log_normal(latents, centres, torch.zeros(())) - log_normal(latents, mean, log_variance)
        values.append(weights.logsumexp(0) - math.log(n_samples) - log_factorials(counts))
    return torch.cat(values)
