"""Latents without a network: components of log counts, as they are, made independent, or unmixed."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning

from sbnn.determinism import reproducible
from sbnn.mechanism_shift.graph import graph_table, open_graph
from sbnn.mechanism_shift.screen_input import ScreenModel
from sbnn.mechanism_shift.unmixing import unmix

ROTATIONS = ("none", "ica", "unmix")


class LinearShift(ScreenModel):
    """Linear latents of log counts: principal components, independent ones, or those that perturbations move sparsely.

    Parameters
    ----------
    n_latent : int, default=15
    rotation : {"none", "ica", "unmix"}
        Principal components, independent components, or principal components turned by `unmix`.
    random_state : int or None

    Attributes
    ----------
    control_ : str or None
    shift_graph_ : DataFrame
        As of `SparseShiftVAE`; without unmixing all probabilities are 1.
    unmixing_ : Unmixing or None
    """

    def __init__(self, n_latent=15, rotation="unmix", random_state=None):
        self.n_latent = n_latent
        self.rotation = rotation
        self.random_state = random_state

    def fit(self, counts, perturbation, control=None):
        """Fit the components; parameters, errors and warnings as of `SparseShiftVAE.fit`."""
        if self.rotation not in ROTATIONS:
            raise ValueError(f"rotation: expected one of {', '.join(ROTATIONS)}, got {self.rotation!r}")
        if isinstance(self.n_latent, bool) or not isinstance(self.n_latent, Integral) or self.n_latent < 1:
            raise ValueError(f"n_latent: expected an integer >= 1, got {self.n_latent!r}")
        counts, names, codes = self._training_cells(counts, perturbation, control)
        if self.n_latent > min(counts.shape):
            size = f"{counts.shape[0]} cells and {counts.shape[1]} genes"
            raise ValueError(f"n_latent: {size} have fewer components than {self.n_latent}")
        with reproducible():
            self._fit(counts, names[codes], self.control_)
        return self

    @reproducible()
    def transform(self, counts):
        """Latents of cells, ndarray of shape (n, n_latent)."""
        latents = self._projected(self._more_cells(counts))
        return latents if self.unmixing_ is None else self.unmixing_.transform(latents)

    def _fit(self, counts, perturbation, control):
        logs = _logs(counts)
        self._mean, sd = logs.mean(axis=0), logs.std(axis=0)
        self._sd = np.where(sd > 1e-6, sd, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # independence is a means here, not the aim
            self.components_ = (
                FastICA(self.n_latent, whiten="unit-variance", random_state=self.random_state)
                if self.rotation == "ica"
                else PCA(self.n_latent, random_state=self.random_state)
            ).fit((logs - self._mean) / self._sd)
        latents = self._projected(counts)
        self.unmixing_ = None
        if self.rotation == "unmix":
            self.unmixing_ = unmix(latents, perturbation, control, random_state=self.random_state or 0)
            self.shift_graph_ = graph_table(self.unmixing_.shifts, self.unmixing_.probabilities)
        else:
            self.shift_graph_ = open_graph(latents, perturbation, control)

    def _projected(self, counts):
        return self.components_.transform((_logs(counts) - self._mean) / self._sd)


def _logs(counts):
    return np.log1p(counts.toarray().astype(float))
