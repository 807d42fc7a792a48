"""Comparison of test R2 with chance, ridge and other models."""

from __future__ import annotations

from itertools import chain, starmap
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from sbnn.data.paired import as_paired
from sbnn.errors import check_number
from sbnn.evaluation.crossval import (
    LEVEL,
    N_PERMUTATIONS,
    chance_table,
    compared_with_chance,
    has_predictions,
    least_p,
    permuted_r2,
)
from sbnn.evaluation.folds import group_codes
from sbnn.evaluation.stability import genes_table
from sbnn.metrics import corrected_error, folds_counted, share_tested
from sbnn.results import Record

# two models are equally good if the interval for their difference is within +- this value
LEVEL_WITH = 0.05


class PairedDifference(NamedTuple):
    """Mean over folds, its 95 % interval, standard error, p and number of folds."""

    mean: float
    low: float
    high: float
    se: float
    p: float
    n: int

    def __str__(self):
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


class Verdict(NamedTuple):
    """Result of a cross-validation; p is NaN if chance is unknown."""

    test_r2: float
    sd: float
    permuted_r2: float
    p: float
    difference: PairedDifference | None
    sentence: str

    def __str__(self):
        return self.sentence

    @property
    def better_than_chance(self):
        """Whether R2 is better than chance; None if unknown."""
        return None if np.isnan(self.p) else bool(self.p <= LEVEL and self.test_r2 > 0)


def outputs_table(record, data, ridge=None, point=0):
    """Table of the outputs that are predicted better than by chance.

    p is adjusted for the number of outputs (Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289,
    1995). Outputs that are constant in the test cells of a fold get NaN.
    """
    check_number("point", point, int, 0, len(record.params) - 1)
    Y, names = outputs_of(record, data)
    n_permutations = min(max(40 * len(names), 999), 4999)  # more, as p is adjusted
    if not has_predictions(record, point) or least_p(record, n_permutations) > LEVEL:
        raise ValueError(
            f"record: to estimate chance, grid point {point} needs saved predictions of more cells"
        )
    r2 = permuted_r2(record, Y, point, n_permutations, of_outputs=True)
    table = compared_with_chance(r2, pd.Index(names, name="output"), len(record.folds))
    p = table.p.dropna()
    table["adjusted_p"] = pd.Series(stats.false_discovery_control(p), p.index)
    if ridge is not None:
        table["ridge_r2"] = ridge.test_feature_r2[:, 0].mean(0)
    table["better_than_chance"] = (table.adjusted_p <= LEVEL) & (table.test_r2 > 0)
    return table


def outputs_of(record, data):
    """Outputs that a record predicts, and their names."""
    if isinstance(data, Record):
        name = data.dataset
        outputs = data.outputs
        if record.settings["scaling"] == "none":
            raise ValueError("record: expected the outputs z-scored, as they are in the fit")
    else:
        data = as_paired(data)
        name = data.name
        outputs = data.Y
    if (record.dataset, record.sha256) != (name, data.sha256):
        raise ValueError(f"record: expected a cross-validation of {name!r}, got {record!r}")
    return outputs, data.feature_names


def corrected_difference(differences, test_share, n_counted=None):
    """Mean of the differences in the folds, with a corrected 95 % interval.

    `test_share` is the number of test cells per training cell; n is the number of folds or
    `n_counted` (Nadeau and Bengio 2003; for repeated folds, Bouckaert and Frank, PAKDD 2004).
    """
    n = n_counted or len(differences)
    mean = float(np.mean(differences))
    se = float(corrected_error(differences, test_share, n))
    found = difference_with_error(mean, se, n)
    return found._replace(n=len(differences))


def _difference_over(folds, differences):
    return corrected_difference(differences, share_tested(folds), folds_counted(folds))


def difference_with_error(mean, se, n):
    """A mean difference with a 95 % interval from Student's t."""
    half = float(stats.t.ppf(0.975, n - 1)) * se
    p = float(2 * stats.t.sf(abs(mean) / se, n - 1)) if se else float(mean == 0)
    return PairedDifference(mean, mean - half, mean + half, se, p, n)


def paired_difference(a, b, metric="macro_f1", points=(0, 0)):
    """Difference in `metric` between two records on the same folds."""
    require_same_folds(a, b)
    differences = a.values[metric][:, points[0]] - b.values[metric][:, points[1]]
    return _difference_over(a.folds, differences)


def require_same_folds(a, b):
    """Reject records whose folds cannot be paired."""
    same_data = (a.dataset, a.sha256) == (b.dataset, b.sha256)
    same_labels = "true" not in a.values or np.array_equal(a.true, b.values.get("true"))
    if not (same_data and same_labels and have_same_folds(a, b)):
        raise ValueError(
            "record, ridge: expected the same data, labels and folds, "
            f"got {a.dataset!r} and {b.dataset!r}"
        )


def have_same_folds(a, b):
    """Whether two records have the same folds."""
    pairs = zip(chain(*a.folds), chain(*b.folds), strict=False)
    return len(a.folds) == len(b.folds) and all(starmap(np.array_equal, pairs))


def verdict(
    record: Record,
    data=None,
    ridge: Record | None = None,
    point: int = 0,
    groups: ArrayLike | None = None,
    curve: Record | None = None,
    *,
    n_permutations: int = N_PERMUTATIONS,
) -> Verdict:
    """Compare the test R2 of a grid point with chance and with ridge.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`.
    data : AnnData, tuple (X, Y) or Record, optional
        The data, or a record of `sbnn.fit_full`, to estimate chance.
    ridge : Record, optional
        Ridge with one grid point on the same folds.
    point : int
        Grid point of the record.
    groups : array-like of shape (n,), optional
        Donor, batch or date of each cell, for a warning if folds split groups, whose cells are
        similar.
    curve : Record, optional
        From `sbnn.genes_curve`, to state whether more genes help.
    n_permutations : int
        At least 19.

    Returns
    -------
    Verdict
        ``test_r2`` and ``sd``, mean and SD over the folds; ``permuted_r2``, the mean with permuted
        outputs; ``p``; ``difference`` from ridge (None for a single fold); ``sentence``; and
        ``better_than_chance``.

    Examples
    --------
    >>> from sbnn import LeaveOneOutRidge, cross_validate, simulate_patchseq, verdict
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> record = cross_validate(LeaveOneOutRidge(), data, folds=5, verbose=False)
    >>> verdict(record, data).better_than_chance
    True
    """
    check_number("n_permutations", n_permutations, int, 1 / LEVEL - 1, 1e6)
    check_number("point", point, int, 0, len(record.params) - 1)
    r2 = pd.Series(record.test_r2[:, point])
    permuted, p, why_unknown = _chance(record, data, point, n_permutations)
    found = Verdict(float(r2.mean()), float(r2.std()), permuted, p, None, "")
    folds = f"± {found.sd:.3f} ({len(r2)} folds)" if len(r2) > 1 else "(one fold)"
    sentence = f"Test R2 {found.test_r2:.3f} {folds}, {_beside_chance(found, why_unknown)}"
    if ridge is not None:
        require_same_folds(record, ridge)
        if len(r2) > 1:
            difference = paired_difference(record, ridge, "test_r2", (point, 0))
            found = found._replace(difference=difference)
        ridge_p = np.nan
        if not why_unknown:
            _, ridge_p, _ = _chance(ridge, data, 0, n_permutations)
        ridge_r2 = ridge.test_r2[:, 0].mean()
        sentence += f"; {_beside_ridge(found, ridge_r2, ridge_p)}"
    sentence += "."
    if curve is not None:
        sentence += _genes_of_curve(record, point, curve)
    elif found.difference and found.difference.high < 0:
        all_genes_used = np.all(record.values.get("selected", True))
        if not all_genes_used:
            sentence += " More genes may help; see genes_curve."
    if groups is not None:
        sentence += _warning_about_groups(record, groups)
    return found._replace(sentence=sentence)


def _warning_about_groups(record, groups):
    codes = group_codes(groups, "groups", record.values.get("cell_names"))
    split = split_groups(record, codes)
    if not split:
        return ""
    return (
        f" {len(split)} of {codes.max() + 1} groups have cells in both training and test, "
        "so R2 may be too high; hold out whole groups (see grouped_folds)."
    )


def _chance(record, data, point, n_permutations):
    if data is None:
        return np.nan, np.nan, "the outputs are not available"
    if least_p(record, n_permutations) > LEVEL:
        return np.nan, np.nan, "the folds test too few cells to permute"
    if not has_predictions(record, point):
        return np.nan, np.nan, "the record holds no predictions of single cells"
    Y, _ = outputs_of(record, data)
    chance = chance_table(record, Y, n_permutations, [point]).iloc[0]
    return float(chance["permuted_r2"]), float(chance["p"]), ""


def _beside_chance(found, why_unknown):
    if why_unknown:
        return f"but whether it is better than chance is unknown: {why_unknown}"
    if found.better_than_chance:
        standing = "better than chance"
    elif found.p > LEVEL:
        standing = "not distinguishable from chance"
    else:  # R2 is not above 0
        standing = "no better than the mean of the training cells, though better than chance"
    return f"{standing} ({found.permuted_r2:.3f} with permuted outputs, p = {found.p:.3f})"


def _beside_ridge(found, ridge_r2, ridge_p):
    if found.better_than_chance is False and (ridge_p > LEVEL or ridge_r2 <= 0):
        return f"ridge ({ridge_r2:.3f}) is no better than chance either"
    direction = "above" if found.test_r2 >= ridge_r2 else "below"
    side = f"{abs(found.test_r2 - ridge_r2):.3f} {direction} ridge"
    if found.difference is None:
        return f"{side} (one fold: no interval)"
    _, low, high, *_ = found.difference
    if low > 0:
        standing = "better than ridge"
    elif high < 0:
        standing = "worse than ridge"
    elif max(-low, high) <= LEVEL_WITH:
        standing = "as good as ridge"
    else:
        standing = "not distinguishable from ridge on these folds"
    clause = f"{side} [{low:+.3f}, {high:+.3f}]: {standing}"
    if ridge_p > LEVEL:
        clause += "; ridge itself is not distinguishable from chance"
    return clause


def _genes_of_curve(record, point, curve):
    table = genes_table(curve)
    enough = table.suffices.idxmax()
    if enough <= record.n_selected[:, point].mean():
        return ""
    return f" More genes help: {enough} have a test R2 of {table.test_r2[enough]:.3f}."


def split_groups(record, groups):
    """Groups with training and test cells in a fold."""
    split = set()
    for train, test in record.folds:
        split.update(np.intersect1d(groups[train], groups[test]))
    return split
