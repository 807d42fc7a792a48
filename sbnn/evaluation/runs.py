"""Save results, and load saved results only if the data, the settings and the version of the algorithm are the same."""

import multiprocessing
import os
import re
import tempfile
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
from filelock import FileLock, Timeout
from joblib import Parallel, cpu_count
from tqdm.auto import tqdm

from sbnn.errors import check_flag, check_number
from sbnn.evaluation.identity import described, fit_key, version_of
from sbnn.results import drop_leftovers, library_versions, load, results_path, save

# Values whose shapes differ between folds or grid points.
NESTED = ("test_predictions", "test_latent", "history", "test_probabilities")
NAMES = ("gene_names", "feature_names", "cell_names")  # names in the data, if present
# Values of a whole record, not of single fits.
ABOUT = (*NAMES, "family_names", "classes", "true", "repeats", "preselected")
OF_FITS, OR_ELSE = (
    "data, folds, scaling, preselection or parameters",
    "give another path, or pass overwrite=True",
)
# file of a finished fit, or of an interrupted write
PART = re.compile(r"\.?([0-9a-f]{32})\.pickle(\..{8}\.tmp)?")


def load_or_compute(
    wanted, compute, results=None, overwrite=False, *, estimator=None, n_cells=None
):
    """Load the saved record that matches `wanted`, a record without values, or compute the values
    and save the record.

    Two records match if everything except their values agrees, including the class, parameters and
    version of the `estimator`.
    """
    # the working folder may change
    path = None if results is None else results_path(results, "results").absolute()
    if estimator is not None:
        wanted.settings = {"estimator": described(estimator)} | wanted.settings
        if (version := version_of(estimator, n_cells)) > 1:
            wanted.settings["version"] = version

    def answer(stored):
        held, asked = _question(stored), _question(wanted)
        if estimator is not None and "estimator" in held:
            asked["estimator"] = described(estimator, held["estimator"])
            asked["parameters"] = held["parameters"]  # already compared as part of the estimator
        if differing := [name for name in asked | held if asked.get(name) != held.get(name)]:
            raise ValueError(
                f"results: {path} holds a result that differs in {', '.join(differing)}; {OR_ELSE}"
            )
        return stored

    return _once(path, overwrite, answer, lambda: replace(wanted, values=compute()))


def _question(record):
    """Entries that identify a record, as a dict by name."""
    about = {
        "experiment": record.experiment,
        "data set": record.dataset,
        "data": record.sha256,
        "seed": record.seed,
    }
    return about | {"parameters": record.params} | record.settings


def fit_all(
    wanted,
    models,
    plan,
    estimator,
    scaling,
    besides,
    *,
    results=None,
    overwrite=False,
    n_jobs=1,
    verbose=True,
):
    """Compute a record of the fits for all folds and grid points; each finished fit is saved next
    to the record.

    `models` is indexed as [grid point][fold]; `besides` contains everything else that determines a
    fit. ``plan(done)`` returns the jobs for all fits whose outcomes are not yet in `done`, and may
    add values to `wanted`. Each job returns [((grid point, fold), outcome), ...].
    """
    check_flag("verbose", verbose)
    path = None if results is None else results_path(results, "results").absolute()
    parts = None if path is None else Path(f"{path}.parts")
    features = wanted.values.get("gene_names", wanted.values["feature_names"])
    n_cells = len(wanted.values["cell_names"])
    data = [wanted.dataset, wanted.sha256, [n_cells, len(features)]]
    # without folds, train on all cells
    folds = wanted.folds or [(np.arange(n_cells), np.zeros(0, int))]
    places = [[(g, f) for f in range(len(folds))] for g in range(len(models))]
    settings, keys, done = {}, {}, {}

    def name_fits(known=None):
        for g, f in sum(places, []):
            keys[g, f] = fit_key(data, models[g][f], folds[f], scaling, known, **besides)
        settings.update(estimator=described(estimator, known), scaling=scaling)
        settings["keys"] = [[keys[place] for place in row] for row in places]

    def answer(stored):
        name_fits(stored.settings.get("estimator"))
        old = _outcomes(stored)
        of_data = [kind for kind in NAMES if kind in stored.values]
        differing = [
            k for k in of_data if not np.array_equal(stored.values[k].astype(str), wanted.values[k])
        ]
        if differing or not old or not old.keys() <= set(keys.values()):
            other = ", ".join(differing) or OF_FITS
            raise ValueError(
                f"results: {path} holds results with different {other}, which would be lost; {OR_ELSE}"
            )
        done.update({place: old[key] for place, key in keys.items() if key in old})
        return stored if len(done) == len(keys) else None

    def compute():
        if not keys:
            # the description that a later run reads from the record
            name_fits(described(estimator))
        if parts is not None:
            done.update(_finished(parts, keys, overwrite))
        jobs = plan(done)
        for outcomes in tqdm(
            in_workers(jobs, n_jobs), f"{wanted.dataset}: fits", len(jobs), disable=not verbose
        ):
            for (g, f), outcome in outcomes:
                done[g, f] = outcome
                if parts is not None:
                    fit = {
                        "params": [wanted.params[g]],
                        "folds": wanted.folds[f : f + 1],
                        "settings": {},
                    }
                    save(replace(wanted, **fit, values=outcome), parts / f"{keys[g, f]}.pickle")
        values = wanted.values | _gathered([[done[place] for place in row] for row in places])
        return replace(
            wanted, settings=settings | wanted.settings, values=values, versions=library_versions()
        )

    found = _once(path, overwrite, answer, compute)
    if parts is not None and parts.is_dir():
        # skipped if another run is using them
        with suppress(Timeout, OSError), _locked(path, wait=False):
            for part in parts.glob("*"):
                name = PART.fullmatch(part.name)
                if name and (name[2] or name[1] in keys.values()):
                    part.unlink()
            parts.rmdir()  # fails if the folder contains other files
    return found


def _once(path, overwrite, answer, compute):
    """Load a record from its file if `answer` accepts it, or compute and save it, in only one process at a time."""
    check_flag("overwrite", overwrite)
    if path is None:
        return compute()

    def look():
        return None if overwrite or not path.exists() else answer(load(path))

    if (found := look()) is None:
        with _locked(path):
            # another run may have computed the record in the meantime
            if (found := look()) is None:
                found = compute()
                save(found, path)
    return found


@contextmanager
def _locked(path, wait=True):
    """Lock a results file so that two runs do not write to it at once; the second run warns and waits."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # in a read-only folder the lock would wait forever
        with tempfile.TemporaryFile(dir=path.parent):
            lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise
        warnings.warn(f"another run is writing {path}; waiting until it is done", stacklevel=5)
        lock.acquire()
    except OSError as error:
        raise type(error)(
            error.errno, f"results: cannot write to {path.parent}: {error.strerror}"
        ) from error
    try:
        drop_leftovers(path)
        yield
    finally:
        with suppress(OSError):
            # a waiting process notices the removal and creates a new lock
            os.unlink(lock.lock_file)
        lock.release()


def in_workers(jobs, n_jobs, return_as="generator_unordered"):
    """Yield the results of joblib's delayed calls as they finish, with no more workers than calls
    or cores.

    Workers end when the process that started them ends.
    """
    check_number("n_jobs", n_jobs, int)
    n_jobs = min(n_jobs, max(len(jobs), 1), cpu_count())
    return Parallel(n_jobs=n_jobs, return_as=return_as, initializer=_end_with_parent)(jobs)


def _end_with_parent():
    """End a worker when the process that started it has ended; joblib does not end the workers of a killed run."""
    parent = multiprocessing.parent_process()

    def watch():
        while os.getppid() == parent.pid:
            time.sleep(0.2)
        os._exit(1)

    if parent is not None:
        Thread(target=watch, daemon=True).start()


def drop_details(record, path=None, names=NESTED):
    """Remove the values `names` (by default, the largest values) from a record and its file."""
    dropped = [record.values.pop(name) for name in names if name in record.values]
    if dropped and path is not None:
        save(record, path)
    return record


def _finished(parts, keys, overwrite):
    """Load the finished fits of an interrupted run; raise an error if fits of another run would be lost."""
    files = {path.stem: path for path in parts.glob("*.pickle") if PART.fullmatch(path.name)}
    others = files.keys() - keys.values()
    if others and not overwrite:
        raise ValueError(
            f"results: {parts} holds fits of another run, which would be lost; finish that run, {OR_ELSE}"
        )
    for key in others:
        files[key].unlink()
    done = {}
    for place, key in keys.items():
        try:
            if key in files:
                done[place] = load(files[key]).values
        except ValueError as error:
            warnings.warn(f"recomputing a fit, because {error}", stacklevel=3)
    return done


def _gathered(outcomes):
    """Collect values of fits in arrays of shape (folds, grid points, ...) or lists indexed as [grid point][fold]."""
    values = {}
    for name in dict.fromkeys(name for row in outcomes for outcome in row for name in outcome):
        if name in NESTED:
            values[name] = [[outcome.get(name) for outcome in row] for row in outcomes]
        else:
            values[name] = np.array(
                [[outcome[name] for outcome in row] for row in outcomes]
            ).swapaxes(0, 1)
    return values


def _outcomes(record):
    """Outcomes of the fits in a record, as a dict indexed by the key of the fit."""
    found = {}
    for g, row in enumerate(record.settings.get("keys", [])):
        for f, key in enumerate(row):
            outcome = found[key] = {}
            for name, value in record.values.items():
                if name in NESTED:
                    if value[g][f] is not None:
                        outcome[name] = value[g][f]
                elif name not in ABOUT:
                    outcome[name] = value[f, g] if np.ndim(value) > 2 else value[f, g].item()
    return found
