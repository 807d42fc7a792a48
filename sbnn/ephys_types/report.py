"""Tables of saved records, as printed by ``sbnn report``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import f1_score

from sbnn.ephys_types.classification import calibration_error, test_cells
from sbnn.evaluation.scores import mean_sd
from sbnn.evaluation.verdict import PairedDifference, paired_difference
from sbnn.results import Record, load_folder, records_by_name

#: Label and kind, which determines the colour, of each model.
CLASSIFIERS = pd.read_csv(Path(__file__).with_name("models.csv"), index_col="model")
CLASSIFIER_LABELS = CLASSIFIERS["label"].to_dict()
REFERENCE_CLASSIFIER = "lightgbm"  # model that the others are compared with
TRANSFER_REFERENCE = "bilstm_accuracy"  # the published network, without mouse cells
#: Prefixes of record names, and what they are about.
RECORD_KINDS = {
    "types": "4 classes",
    "types5": "5 classes",
    "types_stratified": "4 classes, folds as published",
    "types5_stratified": "5 classes, splits as published",
    "transfer_donors": "transfer from mouse cells, donors kept together",
    "transfer_stratified": "transfer from mouse cells, folds as published",
}
IMPORTANCE_PREFIX = "types_families"  # of records of the importance of families
#: Published methods, after the dullest and the hardest baseline.
PUBLISHED_CLASSIFIERS = (
    "logistic",
    "lightgbm",
    "sparse_pca_forest",
    "bilstm_no_attention",
    "bilstm",
    "bilstm_smote",
    "bilstm_arcface",
)
#: Other models in the table of all data sets.
OVERVIEW_CLASSIFIERS = ("logistic", "forest", "lightgbm", "family_attention", "ephys_type")
TYPED_DATASETS = {"lee_human": "human", "gouwens_ephys": "mouse", "simulated_ephys": "simulated"}

# Macro-F1 and accuracy from Schwider and Ramezani, arXiv 2603.11000 (2026): twelve IPFX families of
# 3699 mouse cells (DANDI 000020; stratified 60/20/20, 10 seeds) and 506 human cells (DANDI 000636;
# 5 folds, 10 runs, donors not kept together). SDs are over the runs, from the README of the
# published code (github.com/tschwider09/cross-species-ephys-transfer). Our cells are others.
SCHWIDER_SCORES = pd.read_csv(Path(__file__).with_name("published.csv"))


def read_types_records(folder: str | Path) -> dict[str, Record]:
    """Records of a folder by name, see `sbnn.results.load_folder`."""
    return load_folder(folder)


def records_of_kind(records: Mapping[str, Record], kind: str) -> dict[str, Record]:
    """Cross-validations of a kind (see `RECORD_KINDS`) by model, in the order of `CLASSIFIERS`."""
    return records_by_name(records, kind, CLASSIFIER_LABELS)


def published_scores(dataset: str, kind: str) -> pd.DataFrame:
    """Published macro-F1 and accuracy by model, with their SDs over the runs.

    They are for cells that are dealt at random, so other kinds of folds have none. Spikes measured
    from threshold (``_relative``) have the same published results.
    """
    of_dataset = SCHWIDER_SCORES["dataset"] == dataset.removesuffix("_relative")
    of_kind = SCHWIDER_SCORES["kind"] == kind
    scores = SCHWIDER_SCORES[of_dataset & of_kind].set_index("model")
    return scores.drop(columns=["dataset", "kind"])


def classifier_table(
    records: Mapping[str, Record],
    kind: str = "types",
    reference: str | None = REFERENCE_CLASSIFIER,
) -> pd.DataFrame:
    """Scores of each model.

    ``SD`` is that of macro-F1 over the folds, ``seconds`` the CPU time of a fit, and ``minus``
    the `reference` a paired difference in macro-F1 with its 95 % interval, ``low`` to ``high``.
    Published scores, and the SD of the published macro-F1, stand beside those of the same folds.
    """
    records_by_model = records_of_kind(records, kind)
    rows = {}
    for name, record in records_by_model.items():
        row = {
            "macro-F1": record.macro_f1.mean(),
            "SD": pd.Series(record.macro_f1.ravel()).std(),
            "accuracy": record.accuracy.mean(),
            "balanced accuracy": record.balanced_accuracy.mean(),
            "log loss": record.log_loss.mean(),
            "seconds": record.seconds.mean(),
        }
        if "test_probabilities" in record.values:
            row["calibration error"] = calibration_error(record)
        if reference in records_by_model and name != reference:
            difference = paired_difference(record, records_by_model[reference])
            row[f"minus {CLASSIFIER_LABELS[reference]}"] = difference.mean
            row["low"] = difference.low
            row["high"] = difference.high
        published = published_scores(record.dataset, kind)
        if name in published.index:
            theirs = published.loc[name]
            row["published macro-F1"] = theirs["macro_f1"]
            row["published SD"] = theirs["macro_f1_sd"]
            row["published accuracy"] = theirs["accuracy"]
        rows[CLASSIFIER_LABELS[name]] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("model").dropna(axis=1, how="all")


def importance_table(record: Record) -> pd.DataFrame:
    """Mean ``attention`` to each family, and rise of the log loss in nats."""
    table = pd.DataFrame(index=pd.Index(record.family_names, name="family"))
    if "attention" in record.values:
        table["attention"] = np.nanmean(record.attention, axis=0)
    table["shuffled"] = record.shuffled_log_loss.mean(axis=0)
    table["left out"] = record.left_out_log_loss.mean(axis=0)
    return table


def published_table(records: Mapping[str, Record], kind: str = "types") -> pd.DataFrame:
    """Published scores of methods, ours on splits as published, and with donors kept together.

    ``SD`` is that of macro-F1 over the folds of all runs.
    """
    labels = [CLASSIFIER_LABELS[name] for name in PUBLISHED_CLASSIFIERS]
    columns = ["published macro-F1", "published SD", "macro-F1", "SD"]
    columns += ["published accuracy", "accuracy"]
    as_published = classifier_table(records, f"{kind}_stratified", reference=None)
    as_published = as_published.reindex(labels, columns=columns)
    by_donors = classifier_table(records, kind, reference=None)
    by_donors = by_donors.reindex(columns=["macro-F1", "SD", "accuracy"])
    return as_published.join(by_donors, rsuffix=", donors kept together")


def published_comparison(records: Mapping[str, Record], kind: str = "types") -> pd.DataFrame:
    """`published_table` to be read: means with their SDs, and macro-F1 minus that by donors."""
    scores = published_table(records, kind)
    of_donors = scores["macro-F1, donors kept together"]
    return pd.DataFrame(
        {
            "published macro-F1": _with_sd(scores, "published macro-F1", "published SD"),
            "macro-F1": _with_sd(scores, "macro-F1", "SD"),
            "published accuracy": scores["published accuracy"],
            "accuracy": scores["accuracy"],
            of_donors.name: of_donors,
            "minus donors": scores["macro-F1"] - of_donors,
        }
    )


def _with_sd(scores, mean, sd):
    """Two columns as texts; a dash where there is no mean."""
    means = scores[mean].map("{:.3f}".format, na_action="ignore")
    sds = scores[sd].map(" ± {:.3f}".format, na_action="ignore").fillna("")
    return (means + sds).fillna("–")


def transfer_table(records: Mapping[str, Record], kind: str) -> pd.DataFrame:
    """Scores with and without mouse cells, and the gain over the published network without them.

    Parameters
    ----------
    records : dict of str to Record
    kind : {"transfer_donors", "transfer_stratified"}

    Returns
    -------
    DataFrame
        The gain in macro-F1 is a text with its 95 % interval, and a dash for the network itself.
    """
    scores = classifier_table(records, kind, TRANSFER_REFERENCE)
    reference = CLASSIFIER_LABELS[TRANSFER_REFERENCE]
    gains = {}
    for label, row in scores.iterrows():
        gain = PairedDifference(row[f"minus {reference}"], row["low"], row["high"])
        gains[label] = "–" if label == reference else str(gain)
    table = scores[["macro-F1", "accuracy"]].copy()
    table["gain over the published baseline [95 % interval]"] = pd.Series(gains)
    published = scores.reindex(columns=["published macro-F1", "published SD"]).astype(float)
    table["published macro-F1"] = _with_sd(published, *published)
    return table


def paired_table(
    records: Mapping[str, Record], pairs: Iterable[tuple[str, str, str]]
) -> pd.DataFrame:
    """Mean differences of models on the same folds, with their 95 % intervals.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model, as from `records_of_kind`.
    pairs : iterable of (str, str, str)
        Two models and a score, such as ``macro_f1``; pairs without records are left out.

    Returns
    -------
    DataFrame
        ``difference``, ``low`` and ``high`` of each pair and score.
    """
    rows = {}
    for first, second, metric in pairs:
        if records.keys() >= {first, second}:
            pair = f"{CLASSIFIER_LABELS[first]} - {CLASSIFIER_LABELS[second]}"
            rows[pair, metric] = paired_difference(records[first], records[second], metric)
    index = pd.MultiIndex.from_tuples(rows, names=["models", "score"])
    return pd.DataFrame(rows.values(), index, columns=["difference", "low", "high"])


def scores_within(record: Record, groups: ArrayLike) -> pd.DataFrame:
    """Scores within each group of cells, the largest first; means over the repeats.

    Parameters
    ----------
    record : Record
        Cross-validation of a model.
    groups : array-like
        Of all cells.

    Returns
    -------
    DataFrame
        ``cells``, ``macro_f1`` over the types in the group, and ``accuracy``.
    """
    tested = test_cells(record)
    tested["group"] = np.asarray(groups, str)[tested["cell"]]
    rows = []
    for (group, _), cells in tested.groupby(["group", "repeat"]):
        true, predicted = cells["true"], cells["predicted"]
        f1 = f1_score(true, predicted, labels=np.unique(true), average="macro")
        row = {"group": group, "cells": len(cells), "macro_f1": f1}
        rows.append(row | {"accuracy": (true == predicted).mean()})
    means = pd.DataFrame(rows).groupby("group").mean()
    return means.astype({"cells": int}).sort_values("cells", ascending=False)


def attention_table(record: Record) -> pd.DataFrame:
    """Mean weight of each family (columns) over the test cells of each type."""
    means = np.nanmean(record.attention[:, 0], axis=0)
    return pd.DataFrame(means, record.classes, record.family_names)


def attention_agreement(record: Record) -> np.ndarray:
    """Correlations of the attention of each two runs, over types and families."""
    of_folds = pd.DataFrame(record.attention.reshape(len(record.folds), -1))
    correlations = of_folds.groupby(record.repeats).mean().T.corr().to_numpy()
    return correlations[np.triu_indices(len(correlations), 1)]


def types_overview(saved_models: str | PathLike[str]) -> dict[str, pd.DataFrame]:
    """Published methods beside their published scores, and macro-F1 of others on all data."""
    tables = {}
    rows: dict[str, dict[str, str]] = {}
    folders = {name: Path(saved_models, name) for name in TYPED_DATASETS}
    saved = {name: read_types_records(path) for name, path in folders.items() if path.is_dir()}
    for (dataset, title), kind in product(TYPED_DATASETS.items(), ("types", "types5")):
        records = saved.get(dataset, {})
        data_title = f"{title}, {RECORD_KINDS[kind]}"
        if records_of_kind(records, f"{kind}_stratified"):
            tables[f"Published methods, {data_title}"] = published_table(records, kind)
        for name, record in records_of_kind(records, kind).items():
            row = rows.setdefault(data_title, {"cells": str(len(record.true))})
            if name in OVERVIEW_CLASSIFIERS:
                row[CLASSIFIER_LABELS[name]] = mean_sd(record.macro_f1.ravel())
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}; `sbnn reproduce 05` computes them")
    table = pd.DataFrame(rows).T.rename_axis("data").fillna("")
    return tables | {"Macro-F1 on every data set": table}


def types_tables(records: Mapping[str, Record]) -> dict[str, pd.DataFrame]:
    """All tables for which there are results, by title."""
    tables = {}
    for kind, title in RECORD_KINDS.items():
        if records_of_kind(records, kind):
            tables[f"Accuracy, {title}"] = classifier_table(records, kind)
    for name, record in records_of_kind(records, IMPORTANCE_PREFIX).items():
        label = CLASSIFIER_LABELS[name]
        title = f"Importance of the families for {label}: rise of the log loss, attention"
        tables[title] = importance_table(record)
    return tables
