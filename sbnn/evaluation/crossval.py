"""Parallel and resumable cross-validation of any scikit-learn-style estimator."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator, ParameterGrid
from sklearn.utils.validation import has_fit_parameter

from sbnn.data.inputs import ExpressionRegressor
from sbnn.data.paired import Paired, as_paired
from sbnn.determinism import reproducible
from sbnn.errors import check_among, check_number, warn
from sbnn.evaluation.folds import (
    SCALINGS,
    check_preselect,
    make_folds,
    panel_mask,
    scale_fold,
)
from sbnn.evaluation.runs import configure, describe_estimator, fit_all
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Fold, Record, check_record, plain_params

DETAILS = ("test_predictions", "history")


def cross_validate(
    estimator: BaseEstimator,
    data: AnnData | tuple | Paired,
    folds: int | Sequence[tuple[ArrayLike, ArrayLike]] | BaseCrossValidator = 10,
    param_grid: Mapping[str, Sequence] | Sequence[Mapping[str, Sequence]] | None = None,
    n_jobs: int = 1,
    *,
    scaling: str = "fold",
    results: str | PathLike[str] | None = None,
    overwrite: bool = False,
    seed: int | Sequence[int] = 0,
    preselect: int | None = None,
    keep: Sequence[str] = DETAILS,
    verbose: bool = True,
) -> Record:
    """Fit and score an estimator on every fold, for every point of a parameter grid.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        What it has of ``get_support``, ``gene_norms_`` and ``history_`` is stored. The networks of
        this package also record R2 of the test cells in training.
    data : AnnData or tuple (X, Y)
        See `sbnn.data.paired.as_paired`.
    folds : list of (train, test), int or scikit-learn splitter
        Positions of cells, or the number of `paper_folds`.
    param_grid : dict of lists or list of dicts, optional
        As in ``ParameterGrid``.
    n_jobs : int
        Number of worker processes; inside ``joblib.parallel_config("dask")``, on a Dask cluster.
    scaling : {"fold", "all"}
        ``"fold"`` z-scores by the training cells of every fold, and learns the library size of
        log2(normalised counts + 1). ``"all"`` z-scores over all cells, a leak, as published.
    results : str or path-like, optional
        File of the record. Fits in it, and those of an interrupted run (in the folder
        ``<results>.parts``), are not repeated.
    overwrite : bool
        Repeat the fits in `results`.
    seed : int or sequence of int
        Of all fits, or of the fits to each fold, if ``random_state`` of the estimator is None.
    preselect : int, optional
        Number of genes to choose on the training cells of every fold; see
        `sbnn.data.preprocessing.preselect_genes`. Required and candidate genes of the estimator
        are added to them.
    keep : sequence of str
        What the fits store of ``test_predictions`` and ``history``.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Record
        ``values`` contains

        - arrays of shape (folds, grid points): ``test_r2``, ``train_r2``, ``seconds`` (CPU time)
          and ``n_selected``;
        - (folds, grid points, outputs): ``test_feature_r2`` and ``train_feature_r2``;
        - (folds, grid points, genes): ``selected`` (bool), ``gene_norms`` and, with `preselect`,
          ``preselected`` (bool);
        - lists indexed as [grid point][fold]: ``test_predictions`` of the scaled outputs, and
          ``history``, a table;
        - the names of cells, genes and outputs.

    Raises
    ------
    ValueError
        If a fold lacks cells or has a cell in both sets, or `results` holds other fits.
    OSError
        If the results cannot be written.

    Examples
    --------
    >>> from sbnn import SparseReducedRankRegression, cross_validate, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> model, grid = SparseReducedRankRegression(), {"alpha": [0.3, 1.0]}
    >>> record = cross_validate(model, data, folds=5, param_grid=grid, verbose=False)
    >>> record.test_r2.mean(axis=0).round(2)
    array([0.45, 0.34])
    """
    cells = as_paired(data)
    if not len(cells.feature_names):
        raise ValueError(f"data: {cells.name!r} has no outputs to predict")
    for name in keep:
        check_among("keep", name, DETAILS)
    check_among("scaling", scaling, SCALINGS)
    check_preselect(preselect)
    points = list(ParameterGrid(param_grid or {}))
    pairs = make_folds(folds, cells.n_cells)
    seeds = _seed_of_each_fold(seed, len(pairs))
    if any(len(test) == 1 for _, test in pairs):
        warn("folds: R2 of a single cell says little; test several cells in each fold")
    record = Record(
        experiment="cross-validation",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[plain_params(point) for point in points],
        seed=seeds[0],
        settings={
            "estimator": describe_estimator(estimator),
            "scaling": scaling,
            "preselect": preselect,
        },
        folds=pairs,
        values=cells.names,
    )
    fit = partial(
        fit_and_score,
        data=cells.without_labels(),  # which no fit uses
        scaling=scaling,
        preselect=preselect,
        keep=sorted({*keep}),
    )
    fits = []
    for point in points:
        panel = panel_mask(configure(estimator, point, seeds[0]), cells.gene_names)
        row = []
        for fold, seed_of_fold in zip(pairs, seeds, strict=True):
            model = configure(estimator, point, seed_of_fold)
            row.append(partial(fit, model, fold=fold, panel=panel))
        fits.append(row)
    return fit_all(record, fits, results, overwrite=overwrite, n_jobs=n_jobs, verbose=verbose)


def _seed_of_each_fold(seed, n_folds):
    if np.ndim(seed) == 0:
        check_number("seed", seed, int, low=0)
        return [seed] * n_folds
    if len(seed) != n_folds:
        raise ValueError(f"seed: expected one, or one for each of {n_folds} folds, got {len(seed)}")
    return [int(seed_of_fold) for seed_of_fold in seed]


def fit_and_score(
    model: BaseEstimator,
    data: Paired,
    fold: Fold,
    scaling: str,
    preselect: int | None,
    keep: Sequence[str],
    panel: np.ndarray | None,
) -> dict[str, Any]:
    """Values of a fit to a fold, maybe without test cells; `panel` is as from `panel_mask`."""
    values: dict[str, Any] = {}
    with reproducible():
        X_train, Y_train, X_test, Y_test, genes = scale_fold(
            data, fold, scaling=scaling, preselect=preselect, panel=panel
        )
        started = time.process_time()
        # other packages stop early by an evaluation set, which would be a leak
        is_ours = isinstance(model, ExpressionRegressor)
        if len(Y_test) and is_ours and has_fit_parameter(model, "eval_set"):
            model.fit(X_train, Y_train, eval_set=(X_test, Y_test))
        else:
            model.fit(X_train, Y_train)
        values["seconds"] = time.process_time() - started
        # R2 of the test cells, too, is relative to the training means (see `pooled_r2`)
        mean = Y_train.mean(0, dtype=np.float64)
        fitted = predict_like(model, X_train, Y_train)
        values["train_r2"] = pooled_r2(Y_train, fitted, mean)
        values["train_feature_r2"] = feature_r2(Y_train, fitted, mean)
        if len(Y_test):
            predicted = predict_like(model, X_test, Y_test)
            values["test_r2"] = pooled_r2(Y_test, predicted, mean)
            values["test_feature_r2"] = feature_r2(Y_test, predicted, mean)
            if "test_predictions" in keep:
                values["test_predictions"] = predicted.astype(np.float32)
            if "history" in keep and hasattr(model, "history_"):
                doubles = model.history_.select_dtypes("float64")
                values["history"] = model.history_.astype(dict.fromkeys(doubles, "float32"))
    if hasattr(model, "get_support"):
        selected = np.zeros(data.n_genes, bool)
        selected[genes] = model.get_support()
        values["selected"] = selected
        values["n_selected"] = selected.sum()
    if hasattr(model, "gene_norms_"):
        gene_norms = np.zeros(data.n_genes, np.float32)
        gene_norms[genes] = model.gene_norms_
        values["gene_norms"] = gene_norms
    if preselect is not None:
        values["preselected"] = genes
    return values


def predict_like(model: BaseEstimator, X: ArrayLike, Y: np.ndarray) -> np.ndarray:
    """Predictions in the shape of `Y`; a ValueError if they are of other cells or not finite."""
    predicted = np.asarray(model.predict(X))
    name = type(model).__name__
    # one output may be a vector; anything else, such as (outputs, cells), has another order
    if predicted.squeeze().shape != Y.squeeze().shape:
        raise ValueError(
            f"estimator: predict of {name} gave the shape {predicted.shape}, expected {Y.shape}"
        )
    if not np.isfinite(predicted).all():
        raise ValueError(f"estimator: predict of {name} gave values that are not finite numbers")
    return predicted.reshape(Y.shape)


def epoch_curves(record: Record, **params: object) -> pd.DataFrame:
    """Curves over epochs for one grid point.

    Parameters
    ----------
    record : Record
        From `cross_validate`.
    **params
        Of the grid point; see `Record.find`.

    Returns
    -------
    DataFrame
        Columns of ``history_`` and ``fold``.
    """
    check_record("record", record)
    tables = record.history[record.find(**params)]
    curves = [table.assign(fold=fold) for fold, table in enumerate(tables)]
    return pd.concat(curves, ignore_index=True)
