"""Save results, and load them only if data, settings and algorithm are the same."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count
from tqdm.auto import tqdm

from sbnn.errors import check_number, warn
from sbnn.evaluation.identity import described, fit_key, version_of
from sbnn.results import Record, library_versions, load, save

# values whose shapes differ between fits
NESTED = ("test_predictions", "test_latent", "history", "test_probabilities")
NAMES = ("gene_names", "feature_names", "cell_names")  # if present
# values of a whole record
ABOUT = {*NAMES, "family_names", "classes", "true", "repeats", "preselected"}
OR_ELSE = "give another path, or pass overwrite=True"
KEY = "[0-9a-f]" * 32  # pattern of the key of a fit


def load_or_compute(
    wanted, compute, results=None, overwrite=False, *, estimator=None, n_cells=None
):
    """Load a record like `wanted`, which has no values, or save what `compute` returns."""
    if estimator is not None:
        settings = {"estimator": described(estimator)} | wanted.settings
        version = version_of(estimator, n_cells)
        if version > 1:
            settings["version"] = version
        wanted = replace(wanted, settings=settings)
    path = _path_of(results)
    return _load_or_save(
        path,
        overwrite,
        accept=partial(_checked_match, wanted, path),
        compute=lambda: replace(wanted, values=compute()),
    )


def _checked_match(wanted, path, stored):
    held = _identity_of(stored)
    asked = _identity_of(wanted)
    differing = [name for name in asked | held if asked.get(name) != held.get(name)]
    if differing:
        raise ValueError(
            f"results: {path} holds a result that differs in {', '.join(differing)}; {OR_ELSE}"
        )
    return stored


def _identity_of(record):
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
    """Record of the fits for all folds and grid points; each finished fit is saved.

    `models` is indexed as [grid point][fold]. ``plan(done)`` returns the jobs for other fits, each
    of which returns [((grid point, fold), outcome), ...].
    """
    path = _path_of(results)
    fits = _Fits(wanted, models, estimator, scaling, besides, path)

    def compute():
        if path is not None:
            fits.take_finished(overwrite)
        jobs = plan(fits.places_done())
        finished = in_workers(jobs, n_jobs)
        for outcomes in tqdm(finished, wanted.dataset, len(jobs), disable=not verbose):
            for place, outcome in outcomes:
                fits.add(place, outcome)
        return fits.record()

    found = _load_or_save(path, overwrite, fits.accept, compute)
    if path is not None:
        fits.drop_parts()
    return found


@dataclass
class _Fits:
    """Keys of all fits by place (grid point, fold), and outcomes by key."""

    wanted: Record
    models: list
    estimator: object
    scaling: str
    besides: dict
    path: Path

    def __post_init__(self):
        self.parts = Path(f"{self.path}.parts")
        self.done = {}
        wanted = self.wanted
        genes = wanted.values.get("gene_names", wanted.values["feature_names"])
        n_cells = len(wanted.values["cell_names"])
        data = [wanted.dataset, wanted.sha256, [n_cells, len(genes)]]
        # without folds, train on all cells
        folds = wanted.folds or [(np.arange(n_cells), np.zeros(0, int))]
        self.keys = {}
        for g, of_folds in enumerate(self.models):
            for f, model in enumerate(of_folds):
                self.keys[g, f] = fit_key(data, model, folds[f], self.scaling, **self.besides)

    def places_done(self):
        return {place for place, key in self.keys.items() if key in self.done}

    def accept(self, stored):
        """Take the fits of a record; return it if it is complete."""
        self.done = _outcomes(stored)
        wanted = set(self.keys.values())
        matches = bool(self.done) and self.done.keys() <= wanted
        for kind in NAMES:
            if matches and kind in stored.values:
                matches = np.array_equal(stored.values[kind], self.wanted.values[kind])
        if not matches:
            raise ValueError(
                f"results: {self.path} holds results with different data, names, folds, scaling, "
                f"preselection or parameters, which would be lost; {OR_ELSE}"
            )
        return stored if self.done.keys() == wanted else None

    def take_finished(self, overwrite):
        """Load the fits of an interrupted run."""
        for file in self.parts.glob(f"{KEY}.pickle"):
            if file.stem in self.keys.values():
                try:
                    self.done[file.stem] = load(file).values
                except ValueError as error:
                    warn(f"recomputing a fit, because {error}")
            elif overwrite:
                file.unlink()
            else:
                raise ValueError(
                    f"results: {self.parts} holds fits of another run, which would be lost; "
                    f"finish that run, {OR_ELSE}"
                )

    def add(self, place, outcome):
        key = self.keys[place]
        self.done[key] = outcome
        if self.path is not None:
            g, f = place
            part = replace(self.wanted, settings={}, values=outcome)
            part.params = [part.params[g]]
            part.folds = part.folds[f : f + 1]
            save(part, self.parts / f"{key}.pickle")

    def record(self):
        keys = []
        for g, of_folds in enumerate(self.models):
            keys.append([self.keys[g, f] for f in range(len(of_folds))])
        settings = {"estimator": described(self.estimator), "scaling": self.scaling, "keys": keys}
        outcomes = [[self.done[key] for key in row] for row in keys]
        return replace(
            self.wanted,
            settings=settings | self.wanted.settings,
            values=self.wanted.values | _gathered(outcomes),
            versions=library_versions(),
        )

    def drop_parts(self):
        """Delete files of single fits that no other run uses."""
        if not self.parts.is_dir():
            return
        with suppress(OSError):
            for key in self.keys.values():
                Path(self.parts, f"{key}.pickle").unlink(missing_ok=True)
            self.parts.rmdir()  # fails if there are other files


def _gathered(outcomes):
    """Arrays (folds, grid points, ...), or lists [grid point][fold]."""
    values = {}
    for name in dict.fromkeys(chain(*chain(*outcomes))):
        value = [[outcome.get(name) for outcome in row] for row in outcomes]
        values[name] = value if name in NESTED else np.array(value).swapaxes(0, 1)
    return values


def _outcomes(record):
    found = {}
    for g, row in enumerate(record.settings.get("keys", [])):
        for f, key in enumerate(row):
            found[key] = {}
            for name in record.values.keys() - ABOUT:
                value = record.values[name]
                of_fit = value[g][f] if name in NESTED else value[f, g]
                if of_fit is not None:
                    found[key][name] = of_fit
    return found


def drop_details(record, path=None, names=NESTED):
    """Remove values from a record and its file."""
    dropped = [record.values.pop(name) for name in names if name in record.values]
    if dropped and path is not None:
        save(record, path)
    return record


def _path_of(results):
    """Absolute path, as the working folder may change."""
    return None if results is None else Path(results).absolute()


def _load_or_save(path, overwrite, accept, compute):
    """Load what `accept` returns, or compute and save it."""
    if path is None:
        return compute()
    found = accept(load(path)) if path.exists() and not overwrite else None
    if found is None:
        _require_writable(path.parent)
        found = compute()
        save(found, path)
    return found


def _require_writable(folder):
    """Rather than hours later."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        text = f"results: cannot write to {folder}: {error.strerror}"
        raise type(error)(error.errno, text) from error


def in_workers(jobs, n_jobs, return_as="generator_unordered"):
    """Yield results of joblib's delayed calls."""
    check_number("n_jobs", n_jobs, int)
    n_workers = min(n_jobs, max(len(jobs), 1), cpu_count())
    return Parallel(n_jobs=n_workers, return_as=return_as)(jobs)
