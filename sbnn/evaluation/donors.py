"""Folds of typed cells: each type in every fold, the cells of one donor together."""

import warnings
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sbnn.data.labels import UNKNOWN
from sbnn.data.typed_cells import as_typed

SEEDS = (0, 1, 2)  # one set of folds each


def donor_folds(data, n_folds=5, seed=0, *, target="type"):
    """Stratified folds in which no donor is both trained on and tested.

    Cells of one donor share their brain, their slice and their day. A model tested on cells of donors that it knows
    looks better than it is on the next donor.

    Parameters
    ----------
    data : AnnData of typed cells
        With `target` and, usually, `donor` in ``obs``.
    n_folds : int
    seed : int
        Of the shuffling.
    target : str
        Column of the labels.

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions; every cell is tested once.

    Raises
    ------
    ValueError
        Fewer than two folds or donors, one class only, a class with fewer cells or donors than folds.

    Notes
    -----
    The donors with the most uneven cells are dealt out first whatever the seed, as it takes to keep the classes in
    proportion (scikit-learn's ``StratifiedGroupKFold``). Of few large donors the sets of folds of two seeds hence share
    more than chance: of the human cells, two of other donors that are tested together are so again in 0.45 of the
    cases with another seed, 0.2 by chance. Intervals must not take sets of folds for independent
    (`sbnn.evaluation.paired`).

    Warns
    -----
    UserWarning
        If donors are not known, so that cells are told apart instead; if a fold tests no cell of a class, which its
        donors may force.
    """
    if isinstance(n_folds, bool) or not isinstance(n_folds, Integral) or n_folds < 2:
        raise ValueError(f"n_folds: expected an integer of at least 2, got {n_folds!r}")
    data = as_typed(data)
    y = labels_of(data, target)
    cells = pd.Series(y).value_counts()
    if len(cells) < 2:
        raise ValueError(f"{data.name}: all cells are {cells.index[0]!r}; expected at least two classes of {target!r}")
    _require("cells", cells, n_folds, target)
    if "donor" not in data.labels:
        warnings.warn(f"{data.name}: no donors in the labels; folds may share donors", stacklevel=2)
        split = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y)
    else:
        donors = data.labels["donor"].to_numpy(dtype=str)
        if (donors == UNKNOWN).any() and len(set(donors)) > 1:
            raise ValueError(
                f"{data.name}: {(donors == UNKNOWN).sum()} cells have no 'donor', and would count as one; leave them "
                "out, or name a donor for each"
            )
        if len(set(donors)) < 2:
            raise ValueError(
                f"{data.name}: all cells are of one donor, {str(donors[0])!r}; no donor is left to test on"
            )
        per_class = pd.Series(donors).groupby(y).nunique()
        _require("donors", per_class, n_folds, target)
        split = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(y, y, donors)
    folds = [(np.asarray(train), np.asarray(test)) for train, test in split]
    for i, (train, test) in enumerate(folds):
        absent = sorted(set(y) - (set(y[train]) & set(y[test])))
        if absent:
            warnings.warn(f"{data.name}: fold {i} lacks {', '.join(absent)} in training or in test", stacklevel=2)
    return folds


def repeated_donor_folds(data, n_folds=5, seeds=SEEDS, *, target="type"):
    """One set of `donor_folds` for each seed: dict of seed to folds."""
    return {int(seed): donor_folds(data, n_folds, int(seed), target=target) for seed in seeds}


def labels_of(data, target):
    """What is to be predicted of every cell, shape (n,) of str; an error if the labels lack it."""
    if target not in data.labels:
        raise ValueError(f"target: expected one of the labels, {', '.join(data.labels)}; got {target!r}")
    values = data.labels[target]
    lacking = values.isna() | (values == UNKNOWN)
    if lacking.any():
        raise ValueError(f"target: {lacking.sum()} cells have no {target!r}; leave them out")
    return values.to_numpy(dtype=str)


def _require(kind, counts, n_folds, target):
    few = counts[counts < n_folds]
    if len(few):
        told = ", ".join(f"{name} has {size}" for name, size in few.items())
        raise ValueError(
            f"n_folds: {n_folds} folds need as many {kind} of each class of {target!r}; {told}; take fewer folds, or "
            "leave the class out"
        )
