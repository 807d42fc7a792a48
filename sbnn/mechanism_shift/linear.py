"""Linear latents of perturbation screens, estimated without a network."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA, FastICA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.data.screens import check_perturbation
from sbnn.determinism import atomic_fit
from sbnn.mechanism_shift.graph import compared, graph_table


class LinearShift(BaseEstimator):
    """Principal or independent components of log counts, which `recovery` can unmix.

    The components are principal unless `rotation` is "ica".
    """

    def __init__(self, n_latent=15, rotation="unmix", random_state=None):
        self.n_latent = n_latent
        self.rotation = rotation
        self.random_state = random_state

    @atomic_fit
    def fit(self, counts, perturbation, control=None):
        """Fit the components to counts (CSR), and estimate their shifts by every perturbation.

        Shifts are in standard deviations within a perturbation; all probabilities are 1.
        """
        kind = FastICA if self.rotation == "ica" else PCA
        components = kind(self.n_latent, random_state=self.random_state)
        self.components_ = make_pipeline(StandardScaler(), components).fit(_logs(counts))
        perturbation = check_perturbation(perturbation, counts, control)
        means, _, _, residuals = compared(self.transform(counts), perturbation, control)
        shifts = means / np.sqrt((residuals**2).mean(axis=0))
        self.shift_graph_ = graph_table(means.index, shifts, np.ones_like(shifts))
        return self

    def transform(self, counts):
        """Latents of cells, ndarray of shape (n, n_latent)."""
        return self.components_.transform(_logs(counts))


def _logs(counts):
    return np.log1p(counts.toarray().astype(float))
