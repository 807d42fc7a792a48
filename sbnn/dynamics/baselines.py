"""What estimators of networks have in common, the prior alone, and models without regulation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.checks import abbreviate, check_numeric, refuse_other_table
from sbnn.data.inputs import load_into_memory
from sbnn.determinism import reproducible
from sbnn.dynamics.data import Samples, as_trajectories, prior_matrix
from sbnn.dynamics.evaluation import path_errors
from sbnn.errors import warn

# squared kernel width, relative to the median squared distance
SQUARED_KERNEL_WIDTH = 0.1
DECAY_RATES = np.geomspace(0.01, 10, 61)  # candidates, in units of 1 / (mean interval)
CANDIDATE_PENALTIES = np.geomspace(1e-2, 1e4, 25)  # of ridge, for unscaled values
N_BLOCKS = 5  # blocks of consecutive intervals, held out in turn to choose the ridge penalty


class DynamicsRegressor(BaseEstimator, ABC):
    """Base class of estimators of networks, with `predict`; subclasses define `_predict_paths`."""

    edge_scores_: pd.DataFrame
    explains_: bool
    gene_names_: np.ndarray
    n_features_in_: int
    sparsity_: float
    verdict_: str

    def predict(self, x0: ArrayLike | pd.DataFrame | AnnData, times: ArrayLike) -> np.ndarray:
        """Predict trajectories from their first values.

        Parameters
        ----------
        x0 : array-like, DataFrame or AnnData, shape (samples, genes)
            Values at the first time; genes of a DataFrame or AnnData are matched by name.
        times : array-like, shape (times,) or (samples, times)
            Increasing, in the unit of training.

        Returns
        -------
        ndarray of float64, shape (samples, times, genes)

        Raises
        ------
        ValueError
            The genes differ from those in training, a value is NaN, or the times do not increase.
        DivergenceError
            The predictions diverge.

        Warns
        -----
        UserWarning
            Held-out data do not show that the network helps.
        """
        check_is_fitted(self)
        if not self.explains_:
            warn(self.verdict_)
        refuse_other_table(x0, "x0")
        if isinstance(x0, AnnData):
            x0 = load_into_memory(x0).to_df()
        if isinstance(x0, pd.DataFrame):
            missing = self.gene_names_[~np.isin(self.gene_names_, x0.columns)]
            if len(missing):
                raise ValueError(f"x0: no values for the genes {abbreviate(missing)}")
            x0 = x0[self.gene_names_].to_numpy()
        check_numeric(times, "times")
        start = validate_data(self, x0, reset=False, dtype=np.float64, copy=True)
        shape = (len(start), np.shape(times)[-1])
        time_grid = np.array(np.broadcast_to(times, shape), dtype=float)
        if not (np.diff(time_grid, axis=1) > 0).all() or np.isinf(time_grid).any():
            raise ValueError(f"times: expected increasing numbers, got {time_grid[0]}")
        with reproducible():
            return self._predict_paths(start, time_grid)

    @abstractmethod
    def _predict_paths(self, start: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Paths (samples, times, genes) from starts (samples, genes) at (samples, times)."""

    def _read_trajectories(
        self, trajectories: AnnData | Samples, prior: ArrayLike | pd.DataFrame | None
    ) -> tuple[Samples, np.ndarray]:
        """`Samples`, and edges of the prior, [regulator, target]; sets the names of the genes."""
        samples = as_trajectories(trajectories)
        self.gene_names_ = samples.gene_names
        self.n_features_in_ = len(samples.gene_names)
        if prior is None:
            prior = pd.DataFrame()
        return samples, prior_matrix(prior, self.gene_names_)


class _Baseline(DynamicsRegressor):
    """Base class; subclasses define `_learn` and `_predict_paths`."""

    explains_ = True  # a baseline is compared with nothing, so its predictions never warn

    def fit(
        self,
        trajectories: AnnData | Samples,
        prior: ArrayLike | pd.DataFrame | None = None,
    ) -> Self:
        """Fit to all samples."""
        samples, edges = self._read_trajectories(trajectories, prior)
        self.edge_scores_ = pd.DataFrame(0.0, self.gene_names_, self.gene_names_)
        self._learn(samples, edges)
        self.sparsity_ = float((self.edge_scores_ == 0).to_numpy().mean())
        return self

    @abstractmethod
    def _learn(self, samples: Samples, prior: np.ndarray) -> None:
        """Learn what predictions need, and perhaps edges."""


class PriorAlone(_Baseline):
    """The prior as the network, and predictions of no change."""

    def _learn(self, samples, prior):
        self.edge_scores_[:] = prior

    def _predict_paths(self, start, times):
        return np.repeat(start[:, None], times.shape[1], axis=1)


class AutoRegression(_Baseline):
    """AR(1) in continuous time, with a level and a rate for each gene."""

    def _learn(self, samples, prior):
        """Choose levels and rates with the least squared error of next values.

        ``x(t + length) = level + exp(-rate * length) * (x(t) - level)``
        """
        before, after, spans = samples.intervals()
        length = np.diff(spans, axis=1)  # (intervals, 1)
        rates = DECAY_RATES / length.mean()
        levels = []
        errors = []
        for rate in rates:
            # With a fixed rate, the level is the slope of a regression without intercept.
            decay = np.exp(-rate * length)
            approach = 1 - decay
            response = after - decay * before
            level = (approach * response).sum(axis=0) / (approach**2).sum()
            residuals = response - approach * level
            levels.append(level)
            errors.append((residuals**2).sum(axis=0))
        best = np.argmin(errors, axis=0)
        genes = np.arange(len(best))
        self.rates_ = rates[best]
        self.levels_ = np.stack(levels)[best, genes]

    def _predict_paths(self, start, times):
        elapsed = times - times[:, :1]
        decay = np.exp(-self.rates_ * elapsed[..., None])  # (samples, times, genes)
        deviations = start - self.levels_
        return self.levels_ + decay * deviations[:, None]


class Linear(_Baseline):
    """Linear map from the deviations of genes from their means to those at the next time.

    ``kind`` is "mean", which predicts the gene means; "ar1", one slope for all genes; "ridge", all
    genes on all genes; or "rest", a slope for each gene, shrunk towards the common slope, plus
    ridge regression of the residuals.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def _learn(self, samples, prior):
        self.mean_ = np.concatenate(samples.values).mean(axis=0)
        values_before, values_after, _ = samples.intervals()
        before = values_before - self.mean_
        after = values_after - self.mean_
        slopes = np.zeros(len(self.mean_))
        if self.kind in ("ar1", "rest"):
            common, of_genes = shrunken_slopes(before, after)
            slopes += common if self.kind == "ar1" else of_genes
        self.map_ = np.diag(slopes)
        if self.kind in ("ridge", "rest"):
            self.map_ += held_out_ridge(before, after - slopes * before)

    def _predict_paths(self, start, times):
        deviations = [start - self.mean_]
        for _ in range(times.shape[1] - 1):
            deviations.append(deviations[-1] @ self.map_)
        return self.mean_ + np.stack(deviations, axis=1)


def shrunken_slopes(before: np.ndarray, after: np.ndarray) -> tuple[float, np.ndarray]:
    """Slope that all columns share, and that of each column, shrunk towards it.

    Empirical Bayes: the slopes of the columns are normal around the common slope (Efron and Morris,
    J. Am. Stat. Assoc. 1973).
    """
    products = (before * after).sum(axis=0)
    squares = np.maximum((before**2).sum(axis=0), 1e-12)
    common = products.sum() / squares.sum()
    separate = products / squares
    # The deviations from the common slope are by chance as large as the standard errors of the
    # slopes; what they are beyond that is the variance of the true slopes.
    residuals = after - separate * before
    error_variance = (residuals**2).mean(axis=0) / squares
    excess = (separate - common) ** 2 - error_variance
    variance = max(np.median(excess), 1e-6)
    weight = variance / (variance + error_variance)
    return common, common + weight * (separate - common)


def held_out_ridge(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Ridge weights, (columns of X, columns of Y), of the best penalty for held-out blocks."""
    if len(X) < 2:
        raise ValueError(
            f"trajectories: got {len(X)} interval, but ridge regression needs two or more to "
            "choose its penalty; use another baseline"
        )
    ridge = RidgeCV(
        alphas=CANDIDATE_PENALTIES,
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

    def _predict_paths(self, start, times):
        states = [start]
        rates = self.change_ / self.length_[:, None]
        for length in np.diff(times, axis=1).T:
            mean_rates = self._kernel_weights(states[-1]) @ rates
            change = length[:, None] * mean_rates
            states.append(states[-1] + change)
        return np.stack(states, axis=1)

    def _kernel_weights(self, x):
        """Weights of the intervals for values (samples, genes), of shape (samples, intervals).

        They are in proportion to the length of the interval and to a kernel of the squared distance
        from the segment between its ends.
        """
        squared_lengths = np.maximum((self.change_**2).sum(axis=1), 1e-300)
        distances_of_samples = []
        for values in x:
            # The nearest point of the segment is the projection on it, or one of its ends.
            difference = values - self.before_  # (intervals, genes)
            projection = (difference * self.change_).sum(axis=1) / squared_lengths
            fraction = np.clip(projection, 0, 1)
            perpendicular = difference - fraction[:, None] * self.change_
            distances_of_samples.append((perpendicular**2).sum(axis=1))
        squared_distances = np.array(distances_of_samples)
        nearest = squared_distances.min(axis=1, keepdims=True)
        # The kernel is as wide as typical distances from the path, but never as narrow as 0.
        narrowest = 1e-6 * squared_lengths.mean()
        squared_width = max(SQUARED_KERNEL_WIDTH * np.median(nearest), narrowest)
        weights = self.length_ * np.exp((nearest - squared_distances) / squared_width)
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


def compare_with_baselines(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray], train: Samples, held_out: Samples
) -> tuple[pd.Series | None, bool, str]:
    """One-step errors of a network and of models without one in held-out samples.

    Returns them, whether that of the network is the lowest, and this in a sentence.
    """
    if not held_out.values:
        return None, False, "no sample was held out, so it is unknown whether the network helps"
    no_change = PriorAlone().fit(train)
    auto_regression = AutoRegression().fit(train)
    network_error = path_errors(predict, held_out)["mse_ahead"]
    no_change_error = path_errors(no_change.predict, held_out)["mse_ahead"]
    ar1_error = path_errors(auto_regression.predict, held_out)["mse_ahead"]
    errors = {"network": network_error, "no change": no_change_error, "ar1": ar1_error}
    helps = bool(network_error < min(no_change_error, ar1_error))
    comparison = "lower" if helps else "not lower"
    verdict = (
        f"the one-step error of the network in held-out samples, {network_error:.2g}, is "
        f"{comparison} than those of no change, {no_change_error:.2g}, and of AR(1), "
        f"{ar1_error:.2g}"
    )
    return pd.Series(errors), helps, verdict
