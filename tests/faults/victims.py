"""What the processes do: a cross-validation whose every fit leaves a line in a file."""

import multiprocessing
import os
import signal
import tempfile
import time
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: F401 -- before processes are forked, so that each of them begins at once
from sklearn.linear_model import Ridge

from sbnn.data.paired import as_paired
from sbnn.data.simulate import simulate_patchseq
from sbnn.evaluation.crossval import cross_validate
from sbnn.results import load

HERE = Path(__file__).resolve().parent
FOLDS = 5
GRID = {"alpha": [1.0, 9.0]}


class Logged(Ridge):
    """Writes a line for every fit, and takes its time."""

    def __init__(self, alpha=1.0, seconds=0.01):
        super().__init__(alpha=alpha)
        self.seconds = seconds

    def fit(self, X, y):
        with open(os.environ["FITS"], "a") as log:
            log.write(f"{self.alpha} {zlib.crc32(X.tobytes())}\n")
        time.sleep(self.seconds)
        return super().fit(X, y)


@cache
def made_up():
    return as_paired(
        simulate_patchseq(n_cells=60, n_genes=20, n_outputs=3, n_true_genes=5, random_state=0)
    )


def validate(path, n_jobs=1, grid=None):
    """The cross-validation that is disturbed; its fits are logged beside the results."""
    os.environ["FITS"] = str(Path(path).parent / "fits")
    return cross_validate(
        Logged(), made_up(), FOLDS, grid or GRID, n_jobs, results=path, verbose=False
    )


def _run(function, args, errors):
    os.setsid()  # a number that its workers have too
    # `nohup make test &` and some runners ignore Ctrl-C, which processes inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        globals()[function](*args)
    except KeyboardInterrupt:
        os._exit(130)
    except Exception as error:
        errors.send((type(error).__name__, str(error)))
        os._exit(1)
    # not waiting, as a forked process would, until workers of joblib have been idle for minutes
    os._exit(0)


@cache
def _context():
    """Processes are forked after all imports, so that faults hit the work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        for folder in (HERE.parent, HERE):
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        multiprocessing.forkserver.ensure_running()
    return context


class Victim:
    """A process that runs a function of this module; `error` is kind and text of what it raised."""

    def __init__(self, function, *args):
        self._errors, errors = multiprocessing.Pipe(duplex=False)
        self.process = _context().Process(target=_run, args=(function, args, errors))
        self.process.start()
        errors.close()
        self.error = None, ""

    def ends_within(self, seconds):
        self.process.join(seconds)
        return self.process.exitcode is not None

    def end(self):
        """Exit status."""
        self.process.join(120)
        if self.process.exitcode == 1:
            with suppress(EOFError):  # it was stopped before it could tell
                self.error = self._errors.recv()
        return self.process.exitcode


def fits_of(folder):
    """Penalty and training cells of every fit that began."""
    log = Path(folder, "fits")
    return log.read_text().splitlines() if log.exists() else []


@cache
def undisturbed():
    """The record, and its fits, in the order of penalties and folds."""
    with tempfile.TemporaryDirectory() as folder:
        return validate(Path(folder, "cv.pickle")), fits_of(folder)


def assert_complete(path):
    """The record holds the numbers of an undisturbed run, to the bit, and nothing is beside it."""
    whole, _ = undisturbed()
    record = load(path)
    assert record.values.keys() == whole.values.keys()
    for name in record.values.keys() - {"seconds"}:
        np.testing.assert_array_equal(record.values[name], whole.values[name])
    assert {left.name for left in path.parent.iterdir()} <= {"cv.pickle", "fits"}


def finished(path):
    """Fits that are on disk, as in the log."""
    whole, fits = undisturbed()
    tasks = [(point["alpha"], test[0]) for point in whole.params for _, test in whole.folds]
    fit_of = dict(zip(tasks, fits, strict=True))
    parts = [load(part) for part in Path(f"{path}.parts").glob("*.pickle")]
    return {fit_of[part.params[0]["alpha"], part.folds[0][1][0]] for part in parts}
