"""CPU seconds and memory of one fit of 25 genes: sbnn, its peers, and the paper protocol in plain
PyTorch and in Keras.

    python benchmarks/speed.py [--repeats 3] [--models sbnn_d2,keras_graph]

Data: the first training fold of mouse M1 (1092 cells x 1000 genes -> 16 outputs) where its files
can be found, else simulated data of that shape. Every fit runs on one thread in a process of its
own, after a fit to a corner of the data, which imports and compiles what is needed; the models take
turns. Memory is what the fit adds to the process. The peers live in an environment of their own
(benchmarks/requirements.txt); one that is not installed is reported as such.
"""

import argparse
import contextlib
import functools
import importlib.metadata
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accuracy import AT, MODELS, installed
from measuring import measure
from plain import keras_fit, pytorch_fit
from sklearn.base import clone

from sbnn import default_dataset, load_dataset, paper_folds
from sbnn.data.paired import as_paired
from sbnn.metrics import pooled_r2


@dataclass(frozen=True)
class Plain:
    """The paper protocol without sbnn: a row of the table, ``fit(X, Y, seed, n_genes=...)``, and what it needs."""

    label: str
    fit: object
    package: str


PLAIN = {
    "plain_pytorch": Plain("plain PyTorch, paper protocol, d=2", pytorch_fit, "torch"),
    "keras_graph": Plain("Keras in graph mode, paper protocol, d=2", keras_fit, "tf_keras"),
    "keras_eager": Plain(
        "Keras, paper protocol, d=2", functools.partial(keras_fit, graph=False), "tf_keras"
    ),
}
ROWS = MODELS | PLAIN
SLOW = 40  # CPU seconds from which on a model is not fitted again


def fit_model(name, X, Y, seed, n_genes=AT):
    """Fit a model of the accuracy benchmark, or a plain one. Returns a function that predicts."""
    if name in PLAIN:
        return PLAIN[name].fit(X, Y, seed, n_genes=n_genes)
    model, wanted = clone(MODELS[name].estimator), {"n_genes": n_genes, "random_state": seed}
    known = model.get_params()
    return (
        model.set_params(**{key: value for key, value in wanted.items() if key in known})
        .fit(X, Y)
        .predict
    )


def prepare(name, path, seed):
    """Load the data and warm up; gives the fit, and the test R2 of the fold."""
    with np.load(path) as arrays:
        X, Y, train, test = (arrays[key] for key in ("X", "Y", "train", "test"))
    fit_model(name, X[train[:200], :50], Y[train[:200]], seed, n_genes=5)
    X_train, Y_train = X[train], Y[train]

    def task():
        return fit_model(name, X_train, Y_train, seed)

    return task, lambda predict: pooled_r2(Y[test], predict(X[test]), 0.0)


def write_fold(path):
    """Write the first fold, z-scored over all cells and centred on the training cells; returns a line about it."""
    name = default_dataset()
    options = {} if name == "scala" else {"n_cells": 1213, "n_genes": 1000}
    data = as_paired(load_dataset(name, **options))
    train, test = paper_folds(data.n_cells)[0]
    X, Y = (
        (A - A.mean(0)) / A.std(0) for A in (data.X.astype(np.float64), data.Y.astype(np.float64))
    )
    X, Y = ((A - A[train].mean(0)).astype(np.float32) for A in (X, Y))
    np.savez(path, X=X, Y=Y, train=train, test=test)
    return f"{len(train)} cells x {data.n_genes} genes -> {data.n_outputs} outputs of {name!r}, fold 1, {AT} genes kept"


def run(names, repeats, path):
    """Measure the models in turn; returns name -> list of `Measured`."""
    done = {name: [] for name in names}
    for repeat in range(repeats):
        for name, fits in done.items():
            if not fits or fits[0].seconds < SLOW:
                fits.append(measure(prepare, name, path, repeat))
                print(f"{ROWS[name].label}: {fits[-1].seconds:.1f} CPU s", file=sys.stderr)
    return done


def table(done):
    """Lines of the Markdown table; models without a measurement are not installed."""
    yield "| model | fits | CPU seconds, median (min - max) | memory of the fit, MiB | test R2 of the fold, mean |"
    yield "|---|---|---|---|---|"
    for name, fits in done.items():
        if not fits:
            yield f"| {ROWS[name].label} | not installed | | | |"
            continue
        seconds, memory, r2 = np.array(
            [(fit.seconds, fit.growth / 2**20, fit.result) for fit in fits]
        ).T
        spread = f"{np.median(seconds):.2f} ({seconds.min():.2f} - {seconds.max():.2f})"
        yield f"| {ROWS[name].label} | {len(fits)} | {spread} | {np.median(memory):.0f} | {r2.mean():.3f} |"


def ratios(done):
    """Lines with the ratio of the time of the plain versions to ours."""
    for ours in ("sbnn_d2", "sbnn_distilled_d2"):
        for plain in PLAIN:
            if done.get(ours) and done.get(plain):
                theirs, own = (
                    np.median([fit.seconds for fit in done[name]]) for name in (plain, ours)
                )
                yield f"\n{ROWS[plain].label}: {theirs / own:.1f} times as long as {ROWS[ours].label} (medians)"


def versions():
    """Libraries that the seconds depend on, those that are installed."""
    for name in ("torch", "tensorflow-cpu", "tensorflow", "tf_keras"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield f"{name} {importlib.metadata.version(name)}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help=f"fits of each model; one of more than {SLOW} s"
    )
    parser.add_argument("--models", help=f"comma-separated, of: {', '.join(ROWS)}; default: all")
    options = parser.parse_args()
    names = list(ROWS) if options.models is None else options.models.split(",")
    if not set(names) <= ROWS.keys():
        parser.error(
            f"--models: {sorted(set(names) - ROWS.keys())} are unknown, expected some of {list(ROWS)}"
        )

    present = [name for name in names if installed(ROWS[name])]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fold.npz"
        about = write_fold(path)
        done = dict.fromkeys(names, ()) | run(present, options.repeats, path)
    print(f"\n{about}")
    print(f"one thread, {platform.machine()}, {', '.join(versions())}\n")
    print(*table(done), sep="\n")
    print(*ratios(done), sep="\n")


if __name__ == "__main__":
    main()
