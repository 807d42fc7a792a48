"""Parallel and resumable cross-validation of any scikit-learn-style estimator."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import ParameterGrid
from sklearn.utils.validation import has_fit_parameter

from sbnn.data.paired import as_paired
from sbnn.determinism import reproducible
from sbnn.errors import check_among, warn
from sbnn.evaluation.folds import SCALINGS, check_folds, split_fold
from sbnn.evaluation.runs import configure, describe_estimator, fit_all
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Record, plain_params

DETAILS = ("test_predictions", "history")


def cross_validate(
    estimator: BaseEstimator,
    data,
    folds=10,
    param_grid: Mapping[str, Sequence] | Sequence[Mapping[str, Sequence]] | None = None,
    n_jobs: int = 1,
    *,
    scaling: str = "fold",
    results=None,
    overwrite: bool = False,
    seed: int = 0,
    preselect: int | None = None,
    keep: Sequence[str] = DETAILS,
    verbose: bool = True,
) -> Record:
    """Fit and score an estimator on every fold, for every point of a parameter grid.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        What it has of ``get_support``, ``gene_norms_`` and ``history_`` is stored. If ``fit``
        accepts ``eval_set``, it gets the test cells.
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
    seed : int
        Used if ``random_state`` of the estimator is None.
    preselect : int, optional
        Number of genes to choose on the training cells of every fold; see
        `sbnn.data.preprocessing.preselect_genes`.
    keep : sequence of str
        What new fits store of ``test_predictions`` and ``history``.
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
    data = as_paired(data)
    if not len(data.feature_names):
        raise ValueError(f"data: {data.name!r} has no outputs to predict")
    for name in keep:
        check_among("keep", name, DETAILS)
    check_among("scaling", scaling, SCALINGS)
    points = list(ParameterGrid(param_grid or {}))
    models = [configure(estimator, point, seed) for point in points]
    folds = check_folds(folds, data.n_cells)
    if any(len(test) == 1 for _, test in folds):
        warn("folds: R2 of a single cell says little; test several cells in each fold")
    record = Record(
        experiment="cross-validation",
        dataset=data.name,
        sha256=data.sha256,
        params=[plain_params(point) for point in points],
        seed=seed,
        settings={
            "estimator": describe_estimator(estimator),
            "scaling": scaling,
            "preselect": preselect,
        },
        folds=folds,
        values=data.names,
    )
    fit = partial(
        fit_and_score,
        data=data.without_labels(),  # which no fit uses
        scaling=scaling,
        preselect=preselect,
        keep=keep,
    )
    fits = [[partial(fit, model, fold=fold) for fold in folds] for model in models]
    return fit_all(record, fits, results, overwrite=overwrite, n_jobs=n_jobs, verbose=verbose)


def fit_and_score(model, data, fold, scaling, preselect, keep):
    """Values of a fit to a fold, maybe without test cells."""
    values = {}
    with reproducible():
        X_train, Y_train, X_test, Y_test, genes = split_fold(data, fold, scaling, preselect)
        watched = {}
        if len(Y_test) and has_fit_parameter(model, "eval_set"):
            watched = {"eval_set": (X_test, Y_test)}
        started = time.process_time()
        model.fit(X_train, Y_train, **watched)
        values["seconds"] = time.process_time() - started
        mean = Y_train.mean(0, dtype=np.float64)
        values |= r2_scores("train", Y_train, predict_like(model, X_train, Y_train), mean)
        if len(Y_test):
            predicted = predict_like(model, X_test, Y_test)
            values |= r2_scores("test", Y_test, predicted, mean)
            if "test_predictions" in keep:
                values["test_predictions"] = predicted.astype(np.float32)
            if "history" in keep and hasattr(model, "history_"):
                doubles = model.history_.select_dtypes("float64")
                values["history"] = model.history_.astype(dict.fromkeys(doubles, "float32"))
    if hasattr(model, "get_support"):
        values["selected"] = np.zeros(data.n_genes, bool)
        values["selected"][genes] = model.get_support()
        values["n_selected"] = values["selected"].sum()
    if hasattr(model, "gene_norms_"):
        values["gene_norms"] = np.zeros(data.n_genes, np.float32)
        values["gene_norms"][genes] = model.gene_norms_
    if preselect is not None:
        values["preselected"] = genes
    return values


def predict_like(model, X, Y):
    """Predictions in the shape of `Y`."""
    return np.asarray(model.predict(X)).reshape(Y.shape)


def r2_scores(part, Y, predicted, mean):
    """Pooled R2 and R2 of each output, relative to the training `mean`."""
    return {
        f"{part}_r2": pooled_r2(Y, predicted, mean),
        f"{part}_feature_r2": feature_r2(Y, predicted, mean),
    }


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
    tables = record.history[record.find(**params)]
    return pd.concat([table.assign(fold=f) for f, table in enumerate(tables)], ignore_index=True)
