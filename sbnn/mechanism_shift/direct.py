"""Effects of perturbations on genes: what the latents do not explain, and log fold changes."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control, norm

from sbnn.mechanism_shift.network import blocks

SCALES = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 16)])  # SDs of effects on log counts
# number of pseudo-pairs without an effect per perturbation (Stephens 2017, Biostatistics 18)
NULL_PAIRS = 10.0
ROUNDS = 100  # rounds of expectation maximisation
DRAWS = 1000  # number of draws of the latents for the mean share of each gene
SMALL = 1e-4  # added to shares before the logarithm: one count in ten thousand
FALSE_EFFECTS = 0.01  # expected share of false effects among significant ones
NORMAL_95 = norm.ppf(0.975)


def shrunken(estimates, errors):
    """Posterior mean and SD of effects that were estimated with normal errors, all of shape (m, p).

    The prior of a row is a mixture of normal distributions around zero with estimated weights
    (Stephens 2017).
    """
    estimates = estimates[..., None]
    variance = errors[..., None] ** 2
    total = SCALES**2 + variance  # (m, p, scales)
    log_density = -0.5 * (estimates**2 / total + np.log(total))
    density = np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    weights = np.full((len(estimates), 1, len(SCALES)), 1 / len(SCALES))
    for _ in range(ROUNDS):
        parts = density * weights
        weights = (parts / parts.sum(axis=-1, keepdims=True)).sum(axis=1, keepdims=True)
        weights[..., 0] += NULL_PAIRS
        weights /= weights.sum(axis=-1, keepdims=True)
    parts = density * weights
    parts /= parts.sum(axis=-1, keepdims=True)
    means = estimates * SCALES**2 / total
    variances = SCALES**2 * variance / total
    mean = (parts * means).sum(axis=-1)
    return mean, np.sqrt((parts * (variances + means**2)).sum(axis=-1) - mean**2)


class ClassSums(NamedTuple):
    """Sums over the cells of each perturbation, of shape (m, p) unless noted."""

    observed: np.ndarray  # counts
    expected: np.ndarray  # counts expected from the latents
    unexplained: np.ndarray  # squared differences between the two
    squares: np.ndarray  # squared differences from the counts expected from the gene's mean share
    totals: np.ndarray  # total counts of the cells, of shape (m, 1)


@torch.no_grad()
def class_sums(network, cells, positions, codes, n_classes):
    """`ClassSums` over the cells at these positions; `codes` has the class of every cell."""
    network.eval()
    shape = n_classes, cells.shape[1]
    observed, expected, unexplained = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    count_squares, products = np.zeros(shape), np.zeros(shape)
    totals, total_squares = np.zeros((n_classes, 1)), np.zeros((n_classes, 1))
    for block in blocks(positions):
        counts, total = cells.batch(block)
        predicted = network.decode(network.encode(counts)[0]).exp() * total
        code = codes[block]
        np.add.at(observed, code, counts.double().numpy())
        np.add.at(expected, code, predicted.double().numpy())
        np.add.at(unexplained, code, ((counts - predicted) ** 2).double().numpy())
        np.add.at(count_squares, code, (counts**2).double().numpy())
        np.add.at(products, code, (counts * total).double().numpy())
        np.add.at(totals, code, total.double().numpy())
        np.add.at(total_squares, code, (total**2).double().numpy())
    share = observed / totals
    squares = count_squares - 2 * share * products + share**2 * total_squares
    return ClassSums(observed, expected, unexplained, squares, totals)


def direct_effects(sums):
    """Log ratios of observed to expected counts, and their standard errors, of shape (m, p)."""
    # one value per gene; 1 for Poisson counts
    dispersion = sums.unexplained.sum(axis=0) / sums.expected.sum(axis=0)
    dispersion = np.maximum(dispersion, 1.0)
    ratios = np.log((sums.observed + 0.5) / (sums.expected + 0.5))
    # Logarithms of small counts are imprecise, whether the counts are measured or expected.
    least = np.minimum(sums.observed, sums.expected)
    return ratios, np.sqrt(dispersion / (least + 0.5))


@torch.no_grad()
def mean_shares(network, centres, direct):
    """Expected share of each gene in the cells of each perturbation, ndarray of shape (m, p)."""
    network.eval()
    noise = torch.randn((DRAWS, centres.shape[1]), generator=torch.Generator().manual_seed(0))
    shares = []
    for centre, row in zip(centres, direct, strict=True):
        shares.append(network.decode(centre + noise, row).exp().mean(0))
    return torch.stack(shares).double().numpy()


def gene_effects(sums, ratios, errors, shares, direct, moved):
    """Table of log fold changes, with a row for each perturbation and gene, in this order.

    Changes are relative to the control or, if there is none, to all perturbations. Measured changes
    that are significant at a false discovery rate of 1 % are not shrunk. Any other change is
    estimated as the change predicted by the model, times the factor by which significant changes
    exceed their predictions, plus the shrunken residual. There is an edge to a gene if its ratio of
    observed to expected counts is significant at the same rate and its direct effect is not 0.

    Parameters
    ----------
    sums : ClassSums
    ratios, errors : ndarray, shape (m, p)
        Result of `direct_effects`.
    shares, direct : ndarray, shape (m, p)
        Shares that the model predicts, and the direct effects that it contains.
    moved : ndarray of bool, shape (m,)
        False for the control.
    """
    pooled = sums.observed.sum(axis=0) / sums.totals.sum()
    measured = sums.observed / sums.totals
    # standard errors of the shares
    share_errors = np.sqrt(np.maximum(sums.squares, pooled * sums.totals)) / sums.totals
    log_errors = share_errors / (measured + SMALL)
    own, own_errors = _contrast(np.log(measured + SMALL), log_errors, moved)
    model_errors = share_errors / (np.maximum(measured, pooled) + SMALL)
    model, model_errors = _contrast(np.log(shares + SMALL), model_errors, moved)
    significant = _significant(own, own_errors)
    edges = _significant(*_contrast(ratios, errors, moved)) & (direct[moved] != 0)
    scaled = model
    if significant.any():
        known = model * significant
        scaled = model * ((own * known).sum() / (known**2).sum())
    residual, _ = shrunken(own - scaled, model_errors)
    estimate = np.where(significant, own, scaled + residual)
    # wide if not significant, as the posterior error may be 0
    half = NORMAL_95 * np.where(significant, own_errors, model_errors)
    columns = {
        "log_fold_change": estimate,
        "lower": estimate - half,
        "upper": estimate + half,
        "significant": significant,
        "model": model,
        "direct": direct[moved],
        "edge": edges,
    }
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def _contrast(values, errors, moved):
    """Differences from the control, or from the mean of all without one, and their errors."""
    reference = values[moved] if moved.all() else values[~moved]
    variance = errors[moved] ** 2 + (errors[~moved] ** 2).sum(axis=0)
    return values[moved] - reference.mean(axis=0), np.sqrt(variance)


def _significant(effects, errors):
    p = 2 * norm.sf(np.abs(effects) / errors)
    return false_discovery_control(p, axis=None).reshape(p.shape) <= FALSE_EFFECTS
