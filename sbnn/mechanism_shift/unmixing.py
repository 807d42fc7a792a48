"""Rotate the latents of any model such that each perturbation shifts few of them; torch is not
needed.

If latents have unit variance within a perturbation, a model determines the latents only up to a
rotation. If each perturbation shifts only a few latents, one rotation makes the shifts sparse. This
rotation is found in two steps. The first step minimises the sum of absolute shifts from many
starts, but gets stuck if two latents are often shifted together. The second step rotates each pair
of latents by the angle with the highest likelihood under a mixture of shifted and unshifted
latents, whose parameters are estimated.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm
from sklearn.utils import check_array

from sbnn.data.screens import check_perturbation, codes_of
from sbnn.determinism import reproducible
from sbnn.errors import attempt, check_number, naming
from sbnn.mechanism_shift.graph import EVEN, class_means, graph_table, latent_names

# scales below which absolute shifts are smoothed, in decreasing order
SMOOTH = np.geomspace(4.0, 0.05, 25)
STEPS = 12  # number of steps for each of these scales
FINALISTS = 3  # number of starts that are refined
ANGLES = np.linspace(0, np.pi / 2, 45, endpoint=False)
SMALL_ANGLES = np.deg2rad([0, -2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2])
MOST_SWEEPS = 20
ENOUGH = 0.1  # gain in log likelihood that justifies another sweep
FAR = np.deg2rad(15)  # smallest rotation after which latents count as different
# largest loss in log likelihood at which another rotation counts as equally good (a factor of 20)
CLOSE = 3.0
BY_CHANCE = 2.0  # number of standard errors of this loss that are tolerated in addition
# small shifts are only tested if their standard error is below this value (more than 25 cells)
FEW_CELLS = 0.2
BENT = 4.0  # in standard errors; larger shifts of other latents may slightly shift a latent, too
FALSE_EDGES = 0.01  # expected share of false edges, accounting for sampling error only
ROUNDS = 500  # maximum number of rounds of expectation maximisation
TOLERANCE = 1e-7  # change in the mean log likelihood at which the estimation ends
LEAST_SCALE = 1e-4
MOST_DENSE = 0.5  # largest density of the slab; above it, unshifted latents are not identifiable


class SpikeSlab(NamedTuple):
    """A density of shifts: ``(1 - density) Laplace(0, spike) + density (N(size, sd) + N(-size, sd))
    / 2``.

    The spike has long tails because the network is nonlinear, so shifts of some latents also move
    other latents slightly.
    """

    spike: float
    size: float
    sd: float
    density: float

    def log_density(self, shifts):
        """Log density of each shift, ndarray of the same shape."""
        return np.logaddexp(*self._parts(np.abs(shifts)))

    def probability(self, shifts):
        """Probability that each shift belongs to the slab, ndarray of the same shape."""
        spike, slab = self._parts(np.abs(shifts))
        return np.exp(slab - np.logaddexp(spike, slab))

    def _parts(self, size):
        spike = np.log1p(-self.density) - np.log(2 * self.spike) - size / self.spike
        far, near = ((size + sign * self.size) / self.sd for sign in (1, -1))
        slab = (
            np.logaddexp(-(far**2) / 2, -(near**2) / 2)
            - np.log(2 * self.sd)
            - np.log(2 * np.pi) / 2
        )
        return spike, np.log(self.density) + slab


def fit_spike_slab(shifts, least_spike=LEAST_SCALE):
    """Estimate the mixture by expectation maximisation from several starts, and keep the most
    likely result.

    `least_spike` is the minimum width of the spike, for example the sampling error of the shifts.
    """
    size = np.abs(shifts).ravel()
    least_spike = max(least_spike, LEAST_SCALE)
    fits = [
        _maximised(size, _start(size, quantile, least_spike), least_spike)
        for quantile in (0.6, 0.8, 0.9, 0.97)
    ]
    return max(fits, key=lambda fit: fit.log_density(size).sum())


def _start(size, quantile, least_spike):
    cut = np.quantile(size, quantile)
    above, below = size[size >= cut], size[size < cut]
    spike = max(below.mean() if below.size else 0.0, least_spike)
    return SpikeSlab(
        spike,
        max(above.mean(), spike),
        max(above.std(), spike),
        min(max(above.size / size.size, 1e-3), MOST_DENSE),
    )


def _maximised(size, mixture, least_spike):
    before = -np.inf
    for _ in range(ROUNDS):
        mean = mixture.log_density(size).mean()
        if abs(mean - before) < TOLERANCE:
            break
        before, slab = mean, mixture.probability(size)
        # mean over both signs
        positive = size * np.tanh(np.minimum(size * mixture.size / mixture.sd**2, 30.0))
        weight = max(slab.sum(), 1e-9)
        centre = (slab * positive).sum() / weight
        variance = (slab * (size**2 - 2 * positive * centre + centre**2)).sum() / weight
        spike = max(((1 - slab) * size).sum() / max((1 - slab).sum(), 1e-9), least_spike)
        # a slab narrower than the spike would lie within it
        sd = max(np.sqrt(max(variance, 0.0)), spike)
        density = float(np.clip(slab.mean(), 1 / (10 * size.size), MOST_DENSE))
        mixture = SpikeSlab(spike, max(centre, LEAST_SCALE), sd, density)
    return mixture


@dataclass
class Unmixing:
    """Result of `unmix`: ``(latents - origin) @ matrix`` are the unmixed latents."""

    matrix: np.ndarray  # of shape (d, d)
    origin: np.ndarray  # of shape (d,), position of unshifted cells
    shifts: pd.DataFrame  # perturbations by latents, in standard deviations within a perturbation
    probabilities: pd.DataFrame  # probability that each latent is shifted
    mixture: SpikeSlab
    unseparated: list  # pairs of latents that another rotation would separate equally well
    unmoved: list  # latents that no perturbation shifts, which can be rotated among themselves

    @property
    def edges(self):
        """Edges of the shift graph: DataFrame of bool, perturbations by latents."""
        return self.probabilities > EVEN

    @property
    def graph(self):
        """Shifts and their probabilities as one table."""
        return graph_table(self.shifts.index, self.shifts, self.probabilities)

    def transform(self, latents):
        """Unmixed latents of other cells of the same model, ndarray of shape (n, d)."""
        return (np.asarray(latents) - self.origin) @ self.matrix


@reproducible()  # because projections with two threads differ in the last bits
def unmix(latents, perturbation, control=None, variances=None, n_starts=10, random_state=0):
    """Rotate latents such that each perturbation shifts few of them.

    Parameters
    ----------
    latents : array-like, shape (n, d)
        Latents of cells from any model, such as the means of a variational autoencoder.
    perturbation : array-like, shape (n,)
    control : str, optional
        Perturbation whose cells are not shifted. Without a control, the origin is the position of
        the latents under most perturbations.
    variances : array-like, shape (n, d), optional
        Uncertainty of the latents of each cell, which is added to the variances of the latents
        within a perturbation.
    n_starts : int
    random_state : int

    Returns
    -------
    Unmixing
        It has the method ``transform(latents)``, the attributes ``matrix`` and ``origin``, and the
        DataFrames ``shifts``, ``probabilities`` and ``edges`` (perturbations by latents).
        ``unseparated`` lists pairs of latents that cannot be separated, and ``unmoved`` lists
        latents that no perturbation shifts. Latents are called ``latent_0`` and so on, in
        descending order of the sum of their absolute shifts. Signs are chosen such that the
        positive shifts of a latent have a larger sum of squares than its negative shifts.

    Raises
    ------
    ValueError
        If the numbers of cells differ, values are not finite, there are fewer than two
        perturbations, a perturbation has fewer than two cells, no cell has the label `control`, or
        latents do not vary within perturbations.
    """
    check_number("n_starts", n_starts, int, 1)
    groups = codes_of(check_perturbation(perturbation, latents, control), control)
    screen = _Moments(latents, groups, control, variances)
    centres, origin = (
        screen.centres @ screen.root,
        None if control is None else screen.control @ screen.root,
    )
    rng = attempt("random_state: expected a whole number", np.random.default_rng, random_state)
    zero = np.median(centres, axis=0) if origin is None else origin
    turns = [_sparse_in_sum(centres - zero, rng) for _ in range(n_starts)]
    turns = sorted(turns, key=lambda turn: np.abs((centres - zero) @ turn).sum())[:FINALISTS]
    found = [_turned(centres, origin, turn, screen.error) for turn in turns]
    _, turn, zero, mixture = max(found, key=lambda one: one[0])
    shifts = centres @ turn - zero
    order = np.argsort(-np.abs(shifts).sum(axis=0), kind="stable")
    signs = np.where((shifts * np.abs(shifts)).sum(axis=0) < 0, -1.0, 1.0)[order]
    return screen.described(screen.root @ turn[:, order] * signs, zero[order] * signs, mixture)


@reproducible()
def describe(latents, perturbation, control=None, variances=None):
    """Like `unmix`, but without rotation: the matrix is diagonal."""
    groups = codes_of(check_perturbation(perturbation, latents, control), control)
    screen = _Moments(latents, groups, control, variances)
    scale = np.diag(1 / np.sqrt(np.diag(screen.within)))
    centres = screen.centres @ scale
    zero = _mode(centres) if control is None else screen.control @ scale
    return screen.described(scale, zero, fit_spike_slab(centres - zero, screen.error))


class _Moments:
    """Statistics of the cells for unmixing: means of the perturbations, and the covariance within perturbations."""

    def __init__(self, latents, groups, control, variances):
        names, codes, sizes = groups
        with naming("latents: expected finite numbers, cells x latents"):
            latents = check_array(latents, dtype=float, input_name="latents")
        control = None if control is None else str(control)
        means = class_means(latents, codes, len(names))
        residuals = latents - means[codes]
        self.within = residuals.T @ residuals / len(residuals)
        if variances is not None:
            with naming("variances: expected a number for each value in latents"):
                self.within += np.diag(
                    np.mean(np.reshape(variances, latents.shape), axis=0, dtype=float)
                )
        values, vectors = np.linalg.eigh(self.within)
        if values[0] <= 1e-9 * values[-1]:
            raise ValueError(
                "latents: some do not vary within perturbations, repeat others or have negative variances"
            )
        # gives unit variance within perturbations
        self.root = vectors / np.sqrt(values) @ vectors.T
        moved = names != control
        # without a control the origin is too imprecise to test small shifts
        self.tested = not moved.all()
        self.names, self.centres, self.control = (
            names[moved],
            means[moved],
            means[~moved].sum(axis=0),
        )
        # Standard errors of means relative to the origin, in SDs within a perturbation; a missing
        # control adds 0.
        self.errors = np.sqrt(1 / sizes[moved] + (1 / sizes[~moved]).sum())
        self.error = float(np.median(self.errors))

    def described(self, matrix, zero, mixture):
        """The `Unmixing` that transforms latents to ``latents @ matrix - zero``."""
        shifts, latents = self.centres @ matrix - zero, latent_names(len(matrix))
        adjusted = _adjusted(2 * norm.sf(np.abs(shifts) / self.errors[:, None]))
        probabilities = mixture.probability(shifts) * (adjusted <= FALSE_EDGES)
        if self.tested:
            probabilities = _with_small_shifts(probabilities, adjusted, shifts, self.errors)
        tables = (pd.DataFrame(values, self.names, latents) for values in (shifts, probabilities))
        unmoved = [
            name
            for name, moved in zip(latents, (probabilities > EVEN).any(axis=0), strict=True)
            if not moved
        ]
        origin = np.linalg.solve(matrix.T, zero)
        return Unmixing(
            matrix, origin, *tables, mixture, _unseparated(shifts, mixture, latents), unmoved
        )


def _turned(centres, origin, turn, error):
    """Refine one start by large and small rotations; returns log likelihood, rotation, rotated origin and mixture."""
    best = (-np.inf,)
    for angles in (ANGLES, SMALL_ANGLES):
        for _ in range(MOST_SWEEPS):
            zero = _mode(centres @ turn) if origin is None else origin @ turn
            shifts = centres @ turn - zero
            mixture = fit_spike_slab(shifts, error)
            objective = float(mixture.log_density(shifts).sum())
            if objective < best[0] + ENOUGH:
                break
            best = objective, turn, zero, mixture
            turn = _sweep(shifts, turn, mixture, angles)
        turn = best[1]
    return best


def _sparse_in_sum(centred, rng):
    """Rotation of shape (d, d) for which the sum of absolute shifts is small.

    The sum of ``sqrt(s^2 + smooth^2)`` is concave in the squares ``s^2``, whose sum is invariant to
    rotation. The rotation that minimises the tangent of this concave function is therefore a polar
    factor, and each step decreases the sum.
    """
    size = centred.shape[1]
    turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
    for smooth in SMOOTH:
        for _ in range(STEPS):
            shifts = centred @ turn
            left, _, right = np.linalg.svd(
                centred.T @ (shifts * (1 / smooth - 1 / np.sqrt(shifts**2 + smooth**2)))
            )
            turn = left @ right
    return turn


def _sweep(shifts, turn, mixture, angles):
    """Rotate each pair of latents once, by the most likely of the given angles."""
    shifts, turn = shifts.copy(), turn.copy()
    for i, j in np.argwhere(np.tri(shifts.shape[1], k=-1)):
        angle = angles[_by_angle(shifts[:, j], shifts[:, i], mixture, angles).argmax()]
        if angle:
            for values in (shifts, turn):
                values[:, [j, i]] = np.stack(_rotated(values[:, j], values[:, i], angle), axis=1)
    return turn


def _rotated(x, y, angle):
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _by_angle(x, y, mixture, angles):
    """Log likelihood of the shifts of two latents when the latents are rotated by each of the given angles."""
    return mixture.log_density(np.concatenate(_rotated(x, y, angles[:, None]), axis=1)).sum(axis=1)


def _mode(shifts):
    """Half-sample mode of each latent over perturbations: the mean after repeatedly taking the densest half."""
    modes = []
    for values in np.sort(shifts, axis=0).T:
        while len(values) > 3:
            half = (len(values) + 1) // 2
            first = np.argmin(values[half - 1 :] - values[: len(values) - half + 1])
            values = values[first : first + half]
        modes.append(values.mean())
    return np.array(modes)


def _adjusted(p):
    """Adjust the p-values of all pairs for the false discovery rate (Benjamini and Hochberg 1995)."""
    return false_discovery_control(p, axis=None).reshape(p.shape)


def _with_small_shifts(probabilities, adjusted, shifts, errors):
    """Raise the probabilities of shifts that are small relative to the slab but far beyond sampling
    error.

    Because the network is nonlinear, a perturbation that shifts some latents strongly also shifts
    other latents slightly. The size of these small shifts relative to the large ones is estimated
    from pairs without an edge, assuming exponential tails.
    """
    size = np.abs(shifts)
    # for each perturbation and latent, mask of the latents with larger shifts
    larger = size[:, None] > size[..., None]
    others = np.sqrt((larger * size[:, None] ** 2).sum(axis=2))
    still = (probabilities <= EVEN) & (others > BENT * errors[:, None])
    if still.any():
        bend = (size[still] / others[still]).mean() * others
        adjusted = np.maximum(adjusted, _adjusted(np.exp(-size / np.maximum(bend, LEAST_SCALE))))
    enough = (adjusted <= FALSE_EDGES) & (errors[:, None] < FEW_CELLS)
    return np.where(enough, np.maximum(probabilities, 1 - adjusted), probabilities)


def _unseparated(shifts, mixture, names):
    """Pairs of latents for which a clearly different rotation is about as likely as the present
    one.

    The log density of a draw from a Laplace distribution has a standard deviation of 1, and each
    perturbation that shifts either of the latents adds two draws to the difference in log
    likelihood.
    """
    moved = mixture.probability(shifts) > EVEN
    far = (ANGLES >= FAR) & (ANGLES <= np.pi / 2 - FAR)
    pairs = []
    for i, j in np.argwhere(np.tri(shifts.shape[1], k=-1)):
        likelihoods = _by_angle(shifts[:, j], shifts[:, i], mixture, ANGLES)
        noise = np.sqrt(2 * (moved[:, i] | moved[:, j]).sum())
        if likelihoods[far].max() > likelihoods[0] - CLOSE - BY_CHANCE * noise:
            pairs.append((names[j], names[i]))
    return pairs
