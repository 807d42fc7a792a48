"""Two species on one scale: cells of one species are moved onto the other without knowing the types of the latter.

Cells of both species are put on the scale of their own species, by median and spread. That alone is wrong where the
types are not equally frequent in both: a type that is the majority in one species lies in the middle there. So the
shift that is left, and the shares of the types, are estimated together from the cells without types, by
expectation-maximisation in the space of the discriminants of the source.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

FARTHEST = 4.0  # spreads from the median at which a feature is cut
NORMAL_QUARTILES = 1.349  # distance of the quartiles of a normal distribution, in SD
STARTS = (0.1, 0.25, 0.4, 0.55, 0.7)  # shares that the estimation starts from, in all combinations that sum to 1
STEPS = 100
PSEUDO_SHARE = 0.1  # cells that speak for each type beside those measured, as a share of them
FLOOR = 0.05  # added to the variances of a type, in the discriminants' own units
#: Positive quantities that spread over decades, with the least value that is told from smaller ones.
LOGARITHM = {
    "input_resistance": 5.0, "tau": 1e-3, "rheobase_i": 5.0, "threshold_i_ramp": 5.0, "latency_rheo": 2e-3,
    "latency_hero": 2e-3, "mean_isi_hero": 2e-3, "upstroke_downstroke_ratio_rheo": 0.2,
    "upstroke_downstroke_ratio_ramp": 0.2, "upstroke_downstroke_ratio_short_square": 0.2,
}  # fmt: skip
CUBE_ROOT = ("adapt_hero", "trough_slowdeltav_rheo")  # signed, with long tails


def physiological_scale(X, feature_names):
    """Shared features on scales on which differences mean alike everywhere.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        In the units of `to_shared_features`.
    feature_names : sequence of str, length p
        Features of other names are left as they are.

    Returns
    -------
    ndarray of float64, shape (n, p)
        Resistances, times, currents and ratios as logarithms, the sag as the logarithm of itself and 0.02, the slope
        of the f-I curve as its square root, adaptation and the slow trough as cube roots.
    """
    X = np.array(X, dtype=np.float64)
    for j, name in enumerate(feature_names):
        if name in LOGARITHM:
            X[:, j] = np.log(np.maximum(X[:, j], LOGARITHM[name]))
        elif name == "sag":
            X[:, j] = np.log(np.maximum(X[:, j], 0.005) + 0.02)
        elif name == "fi_fit_slope":
            X[:, j] = np.sqrt(np.maximum(X[:, j], 0))
        elif name in CUBE_ROOT:
            X[:, j] = np.cbrt(X[:, j])
    return X


def own_scale(X, reference=None):
    """Cells in spreads from the median of their species; missing values at the median.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    reference : ndarray, shape (m, p), optional
        Cells that median and spread are taken from; `X` by default.

    Returns
    -------
    ndarray, shape (n, p)
    """
    reference = X if reference is None else reference
    low, middle, high = np.nanpercentile(reference, (25, 50, 75), axis=0)
    spread = (high - low) / NORMAL_QUARTILES
    scaled = (X - middle) / np.where(spread > 0, spread, 1)
    return np.nan_to_num(np.clip(scaled, -FARTHEST, FARTHEST), nan=0.0)


class Alignment(NamedTuple):
    """How cells of a target lie to those of a source.

    Attributes
    ----------
    shift : ndarray, shape (p,)
        To be taken from cells of the target.
    shares : ndarray, shape (n_classes,)
        Estimated shares of the types in the target.
    memberships : ndarray, shape (m, n_classes)
        Probability of each type for each cell of the target.
    """

    shift: np.ndarray
    shares: np.ndarray
    memberships: np.ndarray


def align(source, codes, target, known=None):
    """Estimate the shift between source and target, and the shares of the types in the target.

    Types are normal in the space of the source's linear discriminants; the target's are the same but for one shift.
    Starts from many shares, since one type of the target may be mistaken for another as a whole; the most probable
    solution is taken, with `PSEUDO_SHARE` as many cells beside those measured for each type, which rules out that
    types are all but absent.

    Parameters
    ----------
    source : ndarray, shape (n, p)
        On the scale of its species.
    codes : ndarray of int, shape (n,)
        Type of each cell of the source, 0 to n_classes - 1.
    target : ndarray, shape (m, p)
        On the scale of its species.
    known : ndarray of int, shape (m,), optional
        Types of the target's cells where they are known, else -1.

    Returns
    -------
    Alignment

    Raises
    ------
    ValueError
        A type with a single cell.
    """
    n_classes = codes.max() + 1
    if np.bincount(codes).min() < 2:
        raise ValueError("y: the alignment needs two cells or more of each type of the source")
    known = np.full(len(target), -1) if known is None else known
    discriminants = LinearDiscriminantAnalysis(
        solver="eigen", shrinkage="auto", priors=np.full(n_classes, 1 / n_classes)
    ).fit(source, codes)
    n_axes = min(n_classes - 1, source.shape[1])
    a, b = discriminants.transform(source)[:, :n_axes], discriminants.transform(target)[:, :n_axes]
    types = [a[codes == k] for k in range(n_classes)]
    means = np.stack([cells.mean(0) for cells in types])
    covariances = np.stack([np.cov(cells.T).reshape(n_axes, n_axes) for cells in types]) + FLOOR * np.eye(n_axes)
    starts = [np.array(shares) for shares in product(STARTS, repeat=n_classes) if abs(sum(shares) - 1) < 0.11]
    starts = starts or [np.ones(n_classes)]
    fits = [_maximise(b, means, covariances, start / start.sum(), known) for start in starts]
    _, shares, memberships = max(fits, key=lambda fit: fit[0])
    centres = np.stack([source[codes == k].mean(0) for k in range(n_classes)])
    return Alignment((target - memberships @ centres).mean(0), shares, memberships)


def _maximise(cells, means, covariances, shares, known):
    """Log posterior, shares and memberships that a start leads to."""
    precisions, volumes = np.linalg.inv(covariances), np.linalg.slogdet(covariances)[1]
    pseudo, is_known = PSEUDO_SHARE * len(cells), known >= 0
    shift = cells.mean(0) - shares @ means
    for _ in range(STEPS):
        apart = (cells - shift)[:, None] - means
        joint = np.log(shares) - 0.5 * (np.einsum("nkp,kpq,nkq->nk", apart, precisions, apart) + volumes)
        total = logsumexp(joint, axis=1, keepdims=True)
        memberships = np.exp(joint - total)
        memberships[is_known] = np.eye(len(means))[known[is_known]]
        said = np.where(is_known, joint[np.arange(len(cells)), np.maximum(known, 0)], total[:, 0])
        posterior = said.sum() + pseudo * np.log(shares).sum()
        shares = (memberships.sum(0) + pseudo) / (len(cells) + pseudo * len(means))
        shift = (cells - memberships @ means).mean(0)
    return posterior, shares, memberships
