"""Baselines of dynamics: the prior itself, no change, constant mean, AR(1), ridge, and a copy of a replicate."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from sbnn.data.trajectories import as_trajectories, prior_matrix

RATES = np.geomspace(0.01, 10, 61)  # tried rates of decay, per mean interval
PENALTIES = np.append(np.geomspace(1e-2, 1e4, 25), np.inf)  # tried, on values as they are


class PriorAlone(BaseEstimator):
    """No learning at all: the prior is the network, and samples stay as they are."""

    def fit(self, trajectories, prior):
        """Keep the prior."""
        names = trajectories.var_names
        self.edge_scores_ = pd.DataFrame(prior_matrix(prior, names), names, names)
        self.sparsity_ = float((self.edge_scores_.to_numpy() == 0).mean())
        return self

    def predict(self, x0, times):
        """Repeat the start; (samples, times, genes)."""
        return np.repeat(np.asarray(x0, dtype=float)[:, None], np.shape(times)[-1], axis=1)


class AutoRegression(BaseEstimator):
    """AR(1) of each gene by itself, at any times: it decays to one level at one rate, and nothing regulates it."""

    def fit(self, trajectories, prior=None):
        """Least squares one interval ahead: the level of each gene for every tried rate, and the best rate."""
        samples = as_trajectories(trajectories)
        before, after, spans = samples.intervals()
        length, names = np.diff(spans, axis=1), samples.gene_names
        rates = RATES[:, None, None] / length.mean()
        left = np.exp(-rates * length)  # (rates, intervals, 1)
        levels = np.stack([((1 - a) * (after - a * before)).sum(axis=0) / ((1 - a) ** 2).sum() for a in left])
        errors = [((after - a * before - (1 - a) * m) ** 2).sum(axis=0) for a, m in zip(left, levels, strict=True)]
        best = np.argmin(errors, axis=0)
        self.rates_, self.levels_ = rates[best, 0, 0], levels[best, np.arange(len(names))]
        self.edge_scores_, self.sparsity_ = pd.DataFrame(0.0, names, names), 1.0
        return self

    def predict(self, x0, times):
        """Decay from the start to the levels; (samples, times, genes)."""
        since = np.atleast_2d(times)[..., None] - np.atleast_2d(times)[:, :1, None]
        return self.levels_ + np.exp(-self.rates_ * since) * (np.asarray(x0, dtype=float)[:, None] - self.levels_)


class Linear(BaseEstimator):
    """One interval ahead by a linear map of the deviations from the gene means, whatever the length of the interval.

    ``kind``: "mean", the gene means; "ar1", one slope for all genes; "ridge", ridge regression of all genes on all;
    "rest", a slope for each gene, shrunk to the common one, and ridge regression of what is left.
    """

    def __init__(self, kind):
        self.kind = kind

    def fit(self, trajectories, prior=None):
        """Least squares over all intervals; the penalty of ridge by held-out blocks of intervals."""
        samples = as_trajectories(trajectories)
        self.mean_ = np.concatenate(samples.values).mean(axis=0)
        before, after = (values - self.mean_ for values in samples.intervals()[:2])
        slopes = np.zeros(len(self.mean_))
        if self.kind in ("ar1", "rest"):
            along, squares = (before * after).sum(axis=0), np.maximum((before**2).sum(axis=0), 1e-12)
            slopes += along.sum() / squares.sum()
            if self.kind == "rest":
                own = along / squares
                variance = ((after - own * before) ** 2).mean(axis=0) / squares
                spread = max(np.median((own - slopes) ** 2 - variance), 1e-6)
                slopes += spread / (spread + variance) * (own - slopes)
        self.map_ = np.diag(slopes)
        if self.kind in ("ridge", "rest"):
            weights, self.penalty_ = held_out_ridge(before, after - slopes * before)
            self.map_ += weights
        self.edge_scores_, self.sparsity_ = pd.DataFrame(0.0, *2 * [samples.gene_names]), 1.0
        return self

    def predict(self, x0, times):
        """Apply the map once for each interval; (samples, times, genes)."""
        path = [np.asarray(x0, dtype=float) - self.mean_]
        for _ in range(np.shape(times)[-1] - 1):
            path.append(path[-1] @ self.map_)
        return self.mean_ + np.stack(path, axis=1)


class Replicate(BaseEstimator):
    """Whatever the start, a copy of the first training sample, interpolated to the times."""

    def fit(self, trajectories, prior=None):
        """Keep the sample."""
        samples = as_trajectories(trajectories)
        names = samples.gene_names
        self.values_, self.times_ = samples.values[0], samples.times[0]
        self.edge_scores_, self.sparsity_ = pd.DataFrame(0.0, names, names), 1.0
        return self

    def predict(self, x0, times):
        """Repeat the sample after the start; (samples, times, genes)."""
        times = np.broadcast_to(times, (len(x0), np.shape(times)[-1]))
        copies = np.stack([np.interp(times, self.times_, gene) for gene in self.values_.T], axis=-1)
        return np.concatenate([np.asarray(x0, dtype=float)[:, None], copies[:, 1:]], axis=1)


#: Name of a baseline -> estimator; records have these names. A copy is only one if the test sample is a replicate.
BASELINES = {
    "prior": PriorAlone(), "mean": Linear("mean"), "ar1_mean": Linear("ar1"), "ar1": AutoRegression(),
    "ridge": Linear("ridge"), "ar1_ridge": Linear("rest"), "replicate": Replicate(),
}  # fmt: skip


def held_out_ridge(X, Y, n_folds=5):
    """Weights, (columns of X, columns of Y), with the penalty that predicts held-out blocks of rows best, and that."""
    rows, errors = np.arange(len(X)), np.zeros(len(PENALTIES))
    for held in np.array_split(rows, min(n_folds, len(X))):
        left, sizes, right = np.linalg.svd(X[kept := np.setdiff1d(rows, held)], full_matrices=False)
        known, new = left.T @ Y[kept], X[held] @ right.T
        for i, penalty in enumerate(PENALTIES):
            errors[i] += ((Y[held] - new @ ((sizes / (sizes**2 + penalty))[:, None] * known)) ** 2).sum()
    penalty = PENALTIES[np.argmin(errors)]
    left, sizes, right = np.linalg.svd(X, full_matrices=False)
    return right.T @ ((sizes / (sizes**2 + penalty))[:, None] * (left.T @ Y)), float(penalty)
