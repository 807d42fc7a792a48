"""Cross-validation of any scikit-learn-style estimator: parallel, resumable, and blind to the test fold.

Every finished fold of every grid point is written to disk before the next one starts, so a killed run goes on where it
stopped. Each fit runs on one thread, so the numbers do not depend on the number of workers.
"""

import inspect
import json
import time

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.model_selection import ParameterGrid
from tqdm.auto import tqdm

from sbnn.data.inputs import as_paired
from sbnn.data.preselection import preselect_genes, settings_of
from sbnn.determinism import reproducible
from sbnn.evaluation.chance import warn_of_chance
from sbnn.evaluation.folds import check_scaling, folds_of, source_arrays, split_fold
from sbnn.evaluation.identity import configured, fit_key
from sbnn.evaluation.runs import STATE, ResumableRun, in_workers, require_names, write_part
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Record

WIDEST_KEPT = 16  # columns of a latent space that is kept: wider ones are most of a record, and nobody looks at them


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
    verbose=True,
):
    """Fit and score an estimator on every fold, for every point of a parameter grid.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        Needs ``fit``, ``predict``, ``get_params``, ``set_params``. Where it has them, ``transform`` (latent space),
        ``get_support`` (selected genes), ``gene_norms_`` and ``history_`` are kept too; if its ``fit`` takes
        ``eval_set``, the test fold is handed over for the curves over epochs, never to choose anything. Hooks are
        optional: ``path_parameter`` with ``fit_path``, and ``for_genes``, which is told the names of the genes: folds
        are arrays. With `preselect` it is also given a mask of those that a fold shows.
    data : PairedData, tuple (X, Y), AnnData or MuData
        See `sbnn.data.inputs.as_paired`.
    folds : list of (train, test), int or scikit-learn splitter, optional
        Positions of the cells; see `sbnn.evaluation.folds.folds_of`. `paper_folds` by default.
    param_grid : dict of lists or list of dicts, optional
        As in scikit-learn's ``ParameterGrid``. An estimator with a ``path_parameter`` is fitted along that parameter
        with warm starts.
    n_jobs : int
        Worker processes; the result is the same for any number. Inside ``joblib.parallel_config("dask")`` the fits run
        on a Dask cluster.
    scaling : {"fold", "all", "none"}
        ``"fold"`` learns mean and SD on the training cells of every fold, and the library size that counts are
        normalised to, where `X` is log2 of the library-size normalised counts plus one. ``"all"`` z-scores over all
        cells, test cells included: a leak, kept because the published numbers were computed so. Both centre on the
        training mean. ``"none"`` hands the data over as they are.
    results : str or path-like, optional
        File to save to. If it exists, what it holds is not computed again; after a kill, neither is what was
        finished (kept beside it in ``<results>.parts``).
    overwrite : bool
        Compute everything anew, but for what an interrupted run of the same fits has left beside `results`. The old
        file is replaced only when all is done.
    seed : int
        ``random_state`` for an estimator whose own is None.
    preselect : int or dict, optional
        So many genes are chosen on the training cells of every fold, and the estimator sees those alone; see
        `sbnn.data.preselection.preselect_genes`, whose ``n_genes`` and ``threshold`` a dict may name. Counts are
        normalised to the library size of all genes. It is part of what identifies a result. None shows it all genes.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Record
        ``experiment="cross-validation"``; ``values`` has, over (folds, grid points): ``test_r2``, ``train_r2``,
        ``seconds`` (CPU), ``n_selected``; over (folds, grid points, outputs):
        ``test_feature_r2``, ``train_feature_r2``; over (folds, grid points, genes): ``selected`` (bool) and
        ``gene_norms``; lists indexed [grid point][fold]: ``test_predictions`` and, of up to `WIDEST_KEPT` columns,
        ``test_latent`` (arrays over the test cells, in units of the scaled data) and ``history`` (tables); and
        ``gene_names``, ``feature_names``. Entries an estimator does not offer are left out. With `preselect` also
        ``preselected`` (folds, genes), bool; ``selected`` and ``gene_norms`` are over all genes nonetheless, False and
        0 for those that were not shown.

    Raises
    ------
    ValueError
        If a fold has no training or test cell, shares a cell between them or points outside the data; if `scaling` is
        unknown; if `results` holds something else than (a part of) this experiment and `overwrite` is False; if genes
        cannot be preselected.
    OSError
        If the results cannot be written; checked before the first fit.

    Warns
    -----
    UserWarning
        If held-out cells are not predicted better than by chance, see `sbnn.evaluation.chance.chance_table`.
    """
    data = as_paired(data)
    check_scaling(scaling)
    record = _run(
        estimator, data, folds, param_grid, scaling, n_jobs, results, overwrite, seed, verbose,
        settings_of(preselect),
    )  # fmt: skip
    warn_of_chance(record, data)
    return record


def _run(
    estimator, data, folds, param_grid, scaling, n_jobs, results, overwrite, seed, verbose,
    preselect,
):  # fmt: skip
    """Fit what `results` does not hold, and gather all."""
    if data.Y.shape[1] == 0:
        raise ValueError(f"data: {data.name!r} has no outputs to predict")
    folds = folds_of(folds, data)
    points = list(ParameterGrid({} if param_grid is None else param_grid))
    models = [configured(estimator, point, seed, data.gene_names) for point in points]

    chosen = {} if preselect is None else {"preselect": preselect}
    run = ResumableRun(
        results,
        overwrite,
        lambda known: [[fit_key(data, model, fold, scaling, known, **chosen) for fold in folds] for model in models],
        preselect,
    )
    if run.stored is not None:
        require_names(run.stored, data, run.results)
        if run.complete:
            return run.stored
    with run.writing():
        if run.complete:  # by another run, that was waited for
            return run.stored
        genes = [_preselected(data, train, preselect) for train, _ in folds]
        tasks = [
            (*_left_of_path(group, f, run, models), f)
            for group in _paths(estimator, points)
            for f in range(len(folds))
            if not all(run.is_done(g, f) for g in group)
        ]
        scaled = source_arrays(data, scaling)
        jobs = (
            delayed(_fit_and_score)(
                [_for_preselected(models[g], data, genes[f]) for g in group],
                scaled,
                folds[f],
                scaling,
                genes[f],
                (group, f),
                [(run.part(g, f), _record(data, [points[g]], [folds[f]], seed)) for g in group],
                start,
            )
            for group, start, f in tasks
        )
        with tqdm(total=len(tasks), desc=f"{data.name}: folds", disable=not verbose) as bar:
            for (group, f), outcomes in in_workers(jobs, n_jobs):
                for g, outcome in zip(group, outcomes, strict=True):
                    run.keep(g, f, outcome, _record(data, [points[g]], [folds[f]], seed))
                bar.update()
        about = {} if preselect is None else {"preselected": np.array(genes)}
        return run.finish(_record(data, points, folds, seed), data, estimator, scaling, about, **chosen)


def _preselected(data, cells, preselect):
    """The genes that a fold shows to all models, a mask; None for all of them."""
    if preselect is None:
        return None
    return preselect_genes(data, preselect["n_genes"], cells, threshold=preselect["threshold"])


def _for_preselected(model, data, genes):
    """A model that knows of genes by their position, of those that a fold shows it."""
    return model if genes is None or not hasattr(model, "for_genes") else model.for_genes(data.gene_names, genes)


def _record(data, points, folds, seed):
    return Record("cross-validation", data.name, data.sha256, points, seed, folds=folds)


def _paths(estimator, points):
    """Group the grid points that differ in the path parameter only."""
    parameter = getattr(estimator, "path_parameter", None)
    if parameter is None:
        return [[g] for g in range(len(points))]
    groups = {}
    for g, point in enumerate(points):
        rest = json.dumps({k: repr(v) for k, v in point.items() if k != parameter}, sort_keys=True)
        groups.setdefault(rest, []).append(g)
    return list(groups.values())


def _left_of_path(group, f, run, models):
    """Grid points of a task that are not done, and the state that the first of them starts from.

    A path goes from the strongest penalty on. What an interrupted run has finished of it is taken if it left the state
    after its last fit, so that the rest comes out as it would have; else the path is fitted again.
    """
    parameter = getattr(models[group[0]], "path_parameter", None)
    falling = sorted(group, key=lambda g: -getattr(models[g], parameter)) if len(group) > 1 else group
    n_done = next(i for i, g in enumerate(falling) if not run.is_done(g, f))
    start = run.outcome(falling[n_done - 1], f).get(STATE) if n_done else None
    if start is None or any(run.is_done(g, f) for g in falling[n_done:]):
        return group, None
    return [g for g in group if g in falling[n_done:]], start


def _fit_and_score(models, data, fold, scaling, genes, label, parts, start=None):
    """Outcomes of one task, with its label; runs in a worker.

    A path may take long: each of its fits is written to its part, with the state that the next one starts from.
    """
    with reproducible():
        X_train, Y_train, X_test, Y_test = split_fold(data, fold, scaling, genes)
        outcomes = []
        started = time.process_time()
        fitted = _fitted(models, X_train, Y_train, X_test, Y_test, start)
        for model, (part, record) in zip(fitted, parts, strict=True):
            seconds = time.process_time() - started
            outcomes.append({"seconds": seconds, **_score(model, X_train, Y_train, X_test, Y_test, genes)})
            if len(models) > 1 and part is not None and part.parent.is_dir():  # it may not be on another machine
                write_part(part, outcomes[-1] | {STATE: getattr(model, "path_state_", None)}, record)
            started = time.process_time()
    return label, outcomes


def _fitted(models, X_train, Y_train, X_test, Y_test, start):
    parameter = getattr(models[0], "path_parameter", None)
    if parameter is not None and (len(models) > 1 or start is not None):
        values, options = [getattr(model, parameter) for model in models], {} if start is None else {"start": start}
        yield from models[0].fit_path(X_train, Y_train, values, **options)
        return
    for model in models:
        watched = "eval_set" in inspect.signature(model.fit).parameters
        yield model.fit(X_train, Y_train, **({"eval_set": (X_test, Y_test)} if watched else {}))


def _score(model, X_train, Y_train, X_test, Y_test, genes=None):
    mean = Y_train.mean(0, dtype=np.float64)
    outcome = {}
    for part, X, Y in (("test", X_test, Y_test), ("train", X_train, Y_train)):
        predicted = np.asarray(model.predict(X)).reshape(Y.shape)
        outcome[f"{part}_r2"] = pooled_r2(Y, predicted, mean)
        outcome[f"{part}_feature_r2"] = feature_r2(Y, predicted, mean)
        if part == "test":
            outcome["test_predictions"] = predicted.astype(np.float32)
    if hasattr(model, "get_support"):
        outcome["selected"] = _over_all(np.asarray(model.get_support()), genes)
        outcome["n_selected"] = int(outcome["selected"].sum())
    if hasattr(model, "gene_norms_"):
        outcome["gene_norms"] = _over_all(model.gene_norms_.astype(np.float32), genes)
    if hasattr(model, "transform"):
        latent = np.asarray(model.transform(X_test))
        if latent.shape[1] <= WIDEST_KEPT:
            outcome["test_latent"] = latent.astype(np.float32)
    if hasattr(model, "history_"):
        outcome["history"] = model.history_.astype({c: "float32" for c in model.history_.select_dtypes("float64")})
    return outcome


def _over_all(values, genes):
    """Values of the genes that a model was shown, among those of all."""
    if genes is None:
        return values
    spread = np.zeros(len(genes), values.dtype)
    spread[genes] = values
    return spread


def epoch_curves(record, **params):
    """Curves over epochs of one grid point, all folds in one tidy table.

    Parameters
    ----------
    record : Record
        From `cross_validate`, of an estimator with ``history_``.
    **params
        The grid point, see `Record.find`.

    Returns
    -------
    pandas.DataFrame
        The columns of ``history_`` and ``fold``.
    """
    tables = record.history[record.find(**params)]
    if any(table is None for table in tables):
        raise ValueError(f"record: the curves of {params} were left out of it (`drop_details`)")
    return pd.concat([table.assign(fold=f) for f, table in enumerate(tables)], ignore_index=True)
