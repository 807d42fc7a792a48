"""Expression between the observed times, and weighted means of past expression."""

import numpy as np

N_BETWEEN = 6  # grid points from one observed time to the next
# candidate decay rates, in units of 1 / (mean interval)
RATES = np.append(0.0, np.geomspace(0.1, 10, 41))
# Approximate error of the law if expression lies between 0 and 1; with a smaller noise, further
# genes would be selected to explain this error.
LEAST_NOISE = 0.01


class Clock:
    """Observed times, (samples, times), and a grid that divides every interval in `N_BETWEEN`.

    At the end of shorter samples, the last time is repeated; `seen`, (samples, times), is 0 for
    repeats. `grid`, (m, points), contains the time since the start in units of the mean interval,
    `unit`; m is 1 if all samples have the same times, and the number of samples otherwise.
    `seen_on_grid`, (m, times), belongs to the rows of `grid`; `observed` contains the positions of
    the observed times in the grid.
    """

    def __init__(self, times):
        self.seen = np.ones(times.shape)
        self.seen[:, 1:] = np.diff(times, axis=1) > 0
        since = times - times[:, :1]
        if (since == since[0]).all():
            since = since[:1]
        steps = np.diff(since, axis=1)
        self.unit = float(steps[steps > 0].mean())
        positions = np.arange(since.shape[1])
        self.observed = positions * N_BETWEEN
        between = np.arange(self.observed[-1] + 1) / N_BETWEEN
        self.grid = np.stack([np.interp(between, positions, at) for at in since]) / self.unit
        self.seen_on_grid = self.seen[: len(self.grid)]

    def left(self, rate):
        """Share of the first value that remains at each grid point, (m, points)."""
        return np.exp(-rate * self.grid)

    def later_memory(self, rate):
        """Rows of `memory` for observed times except the first; 0 after the end of a sample."""
        return self.memory(rate, self.observed[1:]) * self.seen_on_grid[:, 1:, None]

    def memory(self, rate, rows=None):
        """Weights of f in ``rate * integral of exp(-rate (t - s)) f(s) ds``, (m, rows, points).

        Rows are all points or the given ones; f is piecewise linear.
        """
        if rows is None:
            rows = np.arange(self.grid.shape[1])
        c = rate * np.diff(self.grid, axis=1)  # (m, steps)
        small = c <= 1e-6
        divisor = np.where(small, 1, c)
        exact = -np.expm1(-c) / divisor
        mean = np.where(small, 1 - c / 2, exact)
        of_first = mean - np.exp(-c)
        of_last = 1 - mean
        # share of the effect of each step that is left at each row
        since = self.grid[:, rows, None] - self.grid[:, None, 1:]
        is_past = rows[:, None] > np.arange(c.shape[1])
        left = np.exp(-rate * np.maximum(since, 0)) * is_past
        weights = np.zeros((*left.shape[:2], self.grid.shape[1]))
        weights[:, :, :-1] = left * of_first[:, None]
        weights[:, :, 1:] += left * of_last[:, None]
        return weights


def relaxation(values, clock):
    """First estimates of paths, (samples, points, genes), decay rates and noise.

    Every gene relaxes from one level to another in each sample; the rates of genes that are
    constant within samples are 0. Values have the shape (samples, times, genes).
    """
    values = values * clock.seen[..., None]
    n_seen = clock.seen.sum(axis=1)
    coefficients = []
    errors = []  # of rates and genes
    for rate in RATES:
        basis = _basis(clock, rate)[:, clock.observed] * clock.seen_on_grid[..., None]
        of_rate = np.linalg.pinv(basis) @ values
        coefficients.append(of_rate)
        n_free = np.maximum(n_seen - basis.shape[2], 1).sum()
        errors.append(((values - basis @ of_rate) ** 2).sum(axis=(0, 1)) / n_free)
    variance = max(np.median(np.min(errors, axis=0)), LEAST_NOISE**2)
    # a constant fits as well, within four relative SDs of a mean squared error
    chance = 4 * np.sqrt(2 / (n_seen - 1).sum())
    constant = errors[0] < variance * (1 + chance)
    best = np.where(constant, 0, 1 + np.argmin(errors[1:], axis=0))
    paths = np.empty((len(values), clock.grid.shape[1], len(best)))
    for i in np.unique(best):
        genes = best == i
        of_genes = coefficients[i][:, :, genes]
        paths[:, :, genes] = _basis(clock, RATES[i]) @ of_genes
    return paths, RATES[best], np.sqrt(variance)


def _basis(clock, rate):
    """Basis functions of a relaxation, (m, points, 1 or 2)."""
    left = clock.left(rate)[..., None]
    if rate == 0:
        return left
    return np.concatenate([left, 1 - left], axis=2)
