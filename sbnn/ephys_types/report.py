"""Tables of electrophysiology -> type, from saved records alone: what ``sbnn ephys-types report`` prints."""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.ephys_types.models import MODELS, REFERENCE
from sbnn.ephys_types.published import of_data
from sbnn.ephys_types.study import CELLS, CURVES, FAMILIES, INTERPRETED, KINDS, ZERO_SHOT, load_records
from sbnn.ephys_types.transfer_tables import curves_table, zero_shot_table
from sbnn.evaluation.classification import calibration, repeat_means, scores_within
from sbnn.evaluation.family_importance import agreement_table, importance_table
from sbnn.evaluation.verdict import paired_difference

CLASSES_OF = {"types": "4 classes", "types5": "5 classes"}
GROUPS = ("condition", "virus")  # what the classes were confounded with
FEWEST = 50  # cells of a group of which scores are told: of fewer they are a matter of chance
NOTE = (
    "Five folds, donors kept together, three times; mean ± SD over the three. `minus LightGBM` is the mean difference "
    "over the same folds with its 95 % interval, corrected for the cells that folds share (Nadeau and Bengio 2003). "
    "Published numbers are of recordings of other cells (arXiv 2603.11000), donors not kept together."
)


def of_kind(records, kind):
    """Cross-validations of one kind of types by model, in the order of `MODELS`."""
    return {name: records[f"{kind}_{name}"] for name in MODELS if f"{kind}_{name}" in records}


def accuracy_table(records, kind="types"):
    """How well each model tells the types apart.

    Parameters
    ----------
    records : dict of str to Record
        From `load_records`.
    kind : {"types", "types5"}

    Returns
    -------
    DataFrame
        Indexed by model; ``macro-F1`` and its ``SD`` over the repeats, ``accuracy``, ``balanced accuracy``,
        ``log loss``, ``calibration error``, ``seconds`` (CPU per fit), ``published macro-F1`` and ``published
        accuracy`` (left out where there are none), ``minus LightGBM`` with the ends of its 95 % interval, ``low`` and
        ``high``.
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
        known = of_data(record.dataset, kind).get(name)
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
    """Macro-F1 within groups of cells: classes that went along with a condition are told apart without its help.

    Parameters
    ----------
    records : dict of str to Record
    column : str
        A column of the labels of the cells.
    kind : {"types", "types5"}

    Returns
    -------
    DataFrame
        A row for every model and group of at least 50 cells: ``cells``, ``classes``, ``macro_f1``,
        ``macro_f1_sd`` (over the repeats), ``accuracy``; group ``all`` first, scored in the same way.
    """
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


def families_tables(records, loss="log_loss"):
    """Importance of the families for each model, and how far the ways of asking agree.

    Returns
    -------
    importance, agreement : DataFrame
        ``importance`` has the families by (model, way); ``agreement`` Spearman's rho of each pair of ways by model.
    """
    importance, agreement = {}, {}
    for name in INTERPRETED:
        if f"{FAMILIES}_{name}" in records:
            record = records[f"{FAMILIES}_{name}"]
            importance[MODELS[name].label] = importance_table(record, loss)
            rho = agreement_table(record, loss)
            pairs = [(a, b) for i, a in enumerate(rho) for b in rho.columns[i + 1 :]]
            agreement[MODELS[name].label] = {f"{a} - {b}": rho.loc[a, b] for a, b in pairs}
    return pd.concat(importance, axis=1), pd.DataFrame(agreement).T.rename_axis("model")


#: Columns of the table of all data sets.
OVERVIEW = (
    *("logistic", "forest", "lightgbm", "sparse_pca_forest"),
    *("bilstm_published", "bilstm", "family_attention", "ephys_type"),
)
TITLES = {"lee_human": "human", "gouwens_ephys": "mouse", "simulated_ephys": "simulated"}


def overview_table(saved_models):
    """Macro-F1 of the main models on every data set with saved results, and the best that was published.

    Parameters
    ----------
    saved_models : str or path-like

    Returns
    -------
    DataFrame of str
        Indexed by data; ``cells``, a column for each model of `OVERVIEW` (mean ± SD over the repeats; empty where it
        was not run) and ``published``.

    Raises
    ------
    FileNotFoundError
        If there are no results.
    """
    rows = {}
    for dataset, title in TITLES.items():
        folder = Path(saved_models) / dataset
        for kind in KINDS:
            if not (folder / f"{kind}_{REFERENCE}.pickle").exists():
                continue
            records = of_kind(load_records(folder), kind)
            row = {"cells": str(len(records[REFERENCE].true))}
            for name in OVERVIEW:
                if name in MODELS:
                    row[MODELS[name].label] = _mean_and_sd(records[name]) if name in records else ""
            known = of_data(records[REFERENCE].dataset, kind).values()
            row["best published"] = f"{max(one.macro_f1 for one in known):.3f}" if known else ""
            rows[f"{title}, {CLASSES_OF[kind]}"] = row
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}: run `sbnn ephys-types cv` first")
    return pd.DataFrame(rows).T.rename_axis("data")


def _mean_and_sd(record):
    f1 = repeat_means(record)
    return f"{f1.mean():.3f}" + (f" ± {f1.std(ddof=1):.3f}" if len(f1) > 1 else "")


def all_tables(records):
    """Every table that the saved results of a data set allow.

    Parameters
    ----------
    records : dict of str to Record
        From `load_records`.

    Returns
    -------
    dict of str to DataFrame
        By title.
    """
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
