"""Base of the classifiers, and baselines."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler
from sklearn.utils import Tags
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
    validate_data,
)

from sbnn.data.checks import abbreviate, check_in_order, check_numeric, known_labels
from sbnn.data.inputs import load_into_memory
from sbnn.ephys_types.data import family_columns, feature_families
from sbnn.errors import require, warn

#: Features of cells, of shape (n, p), NaN where missing.
CellFeatures: TypeAlias = ArrayLike | pd.DataFrame | AnnData
N_QUANTILES = 100
# SDs at which normal scores are clipped, as differences among few extreme cells are noise
LARGEST_SCORE = 2.5
N_LANDMARKS = 300  # of the approximated kernel
LEFT_OUT_WARNING = "features without a value"  # start of a warning message


class TypeClassifier(ClassifierMixin, BaseEstimator):
    """Base class of classifiers, which define `fit` and `predict_proba` and accept NaN."""

    classes_: np.ndarray
    families_: dict[str, np.ndarray]

    _parameter_constraints: dict = {}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def predict(self, X: CellFeatures) -> np.ndarray:
        """Most probable type of each cell, ndarray of shape (n,)."""
        codes = self.predict_proba(X).argmax(axis=1)  # first, as it checks that it is fitted
        return self.classes_[codes]

    def score(self, X: CellFeatures, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy for cells of types `y`, of shape (n,), which are in the order of `X`."""
        check_in_order(X, y, "y")
        return super().score(X, y, sample_weight)

    def _read_training(self, X, y, families=None):
        """Features of training cells, and their types as positions in ``classes_``."""
        constraints = {"random_state": ["random_state"]} | self._parameter_constraints
        parameters = self.get_params(deep=False)
        validate_parameter_constraints(constraints, parameters, type(self).__name__)
        check_in_order(X, y, "y")
        features, types = self._validate(X, y, order="C")
        if known_labels(types).isna().any():
            raise ValueError("y: expected a type for every cell")
        if types.dtype == object and not all(isinstance(label, str | bytes) for label in types):
            raise ValueError(f"y: Unknown label type: objects such as {types[0]!r}")
        check_classification_targets(types)
        self.classes_, codes = np.unique(types, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected more than one class, got {self.classes_.tolist()}")
        columns = getattr(self, "feature_names_in_", range(features.shape[1]))
        self._family_of = feature_families(families, columns)
        self.families_ = family_columns(self._family_of)
        return features, codes

    def _read_cells(self, X):
        """Cells with the features of the training cells."""
        check_is_fitted(self, "classes_")
        return self._validate(X, reset=False)

    def _validate(self, X, *y, **options):
        """What scikit-learn validates, with the features of an AnnData by name."""
        table = X
        if isinstance(X, AnnData):
            table = load_into_memory(X).to_df()
        check_numeric(table, "X")
        return validate_data(
            self, table, *y, dtype=np.float64, ensure_all_finite="allow-nan", **options
        )

    def _find_features_with_values(self, features, source=None):
        """Mask of the features with values in training and in `source` cells.

        It warns about the other features.
        """
        has_values = np.isfinite(features).any(axis=0)
        if source is not None:
            has_values &= np.isfinite(source).any(axis=0)
        if not has_values.any():
            raise ValueError("X has no value for any feature, or the source has none of these")
        if not has_values.all():
            names = _check_feature_names_in(self)[~has_values]
            warn(f"{LEFT_OUT_WARNING} in training are left out: {abbreviate(names)}")
        return has_values


def feature_scaling(n_cells: int = N_QUANTILES) -> Pipeline:
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


def columns_with_values(
    families: dict[str, np.ndarray], has_values: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns of each family, as positions among the features with values."""
    position = np.cumsum(has_values) - 1
    columns_of_family = {}
    for family, columns in families.items():
        columns_of_family[family] = position[columns[has_values[columns]]]
    return columns_of_family


def kernel_logistic(
    n_cells: int, n_features: int, random_state: int | np.random.RandomState | None = None
) -> Pipeline:
    """Class-balanced logistic regression with a Gaussian kernel on normal scores.

    The kernel is approximated from `N_LANDMARKS` cells (Nystroem; Williams and Seeger 2001).
    """
    imputation = SimpleImputer(strategy="median", keep_empty_features=True)
    kernel = Nystroem(
        gamma=0.3 / n_features,
        n_components=min(N_LANDMARKS, n_cells),
        random_state=random_state,
    )
    regression = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000)
    scaling = feature_scaling(n_cells)
    return make_pipeline(scaling, imputation, kernel, regression)


def linear_logistic(n_cells: int = N_QUANTILES) -> Pipeline:
    """Class-balanced logistic regression on normal scores."""
    imputation = SimpleImputer(strategy="median")
    regression = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    scaling = feature_scaling(n_cells)
    return make_pipeline(scaling, imputation, StandardScaler(), regression)


def lightgbm(random_state: int | np.random.RandomState | None = None) -> BaseEstimator:
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
