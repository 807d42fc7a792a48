"""Where the stacked prediction can be behind ridge: few cells, and signals in many genes.

    python benchmarks/weak_signals.py [--report-only]

Each draw trains the network, ridge and both stacked on 60, 120 or 240 cells, and tests them on up
to 1000 others. Genes of ridge are clipped to the training range, as in the stack.

- factors: 800 genes and five outputs, all driven by eight factors.
- noise: 800 genes, and outputs that none of them predicts.
- M1: cells of mouse motor cortex, and with half of the training cells twice in the table, if they
  are on this machine.
- microRNA: 645 transcripts and 423 microRNAs of 348 breast tumours, if they are on this machine.

Prints Markdown; measures what is not in saved_models/benchmarks/weak_signals.csv.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from pages import to_markdown

from sbnn import StackedRegressor, load_dataset
from sbnn.data.datasets import local_file
from sbnn.data.readers.citeseq import r_objects
from sbnn.evaluation.verdict import corrected_difference
from sbnn.files import write_atomically
from sbnn.metrics import pooled_r2

SAVED = Path(__file__).resolve().parents[1] / "saved_models" / "benchmarks" / "weak_signals.csv"
N_CELLS = (60, 120, 240)
MOST_TEST_CELLS = 1000
N_DRAWS = 8
SEED = 20_000  # of the first draw; settings were chosen on other ones
N_GENES = 800
TWICE = "M1, half twice"
VERSION = StackedRegressor().algorithm_version


def draw_factors(random, n_cells):
    """Genes and five outputs, each a mixture of eight factors and of noise."""
    factors = random.standard_normal((n_cells, 8))
    X = factors @ random.standard_normal((8, N_GENES))
    X += 3 * random.standard_normal(X.shape)
    Y = factors @ random.standard_normal((8, 5))
    return X, Y / Y.std(axis=0) + 1.5 * random.standard_normal(Y.shape)


def draw_noise(random, n_cells, n_outputs):
    """Genes, and outputs that do not depend on them."""
    X = random.standard_normal((n_cells, N_GENES))
    return X, random.standard_normal((n_cells, n_outputs))


def draw_m1(random, n_cells):
    """Cells of mouse motor cortex in random order."""
    data = load_dataset("scala", verbose=False)
    cells = random.permutation(data.n_obs)[:n_cells]
    return np.asarray(data.X)[cells], data.obsm["outputs"].to_numpy()[cells]


def draw_tumours(random, n_cells):
    """Transcripts and microRNAs of breast tumours in random order."""
    tables = r_objects(local_file("BRCA_data.rda"))["Data"]
    tumours = random.permutation(tables["Expression"].shape[1])[:n_cells]
    X, Y = (np.asarray(tables[name]).T[tumours] for name in ("Expression", "miRNA"))
    return X, Y


SIGNALS = {
    "factors": draw_factors,
    "noise, 1 output": lambda random, n_cells: draw_noise(random, n_cells, 1),
    "noise, 5 outputs": lambda random, n_cells: draw_noise(random, n_cells, 5),
    "M1": draw_m1,
    TWICE: draw_m1,
    "microRNA": draw_tumours,
}
#: File without which a signal is left out.
FILES = {"M1": "gene_counts.csv", TWICE: "gene_counts.csv", "microRNA": "BRCA_data.rda"}


def measure(signal, n_cells, draw):
    """Test R2 of each model, and the weight of ridge in the stacked prediction."""
    random = np.random.default_rng([SEED, draw, n_cells])
    X, Y = SIGNALS[signal](random, n_cells + MOST_TEST_CELLS)
    train, test = np.arange(n_cells), slice(n_cells, None)
    if signal == TWICE:
        train = np.append(train, train[: n_cells // 2])
    stacked = StackedRegressor(random_state=draw).fit(X[train], Y[train])
    within = np.clip(X[test], X[train].min(axis=0), X[train].max(axis=0))
    scale = Y[train].std(axis=0)
    models = {"distilled": stacked.network_, "ridge": stacked.ridge_, "stacked": stacked}
    row = {"version": VERSION, "signal": signal, "cells": n_cells, "draw": draw}
    for name, model in models.items():
        predicted = model.predict(within) / scale
        row[name] = pooled_r2(Y[test] / scale, predicted, Y[train].mean(axis=0) / scale)
    return row | {"weight of ridge": stacked.weight_of_ridge_}


def summarise(rows):
    """Means over the draws, and the stacked prediction minus ridge with its 95 % interval."""
    groups = rows.groupby(["signal", "cells"], sort=False)
    table = groups[["distilled", "ridge", "stacked", "weight of ridge"]].mean()
    gains = {}
    for name, draws in groups:
        # draws share no training cells, but for those of M1
        gains[name] = corrected_difference(draws["stacked"] - draws["ridge"], test_fraction=0)
    table["stacked minus ridge"] = pd.Series(gains).map(str)
    return table


def main():
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report-only", action="store_true", help="show what is saved")
    options = parser.parse_args()
    rows = pd.DataFrame(columns=["version"])
    if SAVED.exists():
        rows = pd.read_csv(SAVED).query("version == @VERSION")
    known = {(row.signal, row.cells, row.draw) for row in rows.itertuples()}
    for signal, n_cells, draw in product(SIGNALS, N_CELLS, range(N_DRAWS)):
        is_known = (signal, n_cells, draw) in known
        is_missing = signal in FILES and local_file(FILES[signal]) is None
        if options.report_only or is_known or is_missing:
            continue
        row = pd.DataFrame([measure(signal, n_cells, draw)])
        rows = pd.concat([rows, row], ignore_index=True)
        write_atomically(
            rows.to_csv(index=False, float_format="%.6f").encode(), SAVED, beginning=b"version,"
        )
    print(to_markdown(summarise(rows)))


if __name__ == "__main__":
    main()
