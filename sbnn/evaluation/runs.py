"""Save results, and load them only if every argument of the call is the same."""

import dataclasses
import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from tqdm.auto import tqdm

from sbnn.data.fingerprint import NOT_DECISIVE, bound_arguments, fingerprint, fingerprint_arguments
from sbnn.results import list_differences, load, save
from sbnn.store import ENDING, encode, read_file, write_file

# values of a fit whose shapes differ between fits
NESTED = ("test_predictions", "test_latent", "history", "test_probabilities")
OR_ELSE = "give another path, or pass overwrite=True"


def configure(estimator, point, seed):
    """Clone with the parameters of a grid point, and seeds in place of None."""
    model = clone(estimator).set_params(**point)
    seeds = {}
    for name, value in model.get_params().items():
        if value is None and name.endswith("random_state"):
            seeds[name] = seed
    return model.set_params(**seeds)


def describe_estimator(model):
    """Package, class and parameters of an estimator as plain data, for tables."""
    params = model.get_params()
    shown = {name: params[name] for name in params if name.split("__")[-1] not in NOT_DECISIVE}
    plain = json.loads(json.dumps(shown, default=_plain, skipkeys=True))
    package = type(model).__module__.partition(".")[0]
    return {"class": f"{package}.{type(model).__qualname__}", "params": plain}


def _plain(value):
    """Entries of JSON in place of an object."""
    if hasattr(value, "get_params"):
        return type(value).__name__  # its parameters are listed separately
    if dataclasses.is_dataclass(value):
        return vars(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return repr(value)


def store_result(
    function=None, *, is_complete: Callable[..., bool] = lambda record, arguments: True
):
    """Decorate a function with the arguments `results` and `overwrite` that returns a `Record`.

    The record is saved in the file `results`. A later call loads it if all arguments are the same
    (those in `NOT_DECISIVE` aside); otherwise, a ValueError names those that differ. With
    `overwrite`, or if the record is not complete, the function is called again.

    Parameters
    ----------
    is_complete : callable
        Of a loaded record and the dict of arguments.
    """
    if function is None:
        return functools.partial(store_result, is_complete=is_complete)

    @functools.wraps(function)
    def load_or_compute(*args, **kwargs):
        arguments = bound_arguments(function, args, kwargs)
        if arguments["results"] is None:
            return function(*args, **kwargs)
        path = Path(arguments["results"])
        prints = {"function": function.__name__} | fingerprint_arguments(function, args, kwargs)
        if path.is_dir() or (path.exists() and not arguments["overwrite"]):
            record = load(path)  # an error if it is a folder
            other = list_differences(record.arguments, prints)
            if other:
                raise ValueError(
                    f"results: {path} holds a result that differs in {', '.join(other)}; {OR_ELSE}"
                )
            if is_complete(record, arguments):
                return record
        _require_writable(path.parent)
        record = dataclasses.replace(function(*args, **kwargs), arguments=prints)
        save(record, path)
        return record

    return load_or_compute


def fit_all(record, fits, results=None, overwrite=False, n_jobs=1, verbose=True):
    """Do all fits, save the record with their values, and return it.

    `fits`, [grid point][fold], are calls (as `functools.partial`) that return a dict of values.
    Each is identified by the content of all its arguments. Until the record is complete, each
    finished fit is in the file ``<results>.parts/<key>.pickle.xz``, from which a run that was
    killed goes on, also with `overwrite`.
    """
    if results is None:  # nothing has to be identified, whatever the parameters are
        keys = [[f"{g}, {f}" for f in range(len(row))] for g, row in enumerate(fits)]
    else:
        arguments, keys = _identities(fits)
        settings = record.settings | {"keys": keys}
        record = dataclasses.replace(record, arguments=arguments, settings=settings)
    calls = dict(zip(chain(*keys), chain(*fits), strict=True))
    done = {}
    parts = {}
    if results is not None:
        path = Path(results)
        parts = {key: Path(f"{path}.parts", f"{key}{ENDING}") for key in calls}
        if path.is_dir() or (path.exists() and not overwrite):
            held = load(path)  # an error if it is a folder
            done = _fits_of(held, record, path)
            if held.settings["keys"] == keys:  # in the same order
                return held
        encode(vars(record))  # an error before the fits, if it cannot be saved
        _require_writable(path.parent)
        done |= {key: read_file(part, dict) for key, part in parts.items() if part.exists()}

    missing = {key: call for key, call in calls.items() if key not in done}
    jobs = [delayed(call.func)(*call.args, **call.keywords) for call in missing.values()]
    finished = in_workers(jobs, n_jobs)
    bar = tqdm(finished, record.dataset, len(missing), disable=not verbose)
    for key, values in zip(missing, bar, strict=True):
        done[key] = values
        if key in parts:
            write_file(values, parts[key])
    values = {}
    by_place = [[done[key] for key in row] for row in keys]
    for name in dict.fromkeys(chain(*chain(*by_place))):
        values[name] = _turned(name, [[fit.get(name) for fit in row] for row in by_place])
    record = dataclasses.replace(record, values=record.values | values)
    if results is not None:
        save(record, path)
    for part in parts.values():
        part.unlink(missing_ok=True)
        with suppress(OSError):
            part.parent.rmdir()  # if there are no more fits, also of other runs
    return record


def _identities(fits):
    """By argument, the fingerprints in all fits; and the key of each fit, [grid point][fold]."""
    # Fingerprints by identity of the object, as many fits share their data; `fits` keeps all alive.
    known = {}

    def fingerprint_once(value):
        if id(value) not in known:
            known[id(value)] = fingerprint(value)
        return known[id(value)]

    arguments = {"function": []}
    keys = []
    for row in fits:
        keys.append([])
        for fit in row:
            bound = bound_arguments(fit.func, fit.args, fit.keywords)
            prints = {"function": fit.func.__name__}
            for name, value in bound.items():
                if name not in NOT_DECISIVE:
                    prints[name] = fingerprint_once(value)
            for name, value in prints.items():
                of_fits = arguments.setdefault(name, [])
                if value not in of_fits:
                    of_fits.append(value)
            keys[-1].append(hashlib.sha256(json.dumps(prints).encode()).hexdigest()[:32])
    return arguments, keys


def _fits_of(held, record, path):
    """Values of each fit of a record that was saved, by key; all must be among those asked for."""
    keys = held.settings.get("keys", [])
    asked = {*chain(*record.settings["keys"])}
    if not keys or not {*chain(*keys)} <= asked:
        names = record.arguments | held.arguments
        other = [
            name
            for name in names
            # an argument that the held fits lack differs, too
            if not {*held.arguments.get(name, ["none"])} <= {*record.arguments.get(name, [])}
        ]
        raise ValueError(
            f"results: {path} holds fits that differ in {', '.join(other) or 'their folds'}, and "
            f"would be lost; {OR_ELSE}"
        )
    fits = {key: {} for key in chain(*keys)}
    for name in held.values.keys() - record.values.keys():
        rows = _turned(name, held.values[name])
        for key, value in zip(chain(*keys), chain(*rows), strict=True):
            fits[key][name] = value
    return fits


def _turned(name, rows):
    """Lists [grid point][fold], or an array (folds, grid points, ...), or the reverse."""
    return rows if name in NESTED else np.swapaxes(rows, 0, 1)


def _require_writable(folder):
    """Rather than hours later."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def in_workers(calls, n_jobs) -> Iterator:
    """Yield results of delayed calls, on a cluster within ``joblib.parallel_config``."""
    return Parallel(n_jobs=n_jobs, return_as="generator")(calls)
