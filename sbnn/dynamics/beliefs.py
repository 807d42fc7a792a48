"""Prior distributions of effects and odds of edges (empirical Bayes)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

# kinds of weights of a regression on regulators, besides the constant
SLOPE, PAIR, SQUARE = 1, 2, 3
# largest number of regulators found by a search
MOST = 15
# smallest initial SD of effects
_LEAST_SPREAD = 0.1
_OBSERVATIONS = 10.0  # equivalent of the initial beliefs
#: Number of kinds of edges, see `kinds_of_edges`.
N_KINDS = 6
_FIRST_ODDS = np.array([-9.0, -8.0, -8.0, 1.0, 2.0, 3.0])
# weight of the initial odds, as an equivalent number of edges and of pairs of genes
_FIRST_EDGES = np.array([0.5, 0.5, 0.5, 1.6, 1.6, 1.6])
_FIRST_PAIRS = np.array([5e4, 5e4, 5e4, 2.0, 2.0, 2.0])

# Calibration of probabilities, which assume that the law of regulation is right, by logistic
# regressions on simulated networks (new edges: 81 networks, ten laws; edges of the prior: 300
# networks, five laws).
_NEW_EDGES = (3.3, 2.3, -2.3)
_TEMPERED = 0.25
_OF_PRIOR = (5.0, 2.2)
PERSISTENT = 0.1  # autocorrelation of residuals, which a law without a lag does not exceed
WEAK = 0.3  # share of the largest effect on a gene below which new edges become less probable
MISFIT = 1.5  # a larger misfit shows that the law is wrong, and may remove new edges


def calibrated(probabilities, given, effects, misfit, autocorrelation):
    """Probabilities of edges that agree with the share that is right in simulations.

    `given` marks edges of the prior, and `effects` are absolute, 0 for edges that were not found,
    all [regulator, target].
    """
    new = ~given & (effects > 0)
    share = effects / np.maximum(effects.max(axis=0), 1e-300)
    # If residuals persist, weak new edges may stand for effects that the law cannot describe.
    if autocorrelation > 0:
        probabilities = probabilities * np.where(new & (share < WEAK), share / WEAK, 1)
    log_share = np.log(np.maximum(share, 1e-300))
    constant, of_share, of_misfit = _NEW_EDGES
    of_new = expit(constant + of_share * log_share + of_misfit * np.log(misfit))
    if misfit <= MISFIT:
        of_new = np.maximum(of_new, 0.5)
    of_given = expit(_TEMPERED * logit(probabilities))
    if autocorrelation > PERSISTENT:
        constant, of_share = _OF_PRIOR
        of_effects = expit(constant + of_share * log_share)
        of_given = np.minimum(of_given, np.maximum(of_effects, 0.5))
    lower = new & (probabilities >= 0.5)
    found = np.where(lower, np.minimum(probabilities, of_new), probabilities)
    return np.where(given, of_given, found)


@dataclass
class Beliefs:
    """Distributions of effects by number of regulators, (MOST + 1,), and log odds of edges by kind.

    An effect is a slope times the sign of the edge. ``sds``, (4, MOST + 1), are those of the
    weights of each kind; 0 is the constant.
    """

    effect_mean: np.ndarray
    sds: np.ndarray
    log_odds: np.ndarray


def first_beliefs():
    """Initial beliefs."""
    mean = 0.6 ** np.maximum(np.arange(MOST + 1) - 1, 0)
    sd = np.hypot(0.4 * mean, _LEAST_SPREAD)
    return Beliefs(mean, np.stack([np.ones_like(sd), sd, sd, sd / 2]), _FIRST_ODDS)


def kinds_of_edges(prior, changing):
    """Kind of each edge, [regulator, target]: 3 if it is in the prior, else 0, plus up to 2.

    What is added is the number of other prior targets of its regulator that change in samples.
    """
    given = prior != 0
    counted = given & changing
    others = counted.sum(axis=1)[:, None] - counted
    return np.minimum(others, 2) + 3 * given


def learned_beliefs(fits, probabilities, kinds, possible):
    """`Beliefs` from the fits of all changing genes and the probabilities of possible edges."""
    first = first_beliefs()
    weights = np.concatenate([fit.weights for fit in fits])
    of_weights = np.concatenate([fit.kinds for fit in fits])
    numbers = np.array([len(fit.regulators) for fit in fits for _ in fit.weights])
    slope = of_weights == SLOPE
    effects = weights[slope] * np.concatenate([fit.signs for fit in fits])
    mean = _shrunk(effects, numbers[slope], first.effect_mean)
    squares = weights**2
    squares[slope] = (effects - mean[numbers[slope]]) ** 2
    moments = squares + np.concatenate([fit.variances() for fit in fits])
    sds = first.sds.copy()
    for kind in (SLOPE, PAIR, SQUARE):
        chosen = of_weights == kind
        sds[kind] = np.sqrt(_shrunk(moments[chosen], numbers[chosen], first.sds[kind] ** 2))
    # odds of edges
    of_edges = kinds[possible]
    n_edges = _FIRST_EDGES + np.bincount(of_edges, probabilities[possible], N_KINDS)
    n_pairs = _FIRST_PAIRS + np.bincount(of_edges, minlength=N_KINDS)
    return Beliefs(mean, sds, logit(n_edges / n_pairs))


def _shrunk(values, numbers, first):
    """Means of values by their number of regulators, shrunk towards the first."""
    sums = _OBSERVATIONS * first + np.bincount(numbers, values, MOST + 1)
    return sums / (_OBSERVATIONS + np.bincount(numbers, minlength=MOST + 1))
