"""Transfer of types to another laboratory or species, with few or no labels in the target."""

from __future__ import annotations

from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils._param_validation import HasMethods, StrOptions

from sbnn.data.checks import check_in_order
from sbnn.ephys_types.base import FeatureScaling, TypeClassifier, lightgbm
from sbnn.ephys_types.classifier import EphysTypeClassifier, estimated_shares, logs_of
from sbnn.ephys_types.kernel_logistic import KernelLogistic

ALIGNMENTS = ("shift", "own", "source", "halfway")
SMOOTH = ("kernel", "attention", "logistic")  # learners of "halfway"
ROUNDS = 3  # of estimating shares and shift
FEATURE_CELLS = 20.0  # with a value, at which a feature gets half of its correction
TYPE_CELLS = 10.0  # labelled, at which a type gets half of its own shift
# pseudo-cells of each type, as a share of the target cells
PSEUDO_SHARE = 0.1
HALFWAY_PSEUDO_SHARE = 0.02
FARTHEST = 4.0  # spreads from the median at which features are clipped
NORMAL_QUARTILES = 1.349  # distance between the quartiles of a normal distribution, in SDs
# initial shares of the types, in all combinations that sum to about 1
STARTS = (0.1, 0.25, 0.4, 0.55, 0.7)
STEPS = 100
WEIGHT = 10.0  # of the source cells, as a number of labelled target cells
FLOOR = 0.05  # added to the variances of each type, in units of the discriminants
#: Transformation of each feature, its lower bound, and an offset that is added after clipping.
SCALES = pd.read_csv(
    Path(__file__).with_name("physiological_scales.csv"), index_col="feature"
).T.to_dict("list")


def physiological_scale(X, feature_names):
    """Transform shared features, of shape (n, p), so that a difference always has the same meaning.

    Logarithms replace resistances, times, currents, ratios and the sag, square roots the slope of
    the f-I curve, and cube roots adaptation and the slow trough.
    """
    X = np.array(X, dtype=np.float64)
    for j, name in enumerate(feature_names):
        if name in SCALES:
            scale, least, offset = SCALES[name]
            X[:, j] = getattr(np, scale)(np.maximum(X[:, j], least) + offset)
    return X


def own_scale(X, reference):
    """Scale cells, of shape (n, p), by median and interquartile range; 0 where missing."""
    low, middle, high = np.nanpercentile(reference, (25, 50, 75), axis=0)
    spread = (high - low) / NORMAL_QUARTILES
    spread = np.where(spread > 0, spread, 1)
    return np.nan_to_num(np.clip((X - middle) / spread, -FARTHEST, FARTHEST))


def align(source, codes, target, known):
    """Estimate the shift of the target, the shares of its types, and memberships of its cells.

    Each type has the same normal distribution in both species, in the space of the linear
    discriminants of the source, up to a shift that all types share. Because a whole type may be
    mistaken for another, the most probable of many starts is kept.

    Parameters
    ----------
    source, target : ndarray, shape (n, p) and (m, p)
        Cells, scaled within their species.
    codes, known : ndarray, shape (n,) and (m,)
        Their types; those of the target are -1 if unknown.

    Returns
    -------
    tuple of ndarray, of shapes (p,), (k,) and (m, k)
        The shift to subtract from the target, shares and memberships.
    """
    n_classes = codes.max() + 1
    if np.bincount(codes).min() < 2:
        raise ValueError("y: the alignment needs at least two source cells of each type")
    discriminants = LinearDiscriminantAnalysis(
        solver="eigen", shrinkage="auto", priors=np.full(n_classes, 1 / n_classes)
    ).fit(source, codes)
    n_axes = min(n_classes - 1, source.shape[1])
    projected = discriminants.transform(source)[:, :n_axes]
    means = np.empty((n_classes, n_axes))
    covariances = np.empty((n_classes, n_axes, n_axes))
    centres = np.empty((n_classes, source.shape[1]))
    for k in range(n_classes):
        of_type = projected[codes == k]
        means[k] = of_type.mean(0)
        covariances[k] = np.cov(of_type.T) + FLOOR * np.eye(n_axes)
        centres[k] = source[codes == k].mean(0)
    cells = discriminants.transform(target)[:, :n_axes]
    fits = []
    for shares in _starts(n_classes):
        fits.append(_maximise(cells, means, covariances, shares, known))
    _, shares, memberships = max(fits, key=itemgetter(0))
    return (target - memberships @ centres).mean(0), shares, memberships


def _starts(n_classes):
    """Initial shares, of shape (starts, n_classes); rows sum to 1."""
    if n_classes * min(STARTS) > 1.1:  # no combination sums to about 1
        return np.full((1, n_classes), 1 / n_classes)
    starts = []
    for shares in product(STARTS, repeat=n_classes):
        if abs(sum(shares) - 1) < 0.11:
            starts.append(shares)
    starts = np.array(starts)
    return starts / starts.sum(axis=1, keepdims=True)


def _maximise(cells, means, covariances, shares, known):
    """Log posterior, shares and memberships by expectation maximisation from given shares.

    `cells` has shape (m, axes), `means` (k, axes), and `covariances` (k, axes, axes).
    """
    precisions = np.linalg.inv(covariances)
    volumes = np.linalg.slogdet(covariances)[1]
    n_pseudo = PSEUDO_SHARE * len(cells)
    typed = np.flatnonzero(known >= 0)
    shift = cells.mean(0) - shares @ means
    for _ in range(STEPS):
        apart = (cells - shift)[:, None] - means  # (m, k, axes)
        distances = np.einsum("nkp,kpq,nkq->nk", apart, precisions, apart)
        joint = np.log(shares) - 0.5 * (distances + volumes)
        likelihoods = logsumexp(joint, axis=1)
        memberships = np.exp(joint - likelihoods[:, None])
        memberships[typed] = np.eye(len(means))[known[typed]]
        likelihoods[typed] = joint[typed, known[typed]]
        posterior = likelihoods.sum() + n_pseudo * np.log(shares).sum()
        shares = (memberships.sum(0) + n_pseudo) / (len(cells) + n_pseudo * len(means))
        shift = (cells - memberships @ means).mean(0)
    return posterior, shares, memberships


class ZeroShotClassifier(TypeClassifier):
    """Train on cells of a source species to predict types of a target species without labels.

    Parameters
    ----------
    classifier : classifier, optional
        By default LightGBM or, for ``"halfway"``, an `EphysTypeClassifier` with the members kernel,
        attention and logistic, because the thresholds of trees do not transfer.
    alignment : {"shift", "own", "source", "halfway"}, default="shift"
        ``"source"`` scales the target like the source, ``"own"`` by itself, and ``"shift"`` also
        subtracts a shift that is estimated together with the shares of the types. ``"halfway"``,
        for another preparation or laboratory, subtracts half of the difference between the means of
        target and source, in normal scores of the source. Source cells are weighted to the shares
        of the types in the target, as other shares alone give other means. Features with few values
        are corrected less.
    keep_missing : bool, default=False
        Leave missing values to the classifier, as ``"halfway"`` does, instead of imputing the
        median.
    random_state : int or None, default=None
        Seed of the default classifier.

    Attributes
    ----------
    classes_ : ndarray
    shift_ : ndarray, shape (p,)
        Subtracted from target cells, in spreads of the target (``"halfway"``: in normal scores of
        the source); 0 for features that are left out.
    shares_ : ndarray, shape (n_classes,) or None
        Estimated shares of the types in the target; None for ``"own"`` and ``"source"``.

    Notes
    -----
    Check `shares_`: if they are wrong, so are the types. Between mouse and human, they were right
    only with `physiological_scale`.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import ZeroShotClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> old, new = data[data.obs["condition"] == "acute"], data[data.obs["condition"] == "culture"]
    >>> model = ZeroShotClassifier(random_state=0).fit(old.X, old.obs["type"], new.X)
    >>> print(f"{model.score(new.X, new.obs['type']):.1f}")
    0.9
    """

    _parameter_constraints: dict = {
        "alignment": [StrOptions(set(ALIGNMENTS))],
        "keep_missing": ["boolean"],
        "classifier": [HasMethods(["fit", "predict_proba"]), None],
    }

    def __init__(
        self,
        classifier: BaseEstimator | None = None,
        alignment: str = "shift",
        keep_missing: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.classifier = classifier
        self.alignment = alignment
        self.keep_missing = keep_missing
        self.random_state = random_state

    def fit(
        self,
        X,
        y: ArrayLike,
        target=None,
        families=None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit to source cells `X` with types `y`, aligned with the cells of a `target`.

        `X`, of shape (n, p), and `target`, of shape (m, p), have the same features, NaN where
        missing; by default, the target is like the source. `families` of the columns and `groups`,
        the donor of each source cell, are passed to the classifier.
        """
        check_in_order(X, groups, "groups")
        X, codes = self._checked_training(X, y, families)
        target = X if target is None else self._checked_cells(target, "target")
        # the default of "halfway" can do without features that the target lacks
        self._seen = self._measured(X, None if self.alignment == "halfway" else target)
        X = X[:, self._seen]
        target = target[:, self._seen]
        self._reference = X if self.alignment == "source" else target
        self.shift_ = np.zeros(len(self._seen))
        self.shares_ = None
        if self.alignment == "shift":
            unknown = np.full(len(target), -1)
            scaled_target = own_scale(target, target)
            shift, self.shares_, _ = align(own_scale(X, X), codes, scaled_target, unknown)
            self.shift_[self._seen] = shift
        self._scale = FeatureScaling().fit(X)  # of "halfway"
        scaled = self._on_scale(X, X)
        extra = {}
        if families is not None:
            extra["families"] = self._family_of[self._seen]
        if groups is not None:
            extra["groups"] = self._groups_of_typed(groups)
        self.classifier_ = self._unfitted().fit(scaled, codes, **extra)
        if self.alignment == "halfway":
            self._correct_half(scaled, codes, self._on_scale(target, target))
        return self

    def _unfitted(self):
        if self.classifier is not None:
            return clone(self.classifier)
        if self.alignment == "halfway":
            return EphysTypeClassifier(members=SMOOTH, random_state=self.random_state)
        return lightgbm(self.random_state)

    def _correct_half(self, source, codes, target):
        shares_of_source = np.bincount(codes) / len(codes)
        n_values = np.isfinite(target).sum(axis=0)
        means = np.nan_to_num(target).sum(axis=0) / np.maximum(n_values, 1)
        trust = n_values / (n_values + FEATURE_CELLS)
        shift = np.zeros(target.shape[1])
        for _ in range(ROUNDS):
            shares = self._shares_of(target - shift)
            weights = (shares / shares_of_source)[codes][:, None] * np.isfinite(source)
            expected = (weights * np.nan_to_num(source)).sum(axis=0) / weights.sum(axis=0)
            shift = 0.5 * trust * (means - expected)
        self.shares_ = self._shares_of(target - shift)
        self.shift_[self._seen] = shift

    def _shares_of(self, scaled):
        probabilities = self.classifier_.predict_proba(scaled)
        return estimated_shares(probabilities, HALFWAY_PSEUDO_SHARE)

    def _on_scale(self, X, reference):
        if self.alignment == "halfway":
            return self._scale.transform(X)
        scaled = own_scale(X, reference)
        if self.keep_missing:
            scaled[np.isnan(X)] = np.nan
        return scaled

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes).

        They may be far off: with ``"halfway"``, the expected calibration error is 0.13 from acute
        to cultured slices.
        """
        X = self._checked_cells(X)[:, self._seen]
        scaled = self._on_scale(X, self._reference)
        return self.classifier_.predict_proba(scaled - self.shift_[self._seen])


class SourcePriorClassifier(TypeClassifier):
    """A classifier of labelled target cells, `estimator_`, with one of source cells as a prior.

    For `prior_`, source cells are moved onto the target: by one shift, estimated from all its
    training cells, and by a part of the remaining shift of each type, estimated from its labelled
    cells. Probabilities are multiplied by those of the prior raised to `power_`, 10 / n for n
    labelled cells.
    """

    def fit(self, X, y, source, unlabelled=None):
        """Fit both classifiers to labelled target cells `X`, of shape (n, p), and types `y`.

        `source` is a pair: cells of shape (m, p), and types of shape (m,). `unlabelled`, of shape
        (u, p), holds target cells of unknown type.
        """
        X, codes = self._checked_training(X, y)
        source_X, source_y = self._checked_source(source)
        cells = self._with_unlabelled(X, unlabelled)
        of_known = np.isin(source_y, self.classes_)
        source_X = source_X[of_known]
        source_codes = np.searchsorted(self.classes_, source_y[of_known])
        self._seen = self._measured(cells, source_X)
        self.estimator_ = KernelLogistic().fit(X, codes)
        self.power_ = WEIGHT / len(X)
        self._reference = cells[:, self._seen]
        source_X = source_X[:, self._seen]
        target = own_scale(self._reference, self._reference)
        moved = _moved(own_scale(source_X, source_X), source_codes, target, codes)
        self.prior_ = KernelLogistic(n_landmarks=200, random_state=0).fit(moved, source_codes)
        return self

    def prior_features(self, X):
        """Features scaled like the target, ndarray of shape (n, n_seen)."""
        return own_scale(self._checked_cells(X)[:, self._seen], self._reference)

    def predict_proba(self, X):
        """Probability of each class, ndarray of shape (n, n_classes)."""
        own = self.estimator_.predict_proba(self._checked_cells(X))
        prior = self.prior_.predict_proba(self.prior_features(X))
        return two_experts(own, prior, self.power_)


def two_experts(own, prior, power):
    """Normalised product of `own` and of `prior` raised to `power`, shape (n, n_classes)."""
    return softmax(logs_of(own) + power * logs_of(prior), axis=1)


def _moved(source, source_codes, target, codes):
    """Source cells moved onto a target, whose first cells have the types `codes`."""
    known = np.full(len(target), -1)
    known[: len(codes)] = codes
    shift, _, _ = align(source, source_codes, target, known)
    moved = source + shift
    for k, n in enumerate(np.bincount(codes)):
        of_type = source_codes == k
        beyond = target[known == k].mean(0) - source[of_type].mean(0) - shift
        moved[of_type] += n / (n + TYPE_CELLS) * beyond
    return moved
