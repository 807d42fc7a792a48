"""Effects of perturbations on genes: effects that the latents do not explain, and log fold changes with intervals."""

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
    """Posterior mean and standard deviation of effects that were estimated with normal errors, each
    of shape (m, p).

    The prior of a row is a mixture of normal distributions around zero with estimated weights
    (Stephens 2017).
    """
    total = SCALES**2 + errors[..., None] ** 2
    log_density = -0.5 * (estimates[..., None] ** 2 / total + np.log(total))
    density = np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    weights = np.full((len(estimates), 1, len(SCALES)), 1 / len(SCALES))
    for _ in range(ROUNDS):
        parts = density * weights
        weights = (parts / parts.sum(axis=-1, keepdims=True)).sum(axis=1, keepdims=True)
        weights[..., 0] += NULL_PAIRS
        weights /= weights.sum(axis=-1, keepdims=True)
    parts = density * weights
    parts /= parts.sum(axis=-1, keepdims=True)
    means, variances = (
        estimates[..., None] * SCALES**2 / total,
        SCALES**2 * errors[..., None] ** 2 / total,
    )
    mean = (parts * means).sum(axis=-1)
    return mean, np.sqrt((parts * (variances + means**2)).sum(axis=-1) - mean**2)


@torch.no_grad()
def class_sums(network, cells, positions, codes, n_classes):
    """Sums over the cells of each class, of shape (m, p), and the sums of their total counts, of
    shape (m, 1).

    Four quantities are summed: counts, counts expected from the latents, squared differences
    between the two, and squared differences between counts and the counts expected from the mean
    share of the gene in the class.
    """
    network.eval()
    sums, of_totals = np.zeros((5, n_classes, cells.shape[1])), np.zeros((2, n_classes, 1))
    for block in blocks(positions):
        counts, total = cells.batch(block)
        expected, code = network.decode(network.encode(counts)[0]).exp() * total, codes[block]
        parts = counts, expected, (counts - expected) ** 2, counts**2, counts * total
        for values, to in zip((*parts, total, total**2), (*sums, *of_totals), strict=True):
            np.add.at(to, code, values.double().numpy())
    (*known, squares, products), (totals, total_squares) = sums, of_totals
    found = known[0] / totals
    return *known, squares - 2 * found * products + found**2 * total_squares, totals


def direct_effects(observed, expected, squares):
    """Log ratios of observed to expected counts, and their standard errors, both of shape (m, p)."""
    # one value per gene; 1 for Poisson counts
    dispersion = np.maximum(squares.sum(axis=0) / expected.sum(axis=0), 1.0)
    # Logarithms of small counts are imprecise, whether the counts are measured or expected.
    return np.log((observed + 0.5) / (expected + 0.5)), np.sqrt(
        dispersion / (np.minimum(observed, expected) + 0.5)
    )


@torch.no_grad()
def mean_shares(network, centres, direct):
    """Expected share of each gene in the cells of each perturbation, ndarray of shape (m, p)."""
    network.eval()
    noise = torch.randn((DRAWS, centres.shape[1]), generator=torch.Generator().manual_seed(0))
    rows = zip(centres, direct, strict=True)
    return (
        torch.stack([network.decode(centre + noise, row).exp().mean(0) for centre, row in rows])
        .double()
        .numpy()
    )


def gene_effects(observed, squares, totals, ratios, shares, direct, names, genes, control):
    """DataFrame of log fold changes, with a row for each perturbation and gene.

    Changes are relative to the control or, if there is none, to all perturbations. Measured changes
    that are significant at a false discovery rate of 1 % are not shrunk. Any other change is
    estimated as the change predicted by the model, times the factor by which significant changes
    exceed their predictions, plus the shrunken residual. `ratios` is the result of
    `direct_effects`; there is an edge to a gene if its ratio is significant at the same rate and
    its direct effect is not 0.
    """
    of = names != control
    reference = of if of.all() else ~of

    def against(values, errors):
        return values[of] - values[reference].mean(axis=0), np.sqrt(
            errors[of] ** 2 + (errors[~of] ** 2).sum(axis=0)
        )

    found, pooled = observed / totals, observed.sum(axis=0) / totals.sum()
    sums = np.sqrt(np.maximum(squares, pooled * totals)) / totals
    own, test = against(np.log(found + SMALL), sums / (found + SMALL))
    model, noise = against(np.log(shares + SMALL), sums / (np.maximum(found, pooled) + SMALL))
    significant, edges = (
        _significant(own, test),
        _significant(*against(*ratios)) & (direct[of] != 0),
    )
    known = model * significant
    scaled = model * ((own * known).sum() / (known**2).sum() if significant.any() else 1.0)
    estimate = np.where(significant, own, scaled + shrunken(own - scaled, noise)[0])
    # wide if not significant, as the posterior error may be 0
    half = NORMAL_95 * np.where(significant, test, noise)
    pairs = pd.MultiIndex.from_product([names[of], genes], names=["perturbation", "gene"])
    values = {"log_fold_change": estimate, "lower": estimate - half, "upper": estimate + half}
    values |= {"significant": significant, "model": model, "direct": direct[of], "edge": edges}
    return pd.DataFrame(
        {name: value.ravel() for name, value in values.items()}, pairs
    ).reset_index()


def _significant(effects, errors):
    p = 2 * norm.sf(np.abs(effects) / errors)
    return false_discovery_control(p, axis=None).reshape(p.shape) <= FALSE_EFFECTS
