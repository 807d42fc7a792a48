"""Which method ranks the edges of curated models of BEELINE best? Prints a table.

    python benchmarks/dynamics_beeline.py [--fresh] [--jobs N]

Saved rows are loaded; those that are missing are measured (PySINDy only if it is installed).
"""

import argparse
import time
from importlib.util import find_spec
from itertools import product

import numpy as np
import pandas as pd
from dynamics_rivals import (
    importances,
    lasso,
    probability_then_strength,
    saved,
    saved_rows,
)
from joblib import Parallel, delayed
from pages import to_markdown
from sklearn.metrics import average_precision_score

from sbnn.data.datasets import load_dataset
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics import PhoenixRegressor, SparseRegulationRegressor

BEELINE = saved("beeline")
CLOSE_TO_CHANCE = 1.1  # largest AUPRC, divided by that of chance, that counts as chance


def train_of(load, n_bins=25):
    """Cells of BEELINE in bins along each trajectory; 2000 bins are the cells as they are."""
    data = load(n_bins=n_bins)
    return data[data.obs["split"] == "train"]


def forest(load):
    """GENIE3-like: importance of each gene in a forest that predicts the target from the same cells."""
    cells = train_of(load, 2000).X
    return importances(cells, cells, same=False)


def partial_correlation(load):
    """Size of the correlation of two genes over cells, given all others."""
    precision = np.linalg.pinv(np.cov(train_of(load, 2000).X.T))
    size = np.sqrt(np.diag(precision))
    return np.abs(precision / np.outer(size, size))


def sparse(load):
    """Probability of edges; where it is the same, by strength."""
    return probability_then_strength(SparseRegulationRegressor().fit(train_of(load)))


def phoenix(load, pruning):
    """Size of the effects."""
    model = PhoenixRegressor(40, pruning, 0.9, random_state=0).fit(train_of(load))
    return model.edge_scores_.abs().to_numpy()


def sindy(load):
    """Largest coefficient of PySINDy, with products of two genes, among the terms with a gene.

    The threshold is the best of 0, 0.003, 0.01, 0.03 and 0.1 (its default, which leaves next to
    nothing) on these data.
    """
    import pysindy

    samples = as_trajectories(train_of(load))
    model = pysindy.SINDy(pysindy.STLSQ(threshold=0.003), pysindy.PolynomialLibrary(2))
    model.fit(samples.values, t=samples.times)
    terms = model.feature_library.powers_ > 0  # (terms, genes)
    return (terms[:, :, None] * np.abs(model.coefficients()).T[:, None]).max(axis=0)


RANKINGS = {
    "SparseRegulation": sparse,
    "forest on cells (like GENIE3)": forest,
    "partial correlation of cells": partial_correlation,
    "lasso on derivatives": lambda load: lasso(train_of(load), max_iter=5000)[0],
    "PHOENIX": lambda load: phoenix(load, "none"),
    "PHOENIX, pruned by magnitude": lambda load: phoenix(load, "imp"),
    "PySINDy": sindy,
}


def ranked_edges(name, model, dropout, repeat):
    """Scores of one method on one data set of BEELINE."""

    def load(n_bins):
        how = {"repeat": repeat, "dropout": dropout, "n_bins": n_bins}
        return load_dataset(f"beeline_{model}", verbose=False, **how)

    started = time.process_time()
    with reproducible():
        found = RANKINGS[name](load)
    row = {"method": name, "model": model, "dropout": dropout, "repeat": repeat}
    seconds = time.process_time() - started
    truth = load(25).varp["truth"]
    pairs = ~np.eye(len(truth), dtype=bool)
    true = truth[pairs] != 0
    scores = found[pairs]
    first = true[np.argsort(-scores, kind="stable")[: true.sum()]]
    row["auprc"] = average_precision_score(true, scores) / true.mean()
    row["early"] = first.mean() / true.mean()
    row["seconds"] = seconds
    return row


def beeline(fresh=False, n_jobs=1):
    """AUPRC and early precision over those of chance, a row for each method and data set."""
    rows = saved_rows(BEELINE, fresh)
    done = {row["method"] for row in rows}
    missing = [name for name in RANKINGS if name not in done]
    if not find_spec("pysindy"):
        missing = [name for name in missing if name != "PySINDy"]
    tasks = product(missing, ("gsd", "hsc"), (False, True), range(5))
    new = Parallel(n_jobs)(delayed(ranked_edges)(*task) for task in tasks)
    table = pd.DataFrame(rows + new)
    if new:
        table.round(5).to_csv(BEELINE, index=False)
    return table


def beeline_table(scores):
    """AUPRC (median and range) and early precision (median) over those of chance, by model.

    Also the number of data sets whose AUPRC is close to chance, and CPU seconds.
    """
    order = [name for name in RANKINGS if name in set(scores["method"])]
    table = pd.DataFrame(index=pd.Index(order, name="method"))
    for method, of_method in scores.groupby("method"):
        for (model, dropout), of in of_method.groupby(["model", "dropout"]):
            low, middle, high = of["auprc"].quantile([0, 0.5, 1])
            text = f"{middle:.2f} ({low:.2f} to {high:.2f}), {of['early'].median():.2f}"
            table.loc[method, f"{model.upper()}{', dropout' if dropout else ''}"] = text
        n_close = (of_method["auprc"] <= CLOSE_TO_CHANCE).sum()
        table.loc[method, "close to chance"] = f"{n_close} of {len(of_method)}"
        seconds = of_method.groupby(["model", "dropout"])["seconds"].median()
        table.loc[method, "CPU s"] = f"{seconds.min():.1f} to {seconds.max():.1f}"
    return table


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    print(to_markdown(beeline_table(beeline(options.fresh, options.jobs))))


if __name__ == "__main__":
    main()
