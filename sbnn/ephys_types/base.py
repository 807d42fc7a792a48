"""Base of the classifiers: input checks, scales of features, missing values."""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sbnn.data.checks import UNKNOWN, check_in_order, some
from sbnn.data.typed_cells import families_of, family_columns
from sbnn.errors import require, warn

COUNT = [Interval(Integral, 1, None, closed="left")]  # for `_parameter_constraints`
N_QUANTILES = 100
# SDs at which normal scores are clipped, as differences among few extreme cells are noise
FARTHEST = 2.5
LOST = "features without a value"  # start of a warning message


class MissingAllowed(BaseEstimator):
    """An estimator that accepts NaN."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class TypeClassifier(ClassifierMixin, MissingAllowed):
    """Base class of classifiers, which define `fit` and `predict_proba`."""

    _parameter_constraints: dict = {}
    _fixed: dict = {}  # further parameters that are stored with results

    def decisive_params(self) -> dict[str, object]:
        """Parameters that identify stored results."""
        return self.get_params() | self._fixed

    def predict(self, X) -> np.ndarray:
        """Most probable type of each cell, ndarray of shape (n,)."""
        codes = self.predict_proba(X).argmax(axis=1)  # first, as it checks that it is fitted
        return self.classes_[codes]

    def _checked_training(self, X, y, families=None):
        """Training cells and their types, as positions in ``classes_``."""
        constraints = {"random_state": ["random_state"]} | self._parameter_constraints
        validate_parameter_constraints(constraints, self.get_params(False), type(self).__name__)
        check_in_order(X, y, "y")
        X, y = validate_data(self, X, y, dtype=np.float64, order="C", ensure_all_finite="allow-nan")
        if pd.isna(y).any():
            raise ValueError("y: expected a type for every cell")
        check_classification_targets(y)
        self._typed = np.asarray(y).astype(str) != UNKNOWN
        n_unknown = (~self._typed).sum()
        if n_unknown:
            warn(f"y: {n_unknown} of {len(y)} cells left out, as their type is {UNKNOWN!r}")
        X = X[self._typed]
        self.classes_, codes = np.unique(y[self._typed], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected more than one class, got {self.classes_.tolist()}")
        columns = getattr(self, "feature_names_in_", range(X.shape[1]))
        self._family_of = families_of(families, columns)
        self.families_ = family_columns(self._family_of)
        return X, codes

    def _groups_of_typed(self, groups):
        n = len(self._typed)
        groups = np.arange(n) if groups is None else np.asarray(groups)
        if groups.shape != (n,):
            raise ValueError(f"groups: expected one for each cell, got shape {groups.shape}")
        return groups[self._typed]

    def _checked_cells(self, X, name="X"):
        """Cells with the features of the training cells."""
        check_is_fitted(self, "classes_")
        if name != "X" and np.shape(X)[1:] != (self.n_features_in_,):
            raise ValueError(f"{name}: expected features as in X, got shape {np.shape(X)}")
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)

    def _checked_source(self, source):
        """Cells and types of another species, from a pair."""
        cells, types = source
        check_consistent_length(cells, types)
        return self._checked_cells(cells, "source"), np.asarray(types)

    def _with_unlabelled(self, X, unlabelled):
        """Training cells and, below them, cells of unknown type."""
        if unlabelled is None or not len(unlabelled):
            return X
        return np.vstack([X, self._checked_cells(unlabelled, "unlabelled")])

    def _measured(self, X, source=None):
        """Mask of the features with values; warns about the others."""
        seen = np.isfinite(X).any(axis=0)
        if source is not None:
            seen &= np.isfinite(source).any(axis=0)
        if not seen.any():
            raise ValueError("X has no value for any feature, or the source has none of these")
        if not seen.all():
            warn(f"{LOST} in training are left out: {some(_check_feature_names_in(self)[~seen])}")
        return seen

    def _learn_scale(self, X, scaling):
        """Learn the scale of the features with values; returns scaled cells."""
        self._seen = self._measured(X)
        self._scaling = scaling.fit(X[:, self._seen])
        return self._scaled(X)

    def _scaled(self, X):
        return self._scaling.transform(X[:, self._seen])


class FeatureScaling(OneToOneFeatureMixin, TransformerMixin, MissingAllowed):
    """Z-scores of features (``how="standard"``) or of their normal scores; NaN stays NaN.

    Normal scores map the quantiles of each feature to a normal distribution, so that outliers do
    not dominate.
    """

    def __init__(self, how="normal_scores"):
        self.how = how

    def fit(self, X, y=None):
        """Learn scales from cells `X`, of shape (n, p)."""
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        self.quantiles_ = QuantileTransformer(
            n_quantiles=min(N_QUANTILES, len(X)), output_distribution="normal", subsample=None
        )
        # NumPy warns of features without values
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            self.quantiles_.fit(X)
            scores = self._scores(X)
            self.mean_ = np.nanmean(scores, axis=0)
            scale = np.nanstd(scores, axis=0)
        # up to rounding
        constant = scale <= 1e-12 * np.maximum(1, np.abs(self.mean_))
        self.scale_ = np.where(constant, 1.0, scale)
        return self

    def transform(self, X):
        """Scaled features, ndarray of shape (n, p)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return (self._scores(X) - self.mean_) / self.scale_

    def _scores(self, X):
        if self.how == "standard":
            return X
        return np.clip(self.quantiles_.transform(X), -FARTHEST, FARTHEST)


def seen_columns(families, seen):
    """Columns of each family, as positions among the seen features."""
    place = np.cumsum(seen) - 1
    return {family: place[columns[seen[columns]]] for family, columns in families.items()}


def lightgbm(random_state=None):
    """Class-balanced boosted trees."""
    require("lightgbm")
    from lightgbm import LGBMClassifier  # slow to import

    return LGBMClassifier(
        n_estimators=600,
        learning_rate=0.05,
        extra_trees=True,
        num_leaves=15,
        min_child_samples=10,
        subsample=0.8,
        colsample_bytree=0.5,
        subsample_freq=1,
        class_weight="balanced",
        deterministic=True,
        force_row_wise=True,
        random_state=random_state,
        n_jobs=1,
        verbose=-1,
    )
