"""Save results, and load them only if data, cells, estimator, seed and algorithm are the same."""

import dataclasses
import hashlib
import json
import tempfile
from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np
from joblib import Parallel
from sklearn.base import clone
from tqdm.auto import tqdm

from sbnn.results import differing, library_versions, load, names_in, save
from sbnn.store import read, write

# values of a fit whose shapes differ between fits
NESTED = ("test_predictions", "test_latent", "history", "test_probabilities")
IDENTITY = ("experiment", "dataset", "sha256", "seed", "params")
OR_ELSE = "give another path, or pass overwrite=True"
NOT_DECISIVE = ("verbose", "n_jobs")  # do not change a result


def configured(estimator, point, seed):
    """Clone with the parameters of a grid point, and seeds in place of None."""
    model = clone(estimator).set_params(**point)
    seeds = {}
    for name, value in model.get_params().items():
        if value is None and name.endswith("random_state"):
            seeds[name] = seed
    return model.set_params(**seeds)


def described(model):
    """Package, class and parameters of an estimator as plain data.

    An estimator can define ``decisive_params``.
    """
    params = model.decisive_params() if hasattr(model, "decisive_params") else model.get_params()
    params = {name: params[name] for name in params if not name.endswith(NOT_DECISIVE)}
    plain = json.loads(json.dumps(params, default=_plain))
    package = type(model).__module__.partition(".")[0]
    return {"class": f"{package}.{type(model).__qualname__}", "params": plain}


def version_of(model):
    """Version of its algorithm, from the second on."""
    version = getattr(model, "algorithm_version", 1)
    return {"version": version} if version > 1 else {}


def fit_key(data, model, fold, scaling, **besides):
    """Fingerprint of what determines a fit; `data` is name, fingerprint and shape."""
    besides = {"besides": besides} if besides else {}
    # entries of later versions are left out if they are empty
    more = filter(None, [version_of(model), besides])
    decisive = [*data, scaling, described(model), *more]
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for cells in fold:
        digest.update(np.asarray(cells, dtype="<i8").tobytes() + b"|")
    return digest.hexdigest()[:32]


def _plain(value):
    """Entries of JSON in place of an object."""
    if hasattr(value, "get_params"):
        return type(value).__name__  # its parameters are listed separately
    if dataclasses.is_dataclass(value):
        return vars(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return repr(value)


def load_or_compute(wanted, compute, results=None, overwrite=False, *, estimator=None):
    """Load a record like `wanted`, or save it with the values that `compute` returns."""
    if estimator is not None:
        settings = {"estimator": described(estimator)} | wanted.settings | version_of(estimator)
        wanted = dataclasses.replace(wanted, settings=settings)
    if results is not None:
        path = Path(results)
        if path.is_dir() or path.exists() and not overwrite:
            stored = load(path)  # an error if it is a folder
            held, asked = (
                {name: vars(record)[name] for name in IDENTITY}
                | record.settings
                | names_in(record, wanted)
                for record in (stored, wanted)
            )
            other = ", ".join(differing(held, asked))
            if other:
                raise ValueError(
                    f"results: {path} holds a result that differs in {other}; {OR_ELSE}"
                )
            return stored
        _require_writable(path.parent)
    values = wanted.values | compute()
    record = dataclasses.replace(wanted, values=values, versions=library_versions())
    if results is not None:
        save(record, path)
    return record


def fit_all(wanted, keys, plan, results=None, overwrite=False, n_jobs=1, verbose=True):
    """Fit all models to all folds, and save the record.

    `keys`, [grid point][fold], name all that determines a fit. Until the record is complete, each
    finished fit is in the file ``<results>.parts/<key>.pickle``, from which a run that was killed
    goes on.

    ``plan(places)`` returns delayed calls for the fits at some places (grid point, fold).
    """
    wanted = dataclasses.replace(wanted, settings=wanted.settings | {"keys": keys})
    done = {}
    parts = {}
    if results is not None:
        path = Path(results)
        parts = {key: Path(f"{path}.parts", f"{key}.pickle") for key in chain(*keys)}
        if path.exists() and not overwrite:
            record = load(path)
            done = _fits_of(record, wanted, path)
            if len(done) == len(parts):
                return record
        done |= {key: read(part, dict) for key, part in parts.items() if part.exists()}

    def compute():
        places = np.ndenumerate(np.array(keys))
        missing = {key: place for place, key in places if key not in done}
        finished = in_workers(plan(list(missing.values())), n_jobs)
        bar = tqdm(finished, wanted.dataset, len(missing), disable=not verbose)
        for key, values in zip(missing, bar, strict=True):
            done[key] = values
            if key in parts:
                write(values, parts[key])
        values = {}
        fits = [[done[key] for key in row] for row in keys]
        for name in dict.fromkeys(chain(*chain(*fits))):
            values[name] = _turned(name, [[fit.get(name) for fit in row] for row in fits])
        return values

    record = load_or_compute(wanted, compute, results, overwrite=True)
    for part in parts.values():
        part.unlink(missing_ok=True)
        with suppress(OSError):
            part.parent.rmdir()  # if there are no more fits, also of other runs
    return record


def _fits_of(record, wanted, path):
    """Values of each fit of a record, by key."""
    keys = record.settings.get("keys", [])
    same = {*chain(*keys)} <= {*chain(*wanted.settings["keys"])}
    if not (keys and same) or names_in(record, wanted) != names_in(wanted, wanted):
        raise ValueError(
            f"results: {path} holds results with different data, names, folds, scaling, "
            f"preselection or parameters, which would be lost; {OR_ELSE}"
        )
    fits = {key: {} for key in chain(*keys)}
    for name in record.values.keys() - wanted.values.keys():
        rows = _turned(name, record.values[name])
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


def in_workers(calls, n_jobs):
    """Yield results of delayed calls, on a cluster within ``joblib.parallel_config``."""
    return Parallel(n_jobs=n_jobs, return_as="generator")(calls)
