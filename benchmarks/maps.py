"""Types of held-out cells on the map of the distilled network, beside maps of dull methods.

    python benchmarks/maps.py [--data scala citeseq_cd8] [--report-only]

In each of the ten folds of the paper, all maps are fitted to the training cells, z-scored there,
and each test cell gets the commonest type of its 15 nearest training cells on the map. Cells
without a type are left out. On mouse M1, the published network and sparse reduced-rank regression
have a map, too. For cells with electrophysiology alone, the map are the sparse principal components
of Gouwens et al. (2020), in five folds that keep donors together, beside the commonest type of the
training cells. Adds what is missing to saved_models/benchmarks/maps.csv (delete lines to measure
them again) and prints Markdown.
"""

import argparse
from functools import partial
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
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    load_dataset,
    paper_folds,
)
from sbnn.data.paired import as_paired
from sbnn.determinism import reproducible
from sbnn.ephys_types import SparsePCAForest
from sbnn.ephys_types.classification import repeated_donor_folds
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
#: Cells with electrophysiology alone, and the column of their types.
EPHYS_LABELS = {"gouwens_ephys": "type5", "lee_human": "type"}
N_NEIGHBOURS = 15
SEED = 42
COLUMNS = ["data", "label", "method", "fold", "accuracy"]
TEST_FRACTION = 1 / 9  # test cells per training cell, in ten folds
NETWORK = "distilled, d=2"
LINEAR = "reduced-rank regression, all genes"
PUBLISHED = "published, d=2"
SPARSE_LINEAR = "sRRR, rank 2"
COMPONENTS = "sparse principal components"
COMMONEST = "the commonest type"
PUBLISHED_DATA = "scala"  # with a map of the published network
SRRR_PENALTY = 0.4  # keeps 24 genes of M1, as in the cross-validation of notebook 02


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
        LINEAR: [linear.transform(X) for X in both],
        "PLS, all genes": [pls.transform(X) for X in both],
        "PCA, all genes": [of_all.transform(X) for X in both],
        "its 25 genes, without a map": [X[:, kept] for X in both],
    }


def published_maps(X_train, Y_train, X_test):
    """Positions on the map of the published network and on that of its linear counterpart."""
    network = SparseBottleneckRegressor(standardize=False, device="cpu", random_state=SEED)
    models = {
        PUBLISHED: network,
        SPARSE_LINEAR: SparseReducedRankRegression(rank=2, alpha=SRRR_PENALTY),
    }
    maps = {}
    for name, model in models.items():
        model.fit(X_train, Y_train)
        maps[name] = [model.transform(X) for X in (X_train, X_test)]
    return maps


def neighbour_accuracy(train, train_types, test, test_types):
    """Share of test cells that have the commonest type of their nearest training cells."""
    neighbours = KNeighborsClassifier(N_NEIGHBOURS).fit(train, train_types)
    return round(neighbours.score(test, test_types), 6)


def measure(dataset, labels, make_maps):
    """Accuracies of methods in all folds, a row for each and for each kind of label."""
    adata = load_dataset(dataset)
    data = as_paired(adata)
    rows = []
    for i, fold in enumerate(paper_folds(data.n_cells)):
        X_train, Y_train, X_test, _, _ = scale_fold(data, fold, "fold")
        with reproducible():
            maps = make_maps(X_train, Y_train, X_test)
        for label in labels:
            types = adata.obs[label].astype(object).to_numpy()
            train_types, test_types = (types[cells] for cells in fold)
            is_known = [pd.notna(own) & (own != "") for own in (train_types, test_types)]
            for method, (train, test) in maps.items():
                accuracy = neighbour_accuracy(
                    train[is_known[0]],
                    train_types[is_known[0]],
                    test[is_known[1]],
                    test_types[is_known[1]],
                )
                rows.append([dataset, label, method, i, accuracy])
    return pd.DataFrame(rows, columns=COLUMNS)


def measure_components(dataset, label):
    """Accuracies by sparse principal components, and of the commonest type, in folds of donors."""
    how = {"relative": True} if dataset == "gouwens_ephys" else {}
    cells = load_dataset(dataset, **how)
    family, types = cells.var["family"].astype(str), cells.obs[label].astype(str).to_numpy()
    rows = []
    for i, fold in enumerate(repeated_donor_folds(cells, 5, (SEED,), target=label)[SEED]):
        forest = SparsePCAForest(n_estimators=1, random_state=SEED)  # for its components alone
        train_types, test_types = (types[own] for own in fold)
        forest.fit(cells.X[fold[0]], train_types, family)
        train, test = (forest.transform(cells.X[own]) for own in fold)
        accuracy = neighbour_accuracy(train, train_types, test, test_types)
        names, counts = np.unique(train_types, return_counts=True)
        of_commonest = round((test_types == names[counts.argmax()]).mean(), 6)
        rows.append([dataset, label, COMPONENTS, i, accuracy])
        rows.append([dataset, label, COMMONEST, i, of_commonest])
    return pd.DataFrame(rows, columns=COLUMNS)


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


def components_table(rows):
    """Accuracy by sparse principal components and of the commonest type, mean ± SD over folds."""
    by_method = rows.groupby(["data", "label", "method"], sort=False)["accuracy"]
    return by_method.agg(mean_sd).unstack("method")[[COMPONENTS, COMMONEST]]


def measurements(datasets):
    """A function that measures, by data set and one of its methods."""
    wanted = {}
    for dataset in datasets:
        if dataset in EPHYS_LABELS:
            wanted[dataset, COMPONENTS] = partial(
                measure_components, dataset, EPHYS_LABELS[dataset]
            )
        else:
            wanted[dataset, NETWORK] = partial(measure, dataset, LABELS[dataset], fold_maps)
        if dataset == PUBLISHED_DATA:
            wanted[dataset, PUBLISHED] = partial(measure, dataset, LABELS[dataset], published_maps)
    return wanted


def main():
    """Measure what is missing and print the tables."""
    known = [*LABELS, *EPHYS_LABELS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=known, default=known)
    parser.add_argument("--report-only", action="store_true", help="show what is saved")
    options = parser.parse_args()
    rows = pd.read_csv(SAVED) if SAVED.exists() else pd.DataFrame(columns=COLUMNS)
    for (dataset, method), measure_it in measurements(options.data).items():
        is_known = (rows["data"] == dataset) & (rows["method"] == method)
        if not options.report_only and not is_known.any():
            rows = pd.concat([rows, measure_it()])
            rows.to_csv(SAVED, index=False)
    shown = rows[np.isin(rows["data"], options.data)]
    has_components = np.isin(shown["data"], list(EPHYS_LABELS))
    tables = {accuracy_table: shown[~has_components], components_table: shown[has_components]}
    for make_table, own in tables.items():
        if len(own):
            print(to_markdown(make_table(own)))


if __name__ == "__main__":
    main()
