"""What the classifiers of this room accept, checked once."""

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data


def checked_training(model, X, y):
    """Check training cells, and set ``classes_`` and ``n_features_in_`` of a model.

    Parameters
    ----------
    model : estimator
    X : array-like, shape (n, p)
    y : array-like, shape (n,)

    Returns
    -------
    X : ndarray of float64, shape (n, p)
        NaN where missing.
    codes : ndarray of int, shape (n,)
        Positions in ``classes_``.

    Raises
    ------
    ValueError
        Infinite values, missing or continuous types, another number of them than of cells, one class only.
    """
    X, y = validate_data(model, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
    check_classification_targets(y)
    model.classes_, codes = np.unique(y, return_inverse=True)
    if len(model.classes_) < 2:
        raise ValueError(f"y: expected two classes or more, got only one class, {model.classes_[0]!r}")
    return X, codes


def checked_cells(model, X):
    """Check new cells against those that a model was fitted to; ndarray of float64, shape (n, p)."""
    return validate_data(model, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
