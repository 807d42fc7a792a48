"""How well a map of the cells tells their families and types, by the labels of their nearest neighbours.

And the maps that a network with two units is compared to, each a transformer that is fitted to the training cells and
then places cells it has not seen.
"""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.checks import UNKNOWN
from sbnn.folds import check_folds, paper_folds, source_arrays, split_fold
from sbnn.inputs import expression_table, output_table
from sbnn.results import Record
from sbnn.training import reproducible

NEIGHBOURS = 15
LABELS = ("family", "type")


def neighbour_accuracy(latent, labels=None, k=NEIGHBOURS):
    """Share of the cells whose label is that of most of their nearest other cells.

    Parameters
    ----------
    latent : ndarray, shape (n, d), or Record
        Points of the cells, or a record with ``latent`` and ``labels``, as from `sbnn.fit_full`. These are the cells
        that the model was fitted to; `held_out_accuracy` asks about new ones.
    labels : ndarray of str, shape (n,), or DataFrame with n rows, optional
        One kind of label, or one per column. By default those of the record, families and types.
    k : int
        Neighbours that vote; of equal numbers of votes the first label in the alphabet wins.

    Returns
    -------
    float, or Series by kind of label

    Raises
    ------
    ValueError
        If there are not more than `k` cells, or the labels are not as many as the cells.
    """
    if isinstance(latent, Record):
        labels = latent.labels[list(LABELS)] if labels is None else labels
        latent = latent.latent
    if isinstance(labels, pd.DataFrame):
        return pd.Series({kind: neighbour_accuracy(latent, labels[kind].to_numpy(), k) for kind in labels})
    latent, labels = np.asarray(latent), np.asarray(labels, dtype=object).astype(str)
    if labels.shape != (len(latent),):
        raise ValueError(f"labels: expected {len(latent)}, one per cell, got shape {labels.shape}")
    if not 1 <= k < len(latent):
        raise ValueError(f"k: expected 1 to {len(latent) - 1}, fewer than the cells, got {k}")
    classes, codes = np.unique(labels, return_inverse=True)
    model = KNeighborsClassifier(k).fit(latent, codes)
    nearest = model.kneighbors(return_distance=False)  # without the cell itself
    votes = np.zeros((len(latent), len(classes)), dtype=np.int32)
    np.add.at(votes, (np.arange(len(latent))[:, np.newaxis], codes[nearest]), 1)
    return float((votes.argmax(1) == codes).mean())


def held_out_accuracy(model, data, folds=None, k=NEIGHBOURS, n_jobs=1, *, scaling="fold"):
    """Share of the held-out cells whose label is that of most of their nearest training cells on a map.

    The map is fitted to the training cells of every fold; the test cells are placed on it afterwards.

    Parameters
    ----------
    model : estimator with ``fit(X, Y)`` and ``transform``
        A model with a latent space, or one of the maps of this module. Where it has ``fit_transform``, that places
        the training cells.
    data : PairedData
        Cells of unknown label are mapped but neither vote nor count.
    folds : list of (train, test), optional
        `paper_folds` by default.
    k : int
    n_jobs : int
        Worker processes; the result is the same for any number.
    scaling : {"fold", "all", "none"}
        As for `cross_validate`.

    Returns
    -------
    DataFrame, shape (folds, 2)
        Accuracies of ``family`` and ``type``; NaN where nothing could be told.
    """
    folds = check_folds(paper_folds(data.n_cells) if folds is None else folds, data.n_cells)
    scaled = source_arrays(data, scaling)
    labels = data.labels[list(LABELS)]
    jobs = (delayed(_accuracy_of_fold)(clone(model), scaled, fold, scaling, labels, k) for fold in folds)
    return pd.DataFrame(Parallel(n_jobs=n_jobs)(jobs)).rename_axis("fold")


def _accuracy_of_fold(model, scaled, fold, scaling, labels, k):
    X_train, Y_train, X_test, _ = split_fold(scaled, fold, scaling)
    with reproducible():
        placed = model.fit_transform(X_train, Y_train), model.transform(X_test)
    accuracy = {}
    for kind in labels:
        train, test = (labels[kind].to_numpy()[cells] for cells in fold)
        known = train != UNKNOWN, test != UNKNOWN
        accuracy[kind] = np.nan
        if known[0].sum() >= k and known[1].any():
            votes = KNeighborsClassifier(k).fit(placed[0][known[0]], train[known[0]])
            accuracy[kind] = votes.score(placed[1][known[1]], test[known[1]])
    return accuracy


class _MapOfPCs(TransformerMixin, BaseEstimator):
    """A map of the first principal components: checks and PCA that the maps share."""

    def _components(self, X, y=None):
        """Fit the PCA and return the components of the training cells."""
        X = validate_data(self, expression_table(X), dtype=np.float64, ensure_min_samples=2)
        if self.n_pca < self.n_components:
            raise ValueError(f"n_pca: expected at least n_components={self.n_components}, got {self.n_pca}")
        self.pca_ = PCA(min(self.n_pca, *X.shape), svd_solver="full")
        return self.pca_.fit_transform(X)

    def _new_components(self, X):
        check_is_fitted(self, "pca_")
        return self.pca_.transform(validate_data(self, expression_table(X), dtype=np.float64, reset=False))

    def fit(self, X, y=None):
        """Fit the map to the training cells, X (n, p) and, for a supervised map, y (n, q)."""
        self.fit_transform(X, y)
        return self


class CanonicalCorrelationMap(_MapOfPCs):
    """Canonical correlation of expression and outputs, in closed form; PCA of the expression first.

    Parameters
    ----------
    n_components : int, default=2
        At most the number of outputs and of principal components.
    n_pca : int, default=50
        Principal components of the expression: what regularises it.

    Attributes
    ----------
    correlations_ : ndarray, shape (n_components,)
        On the training cells, falling.

    References
    ----------
    Hotelling, Biometrika 28, 1936.
    """

    def __init__(self, n_components=2, n_pca=50):
        self.n_components = n_components
        self.n_pca = n_pca

    def fit_transform(self, X, y=None):
        """Fit, then place the training cells: canonical variates of the expression with unit variance, (n, d)."""
        outputs = np.asarray(output_table(X, y), dtype=np.float64)
        components = self._components(X)
        outputs = outputs.reshape(len(outputs), -1)
        if len(outputs) != len(components):
            raise ValueError(f"y: expected {len(components)} rows, as many as X, got {len(outputs)}")
        if self.n_components > min(outputs.shape[1], components.shape[1]):
            raise ValueError(
                f"n_components: expected at most {min(outputs.shape[1], components.shape[1])}, the smaller number of "
                f"outputs and of principal components, got {self.n_components}"
            )
        # The canonical correlations are the singular values between orthonormal bases of the two sides.
        left, spread, right = np.linalg.svd(components, full_matrices=False)
        basis = np.linalg.svd(outputs - outputs.mean(0), full_matrices=False)[0]
        kept = spread > 1e-9 * spread[0]
        rotation, correlations, _ = np.linalg.svd(left[:, kept].T @ basis, full_matrices=False)
        self.correlations_ = correlations[: self.n_components]
        rotation = rotation[:, : self.n_components] * np.sqrt(len(components))
        self.weights_ = (right[kept].T / spread[kept]) @ rotation
        return components @ self.weights_

    def transform(self, X):
        """Place cells, shape (n, d)."""
        return self._new_components(X) @ self.weights_


class TSNEMap(_MapOfPCs):
    """t-SNE of the first principal components; new cells are placed with the training cells held still (openTSNE).

    Parameters
    ----------
    n_components : int, default=2
    n_pca : int, default=50
    perplexity : float, default=30
        Less for fewer than 91 cells.
    random_state : int, default=0

    References
    ----------
    Policar, Strazar and Zupan, J. Stat. Softw. 109, 2024.
    """

    def __init__(self, n_components=2, n_pca=50, perplexity=30, random_state=0):
        self.n_components = n_components
        self.n_pca = n_pca
        self.perplexity = perplexity
        self.random_state = random_state

    def fit_transform(self, X, y=None):
        """Fit, then give the places of the training cells, shape (n, n_components)."""
        from openTSNE import TSNE  # takes longer to import than all the rest

        components = self._components(X)
        perplexity = min(self.perplexity, (len(components) - 1) / 3)
        # Exact neighbours, as in `fullfit.embed`: the approximate index differs between machines.
        tsne = TSNE(
            self.n_components, perplexity=perplexity, initialization="pca", neighbors="exact", n_jobs=1,
            random_state=self.random_state,
        )  # fmt: skip
        self.embedding_ = tsne.fit(components)
        # openTSNE moves the whole embedding to this origin when it places new cells: do so before its places are used.
        self.embedding_ -= (np.max(self.embedding_, axis=0) + np.min(self.embedding_, axis=0)) / 2
        return np.array(self.embedding_)

    def transform(self, X):
        """Place new cells between the training cells, shape (n, n_components)."""
        components = self._new_components(X)
        return np.array(self.embedding_.transform(components))


class UMAPMap(_MapOfPCs):
    """UMAP of the first principal components; needs the package ``umap-learn``.

    Parameters
    ----------
    n_components : int, default=2
    n_pca : int, default=50
    n_neighbors : int, default=15
    random_state : int, default=0

    References
    ----------
    McInnes, Healy and Melville, arXiv 1802.03426.
    """

    def __init__(self, n_components=2, n_pca=50, n_neighbors=15, random_state=0):
        self.n_components = n_components
        self.n_pca = n_pca
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def fit_transform(self, X, y=None):
        """Fit, then give the places of the training cells, shape (n, n_components).

        Raises
        ------
        ImportError
            If ``umap-learn`` is not installed.
        """
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError("UMAPMap needs umap-learn: pip install umap-learn==0.5.12") from error

        components = self._components(X)
        # One thread: with more, UMAP gives other numbers every time.
        self.umap_ = UMAP(
            n_components=self.n_components, n_neighbors=self.n_neighbors, random_state=self.random_state, n_jobs=1
        )
        return self.umap_.fit_transform(components)

    def transform(self, X):
        """Place new cells between the training cells, shape (n, n_components)."""
        return self.umap_.transform(self._new_components(X))
