"""The distilled protocol far from mouse M1: few or many cells, many genes, one or many outputs,
rare genes, proteins.

    python benchmarks/robustness.py [--genes N] [--only NAME ...]

25 genes (or all there are) and two units; beside it ridge on the same genes and on all genes. New
cells are clipped to the range of the training cells for all of them, where these are few to the
middle of it for the network. Simulated data are drawn three times, real ones split three times, but
for ten folds of whole mice; the table gives means, and the differences to ridge with their standard
errors over these. Scaled inside the training cells. Real data are used where their files are found.
Prints Markdown.
"""

import argparse
import warnings
from functools import partial

import numpy as np
import pandas as pd
from pages import to_markdown
from peers import ClippedInputs

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    cross_validate,
    grouped_folds,
    later_fold,
    load_dataset,
    simulate_patchseq,
)
from sbnn.data.paired import as_paired

N_REPEATS = 3
N_TEST = 500
FIRST_SEED = 3
RIDGE = ClippedInputs(LeaveOneOutRidge())


def found(name):
    """A data set, or None where its files are not found."""
    try:
        return load_dataset(name, download=False, verbose=False)
    except FileNotFoundError:
        return None


def simulated(seed, n, p, q, n_true, noise=0.5):
    """Simulated data of `n` training cells, and the test cells beside them; noise in SD of the noise-free outputs."""
    size = {"n_cells": n + N_TEST, "n_genes": p, "n_outputs": q, "n_true_genes": n_true}
    return as_paired(simulate_patchseq(**size, noise=noise, random_state=seed))


def scattered(seed):
    """Outputs whose SDs and means lie between a thousandth and a thousand."""
    data = simulated(seed, 500, 300, 16, 10)
    rng = np.random.default_rng(seed)
    scale, shift = 10 ** rng.uniform(-3, 3, (2, data.n_outputs))
    return as_paired((data.X, (data.Y - data.Y.mean(0)) / data.Y.std(0) * scale + shift))


def mostly_zero(seed):
    """Nine in ten genes are seen in one to five cells only."""
    data = simulated(seed, 300, 300, 8, 10)
    rng = np.random.default_rng(seed)
    rare = np.zeros((data.n_cells, 2700), dtype=np.float32)
    for gene in rare.T:
        gene[rng.choice(data.n_cells, rng.integers(1, 6))] = rng.gamma(4, 1)
    return as_paired((np.hstack([data.X, rare]), data.Y))


SIMULATED = {
    "80 cells, 24000 genes -> 80 outputs": partial(simulated, n=80, p=24_000, q=80, n_true=25),
    "80 cells, 500 genes -> 16 outputs": partial(simulated, n=80, p=500, q=16, n_true=25),
    "80 cells, 24000 genes -> 80 outputs, 9/10 of them noise": partial(
        simulated, n=80, p=24_000, q=80, n_true=25, noise=3.0
    ),
    "40 cells, 1000 genes -> 16 outputs, 9/10 of them noise": partial(
        simulated, n=40, p=1000, q=16, n_true=25, noise=3.0
    ),
    "10 cells, 500 genes -> 16 outputs": partial(simulated, n=10, p=500, q=16, n_true=25),
    "200 cells, 1000 genes -> 1 output": partial(simulated, n=200, p=1000, q=1, n_true=25),
    "500 cells, 300 genes -> 5 outputs": partial(simulated, n=500, p=300, q=5, n_true=10),
    "500 cells, 300 genes -> 16 outputs on scales from 1/1000 to 1000": scattered,
    "300 cells, 3000 genes, 2700 of them rare -> 8 outputs": mostly_zero,
    "100000 cells, 1000 genes -> 16 outputs": partial(
        simulated, n=100_000, p=1000, q=16, n_true=25
    ),
}
REAL = {
    "mouse M1": (partial(found, "scala"), (30, 60, 120, 300)),
    "CITE-seq CD8, 5 proteins": (partial(found, "citeseq_cd8"), (30, 60, 200, 1500)),
}
# and repeats
APART = {"other mice": ("mouse", grouped_folds, 1), "later dates": ("date", later_fold, N_REPEATS)}


def cases():
    """Name of each row, and functions that make its data and folds, so that one data set is in memory at a time."""
    for name, make in SIMULATED.items():
        yield f"simulated, {name}", [partial(_split, partial(make, seed), seed) for seed in seeds()]
    for name, (make, sizes) in REAL.items():
        for n in sizes:
            yield f"{name}, {n} cells", [partial(_split, make, seed, n) for seed in seeds()]
    adata = found("scala")
    for name, (column, cut, repeats) in ({} if adata is None else APART).items():
        folds = cut(adata.obs[column]) * repeats
        yield f"mouse M1, {name}", [partial(tuple, (as_paired(adata), fold)) for fold in folds]


def seeds():
    return range(FIRST_SEED, FIRST_SEED + N_REPEATS)


def _split(make, seed, n_train=None):
    """Data and one fold; None where the data are not found."""
    data = make()
    if data is None:
        return None
    data = as_paired(data)
    order = np.random.default_rng(seed).permutation(data.n_cells)
    n = data.n_cells - N_TEST if n_train is None else n_train
    return data, (order[:n], order[n : n + N_TEST])


def compare(split, seed, n_genes):
    """Test R2 of the network, of ridge on its genes and of ridge on all genes, and CPU seconds of the network's fit."""
    if split is None:
        return {}
    data, fold = split
    model = DistilledBottleneckRegressor(
        n_genes=min(n_genes, data.n_genes), device="cpu", random_state=seed
    )
    network = cross_validate(model, data, [fold], verbose=False)
    same = cross_validate(RIDGE, (data.X[:, network.selected[0, 0]], data.Y), [fold], verbose=False)
    every = cross_validate(RIDGE, data, [fold], verbose=False)
    scores = {"distilled": network, "ridge, same genes": same, "ridge, all genes": every}
    return {name: record.test_r2[0, 0] for name, record in scores.items()} | {
        "CPU s": network.seconds[0, 0]
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", default=[""], help="rows whose name holds one of these texts"
    )
    parser.add_argument("--genes", type=int, default=25, help="of the network")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # constant genes, few cells: what is looked for here
    rows = {}
    for name, splits in cases():
        if not any(text in name for text in options.only):
            continue
        table = pd.DataFrame(
            [compare(split(), seed, options.genes) for seed, split in enumerate(splits, FIRST_SEED)]
        )
        if table.empty:
            continue
        row = {column: f"{table[column].mean():.3f}" for column in table.columns[:3]}
        for ridge in table.columns[1:3]:
            ahead = table["distilled"] - table[ridge]
            row[f"minus {ridge} (SE)"] = (
                f"{ahead.mean():+.3f} ({ahead.std(ddof=1) / np.sqrt(len(table)):.3f})"
            )
        rows[name] = row | {"CPU s": f"{table['CPU s'].mean():.0f}"}
        print(name, rows[name], flush=True)
    print(to_markdown(pd.DataFrame(rows).T.rename_axis("data, training cells")))


if __name__ == "__main__":
    main()
