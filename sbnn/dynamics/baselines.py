"""Baselines for models of dynamics: the prior alone, constant mean, AR(1), ridge, training path and replicate."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from sbnn.data.trajectories import as_trajectories, prior_matrix

# kernel width for weighting intervals, relative to the median squared distance to the nearest
# interval
NEAR = 0.1
RATES = np.geomspace(0.01, 10, 61)  # candidate decay rates, in units of 1 / (mean interval)
# candidate ridge penalties, for unscaled values
PENALTIES = np.append(np.geomspace(1e-2, 1e4, 25), np.inf)


class PriorAlone(BaseEstimator):
    """Baseline without learning: it returns the prior as the network and predicts no change."""

    def fit(self, trajectories, prior):
        """Store the prior as the network."""
        names = trajectories.var_names
        self.edge_scores_ = pd.DataFrame(prior_matrix(prior, names), names, names)
        self.sparsity_ = float((self.edge_scores_.to_numpy() == 0).mean())
        return self

    def predict(self, x0, times):
        """Repeat the start at every time; returns an array of shape (samples, times, genes)."""
        return np.repeat(np.asarray(x0, dtype=float)[:, None], np.shape(times)[-1], axis=1)


class _WithoutEdges(BaseEstimator):
    """Base class of baselines without regulation; subclasses define `_learn`, which takes `Samples`."""

    def fit(self, trajectories, prior=None):
        """Fit to all samples, ignoring the prior."""
        samples = as_trajectories(trajectories)
        self.edge_scores_, self.sparsity_ = pd.DataFrame(0.0, *2 * [samples.gene_names]), 1.0
        self._learn(samples)
        return self


class AutoRegression(_WithoutEdges):
    """AR(1) in continuous time: each gene decays to its own level at its own rate, without regulators."""

    def _learn(self, samples):
        """Choose the level and the decay rate of each gene that predict its next value with the least squared error."""
        before, after, spans = samples.intervals()
        length = np.diff(spans, axis=1)
        rates = RATES[:, None, None] / length.mean()
        left = np.exp(-rates * length)  # of shape (rates, intervals, 1)
        levels = np.stack(
            [((1 - a) * (after - a * before)).sum(axis=0) / ((1 - a) ** 2).sum() for a in left]
        )
        errors = [
            ((after - a * before - (1 - a) * m) ** 2).sum(axis=0)
            for a, m in zip(left, levels, strict=True)
        ]
        best = np.argmin(errors, axis=0)
        self.rates_, self.levels_ = rates[best, 0, 0], levels[best, np.arange(len(best))]

    def predict(self, x0, times):
        """Let each gene decay from its start towards its level; returns an array of shape (samples, times, genes)."""
        since = np.atleast_2d(times)[..., None] - np.atleast_2d(times)[:, :1, None]
        return self.levels_ + np.exp(-self.rates_ * since) * (
            np.asarray(x0, dtype=float)[:, None] - self.levels_
        )


class Linear(_WithoutEdges):
    """Linear map from the deviations of genes from their means to those at the next time; all
    intervals count alike.

    ``kind`` is one of "mean", which predicts the gene means; "ar1", one slope for all genes;
    "ridge", ridge regression of all genes on all genes; and "rest", a slope for each gene, shrunk
    towards the common slope, plus ridge regression of the residuals.
    """

    def __init__(self, kind):
        self.kind = kind

    def _learn(self, samples):
        """Fit by least squares over all intervals; the ridge penalty is chosen on held-out blocks of intervals."""
        self.mean_ = np.concatenate(samples.values).mean(axis=0)
        before, after = (values - self.mean_ for values in samples.intervals()[:2])
        slopes = np.zeros(len(self.mean_))
        if self.kind in ("ar1", "rest"):
            along, squares = (
                (before * after).sum(axis=0),
                np.maximum((before**2).sum(axis=0), 1e-12),
            )
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

    def predict(self, x0, times):
        """Apply the map once for each interval; returns an array of shape (samples, times, genes)."""
        path = [np.asarray(x0, dtype=float) - self.mean_]
        for _ in range(np.shape(times)[-1] - 1):
            path.append(path[-1] @ self.map_)
        return self.mean_ + np.stack(path, axis=1)


class TrainingPath(_WithoutEdges):
    """Baseline that moves at the mean rate of nearby intervals between consecutive states in the training samples."""

    def _learn(self, samples):
        """Store the training intervals; a gap in a sample counts as one interval."""
        self.before_, after, spans = samples.joined().intervals()
        self.length_, self.change_ = np.diff(spans, axis=1)[:, 0], after - self.before_

    def predict(self, x0, times):
        """Move at the weighted mean rate of nearby intervals; returns an array of shape (samples, times, genes)."""
        path, rates = [np.asarray(x0, dtype=float)], self.change_ / self.length_[:, None]
        for span in np.diff(np.broadcast_to(times, (len(path[0]), np.shape(times)[-1])), axis=1).T:
            x, sizes = path[-1], np.maximum((self.change_**2).sum(axis=1), 1e-300)
            along = x @ self.change_.T - (self.before_ * self.change_).sum(axis=1)
            share = np.clip(along / sizes, 0, 1)
            far = (
                (x**2).sum(axis=1)[:, None] + (self.before_**2).sum(axis=1) - 2 * x @ self.before_.T
            )
            # squared distance to the nearest point of each line
            far += share**2 * sizes - 2 * share * along
            nearest = far.min(axis=1, keepdims=True)
            # positive even if x lies on a path
            width = max(NEAR * np.median(nearest), 1e-6 * sizes.mean())
            weights = self.length_ * np.exp((nearest - far) / width)
            path.append(x + span[:, None] * (weights @ rates) / weights.sum(axis=1, keepdims=True))
        return np.stack(path, axis=1)


class Replicate(_WithoutEdges):
    """Baseline that predicts the interpolated values of the first training sample, whatever the start."""

    def _learn(self, samples):
        """Store the first training sample."""
        self.values_, self.times_ = samples.values[0], samples.times[0]

    def predict(self, x0, times):
        """Continue every start with values of the stored sample; returns an array of shape (samples, times, genes)."""
        times = np.broadcast_to(times, (len(x0), np.shape(times)[-1]))
        copies = np.stack([np.interp(times, self.times_, gene) for gene in self.values_.T], axis=-1)
        return np.concatenate([np.asarray(x0, dtype=float)[:, None], copies[:, 1:]], axis=1)


#: Name of a baseline -> estimator; records use these names. `Replicate` is only meaningful if the
#: test sample is a replicate of the first training sample.
BASELINES = {
    "prior": PriorAlone(),
    "mean": Linear("mean"),
    "ar1_mean": Linear("ar1"),
    "ar1": AutoRegression(),
    "ridge": Linear("ridge"),
    "ar1_ridge": Linear("rest"),
    "path": TrainingPath(),
    "replicate": Replicate(),
}


def held_out_ridge(X, Y, n_folds=5):
    """Ridge weights, of shape (columns of X, columns of Y), and the penalty, chosen on held-out blocks of rows."""
    rows, errors = np.arange(len(X)), np.zeros(len(PENALTIES))
    for held in np.array_split(rows, min(n_folds, len(X))):
        left, sizes, right = np.linalg.svd(X[kept := np.setdiff1d(rows, held)], full_matrices=False)
        known, new = left.T @ Y[kept], X[held] @ right.T
        for i, penalty in enumerate(PENALTIES):
            errors[i] += (
                (Y[held] - new @ ((sizes / (sizes**2 + penalty))[:, None] * known)) ** 2
            ).sum()
    penalty = PENALTIES[np.argmin(errors)]
    left, sizes, right = np.linalg.svd(X, full_matrices=False)
    return right.T @ ((sizes / (sizes**2 + penalty))[:, None] * (left.T @ Y)), float(penalty)
