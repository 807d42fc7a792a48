"""What all models share: parameters that are checked, and which genes a fitted model uses."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted


def kept_genes(model):
    """Positions of the genes that a fitted model uses, all of them if it does not select.

    Parameters
    ----------
    model : fitted regressor

    Returns
    -------
    ndarray of int, shape (k,)
    """
    check_is_fitted(model)
    support = getattr(model, "get_support", None)
    return np.arange(model.n_features_in_) if support is None else np.flatnonzero(support())


class GeneSelectionMixin:
    """Say which genes a fitted model uses; the model gives them as a mask in ``_support_mask()``."""

    def get_support(self, indices=False):
        """Genes the model uses.

        Parameters
        ----------
        indices : bool, default=False
            Give positions instead of a mask.

        Returns
        -------
        ndarray
            Boolean mask of shape (p,), or the sorted positions of the genes.
        """
        check_is_fitted(self)
        mask = self._support_mask()
        return np.flatnonzero(mask) if indices else mask

    def get_feature_names_out(self, input_features=None):
        """Names of the genes the model uses.

        Parameters
        ----------
        input_features : array-like of str of shape (p,), optional
            Gene names where ``fit`` saw none; then ``x0``, ``x1``, ... by default.

        Returns
        -------
        ndarray of str (object), in the order of the columns of X

        Raises
        ------
        ValueError
            If `input_features` are not as many as the genes, or not the names that ``fit`` saw.
        """
        support = self.get_support()
        seen = getattr(self, "feature_names_in_", None)
        if input_features is None:
            names = [f"x{j}" for j in range(len(support))] if seen is None else seen
        else:
            names = input_features
            if len(names) != len(support):
                raise ValueError(f"input_features: got {len(names)} names, expected {len(support)}")
            if seen is not None and list(names) != list(seen):
                raise ValueError("input_features are not the gene names seen by fit")
        return np.asarray(names, dtype=object)[support]


def check_number(name, value, kind, low=-np.inf, high=np.inf, closed="both"):
    """Refuse a parameter that is not a finite number of this kind within bounds, naming it.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What the user gave.
    kind : type
        ``numbers.Integral`` or ``numbers.Real``.
    low, high : float
    closed : {"both", "left", "neither"}
        Which bounds are allowed themselves, unless infinite.

    Raises
    ------
    TypeError
        If `value` is not a number of this kind.
    ValueError
        If it is out of bounds, NaN or infinite.
    """
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} must be a {'whole number' if kind is Integral else 'number'}, got {value!r}")
    above = value > low if closed == "neither" else value >= low
    below = value <= high if closed == "both" else value < high
    if not (above and below and np.isfinite(value)):
        brackets = "(" if closed == "neither" else "[", "]" if closed == "both" else ")"
        raise ValueError(f"{name} must be a finite number in {brackets[0]}{low}, {high}{brackets[1]}, got {value}")
