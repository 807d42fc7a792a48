"""Predictions of cells while they were held out, in the z-scores of a fit to all cells."""

import numpy as np

from sbnn.evaluation.folds import held_out_means
from sbnn.plotting.reading import CROSS_VALIDATION, require, require_same_data

NOT_THE_MODEL = {"device", "n_threads", "random_state", "reconstruct"}  # may differ between a fit and its folds


def held_out_predictions(fit, folds):
    """Predictions of each cell by the models of the folds that held it out.

    Every fold z-scores the outputs over its own training cells, the fit over all cells: predictions of a fold are
    brought into the units of the fit, by mean and SD of its training cells there.

    Parameters
    ----------
    fit : Record
        From `sbnn.fit_full`.
    folds : Record
        From `sbnn.cross_validate`, of the same data, with predictions of the same model.

    Returns
    -------
    predictions : ndarray of float32, shape (n, q)
        Mean over the folds that held the cell out; NaN where none did.
    r2 : ndarray, shape (q,)
        Test R2 of each output, mean over the folds.

    Raises
    ------
    TypeError, ValueError
        If `folds` is another kind of record, of other data or another model, without predictions of this one, or not
        scaled.
    """
    require(folds, "cv_record", CROSS_VALIDATION, ("test_feature_r2",))
    require_same_data(folds, "cv_record", fit)
    point = _point_of(fit, folds)
    if folds.settings["scaling"] == "none":
        raise ValueError("cv_record: its outputs were not scaled, so that its predictions do not compare with the fit")
    return held_out_means(folds, fit.outputs, point).astype(np.float32), folds.test_feature_r2[:, point].mean(0)


def _point_of(fit, folds):
    """Position of the model of the fit in the grid of the cross-validation."""
    params = {name: value for name, value in fit.params[0].items() if name not in NOT_THE_MODEL}
    hits = folds.points(**params)
    if not hits:
        raise ValueError(f"cv_record: none of its {len(folds.params)} models is the one of the fit, {params}")
    kept = folds.values.get("test_predictions", [None] * len(folds.params))[hits[0]]
    if kept is None or any(fold is None for fold in kept):
        raise ValueError("cv_record: it has no predictions of the model of the fit; compute it anew with `sbnn cv`")
    return hits[0]
