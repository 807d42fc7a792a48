"""Baselines of dynamics: the prior itself, no change, and AR(1) of each gene."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from sbnn.data.trajectories import as_trajectories, prior_matrix

RATES = np.geomspace(0.01, 10, 61)  # tried rates of decay, per mean interval


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
        samples, names = as_trajectories(trajectories), trajectories.var_names
        before, after = (np.concatenate([v[part] for v in samples.values]) for part in (slice(-1), slice(1, None)))
        length = np.concatenate([np.diff(times) for times in samples.times])[:, None]
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
