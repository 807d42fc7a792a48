"""Types of one species from the labelled cells of another, without labels in the target."""

from __future__ import annotations

from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils._param_validation import HasMethods

from sbnn.ephys_types.base import TypeClassifier, lightgbm

# pseudo-cells of each type, as a share of the target cells
PSEUDO_SHARE = 0.1
FARTHEST = 4.0  # spreads from the median at which features are clipped
NORMAL_QUARTILES = 1.349  # distance between the quartiles of a normal distribution, in SDs
# initial shares of the types, in all combinations that sum to about 1
STARTS = (0.1, 0.25, 0.4, 0.55, 0.7)
STEPS = 100
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


def align(source, codes, target):
    """Estimate the shift of the target, the shares of its types, and memberships of its cells.

    Each type has the same normal distribution in both species, in the space of the linear
    discriminants of the source, up to a shift that all types share. Because a whole type may be
    mistaken for another, the most probable of many starts is kept.

    Parameters
    ----------
    source, target : ndarray, shape (n, p) and (m, p)
        Cells, scaled within their species.
    codes : ndarray, shape (n,)
        Types of the source cells.

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
    axes = slice(n_axes)
    types = [source[codes == k] for k in range(n_classes)]
    centres = np.array([cells.mean(0) for cells in types])
    projected = [discriminants.transform(cells)[:, axes] for cells in types]
    means = np.array([cells.mean(0) for cells in projected])
    covariances = np.array([np.cov(cells.T) + FLOOR * np.eye(n_axes) for cells in projected])
    cells = discriminants.transform(target)[:, axes]
    fits = [_maximise(cells, means, covariances, shares) for shares in _starts(n_classes)]
    _, shares, memberships = max(fits, key=itemgetter(0))
    return (target - memberships @ centres).mean(0), shares, memberships


def _starts(n_classes):
    """Initial shares, of shape (starts, n_classes); rows sum to 1."""
    if n_classes * min(STARTS) > 1.1:  # no combination sums to about 1
        return np.full((1, n_classes), 1 / n_classes)
    every = product(STARTS, repeat=n_classes)
    starts = np.array([shares for shares in every if abs(sum(shares) - 1) < 0.11])
    return starts / starts.sum(axis=1, keepdims=True)


def _maximise(cells, means, covariances, shares):
    """Log posterior, shares and memberships by expectation maximisation from given shares.

    `cells` has shape (m, axes), `means` (k, axes), and `covariances` (k, axes, axes).
    """
    precisions = np.linalg.inv(covariances)
    volumes = np.linalg.slogdet(covariances)[1]
    n_pseudo = PSEUDO_SHARE * len(cells)
    shift = cells.mean(0) - shares @ means
    for _ in range(STEPS):
        apart = (cells - shift)[:, None] - means  # (m, k, axes)
        distances = np.einsum("nkp,kpq,nkq->nk", apart, precisions, apart)
        joint = np.log(shares) - 0.5 * (distances + volumes)
        likelihoods = logsumexp(joint, axis=1)
        memberships = np.exp(joint - likelihoods[:, None])
        posterior = likelihoods.sum() + n_pseudo * np.log(shares).sum()
        shares = (memberships.sum(0) + n_pseudo) / (len(cells) + n_pseudo * len(means))
        shift = (cells - memberships @ means).mean(0)
    return posterior, shares, memberships


class ZeroShotClassifier(TypeClassifier):
    """Train on cells of a source species to predict types of a target species without labels.

    Each species is scaled by itself, and a shift, estimated together with the shares of the types
    in the target, is subtracted from the target.

    Parameters
    ----------
    classifier : classifier, optional
        By default LightGBM.
    random_state : int or None, default=None
        Seed of the default classifier.

    Attributes
    ----------
    classes_ : ndarray
    shift_ : ndarray, shape (p,)
        Subtracted from target cells, in spreads of the target; 0 for features that are left out.
    shares_ : ndarray, shape (n_classes,)
        Estimated shares of the types in the target.

    Notes
    -----
    Check `shares_`: if they are wrong, so are the types. Between mouse and human, they were right
    only with `physiological_scale`. Missing values are set to the median.

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

    _parameter_constraints: dict = {"classifier": [HasMethods(["fit", "predict_proba"]), None]}

    def __init__(
        self,
        classifier: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.classifier = classifier
        self.random_state = random_state

    def fit(self, X, y: ArrayLike, target=None) -> Self:
        """Fit to source cells `X` with types `y`, aligned with the cells of a `target`.

        `X`, of shape (n, p), and `target`, of shape (m, p), have the same features, NaN where
        missing; by default, the target is like the source.
        """
        X, codes = self._checked_training(X, y)
        target = X if target is None else self._checked_cells(target)
        self._seen = self._measured(X, target)
        source = own_scale(X[:, self._seen], X[:, self._seen])
        self._reference = target[:, self._seen]
        scaled = own_scale(self._reference, self._reference)
        shift, self.shares_, _ = align(source, codes, scaled)
        self.shift_ = np.zeros(len(self._seen))
        self.shift_[self._seen] = shift
        classifier = self.classifier
        if classifier is None:
            classifier = lightgbm(self.random_state)
        self.classifier_ = clone(classifier).fit(source, codes)
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes)."""
        scaled = own_scale(self._checked_cells(X)[:, self._seen], self._reference)
        return self.classifier_.predict_proba(scaled - self.shift_[self._seen])
