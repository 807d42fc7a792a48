"""How well a two-dimensional map tells the families and types of cells that it has not seen.

    python benchmarks/neighbours.py [--maps MAP ...] [--jobs 1] [--report-only]

Ten folds of the paper, mouse M1, z-scored over all cells: a map is fitted to the training cells, and the family
(type) of every test cell is that of most of its 15 nearest training cells on the map. Keeps the accuracies
in saved_models/benchmarks/neighbours.pickle, where those of maps that are not asked for stay, and prints Markdown.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from sklearn.decomposition import PCA

from sbnn import ReducedRankRegression, SparseBottleneckRegressor, SparseReducedRankRegression, load_dataset
from sbnn.evaluation.neighbours import LABELS, held_out_accuracy
from sbnn.models.maps import CanonicalCorrelationMap, TSNEMap, UMAPMap
from sbnn.results import Record, load, save
from sbnn.study.experiments import SEED
from sbnn.study.report import to_markdown

PATH = Path(__file__).resolve().parents[1] / "saved_models" / "benchmarks" / "neighbours.pickle"
NETWORK = {"standardize": False, "device": "cpu", "random_state": SEED}
# Name -> what the map is made of, and the map.
MAPS = {
    "distilled": ("sBNN distilled, d=2, 25 genes", SparseBottleneckRegressor(protocol="distilled", **NETWORK)),
    "paper": ("sBNN paper, d=2, 25 genes", SparseBottleneckRegressor(protocol="paper", **NETWORK)),
    # The penalty that keeps 24 genes on average.
    "srrr": ("sRRR, rank 2, 24 genes", SparseReducedRankRegression(rank=2, alpha=0.4)),
    # Of the penalties 0.3, 1, 2.75 and 10, the one that is best on these very folds.
    "rrr": ("reduced-rank regression, rank 2, all genes", ReducedRankRegression(rank=2, alpha=2.75)),
    "cca": ("CCA of 50 PCs and the outputs, 2 pairs, all genes", CanonicalCorrelationMap()),
    "pca": ("PCA, 2 components, all genes", PCA(2, random_state=SEED)),
    "tsne": ("t-SNE of 50 PCs, all genes", TSNEMap(random_state=SEED)),
    "umap": ("UMAP of 50 PCs, all genes", UMAPMap(random_state=SEED)),
}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maps", nargs="+", choices=MAPS, default=list(MAPS), metavar="MAP", help=", ".join(MAPS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report-only", action="store_true", help="compute nothing, show what is saved")
    return parser.parse_args(arguments)


def measure(data, names, n_jobs=1):
    """Accuracies of the maps, (folds, 2) each; a map whose library is not installed is reported and left out."""
    found = {}
    for name in names:
        title, model = MAPS[name]
        try:
            scores = held_out_accuracy(model, data, n_jobs=n_jobs, scaling="all")
        except ImportError as error:
            print(f"{title}: {error}", file=sys.stderr)
            continue
        found[name] = scores.to_numpy()
    return found


def table(record):
    """Mean and SD of the accuracy over the folds, one row per map."""
    rows = {}
    for name, (title, _) in MAPS.items():
        if name in record.values:
            mean, sd = record.values[name].mean(0), record.values[name].std(0, ddof=1)
            rows[title] = {kind: f"{mean[i]:.3f} ± {sd[i]:.3f}" for i, kind in enumerate(LABELS)}
    return pd.DataFrame(rows).T.rename_axis("map")


def main(arguments=None):
    options = parse(arguments)
    values = load(PATH).values if PATH.exists() else {}
    if not options.report_only:
        data = load_dataset("scala")
        values |= measure(data, options.maps, options.jobs)
        save(Record("neighbours", data.name, data.sha256, [], SEED, {"scaling": "all"}, values=values), PATH)
    print(to_markdown(table(load(PATH))))


if __name__ == "__main__":
    main()
