"""Seconds of a whole grid of the paper protocol, folds x penalties x seeds, trained at once; and single fits beside it.

    python benchmarks/ensemble.py [--device cuda] [--folds 10] [--penalties 4] [--seeds 10] [--epochs-fraction 1]

Data: mouse M1 (1213 cells x 1000 genes -> 16 outputs) where its files can be found, else simulated data of that shape;
z-scored over all cells, as for the published numbers. Some fits of the grid, evenly spread over it, are then done one
by one on a CPU: their test R2 differs from that of the ensemble by what the order of sums does to the training.
"""

import argparse
import os
import platform
import resource
import time

import numpy as np
import torch

from sbnn import cross_validate, default_dataset, load_dataset, paper_folds
from sbnn.study import experiments

PENALTIES = (0.1, 0.01, 1.0, 1e-4)
EPOCHS = (50, 50, 50, 100)


def machine(device):
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()}, {os.cpu_count()} cores, one thread)"


def peak_memory(device):
    """Bytes: what tensors took on a GPU, the largest resident memory of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(*arguments, **options):
    """Cross-validate; returns the record, wall seconds and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    record = cross_validate(*arguments, scaling="all", **options)
    return record, time.perf_counter() - wall, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--folds", type=int, default=10, help="the first of the ten of the paper")
    parser.add_argument("--penalties", type=int, default=4, help=f"the first of {PENALTIES}")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs-fraction", type=float, default=1.0, help=f"of {EPOCHS}")
    parser.add_argument("--members-at-once", type=int, help="largest ensemble")
    parser.add_argument("--n-jobs", type=int, default=1, help="processes for the clusters of the pretraining")
    parser.add_argument("--alone", type=int, default=4, help="fits that are also done one by one on a CPU")
    options = parser.parse_args()

    name = default_dataset()
    data = load_dataset(name) if name == "scala" else load_dataset(name, n_cells=1213, n_genes=1000)
    folds = paper_folds(data.n_cells)[: options.folds]
    epochs = tuple(max(1, round(options.epochs_fraction * n)) for n in EPOCHS)
    grid = {"group_lasso": PENALTIES[: options.penalties], "random_state": range(options.seeds)}
    model = experiments.network(data, epochs=epochs, device=options.device)
    device = model._torch_device()
    record, wall, cpu = timed(
        model, data, folds, grid, batched=True, members_at_once=options.members_at_once, n_jobs=options.n_jobs
    )
    peak, n_fits = peak_memory(device), record.test_r2.size

    places = np.unravel_index(np.linspace(0, n_fits - 1, min(options.alone, n_fits)).astype(int), record.test_r2.shape)
    differences, alone = [], []
    for f, g in zip(*places, strict=True):
        point = {k: [v] for k, v in record.params[g].items()}
        single, *seconds = timed(model.set_params(device="cpu"), data, [folds[f]], point, verbose=False)
        differences.append(abs(single.test_r2[0, 0] - record.test_r2[f, g]))
        alone.append(seconds)

    print(f"\n{data.n_cells} cells x {data.n_genes} genes -> {data.n_outputs} outputs of {name!r}, epochs {epochs}")
    print(f"{len(folds)} folds x {options.penalties} penalties x {options.seeds} seeds = {n_fits} fits")
    print(f"torch {torch.__version__}\n")
    print("| how | machine | fits | wall seconds | CPU seconds | wall seconds per fit | peak memory, GiB |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| ensembles | {machine(device)} | {n_fits} | {wall:.1f} | {cpu:.1f} | {wall / n_fits:.3f} "
        f"| {peak / 2**30:.1f} |"
    )
    if alone:
        alone_wall, alone_cpu = np.sum(alone, 0)
        print(
            f"| one by one | {machine(torch.device('cpu'))} | {len(alone)} | {alone_wall:.1f} | {alone_cpu:.1f} "
            f"| {alone_wall / len(alone):.3f} | |"
        )
        print(f"\nlargest difference of the test R2 between the two: {max(differences):.2g}, in {len(alone)} fits")
    print("\n| group lasso | test R2, mean over folds and seeds | SD over folds | SD over seeds |\n|---|---|---|---|")
    for penalty in grid["group_lasso"]:
        r2 = record.test_r2[:, [p["group_lasso"] == penalty for p in record.params]]
        print(f"| {penalty:g} | {r2.mean():.3f} | {r2.mean(1).std():.3f} | {r2.mean(0).std():.3f} |")


if __name__ == "__main__":
    main()
