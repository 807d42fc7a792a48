"""What the classifiers of this room accept, cells and parameters, checked once."""

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sbnn.data.typed_cells import family_columns
from sbnn.models.base import check_number


def check_known(name, value, known):
    """Refuse a setting that is not among those known, naming it."""
    if value not in known:
        raise ValueError(f"{name} must be one of {known}, got {value!r}")


def check_auto(name, value, kind, low, high=np.inf, closed="both"):
    """Refuse a parameter that is neither ``"auto"`` nor a number as `sbnn.models.base.check_number` wants it.

    Raises
    ------
    ValueError
        Something that is no number, or a number out of bounds.
    TypeError
        A number of another kind.
    """
    if value is None or (isinstance(value, str) and value != "auto"):
        raise ValueError(f"{name}: expected a number or 'auto', got {value!r}")
    if not isinstance(value, str):
        check_number(name, value, kind, low, high, closed)


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
    types = np.asarray(y, dtype=object)
    lacking = int(pd.isna(types).sum()) if types.ndim == 1 else 0
    if lacking:
        raise ValueError(f"y: {lacking} cells have no type (NaN or None); leave them out")
    X, y = validate_data(model, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
    check_classification_targets(y)
    model.classes_, codes = np.unique(y, return_inverse=True)
    if len(model.classes_) < 2:
        raise ValueError(f"y: expected two classes or more, got only one class, {model.classes_[0]!r}")
    return X, codes


def checked_with_families(model, X, y, families):
    """Check training cells as `checked_training` does, and bind families to their columns: sets ``families_`` too.

    Parameters
    ----------
    model : estimator
    X : array-like or DataFrame, shape (n, p)
    y : array-like, shape (n,)
    families : dict of family -> columns, family of each column, or None

    Returns
    -------
    X : ndarray of float64, shape (n, p)
    codes : ndarray of int, shape (n,)

    Raises
    ------
    ValueError, TypeError
        As `checked_training` and `family_columns`.
    """
    checked, codes = checked_training(model, X, y)
    model.families_ = family_columns(families, X.columns if hasattr(X, "columns") else range(checked.shape[1]))
    return checked, codes


def checked_cells(model, X):
    """Check new cells against those that a model was fitted to; ndarray of float64, shape (n, p)."""
    return validate_data(model, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)


def names_of(model):
    """Names of the features that a model was fitted to."""
    return list(getattr(model, "feature_names_in_", [f"feature_{j}" for j in range(model.n_features_in_)]))


def column_names(table, n, kind="feature"):
    """Names of the `n` columns of a table; of an array, which has none, the kind and their numbers; list of str."""
    return [str(name) for name in table.columns] if hasattr(table, "columns") else [f"{kind}_{j}" for j in range(n)]


def checked_source(source, model, fewest=2):
    """Check the cells of another species that a model is to learn from.

    Parameters
    ----------
    source : tuple of (array-like of shape (m, p), array-like of shape (m,))
        Features and types. A table must have the columns that the model was given, in any order.
    model : estimator
        Has ``n_features_in_``, and ``feature_names_in_`` where it was given a table.
    fewest : int
        Cells of each type.

    Returns
    -------
    X : ndarray of float64, shape (m, p)
    types : ndarray, shape (m,)

    Raises
    ------
    ValueError
        Other features, another number of types than of cells, infinite values, cells without a type, a type of too few
        cells.
    """
    table, types = source[0], np.asarray(source[1])
    names = getattr(model, "feature_names_in_", None)
    if isinstance(table, pd.DataFrame) and names is not None:
        lacking = sorted(set(names) - set(table.columns))
        if lacking:
            raise ValueError(f"source: lacks the features {', '.join(map(str, lacking[:5]))}")
        table = table[list(names)]
    X = np.asarray(table, dtype=np.float64)
    if types.ndim != 1 or X.shape != (len(types), model.n_features_in_):
        raise ValueError(
            f"source: expected {model.n_features_in_} features of {types.size} cells, as many as types, got {X.shape}"
        )
    if np.isinf(X).any():
        raise ValueError(f"source: holds infinite values, first in column {np.flatnonzero(np.isinf(X).any(0))[0]}")
    if pd.isna(types).any():
        raise ValueError(f"source: {int(pd.isna(types).sum())} cells have no type; leave them out")
    found, counts = np.unique(types, return_counts=True)
    if counts.min() < fewest:
        rare = found[counts.argmin()]
        raise ValueError(f"source: needs {fewest} cells or more of each type, has {counts.min()} of {rare}")
    return X, types
