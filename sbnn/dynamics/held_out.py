"""Comparison of a network with models without a network, on held-out parts of the training data."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.dynamics.baselines import BASELINES
from sbnn.dynamics.solver import follow

# number of parts of the training data that are held out in turn
N_FOLDS = 5
MANY = 25  # with this many samples or more, only one part is held out, instead of all parts in turn
PIECE = 5  # largest number of intervals in a piece of a sample
N_BLOCKS = 10
LEAST_GAIN = 0.01  # smallest relative reduction of the held-out error for which the network is used
# if the network alone achieves more than this share of the joint gain, no simple model is added
ALONE = 0.8
#: Models without a network, with which the network is compared.
SIMPLE = {name: BASELINES[name] for name in ("ar1_mean", "ar1", "ridge", "ar1_ridge", "path")}


def followed(network, start, times):
    """Trajectories of a `RegulatedNetwork`, (samples, times, genes), from (samples, genes)."""
    if not network.lag:
        return follow(network, start, times)
    # With a lag, the network also follows the proteins, which start at the values of their genes.
    genes_and_proteins = np.tile(start, 2)
    n_genes = start.shape[1]
    return follow(network, genes_and_proteins, times)[:, :, :n_genes]


def folds_of(n):
    """Positions of the pieces, out of n, that are held out in turn."""
    if n >= MANY:
        return [np.arange(0, n, N_FOLDS)]
    return np.array_split(np.arange(n), min(N_FOLDS, n))


def pieces_of(samples):
    """Samples or, if they are few, their pieces, of which some are held out."""
    return samples if len(samples.times) >= MANY else samples.pieces(PIECE)


def n_folds(samples):
    """Number of fits without a part of the samples."""
    n = len(pieces_of(samples).times)
    return len(folds_of(n)) if n > 1 else 0


def held_out_residuals(samples, fit_network):
    """Residuals of predictions one interval ahead, of shape (intervals, genes), by model.

    `fit_network` returns the `RegulatedNetwork` of some samples. The result is None if there are
    too few intervals to hold any out.
    """
    pieces = pieces_of(samples)
    n = len(pieces.times)
    if n < 2:
        return None
    parts = []
    for fold in folds_of(n):
        kept = pieces.chosen(np.setdiff1d(np.arange(n), fold))
        before, after, spans = pieces.chosen(fold).intervals()
        predicted = {"network": followed(fit_network(kept), before, spans)[:, 1]}
        for name, model in SIMPLE.items():
            predicted[name] = clone(model).fit(kept).predict(before, spans)[:, 1]
        predicted["no change"] = before
        parts.append({name: values - after for name, values in predicted.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compared(residuals):
    """The best simple model, the weight of the network relative to it, and errors of all models.

    The weight is 0 if adding the network does not clearly lower the error. Errors are mean squares,
    divided by that of predicting no change; "together" is the weighted mean of both models.
    """
    best = min(SIMPLE, key=lambda name: (residuals[name] ** 2).mean())
    gap = residuals[best] - residuals["network"]
    weight = best_weight(residuals[best], gap)
    everything = residuals | {"together": residuals[best] - weight * gap}
    squares = pd.DataFrame()  # intervals by models
    for name, rest in everything.items():
        squares[name] = (rest**2).mean(axis=1)
    errors = squares.mean()
    gain = errors[best] - errors["together"]
    certain = is_certain(squares[best] - squares["together"])
    if not certain or gain <= LEAST_GAIN * errors[best]:
        weight = 0.0
    # Averaging two models also reduces the effect of noise in the start, so part of the joint
    # gain may be due to this reduction. If the network alone is nearly as good as the weighted
    # mean of both models, the network is used, because it is simpler.
    if weight > 0 and errors[best] - errors["network"] > ALONE * gain:
        weight = 1.0
    return best, weight, errors / max(errors["no change"], 1e-300)


def best_weight(residuals, gap):
    """Share of `gap`, in [0, 1], which leaves the least sum of squares if subtracted."""
    share = (gap * residuals).sum() / max((gap**2).sum(), 1e-300)
    return float(np.clip(share, 0, 1))


def is_certain(gains):
    """Whether the mean gain of intervals exceeds two standard errors.

    Errors of neighbouring intervals are correlated, so means over blocks of intervals are compared.
    """
    n_blocks = min(N_BLOCKS, len(gains))
    blocks = np.array_split(gains.to_numpy(), n_blocks)
    means = np.array([block.mean() for block in blocks])
    if n_blocks == 1:
        return False
    return means.mean() > 2 * means.std(ddof=1) / np.sqrt(n_blocks)
