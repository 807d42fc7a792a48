"""Time and memory of one model fitted to an AnnData in a file, as the cells grow to a million.

    python benchmarks/scale.py [--cells 10000 30000 100000 300000 1000000] [--repeats 2]

For every number of cells, log expression of simulated counts (1000 genes, float32) is written to
two files in a temporary folder: nine tenths of the cells, and the others. In a process of its own,
a distilled model (25 genes, two units) is fitted to the first file, opened with ``backed="r"``, and
the map of all cells is computed. Prints CPU seconds on one thread, the largest resident memory,
imports included, and what a further million cells cost, in Markdown.
"""

import argparse
import tempfile
import time
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem
from measuring import measure
from scipy.stats import linregress

from sbnn import DistilledBottleneckRegressor

N_GENES, N_OUTPUTS, N_TRUE = 1000, 16, 25
VALUES_AT_ONCE = 2**23
# cells; up to so many the trees of the teacher see all of them, and time grows faster
STRAIGHT_FROM = 20_000


def write(path, n_cells, n_genes=N_GENES, seed=0):
    """Log expression and outputs of `n_cells` cells; X is written block by block."""
    rng = np.random.default_rng(0)
    level = rng.gamma(1.0, 20.0, n_genes)
    loadings = rng.normal(size=(4, n_genes))
    to_latent, to_outputs = rng.normal(size=(N_TRUE, 2)), rng.normal(size=(2, N_OUTPUTS))
    rng = np.random.default_rng([seed, n_cells])
    outputs = np.empty((n_cells, N_OUTPUTS), np.float32)
    obs = pd.DataFrame(index=np.arange(n_cells).astype(str))
    var = pd.DataFrame(index=[f"gene_{i}" for i in range(n_genes)])
    size = VALUES_AT_ONCE // n_genes
    with h5py.File(path, "w") as file:
        write_elem(file, "/", anndata.AnnData(obs=obs, var=var, obsm={"outputs": outputs}))
        X = file.create_dataset("X", (n_cells, n_genes), np.float32)
        X.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        for start in range(0, n_cells, size):
            rows = slice(start, min(start + size, n_cells))
            n = rows.stop - start
            activity = rng.normal(size=(n, 4)) @ loadings * 0.3
            activity += 0.7 * rng.normal(size=(n, n_genes))
            X[rows] = np.log2(1 + rng.poisson(level * np.exp(activity)))
            latent = np.tanh(activity[:, :N_TRUE] @ to_latent / np.sqrt(N_TRUE))
            outputs[rows] = latent @ to_outputs + 0.5 * rng.normal(size=(n, N_OUTPUTS))
        file["obsm/outputs"][:] = outputs


def prepare(folder, seed):
    """Fit to one file and map both; gives CPU seconds and test R2 of the second."""
    train = anndata.read_h5ad(folder / "train.h5ad", backed="r")
    new = anndata.read_h5ad(folder / "new.h5ad", backed="r")
    model = DistilledBottleneckRegressor(device="cpu", random_state=seed)

    def task():
        started = time.process_time()
        model.fit(train)
        fitted = time.process_time()
        model.transform(train)
        model.transform(new)
        return fitted - started, time.process_time() - fitted

    def finish(seconds):
        return *seconds, model.score(new)

    return task, finish


def per_million(cells, seconds):
    """Straight line of seconds against cells.

    Parameters
    ----------
    cells, seconds : sequence of float
        At least three, of two or more numbers of cells.

    Returns
    -------
    slope, error, residual : float
        Seconds for a further million cells, the standard error of that, and the SD about the line
        in seconds.
    """
    line = linregress(cells, seconds)
    left = np.asarray(seconds) - line.intercept - line.slope * np.asarray(cells)
    return 1e6 * line.slope, 1e6 * line.stderr, np.sqrt(np.square(left).sum() / (len(left) - 2))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cells", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000, 1_000_000]
    )
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    print(
        "| cells | file, GB | fits | fit, CPU s | map of all cells, CPU s | resident memory, GiB | test R2 |"
    )
    print("|---|---|---|---|---|---|---|")
    cells, fits, maps = [], [], []
    for n_cells in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "train.h5ad", n_cells * 9 // 10)
            write(Path(folder) / "new.h5ad", n_cells - n_cells * 9 // 10, seed=1)
            done = [measure(prepare, Path(folder), repeat) for repeat in range(options.repeats)]
        fit, of_all, r2 = np.array([measured.result for measured in done]).T
        memory = max(measured.peak for measured in done) / 2**30
        numbers = f"{_spread(fit)} | {_spread(of_all)} | {memory:.2f} | {r2.mean():.3f}"
        print(
            f"| {n_cells} | {n_cells * N_GENES * 4 / 1e9:.2f} | {len(done)} | {numbers} |",
            flush=True,
        )
        cells, fits, maps = [*cells, *[n_cells] * len(done)], [*fits, *fit], [*maps, *of_all]
    later = np.array(cells) > STRAIGHT_FROM
    if len(set(np.array(cells)[later])) > 1 and later.sum() > 2:
        for name, seconds in {"fit": fits, "map": maps}.items():
            slope, error, residual = per_million(np.array(cells)[later], np.array(seconds)[later])
            print(
                f"\n{name}, above {STRAIGHT_FROM} cells: {slope:.1f} CPU s (SE {error:.1f}) for a ",
                end="",
            )
            print(f"further million cells; SD about the straight line {residual:.2f} s")


def _spread(seconds):
    return f"{np.median(seconds):.1f} ({seconds.min():.1f} - {seconds.max():.1f})"


if __name__ == "__main__":
    main()
