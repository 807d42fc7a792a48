"""Save results, and load them only if every argument of the call is the same."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, overload

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone
from tqdm.auto import tqdm

from sbnn.data.fingerprint import NOT_DECISIVE, bound_arguments, fingerprint, fingerprint_arguments
from sbnn.errors import check_number, check_path, warn
from sbnn.files import require_writable
from sbnn.results import Record, list_differences, load, save
from sbnn.store import ENDING, RECORD, encode, read_file, write_file

# values of a fit whose shapes differ between fits
RAGGED = ("test_predictions", "test_latent", "history", "test_probabilities")
REMEDY = "give another path, or pass overwrite=True"

Arguments = ParamSpec("Arguments")
Values = dict[str, Any]
Fits = Sequence[Sequence[functools.partial[Values]]]  # [grid point][fold]


def check_estimator(model: Any) -> None:
    """Reject what is no estimator, such as a class without its brackets."""
    if isinstance(model, type) or not hasattr(model, "get_params"):
        raise TypeError(
            f"estimator, model: expected one such as LeaveOneOutRidge(), got {model!r:.80}"
        )


def configure(estimator: BaseEstimator, point: Mapping[str, Any], seed: int) -> BaseEstimator:
    """Clone with the parameters of a grid point, and seeds in place of None."""
    check_estimator(estimator)
    check_number("seed", seed, int, low=0, high=2**32 - 1)
    try:
        model = clone(estimator).set_params(**point)
    except AttributeError as error:  # of scikit-learn, which does not name it
        raise ValueError(
            f"estimator: parameters {[*point]} are those of an estimator in it that is None; give "
            "that one to it first"
        ) from error
    for name, value in model.get_params().items():
        if value is None and name.endswith("random_state"):
            model.set_params(**{name: seed})
    return model


def require_methods(estimator: BaseEstimator, *names: str) -> None:
    """Reject an estimator without methods that its results need, before any fit."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"estimator: {type(estimator).__name__} has no {', '.join(missing)}; expected a model "
            "that selects genes, such as SparseReducedRankRegression"
        )


def describe_estimator(model: BaseEstimator) -> dict[str, Any]:
    """Package, class and parameters of an estimator as plain data, for tables."""
    check_estimator(model)
    decisive = {}
    for name, value in model.get_params().items():
        if name.split("__")[-1] not in NOT_DECISIVE:
            decisive[name] = value
    text = json.dumps(decisive, default=_json_value, skipkeys=True)
    package = type(model).__module__.partition(".")[0]
    return {"class": f"{package}.{type(model).__qualname__}", "params": json.loads(text)}


def _json_value(value):
    """Convert an object that JSON cannot hold to one that it can."""
    if hasattr(value, "get_params"):
        return type(value).__name__  # its parameters are listed separately
    if dataclasses.is_dataclass(value):
        return vars(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, range):
        return list(value)
    return repr(value)


@overload
def store_result(function: Callable[Arguments, Record]) -> Callable[Arguments, Record]: ...


@overload
def store_result(
    *,
    is_complete: Callable[[Record, dict[str, Any]], bool] = ...,
    convert: Callable[[Any], Any] | None = ...,
) -> Callable[[Callable[Arguments, Record]], Callable[Arguments, Record]]: ...


def store_result(function=None, *, is_complete=lambda record, arguments: True, convert=None):
    """Decorate a function with the arguments `results` and `overwrite` that returns a `Record`.

    The record is saved in the file `results`. A later call loads it if all arguments are the same
    (those in `NOT_DECISIVE` aside); otherwise, a ValueError names those that differ. With
    `overwrite`, or if the record is not complete, the function is called again.

    Parameters
    ----------
    is_complete : callable
        Takes a loaded record and the dict of arguments, and returns whether the record is complete.
    convert : callable, optional
        Converts the argument `data` to what identifies it, so that the same cells in another
        container are the same argument.
    """
    if function is None:
        return functools.partial(store_result, is_complete=is_complete, convert=convert)

    @functools.wraps(function)
    def load_or_compute(*args, **kwargs):
        arguments: dict[str, Any] = bound_arguments(function, args, kwargs)
        if arguments["results"] is None:
            return function(*args, **kwargs)
        check_path("results", arguments["results"])
        path = Path(arguments["results"])
        identified = dict(arguments)
        if convert is not None:
            identified["data"] = convert(arguments["data"])
        prints = {"function": function.__name__} | fingerprint_arguments(identified)
        if path.exists() and not arguments["overwrite"]:
            saved = _load_saved(path)
            differences = list_differences(saved.arguments, prints)
            if differences:
                raise ValueError(
                    f"results: {path} holds a result that differs in {', '.join(differences)}; "
                    f"{REMEDY}"
                )
            if is_complete(saved, arguments):
                return saved
        require_writable(path, RECORD)
        record = dataclasses.replace(function(*args, **kwargs), arguments=prints)
        save(record, path)
        return record

    return load_or_compute


def fit_all(
    record: Record,
    fits: Fits,
    results: str | PathLike[str] | None = None,
    overwrite: bool = False,
    n_jobs: int = 1,
    verbose: bool = True,
) -> Record:
    """Do all fits, save the record with their values, and return it.

    `fits`, [grid point][fold], are calls (as `functools.partial`) that return a dict of values.
    Each is identified by the content of all its arguments. Until the record is complete, each
    finished fit is in a file ``<results>.parts/<key>....pickle.xz``, from which a run that was
    killed goes on, also with `overwrite`. A fit whose file is damaged is done again.
    """
    if results is None:  # nothing has to be identified, whatever the parameters are
        keys = [[f"{point}, {fold}" for fold in range(len(row))] for point, row in enumerate(fits)]
    else:
        arguments, keys = _fingerprint_fits(fits)
        settings = record.settings | {"keys": keys}
        record = dataclasses.replace(record, arguments=arguments, settings=settings)
    calls = dict(zip(chain(*keys), chain(*fits), strict=True))
    done: dict[str, Values] = {}
    parts: dict[str, Path] = {}
    if results is not None:
        check_path("results", results)
        path = Path(results)
        # fits of an interrupted run may have kept something else
        kept = "".join(arguments.get("keep", []))[:8]
        parts = {key: Path(f"{path}.parts", f"{key}{kept}{ENDING}") for key in calls}
        if path.exists() and not overwrite:
            saved = _load_saved(path)
            done = _saved_fits(saved, record, path)
            if saved.settings["keys"] == keys:  # in the same order
                return saved
        encode(vars(record))  # an error before the fits, if it cannot be saved
        require_writable(path, RECORD)
        done |= _finished_fits(parts)

    missing = {key: call for key, call in calls.items() if key not in done}
    jobs = [delayed(call.func)(*call.args, **call.keywords) for call in missing.values()]
    finished = in_workers(jobs, n_jobs)
    bar = tqdm(finished, record.dataset, len(missing), disable=not verbose)
    for key, values in zip(missing, bar, strict=True):
        done[key] = values
        if key in parts:
            write_file(values, parts[key])
    all_values: Values = {}
    by_place = [[done[key] for key in row] for row in keys]  # [grid point][fold]
    for name in dict.fromkeys(chain(*chain(*by_place))):
        rows = [[values.get(name) for values in row] for row in by_place]
        all_values[name] = rows if name in RAGGED else np.asarray(rows).swapaxes(0, 1)
    record = dataclasses.replace(record, values=record.values | all_values)
    if results is not None:
        save(record, path)
    for part in parts.values():
        part.unlink(missing_ok=True)
        with suppress(OSError):
            part.parent.rmdir()  # if there are no more fits, also of other runs
    return record


def _fingerprint_fits(fits):
    """By argument, the fingerprints in all fits; and the key of each fit, [grid point][fold]."""
    # many fits share their data; `fits` keeps all objects alive, so that their ids stay unique
    prints_by_id = {}

    def fingerprint_once(value):
        if id(value) not in prints_by_id:
            prints_by_id[id(value)] = fingerprint(value)
        return prints_by_id[id(value)]

    arguments: dict[str, list[str]] = {"function": []}
    keys: list[list[str]] = []
    for row in fits:
        keys.append([])
        for fit in row:
            prints = {"function": fit.func.__name__}
            for name, value in bound_arguments(fit.func, fit.args, fit.keywords).items():
                # a panel follows from the estimator
                if name not in NOT_DECISIVE and name != "panel":
                    prints[name] = fingerprint_once(value)
            for name, value in prints.items():
                in_all_fits = arguments.setdefault(name, [])
                if value not in in_all_fits:
                    in_all_fits.append(value)
            # what fits keep is not in their keys, as it was not in those of stored results
            prints.pop("keep", None)
            digest = hashlib.sha256(json.dumps(prints).encode())
            keys[-1].append(digest.hexdigest()[:32])
    return arguments, keys


def _saved_fits(saved, record, path):
    """Values of each fit of a record that was saved, by key; all must be among those asked for."""
    keys = saved.settings.get("keys", [])
    saved_keys = list(chain(*keys))
    # results of earlier versions do not say what they keep
    saved_arguments = {"keep": record.arguments.get("keep", [])} | saved.arguments
    differences = []
    for name in record.arguments | saved_arguments:
        # an argument that the saved fits lack differs, too
        prints = saved_arguments.get(name, ["none"])
        if not {*prints} <= {*record.arguments.get(name, [])}:
            differences.append("model (or its version)" if name == "model" else name)
    are_asked_for = {*saved_keys} <= {*chain(*record.settings["keys"])}
    if not saved_keys or not are_asked_for or "keep" in differences:
        raise ValueError(
            f"results: {path} holds fits that differ in {', '.join(differences) or 'their folds'}, "
            f"and would be lost; {REMEDY}"
        )
    fits: dict[str, Values] = {key: {} for key in saved_keys}
    for name, values in saved.values.items():
        if name in record.values or name == "cells_behind":  # of the data, not of a fit
            continue
        rows = values if name in RAGGED else np.swapaxes(values, 0, 1)
        for key, value in zip(saved_keys, chain(*rows), strict=True):
            fits[key][name] = value
    return fits


def _load_saved(path):
    """Record in the file `results`; an error if it is a folder, or holds none."""
    try:
        return load(path)
    except ValueError as error:
        raise ValueError(f"results: {error}") from error


def _finished_fits(parts):
    """Values of each fit of a run that was interrupted, by key; `parts` are the paths of all."""
    fits: dict[str, Values] = {}
    for key, part in parts.items():
        with suppress(FileNotFoundError):  # another process that does the same fits may delete it
            try:
                fits[key] = read_file(part, build=lambda values: {**values})
            except ValueError:
                warn(f"results: {part} is damaged; its fit is done again")
                part.unlink()
    return fits


def in_workers(calls: Iterable, n_jobs: int) -> Iterator:
    """Yield results of delayed calls, on a cluster within ``joblib.parallel_config``."""
    if n_jobs is not None:
        check_number("n_jobs", n_jobs, int)
    return Parallel(n_jobs=n_jobs, return_as="generator")(calls)
