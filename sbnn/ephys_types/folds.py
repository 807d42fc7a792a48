"""Folds of typed cells that do not split donors."""

from itertools import chain

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from sbnn.data.checks import known_labels
from sbnn.data.typed_cells import as_typed
from sbnn.errors import check_among, warn

SEEDS = (0, 1, 2)  # each gives one set of folds


def repeated_donor_folds(data, n_folds=5, seeds=SEEDS, *, target="type"):
    """Stratified folds that do not split donors, by seed.

    There are at most as many folds as the class with the fewest donors has donors, but at least
    two. Without donors, cells are dealt one by one. The same folds of several seeds are kept once.
    """
    cells = as_typed(data)
    y = target_labels(cells, target)
    if "donor" in cells.labels:
        donors = target_labels(cells, "donor")
    else:
        donors = cells.cell_names
        warn(f"{cells.name}: without donors in the labels, folds may split the cells of a donor")
    fewest = pd.Series(donors).groupby(y).nunique().min()
    n_folds = min(n_folds, max(fewest, 2))
    sets = {}
    for seed in map(int, seeds):
        # StratifiedGroupKFold starts with the donors whose cells are spread most unevenly over
        # classes, so folds of different seeds are not independent.
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        folds = list(splitter.split(y, y, donors))
        absent = set().union(*(set(y) - set(y[part]) for part in chain(*folds)))
        if absent:
            names = ", ".join(sorted(absent))
            warn(f"{cells.name}: a fold has no training or no test cells of {names}")
        tests = frozenset(test.tobytes() for _, test in folds)
        sets.setdefault(tests, (seed, folds))
    return dict(sets.values())


def target_labels(data, target):
    """Labels of all cells, str of shape (n,)."""
    check_among("target", target, data.labels)
    values = data.labels[target]
    if known_labels(values).isna().any() or values.nunique() < 2:
        raise ValueError(
            f"{data.name}: expected a label for every cell and at least two different ones, "
            f"got {values.nunique()} in {target!r}"
        )
    return values.to_numpy(str)
