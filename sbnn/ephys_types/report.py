"""Tables of electrophysiology -> type, from saved records alone: what ``sbnn ephys-types report`` prints."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sbnn.ephys_types.models import CELLS, CURVES, FAMILIES, INTERPRETED, KINDS, MODELS, REFERENCE, ZERO_SHOT, of_kind
from sbnn.evaluation.classification import calibration, repeat_means, scores_within
from sbnn.evaluation.family_importance import agreement_table, importance_table
from sbnn.evaluation.verdict import corrected_difference, paired_difference
from sbnn.results import load

CLASSES_OF = {"types": "4 classes", "types5": "5 classes"}
GROUPS = ("condition", "virus")  # what the classes were confounded with
FEWEST = 50  # cells of a group of which scores are told: of fewer they are a matter of chance
NOTE = (
    "Five folds, donors kept together, three times; mean ± SD over the three. `minus LightGBM` is the mean difference "
    "over the same folds with its 95 % interval, corrected for the cells that folds share (Nadeau and Bengio 2003). "
    "Published numbers are of recordings of other cells (arXiv 2603.11000), donors not kept together."
)
#: Columns of the table of all data sets.
OVERVIEW = (
    *("logistic", "forest", "lightgbm", "sparse_pca_forest"),
    *("bilstm_published", "bilstm", "family_attention", "ephys_type"),
)
TITLES = {"lee_human": "human", "gouwens_ephys": "mouse", "simulated_ephys": "simulated"}
WITHOUT = "human only"
CONTROL = "human only, two experts"  # the second expert of a transfer, trained on the target's labelled cells instead
ALL = "all"
TEST_SHARE = 0.25  # test cells per training cell of five folds, labelled or not


class Published(NamedTuple):
    """Macro-F1 and accuracy."""

    macro_f1: float
    accuracy: float


# Schwider and Ramezani, arXiv 2603.11000 (2026): recordings, in twelve IPFX families, of 3699 mouse cells (DANDI
# 000020; stratified 60/20/20, 10 seeds) and of 506 human cells (DANDI 000636; 5 folds, 10 runs, donors not kept
# together); ours are of engineered features of the same studies, of more cells, donors kept together. They are no
# target that is hit or missed by a digit: other cells, other features, other folds.
PUBLISHED = {
    ("gouwens_ephys", "types5"): {
        "sparse_pca_forest_published": Published(0.873, 0.907),
        "bilstm_no_attention": Published(0.860, 0.906),
        "bilstm_published": Published(0.874, 0.915),
        "bilstm_smote": Published(0.886, 0.919),
        "bilstm_arcface": Published(0.887, 0.921),
    },
    ("lee_human", "types"): {
        "bilstm_published": Published(0.669, 0.780),
        "bilstm_smote": Published(0.675, 0.782),
        "bilstm_arcface": Published(0.673, 0.782),
    },
}


def published(dataset, kind):
    """Published numbers by model; spikes measured from their threshold are the same cells."""
    return PUBLISHED.get((dataset.removesuffix("_relative"), kind), {})


def accuracy_table(records, kind="types"):
    """How well each model tells the types apart (``kind`` is ``"types"`` or ``"types5"``), with published numbers.

    ``minus LightGBM`` is the paired difference, with the ends of its 95 % interval, ``low`` and ``high``; ``seconds``
    are CPU per fit, ``SD`` is over the repeats.
    """
    of_models = of_kind(records, kind)
    rows = {}
    for name, record in of_models.items():
        f1 = repeat_means(record)
        row = {"macro-F1": f1.mean(), "SD": f1.std(ddof=1) if len(f1) > 1 else np.nan}
        for metric in ("accuracy", "balanced_accuracy", "log_loss"):
            row[metric.replace("_", " ")] = record.values[metric].mean()
        row["calibration error"] = calibration(record)[1]
        row["seconds"] = record.seconds.mean()
        known = published(record.dataset, kind).get(name)
        row["published macro-F1"], row["published accuracy"] = (known[:2]) if known else (np.nan, np.nan)
        if name != REFERENCE and REFERENCE in of_models:
            found = paired_difference(record, of_models[REFERENCE])
            row |= {"minus LightGBM": found.mean, "low": found.low, "high": found.high}
        rows[MODELS[name].label] = row
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    empty = [column for column in table if column.startswith("published") and table[column].isna().all()]
    return table.drop(columns=empty)


def class_table(records, kind="types"):
    """F1 of every class by model, mean over the folds; DataFrame."""
    return pd.DataFrame(
        {
            MODELS[name].label: dict(zip(record.classes, np.nanmean(record.f1[:, 0], axis=0), strict=True))
            for name, record in of_kind(records, kind).items()
        }
    ).T.rename_axis("model")


def group_table(records, column, kind="types"):
    """Macro-F1 within groups of cells, which a model can then not recognise: rows (model, group), ``all`` first."""
    labels = records[CELLS].labels
    tables = []
    for name, record in of_kind(records, kind).items():
        whole = scores_within(record, np.full(len(labels), "all"))
        parts = scores_within(record, labels[column])
        table = pd.concat([whole, parts[parts["cells"] >= FEWEST]])
        tables.append(table.assign(model=MODELS[name].label).reset_index())
    return pd.concat(tables).set_index(["model", "group"])


def confounding_table(records, column):
    """Cells by class (rows) and group (columns): how far the one foretells the other; DataFrame."""
    labels = records[CELLS].labels
    return pd.crosstab(labels["type"], labels[column])


def families_tables(records):
    """Families by (model, way of asking), and Spearman's rho of each pair of ways by model."""
    importance, agreement = {}, {}
    for name in INTERPRETED:
        if f"{FAMILIES}_{name}" in records:
            record = records[f"{FAMILIES}_{name}"]
            importance[MODELS[name].label] = importance_table(record)
            rho = agreement_table(record)
            pairs = [(a, b) for i, a in enumerate(rho) for b in rho.columns[i + 1 :]]
            agreement[MODELS[name].label] = {f"{a} - {b}": rho.loc[a, b] for a, b in pairs}
    return pd.concat(importance, axis=1), pd.DataFrame(agreement).T.rename_axis("model")


def overview_table(saved_models):
    """Macro-F1 (mean ± SD over the repeats) of the main models on every data set, and the best that was published."""
    rows = {}
    for dataset, title in TITLES.items():
        for kind in KINDS:
            paths = {
                name: Path(saved_models) / dataset / f"{kind}_{name}.pickle" for name in OVERVIEW if name in MODELS
            }
            if not paths[REFERENCE].exists():
                continue
            records = {name: load(path) for name, path in paths.items() if path.exists()}
            row = {"cells": str(len(records[REFERENCE].true))}
            for name in paths:
                f1 = repeat_means(records[name]) if name in records else np.array([])
                spread = f" ± {f1.std(ddof=1):.3f}" if len(f1) > 1 else ""
                row[MODELS[name].label] = f"{f1.mean():.3f}{spread}" if len(f1) else ""
            known = published(records[REFERENCE].dataset, kind).values()
            row["best published"] = f"{max(one.macro_f1 for one in known):.3f}" if known else ""
            rows[f"{title}, {CLASSES_OF[kind]}"] = row
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}: `sbnn ephys-types cv` computes them")
    return pd.DataFrame(rows).T.rename_axis("data")


def by_size(record):
    """Scores of learning curves, mean over the draws, with the column ``size``: labelled cells, or ``"all"``.

    The folds are not equally large, so that all their training cells are not a fixed number of them.
    """
    scores = record.scores
    fixed = [size for size in record.settings["sizes"] if size is not None]
    size = scores["n_cells"].astype(object).where(scores["n_cells"].isin(fixed), ALL)
    keys = ["model", "method", "size", "seed", "fold"]
    means = scores.assign(size=size).groupby(keys, sort=False)[["n_cells", "macro_f1", "accuracy"]].mean()
    return means.reset_index()


def sizes_of(scores):
    """Sizes in ascending order, ``"all"`` last."""
    sizes = scores["size"].unique()
    return sorted((size for size in sizes if size != ALL), key=int) + [ALL] * (ALL in sizes)


def gain(scores, model, method, size, metric="macro_f1", over=WITHOUT):
    """By how much a model is better with a method of transfer than `over` another, on the same folds and cells.

    None where the model has no counterpart. The interval takes `TEST_SHARE` at every size, since what it corrects for
    is that two splits share test cells, which are a fifth of all cells however few of the others are labelled.
    """
    chosen = scores[(scores["model"] == model) & (scores["size"] == size)]
    wide = chosen.pivot(index=["seed", "fold"], columns="method", values=metric)
    if method in (WITHOUT, over) or not {method, over} <= set(wide) or len(wide) < 2:
        return None
    if wide[[method, over]].isna().any(axis=None):
        raise ValueError(f"scores: the folds of {model!r}, {method!r} and {over!r} at {size} cells are not the same")
    return corrected_difference(wide[method] - wide[over], TEST_SHARE)


def methods_of(scores):
    """Pairs of model and method in the order of the models, what uses no source first."""
    pairs = list(dict.fromkeys(zip(scores["model"], scores["method"], strict=True)))
    models = list(dict.fromkeys(model for model, _ in pairs))
    return sorted(pairs, key=lambda pair: (models.index(pair[0]), pair[1] != WITHOUT))


def curves_table(record):
    """Scores by number of labelled cells, model and method, and gains (95 %) over the model alone and two experts."""
    scores, rows = by_size(record), {}
    for size in sizes_of(scores):
        of_size = scores[scores["size"] == size]
        for model, method in methods_of(of_size):
            chosen = of_size[(of_size["model"] == model) & (of_size["method"] == method)]
            seeds = chosen.groupby("seed")[["macro_f1", "accuracy"]].mean()
            row = {"macro_f1": seeds["macro_f1"].mean(), "sd": seeds["macro_f1"].std()}
            row["accuracy"] = seeds["accuracy"].mean()
            for over, ending in ((WITHOUT, ""), (CONTROL, " over two")):
                found = gain(scores, model, method, size, over=over)
                ends = found[:3] if found else [np.nan] * 3
                row |= {f"{name}{ending}": end for name, end in zip(("gain", "low", "high"), ends, strict=True)}
            rows[str(size), model, method] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["cells", "model", "method"])


def zero_shot_table(record):
    """Scores without any label of the target by direction and method: mean and SD over the seeds."""
    by = record.scores.groupby(["way", "method"], sort=False)
    table = by[["macro_f1", "accuracy"]].mean()
    table.insert(1, "sd", by["macro_f1"].std())
    return table


def all_tables(records):
    """Every table that the saved results of a data set allow, by title."""
    tables = {}
    for kind in KINDS:
        if of_kind(records, kind):
            tables[f"Accuracy, {CLASSES_OF[kind]}"] = accuracy_table(records, kind)
            tables[f"F1 of every class, {CLASSES_OF[kind]}"] = class_table(records, kind)
    for column in GROUPS:
        if CELLS in records and column in records[CELLS].labels and of_kind(records, "types"):
            tables[f"Cells by class and {column}"] = confounding_table(records, column)
            groups = group_table(records, column)["macro_f1"]
            tables[f"Macro-F1 within {column}"] = groups.unstack()[groups.index.unique("group")].reindex(
                groups.index.unique("model")
            )
    if any(name.startswith(FAMILIES) for name in records):
        importance, agreement = families_tables(records)
        importance.columns = [f"{model}: {way}" for model, way in importance.columns]
        tables["What the families are worth: rise of the log loss, and attention"] = importance
        tables["Rank correlation between the ways of asking"] = agreement
    if ZERO_SHOT in records:
        tables["Types of one species from those of the other, without labels"] = zero_shot_table(records[ZERO_SHOT])
    if CURVES in records:
        tables["Transfer by number of labelled cells"] = curves_table(records[CURVES])
    return tables
