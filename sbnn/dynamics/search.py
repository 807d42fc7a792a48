"""Search for the regulators of all genes."""

import numpy as np
from joblib import Parallel, delayed

from sbnn.dynamics.beliefs import (
    MOST,
    SLOPE,
    calibrated,
    first_beliefs,
    kinds_of_edges,
    learned_beliefs,
)
from sbnn.dynamics.paths import LEAST_NOISE, N_BETWEEN, Clock, relaxation
from sbnn.dynamics.regulation import RegulatedNetwork, Target, logistic

RATE_STEPS = (0.2, 0.1, 0.05)  # relative changes of decay rates to try in successive passes
# widths of its range by which a regulator can leave it before it is clipped
BEYOND = 1.0
LEAST_RATE_SPREAD = 0.1  # smallest SD of the logarithms of the decay rates
LAGS = (0.0, 0.5, 1.0)  # lags that are tried at first, in mean intervals
LAG_STEP = 1.4  # factor by which a lag is varied later
# share of the largest effect on a gene below which new edges become less probable
WEAK = 0.3
# approximate probability from which edges get an exact one in the last pass
CHECKED = 0.01
WELL_FITTED = 0.1  # share of the genes that are taken to fit well
# logarithm of the ratio of an outlying rate to the median rate
FAR_RATE = 1.0
MANY_TIMES = 1000  # with more observed times in all samples, the grid is coarser
FEW_BETWEEN = 3


def near_median(rates):
    """Decay rates, with outliers replaced by the median."""
    if not rates.any():
        return rates
    median = np.median(rates[rates > 0])
    ratios = np.where(rates > 0, rates / median, 1)
    return np.where(np.abs(np.log(ratios)) >= FAR_RATE, median, rates)


class Search:
    """Paths, regulators and beliefs, which are updated in turn.

    `values` has the shape (samples, times, genes), `seen`, 0 after the end of a sample, (samples,
    times), and `paths` (samples, points, genes). `prior`, `kinds`, `possible` and `probabilities`
    are [regulator, target]. `rates`, `changing` and `means` have the shape (genes,); rates and
    `lag` are in units of the mean interval. `fits` maps each gene that changes to its `Fit`.
    ``advance(share)`` is called after each gene, with its share of a pass.
    """

    def __init__(self, samples, prior, advance=lambda share: None, n_jobs=1):
        self.advance = advance
        self.n_jobs = n_jobs
        self.values, times = samples.padded()
        self.prior = prior
        n_between = N_BETWEEN if times.size <= MANY_TIMES else FEW_BETWEEN
        self.clock = Clock(times, n_between)
        self.seen = self.clock.seen
        self.paths, rates, self.noise = relaxation(self.values, self.clock)
        self.rates = near_median(rates)
        self.changing = self.rates > 0
        self.beliefs = first_beliefs()
        self.kinds = kinds_of_edges(prior, self.changing)
        self.possible = self.changing & ~np.eye(len(prior), dtype=bool)
        self.fits = {}
        self.probabilities = np.zeros(prior.shape)
        self.lag = 0.0

    def run(self, n_passes):
        """Update everything in turn, and return the `Search`."""
        self.find_regulators(last=n_passes == 1)
        for i in range(n_passes - 1):
            if self.fits:
                self.learn_beliefs()
                self.learn_lag(at_first=i == 0)
                self.learn_rates(RATE_STEPS[min(i, len(RATE_STEPS) - 1)])
                self.learn_levels()
                self.follow_model()
            self.find_regulators(last=i == n_passes - 2)
        return self

    def find_regulators(self, last=False):
        """Search for the regulators of every gene that changes, and estimate the noise."""
        n = self.clock.n_between
        within = np.repeat(self.seen > 0, n, axis=1)[:, n - 1 :]
        self.means = self.paths[within].mean(axis=0)
        self._set_lag(self.lag)
        genes = np.flatnonzero(self.changing)
        parallel = Parallel(self.n_jobs, prefer="threads", return_as="generator")
        found = parallel(delayed(self._regulators_of)(gene, last) for gene in genes)
        for gene, (fit, probabilities) in zip(genes, found, strict=True):
            self.fits[gene] = fit
            self.probabilities[:, gene] = probabilities
            self.advance(1 / len(genes))
        if self.fits:
            squares = self._mean_squares()
            noise = np.sqrt(np.median(squares))
            self.noise = max(float(noise), LEAST_NOISE)

    def _regulators_of(self, gene, last):
        """`Fit` of the most probable regulators, and the probabilities of all edges."""
        signs = np.sign(self.prior[:, gene])
        target = self._target(gene, self.rates[gene], slice(None), signs)
        # from the last set, a removed edge would rarely be added again
        given = np.flatnonzero((signs != 0) & self.possible[:, gene])
        if len(given) > MOST:
            given = target.strongest(given)
        fit = target.search(given.tolist())
        least = CHECKED if last else np.inf
        return fit, target.probabilities(frozenset(fit.regulators), least)

    def learn_beliefs(self):
        """Learn `Beliefs` from all genes."""
        fits = self.fits.values()
        self.beliefs = learned_beliefs(fits, self.probabilities, self.kinds, self.possible)

    def learn_lag(self, at_first):
        """Estimate the lag, without changing the sets of regulators."""
        tried = (self.lag / LAG_STEP, self.lag, self.lag * LAG_STEP)
        if at_first:
            tried = LAGS
        elif not self.lag:
            return
        evidence = np.empty((len(tried), len(self.fits)))
        for i, lag in enumerate(tried):
            self._set_lag(lag)
            fits = [self._refitted(gene, self.rates[gene]) for gene in self.fits]
            evidence[i] = [fit.log_evidence for fit in fits]
        best = int(evidence.sum(axis=1).argmax())
        gains = evidence[best] - evidence[0]
        # the first paths are inaccurate
        if at_first and gains.mean() <= gains.std() / np.sqrt(len(gains)):
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

    def learn_levels(self):
        """Estimate the levels of genes that do not change, by a Gauss-Newton step."""
        # Without the effects on their targets, the targets would seem to regulate each other.
        still = np.flatnonzero(~self.changing)
        seen = self.seen[..., None]
        square = seen.sum(axis=1)[:, None] * np.eye(len(still))  # (samples, still, still)
        gaps = (self.values[:, :, still] - self.paths[:, :1, still]) * seen
        along = gaps.sum(axis=1)  # (samples, still)
        for gene, fit in self.fits.items():
            regulators = list(fit.regulators)
            chosen = ~self.changing[regulators]
            if not chosen.any():
                continue
            places = np.searchsorted(still, np.compress(chosen, regulators))
            slopes = fit.slopes(self._deviations[:, :, regulators])[:, :, chosen]
            memory = self.clock.later_memory(self.rates[gene])
            moved = memory @ slopes  # (samples, times - 1, chosen)
            square[:, places[:, None], places] += moved.transpose(0, 2, 1) @ moved
            errors = fit.residuals.reshape(*moved.shape[:2], 1)
            along[:, places] += (moved * errors).sum(axis=1)
        change = np.linalg.solve(square, along[..., None])
        self.paths[:, :, still] += change[:, None, :, 0]

    def follow_model(self):
        """Replace the paths by those of the model, from the starts that fit best."""
        observed = self.clock.observed
        self._set_lag(self.lag)
        for gene, fit in self.fits.items():
            rate = self.rates[gene]
            left = self.clock.left(rate)
            drawn_to = fit.target(self._deviations[:, :, list(fit.regulators)])
            memory = self.clock.memory(rate)
            come = (memory @ drawn_to[..., None])[..., 0]  # (samples, points)
            rest = self.values[:, :, gene] - come[:, observed]
            weight = left[:, observed] * self.seen
            start = (rest * weight).sum(axis=1) / (weight**2).sum(axis=1)
            self.paths[:, :, gene] = come + start[:, None] * left

    def network(self):
        """`RegulatedNetwork` with rates and lag in the time unit of the data."""
        lowest = self.paths.min(axis=(0, 1))
        highest = self.paths.max(axis=(0, 1))
        beyond = BEYOND * (highest - lowest)
        unit = self.clock.unit
        bounds = lowest - beyond, highest + beyond
        return RegulatedNetwork(self.rates / unit, self.means, *bounds, self.fits, self.lag * unit)

    def scores(self):
        """Slopes of the rates of change at mean expression, [regulator, target]."""
        scores = np.zeros(self.prior.shape)
        for gene, fit in self.fits.items():
            slopes = fit.weights[fit.kinds == SLOPE]
            scores[list(fit.regulators), gene] = slopes * self.rates[gene]
        return scores / self.clock.unit

    def prior_probabilities(self):
        """Probabilities of edges according to the initial beliefs."""
        odds = first_beliefs().log_odds
        return logistic(np.where(self.prior != 0, odds[3], odds[0]))

    def posterior_probabilities(self):
        """Calibrated probabilities of edges."""
        probabilities = self.probabilities
        effects = np.abs(self.scores())
        share = effects / np.maximum(effects.max(axis=0), 1e-300)
        new = (self.prior == 0) & (effects > 0)
        # If residuals persist, weak new edges may stand for effects that the law cannot describe.
        autocorrelation = self.autocorrelation()
        if autocorrelation > 0:
            weak = new & (share < WEAK)
            probabilities = probabilities * np.where(weak, share / WEAK, 1)
        given = self.prior != 0
        return calibrated(probabilities, given, new, share, self.misfit(), autocorrelation)

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
        residuals = self._residuals().reshape(-1, *seen.shape) * seen
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
        regulators = list(fit.regulators)
        signs = np.zeros(len(self.prior))
        signs[regulators] = fit.signs
        return self._target(gene, rate, regulators, signs).fit(frozenset(regulators))

    def _target(self, gene, rate, regulators, signs):
        """`Target` of a gene, for the regulators that may be used."""
        memory = self.clock.later_memory(rate)
        left = self.clock.left(rate)[:, self.clock.observed[1:]]
        start = self.paths[:, :1, gene]
        values = self.values[:, 1:, gene] - left * start
        values = values * self.seen[:, 1:]
        values = values.ravel()
        past = memory @ self._deviations[:, :, regulators]  # (samples, times - 1, regulators)
        linear = past.reshape(len(values), -1)
        if linear.shape[1] < len(self.prior):
            of_all = np.zeros((len(values), len(self.prior)), order="F")
            of_all[:, regulators] = linear
            linear = of_all
        log_odds = self.beliefs.log_odds[self.kinds[:, gene]]
        log_odds[~self.possible[:, gene]] = -np.inf
        return Target(
            values, linear, self._deviations, memory, self.noise, self.beliefs, log_odds, signs
        )

    def _residuals(self):
        """Residuals, (genes that change, observations)."""
        return np.array([fit.residuals for fit in self.fits.values()])

    def _mean_squares(self):
        """Mean squared residuals of the genes that change."""
        squares = np.square(self._residuals()).sum(axis=1)
        n_later = self.seen[:, 1:].sum()
        return squares / n_later
