"""The border of the classifiers: turns what users hand over into arrays, or says what is wrong with it."""

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sbnn.data.checks import some
from sbnn.data.families import FeatureFamilies


def check_training_cells(estimator, X, y, families, fewest=1):
    """Check what a classifier is to learn from, and let it remember ``classes_``, ``families_`` and the features.

    Parameters
    ----------
    estimator : classifier
        Is given ``n_features_in_``, ``feature_names_in_`` where X has names, ``classes_`` and ``families_``.
    X : array-like or DataFrame, shape (n, p)
        NaN where a feature is missing.
    y : array-like, shape (n,)
    families : FeatureFamilies, dict or None
        As `FeatureFamilies.of` takes it.
    fewest : int
        Cells that each class needs.

    Returns
    -------
    X : ndarray of float64, shape (n, p)
    labels : ndarray of int, shape (n,)
        Positions in ``estimator.classes_``.

    Raises
    ------
    ValueError
        Values that are infinite or no numbers, labels that are no classes, one class only, a class of too few cells,
        families that do not fit.
    TypeError
        Families of another type.
    """
    table = X
    X, y = validate_data(estimator, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
    check_classification_targets(y)
    estimator.classes_, labels, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise ValueError(f"y holds one class only, {estimator.classes_[0]!r}; a classifier needs at least two")
    if counts.min() < fewest:
        rare = [f"{name} {n}" for name, n in zip(estimator.classes_, counts, strict=True) if n < fewest]
        raise ValueError(f"y: each class needs at least {fewest} cells; too few: {some(rare)}")
    estimator.families_ = FeatureFamilies.of(families, table if hasattr(table, "columns") else X)
    return X, labels


def check_cells(estimator, X):
    """Check cells that a fitted classifier is asked about.

    Parameters
    ----------
    estimator : fitted classifier
    X : array-like or DataFrame, shape (n, p)

    Returns
    -------
    ndarray of float64, shape (n, p)

    Raises
    ------
    ValueError
        Another number or other names of features, infinite values.
    """
    return validate_data(estimator, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
