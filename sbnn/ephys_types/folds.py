"""Folds of typed cells that do not split donors."""

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sbnn.data.checks import UNKNOWN
from sbnn.data.typed_cells import as_typed
from sbnn.errors import check_among, warn

SEEDS = (0, 1, 2)  # each gives one set of folds


def repeated_donor_folds(data, n_folds=5, seeds=SEEDS, *, target="type"):
    """Stratified folds that do not split donors, by seed."""
    cells = as_typed(data)
    y = labels_of(cells, target)
    return {int(seed): deal_donors(cells, y, n_folds, int(seed)) for seed in seeds}


def deal_donors(cells, y, n_folds, seed):
    """Stratified folds of `TypedCells` that do not split donors."""
    # Folds of different seeds are not independent: StratifiedGroupKFold starts with the donors
    # whose cells are spread most unevenly over the classes.
    if "donor" in cells.labels:
        donors = labels_of(cells, "donor")
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        sizes = pd.Series(donors).groupby(y).nunique()
    else:
        donors = None
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        sizes = pd.Series(y).value_counts()
        warn(f"{cells.name}: without donors in the labels, folds may split the cells of a donor")
    few = sizes[sizes < n_folds]
    if len(few):
        raise ValueError(
            f"n_folds: classes with fewer than {n_folds} donors or cells: {few.to_dict()}"
        )
    folds = list(splitter.split(y, y, donors))
    for i, (train, test) in enumerate(folds):
        absent = set(y) - (set(y[train]) & set(y[test]))
        if absent:
            names = ", ".join(sorted(absent))
            warn(f"{cells.name}: fold {i} has no training or test cells of {names}")
    return folds


def labels_of(data, target):
    """Labels of all cells, str of shape (n,)."""
    check_among("target", target, data.labels)
    values = data.labels[target]
    lacking = values.isna() | (values == UNKNOWN)
    if lacking.any() or values.nunique() < 2:
        raise ValueError(
            f"{data.name}: expected a label for every cell and at least two different ones, "
            f"got {values.nunique()} in {target!r}"
        )
    return values.to_numpy(str)
