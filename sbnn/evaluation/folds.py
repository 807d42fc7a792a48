"""Folds of the cells, and the arrays of a fold, scaled without a look at its test cells."""

import warnings
from numbers import Integral

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from sbnn.data.checks import UNKNOWN
from sbnn.data.preprocessing import Standardizer, expression_pipeline, log2p1, normalize_library_size
from sbnn.data.typed_cells import as_typed

SCALINGS = ("fold", "all", "none")
SEEDS = (0, 1, 2)  # of the sets of folds of typed cells


def paper_folds(n, n_folds=10, seed=42):
    """Folds of the published cross-validation (Bernaerts, Berens and Kobak, arXiv 2006.10411).

    One permutation of NumPy's legacy generator; test block i holds its positions ``i * (n // n_folds)`` to
    ``(i + 1) * (n // n_folds)``, everything else trains. The last ``n % n_folds`` cells are never tested.

    Parameters
    ----------
    n : int
        Number of cells.
    n_folds, seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions of every fold, in the order of the permutation.
    """
    size = n // max(n_folds, 1)
    if n_folds < 2 or size < 1:
        raise ValueError(f"n_folds: {n_folds} folds of {n} cells leave a fold without a test or training cell")
    order = np.random.RandomState(seed).permutation(n)  # noqa: NPY002 -- the published folds come from this generator
    blocks = [slice(i * size, (i + 1) * size) for i in range(n_folds)]
    return [(np.delete(order, block), order[block]) for block in blocks]


def grouped_folds(groups, n_folds=10, seed=42):
    """Folds in which no donor, batch or other group is both trained on and tested.

    Parameters
    ----------
    groups : array-like of shape (n,)
        Group of each cell.
    n_folds, seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions; every cell is tested once. Folds have as many groups, to one, not as many cells.
    """
    different, codes = _different(groups, "groups")
    if len(different) == 1:
        raise ValueError(f"groups: all cells are of {different[0]!r}, and folds need two groups or more")
    if n_folds < 2 or len(different) < n_folds:
        raise ValueError(f"n_folds: {n_folds} folds of {len(different)} groups leave a fold without a group")
    split = GroupKFold(n_folds, shuffle=True, random_state=seed).split(codes, groups=codes)
    return [(train, test) for train, test in split]


def later_fold(times, share=0.8):
    """One fold that trains on what came first and tests on what came later, such as recordings by their dates.

    Parameters
    ----------
    times : array-like of shape (n,)
        In any order that sorts: numbers, ``datetime64`` or dates written as ``2018-09-17``.
    share : float
        Of the different times, in (0, 1), to train on.

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions, one pair. Cells of one time are never in both.
    """
    if not 0 < share < 1:
        raise ValueError(f"share: expected a number in (0, 1), got {share!r}")
    different, codes = _different(times, "times")
    if len(different) < 2:
        raise ValueError(f"times: all cells have the same, {different[0]}; there is no later one to test on")
    n_train = min(max(round(share * len(different)), 1), len(different) - 1)
    return [(np.flatnonzero(codes < n_train), np.flatnonzero(codes >= n_train))]


def _different(labels, name):
    """Different labels of the cells, sorted, and the position there of that of each cell."""
    missing = np.flatnonzero(pd.isna(np.asarray(labels, dtype=object)))  # as text they would be groups of their own
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or missing.size:
        which = f"; {missing.size} cell(s) have none, the first is cell {missing[0]}" if missing.size else ""
        raise ValueError(f"{name}: expected one for each cell, got an array of shape {labels.shape}{which}")
    try:
        return np.unique(labels, return_inverse=True)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in labels})
        raise ValueError(f"{name}: expected labels of one kind, which can be sorted, got {', '.join(kinds)}") from None


def donor_folds(data, n_folds=5, seed=0, *, target="type"):
    """Stratified folds of typed cells in which no donor, whose cells share brain, slice and day, is on both sides."""
    # StratifiedGroupKFold deals the donors with the most uneven cells out first whatever the seed. Sets of folds of two
    # seeds hence share more than chance (two human cells of other donors that are tested together are so again with
    # another seed in 0.45 of the cases, 0.2 by chance); intervals must not take them for independent.
    data = as_typed(data)
    y = labels_of(data, target)
    donors = data.labels["donor"].to_numpy(dtype=str) if "donor" in data.labels else None
    counts = {"cells": pd.Series(y).value_counts()}
    if donors is None:
        warnings.warn(f"{data.name}: no donors in the labels; folds may share donors", stacklevel=2)
        split = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y)
    else:
        if (donors == UNKNOWN).any() and len(set(donors)) > 1:
            raise ValueError(
                f"{data.name}: {(donors == UNKNOWN).sum()} cells have no 'donor', and would count as one; leave them "
                "out, or name a donor for each"
            )
        if len(set(donors)) < 2:
            raise ValueError(
                f"{data.name}: all cells are of one donor, {str(donors[0])!r}; no donor is left to test on"
            )
        counts["donors"] = pd.Series(donors).groupby(y).nunique()
        split = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, donors)
    for kind, sizes in counts.items():
        if len(few := sizes[sizes < n_folds]):
            raise ValueError(
                f"n_folds: {n_folds} folds need as many {kind} of each class of {target!r}; "
                f"{', '.join(f'{name} has {size}' for name, size in few.items())}; take fewer folds, or leave them out"
            )
    folds = [(np.asarray(train), np.asarray(test)) for train, test in split]
    for i, (train, test) in enumerate(folds):
        if absent := sorted(set(y) - (set(y[train]) & set(y[test]))):
            warnings.warn(f"{data.name}: fold {i} lacks {', '.join(absent)} in training or in test", stacklevel=2)
    return folds


def repeated_donor_folds(data, n_folds=5, seeds=SEEDS, *, target="type"):
    """One set of `donor_folds` for each seed: dict of seed to folds."""
    return {int(seed): donor_folds(data, n_folds, int(seed), target=target) for seed in seeds}


def labels_of(data, target):
    """What is to be predicted of every cell, shape (n,) of str; at least two classes."""
    if target not in data.labels:
        raise ValueError(f"target: expected one of the labels, {', '.join(data.labels)}; got {target!r}")
    values = data.labels[target]
    lacking = values.isna() | (values == UNKNOWN)
    if lacking.any():
        raise ValueError(f"target: {lacking.sum()} cells have no {target!r}; leave them out")
    y = values.to_numpy(dtype=str)
    if len(set(y)) < 2:
        raise ValueError(f"{data.name}: all cells are {str(y[0])!r}; expected at least two classes of {target!r}")
    return y


def folds_of(folds, data):
    """Folds as checked pairs of positions, from pairs, a number (None: 10; both cut as `paper_folds`) or a splitter."""
    n = len(data.X)
    if folds is None or (isinstance(folds, Integral) and not isinstance(folds, bool)):
        folds = paper_folds(n, 10 if folds is None else int(folds))
    elif hasattr(folds, "get_n_splits") and not isinstance(folds, type):
        folds = list(folds.split(data.X, data.Y))
    else:
        try:
            folds = [(train, test) for train, test in folds]
        except (TypeError, ValueError):
            raise TypeError(
                "folds: expected pairs (training cells, test cells), a number of folds or a scikit-learn splitter, "
                f"got {folds!r}"
            ) from None
    return check_folds(folds, n)


def check_folds(folds, n):
    """Folds as pairs of arrays; an error if one is empty, leaves the data or tests a training cell."""
    checked = []
    for i, (train, test) in enumerate(folds):
        train, test = np.asarray(train), np.asarray(test)
        for name, cells in (("training", train), ("test", test)):
            if cells.size == 0:
                raise ValueError(f"folds: fold {i} has no {name} cell")
            if cells.dtype.kind not in "iu" or cells.min() < 0 or cells.max() >= n:
                raise ValueError(f"folds: the {name} cells of fold {i} must be positions from 0 to {n - 1}")
        shared = np.intersect1d(train, test)
        if shared.size:
            raise ValueError(
                f"folds: fold {i} has {shared.size} cell(s) both in training and in test, e.g. {shared[0]}"
            )
        checked.append((train, test))
    if not checked:
        raise ValueError("folds: there is none")
    return checked


def zscored(data):
    """Arrays z-scored over all cells, in double precision until the end."""
    X, Y = (StandardScaler().fit_transform(a.astype(np.float64)) for a in (data.X, data.Y))
    return X.astype(np.float32), Y.astype(np.float32), None


def _counts_behind(data):
    """The raw counts, if X is what `expression_pipeline` makes of them; else None: X was normalised in another way.

    So it is for some of the genes of a larger set, whose sum is not the library size of a cell.
    """
    counts = data.counts
    if counts is None or (np.asarray(counts.sum(axis=1)) == 0).any():
        return None
    expected = log2p1(normalize_library_size(counts))
    expected = expected.toarray() if sparse.issparse(expected) else expected
    return counts if np.allclose(expected, data.X, rtol=1e-4, atol=1e-4) else None


def source_arrays(data, scaling):
    """What folds are cut from: genes, outputs and, where genes can be normalised anew in every fold, counts or None."""
    if scaling not in SCALINGS:
        raise ValueError(f"scaling: {scaling!r} is unknown, expected one of {SCALINGS}")
    return zscored(data) if scaling == "all" else (data.X, data.Y, _counts_behind(data))


def split_fold(data, fold, scaling, genes=None):
    """Training and test arrays of a fold, scaled without a look at the test cells (but for "all").

    Of `genes`, a mask, only those are given; the library size of a cell is that of all.
    """
    X, Y, counts = data
    train, test = fold
    if scaling == "fold" and counts is not None:
        normalise = expression_pipeline(scale=False)
        X_train, X_test = normalise.fit_transform(counts[train]), normalise.transform(counts[test])
    else:
        X_train, X_test = X[train], X[test]
    Y_train, Y_test = Y[train], Y[test]
    if genes is not None:
        X_train, X_test = X_train[:, genes], X_test[:, genes]
    if scaling == "fold":
        scaler = Standardizer(constant="zero")
        X_train, X_test = scaler.fit_transform(X_train), scaler.transform(X_test)
        scaler = StandardScaler().fit(Y_train.astype(np.float64))
        Y_train, Y_test = (scaler.transform(a.astype(np.float64)) for a in (Y_train, Y_test))
    if scaling == "all":
        X_test, X_train = X_test - X_train.mean(0), X_train - X_train.mean(0)
        Y_test, Y_train = Y_test - Y_train.mean(0), Y_train - Y_train.mean(0)
    return tuple(np.ascontiguousarray(a, dtype=np.float32) for a in (X_train, Y_train, X_test, Y_test))


def in_units(predictions, Y, fold, scaling):
    """Predictions of the test cells of a fold, turned back from its scale into the units of the outputs `Y`."""
    if scaling == "none":
        return predictions
    Y = Y.astype(np.float64)
    scaler = StandardScaler().fit(Y if scaling == "all" else Y[fold[0]])
    middle = scaler.transform(Y)[fold[0]].mean(axis=0) if scaling == "all" else 0.0
    return scaler.inverse_transform(predictions + middle)


def held_out_means(record, Y, point):
    """Mean prediction (n, q) of every cell by the folds that held it out, in the units of `Y`; NaN where none did."""
    total, times = np.zeros(np.shape(Y)), np.zeros((len(Y), 1))
    for fold, predicted in zip(record.folds, record.test_predictions[point], strict=True):
        total[fold[1]] += in_units(np.asarray(predicted), Y, fold, record.settings["scaling"])
        times[fold[1]] += 1
    return np.divide(total, times, out=np.full(total.shape, np.nan), where=times > 0)


def split_and_scale(data, fold, scaling="fold"):
    """Training and test arrays of a fold, as `cross_validate` hands them to an estimator."""
    return split_fold(source_arrays(data, scaling), fold, scaling)
