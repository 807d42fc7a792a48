"""Linear latents of perturbation screens, estimated without a network."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, FastICA

from sbnn.mechanism_shift.graph import open_graph


class LinearShift(BaseEstimator):
    """Principal or independent components of log counts, which `recovery` can unmix.

    The components are independent if `rotation` is "ica", otherwise principal.
    """

    def __init__(self, n_latent=15, rotation="unmix", random_state=None):
        self.n_latent = n_latent
        self.rotation = rotation
        self.random_state = random_state

    def fit(self, counts, perturbation, control=None):
        """Fit the components to counts (CSR), and estimate their shifts by every perturbation."""
        logs = _logs(counts)
        self.mean_ = logs.mean(axis=0)
        self.sd_ = logs.std(axis=0)
        kind = FastICA if self.rotation == "ica" else PCA
        self.components_ = kind(self.n_latent, random_state=self.random_state)
        self.components_.fit((logs - self.mean_) / self.sd_)
        self.shift_graph_ = open_graph(self.transform(counts), perturbation, control)
        return self

    def transform(self, counts):
        """Latents of cells, ndarray of shape (n, n_latent)."""
        return self.components_.transform((_logs(counts) - self.mean_) / self.sd_)


def _logs(counts):
    return np.log1p(counts.toarray().astype(float))
