"""How often noise is called better than chance, and how often few real cells are.

    python benchmarks/chance.py [--data-sets 300] [--draws 40] [--only NAME ...]

Outputs of noise: 60 cells, 50 genes, three outputs, ten folds (the network, in a quick setting: 30
genes, five folds). Power: ridge on few cells of mouse M1 and of CD8 T cells, drawn anew each time,
where the data are found. Prints Markdown.
"""

import argparse
import sys
import warnings

import numpy as np
import pandas as pd
from pages import to_markdown
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    ReducedRankRegression,
    SparseReducedRankRegression,
    cross_validate,
    load_dataset,
)
from sbnn.data.paired import as_paired
from sbnn.evaluation.crossval import chance_table
from sbnn.models.bottleneck.settings import DistilledSettings

MODELS = {
    "ridge, penalty 100": Ridge(100.0),
    "ridge, penalty by leave-one-out": LeaveOneOutRidge(),
    "reduced-rank regression": ReducedRankRegression(rank=2),
    "sparse reduced-rank regression": SparseReducedRankRegression(rank=2, alpha=0.3),
    "forest": RandomForestRegressor(30, min_samples_leaf=3),
    "10 neighbours": KNeighborsRegressor(10),
    "network": DistilledBottleneckRegressor(
        n_genes=10,
        standardize=False,
        device="cpu",
        hidden_layers=(32, 16),
        distillation=DistilledSettings(steps_of_teachers=50, steps_of_student=100),
    ),
}
FEW = {"scala": (20, 30, 60), "citeseq_cd8": (20, 30, 60)}  # cells


def p_value(model, X, Y, folds):
    """P of the test R2, as `sbnn.verdict` gives it."""
    return chance_table(cross_validate(model, (X, Y), folds, verbose=False), Y).p[0]


def shares(p):
    """Share of the data sets with p of at most 0.05 and 0.01."""
    p = np.array(list(p))
    return (p <= 0.05).mean(), (p <= 0.01).mean()


def noise(model, n_sets):
    """P of data sets of noise."""
    n_genes, n_folds = (30, 5) if isinstance(model, DistilledBottleneckRegressor) else (50, 10)
    for seed in range(n_sets):
        random = np.random.default_rng(1000 + seed)
        X, Y = (random.normal(size=(60, columns)).astype(np.float32) for columns in (n_genes, 3))
        yield p_value(model, X, Y, n_folds)


def few_cells(data, n_cells, draws):
    """P of ridge on some of the cells."""
    for seed in range(draws):
        cells = np.random.default_rng(seed).permutation(data.n_cells)[:n_cells]
        X, Y = (values[cells][:, np.ptp(values[cells], axis=0) > 0] for values in (data.X, data.Y))
        yield p_value(LeaveOneOutRidge(), X, Y, min(10, n_cells // 3))


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-sets", type=int, default=300)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument(
        "--only", nargs="+", choices=[*MODELS, *FEW], default=[*MODELS, *FEW], metavar="NAME"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = {}

    def add(title, n, p):
        rows[title, n] = shares(p)
        print(title, n, rows[title, n], file=sys.stderr, flush=True)  # a row may take ten minutes

    for name in (name for name in MODELS if name in options.only):
        add(f"noise, {name}", options.data_sets, noise(MODELS[name], options.data_sets))
    for name in (name for name in FEW if name in options.only):
        data = as_paired(load_dataset(name, download=False, verbose=False))
        for n in FEW[name]:
            add(f"{name}, {n} cells", options.draws, few_cells(data, n, options.draws))
    columns = ["p <= 0.05", "p <= 0.01"]
    index = pd.MultiIndex.from_tuples(rows, names=["outputs and model", "data sets"])
    print(to_markdown(pd.DataFrame(list(rows.values()), index, columns)))


if __name__ == "__main__":
    main()
