"""The default classifier: the geometric mean of trees, a kernel method and attention over families."""

import warnings
from numbers import Real

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
from sklearn.utils.validation import check_is_fitted

from sbnn.data.checks import UNKNOWN, check_in_order, some
from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.ephys_types.base import LOST, FeatureScaling, TypeClassifier, lightgbm
from sbnn.ephys_types.distance import Surroundings
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.errors import attempt, check_among, check_number
from sbnn.results import Record, load, save

# lower bound for each member, so that no member rules out a class on its own
LEAST_PROBABILITY = 1e-6
# the groups are split into this many parts, each of which is left out once for calibration
N_PARTS = 3
POWERS = 0.1, 2.0  # range that is searched for the power of the probabilities
MEMBERS = ("trees", "kernel", "attention")
LOGISTIC = {"C": 0.01, "class_weight": "balanced", "max_iter": 2000}
SAVED = "EphysTypeClassifier"  # kind of record in which a model is saved


class EphysTypeClassifier(TypeClassifier):
    """Classify cells by the geometric mean of the probabilities from learners that make different
    errors.

    By default, the learners are gradient-boosted trees (LightGBM), class-balanced kernel logistic
    regression, and a network with attention over families of features. Each learner gives all
    classes the same weight.

    Parameters
    ----------
    n_steps : int or "auto", default="auto"
        Number of training steps of the network (see `FamilyAttentionClassifier`); use a small
        number for a quick run.
    members : sequence of {"trees", "kernel", "attention", "logistic"}, default=("trees", "kernel", "attention")
        The learners; ``"logistic"`` is class-balanced logistic regression on normal scores.
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
        Power to which the mean of the probabilities is raised.
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
        "power": [Interval(Real, 0, None, closed="neither"), StrOptions({"groups"})]
    }

    def __init__(self, n_steps="auto", members=MEMBERS, power="groups", random_state=None):
        self.n_steps = n_steps
        self.members = members
        self.power = power
        self.random_state = random_state

    def fit(self, X, y, families=None, groups=None):
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
        seed = attempt(
            "random_state: expected a seed", check_random_state, self.random_state
        ).randint(2**31 - 1)
        self._learn(X, y, families, groups, seed)
        if self.power == "groups":
            self._calibrate(*self._training, self._groups)
        return self

    def _learn(self, X, y, families, groups, seed):
        """Fit everything except the power that calibrates the probabilities."""
        check_in_order(X, groups, "groups")
        X, codes = self._checked_training(X, y, families, stacklevel=4)
        groups = np.arange(len(self._typed)) if groups is None else groups
        self._training, self._groups, self._seed = (X, codes), self._groups_of_typed(groups), seed
        self._seen = self._measured(X, stacklevel=4)
        self.members_ = self._members(X, codes)
        self.power_, self.held_out_probabilities_ = (
            1.0 if self.power == "groups" else self.power,
            None,
        )
        self._place = FeatureScaling().fit(X[:, self._seen])
        self._surroundings = Surroundings(self._scores(X), self._groups)

    def _members(self, X, codes):
        filled = SimpleImputer(strategy="median", keep_empty_features=True)
        linear, seed = (FeatureScaling(), filled, LogisticRegression(**LOGISTIC)), self._seed
        network = FamilyAttentionClassifier(n_steps=self.n_steps, random_state=seed)
        made = {"trees": lightgbm(seed), "kernel": KernelLogistic(random_state=seed)}
        made |= {"logistic": make_pipeline(*linear), "attention": network}
        for member in attempt("members: expected their names", list, self.members) or [None]:
            check_among("members", member, made)
        with warnings.catch_warnings():  # members would repeat the warnings of `fit`
            warnings.filterwarnings("ignore", LOST)
            families = {"attention": (self.families_,)}
            return {
                name: made[name].fit(X, codes, *families.get(name, ())) for name in self.members
            }

    def _calibrate(self, X, codes, groups):
        """Choose the power of the probabilities that best fits cells of left-out groups."""
        n_groups, logs = len(set(groups)), np.full((len(X), len(self.classes_)), np.nan)
        if n_groups < 2:
            warnings.warn(
                "probabilities are not calibrated, because all cells belong to one group",
                stacklevel=3,
            )
            return
        parts = StratifiedGroupKFold(min(N_PARTS, n_groups), shuffle=True, random_state=self._seed)
        folds = attempt(
            "y: expected several cells of each type", list, parts.split(X, codes, groups)
        )
        for train, test in folds:
            if len(set(codes[train])) < len(self.classes_):
                lacking = some(np.delete(self.classes_, codes[train]))
                warnings.warn(
                    f"probabilities are not calibrated: too few groups have cells of {lacking}",
                    stacklevel=3,
                )
                return
            logs[test] = _mean_log(self._members(X[train], codes[train]), X[test])

        def loss(power):
            return -log_softmax(power * logs, axis=1)[np.arange(len(X)), codes].mean()

        self.power_ = float(minimize_scalar(loss, bounds=POWERS, method="bounded").x)
        self.held_out_probabilities_ = softmax(self.power_ * logs, axis=1)

    def predict_proba(self, X):
        """Probabilities of the types, assuming equally frequent classes; ndarray of shape (n, n_classes)."""
        X = self._checked_cells(X)
        return softmax(self.power_ * _mean_log(self.members_, X), axis=1)

    def predict(self, X, abstain=None):
        """Most probable type of each cell, ndarray of shape (n,).

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        abstain : float in [0, 1), optional
            Leave a cell untyped (``"unknown"``) if its highest probability is lower than this
            value, or if it is `far`. With 0, only far cells are left untyped. By default every cell
            gets a type.

        Warns
        -----
        UserWarning
            If more cells are `far` than expected by chance, or if the mean of a feature differs
            from its mean over the training cells by more than expected by chance. Each of these two
            rules warns by chance for 5 % of tables whose donors are new but like the training
            donors.
        """
        check_number("abstain", 0 if abstain is None else abstain, float, 0, np.nextafter(1, 0))
        probabilities = self.predict_proba(X)
        types, far = self.classes_[probabilities.argmax(axis=1)], self.far(X)
        self._warn_of(X, far)
        if abstain is None:
            return types
        return np.where(far | (probabilities.max(axis=1) < abstain), UNKNOWN, types.astype(object))

    def far(self, X):
        """Mask of the cells that are far from the training cells, ndarray of shape (n,).

        The distance of a cell is measured to its fifth nearest training cell, in normal scores of
        the features that both cells have. A cell is far if this distance is larger than for 99 % of
        the training cells, whose distances are measured to cells of other groups. Cells without any
        value are far.
        """
        return self._surroundings.far(self._scores(self._checked_cells(X)))

    def _warn_of(self, X, far):
        """Warn if a table of cells is unlike the training cells."""
        moved, reasons = self._surroundings.moved(self._scores(self._checked_cells(X))), []
        if self._surroundings.too_many(far):
            cells = X.index if isinstance(X, pd.DataFrame) else np.arange(len(far))
            reasons.append(
                f"{far.sum()} of {len(far)} cells far from all training cells ({some(cells[far])})"
            )
        if moved.any():
            names = getattr(
                self,
                "feature_names_in_",
                np.array([f"feature_{j}" for j in range(len(self._seen))]),
            )
            reasons.append(
                f"{moved.sum()} of {len(moved)} features shifted in mean ({some(names[self._seen][moved])})"
            )
        if reasons:
            why = "probabilities may be too high; check the units, preparation, species and mix of types"
            warnings.warn(
                f"X is unlike the training cells: {', '.join(reasons)}; {why}", stacklevel=3
            )

    def _scores(self, X):
        return self._place.transform(X[:, self._seen])

    def attention_weights(self, X):
        """Weight of each family in each cell, from the attention network; ndarray of shape (n, n_families)."""
        member = attempt(
            "members: expected attention among them", self.members_.__getitem__, "attention"
        )
        return member.attention_weights(self._checked_cells(X))

    def save(self, path):
        """Save the training cells, types and settings to a file that holds no code (see `sbnn.results.save`)."""
        check_is_fitted(self)
        params = {
            name: value for name, value in self.get_params().items() if name != "random_state"
        }
        (X, codes), names = self._training, getattr(self, "feature_names_in_", None)
        values = {
            "X": X,
            "y": self.classes_[codes],
            "groups": self._groups,
            "held_out": self.held_out_probabilities_,
        }
        values |= {"families": {name: list(columns) for name, columns in self.families_.items()}}
        values |= {"feature_names": names, "power": self.power_}
        record = Record(
            SAVED, "training cells", fingerprint_arrays(X), [params], self._seed, values=values
        )
        return save(record, path)

    @classmethod
    def load(cls, path):
        """Read a model written by `save` and refit its members.

        With the same versions of the libraries, the result is bit-identical to the saved model. No
        code from the file is run.
        """
        record = load(path)
        if record.experiment != SAVED:
            raise ValueError(
                f"{path}: expected a saved EphysTypeClassifier, got {record.experiment!r} results"
            )
        model, X = cls(**record.params[0]), record.X
        names = record.feature_names
        X = X if names is None else pd.DataFrame(X, columns=names)
        families = {
            family: [j if names is None else names[j] for j in its]
            for family, its in record.families.items()
        }
        model._learn(X, record.y, families, record.groups, record.seed)
        model.power_, model.held_out_probabilities_ = record.power, record.held_out
        return model


def _mean_log(members, X):
    """Log probabilities averaged over all members, ndarray of shape (n, n_classes)."""
    return np.mean(
        [np.log(np.maximum(its.predict_proba(X), LEAST_PROBABILITY)) for its in members.values()],
        axis=0,
    )
