"""Search for the regulators of all genes."""

from dataclasses import replace

import numpy as np

from sbnn.dynamics.beliefs import (
    SLOPE,
    first_beliefs,
    kinds_of_edges,
    learned_beliefs,
)
from sbnn.dynamics.paths import LEAST_NOISE, N_BETWEEN, Clock, relaxation
from sbnn.dynamics.regulation import RegulatedNetwork, Target

RATE_STEPS = (0.2, 0.1, 0.05)  # relative changes of decay rates to try in successive passes
# widths of its range by which a regulator can leave it before it is clipped
BEYOND = 1.0
LEAST_RATE_SPREAD = 0.1  # smallest SD of the logarithms of the decay rates
LAGS = (0.0, 0.5, 1.0)  # lags that are tried at first, in mean intervals
LAG_STEP = 1.4  # factor by which a lag is varied later
# approximate probability from which edges get an exact one in the last pass
CHECKED = 0.01
WELL_FITTED = 0.1  # share of the genes that are taken to fit well
# logarithm of the ratio of an outlying rate to the median rate
FAR_RATE = 1.0


class Search:
    """Paths, regulators and beliefs, which are updated in turn.

    `values` (divided by `scale`) has the shape (samples, times, genes), `seen`, 0 after the end of
    a sample, (samples, times), and `paths` (samples, points, genes). `prior`, `kinds`, `possible`
    and `probabilities` are [regulator, target]. Rates and `lag` are in units of the mean interval.
    """

    def __init__(self, samples, prior, scale=1.0):
        values, times = samples.padded()
        self.values = values / scale
        self.scale = scale
        self.prior = prior
        self.clock = Clock(times)
        self.seen = self.clock.seen
        self.paths, self.rates, self.noise = relaxation(self.values, self.clock)
        self.changing = self.rates > 0
        rates = self.rates[self.changing]
        if rates.size:
            median = np.median(rates)
            far = np.abs(np.log(rates / median)) >= FAR_RATE
            self.rates[self.changing] = np.where(far, median, rates)
        self.beliefs = first_beliefs()
        self.kinds = kinds_of_edges(prior, self.changing)
        self.possible = self.changing & ~np.eye(len(prior), dtype=bool)
        self.fits = {}
        self.probabilities = np.zeros(prior.shape)
        self.lag = 0.0

    def run(self, n_passes):
        """Update everything in turn, and return the `Search`."""
        for i in range(n_passes):
            if self.fits:  # of the pass before, of genes that change
                fits = self.fits.values()
                self.beliefs = learned_beliefs(fits, self.probabilities, self.kinds, self.possible)
                if i == 1 or self.lag:
                    self.learn_lag()
                self.learn_rates(RATE_STEPS[min(i, 3) - 1])
                self.follow_model()
            self.find_regulators(last=i == n_passes - 1)
        return self

    def find_regulators(self, last=False):
        """Search for the regulators of every gene that changes, and estimate the noise."""
        within = np.repeat(self.seen > 0, N_BETWEEN, axis=1)[:, N_BETWEEN - 1 :]
        self.means = self.paths[within].mean(axis=0)
        self._set_lag(self.lag)
        least = CHECKED if last else np.inf
        for gene in np.flatnonzero(self.changing):
            signs = np.sign(self.prior[:, gene])
            target = self._target(gene, self.rates[gene], signs)
            # from the last set, a removed edge would rarely be added again
            given = np.flatnonzero((signs != 0) & self.possible[:, gene])
            fit = self.fits[gene] = target.search(target.strongest(given).tolist())
            found = frozenset(fit.regulators)
            self.probabilities[:, gene] = target.probabilities(found, least)
        if self.fits:
            self.noise = max(np.sqrt(np.median(self._mean_squares())), LEAST_NOISE)

    def learn_lag(self):
        """Estimate the lag, without changing the sets of regulators."""
        tried = LAGS
        if self.lag:
            tried = self.lag / LAG_STEP, self.lag, self.lag * LAG_STEP
        evidence = []  # of lags and genes
        for lag in tried:
            self._set_lag(lag)
            of_genes = [self._refitted(gene, self.rates[gene]).log_evidence for gene in self.fits]
            evidence.append(of_genes)
        best = np.sum(evidence, axis=1).argmax()
        gains = np.subtract(evidence[best], evidence[0])
        # the first paths are inaccurate
        if tried is LAGS and gains.mean() <= gains.std() / np.sqrt(len(gains)):
            best = 0
        self._set_lag(tried[best])

    def learn_rates(self, step):
        """Change each decay rate by a relative step if that is more probable."""
        logs = np.log(self.rates[self.changing])
        middle = np.median(logs)
        spread = max(logs.std(), LEAST_RATE_SPREAD)
        for gene in self.fits:
            tried = self.rates[gene] * np.exp([-step, 0, step])
            fits = [self._refitted(gene, rate) for rate in tried]
            # of a log-normal distribution over genes, up to a constant
            log_prior = -(((np.log(tried) - middle) / spread) ** 2) / 2
            best = np.argmax([fit.log_evidence for fit in fits] + log_prior)
            self.rates[gene] = tried[best]
            self.fits[gene] = fits[best]

    def follow_model(self):
        """Replace the paths by those of the model, from the starts that fit best."""
        observed = self.clock.observed
        self._set_lag(self.lag)
        for gene, fit in self.fits.items():
            rate = self.rates[gene]
            left = self.clock.left(rate)
            drawn_to = fit.target(self._deviations)
            come = (self.clock.memory(rate) @ drawn_to[..., None])[..., 0]  # (samples, points)
            rest = self.values[:, :, gene] - come[:, observed]
            weight = left[:, observed] * self.seen
            start = (rest * weight).sum(axis=1) / (weight**2).sum(axis=1)
            self.paths[:, :, gene] = come + start[:, None] * left

    def network(self):
        """`RegulatedNetwork` with rates and lag in the time unit of the data."""
        lowest = self.paths.min(axis=(0, 1))
        highest = self.paths.max(axis=(0, 1))
        beyond = BEYOND * (highest - lowest)
        bounds = lowest - beyond, highest + beyond
        rates = self.rates / self.clock.unit
        lag = self.lag * self.clock.unit
        # without what only the search needs, which is large
        fits = {gene: replace(fit, features=None) for gene, fit in self.fits.items()}
        return RegulatedNetwork(rates, self.means, bounds, fits, lag, self.scale)

    def scores(self):
        """Slopes of the rates of change at mean expression, [regulator, target]."""
        scores = np.zeros(self.prior.shape)
        for gene, fit in self.fits.items():
            scores[fit.regulators, gene] = fit.weights[fit.kinds == SLOPE] * self.rates[gene]
        return scores / self.clock.unit

    def misfit(self):
        """Median of the genes' mean squared residuals, relative to that of genes that fit well."""
        if not self.fits:
            return 1.0
        squares = self._mean_squares()
        low = max(np.quantile(squares, WELL_FITTED), LEAST_NOISE**2)
        return max(float(np.median(squares) / low), 1.0)

    def autocorrelation(self):
        """Autocorrelation of residuals at consecutive times."""
        seen = self.seen[:, 1:]
        residuals = self._residuals().reshape(-1, *seen.shape)  # 0 after the end of a sample
        variance = (residuals**2).sum() / seen.sum()
        products = residuals[..., :-1] * residuals[..., 1:]
        n_pairs = max(seen[:, 1:].sum(), 1)
        return float(products.sum() / n_pairs / max(variance, 1e-300))

    def _set_lag(self, lag):
        self.lag = lag
        acting = self.paths
        if lag:  # proteins of the genes
            memory = self.clock.memory(1 / lag)
            left = self.clock.left(1 / lag)[..., None]
            acting = left * self.paths[:, :1] + memory @ self.paths
        # genes first in memory, for products of genes
        of_genes = np.ascontiguousarray((acting - self.means).transpose(2, 0, 1))
        self._deviations = of_genes.transpose(1, 2, 0)

    def _refitted(self, gene, rate):
        """`Fit` of the same regulators of a gene, with another rate or lag."""
        fit = self.fits[gene]
        chosen = fit.regulators
        target = self._target(gene, rate, fit.signs, chosen)
        return replace(target.fit(frozenset(range(len(chosen)))), regulators=chosen)

    def _target(self, gene, rate, signs, regulators=slice(None)):
        """`Target` of a gene; its regulators are among those given."""
        memory = self.clock.later_memory(rate)
        left = self.clock.left(rate)[:, self.clock.observed[1:]]
        values = self.values[:, 1:, gene] - left * self.paths[:, :1, gene]
        values = (values * self.seen[:, 1:]).ravel()
        log_odds = self.beliefs.log_odds[self.kinds[:, gene]]
        log_odds[~self.possible[:, gene]] = -np.inf
        law = self.noise, self.beliefs, log_odds, signs
        return Target(values, self._deviations[:, :, regulators], memory, *law)

    def _residuals(self):
        """Residuals, (genes that change, observations)."""
        return np.array([fit.residuals for fit in self.fits.values()])

    def _mean_squares(self):
        """Mean squared residuals of the genes that change."""
        return np.square(self._residuals()).sum(axis=1) / self.seen[:, 1:].sum()
