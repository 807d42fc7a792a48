"""Rotate the latents of any model such that each perturbation shifts few of them.

First, the sum of absolute shifts is minimised from many starts. This gets stuck if two latents are
often shifted together, so each pair is then rotated by the likeliest angle under a mixture of
shifted and unshifted latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.utils import check_array

from sbnn.data.screens import check_perturbation
from sbnn.determinism import reproducible
from sbnn.mechanism_shift.graph import EVEN, compared, graph_table, latent_names, significant

STARTS = 10  # random rotations
FINALISTS = 3  # number of starts that are refined
# absolute shifts are smoothed below these scales, one after the other
SMOOTH = np.geomspace(4.0, 0.05, 25)
STEPS = 12  # number of steps for each of these scales
LARGE_ANGLES = np.linspace(0, np.pi / 2, 45, endpoint=False)
SMALL_ANGLES = np.deg2rad([0, -2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2])
MOST_SWEEPS = 20
ENOUGH = 0.1  # gain in log likelihood that justifies another sweep
ROUNDS = 500  # of expectation maximisation, at most
TOLERANCE = 1e-7  # change in the mean log likelihood at which the estimation ends
MOST_DENSE = 0.5  # density of the slab above which unshifted latents are not identifiable


class SpikeSlab(NamedTuple):
    """Density ``(1 - D) Laplace(0, spike) + D (N(size, sd) + N(-size, sd)) / 2`` of shifts.

    D is the `density` of the slab. The spike has long tails because shifts of some latents move
    others slightly.
    """

    spike: float
    size: float
    sd: float
    density: float

    def log_density(self, shifts):
        """Log density of each shift."""
        spike, slab = self._parts(shifts)
        # np.logaddexp takes three times as long
        return np.maximum(spike, slab) + np.log1p(np.exp(-np.abs(spike - slab)))

    def probability(self, shifts):
        """Probability that each shift belongs to the slab."""
        spike, slab = self._parts(shifts)
        return expit(slab - spike)

    def _parts(self, shifts):
        """Log densities of the weighted spike and slab."""
        sizes = np.abs(shifts)
        spike = np.log1p(-self.density) - np.log(2 * self.spike) - sizes / self.spike
        of_sign = -(((sizes - self.size) / self.sd) ** 2) / 2
        both_signs = of_sign + np.log1p(np.exp(-2 * sizes * self.size / self.sd**2))
        slab = both_signs - np.log(self.sd) - np.log(8 * np.pi) / 2
        return spike, np.log(self.density) + slab


def fit_spike_slab(shifts, least_spike):
    """The likeliest of several mixtures estimated by expectation maximisation.

    `least_spike` is the minimum width of the spike: the sampling error of the shifts.
    """
    sizes = np.abs(shifts).ravel()
    mixtures = []
    for quantile in (0.6, 0.8, 0.9, 0.97):
        slab = sizes >= np.quantile(sizes, quantile)
        mixture = _maximised(sizes, slab, sizes, least_spike)
        before = -np.inf
        for _ in range(ROUNDS):
            mean = mixture.log_density(sizes).mean()
            if abs(mean - before) < TOLERANCE:
                break
            before = mean
            # expected shift towards the centre of the slab, a mean over both signs
            towards = sizes * np.tanh(sizes * mixture.size / mixture.sd**2)
            mixture = _maximised(sizes, mixture.probability(sizes), towards, least_spike)
        mixtures.append(mixture)
    return max(mixtures, key=lambda mixture: mixture.log_density(sizes).sum())


def _maximised(sizes, slab, towards, least_spike):
    """Mixture with the highest expected likelihood.

    `slab` are the probabilities of the slab, and `towards` the expected shifts in the direction of
    its centre.
    """
    rest = 1 - slab
    spike = max(rest @ sizes / max(rest.sum(), 1e-9), least_spike)
    size = slab @ towards / slab.sum()
    variance = slab @ sizes**2 / slab.sum() - size**2
    # a slab narrower than the spike would lie within it
    sd = np.sqrt(max(variance, spike**2))
    density = np.clip(slab.mean(), 1 / (10 * len(sizes)), MOST_DENSE)
    return SpikeSlab(spike, size, sd, density)


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
    random_state: int = 0,
) -> Unmixing:
    """Rotate latents such that each perturbation shifts few of them.

    Parameters
    ----------
    latents : array-like, shape (n, d)
        From any model, such as the means of a variational autoencoder.
    perturbation : array-like, shape (n,)
    control : str, optional
        Perturbation whose cells are not shifted. Without it, the origin is where latents are under
        most perturbations.
    variances : array-like, shape (n, d), optional
        Uncertainty of the latents, which is added to their variances within a perturbation.
    random_state : int

    Returns
    -------
    Unmixing
        With the method ``transform(latents)``, the arrays ``matrix`` and ``origin``, and the
        DataFrames ``shifts``, ``probabilities`` and ``edges`` (perturbations by latents). Latents
        are in descending order of the sum of their absolute shifts.

    Raises
    ------
    ValueError
        If the numbers of cells differ, values are not finite, there are fewer than two
        perturbations or two cells of one, no cell is a control, or latents do not vary within
        perturbations.

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
    perturbation = check_perturbation(perturbation, latents, control)
    latents = check_array(latents, dtype=float, input_name="latents")
    if variances is not None:
        variances = check_array(variances, dtype=float, input_name="variances")
        if variances.shape != latents.shape:
            raise ValueError(
                f"variances: expected the shape of latents, {latents.shape}, got {variances.shape}"
            )
    differences, origin, errors, residuals = compared(latents, perturbation, control)
    whiten = _whitening(residuals, variances)
    centres = differences.to_numpy() @ whiten  # (perturbations, d)
    finalists = []
    for turn in _sparse_in_sum(centres, control is None, np.random.default_rng(random_state)):
        finalists.append(_refined(centres, control is None, turn, np.median(errors)))
    best = max(finalists, key=lambda rotation: rotation.likelihood)
    sizes = np.abs(best.shifts)
    order = np.argsort(-sizes.sum(axis=0), kind="stable")
    signs = np.where((best.shifts * sizes).sum(axis=0) < 0, -1.0, 1.0)
    matrix = whiten @ best.turn * signs
    shifts = (best.shifts * signs)[:, order]
    probabilities = best.mixture.probability(shifts) * significant(shifts, errors)
    axes = differences.index, latent_names(len(order))
    return Unmixing(
        matrix=matrix[:, order],
        origin=origin + np.linalg.solve(matrix.T, best.zero * signs),
        shifts=pd.DataFrame(shifts, *axes),
        probabilities=pd.DataFrame(probabilities, *axes),
    )


def _whitening(residuals, variances):
    """Matrix that gives latents unit variance within perturbations, of shape (d, d)."""
    within = residuals.T @ residuals / len(residuals)
    if variances is not None:
        within += np.diag(variances.mean(axis=0))
    values, vectors = np.linalg.eigh(within)
    if values[0] <= 1e-9 * values[-1]:
        raise ValueError(
            "latents: some are constant within perturbations, repeat others, or have negative "
            "variances"
        )
    return vectors / np.sqrt(values) @ vectors.T


def _sparse_in_sum(shifts, free, rng):
    """The rotations, of several starts, with the smallest sums of absolute shifts.

    The sum of ``sqrt(s^2 + smooth^2)`` is concave in ``s^2``, whose sum no rotation changes; a
    polar factor minimises its tangent. If the origin is `free`, it is the median of the shifts.
    """
    if free:
        shifts = shifts - np.median(shifts, axis=0)
    size = shifts.shape[1]
    turns, _ = np.linalg.qr(rng.standard_normal((STARTS, size, size)))
    for smooth in SMOOTH.repeat(STEPS):
        rotated = shifts @ turns
        slope = rotated * (1 / smooth - 1 / np.sqrt(rotated**2 + smooth**2))
        left, _, right = np.linalg.svd(shifts.T @ slope)
        turns = left @ right
    sums = np.abs(shifts @ turns).sum(axis=(1, 2))
    return turns[np.argsort(sums, kind="stable")[:FINALISTS]]


class _Rotation(NamedTuple):
    """Rotated latents; their shifts are ``centres @ turn - zero``."""

    likelihood: float
    turn: np.ndarray  # of shape (d, d)
    zero: np.ndarray  # of shape (d,), the rotated origin
    shifts: np.ndarray  # of shape (perturbations, d)
    mixture: SpikeSlab


def _refined(centres, free, turn, error):
    """Refine a start by large rotations of pairs of latents, and then by small ones.

    If the origin is `free`, it is the mode of each latent, taken after each rotation.
    """
    best = None
    for angles in (LARGE_ANGLES, SMALL_ANGLES):
        cosines, sines = np.cos(angles), np.sin(angles)
        rotations = np.moveaxis([[cosines, -sines], [sines, cosines]], -1, 0)  # (angles, 2, 2)
        for _ in range(MOST_SWEEPS):
            rotated = centres @ turn
            zero = _mode(rotated) if free else np.zeros(len(turn))
            shifts = rotated - zero
            mixture = fit_spike_slab(shifts, error)
            likelihood = mixture.log_density(shifts).sum()
            if best is not None and likelihood < best.likelihood + ENOUGH:
                break
            best = _Rotation(likelihood, turn, zero, shifts, mixture)
            turn = _sweep(shifts, turn, mixture, rotations)
        turn = best.turn
    return best


def _sweep(shifts, turn, mixture, rotations):
    """Rotate each pair of latents once, by the most likely of the given rotations."""
    n_shifts, n_latents = shifts.shape
    table = np.vstack([shifts, turn])
    for i, j in np.argwhere(np.tri(n_latents, k=-1)):
        rotated = table[:, [j, i]] @ rotations  # (angles, rows, 2)
        likelihoods = mixture.log_density(rotated[:, :n_shifts]).sum(axis=(1, 2))
        table[:, [j, i]] = rotated[likelihoods.argmax()]
    return table[n_shifts:]


def _mode(shifts):
    """Half-sample mode of each latent."""
    values = np.sort(shifts, axis=0)
    while len(values) > 3:
        halves = sliding_window_view(values, (len(values) + 1) // 2, axis=0)
        first = np.ptp(halves, axis=-1).argmin(axis=0)
        values = halves[first, np.arange(len(first))].T
    return values.mean(axis=0)
