"""Logistic regression on a Gaussian kernel of normal scores: smooth, and strong with few cells."""

from numbers import Integral, Real

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.determinism import reproducible
from sbnn.ephys_types.base import TypeClassifier
from sbnn.ephys_types.inputs import checked_cells, checked_training, column_names
from sbnn.ephys_types.scaling import FeatureScaling, measured
from sbnn.models.base import check_number

LEAST_EIGENVALUE = 1e-6  # of the kernel among landmarks; directions below are rounding


class KernelLogistic(TypeClassifier):
    """Class-balanced logistic regression in the space of a Gaussian kernel.

    Missing values are set to the training median. With more than `n_landmarks` training cells the kernel is that of
    Nystroem (Williams and Seeger, NeurIPS 2000), on landmarks drawn at random.

    Parameters
    ----------
    C : float, default=3.0
        Inverse strength of the penalty.
    gamma : float, default=0.3
        Of the kernel, divided by the number of features.
    n_landmarks : int, default=1000
    random_state : int, RandomState or None, default=None
        Draws the landmarks.

    Attributes
    ----------
    classes_ : ndarray
    n_features_in_ : int
    """

    def __init__(self, C=3.0, gamma=0.3, n_landmarks=1000, random_state=None):
        self.C = C
        self.gamma = gamma
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Fit.

        Parameters
        ----------
        X : array-like, shape (n, p)
            NaN where missing.
        y : array-like, shape (n,)
        sample_weight : array-like, shape (n,), optional
            In place of weights that make all classes count alike.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            One class only, infinite values, no value at all, a parameter out of its range or of another type.

        Warns
        -----
        UserWarning
            Features without a value in any training cell, which are left out.
        """
        for name in ("C", "gamma"):
            check_number(name, getattr(self, name), Real, 0, closed="neither")
        check_number("n_landmarks", self.n_landmarks, Integral, 1)
        table = X
        X, codes = checked_training(self, X, y)
        self._seen = measured(X, column_names(table, X.shape[1]))
        self._scaling = FeatureScaling().fit(X[:, self._seen])
        scaled = self._scaling.transform(X[:, self._seen])
        self._filler = np.nanmedian(scaled, axis=0)
        x = self._filled(scaled)
        if len(x) > self.n_landmarks:
            random = check_random_state(self.random_state)
            self._landmarks = x[np.sort(random.choice(len(x), self.n_landmarks, replace=False))]
        else:
            self._landmarks = x
        if sample_weight is None:
            sample_weight = len(x) / len(self.classes_) / np.bincount(codes)[codes]
        with reproducible():
            values, vectors = np.linalg.eigh(self._kernel(self._landmarks))
            strong = values > LEAST_EIGENVALUE
            self._basis = vectors[:, strong] / np.sqrt(values[strong])
            self._regression = LogisticRegression(C=self.C, max_iter=3000)
            self._regression.fit(self._kernel(x) @ self._basis, codes, sample_weight=sample_weight)
        return self

    def _filled(self, scaled):
        return np.where(np.isfinite(scaled), scaled, self._filler)

    def _kernel(self, x):
        return rbf_kernel(x, self._landmarks, gamma=self.gamma / x.shape[1])

    def predict_proba(self, X):
        """Probability of each class, shape (n, n_classes), of cells in which all classes are as frequent."""
        check_is_fitted(self)
        x = self._filled(self._scaling.transform(checked_cells(self, X)[:, self._seen]))
        with reproducible():
            return self._regression.predict_proba(self._kernel(x) @ self._basis)
