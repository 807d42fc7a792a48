"""Interpolation of expression between the observed times, and weighted means of past expression."""

import numpy as np

N_BETWEEN = 6  # grid points from one observed time to the next
# candidate decay rates, in units of 1 / (mean interval)
RATES = np.append(0.0, np.geomspace(0.1, 10, 41))
# Approximate error of a model with linear terms and products if expression lies between 0 and 1. If
# the estimated noise were smaller, further genes would be selected to explain this error.
LEAST_NOISE = 0.01


class Clock:
    """Observed times, of shape (samples, times), and a finer grid that divides every interval.

    For samples with fewer times, the last time is repeated; `seen`, of shape (samples, times), is 0
    for repeats and 1 elsewhere. `unit` is the mean interval. `grid`, of shape (m, points), contains
    the time since the start of the sample, divided by `unit`; m is 1 if all samples have the same
    grid, and the number of samples otherwise. `seen_on_grid`, of shape (m, times), contains the
    rows of `seen` that belong to the rows of `grid`. `observed` contains the positions of the
    observed times in the grid.
    """

    def __init__(self, times):
        self.seen = np.ones(times.shape)
        self.seen[:, 1:] = np.diff(times, axis=1) > 0
        since = times - times[:, :1]
        if (since == since[0]).all():
            since = since[:1]
        steps = np.diff(since, axis=1)
        self.unit = float(steps[steps > 0].mean())
        since = since / self.unit
        parts = np.arange(N_BETWEEN) / N_BETWEEN
        steps = np.diff(since, axis=1)
        between = since[:, :-1, None] + steps[..., None] * parts
        between = between.reshape(len(since), -1)
        self.grid = np.append(between, since[:, -1:], axis=1)
        self.observed = np.arange(since.shape[1]) * N_BETWEEN
        # Samples that share one grid also have the same repeats, so the first row stands for all.
        self.seen_on_grid = self.seen[: len(self.grid)]

    def left(self, rate):
        """Share of the first value that remains at each grid point, of shape (m, points)."""
        return np.exp(-rate * self.grid)

    def memory(self, rate):
        """Weights of past values in ``rate * integral of exp(-rate (t - s)) f(s) ds``.

        The array has the shape (m, points, points); f is piecewise linear.
        """
        c = rate * np.diff(self.grid, axis=1)
        keep = np.exp(-c)
        small = c <= 1e-6
        divisor = np.where(small, 1, c)
        mean = np.where(small, 1 - c / 2, -np.expm1(-c) / divisor)
        of_first = mean - keep
        of_last = 1 - mean
        m, n = self.grid.shape
        weights = np.zeros((m, n, n))
        for i in range(n - 1):
            before = weights[:, i]
            after = weights[:, i + 1]
            after += keep[:, i, None] * before
            after[:, i] += of_first[:, i]
            after[:, i + 1] = of_last[:, i]
        return weights

    def later_memory(self, rate):
        """Rows of `memory` for the observed times except the first; 0 after the end of a sample."""
        rows = self.memory(rate)[:, self.observed[1:]]
        return rows * self.seen_on_grid[:, 1:, None]


def relaxation(values, clock):
    """First estimates of the paths, the decay rates and the noise.

    Values have the shape (samples, times, genes). It is assumed that every gene relaxes from one
    level to another in each sample. Rates are 0 for genes that are constant within samples. The
    paths have the shape (samples, points, genes).
    """
    values = values * clock.seen[..., None]
    coefficients = []
    errors = []
    for rate in RATES:
        of_rate, mean_squares = _fitted(values, clock, rate)
        coefficients.append(of_rate)
        errors.append(mean_squares)
    errors = np.array(errors)  # (rates, genes)
    variance = max(np.median(errors.min(axis=0)), LEAST_NOISE**2)
    best = _best_rates(errors, variance, clock)
    paths = np.empty((len(values), clock.grid.shape[1], len(best)))
    for i in np.unique(best):
        genes = best == i
        of_genes = coefficients[i][:, :, genes]
        paths[:, :, genes] = _basis(clock, RATES[i]) @ of_genes
    return paths, RATES[best], np.sqrt(variance)


def _fitted(values, clock, rate):
    """Least squares at one decay rate: coefficients of `_basis`, and the mean square by gene.

    The coefficients have the shape (samples, 1 or 2, genes). Values must be 0 after the end of a
    sample.
    """
    basis = _basis(clock, rate)[:, clock.observed] * clock.seen_on_grid[..., None]
    coefficients = np.linalg.pinv(basis) @ values
    residuals = values - basis @ coefficients
    n_free = np.maximum(clock.seen.sum(axis=1) - basis.shape[2], 1)
    return coefficients, (residuals**2).sum(axis=(0, 1)) / n_free.sum()


def _best_rates(errors, variance, clock):
    """Position in `RATES` of the best rate of each gene; 0 if a constant fits the gene as well."""
    # four SDs of a mean squared error, divided by its expectation
    chance = 4 * np.sqrt(2 / (clock.seen.sum(axis=1) - 1).sum())
    constant = errors[0] < variance * (1 + chance)
    return np.where(constant, 0, 1 + errors[1:].argmin(axis=0))


def _basis(clock, rate):
    """Basis functions of the relaxation of a gene, of shape (m, points, 1 or 2)."""
    left = clock.left(rate)[..., None]
    if rate == 0:
        return left
    return np.concatenate([left, 1 - left], axis=2)
