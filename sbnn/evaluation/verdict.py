"""Comparison of test R2 with ridge and other models."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sbnn.metrics import corrected_error, folds_counted, share_tested
from sbnn.results import Record


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
    """Result of a cross-validation."""

    test_r2: float
    sd: float
    interval: PairedDifference | None
    difference: PairedDifference | None
    sentence: str

    def __str__(self):
        return self.sentence


def outputs_table(record, ridge=None, point=0):
    """Test R2 of every output: mean and SD over the folds, and a corrected 95 % interval."""
    r2 = record.test_feature_r2[:, point]
    names = pd.Index(record.feature_names, name="output")
    table = pd.DataFrame([_difference_over(record.folds, of_output) for of_output in r2.T], names)
    table = table[["mean", "low", "high"]].rename(columns={"mean": "test_r2"})
    table.insert(1, "sd", r2.std(0, ddof=1))
    if ridge is not None:
        require_same_folds(record, ridge)
        table["ridge_r2"] = ridge.test_feature_r2[:, 0].mean(0)
    return table


def corrected_difference(differences, test_share, n_counted=None):
    """Mean of the differences in the folds, with a corrected 95 % interval.

    `test_share` is the number of test cells per training cell; n is the number of folds or
    `n_counted` (Nadeau and Bengio 2003; for repeated folds, Bouckaert and Frank, PAKDD 2004).
    """
    n = n_counted or len(differences)
    mean = float(np.mean(differences))
    se = float(corrected_error(differences, test_share, n))
    half = float(stats.t.ppf(0.975, n - 1)) * se
    p = float(2 * stats.t.sf(abs(mean) / se, n - 1)) if se else float(mean == 0)
    return PairedDifference(mean, mean - half, mean + half, se, p, len(differences))


def _difference_over(folds, differences):
    return corrected_difference(differences, share_tested(folds), folds_counted(folds))


def paired_difference(a, b, metric="macro_f1", points=(0, 0)):
    """Difference in `metric` between two records on the same folds."""
    require_same_folds(a, b)
    differences = a.values[metric][:, points[0]] - b.values[metric][:, points[1]]
    return _difference_over(a.folds, differences)


def require_same_folds(a, b):
    """Reject records whose folds cannot be paired."""
    found = []
    for record in (a, b):
        cells = [part.tolist() for part in chain(*record.folds)]
        found.append((record.dataset, record.sha256, cells, list(record.values.get("true", []))))
    if found[0] != found[1]:
        raise ValueError(
            "record, ridge: expected the same data, labels and folds, "
            f"got {a.dataset!r} and {b.dataset!r}"
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
        ``test_r2`` and ``sd``, mean and SD over the folds; ``interval``, the corrected 95 %
        interval of the mean, and ``difference`` from ridge (None for a single fold); and
        ``sentence``. R2 is 0 for the means of the training cells.

    Examples
    --------
    >>> from sbnn import LeaveOneOutRidge, cross_validate, simulate_patchseq, verdict
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> record = cross_validate(LeaveOneOutRidge(), data, folds=5, verbose=False)
    >>> verdict(record).interval.low > 0
    True
    """
    r2 = record.test_r2[:, point]
    mean = float(r2.mean())
    sd = np.nan
    interval = None
    difference = None
    sentence = f"Test R2 {mean:.3f} (one fold: no interval)"
    if len(r2) > 1:
        sd = float(r2.std(ddof=1))
        interval = _difference_over(record.folds, r2)
        bounds = f"[{interval.low:.3f}, {interval.high:.3f}]"
        standing = _standing(interval, "predicting the mean of the training cells")
        sentence = f"Test R2 {mean:.3f} ± {sd:.3f} ({len(r2)} folds) {bounds}: {standing}"
    if ridge is not None:
        require_same_folds(record, ridge)
        by = mean - ridge.test_r2[:, 0].mean()
        sentence += f"; {abs(by):.3f} {'above' if by >= 0 else 'below'} ridge"
        if len(r2) > 1:
            difference = paired_difference(record, ridge, "test_r2", (point, 0))
            bounds = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
            sentence += f" {bounds}: {_standing(difference, 'ridge')}"
    return Verdict(mean, sd, interval, difference, f"{sentence}.")


def _standing(difference, other):
    if difference.low > 0:
        return f"better than {other}"
    if difference.high < 0:
        return f"worse than {other}"
    return f"not distinguishable from {other}"
