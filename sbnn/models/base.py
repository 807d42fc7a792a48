"""What all models share: parameters that are checked, and which genes a fitted model uses."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted


def kept_genes(model):
    """Positions of the genes that a fitted model uses, all of them if it does not select."""
    check_is_fitted(model)
    support = getattr(model, "get_support", None)
    return np.arange(model.n_features_in_) if support is None else np.flatnonzero(support())


class GeneSelectionMixin:
    """Says which genes a fitted model uses; the model gives them as a mask in ``_support_mask()``."""

    def get_support(self, indices=False):
        """Genes the model uses: boolean mask, shape (p,), or with `indices` their sorted positions."""
        check_is_fitted(self)
        mask = self._support_mask()
        return np.flatnonzero(mask) if indices else mask

    def get_feature_names_out(self, input_features=None):
        """Names of the genes the model uses, in the order of the columns of X.

        Parameters
        ----------
        input_features : array-like of str, shape (p,), optional
            Gene names where ``fit`` saw none; then ``x0``, ``x1``, ... by default.

        Returns
        -------
        ndarray of str (object)
        """
        support = self.get_support()
        return _check_feature_names_in(self, input_features)[support]


def check_number(name, value, kind, low=-np.inf, high=np.inf, closed="both"):
    """Refuse a parameter that is not a finite number of this kind within bounds, naming it."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} must be a {'whole number' if kind is Integral else 'number'}, got {value!r}")
    above = value > low if closed == "neither" else value >= low
    below = value <= high if closed == "both" else value < high
    if not (above and below and np.isfinite(value)):
        brackets = "(" if closed == "neither" else "[", "]" if closed == "both" else ")"
        raise ValueError(f"{name} must be a finite number in {brackets[0]}{low}, {high}{brackets[1]}, got {value}")
