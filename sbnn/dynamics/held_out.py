"""Comparison of networks with models without one, on samples that were held out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from sbnn.dynamics.accuracy import path_errors
from sbnn.dynamics.baselines import BASELINES, AutoRegression

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

    Returns them, whether that of the network is the lowest, and a sentence that says so.
    """
    if not held.values:
        return None, False, "no sample was held out, so it is unknown whether the network helps"
    before, after, _ = held.intervals()
    errors = pd.Series(
        {
            "network": path_errors(predict, held)["mse_ahead"],
            "no change": ((after - before) ** 2).mean(),
            "ar1": path_errors(AutoRegression().fit(train).predict, held)["mse_ahead"],
        }
    )
    helps = bool(errors["network"] < errors[["no change", "ar1"]].min())
    lower = "lower" if helps else "not lower"
    verdict = (
        f"the one-step error of the network in held-out samples, {errors['network']:.2g}, is "
        f"{lower} than those of no change, {errors['no change']:.2g}, and of AR(1), "
        f"{errors['ar1']:.2g}"
    )
    return errors, helps, verdict


@dataclass
class Combination:
    """Weighted mean of a network and of the best model without one.

    `errors` are those of `compared`, in which `best` is the name of the model without a network,
    and `simple` the fitted model. If there were too few intervals to hold any out, they are None.
    """

    weight: float = 1.0  # of the network
    best: str | None = None
    simple: BaseEstimator | None = None
    errors: pd.Series | None = None

    def follow(self, by_network, start, times):
        """Predict each time from the last one; `by_network` predicts paths."""
        if self.weight == 1:
            return by_network(start, times)
        path = [start]
        for i in range(times.shape[1] - 1):
            span = times[:, i : i + 2]
            after = (1 - self.weight) * self.simple.predict(path[-1], span)[:, 1]
            if self.weight > 0:
                after = after + self.weight * by_network(path[-1], span)[:, 1]
            path.append(after)
        return np.stack(path, axis=1)

    def verdict(self):
        """How well the network predicts held-out intervals, in a sentence."""
        if self.errors is None:
            return (
                "there are too few intervals to hold any out, so it is unknown how much the "
                "network explains"
            )
        alone, simple, together = self.errors[["network", self.best, "together"]]
        found = "nothing of the held-out intervals here"
        if self.weight > 0:
            found = f"{1 - together / simple:.0%} of what the best simple model leaves unexplained"
        return (
            f"regulation explains {found}: the held-out error, relative to no change, is "
            f"{alone:.3f} for the network alone, {simple:.3f} for {self.best}, the best simple "
            f"model, and {together:.3f} for their mean"
        )


def combined(samples, fit_network):
    """`Combination` for networks fitted by `fit_network`."""
    residuals = held_out_residuals(samples, fit_network)
    if not residuals:
        return Combination()
    best, weight, errors = compared(residuals)
    return Combination(weight, best, clone(SIMPLE[best]).fit(samples), errors)


def folds_of(n):
    """Positions of the pieces, out of n, that are held out in turn."""
    if n >= MANY:
        return [np.arange(0, n, N_FOLDS)]
    return np.array_split(np.arange(n), min(N_FOLDS, n))


def held_out_residuals(samples, fit_network):
    """Residuals one interval ahead in held-out parts, (intervals, genes), by model.

    `fit_network` fits a network, and returns a function that predicts paths from starts and times.
    The dict is empty if there are too few intervals to hold any out.
    """
    pieces = samples if len(samples.times) >= MANY else samples.pieces(PIECE)
    n = len(pieces.times)
    if n < 2:
        return {}
    parts = []
    for fold in folds_of(n):
        kept = pieces.chosen(np.setdiff1d(np.arange(n), fold))
        predictors = {"network": fit_network(kept)}
        for name, model in SIMPLE.items():
            predictors[name] = clone(model).fit(kept).predict
        before, after, spans = pieces.chosen(fold).intervals()
        part = {"no change": before - after}
        for name, predict in predictors.items():
            part[name] = predict(before, spans)[:, 1] - after
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compared(residuals):
    """The best simple model, the weight of the network beside it, and errors of all models.

    Errors are mean squares relative to no change; "together" is the weighted mean of both models.
    """
    best = best_simple(residuals)
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
    # Averaging also reduces the effect of noise in the start, so a small joint gain over the
    # network alone is no reason for a simple model.
    if weight > 0 and errors[best] - errors["network"] > ALONE * gain:
        weight = 1.0
    return best, weight, errors / max(errors["no change"], 1e-300)


def best_simple(residuals):
    """First model without a network whose error is not clearly above the lowest."""
    squares = {name: (residuals[name] ** 2).mean(axis=1) for name in SIMPLE}
    lowest = min(squares.values(), key=np.mean)
    for name, of_intervals in squares.items():
        mean, error = mean_and_error(of_intervals - lowest)
        if mean <= error:
            return name
    return None


def best_weight(residuals, gap):
    """Share of `gap`, in [0, 1], that leaves the least sum of squares if subtracted."""
    share = (gap * residuals).sum() / max((gap**2).sum(), 1e-300)
    return float(np.clip(share, 0, 1))


def is_certain(gains):
    """Whether the mean gain of intervals exceeds two standard errors."""
    mean, error = mean_and_error(gains.to_numpy())
    return len(gains) > 1 and mean > 2 * error


def mean_and_error(gains):
    """Mean of the gains of intervals and its standard error; 0 for a single interval."""
    # Errors of neighbouring intervals are correlated, so means over blocks are compared.
    n_blocks = min(N_BLOCKS, len(gains))
    if n_blocks == 1:
        return gains.mean(), 0.0
    means = np.array([block.mean() for block in np.array_split(gains, n_blocks)])
    return means.mean(), means.std(ddof=1) / np.sqrt(n_blocks)
