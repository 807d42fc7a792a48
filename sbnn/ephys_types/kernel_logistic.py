"""Logistic regression with a Gaussian kernel, which is accurate with few cells."""

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state

from sbnn.determinism import reproducible
from sbnn.ephys_types.base import FeatureScaling, TypeClassifier

LEAST_EIGENVALUE = 1e-6  # of the kernel; smaller ones are rounding errors


class KernelLogistic(TypeClassifier):
    """Class-balanced logistic regression in the space of a Gaussian kernel.

    Missing values are set to the training median. With more than `n_landmarks` cells, the kernel is
    approximated with random landmarks (Nystroem method; Williams and Seeger, NeurIPS 2000). `C` is
    the inverse of the penalty; `gamma`, the scale of the kernel, is divided by the number of
    features.
    """

    def __init__(self, C=3.0, gamma=0.3, n_landmarks=1000, random_state=None):
        self.C = C
        self.gamma = gamma
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def fit(self, X, y):
        """Fit to cells `X` of shape (n, p) and types `y` of shape (n,)."""
        X, codes = self._checked_training(X, y)
        filled = SimpleImputer(strategy="median")
        x = self._learn_scale(X, make_pipeline(FeatureScaling(), filled))
        self._landmarks = x
        if len(x) > self.n_landmarks:
            random = check_random_state(self.random_state)
            chosen = random.choice(len(x), self.n_landmarks, replace=False)
            self._landmarks = x[np.sort(chosen)]
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
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes)."""
        x = self._scaled(self._checked_cells(X))
        with reproducible():
            return self._regression.predict_proba(self._kernel(x) @ self._basis)
