"""The prior alone, and models without regulation."""

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from sbnn.dynamics.accuracy import path_errors
from sbnn.dynamics.model import DynamicsRegressor

# squared kernel width, relative to the median squared distance
NEAR = 0.1
RATES = np.geomspace(0.01, 10, 61)  # candidate decay rates, in units of 1 / (mean interval)
PENALTIES = np.geomspace(1e-2, 1e4, 25)  # candidate ridge penalties, for unscaled values
N_BLOCKS = 5  # blocks of consecutive intervals, held out in turn to choose the ridge penalty


class _Baseline(DynamicsRegressor):
    """Base class; subclasses define `_learn` and `_path`."""

    explains_ = True  # a baseline is compared with nothing, so its predictions never warn

    def fit(self, trajectories, prior=None):
        """Fit to all samples."""
        samples, prior = self._checked(trajectories, prior)
        self.edge_scores_ = pd.DataFrame(0.0, self.gene_names_, self.gene_names_)
        self._learn(samples, prior)
        self.sparsity_ = float((self.edge_scores_ == 0).to_numpy().mean())
        return self


class PriorAlone(_Baseline):
    """The prior as the network, and predictions of no change."""

    def _learn(self, samples, prior):
        self.edge_scores_[:] = prior

    def _path(self, start, times):
        return np.repeat(start[:, None], times.shape[1], axis=1)


class AutoRegression(_Baseline):
    """AR(1) in continuous time, with a level and a rate for each gene."""

    def _learn(self, samples, prior):
        """Choose levels and rates with the least squared error of next values."""
        before, after, spans = samples.intervals()
        length = np.diff(spans, axis=1)  # (intervals, 1)
        rates = RATES / length.mean()
        levels = []
        errors = []
        for rate in rates:
            left = np.exp(-rate * length)
            gone = 1 - left
            rest = after - left * before
            level = (gone * rest).sum(axis=0) / (gone**2).sum()
            levels.append(level)
            errors.append(((rest - gone * level) ** 2).sum(axis=0))
        best = np.argmin(errors, axis=0)
        self.rates_ = rates[best]
        self.levels_ = np.stack(levels)[best, np.arange(len(best))]

    def _path(self, start, times):
        since = times - times[:, :1]
        left = np.exp(-self.rates_ * since[..., None])  # (samples, times, genes)
        return self.levels_ + left * (start - self.levels_)[:, None]


class Linear(_Baseline):
    """Linear map from the deviations of genes from their means to those at the next time.

    ``kind`` is "mean", which predicts the gene means; "ar1", one slope for all genes; "ridge", all
    genes on all genes; or "rest", a slope for each gene, shrunk towards the common slope, plus
    ridge regression of the residuals.
    """

    def __init__(self, kind):
        self.kind = kind

    def _learn(self, samples, prior):
        self.mean_ = np.concatenate(samples.values).mean(axis=0)
        before, after, _ = samples.intervals()
        before = before - self.mean_
        after = after - self.mean_
        common, of_genes = slopes_of(before, after)
        slopes = {"ar1": common, "rest": of_genes}.get(self.kind, 0.0) + np.zeros(len(self.mean_))
        self.map_ = np.diag(slopes)
        if self.kind in ("ridge", "rest"):
            self.map_ += held_out_ridge(before, after - slopes * before)

    def _path(self, start, times):
        path = [start - self.mean_]
        for _ in range(times.shape[1] - 1):
            path.append(path[-1] @ self.map_)
        return self.mean_ + np.stack(path, axis=1)


def slopes_of(before, after):
    """Slope that all columns share, and their own slopes, shrunk towards it."""
    along = (before * after).sum(axis=0)
    squares = np.maximum((before**2).sum(axis=0), 1e-12)
    common = along.sum() / squares.sum()
    own = along / squares
    variance = ((after - own * before) ** 2).mean(axis=0) / squares
    spread = max(np.median((own - common) ** 2 - variance), 1e-6)
    return common, common + spread / (spread + variance) * (own - common)


def held_out_ridge(X, Y):
    """Ridge weights, (columns of X, columns of Y), of the best penalty for held-out blocks."""
    if len(X) < 2:
        raise ValueError(
            f"trajectories: got {len(X)} interval, but ridge regression needs two or more to "
            "choose its penalty; use another baseline"
        )
    ridge = RidgeCV(
        alphas=PENALTIES,
        fit_intercept=False,  # X and Y are deviations from the means
        cv=KFold(min(N_BLOCKS, len(X))),
        scoring="neg_mean_squared_error",
    )
    return ridge.fit(X, Y).coef_.T


class TrainingPath(_Baseline):
    """Movement at the mean rate of nearby intervals of the training samples."""

    def _learn(self, samples, prior):
        """Store the training intervals."""
        self.before_, after, spans = samples.intervals()
        self.change_ = after - self.before_
        self.length_ = np.diff(spans, axis=1)[:, 0]

    def _path(self, start, times):
        path = [start]
        rates = self.change_ / self.length_[:, None]
        for span in np.diff(times, axis=1).T:
            weights = self._weights(path[-1])
            path.append(path[-1] + span[:, None] * (weights @ rates))
        return np.stack(path, axis=1)

    def _weights(self, x):
        """Weights of the intervals for values (samples, genes), of shape (samples, intervals).

        They are in proportion to the length of the interval and to a kernel of the squared distance
        from the segment between its ends.
        """
        sizes = np.maximum((self.change_**2).sum(axis=1), 1e-300)
        far = []
        for values in x:
            gap = values - self.before_  # (intervals, genes)
            share = np.clip((gap * self.change_).sum(axis=1) / sizes, 0, 1)
            far.append(((gap - share[:, None] * self.change_) ** 2).sum(axis=1))
        far = np.array(far)
        nearest = far.min(axis=1, keepdims=True)
        squared_width = max(NEAR * np.median(nearest), 1e-6 * sizes.mean())
        weights = self.length_ * np.exp((nearest - far) / squared_width)
        return weights / weights.sum(axis=1, keepdims=True)


#: Estimators by the names in records.
BASELINES = {
    "prior": PriorAlone(),
    "mean": Linear("mean"),
    "ar1_mean": Linear("ar1"),
    "ar1": AutoRegression(),
    "ridge": Linear("ridge"),
    "ar1_ridge": Linear("rest"),
    "path": TrainingPath(),
}


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
