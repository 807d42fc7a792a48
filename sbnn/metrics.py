"""R2 relative to *training* means, pooled over outputs, and errors over folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["feature_r2", "pooled_r2", "smallest_sufficient"]


# With more repeats, the intervals of Nadeau and Bengio are too narrow; see benchmarks/levels.py.
MOST_REPEATS = 3


def _sums_of_squares(Y_true, Y_pred, Y_mean):
    """Residual and total sum of squares of every output."""
    given = {"Y_true": Y_true, "Y_pred": Y_pred, "Y_mean": Y_mean}
    for name, values in given.items():
        given[name] = np.asarray(values, dtype=np.float64)
        if not np.isfinite(given[name]).all():
            raise ValueError(f"{name}: expected finite values")
    Y_true, Y_pred, Y_mean = given.values()
    q = Y_true.shape[1] if Y_true.ndim == 2 else 1
    if Y_true.size == 0 or Y_pred.shape != Y_true.shape or Y_mean.shape not in ((), (q,)):
        got = f"{Y_true.shape}, {Y_pred.shape} and {Y_mean.shape}"
        raise ValueError(f"Y_true, Y_pred, Y_mean: expected (n, q), (n, q) and (q,), got {got}")
    residual = np.square(Y_true - Y_pred).reshape(-1, q)
    total = np.square(Y_true.reshape(-1, q) - Y_mean)
    return residual.sum(axis=0), total.sum(axis=0)


def pooled_r2(Y_true: ArrayLike, Y_pred: ArrayLike, Y_mean: ArrayLike) -> float:
    """Share of the total variance of all outputs that the predictions explain, 1 - SSE / SST.

    Both sums run over all cells and outputs. SST is relative to the means over the *training*
    cells: a model that predicts these means scores 0 (arXiv:2006.10411, Methods).
    ``sklearn.metrics.r2_score`` centres on the mean of the test cells instead.

    Parameters
    ----------
    Y_true, Y_pred : array-like of shape (n,) or (n, q)
    Y_mean : float or array-like of shape (q,)
        Mean of each output over the training cells.

    Returns
    -------
    float
        At most 1; negative if worse than the training means. If every ``Y_true`` equals ``Y_mean``,
        1 for exact predictions and 0 for others, as in scikit-learn.

    Examples
    --------
    >>> from sbnn import metrics
    >>> round(metrics.pooled_r2([[1, 10], [3, 30]], [[1, 12], [3, 26]], Y_mean=[2, 20]), 2)
    0.9
    """
    residual, total = _sums_of_squares(Y_true, Y_pred, Y_mean)
    if total.sum() > 0:
        return float(1 - residual.sum() / total.sum())
    return float(residual.sum() == 0)


def feature_r2(Y_true: ArrayLike, Y_pred: ArrayLike, Y_mean: ArrayLike) -> np.ndarray:
    """Share of the variance of each output that the predictions explain; see `pooled_r2`.

    Returns
    -------
    ndarray of shape (q,), float64
        NaN for an output whose ``Y_true`` equals its ``Y_mean`` in every cell.

    Examples
    --------
    >>> from sbnn import metrics
    >>> metrics.feature_r2([[1, 10], [3, 30]], [[1, 12], [3, 28]], Y_mean=[2, 20])
    array([1.  , 0.96])
    """
    residual, total = _sums_of_squares(Y_true, Y_pred, Y_mean)
    unexplained = np.full_like(total, np.nan)
    np.divide(residual, total, out=unexplained, where=total > 0)
    return 1 - unexplained


def test_fraction(folds):
    """Number of test cells per training cell, averaged over the folds."""
    return np.mean([len(test) / len(train) for train, test in folds])


def folds_counted(folds):
    """Number of folds that count in a standard error, a float.

    Repeats of a test cell beyond the third do not count, as they hardly make a mean more precise.
    """
    tested = np.concatenate([test for _, test in folds])
    _, times = np.unique(tested, return_counts=True)
    repeats = np.square(times).sum() / times.sum()  # of a tested cell, on average
    unequal = repeats - times.mean()
    return len(folds) / (max(1, repeats / MOST_REPEATS) + unequal)


def corrected_error(differences, test_fraction, n=None):
    """Standard error of the mean over n folds (axis 0) that share training cells.

    It is ``s * sqrt(1 / n + test_fraction)``, with the sample SD ``s`` over folds, and
    `test_fraction` test cells per training cell (Nadeau and Bengio, Machine Learning 52, 239, 2003,
    section 3.2). With a `test_fraction` of 0, folds are independent. For `n`, see `folds_counted`.
    """
    variance = np.var(differences, axis=0, ddof=1)
    return np.sqrt((1 / (n or len(differences)) + test_fraction) * variance)


def smallest_sufficient(r2: np.ndarray, numbers: Sequence[int], test_fraction: float = 0.0) -> int:
    """Smallest number of genes whose mean R2 is within one standard error of the highest mean R2.

    The standard error is that of differences on the same folds.

    Parameters
    ----------
    r2 : ndarray, shape (n_folds, n_numbers)
        Of two or more folds.
    numbers : sequence of int
        Numbers of genes in ascending order.
    test_fraction : float
        Test cells per training cell; 0 for independent folds.

    Returns
    -------
    int

    Examples
    --------
    >>> from sbnn import metrics
    >>> r2 = [[0.31, 0.40, 0.41], [0.35, 0.44, 0.43]]  # of two folds
    >>> metrics.smallest_sufficient(r2, numbers=[5, 25, 100])
    25
    """
    r2 = np.asarray(r2, dtype=np.float64)
    if (np.diff(numbers) <= 0).any():
        raise ValueError(f"numbers must ascend, got {numbers}")
    best = r2.mean(0).argmax()
    behind = r2[:, [best]] - r2
    is_sufficient = behind.mean(0) <= corrected_error(behind, test_fraction)
    return int(numbers[is_sufficient.argmax()])
