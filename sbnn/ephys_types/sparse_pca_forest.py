"""The baseline of Gouwens et al.: a forest on sparse principal components of each family."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import qr
from sklearn.base import TransformerMixin
from sklearn.decomposition import SparsePCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit, reproducible
from sbnn.ephys_types.base import TypeClassifier, seen_columns

# loadings are zero if the correlation of a feature with the component is below this
SPARSE_PCA_PENALTY = 0.03
LEAST_VARIANCE = 0.01  # share of the variance of its family that each component must add
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


def sparse_components(X, n_components, random_state):
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
    The adjusted variance of a component is the part that those before it leave unexplained, R_jj^2
    for scores Z = Q R (Zou, Hastie and Tibshirani, J. Comput. Graph. Stat. 15, 2006, section 3.4);
    pivoting sorts by it.
    """
    n, p = X.shape
    total = float(np.square(X).sum())
    if total == 0:
        return np.zeros((p, 0))
    if n_components is None:
        shares = np.square(np.linalg.svd(X, compute_uv=False)) / total
        n_components = int((shares > LEAST_VARIANCE).sum())
    # R = Q'X has the same objective, and with -R column means of 0, which SparsePCA subtracts
    small = np.linalg.qr(X, mode="r") if n > p else X
    small = np.vstack([small, -small]) / np.sqrt(2)
    state = np.random.get_state()  # noqa: NPY002
    pca = SparsePCA(
        min(n_components, p),
        alpha=SPARSE_PCA_PENALTY * np.sqrt(n),
        method="cd",
        tol=SPARSE_PCA_TOLERANCE,
        random_state=random_state,
    ).fit(small)
    np.random.set_state(state)  # noqa: NPY002, coordinate descent draws from it without need
    loadings = pca.components_[pca.components_.any(axis=1)]
    penalised = loadings @ loadings.T + RIDGE * np.eye(len(loadings))
    projection = np.linalg.solve(penalised, loadings).T
    scores = X @ projection
    R, order = qr(scores, mode="r", pivoting=True)
    explained = np.square(np.diagonal(R)) / total
    kept = order[: len(explained)][explained > LEAST_VARIANCE]
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
    values are set to the training median, and the forest is given their share in each family.

    References
    ----------
    Gouwens et al., Cell 183, 935 (2020). Schwider and Ramezani, arXiv 2603.11000.
    """

    _parameter_constraints: dict = {"n_estimators": COUNT}

    def __init__(
        self,
        n_estimators: int = 300,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float64
        return tags

    @atomic_fit
    def fit(self, X, y: ArrayLike, families=None) -> Self:
        """Fit components and forest; the arguments are as in `EphysTypeClassifier.fit`."""
        X, codes = self._checked_training(X, y, families)
        seed, tree_seed = check_random_state(self.random_state).randint(2**31 - 1, size=2)
        self._seen = self._measured(X)
        filling = make_pipeline(StandardScaler(), SimpleImputer(strategy="median"))
        self._filling = filling.fit(X[:, self._seen])
        filled = self._filled(X)
        self._mean = filled.mean(axis=0)
        centred = filled - self._mean
        projections = []
        for family, inside in seen_columns(self.families_, self._seen).items():
            n_components = PUBLISHED_COMPONENTS.get(family)
            part = sparse_components(centred[:, inside], n_components, seed)
            projection = np.zeros((centred.shape[1], part.shape[1]))
            projection[inside] = part
            projections.append(projection)
        self._projection = np.hstack(projections)
        forest = RandomForestClassifier(
            self.n_estimators, class_weight="balanced_subsample", random_state=tree_seed
        )
        self.forest_ = forest.fit(self._forest_input(X), self.classes_[codes])
        return self

    @reproducible()
    def _filled(self, X):
        """Z-scores of the features with values, the median where missing."""
        return self._filling.transform(X[:, self._seen])

    def _forest_input(self, X):
        missing = np.isnan(X)
        parts = [(self._filled(X) - self._mean) @ self._projection]
        for columns in self.families_.values():
            parts.append(missing[:, columns].mean(axis=1, keepdims=True))
        return np.hstack(parts)

    def transform(self, X) -> np.ndarray:
        """Z-scored sparse principal components, ndarray of shape (n, n_components)."""
        return (self._filled(self._checked_cells(X)) - self._mean) @ self._projection

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes)."""
        X = self._checked_cells(X)
        return self.forest_.predict_proba(self._forest_input(X))
