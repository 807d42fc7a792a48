"""How often noise is called an effect by the three tests of this package, and their power.

    python benchmarks/levels.py [--data-sets 500] [--only chance differences means]

- chance: p <= 0.05 of ridge, for outputs that are noise or depend weakly on one gene.
- differences: 95 % intervals of ridge minus a strongly shrunken ridge that exclude the mean
  difference over all data sets, or 0.
- means: a feature is called shifted in a table of new donors, without or with a shift of 1.5 SD
  of one of 30 features. Donors explain 30 % of the variance.

Prints Markdown.
"""

import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.model_selection import RepeatedKFold, ShuffleSplit

from sbnn import grouped_folds
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.distance import Surroundings
from sbnn.evaluation.crossval import LEVEL, chance_table
from sbnn.evaluation.folds import folds_of, held_out
from sbnn.evaluation.verdict import paired_difference
from sbnn.metrics import pooled_r2
from sbnn.results import Record
from sbnn.tables import to_markdown

N_CELLS = 80
N_GENES = 30
N_DONORS = 24
SHIFT = 1.5  # SD
DONOR_SHARE = 0.3  # of the variance
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
# training donors, cells of each, new donors
TABLES = {
    "40 donors of 10 cells, 3 new": (40, 10, 3),
    "60 donors of 5 cells, 1 new": (60, 5, 1),
    "15 donors of 10 cells, 3 new": (15, 10, 3),
    "8 donors of 25 cells, 2 new": (8, 25, 2),
    "3 donors of 60 cells, 1 new": (3, 60, 1),
}


def folds_named(name, donors, seed):
    """Folds of a data set, which are drawn anew with each seed."""
    if name in SHUFFLED:
        n_splits, share = SHUFFLED[name]
        folds = ShuffleSplit(n_splits, test_size=share, random_state=seed)
    elif name in REPEATED:
        n_splits, n_repeats = REPEATED[name]
        folds = RepeatedKFold(n_splits=n_splits, n_repeats=n_repeats, random_state=seed)
    else:
        folds = {}  # by test cells, as a fold may be drawn twice
        for repeat in range(GROUPED[name]):
            for train, test in grouped_folds(donors, 5, seed * 100 + repeat):
                folds[tuple(test)] = train, test
        folds = list(folds.values())
    return folds_of(folds, len(donors))


def cross_validated(penalty, X, Y, folds):
    """Record of ridge, as from `sbnn.cross_validate` without scaling, but in less time."""
    record = Record("noise", "", "", [{}], None, {"scaling": "none"}, folds)
    predicted = []
    for train, test in folds:
        predicted.append(Ridge(penalty).fit(X[train], Y[train]).predict(X[test]))
    record.values["test_predictions"] = [predicted]
    r2 = []
    for test, outputs, of_fold, mean in held_out(record, Y, 0):
        r2.append([pooled_r2(outputs[test], of_fold, mean)])
    record.values["test_r2"] = np.array(r2)
    return record


def data_set(seed, slope):
    """Genes, two outputs, one of which depends on the first gene, and donors."""
    rng = np.random.default_rng(seed)
    donors = rng.integers(N_DONORS, size=N_CELLS)
    X = rng.normal(size=(N_CELLS, N_GENES)) + rng.normal(size=(N_DONORS, N_GENES))[donors]
    Y = rng.normal(size=(N_CELLS, 2))
    Y[:, 0] += slope * X[:, 0]
    return X, Y, donors


def chance(name, n_sets):
    """Shares of data sets of noise, and of a weak effect, that are called better than chance."""
    p = np.empty((n_sets, 2))
    for seed in range(n_sets):
        for i, slope in enumerate((0, 0.5)):
            X, Y, donors = data_set(seed, slope)
            folds = folds_named(name, donors, seed)
            p[seed, i] = chance_table(cross_validated(30.0, X, Y, folds), Y, 99).p[0]
    return (p <= LEVEL).mean(axis=0)


def differences(name, n_sets):
    """Shares of the intervals that exclude the mean difference over the data sets, and 0."""
    found = []
    for seed in range(n_sets):
        X, Y, donors = data_set(seed, 0.7)
        folds = folds_named(name, donors, seed)
        records = [cross_validated(penalty, X, Y, folds) for penalty in (30.0, 1000.0)]
        found.append(paired_difference(*records, "test_r2")[:3])
    mean, low, high = np.array(found).T
    return [((low > value) | (high < value)).mean() for value in (mean.mean(), 0)]


def donors_like(rng, n_donors, n_cells):
    """Features of cells of some donors, and the donors."""
    donors = np.repeat(np.arange(n_donors), n_cells)
    of_donors = rng.normal(size=(n_donors, N_GENES))[donors]
    of_cells = rng.normal(size=(len(donors), N_GENES))
    return np.sqrt(DONOR_SHARE) * of_donors + np.sqrt(1 - DONOR_SHARE) * of_cells, donors


def means(name, n_sets):
    """Shares of tables in which any feature, and in which the shifted one, is called shifted."""
    n_donors, n_cells, n_new = TABLES[name]
    called = np.empty((n_sets, 2))
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        X, donors = donors_like(rng, n_donors, n_cells)
        new, _ = donors_like(rng, n_new, n_cells)
        scaling = FeatureScaling().fit(X)
        around = Surroundings(scaling.transform(X), donors)
        called[seed, 0] = around.moved(scaling.transform(new)).any()
        new[:, 0] += SHIFT
        called[seed, 1] = around.moved(scaling.transform(new))[0]
    return called.mean(axis=0)


TESTS = {
    "chance": (chance, [*REPEATED, *SHUFFLED, *GROUPED]),
    "differences": (differences, [*REPEATED, *SHUFFLED]),
    "means": (means, list(TABLES)),
}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-sets", type=int, default=500)
    parser.add_argument("--only", nargs="+", choices=TESTS, default=list(TESTS))
    options = parser.parse_args()
    rows = {}
    for test in options.only:
        measure, names = TESTS[test]
        for name in names:
            rows[test, name] = measure(name, options.data_sets)
            print(test, name, rows[test, name], file=sys.stderr, flush=True)
    index = pd.MultiIndex.from_tuples(rows, names=["test", "folds or donors"])
    table = pd.DataFrame(list(rows.values()), index, ["false", "found"])
    print(to_markdown(table))


if __name__ == "__main__":
    main()
