"""What it costs that the genes of the CITE-seq sets are selected on all cells, test cells included.

    python benchmarks/selection_leak.py [--data citeseq_cd8] [--models ridge distilled stacked]

The selection looks at counts alone, never at proteins, and yet it sees the test cells. Here the
same models are fitted to 1000 genes selected on all cells, as `load_dataset` does, and to 1000
selected on the training cells of each of the ten folds. All else is scaled inside the fold both
times. Prints Markdown.
"""

import argparse

import pandas as pd
from pages import to_markdown
from sklearn.base import clone

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    StackedRegressor,
    load_dataset,
    paired,
    paper_folds,
)
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import select_genes
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import scale_fold
from sbnn.evaluation.verdict import corrected_difference
from sbnn.metrics import pooled_r2
from sbnn.plotting.reading import mean_text

N_GENES, SEED = 1000, 42
CITESEQ = ("stoeckius", "citeseq_cd8", "pbmc_5k_protein", "pbmc_10k_protein")
DISTILLED = DistilledBottleneckRegressor(standardize=False, device="cpu", random_state=SEED)
MODELS = {
    "ridge": ("ridge, all genes", LeaveOneOutRidge()),
    "distilled": ("sBNN distilled, d=2, 25 genes", DISTILLED),
    "stacked": ("sBNN distilled, d=2, + ridge, all genes", StackedRegressor(DISTILLED)),
}


def compare(model, counts, Y, folds, n_genes=N_GENES):
    """Test R2 of each fold with genes selected on all cells and on its training cells, and how many
    genes are in both selections; `counts` are those of all genes.
    """
    on_all_cells = select_genes(counts, n_genes).selected
    rows = []
    for fold in folds:
        train, _ = fold
        on_training_cells = select_genes(counts[train], n_genes).selected
        row = {
            "shared": (on_all_cells & on_training_cells).sum(),
            "all cells": fold_r2(model, counts[:, on_all_cells], Y, fold=fold),
            "training cells": fold_r2(model, counts[:, on_training_cells], Y, fold=fold),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def fold_r2(model, counts, Y, fold):
    """Test R2 of a fold, from counts of selected genes."""
    data = as_paired(paired(None, Y, counts=counts))
    X_train, Y_train, X_test, Y_test, _ = scale_fold(data, fold, "fold")
    with reproducible():
        predicted = clone(model).fit(X_train, Y_train).predict(X_test)
    return pooled_r2(Y_test, predicted, Y_train.mean(axis=0))


def difference_table(compared, test_fraction):
    """Means and SD over the folds, and the paired difference with a 95 % interval, a row per model."""
    rows = {}
    for title, scores in compared.items():
        differences = scores["training cells"] - scores["all cells"]
        rows[title] = {
            "genes selected on all cells": mean_text(scores["all cells"]),
            "selected in each fold": mean_text(scores["training cells"]),
            "difference": str(corrected_difference(differences, test_fraction)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=CITESEQ, default="citeseq_cd8")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    data = as_paired(load_dataset(options.data, n_genes=None))
    folds = paper_folds(data.n_cells)
    compared = {}
    for name in options.models:
        title, model = MODELS[name]
        compared[title] = compare(model, data.counts, data.Y, folds=folds)
    train, test = folds[0]
    print(to_markdown(difference_table(compared, len(test) / len(train))))
    first, *_ = compared.values()  # the selections are the same for all models
    print(f"\n{first['shared'].mean():.0f} of {N_GENES} genes are in both selections, on average")


if __name__ == "__main__":
    main()
