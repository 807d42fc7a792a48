"""The default classifier."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from sbnn.determinism import atomic_fit, reproducible
from sbnn.ephys_types.base import LEFT_OUT_WARNING, TypeClassifier, linear_logistic
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier


class EphysTypeClassifier(TypeClassifier):
    """Classify cells by the mean probabilities of two learners.

    The learners are a network with attention over families of features and class-balanced logistic
    regression. Both are smooth functions of the features: trees fit cells of the same laboratory
    better, but not those of another one. All classes have the same weight.

    Parameters
    ----------
    n_steps : int or "auto"
        Training steps of the network (see `FamilyAttentionClassifier`).
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int (columns)
    members_ : tuple of classifier
        The network and logistic regression, which has only the features with values in training.

    Notes
    -----
    Probabilities are not calibrated: scikit-learn's
    ``CalibratedClassifierCV(model, method="temperature", cv=...)`` fits a temperature to left-out
    cells.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import EphysTypeClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = EphysTypeClassifier(n_steps=20).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.predict_proba(data.X).shape
    (300, 4)
    """

    def __init__(
        self,
        n_steps: int | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_steps = n_steps
        self.random_state = random_state

    @atomic_fit
    def fit(self, X, y: ArrayLike, families=None) -> Self:
        """Fit both learners.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        y : array-like, shape (n,)
            Type of each cell.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family.

        Returns
        -------
        self
        """
        X, codes = self._checked_training(X, y, families)
        self._seen = self._measured(X)
        network = FamilyAttentionClassifier(n_steps=self.n_steps, random_state=self.random_state)
        with warnings.catch_warnings():  # would repeat that of features without a value
            warnings.filterwarnings("ignore", LEFT_OUT_WARNING)
            network.fit(X, codes, self.families_)
        logistic = linear_logistic(len(X)).fit(X[:, self._seen], codes)
        self.members_ = network, logistic
        return self

    @reproducible()
    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes).

        `X` has shape (n, p), with NaN where a feature is missing.
        """
        X = self._checked_cells(X)
        network, logistic = self.members_
        return (network.predict_proba(X) + logistic.predict_proba(X[:, self._seen])) / 2
