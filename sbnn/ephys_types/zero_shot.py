"""Types of cells of a species of which no cell has one, from those of another species."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from sbnn.ephys_types.alignment import align, own_scale
from sbnn.ephys_types.base import TypeClassifier
from sbnn.ephys_types.baselines import lightgbm
from sbnn.ephys_types.inputs import checked_cells, checked_training, column_names
from sbnn.ephys_types.scaling import measured_in_both

ALIGNMENTS = ("shift", "own", "source")


class ZeroShotClassifier(TypeClassifier):
    """Train on the cells of one species to tell the types of those of another, none of which is known.

    Parameters
    ----------
    classifier : classifier, optional
        Trained on the source; `baselines.lightgbm` by default.
    alignment : {"shift", "own", "source"}, default="shift"
        ``"source"`` puts the target on the scale of the source, ``"own"`` each species on its own, and ``"shift"``
        takes off as well what the types' shares have to do with it, see `alignment.align`.
    random_state : int or None, default=None
        For the default classifier.

    Attributes
    ----------
    classes_ : ndarray
    shift_ : ndarray, shape (p,)
        Taken from cells of the target, in spreads of it; 0 for features that are left out.
    shares_ : ndarray, shape (n_classes,) or None
        Estimated shares of the types in the target.

    Notes
    -----
    With cells of mouse and human, the shares that are most probable depend on the scales of the features: only on
    those of `alignment.physiological_scale` the majority of the human cells was recognised. Mistaken shares make the
    prediction worse than none, so look at `shares_`.
    """

    def __init__(self, classifier=None, alignment="shift", random_state=None):
        self.classifier = classifier
        self.alignment = alignment
        self.random_state = random_state

    def fit(self, X, y, target=None):
        """Fit to cells with types, and align them with cells without.

        Parameters
        ----------
        X : array-like, shape (n, p)
            Features of the source, NaN where missing.
        y : array-like, shape (n,)
            Their types.
        target : array-like, shape (m, p), optional
            The same features of the other species; without them, the target is taken to be like the source.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            One class only, infinite values, an unknown alignment, another number of features, no feature with a value
            in both species.

        Warns
        -----
        UserWarning
            Names of the features that no cell of one of the species has a value of; they are left out.
        """
        if self.alignment not in ALIGNMENTS:
            raise ValueError(f"alignment: expected one of {ALIGNMENTS}, got {self.alignment!r}")
        table = X
        X, codes = checked_training(self, X, y)
        target = X if target is None else checked_cells(self, target)
        self._seen = measured_in_both(target, X, column_names(table, X.shape[1]))
        X, target = X[:, self._seen], target[:, self._seen]
        scaled = own_scale(X)
        self._reference = X if self.alignment == "source" else target
        self.shift_, self.shares_ = np.zeros(len(self._seen)), None
        if self.alignment == "shift":
            self.shift_[self._seen], self.shares_, _ = align(scaled, codes, own_scale(target))
        model = lightgbm(random_state=self.random_state) if self.classifier is None else clone(self.classifier)
        self.classifier_ = model.fit(scaled, codes)
        return self

    def predict_proba(self, X):
        """Probability of each type for cells of the target, ndarray of shape (n, n_classes)."""
        check_is_fitted(self)
        X = checked_cells(self, X)[:, self._seen]
        return self.classifier_.predict_proba(own_scale(X, self._reference) - self.shift_[self._seen])
