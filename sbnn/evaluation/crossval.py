"""Parallel and resumable cross-validation of any scikit-learn-style estimator, by default without data leakage."""

import inspect
import math
import time
import warnings

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import StandardScaler

from sbnn.data.paired import as_paired
from sbnn.data.preselection import preselect_genes, settings_of
from sbnn.determinism import reproducible
from sbnn.errors import attempt, check_among
from sbnn.evaluation.folds import SCALINGS, folds_of, source_arrays, split_fold
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import NESTED, drop_details, fit_all, in_workers
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Record, kept_params, require

# wider latent spaces are not stored, as they would fill most of a record and are not plotted
WIDEST_KEPT = 16
LEVEL = 0.05
N_PERMUTATIONS = 199
# When fitted to noise, a model predicts fold f by a weighted sum of the outputs of the other folds.
# The score for fold f is a sum of terms a_fg, one for each other fold g. The terms a_fg and a_gf
# are at most fully correlated, so the variance of the sum over all folds is at most twice the
# variance that results from permuting each fold by itself. For a symmetric smoother such as ridge,
# the variance is exactly twice as large.
_CORRELATED = np.sqrt(2)


def cross_validate(
    estimator,
    data,
    folds=None,
    param_grid=None,
    n_jobs=1,
    *,
    scaling="fold",
    results=None,
    overwrite=False,
    seed=0,
    preselect=None,
    keep=NESTED,
    verbose=True,
):
    """Fit and score an estimator on every fold, for every point of a parameter grid.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        If the estimator has ``transform`` (latent space), ``get_support`` (selected genes),
        ``gene_norms_`` or ``history_``, their values are stored. If ``fit`` accepts ``eval_set``,
        the test cells are passed as ``eval_set``, so that curves over epochs can be recorded. Two
        hooks are optional: ``fit_path``, which fits all values of the parameter named by
        ``path_parameter`` with warm starts, and ``for_genes``, which is called with the gene names
        and, if `preselect` is given, with a mask of the genes selected in the fold.
    data : AnnData, MuData or tuple (X, Y)
        See `sbnn.data.paired.as_paired`.
    folds : list of (train, test), int or scikit-learn splitter, optional
        Positions of the training and test cells; see `sbnn.evaluation.folds.folds_of`.
        `paper_folds` by default.
    param_grid : dict of lists or list of dicts, optional
        As in scikit-learn's ``ParameterGrid``.
    n_jobs : int
        Number of worker processes, which does not affect the result. Inside
        ``joblib.parallel_config("dask")``, the fits run on a Dask cluster.
    scaling : {"fold", "all", "none"}
        ``"fold"`` estimates means and SDs on the training cells of every fold. If `X` is
        log2(normalised counts + 1), the library size to which counts are normalised is also
        estimated on the training cells. ``"all"`` z-scores over all cells, including test cells;
        this leaks information but is needed to reproduce the published numbers. Both options centre
        the data on the means of the training cells. ``"none"`` leaves the data unchanged.
    results : str or path-like, optional
        File in which the record is saved. Fits that the file already contains are not repeated, nor
        are the finished fits of an interrupted run, which are stored in the folder
        ``<results>.parts``.
    overwrite : bool
        Repeat the fits in `results`, but not the finished fits of an interrupted run in
        ``<results>.parts``. The old file is replaced only when all fits are finished.
    seed : int
        Seed to use if ``random_state`` of the estimator is None.
    preselect : int or dict, optional
        Number of genes to choose on the training cells of every fold; the estimator is fitted to
        these genes only. A dict can set ``n_genes`` and ``threshold``; see
        `sbnn.data.preselection.preselect_genes`. Library sizes are still computed from all genes.
    keep : sequence of str
        Names of the detailed values to keep, from ``test_predictions``, ``test_latent`` and
        ``history``, which account for most of the size of a record.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Record
        ``values`` contains

        - arrays of shape (folds, grid points): ``test_r2``, ``train_r2``, ``seconds`` (CPU time)
          and ``n_selected``;
        - arrays of shape (folds, grid points, outputs): ``test_feature_r2`` and
          ``train_feature_r2``;
        - arrays of shape (folds, grid points, genes): ``selected`` (bool) and ``gene_norms``, which
          are False and 0 for genes that were not preselected;
        - lists indexed as [grid point][fold]: ``test_predictions``, the predictions for the test
          cells in units of the scaled outputs; ``test_latent``, the latent space of the test cells
          if it has at most 16 dimensions; and ``history``, a table;
        - the names of cells, genes and outputs;
        - if `preselect` is given, ``preselected``, a bool array of shape (folds, genes).

    Raises
    ------
    ValueError
        If a fold has no training cells or no test cells, has a cell in both sets or contains a
        position outside the data, or if `results` holds fits that are not part of this experiment
        and `overwrite` is False.
    OSError
        If the results cannot be written; this is checked before the first fit.

    Warns
    -----
    UserWarning
        If held-out cells are not predicted better than by chance; see `chance_table`.
    """
    data, chosen = as_paired(data), settings_of(preselect)
    if not data.n_outputs:
        raise ValueError(f"data: {data.name!r} has no outputs to predict")
    for name in attempt("keep: expected names", tuple, keep):
        check_among("keep", name, NESTED)
    check_among("scaling", scaling, SCALINGS)
    folds = folds_of(folds, data.n_cells)
    points = attempt(
        "param_grid: expected a dict of lists", lambda: list(ParameterGrid(param_grid or {}))
    )
    models = [configured(estimator, point, seed, data.gene_names) for point in points]
    points = [kept_params(point) for point in points]
    wanted = Record(
        "cross-validation", data.name, data.sha256, points, seed, chosen, folds, data.names
    )

    def plan(done):
        arrays, genes = source_arrays(data, scaling), [None] * len(folds)
        if chosen:
            how = {name: chosen["preselect"][name] for name in ("n_genes", "threshold")}
            choices = [delayed(preselect_genes)(data, cells=train, **how) for train, _ in folds]
            genes = list(in_workers(choices, n_jobs, "generator"))
            wanted.values = wanted.values | {"preselected": np.array(genes)}
        jobs, paths = (
            [],
            [
                [(g, f) for g in path]
                for path in _paths(estimator, points)
                for f in range(len(folds))
            ],
        )
        for path in (path for path in paths if not done.keys() >= set(path)):
            shown, f = [models[g] for g, _ in path], path[0][1]
            if genes[f] is not None and hasattr(estimator, "for_genes"):
                shown = [model.for_genes(data.gene_names, genes[f]) for model in shown]
            jobs.append(delayed(_fit_and_score)(shown, arrays, folds[f], scaling, genes[f], path))
        return jobs

    how = {"results": results, "overwrite": overwrite, "n_jobs": n_jobs, "verbose": verbose}
    record = fit_all(
        wanted, [[model] * len(folds) for model in models], plan, estimator, scaling, chosen, **how
    )
    _warn_of_chance(record, data.Y)
    return drop_details(record, results, [name for name in NESTED if name not in keep])


def _paths(estimator, points):
    """Groups of grid points that differ only in the path parameter; the points of a group are fitted together."""
    along, groups = getattr(estimator, "path_parameter", None), {}
    for g, point in enumerate(points):
        rest = (
            g
            if along is None
            else repr(sorted((k, repr(v)) for k, v in point.items() if k != along))
        )
        groups.setdefault(rest, []).append(g)
    return list(groups.values())


def _fit_and_score(models, arrays, fold, scaling, genes, places):
    """Fit the models of one path in a worker; return a list of ((grid point, fold), outcome)."""
    with reproducible():
        X_train, Y_train, X_test, Y_test = split_fold(arrays, fold, scaling, genes)
        outcomes = []
        started = time.process_time()
        if len(models) > 1:
            fitted = models[0].fit_path(
                X_train, Y_train, [getattr(model, model.path_parameter) for model in models]
            )
        else:
            takes = inspect.signature(models[0].fit).parameters
            fitted = [
                models[0].fit(
                    X_train,
                    Y_train,
                    **{"eval_set": (X_test, Y_test)} if "eval_set" in takes else {},
                )
            ]
        for model, place in zip(fitted, places, strict=True):
            outcome = {"seconds": time.process_time() - started}
            parts = {"test": (X_test, Y_test), "train": (X_train, Y_train)}
            outcomes.append(
                (place, outcome | scores_of(model, parts, Y_train.mean(0, dtype=np.float64), genes))
            )
            started = time.process_time()
    return outcomes


def scores_of(model, parts, mean, genes=None):
    """Values to store for a model fitted to the genes in the mask `genes` (None: all); R2 is relative to `mean`."""

    def over_all(values):
        spread = np.zeros(len(genes) if genes is not None else values.shape, values.dtype)
        spread[slice(None) if genes is None else genes] = values
        return spread

    outcome = {}
    for part, (X, Y) in parts.items():
        predicted = np.asarray(model.predict(X)).reshape(Y.shape)
        outcome[f"{part}_r2"] = pooled_r2(Y, predicted, mean)
        outcome[f"{part}_feature_r2"] = feature_r2(Y, predicted, mean)
        if part == "test":
            outcome["test_predictions"] = predicted.astype(np.float32)
    if hasattr(model, "get_support"):
        outcome["selected"] = over_all(np.asarray(model.get_support()))
        outcome["n_selected"] = int(outcome["selected"].sum())
    if hasattr(model, "gene_norms_"):
        outcome["gene_norms"] = over_all(model.gene_norms_.astype(np.float32))
    if "test" in parts and hasattr(model, "transform"):
        latent = np.asarray(model.transform(parts["test"][0]))
        if latent.shape[1] <= WIDEST_KEPT:
            outcome["test_latent"] = latent.astype(np.float32)
    if "test" in parts and hasattr(model, "history_"):
        outcome["history"] = model.history_.astype(
            dict.fromkeys(model.history_.select_dtypes("float64"), "float32")
        )
    return outcome


def epoch_curves(record, **params):
    """Curves over epochs for one grid point, with all folds in one tidy table.

    Parameters
    ----------
    record : Record
        Record returned by `cross_validate` for an estimator with ``history_``.
    **params
        Parameters of the grid point; see `Record.find`.

    Returns
    -------
    DataFrame
        Table with the columns of ``history_`` and a column ``fold``.
    """
    require(record, "record", ["history", "test_r2"])
    tables = record.history[record.find(**params)]
    return pd.concat([table.assign(fold=f) for f, table in enumerate(tables)], ignore_index=True)


def chance_table(record, Y, n_permutations=N_PERMUTATIONS, seed=0, points=None, pooled=True):
    """Table of test R2, mean R2 with permuted outputs and p-value for each grid point or, unless
    `pooled`, each output.

    Predictions stay fixed. The p-value is the share of permutations whose R2 is at least as high as
    the measured R2; the measured outputs count as one permutation. The outputs of a fold were also
    used to train the models of the other folds, so chance deviations are correlated between folds.
    To account for this, the deviations of R2 with permuted outputs from their mean are scaled up;
    see `_CORRELATED`.
    """
    held = enumerate(record.values.get("test_predictions", []))
    held = [g for g, of_folds in held if all(predicted is not None for predicted in of_folds)]
    points = held if points is None else [g for g in points if g in held]
    r2 = np.zeros((1 + n_permutations, len(points), 1 if pooled else Y.shape[1]))
    for f, fold in enumerate(record.folds if points else ()):
        outputs, middle = _held_out_outputs(Y, fold, record.settings.get("scaling", "fold"))
        total = np.square(outputs).sum(None if pooled else 0)
        total = np.where(total > 0, total, np.nan)
        random = np.random.default_rng((seed, f))  # all grid points get the same permutations
        orders = [slice(None), *(random.permutation(len(outputs)) for _ in range(n_permutations))]
        for i, g in enumerate(points):
            predicted = (
                np.asarray(record.test_predictions[g][f], dtype=np.float64).reshape(outputs.shape)
                - middle
            )
            size = np.square(predicted).sum(None if pooled else 0)
            for k, order in enumerate(orders):
                shared = (
                    np.vdot(predicted, outputs[order])
                    if pooled
                    else (predicted * outputs[order]).sum(0)
                )
                r2[k, i] += (2 * shared - size) / total / len(record.folds)
    r2 = r2.reshape(len(r2), -1)
    measured, permuted = r2[0], r2[1:].mean(0)
    chance = permuted + (_CORRELATED if len(record.folds) > 1 else 1) * (r2[1:] - permuted)
    # the measured outputs count as one permutation
    reached = 1 + (chance >= measured - 1e-12).sum(0)
    p = np.where(np.isfinite(measured), reached / len(r2), np.nan)
    return pd.DataFrame(
        {"test_r2": measured, "permuted_r2": permuted, "p": p}, points if pooled else None
    )


def least_p(record, n_permutations=N_PERMUTATIONS):
    """Smallest p-value that permutations of the test cells can give; the value is 1 if every fold tests one cell."""
    # logarithm of the number of orders
    orders = sum(math.lgamma(1 + len(test)) for _, test in record.folds)
    return max(1 / (1 + n_permutations), math.exp(-orders))


def _warn_of_chance(record, Y):
    """Warn if a grid point predicts held-out cells no better than by chance, as estimated by permuting the outputs."""
    table = chance_table(record, Y)
    chance = table[table.p > LEVEL]
    if len(chance) and least_p(record) <= LEVEL:
        best = chance.loc[chance.test_r2.idxmax()]
        some = (
            ""
            if len(record.params) == 1
            else f"{len(chance)} of {len(record.params)} grid points: "
        )
        found = f"test R2 {best.test_r2:.3f}, with permuted outputs {best.permuted_r2:.3f}, p = {best.p:.2f}"
        text = f"{some}held-out cells of {record.dataset!r} are not predicted better than by chance ({found})"
        warnings.warn(text, stacklevel=3)


def _held_out_outputs(Y, fold, scaling):
    """Return the scaled outputs of the test cells of a fold, centred on the training means, and these means."""
    if scaling == "all":
        Y = StandardScaler().fit_transform(Y.astype(np.float64)).astype(np.float32)
    _, Y_train, _, Y_test = split_fold((np.zeros((len(Y), 1), np.float32), Y, None), fold, scaling)
    middle = Y_train.mean(axis=0, dtype=np.float64)
    return Y_test - middle, middle
