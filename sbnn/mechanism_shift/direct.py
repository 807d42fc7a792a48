"""Effects of perturbations on genes that the latents do not explain."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.stats import norm

from sbnn.determinism import reproducible
from sbnn.mechanism_shift.graph import adjusted_p
from sbnn.mechanism_shift.network import elbo_of_cells

SCALES = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 16)])  # SDs of effects on log counts
# pseudo-pairs without an effect per perturbation (Stephens 2017, Biostatistics 18)
NULL_PAIRS = 10.0
ROUNDS = 100  # rounds of expectation maximisation
FEW = 256  # cells, whose tables stay in the cache
HALF = 0.5  # added to observed and expected counts before the logarithm
FALSE_EFFECTS = 0.01  # expected share of false edges to genes


def shrunken(estimates, errors):
    """Posterior means of effects that were estimated with normal errors, of shape (m, p).

    The prior of a row is a mixture of normal distributions around zero (Stephens 2017).
    """
    pairs = zip(estimates, errors, strict=True)
    return np.stack([_shrunken_row(*row) for row in pairs])


def _shrunken_row(estimates, errors):
    """See `shrunken`, for arrays of shape (p,)."""
    estimates = estimates[:, None]
    total = SCALES**2 + errors[:, None] ** 2  # (p, scales)
    log_density = -0.5 * (estimates**2 / total + np.log(total))
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    weights = np.full(len(SCALES), 1 / len(SCALES))
    for _ in range(ROUNDS):
        weights *= density.T @ (1 / (density @ weights))  # expected numbers of genes
        weights[0] += NULL_PAIRS
        weights /= weights.sum()
    parts = density * weights
    parts /= parts.sum(axis=1, keepdims=True)
    return (parts * (estimates * SCALES**2 / total)).sum(axis=1)


class ClassSums(NamedTuple):
    """Sums over the cells of each perturbation, of shape (m, p)."""

    observed: np.ndarray  # counts
    expected: np.ndarray  # counts expected from the latents
    unexplained: np.ndarray  # squared differences between the two


@torch.no_grad()
def class_sums(network, counts, codes):
    """`ClassSums` of cells with these counts (Tensor) and perturbations."""
    network.eval()
    n_classes = int(codes.max()) + 1
    sums = 0
    for block, of_block in zip(counts.split(FEW), codes.split(FEW), strict=True):
        expected = network.decode(network.encode(block)[0]).exp() * block.sum(1, keepdim=True)
        tables = torch.cat([block, expected, (block - expected) ** 2], dim=1).double().numpy()
        ones = np.ones(len(block)), (of_block, np.arange(len(block)))
        sums = sums + sparse.csr_array(ones, shape=(n_classes, len(block))) @ tables
    return ClassSums(*np.hsplit(sums, 3))


def direct_effects(sums):
    """Log ratios of observed to expected counts and their standard errors, of shape (m, p)."""
    dispersion = sums.unexplained.sum(axis=0) / sums.expected.sum(axis=0)
    dispersion = np.maximum(dispersion, 1.0)
    ratios = np.log((sums.observed + HALF) / (sums.expected + HALF))
    # logarithms of small counts are imprecise, measured or expected
    least = np.minimum(sums.observed, sums.expected)
    return ratios, np.sqrt(dispersion / (least + HALF))


def log_fold_changes(counts, codes, moved):
    """Measured log ratios of the shares of genes to those of the control, half a count added.

    `counts` and `codes` are those of cells; the control has ``moved == False``. Without a control,
    each perturbation is compared with the mean of the others.
    """
    sums = torch.zeros(len(moved), counts.shape[1], dtype=float)
    observed = sums.index_add_(0, codes, counts.double()).numpy()
    totals = observed.sum(axis=1, keepdims=True)
    expected = totals * observed.sum(axis=0) / totals.sum()
    logs = np.log((observed + HALF) / (expected + HALF))
    if not moved.all():
        return logs[moved] - logs[~moved]
    others = (logs.sum(axis=0) - logs) / (len(logs) - 1)
    return logs - others


def effects_on_genes(network, counts, codes, train, validation):
    """Direct effects (Tensor) and which of them differ from 0 (edges), of shape (m, p).

    Effects are estimated from the cells at the positions `train`, and are 0 if they do not make
    those at `validation` likelier. Edges have a false discovery rate of 1 % over all pairs.
    """
    with reproducible():
        ratios, errors = direct_effects(class_sums(network, counts[train], codes[train]))
        direct = torch.from_numpy(shrunken(ratios, errors)).float()
        none = torch.zeros_like(direct)
        cells = network, counts[validation], codes[validation], network.means()
        if len(validation):
            gain = elbo_of_cells(*cells, direct, 10) - elbo_of_cells(*cells, none, 10)
            if gain.double().mean() <= 0:
                direct = none
    significant = adjusted_p(2 * norm.sf(np.abs(ratios) / errors)) <= FALSE_EFFECTS
    return direct, significant & (direct.numpy() != 0)


def effects_table(names, genes, **columns):
    """DataFrame with a row for each perturbation and gene, from tables of shape (m, p)."""
    pairs = pd.MultiIndex.from_product([names, genes], names=["perturbation", "gene"])
    columns = {name: np.ravel(values) for name, values in columns.items()}
    return pd.DataFrame(columns, pairs).reset_index()
