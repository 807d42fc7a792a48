"""The best default: the geometric mean of what trees, a kernel and attention over families say."""

import warnings
from numbers import Integral

import numpy as np
from scipy.special import softmax
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.ephys_types.base import TypeClassifier
from sbnn.ephys_types.baselines import lightgbm
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.ephys_types.inputs import check_auto, checked_cells, checked_with_families, names_of
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.scaling import LOST, measured

MEMBERS = ("trees", "kernel", "attention")
LEAST_PROBABILITY = 1e-6  # of a member: none rules out a class by itself


class EphysTypeClassifier(TypeClassifier):
    """Classify cells by the geometric mean of the probabilities of three learners that err in different cells.

    Gradient-boosted trees (LightGBM), class-balanced kernel logistic regression and a network with attention over
    families of features. All of them count every class alike.

    Parameters
    ----------
    members : tuple of str, default=("trees", "kernel", "attention")
        Which learners.
    n_steps : int or "auto", default="auto"
        Of the network, see `FamilyAttentionClassifier`; fewer for a trial.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    classes_ : ndarray
    n_features_in_ : int
    families_ : dict of family to ndarray of int
    members_ : dict of str to classifier

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import EphysTypeClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = EphysTypeClassifier(random_state=0, n_steps=20).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.predict_proba(data.X).shape
    (300, 4)
    """

    def __init__(self, members=MEMBERS, n_steps="auto", random_state=None):
        self.members = members
        self.n_steps = n_steps
        self.random_state = random_state

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

        Raises
        ------
        ValueError
            Unknown members, one class only, infinite values, no value at all, families of other columns, a parameter
            out of its range.
        TypeError
            A parameter or families of another type.

        Warns
        -----
        UserWarning
            Features without a value in any training cell, which tell nothing.
        """
        self._check_parameters()
        X, codes = checked_with_families(self, X, y, families)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        new = {
            "trees": lambda: lightgbm(random_state=seed),
            "kernel": lambda: KernelLogistic(random_state=seed),
            "attention": lambda: FamilyAttentionClassifier(n_steps=self.n_steps, random_state=seed),
        }
        self.members_ = {name: new[name]() for name in self.members}
        measured(X, names_of(self))
        with warnings.catch_warnings():  # each member would say again what this has said
            warnings.filterwarnings("ignore", LOST)
            for name, model in self.members_.items():
                model.fit(X, codes, **({"families": self.families_} if name == "attention" else {}))
        return self

    def _check_parameters(self):
        members = self.members
        names = list(members) if np.iterable(members) and not isinstance(members, str) else []
        if not names or any(name not in MEMBERS for name in names) or len(set(names)) < len(names):
            raise ValueError(f"members: expected some of {MEMBERS}, got {members!r}")
        check_auto("n_steps", self.n_steps, Integral, 1)

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray, shape (n, n_classes)
            Of cells in which all classes are as frequent, as in the training.
        """
        check_is_fitted(self)
        X = checked_cells(self, X)
        logs = [np.log(np.maximum(model.predict_proba(X), LEAST_PROBABILITY)) for model in self.members_.values()]
        return softmax(np.mean(logs, axis=0), axis=1)

    def attention_weights(self, X):
        """Weight of each family in each cell for the member with attention, ndarray of shape (n, n_families)."""
        check_is_fitted(self)
        if "attention" not in self.members_:
            raise AttributeError("attention_weights needs 'attention' among the members")
        return self.members_["attention"].attention_weights(checked_cells(self, X))
