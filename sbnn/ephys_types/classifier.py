"""The default classifier."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from tqdm.auto import tqdm

from sbnn.data.checks import check_in_order
from sbnn.determinism import as_a_whole, reproducible
from sbnn.ephys_types.base import LOST, TypeClassifier, kernel_logistic
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.errors import warn

LEAST_PROBABILITY = 1e-6
N_PARTS = 3  # of the groups, for calibration
POWERS = (0.01, 100.0)
PSEUDO_SHARE = 0.1  # pseudo-cells of each type for the estimated mix, as a share of all cells
EM_STEPS = 200


class EphysTypeClassifier(TypeClassifier):
    """Classify cells by the mean probabilities of two learners, calibrated across groups.

    The learners are a network with attention over families of features and kernel logistic
    regression. Both are smooth functions of the features: trees fit cells of the same laboratory
    better, but not those of another one. All classes have the same weight.

    Parameters
    ----------
    n_steps : int or "auto"
        Training steps of the network (see `FamilyAttentionClassifier`).
    power : float or "groups"
        Power to which the mean of the probabilities is raised. With ``"groups"``, the learners are
        fitted three more times, without a third of the groups each, and the power that best fits
        the left-out cells is chosen.
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int (columns)
    members_ : tuple of classifier
        The network and kernel logistic regression.
    power_ : float
        Between 0.01 and 100 if calibrated.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import EphysTypeClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = EphysTypeClassifier(n_steps=20).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.predict_proba(data.X).shape
    (300, 4)
    """

    _parameter_constraints: dict = {
        "power": [Interval(Real, 0, None, closed="neither"), StrOptions({"groups"})],
    }

    def __init__(
        self,
        n_steps: int | str = "auto",
        power: float | str = "groups",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_steps = n_steps
        self.power = power
        self.random_state = random_state

    @as_a_whole
    def fit(
        self,
        X,
        y: ArrayLike,
        families=None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit both learners.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        y : array-like, shape (n,)
            Type of each cell.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family.
        groups : array-like, shape (n,), optional
            Donor (or laboratory or condition) of each cell, for calibration; by default, each cell
            is a group.

        Returns
        -------
        self
        """
        check_in_order(X, groups, "groups")
        X, codes = self._checked_training(X, y, families)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._seen = self._measured(X)
        self.members_ = self._fitted(X, codes, seed)
        self.power_ = self.power
        if self.power == "groups":
            groups = np.arange(len(X)) if groups is None else groups
            self.power_ = self._calibrated(X, codes, groups, seed)
        return self

    def _fitted(self, X, codes, seed):
        x = X[:, self._seen]
        network = FamilyAttentionClassifier(n_steps=self.n_steps, random_state=seed)
        kernel = kernel_logistic(*x.shape, seed)
        with warnings.catch_warnings():  # would repeat the warnings of `fit`
            warnings.filterwarnings("ignore", LOST)
            return network.fit(X, codes, self.families_), kernel.fit(x, codes)

    def _mean_log(self, members, X):
        """Logarithm of the mean probabilities."""
        network, kernel = members
        means = (network.predict_proba(X) + kernel.predict_proba(X[:, self._seen])) / 2
        return np.log(np.maximum(means, LEAST_PROBABILITY))

    def _calibrated(self, X, codes, groups, seed):
        """The power that best fits cells of left-out groups."""
        n_parts = min(N_PARTS, len(np.unique(groups)))
        parts = []
        if n_parts > 1:
            splitter = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
            parts = list(splitter.split(X, codes, groups))
        known = [len(np.unique(codes[train])) for train, _ in parts]
        if min(known, default=0) < len(self.classes_):
            warn("probabilities are not calibrated: too few groups have each type")
            return 1.0
        logs = np.empty((len(X), len(self.classes_)))
        for train, test in tqdm(parts, "calibration", leave=False, disable=None):
            logs[test] = self._mean_log(self._fitted(X[train], codes[train], seed), X[test])
        return best_power(logs, codes)

    @reproducible()
    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes).

        `X` has shape (n, p), with NaN where a feature is missing.
        """
        X = self._checked_cells(X)
        return softmax(self.power_ * self._mean_log(self.members_, X), axis=1)


def estimated_shares(probabilities: ArrayLike, pseudo_share: float = PSEUDO_SHARE) -> np.ndarray:
    """Estimate the shares of the types among cells of the training laboratory.

    By expectation maximisation (Saerens, Latinne and Decaestecker, Neural Computation 2002). In
    other laboratories, a shift of the features is mistaken for other shares.

    Parameters
    ----------
    probabilities : ndarray, shape (n, n_classes)
        Those of equally frequent types, as from `EphysTypeClassifier.predict_proba`.
    pseudo_share : float
        Each type gets this times n pseudo-cells.

    Returns
    -------
    ndarray, shape (n_classes,)

    Examples
    --------
    >>> from sbnn.ephys_types.classifier import estimated_shares
    >>> estimated_shares([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]).round(2)
    array([0.88, 0.12])
    """
    probabilities = np.asarray(probabilities)
    n, n_classes = probabilities.shape
    n_pseudo = pseudo_share * n
    shares = np.full(n_classes, 1 / n_classes)
    for _ in range(EM_STEPS):
        memberships = probabilities * shares
        memberships /= memberships.sum(axis=1, keepdims=True)
        shares = (memberships.sum(axis=0) + n_pseudo) / (n + n_pseudo * n_classes)
    return shares


def best_power(logs, codes):
    """Power of probabilities with the lowest log loss, from their logarithms (n, n_classes)."""

    def loss(log_power):
        raised = log_softmax(np.exp(log_power) * logs, axis=1)
        return -raised[np.arange(len(codes)), codes].mean()

    best = minimize_scalar(loss, bounds=np.log(POWERS), method="bounded")
    return np.exp(best.x)
