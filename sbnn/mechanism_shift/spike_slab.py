"""Which shifts are real: a mixture of a spike at zero and a slab of either sign, all of it estimated."""

from typing import NamedTuple

import numpy as np

ROUNDS = 500  # of expectation maximisation, at most
TOLERANCE = 1e-7  # of the mean log likelihood
LEAST_SCALE = 1e-4
MOST_DENSE = 0.5  # with more shifts than that, which latents are not shifted would be a matter of taste


class SpikeSlab(NamedTuple):
    """A density of shifts: ``(1 - density) Laplace(0, spike) + density (N(size, sd) + N(-size, sd)) / 2``.

    The spike has long tails because a latent that a network bends a little moves with the shifts of others.
    """

    spike: float
    size: float
    sd: float
    density: float

    def log_density(self, shifts):
        """Log density of each shift, ndarray of the same shape."""
        return np.logaddexp(*self._parts(np.abs(shifts)))

    def probability(self, shifts):
        """Probability of each shift to be of the slab, ndarray of the same shape."""
        spike, slab = self._parts(np.abs(shifts))
        return np.exp(slab - np.logaddexp(spike, slab))

    def _parts(self, size):
        spike = np.log1p(-self.density) - np.log(2 * self.spike) - size / self.spike
        far, near = ((size + sign * self.size) / self.sd for sign in (1, -1))
        slab = np.logaddexp(-(far**2) / 2, -(near**2) / 2) - np.log(2 * self.sd) - np.log(2 * np.pi) / 2
        return spike, np.log(self.density) + slab


def fit_spike_slab(shifts, least_spike=LEAST_SCALE):
    """Estimate the mixture by expectation maximisation, as the likeliest of several starts.

    The spike is at least `least_spike` wide, such as the sampling error of the shifts.
    """
    size = np.abs(shifts).ravel()
    least_spike = max(least_spike, LEAST_SCALE)
    fits = [_maximised(size, _start(size, quantile, least_spike), least_spike) for quantile in (0.6, 0.8, 0.9, 0.97)]
    return max(fits, key=lambda fit: fit.log_density(size).sum())


def _start(size, quantile, least_spike):
    cut = np.quantile(size, quantile)
    above, below = size[size >= cut], size[size < cut]
    spike = max(below.mean() if below.size else 0.0, least_spike)
    sd = max(above.std(), spike, LEAST_SCALE)
    return SpikeSlab(spike, max(above.mean(), spike), sd, min(max(above.size / size.size, 1e-3), MOST_DENSE))


def _maximised(size, mixture, least_spike):
    before = -np.inf
    for _ in range(ROUNDS):
        mean = mixture.log_density(size).mean()
        if abs(mean - before) < TOLERANCE:
            break
        before, slab = mean, mixture.probability(size)
        positive = size * np.tanh(np.minimum(size * mixture.size / mixture.sd**2, 30.0))  # of the likelier sign
        weight = max(slab.sum(), 1e-9)
        centre = (slab * positive).sum() / weight
        variance = (slab * (size**2 - 2 * positive * centre + centre**2)).sum() / weight
        spike = ((1 - slab) * size).sum() / max((1 - slab).sum(), 1e-9)
        mixture = SpikeSlab(
            max(spike, least_spike),
            max(centre, LEAST_SCALE),
            max(np.sqrt(max(variance, 0.0)), spike, least_spike),  # a slab thinner than the spike would sit within it
            float(np.clip(slab.mean(), 1 / (10 * size.size), MOST_DENSE)),
        )
    return mixture
