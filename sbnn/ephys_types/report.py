"""Tables of saved records, as printed by ``sbnn report``."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.ephys_types.classification import (
    calibration,
    importance_table,
    repeat_means,
    scores_within,
)
from sbnn.evaluation.verdict import corrected_difference, paired_difference
from sbnn.results import load, load_folder, named_after

#: Label and kind, which determines the colour, of each model.
MODELS = pd.read_csv(Path(__file__).with_name("models.csv"), index_col="model")
LABELS = MODELS["label"].to_dict()
REFERENCE = "lightgbm"  # model that the others are compared with
#: Models for which the importance of families is measured.
INTERPRETED = ("bilstm", "family_attention", "lightgbm")
# names of other records than cross-validations
CELLS = "types_cells"
FAMILIES = "types_families"
ZERO_SHOT = "transfer_zero_shot"
CURVES = "transfer_curves"
#: Prefixes of record names, and labels of the types.
CLASSES_OF = {"types": "4 classes", "types5": "5 classes"}
GROUPS = ("condition", "virus")  # groupings that are confounded with the classes
FEWEST = 50  # cells of a group that is scored; scores of fewer are mostly noise
NOTE = """\
Five folds, donors kept together, three times; mean ± SD over the three. `minus LightGBM` is the \
mean difference over the same folds with its 95 % interval, corrected for the cells that folds \
share (Nadeau and Bengio 2003). Published numbers are from recordings of other cells (arXiv \
2603.11000), donors not kept together. Networks as published have class weights and stop early on \
macro-F1, those of mouse cells neither; ours with ArcFace has class weights in place of SMOTE, and \
no prior correction."""
#: Models in the table of all data sets.
OVERVIEW = (
    "logistic",
    "forest",
    "lightgbm",
    "sparse_pca_forest",
    "bilstm_published",
    "bilstm",
    "family_attention",
    "ephys_type",
)
TITLES = {"lee_human": "human", "gouwens_ephys": "mouse", "simulated_ephys": "simulated"}
WITHOUT = "human only"
# the second expert is trained on labelled target cells, not on the source
CONTROL = "human only, two experts"

TEST_SHARE = 0.25  # test cells per training cell, labelled or not, with five folds


# Macro-F1 and accuracy from Schwider and Ramezani, arXiv 2603.11000 (2026): twelve IPFX families
# from recordings of 3699 mouse cells (DANDI 000020; stratified 60/20/20, 10 seeds) and 506 human
# cells (DANDI 000636; 5 folds, 10 runs, donors not kept together). Results are not directly
# comparable, as our cells, features and folds are others.
PUBLISHED = pd.read_csv(Path(__file__).with_name("published.csv"))
read = load_folder


def of_kind(records, kind):
    """Cross-validations of one kind of types by model, in the order of `MODELS`."""
    return named_after(records, kind, LABELS)


def published(dataset, kind):
    """Published macro-F1 and accuracy by model.

    Spikes measured from threshold (``_relative``) have the same published results.
    """
    known = PUBLISHED.query("dataset == @dataset.removesuffix('_relative') and kind == @kind")
    return known.set_index("model")[["macro_f1", "accuracy"]].T.to_dict("list")


def accuracy_table(records, kind="types"):
    """Scores of each model; ``kind`` is ``"types"`` or ``"types5"``.

    ``SD`` is that of macro-F1 over the repeats, ``seconds`` the CPU time of a fit, and ``minus
    LightGBM`` a paired difference with its 95 % interval, ``low`` to ``high``.
    """
    of_models = of_kind(records, kind)
    rows = {}
    for name, record in of_models.items():
        f1 = repeat_means(record)
        known = published(record.dataset, kind).get(name, (np.nan, np.nan))
        row = {
            "macro-F1": f1.mean(),
            "SD": f1.std(ddof=1),
            "accuracy": record.accuracy.mean(),
            "balanced accuracy": record.balanced_accuracy.mean(),
            "log loss": record.log_loss.mean(),
            "calibration error": calibration(record)[1],
            "seconds": record.seconds.mean(),
            "published macro-F1": known[0],
            "published accuracy": known[1],
        }
        if name != REFERENCE and REFERENCE in of_models:
            found = paired_difference(record, of_models[REFERENCE])
            row |= {"minus LightGBM": found.mean, "low": found.low, "high": found.high}
        rows[LABELS[name]] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("model").dropna(axis=1, how="all")


def class_table(records, kind="types"):
    """Mean F1 over the folds by model (rows) and class."""
    rows = {}
    for name, record in of_kind(records, kind).items():
        f1 = np.nanmean(record.f1[:, 0], axis=0)
        rows[LABELS[name]] = pd.Series(f1, record.classes)
    return pd.DataFrame(rows).T.rename_axis("model")


def group_table(records, column):
    """Scores of each model on ``all`` cells and within groups."""
    groups = records[CELLS].labels[column]
    tables = {}
    for name, record in of_kind(records, "types").items():
        whole = scores_within(record, ["all"] * len(groups))
        parts = scores_within(record, groups).query("cells >= @FEWEST")
        tables[LABELS[name]] = pd.concat([whole, parts])
    return pd.concat(tables, names=["model"])


def families_tables(records):
    """Importance of families by model and measure, and rank correlations of measures."""
    importance = {}
    agreement = {}
    shown = of_kind(records, FAMILIES)
    for name in INTERPRETED:
        if name not in shown:
            continue
        table = importance_table(shown[name])
        importance[LABELS[name]] = table
        rho = table.corr("spearman")
        row = {}
        for one, other in combinations(rho, 2):
            row[f"{one} and {other}"] = rho.loc[one, other]
        agreement[LABELS[name]] = row
    agreement = pd.DataFrame.from_dict(agreement, orient="index").rename_axis("model")
    return pd.concat(importance, axis=1), agreement


def overview(saved_models):
    """Macro-F1 (mean ± SD over the repeats) of the main models on all data."""
    rows = {}
    for (dataset, title), (kind, classes) in product(TITLES.items(), CLASSES_OF.items()):
        row = {}
        for name in OVERVIEW:
            path = Path(saved_models, dataset, f"{kind}_{name}.pickle")
            if path.exists():
                record = load(path)
                f1 = repeat_means(record)
                row["cells"] = str(len(record.true))
                row[LABELS[name]] = f"{f1.mean():.3f} ± {f1.std(ddof=1):.3f}"
        known = published(dataset, kind)
        if row and known:
            row["best published"] = f"{max(known.values())[0]:.3f}"
        if row:
            rows[f"{title}, {classes}"] = row
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}; `sbnn reproduce 04` computes them")
    return {"Macro-F1 on every data set": pd.DataFrame(rows).T.rename_axis("data").fillna("")}


def by_size(record):
    """Scores of learning curves by number of labelled ``cells``, averaged over draws."""
    scores = record.scores
    fixed = scores["n_cells"].isin(record.settings["sizes"])
    scores = scores.assign(cells=scores["n_cells"].astype(str).where(fixed, "all"))
    of_folds = scores.groupby(["cells", "model", "method", "seed", "fold"], sort=False)
    return of_folds[["n_cells", "macro_f1", "accuracy"]].mean()


def gains(scores, over):
    """Gain in macro-F1 over the method `over` on the same folds, with 95 % intervals.

    Intervals use `TEST_SHARE` at every size, as test cells are a fifth of all cells, however few of
    the others are labelled.
    """
    wide = scores["macro_f1"].unstack("method")
    others = wide.columns.difference([WITHOUT, over], sort=False)
    differences = wide[others].sub(wide[over], axis=0).stack().dropna()
    keys = ["cells", "model", "method"]
    rows = {
        key: corrected_difference(its, TEST_SHARE)[:3] for key, its in differences.groupby(keys)
    }
    return pd.DataFrame(rows, index=["gain", "low", "high"]).T.rename_axis(keys)


def curves_table(record):
    """Scores by number of labelled cells, with gains over one and over two experts."""
    scores = by_size(record)
    seeds = scores[["macro_f1", "accuracy"]].groupby(level=[0, 1, 2, 3], sort=False).mean()
    table = _with_sd(seeds.groupby(level=[0, 1, 2], sort=False))
    return table.join(gains(scores, WITHOUT)).join(gains(scores, CONTROL).add_suffix(" over two"))


def _with_sd(by):
    table = by[["macro_f1", "accuracy"]].mean()
    table.insert(1, "sd", by["macro_f1"].std())
    return table


def all_tables(records):
    """All tables for which there are results, by title."""
    tables = {}
    for kind, classes in CLASSES_OF.items():
        if of_kind(records, kind):
            tables[f"Accuracy, {classes}"] = accuracy_table(records, kind)
            tables[f"F1 of every class, {classes}"] = class_table(records, kind)
    if CELLS in records and of_kind(records, "types"):
        labels = records[CELLS].labels
        for column in labels.columns.intersection(GROUPS):
            f1 = group_table(records, column)["macro_f1"]
            tables[f"Cells by class and {column}"] = pd.crosstab(labels["type"], labels[column])
            models, groups = f1.index.unique(0), f1.index.unique(1)
            # sort=False of `unstack` assigns wrong cells in pandas 2
            tables[f"Macro-F1 within {column}"] = f1.unstack().loc[models, groups]
    if of_kind(records, FAMILIES):
        importance, agreement = families_tables(records)
        importance.columns = importance.columns.map(": ".join)
        tables["Importance of the families: rise of the log loss, and attention"] = importance
        tables["Rank correlation between measures of importance"] = agreement
    if ZERO_SHOT in records:
        ways = records[ZERO_SHOT].scores.groupby(["way", "method"], sort=False)
        tables["Types of one species predicted from the other, without labels"] = _with_sd(ways)
    if CURVES in records:
        tables["Transfer by number of labelled cells"] = curves_table(records[CURVES])
    return tables
