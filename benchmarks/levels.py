"""How often noise is called an effect by the tests of this package, and their power.

    python benchmarks/levels.py [--data-sets 500] [--only intervals differences ...]

- intervals: 95 % intervals of the R2 of strongly shrunken ridge that are above 0, for outputs that
  are noise or depend weakly on one gene.
- differences: 95 % intervals of ridge minus a strongly shrunken ridge that exclude the mean
  difference over all data sets, or 0.
- genes: false genes, or groups of them, that `selection_table` trusts, by correlation in halves of
  the cells.

Prints Markdown.
"""

import argparse
import sys

import numpy as np
import pandas as pd
from pages import to_markdown
from sklearn.linear_model import Ridge
from sklearn.model_selection import RepeatedKFold, ShuffleSplit

from sbnn import grouped_folds
from sbnn.data.paired import as_paired
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.folds import make_folds
from sbnn.evaluation.stability import selection_table
from sbnn.evaluation.verdict import paired_difference, verdict
from sbnn.metrics import cells_behind, pooled_r2
from sbnn.results import Record

SEED = 10_000  # of the first data set; settings were chosen on lower seeds
N_CELLS = 80
N_GENES = 30
N_DONORS = 24
SHUFFLED = {"20 random tenths": (20, 0.1), "50 random fifths": (50, 0.2)}
REPEATED = {
    "10 folds": (10, 1),
    "5 folds": (5, 1),
    "5 folds x 3": (5, 3),
    "5 folds x 5": (5, 5),
    "5 folds x 10": (5, 10),
    "10 folds x 10": (10, 10),
}
GROUPED = {"5 folds of donors": 1, "5 folds of donors x 5": 5}
# weight of what other genes have in common, effect of each of five genes, and weight of what each
# five genes have in common, which then are groups
SELECTED = {
    "noise": (0, 0, 0),
    "noise, correlated genes": (1, 0, 0),
    "noise, groups of five genes": (0, 0, 2),
    "5 of 100 genes": (0, 0.6, 0),
    "5 of 100 genes, others correlated": (1, 0.6, 0),
}
N_KEPT = 8  # genes that each half keeps


def draw_folds(name, donors, seed):
    """Folds of a data set, by the name of their kind; other ones for each seed."""
    if name in SHUFFLED:
        n_splits, test_fraction = SHUFFLED[name]
        folds = ShuffleSplit(n_splits, test_size=test_fraction, random_state=seed)
    elif name in REPEATED:
        n_splits, n_repeats = REPEATED[name]
        folds = RepeatedKFold(n_splits=n_splits, n_repeats=n_repeats, random_state=seed)
    else:
        folds_by_test_cells = {}  # as a fold may be drawn twice
        for repeat in range(GROUPED[name]):
            for train, test in grouped_folds(donors, 5, seed * 100 + repeat):
                folds_by_test_cells[tuple(test)] = (train, test)
        folds = list(folds_by_test_cells.values())
    return make_folds(folds, len(donors))


def cross_validate_ridge(penalty, X, Y, folds):
    """Record of ridge, as from `sbnn.cross_validate` without scaling, but in less time."""
    r2 = []
    for train, test in folds:
        predicted = Ridge(penalty).fit(X[train], Y[train]).predict(X[test])
        training_mean = Y[train].mean(axis=0)
        r2.append([pooled_r2(Y[test], predicted, training_mean)])
    return Record(
        experiment="noise",
        dataset="",
        sha256="",
        params=[{}],
        settings={"scaling": "none"},
        folds=folds,
        values={"test_r2": np.array(r2)},
    )


def simulate_cells(seed, slope):
    """Genes, two outputs, one of which depends on the first gene, and donors."""
    rng = np.random.default_rng(seed)
    donors = rng.integers(N_DONORS, size=N_CELLS)
    of_cells = rng.normal(size=(N_CELLS, N_GENES))
    of_donors = rng.normal(size=(N_DONORS, N_GENES))
    X = of_cells + of_donors[donors]
    Y = rng.normal(size=(N_CELLS, 2))
    Y[:, 0] += slope * X[:, 0]
    return X, Y, donors


def intervals(name, n_sets):
    """Fractions of data sets of noise, and of a weak effect, whose interval of R2 is above 0."""
    is_above = np.empty((n_sets, 2))
    for k in range(n_sets):
        for i, slope in enumerate((0, 0.5)):
            X, Y, donors = simulate_cells(SEED + k, slope)
            folds = draw_folds(name, donors, SEED + k)
            record = cross_validate_ridge(1000.0, X, Y, folds=folds)
            is_above[k, i] = verdict(record).interval.low > 0
    return is_above.mean(axis=0)


def differences(name, n_sets):
    """Fractions of the intervals that exclude the mean difference over the data sets, and 0."""
    rows = []
    for seed in range(SEED, SEED + n_sets):
        X, Y, donors = simulate_cells(seed, 0.7)
        folds = draw_folds(name, donors, seed)
        weak = cross_validate_ridge(30.0, X, Y, folds=folds)
        strong = cross_validate_ridge(1000.0, X, Y, folds=folds)
        difference = paired_difference(weak, strong, "test_r2")
        rows.append([difference.mean, difference.low, difference.high])
    mean, low, high = np.array(rows).T
    fractions = []
    for value in (mean.mean(), 0):
        is_excluded = (low > value) | (high < value)
        fractions.append(is_excluded.mean())
    return fractions


def trusted_genes(name, n_sets):
    """Mean number of false genes that are trusted, and fraction of the five true ones."""
    in_common, slope, in_group = SELECTED[name]
    rows = np.empty((n_sets, 2))
    for k in range(n_sets):
        rng = np.random.default_rng(SEED + k)
        X = rng.normal(size=(N_CELLS, 100))
        X[:, 5:] += in_common * rng.normal(size=(N_CELLS, 1))
        y = rng.normal(size=N_CELLS) + slope * X[:, :5].sum(axis=1)
        if in_group:
            X += in_group * np.repeat(rng.normal(size=(N_CELLS, 20)), 5, axis=1)
        cells = as_paired((X, y))
        halves = complementary_pairs(N_CELLS, 50, SEED + k)
        selected = np.zeros((len(halves), 1, X.shape[1]), dtype=bool)
        for kept, (train, _) in zip(selected[:, 0], halves, strict=True):
            correlations = np.corrcoef(X[train], y[train], rowvar=False)[-1, :-1]
            strongest = np.argsort(-np.abs(correlations))
            kept[strongest[:N_KEPT]] = True
        record = Record(
            experiment="halves",
            dataset="",
            sha256="",
            params=[{}],
            folds=halves,
            values=cells.names
            | {
                "selected": selected,
                "n_selected": selected.sum(axis=2),
                "cells_behind": cells_behind(X - X.mean(axis=0)),
            },
        )
        table = selection_table(record, data=cells, groups=0.5 if in_group else None)
        genes = table.query("trusted").index
        n_true = genes.isin(cells.gene_names[:5]).sum() if slope else 0
        rows[k] = (len(genes) - n_true, n_true / 5)
    return rows.mean(axis=0)


TESTS = {
    "intervals": (intervals, [*REPEATED, *SHUFFLED, *GROUPED]),
    "differences": (differences, [*REPEATED, *SHUFFLED]),
    "genes": (trusted_genes, list(SELECTED)),
}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-sets", type=int, default=500)
    parser.add_argument("--only", nargs="+", choices=TESTS, default=list(TESTS))
    options = parser.parse_args()
    for test in options.only:
        measure, names = TESTS[test]
        rows = []
        for name in names:
            rows.append(measure(name, options.data_sets))
            print(test, name, rows[-1], file=sys.stderr, flush=True)
        table = pd.DataFrame(rows, pd.Index(names, name=test), ["false", "found"])
        print(to_markdown(table), end="\n\n")


if __name__ == "__main__":
    main()
