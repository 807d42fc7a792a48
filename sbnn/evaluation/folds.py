"""Cross-validation folds, and their scaled training and test arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.preprocessing import StandardScaler

from sbnn.data.checks import check_one_for_each, dense, gene_positions, known_labels
from sbnn.data.counts import log2p1, normalize_library_size, row_sums
from sbnn.data.paired import Paired
from sbnn.data.preprocessing import preselect_genes
from sbnn.errors import check_number
from sbnn.results import Fold, Record

SCALINGS = ("fold", "all")
OFFSET = r"[T ].*(?:Z|[+-]\d\d(?::?\d\d)?)$"  # from UTC, at the end of a time


def paper_folds(n: int, n_folds: int = 10, seed: int = 42) -> list[Fold]:
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
        Training and test positions.

    Examples
    --------
    >>> from sbnn import paper_folds
    >>> [(len(train), len(test)) for train, test in paper_folds(25, n_folds=3)]
    [(17, 8), (17, 8), (17, 8)]
    """
    check_number("n", n, int, low=2)
    check_number("n_folds", n_folds, int, low=2, high=n)
    size = n // n_folds
    # the generator used for the published folds
    order = np.random.RandomState(seed).permutation(n)
    folds = []
    for i in range(n_folds):
        block = slice(i * size, (i + 1) * size)
        folds.append((np.delete(order, block), order[block]))
    return folds


def grouped_folds(groups: ArrayLike, n_folds: int = 10, seed: int = 42) -> list[Fold]:
    """Folds that do not split a donor, batch or other group.

    Parameters
    ----------
    groups : array-like of shape (n,)
        Folds depend on the order of the sorted labels, so that renamed groups can give others.
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
    n_groups = int(codes.max()) + 1
    if n_groups < 2:
        raise ValueError("groups: expected two or more different ones, got one")
    check_number("n_folds", n_folds, int, low=2, high=n_groups)
    splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(codes, groups=codes))


def later_fold(times: Sequence[Any] | np.ndarray | pd.Series) -> list[Fold]:
    """One fold that trains on the first four fifths of the times and tests on the later ones.

    Parameters
    ----------
    times : array-like of shape (n,)
        Numbers, ``datetime64`` or dates such as ``2018-09-17``; numbers may be text.

    Returns
    -------
    list of (ndarray, ndarray)
        One pair of training and test positions; cells with the same time are not split.

    Examples
    --------
    >>> from sbnn import later_fold
    >>> dates = ["2018-09-17", "2018-09-20", "2018-09-17", "2018-11-02"]
    >>> [(train, test)] = later_fold(dates)
    >>> test.tolist()
    [3]
    """
    values = times
    check_one_for_each(times, "times")
    if any(isinstance(time, str) for time in times):
        labels = known_labels(np.asarray(times, dtype=object))
        # as text, 10 would be earlier than 9
        values = pd.to_numeric(labels, errors="coerce")
        if (values.isna() & labels.notna()).any():
            have_offset = labels.dropna().astype(str).str.contains(OFFSET)
            if have_offset.any() and not have_offset.all():
                raise ValueError("times: some have an offset from UTC, others none; give all one")
            try:
                # offsets from UTC differ between summer and winter
                values = pd.to_datetime(labels, format="ISO8601", utc=True)
            except ValueError as error:
                raise ValueError(
                    f"times: expected numbers, or dates such as 2018-09-17: {error}"
                ) from error
    codes = group_codes(values, "times")
    latest = codes.max()
    earlier = codes < min(round(0.8 * (latest + 1)), latest)
    return [(np.flatnonzero(earlier), np.flatnonzero(~earlier))]


def group_codes(labels: ArrayLike, argument: str) -> np.ndarray:
    """Index of the label of each cell among the sorted labels."""
    check_one_for_each(labels, argument)
    known = known_labels(np.asarray(labels, dtype=object))
    texts = [label for label in known.dropna() if isinstance(label, str)]
    others = [label for label in known.dropna() if not isinstance(label, str)]
    if texts and others:  # "1" would be another group than 1
        raise ValueError(
            f"{argument}: some are text, such as {texts[0]!r}, others are not, such as "
            f"{others[0]!r}; make all of them text"
        )
    codes, _ = pd.factorize(known, sort=True)
    if (codes < 0).any():
        raise ValueError(f"{argument}: expected one for each cell, none of them missing")
    return codes


def make_folds(folds: Any, n: int) -> list[Fold]:
    """Validate pairs of positions or a splitter, or take a number of `paper_folds`."""
    pairs = folds
    if isinstance(folds, Integral):
        pairs = paper_folds(n, cast(int, folds))
    checked: list[Fold] = []
    try:
        for train, test in check_cv(pairs).split(np.zeros(n)):
            are_cells = np.isin([*train, *test], np.arange(n)).all()
            are_apart = len(np.setdiff1d(test, train)) == len(test)  # also if one is tested twice
            covers_all = len(train) == n  # a fit to all cells tests none
            if not (len(train) and are_cells and are_apart and (len(test) or covers_all)):
                raise ValueError(f"fold {len(checked)} must train on some cells and test others")
            checked.append((np.asarray(train, int), np.asarray(test, int)))
        if not checked:
            raise ValueError("there is none")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"folds: {error}; expected a number, a splitter that needs no types or groups, or "
            f"pairs of positions among {n} cells to train on and to test once, such as "
            "list(splitter.split(X, types, groups))"
        ) from error
    return checked


def check_preselect(preselect: int | None) -> None:
    """Reject what is no number of genes, before anything is computed."""
    if preselect is not None:
        check_number("preselect", preselect, int, low=1)


def z_score(values: np.ndarray) -> np.ndarray:
    """Values z-scored over all cells, as float32."""
    scaled, _ = _z_score_both(values, values[:0], "fold")
    return scaled


def scale_fold(
    data: Paired,
    fold: Fold,
    scaling: str,
    preselect: int | None = None,
    panel: np.ndarray | None = None,
) -> tuple[Any, np.ndarray, Any, np.ndarray, np.ndarray | slice]:
    """X_train, Y_train, X_test, Y_test, float32, and their genes: a mask, or a slice of all.

    Genes, library size, means and SDs are those of the training cells, unless `scaling` is "all".

    With a panel, as from `panel_mask`, its genes are added to the preselected ones, and X_train and
    X_test are tables, in which the estimator finds them by name.
    """
    train, test = fold
    genes: np.ndarray | slice = slice(None)
    check_preselect(preselect)
    if preselect is not None:
        genes = preselect_genes(data, preselect, train)
        if panel is not None:
            genes |= panel
    X: np.ndarray = data.X
    Y: np.ndarray = data.Y
    if scaling == "all":
        X = z_score(X)
        Y = z_score(Y)
    elif data.has_median_library_size:
        # the median of all cells, also those to test: it is learned from the training cells instead
        library_size = np.median(row_sums(data.counts[train]))
        X = dense(log2p1(normalize_library_size(data.counts, library_size)))
    X_train, X_test = _z_score_both(X[train][:, genes], X[test][:, genes], scaling)
    if scaling == "fold":
        X_test[:, np.ptp(X_train, axis=0) == 0] = 0  # nothing was learned of constant genes
    Y_train, Y_test = _z_score_both(Y[train], Y[test], scaling)
    if panel is None:
        return X_train, Y_train, X_test, Y_test, genes
    names = data.gene_names[genes]
    train_table = pd.DataFrame(X_train, columns=names)
    test_table = pd.DataFrame(X_test, columns=names)
    return train_table, Y_train, test_table, Y_test, genes


def panel_mask(model: Any, gene_names: np.ndarray) -> np.ndarray | None:
    """Mask of the required and candidate genes of an estimator, or None if it has neither."""
    positions = []
    for parameter, genes in model.get_params().items():
        name = parameter.split("__")[-1]  # of an estimator within this one
        if name in ("required_genes", "candidate_genes") and genes is not None:
            positions.append(gene_positions(genes, gene_names, argument=name))
    if not positions:
        return None
    return np.isin(np.arange(len(gene_names)), np.concatenate(positions))


def _z_score_both(train, test, scaling):
    """Training and test values relative to the training cells, as float32."""
    if scaling == "fold":
        scaler = StandardScaler().fit(train.astype(np.float64))
        mean = scaler.mean_
        sd = scaler.scale_
    else:  # z-scored; without test cells, train has all cells and means of 0
        mean = train.mean(0) if len(test) else 0
        sd = 1
    train_scaled = np.ascontiguousarray((train - mean) / sd, dtype=np.float32)
    test_scaled = np.ascontiguousarray((test - mean) / sd, dtype=np.float32)
    return train_scaled, test_scaled


def held_out_predictions(
    record: Record, Y: ArrayLike, point: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """By fold: test cells, their predictions in the units of `Y`, and the SDs of its scaling."""
    outputs = np.asarray(Y, dtype=np.float64)
    over_all = record.settings["scaling"] == "all"
    for (train, test), predicted in zip(record.folds, record.test_predictions[point], strict=True):
        mean = outputs[train].mean(axis=0)
        sd = StandardScaler().fit(outputs if over_all else outputs[train]).scale_
        yield test, predicted * sd + mean, sd


def held_out_means(record: Record, Y: ArrayLike, point: int) -> np.ndarray:
    """Mean predictions in the units of `Y`, (n, q); NaN for untested cells."""
    tables = []
    for test, predicted, _ in held_out_predictions(record, Y, point):
        tables.append(pd.DataFrame(predicted, test))
    means = pd.concat(tables).groupby(level=0).mean()
    return means.reindex(range(len(np.asarray(Y)))).to_numpy()
