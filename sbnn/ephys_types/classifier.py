"""The best default: the geometric mean of what trees, a kernel and attention over families say."""

import warnings

import numpy as np
from scipy.special import softmax
from sklearn.utils import check_random_state

from sbnn.ephys_types.base import LOST, TypeClassifier, lightgbm
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.ephys_types.kernel_logistic import KernelLogistic

LEAST_PROBABILITY = 1e-6  # of a member: none rules out a class by itself


class EphysTypeClassifier(TypeClassifier):
    """Classify cells by the geometric mean of the probabilities of three learners that err in different cells.

    Gradient-boosted trees (LightGBM), class-balanced kernel logistic regression and a network with attention over
    families of features. All of them count every class alike.

    Parameters
    ----------
    n_steps : int or "auto", default="auto"
        Of the network, see `FamilyAttentionClassifier`; fewer for a quick run.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int
        Columns of each.
    members_ : dict of str to classifier
        ``"trees"``, ``"kernel"`` and ``"attention"``.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import EphysTypeClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = EphysTypeClassifier(n_steps=20).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.predict_proba(data.X).shape
    (300, 4)
    """

    def __init__(self, n_steps="auto", random_state=None):
        self.n_steps = n_steps
        self.random_state = random_state

    def decisive_params(self):
        """Parameters that stored results are recognised by."""
        return self.get_params() | {"members": ["trees", "kernel", "attention"]}

    def fit(self, X, y, families=None):
        """Fit all members.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        y : array-like, shape (n,)
            Type of each cell.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family of all.

        Returns
        -------
        self
        """
        X, codes = self._checked_training(X, y, families)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._measured(X)
        with warnings.catch_warnings():  # each member would say again what this has said
            warnings.filterwarnings("ignore", LOST)
            trees, kernel = (model.fit(X, codes) for model in (lightgbm(seed), KernelLogistic(random_state=seed)))
            attention = FamilyAttentionClassifier(n_steps=self.n_steps, random_state=seed)
            attention.fit(X, codes, self.families_)
        self.members_ = {"trees": trees, "kernel": kernel, "attention": attention}
        return self

    def predict_proba(self, X):
        """Probabilities of the types, ndarray of shape (n, n_classes), if all classes were as frequent."""
        X = self._checked_cells(X)
        logs = [np.log(np.maximum(model.predict_proba(X), LEAST_PROBABILITY)) for model in self.members_.values()]
        return softmax(np.mean(logs, axis=0), axis=1)

    def attention_weights(self, X):
        """Weight of each family in each cell for the member with attention, ndarray of shape (n, n_families)."""
        X = self._checked_cells(X)
        return self.members_["attention"].attention_weights(X)
