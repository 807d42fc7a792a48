"""Expression between the observed times, and its exponentially weighted past."""

import numpy as np

N_BETWEEN = 6  # points of the grid from one time to the next
RATES = np.append(0.0, np.geomspace(0.1, 10, 41))  # tried rates of decay, per mean interval
# On the scale of 0 to 1: slopes and products miss about as much, which further genes would otherwise explain.
LEAST_NOISE = 0.01


class Clock:
    """Times (samples, times) of samples, and a grid that divides every interval.

    Samples with fewer times repeat their last one; `seen`, (samples, times), is 0 for these. `grid` counts mean
    intervals since the first time, (m, points), where m is 1 if all samples have the same times, otherwise the number
    of samples; `unit` is the mean interval; `observed` are the positions of the times in the grid.
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
        """Share of the first value that remains after decay, (m, points)."""
        return np.exp(-rate * self.grid)

    def memory(self, rate):
        """Weights of the past in ``rate * integral of exp(-rate (t - s)) f(s) ds``, for f linear between points."""
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
        """`memory` at the observed times after the first, 0 where a sample has ended."""
        return self.memory(rate)[:, self.observed[1:]] * self.seen[: len(self.grid), 1:, None]


def relaxation(values, clock):
    """First estimate of paths, rates (0: constant within samples) and noise: every gene relaxes between two levels."""
    n, _, n_genes = values.shape
    seen, n_times = clock.seen[..., None], clock.seen.sum(axis=1)
    values = values * seen
    misfit, coefficients = np.empty((len(RATES), n_genes)), []
    for i, rate in enumerate(RATES):
        basis = _basis(clock, rate)[:, clock.observed] * seen[: len(clock.grid)]
        found = np.linalg.pinv(basis) @ values
        misfit[i] = ((values - basis @ found) ** 2).sum(axis=(0, 1)) / np.maximum(n_times - basis.shape[2], 1).sum()
        coefficients.append(found)
    best = 1 + misfit[1:].argmin(axis=0)
    variance = max(float(np.median(misfit.min(axis=0))), LEAST_NOISE**2)
    chance = 4 * np.sqrt(2 / (n_times - 1).sum())  # four standard deviations of a mean of squares
    best[misfit[0] < variance * (1 + chance)] = 0
    paths = np.empty((n, clock.grid.shape[1], n_genes))
    for i in np.unique(best):
        genes = best == i
        paths[:, :, genes] = _basis(clock, RATES[i]) @ coefficients[i][:, :, genes]
    return paths, RATES[best], np.sqrt(variance)


def _basis(clock, rate):
    """Basis functions of a relaxing gene, (m, points, 1 or 2)."""
    left = clock.left(rate)[..., None]
    return left if rate == 0 else np.concatenate([left, 1 - left], axis=2)
