"""Save results, and load saved results only if the data, settings and algorithm are the same."""

import multiprocessing
import os
import re
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from threading import Thread

import numpy as np
from filelock import FileLock, Timeout
from joblib import Parallel, cpu_count
from tqdm.auto import tqdm

from sbnn.errors import check_flag, check_number, warn
from sbnn.evaluation.identity import described, fit_key, version_of
from sbnn.results import drop_leftovers, library_versions, load, results_path, save

# Values whose shapes differ between folds or grid points.
NESTED = ("test_predictions", "test_latent", "history", "test_probabilities")
NAMES = ("gene_names", "feature_names", "cell_names")  # names in the data, if present
# Values of a whole record, not of single fits.
ABOUT = (*NAMES, "family_names", "classes", "true", "repeats", "preselected")
OF_FITS = "data, folds, scaling, preselection or parameters"
OR_ELSE = "give another path, or pass overwrite=True"
# file of a finished fit, or of an interrupted write
PART = re.compile(r"\.?([0-9a-f]{32})\.pickle(\..{8}\.tmp)?")


def load_or_compute(
    wanted, compute, results=None, overwrite=False, *, estimator=None, n_cells=None
):
    """Load the saved record that matches `wanted`, a record without values, or compute and save it.

    `compute` returns the values. Two records match if everything except their values agrees,
    including the class, parameters and version of the `estimator`.
    """
    if estimator is not None:
        wanted.settings = {"estimator": described(estimator)} | wanted.settings
        version = version_of(estimator, n_cells)
        if version > 1:
            wanted.settings["version"] = version
    path = _path_of(results)
    return _load_or_save(
        path,
        overwrite,
        accept=partial(_checked_match, wanted, estimator, path),
        compute=lambda: replace(wanted, values=compute()),
    )


def _checked_match(wanted, estimator, path, stored):
    """Return a stored record if it matches `wanted`; otherwise raise an error."""
    held = _identity_of(stored)
    asked = _identity_of(wanted)
    if estimator is not None and "estimator" in held:
        asked["estimator"] = described(estimator, held["estimator"])
        asked["parameters"] = held["parameters"]  # already compared as part of the estimator
    differing = [name for name in asked | held if asked.get(name) != held.get(name)]
    if differing:
        what = ", ".join(differing)
        raise ValueError(f"results: {path} holds a result that differs in {what}; {OR_ELSE}")
    return stored


def _identity_of(record):
    """Entries that identify a record, as a dict by name."""
    return {
        "experiment": record.experiment,
        "data set": record.dataset,
        "data": record.sha256,
        "seed": record.seed,
        "parameters": record.params,
        **record.settings,
    }


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
    """Compute a record of the fits for all folds and grid points, and save each finished fit.

    `models` is indexed as [grid point][fold]; `besides` contains everything else that determines a
    fit. ``plan(done)`` returns the jobs for all fits whose outcomes are not yet in `done`, and may
    add values to `wanted`. Each job returns [((grid point, fold), outcome), ...].
    """
    check_flag("verbose", verbose)
    path = _path_of(results)
    fits = _Fits(wanted, models, estimator, scaling, besides, path)

    def compute():
        if path is not None:
            fits.take_finished(overwrite)
        jobs = plan(fits.done)
        title = f"{wanted.dataset}: fits"
        for outcomes in tqdm(in_workers(jobs, n_jobs), title, len(jobs), disable=not verbose):
            for place, outcome in outcomes:
                fits.add(place, outcome)
        return fits.record()

    found = _load_or_save(path, overwrite, fits.accept, compute)
    if path is not None:
        fits.drop_parts()
    return found


class _Fits:
    """Keys of all fits, and outcomes of the finished fits, by place (grid point, fold)."""

    def __init__(self, wanted, models, estimator, scaling, besides, path):
        self.wanted = wanted
        self.models = models
        self.estimator = estimator
        self.scaling = scaling
        self.besides = besides
        self.path = path
        self.parts = None if path is None else path.with_name(f"{path.name}.parts")
        self.done = {}
        # the description that a later run reads from the record
        self._identify(described(estimator))

    def _identify(self, known):
        """Compute the key of every fit; `known` describes the estimator of a saved record."""
        wanted = self.wanted
        n_cells = len(wanted.values["cell_names"])
        features = wanted.values.get("gene_names", wanted.values["feature_names"])
        data = [wanted.dataset, wanted.sha256, [n_cells, len(features)]]
        # without folds, train on all cells
        folds = wanted.folds or [(np.arange(n_cells), np.zeros(0, int))]
        self.description = described(self.estimator, known)
        self.keys = {}
        for g, of_folds in enumerate(self.models):
            for f, model in enumerate(of_folds):
                self.keys[g, f] = fit_key(
                    data, model, folds[f], self.scaling, known, **self.besides
                )

    def accept(self, stored):
        """Take the fits of a stored record; return the record if it contains all fits."""
        self._identify(stored.settings.get("estimator"))
        old = _outcomes(stored)
        differing = []
        for kind in NAMES:
            names = stored.values.get(kind)
            if names is not None and not np.array_equal(
                names.astype(str), self.wanted.values[kind]
            ):
                differing.append(kind)
        if differing or not old or not old.keys() <= set(self.keys.values()):
            other = ", ".join(differing) or OF_FITS
            raise ValueError(
                f"results: {self.path} holds results with different {other}, "
                f"which would be lost; {OR_ELSE}"
            )
        for place, key in self.keys.items():
            if key in old:
                self.done[place] = old[key]
        return stored if len(self.done) == len(self.keys) else None

    def take_finished(self, overwrite):
        """Load the fits of an interrupted run; reject fits of another run, which would be lost."""
        files = {
            file.stem: file for file in self.parts.glob("*.pickle") if PART.fullmatch(file.name)
        }
        others = files.keys() - self.keys.values()
        if others and not overwrite:
            raise ValueError(
                f"results: {self.parts} holds fits of another run, which would be lost; "
                f"finish that run, {OR_ELSE}"
            )
        for key in others:
            files[key].unlink()
        for place, key in self.keys.items():
            if key in files:
                try:
                    self.done[place] = load(files[key]).values
                except ValueError as error:
                    warn(f"recomputing a fit, because {error}")

    def add(self, place, outcome):
        """Add the outcome of a fit, and save it until all fits are finished."""
        self.done[place] = outcome
        if self.parts is not None:
            g, f = place
            part = replace(
                self.wanted,
                params=[self.wanted.params[g]],
                folds=self.wanted.folds[f : f + 1],
                settings={},
                values=outcome,
            )
            save(part, self.parts / f"{self.keys[place]}.pickle")

    def record(self):
        """Record of all fits."""
        keys = []
        outcomes = []
        for g, of_folds in enumerate(self.models):
            places = [(g, f) for f in range(len(of_folds))]
            keys.append([self.keys[place] for place in places])
            outcomes.append([self.done[place] for place in places])
        settings = {"estimator": self.description, "scaling": self.scaling, "keys": keys}
        return replace(
            self.wanted,
            settings=settings | self.wanted.settings,
            values=self.wanted.values | _gathered(outcomes),
            versions=library_versions(),
        )

    def drop_parts(self):
        """Delete the files of single fits, unless another run is using them."""
        if not self.parts.is_dir():
            return
        with suppress(Timeout, OSError), _locked(self.path, wait=False):
            for part in self.parts.glob("*"):
                name = PART.fullmatch(part.name)
                if name and (name[2] or name[1] in self.keys.values()):
                    part.unlink()
            self.parts.rmdir()  # fails if the folder contains other files


def _gathered(outcomes):
    """Values of all fits: arrays (folds, grid points, ...), or lists [grid point][fold]."""
    names = {}
    for row in outcomes:
        for outcome in row:
            names |= dict.fromkeys(outcome)
    values = {}
    for name in names:
        value = [[outcome.get(name) for outcome in row] for row in outcomes]
        values[name] = value if name in NESTED else np.array(value).swapaxes(0, 1)
    return values


def _outcomes(record):
    """Outcomes of the fits in a record, as a dict indexed by the key of the fit."""
    found = {}
    for g, row in enumerate(record.settings.get("keys", [])):
        for f, key in enumerate(row):
            found[key] = _outcome_at(record, g, f)
    return found


def _outcome_at(record, g, f):
    """Values of the fit of grid point `g` in fold `f`."""
    outcome = {}
    for name, value in record.values.items():
        if name in ABOUT:
            continue
        if name not in NESTED:
            outcome[name] = value[f, g]
        elif value[g][f] is not None:
            outcome[name] = value[g][f]
    return outcome


def drop_details(record, path=None, names=NESTED):
    """Remove the values `names` (by default, the largest values) from a record and its file."""
    dropped = [record.values.pop(name) for name in names if name in record.values]
    if dropped and path is not None:
        save(record, path)
    return record


def _path_of(results):
    """Absolute path of a file of results, as the working folder may change; None for None."""
    return None if results is None else results_path(results, "results").absolute()


def _load_or_save(path, overwrite, accept, compute):
    """Load a record if `accept` returns it; else compute and save it, in one process at a time."""
    check_flag("overwrite", overwrite)
    if path is None:
        return compute()
    found = None
    if path.exists() and not overwrite:
        found = accept(load(path))
    if found is None:
        with _locked(path):
            # another run may have computed the record in the meantime
            if path.exists() and not overwrite:
                found = accept(load(path))
            if found is None:
                found = compute()
                save(found, path)
    return found


@contextmanager
def _locked(path, wait=True):
    """Lock a file of results so that two runs do not write it at once; the second one waits."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # in a read-only folder the lock would wait forever
        with tempfile.TemporaryFile(dir=path.parent):
            lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise
        warn(f"another run is writing {path}; waiting until it is done")
        lock.acquire()
    except OSError as error:
        text = f"results: cannot write to {path.parent}: {error.strerror}"
        raise type(error)(error.errno, text) from error
    try:
        drop_leftovers(path)
        yield
    finally:
        with suppress(OSError):
            # a waiting process notices the removal and creates a new lock
            os.unlink(lock.lock_file)
        lock.release()


def in_workers(jobs, n_jobs, return_as="generator_unordered"):
    """Yield the results of joblib's delayed calls as they finish.

    There are no more workers than calls or cores, and they end when the process that started them
    ends.
    """
    check_number("n_jobs", n_jobs, int)
    n_workers = min(n_jobs, max(len(jobs), 1), cpu_count())
    parallel = Parallel(n_jobs=n_workers, return_as=return_as, initializer=_end_with_parent)
    return parallel(jobs)


def _end_with_parent():
    """End a worker with the process that started it; joblib does not do this if a run is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_wait_for_end_of, args=(parent.pid,), daemon=True).start()


def _wait_for_end_of(parent):
    """End this process when its parent is no longer the process with the id `parent`."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
