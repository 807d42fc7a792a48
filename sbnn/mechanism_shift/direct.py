"""Effects of perturbations on genes."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import sparse, stats

from sbnn.mechanism_shift.graph import adjusted_p
from sbnn.mechanism_shift.network import blocks

SCALES = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 16)])  # SDs of effects on log counts
# pseudo-pairs without an effect per perturbation (Stephens 2017, Biostatistics 18)
NULL_PAIRS = 10.0
ROUNDS = 100  # rounds of expectation maximisation
FEW = 256  # cells, whose tables stay in the cache
DRAWS = 1000  # of the latents, for mean shares
HALF = 0.5  # added to observed and expected counts before the logarithm
LEAST = 1e-12  # smallest share or expected count
FALSE_EFFECTS = 0.01  # expected share of false effects among significant ones
OUTSIDE = 0.05  # share of the intervals that miss the true change
KEPT = 1.4  # standard errors from the prediction beyond which a measured share is not shrunk
WIDEST = 20.0  # limits of intervals are at most this far from 0


def shrunken(estimates, errors):
    """Posterior mean and SD of effects that were estimated with normal errors, of shape (m, p).

    The prior of a row is a mixture of normal distributions around zero (Stephens 2017).
    """
    rows = [_shrunken_row(*row) for row in zip(estimates, errors, strict=True)]
    means, sds = zip(*rows, strict=True)
    return np.stack(means), np.stack(sds)


def _shrunken_row(estimates, errors):
    """See `shrunken`, for arrays of shape (p,)."""
    estimates = estimates[:, None]
    variance = errors[:, None] ** 2
    total = SCALES**2 + variance  # (p, scales)
    log_density = -0.5 * (estimates**2 / total + np.log(total))
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    weights = np.full(len(SCALES), 1 / len(SCALES))
    for _ in range(ROUNDS):
        weights *= density.T @ (1 / (density @ weights))  # expected numbers of genes
        weights[0] += NULL_PAIRS
        weights /= weights.sum()
    parts = density * weights
    parts /= parts.sum(axis=1, keepdims=True)
    means = estimates * SCALES**2 / total
    variances = SCALES**2 * variance / total
    mean = (parts * means).sum(axis=1)
    mean_square = (parts * (variances + means**2)).sum(axis=1)
    return mean, np.sqrt(mean_square - mean**2)


class ClassSums(NamedTuple):
    """Sums over the cells of each perturbation, of shape (m, p) unless noted."""

    observed: np.ndarray  # counts
    expected: np.ndarray  # counts expected from the latents
    unexplained: np.ndarray  # squared differences between the two
    squares: np.ndarray  # squared differences from the counts expected from mean shares
    totals: np.ndarray  # total counts, of shape (m, 1)
    total_squares: np.ndarray  # squared total counts, of shape (m, 1)


@torch.no_grad()
def class_sums(network, cells, positions, codes, n_classes):
    """`ClassSums` over the cells at these positions; `codes` are of all cells."""
    network.eval()
    sums = 0
    for block in blocks(positions, FEW):
        counts, total = cells.batch(block)
        predicted = network.decode(network.encode(counts)[0]).exp() * total
        unexplained = (counts - predicted) ** 2
        of_cells = counts, predicted, unexplained, counts**2, counts * total, total, total**2
        of_cells = torch.cat(of_cells, dim=1).double().numpy()
        ones = np.ones(len(block)), (codes[block], np.arange(len(block)))
        sums = sums + sparse.csr_array(ones, shape=(n_classes, len(block))) @ of_cells
    tables = np.hsplit(sums[:, :-2], 5)
    observed, expected, unexplained, count_squares, products = tables
    totals, total_squares = np.hsplit(sums[:, -2:], 2)
    share = observed / totals
    squares = count_squares - 2 * share * products + share**2 * total_squares
    return ClassSums(observed, expected, unexplained, squares, totals, total_squares)


def direct_effects(sums):
    """Log ratios of observed to expected counts and their standard errors, of shape (m, p)."""
    dispersion = sums.unexplained.sum(axis=0) / sums.expected.sum(axis=0)
    dispersion = np.maximum(dispersion, 1.0)
    ratios = log_ratios(sums.observed, sums.expected)
    # logarithms of small counts are imprecise, measured or expected
    least = np.minimum(sums.observed, sums.expected)
    return ratios, np.sqrt(dispersion / (least + HALF))


def log_ratios(observed, expected):
    """Log ratios of counts; the fewer are expected, the closer to 0."""
    return np.log((observed + HALF) / (expected + HALF))


@torch.no_grad()
def mean_shares(network, centres, direct):
    """Expected share of each gene in the cells of each perturbation, ndarray of shape (m, p).

    With `direct` effects of shape (m, k, p), the shares have this shape.
    """
    network.eval()
    noise = torch.randn((DRAWS, centres.shape[1]), generator=torch.Generator().manual_seed(0))
    shares = []
    for centre, ratios in zip(centres, direct.exp(), strict=True):
        of_draws = network.decode(centre + noise).exp_()
        totals = ratios.expand(*ratios.shape[:-1], of_draws.shape[1]) @ of_draws.T
        shares.append((1 / totals) @ of_draws * ratios / DRAWS)
    return torch.stack(shares).double().numpy()


def posterior_shares(sums, shares):
    """Shares that combine those predicted by the latents with those in the counts.

    Measured shares are shrunk towards the predicted ones by their precision; the variance of the
    true shares around the predicted ones is estimated for each gene. Those that differ by more than
    `KEPT` standard errors are kept, as few perturbations change a gene, but by much.

    Predicted `shares` and the result have the shape (m, p).
    """
    # the latents of all cells together need not follow their prior
    shares = shares * sums.observed.sum(axis=0) / (sums.totals * shares).sum(axis=0)
    shares = np.maximum(shares / shares.sum(axis=1, keepdims=True), LEAST)
    expected = shares * sums.totals
    variance = 1 / (expected + HALF) + _excess_of_means(sums, expected)
    difference = sums.observed / expected - 1
    between = np.ones(shares.shape[1])
    for _ in range(ROUNDS):
        precision = 1 / (between + variance) ** 2
        moments = (precision * (difference**2 - variance)).sum(axis=0)
        between = np.maximum(moments / precision.sum(axis=0), 0)
    weights = between / (between + variance)
    weights = np.where(difference**2 > KEPT**2 * variance, 1.0, weights)
    # half a count at least, so that no share is 0
    found = shares * np.maximum(1 + weights * difference, HALF / (expected + HALF))
    return found / found.sum(axis=1, keepdims=True)


def overdispersion(squares, weights, expected, sums):
    """Squared relative errors of sums of counts beyond those of Poisson counts, of shape (m, p).

    The dispersion of a gene, variance over mean, is estimated from all cells. As few cells may miss
    the largest counts, its standard error, between perturbations, is added.

    `squares` are sums of squared differences from `expected` counts, and `weights` those of Poisson
    counts, all of shape (m, p).
    """
    weight = np.maximum(weights.sum(axis=0), HALF)
    dispersion = squares.sum(axis=0) / weight
    deviations = squares - dispersion * weights
    error = np.sqrt((deviations**2).sum(axis=0)) / weight
    excess = np.maximum(dispersion + error - 1, 0)
    # proportional to the mean total count of the cells
    depths = sums.total_squares / sums.totals
    mean_depth = sums.total_squares.sum() / sums.totals.sum()
    return excess * (depths / mean_depth) / np.maximum(expected, LEAST)


class Changes(NamedTuple):
    """Counts compared with those expected from the control, of shape (perturbations, p).

    The ratio of the true mean count to `expected` is distributed as ``observed / expected`` times
    an F variable, the ratio of two gamma variables with the relative variances
    ``1 / observed + upper`` and `lower`. This is the exact test of two Poisson counts, and close to
    that of two negative binomial counts (Robinson and Smyth 2008, Biostatistics 9).
    """

    effects: np.ndarray  # log ratios
    errors: np.ndarray  # their standard errors
    observed: np.ndarray
    expected: np.ndarray
    upper: np.ndarray
    lower: np.ndarray

    def p_values(self):
        """Two-sided p-values of no change."""
        more = self._ratio(np.maximum(self.observed, HALF)).cdf(self._inverse(self.observed))
        more = np.where(self.observed > 0, more, 1.0)
        fewer = self._ratio(self.observed + 1).sf(self._inverse(self.observed + 1))
        return np.minimum(2 * np.minimum(more, fewer), 1)

    def intervals(self, outside):
        """Limits of the log ratios, which miss the true ones at this rate."""
        ratio = self._ratio(self.observed + HALF)
        limits = []
        for quantile in (ratio.ppf(outside / 2), ratio.isf(outside / 2)):
            with np.errstate(divide="ignore", over="ignore"):
                limit = np.log(quantile / self._inverse(self.observed + HALF))
            limits.append(np.clip(limit, -WIDEST, WIDEST))
        return limits

    def _ratio(self, counts):
        return stats.f(2 / (1 / counts + self.upper), 2 / self.lower)

    def _inverse(self, counts):
        return self.expected / np.maximum(counts, HALF)


def changes(observed, expected, extra, moved):
    """`Changes` of all perturbations except the control, which has ``moved == False``.

    Without a control, each perturbation is compared with the mean of the others. `extra` is from
    `overdispersion`; arrays have the shape (m, p).
    """
    ratios = log_ratios(observed, expected)
    reference = _reference(ratios, moved)
    n_references = max(len(ratios) - 1, 1) if moved.all() else 1
    poisson = _reference(1 / (observed + HALF), moved) / n_references
    upper = _reference(extra, moved) / n_references
    lower = poisson + extra[moved]
    least = np.minimum(observed, expected)[moved] + HALF
    errors = np.sqrt(1 / least + upper + lower)
    expected = np.maximum(expected[moved], LEAST) * np.exp(reference)
    return Changes(ratios[moved] - reference, errors, observed[moved], expected, upper, lower)


def gene_effects(sums, shares, direct, moved):
    """Table of log fold changes, with a row for each perturbation and gene, in this order.

    Significant changes are as measured. Any other is the change predicted by the model, times the
    factor by which significant changes exceed their predictions, plus the shrunken residual. There
    is an edge to a gene if its ratio of observed to expected counts is significant and its direct
    effect is not 0.

    Intervals of significant changes are wider, so that 95 % of them contain the true change
    (Benjamini and Yekutieli 2005). Intervals are extended to an estimate outside.

    `shares` and `direct` effects of the model have the shape (m, p); `moved` is False for the
    control.
    """
    measured = _measured(sums, moved)
    significant = _significant(measured.p_values())
    extra = overdispersion(sums.unexplained, sums.expected, sums.expected, sums)
    unexplained = changes(sums.observed, sums.expected, extra, moved)
    is_unexplained = _significant(unexplained.p_values())
    edges = is_unexplained & (direct[moved] != 0)
    logs = np.log(np.maximum(shares, LEAST))
    model = logs[moved] - _reference(logs, moved)
    known = model * significant
    scaled = model
    if known.any():
        scaled = model * ((measured.effects * known).sum() / (known**2).sum())
    residual, _ = shrunken(measured.effects - scaled, measured.errors)
    estimate = np.where(significant, measured.effects, scaled + residual)
    outside = OUTSIDE * np.where(significant, significant.mean(), 1)
    lower, upper = measured.intervals(outside)
    columns = {
        "log_fold_change": estimate,
        "lower": np.minimum(lower, estimate),
        "upper": np.maximum(upper, estimate),
        "significant": significant,
        "model": model,
        "direct": direct[moved],
        "edge": edges,
    }
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def _measured(sums, moved):
    """`Changes` from the counts expected from the mean share of each gene."""
    expected = sums.observed.sum(axis=0) / sums.totals.sum() * sums.totals
    return changes(sums.observed, expected, _excess_of_means(sums, expected), moved)


def _excess_of_means(sums, expected):
    """`overdispersion` of counts around the mean share of each gene in each perturbation."""
    # squared differences from the mean of few cells are too small
    weights = sums.observed * (1 - sums.total_squares / sums.totals**2)
    return overdispersion(sums.squares, weights, expected, sums)


def _reference(values, moved):
    """Values of the control or, without one, for each perturbation the mean of the others."""
    if not moved.all():
        return values[~moved]
    return (values.sum(axis=0) - values) / max(len(values) - 1, 1)


def _significant(p):
    return adjusted_p(p) <= FALSE_EFFECTS
