"""What a record of a cross-validated classifier says besides its scores: confusions, calibration, scores in groups."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sbnn.evaluation.classification import scores


class Repeat(NamedTuple):
    """Predictions of one set of folds, cell by cell.

    Attributes
    ----------
    cells : ndarray of int, shape (n,)
        Positions in the data.
    true, predicted : ndarray of str, shape (n,)
    probabilities : ndarray, shape (n, n_classes)
    """

    cells: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


def repeats_of(record):
    """Predictions of a record, one `Repeat` for each set of folds.

    Parameters
    ----------
    record : Record
        From `cross_validate_classifier`.

    Returns
    -------
    list of Repeat
    """
    found = []
    for seed in dict.fromkeys(record.repeats.tolist()):
        folds = np.flatnonzero(record.repeats == seed)
        cells = np.concatenate([record.folds[f][1] for f in folds])
        predicted = np.concatenate([record.test_predictions[0][f] for f in folds])
        probabilities = np.concatenate([record.test_probabilities[0][f] for f in folds]).astype(np.float64)
        found.append(Repeat(cells, record.true[cells], record.classes[predicted], probabilities))
    return found


def repeat_means(record, metric="macro_f1"):
    """Mean of a metric over the folds of each repeat, shape (repeats,)."""
    values = record.values[metric][:, 0]
    return np.array([values[record.repeats == seed].mean() for seed in dict.fromkeys(record.repeats.tolist())])


def confusion_counts(record):
    """Cells by true (rows) and predicted class (columns), mean over the repeats; shape (n_classes, n_classes)."""
    counts = np.zeros((len(record.classes),) * 2)
    repeats = repeats_of(record)
    for repeat in repeats:
        places = (np.searchsorted(record.classes, repeat.true), np.searchsorted(record.classes, repeat.predicted))
        np.add.at(counts, places, 1 / len(repeats))
    return counts


def calibration(record, n_bins=10):
    """How often the most probable class is the true one, by its probability.

    Parameters
    ----------
    record : Record
    n_bins : int
        Of equal width, from 0 to 1.

    Returns
    -------
    table : DataFrame
        A row for every bin that is not empty: ``confidence`` (mean probability of the most probable class),
        ``accuracy`` (how often it is the true one) and ``share`` of all predictions, over all repeats.
    error : float
        Expected calibration error: mean of |accuracy - confidence|, weighted by the share.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017.
    """
    repeats = repeats_of(record)
    probabilities = np.concatenate([repeat.probabilities for repeat in repeats])
    true = np.concatenate([repeat.true for repeat in repeats])
    confidence = probabilities.max(axis=1)
    hit = record.classes[probabilities.argmax(axis=1)] == true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    by = pd.DataFrame({"confidence": confidence, "accuracy": hit.astype(float), "share": 1 / len(hit)}).groupby(bins)
    table = by.agg({"confidence": "mean", "accuracy": "mean", "share": "sum"}).reset_index(drop=True)
    return table, float((table["share"] * (table["accuracy"] - table["confidence"]).abs()).sum())


def scores_within(record, groups):
    """Scores among the cells of each group, which cannot profit from what the groups differ in.

    Parameters
    ----------
    record : Record
    groups : array-like of str, shape (n cells of the data,)
        Such as acute or culture.

    Returns
    -------
    DataFrame
        Indexed by group, the largest first: ``cells``, ``macro_f1`` and ``accuracy``, computed over all test cells of
        a repeat together, mean over the repeats, their SD (``macro_f1_sd``, ``accuracy_sd``), ``classes``, how many
        the group has, and ``smallest``, cells of its smallest class. Classes that are not in a group do not count.

    Raises
    ------
    ValueError
        Another number of groups than of cells.
    """
    groups = np.asarray(groups, dtype=str)
    if groups.shape != record.true.shape:
        raise ValueError(f"groups: expected one for each of {len(record.true)} cells, got shape {groups.shape}")
    rows = {}
    repeats = repeats_of(record)
    for group, size in pd.Series(groups).value_counts(sort=False).items():
        values = []
        for repeat in repeats:
            inside = groups[repeat.cells] == group
            if inside.any():
                found = scores(*(part[inside] for part in repeat[1:]), record.classes)
                there = np.isin(record.classes, repeat.true[inside])
                values.append((found["f1"][there].mean(), found["accuracy"]))
        mean = np.mean(values, axis=0) if values else np.full(2, np.nan)
        sd = np.std(values, axis=0, ddof=1) if len(values) > 1 else np.full(2, np.nan)
        of_class = np.unique(record.true[groups == group], return_counts=True)[1]
        rows[group] = (size, mean[0], sd[0], mean[1], sd[1], len(of_class), of_class.min())
    columns = ["cells", "macro_f1", "macro_f1_sd", "accuracy", "accuracy_sd", "classes", "smallest"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("group")
    return table.sort_values("cells", ascending=False, kind="stable")
