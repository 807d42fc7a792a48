"""Comparison of a network with models without a network, on held-out parts of the training data."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from sbnn.dynamics.baselines import BASELINES

# number of parts of the training data that are held out in turn
N_FOLDS = 5
MANY = 25  # with this many samples or more, only one part is held out, instead of all parts in turn
PIECE = 5  # largest number of intervals in a piece of a sample
N_BLOCKS = 10
LEAST_GAIN = 0.01  # smallest relative reduction of the held-out error for which the network is used
# if the network alone achieves more than this share of the joint gain, no simple model is added
ALONE = 0.8
#: Models without a network, with which the network is compared. An earlier one is preferred unless
#: it is clearly worse.
SIMPLE = {name: BASELINES[name] for name in ("ar1_mean", "ar1", "ar1_ridge", "ridge", "path")}


@dataclass
class Combination:
    """Weighted mean of a network and of the best model without a network.

    ``weights`` sum to 1; ``best`` names the best model without a network, and ``simple`` is this
    model, fitted, or None if the network predicts alone; ``errors`` are those of `compared`. If
    there were too few intervals to hold any out, ``best`` and ``errors`` are None.
    """

    weights: pd.Series
    best: str | None = None
    simple: BaseEstimator | None = None
    errors: pd.Series | None = None

    @property
    def explains(self):
        """Whether the network has any weight according to held-out intervals."""
        return self.best is not None and bool(self.weights["network"] > 0)

    def follow(self, by_network, start, times):
        """Predict the values at each time from the last ones; `by_network` predicts paths."""
        if self.simple is None:
            return by_network(start, times)
        weight = self.weights["network"]
        path = [start]
        for i in range(times.shape[1] - 1):
            span = times[:, i : i + 2]
            after = (1 - weight) * self.simple.predict(path[-1], span)[:, 1]
            if weight:
                after = after + weight * by_network(path[-1], span)[:, 1]
            path.append(after)
        return np.stack(path, axis=1)

    def verdict(self):
        """Describe in one sentence how well the network predicts held-out intervals."""
        errors = self.errors
        if errors is None:
            return (
                "there are too few intervals to hold any out, so it is unknown how much the "
                "network explains"
            )
        alone, simple, together = errors[["network", self.best, "together"]]
        found = "nothing of the held-out intervals here"
        if self.explains:
            found = f"{1 - together / simple:.0%} of what the best simple model leaves unexplained"
        return (
            f"regulation explains {found}: the held-out error, relative to no change, is "
            f"{alone:.3f} for the network alone, {simple:.3f} for {self.best}, the best simple "
            f"model, and {together:.3f} for their mean"
        )


def combined(samples, fit_network):
    """`Combination` for networks fitted by `fit_network`, as in `held_out_residuals`."""
    weights = pd.Series({"network": 1.0} | dict.fromkeys(SIMPLE, 0.0))
    residuals = held_out_residuals(samples, fit_network)
    if residuals is None:
        return Combination(weights)
    best, weight, errors = compared(residuals)
    weights[["network", best]] = weight, 1 - weight
    simple = clone(SIMPLE[best]).fit(samples) if weight < 1 else None
    return Combination(weights, best, simple, errors)


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

    `fit_network` fits a network to some samples and returns a function that predicts paths from
    starts and times. The result is None if there are too few intervals to hold any out.
    """
    pieces = pieces_of(samples)
    n = len(pieces.times)
    if n < 2:
        return None
    parts = []
    for fold in folds_of(n):
        kept = pieces.chosen(np.setdiff1d(np.arange(n), fold))
        before, after, spans = pieces.chosen(fold).intervals()
        predicted = {"network": fit_network(kept)(before, spans)[:, 1]}
        for name, model in SIMPLE.items():
            predicted[name] = clone(model).fit(kept).predict(before, spans)[:, 1]
        predicted["no change"] = before
        parts.append({name: values - after for name, values in predicted.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compared(residuals):
    """The best simple model, the weight of the network beside it, and errors of all models.

    The weight is 0 if adding the network does not clearly lower the error. Errors are mean squares,
    divided by that of predicting no change; "together" is the weighted mean of both models.
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
    # Averaging two models also reduces the effect of noise in the start, so part of the joint
    # gain may be due to this reduction. If the network alone is nearly as good as the weighted
    # mean of both models, the network is used, because it is simpler.
    if weight > 0 and errors[best] - errors["network"] > ALONE * gain:
        weight = 1.0
    return best, weight, errors / max(errors["no change"], 1e-300)


def best_simple(residuals):
    """First of the models without a network whose error is not clearly above the lowest error."""
    squares = {name: (residuals[name] ** 2).mean(axis=1) for name in SIMPLE}
    lowest = min(squares.values(), key=np.mean)
    for name, of_intervals in squares.items():
        mean, error = mean_and_error(of_intervals - lowest)
        if mean <= error:
            return name
    return None


def best_weight(residuals, gap):
    """Share of `gap`, in [0, 1], which leaves the least sum of squares if subtracted."""
    share = (gap * residuals).sum() / max((gap**2).sum(), 1e-300)
    return float(np.clip(share, 0, 1))


def is_certain(gains):
    """Whether the mean gain of intervals exceeds two standard errors."""
    mean, error = mean_and_error(gains.to_numpy())
    return len(gains) > 1 and mean > 2 * error


def mean_and_error(gains):
    """Mean of the gains of intervals and its standard error; 0 for a single interval.

    Errors of neighbouring intervals are correlated, so means over blocks of intervals are compared.
    """
    n_blocks = min(N_BLOCKS, len(gains))
    if n_blocks == 1:
        return gains.mean(), 0.0
    means = np.array([block.mean() for block in np.array_split(gains, n_blocks)])
    return means.mean(), means.std(ddof=1) / np.sqrt(n_blocks)
