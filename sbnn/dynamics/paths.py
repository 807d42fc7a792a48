"""Expression between the observed times, and weighted means of past expression."""

import numpy as np
from scipy.special import exprel

N_BETWEEN = 6  # grid points from one observed time to the next
# candidate decay rates, in units of 1 / (mean interval)
RATES = np.append(0.0, np.geomspace(0.1, 10, 41))
# Approximate error of the law if expression lies between 0 and 1; with a smaller noise, further
# genes would be selected.
LEAST_NOISE = 0.01


class Clock:
    """Observed times, (samples, times), and a grid that divides every interval in `N_BETWEEN`.

    At the end of shorter samples, the last time is repeated, and `seen`, (samples, times), is 0.
    `grid`, (m, points), contains the time since the start in units of the mean interval, `unit`; m
    is 1 if all samples have the same times. `observed` are the positions of the observed times in
    the grid.
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

    def memory(self, rate, rows=slice(None)):
        """Weights of f in ``rate * integral of exp(-rate (t - s)) f(s) ds``, (m, rows, points).

        Rows are all points or the given ones; f is piecewise linear.
        """
        c = rate * np.diff(self.grid, axis=1)  # (m, steps)
        mean = exprel(-c)
        of_first = mean - np.exp(-c)
        of_last = 1 - mean
        # share of the effect of each step that is left at each row
        since = self.grid[:, rows, None] - self.grid[:, None, 1:]
        left = np.exp(-rate * np.maximum(since, 0)) * (since >= 0)
        weights = np.zeros((*left.shape[:2], self.grid.shape[1]))
        weights[:, :, :-1] = left * of_first[:, None]
        weights[:, :, 1:] += left * of_last[:, None]
        return weights


def relaxation(values, clock):
    """First estimates of paths, (samples, points, genes), decay rates and noise.

    Every gene relaxes from one level to another in each sample; rates of constant genes are 0.
    Values have the shape (samples, times, genes).
    """
    values = values * clock.seen[..., None]
    n_seen = clock.seen.sum(axis=1)
    fits = []
    errors = []  # of rates and genes
    for rate in RATES:
        basis = clock.left(rate)[..., None]  # (m, points, 1 or 2)
        if rate > 0:
            basis = np.concatenate([basis, 1 - basis], axis=2)
        at_times = basis[:, clock.observed] * clock.seen_on_grid[..., None]
        of_rate = np.linalg.pinv(at_times) @ values
        fits.append((basis, of_rate))
        n_free = np.maximum(n_seen - basis.shape[2], 1).sum()
        errors.append(((values - at_times @ of_rate) ** 2).sum(axis=(0, 1)) / n_free)
    variance = max(np.median(np.min(errors, axis=0)), LEAST_NOISE**2)
    # a constant fits as well, within four relative SDs of a mean squared error
    chance = 4 * np.sqrt(2 / (n_seen - 1).sum())
    constant = errors[0] < variance * (1 + chance)
    best = np.where(constant, 0, 1 + np.argmin(errors[1:], axis=0))
    paths = np.empty((len(values), clock.grid.shape[1], len(best)))
    for i in np.unique(best):
        genes = best == i
        basis, of_rate = fits[i]
        paths[:, :, genes] = basis @ of_rate[:, :, genes]
    return paths, RATES[best], np.sqrt(variance)
