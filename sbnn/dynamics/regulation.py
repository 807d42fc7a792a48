"""Evidence for sets of regulators of a gene, and the search for the best set."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from sbnn.dynamics.beliefs import MOST, PAIR, SLOPE, SQUARE, Beliefs
from sbnn.dynamics.solver import follow

N_TRIED = 6  # candidates that a search step tries to add
N_SWAPPED = 2  # candidates that are also tried in place of a regulator
_RIDGE = 1e-6  # added to the products of features, which may be collinear
_SCREENING_SD = 0.3  # prior SD of effects, to rank candidates and approximate probabilities
_CONSTANT_MEAN, _CONSTANT_SD = 0.5, 1.0


@cache
def products_of(k):
    """Pairs (i, j), i <= j, of k regulators with products; none if k > `MOST`."""
    if k > MOST:
        k = 0
    return np.triu_indices(k)


@cache
def kinds_of_weights(k):
    """Kinds of the weights of k regulators; 0 is the constant."""
    one, other = products_of(k)
    return np.r_[0, np.full(k, SLOPE), np.where(one == other, SQUARE, PAIR)]


def logistic(log_odds):
    """Probability from log odds."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-log_odds))


@dataclass(frozen=True)
class Fit:
    """Regression of a gene on a set of regulators, given by their positions in ascending order.

    ``signs`` are the expected signs of the effects, 1 or -1; ``weights`` are the constant, the
    slopes, and the coefficients of products in the order of `products_of`; ``features`` has the
    shape (observations, weights), ``residuals`` (observations,); ``precision`` is the Cholesky
    factor of the precision matrix of the weights.
    """

    regulators: tuple
    signs: np.ndarray
    log_evidence: float
    weights: np.ndarray
    features: np.ndarray
    residuals: np.ndarray
    precision: tuple

    @property
    def kinds(self):
        """Kind of each weight, as in `kinds_of_weights`."""
        return kinds_of_weights(len(self.regulators))

    def target(self, deviations):
        """Target values, (...), for deviations of the k regulators from their means, (..., k)."""
        k = len(self.regulators)
        one, other = products_of(k)
        products = deviations[..., one] * deviations[..., other]
        linear = self.weights[0] + deviations @ self.weights[1 : 1 + k]
        return linear + products @ self.weights[1 + k :]

    def slopes(self, deviations):
        """Derivatives of `target`, of the shape of the deviations."""
        k = len(self.regulators)
        of_products = np.zeros((k, k))
        of_products[products_of(k)] = self.weights[1 + k :]
        return self.weights[1 : 1 + k] + deviations @ (of_products + of_products.T)

    def variances(self):
        """Posterior variances of the weights."""
        covariance = cho_solve(self.precision, np.eye(len(self.weights)))
        return np.diag(covariance)


@dataclass
class Target:
    """Evidence for sets of regulators in the values of one gene that changes.

    The gene decays towards a constant plus linear and quadratic terms in the deviations of its
    regulators from their means, which approximate saturating Hill terms combined by AND and OR.

    ``values``, (observations,), contains the values after the first time, minus what remains of the
    first value; ``linear``, (observations, genes), is the weighted past of the deviations,
    (samples, points, genes); ``memory``, (m, times - 1, points), is that of `Clock.later_memory`;
    ``log_odds`` contains those of every edge to this gene, -inf for impossible edges; ``signs``,
    floats, are those of the prior, 0 if free and found during the search. Observations after the
    end of a sample are 0, and only add a constant to the evidence.
    """

    values: np.ndarray
    linear: np.ndarray
    deviations: np.ndarray
    memory: np.ndarray
    noise: float
    beliefs: Beliefs
    log_odds: np.ndarray
    signs: np.ndarray

    def __post_init__(self):
        self.free = self.signs == 0
        self._open = self.free.copy()  # signs that are free and not yet chosen
        self._constant = np.resize(self.memory.sum(axis=2), len(self.values))
        self._fits = {}
        self._products = {}

    @cached_property
    def _squares(self):
        return np.einsum("og,og->g", self.linear, self.linear)

    def fit(self, regulators):
        """`Fit` for a frozenset of regulators."""
        if regulators not in self._fits:
            self._fits[regulators] = self._regress(sorted(regulators))
        return self._fits[regulators]

    def score(self, regulators):
        """Log probability of a set of regulators, up to a constant."""
        chosen = list(regulators)
        log_odds = self.log_odds[chosen].sum()
        of_signs = np.log(2) * self.free[chosen].sum()
        return self.fit(regulators).log_evidence + log_odds - of_signs

    def search(self, start):
        """`Fit` of the set that no added, removed or exchanged regulator makes more probable."""
        best = frozenset(start)
        while True:
            following = max([best, *self._moves(best)], key=self.score)
            if self.score(following) <= self.score(best) + 1e-9:
                return self.fit(best)
            best = following

    def _moves(self, regulators):
        candidates = self._candidates(regulators)
        moves = [regulators | {new} for new in candidates]
        without = [regulators - {old} for old in regulators]
        moves += without
        for new in candidates[:N_SWAPPED]:
            moves += [others | {new} for others in without]
        return moves

    def strongest(self, genes):
        """The `MOST` most probable regulators among many genes, each on its own."""
        gains = self._gains(frozenset())[genes]
        first = np.argsort(-gains, kind="stable")[:MOST]
        return genes[np.sort(first)]

    def probabilities(self, regulators, least=np.inf):
        """Probability of each edge to this gene, given the other regulators in a set.

        For edges neither in the set nor in the prior, it is approximated from the linear effect,
        unless the approximation is at least `least`.
        """
        probabilities = logistic(self._gains(regulators))
        in_prior = np.flatnonzero(~self.free & np.isfinite(self.log_odds))
        probable = np.flatnonzero(probabilities >= least)
        for gene in regulators.union(in_prior, probable):
            change = self.score(regulators | {gene}) - self.score(regulators - {gene})
            probabilities[gene] = logistic(change)
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
        mean, sd = self._expected(signs)
        features = self._features(regulators)
        rest = self.values - features @ mean
        variance = self.noise**2
        precision = features.T @ features / variance + np.diag(sd**-2)
        factor = cho_factor(precision, lower=True)
        along = features.T @ rest / variance
        change = cho_solve(factor, along)
        log_evidence = (along @ change - rest @ rest / variance) / 2
        log_evidence -= np.log(np.diag(factor[0])).sum()
        log_evidence -= np.log(sd).sum()
        log_evidence -= len(rest) * np.log(2 * np.pi * variance) / 2
        weights = mean + change
        residuals = self.values - features @ weights
        return Fit(tuple(regulators), signs, log_evidence, weights, features, residuals, factor)

    def _expected(self, signs):
        """Prior mean and SD of the weights of regulators with these signs."""
        k = min(len(signs), MOST)
        beliefs = self.beliefs
        kinds = kinds_of_weights(len(signs))
        mean = np.zeros(len(kinds))
        mean[0] = _CONSTANT_MEAN
        mean[kinds == SLOPE] = signs * beliefs.effect_mean[k]
        sd = [_CONSTANT_SD, beliefs.effect_sd[k], beliefs.pair_sd[k], beliefs.square_sd[k]]
        return mean, np.take(sd, kinds)

    def _features(self, regulators):
        """Weighted past of 1, regulators and products."""
        k = len(regulators)
        one, other = products_of(k)
        features = np.empty((len(self.values), 1 + k + len(one)))
        features[:, 0] = self._constant
        features[:, 1 : 1 + k] = self.linear[:, regulators]
        pairs = [(regulators[i], regulators[j]) for i, j in zip(one, other, strict=True)]
        self._add_products([pair for pair in pairs if pair not in self._products])
        for column, pair in enumerate(pairs, start=1 + k):
            features[:, column] = self._products[pair]
        return features

    def _add_products(self, pairs):
        """Store the weighted past of products of two deviations."""
        if pairs:
            one, other = np.transpose(pairs)
            of_genes = self.deviations.transpose(2, 0, 1)
            products = of_genes[one] * of_genes[other]  # (pairs, samples, points)
            past = (self.memory @ products.transpose(1, 2, 0)).reshape(len(self.values), -1)
            self._products.update(zip(pairs, past.T.copy(), strict=True))


class RegulatedNetwork:
    """``dx/dt = decay * (J(p) - x)``, where J is a constant plus linear terms and products.

    The regulators p are the genes themselves or, if there is a lag, their proteins, with ``dp/dt =
    (x - p) / lag``. They are clipped to [`lowest`, `highest`], as if effects saturated, and J
    depends on their deviations from `means`. Arrays have the shape (genes,); `fits` maps genes to
    `Fit`.
    """

    def __init__(self, rate, means, lowest, highest, fits, lag=0.0):
        self.rate = torch.tensor(rate)
        self.means = torch.tensor(means)
        self.lowest = torch.tensor(lowest)
        self.highest = torch.tensor(highest)
        self.lag = float(lag)
        none = len(rate)  # position of a factor of 1
        self.constant = torch.zeros_like(self.rate)
        terms = [np.zeros((0, 3), dtype=int)]  # gene, regulator, regulator or `none`
        weights = [np.zeros(0)]
        for gene, fit in fits.items():
            self.constant[gene] = fit.weights[0]
            weights.append(fit.weights[1:])
            regulators = np.array(fit.regulators, dtype=int)
            one, other = products_of(len(regulators))
            first = np.append(regulators, regulators[one])
            second = np.append(np.full_like(regulators, none), regulators[other])
            terms.append(np.stack([np.full_like(first, gene), first, second], axis=1))
        self.terms = torch.tensor(np.concatenate(terms)).T
        self.weights = torch.tensor(np.concatenate(weights))

    def decay(self):
        """Decay rates, (genes,) or, with a lag, those of genes and proteins, (2 genes,)."""
        if not self.lag:
            return self.rate
        of_proteins = torch.full_like(self.rate, 1 / self.lag)
        return torch.cat([self.rate, of_proteins])

    def targets(self, state):
        """Target values at a state, both (samples, genes) or, with a lag, (samples, 2 genes)."""
        if not self.lag:
            return self._drawn_to(state)
        genes, proteins = state.chunk(2, dim=1)
        return torch.cat([self._drawn_to(proteins), genes], dim=1)

    def _drawn_to(self, regulators):
        deviations = regulators.clamp(self.lowest, self.highest) - self.means
        none = torch.ones_like(regulators[:, :1])
        factors = torch.cat([deviations, none], dim=1)
        gene, one, other = self.terms
        effects = factors[:, one] * factors[:, other] * self.weights
        return self.constant.expand_as(regulators).index_add(1, gene, effects)


def followed(network, start, times, tolerance=1e-6):
    """Trajectories of a `RegulatedNetwork`, (samples, times, genes), from (samples, genes)."""
    if not network.lag:
        return follow(network, start, times, tolerance)
    # proteins start at the values of their genes
    genes_and_proteins = np.tile(start, 2)
    n_genes = start.shape[1]
    return follow(network, genes_and_proteins, times, tolerance)[:, :, :n_genes]
