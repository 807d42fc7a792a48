"""Evidence for a set of regulators of one gene, the search for the best set, and the resulting rates of change."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from torch import nn

from sbnn.dynamics.beliefs import MOST

N_TRIED = 6  # number of candidates that a search step tries to add
N_SWAPPED = 2  # number of candidates that are also tried in place of a current regulator
_SCREENING_SD = 0.3  # prior SD of effects, used to rank candidates and to approximate probabilities
_CONSTANT_MEAN, _CONSTANT_SD = 0.5, 1.0


def products_of(k):
    """Pairs (i, j), i <= j, of k regulators whose products are in the model: all pairs, or none if k > `MOST`."""
    return np.triu_indices(k if k <= MOST else 0)


@dataclass(frozen=True)
class Fit:
    """Regression of a gene on a set of regulators, given by their positions in ascending order.

    ``signs`` are the expected signs of the effects, 1 or -1; ``log_evidence`` is the log evidence
    after integration over all weights; ``weights`` are the constant, the slopes, and the
    coefficients of products in the order of `products_of`; ``features`` has the shape
    (observations, weights); ``precision`` is the Cholesky factor of the precision matrix of the
    weights.
    """

    regulators: tuple
    signs: np.ndarray
    log_evidence: float
    weights: np.ndarray
    features: np.ndarray
    precision: tuple

    def parts(self):
        """Positions in `weights` of the slopes, of the products of two regulators and of the squares."""
        k = len(self.regulators)
        one, other = products_of(k)
        return (
            np.arange(1, k + 1),
            1 + k + np.flatnonzero(one != other),
            1 + k + np.flatnonzero(one == other),
        )

    def target(self, deviations):
        """Target values, of shape (...), for deviations of the k regulators from their means, of shape (..., k)."""
        one, other = products_of(len(self.regulators))
        _, slopes, products = np.split(self.weights, [1, 1 + len(self.regulators)])
        return (
            self.weights[0]
            + deviations @ slopes
            + (deviations[..., one] * deviations[..., other]) @ products
        )

    def slopes(self, deviations):
        """Derivatives of the target value with respect to the k regulators, at given deviations
        from their means.

        The derivatives and the deviations have the shape (..., k).
        """
        k = len(self.regulators)
        of_products = np.zeros((k, k))
        of_products[products_of(k)] = self.weights[1 + k :]
        return self.weights[1 : 1 + k] + deviations @ (of_products + of_products.T)

    def variances(self):
        """Posterior variances of the weights."""
        return np.diag(cho_solve(self.precision, np.eye(len(self.weights))))


class Target:
    """Evidence for sets of regulators in the values of one gene that changes.

    The gene decays towards a target value: a constant plus linear and quadratic terms in the
    deviations of its regulators from their means. Within the range of the data, these terms
    approximate saturating Hill terms combined by AND and OR.

    ``values``, of shape (observations,), contains the values after the first time, minus what
    remains of the first value; ``linear``, of shape (observations, genes), is the weighted past of
    the deviation of each gene; ``deviations`` has the shape (samples, points, genes); ``memory``,
    of shape (m, times - 1, points), is returned by `Clock.later_memory`; ``log_odds`` contains the
    log odds of every edge to this gene, -inf for impossible edges; ``signs`` contains the sign of
    each edge in the prior, 0 if the sign is free. Observations after the end of a sample are 0 in
    ``values``, ``linear`` and ``memory``, and only add a constant to the evidence.
    """

    def __init__(self, values, linear, deviations, memory, noise, beliefs, log_odds, signs):
        self.values, self.linear, self.deviations, self.memory = values, linear, deviations, memory
        self.noise, self.beliefs, self.log_odds = noise, beliefs, log_odds
        self.signs, self.free = signs.astype(float), signs == 0
        self._open = self.free.copy()  # signs that are free and not yet chosen
        self._fits, self._products = {}, {}
        self._constant = np.broadcast_to(
            memory.sum(axis=2), (len(deviations), memory.shape[1])
        ).ravel()

    def fit(self, regulators):
        """`Fit` for a frozenset of regulators; each set is fitted only once."""
        if regulators not in self._fits:
            self._fits[regulators] = self._regress(tuple(sorted(regulators)))
        return self._fits[regulators]

    def score(self, regulators):
        """Log probability of a set of regulators, up to a constant."""
        chosen = list(regulators)
        # A free sign was chosen from two equally probable signs.
        return (
            self.fit(regulators).log_evidence
            + self.log_odds[chosen].sum()
            - np.log(2) * self.free[chosen].sum()
        )

    def search(self, start):
        """Add, remove or exchange one regulator at a time while the set gets more probable; returns the last `Fit`."""
        best = frozenset(start)
        score = self.score(best)
        while True:
            candidates = self._candidates(best)
            moves = [best | {new} for new in candidates] + [best - {old} for old in best]
            moves += [(best - {old}) | {new} for new in candidates[:N_SWAPPED] for old in best]
            scores = [self.score(move) for move in moves]
            if not moves or max(scores) <= score + 1e-9:
                return self.fit(best)
            score, best = max(scores), moves[int(np.argmax(scores))]

    def strongest(self, genes):
        """The `MOST` most probable regulators among many genes, with each gene considered on its own."""
        return genes[np.sort(np.argsort(-self._gains(frozenset())[genes], kind="stable")[:MOST])]

    def probabilities(self, regulators):
        """Probability of each edge to this gene, given the other regulators in a set.

        For edges that are neither in the set nor in the prior, the probability is approximated from
        the linear effect.
        """
        with np.errstate(over="ignore"):
            probabilities = 1 / (1 + np.exp(-self._gains(regulators)))
            for gene in regulators | set(np.flatnonzero(~self.free & np.isfinite(self.log_odds))):
                change = self.score(regulators | {gene}) - self.score(regulators - {gene})
                probabilities[gene] = 1 / (1 + np.exp(-change))
        return probabilities

    def _candidates(self, regulators):
        """Genes that are most likely to be additional regulators."""
        if len(regulators) >= MOST:
            return []
        gains = self._gains(regulators)
        gains[list(regulators)] = -np.inf
        best = np.argsort(-gains, kind="stable")[:N_TRIED]
        self._open[best] = False
        return [int(gene) for gene in best if np.isfinite(gains[gene])]

    def _gains(self, regulators):
        """Gains in log probability, of shape (genes,), from adding each gene as a regulator with a linear effect."""
        fit = self.fit(regulators)
        square = fit.features.T @ fit.features + 1e-6 * np.eye(len(fit.weights))
        projection = np.linalg.solve(square, fit.features.T @ self.linear)
        rest = self.linear - fit.features @ projection
        along = rest.T @ (self.values - fit.features @ fit.weights)
        size = (rest**2).sum(axis=0) + (self.noise / _SCREENING_SD) ** 2
        self.signs[self._open] = np.where(along[self._open] < 0, -1.0, 1.0)
        occam = np.log(size * (_SCREENING_SD / self.noise) ** 2) / 2
        return along**2 / size / (2 * self.noise**2) - occam + self.log_odds

    def _regress(self, regulators):
        k, chosen = len(regulators), list(regulators)
        signs, at = self.signs[chosen], min(k, MOST)
        one, other = products_of(k)
        columns = [self._constant, *self.linear[:, chosen].T]
        columns += [self._product(chosen[i], chosen[j]) for i, j in zip(one, other, strict=True)]
        features = np.stack(columns, axis=1)
        of_products = np.where(one == other, self.beliefs.square_sd[at], self.beliefs.pair_sd[at])
        sd = np.concatenate([[_CONSTANT_SD], np.full(k, self.beliefs.effect_sd[at]), of_products])
        mean = np.concatenate(
            [[_CONSTANT_MEAN], signs * self.beliefs.effect_mean[at], np.zeros(len(one))]
        )
        rest = self.values - features @ mean
        precision = cho_factor(features.T @ features / self.noise**2 + np.diag(sd**-2), lower=True)
        along = features.T @ rest / self.noise**2
        change = cho_solve(precision, along)
        log_evidence = (along @ change - rest @ rest / self.noise**2) / 2 - np.log(
            np.diag(precision[0])
        ).sum()
        log_evidence = (
            log_evidence - np.log(sd).sum() - len(rest) * np.log(2 * np.pi * self.noise**2) / 2
        )
        return Fit(regulators, signs, float(log_evidence), mean + change, features, precision)

    def _product(self, one, other):
        """Weighted past of the product of two deviations, an array of shape (observations,)."""
        if (one, other) not in self._products:
            product = self.deviations[:, :, one] * self.deviations[:, :, other]
            self._products[one, other] = (self.memory @ product[..., None])[..., 0].ravel()
        return self._products[one, other]


class RegulatedNetwork(nn.Module):
    """``dx/dt = decay * (J(p) - x)``, where J is a constant plus linear terms and products of two
    regulators.

    The regulators p are the genes themselves or, if there is a lag, their proteins, with ``dp/dt =
    (x - p) / lag``.
    """

    # Regulators are clipped to [`lowest`, `highest`] to keep J bounded, as if their effects
    # saturated.

    def __init__(self, decay, means, lowest, highest, fits, lag=0.0):
        super().__init__()
        constant, places, weights = np.zeros(len(decay)), [], []
        for gene, fit in fits.items():
            constant[gene], k = fit.weights[0], len(fit.regulators)
            # the last position stands for a factor of 1
            chosen = np.array([*fit.regulators, len(decay)])
            pairs = np.concatenate([[range(k), [k] * k], products_of(k)], axis=1).astype(int)
            places += [(gene, chosen[one], chosen[other]) for one, other in pairs.T]
            weights += [*fit.weights[1:]]
        self.register_buffer(
            "places", torch.tensor(np.reshape(places, (-1, 3)).T, dtype=torch.int64)
        )
        buffers = {
            "rate": decay,
            "means": means,
            "lowest": lowest,
            "highest": highest,
            "constant": constant,
        }
        for name, value in (buffers | {"weights": weights}).items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

        self.lag = float(lag)

    def decay(self):
        """Decay rates of the genes, of shape (genes,).

        With a lag, the decay rates of the proteins follow, and the shape is (2 genes,).
        """
        return (
            torch.cat([self.rate, torch.full_like(self.rate, 1 / self.lag)])
            if self.lag
            else self.rate
        )

    def targets(self, state):
        """Target values at a state.

        State and target values have the shape (samples, genes) or, with a lag, (samples, 2 genes),
        where the proteins follow the genes.
        """
        if self.lag:
            genes, proteins = state.chunk(2, dim=1)
            return torch.cat([self._drawn_to(proteins), genes], dim=1)
        return self._drawn_to(state)

    def _drawn_to(self, x):
        deviations = x.clamp(self.lowest, self.highest) - self.means
        factors = torch.cat([deviations, torch.ones_like(x[:, :1])], dim=1)
        gene, one, other = self.places
        terms = factors[:, one] * factors[:, other] * self.weights
        return self.constant.expand_as(x).index_add(1, gene, terms)
