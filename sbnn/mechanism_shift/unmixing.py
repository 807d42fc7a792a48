"""Rotate the latents of any model such that each perturbation shifts few of them.

First, the sum of absolute shifts is minimised from many starts. This gets stuck if two latents are
often shifted together, so each pair of latents is then rotated by the angle with the highest
likelihood under a mixture of shifted and unshifted latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.utils import check_array

from sbnn.data.screens import check_perturbation, codes_of
from sbnn.determinism import reproducible
from sbnn.errors import check_number
from sbnn.mechanism_shift.graph import (
    EVEN,
    adjusted_p,
    class_means,
    graph_table,
    latent_names,
)

# absolute shifts are smoothed below these scales, one after the other
SMOOTH = np.geomspace(4.0, 0.05, 25)
STEPS = 12  # number of steps for each of these scales
FINALISTS = 3  # number of starts that are refined
ANGLES = np.linspace(0, np.pi / 2, 45, endpoint=False)
SMALL_ANGLES = np.deg2rad([0, -2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2])
MOST_SWEEPS = 20
ENOUGH = 0.1  # gain in log likelihood that justifies another sweep
FALSE_EDGES = 0.01  # expected share of false edges, accounting for sampling error only
ROUNDS = 500  # of expectation maximisation, at most
TOLERANCE = 1e-7  # change in the mean log likelihood at which the estimation ends
LEAST_SCALE = 1e-4
HALF_LOG_2_PI = np.log(2 * np.pi) / 2
MOST_DENSE = 0.5  # density of the slab above which unshifted latents are not identifiable


class SpikeSlab(NamedTuple):
    """Density ``(1 - D) Laplace(0, spike) + D (N(size, sd) + N(-size, sd)) / 2`` of shifts.

    D is the `density` of the slab. The spike has long tails because the network is nonlinear, so
    shifts of some latents also move others slightly.
    """

    spike: float
    size: float
    sd: float
    density: float

    def log_density(self, shifts):
        """Log density of each shift."""
        return _log_sum(*self._parts(np.abs(shifts)))

    def probability(self, shifts):
        """Probability that each shift belongs to the slab."""
        spike, slab = self._parts(np.abs(shifts))
        return np.exp(slab - np.logaddexp(spike, slab))

    def _parts(self, sizes):
        """Log densities of absolute shifts under the weighted spike and slab."""
        spike = np.log1p(-self.density) - np.log(2 * self.spike) - sizes / self.spike
        same_sign = -self._squares(sizes - self.size) / 2
        other_sign = -self._squares(sizes + self.size) / 2
        slab = _log_sum(other_sign, same_sign) - np.log(2 * self.sd) - HALF_LOG_2_PI
        return spike, np.log(self.density) + slab

    def _squares(self, values):
        return (values / self.sd) ** 2


def _log_sum(a, b):
    # np.logaddexp takes three times as long
    smaller = np.exp(-np.abs(a - b))
    return np.maximum(a, b) + np.log1p(smaller)


def fit_spike_slab(shifts, least_spike=LEAST_SCALE):
    """The likeliest of several mixtures estimated by expectation maximisation.

    `least_spike` is the minimum width of the spike, such as the sampling error of the shifts.
    """
    sizes = np.abs(shifts).ravel()
    least_spike = max(least_spike, LEAST_SCALE)
    mixtures = []
    for quantile in (0.6, 0.8, 0.9, 0.97):
        start = _start(sizes, quantile, least_spike)
        mixtures.append(_maximised(sizes, start, least_spike))
    return max(mixtures, key=lambda mixture: mixture.log_density(sizes).sum())


def _start(sizes, quantile, least_spike):
    """Mixture whose slab are the absolute shifts above a quantile."""
    cut = np.quantile(sizes, quantile)
    above = sizes[sizes >= cut]
    below = sizes[sizes < cut]
    spike = least_spike
    if below.size:
        spike = max(below.mean(), least_spike)
    density = np.clip(above.size / sizes.size, 1e-3, MOST_DENSE)
    return SpikeSlab(spike, max(above.mean(), spike), max(above.std(), spike), density)


def _maximised(sizes, mixture, least_spike):
    """Mixture after expectation maximisation on absolute shifts, of shape (number of pairs,)."""
    before = -np.inf
    for _ in range(ROUNDS):
        spike, slab = mixture._parts(sizes)
        density = np.logaddexp(spike, slab)
        mean = density.mean()
        if abs(mean - before) < TOLERANCE:
            break
        before = mean
        slab = np.exp(slab - density)
        # expected shift towards the centre of the slab, a mean over both signs
        half_log_odds = np.minimum(sizes * mixture.size / mixture.sd**2, 30.0)
        positive = sizes * np.tanh(half_log_odds)
        weight = max(slab.sum(), 1e-9)
        centre = (slab * positive).sum() / weight
        squares = sizes**2 - 2 * positive * centre + centre**2
        variance = (slab * squares).sum() / weight
        rest = 1 - slab
        spike = (rest * sizes).sum() / max(rest.sum(), 1e-9)
        spike = max(spike, least_spike)
        # a slab narrower than the spike would lie within it
        sd = max(np.sqrt(max(variance, 0.0)), spike)
        density = float(np.clip(slab.mean(), 1 / (10 * sizes.size), MOST_DENSE))
        mixture = SpikeSlab(spike, max(centre, LEAST_SCALE), sd, density)
    return mixture


@dataclass
class Unmixing:
    """Result of `unmix`: ``(latents - origin) @ matrix`` are the unmixed latents."""

    matrix: np.ndarray  # of shape (d, d)
    origin: np.ndarray  # of shape (d,), position of unshifted cells
    shifts: pd.DataFrame  # perturbations by latents, in SDs within a perturbation
    probabilities: pd.DataFrame  # of shifts

    @property
    def edges(self):
        """Edges, DataFrame of bool, perturbations by latents."""
        return self.probabilities > EVEN

    @property
    def graph(self):
        """Shifts and their probabilities as one table."""
        return graph_table(self.shifts.index, self.shifts, self.probabilities)

    def transform(self, latents):
        """Unmixed latents of other cells, ndarray of shape (n, d)."""
        return (np.asarray(latents) - self.origin) @ self.matrix


@reproducible()  # because projections with two threads differ in the last bits
def unmix(
    latents: ArrayLike,
    perturbation: ArrayLike,
    control: str | None = None,
    variances: ArrayLike | None = None,
    n_starts: int = 10,
    random_state: int = 0,
) -> Unmixing:
    """Rotate latents such that each perturbation shifts few of them.

    Parameters
    ----------
    latents : array-like, shape (n, d)
        From any model, such as the means of a variational autoencoder.
    perturbation : array-like, shape (n,)
    control : str, optional
        Perturbation whose cells are not shifted. Without it, the origin is the position of the
        latents under most perturbations.
    variances : array-like, shape (n, d), optional
        Uncertainty of the latents, which is added to their variances within a perturbation.
    n_starts : int
    random_state : int

    Returns
    -------
    Unmixing
        With the method ``transform(latents)``, the arrays ``matrix`` and ``origin``, and the
        DataFrames ``shifts``, ``probabilities`` and ``edges`` (perturbations by latents). Latents
        are in descending order of the sum of their absolute shifts; positive shifts of a latent
        have a larger sum of squares than its negative ones.

    Raises
    ------
    ValueError
        If the numbers of cells differ, values are not finite, there are fewer than two
        perturbations or two cells of one, no cell has the label `control`, or latents do not vary
        within perturbations.

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn.mechanism_shift import unmix
    >>> perturbation = np.repeat(["control", "a", "b", "c"], 50)
    >>> latents = np.random.default_rng(0).normal(size=(200, 2))
    >>> latents[50:100, 0] += 5
    >>> latents[100:150, 1] += 5
    >>> mixed = latents @ [[0.8, 0.6], [-0.6, 0.8]]
    >>> print(unmix(mixed, perturbation, "control").edges.to_numpy().sum())
    2
    """
    check_number("n_starts", n_starts, int, 1)
    check_number("random_state", random_state, int, 0)
    screen = _Moments(latents, perturbation, control, variances)
    centres = screen.centres @ screen.root  # (perturbations, d)
    if control is None:
        # Each rotation is refined with an origin of its own; the starts need a common one.
        origin = None
        first_origin = np.median(centres, axis=0)
    else:
        origin = screen.control @ screen.root
        first_origin = origin
    first_shifts = centres - first_origin
    rng = np.random.default_rng(random_state)
    turns = _sparse_in_sum(first_shifts, n_starts, rng)
    sums = np.abs(first_shifts @ turns).sum(axis=(1, 2))
    finalists = turns[np.argsort(sums, kind="stable")[:FINALISTS]]
    finalists = [_refined(centres, origin, turn, screen.error) for turn in finalists]
    best = max(finalists, key=lambda rotation: rotation.likelihood)
    shifts = centres @ best.turn - best.zero
    sizes = np.abs(shifts)
    order = np.argsort(-sizes.sum(axis=0), kind="stable")
    balance = (shifts * sizes).sum(axis=0)[order]
    signs = np.where(balance < 0, -1.0, 1.0)
    matrix = screen.root @ best.turn[:, order] * signs
    return screen.described(matrix, best.zero[order] * signs, best.mixture)


class _Moments:
    """Means of m perturbations in d latents, and the covariance within perturbations."""

    def __init__(self, latents, perturbation, control, variances):
        perturbation = check_perturbation(perturbation, latents, control)
        names, codes, sizes = codes_of(perturbation, control)
        latents = check_array(latents, dtype=float, input_name="latents")
        means = class_means(latents, codes, len(names))
        residuals = latents - means[codes]
        self.within = residuals.T @ residuals / len(residuals)
        if variances is not None:
            variances = check_array(variances, dtype=float, input_name="variances")
            if variances.shape != latents.shape:
                raise ValueError(
                    f"variances: expected shape {latents.shape}, got {variances.shape}"
                )
            self.within += np.diag(variances.mean(axis=0))
        values, vectors = np.linalg.eigh(self.within)
        if values[0] <= 1e-9 * values[-1]:
            raise ValueError(
                "latents: some are constant within perturbations, repeat others, or have negative "
                "variances"
            )
        # gives unit variance within perturbations
        self.root = vectors / np.sqrt(values) @ vectors.T
        moved = names != (None if control is None else str(control))
        self.names = names[moved]
        self.centres = means[moved]
        self.control = means[~moved].sum(axis=0)
        # standard errors relative to the origin, in SDs within a perturbation
        of_origin = (1 / sizes[~moved]).sum()
        self.errors = np.sqrt(1 / sizes[moved] + of_origin)
        self.error = float(np.median(self.errors))

    def described(self, matrix, zero, mixture):
        """`Unmixing` of latents to ``latents @ matrix - zero``."""
        latents = latent_names(len(matrix))
        shifts = self.centres @ matrix - zero
        p = 2 * norm.sf(np.abs(shifts) / self.errors[:, None])
        probabilities = mixture.probability(shifts) * (adjusted_p(p) <= FALSE_EDGES)
        return Unmixing(
            matrix=matrix,
            origin=np.linalg.solve(matrix.T, zero),
            shifts=pd.DataFrame(shifts, self.names, latents),
            probabilities=pd.DataFrame(probabilities, self.names, latents),
        )


class _Rotation(NamedTuple):
    """Rotated latents and their likelihood: shifts are ``centres @ turn - zero``."""

    likelihood: float
    turn: np.ndarray  # of shape (d, d)
    zero: np.ndarray  # of shape (d,), the rotated origin
    mixture: SpikeSlab


def _refined(centres, origin, turn, error):
    """Refine a start by large rotations of pairs of latents, and then by small ones.

    Without an origin, the mode of each latent is taken after each rotation.
    """
    best = None
    for angles in (ANGLES, SMALL_ANGLES):
        for _ in range(MOST_SWEEPS):
            zero = _mode(centres @ turn) if origin is None else origin @ turn
            shifts = centres @ turn - zero
            mixture = fit_spike_slab(shifts, error)
            likelihood = float(mixture.log_density(shifts).sum())
            if best is not None and likelihood < best.likelihood + ENOUGH:
                break
            best = _Rotation(likelihood, turn, zero, mixture)
            turn = _sweep(shifts, turn, mixture, angles)
        turn = best.turn
    return best


def _sparse_in_sum(centred, n_starts, rng):
    """Rotations of shape (n_starts, d, d) for which the sum of absolute shifts is small.

    The sum of ``sqrt(s^2 + smooth^2)`` is concave in ``s^2``, whose sum no rotation changes. The
    rotation that minimises its tangent is a polar factor, and each step decreases the sum.
    """
    size = centred.shape[1]
    turns, _ = np.linalg.qr(rng.standard_normal((n_starts, size, size)))
    for smooth in SMOOTH:
        for _ in range(STEPS):
            shifts = centred @ turns
            smoothed = np.sqrt(shifts**2 + smooth**2)
            slope = shifts * (1 / smooth - 1 / smoothed)
            left, _, right = np.linalg.svd(centred.T @ slope)
            turns = left @ right
    return turns


def _sweep(shifts, turn, mixture, angles):
    """Rotate each pair of latents once, by the most likely of the given angles."""
    shifts = shifts.copy()
    turn = turn.copy()
    for i, j in np.argwhere(np.tri(shifts.shape[1], k=-1)):
        likelihoods = _by_angle(shifts[:, j], shifts[:, i], mixture, angles)
        angle = angles[likelihoods.argmax()]
        if angle:
            for table in (shifts, turn):
                table[:, j], table[:, i] = _rotated(table[:, j], table[:, i], angle)
    return turn


def _rotated(x, y, angle):
    cosine = np.cos(angle)
    sine = np.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x


def _by_angle(x, y, mixture, angles):
    """Log likelihood of the shifts of two latents that are rotated by each of the angles."""
    pairs = np.concatenate(_rotated(x, y, angles[:, None]), axis=1)
    return mixture.log_density(pairs).sum(axis=1)


def _mode(shifts):
    """Half-sample mode of each latent."""
    modes = []
    for values in np.sort(shifts, axis=0).T:
        while len(values) > 3:
            half = (len(values) + 1) // 2
            widths = values[half - 1 :] - values[: len(values) - half + 1]
            first = np.argmin(widths)
            values = values[first : first + half]
        modes.append(values.mean())
    return np.array(modes)
