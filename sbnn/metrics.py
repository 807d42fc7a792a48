"""R2 relative to *training* means, pooled over outputs, and errors over folds."""

from __future__ import annotations

from collections.abc import Sequence, Sized

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["feature_r2", "pooled_r2", "smallest_sufficient"]


# a gene that is expressed in two cells can fit any outputs of these
LEAST_CELLS_BEHIND = 10
# With more repeats, the intervals of Nadeau and Bengio are too narrow; see benchmarks/levels.py.
MOST_REPEATS = 3


def cells_behind(X: np.ndarray) -> np.ndarray:
    """Number of cells behind each gene, (p,), of centred expression, (n, p).

    It is m for a gene at the same level in m of many cells, n / 3 for a normal gene, and 0 for a
    constant.
    """
    squares = np.square(X, dtype=np.float64)
    fourth_powers = np.square(squares).sum(axis=0).clip(min=1e-300)
    return np.square(squares.sum(axis=0)) / fourth_powers


def _sums_of_squares(Y_true, Y_pred, Y_mean):
    """Residual and total sum of squares of every output, in double precision."""
    true = np.asarray(Y_true, dtype=np.float64)
    predicted = np.asarray(Y_pred, dtype=np.float64)
    mean = np.asarray(Y_mean, dtype=np.float64)
    for name, values in (("Y_true", true), ("Y_pred", predicted), ("Y_mean", mean)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: expected finite values")
    q = true.shape[1] if true.ndim == 2 else 1
    if true.size == 0 or predicted.shape != true.shape or mean.shape not in ((), (q,)):
        got = f"{true.shape}, {predicted.shape} and {mean.shape}"
        raise ValueError(f"Y_true, Y_pred, Y_mean: expected (n, q), (n, q) and (q,), got {got}")
    residual = np.square(true - predicted).reshape(-1, q)
    total = np.square(true.reshape(-1, q) - mean)
    return residual.sum(axis=0), total.sum(axis=0)


def pooled_r2(Y_true: ArrayLike, Y_pred: ArrayLike, Y_mean: ArrayLike) -> float:
    """Fraction of the total variance of all outputs that the predictions explain, 1 - SSE / SST.

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
    """Fraction of the variance of each output that the predictions explain; see `pooled_r2`.

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


def test_fraction(folds: Sequence[tuple[Sized, Sized]]) -> float:
    """Number of test cells per training cell, averaged over the folds."""
    fractions = [len(test) / len(train) for train, test in folds]
    return float(np.mean(fractions))


def folds_counted(folds: Sequence[tuple[ArrayLike, ArrayLike]]) -> float:
    """Number of folds that count in a standard error.

    Repeats of a test cell beyond the third do not count, as they hardly make a mean more precise.
    """
    tested = np.concatenate([test for _, test in folds])
    _, times = np.unique(tested, return_counts=True)
    repeats = np.square(times).sum() / times.sum()  # of a tested cell, on average
    # cells that are tested more often than others make their folds alike
    unequal = repeats - times.mean()
    return len(folds) / (max(1, repeats / MOST_REPEATS) + unequal)


def corrected_error(
    differences: ArrayLike, test_fraction: float, n: float | None = None
) -> np.ndarray | float:
    """Standard error of the mean over n folds (axis 0) that share training cells.

    It is ``s * sqrt(1 / n + test_fraction)``, with the sample SD ``s`` over folds, and
    `test_fraction` test cells per training cell (Nadeau and Bengio, Machine Learning 52, 239, 2003,
    section 3.2). With a `test_fraction` of 0, folds are independent. For `n`, see `folds_counted`.
    """
    values = np.asarray(differences)
    variance = np.var(values, axis=0, ddof=1)
    n_folds = n or len(values)
    # without the second term, shared training cells would make the error too small
    return np.sqrt((1 / n_folds + test_fraction) * variance)


def smallest_sufficient(r2: ArrayLike, numbers: Sequence[int], test_fraction: float = 0.0) -> int:
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
    if (np.diff(numbers) <= 0).any():
        raise ValueError(f"numbers must ascend, got {numbers}")
    scores = np.asarray(r2, dtype=np.float64)
    best = scores.mean(0).argmax()
    behind = scores[:, [best]] - scores
    # errors of paired differences, as folds differ more than numbers of genes do
    is_sufficient = behind.mean(0) <= corrected_error(behind, test_fraction)
    return int(numbers[is_sufficient.argmax()])
