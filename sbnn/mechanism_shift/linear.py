"""Linear latents of perturbation screens, estimated without a network."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, FastICA

from sbnn.mechanism_shift.graph import open_graph


class LinearShift(BaseEstimator):
    """Principal components of log counts, or independent components if `rotation` is "ica"; `recovery` unmixes them."""

    def __init__(self, n_latent=15, rotation="unmix", random_state=None):
        self.n_latent = n_latent
        self.rotation = rotation
        self.random_state = random_state

    def fit(self, counts, perturbation, control=None):
        """Fit the components to counts (CSR), and estimate the shift of each component by every perturbation."""
        logs = np.log1p(counts.toarray().astype(float))
        self.mean_, self.sd_ = logs.mean(axis=0), logs.std(axis=0)
        kind = FastICA if self.rotation == "ica" else PCA
        self.components_ = kind(self.n_latent, random_state=self.random_state).fit(
            (logs - self.mean_) / self.sd_
        )
        self.shift_graph_ = open_graph(self.transform(counts), perturbation, control)
        return self

    def transform(self, counts):
        """Latents of cells, ndarray of shape (n, n_latent)."""
        return self.components_.transform(
            (np.log1p(counts.toarray().astype(float)) - self.mean_) / self.sd_
        )
