"""Time and memory of a model fitted to counts on disk, as the cells grow to a million.

    python benchmarks/scale.py [--cells 10000 100000 1000000]

For every number of cells a file of simulated counts (1000 genes, uint16) is written to a temporary folder and, in a
process of its own, a distilled model (25 genes, two units) is fitted to it through `ExpressionStream`, and the map of
all cells is computed. Prints CPU seconds on one thread and the largest resident memory in Markdown.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N_GENES, N_OUTPUTS, N_TRUE = 1000, 16, 25
BLOCK = 20_000


def write(folder, n_cells):
    """Counts and outputs of `n_cells` cells, block by block."""
    rng = np.random.default_rng(0)
    counts = np.memmap(folder / "counts.bin", dtype="uint16", mode="w+", shape=(n_cells, N_GENES))
    outputs = np.lib.format.open_memmap(folder / "outputs.npy", mode="w+", dtype="float32", shape=(n_cells, N_OUTPUTS))
    level = rng.gamma(1.0, 20.0, N_GENES)
    loadings = rng.normal(size=(4, N_GENES))
    to_latent, to_outputs = rng.normal(size=(N_TRUE, 2)), rng.normal(size=(2, N_OUTPUTS))
    for start in range(0, n_cells, BLOCK):
        size = min(BLOCK, n_cells - start)
        activity = rng.normal(size=(size, 4)) @ loadings * 0.3 + 0.7 * rng.normal(size=(size, N_GENES))
        counts[start : start + size] = np.minimum(rng.poisson(level * np.exp(activity)), 65_535)
        latent = np.tanh(activity[:, :N_TRUE] @ to_latent / np.sqrt(N_TRUE))
        outputs[start : start + size] = latent @ to_outputs + 0.5 * rng.normal(size=(size, N_OUTPUTS))


def fit(folder, n_cells):
    """Fit to nine tenths of the cells, map all; prints what it took as JSON."""
    from sbnn import ExpressionStream, SparseBottleneckRegressor

    counts = np.memmap(folder / "counts.bin", dtype="uint16", mode="r", shape=(n_cells, N_GENES))
    outputs = np.load(folder / "outputs.npy", mmap_mode="r")
    n_train = n_cells * 9 // 10
    model = SparseBottleneckRegressor(protocol="distilled", device="cpu", random_state=0)
    started = time.process_time()
    model.fit(ExpressionStream(counts[:n_train], counts=True), outputs[:n_train])
    fitted = time.process_time()
    model.transform(ExpressionStream(counts, counts=True))
    done = time.process_time()
    r2 = model.score(ExpressionStream(counts[n_train:], counts=True), outputs[n_train:])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"fit": fitted - started, "map": done - fitted, "GiB": memory, "r2": r2}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)  # the part that runs in its own process
    options = parser.parse_args()
    if options.fit:
        fit(options.fit, options.cells[0])
        return
    print("| cells | file, GB | fit, CPU s | map of all cells, CPU s | resident memory, GiB | test R2 |")
    print("|---|---|---|---|---|---|")
    for n_cells in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), n_cells)
            command = [sys.executable, __file__, "--fit", folder, "--cells", str(n_cells)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            took = json.loads(done.stdout.splitlines()[-1])
            numbers = f"{took['fit']:.0f} | {took['map']:.0f} | {took['GiB']:.2f} | {took['r2']:.3f}"
            print(f"| {n_cells} | {n_cells * N_GENES * 2 / 1e9:.2f} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
