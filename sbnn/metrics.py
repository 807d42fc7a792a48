"""One definition of R2 for every model: relative to the *training* means, and pooled over the outputs."""

import numpy as np

from sbnn.errors import naming

__all__ = ["feature_r2", "pooled_r2", "smallest_sufficient"]


def _numbers(argument, values):
    with naming(f"{argument}: expected an array of numbers"):
        return np.asarray(values, dtype=np.float64)


def _sums_of_squares(Y_true, Y_pred, Y_mean):
    """Residual and total sum of squares of every output, as two float64 arrays of shape (q,)."""
    Y_true, Y_pred, Y_mean = map(_numbers, ("Y_true", "Y_pred", "Y_mean"), (Y_true, Y_pred, Y_mean))
    q = Y_true.shape[1] if Y_true.ndim == 2 else 1
    fit = Y_true.ndim in (1, 2) and Y_pred.shape == Y_true.shape and Y_mean.shape in ((), (q,))
    if not (fit and len(Y_true)) or not all(
        np.isfinite(values).all() for values in (Y_true, Y_pred, Y_mean)
    ):
        got = f"{Y_true.shape}, {Y_pred.shape} and {Y_mean.shape}"
        raise ValueError(
            f"Y_true, Y_pred and Y_mean: expected finite values of shape (n, q), (n, q), (q,), got {got}"
        )
    Y_true, Y_pred = Y_true.reshape(-1, q), Y_pred.reshape(-1, q)
    return ((Y_true - Y_pred) ** 2).sum(axis=0), ((Y_true - Y_mean) ** 2).sum(axis=0)


def pooled_r2(Y_true, Y_pred, Y_mean):
    """Share of the total variance of all outputs that the predictions explain, 1 - SSE / SST.

    Both sums run over all cells and all outputs, so each output is weighted by its variance. SST is
    relative to the means over the *training* cells, which are the best prediction without X: a
    model that predicts these means scores 0 on any set of cells (Bernaerts et al. 2020,
    arXiv:2006.10411, Methods). ``sklearn.metrics.r2_score`` centres on the mean of the test cells
    instead.

    Parameters
    ----------
    Y_true, Y_pred : array-like of shape (n,) or (n, q)
        Measured and predicted outputs.
    Y_mean : float or array-like of shape (q,)
        Mean of each output over the training cells; a single number applies to all outputs.

    Returns
    -------
    float
        At most 1; negative if the predictions are worse than the training means. If every
        ``Y_true`` equals ``Y_mean``, there is no variance to explain, and the score is 1 for exact
        predictions and 0 for others, as in scikit-learn.
    """
    residual, total = _sums_of_squares(Y_true, Y_pred, Y_mean)
    residual, total = residual.sum(), total.sum()
    return float(1 - residual / total) if total > 0 else float(residual == 0)


def feature_r2(Y_true, Y_pred, Y_mean):
    """Share of the variance of each output that the predictions explain; parameters are as for
    `pooled_r2`.

    Returns
    -------
    ndarray of shape (q,), float64
        NaN for an output whose ``Y_true`` equals its ``Y_mean`` in every cell.
    """
    residual, total = _sums_of_squares(Y_true, Y_pred, Y_mean)
    return 1 - np.divide(residual, total, out=np.full_like(total, np.nan), where=total > 0)


def share_tested(folds):
    """Number of test cells per training cell, averaged over the folds."""
    return np.mean([len(test) / len(train) for train, test in folds])


def corrected_error(differences, test_share):
    """Standard error of the mean over folds (axis 0) that share training cells: ``s * sqrt(1 / n +
    test_share)``.

    ``s`` is the sample SD over folds, and `test_share` is the number of test cells per training
    cell (Nadeau and Bengio, Machine Learning 52, 239, 2003, section 3.2); with 0, the folds are
    treated as independent.
    """
    return np.sqrt((1 / len(differences) + test_share) * np.var(differences, axis=0, ddof=1))


def smallest_sufficient(r2, numbers, test_share=0.0):
    """Smallest number of genes whose mean R2 is within one standard error of the highest mean R2.

    The standard error is computed from differences in R2 on the same folds, because a difficult
    fold lowers the R2 for all numbers of genes alike.

    Parameters
    ----------
    r2 : ndarray, shape (n_folds, n_numbers)
        R2 on the held-out cells of two or more folds.
    numbers : sequence of int
        Numbers of genes in ascending order.
    test_share : float
        Number of test cells per training cell, which corrects the standard error for the training
        cells that folds share; with 0, the folds are treated as independent.

    Returns
    -------
    int
    """
    r2, numbers = _numbers("r2", r2), _numbers("numbers", numbers)
    fit = (
        r2.ndim == 2
        and len(r2) > 1
        and r2.shape[1:] == numbers.shape
        and (np.diff(numbers) > 0).all()
    )
    if not fit or np.isnan(r2).any():
        raise ValueError(
            f"r2: expected folds x ascending numbers of genes, got {r2.shape} for {numbers.tolist()}"
        )
    behind = r2[:, [r2.mean(0).argmax()]] - r2
    return int(
        numbers[
            (behind.mean(0) <= corrected_error(behind, _numbers("test_share", test_share))).argmax()
        ]
    )
