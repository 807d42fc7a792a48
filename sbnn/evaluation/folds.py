"""Cross-validation folds, and the scaled training and test arrays of a fold."""

import re
import warnings
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from sbnn.data.checks import UNKNOWN, check_blanks
from sbnn.data.preprocessing import Standardizer, expression_pipeline
from sbnn.data.typed_cells import as_typed
from sbnn.errors import attempt, check_among, check_number, documented, naming

SCALINGS = ("fold", "all", "none")
KINDS = ("training", "test")
ISO = re.compile(r"\d{4}([-/.]\d\d){0,2}([ T].*)?")  # dates as text that sorts chronologically
SEEDS = (0, 1, 2)  # each seed gives one set of folds of typed cells


def paper_folds(n, n_folds=10, seed=42):
    """Folds of the published cross-validation (Bernaerts, Berens and Kobak, arXiv 2006.10411).

    A permutation of the cells, drawn with NumPy's legacy generator, is cut into blocks of ``n //
    n_folds`` cells. Fold i tests on block i and trains on all other cells. The last ``n % n_folds``
    cells of the permutation are never tested.

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
    check_number("n", n, int, 2)
    check_number("n_folds", n_folds, int, 2, n)
    size = n // n_folds
    # the generator used for the published folds
    random = attempt("seed: expected a whole number", np.random.RandomState, seed)
    order = random.permutation(n)
    blocks = [slice(i * size, (i + 1) * size) for i in range(n_folds)]
    return [(np.delete(order, block), order[block]) for block in blocks]


def grouped_folds(groups, n_folds=10, seed=42):
    """Folds that do not split a donor, batch or other group between training and test cells.

    Parameters
    ----------
    groups : array-like of shape (n,)
        Group of each cell.
    n_folds, seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions; every cell is tested once. The number of test groups differs by
        at most one between folds; the number of test cells may differ by more.
    """
    codes = group_codes(groups, "groups")
    check_blanks(groups, "groups")
    with naming("n_folds, seed: expected whole numbers, and at most as many folds as groups"):
        return list(GroupKFold(n_folds, shuffle=True, random_state=seed).split(codes, groups=codes))


@documented
def later_fold(times, share=0.8):
    """One fold that trains on earlier cells and tests on later ones, for example by recording date.

    Parameters
    ----------
    times : array-like of shape (n,)
        Time of each cell, as a number, ``datetime64`` or a date written as ``2018-09-17``.
    share : float
        Share of the distinct dates or other time points to train on; above 0 and below 1.

    Returns
    -------
    list of (ndarray, ndarray)
        A single pair of training and test positions; cells with the same time are never split
        between the two.
    """
    check_number("share", share, float, 0, 1)
    text = [value for value in np.ravel(np.asarray(times, dtype=object)) if isinstance(value, str)]
    lengths = {len(value) if value.isdecimal() else 0 for value in text}
    if not all(map(ISO.fullmatch, text)) and (
        len(text) < np.size(times) or len(lengths) > 1 or 0 in lengths
    ):
        raise ValueError(
            f"times: expected numbers, datetime64 or dates such as 2018-09-17, got the text {text[0]!r}"
        )
    codes = group_codes(times, "times")
    n_train = min(max(round(share * (codes.max() + 1)), 1), codes.max())
    return folds_of(
        [(np.flatnonzero(codes < n_train), np.flatnonzero(codes >= n_train))], len(codes)
    )


def group_codes(labels, name, cells=None):
    """For each cell, the index of its label in the sorted array of distinct labels."""
    # converted to text, missing values would form a group
    missing = np.flatnonzero(pd.isna(np.asarray(labels, dtype=object)))
    n_dims = attempt(f"{name}: expected one value for each cell", np.ndim, labels)
    if n_dims != 1 or (cells is not None and len(labels) != len(cells)) or missing.size:
        got = f"shape {np.shape(labels)}"
        got += (
            f" in which values are missing, the first at position {missing[0]}"
            if missing.size
            else ""
        )
        raise ValueError(f"{name}: expected one value for each cell, got {got}")
    return np.unique(np.asarray(labels), return_inverse=True)[1]


def repeated_donor_folds(data, n_folds=5, seeds=SEEDS, *, target="type"):
    """Stratified folds of typed cells that do not split donors, as a dict with one list of folds for each seed."""
    cells = as_typed(data)
    y = labels_of(cells, target)
    return {int(seed): deal_donors(cells, y, n_folds, int(seed)) for seed in seeds}


def deal_donors(cells, y, n_folds, seed):
    """Stratified folds of `TypedCells` with classes `y`; donors, whose cells resemble each other, are not split."""
    # Whatever the seed, StratifiedGroupKFold first assigns the donors whose cells are spread most
    # unevenly over the classes. Sets of folds with different seeds therefore overlap more than by
    # chance: if two human cells of different donors are tested together with one seed, they are
    # tested together with another seed in 45 % of the cases (20 % by chance). Intervals must not
    # treat the sets as independent.
    counts, donors, splitter = {"cells": pd.Series(y).value_counts()}, None, StratifiedKFold
    if "donor" in cells.labels:
        donors, splitter = labels_of(cells, "donor"), StratifiedGroupKFold
        counts["donors"] = pd.Series(donors).groupby(y).nunique()
    else:
        warnings.warn(
            f"{cells.name}: without donors in the labels, folds may split the cells of a donor",
            stacklevel=3,
        )
    few = [
        f"{n} {kind} of {name}"
        for kind, sizes in counts.items()
        for name, n in sizes[sizes < n_folds].items()
    ]
    if few:
        raise ValueError(
            f"n_folds: some classes have fewer than {n_folds} cells or donors: {', '.join(few)}"
        )
    folds = list(splitter(n_folds, shuffle=True, random_state=seed).split(y, y, donors))
    for i, (train, test) in enumerate(folds):
        if absent := sorted(set(y) - (set(y[train]) & set(y[test]))):
            warnings.warn(
                f"{cells.name}: fold {i} has no training or test cells of {', '.join(absent)}",
                stacklevel=3,
            )
    return folds


def labels_of(data, target):
    """Labels of all cells, str of shape (n,); there must be at least two different labels."""
    check_among("target", target, data.labels)
    values = data.labels[target]
    lacking = (values.isna() | (values == UNKNOWN)).sum()
    if lacking or values.nunique() < 2:
        found = f"{values.nunique()} in {target!r}; number of cells without a label: {lacking}"
        raise ValueError(
            f"{data.name}: expected a label for every cell and at least two different ones, got {found}"
        )
    check_blanks(values, target)
    return values.to_numpy(dtype=str)


def folds_of(folds, n):
    """Convert pairs of positions, a splitter or the number of `paper_folds` (10 if None) to checked pairs of arrays."""
    folds = 10 if folds is None else folds
    if isinstance(folds, Integral):
        folds = paper_folds(n, folds)
    elif hasattr(folds, "get_n_splits"):
        folds = folds.split(np.zeros(n))
    with naming(
        "folds: expected a number of folds, a splitter, or pairs of positions (training, test)"
    ):
        checked = [(np.asarray(train), np.asarray(test)) for train, test in folds]
        together = [np.concatenate(fold) for fold in checked]
    wrong = [] if checked else ["there are none"]
    for i, (fold, cells) in enumerate(zip(checked, together, strict=True)):
        wrong += [
            f"fold {i} has no {name} cell"
            for name, its in zip(KINDS, fold, strict=True)
            if not its.size
        ]
        if cells.dtype.kind not in "iu" or (cells < 0).any() or (cells >= n).any():
            wrong.append(f"the cells of fold {i} must be positions from 0 to {n - 1}")
        if len(np.unique(fold[1])) < len(fold[1]):
            wrong.append(f"fold {i} tests a cell twice")
        if shared := np.intersect1d(*fold).tolist():
            wrong.append(
                f"fold {i} has cells in both training and test ({len(shared)} in all, such as {shared[0]})"
            )
    first = {}
    for i, fold in enumerate(checked):
        if (same := first.setdefault(tuple(np.sort(part).tobytes() for part in fold), i)) < i:
            wrong.append(
                f"fold {i} has the same cells as fold {same}, which would then count twice"
            )
    if wrong:
        raise ValueError(f"folds: {'; '.join(wrong[:3])}")
    return checked


def source_arrays(data, scaling):
    """Arrays to split into folds: expression, outputs and counts (None if they cannot be normalised by fold)."""
    if scaling == "all":  # z-scored over all cells in double precision, then stored as float32
        scaled = (
            StandardScaler().fit_transform(a.astype(np.float64)).astype(np.float32)
            for a in (data.X, data.Y)
        )
        return *scaled, None
    return data.X, data.Y, data.counts_behind_x


def split_fold(arrays, fold, scaling, genes=None):
    """Training and test arrays of a fold; unless `scaling` is "all", test cells do not affect the
    scaling.

    Only genes in the mask `genes` are returned, but library sizes are computed from all genes.
    """
    X, Y, counts = arrays
    train, test = fold
    genes = slice(None) if genes is None else genes
    if scaling == "fold" and counts is not None:
        normalise = expression_pipeline(scale=False)
        X_train, X_test = normalise.fit_transform(counts[train]), normalise.transform(counts[test])
    else:
        X_train, X_test = X[train], X[test]
    X_train, X_test, Y_train, Y_test = X_train[:, genes], X_test[:, genes], Y[train], Y[test]
    if scaling == "fold":
        scaler = Standardizer()
        X_train, X_test = scaler.fit_transform(X_train), scaler.transform(X_test)
        scaler = StandardScaler().fit(Y_train.astype(np.float64))
        Y_train, Y_test = (scaler.transform(a.astype(np.float64)) for a in (Y_train, Y_test))
    if scaling == "all":
        X_test, X_train = X_test - X_train.mean(0), X_train - X_train.mean(0)
        Y_test, Y_train = Y_test - Y_train.mean(0), Y_train - Y_train.mean(0)
    return tuple(
        np.ascontiguousarray(a, dtype=np.float32) for a in (X_train, Y_train, X_test, Y_test)
    )


def held_out_means(record, Y, point):
    """Predictions, shape (n, q), in the units of `Y`, averaged over the folds that held a cell out; NaN if none did."""
    Y, scaling = np.asarray(Y, dtype=np.float64), record.settings["scaling"]
    total, times = np.zeros(Y.shape), np.zeros((len(Y), 1))
    for (train, test), predicted in zip(record.folds, record.test_predictions[point], strict=True):
        if scaling != "none":
            scaler = StandardScaler().fit(Y if scaling == "all" else Y[train])
            predicted = scaler.inverse_transform(
                predicted + scaler.transform(Y)[train].mean(axis=0)
            )
        total[test] += predicted
        times[test] += 1
    return np.divide(total, times, out=np.full(total.shape, np.nan), where=times > 0)


def split_and_scale(data, fold, scaling="fold"):
    """Training and test arrays of a fold, as `cross_validate` passes them to an estimator."""
    return split_fold(source_arrays(data, scaling), fold, scaling)
