"""Results that are computed once: loaded where they are, and not lost where a run is interrupted.

`load_or_compute` is for what is computed at one go; `ResumableRun` for many fits, of which every finished one is on
disk before the next. Both go by one rule: stored results are taken if all that decides them is the same, and an error
says what is not; they are never mixed with others and never replaced without being asked to.
"""

import multiprocessing
import os
import re
import tempfile
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import numpy as np
from filelock import FileLock, Timeout
from joblib import Parallel

from sbnn.evaluation.identity import described, version_of
from sbnn.results import drop_leftovers, load, results_path, save

# Their shapes differ between folds or grid points.
NESTED = ("test_predictions", "test_latent", "history", "test_probabilities")
NAMES = ("gene_names", "feature_names", "cell_names")  # of the data, where it has them
# Values of a whole record, not of single fits.
ABOUT = (*NAMES, "family_names", "classes", "true", "repeats", "preselected")
PART = re.compile(r"([0-9a-f]{32})\.pickle")  # files of finished fits
LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.pickle\..{8}\.tmp")  # of a process that was killed while it wrote one
STATE = "path_state"  # of a part that the next fit of a path starts from; no record keeps it


def load_or_compute(wanted, compute, results=None, overwrite=False, *, estimator=None, n_cells=None):
    """Load the record that answers a question, or compute and save it.

    Parameters
    ----------
    wanted : Record
        The question: a record without values. Experiment, data set, fingerprint, parameters, seed and settings decide.
    compute : callable
        Gives the values, dict of str to value.
    results : path-like, optional
        File of the record; None computes.
    overwrite : bool
        Compute whatever the file holds. It is replaced when all is done.
    estimator : estimator, optional
        Goes into the settings with its class, parameters and version.
    n_cells : int, optional
        That the estimator is fitted to.

    Returns
    -------
    Record

    Raises
    ------
    ValueError
        If the file holds something else and `overwrite` is False; the message says what differs.
    """
    if estimator is not None:
        wanted.settings = {"estimator": described(estimator)} | wanted.settings
        if (version := version_of(estimator, n_cells)) > 1:
            wanted.settings["version"] = version
    path = _absolute(results)
    stored = _answer(wanted, path, overwrite, estimator)
    if stored is not None:
        return stored
    with locked(path):
        stored = _answer(wanted, path, overwrite, estimator)  # of a run that was waited for
        if stored is not None:
            return stored
        wanted.values = compute()
        if path is not None:
            save(wanted, path)
    return wanted


def _absolute(results):
    """Path of the results, which must not change with the working folder; None stays None."""
    return None if results is None else results_path(results, "results").absolute()


def _answer(wanted, path, overwrite, estimator):
    """The record in a file, None if there is none or it is to be replaced; an error if it answers another question."""
    if path is None or overwrite or not path.exists():
        return None
    stored, params, settings = load(path), wanted.params, dict(wanted.settings)
    if estimator is not None and "estimator" in stored.settings:
        settings["estimator"] = described(estimator, stored.settings["estimator"])
        params = stored.params  # they are those of the estimator
    parts = {"experiment": "experiment", "dataset": "data set", "sha256": "data", "seed": "seed"}
    differing = [name for part, name in parts.items() if getattr(stored, part) != getattr(wanted, part)]
    differing += ["parameters"] if stored.params != params else []
    names = sorted({*stored.settings, *settings})
    differing += [name for name in names if stored.settings.get(name) != settings.get(name)]
    if differing:
        raise ValueError(
            f"results: {path} holds another {stored.experiment} of {stored.dataset!r}, with another "
            f"{', '.join(differing)}; give another path, or overwrite=True to compute anew"
        )
    return stored


@contextmanager
def locked(path):
    """Hold a results file, so that two runs do not write it at once; the second waits and says so.

    Parameters
    ----------
    path : Path or None
    """
    if path is None:
        yield
        return
    lock = _lock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        warnings.warn(f"another run is writing {path}; waiting until it is done", stacklevel=4)
        lock.acquire()
    except OSError as error:
        raise type(error)(error.errno, f"results: cannot write to {path.parent}: {error.strerror}") from error
    try:
        drop_leftovers(path)
        yield
    finally:
        _let_go(lock)


def _lock(path):
    return FileLock(path.with_name(f".{path.name}.lock"))


def _let_go(lock):
    """Release a lock and take its file away; whoever waits for it notices, and makes one anew."""
    with suppress(OSError):
        os.unlink(lock.lock_file)
    lock.release()


def in_workers(jobs, n_jobs):
    """Results of delayed calls of joblib, as they finish.

    Workers end with the process that started them. Joblib alone would leave those of a killed run at work.

    Parameters
    ----------
    jobs : iterable
        Of ``joblib.delayed(function)(...)``.
    n_jobs : int
    """
    return Parallel(n_jobs=n_jobs, return_as="generator_unordered", initializer=_end_with_parent)(jobs)


def _end_with_parent():
    """Watch, in a worker, whether the process that started it still lives."""
    parent = multiprocessing.parent_process()

    def watch():
        while os.getppid() == parent.pid:
            time.sleep(0.2)
        os._exit(1)

    if parent is not None:
        Thread(target=watch, daemon=True).start()


class ResumableRun:
    """Fits over grid points and folds, whose outcomes end up in one record.

    Parameters
    ----------
    results : path-like or None
        File of the record; outcomes are kept beside it, in ``<results>.parts``, until all are there. None keeps them in
        memory only.
    overwrite : bool
        Begin anew; the old file is replaced only when all is done.
    keys : callable
        Gives the names of the fits (`fit_key`), indexed [grid point][fold], from the description of the estimator in
        an older record, or from None.
    preselect : dict, optional
        Settings by which genes are preselected. They are in the keys too; given here, an error can name them.

    Attributes
    ----------
    stored : Record or None
        What the file holds.
    keys : list of list of str
    done : dict
        Outcomes by key.
    """

    def __init__(self, results, overwrite, keys, preselect=None):
        self.results = _absolute(results)
        self.parts = None if results is None else Path(f"{self.results}.parts")
        self.overwrite = overwrite
        self.preselect = preselect
        self._keys = keys
        self._look()
        if self.complete:
            self._clear_up()

    def _look(self):
        """Read what the file holds."""
        there = self.results is not None and not self.overwrite and self.results.exists()
        self.stored = load(self.results) if there else None
        if there and self.stored.settings.get("preselect") != self.preselect:
            raise ValueError(
                f"results: {self.results} holds fits to genes of another preselection, preselect="
                f"{self.stored.settings.get('preselect')} and not {self.preselect}; give another path, or "
                "overwrite=True to compute anew"
            )
        self.known = None if self.stored is None else self.stored.settings.get("estimator")
        self.keys = self._keys(self.known)
        self.done = {} if self.stored is None else _outcomes(self.stored, self.keys, self.results)

    def _clear_up(self):
        """Drop what is left of a run that was killed after it had saved the record."""
        lock = _lock(self.results)
        if self.parts.is_dir() or os.path.exists(lock.lock_file):
            with suppress(Timeout, OSError):
                lock.acquire(timeout=0)
                drop_leftovers(self.results)
                _drop_parts(self.parts, self.keys)
                _let_go(lock)

    @property
    def complete(self):
        """Whether the file holds all there is to do."""
        return self.stored is not None and all(key in self.done for row in self.keys for key in row)

    @contextmanager
    def writing(self):
        """Hold the results, and collect what an interrupted run or another one has finished meanwhile.

        Raises
        ------
        OSError
            If results cannot be written: before hours of work, not after.
        ValueError
            If another, unfinished run of the same file has left something and `overwrite` is False.
        """
        if self.parts is None:
            yield
            return
        with locked(self.results):
            self._look()
            if not self.complete:
                _make_writable(self.parts)
                if not self.overwrite:
                    _require_own_parts(self.parts, self.keys)
                self.done |= _finished_parts(self.parts, self.keys)
            yield

    def is_done(self, point, fold):
        """Whether a fit is finished."""
        return self.keys[point][fold] in self.done

    def outcome(self, point, fold):
        """Outcome of a finished fit."""
        return self.done[self.keys[point][fold]]

    def part(self, point, fold):
        """File of the outcome of a fit, or None."""
        return None if self.parts is None else self.parts / f"{self.keys[point][fold]}.pickle"

    def keep(self, point, fold, outcome, record):
        """Keep the outcome of a fit, dict of str to value, on disk in a record like `record`."""
        self.done[self.keys[point][fold]] = outcome
        if self.parts is not None:
            write_part(self.part(point, fold), outcome, record)

    def finish(self, record, data, estimator, scaling, about=None, **settings):
        """Put all outcomes into a record, save it and drop the parts.

        Parameters
        ----------
        record : Record
            Gets its `settings` and `values`.
        data : PairedData or TypedCells
        estimator : scikit-learn-style estimator
        scaling : str
        about : dict, optional
            Values of the whole record, under names of `ABOUT`.
        **settings
            Further ones.

        Returns
        -------
        Record
        """
        record.settings = {"estimator": described(estimator, self.known), "scaling": scaling, "keys": self.keys}
        record.settings |= settings
        names = {kind: getattr(data, kind) for kind in NAMES if hasattr(data, kind)}
        record.values = _gather(
            names | (about or {}), [[self.done[key] for key in row] for row in self.keys], self.results
        )
        if self.results is not None:
            save(record, self.results)
            _drop_parts(self.parts, None if self.overwrite else self.keys)
        return record


def unfinished(folder):
    """Fits that interrupted runs have finished, whose results are not there yet.

    Parameters
    ----------
    folder : path-like
        Of results.

    Returns
    -------
    dict of str to list of Record
        By experiment, the name of the results file without its ending: a record of one grid point and fold for each
        fit. Files that cannot be read are left out, as the run will compute them again; so are experiments without any.
    """
    found = {}
    for parts in sorted(Path(folder).glob("*.pickle.parts")):
        records = [_read_part(path) for path in sorted(parts.iterdir()) if PART.fullmatch(path.name)]
        if records := [record for record in records if record is not None]:
            found[parts.name.removesuffix(".pickle.parts")] = records
    return found


def _read_part(path):
    try:
        return load(path)
    except (OSError, ValueError):  # damaged, or put into the results by the run that goes on meanwhile
        return None


def write_part(path, outcome, record):
    """Write the outcome of one fit to a file, in a record like `record`."""
    record.values = outcome
    save(record, path)


def drop_details(record, path=None, names=NESTED, points=None):
    """Leave out of a record what it holds of single cells and epochs, most of its size; and of its file, if given.

    Parameters
    ----------
    record : Record
    path : path-like, optional
    names : sequence of str
        Values that are lists over grid points and folds.
    points : sequence of int, optional
        Grid points of which they are left out; all by default.
    """
    dropped = False
    for name in record.values.keys() & set(names):
        if points is None:
            del record.values[name]
            dropped = True
            continue
        for g in points:
            dropped |= any(value is not None for value in record.values[name][g])
            record.values[name][g] = [None] * len(record.values[name][g])
    if dropped and path is not None:
        save(record, path)
    return record


def require_names(record, data, path):
    """Refuse results of genes or outputs that had other names."""
    for kind in NAMES:
        if kind in record.values and not np.array_equal(record.values[kind].astype(str), getattr(data, kind)):
            raise ValueError(f"results: {path} holds results with other {kind} than the data has")


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise type(error)(error.errno, f"results: cannot write to {folder}: {error.strerror}") from error


def _require_own_parts(folder, keys):
    """Refuse a folder with finished fits of another run, which would be lost."""
    found = {match[1] for path in folder.iterdir() if (match := PART.fullmatch(path.name))}
    others = found - {key for row in keys for key in row}
    if others:
        raise ValueError(
            f"results: {folder} holds {len(others)} finished fit(s) of an unfinished run with other data, folds, "
            "scaling or parameters, which would be lost; finish that run, give another path, or overwrite=True to "
            "drop them"
        )


def _drop_parts(folder, keys=None):
    """Delete the parts with these keys, or all, and their folder unless somebody keeps files of his own in it."""
    if not folder.is_dir():
        return
    wanted = None if keys is None else {key for row in keys for key in row}
    for path in folder.iterdir():
        part = PART.fullmatch(path.name)
        if LEFTOVER.fullmatch(path.name) or (part and path.is_file() and (wanted is None or part[1] in wanted)):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _gather(about, outcomes, path):
    """What is known of all fits, and arrays over (folds, grid points, ...) or lists [grid point][fold] of each one's.

    Details that were dropped from some of the outcomes are None there.
    """
    values = dict(about)
    everything = [outcome for row in outcomes for outcome in row]
    for name in dict.fromkeys(name for outcome in everything for name in outcome if name != STATE):
        rows = [[outcome.get(name) for outcome in row] for row in outcomes]
        if name not in NESTED and any(name not in outcome for outcome in everything):
            raise ValueError(f"results: some of the fits in {path} lack {name}; overwrite=True computes them anew")
        values[name] = rows if name in NESTED else np.array(rows).swapaxes(0, 1)
    return values


def _cut(record, g, f):
    """The outcome of one fit back out of a gathered record."""
    outcome = {}
    for name, value in record.values.items():
        if name in NESTED:
            if value[g][f] is not None:
                outcome[name] = value[g][f]
        elif name not in ABOUT:
            outcome[name] = value[f, g] if np.ndim(value) > 2 else value[f, g].item()
    return outcome
