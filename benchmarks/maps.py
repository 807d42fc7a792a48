"""Types of held-out cells on the map of the distilled network, beside maps of dull methods.

    python benchmarks/maps.py [--data scala citeseq_cd8] [--report-only]

In each of the ten folds of the paper, all maps are fitted to the training cells, z-scored there,
and each test cell gets the commonest type of its 15 nearest training cells on the map. Cells
without a type are left out. Adds what is missing to saved_models/benchmarks/maps.csv (delete lines
to measure them again) and prints Markdown.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from pages import to_markdown
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    ReducedRankRegression,
    load_dataset,
    paper_folds,
)
from sbnn.data.paired import as_paired
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import scale_fold
from sbnn.evaluation.scores import mean_sd
from sbnn.evaluation.verdict import corrected_difference

SAVED = Path(__file__).resolve().parents[1] / "saved_models" / "benchmarks" / "maps.csv"
LABELS = {
    "scala": ("family", "type"),
    "scala_ion_channels": ("family", "type"),
    "citeseq_cd8": ("type",),
    "tcga_breast": ("type",),
    "simulated": ("type",),
}
N_NEIGHBOURS = 15
SEED = 42
TEST_FRACTION = 1 / 9  # test cells per training cell, in ten folds
NETWORK = "distilled, d=2"


def fold_maps(X_train, Y_train, X_test):
    """Positions of training and test cells by method; the last is the kept genes themselves."""
    network = DistilledBottleneckRegressor(standardize=False, device="cpu", random_state=SEED)
    network.fit(X_train, Y_train)
    kept = network.get_support()
    penalty = LeaveOneOutRidge().fit(X_train, Y_train).alpha_ / len(X_train)
    linear = ReducedRankRegression(rank=2, alpha=penalty).fit(X_train, Y_train)
    pls = PLSRegression(n_components=2, scale=False).fit(X_train, Y_train)
    of_all = PCA(2, random_state=SEED).fit(X_train)
    of_kept = PCA(2, random_state=SEED).fit(X_train[:, kept])
    both = (X_train, X_test)
    return {
        NETWORK: [network.transform(X) for X in both],
        "PCA of its 25 genes": [of_kept.transform(X[:, kept]) for X in both],
        "reduced-rank regression, all genes": [linear.transform(X) for X in both],
        "PLS, all genes": [pls.transform(X) for X in both],
        "PCA, all genes": [of_all.transform(X) for X in both],
        "its 25 genes, without a map": [X[:, kept] for X in both],
    }


def measure(dataset, labels):
    """Accuracies of all methods in all folds, a row for each and for each kind of label."""
    adata = load_dataset(dataset)
    data = as_paired(adata)
    rows = []
    for i, fold in enumerate(paper_folds(data.n_cells)):
        X_train, Y_train, X_test, _, _ = scale_fold(data, fold, "fold")
        with reproducible():
            maps = fold_maps(X_train, Y_train, X_test)
        for label in labels:
            types = adata.obs[label].astype(object).to_numpy()
            train_types, test_types = (types[cells] for cells in fold)
            is_known = [pd.notna(own) & (own != "") for own in (train_types, test_types)]
            for method, (train, test) in maps.items():
                neighbours = KNeighborsClassifier(N_NEIGHBOURS)
                neighbours.fit(train[is_known[0]], train_types[is_known[0]])
                accuracy = neighbours.score(test[is_known[1]], test_types[is_known[1]])
                rows.append([dataset, label, method, i, round(accuracy, 6)])
    return pd.DataFrame(rows, columns=["data", "label", "method", "fold", "accuracy"])


def accuracy_table(rows):
    """Mean ± SD over folds; in brackets, the network minus the other, ± half of its 95 % interval.

    A difference is bold if the network is better.
    """
    table = {}
    for (dataset, label), own in rows.groupby(["data", "label"], sort=False):
        by_method = own.pivot(index="fold", columns="method", values="accuracy")
        text = {}
        for method in own["method"].unique():
            text[method] = mean_sd(by_method[method])
            if method != NETWORK:
                found = corrected_difference(by_method[NETWORK] - by_method[method], TEST_FRACTION)
                shown = f"{found.mean:+.3f} ± {found.high - found.mean:.3f}"
                text[method] += f" (**{shown}**)" if found.low > 0 else f" ({shown})"
        table[f"{dataset}, {label}"] = text
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("data, label")


def main():
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--report-only", action="store_true", help="show what is saved")
    options = parser.parse_args()
    rows = pd.read_csv(SAVED) if SAVED.exists() else pd.DataFrame({"data": []})
    for dataset in options.data:
        if not options.report_only and dataset not in set(rows["data"]):
            rows = pd.concat([rows, measure(dataset, LABELS[dataset])])
            rows.to_csv(SAVED, index=False)
    print(to_markdown(accuracy_table(rows[np.isin(rows["data"], options.data)])))


if __name__ == "__main__":
    main()
