"""Base of all classifiers in this package: input checks, feature scaling and support for missing values (NaN)."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sbnn.data.checks import (
    UNKNOWN,
    check_in_order,
    check_recorded,
    check_unmasked,
    some,
)
from sbnn.data.inputs import validate_data
from sbnn.data.typed_cells import families_of, family_columns
from sbnn.errors import attempt

COUNT = [Interval(Integral, 1, None, closed="left")]  # for `_parameter_constraints`
N_QUANTILES = 100
# normal scores are clipped at this many SDs: differences among a few extreme cells are noise
FARTHEST = 2.5
LOST = "features without a value"  # start of a warning message


class MissingAllowed(BaseEstimator):
    """An estimator that accepts NaN for missing values."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class TypeClassifier(ClassifierMixin, MissingAllowed):
    """Base class of cell-type classifiers; subclasses define `fit` and `predict_proba`."""

    _parameter_constraints: dict = {}

    def predict(self, X):
        """Most probable type of each cell, ndarray of shape (n,)."""
        # before `classes_`: an error if it is not fitted
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def _checked_training(self, X, y, families=None, stacklevel=3):
        """Check training data; returns cells (float64, NaN where missing) and types as positions in ``classes_``."""
        seeded = {"random_state": ["random_state"]} | self._parameter_constraints
        validate_parameter_constraints(seeded, self.get_params(deep=False), type(self).__name__)
        columns, cells = getattr(X, "columns", None), getattr(X, "index", None)
        check_in_order(X, y, "y")
        check_unmasked(X, "X")
        X, y = validate_data(self, X, y, dtype=np.float64, order="C", ensure_all_finite="allow-nan")
        check_recorded(X, "X", cells)
        attempt("y: expected a type for every cell", check_classification_targets, y)
        self._typed = np.asarray(y).astype(str) != UNKNOWN
        if not self._typed.all():
            n = (~self._typed).sum()
            warnings.warn(
                f"y: {n} of {len(y)} cells left out, as their type is {UNKNOWN!r}",
                stacklevel=stacklevel,
            )
            X, y = X[self._typed], np.asarray(y)[self._typed]
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected more than one class, got {some(self.classes_) or None}")
        self.families_ = family_columns(
            families_of(families, range(X.shape[1]) if columns is None else columns)
        )
        return X, codes

    def _groups_of_typed(self, groups):
        """Group of each training cell that has a type."""
        attempt(
            "groups: expected one group for each cell", check_consistent_length, self._typed, groups
        )
        return None if groups is None else np.asarray(groups)[self._typed]

    def _checked_cells(self, X):
        """Check new cells, which must have the features that the model was fitted to."""
        check_is_fitted(self, "classes_")
        check_unmasked(X, "X")
        names = getattr(X, "index", None)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        check_recorded(X, "X", names)
        return X

    def _measured(self, *tables, stacklevel=3):
        """Mask of the features that have a value in at least one cell of every table; warns about other features."""
        seen = np.all([np.isfinite(X).any(axis=0) for X in tables], axis=0)
        if not seen.any():
            raise ValueError(
                "X has no value for any feature" + " that the source also has" * (len(tables) > 1)
            )
        if not seen.all():
            names = getattr(self, "feature_names_in_", [f"feature_{j}" for j in range(len(seen))])
            lost = some(names[j] for j in np.flatnonzero(~seen))
            warnings.warn(f"{LOST} in training are left out: {lost}", stacklevel=stacklevel)
        return seen

    def _learn_scale(self, X, scaling):
        """Choose the features that have a value, and learn their scale; returns the scaled cells."""
        self._seen = self._measured(X, stacklevel=4)
        self._scaling = scaling.fit(X[:, self._seen])
        return self._scaled(X)

    def _scaled(self, X):
        return self._scaling.transform(X[:, self._seen])


class FeatureScaling(OneToOneFeatureMixin, TransformerMixin, MissingAllowed):
    """Z-scores of features (``how="standard"``) or of their normal scores; NaN is ignored in `fit`
    and remains NaN.

    Normal scores map each feature to a normal distribution by its quantiles, so that skewed
    distributions and outliers do not dominate.
    """

    def __init__(self, how="normal_scores"):
        self.how = how

    def fit(self, X, y=None):
        """Learn the scale of each feature from cells `X`, of shape (n, p)."""
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        n, self.quantiles_ = min(N_QUANTILES, len(X)), None
        # a feature without values has no mean and no scale, and stays NaN
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            if self.how == "normal_scores":
                scaling = QuantileTransformer(
                    n_quantiles=n, output_distribution="normal", subsample=None
                )
                self.quantiles_ = scaling.fit(X)
            scores = self._scores(X)
            self.mean_, scale = np.nanmean(scores, axis=0), np.nanstd(scores, axis=0)
        # Because of rounding, the scale of a constant feature may not be exactly zero.
        constant = scale <= 1e-12 * np.maximum(1, np.abs(self.mean_))
        self.scale_ = np.where(constant, 1.0, scale)
        return self

    def transform(self, X):
        """Cells with scaled features, ndarray of float64 of shape (n, p)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return (self._scores(X) - self.mean_) / self.scale_

    def _scores(self, X):
        return (
            X
            if self.quantiles_ is None
            else np.clip(self.quantiles_.transform(X), -FARTHEST, FARTHEST)
        )


def seen_columns(families, seen):
    """For each family, positions of its columns after unseen features are removed: dict of family to ndarray of int."""
    place = np.cumsum(seen) - 1
    return {family: place[columns[seen[columns]]] for family, columns in families.items()}


def lightgbm(random_state=None):
    """Class-balanced boosted trees, which handle NaN themselves."""
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
