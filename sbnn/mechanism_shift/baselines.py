"""Latents without a network: components of log counts, as they are, made independent, or unmixed."""

import warnings

import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import StrOptions

from sbnn.determinism import reproducible
from sbnn.mechanism_shift.cells import ScreenModel
from sbnn.mechanism_shift.graph import open_graph
from sbnn.mechanism_shift.unmixing import unmix


class LinearShift(ScreenModel):
    """Linear latents of log counts: principal ("none") or independent ("ica") components, or those turned by `unmix`.

    Parameters and attributes are those of `SparseShiftVAE`; without unmixing all probabilities are 1.
    """

    _parameter_constraints = {"rotation": [StrOptions({"none", "ica", "unmix"})]}

    def __init__(self, n_latent=15, rotation="unmix", random_state=None):
        self.n_latent = n_latent
        self.rotation = rotation
        self.random_state = random_state

    @reproducible()
    def fit(self, counts, perturbation=None, control=None):
        """Fit the components; parameters, errors and warnings as of `SparseShiftVAE.fit`."""
        counts, names, codes = self._training_cells(counts, perturbation, control)
        logs = _logs(counts)
        self._mean, sd = logs.mean(axis=0), logs.std(axis=0)
        self._sd = np.where(sd > 1e-6, sd, 1)
        self.components_ = PCA(self.n_latent, random_state=self.random_state)
        if self.rotation == "ica":
            self.components_ = FastICA(self.n_latent, whiten="unit-variance", random_state=self.random_state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # independence is a means here, not the aim
            self.components_.fit((logs - self._mean) / self._sd)
        latents, self.unmixing_ = self._projected(counts), None
        if self.rotation == "unmix":
            self.unmixing_ = unmix(latents, names[codes], self.control_, random_state=self.random_state or 0)
            self.shift_graph_ = self.unmixing_.graph
        else:
            self.shift_graph_ = open_graph(latents, names, codes, self.control_)
        return self

    @reproducible()
    def transform(self, counts):
        """Latents of cells, ndarray of shape (n, n_latent)."""
        latents = self._projected(self._checked(counts))
        return latents if self.unmixing_ is None else self.unmixing_.transform(latents)

    def _projected(self, counts):
        return self.components_.transform((_logs(counts) - self._mean) / self._sd)


def _logs(counts):
    return np.log1p(counts.toarray().astype(float))
