"""Cross-validation folds, and their scaled training and test arrays."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from sbnn.data.preprocessing import expression_pipeline
from sbnn.errors import check_number

SCALINGS = ("fold", "all", "none")


def paper_folds(n: int, n_folds: int = 10, seed: int = 42):
    """Folds of the published cross-validation (Bernaerts, Berens and Kobak, arXiv 2006.10411).

    Fold i tests on block i of ``n // n_folds`` permuted cells; the last ``n % n_folds`` cells are
    never tested.

    Parameters
    ----------
    n : int
        Number of cells.
    n_folds, seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions, in the order of the permutation.

    Examples
    --------
    >>> from sbnn import paper_folds
    >>> [(len(train), len(test)) for train, test in paper_folds(25, n_folds=3)]
    [(17, 8), (17, 8), (17, 8)]
    """
    check_number("n_folds", n_folds, int, 2)
    size = n // n_folds
    if not size:
        raise ValueError(f"n_folds: expected at most as many as cells ({n}), got {n_folds}")
    # the generator used for the published folds
    order = np.random.RandomState(seed).permutation(n)
    folds = []
    for i in range(n_folds):
        block = slice(i * size, (i + 1) * size)
        folds.append((np.delete(order, block), order[block]))
    return folds


def grouped_folds(groups: ArrayLike, n_folds: int = 10, seed: int = 42):
    """Folds that do not split a donor, batch or other group.

    Parameters
    ----------
    groups : array-like of shape (n,)
    n_folds, seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions; every cell is tested once.

    Examples
    --------
    >>> from sbnn import grouped_folds
    >>> donors = ["a", "a", "b", "c", "c", "d"]
    >>> [test.tolist() for train, test in grouped_folds(donors, n_folds=2)]
    [[2, 5], [0, 1, 3, 4]]
    """
    codes = group_codes(groups, "groups")
    check_number("n_folds", n_folds, int, 2, codes.max() + 1)
    splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(codes, groups=codes))


def later_fold(times: ArrayLike, share: float = 0.8):
    """One fold that trains on earlier cells and tests on later ones.

    Parameters
    ----------
    times : array-like of shape (n,)
        Numbers, ``datetime64`` or dates such as ``2018-09-17``.
    share : float
        Share of the distinct times to train on.

    Returns
    -------
    list of (ndarray, ndarray)
        One pair of training and test positions; cells with the same time are not split.

    Examples
    --------
    >>> from sbnn import later_fold
    >>> dates = ["2018-09-17", "2018-09-20", "2018-09-17", "2018-11-02"]
    >>> [(train, test)] = later_fold(dates, share=0.6)
    >>> test.tolist()
    [3]
    """
    check_number("share", share, float, 0, 1)
    codes = group_codes(_in_order(times), "times")
    earlier = codes < np.clip(round(share * (codes.max() + 1)), 1, codes.max())
    return folds_of([(np.flatnonzero(earlier), np.flatnonzero(~earlier))], len(codes))


def _in_order(times):
    if not any(isinstance(time, str) for time in times):
        return times
    try:
        return pd.to_datetime(pd.Series(times), format="ISO8601")
    except ValueError as error:
        raise ValueError(
            f"times: expected numbers, datetime64 or dates such as 2018-09-17: {error}"
        ) from error


def group_codes(labels, name, cells=None):
    """Index of the label of each cell among the sorted labels."""
    labels = np.asarray(labels, dtype=object)  # as text, missing values would form a group
    n = len(labels) if cells is None else len(cells)
    if labels.shape != (n,) or pd.isna(labels).any():
        raise ValueError(f"{name}: expected one value for each cell, none of them missing")
    return np.unique(labels, return_inverse=True)[1]


def folds_of(folds, n):
    """Checked folds, from pairs, a splitter or a number of `paper_folds`."""
    if folds is None:
        folds = 10
    if isinstance(folds, Integral):
        pairs = paper_folds(n, folds)
    elif hasattr(folds, "get_n_splits"):
        pairs = list(folds.split(np.zeros(n)))
    else:
        pairs = list(folds)
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError("folds: expected pairs of positions (training, test), and at least one")
    checked = []
    seen = set()
    for i, (train, test) in enumerate(pairs):
        fold = np.asarray(train), np.asarray(test)
        _check_fold(fold, i, n)
        cells = tuple(np.sort(part).tobytes() for part in fold)
        if cells in seen:
            raise ValueError(f"folds: fold {i} has the same cells as an earlier one")
        seen.add(cells)
        checked.append(fold)
    return checked


def _check_fold(fold, i, n):
    train, test = fold
    known = np.isin(np.concatenate(fold), np.arange(n)).all()
    apart = len(np.setdiff1d(test, train)) == len(test)  # also if a cell is tested twice
    if not (len(train) and len(test) and known and apart):
        raise ValueError(
            f"folds: fold {i} must train on some of {n} cells (by position) and test others once"
        )


def source_arrays(data, scaling):
    """Expression, outputs, and counts behind the expression."""
    if scaling == "all":
        return z_scored(data.X), z_scored(data.Y), None
    return data.X, data.Y, data.counts_behind_x


def z_scored(values):
    """Values z-scored over all cells, as float32."""
    return StandardScaler().fit_transform(values.astype(np.float64)).astype(np.float32)


def split_fold(arrays, fold, scaling, genes=None):
    """X_train, Y_train, X_test, Y_test, float32, of the genes in a mask."""
    X, Y, counts = arrays
    train, test = fold
    if scaling == "fold" and counts is not None:
        normalise = expression_pipeline(scale=False)
        X_train = normalise.fit_transform(counts[train])
        X_test = normalise.transform(counts[test])
    else:
        X_train = X[train]
        X_test = X[test]
    if genes is not None:
        X_train = X_train[:, genes]
        X_test = X_test[:, genes]
    X_train, X_test = _scaled(X_train, X_test, scaling, StandardScaler())
    if scaling == "fold":
        X_test[:, np.ptp(X_train, axis=0) == 0] = 0  # nothing was learned of constant genes
    Y_train, Y_test = split_outputs(Y, fold, scaling)
    return X_train, Y_train, X_test, Y_test


def split_outputs(Y, fold, scaling):
    """Scaled training and test outputs, float32."""
    train, test = fold
    return _scaled(Y[train], Y[test], scaling, StandardScaler())


def _scaled(train, test, scaling, scaler):
    if scaling == "fold":
        train = scaler.fit_transform(train.astype(np.float64))
        test = scaler.transform(test.astype(np.float64))
    if scaling == "all":
        mean = train.mean(0)
        train = train - mean
        test = test - mean
    return [np.ascontiguousarray(part, dtype=np.float32) for part in (train, test)]


def held_out(record, Y, point):
    """By fold: test cells, scaled outputs of all cells, predictions, and training mean."""
    scaling = record.settings["scaling"]
    if scaling == "all":
        Y = z_scored(Y)
    every = np.arange(len(Y))
    for (train, test), predicted in zip(record.folds, record.test_predictions[point], strict=True):
        Y_train, outputs = split_outputs(Y, (train, every), scaling)
        mean = Y_train.mean(axis=0, dtype=np.float64)
        yield test, outputs, predicted.reshape(len(test), -1), mean


def held_out_means(record, Y, point):
    """Mean predictions in the units of `Y`, (n, q); NaN for untested cells."""
    Y = np.asarray(Y, dtype=np.float64)
    scaling = record.settings["scaling"]
    total = np.zeros(Y.shape)
    times = np.zeros((len(Y), 1))
    for (train, test), predicted in zip(record.folds, record.test_predictions[point], strict=True):
        if scaling != "none":
            scaler = StandardScaler().fit(Y if scaling == "all" else Y[train])
            predicted = predicted * scaler.scale_ + Y[train].mean(axis=0)
        total[test] += predicted
        times[test] += 1
    return total / np.where(times, times, np.nan)


def split_and_scale(data, fold, scaling="fold"):
    """Training and test arrays of a fold, as in `cross_validate`."""
    return split_fold(source_arrays(data, scaling), fold, scaling)
