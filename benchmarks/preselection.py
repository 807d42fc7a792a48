"""Which genes to give to the models where there are thousands: ridge on those that each criterion
chooses.

    python benchmarks/preselection.py [--only NAME ...]

1000 genes (of scala, whose genes were chosen before, 200; of simulated data 500), chosen on the
training cells of ten folds: five of some of the cells, drawn and cut with two seeds that are not
those of the reported folds. Beside all genes and those of `sbnn.data.preselection` stand those of
the largest variance of log values, of the largest variance beyond the trend with the mean, and of
the closest correlation with the outputs. The outputs of scala_34c_counts are depth and Cre line.
Data are used where their files are found. Prints Markdown.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from pages import to_markdown

from sbnn import LeaveOneOutRidge, load_dataset, paired, paper_folds, simulate_patchseq
from sbnn.data.paired import as_paired
from sbnn.data.preselection import preselect_genes
from sbnn.evaluation.folds import split_and_scale
from sbnn.metrics import pooled_r2

SEEDS = (1, 2)
N_FOLDS = 5
TREND = 101  # genes of similar mean


def physiological_cells():
    """The cells with counts of all genes; outputs are what is known of them."""
    data = as_paired(load_dataset("scala_34c_counts", verbose=False))
    cre = pd.get_dummies(data.labels["cre"])
    outputs = (
        cre.loc[:, cre.sum() >= 10]
        .astype(float)
        .assign(depth=pd.to_numeric(data.labels["soma_depth_um"], "coerce"))
    )
    known = (outputs.depth.notna() & (data.labels["family"] != "unknown")).to_numpy()
    return dense(data)[0][known], outputs.to_numpy()[known]


def dense(data):
    """Counts as an array, and outputs."""
    return (data.counts.toarray() if hasattr(data.counts, "toarray") else data.counts), data.Y


def counts_of(name, **options):
    """Counts of all genes, and outputs."""
    return dense(as_paired(load_dataset(name, verbose=False, **options)))


DATA = {
    "pbmc_5k_protein": (lambda: counts_of("pbmc_5k_protein", n_genes=None), 1000, (80, 200)),
    "pbmc_10k_protein": (lambda: counts_of("pbmc_10k_protein", n_genes=None), 1000, (80, 200)),
    "citeseq_cd8": (lambda: counts_of("citeseq_cd8", n_genes=None), 1000, (80, 300)),
    "scala_34c_counts": (physiological_cells, 1000, (80, 185)),
    "scala": (lambda: counts_of("scala"), 200, (80, 300)),
    "simulated": (
        lambda: dense(as_paired(simulate_patchseq(1000, 5000, n_true_genes=40, random_state=1))),
        500,
        (80, 300),
    ),
}


def largest(scores, number):
    """A mask of the genes with the largest scores."""
    return np.isin(np.arange(len(scores)), np.argsort(-scores, kind="stable")[:number])


def by_variance_beyond_mean(X):
    """Variance of log values less the usual one of genes of similar mean."""
    order = np.argsort(X.mean(0), kind="stable")
    variance = pd.Series(X.var(0)[order])
    beyond = np.empty(X.shape[1])
    beyond[order] = variance - variance.rolling(TREND, center=True, min_periods=1).mean()
    return beyond


def by_correlation(X, Y):
    """Sum of the squared correlations with the outputs."""
    X, Y = ((a - a.mean(0)) / np.where(a.std(0) > 0, a.std(0), 1) for a in (X, Y))
    return np.square(X.T @ Y / len(X)).sum(1)


def measure(counts, Y, number, n_cells, seed):
    """Test R2 of ridge in every fold, by criterion; a list of dicts."""
    chosen = np.random.default_rng(100 + seed).permutation(len(counts))[:n_cells]
    counts = counts[chosen]
    varies = np.ptp(counts, axis=0) > 0
    X = np.log2(
        1 + counts[:, varies] / (totals := counts.sum(1, keepdims=True)) * np.median(totals)
    )
    data = as_paired(paired(X, Y[chosen], counts=counts[:, varies].astype(np.int64)))
    rows = []
    for fold in paper_folds(data.n_cells, N_FOLDS, seed=seed):
        train = fold[0]
        genes = {
            "all genes": np.ones(data.n_genes, bool),
            "preselected": preselect_genes(data, number, train),
            "variance": largest(data.X[train].var(0), number),
            "beyond mean": largest(by_variance_beyond_mean(data.X[train]), number),
            "correlation": largest(by_correlation(data.X[train], data.Y[train]), number),
        }
        X_train, Y_train, X_test, Y_test = split_and_scale(data, fold)
        rows.append(
            {
                name: pooled_r2(
                    Y_test,
                    LeaveOneOutRidge().fit(X_train[:, mask], Y_train).predict(X_test[:, mask]),
                    Y_train.mean(0),
                )
                for name, mask in genes.items()
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=DATA, default=list(DATA))
    rows = []
    warnings.simplefilter("ignore")  # of subsets in which a type has one cell
    for name in parser.parse_args().only:
        load, number, sizes = DATA[name]
        try:
            counts, Y = load()
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}")
            continue
        for n_cells in sizes:
            n_cells = min(n_cells, len(counts))
            folds = [row for seed in SEEDS for row in measure(counts, Y, number, n_cells, seed)]
            rows.append(
                {"data": name, "genes": counts.shape[1], "cells": n_cells}
                | pd.DataFrame(folds).mean().to_dict()
            )
    print(to_markdown(pd.DataFrame(rows).set_index("data")))


if __name__ == "__main__":
    main()
