"""How well a two-dimensional map predicts the families and types of held-out cells.

    python benchmarks/neighbours.py [--maps MAP ...] [--jobs 1] [--report-only]

Ten folds of the paper, mouse M1: a map is fitted to the training cells, and the family (type) of
every test cell is that of most of its 15 nearest training cells on the map. Data are z-scored over
all cells; maps of expression alone are fitted to the log counts as they are too. Keeps the
accuracies in saved_models/benchmarks/neighbours.pickle, where those of maps that are not asked for
stay, and prints Markdown: means, and differences fold by fold.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from accuracy import paired_difference, with_interval
from cell_maps import CanonicalCorrelationMap, TSNEMap, UMAPMap
from joblib import Parallel, delayed
from pages import to_markdown
from sklearn.base import clone
from sklearn.decomposition import PCA

from sbnn import (
    DistilledBottleneckRegressor,
    ReducedRankRegression,
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    load_dataset,
    paper_folds,
)
from sbnn.data.paired import as_paired
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import split_and_scale
from sbnn.evaluation.neighbours import LABELS, NEIGHBOURS, vote
from sbnn.results import Record, load, save

PATH = Path(__file__).resolve().parents[1] / "saved_models" / "benchmarks" / "neighbours.pickle"
SEED = 42
NETWORK = {"standardize": False, "device": "cpu", "random_state": SEED}
REFERENCE = "distilled"  # what the others are compared with


@dataclass(frozen=True)
class Map:
    """A row of the table: what it is made of, the estimator, and how `held_out_accuracy` scales the data for it."""

    label: str
    estimator: object
    scaling: str = "all"


MAPS = {
    "distilled": Map("sBNN distilled, d=2, 25 genes", DistilledBottleneckRegressor(**NETWORK)),
    "paper": Map("sBNN paper, d=2, 25 genes", SparseBottleneckRegressor(**NETWORK)),
    # The penalty that keeps 24 genes on average.
    "srrr": Map("sRRR, rank 2, 24 genes", SparseReducedRankRegression(rank=2, alpha=0.4)),
    # Of the penalties 0.3, 1, 2.75 and 10, the one that is best on these very folds.
    "rrr": Map(
        "reduced-rank regression, rank 2, all genes", ReducedRankRegression(rank=2, alpha=2.75)
    ),
    "cca": Map("CCA of 50 PCs and the outputs, 2 pairs, all genes", CanonicalCorrelationMap()),
    "pca": Map("PCA, 2 components, all genes", PCA(2, random_state=SEED)),
    "pca_logs": Map(
        "PCA of log counts, 2 components, all genes", PCA(2, random_state=SEED), "none"
    ),
    "tsne": Map("t-SNE of 50 PCs, all genes", TSNEMap(random_state=SEED)),
    "tsne_logs": Map(
        "t-SNE of 50 PCs of log counts, all genes", TSNEMap(random_state=SEED), "none"
    ),
    "umap": Map("UMAP of 50 PCs, all genes", UMAPMap(random_state=SEED)),
    "umap_logs": Map("UMAP of 50 PCs of log counts, all genes", UMAPMap(random_state=SEED), "none"),
}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--maps", nargs="+", choices=MAPS, default=list(MAPS), metavar="MAP", help=", ".join(MAPS)
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--report-only", action="store_true", help="compute nothing, show what is saved"
    )
    return parser.parse_args(arguments)


def held_out_accuracy(model, data, folds, n_jobs=1, scaling="fold", k=NEIGHBOURS):
    """Share of the test cells whose label is that of most of their nearest training cells, (folds,
    2).

    The map is fitted to the training cells of every fold; the test cells are placed on it
    afterwards.
    """
    jobs = (delayed(_accuracy_of_fold)(clone(model), data, fold, scaling, k) for fold in folds)
    return pd.DataFrame(Parallel(n_jobs=n_jobs)(jobs)).rename_axis("fold")


def _accuracy_of_fold(model, data, fold, scaling, k):
    X_train, Y_train, X_test, _ = split_and_scale(data, fold, scaling)
    with reproducible():
        placed = model.fit_transform(X_train, Y_train), model.transform(X_test)
    labels = {kind: data.labels[kind].to_numpy() for kind in LABELS}
    return {
        kind: vote(placed[0], names[fold[0]], k, placed[1], names[fold[1]])
        for kind, names in labels.items()
    }


def measure(data, names, n_jobs=1):
    """Accuracies of the maps, (folds, 2) each; a map whose library is not installed is reported and left out."""
    found = {}
    for name in names:
        row = MAPS[name]
        try:
            scores = held_out_accuracy(
                row.estimator, data, paper_folds(len(data.X)), n_jobs, row.scaling
            )
        except ImportError as error:
            print(f"{row.label}: {error}", file=sys.stderr)
            continue
        found[name] = scores.to_numpy()
    return found


def table(record):
    """Mean accuracy over the folds, and the paired difference to the reference, one row per map.

    The difference has a 95 % confidence interval, corrected for the training cells that folds
    share.
    """
    train, test = record.folds[0]
    rows = {}
    for name, row in MAPS.items():
        if name not in record.values:
            continue
        scores = dict(zip(LABELS, record.values[name].T, strict=True))
        cells = {kind: f"{scores[kind].mean():.3f}" for kind in LABELS}
        for i, kind in enumerate(LABELS):
            cells[f"{kind}, minus distilled"] = ""
            if name != REFERENCE and REFERENCE in record.values:
                reference = record.values[REFERENCE][:, i]
                mean, half = paired_difference(scores[kind], reference, len(test) / len(train))
                cells[f"{kind}, minus distilled"] = with_interval(mean, half)
        rows[row.label] = cells
    return pd.DataFrame(rows).T.rename_axis("map")


def main(arguments=None):
    options = parse(arguments)
    values = load(PATH).values if PATH.exists() else {}
    if not options.report_only:
        data = as_paired(load_dataset("scala"))
        values |= measure(data, options.maps, options.jobs)
        values = {name: values[name] for name in MAPS if name in values}
        settings = {"scaling": {name: MAPS[name].scaling for name in values}}
        folds = paper_folds(data.n_cells)
        save(
            Record("neighbours", data.name, data.sha256, [], SEED, settings, folds, values=values),
            PATH,
        )
    print(to_markdown(table(load(PATH))))


if __name__ == "__main__":
    main()
