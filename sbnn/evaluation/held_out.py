"""Predictions of cells by the models that had not seen them, put together from the folds."""

import numpy as np

from sbnn.evaluation.folds import in_units


def held_out_means(record, Y, point):
    """Predictions of every cell while it was held out, in the units of `Y`.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`, with predictions of the grid point.
    Y : ndarray of shape (n, q)
        The outputs that were cross-validated, or their z-scores over all cells.
    point : int
        Position in the grid.

    Returns
    -------
    ndarray of float64, shape (n, q)
        Mean over the folds that held the cell out; NaN where none did.
    """
    total, times = np.zeros(np.shape(Y)), np.zeros((len(Y), 1))
    for fold, predicted in zip(record.folds, record.test_predictions[point], strict=True):
        total[fold[1]] += in_units(np.asarray(predicted), Y, fold, record.settings["scaling"])
        times[fold[1]] += 1
    return np.divide(total, times, out=np.full(total.shape, np.nan), where=times > 0)
