"""The baseline of Gouwens et al.: sparse principal components of each family of features, and a forest on them."""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.data.checks import some
from sbnn.ephys_types.base import TypeClassifier
from sbnn.ephys_types.inputs import check_known, checked_cells, checked_with_families, names_of
from sbnn.ephys_types.scaling import FeatureScaling, check_scaling, measured
from sbnn.ephys_types.sparse_components import sparse_components
from sbnn.models.base import check_number

#: Components of each family of time series, as published (Gouwens et al. 2020, Schwider and Ramezani 2026).
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
FORESTS = {
    "extra_trees": (ExtraTreesClassifier, {"class_weight": "balanced", "max_features": 0.5, "min_samples_leaf": 2}),
    "random_forest": (RandomForestClassifier, {"class_weight": "balanced_subsample"}),
}


class SparsePCAForest(TransformerMixin, TypeClassifier):
    """Sparse PCA of each family of features, then a class-balanced forest on the components.

    Parameters
    ----------
    n_components : int, dict of family -> int, or None, default=None
        Components to look for in each family. None, and a family that a dict leaves out, stands for the published
        number where the family is one of those of the paper (`PUBLISHED_COMPONENTS`), else for the number of ordinary
        principal components with more than `least_variance` of the variance of the family.
    alpha : float, default=0.03
        Strength of the l1 penalty on the loadings, in units of a correlation: independent of the number of cells.
    least_variance : float, default=0.01
        Components are kept that explain a larger share of the variance of their family (adjusted variance of Zou,
        Hastie and Tibshirani, see `sbnn.ephys_types.sparse_components`).
    scaling : {"normal_scores", "standard"}, default="normal_scores"
        How features are put on one scale, see `sbnn.ephys_types.scaling`.
    keep_features : bool, default=True
        Give the forest the scaled features along with the components. The components of engineered features leave
        out what is peculiar to one feature, such as a short lag between long times.
    forest : {"extra_trees", "random_forest"}, default="extra_trees"
    n_estimators : int, default=300
        Trees.
    balanced : bool, default=True
        Weigh cells such that all classes count alike.
    random_state : int, RandomState or None, default=None
        Seed of the sparse PCA and of the forest.
    n_jobs : int or None, default=None
        Processors that grow the trees; the result does not depend on it.

    Attributes
    ----------
    loadings_ : dict of family -> ndarray, shape (components, features of the family)
        Loadings on scaled features, rows of unit length; zero for a feature without a value in any training cell.
    explained_variance_ratio_ : dict of family -> ndarray, shape (components,)
        Adjusted share of the variance of the family.
    forest_ : fitted forest
    families_ : dict of family to ndarray of int
        Columns of each.
    classes_ : ndarray
    n_features_in_, feature_names_in_ : number and names of the features seen by `fit`.

    Notes
    -----
    What is missing is set to the median of the training cells. So that the forest can tell it from a measured median
    it is also given, for each family, the share of the features that are missing.

    The published pipeline is ``SparsePCAForest(scaling="standard", keep_features=False, forest="random_forest")``.

    References
    ----------
    Gouwens et al., "Integrated morphoelectric and transcriptomic classification of cortical GABAergic cells", Cell 183,
    935 (2020). Schwider and Ramezani, arXiv 2603.11000.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import SparsePCAForest
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = SparsePCAForest(random_state=0).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.predict(data.X).shape == (data.n_obs,)
    True
    """

    def __init__(
        self,
        n_components=None,
        alpha=0.03,
        least_variance=0.01,
        scaling="normal_scores",
        keep_features=True,
        forest="extra_trees",
        n_estimators=300,
        balanced=True,
        random_state=None,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.alpha = alpha
        self.least_variance = least_variance
        self.scaling = scaling
        self.keep_features = keep_features
        self.forest = forest
        self.n_estimators = n_estimators
        self.balanced = balanced
        self.random_state = random_state
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []  # always float64
        return tags

    def fit(self, X, y, families=None):
        """Fit the components of each family and the forest.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features; NaN where one is missing.
        y : array-like, shape (n,)
            Types.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family of all.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Infinite values, one class only, families that do not fit the columns, a parameter out of its range.
        TypeError
            A parameter or families of another type.

        Warns
        -----
        UserWarning
            Features without a value in any training cell, which are left out.
        """
        self._check_parameters()
        X, labels = checked_with_families(self, X, y, families)
        random = check_random_state(self.random_state)
        seed, tree_seed = random.randint(2**31 - 1, size=2)
        self.measured_ = measured(X, names_of(self))
        self.scaling_ = FeatureScaling(self.scaling).fit(X[:, self.measured_])
        scaled = self.scaling_.transform(X[:, self.measured_])
        self.median_ = np.nanmedian(scaled, axis=0)
        filled = self._filled(scaled)
        self.mean_ = filled.mean(axis=0)
        self._fit_components(filled - self.mean_, int(seed))
        kind, settings = FORESTS[self.forest]
        if not self.balanced:
            settings = settings | {"class_weight": None}
        self.forest_ = kind(self.n_estimators, **settings, random_state=int(tree_seed), n_jobs=self.n_jobs)
        self.forest_.fit(self._forest_input(X), self.classes_[labels])
        self.forest_.n_jobs = None  # several threads add up what the trees say in any order, and round otherwise
        return self

    def _check_parameters(self):
        check_number("alpha", self.alpha, Real, 0)
        check_number("least_variance", self.least_variance, Real, 0, 1)
        check_number("n_estimators", self.n_estimators, Integral, 1)
        check_scaling(self.scaling)
        check_known("forest", self.forest, tuple(FORESTS))
        wanted = self.n_components
        for name, number in wanted.items() if isinstance(wanted, Mapping) else {"": wanted}.items():
            if number is not None:
                check_number(f"n_components[{name!r}]" if name else "n_components", number, Integral, 1)

    def _wanted(self, family):
        """Components to look for in a family; None leaves it to the rule."""
        if self.n_components is None or isinstance(self.n_components, Mapping):
            return (self.n_components or {}).get(family, PUBLISHED_COMPONENTS.get(family))
        return self.n_components

    def _fit_components(self, X, seed):
        if isinstance(self.n_components, Mapping):
            unknown = [name for name in self.n_components if name not in self.families_]
            if unknown:
                raise ValueError(f"n_components: no such family: {some(unknown)}; there are {list(self.families_)}")
        place = np.cumsum(self.measured_) - 1  # column of X -> column of the scaled features
        self.loadings_, self.explained_variance_ratio_, projections = {}, {}, []
        for family, columns in self.families_.items():
            seen = self.measured_[columns]
            inside = place[columns[seen]]
            found = sparse_components(X[:, inside], self._wanted(family), self.alpha, self.least_variance, seed)
            self.loadings_[family] = np.zeros((len(found.loadings), len(columns)))
            self.loadings_[family][:, seen] = found.loadings
            self.explained_variance_ratio_[family] = found.explained
            projection = np.zeros((X.shape[1], len(found.loadings)))
            projection[inside] = found.projection
            projections.append(projection)
        self.projection_ = np.hstack(projections)

    def _filled(self, scaled):
        return np.where(np.isnan(scaled), self.median_, scaled)

    def _forest_input(self, X):
        filled = self._filled(self.scaling_.transform(X[:, self.measured_]))
        missing = np.isnan(X)
        shares = [missing[:, columns].mean(axis=1) for columns in self.families_.values()]
        parts = [(filled - self.mean_) @ self.projection_, np.column_stack(shares)]
        return np.hstack([*parts, filled] if self.keep_features else parts)

    def transform(self, X):
        """Sparse principal components of cells.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray of float64, shape (n, components of all families)
            Z-scored by the training cells, in the order of `get_feature_names_out`.
        """
        check_is_fitted(self)
        X = checked_cells(self, X)
        return (self._filled(self.scaling_.transform(X[:, self.measured_])) - self.mean_) @ self.projection_

    def get_feature_names_out(self, input_features=None):
        """Names of the components: the family and a number, as in ``"AP ramp sPC1"``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str (object)
        """
        check_is_fitted(self)
        names = [f"{family} sPC{i + 1}" for family, rows in self.loadings_.items() for i in range(len(rows))]
        return np.array(names, dtype=object)

    def predict_proba(self, X):
        """Probabilities of the types.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            In the order of ``classes_``. With ``balanced=True`` those of a sample in which all types are equally many.
        """
        check_is_fitted(self)
        return self.forest_.predict_proba(self._forest_input(checked_cells(self, X)))
