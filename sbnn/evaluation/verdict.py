"""Comparison of test R2 with ridge and other models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from sbnn.data.checks import abbreviate
from sbnn.data.fingerprint import fingerprint
from sbnn.errors import check_number
from sbnn.evaluation.scores import mean_sd
from sbnn.metrics import corrected_error, folds_counted, test_fraction
from sbnn.results import Record, check_record, list_differences

LEAST_FOLDS = 3  # of an interval; with two, it would be as wide as any result


class PairedDifference(NamedTuple):
    """Mean over folds, and its 95 % interval: numbers, or arrays with one for each output."""

    mean: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


class Verdict(NamedTuple):
    """Result of a cross-validation."""

    interval: PairedDifference | None
    difference: PairedDifference | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def outputs_table(
    record: Record,
    ridge: Record | None = None,
    point: int | None = None,
    stacked: Record | None = None,
) -> pd.DataFrame:
    """Test R2 of every output: mean and SD over the folds, and a corrected 95 % interval.

    Parameters are those of `sbnn.verdict`, and the record of a `StackedRegressor`. With fewer than
    three folds, the interval is NaN.
    """
    r2 = record.test_feature_r2[:, choose_point(record, point)]  # (folds, outputs)
    interval = _mean_over_folds(record.folds, r2)
    columns = {
        "test_r2": interval.mean,
        "sd": r2.std(0, ddof=1),
        "low": interval.low,
        "high": interval.high,
    }
    table = pd.DataFrame(columns, pd.Index(record.feature_names, name="output"))
    if len(r2) < LEAST_FOLDS:
        table[["low", "high"]] = np.nan
    for name, other in {"ridge": ridge, "stacked": stacked}.items():
        if other is not None:
            _require_same_folds_and_one_point(record, other, name)
            table[f"{name}_r2"] = other.test_feature_r2[:, 0].mean(0)
    return table


def corrected_difference(
    differences: ArrayLike, test_fraction: float, n_counted: float | None = None
) -> PairedDifference:
    """Mean of the differences in the folds (the first axis), with a corrected 95 % interval.

    `test_fraction` is the number of test cells per training cell; n is the number of folds or
    `n_counted` (Nadeau and Bengio 2003; for repeated folds, Bouckaert and Frank, PAKDD 2004).
    """
    values = np.asarray(differences)
    n = n_counted or len(values)
    mean = values.mean(axis=0)
    # the corrected resampled t-test has n - 1 degrees of freedom (Nadeau and Bengio 2003)
    half = stats.t.ppf(0.975, n - 1) * corrected_error(values, test_fraction, n)
    return PairedDifference(mean=mean, low=mean - half, high=mean + half)


def _mean_over_folds(folds, values):
    """Mean over folds, and its interval; folds share training cells and may be repeats."""
    return corrected_difference(values, test_fraction(folds), folds_counted(folds))


def paired_difference(
    a: Record,
    b: Record,
    metric: str = "macro_f1",
    points: tuple[int | None, int | None] = (None, None),
) -> PairedDifference:
    """Difference in `metric` between two records on the same folds, each at a grid point."""
    require_same_folds(a, b)
    a_point, b_point = points
    a_scores = a.values[metric][:, choose_point(a, a_point)]
    b_scores = b.values[metric][:, choose_point(b, b_point)]
    differences = a_scores - b_scores
    return _mean_over_folds(a.folds, differences)


def differences_from(
    reference: tuple[Record, int],
    models: Sequence[tuple[Record, int]],
    metric: str = "test_r2",
) -> list[PairedDifference | None]:
    """Differences of models, each a record and grid point, from one of them.

    None for a model on other folds, or on fewer than three.
    """
    record, point = reference
    folds = _identify_folds(record)
    differences: list[PairedDifference | None] = []
    for model, model_point in models:
        difference = None
        if len(model.folds) >= LEAST_FOLDS and _identify_folds(model) == folds:
            points = (model_point, point)
            difference = paired_difference(model, record, metric=metric, points=points)
        differences.append(difference)
    return differences


def differences_over_draws(scores: pd.DataFrame, reference: str) -> list[PairedDifference | None]:
    """Differences of methods (columns) from one of them, in independent draws of data (rows).

    None for a method with fewer than three scores.
    """
    return means_over_draws(scores.sub(scores[reference], axis=0))


def means_over_draws(scores: pd.DataFrame) -> list[PairedDifference | None]:
    """Mean of each column over independent draws of data (rows), with its interval.

    None for a column with fewer than three scores.
    """
    means: list[PairedDifference | None] = []
    for _, of_method in scores.items():
        present = of_method.dropna().to_numpy()
        mean = None
        if len(present) >= LEAST_FOLDS:
            mean = corrected_difference(present, test_fraction=0)
        means.append(mean)
    return means


def choose_point(record: Record, point: int | None) -> int:
    """A grid point that exists; by default the only one, as any other would be a guess."""
    if point is None:
        return record.find()
    check_number("point", point, int, low=0, high=len(record.params) - 1)
    return point


def require_same_folds(a: Record, b: Record) -> None:
    """Reject records whose folds cannot be paired."""
    differences = list_differences(_identify_folds(a), _identify_folds(b))
    if differences:
        names = abbreviate(differences)
        raise ValueError(f"record, ridge: expected the same data and folds, got another {names}")


def _require_same_folds_and_one_point(record, other, name):
    """Reject a record of other folds, or with a grid, of which the best point is due to chance."""
    n_points = len(other.params)
    if n_points != 1:
        raise ValueError(
            f"{name}: expected one grid point, got {n_points}; cross-validate it without a grid"
        )
    require_same_folds(record, other)


def _identify_folds(record):
    return {
        "dataset": record.dataset,
        "sha256": record.sha256,
        "folds": fingerprint(record.folds),
        "true": list(record.values.get("true", [])),
    }


def verdict(record: Record, ridge: Record | None = None, point: int | None = None) -> Verdict:
    """Compare the test R2 of a grid point with the training means and with ridge.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`.
    ridge : Record, optional
        Ridge with one grid point on the same folds.
    point : int, optional
        Grid point of the record, such as ``record.find(n_components=2)``; by default its only one.

    Returns
    -------
    Verdict
        ``interval``, the mean over the folds with its corrected 95 % interval, and ``difference``
        from ridge (both None with fewer than three folds), and ``sentence``.

    Raises
    ------
    ValueError
        If the record has several grid points and none is given (the error lists them), ridge has
        several, or both have other folds.
    """
    check_record("record", record)
    if ridge is not None:
        check_record("ridge", ridge)
    point = choose_point(record, point)
    r2 = record.test_r2[:, point]
    n = len(r2)
    interval = None
    difference = None
    sentence = f"Test R2 of {record.describe(point)} is {mean_sd(r2)}"
    if n < LEAST_FOLDS:
        sentence += f" ({'one fold' if n == 1 else f'{n} folds'}: no interval)"
    else:
        interval = _mean_over_folds(record.folds, r2)
        comparison = _describe_difference(interval, "predicting the mean of the training cells")
        sentence += f" ({n} folds) {comparison}"
    if ridge is not None:
        _require_same_folds_and_one_point(record, ridge, "ridge")
        differences = r2 - ridge.test_r2[:, 0]
        mean = differences.mean()
        side = "above" if mean >= 0 else "below"
        sentence += f"; {abs(mean):.3f} {side} ridge"
        if n >= LEAST_FOLDS:
            difference = _mean_over_folds(record.folds, differences)
            comparison = _describe_difference(difference, "ridge", sign="+")
            sentence += f" {comparison}"
    return Verdict(interval=interval, difference=difference, sentence=f"{sentence}.")


def _describe_difference(difference, reference, sign=""):
    """Text with the interval of a difference, and whether it is better than the reference."""
    bounds = f"[{difference.low:{sign}.3f}, {difference.high:{sign}.3f}]"
    return f"{bounds}: {name_verdict(difference)} {reference}"


def name_verdict(difference: PairedDifference) -> str:
    """Whether a model is "better than" another, "worse than" or "not distinguishable from" it."""
    if difference.low > 0:
        return "better than"
    if difference.high < 0:
        return "worse than"
    return "not distinguishable from"
