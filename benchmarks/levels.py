"""How often noise is called an effect by the tests of this package, and their power.

    python benchmarks/levels.py [--data-sets 500] [--only intervals differences ...]

- intervals: 95 % intervals of the R2 of strongly shrunken ridge that are above 0, for outputs that
  are noise or depend weakly on one gene.
- differences: 95 % intervals of ridge minus a strongly shrunken ridge that exclude the mean
  difference over all data sets, or 0.
- means: a feature is called shifted in a table of new donors, without or with a shift of 1.5 SD
  of one of 30 features. Donors explain 30 % of the variance. Values are normal, heavy-tailed or
  skewed; donors have equal or unequal numbers of cells, with or without missing values.
- genes: false genes that `selection_table` trusts, by correlation in halves of the cells.
- calibration: highest probability and accuracy of the types of new donors' cells, and how often
  `EphysTypeClassifier` warns that its probabilities are not calibrated.
- effects: any log fold change, or edge to a gene, of a perturbation screen is called significant.
  Then a tenth of the pairs of a perturbation and a gene have log fold changes with an SD of 1:
  share of those above 0.5 that are found; shares of the intervals, of all pairs and of the
  significant ones, that contain the true change. Counts are simulated (total counts of cells have
  a log SD of 0.4, and those of perturbations of 0.3), and the mean shares of the genes are the
  model.

Prints Markdown.
"""

import argparse
import sys
import warnings
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from pages import to_markdown
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import RepeatedKFold, ShuffleSplit

from sbnn import grouped_folds
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.ephys_types import EphysTypeClassifier
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.distance import Surroundings
from sbnn.evaluation.fits import complementary_pairs
from sbnn.evaluation.folds import folds_of, held_out
from sbnn.evaluation.stability import selection_table
from sbnn.evaluation.verdict import paired_difference, verdict
from sbnn.mechanism_shift import direct
from sbnn.mechanism_shift.network import Cells
from sbnn.metrics import pooled_r2
from sbnn.results import Record

SEED = 10_000  # of the first data set; settings were chosen on lower seeds
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
# how features or donors differ from the plain case, which is normal and complete
KINDS = ["", "t(3)", "lognormal", "unequal donors", "missing values"]
DEFAULT = ("trees", "kernel", "attention")
# members, kind of types (see `typed_cells`) and number of training cells
CALIBRATED = {
    "logistic": (["logistic"], "simulated", 300),
    "logistic, 60 cells": (["logistic"], "simulated", 60),
    "logistic, types apart": (["logistic"], "apart", 300),
    "logistic, random types": (["logistic"], "random", 300),
    "trees": (["trees"], "simulated", 300),
    "kernel": (["kernel"], "simulated", 300),
    "attention": (["attention"], "simulated", 300),
    "default": (DEFAULT, "simulated", 300),
    "default, 60 cells": (DEFAULT, "simulated", 60),
    "default, types apart": (DEFAULT, "apart", 300),
    "default, random types": (DEFAULT, "random", 300),
}
N_NEW = 600  # cells of new donors
# weight of what other genes have in common, and effect of each of five genes
SELECTED = {
    "noise": (0, 0),
    "noise, correlated genes": (1, 0),
    "5 of 100 genes": (0, 0.6),
    "5 of 100 genes, others correlated": (1, 0.6),
}
N_KEPT = 8  # genes that each half keeps
# cells of each perturbation, perturbations, genes, squared CV of the true rates of a gene, cells of
# the control
SCREENS = {
    "20 cells x 15, 50 genes, Poisson, control of 20": (20, 15, 50, 0, 20),
    "20 cells x 15, 50 genes, CV2 2, control of 20": (20, 15, 50, 2, 20),
    "20 cells x 15, 1000 genes, CV2 1, control of 20": (20, 15, 1000, 1, 20),
    "20 cells x 15, 300 genes, CV2 1, no control": (20, 15, 300, 1, 0),
    "20 cells x 30, 100 genes, CV2 0.5, control of 500": (20, 30, 100, 0.5, 500),
    "30 cells x 30, 100 genes, Poisson, control of 500": (30, 30, 100, 0, 500),
    "30 cells x 30, 100 genes, CV2 0.5, no control": (30, 30, 100, 0.5, 0),
    "50 cells x 15, 100 genes, CV2 0.5, control of 50": (50, 15, 100, 0.5, 50),
    "50 cells x 30, 100 genes, CV2 2, control of 500": (50, 30, 100, 2, 500),
    "200 cells x 15, 100 genes, CV2 0.5, control of 200": (200, 15, 100, 0.5, 200),
    "200 cells x 15, 50 genes, CV2 1, control of 1000": (200, 15, 50, 1, 1000),
}
DEPTH = 1000  # counts of a cell
CHANGED = 0.1  # of the pairs
COLUMNS = ["false", "found", "false edges", "covered", "significant ones covered"]


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


def intervals(name, n_sets):
    """Shares of data sets of noise, and of a weak effect, whose interval of R2 is above 0."""
    above = np.empty((n_sets, 2))
    for k in range(n_sets):
        for i, slope in enumerate((0, 0.5)):
            X, Y, donors = data_set(SEED + k, slope)
            folds = folds_named(name, donors, SEED + k)
            above[k, i] = verdict(cross_validated(1000.0, X, Y, folds)).interval.low > 0
    return above.mean(axis=0)


def differences(name, n_sets):
    """Shares of the intervals that exclude the mean difference over the data sets, and 0."""
    found = []
    for seed in range(SEED, SEED + n_sets):
        X, Y, donors = data_set(seed, 0.7)
        folds = folds_named(name, donors, seed)
        records = [cross_validated(penalty, X, Y, folds) for penalty in (30.0, 1000.0)]
        found.append(paired_difference(*records, "test_r2")[:3])
    mean, low, high = np.array(found).T
    return [((low > value) | (high < value)).mean() for value in (mean.mean(), 0)]


def standard(rng, kind, shape):
    """Values with variance 1 from the distribution that is named by `kind`, else normal ones."""
    if kind == "t(3)":
        return rng.standard_t(3, shape) / np.sqrt(3)
    if kind == "lognormal":
        return np.exp(rng.normal(size=shape)) / np.sqrt(np.e * (np.e - 1))
    return rng.normal(size=shape)


def donors_like(rng, kind, n_donors, n_cells):
    """Features of cells of some donors, and the donors."""
    sizes = np.full(n_donors, n_cells)
    if kind == "unequal donors":  # by a factor of e, and equal on average
        sizes = np.exp(rng.normal(size=n_donors) - 0.5) * n_cells
        sizes = np.maximum(1, sizes.round()).astype(int)
    donors = np.repeat(np.arange(n_donors), sizes)
    of_donors = standard(rng, kind, (n_donors, N_GENES))[donors]
    of_cells = standard(rng, kind, (len(donors), N_GENES))
    X = np.sqrt(DONOR_SHARE) * of_donors + np.sqrt(1 - DONOR_SHARE) * of_cells
    if kind == "missing values":  # a fifth, and a third of the features in half of the donors
        lost = rng.random(X.shape) < 0.2
        lost[donors % 2 == 1, ::3] = True
        X[lost] = np.nan
    return X, donors


def means(name, n_sets):
    """Shares of tables in which any feature, and in which the shifted one, is called shifted."""
    table, _, kind = name.partition("; ")
    n_donors, n_cells, n_new = TABLES[table]
    called = np.empty((n_sets, 2))
    for k in range(n_sets):
        rng = np.random.default_rng(SEED + k)
        X, donors = donors_like(rng, kind, n_donors, n_cells)
        new, _ = donors_like(rng, kind, n_new, n_cells)
        scaling = FeatureScaling().fit(X)
        around = Surroundings(scaling.transform(X), donors)
        called[k, 0] = around.moved(scaling.transform(new)).any()
        new[:, 1] += SHIFT
        called[k, 1] = around.moved(scaling.transform(new))[1]
    return called.mean(axis=0)


def tables_of_kinds():
    """Names of all tables with each kind of features and donors."""
    names = []
    for kind in KINDS:
        names += [f"{table}; {kind}".removesuffix("; ") for table in TABLES]
    return names


def typed_cells(kind, n_cells, seed):
    """Simulated cells and their types, which are "simulated", far "apart" or "random"."""
    cells = simulate_ephys_types(n_cells, seed)
    rng = np.random.default_rng(seed)
    types = cells.obs["type"].to_numpy(str)
    if kind == "apart":
        of_types = types[:, None] == np.unique(types)
        cells.X[:, : of_types.shape[1]] = 10 * of_types + rng.normal(size=of_types.shape)
    if kind == "random":
        types = rng.permutation(types)
    return cells, types


def calibration(name, n_sets):
    """Mean confidence and accuracy in cells of new donors, and the share of sets with a warning.

    With the network, a tenth of the data sets is fitted, as each takes about 12 s.
    """
    members, kind, n_cells = CALIBRATED[name]
    if "attention" in members:
        n_sets = n_sets // 10
    found = np.empty((n_sets, 3))
    for k in range(n_sets):
        cells, types = typed_cells(kind, n_cells, SEED + k)
        new, true = typed_cells(kind, N_NEW, SEED + n_sets + k)
        model = EphysTypeClassifier(members=members, random_state=k)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            model.fit(cells.X, types, cells.var["family"], cells.obs["donor"])
        probabilities = model.predict_proba(new.X)
        predicted = model.classes_[probabilities.argmax(axis=1)]
        not_calibrated = any("calibrated" in str(warning.message) for warning in warned)
        confidence = probabilities.max(axis=1).mean()
        found[k] = confidence, (predicted == true).mean(), not_calibrated
    return found.mean(axis=0)


def trusted(name, n_sets):
    """Mean number of false genes that are trusted, and share of the five true ones."""
    in_common, slope = SELECTED[name]
    found = np.empty((n_sets, 2))
    for k in range(n_sets):
        rng = np.random.default_rng(SEED + k)
        X = rng.normal(size=(N_CELLS, 100))
        X[:, 5:] += in_common * rng.normal(size=(N_CELLS, 1))
        y = rng.normal(size=N_CELLS) + slope * X[:, :5].sum(axis=1)
        halves = complementary_pairs(N_CELLS, 50, SEED + k)
        selected = np.zeros((len(halves), 1, X.shape[1]), dtype=bool)
        for kept, (train, _) in zip(selected[:, 0], halves, strict=True):
            r = np.corrcoef(X[train], y[train], rowvar=False)[-1, :-1]
            kept[np.argsort(-np.abs(r))[:N_KEPT]] = True
        values = {"selected": selected, "n_selected": selected.sum(axis=2)}
        values["gene_names"] = np.arange(X.shape[1])
        record = Record("halves", "", "", [{}], None, {}, halves, values)
        genes = selection_table(record).query("trusted").index
        of_effect = (genes < 5).sum() if slope else 0
        found[k] = len(genes) - of_effect, of_effect / 5
    return found.mean(axis=0)


class MeanShares:
    """Stands in for a network: the latents explain nothing."""

    def __init__(self, counts):
        shares = counts.sum(axis=0) / counts.sum()
        self.logs = torch.from_numpy(np.log(np.maximum(shares, 1e-12))).float()

    def eval(self):
        """There is nothing to switch."""

    def encode(self, counts):
        """No latents."""
        return (counts[:, :0],)

    def decode(self, latents):
        """Log shares, the same for all cells."""
        return self.logs.expand(len(latents), -1)


def simulated_screen(rng, name, changed):
    """Counts of cells, their perturbations (0: the control, if any) and true log shares."""
    n_cells, n_perturbations, n_genes, cv2, n_control = SCREENS[name]
    sizes = np.full(n_perturbations, n_cells)
    if n_control:
        sizes = np.concatenate([[n_control], sizes])
    codes = np.repeat(np.arange(len(sizes)), sizes)
    logs = np.tile(rng.normal(0, 1.5, n_genes), (len(sizes), 1))
    effects = rng.normal(size=logs.shape) * (rng.random(logs.shape) < changed)
    first = 1 if n_control else 0
    logs[first:] += effects[first:]
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    depths = rng.normal(0, 0.3, len(sizes))[codes] + rng.normal(0, 0.4, len(codes))
    rates = DEPTH * np.exp(depths[:, None] + logs[codes])
    if cv2:
        rates *= rng.gamma(1 / cv2, cv2, rates.shape)
    return rng.poisson(rates).astype(np.float32), codes, logs


def effects_in(rng, name, changed):
    """Table of effects, with all effects direct, and the true log fold changes."""
    counts, codes, logs = simulated_screen(rng, name, changed)
    moved = np.ones(len(logs), dtype=bool)
    truth = logs - (logs.sum(axis=0) - logs) / (len(logs) - 1)
    if SCREENS[name][-1]:
        moved[0] = False
        truth = logs[1:] - logs[0]
    network = MeanShares(counts)
    cells = Cells(sparse.csr_array(counts))
    sums = direct.class_sums(network, cells, np.arange(len(codes)), codes, len(logs))
    shares = np.tile(network.logs.double().exp().numpy(), (len(logs), 1))
    # few rounds, for speed: the tests and limits come from the counts
    with patch.object(direct, "ROUNDS", 2):
        table = direct.gene_effects(sums, shares, np.ones_like(logs), moved)
    return table, truth.ravel()


def effects(name, n_sets):
    """Shares of screens with false effects and edges, of effects found, and of intervals."""
    null = []
    found = []
    significant = []
    covered = []
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        table, _ = effects_in(rng, name, 0)
        null.append((table["significant"].any(), table["edge"].any()))
        table, truth = effects_in(rng, name, CHANGED)
        significant.append(table["significant"])
        found.append(table["significant"][np.abs(truth) > 0.5])
        covered.append((table["lower"] <= truth) & (truth <= table["upper"]))
    false, false_edges = np.mean(null, axis=0)
    covered = np.concatenate(covered)
    of_significant = covered[np.concatenate(significant)]
    return false, np.concatenate(found).mean(), false_edges, covered.mean(), of_significant.mean()


SHARES = ["false", "found"]
TESTS = {
    "intervals": (intervals, [*REPEATED, *SHUFFLED, *GROUPED], SHARES),
    "differences": (differences, [*REPEATED, *SHUFFLED], SHARES),
    "means": (means, tables_of_kinds(), SHARES),
    "genes": (trusted, list(SELECTED), SHARES),
    "calibration": (calibration, list(CALIBRATED), ["confidence", "accuracy", "warned"]),
    "effects": (effects, list(SCREENS), COLUMNS),
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
        measure, names, columns = TESTS[test]
        rows = []
        for name in names:
            rows.append(measure(name, options.data_sets))
            print(test, name, rows[-1], file=sys.stderr, flush=True)
        table = pd.DataFrame(rows, pd.Index(names, name=test), columns)
        print(to_markdown(table), end="\n\n")


if __name__ == "__main__":
    main()
