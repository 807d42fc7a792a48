"""Effects of perturbations on genes that the latents do not explain."""

import numpy as np
import torch

from sbnn.determinism import reproducible
from sbnn.mechanism_shift.graph import class_sums, significant
from sbnn.mechanism_shift.network import elbo_of_cells

SCALES = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 16)])  # SDs of effects on log counts
# pseudo-pairs without an effect per perturbation (Stephens 2017, Biostatistics 18)
NULL_PAIRS = 10.0
ROUNDS = 100  # rounds of expectation maximisation
FEW = 256  # cells, whose tables stay in the cache
HALF = 0.5  # added to observed and expected counts before the logarithm


def shrunken(estimates, errors):
    """Posterior means of effects that were estimated with normal errors, of shape (m, p).

    The prior of a row is a mixture of normal distributions around zero (Stephens 2017).
    """
    rows = []
    for estimate, error in zip(estimates[..., None], errors[..., None], strict=True):
        total = SCALES**2 + error**2  # (p, scales)
        log_density = -0.5 * (estimate**2 / total + np.log(total))
        density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        weights = np.full(len(SCALES), 1 / len(SCALES))
        for _ in range(ROUNDS):
            weights *= density.T @ (1 / (density @ weights))  # expected numbers of genes
            weights[0] += NULL_PAIRS
            weights /= weights.sum()
        density *= weights
        means = estimate * SCALES**2 / total
        rows.append((density * means).sum(axis=1) / density.sum(axis=1))
    return np.stack(rows)


@torch.no_grad()
def log_ratios(network, counts, codes, n_classes):
    """Logarithms of observed divided by expected counts, and standard errors, of shape (m, p).

    The counts of the cells of each perturbation are summed; expected ones are decoded from the
    latents.
    """
    network.eval()
    sums = 0
    for block, of_block in zip(counts.split(FEW), codes.split(FEW), strict=True):
        expected = network.decode(network.encode(block)[0]).exp() * block.sum(1, keepdim=True)
        tables = torch.cat([block, expected, (block - expected) ** 2], dim=1)
        sums = sums + class_sums(tables, of_block, n_classes)
    observed, expected, unexplained = np.hsplit(sums, 3)
    dispersion = np.maximum(unexplained.sum(axis=0) / expected.sum(axis=0), 1.0)
    # logarithms of small counts are imprecise, measured or expected
    least = np.minimum(observed, expected)
    ratios = np.log((observed + HALF) / (expected + HALF))
    return ratios, np.sqrt(dispersion / (least + HALF))


def effects_on_genes(network, counts, codes, train, validation):
    """Direct effects (Tensor) and which of them differ from 0 (edges), of shape (m, p).

    Effects are 0 if they do not make `validation` cells likelier.
    """
    means = network.means()
    with reproducible():
        ratios, errors = log_ratios(network, counts[train], codes[train], len(means))
        direct = torch.from_numpy(shrunken(ratios, errors)).float()
        if len(validation):
            cells = network, counts[validation], codes[validation], means
            none = torch.zeros_like(direct)
            gain = elbo_of_cells(*cells, direct, 10) - elbo_of_cells(*cells, none, 10)
            if gain.double().mean() <= 0:
                direct = none
    return direct, significant(ratios, errors) & (direct.numpy() != 0)
