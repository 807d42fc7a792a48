"""CPU seconds and memory of one fit of 25 genes: sbnn, its peers, and the paper protocol in Keras.

    python benchmarks/speed.py [--repeats 3] [--models sbnn_d2 keras]

Data: the first training fold of mouse M1 (1092 cells x 1000 genes -> 16 outputs) where its files
can be found, else simulated data of that shape. Every fit runs on one thread in a process of its
own, after a fit to a corner of the data, which imports and compiles what is needed; the models take
turns. Memory is what the fit adds to the process (Linux). The peers live in an environment of their
own (benchmarks/requirements.txt).
"""

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pandas as pd
from accuracy import AT, MODELS
from in_keras import keras_fit
from pages import to_markdown
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from sbnn import default_dataset, load_dataset, paper_folds
from sbnn.data.paired import as_paired
from sbnn.determinism import reproducible
from sbnn.metrics import pooled_r2

NAMES = [*MODELS, "keras"]
# a forked process would begin with the memory of this one
SPAWN = multiprocessing.get_context("spawn")


def fit_model(name, X, Y, n_genes, seed):
    """Fit a model of the accuracy benchmark, or that of Keras. Returns a function that predicts."""
    if name == "keras":
        return keras_fit(X, Y, seed, n_genes=n_genes)
    model = clone(MODELS[name].estimator)
    wanted = {"n_genes": n_genes, "random_state": seed}
    model.set_params(**{key: wanted[key] for key in wanted.keys() & model.get_params().keys()})
    return model.fit(X, Y).predict


def measured(name, seed):
    """CPU seconds, MiB and test R2 of one fit, in this process."""
    dataset = default_dataset()
    options = {} if dataset == "scala" else {"n_cells": 1213, "n_genes": 1000}
    data = as_paired(load_dataset(dataset, **options))
    train, test = paper_folds(data.n_cells)[0]
    genes = StandardScaler().fit_transform(data.X)
    outputs = StandardScaler().fit_transform(data.Y)
    X, Y = genes[train], outputs[train]
    with reproducible():
        fit_model(name, X[:200, :50], Y[:200], 5, seed)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # resets the peak
        before = status("VmRSS")
        started = time.process_time()
        predict = fit_model(name, X, Y, AT, seed)
        seconds = time.process_time() - started
        memory = status("VmHWM") - before
        r2 = pooled_r2(outputs[test], predict(genes[test]), Y.mean(axis=0))
    return {"model": name, "CPU seconds": seconds, "MiB": memory / 1024, "test R2": r2}


def status(name):
    """A number of KiB from the status of this process."""
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith(f"{name}:")]
    return int(line.split()[1])


def main():
    """Measure the models in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES)
    options = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(1, SPAWN, max_tasks_per_child=1) as pool:
        for seed in range(options.repeats):
            for name in options.models:
                rows.append(pool.submit(measured, name, seed).result())
                print(rows[-1], file=sys.stderr, flush=True)
    medians = pd.DataFrame(rows).groupby("model", sort=False).median()
    print(to_markdown(medians))


if __name__ == "__main__":
    main()
