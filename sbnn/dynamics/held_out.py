"""Comparison of networks with models without one, on samples that were held out."""

from collections import defaultdict

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.dynamics.accuracy import path_errors
from sbnn.dynamics.baselines import BASELINES, AutoRegression, PriorAlone

N_FOLDS = 5
MANY = 25  # number of samples from which on only one part is held out, instead of all in turn
PIECE = 5  # largest number of intervals in a piece of a sample
N_BLOCKS = 10
LEAST_GAIN = 0.01  # smallest relative reduction of the held-out error for which the network is used
ALONE = 0.8  # share of the joint gain above which the network is used without a simple model
#: Models without a network; an earlier one is preferred unless it is clearly worse.
SIMPLE = {name: BASELINES[name] for name in ("ar1_mean", "ar1", "ar1_ridge", "ridge", "path")}


def validated(predict, train, held):
    """One-step errors of a network and of models without one in held-out samples.

    Returns them, whether that of the network is the lowest, and this in a sentence.
    """
    if not held.values:
        return None, False, "no sample was held out, so it is unknown whether the network helps"
    predictors = {"network": predict, "no change": PriorAlone().fit(train).predict}
    predictors["ar1"] = AutoRegression().fit(train).predict
    errors = {name: path_errors(model, held)["mse_ahead"] for name, model in predictors.items()}
    network, *others = errors.values()
    helps = bool(network < min(others))
    verdict = (
        "the one-step error of the network in held-out samples, {:.2g}, is {} than those of no "
        "change, {:.2g}, and of AR(1), {:.2g}"
    )
    verdict = verdict.format(network, "lower" if helps else "not lower", *others)
    return pd.Series(errors), helps, verdict


def held_out_residuals(samples, fit_network):
    """Residuals one interval ahead in held-out parts, (intervals, genes), by model.

    `fit_network` fits a network, and returns a function that predicts paths from starts and times.
    """
    pieces = samples if len(samples.times) >= MANY else samples.pieces(PIECE)
    n = len(pieces.times)
    if n < 2:
        raise ValueError("trajectories: too few intervals to hold any out")
    folds = [np.arange(0, n, N_FOLDS)]
    if n < MANY:
        folds = np.array_split(np.arange(n), min(N_FOLDS, n))
    residuals = defaultdict(list)
    for fold in folds:
        kept = pieces.chosen(np.setdiff1d(np.arange(n), fold))
        of_prior = PriorAlone().fit(kept)
        predictors = {"no change": of_prior.predict, "network": fit_network(kept)}
        for name, model in SIMPLE.items():
            predictors[name] = clone(model).fit(kept).predict
        before, after, spans = pieces.chosen(fold).intervals()
        for name, predict in predictors.items():
            residuals[name].append(predict(before, spans)[:, 1] - after)
    return {name: np.concatenate(parts) for name, parts in residuals.items()}


def compared(residuals):
    """The best simple model, the weight of the network beside it, and errors of all models.

    The best is the first whose error is not clearly above the lowest. Errors are mean squares
    relative to no change; "together" is that of the weighted mean.
    """
    squares = {name: (rest**2).mean(axis=1) for name, rest in residuals.items()}
    lowest = min((squares[name] for name in SIMPLE), key=np.mean)
    for best in SIMPLE:
        mean, error = mean_and_error(squares[best] - lowest)
        if mean <= error:
            break
    rest = residuals[best]
    gap = rest - residuals["network"]
    # the weight that leaves the least sum of squares
    weight = float(np.clip((gap * rest).sum() / max((gap**2).sum(), 1e-300), 0, 1))
    squares["together"] = ((rest - weight * gap) ** 2).mean(axis=1)
    errors = pd.DataFrame(squares).mean()
    gain = errors[best] - errors["together"]
    mean, error = mean_and_error(squares[best] - squares["together"])
    if mean <= 2 * error or gain <= LEAST_GAIN * errors[best]:
        weight = 0.0
    # Averaging also reduces the effect of noise in the start.
    if weight > 0 and errors[best] - errors["network"] > ALONE * gain:
        weight = 1.0
    return best, weight, errors / max(errors["no change"], 1e-300)


def mean_and_error(gains):
    """Mean of the gains of intervals and its standard error."""
    # Errors of neighbouring intervals are correlated, so means over blocks are compared.
    n_blocks = min(N_BLOCKS, len(gains))
    means = np.array([block.mean() for block in np.array_split(gains, n_blocks)])
    return means.mean(), means.std(ddof=1) / np.sqrt(n_blocks)


def explained(best, weight, errors):
    """How well a network predicts held-out intervals, in a sentence, from what `compared` gives."""
    alone, simple, together = errors[["network", best, "together"]]
    found = f"{1 - together / simple:.0%}" if weight > 0 else "nothing"
    return (
        f"regulation explains {found} of what {best}, the best simple model, leaves: the held-out "
        f"error, relative to no change, is {alone:.3f} for the network alone, {simple:.3f} for "
        f"{best}, and {together:.3f} for their mean"
    )
