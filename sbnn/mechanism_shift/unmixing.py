"""Rotate the latents of any model such that each perturbation shifts few of them.

First, the sum of absolute shifts is minimised from many starts. This gets stuck if two latents are
often shifted together, so each pair is then rotated by the likeliest angle under a mixture of
shifted and unshifted latents.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.utils import check_array

from sbnn.determinism import reproducible
from sbnn.mechanism_shift.data import match_perturbation, read_control
from sbnn.mechanism_shift.graph import (
    EDGE_PROBABILITY,
    compare_with_control,
    differ_from_zero,
    graph_table,
    latent_names,
)

STARTS = 10  # random rotations
FINALISTS = 3  # number of starts that are refined
# absolute shifts are smoothed below these scales, one after the other
SMOOTHING_SCALES = np.geomspace(4.0, 0.05, 25)
STEPS_PER_SCALE = 12
ANGLES = np.linspace(0, np.pi / 2, 45, endpoint=False)  # of rotations of a pair of latents
MOST_SWEEPS = 20
LEAST_GAIN = 0.1  # in log likelihood, that justifies another sweep
SLAB_QUANTILES = (0.6, 0.8, 0.9, 0.97)  # of absolute shifts; those above are in the first slabs
MOST_MIXTURE_UPDATES = 500  # of expectation maximisation
LEAST_MIXTURE_GAIN = 1e-7  # in the mean log likelihood, below which the estimation ends
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

    def log_density(self, shifts: np.ndarray) -> np.ndarray:
        """Log density of each shift."""
        spike, slab = self._log_components(shifts)
        # log(exp(a) + exp(b)); np.logaddexp takes three times as long
        difference = np.abs(spike - slab)
        return np.maximum(spike, slab) + np.log1p(np.exp(-difference))

    def probability(self, shifts: np.ndarray) -> np.ndarray:
        """Probability that each shift belongs to the slab."""
        spike, slab = self._log_components(shifts)
        return expit(slab - spike)

    def _log_components(self, shifts):
        """Log densities of the weighted spike and slab."""
        sizes = np.abs(shifts)
        log_weight = np.log1p(-self.density)
        spike = log_weight - np.log(2 * self.spike) - sizes / self.spike
        # N(|s|; size, sd) + N(|s|; -size, sd) = N(|s|; size, sd) (1 + exp(-2 |s| size / sd^2))
        distances = (sizes - self.size) / self.sd
        same_sign = -(distances**2) / 2
        log_ratios_of_signs = -2 * sizes * self.size / self.sd**2
        both_signs = same_sign + np.log1p(np.exp(log_ratios_of_signs))
        # half of each sign: 1 / (2 sqrt(2 pi)) = exp(-log(8 pi) / 2)
        slab = both_signs - np.log(self.sd) - np.log(8 * np.pi) / 2
        return spike, np.log(self.density) + slab


def fit_spike_slab(shifts: np.ndarray, least_spike: float) -> SpikeSlab:
    """The likeliest of several mixtures estimated by expectation maximisation.

    `least_spike` is the minimum width of the spike: the sampling error of the shifts.
    """
    sizes = np.abs(shifts).ravel()
    mixtures = []
    # the likelihood has several maxima, so there are several starts
    for quantile in SLAB_QUANTILES:
        slab = sizes >= np.quantile(sizes, quantile)
        mixture = _maximise(sizes, slab, towards=sizes, least_spike=least_spike)
        mean_before = -np.inf
        for _ in range(MOST_MIXTURE_UPDATES):
            mean = mixture.log_density(sizes).mean()
            if abs(mean - mean_before) < LEAST_MIXTURE_GAIN:
                break
            mean_before = mean
            # expected shift towards the centre of the slab, a mean over both signs:
            # P(same sign) - P(other sign) = tanh(|s| size / sd^2)
            half_log_odds = sizes * mixture.size / mixture.sd**2
            towards = sizes * np.tanh(half_log_odds)
            slab = mixture.probability(sizes)
            mixture = _maximise(sizes, slab, towards=towards, least_spike=least_spike)
        mixtures.append(mixture)
    return max(mixtures, key=lambda mixture: mixture.log_density(sizes).sum())


def _maximise(sizes, slab, towards, least_spike):
    """Mixture with the highest expected likelihood.

    `slab` are the probabilities of the slab, and `towards` the expected shifts in the direction of
    its centre.
    """
    unshifted = 1 - slab
    # the scale of a Laplace distribution is the mean absolute value
    spike = max(unshifted @ sizes / max(unshifted.sum(), 1e-9), least_spike)
    size = slab @ towards / slab.sum()
    mean_square = slab @ sizes**2 / slab.sum()
    variance = mean_square - size**2
    # a slab narrower than the spike would lie within it
    sd = np.sqrt(max(variance, spike**2))
    least_dense = 1 / (10 * len(sizes))
    density = np.clip(slab.mean(), least_dense, MOST_DENSE)
    return SpikeSlab(spike=spike, size=size, sd=sd, density=density)


@dataclass
class Unmixing:
    """Result of `unmix`: ``(latents - origin) @ matrix`` are the unmixed latents."""

    matrix: np.ndarray  # of shape (d, d)
    origin: np.ndarray  # of shape (d,), position of unshifted cells
    shifts: pd.DataFrame  # perturbations by latents, in SDs within a perturbation
    probabilities: pd.DataFrame  # of shifts

    @property
    def edges(self) -> pd.DataFrame:
        """Edges, DataFrame of bool, perturbations by latents."""
        return self.probabilities > EDGE_PROBABILITY

    @property
    def graph(self) -> pd.DataFrame:
        """Shifts and their probabilities as one table."""
        return graph_table(self.shifts.index, self.shifts, self.probabilities)

    def transform(self, latents: ArrayLike) -> np.ndarray:
        """Unmixed latents of other cells, of shape (n, d); d must be that of `unmix`."""
        values = check_array(latents, dtype=float, input_name="latents")
        if values.shape[1] != len(self.origin):
            raise ValueError(
                f"latents: expected {len(self.origin)} columns, as in unmix, got {values.shape[1]}"
            )
        return (values - self.origin) @ self.matrix


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
    values = check_array(latents, dtype=float, input_name="latents")
    control = read_control(control)
    labels = match_perturbation(perturbation, latents, control)
    return estimate_unmixing(
        values, labels, control=control, variances=variances, random_state=random_state
    )


@reproducible()  # because projections with two threads differ in the last bits
def estimate_unmixing(
    latents: ArrayLike,
    labels: np.ndarray,
    control: str | None,
    variances: ArrayLike | None,
    random_state: int,
) -> Unmixing:
    """See `unmix`; the perturbations (`labels`) were checked before."""
    values = check_array(latents, dtype=float, input_name="latents")
    uncertainty = None
    if variances is not None:
        uncertainty = check_array(variances, dtype=float, input_name="variances")
        if uncertainty.shape != values.shape:
            raise ValueError(
                f"variances: expected the shape of latents, {values.shape}, got {uncertainty.shape}"
            )
    comparison = compare_with_control(values, labels, control)
    whitening = _whitening_matrix(comparison.residuals, uncertainty)
    centres = comparison.differences.to_numpy() @ whitening  # (perturbations, d)
    error = np.median(comparison.errors)
    # without a control, the position of unshifted cells is estimated, too
    free_origin = control is None
    rng = np.random.default_rng(random_state)
    finalists = []
    for rotation in _minimise_absolute_shifts(centres, free_origin, rng):
        finalist = _refine(centres, free_origin, rotation=rotation, error=error)
        finalists.append(finalist)
    best = max(finalists, key=attrgetter("likelihood"))
    # order and signs of latents are arbitrary: largest first, most shifts positive
    sizes = np.abs(best.shifts)
    order = np.argsort(-sizes.sum(axis=0), kind="stable")
    signed_squares = best.shifts * sizes
    signs = np.where(signed_squares.sum(axis=0) < 0, -1.0, 1.0)
    matrix = whitening @ best.rotation * signs
    shifts = (best.shifts * signs)[:, order]
    # a shift within the sampling error is no edge, whatever the mixture says
    significant = differ_from_zero(shifts, comparison.errors)
    probabilities = best.mixture.probability(shifts) * significant
    perturbations = comparison.differences.index
    names = latent_names(len(order))
    # back from the rotated and whitened origin to that of the latents
    shift_of_origin = np.linalg.solve(matrix.T, best.origin * signs)
    return Unmixing(
        matrix=matrix[:, order],
        origin=comparison.origin + shift_of_origin,
        shifts=pd.DataFrame(shifts, perturbations, names),
        probabilities=pd.DataFrame(probabilities, perturbations, names),
    )


def _whitening_matrix(residuals, variances):
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
    # symmetric square root of the inverse; whitened latents are mixed by a rotation only, as in
    # independent component analysis (Hyvarinen and Oja 2000)
    return vectors / np.sqrt(values) @ vectors.T


def _minimise_absolute_shifts(shifts, free_origin, rng):
    """The rotations, of several starts, with the smallest sums of absolute shifts.

    The sum of ``sqrt(s^2 + smooth^2)`` is concave in ``s^2``, whose sum no rotation changes; a
    polar factor minimises its tangent. With a `free_origin`, it is the median of the shifts.
    """
    if free_origin:
        shifts = shifts - np.median(shifts, axis=0)
    size = shifts.shape[1]
    starts = rng.standard_normal((STARTS, size, size))
    rotations, _ = np.linalg.qr(starts)
    # from a smooth sum, which has few minima, to that of absolute shifts
    for smooth in SMOOTHING_SCALES.repeat(STEPS_PER_SCALE):
        rotated = shifts @ rotations
        smooth_sizes = np.sqrt(rotated**2 + smooth**2)
        slope = rotated * (1 / smooth - 1 / smooth_sizes)
        # orthogonal Procrustes problem: argmax of trace(R^T shifts^T slope) is U V^T
        left, _, right = np.linalg.svd(shifts.T @ slope)
        rotations = left @ right
    sums = np.abs(shifts @ rotations).sum(axis=(1, 2))
    return rotations[np.argsort(sums, kind="stable")[:FINALISTS]]


class _RotatedLatents(NamedTuple):
    """Rotated latents; their shifts are ``centres @ rotation - origin``."""

    likelihood: float
    rotation: np.ndarray  # of shape (d, d)
    origin: np.ndarray  # of shape (d,), rotated
    shifts: np.ndarray  # of shape (perturbations, d)
    mixture: SpikeSlab


def _refine(centres, free_origin, rotation, error):
    """Refine a start by rotations of pairs of latents, while the likelihood rises.

    With a `free_origin`, it is the mode of each latent, taken after each sweep.
    """
    best = _rotate(centres, free_origin, rotation=rotation, error=error)
    for _ in range(MOST_SWEEPS - 1):
        rotation = _sweep(best)
        swept = _rotate(centres, free_origin, rotation=rotation, error=error)
        if swept.likelihood < best.likelihood + LEAST_GAIN:
            break
        best = swept
    return best


def _rotate(centres, free_origin, rotation, error):
    """Rotated latents, and the mixture of their shifts."""
    rotated = centres @ rotation
    origin = _modes(rotated) if free_origin else np.zeros(len(rotation))
    shifts = rotated - origin
    mixture = fit_spike_slab(shifts, error)
    log_densities = mixture.log_density(shifts)
    return _RotatedLatents(
        likelihood=log_densities.sum(),
        rotation=rotation,
        origin=origin,
        shifts=shifts,
        mixture=mixture,
    )


def _sweep(latents):
    """Rotate each pair of latents once, by the likeliest angle under their mixture."""
    n_shifts, n_latents = latents.shifts.shape
    cosines = np.cos(ANGLES)
    sines = np.sin(ANGLES)
    planes = np.array([[cosines, -sines], [sines, cosines]])
    planes = np.moveaxis(planes, -1, 0)  # (angles, 2, 2)
    # Jacobi rotations: each changes two columns of the shifts, and of the rotation so far
    table = np.vstack([latents.shifts, latents.rotation])
    for i, j in np.argwhere(np.tri(n_latents, k=-1)):
        rotated = table[:, [j, i]] @ planes  # (angles, rows, 2)
        log_densities = latents.mixture.log_density(rotated[:, :n_shifts])
        likelihoods = log_densities.sum(axis=(1, 2))
        table[:, [j, i]] = rotated[likelihoods.argmax()]
    return table[n_shifts:]


def _modes(shifts):
    """Half-sample mode of each latent (Robertson and Cryer 1974)."""
    values = np.sort(shifts, axis=0)
    while len(values) > 3:
        # the shortest interval that holds half of the values, again and again
        halves = sliding_window_view(values, (len(values) + 1) // 2, axis=0)
        first = np.ptp(halves, axis=-1).argmin(axis=0)
        values = halves[first, np.arange(len(first))].T
    return values.mean(axis=0)
