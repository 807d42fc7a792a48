"""Maps of the cells that a network with two units is compared to: CCA, t-SNE and UMAP behind one face.

Each is a transformer that is fitted to the training cells and then places cells it has not seen; `embed` maps a latent
space of any width on a page.
"""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.inputs import expression_table, learn_library, new_cells, output_table, two_tables
from sbnn.data.readers.anndata import is_mudata, modality


def embed(latent, seed=0):
    """Two coordinates per cell: the latent space itself if it is flat, else its t-SNE.

    Parameters
    ----------
    latent : ndarray, shape (n, d)
    seed : int

    Returns
    -------
    ndarray, shape (n, 2)
        t-SNE with perplexity 30 (less for fewer than 91 cells) and PCA initialisation, on one thread; one column of
        zeros is added if d = 1.
    """
    n, d = latent.shape
    if d <= 2:
        return np.column_stack([latent, np.zeros((n, 2 - d))])
    from openTSNE import TSNE  # takes longer to import than all the rest

    perplexity = min(30, (n - 1) / 3)
    # Exact neighbours: the approximate index is a matter of luck on machines with other instructions.
    tsne = TSNE(perplexity=perplexity, initialization="pca", neighbors="exact", n_jobs=1, random_state=seed)
    return np.asarray(tsne.fit(np.ascontiguousarray(latent, dtype=np.float64)))


class _MapOfPCs(TransformerMixin, BaseEstimator):
    """A map of the first principal components: checks and PCA that the maps share."""

    algorithm_version = 1  # a map raises its own whenever the same parameters give other coordinates

    def _components(self, X, y=None):
        """Fit the PCA and return the components of the training cells."""
        X = modality(X) if is_mudata(X) else X
        learn_library(self, X)
        X = validate_data(self, expression_table(X), dtype=np.float64, ensure_min_samples=2)
        if self.n_pca < self.n_components:
            raise ValueError(f"n_pca: expected at least n_components={self.n_components}, got {self.n_pca}")
        self.pca_ = PCA(min(self.n_pca, *X.shape), svd_solver="full")
        return self.pca_.fit_transform(X)

    def _new_components(self, X):
        check_is_fitted(self, "pca_")
        return self.pca_.transform(new_cells(self, X))

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
        X, y = two_tables(X, y)
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
        # Exact neighbours, as in `embed`: the approximate index differs between machines.
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
