"""Latents without a network: components of log counts, as they are, made independent, or unmixed."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sbnn.determinism import reproducible
from sbnn.mechanism_shift.cells import checked_counts, checked_screen
from sbnn.mechanism_shift.graph import graph_table, open_graph
from sbnn.mechanism_shift.unmixing import unmix

ROTATIONS = ("none", "ica", "unmix")


class LinearShift(TransformerMixin, BaseEstimator):
    """Linear latents of log counts: principal components, independent ones, or those that perturbations move sparsely.

    Parameters
    ----------
    n_latent : int, default=15
    rotation : {"none", "ica", "unmix"}
        Principal components, independent components, or principal components turned by `unmix`.
    random_state : int or None

    Attributes
    ----------
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
        counts, names, codes = checked_screen(counts, perturbation, control, self.n_latent)
        self.n_features_in_ = counts.shape[1]
        logs = np.log1p(counts.toarray())
        self._mean, sd = logs.mean(axis=0), logs.std(axis=0)
        self._sd = np.where(sd > 1e-6, sd, 1)
        scaled = (logs - self._mean) / self._sd
        with reproducible(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # independence is a means here, not the aim
            self.components_ = (
                FastICA(self.n_latent, whiten="unit-variance", random_state=self.random_state)
                if self.rotation == "ica"
                else PCA(self.n_latent, random_state=self.random_state)
            ).fit(scaled)
            latents = self.components_.transform(scaled)
        self.unmixing_ = None
        if self.rotation == "unmix":
            self.unmixing_ = unmix(latents, names[codes], control, random_state=self.random_state or 0)
            self.shift_graph_ = graph_table(self.unmixing_.shifts, self.unmixing_.probabilities)
        else:
            self.shift_graph_ = open_graph(latents, names[codes], control)
        return self

    def transform(self, counts):
        """Latents of cells, ndarray of shape (n, n_latent)."""
        check_is_fitted(self)
        counts = checked_counts(counts, self.n_features_in_)
        latents = self.components_.transform((np.log1p(counts.toarray()) - self._mean) / self._sd)
        return latents if self.unmixing_ is None else self.unmixing_.transform(latents)
