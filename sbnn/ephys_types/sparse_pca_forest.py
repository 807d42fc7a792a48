"""The baseline of Gouwens et al.: a forest on sparse principal components of each family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import qr
from sklearn.base import TransformerMixin
from sklearn.decomposition import SparsePCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.data.typed_cells import as_typed
from sbnn.determinism import reproducible
from sbnn.ephys_types.base import COUNT, FeatureScaling, TypeClassifier, seen_columns
from sbnn.evaluation.runs import load_or_compute
from sbnn.models.maps import embed
from sbnn.results import Record

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from sbnn.typehints import Families, Features


# l1 penalty on the loadings, in units of correlation and thus independent of the number of cells:
# a loading is zero if the covariance of its feature with the component is below about this
ALPHA = 0.03
LEAST_VARIANCE = 0.01  # each component must add at least this share of the variance of its family
# ridge penalty of the projection on loadings that are not orthogonal; scikit-learn's default
RIDGE = 0.01
TOLERANCE = 1e-4  # relative change of the objective at which the search ends

#: Number of components for each family of time series, as published (Gouwens et al. 2020, Schwider
#: and Ramezani 2026).
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
# Further parameters that are stored with results, for the published pipeline and for our own.
PUBLISHED = {"forest": "random_forest", "keep_features": False, "scaling": "standard"}
OURS = {"forest": "extra_trees", "keep_features": True, "scaling": "normal_scores"}
FIXED = {"alpha": ALPHA, "balanced": True, "least_variance": LEAST_VARIANCE, "n_components": None}
# cell labels that figures and tables of a map need
LABELS = ("type", "type5", "donor", "condition", "virus")


def sparse_components(X, n_components, random_state):
    """Sparse principal components of centred data; each adds to the explained variance.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    n_components : int or None
        None takes the number of ordinary principal components that explain more than 1 % of the
        variance.
    random_state : int

    Returns
    -------
    tuple
        Loadings, of shape (k, p), with rows of unit length; the projection from centred data to
        z-scored components, of shape (p, k); and the adjusted shares of variance, of shape (k,).

    Notes
    -----
    Components that are not orthogonal explain some of the variance twice. Following Zou, Hastie and
    Tibshirani (Journal of Computational and Graphical Statistics 15, 2006, section 3.4), the
    adjusted variance of a component is the part of its variance that the components before it leave
    unexplained: R_jj^2 for scores Z = Q R. Sparse PCA does not order the components, so they are
    sorted by adjusted variance (QR with column pivoting).
    """
    n, p = X.shape
    total = float(np.square(X).sum())
    if total == 0:
        return np.zeros((0, p)), np.zeros((p, 0)), np.zeros(0)
    if n_components is None:
        shares = np.square(np.linalg.svd(X, compute_uv=False)) / total
        n_components = int((shares > LEAST_VARIANCE).sum())
    # The objective is the same for X and for R = Q'X, which is much smaller if there are more cells
    # than features.
    small = np.linalg.qr(X, mode="r") if n > p else X
    # SparsePCA subtracts column means, which are zero in X but not in R. Appending -R to R makes
    # the column means zero.
    small = np.vstack([small, -small]) / np.sqrt(2)
    # SparsePCA compares the penalty with sqrt(n) times the covariance of a feature with a component
    # of unit variance.
    pca = SparsePCA(
        min(n_components, p),
        alpha=ALPHA * np.sqrt(n),
        method="cd",
        tol=TOLERANCE,
        random_state=random_state,
    ).fit(small)
    loadings = pca.components_[pca.components_.any(axis=1)]
    penalised = loadings @ loadings.T + RIDGE * np.eye(len(loadings))
    projection = np.linalg.solve(penalised, loadings).T
    scores = X @ projection
    R, order = qr(scores, mode="r", pivoting=True)
    explained = np.square(np.diagonal(R)) / total
    kept = order[: len(explained)][explained > LEAST_VARIANCE]
    return loadings[kept], projection[:, kept] / scores[:, kept].std(axis=0), explained[: len(kept)]


class SparsePCAForest(TransformerMixin, TypeClassifier):
    """Class-balanced forest on the sparse principal components of each family of features.

    Parameters
    ----------
    published : bool, default=False
        If True, use the published pipeline: z-scores, and a random forest on the components alone.
        By default, features are mapped to a normal distribution by their quantiles, and extremely
        randomised trees use both features and components, because components omit variance that is
        specific to single features.
    n_estimators : int, default=300
        Number of trees.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    loadings_ : dict of family -> ndarray, shape (components, features of the family)
        Loadings of the scaled features, with rows of unit length; 0 for features without a value in
        the training cells.
    explained_variance_ratio_ : dict of family -> ndarray, shape (components,)
        Share of the variance of the family that each component explains, adjusted as in
        `sparse_components`.
    forest_ : fitted forest
    families_ : dict of family to ndarray of int
        Columns of each family.
    classes_ : ndarray

    Notes
    -----
    For families in the papers below, the number of components is the published one. For each other
    family, it is the number of ordinary principal components that explain more than 1 % of the
    variance. Only components that add more than 1 % to the explained variance are kept. Missing
    values are set to the median of the training cells. To distinguish missing values from a
    measured median, the forest also gets the share of missing features in each family.

    References
    ----------
    Gouwens et al., "Integrated morphoelectric and transcriptomic classification of cortical
    GABAergic cells", Cell 183, 935 (2020). Schwider and Ramezani, arXiv 2603.11000.
    """

    _parameter_constraints: dict = {"published": ["boolean"], "n_estimators": COUNT}

    def __init__(
        self,
        published: bool = False,
        n_estimators: int = 300,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.published = published
        self.n_estimators = n_estimators
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float64
        return tags

    def decisive_params(self) -> dict[str, object]:
        """Parameters that identify stored results."""
        named = {"n_estimators": self.n_estimators, "random_state": self.random_state}
        pipeline = PUBLISHED if self.published else OURS
        return named | FIXED | pipeline

    def fit(self, X: Features, y: ArrayLike, families: Families | None = None) -> Self:
        """Fit components and forest; the arguments are as in `EphysTypeClassifier.fit`."""
        X, codes = self._checked_training(X, y, families)
        seed, tree_seed = check_random_state(self.random_state).randint(2**31 - 1, size=2)
        if self.published:
            scaling = FeatureScaling("standard")
            forest = RandomForestClassifier(class_weight="balanced_subsample")
        else:
            scaling = FeatureScaling()
            forest = ExtraTreesClassifier(
                class_weight="balanced", max_features=0.5, min_samples_leaf=2
            )
        filled = self._learn_scale(X, make_pipeline(scaling, SimpleImputer(strategy="median")))
        self._mean = filled.mean(axis=0)
        self._fit_components(filled - self._mean, int(seed))
        forest.set_params(n_estimators=self.n_estimators, random_state=int(tree_seed))
        self.forest_ = forest.fit(self._forest_input(X), self.classes_[codes])
        return self

    def _fit_components(self, X, seed):
        """Components of scaled, centred cells of shape (n, n_seen), one family after another."""
        self.loadings_ = {}
        self.explained_variance_ratio_ = {}
        self._projection = np.zeros((X.shape[1], 0))
        for family, inside in seen_columns(self.families_, self._seen).items():
            n_components = PUBLISHED_COMPONENTS.get(family)
            loadings, part, explained = sparse_components(X[:, inside], n_components, seed)
            columns = self.families_[family]
            whole = np.zeros((len(loadings), len(columns)))
            whole[:, self._seen[columns]] = loadings
            self.loadings_[family] = whole
            self.explained_variance_ratio_[family] = explained
            projection = np.zeros((X.shape[1], len(loadings)))
            projection[inside] = part
            self._projection = np.hstack([self._projection, projection])

    def _forest_input(self, X):
        """Components, share of missing features by family and, if not `published`, features."""
        filled = self._scaled(X)
        missing = np.isnan(X)
        parts = [(filled - self._mean) @ self._projection]
        for columns in self.families_.values():
            parts.append(missing[:, columns].mean(axis=1, keepdims=True))
        if not self.published:
            parts.append(filled)
        return np.hstack(parts)

    def transform(self, X: Features) -> np.ndarray:
        """Z-scored sparse principal components of cells, ndarray of shape (n, n_components)."""
        return (self._scaled(self._checked_cells(X)) - self._mean) @ self._projection

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the components: the family and a number, as in ``"AP ramp sPC1"``."""
        check_is_fitted(self)
        names = []
        for family, loadings in self.loadings_.items():
            names += [f"{family} sPC{i + 1}" for i in range(len(loadings))]
        return np.array(names, dtype=object)

    def predict_proba(self, X: Features) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes)."""
        X = self._checked_cells(X)
        return self.forest_.predict_proba(self._forest_input(X))


def map_cells(data, results=None, overwrite=False, *, seed=0):
    """Map cells by sparse principal components of each family, and by a t-SNE of the components.

    The components are learned from all cells, without their types. The map is for display, not for
    evaluation.

    Parameters
    ----------
    data : AnnData of typed cells
    results, overwrite
        See `sbnn.cross_validate`.
    seed : int

    Returns
    -------
    Record
        ``labels``, a DataFrame of cell labels; ``components``, of shape (n, k);
        ``component_names``; ``explained``, the share of the variance that each component explains;
        and ``tsne``, of shape (n, 2).
    """
    data = as_typed(data)
    model = SparsePCAForest(n_estimators=1, random_state=seed)  # the forest is not used

    def compute():
        with reproducible():
            components = model.fit(data.X, data.y, data.families).transform(data.X)
            tsne = embed(components, seed).astype(np.float32)
        return {
            "labels": data.labels[[name for name in LABELS if name in data.labels]],
            "components": components.astype(np.float32),
            "component_names": model.get_feature_names_out().tolist(),
            "explained": np.concatenate(list(model.explained_variance_ratio_.values())),
            "tsne": tsne,
        }

    wanted = Record("typed cells", data.name, data.sha256, [{}], seed)
    n_cells = data.n_cells
    return load_or_compute(wanted, compute, results, overwrite, estimator=model, n_cells=n_cells)


def discriminating_components(components, types, names):
    """Positions of two components, from different families, that discriminate the types.

    The first component discriminates best on its own. The second component discriminates best after
    its correlation with the first is removed. `components` has shape (n, k), and each of the
    `names` consists of a family and a number.
    """
    families = np.array([name.rpartition(" ")[0] for name in names])
    centred = components - components.mean(axis=0)
    first = int(np.argmax(_between(centred, types) / (centred**2).sum(axis=0)))
    x = centred[:, first]
    left = centred - np.outer(x, x @ centred / (x @ x))
    # The share is relative to the variance before removal, so that a component with a negligible
    # remainder is not chosen.
    share = _between(left, types) / (centred**2).sum(axis=0)
    share[families == families[first]] = -np.inf
    return [first, int(np.argmax(share))]


def _between(centred, types):
    """For each column of centred values, the sum of squares between types."""
    return (pd.DataFrame(centred).groupby(types).transform("mean") ** 2).sum().to_numpy()
