"""Evidence for sets of regulators of a gene, and the search for the best set."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from sbnn.dynamics.beliefs import MOST, PAIR, SLOPE, SQUARE, Beliefs
from sbnn.dynamics.solver import follow

N_TRIED = 6  # candidates that a search step tries to add
_RIDGE = 1e-6  # added to the products of features, which may be collinear
_SCREENING_SD = 0.3  # prior SD of effects, to rank candidates and approximate probabilities
_CONSTANT_MEAN = 0.5


@cache
def products_of(k):
    """Pairs (i, j), i <= j, of k regulators with products; none if k > `MOST`."""
    return np.triu_indices(k if k <= MOST else 0)


@cache
def kinds_of_weights(k):
    """Kinds of the weights of k regulators; 0 is the constant."""
    one, other = products_of(k)
    return np.r_[0, np.full(k, SLOPE), np.where(one == other, SQUARE, PAIR)]


@dataclass
class Fit:
    """Regression of a gene on a set of regulators, given by their positions in ascending order.

    ``signs`` are the expected signs of the effects; ``weights`` are the constant, the slopes, and
    the coefficients of products in the order of `products_of`, of these ``kinds``; ``features`` has
    the shape (observations, weights); ``precision`` is the Cholesky factor of the precision matrix
    of the weights.
    """

    regulators: list
    signs: np.ndarray
    log_evidence: float
    weights: np.ndarray
    kinds: np.ndarray
    features: np.ndarray
    residuals: np.ndarray
    precision: tuple

    def target(self, deviations):
        """Target values, (...), for deviations of all genes from their means, (..., genes)."""
        of_regulators = deviations[..., self.regulators]
        k = len(self.regulators)
        one, other = products_of(k)
        products = of_regulators[..., one] * of_regulators[..., other]
        linear = self.weights[0] + of_regulators @ self.weights[1 : 1 + k]
        return linear + products @ self.weights[1 + k :]

    def variances(self):
        """Posterior variances of the weights."""
        covariance = cho_solve(self.precision, np.eye(len(self.weights)))
        return np.diag(covariance)


class Target:
    """Evidence for sets of regulators in the values of one gene that changes.

    The gene decays towards a constant plus linear and quadratic terms in the deviations of its
    regulators from their means, which approximate saturating Hill terms combined by AND and OR.

    ``values``, (observations,), contains the values after the first time, minus what remains of the
    first value; ``deviations`` are (samples, points, genes); ``memory`` is `Clock.later_memory`;
    ``log_odds`` are those of every edge to this gene, -inf for impossible ones; ``signs`` are those
    of the prior, 0 if free. Observations after the end of a sample are 0, and only add a constant
    to the evidence.
    """

    def __init__(self, values, deviations, memory, noise, beliefs, log_odds, signs):
        self.values = values
        self.deviations = deviations
        self.memory = memory
        self.noise = noise
        self.beliefs: Beliefs = beliefs
        self.log_odds = log_odds
        self.signs = signs
        self.free = signs == 0
        self._open = self.free.copy()  # signs that are free and not yet chosen
        self._constant = np.resize(memory.sum(axis=2), len(values))
        # weighted past of the deviations, (observations, genes)
        past = memory @ deviations
        self.linear = np.asfortranarray(past.reshape(len(values), -1))
        self._squares = np.einsum("og,og->g", self.linear, self.linear)
        self._fits = {}
        self._products = {}

    def fit(self, regulators):
        """`Fit` for a frozenset of regulators."""
        if regulators not in self._fits:
            self._fits[regulators] = self._regress(sorted(regulators))
        return self._fits[regulators]

    def score(self, regulators):
        """Log probability of a set of regulators, up to a constant."""
        chosen = list(regulators)
        of_signs = np.log(2) * self.free[chosen].sum()
        return self.fit(regulators).log_evidence + self.log_odds[chosen].sum() - of_signs

    def search(self, start):
        """`Fit` of the set that no added or removed regulator makes more probable."""
        best = frozenset(start)
        while True:
            larger = [best | {new} for new in self._candidates(best)]
            smaller = [best - {old} for old in best]
            following = max([best, *larger, *smaller], key=self.score)
            if self.score(following) <= self.score(best) + 1e-9:
                return self.fit(best)
            best = following

    def strongest(self, genes):
        """The up to `MOST` most probable regulators among genes, each on its own."""
        gains = self._gains(frozenset())[genes]
        first = np.argsort(-gains, kind="stable")[:MOST]
        return genes[np.sort(first)]

    def probabilities(self, regulators, least=np.inf):
        """Probability of each edge to this gene, given the other regulators in a set.

        For edges neither in the set nor in the prior, it is approximated from the linear effect if
        that is below `least`.
        """
        probabilities = expit(self._gains(regulators))
        in_prior = np.flatnonzero(~self.free & np.isfinite(self.log_odds))
        probable = np.flatnonzero(probabilities >= least)
        for gene in regulators.union(in_prior, probable):
            change = self.score(regulators | {gene}) - self.score(regulators - {gene})
            probabilities[gene] = expit(change)
        return probabilities

    def _candidates(self, regulators):
        """Most probable additional regulators."""
        if len(regulators) >= MOST:
            return []
        gains = self._gains(regulators)
        gains[list(regulators)] = -np.inf
        best = np.argsort(-gains, kind="stable")[:N_TRIED]
        self._open[best] = False
        return best[np.isfinite(gains[best])].tolist()

    def _gains(self, regulators):
        """Gains in log probability from each gene with a linear effect."""
        fit = self.fit(regulators)
        features = fit.features
        square = features.T @ features + _RIDGE * np.eye(len(fit.weights))
        shared = features.T @ self.linear  # (weights, genes)
        projection = np.linalg.solve(square, shared)
        # of what the features leave of the linear effects
        explained = features.T @ fit.residuals
        along = self.linear.T @ fit.residuals - projection.T @ explained
        squares = self._squares - (projection * (shared + _RIDGE * projection)).sum(axis=0)
        expected = np.where(along < 0, -1.0, 1.0)
        self.signs[self._open] = expected[self._open]
        size = squares + (self.noise / _SCREENING_SD) ** 2
        occam = np.log(size * (_SCREENING_SD / self.noise) ** 2) / 2
        return along**2 / size / (2 * self.noise**2) - occam + self.log_odds

    def _regress(self, regulators):
        """`Fit` for a sorted list of regulators, with normal priors and normal noise."""
        signs = self.signs[regulators]
        kinds = kinds_of_weights(len(signs))
        k = min(len(signs), MOST)
        sd = self.beliefs.sds[kinds, k]
        mean = np.zeros(len(kinds))
        mean[0] = _CONSTANT_MEAN
        mean[kinds == SLOPE] = signs * self.beliefs.effect_mean[k]
        # weighted past of 1, regulators and products
        columns = [self._constant, *self.linear[:, regulators].T]
        for one, other in zip(*products_of(len(regulators)), strict=True):
            columns.append(self._product(regulators[one], regulators[other]))
        features = np.column_stack(columns)
        rest = self.values - features @ mean
        variance = self.noise**2
        precision = features.T @ features / variance + np.diag(sd**-2)
        factor = cho_factor(precision, lower=True)
        along = features.T @ rest / variance
        change = cho_solve(factor, along)
        log_evidence = (along @ change - rest @ rest / variance) / 2
        log_evidence -= np.log(np.diag(factor[0])).sum() + np.log(sd).sum()
        log_evidence -= len(rest) * np.log(2 * np.pi * variance) / 2
        weights = mean + change
        residuals = self.values - features @ weights
        return Fit(regulators, signs, log_evidence, weights, kinds, features, residuals, factor)

    def _product(self, one, other):
        """Weighted past of the product of two deviations."""
        if (one, other) not in self._products:
            product = self.deviations[:, :, one] * self.deviations[:, :, other]
            self._products[one, other] = (self.memory @ product[..., None]).ravel()
        return self._products[one, other]


@dataclass
class RegulatedNetwork:
    """``dx/dt = rate * (J(p) - x)``, where J is a constant plus linear terms and products.

    The regulators p are the genes or, if there is a lag, their proteins, with ``dp/dt = (x - p) /
    lag``. They are clipped to `bounds`, as if effects saturated, and J depends on their deviations
    from `means`. Arrays have the shape (genes,); values are x times `scale`.
    """

    rate: np.ndarray
    means: np.ndarray
    bounds: tuple
    fits: dict
    lag: float = 0.0
    scale: float = 1.0

    def decay(self):
        """Decay rates, (genes,) or, with a lag, those of genes and proteins, (2 genes,)."""
        rates = self.rate
        if self.lag:
            rates = np.append(rates, np.full_like(rates, 1 / self.lag))
        return torch.from_numpy(rates)

    def targets(self, state):
        """Target values at a state, both (samples, genes) or, with a lag, (samples, 2 genes)."""
        state = state.numpy()
        n_genes = len(self.rate)
        genes = state[:, :n_genes]
        regulators = state[:, -n_genes:]  # the same without a lag
        deviations = regulators.clip(*self.bounds) - self.means
        drawn_to = np.zeros_like(genes)
        for gene, fit in self.fits.items():
            drawn_to[:, gene] = fit.target(deviations)
        if self.lag:
            drawn_to = np.append(drawn_to, genes, axis=1)
        return torch.from_numpy(drawn_to)

    def follow(self, start, times, tolerance=1e-6):
        """Trajectories of values, (samples, times, genes), from a start (samples, genes)."""
        state = start / self.scale
        if self.lag:  # proteins start at the values of their genes
            state = np.tile(state, 2)
        return self.scale * follow(self, state, times, tolerance)[:, :, : len(self.rate)]
