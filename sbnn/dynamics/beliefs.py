"""Prior distributions of effects, and prior odds of edges, learned from all genes (empirical Bayes)."""

from dataclasses import dataclass

import numpy as np

# largest number of regulators found by a search; larger sets share the beliefs for this number
MOST = 15
# smallest initial SD of effects, since a few of many regulators may account for the whole effect
_LEAST_SPREAD = 0.1
_OBSERVATIONS = 10.0  # weight of the initial beliefs, as an equivalent number of observations
#: Number of kinds of edges. The kind depends on whether the edge is in the prior, and on whether
#: its regulator has no, one or several other edges in the prior.
N_KINDS = 6
_FIRST_ODDS = np.array([-9.0, -8.0, -8.0, 1.0, 2.0, 3.0])
# Weight of the initial odds of each kind, as an equivalent number of edges and of pairs of genes.
_SEEN = np.array([[0.5, 5e4]] * 3 + [[1.6, 2.0]] * 3)


@dataclass(frozen=True)
class Beliefs:
    """Distributions of effects by number of regulators, arrays of shape (MOST + 1,), and odds of
    each kind of edge.

    An effect is the slope of a target with respect to a regulator, times the sign of the edge.
    Effects are smaller for genes with more regulators, whether the regulators are combined by AND
    or by OR. ``pair_sd`` and ``square_sd`` are the SDs of the coefficients of products of two
    regulators and of squares; ``log_odds``, of shape (N_KINDS,), contains the log odds that an edge
    of each kind exists.
    """

    effect_mean: np.ndarray
    effect_sd: np.ndarray
    pair_sd: np.ndarray
    square_sd: np.ndarray
    log_odds: np.ndarray


def first_beliefs():
    """Initial beliefs: the mean effect is 1 for a single regulator and decreases with the number of regulators."""
    mean = 0.6 ** np.maximum(np.arange(MOST + 1) - 1.0, 0)
    sd = np.hypot(0.4 * mean, _LEAST_SPREAD)
    return Beliefs(mean, sd, sd, sd / 2, _FIRST_ODDS)


def kinds_of_edges(prior, changing):
    """Kind of each edge: 3 if it is in the prior, plus the number (up to 2) of other prior targets of its regulator."""
    # Targets that are constant within samples do not count: they have no regulators, even if the
    # prior lists some.
    given = prior != 0
    others = given[:, changing].sum(axis=1)[:, None] - (given & changing)
    return np.minimum(others, 2) + 3 * given


def learned_beliefs(fits, probabilities, kinds, possible):
    """Learn `Beliefs` from the fits of all changing genes, the edge probabilities and a mask of possible edges."""
    first = first_beliefs()
    slopes, spread, pairs, squares = ([[] for _ in range(MOST + 1)] for _ in range(4))
    for fit in fits:
        k, variances, (of_slopes, of_pairs, of_squares) = (
            min(len(fit.regulators), MOST),
            fit.variances(),
            fit.parts(),
        )
        moments = fit.weights**2 + variances
        slopes[k] += list(fit.weights[of_slopes] * fit.signs)
        spread[k] += list(variances[of_slopes])
        pairs[k] += list(moments[of_pairs])
        squares[k] += list(moments[of_squares])
    mean = _shrunk(slopes, first.effect_mean)
    around = [
        list((np.array(s) - m) ** 2 + v) for s, v, m in zip(slopes, spread, mean, strict=True)
    ]
    parts = ((around, first.effect_sd), (pairs, first.pair_sd), (squares, first.square_sd))
    seen = [
        (probabilities[chosen].sum(), chosen.sum())
        for chosen in (possible & (kinds == k) for k in range(N_KINDS))
    ]
    edges, pairs_of_genes = (np.array(seen) + _SEEN).T
    share = edges / pairs_of_genes
    return Beliefs(
        mean, *(np.sqrt(_shrunk(found, sd**2)) for found, sd in parts), np.log(share / (1 - share))
    )


def _shrunk(found, at_first):
    """Mean of each list of numbers, shrunk towards the initial value given for the list."""
    n = np.array([len(numbers) for numbers in found])
    means = np.array([np.mean(numbers) if numbers else 0.0 for numbers in found])
    return (n * means + _OBSERVATIONS * at_first) / (n + _OBSERVATIONS)
