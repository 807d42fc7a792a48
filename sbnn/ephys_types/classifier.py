"""The default classifier: the geometric mean of trees, a kernel method and attention."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sbnn.data.checks import UNKNOWN, check_in_order, some
from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.ephys_types.base import LOST, FeatureScaling, TypeClassifier, lightgbm
from sbnn.ephys_types.distance import Surroundings
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.errors import check_among, check_number, warn
from sbnn.results import Record, load, save

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import ArrayLike

    from sbnn.typehints import Families, Features, PathLike


# lower bound for each member, so that no member rules out a class on its own
LEAST_PROBABILITY = 1e-6
# the groups are split into this many parts, each of which is left out once for calibration
N_PARTS = 3
# ranges that are searched for the power of the probabilities, the second if a limit is best
POWERS = (0.1, 2.0)
ALL_POWERS = (0.01, 100.0)
# warn if confidence differs by more from accuracy because the power is limited
MOST_OFF = 0.03
# pseudo-cells of each type for the estimated mix, as a share of all cells
PSEUDO_SHARE = 0.1
EM_STEPS = 200
MEMBERS = ("trees", "kernel", "attention")
SAVED = "EphysTypeClassifier"  # kind of record in which a model is saved


def _logistic(seed):
    """Class-balanced logistic regression on normal scores; it draws no random numbers."""
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
    """Classify cells by the geometric mean of probabilities from learners with different errors.

    By default, the learners are gradient-boosted trees (LightGBM), class-balanced kernel logistic
    regression, and a network with attention over families of features. Each learner gives all
    classes the same weight.

    Parameters
    ----------
    n_steps : int or "auto", default="auto"
        Number of training steps of the network (see `FamilyAttentionClassifier`); use a small
        number for a quick run.
    members : sequence of str, default=("trees", "kernel", "attention")
        The learners, among these three and ``"logistic"``, which is class-balanced logistic
        regression on normal scores.
    power : float or "groups", default="groups"
        Power to which the mean of the probabilities is raised. The power does not affect the most
        probable type. ``"groups"`` calibrates the probabilities: the learners are fitted three more
        times, each time without a third of the groups, and the power that best fits the left-out
        cells is chosen. Use 1 to skip these fits.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int
        Columns of each family.
    members_ : dict of str to classifier
        Fitted learners by name.
    power_ : float
        Power to which the mean of the probabilities is raised. `fit` warns if calibration needs a
        power below 0.01 or above 100.
    held_out_probabilities_ : ndarray, shape (n, n_classes) or None
        Probabilities of the types for each typed training cell, predicted by a model that was
        fitted without the group of the cell; None without calibration.

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
        X: Features,
        y: ArrayLike,
        families: Families | None = None,
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
            Columns of each family, or the family of each column; None puts all columns into one
            family.
        groups : array-like, shape (n,), optional
            Donor (or laboratory or condition) of each cell, used by `far` and by
            ``power="groups"``; by default every cell is its own group.

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
        """Fit everything except the power, and keep what is needed to save the model."""
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
        """Dict of name to learner, fitted to cells."""
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
        """Pairs of training and left-out cells, as positions, that keep each group together."""
        n_parts = min(N_PARTS, len(np.unique(self._groups)))
        parts = StratifiedGroupKFold(n_parts, shuffle=True, random_state=self._seed)
        return parts.split(self._cells, self._codes, self._groups)

    def _calibrate(self):
        """Choose the power of the probabilities that best fits cells of left-out groups."""
        if len(np.unique(self._groups)) < 2:
            warn("probabilities are not calibrated, because all cells belong to one group")
            return
        X = self._cells
        codes = self._codes
        logs = np.full((len(X), len(self.classes_)), np.nan)
        for train, test in self._parts():
            lacking = np.delete(self.classes_, codes[train])
            if len(lacking):
                warn(f"probabilities are not calibrated: too few groups have {some(lacking)}")
                return
            members = self._members(X[train], codes[train])
            logs[test] = _mean_log(members, X[test])
        self.power_, limited = _best_power(logs, codes)
        self.held_out_probabilities_ = softmax(self.power_ * logs, axis=1)
        confidence = self.held_out_probabilities_.max(axis=1).mean()
        accuracy = (logs.argmax(axis=1) == codes).mean()
        if limited and abs(confidence - accuracy) > MOST_OFF:
            warn(
                f"probabilities are not well calibrated: their power is at its limit "
                f"{self.power_:.3g}; the highest probability of left-out cells is "
                f"{confidence:.2f} on average, and {accuracy:.2f} of the cells are correct"
            )

    def predict_proba(self, X: Features, mix: str | None = None) -> np.ndarray:
        """Probabilities of the types, ndarray of shape (n, n_classes).

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        mix : {"estimated"}, optional
            By default, all types count as equally frequent. ``"estimated"`` estimates the shares of
            the types from all cells of `X` by expectation maximisation (Saerens, Latinne and
            Decaestecker, Neural Computation 2002). It assumes that `X` differs from the training
            cells only in these shares, as in the same laboratory with some types selected. Do not
            use it for another laboratory, preparation or species: a shift of the features is
            mistaken for other shares.
        """
        X = self._checked_cells(X)
        if mix is not None:
            check_among("mix", mix, ["estimated"])
        probabilities = softmax(self.power_ * _mean_log(self.members_, X), axis=1)
        if mix is None:
            return probabilities
        weighted = probabilities * estimated_shares(probabilities)
        return weighted / weighted.sum(axis=1, keepdims=True)

    def predict(
        self, X: Features, abstain: float | None = None, mix: str | None = None
    ) -> np.ndarray:
        """Most probable type of each cell, ndarray of shape (n,).

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        abstain : float in [0, 1), optional
            Leave a cell untyped (``"unknown"``) if its highest probability is lower than this
            value, or if it is `far`. With 0, only far cells are left untyped. By default every cell
            gets a type.
        mix : {"estimated"}, optional
            Shares of the types, as in `predict_proba`.

        Warns
        -----
        UserWarning
            If more cells are `far` than expected by chance, or if the mean of a feature differs
            from its mean over the training cells by more than expected by chance. Each of these two
            rules warns by chance for about 5 % of tables whose donors are new but like the training
            donors. With few training donors, only large differences of means can be detected, and
            with a single one, none.
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

    def far(self, X: Features) -> pd.DataFrame:
        """Mask of the cells that are far from the training cells, ndarray of shape (n,).

        The distance of a cell is measured to its fifth nearest training cell, in normal scores of
        the features that both cells have. A cell is far if this distance is larger than for 99 % of
        the training cells, whose distances are measured to cells of other groups. Cells without any
        value are far.
        """
        return self._surroundings.far(self._scores(self._checked_cells(X)))

    def _warn_of(self, X, far):
        """Warn if a table of cells is unlike the training cells."""
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

    def attention_weights(self, X: Features) -> np.ndarray:
        """Weight of each family in each cell, from the attention network.

        An ndarray of shape (n, n_families); ``"attention"`` must be among the members.
        """
        check_among("members", "attention", self.members_)
        return self.members_["attention"].attention_weights(self._checked_cells(X))

    def save(self, path: PathLike) -> None:
        """Save training cells, types and settings to a file that holds no code."""
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
    def load(cls, path: PathLike) -> Self:
        """Read a model written by `save` and refit its members.

        With the same versions of the libraries, the result is bit-identical to the saved model. No
        code from the file is run.
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
    `pseudo_share` times n pseudo-cells, so that no share gets close to zero.
    """
    n, n_classes = probabilities.shape
    n_pseudo = pseudo_share * n
    shares = np.full(n_classes, 1 / n_classes)
    for _ in range(EM_STEPS):
        memberships = probabilities * shares
        memberships /= memberships.sum(axis=1, keepdims=True)
        shares = (memberships.sum(axis=0) + n_pseudo) / (n + n_pseudo * n_classes)
    return shares


def _mean_log(members, X):
    """Log probabilities averaged over all members, ndarray of shape (n, n_classes)."""
    logs = []
    for member in members.values():
        probabilities = member.predict_proba(X)
        logs.append(np.log(np.maximum(probabilities, LEAST_PROBABILITY)))
    return np.mean(logs, axis=0)


def _best_power(logs, codes):
    """Power in `ALL_POWERS` with the lowest log loss, and whether it is a limit of this range."""
    best = minimize_scalar(_log_loss, bounds=POWERS, method="bounded", args=(logs, codes))
    power = float(best.x)
    if not _at_limit(power, POWERS):
        return power, False

    def loss(log_power):
        return _log_loss(np.exp(log_power), logs, codes)

    best = minimize_scalar(loss, bounds=np.log(ALL_POWERS), method="bounded")
    power = float(np.exp(best.x))
    return power, _at_limit(power, ALL_POWERS)


def _at_limit(power, limits):
    return power < 1.001 * limits[0] or power > 0.999 * limits[1]


def _log_loss(power, logs, codes):
    """Mean negative log probability of the true types `codes`, after raising to `power`."""
    return -log_softmax(power * logs, axis=1)[np.arange(len(codes)), codes].mean()
