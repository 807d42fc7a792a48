"""Comparison of test R2 with ridge and other models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sbnn.data.checks import abbreviate
from sbnn.data.fingerprint import fingerprint
from sbnn.evaluation.scores import mean_sd
from sbnn.metrics import corrected_error, folds_counted, test_fraction
from sbnn.results import Record, list_differences


class PairedDifference(NamedTuple):
    """Mean over folds, and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self):
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


class Verdict(NamedTuple):
    """Result of a cross-validation."""

    interval: PairedDifference | None
    difference: PairedDifference | None
    sentence: str

    def __str__(self):
        return self.sentence


def outputs_table(record, ridge=None):
    """Test R2 of every output: mean and SD over the folds, and a corrected 95 % interval."""
    r2 = record.test_feature_r2[:, 0]
    means = _difference_over(record.folds, r2)._asdict()
    table = pd.DataFrame(means, pd.Index(record.feature_names, name="output"))
    table = table.rename(columns={"mean": "test_r2"})
    table.insert(1, "sd", r2.std(0, ddof=1))
    if ridge is not None:
        require_same_folds(record, ridge)
        table["ridge_r2"] = ridge.test_feature_r2[:, 0].mean(0)
    return table


def corrected_difference(differences, test_fraction, n_counted=None):
    """Mean of the differences in the folds (the first axis), with a corrected 95 % interval.

    `test_fraction` is the number of test cells per training cell; n is the number of folds or
    `n_counted` (Nadeau and Bengio 2003; for repeated folds, Bouckaert and Frank, PAKDD 2004).
    """
    n = n_counted or len(differences)
    mean = np.mean(differences, axis=0)
    half = stats.t.ppf(0.975, n - 1) * corrected_error(differences, test_fraction, n)
    return PairedDifference(mean, mean - half, mean + half)


def _difference_over(folds, differences):
    return corrected_difference(differences, test_fraction(folds), folds_counted(folds))


def paired_difference(a, b, metric="macro_f1", points=(0, 0)):
    """Difference in `metric` between two records on the same folds."""
    require_same_folds(a, b)
    differences = a.values[metric][:, points[0]] - b.values[metric][:, points[1]]
    return _difference_over(a.folds, differences)


def require_same_folds(a, b):
    """Reject records whose folds cannot be paired."""
    known = []
    for record in (a, b):
        known.append(
            {
                "dataset": record.dataset,
                "sha256": record.sha256,
                "folds": fingerprint(record.folds),
                "true": list(record.values.get("true", [])),
            }
        )
    other = list_differences(*known)
    if other:
        raise ValueError(
            f"record, ridge: expected the same data and folds, got another {abbreviate(other)}"
        )


def verdict(record: Record, ridge: Record | None = None, point: int = 0) -> Verdict:
    """Compare the test R2 of a grid point with the training means and with ridge.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`.
    ridge : Record, optional
        Ridge with one grid point on the same folds.
    point : int
        Grid point of the record.

    Returns
    -------
    Verdict
        ``interval``, the mean over the folds with its corrected 95 % interval, and ``difference``
        from ridge (both None for a single fold), and ``sentence``.
    """
    r2 = record.test_r2[:, point]
    n = len(r2)
    interval = None
    difference = None
    sentence = f"Test R2 {mean_sd(r2)}"
    if n == 1:
        sentence += " (one fold: no interval)"
    else:
        interval = _difference_over(record.folds, r2)
        standing = _standing(interval, "predicting the mean of the training cells")
        sentence += f" ({n} folds) {standing}"
    if ridge is not None:
        require_same_folds(record, ridge)
        differences = r2 - ridge.test_r2[:, 0]
        by = differences.mean()
        sentence += f"; {abs(by):.3f} {'above' if by >= 0 else 'below'} ridge"
        if n > 1:
            difference = _difference_over(record.folds, differences)
            sentence += f" {_standing(difference, 'ridge', '+')}"
    return Verdict(interval, difference, f"{sentence}.")


def _standing(difference, other, sign=""):
    bounds = f"[{difference.low:{sign}.3f}, {difference.high:{sign}.3f}]"
    how = "not distinguishable from"
    if difference.low > 0:
        how = "better than"
    if difference.high < 0:
        how = "worse than"
    return f"{bounds}: {how} {other}"
