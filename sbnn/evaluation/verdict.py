"""What a test R2 is worth, in one plain sentence: beside chance, and beside ridge on the same folds."""

from typing import NamedTuple

import numpy as np

from sbnn.evaluation.chance import LEVEL, N_PERMUTATIONS, chance_table, least_p
from sbnn.evaluation.paired import PairedDifference, corrected_difference, require_same_folds

LEVEL_WITH = 0.05  # a difference of R2 whose whole interval is smaller is none to speak of


class Verdict(NamedTuple):
    """What a cross-validation says.

    Attributes
    ----------
    test_r2, sd : float
        Mean and SD over the folds; the SD of one fold is NaN.
    permuted_r2, p : float
        See `sbnn.evaluation.chance.chance_table`; NaN where chance cannot be told, which the sentence explains.
    difference : PairedDifference or None
        To ridge on the same folds, with the corrected interval; None without ridge or with a single fold.
    sentence : str
    """

    test_r2: float
    sd: float
    permuted_r2: float
    p: float
    difference: PairedDifference | None
    sentence: str

    def __str__(self):
        """Tell the sentence."""
        return self.sentence

    @property
    def better_than_chance(self):
        """Whether held-out cells are predicted better than by chance; None where that is unknown."""
        return None if np.isnan(self.p) else bool(self.p <= LEVEL and self.test_r2 > 0)


def verdict(record, data=None, ridge=None, point=0, groups=None, *, n_permutations=N_PERMUTATIONS, seed=0):
    """Say in one sentence what the test R2 of a grid point is worth.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`.
    data : PairedData, tuple (X, Y), AnnData, MuData or Record, optional
        What was cross-validated, or a fit of it (`sbnn.fit_full`), which holds its outputs. Without it chance is
        unknown.
    ridge : Record, optional
        Cross-validation of ridge, one grid point, on the same folds.
    point : int
        Position in the grid.
    groups : array-like of shape (n,), optional
        Donor, batch or date of each cell, such as ``data.groups("donor")``. The sentence says so if folds split them:
        what cells of one donor share beside their genes then looks like prediction, which permuting does not show.
    n_permutations, seed : int
        As for `chance_table`.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If the record is of other data, or `ridge` of other folds; fewer permutations than could tell anything.
    """
    if n_permutations < 1 / LEVEL - 1:
        raise ValueError(f"n_permutations: {n_permutations} cannot tell p <= {LEVEL}, expected at least 19")
    r2 = record.test_r2[:, point]
    mean, sd = float(r2.mean()), float(r2.std(ddof=1)) if len(r2) > 1 else np.nan
    permuted, p, unknown = _chance(record, data, point, n_permutations, seed)
    told = Verdict(mean, sd, permuted, p, _difference(record, ridge, point), "")

    folds = f"± {sd:.3f} ({len(r2)} folds)" if len(r2) > 1 else "(one fold)"
    parts = [f"Test R2 {mean:.3f} {folds}, {_beside_chance(told, unknown)}"]
    if ridge is not None:
        parts += [_beside_ridge(told, ridge, data, n_permutations, seed, mean - ridge.test_r2[:, 0].mean())]
    return told._replace(sentence="; ".join(parts) + "." + _split_groups(record, groups))


def _chance(record, data, point, n_permutations, seed):
    """R2 of permuted outputs and p, or NaN and why they are unknown."""
    if data is None:
        return np.nan, np.nan, "the outputs are not at hand"
    if least_p(record, n_permutations) > LEVEL:
        return np.nan, np.nan, "the folds test too few cells to permute"
    table = chance_table(record, data, n_permutations, seed, [point])
    if table.empty:
        return np.nan, np.nan, "the record holds no predictions of single cells"
    return float(table.permuted_r2[point]), float(table.p[point]), ""


def _difference(record, ridge, point):
    """Corrected difference to ridge over the folds; None with a single fold."""
    if ridge is None:
        return None
    require_same_folds(record, ridge)
    if len(record.folds) < 2:
        return None
    test_share = np.mean([len(test) / len(train) for train, test in record.folds])
    return corrected_difference(record.test_r2[:, point] - ridge.test_r2[:, 0], test_share)


def _beside_chance(told, unknown):
    if unknown:
        return f"whether better than chance is unknown: {unknown}"
    numbers = f"{told.permuted_r2:.3f} with permuted outputs, p = {told.p:.3f}"
    if told.better_than_chance:
        return f"better than chance ({numbers})"
    if told.p <= LEVEL:  # and R2 is not above 0
        return f"no better than the mean of the training cells, though better than with other outputs ({numbers})"
    return f"not distinguishable from chance ({numbers})"


def _beside_ridge(told, ridge, data, n_permutations, seed, mean):
    """How the model stands to ridge; of two models at chance it is no use to say which is better."""
    its_p = _chance(ridge, data, 0, n_permutations, seed)[1] if told.better_than_chance is not None else np.nan
    its_r2 = float(ridge.test_r2[:, 0].mean())
    at_chance = its_p > LEVEL or its_r2 <= 0
    if told.better_than_chance is False and at_chance:
        return f"ridge ({its_r2:.3f}) is no better than chance either"
    side = f"{abs(mean):.3f} {'above' if mean >= 0 else 'below'} ridge"
    if told.difference is None:
        return f"{side} (one fold: no interval)"
    return (
        f"{side} [{told.difference.low:+.3f}, {told.difference.high:+.3f}]: {_standing(told.difference)}"
        f"{'; ridge itself is not distinguishable from chance' if its_p > LEVEL else ''}"
    )


def _standing(difference):
    if difference.low > 0:
        return "better than ridge"
    if difference.high < 0:
        return "worse than ridge"
    if max(-difference.low, difference.high) <= LEVEL_WITH:
        return "level with ridge"
    return "not told apart from ridge by these folds" if difference.mean > 0 else "no better than ridge"


def _split_groups(record, groups):
    """A warning if folds train on some cells of a group and test others; else nothing."""
    if groups is None:
        return ""
    groups = np.asarray(groups).astype(str)
    n = max(int(np.max(cells)) for fold in record.folds for cells in fold) + 1
    if groups.ndim != 1 or len(groups) < n:
        raise ValueError(f"groups: expected one for each of at least {n} cells, got an array of shape {groups.shape}")
    split = {group for train, test in record.folds for group in np.intersect1d(groups[train], groups[test])}
    if not split:
        return ""
    return (
        f" {len(split)} of {len(np.unique(groups))} groups have cells in training and in test at once: what cells of a "
        "group share counts as prediction here, and the numbers may be too high; hold groups apart (grouped_folds)."
    )
