"""The default classifier: the geometric mean of trees, a kernel method and attention."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted
from tqdm.auto import tqdm

from sbnn.data.checks import UNKNOWN, check_in_order, some
from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.ephys_types.base import LOST, FeatureScaling, TypeClassifier, lightgbm
from sbnn.ephys_types.distance import Surroundings
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.errors import check_among, check_number, warn
from sbnn.results import Record, load, save

LEAST_PROBABILITY = 1e-6  # of each member, so that none rules out a class on its own
N_PARTS = 3  # of the groups, for calibration
POWERS = (0.01, 100.0)
PSEUDO_SHARE = 0.1  # pseudo-cells of each type for the estimated mix, as a share of all cells
EM_STEPS = 200
MEMBERS = ("trees", "kernel", "attention")
SAVED = "EphysTypeClassifier"  # kind of record in which a model is saved


def _logistic(seed):
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    regression = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    return make_pipeline(FeatureScaling(), filled, regression)


#: Unfitted learners by name, as functions of the seed.
LEARNERS = {
    "trees": lightgbm,
    "kernel": lambda seed: KernelLogistic(random_state=seed),
    "logistic": _logistic,
    "attention": lambda seed: FamilyAttentionClassifier(random_state=seed),
}


class EphysTypeClassifier(TypeClassifier):
    """Classify cells by the geometric mean of the probabilities of several learners.

    By default, these are gradient-boosted trees (LightGBM), kernel logistic regression, and a
    network with attention over families of features. All classes have the same weight.

    Parameters
    ----------
    n_steps : int or "auto", default="auto"
        Training steps of the network (see `FamilyAttentionClassifier`).
    members : sequence of str, default=("trees", "kernel", "attention")
        The learners, among these and ``"logistic"``, logistic regression on normal scores.
    power : float or "groups", default="groups"
        Power to which the mean of the probabilities is raised. ``"groups"`` calibrates the
        probabilities: the learners are fitted three more times, without a third of the groups each,
        and the power that best fits the left-out cells is chosen.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int (columns)
    members_ : dict of str to classifier
    power_ : float
        Between 0.01 and 100 if calibrated.
    held_out_probabilities_ : ndarray, shape (n, n_classes) or None
        Probabilities for each typed training cell, from learners that were fitted without its
        group; None without calibration.

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
        "members": [list, tuple],
        "power": [Interval(Real, 0, None, closed="neither"), StrOptions({"groups"})],
    }

    def __init__(
        self,
        n_steps: int | str = "auto",
        members: Sequence[str] = MEMBERS,
        power: float | str = "groups",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_steps = n_steps
        self.members = members
        self.power = power
        self.random_state = random_state

    def fit(
        self,
        X,
        y: ArrayLike,
        families=None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit all members.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        y : array-like, shape (n,)
            Type of each cell; cells of type ``"unknown"`` are left out with a warning.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family.
        groups : array-like, shape (n,), optional
            Donor (or laboratory or condition) of each cell, for calibration and `far`; by default
            every cell is its own group.

        Returns
        -------
        self
        """
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._learn(X, y, families, groups, seed)
        if self.power == "groups":
            self._calibrate()
        else:
            self.power_ = self.power
        return self

    def _learn(self, X, y, families, groups, seed):
        """Fit everything except the power, and keep what `save` stores."""
        check_in_order(X, groups, "groups")
        X, codes = self._checked_training(X, y, families)
        self._cells = X
        self._codes = codes
        self._groups = self._groups_of_typed(groups)
        self._seed = seed
        self.power_ = 1.0
        self.held_out_probabilities_ = None
        self._seen = self._measured(X)
        self.members_ = self._members(X, codes)
        self._place = FeatureScaling().fit(X[:, self._seen])
        self._surroundings = Surroundings(self._scores(X), self._groups)

    def _members(self, X, codes):
        if not self.members:
            raise ValueError("members: expected at least one")
        members = {}
        with warnings.catch_warnings():  # members would repeat the warnings of `fit`
            warnings.filterwarnings("ignore", LOST)
            for name in self.members:
                check_among("members", name, LEARNERS)
                members[name] = LEARNERS[name](self._seed)
                if name == "attention":
                    members[name].set_params(n_steps=self.n_steps).fit(X, codes, self.families_)
                else:
                    members[name].fit(X, codes)
        return members

    def _parts(self):
        """Training and left-out cells, as positions; groups are kept together."""
        n_parts = min(N_PARTS, len(np.unique(self._groups)))
        parts = StratifiedGroupKFold(n_parts, shuffle=True, random_state=self._seed)
        return parts.split(self._cells, self._codes, self._groups)

    def _calibrate(self):
        if len(np.unique(self._groups)) < 2:
            warn("probabilities are not calibrated, because all cells belong to one group")
            return
        X = self._cells
        codes = self._codes
        logs = np.full((len(X), len(self.classes_)), np.nan)
        parts = list(self._parts())
        for train, test in tqdm(parts, "calibration", leave=False, disable=None):
            lacking = np.delete(self.classes_, codes[train])
            if len(lacking):
                warn(f"probabilities are not calibrated: too few groups have {some(lacking)}")
                return
            members = self._members(X[train], codes[train])
            logs[test] = _mean_log(members, X[test])
        self.power_ = _best_power(logs, codes)
        self.held_out_probabilities_ = softmax(self.power_ * logs, axis=1)

    def predict_proba(self, X, mix: str | None = None) -> np.ndarray:
        """Probabilities of the types, ndarray of shape (n, n_classes).

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        mix : {"estimated"}, optional
            By default, all types count as equally frequent. ``"estimated"`` estimates their shares
            in `X` by expectation maximisation (Saerens, Latinne and Decaestecker, Neural
            Computation 2002), for cells of the same laboratory: elsewhere, a shift of the features
            is mistaken for other shares.
        """
        X = self._checked_cells(X)
        if mix is not None:
            check_among("mix", mix, ["estimated"])
        probabilities = softmax(self.power_ * _mean_log(self.members_, X), axis=1)
        if mix is None:
            return probabilities
        weighted = probabilities * estimated_shares(probabilities)
        return weighted / weighted.sum(axis=1, keepdims=True)

    def predict(self, X, abstain: float | None = None, mix: str | None = None) -> np.ndarray:
        """Most probable type of each cell, ndarray of shape (n,).

        Parameters
        ----------
        X, mix
            As in `predict_proba`.
        abstain : float in [0, 1), optional
            Leave a cell untyped (``"unknown"``) if its highest probability is lower, or if it is
            `far`. By default every cell gets a type.

        Warns
        -----
        UserWarning
            If more cells are `far`, or means of features differ more from the training cells, than
            expected by chance; each rule warns for about 5 % of tables of new donors.
        """
        if abstain is not None:
            check_number("abstain", abstain, float, 0, np.nextafter(1, 0))
        probabilities = self.predict_proba(X, mix)
        types = self.classes_[probabilities.argmax(axis=1)]
        far = self.far(X)
        self._warn_of(X, far)
        if abstain is None:
            return types
        unsure = probabilities.max(axis=1) < abstain
        return np.where(far | unsure, UNKNOWN, types.astype(object))

    def far(self, X) -> pd.DataFrame:
        """Mask of the cells that are far from the training cells, ndarray of shape (n,).

        A cell is far if it is farther from its fifth nearest training cell than 99 % of the
        training cells are from those of other groups, in normal scores of the features that both
        cells have. Cells without any value are far.
        """
        return self._surroundings.far(self._scores(self._checked_cells(X)))

    def _warn_of(self, X, far):
        moved = self._surroundings.moved(self._scores(self._checked_cells(X)))
        if moved.any() or self._surroundings.too_many(far):
            cells = getattr(X, "index", np.arange(len(far)))[far]
            names = _check_feature_names_in(self)[self._seen][moved]
            warn(
                f"X is unlike the training cells: {len(cells)} of {len(far)} cells far from all "
                f"training cells ({some(cells)}), {len(names)} of {len(moved)} features shifted in "
                f"mean ({some(names)}); probabilities may be too high; check the units, "
                "preparation, species and mix of types; "
                "ZeroShotClassifier(alignment='halfway') is for another laboratory or preparation"
            )

    def _scores(self, X):
        return self._place.transform(X[:, self._seen])

    def attention_weights(self, X) -> np.ndarray:
        """Weight of each family in each cell for the member ``"attention"``, (n, n_families)."""
        check_among("members", "attention", self.members_)
        return self.members_["attention"].attention_weights(self._checked_cells(X))

    def save(self, path) -> None:
        """Save training cells, types and settings, but no code."""
        check_is_fitted(self)
        params = self.get_params()
        del params["random_state"]
        values = {
            "X": self._cells,
            "y": self.classes_[self._codes],
            "groups": self._groups,
            "held_out": self.held_out_probabilities_,
            "families": {name: list(columns) for name, columns in self.families_.items()},
            "feature_names": getattr(self, "feature_names_in_", None),
            "power": self.power_,
        }
        sha256 = fingerprint_arrays(self._cells)
        record = Record(SAVED, "training cells", sha256, [params], self._seed, values=values)
        return save(record, path)

    @classmethod
    def load(cls, path) -> Self:
        """Read a model written by `save` and refit its members, without running code of the file.

        With the same versions of the libraries, it is bit-identical to the saved model.
        """
        record = load(path)
        if record.experiment != SAVED:
            raise ValueError(f"{path}: expected a saved {SAVED}, got {record.experiment!r}")
        model = cls(**record.params[0])
        X = record.X
        if record.feature_names is not None:
            X = pd.DataFrame(X, columns=record.feature_names)
        family_of = np.empty(record.X.shape[1], dtype=object)
        for family, columns in record.families.items():
            family_of[columns] = family
        model._learn(X, record.y, family_of, record.groups, record.seed)
        model.power_ = record.power
        model.held_out_probabilities_ = record.held_out
        return model


def estimated_shares(probabilities, pseudo_share=PSEUDO_SHARE):
    """Shares of the types by expectation maximisation, ndarray of shape (n_classes,).

    `probabilities`, of shape (n, n_classes), are those of equally frequent types. Each type gets
    `pseudo_share` times n pseudo-cells, so that no share is near zero.
    """
    n, n_classes = probabilities.shape
    n_pseudo = pseudo_share * n
    shares = np.full(n_classes, 1 / n_classes)
    for _ in range(EM_STEPS):
        memberships = probabilities * shares
        memberships /= memberships.sum(axis=1, keepdims=True)
        shares = (memberships.sum(axis=0) + n_pseudo) / (n + n_pseudo * n_classes)
    return shares


def logs_of(probabilities):
    """Logarithms of probabilities, of at least `LEAST_PROBABILITY`."""
    return np.log(np.maximum(probabilities, LEAST_PROBABILITY))


def _mean_log(members, X):
    logs = [logs_of(member.predict_proba(X)) for member in members.values()]
    return np.mean(logs, axis=0)


def _best_power(logs, codes):
    def loss(log_power):
        raised = log_softmax(np.exp(log_power) * logs, axis=1)
        return -raised[np.arange(len(codes)), codes].mean()

    best = minimize_scalar(loss, bounds=np.log(POWERS), method="bounded")
    return float(np.exp(best.x))
