"""Interpolation of expression between the observed times, and exponentially weighted means of past expression."""

import numpy as np

N_BETWEEN = 6  # grid points from one observed time to the next
# candidate decay rates, in units of 1 / (mean interval)
RATES = np.append(0.0, np.geomspace(0.1, 10, 41))
# Approximate error of a model with linear terms and products if expression lies between 0 and 1. If
# the estimated noise were smaller, further genes would be selected to explain this error.
LEAST_NOISE = 0.01


class Clock:
    """Observed times, of shape (samples, times), and a finer grid that divides every interval
    between them.

    For samples with fewer times, the last time is repeated; `seen`, of shape (samples, times), is 0
    for repeats and 1 elsewhere. `unit` is the mean interval. `grid`, of shape (m, points), contains
    the time since the start of the sample, divided by `unit`; m is 1 if all samples have the same
    grid, and the number of samples otherwise. `observed` contains the positions of the observed
    times in the grid.
    """

    def __init__(self, times):
        since = times - times[:, :1]
        if (since == since[0]).all():
            since = since[:1]
        self.seen = np.insert((np.diff(times, axis=1) > 0).astype(float), 0, 1.0, axis=1)
        steps = np.diff(since, axis=1)
        self.unit = float(steps[steps > 0].mean())
        since = since / self.unit
        parts = np.arange(N_BETWEEN) / N_BETWEEN
        between = since[:, :-1, None] + np.diff(since, axis=1)[..., None] * parts
        self.grid = np.concatenate([between.reshape(len(since), -1), since[:, -1:]], axis=1)
        self.observed = np.arange(since.shape[1]) * N_BETWEEN

    def left(self, rate):
        """Share of the first value that remains at each grid point, an array of shape (m, points)."""
        return np.exp(-rate * self.grid)

    def memory(self, rate):
        """Weights of past values in ``rate * integral of exp(-rate (t - s)) f(s) ds`` for piecewise linear f."""
        c = rate * np.diff(self.grid, axis=1)
        keep = np.exp(-c)
        mean = np.where(c > 1e-6, -np.expm1(-c) / np.where(c > 1e-6, c, 1), 1 - c / 2)
        m, n = self.grid.shape
        weights = np.zeros((m, n, n))
        for i in range(n - 1):
            weights[:, i + 1] = keep[:, i, None] * weights[:, i]
            weights[:, i + 1, i] += mean[:, i] - keep[:, i]
            weights[:, i + 1, i + 1] += 1 - mean[:, i]
        return weights

    def later_memory(self, rate):
        """Rows of `memory` for all observed times except the first; rows after the end of a sample are 0."""
        return self.memory(rate)[:, self.observed[1:]] * self.seen[: len(self.grid), 1:, None]


def relaxation(values, clock):
    """First estimates of the paths, the decay rates (0 for genes that are constant within samples)
    and the noise.

    It is assumed that every gene relaxes from one level to another in each sample.
    """
    n, _, n_genes = values.shape
    seen, n_times = clock.seen[..., None], clock.seen.sum(axis=1)
    values = values * seen
    misfit, coefficients = np.empty((len(RATES), n_genes)), []
    for i, rate in enumerate(RATES):
        basis = _basis(clock, rate)[:, clock.observed] * seen[: len(clock.grid)]
        found = np.linalg.pinv(basis) @ values
        misfit[i] = ((values - basis @ found) ** 2).sum(axis=(0, 1)) / np.maximum(
            n_times - basis.shape[2], 1
        ).sum()
        coefficients.append(found)
    best = 1 + misfit[1:].argmin(axis=0)
    variance = max(float(np.median(misfit.min(axis=0))), LEAST_NOISE**2)
    # four SDs of a mean squared error, divided by its expectation
    chance = 4 * np.sqrt(2 / (n_times - 1).sum())
    best[misfit[0] < variance * (1 + chance)] = 0
    paths = np.empty((n, clock.grid.shape[1], n_genes))
    for i in np.unique(best):
        genes = best == i
        paths[:, :, genes] = _basis(clock, RATES[i]) @ coefficients[i][:, :, genes]
    return paths, RATES[best], np.sqrt(variance)


def _basis(clock, rate):
    """Basis functions of the relaxation of a gene, an array of shape (m, points, 1 or 2)."""
    left = clock.left(rate)[..., None]
    return left if rate == 0 else np.concatenate([left, 1 - left], axis=2)
