"""Few labelled cells of one species, helped by many of another: the product of two experts."""

import warnings
from numbers import Real

import numpy as np
from scipy.special import softmax
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from sbnn.ephys_types.alignment import align, own_scale
from sbnn.ephys_types.base import TypeClassifier
from sbnn.ephys_types.inputs import checked_cells, checked_training, column_names
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.scaling import LOST, measured, measured_in_both, without
from sbnn.models.base import check_number

LEAST_PROBABILITY = 1e-6
TYPE_CELLS = 10.0  # labelled cells of a type at which its own place counts half, beside the common shift


class SourcePriorClassifier(TypeClassifier):
    """A classifier of the target's own cells, with a classifier of the source's as a prior.

    The prior is trained on the cells of the source, which are moved onto the target: by one shift, estimated from all
    training cells of the target, with types and without, and for each type by what its labelled cells say beyond that.
    Probabilities are multiplied, those of the prior to the power of ``weight / n``: the more labelled cells the target
    has, the less the source says.

    Parameters
    ----------
    estimator : classifier, optional
        Of the target's cells, all features; `KernelLogistic` by default.
    prior : classifier, optional
        Of the source's cells, shared features; `KernelLogistic` with 200 landmarks by default.
    weight : float, default=10.0
        In labelled cells. 0 leaves the prior out: the same model without transfer.

    Attributes
    ----------
    classes_ : ndarray
    estimator_, prior_ : classifier
    power_ : float
        Of the prior's probabilities.
    """

    def __init__(self, estimator=None, prior=None, weight=10.0):
        self.estimator = estimator
        self.prior = prior
        self.weight = weight

    def fit(self, X, y, *, source=None, shared=None, unlabelled=None):
        """Fit both experts.

        Parameters
        ----------
        X : array-like, shape (n, p)
            Features of the target's labelled cells, NaN where missing.
        y : array-like, shape (n,)
        source : tuple of (ndarray of shape (m, s), array of shape (m,)), optional
            Shared features and types of the source's cells; without them there is no transfer.
        shared : callable, optional
            Makes the shared features, shape (n, s), out of rows of `X`; by default they are all of them.
        unlabelled : array-like, shape (u, p), optional
            Further cells of the target, whose types are not known.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A negative weight, types that the source lacks, one class only, infinite values, no shared feature with a
            value in both.

        Warns
        -----
        UserWarning
            Names of the features that no labelled cell has a value of, which the own classifier leaves out, and of the
            shared features that no cell of one of the species has, which the prior does.
        """
        check_number("weight", self.weight, Real, 0)
        table = X
        X, codes = checked_training(self, X, y)
        names = column_names(table, X.shape[1])
        told = without(measured(X, names), names)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", LOST)  # was just said, by their names
            self.estimator_ = (KernelLogistic() if self.estimator is None else clone(self.estimator)).fit(X, codes)
        self.prior_, self._shared = None, shared
        self.power_ = self.weight / len(X)
        if source is None or not self.weight:
            return self
        source_X, source_y = np.asarray(source[0], dtype=float), np.asarray(source[1])
        if source_X.ndim != 2 or len(source_X) != len(source_y) or np.isinf(source_X).any():
            raise ValueError(f"source: expected finite features of {len(source_y)} cells, got {source_X.shape}")
        lacking = sorted(set(self.classes_.tolist()) - set(source_y.tolist()))
        if lacking:
            raise ValueError(f"source: has no cells of the types {', '.join(map(str, lacking))}")
        of_known = np.isin(source_y, self.classes_)
        source_X, source_codes = source_X[of_known], np.searchsorted(self.classes_, source_y[of_known])
        cells = X if unlabelled is None or not len(unlabelled) else np.vstack([X, checked_cells(self, unlabelled)])
        reference = self._of_shared(cells)
        n_shared = reference.shape[1]
        if n_shared != source_X.shape[1]:
            raise ValueError(f"source: expected the {n_shared} shared features, got {source_X.shape[1]} columns")
        if shared is not None:
            names = column_names(shared(X), n_shared, "shared_feature")
        self._seen = measured_in_both(reference, source_X, names, told)
        self._reference = reference[:, self._seen]
        moved = _moved(own_scale(source_X[:, self._seen]), source_codes, own_scale(self._reference), codes)
        self.prior_ = KernelLogistic(n_landmarks=200, random_state=0) if self.prior is None else clone(self.prior)
        self.prior_.fit(moved, source_codes)
        return self

    def _of_shared(self, X):
        return X if self._shared is None else np.asarray(self._shared(X), dtype=float)

    def prior_features(self, X):
        """What the prior is shown of cells: shared features on the scale of the target, ndarray of shape (n, s).

        Raises
        ------
        ValueError
            A model without a source, which has no prior.
        """
        check_is_fitted(self)
        if self.prior_ is None:
            raise ValueError("source: this model was fitted without one, so that it has no prior")
        return own_scale(self._of_shared(checked_cells(self, X))[:, self._seen], self._reference)

    def prior_proba(self, X):
        """What the source says of each class, ndarray of shape (n, n_classes); 1 where there is no source."""
        check_is_fitted(self)
        if self.prior_ is None:
            return np.ones((len(checked_cells(self, X)), len(self.classes_)))
        return self.prior_.predict_proba(self.prior_features(X))

    def predict_proba(self, X):
        """Probability of each class, ndarray of shape (n, n_classes)."""
        check_is_fitted(self)
        return product(self.estimator_.predict_proba(checked_cells(self, X)), self.prior_proba(X), self.power_)


def product(own, prior, power):
    """Product of two experts' probabilities, shape (n, n_classes), the second to a power."""
    own, prior = (np.log(np.maximum(p, LEAST_PROBABILITY)) for p in (own, prior))
    return softmax(own + power * prior, axis=1)


def _moved(source, source_codes, target, codes):
    """Cells of the source where they would lie in the target, whose first cells have these types."""
    known = np.append(codes, np.full(len(target) - len(codes), -1))
    shift = align(source, source_codes, target, known).shift
    moved = source + shift
    for k, n in enumerate(np.bincount(codes)):
        beyond = target[: len(codes)][codes == k].mean(0) - source[source_codes == k].mean(0) - shift
        moved[source_codes == k] += n / (n + TYPE_CELLS) * beyond
    return moved
