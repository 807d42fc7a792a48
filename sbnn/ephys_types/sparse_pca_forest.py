"""The baseline of Gouwens et al.: a forest on sparse principal components of each family."""

from __future__ import annotations

from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import qr
from sklearn.base import TransformerMixin
from sklearn.decomposition import SparsePCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_random_state

from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit, reproducible
from sbnn.ephys_types.base import CellFeatures, TypeClassifier, columns_with_values
from sbnn.ephys_types.data import FeatureFamilies

# loadings are zero if the correlation of a feature with the component is below this
SPARSE_PCA_PENALTY = 0.03
LEAST_VARIANCE = 0.01  # fraction of the variance of its family that each component must add
RIDGE = 0.01  # of the projection on loadings that are not orthogonal; scikit-learn's default
SPARSE_PCA_TOLERANCE = 1e-4  # relative change of the objective at which the search ends

#: Components of each family of time series (Gouwens et al. 2020, Schwider and Ramezani 2026).
PUBLISHED_COMPONENTS = {
    "first_ap_v": 7,
    "first_ap_dv": 9,
    "isi_shape": 4,
    "step_subthresh": 3,
    "subthresh_norm": 6,
    "inst_freq": 6,
    "inst_freq_norm": 7,
    "spiking_upstroke_downstroke_ratio": 3,
    "spiking_peak_v": 3,
    "spiking_fast_trough_v": 3,
    "spiking_threshold_v": 5,
    "spiking_width": 3,
}


def sparse_components(X: np.ndarray, n_components: int | None, random_state: int) -> np.ndarray:
    """Sparse principal components of centred data.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    n_components : int or None
        By default that of ordinary components that explain more than 1 % of the variance.
    random_state : int

    Returns
    -------
    ndarray, shape (p, k)
        The projection from centred data to z-scored components.

    Notes
    -----
    Loadings V and scores U, of norm 1, minimise |X - U V|^2 / 2 + alpha |V|_1 (Jenatton, Obozinski
    and Bach, AISTATS 2010), by scikit-learn's ``SparsePCA``.

    The adjusted variance of a component is the part that those before it leave unexplained, R_jj^2
    for scores Z = Q R (Zou, Hastie and Tibshirani, J. Comput. Graph. Stat. 15, 2006, section 3.4);
    pivoting sorts by it.
    """
    n, p = X.shape
    total_variance = float(np.square(X).sum())
    if total_variance == 0:
        return np.zeros((p, 0))
    if n_components is None:
        singular_values = np.linalg.svd(X, compute_uv=False)
        fractions = np.square(singular_values) / total_variance
        n_components = int((fractions > LEAST_VARIANCE).sum())

    # R = Q'X has the same objective, and with -R column means of 0, which SparsePCA subtracts
    reduced = X
    if n > p:
        reduced = cast(np.ndarray, np.linalg.qr(X, mode="r"))
    reduced = np.vstack([reduced, -reduced]) / np.sqrt(2)
    sparse_pca = SparsePCA(
        min(n_components, p),
        alpha=SPARSE_PCA_PENALTY * np.sqrt(n),
        method="cd",
        tol=SPARSE_PCA_TOLERANCE,
        random_state=random_state,
    )
    state = np.random.get_state()  # noqa: NPY002
    sparse_pca.fit(reduced)
    np.random.set_state(state)  # noqa: NPY002, coordinate descent draws from it without need
    loadings = sparse_pca.components_
    loadings = loadings[loadings.any(axis=1)]

    # Sparse loadings V are not orthogonal, so that scores are a ridge regression on them:
    # Z = X V' (V V' + ridge I)^-1.
    penalised = loadings @ loadings.T + RIDGE * np.eye(len(loadings))
    projection = np.linalg.solve(penalised, loadings).T
    scores = X @ projection

    # Correlated scores share variance: each component counts with what those before it leave.
    R, order = qr(scores, mode="r", pivoting=True)
    explained = np.square(np.diagonal(R)) / total_variance
    adds_enough = explained > LEAST_VARIANCE
    kept = order[: len(explained)][adds_enough]
    return projection[:, kept] / scores[:, kept].std(axis=0)


class SparsePCAForest(TransformerMixin, TypeClassifier):
    """Class-balanced random forest on sparse principal components of each family of features.

    Parameters
    ----------
    n_estimators : int
        Number of trees.
    random_state : int, RandomState or None

    Attributes
    ----------
    forest_ : fitted forest
    families_ : dict of family to ndarray of int (columns)
    classes_ : ndarray

    Notes
    -----
    Published families have the published number of components, others that of ordinary components
    that explain more than 1 % of the variance; components that add less are left out. Missing
    values are set to the training median, and the forest is given their fraction in each family.

    References
    ----------
    Gouwens et al., Cell 183, 935 (2020). Schwider and Ramezani, arXiv 2603.11000.
    """

    forest_: RandomForestClassifier

    _parameter_constraints: dict = {"n_estimators": COUNT}

    def __init__(
        self,
        n_estimators: int = 300,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float64
        return tags

    @atomic_fit
    def fit(self, X: CellFeatures, y: ArrayLike, families: FeatureFamilies = None) -> Self:
        """Fit components and forest; the arguments are as in `EphysTypeClassifier.fit`."""
        features, codes = self._read_training(X, y, families)
        seed, tree_seed = check_random_state(self.random_state).randint(2**31 - 1, size=2)
        self._has_values = self._find_features_with_values(features)
        imputation = make_pipeline(StandardScaler(), SimpleImputer(strategy="median"))
        self._imputation = imputation.fit(features[:, self._has_values])
        imputed = self._impute(features)
        self._mean = imputed.mean(axis=0)
        centred = imputed - self._mean
        n_features = centred.shape[1]
        projections = []
        for family, columns in columns_with_values(self.families_, self._has_values).items():
            n_components = PUBLISHED_COMPONENTS.get(family)
            of_family = sparse_components(centred[:, columns], n_components, seed)
            projection = np.zeros((n_features, of_family.shape[1]))
            projection[columns] = of_family
            projections.append(projection)
        self._projection = np.hstack(projections)
        forest = RandomForestClassifier(
            self.n_estimators, class_weight="balanced_subsample", random_state=tree_seed
        )
        self.forest_ = forest.fit(self._forest_input(features), self.classes_[codes])
        return self

    @reproducible()
    def _impute(self, features):
        """Z-scores of the features with values, the median where missing."""
        return self._imputation.transform(features[:, self._has_values])

    def _project(self, features):
        """Z-scored sparse principal components."""
        return (self._impute(features) - self._mean) @ self._projection

    def _forest_input(self, features):
        """Components, and the fraction of missing values in each family."""
        missing = np.isnan(features)
        parts = [self._project(features)]
        for columns in self.families_.values():
            fraction = missing[:, columns].mean(axis=1, keepdims=True)
            parts.append(fraction)
        return np.hstack(parts)

    def transform(self, X: CellFeatures) -> np.ndarray:
        """Z-scored sparse principal components, ndarray of shape (n, n_components)."""
        return self._project(self._read_cells(X))

    def predict_proba(self, X: CellFeatures) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes)."""
        features = self._read_cells(X)
        return self.forest_.predict_proba(self._forest_input(features))
