"""Base of the classifiers, and baselines."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from sbnn.data.checks import abbreviate, check_in_order, known_labels
from sbnn.data.inputs import load_into_memory
from sbnn.data.typed_cells import family_columns, feature_families
from sbnn.errors import require, warn

N_QUANTILES = 100
# SDs at which normal scores are clipped, as differences among few extreme cells are noise
LARGEST_SCORE = 2.5
N_LANDMARKS = 300  # of the approximated kernel
LEFT_OUT_WARNING = "features without a value"  # start of a warning message


class TypeClassifier(ClassifierMixin, BaseEstimator):
    """Base class of classifiers, which define `fit` and `predict_proba` and accept NaN."""

    _parameter_constraints: dict = {}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def predict(self, X) -> np.ndarray:
        """Most probable type of each cell, ndarray of shape (n,)."""
        codes = self.predict_proba(X).argmax(axis=1)  # first, as it checks that it is fitted
        return self.classes_[codes]

    def _checked_training(self, X, y, families=None):
        """Training cells and their types, as positions in ``classes_``."""
        constraints = {"random_state": ["random_state"]} | self._parameter_constraints
        validate_parameter_constraints(constraints, self.get_params(False), type(self).__name__)
        check_in_order(X, y, "y")
        X, y = self._validated(X, y, order="C")
        if known_labels(y).isna().any():
            raise ValueError("y: expected a type for every cell")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected more than one class, got {self.classes_.tolist()}")
        columns = getattr(self, "feature_names_in_", range(X.shape[1]))
        self._family_of = feature_families(families, columns)
        self.families_ = family_columns(self._family_of)
        return X, codes

    def _checked_cells(self, X):
        """Cells with the features of the training cells."""
        check_is_fitted(self, "classes_")
        return self._validated(X, reset=False)

    def _validated(self, X, *y, **options):
        """What scikit-learn validates, with the features of an AnnData by name."""
        if isinstance(X, AnnData):
            X = load_into_memory(X).to_df()
        return validate_data(
            self, X, *y, dtype=np.float64, ensure_all_finite="allow-nan", **options
        )

    def _measured(self, X, other=None):
        """Mask of the features with values in `X` and in `other` cells; warns about the others."""
        seen = np.isfinite(X).any(axis=0)
        if other is not None:
            seen &= np.isfinite(other).any(axis=0)
        if not seen.any():
            raise ValueError("X has no value for any feature, or the source has none of these")
        if not seen.all():
            warn(
                f"{LEFT_OUT_WARNING} in training are left out: "
                f"{abbreviate(_check_feature_names_in(self)[~seen])}"
            )
        return seen


def feature_scaling(n_cells=N_QUANTILES):
    """Z-scores of the normal scores of features, unfitted; NaN stays NaN.

    Normal scores, the quantiles of a normal distribution, keep outliers from dominating. `n_cells`
    is the number of training cells, if there are few.
    """
    normal_scores = QuantileTransformer(
        n_quantiles=min(N_QUANTILES, n_cells), output_distribution="normal", subsample=None
    )
    limits = {"min": -LARGEST_SCORE, "max": LARGEST_SCORE}
    clipping = FunctionTransformer(np.ndarray.clip, kw_args=limits)
    return make_pipeline(normal_scores, clipping, StandardScaler())


def seen_columns(families, seen):
    """Columns of each family, as positions among the seen features."""
    place = np.cumsum(seen) - 1
    return {family: place[columns[seen[columns]]] for family, columns in families.items()}


def kernel_logistic(n_cells, n_features, random_state=None):
    """Class-balanced logistic regression with a Gaussian kernel (Nystroem) on normal scores."""
    kernel = Nystroem(
        gamma=0.3 / n_features,
        n_components=min(N_LANDMARKS, n_cells),
        random_state=random_state,
    )
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    regression = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000)
    return make_pipeline(feature_scaling(n_cells), filled, kernel, regression)


def linear_logistic(n_cells=N_QUANTILES):
    """Class-balanced logistic regression on normal scores."""
    filled = SimpleImputer(strategy="median")
    regression = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    return make_pipeline(feature_scaling(n_cells), filled, StandardScaler(), regression)


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
