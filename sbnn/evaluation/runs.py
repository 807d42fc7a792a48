"""Save results, and load them only if data, settings and algorithm are the same."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from joblib import Parallel
from tqdm.auto import tqdm

from sbnn.evaluation.identity import described
from sbnn.results import library_versions, load, save
from sbnn.store import read, write

# values of a fit whose shapes differ between fits
NESTED = ("test_predictions", "test_latent", "history", "test_probabilities")
IDENTITY = ("experiment", "dataset", "sha256", "seed", "params")
OR_ELSE = "give another path, or pass overwrite=True"


def load_or_compute(wanted, compute, results=None, overwrite=False, *, estimator=None):
    """Load a record like `wanted`, which has no values, or save what `compute` returns."""
    if estimator is not None:
        settings = {"estimator": described(estimator)} | wanted.settings
        version = getattr(estimator, "algorithm_version", 1)
        if version > 1:
            settings["version"] = version
        wanted = replace(wanted, settings=settings)
    if results is None:
        return replace(wanted, values=compute())
    path = Path(results)
    if path.exists() and not overwrite:
        stored = load(path)
        _require_same(stored, wanted, path)
        return stored
    _require_writable(path.parent)
    record = replace(wanted, values=compute())
    save(record, path)
    return record


def _require_same(stored, wanted, path):
    held, asked = (
        {name: vars(record)[name] for name in IDENTITY} | record.settings
        for record in (stored, wanted)
    )
    differing = [name for name in asked | held if asked.get(name) != held.get(name)]
    if differing:
        raise ValueError(
            f"results: {path} holds a result that differs in {', '.join(differing)}; {OR_ELSE}"
        )


def fit_all(wanted, keys, plan, *, results=None, overwrite=False, n_jobs=1, verbose=True):
    """Fit all models to all folds, and save the record.

    `keys`, [grid point][fold], name all that determines a fit. Until the record is complete, each
    finished fit is in the file ``<results>.parts/<key>.pickle``. So a run that was killed goes on
    with the others, and so does a record with fewer grid points or folds.

    ``plan(places)`` returns delayed calls for the fits at some places (grid point, fold), which
    return the values of a fit.
    """
    wanted = replace(wanted, settings=wanted.settings | {"keys": keys})
    if results is None:
        return _completed(wanted, plan, {}, {}, n_jobs, verbose)
    path = Path(results)
    folder = Path(f"{path}.parts")
    parts = {key: folder / f"{key}.pickle" for key in chain(*keys)}
    done = {}
    if path.exists() and not overwrite:
        record = load(path)
        done = _fits_of(record, wanted, path)
    if len(done) < len(parts):
        _require_writable(path.parent)
        done |= {key: read(part, dict) for key, part in parts.items() if part.exists()}
        record = _completed(wanted, plan, done, parts, n_jobs, verbose)
        save(record, path)
    for part in parts.values():
        part.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()  # if there are no fits of other runs
    return record


def _completed(wanted, plan, done, parts, n_jobs, verbose):
    """The record with the fits that are `done`, by key, and all others, saved in `parts`."""
    keys = wanted.settings["keys"]
    places = np.ndenumerate(np.array(keys))
    missing = {key: place for place, key in places if key not in done}
    finished = in_workers(plan(list(missing.values())), n_jobs)
    bar = tqdm(finished, wanted.dataset, len(missing), disable=not verbose)
    for key, values in zip(missing, bar, strict=True):
        done[key] = values
        if key in parts:
            write(values, parts[key])
    values = dict(wanted.values)
    fits = [[done[key] for key in row] for row in keys]
    for name in dict.fromkeys(chain(*chain(*fits))):
        value = [[fit.get(name) for fit in row] for row in fits]
        # lists [grid point][fold], or arrays (folds, grid points, ...)
        values[name] = value if name in NESTED else np.array(value).swapaxes(0, 1)
    return replace(wanted, values=values, versions=library_versions())


def _fits_of(record, wanted, path):
    """Values of each fit of a record, by key."""
    keys = record.settings.get("keys", [])
    if not keys or not {*chain(*keys)} <= {*chain(*wanted.settings["keys"])}:
        raise ValueError(
            f"results: {path} holds results with different data, folds, scaling, preselection or "
            f"parameters, which would be lost; {OR_ELSE}"
        )
    fits = {key: {} for key in chain(*keys)}
    for name in record.values.keys() - wanted.values.keys():
        value = record.values[name]
        for (g, f), key in np.ndenumerate(np.array(keys)):
            fits[key][name] = value[g][f] if name in NESTED else value[f, g]
    return fits


def _require_writable(folder):
    """Rather than hours later."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def in_workers(calls, n_jobs, return_as="generator"):
    """Yield results of delayed calls, on a cluster within ``joblib.parallel_config``."""
    return Parallel(n_jobs=n_jobs, return_as=return_as)(calls)
