"""Logistic regression on a Gaussian kernel of normal scores: smooth, and strong with few cells."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils import check_random_state

from sbnn.determinism import reproducible
from sbnn.ephys_types.base import FeatureScaling, TypeClassifier

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

    def fit(self, X, y):
        """Fit to cells, shape (n, p), NaN where missing, and their types, shape (n,)."""
        X, codes = self._checked_training(X, y)
        self._seen = self._measured(X)
        self._scaling = FeatureScaling().fit(X[:, self._seen])
        scaled = self._scaling.transform(X[:, self._seen])
        self._filler = np.nanmedian(scaled, axis=0)
        x = self._landmarks = np.where(np.isfinite(scaled), scaled, self._filler)
        if len(x) > self.n_landmarks:
            random = check_random_state(self.random_state)
            self._landmarks = x[np.sort(random.choice(len(x), self.n_landmarks, replace=False))]
        weight = len(x) / len(self.classes_) / np.bincount(codes)[codes]
        with reproducible():
            values, vectors = np.linalg.eigh(self._kernel(self._landmarks))
            strong = values > LEAST_EIGENVALUE
            self._basis = vectors[:, strong] / np.sqrt(values[strong])
            self._regression = LogisticRegression(C=self.C, max_iter=3000)
            self._regression.fit(self._kernel(x) @ self._basis, codes, sample_weight=weight)
        return self

    def _kernel(self, x):
        return rbf_kernel(x, self._landmarks, gamma=self.gamma / x.shape[1])

    def predict_proba(self, X):
        """Probabilities of the types, ndarray of shape (n, n_classes), if all classes were as frequent."""
        X = self._checked_cells(X)
        scaled = self._scaling.transform(X[:, self._seen])
        with reproducible():
            kernel = self._kernel(np.where(np.isfinite(scaled), scaled, self._filler))
            return self._regression.predict_proba(kernel @ self._basis)
