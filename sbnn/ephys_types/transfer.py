"""Transfer of types from one species to another, with few or no labels in the target.

Features are scaled within each species. If the types are not equally frequent in both species, a
shift remains. This shift and the shares of the types are estimated jointly by expectation
maximisation in the discriminant space of the source.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils._param_validation import HasMethods, StrOptions

from sbnn.data.typed_cells import families_of
from sbnn.ephys_types.base import FeatureScaling, TypeClassifier, lightgbm
from sbnn.ephys_types.classifier import EphysTypeClassifier
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.errors import attempt

ALIGNMENTS = ("shift", "own", "source", "halfway")
# learners and power for the alignment "halfway"
SMOOTH, HALFWAY_POWER = ("kernel", "attention", "logistic"), 0.8
LEAST_PROBABILITY = 1e-6
# half of the remaining shift of a type is applied if it has this many labelled cells
TYPE_CELLS = 10.0
FARTHEST = 4.0  # features are clipped at this many spreads from the median
NORMAL_QUARTILES = 1.349  # distance between the quartiles of a normal distribution, in SDs
# initial shares for the estimation, in all combinations that sum to about 1
STARTS = (0.1, 0.25, 0.4, 0.55, 0.7)
STEPS = 100
WEIGHT = 10.0  # weight of the source cells, expressed as a number of labelled target cells
PSEUDO_SHARE = 0.1  # number of pseudo-cells of each type, as a share of all cells
FLOOR = 0.05  # added to the variances of each type, in units of the discriminants
#: For each feature, the function that transforms it, the lower bound for clipping, and an offset
#: added after clipping.
SCALES = pd.read_csv(
    Path(__file__).with_name("physiological_scales.csv"), index_col="feature"
).T.to_dict("list")


def physiological_scale(X, feature_names):
    """Shared features of shape (n, p), transformed such that a difference has the same meaning at
    every value.

    Resistances, times, currents, ratios and the sag are replaced by their logarithms, the slope of
    the f-I curve by its square root, and adaptation and the slow trough by their cube roots. Other
    features are unchanged.
    """
    X = np.array(X, dtype=np.float64)
    for j, name in enumerate(feature_names):
        if name in SCALES:
            scale, least, offset = SCALES[name]
            X[:, j] = getattr(np, scale)(np.maximum(X[:, j], least) + offset)
    return X


def own_scale(X, reference):
    """Scale cells by the median and the spread of the `reference` cells; returns an ndarray of
    shape (n, p).

    The spread is the interquartile range divided by 1.349, which estimates the SD of normally
    distributed values. Missing values become 0.
    """
    low, middle, high = np.nanpercentile(reference, (25, 50, 75), axis=0)
    spread = (high - low) / NORMAL_QUARTILES
    return np.nan_to_num(
        np.clip((X - middle) / np.where(spread > 0, spread, 1), -FARTHEST, FARTHEST), nan=0.0
    )


def align(source, codes, target, known):
    """Estimate the shift of the target, the shares of its types, and the type memberships of its
    cells.

    Returns ndarrays of shape (p,), (k,) and (m, k); the shift is to be subtracted from the target.
    `source`, of shape (n, p), with types `codes`, and `target`, of shape (m, p), are scaled within
    their species. `known`, of shape (m,), holds the types of the target cells, with -1 for unknown
    types. Each type is assumed to be normally distributed in the space of the linear discriminants
    of the source, and to have the same distribution in the target, up to a shift that all types
    share. Because a whole type of the target may be mistaken for another type, the estimation
    starts from many combinations of shares and keeps the most probable solution. Each type gets
    pseudo-cells, `PSEUDO_SHARE` times the number of target cells, so that no share gets close to
    zero.
    """
    n_classes = codes.max() + 1
    if np.bincount(codes).min() < 2:
        raise ValueError("y: the alignment needs at least two source cells of each type")
    priors = np.full(n_classes, 1 / n_classes)
    discriminants = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", priors=priors).fit(
        source, codes
    )
    n_axes = min(n_classes - 1, source.shape[1])
    a, b = discriminants.transform(source)[:, :n_axes], discriminants.transform(target)[:, :n_axes]
    types = [a[codes == k] for k in range(n_classes)]
    means = np.stack([cells.mean(0) for cells in types])
    covariances = np.stack(
        [np.cov(cells.T).reshape(n_axes, n_axes) for cells in types]
    ) + FLOOR * np.eye(n_axes)
    # With more than ten types no combination sums to 1, so all shares start equal.
    starts = [shares for shares in product(STARTS, repeat=n_classes) if abs(sum(shares) - 1) < 0.11]
    starts = np.array(starts or [np.ones(n_classes)])
    fits = [_maximise(b, means, covariances, start / start.sum(), known) for start in starts]
    _, shares, memberships = max(fits, key=lambda fit: fit[0])
    centres = np.stack([source[codes == k].mean(0) for k in range(n_classes)])
    return (target - memberships @ centres).mean(0), shares, memberships


def _maximise(cells, means, covariances, shares, known):
    """Log posterior, shares and memberships after expectation maximisation that starts from the given shares."""
    precisions, volumes = np.linalg.inv(covariances), np.linalg.slogdet(covariances)[1]
    pseudo, is_known = PSEUDO_SHARE * len(cells), known >= 0
    shift = cells.mean(0) - shares @ means
    for _ in range(STEPS):
        apart = (cells - shift)[:, None] - means
        joint = np.log(shares) - 0.5 * (
            np.einsum("nkp,kpq,nkq->nk", apart, precisions, apart) + volumes
        )
        total = logsumexp(joint, axis=1, keepdims=True)
        memberships = np.exp(joint - total)
        memberships[is_known] = np.eye(len(means))[known[is_known]]
        likelihoods = np.where(
            is_known, joint[np.arange(len(cells)), np.maximum(known, 0)], total[:, 0]
        )
        posterior = likelihoods.sum() + pseudo * np.log(shares).sum()
        shares = (memberships.sum(0) + pseudo) / (len(cells) + pseudo * len(means))
        shift = (cells - memberships @ means).mean(0)
    return posterior, shares, memberships


class ZeroShotClassifier(TypeClassifier):
    """Train on the cells of a source species to predict the types of a target species that has no
    labels.

    Parameters
    ----------
    classifier : classifier, optional
        Classifier that is trained on the source. The default is LightGBM or, for ``"halfway"``, an
        `EphysTypeClassifier` with the members kernel, attention and logistic, because the
        thresholds of trees do not transfer.
    alignment : {"shift", "own", "source", "halfway"}, default="shift"
        ``"source"`` scales the target like the source, ``"own"`` scales each species with its own
        cells, and ``"shift"`` also corrects for differences between the species in the shares of
        the types. ``"halfway"``, for cells from another preparation or laboratory, averages the
        normal scores on the scales of both species.
    keep_missing : bool, default=False
        Leave missing values to the classifier instead of imputing the median; ``"halfway"`` always
        does so.
    random_state : int or None, default=None
        Seed of the default classifier.

    Attributes
    ----------
    classes_ : ndarray
    shift_ : ndarray, shape (p,)
        Shift subtracted from target cells, in units of the spread of the target; 0 for features
        that are left out.
    shares_ : ndarray, shape (n_classes,) or None
        Estimated shares of the types in the target; None unless `alignment` is ``"shift"``.

    Notes
    -----
    For mouse and human cells, the most probable shares depend on how features are scaled: most of
    the human cells were classified correctly only with `physiological_scale`. If the estimated
    shares are wrong, predictions are worse than with ``"own"``, so check `shares_`.
    """

    _parameter_constraints: dict = {
        "alignment": [StrOptions(set(ALIGNMENTS))],
        "keep_missing": ["boolean"],
    }
    _parameter_constraints["classifier"] = [HasMethods(["fit", "predict_proba"]), None]

    def __init__(self, classifier=None, alignment="shift", keep_missing=False, random_state=None):
        self.classifier = classifier
        self.alignment = alignment
        self.keep_missing = keep_missing
        self.random_state = random_state

    def fit(self, X, y, target=None, families=None):
        """Fit to source cells `X` with types `y`, aligned with the cells of a `target`.

        `X`, of shape (n, p), and `target`, of shape (m, p), have the same features, NaN where
        missing; `y` has shape (n,). If `target` is None, the target is assumed to be like the
        source. `families`, the family of each column, is passed to the classifier.
        """
        X, codes = self._checked_training(X, y, families)
        target = (
            X
            if target is None
            else attempt("target: expected features as in X", self._checked_cells, target)
        )
        self._seen = self._measured(X, target)
        X, target = X[:, self._seen], target[:, self._seen]
        halfway, self.shift_, self.shares_ = (
            self.alignment == "halfway",
            np.zeros(len(self._seen)),
            None,
        )
        self._reference = X if self.alignment == "source" else target
        if halfway:
            self._scales = [FeatureScaling().fit(cells) for cells in (X, target)]
        scaled = self._scales[0].transform(X) if halfway else self._on_scale(X, X)
        if self.alignment == "shift":
            scales = own_scale(X, X), codes, own_scale(target, target), np.full(len(target), -1)
            self.shift_[self._seen], self.shares_, _ = align(*scales)
        model = None if self.classifier is None else clone(self.classifier)
        if model is None:
            model = (
                EphysTypeClassifier(members=SMOOTH, power=HALFWAY_POWER) if halfway else lightgbm()
            )
            model.set_params(random_state=self.random_state)
        of_columns = (
            ()
            if families is None
            else (families_of(self.families_, range(len(self._seen)))[self._seen],)
        )
        self.classifier_ = model.fit(scaled, codes, *of_columns)
        return self

    def _on_scale(self, X, reference):
        scaled = own_scale(X, reference)
        return np.where(np.isnan(X), np.nan, scaled) if self.keep_missing else scaled

    def predict_proba(self, X):
        """Probability of each type for cells of the target, ndarray of shape (n, n_classes)."""
        X = self._checked_cells(X)[:, self._seen]
        if self.alignment == "halfway":
            return self.classifier_.predict_proba(
                np.mean([scale.transform(X) for scale in self._scales], axis=0)
            )
        return self.classifier_.predict_proba(
            self._on_scale(X, self._reference) - self.shift_[self._seen]
        )


class SourcePriorClassifier(TypeClassifier):
    """A classifier of labelled target cells, with a classifier of source cells as a prior.

    The prior is trained on source cells that are moved onto the target in two steps. The first step
    applies one shift, estimated from all training cells of the target, with or without types. The
    second step applies a part of the remaining shift of each type, estimated from the labelled
    cells of the type. The probabilities from the classifier are multiplied by the probabilities
    from the prior, raised to the power 10 / n, where n is the number of labelled target cells, so
    that the influence of the source decreases with n.

    Attributes
    ----------
    classes_ : ndarray
    estimator_, prior_ : KernelLogistic
        Classifier of the target cells, and classifier of the source cells (with 200 landmarks).
    power_ : float
        Power to which the probabilities of the prior are raised.
    """

    def fit(self, X, y, source, unlabelled=None):
        """Fit both classifiers; `X`, of shape (n, p), and `y`, of shape (n,), are the labelled
        target cells and types.

        `source` is a pair: source cells of shape (m, p), with the features of `X`, and types of
        shape (m,). `unlabelled`, of shape (u, p), holds further target cells of unknown type.
        Missing values are NaN.
        """
        X, codes = self._checked_training(X, y)
        source_X, source_y = self._checked_cells(source[0]), np.asarray(source[1])
        lacking = np.setdiff1d(self.classes_, source_y)
        if len(lacking):
            raise ValueError(f"source: no cell has the type {' or '.join(map(str, lacking))}")
        of_known = np.isin(source_y, self.classes_)
        source_X, source_codes = (
            source_X[of_known],
            np.searchsorted(self.classes_, source_y[of_known]),
        )
        cells = X if unlabelled is None else np.vstack([X, self._checked_cells(unlabelled)])
        self._seen = self._measured(cells, source_X)
        self.estimator_ = KernelLogistic().fit(X, codes)
        self.power_ = WEIGHT / len(X)
        self._reference, source_X = cells[:, self._seen], source_X[:, self._seen]
        target = own_scale(self._reference, self._reference)
        moved = _moved(own_scale(source_X, source_X), source_codes, target, codes)
        self.prior_ = KernelLogistic(n_landmarks=200, random_state=0).fit(moved, source_codes)
        return self

    def prior_features(self, X):
        """Input of the prior: features that are scaled like the target, ndarray of shape (n, n_seen)."""
        return own_scale(self._checked_cells(X)[:, self._seen], self._reference)

    def predict_proba(self, X):
        """Probability of each class, ndarray of shape (n, n_classes)."""
        own = self.estimator_.predict_proba(self._checked_cells(X))
        return two_experts(own, self.prior_.predict_proba(self.prior_features(X)), self.power_)


def two_experts(own, prior, power):
    """Normalised product of the probabilities of two experts, shape (n, n_classes).

    The probabilities of the second expert are raised to `power`.
    """
    own, prior = (np.log(np.maximum(p, LEAST_PROBABILITY)) for p in (own, prior))
    return softmax(own + power * prior, axis=1)


def _moved(source, source_codes, target, codes):
    """Source cells that are moved onto the target; the first target cells have the types `codes`."""
    shift, *_ = align(
        source, source_codes, target, np.append(codes, np.full(len(target) - len(codes), -1))
    )
    moved = source + shift
    for k, n in enumerate(np.bincount(codes)):
        beyond = (
            target[: len(codes)][codes == k].mean(0) - source[source_codes == k].mean(0) - shift
        )
        moved[source_codes == k] += n / (n + TYPE_CELLS) * beyond
    return moved
