"""Time and memory of a model fitted to counts on disk, as the cells grow to a million.

    python benchmarks/scale.py [--cells 10000 30000 100000 300000 1000000] [--repeats 2]

For every number of cells a file of simulated counts (1000 genes, uint16) is written to a temporary
folder and, in a process of its own, a distilled model (25 genes, two units) is fitted to nine
tenths of it through `ExpressionStream`, and the map of all cells is computed. Prints CPU seconds on
one thread, the largest resident memory, imports included, and what a further million cells cost, in
Markdown.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import measure
from scipy.stats import linregress
from sklearn.pipeline import make_pipeline

from sbnn import CountNormalizer, DistilledBottleneckRegressor, ExpressionStream

N_GENES, N_OUTPUTS, N_TRUE = 1000, 16, 25
VALUES_AT_ONCE = 2**23
# cells; up to so many the trees of the teacher see all of them, and time grows faster
STRAIGHT_FROM = 20_000


def write(folder, n_cells, n_genes=N_GENES):
    """Counts and outputs of `n_cells` cells, block by block."""
    rng = np.random.default_rng(0)
    counts = np.memmap(folder / "counts.bin", dtype="uint16", mode="w+", shape=(n_cells, n_genes))
    outputs = np.lib.format.open_memmap(
        folder / "outputs.npy", mode="w+", dtype="float32", shape=(n_cells, N_OUTPUTS)
    )
    level = rng.gamma(1.0, 20.0, n_genes)
    loadings = rng.normal(size=(4, n_genes))
    to_latent, to_outputs = rng.normal(size=(N_TRUE, 2)), rng.normal(size=(2, N_OUTPUTS))
    size = VALUES_AT_ONCE // n_genes
    for start in range(0, n_cells, size):
        size = min(size, n_cells - start)
        activity = rng.normal(size=(size, 4)) @ loadings * 0.3 + 0.7 * rng.normal(
            size=(size, n_genes)
        )
        counts[start : start + size] = np.minimum(rng.poisson(level * np.exp(activity)), 65_535)
        latent = np.tanh(activity[:, :N_TRUE] @ to_latent / np.sqrt(N_TRUE))
        outputs[start : start + size] = latent @ to_outputs + 0.5 * rng.normal(
            size=(size, N_OUTPUTS)
        )


def read(folder, n_cells, n_genes=N_GENES):
    """Map what `write` wrote: counts and outputs."""
    counts = np.memmap(folder / "counts.bin", dtype="uint16", mode="r", shape=(n_cells, n_genes))
    return counts, np.load(folder / "outputs.npy", mmap_mode="r")


def prepare(folder, n_cells, seed):
    """Fit to nine tenths of the cells and map all; gives the CPU seconds of both and test R2 of the others."""
    counts, outputs = read(folder, n_cells)
    n_train = n_cells * 9 // 10
    network = DistilledBottleneckRegressor(device="cpu", random_state=seed)
    model = make_pipeline(CountNormalizer(), network)

    def task():
        started = time.process_time()
        model.fit(ExpressionStream(counts[:n_train]), outputs[:n_train])
        fitted = time.process_time()
        model.transform(ExpressionStream(counts))
        return fitted - started, time.process_time() - fitted

    def finish(seconds):
        return *seconds, model.score(ExpressionStream(counts[n_train:]), outputs[n_train:])

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
            write(Path(folder), n_cells)
            done = [
                measure(prepare, Path(folder), n_cells, repeat) for repeat in range(options.repeats)
            ]
        fit, of_all, r2 = np.array([measured.result for measured in done]).T
        memory = max(measured.peak for measured in done) / 2**30
        numbers = f"{_spread(fit)} | {_spread(of_all)} | {memory:.2f} | {r2.mean():.3f}"
        print(
            f"| {n_cells} | {n_cells * N_GENES * 2 / 1e9:.2f} | {len(done)} | {numbers} |",
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
