"""Cross-validation of any scikit-learn-style estimator: parallel, resumable, and blind to the test fold.

Every finished fold of every grid point is written to disk before the next one starts, so a killed run goes on where it
stopped. Each fit runs on one thread, so the numbers do not depend on the number of workers.
"""

import hashlib
import inspect
import json
import shutil
import time
import warnings
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

from sbnn import ensemble
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.paired import PairedData
from sbnn.preprocessing import Standardizer, expression_pipeline, log2p1, normalize_library_size
from sbnn.results import Record, load, save
from sbnn.training import reproducible

SCALINGS = ("fold", "all", "none")
NOT_DECISIVE = ("verbose", "n_jobs")  # parameters that do not change a result


def paper_folds(n, n_folds=10, seed=42):
    """Folds of the published cross-validation.

    One permutation of NumPy's legacy generator; test block i holds its positions ``i * (n // n_folds)`` to
    ``(i + 1) * (n // n_folds)``, everything else trains. The last ``n % n_folds`` cells are never tested.

    Parameters
    ----------
    n : int
        Number of cells.
    n_folds : int
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test positions of every fold, in the order of the permutation.

    Raises
    ------
    ValueError
        If there are fewer cells than folds: a fold would have no test cell.

    References
    ----------
    Bernaerts, Berens and Kobak, arXiv 2006.10411.
    """
    size = n // n_folds
    if n_folds < 2 or size < 1:
        raise ValueError(f"n_folds: {n_folds} folds of {n} cells leave a fold without a test or training cell")
    order = np.random.RandomState(seed).permutation(n)  # noqa: NPY002 -- the published folds come from this generator
    blocks = [slice(i * size, (i + 1) * size) for i in range(n_folds)]
    return [(np.delete(order, block), order[block]) for block in blocks]


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
    batched=None,
    members_at_once=None,
    verbose=True,
):
    """Fit and score an estimator on every fold, for every point of a parameter grid.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        Needs ``fit``, ``predict``, ``get_params``, ``set_params``. Where it has them, ``transform`` (latent space),
        ``get_support`` (selected genes), ``gene_norms_`` and ``history_`` are kept too; if its ``fit`` takes
        ``eval_set``, the test fold is handed over for the curves over epochs, never to choose anything.
    data : PairedData or tuple (X, Y)
    folds : list of (train, test), optional
        Positions of the cells; `paper_folds` by default.
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
        Compute everything anew. The old file is replaced only when all is done.
    seed : int
        ``random_state`` for an estimator whose own is None.
    batched : bool, optional
        Train all folds, penalties and seeds of ``SparseBottleneckRegressor(protocol="paper")`` at once, as ensembles in
        batched matrix products. None does so on a CUDA device and nowhere else. An ensemble draws the numbers of single
        fits but adds in another order: the last bits differ, as between devices, and the difference may grow in
        training. So ``batched=True`` is part of what identifies a result, as the parameter `device` is, and what was
        fitted one by one is not mixed with it; with a CUDA device it says nothing new and is not.
    members_at_once : int, optional
        Largest ensemble, which is all that a killed run loses; see `sbnn.ensemble.fit_together`.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Record
        ``experiment="cross-validation"``; ``values`` has, over (folds, grid points): ``test_r2``, ``train_r2``,
        ``seconds`` (CPU; an equal share of an ensemble's), ``n_selected``; over (folds, grid points, outputs):
        ``test_feature_r2``, ``train_feature_r2``; over (folds, grid points, genes): ``selected`` (bool) and
        ``gene_norms``; lists indexed [grid point][fold]: ``test_predictions`` and ``test_latent`` (arrays over the
        test cells, in units of the scaled data) and ``history`` (tables); and ``gene_names``, ``feature_names``.
        Entries an estimator does not offer are left out.

    Raises
    ------
    ValueError
        If a fold has no training or test cell, shares a cell between them or points outside the data; if `scaling` is
        unknown; if `results` holds something else than (a part of) this experiment and `overwrite` is False; if a
        device is asked for that is not there; if `batched` is True for another estimator; if a fit of an ensemble gave
        no finite numbers, after all others are finished and saved.
    MemoryError
        If a GPU cannot hold even one network.
    OSError
        If the results cannot be written; checked before the first fit.
    """
    data = data if isinstance(data, PairedData) else PairedData(*data)
    if scaling not in SCALINGS:
        raise ValueError(f"scaling: {scaling!r} is unknown, expected one of {SCALINGS}")
    if data.Y.shape[1] == 0:
        raise ValueError(f"data: {data.name!r} has no outputs to predict")
    folds = _check_folds(paper_folds(len(data.X)) if folds is None else folds, len(data.X))
    points = list(ParameterGrid({} if param_grid is None else param_grid))
    models = [configured(estimator, point, seed) for point in points]

    stored = None if results is None or overwrite or not Path(results).exists() else load(results)
    known = None if stored is None else stored.settings.get("estimator")
    keys = [[_key(data, model, fold, scaling, known, batched) for fold in folds] for model in models]
    done = {} if stored is None else _outcomes(stored, keys, results)
    if len(done) == len(points) * len(folds):
        return stored
    together = ensemble.trained_together(models, batched, data.X)
    parts = None if results is None else Path(f"{results}.parts")
    if parts is not None:
        _make_writable(parts)
        done |= _finished_parts(parts, keys)

    # One task is one fit, or one warm-started path of fits along the estimator's path parameter.
    tasks = [
        (group, f)
        for group in _paths(estimator, points)
        for f in range(len(folds))
        if any(keys[g][f] not in done for g in group)
    ]
    scaled = source_arrays(data, scaling)
    jobs = (
        delayed(_fit_and_score)([models[g] for g in group], scaled, folds[f], scaling, (group, f))
        for group, f in tasks
        if not together[group[0]]
    )
    members = [(g, f) for group, f in tasks for g in group if together[g]]
    finished = chain(
        Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs),
        _fit_and_score_together(models, members, scaled, folds, scaling, members_at_once, n_jobs),
    )
    with tqdm(total=len(tasks), desc=f"{data.name}: folds", disable=not verbose) as bar:
        for (group, f), outcomes in finished:
            for g, outcome in zip(group, outcomes, strict=True):
                done[keys[g][f]] = outcome
                if parts is not None:
                    save(_record(data, [points[g]], [folds[f]], seed, {}, outcome), parts / f"{keys[g][f]}.pickle")
            bar.update()

    outcomes = [[done[key] for key in row] for row in keys]
    settings = {"estimator": described(estimator, known), "scaling": scaling, "keys": keys}
    settings |= {"batched": True} if any(together) else {}
    record = _record(data, points, folds, seed, settings, _gather(data, outcomes))
    if results is not None:
        save(record, results)
        shutil.rmtree(parts)
    return record


def _record(data, points, folds, seed, settings, values):
    return Record("cross-validation", data.name, data.sha256, points, seed, settings, folds, values)


def _check_folds(folds, n):
    checked = []
    for i, (train, test) in enumerate(folds):
        train, test = np.asarray(train), np.asarray(test)
        for name, cells in (("training", train), ("test", test)):
            if cells.size == 0:
                raise ValueError(f"folds: fold {i} has no {name} cell")
            if cells.dtype.kind not in "iu" or cells.min() < 0 or cells.max() >= n:
                raise ValueError(f"folds: the {name} cells of fold {i} must be positions from 0 to {n - 1}")
        shared = np.intersect1d(train, test)
        if shared.size:
            raise ValueError(
                f"folds: fold {i} has {shared.size} cell(s) both in training and in test, e.g. {shared[0]}"
            )
        checked.append((train, test))
    if not checked:
        raise ValueError("folds: there is none")
    return checked


def configured(estimator, point, seed):
    """Clone an estimator with the parameters of a grid point, and with a seed if it has none."""
    model = clone(estimator).set_params(**point)
    if model.get_params().get("random_state", 0) is None:
        model.set_params(random_state=seed)
    return model


def described(model, known=None):
    """Class and parameters of an estimator as plain data.

    With the description of an older record as `known`, parameters that it lacks are left out while they have their
    default: a parameter added to a class later does not make older results look different.
    """
    defaults = {k: p.default for k, p in inspect.signature(type(model)).parameters.items()} if known else {}
    params = {
        name: type(value).__name__ if hasattr(value, "get_params") else _plain(value)
        for name, value in sorted(model.get_params().items())
        if name.split("__")[-1] not in NOT_DECISIVE
        and not (known and name not in known["params"] and name in defaults and _plain(defaults[name]) == _plain(value))
    }
    return {"class": f"{type(model).__module__}.{type(model).__qualname__}", "params": params}


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _key(data, model, fold, scaling, known=None, batched=None):
    """Fingerprint of one fit: data, model, cells and scaling decide its result, and `batched` its last bits."""
    decisive = [data.name, data.sha256, list(data.X.shape), scaling, described(model, known)]
    if batched and not str(getattr(model, "device", None)).startswith("cuda"):  # where it is not usual
        decisive.append("batched")
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for cells in fold:
        digest.update(np.asarray(cells, dtype="<i8").tobytes() + b"|")
    return digest.hexdigest()[:32]


def _outcomes(record, keys, path):
    """Outcomes that a record holds, by key; an error if it holds any that are not asked for."""
    stored = record.settings.get("keys", [])
    surplus = {key for row in stored for key in row} - {key for row in keys for key in row}
    if surplus or not stored:
        raise ValueError(
            f"results: {path} holds {record.experiment} results for {record.dataset!r} with other data, folds, "
            "scaling or parameters, which would be lost; give another path, or overwrite=True to compute anew"
        )
    return {key: _cut(record, g, f) for g, row in enumerate(stored) for f, key in enumerate(row)}


def _finished_parts(parts, keys):
    """Outcomes of an interrupted run."""
    done = {}
    for key in (key for row in keys for key in row):
        path = parts / f"{key}.pickle"
        if path.exists():
            try:
                done[key] = load(path).values
            except ValueError as error:
                warnings.warn(f"computing again what {path} should hold: {error}", stacklevel=3)
    return done


def _make_writable(folder):
    """Make a folder and write to it: fail before hours of work, not after."""
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise type(error)(error.errno, f"results: cannot write to {folder}: {error.strerror}") from error


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


def _zscored(data):
    """Arrays z-scored over all cells, in double precision until the end."""
    X, Y = (StandardScaler().fit_transform(a.astype(np.float64)) for a in (data.X, data.Y))
    return X.astype(np.float32), Y.astype(np.float32), None


def _counts_behind(data):
    """The raw counts, if X is what `expression_pipeline` makes of them; else None: X was normalised in another way.

    So it is for some of the genes of a larger set, whose sum is not the library size of a cell.
    """
    counts = data.counts
    if counts is None or (np.asarray(counts.sum(axis=1)) == 0).any():
        return None
    expected = log2p1(normalize_library_size(counts))
    expected = expected.toarray() if sparse.issparse(expected) else expected
    return counts if np.allclose(expected, data.X, rtol=1e-4, atol=1e-4) else None


def source_arrays(data, scaling):
    """What folds are cut from: genes, outputs and, where genes can be normalised anew in every fold, counts or None."""
    return _zscored(data) if scaling == "all" else (data.X, data.Y, _counts_behind(data))


def split_fold(data, fold, scaling):
    """Training and test arrays of a fold, scaled without a look at the test cells (but for "all")."""
    X, Y, counts = data
    train, test = fold
    if scaling == "fold":
        scaler = Standardizer(constant="zero") if counts is None else expression_pipeline()
        source = X if counts is None else counts
        X_train, X_test = scaler.fit_transform(source[train]), scaler.transform(source[test])
        scaler = StandardScaler().fit(Y[train].astype(np.float64))
        Y_train, Y_test = (scaler.transform(Y[cells].astype(np.float64)) for cells in fold)
    else:
        X_train, X_test, Y_train, Y_test = X[train], X[test], Y[train], Y[test]
    if scaling == "all":
        X_test, X_train = X_test - X_train.mean(0), X_train - X_train.mean(0)
        Y_test, Y_train = Y_test - Y_train.mean(0), Y_train - Y_train.mean(0)
    return tuple(np.ascontiguousarray(a, dtype=np.float32) for a in (X_train, Y_train, X_test, Y_test))


def split_and_scale(data, fold, scaling="fold"):
    """Training and test arrays of a fold, as `cross_validate` hands them to an estimator.

    Parameters
    ----------
    data : PairedData
    fold : tuple of ndarray
        Positions of the training and of the test cells.
    scaling : {"fold", "all", "none"}

    Returns
    -------
    X_train, Y_train, X_test, Y_test : ndarray of float32
    """
    return split_fold(source_arrays(data, scaling), fold, scaling)


def _fit_and_score(models, data, fold, scaling, label):
    """Outcomes of one task, with its label; runs in a worker."""
    with reproducible():
        X_train, Y_train, X_test, Y_test = split_fold(data, fold, scaling)
        outcomes = []
        started = time.process_time()
        for model in _fitted(models, X_train, Y_train, X_test, Y_test):
            seconds = time.process_time() - started
            outcomes.append({"seconds": seconds, **_score(model, X_train, Y_train, X_test, Y_test)})
            started = time.process_time()
    return label, outcomes


def _fit_and_score_together(models, members, data, folds, scaling, members_at_once, n_jobs):
    """Outcomes of pairs (grid point, fold) that are trained as ensembles, labelled as those of single tasks."""
    failed = {}
    ensembles = ensemble.fit_together(
        [models[g] for g, _ in members],
        [f for _, f in members],
        lambda f: split_fold(data, folds[f], scaling),
        members_at_once,
        n_jobs,
    )
    for fitted in ensembles:
        for i, model, arrays, seconds in fitted:
            g, f = members[i]
            try:
                with reproducible():
                    outcome = {"seconds": seconds, **_score(model, *arrays)}
            except ValueError as error:  # its predictions are not finite; those of the others may be
                failed[g, f] = error
            else:
                yield ([g], f), [outcome]
    if failed:
        (g, f), error = next(iter(failed.items()))
        raise ValueError(
            f"{len(failed)} of {len(members)} fits cannot be scored, the first on fold {f} with {models[g]!r}: {error}"
        ) from error


def _fitted(models, X_train, Y_train, X_test, Y_test):
    parameter = getattr(models[0], "path_parameter", None)
    if parameter is not None and len(models) > 1:
        yield from models[0].fit_path(X_train, Y_train, [getattr(model, parameter) for model in models])
        return
    for model in models:
        watched = "eval_set" in inspect.signature(model.fit).parameters
        yield model.fit(X_train, Y_train, **({"eval_set": (X_test, Y_test)} if watched else {}))


def _score(model, X_train, Y_train, X_test, Y_test):
    mean = Y_train.mean(0, dtype=np.float64)
    outcome = {}
    for part, X, Y in (("test", X_test, Y_test), ("train", X_train, Y_train)):
        predicted = np.asarray(model.predict(X)).reshape(Y.shape)
        outcome[f"{part}_r2"] = pooled_r2(Y, predicted, mean)
        outcome[f"{part}_feature_r2"] = feature_r2(Y, predicted, mean)
        if part == "test":
            outcome["test_predictions"] = predicted.astype(np.float32)
    if hasattr(model, "get_support"):
        outcome["selected"] = np.asarray(model.get_support())
        outcome["n_selected"] = int(outcome["selected"].sum())
    if hasattr(model, "gene_norms_"):
        outcome["gene_norms"] = model.gene_norms_.astype(np.float32)
    if hasattr(model, "transform"):
        outcome["test_latent"] = np.asarray(model.transform(X_test)).astype(np.float32)
    if hasattr(model, "history_"):
        outcome["history"] = model.history_.astype({c: "float32" for c in model.history_.select_dtypes("float64")})
    return outcome


NESTED = ("test_predictions", "test_latent", "history")  # their shapes differ between folds or grid points


def _gather(data, outcomes):
    """Arrays over (folds, grid points, ...) and nested lists [grid point][fold] from the outcomes of single fits."""
    values = {"gene_names": data.gene_names, "feature_names": data.feature_names}
    for name in outcomes[0][0]:
        rows = [[outcome[name] for outcome in row] for row in outcomes]
        values[name] = rows if name in NESTED else np.array(rows).swapaxes(0, 1)
    return values


def _cut(record, g, f):
    """The outcome of one fit back out of a gathered record."""
    outcome = {}
    for name, value in record.values.items():
        if name in NESTED:
            outcome[name] = value[g][f]
        elif name not in ("gene_names", "feature_names"):
            outcome[name] = value[f, g] if np.ndim(value) > 2 else value[f, g].item()
    return outcome


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
    return pd.concat([table.assign(fold=f) for f, table in enumerate(tables)], ignore_index=True)
