"""CPU seconds and memory of one fit: the networks of 25 genes beside their peers and the
published protocol in Keras, and the companions beside theirs.

    python benchmarks/speed.py [--repeats 3] [--models sbnn_d2 keras]
    python benchmarks/speed.py --growth

The networks are fitted to the first training fold of mouse M1 (1092 cells x 1000 genes -> 16
outputs) where its files can be found, else to simulated data of that shape; the companions to
simulated data. Every fit runs on one thread in a process of its own, those of M1 after a small one,
which imports and compiles what is needed; the models take turns. Memory is what the fit adds to the
process (Linux). With --growth, the distilled network is fitted to more and more simulated cells, in
memory and in a file that is read where it is needed. Keras, LassoNet and STG live in an environment of their own
(benchmarks/requirements.txt).
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import anndata
import pandas as pd
from accuracy import AT, MODELS
from in_keras import keras_fit
from pages import to_markdown
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from sbnn import (
    DistilledBottleneckRegressor,
    default_dataset,
    load_dataset,
    paper_folds,
    simulate_patchseq,
)
from sbnn.data.paired import as_paired
from sbnn.determinism import reproducible
from sbnn.dynamics import GeneNetwork, PhoenixRegressor
from sbnn.ephys_types import EphysTypeClassifier
from sbnn.ephys_types.base import lightgbm
from sbnn.ephys_types.simulate import simulate_ephys_types
from sbnn.mechanism_shift import LinearShift, SparseShiftVAE, simulate_perturbations

# a forked process would begin with the memory of this one
SPAWN = multiprocessing.get_context("spawn")


def paired_cells(is_small):
    """Genes and outputs of the first training fold, or of a corner of it."""
    dataset = default_dataset()
    options = {} if dataset == "scala" else {"n_cells": 1213, "n_genes": 1000}
    data = as_paired(load_dataset(dataset, **options))
    train, _ = paper_folds(data.n_cells)[0]
    X = StandardScaler().fit_transform(data.X)[train]
    Y = StandardScaler().fit_transform(data.Y)[train]
    if is_small:
        return X[:200, :50], Y[:200]
    return X, Y


def screen():
    """Counts of 5000 cells x 2000 genes, and their 50 perturbations."""
    data = simulate_perturbations(100, 50, 15, 2000, random_state=0)
    return data.X, data.obs["perturbation"]


def typed_cells():
    """Features and types of 1000 cells."""
    data = simulate_ephys_types(1000, random_state=0)
    return data.X, data.obs["type"]


def simulated_courses():
    """Samples of 350 genes over time, and a prior of which 5 % is wrong."""
    network = GeneNetwork.random(350, random_state=0)
    return network.simulate(150, 0.025, 0), network.misplaced_prior(0.05)


# by name: data, and the model
COMPANIONS = {
    "SVAE+, our training": (screen, SparseShiftVAE(random_state=0)),
    "unmixed principal components": (screen, LinearShift(random_state=0)),
    "EphysTypeClassifier": (typed_cells, EphysTypeClassifier(random_state=0)),
    "LightGBM": (typed_cells, lightgbm(0)),
    "DASH": (simulated_courses, PhoenixRegressor(pruning="dash", sparsity=0.955, random_state=0)),
}
NAMES = [*MODELS, "keras", *COMPANIONS]
# cells and genes
SIZES = [(1000, 1000), (10_000, 1000), (100_000, 1000), (1_000_000, 1000), (1000, 20_000)]
BLOCK = 100_000  # cells that are simulated; more cells are copies of them, in a file only


def prepare_fit(name, seed, is_small=False):
    """A function without arguments that fits a model."""
    if name in COMPANIONS:
        data, model = COMPANIONS[name]
        return partial(model.fit, *data())
    X, Y = paired_cells(is_small)
    n_genes = 5 if is_small else AT
    if name == "keras":
        return partial(keras_fit, X, Y, seed, n_genes=n_genes)
    model = clone(MODELS[name].estimator)
    parameters = model.get_params()
    for parameter, value in (("n_genes", n_genes), ("random_state", seed)):
        if parameter in parameters:
            model.set_params(**{parameter: value})
    return partial(model.fit, X, Y)


def measure_fit(name, seed):
    """CPU seconds and MiB of one fit, in this process."""
    with reproducible(), warnings.catch_warnings(action="ignore"):
        if name not in COMPANIONS:
            fit_small = prepare_fit(name, seed, is_small=True)
            fit_small()
        fit = prepare_fit(name, seed)
        return {"model": name} | time_and_memory(fit)


def measure_growth(n_cells, n_genes):
    """CPU seconds and MiB of fits of the distilled network to cells in memory and in a file."""
    adata = simulate_patchseq(min(n_cells, BLOCK), n_genes, random_state=0)
    model = DistilledBottleneckRegressor(device="cpu", random_state=0)
    row = {"cells x genes": f"{n_cells} x {n_genes}"}
    with tempfile.TemporaryDirectory() as folder, reproducible():
        small = simulate_patchseq(100, 50, random_state=0)
        clone(model).fit(small)  # imports and compiles what is needed
        if n_cells <= BLOCK:
            for name, value in time_and_memory(partial(model.fit, adata)).items():
                row[f"{name}, in memory"] = value
        path = write_copies(adata, n_cells // adata.n_obs, Path(folder))
        del adata
        backed = anndata.read_h5ad(path, backed="r")
        for name, value in time_and_memory(partial(model.fit, backed)).items():
            row[f"{name}, in a file"] = value
    return row


def write_copies(adata, n_copies, folder):
    """Path of a file with these cells, so many times."""
    names = adata.obs_names
    paths = []
    for i in range(n_copies):
        adata.obs_names = names + f"-{i}"
        paths.append(folder / f"{i}.h5ad")
        adata.write_h5ad(paths[-1])
    if n_copies == 1:
        return paths[0]
    together = folder / "together.h5ad"
    anndata.experimental.concat_on_disk(paths, together, merge="same")
    for path in paths:
        path.unlink()
    return together


def time_and_memory(fit):
    """CPU seconds and additional MiB of a call in this process."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the peak
    before = process_status("VmRSS")
    started = time.process_time()
    fit()
    seconds = time.process_time() - started
    memory = process_status("VmHWM") - before
    return {"CPU seconds": seconds, "MiB": memory / 1024}


def process_status(name):
    """A number of KiB from the status of this process."""
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith(f"{name}:")]
    return int(line.split()[1])


def main():
    """Measure the models in turn and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--growth", action="store_true", help="more and more cells instead")
    options = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(1, SPAWN, max_tasks_per_child=1) as pool:
        if options.growth:
            for n_cells, n_genes in SIZES:
                rows.append(pool.submit(measure_growth, n_cells, n_genes).result())
                print(rows[-1], file=sys.stderr, flush=True)
            print(to_markdown(pd.DataFrame(rows).set_index("cells x genes")))
            return
        for seed in range(options.repeats):
            for name in options.models:
                rows.append(pool.submit(measure_fit, name, seed).result())
                print(rows[-1], file=sys.stderr, flush=True)
    medians = pd.DataFrame(rows).groupby("model", sort=False).median()
    print(to_markdown(medians))


if __name__ == "__main__":
    main()
