"""Maps that the network is compared to, CCA, t-SNE and UMAP of the first 50 principal components, for new cells too."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA


class _MapOfPCs(TransformerMixin, BaseEstimator):
    """PCA first; a map has ``_fit(components, Y)`` and ``_place(components)``."""

    def __init__(self, n_pca=50, random_state=0):
        self.n_pca = n_pca
        self.random_state = random_state

    def fit(self, X, y=None):
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X, y=None):
        self.pca_ = PCA(min(self.n_pca, *X.shape), svd_solver="full")
        return self._fit(self.pca_.fit_transform(np.asarray(X, dtype=np.float64)), y)

    def transform(self, X):
        return self._place(self.pca_.transform(np.asarray(X, dtype=np.float64)))


class CanonicalCorrelationMap(_MapOfPCs):
    """Canonical correlation of expression and outputs (Hotelling, Biometrika 28, 1936), in closed form."""

    def _fit(self, components, Y):
        Y = np.asarray(Y, dtype=np.float64)
        # The canonical correlations are the singular values between orthonormal bases of the two
        # sides.
        left, spread, right = np.linalg.svd(components, full_matrices=False)
        basis = np.linalg.svd(Y - Y.mean(0), full_matrices=False)[0]
        kept = spread > 1e-9 * spread[0]
        rotation, self.correlations_, _ = np.linalg.svd(
            left[:, kept].T @ basis, full_matrices=False
        )
        self.weights_ = (right[kept].T / spread[kept]) @ (
            rotation[:, :2] * np.sqrt(len(components))
        )
        return components @ self.weights_

    def _place(self, components):
        return components @ self.weights_


class TSNEMap(_MapOfPCs):
    """t-SNE; new cells are placed with the training cells held still (openTSNE)."""

    def _fit(self, components, Y):
        from openTSNE import TSNE

        perplexity = min(30, (len(components) - 1) / 3)
        tsne = TSNE(
            perplexity=perplexity,
            initialization="pca",
            neighbors="exact",
            n_jobs=1,
            random_state=self.random_state,
        )
        self.embedding_ = tsne.fit(components)
        # openTSNE moves the whole embedding to this origin when it places new cells: do so before
        # its places are used.
        self.embedding_ -= (np.max(self.embedding_, axis=0) + np.min(self.embedding_, axis=0)) / 2
        return np.array(self.embedding_)

    def _place(self, components):
        return np.array(self.embedding_.transform(components))


class UMAPMap(_MapOfPCs):
    """UMAP (McInnes, Healy and Melville, arXiv 1802.03426); needs the package ``umap-learn``."""

    def _fit(self, components, Y):
        from umap import UMAP

        # One thread: with more, UMAP gives other numbers every time.
        self.umap_ = UMAP(n_neighbors=15, random_state=self.random_state, n_jobs=1)
        return self.umap_.fit_transform(components)

    def _place(self, components):
        return self.umap_.transform(components)
