"""Tables of our and of published results, made from saved records only.

Published results are those of Bernaerts, Berens and Kobak, arXiv 2006.10411 (v3), and of the arrays
stored with its code (github.com/berenslab/sBNN): means over the folds, for data z-scored over all
cells, at the end of a training stage, not at the epoch that is best on the test fold.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.evaluation import stability
from sbnn.evaluation.scores import mean_sd
from sbnn.evaluation.verdict import (
    PairedDifference,
    corrected_difference,
    differences_from,
    paired_difference,
)
from sbnn.metrics import test_fraction
from sbnn.plotting.reading import choose_model
from sbnn.results import STACKED, Record, load_folder

N_GENES = 25  # kept by networks
LASSO = 0.1  # group lasso of the paper
# values of the varied parameters in the published network
STANDARD = {"pretraining": True, "group_lasso": LASSO}
LAST = "last epoch"  # after pruning and fine-tuning
BEFORE_PRUNING = "before pruning"  # the last epoch with all genes
PUBLISHED_R2 = pd.read_csv(Path(__file__).with_name("published.csv")).assign(scaling="all")
#: Parameters that identify a result, ours or a published one.
RESULT_KEYS = [
    "n_components",
    "rank",
    "group_lasso",
    "pretraining",
    "frozen_layers",
    "n_genes",
    "stage",
    "folds",
    "scaling",
]
#: Record and parameters of the main models by title.
MAIN: dict[str, tuple[str, dict]] = {
    "distilled, d=2": ("distilled", {"n_components": 2}),
    "distilled, d=64": ("distilled", {"n_components": 64}),
    "published, d=2": ("published", {"n_components": 2, **STANDARD}),
    "published, d=64": ("published", {"n_components": 64, **STANDARD}),
    "sRRR, rank 2": ("srrr", {}),
    "sRRR, full rank": ("srrr", {}),
    "ridge, all genes": ("ridge", {}),
    "distilled + ridge, all genes": ("stacked", {}),
}
#: Models that are compared on every data set, each with its reference.
COMPARISONS = (("distilled", "ridge"), ("stacked", "ridge"), ("stacked", "distilled"))
#: Words for `RESULT_KEYS` and their values in the names of a table.
SIZE_WORDS = {"n_components": "d = {}", "rank": "rank {}", "n_genes": "{} genes"}
SETTING_WORDS = {
    "group_lasso": "lasso {}",
    "pretraining": "{}",
    "frozen_layers": "{}",
    "folds": "{} folds",
    "stage": "{}",
}
VALUE_WORDS = {
    "pretraining": {"True": "pretrained", "False": "not pretrained"},
    "frozen_layers": {"0": "none frozen"},
    "stage": {LAST: ""},
}
APART = {
    "mouse": "whole mice held out, ten folds",
    "date": "trained on the first four fifths of the recording dates, tested on the last",
}
APART_MODELS = [
    "distilled, d=2",
    "published, d=2",
    "ridge, all genes",
    "distilled + ridge, all genes",
]
# genes that a published network of 2 or 64 units shares with sRRR of rank 2, mean of ten runs
SHARED_WITH_SRRR: dict[int | str, float] = {2: 9.8, 64: 8.2}
# numbers of genes of sRRR if none were published
SRRR_GENES = (25, 33, 83)
#: Experiments with other genes or noise, or with preselected genes alone.
OTHER_DATA = ("gene-selection", "noise", "map trust", "t-SNE")


def read_study_records(folder: str | Path) -> dict[str, Record]:
    """Read the records in a folder, by name."""
    return load_folder(folder, data_of=_identify_data)


def _identify_data(record):
    are_halves = "cells_behind" in record.values  # maybe of the candidate genes alone
    if record.experiment in OTHER_DATA or are_halves:
        return None
    return record.dataset, record.sha256


def published_r2(dataset: str, n_genes: int) -> pd.DataFrame:
    """Table of the published results for a data set with `n_genes` genes; empty without any."""
    table = PUBLISHED_R2[PUBLISHED_R2["dataset"] == dataset]
    from_genes = table["from_genes"].fillna(n_genes)
    return table[from_genes == n_genes]


def comparable_results(record: Record) -> list[dict]:
    """Published results at the last epoch for the folds and genes of our record, as dicts.

    Those without frozen layers are left out.
    """
    table = published_r2(record.dataset, len(record.gene_names))
    table = table[table["folds"] == len(record.folds)]
    table = table[table["stage"] == LAST]
    table = table[table["frozen_layers"].isna()]
    return table.to_dict("records")


def format_numbers(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Table to be read: numbers with so many digits, a dash where there is none.

    Parameters
    ----------
    table : DataFrame
        Whole numbers and texts stay as they are; no zero has a minus sign.
    digits : int
        After the decimal point.

    Returns
    -------
    DataFrame
        Of texts where `table` has floating-point numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from sbnn.study.report import format_numbers
    >>> format_numbers(pd.DataFrame({"test_r2": [0.51234, -0.0001, None], "cells": [30, 40, 50]}))
      test_r2  cells
    0   0.512     30
    1   0.000     40
    2       –     50
    """
    texts = table.copy()
    for name in table.select_dtypes("floating").columns:
        shown = table[name].map(f"{{:z.{digits}f}}".format, na_action="ignore")
        texts[name] = shown.astype(object).fillna("–")
    return texts


def study_tables(records: Mapping[str, Record]) -> dict[str, pd.DataFrame]:
    """All tables of the records of a data set, by title."""
    tables = {}
    main = main_models(records)
    if main:
        tables["Test R2, mean over the folds"] = study_accuracy_table(records)
        tables["Test R2 of every output, scaled per fold"] = output_r2_table(main)
    if "cv_published_at_once" in records:
        differences = pd.Series(strategy_differences(records)).map(str)
        title = "Strategies of the published network, d=2, difference of test R2"
        tables[title] = differences.rename("difference").to_frame()
    if "apart_mouse_distilled" in records:
        tables["Test R2 on held-out groups"] = grouped_holdout_table(records, main)
    if "genes_curve" in records:
        tables["Test R2 by number of genes"] = stability.genes_table(records["genes_curve"])
    if "halves_distilled" in records:
        halves = records["halves_distilled"]
        table = stability.selection_table(halves, records.get("repeats_published"))
        tables[f"Genes to trust, of {len(halves.folds)} halves"] = table[table["trusted"]]
    if "interpretation" in records:
        record, point = main["distilled, d=2"]
        effects = effects_table(records["interpretation"].table, record, point)
        tables["Effects of the kept genes on held-out cells"] = effects
    if "noise" in records:
        # the record has the former name of the published network
        draws = records["noise"].table.replace({"model": {"paper": "published"}})
        tables["Known genes found, by noise"] = draws.groupby(["model", "noise"]).mean()
    return tables


def study_folders(saved_models: str | Path) -> list[Path]:
    """Folders with results of the networks, quick runs aside."""
    paths = sorted(Path(saved_models).glob("*/cv_distilled.pickle.xz"))
    return [path.parent for path in paths if not path.parent.name.endswith("-fast")]


def study_overview(saved_models: str | Path) -> dict[str, pd.DataFrame]:
    """Test R2 of the main models on every data set with saved results, and their differences."""
    rows = {}
    differences = {}
    for folder in study_folders(saved_models):
        name = folder.name
        by_model = load_folder(folder, "cv_", _identify_data)
        records = {f"cv_{model}": record for model, record in by_model.items()}
        distilled = records["cv_distilled"]
        n_genes, n_outputs = len(distilled.gene_names), len(distilled.feature_names)
        rows[name] = {"genes -> outputs": f"{n_genes} -> {n_outputs}"}
        for title, (record, point) in main_models(records).items():
            rows[name][title] = mean_sd(record.test_r2[:, point])
        if records.keys() >= {"cv_stacked", "cv_ridge"}:
            differences[name] = model_differences(records)
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}; run the notebooks first")
    columns = ["genes -> outputs", *MAIN]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    tables = {"Test R2 on every data set": table.fillna("").rename_axis("data")}
    if differences:
        table = pd.DataFrame(differences).T.map(str).rename_axis("data")
        tables["Difference of test R2, with its 95 % interval"] = table
    return tables


def model_differences(records: Mapping[str, Record]) -> dict[str, PairedDifference]:
    """Differences of test R2 between network, ridge and both stacked, by title."""
    fits = {}
    for name, params in {"distilled": {"n_components": 2}, "ridge": {}, "stacked": {}}.items():
        record = records[f"cv_{name}"]
        fits[name] = record, record.find(**params)
    differences = {}
    for model, reference in COMPARISONS:
        (record, point), (other, at) = fits[model], fits[reference]
        difference = paired_difference(record, other, metric="test_r2", points=(point, at))
        differences[f"{model} minus {reference}"] = difference
    return differences


def strategy_differences(records: Mapping[str, Record]) -> dict[str, PairedDifference]:
    """Differences of test R2 between the strategies of the published network, by title.

    They are for two units, over the same folds.

    Parameters
    ----------
    records : dict of str to Record
        Of a data set, see `read_study_records`. ``cv_published_at_once``, without frozen layers,
        determines whether data are scaled over all cells.

    Returns
    -------
    dict of str to PairedDifference

    Raises
    ------
    KeyError
        If a record is missing.
    """
    at_once = records["cv_published_at_once"]
    scaling = at_once.settings["scaling"]
    suffix = "_scaled_over_all_cells" if scaling == "all" else ""
    networks = records[f"cv_published{suffix}"]
    frozen = networks.find(n_components=2, **STANDARD)
    straight = networks.find(n_components=2, **STANDARD | {"pretraining": False})
    subtract = partial(paired_difference, metric="test_r2")
    return {
        "pretrained, all layers, minus straight": subtract(at_once, networks, points=(0, straight)),
        "pretrained, then frozen, minus straight": subtract(
            networks, networks, points=(frozen, straight)
        ),
        "frozen first minus all layers": subtract(networks, at_once, points=(frozen, 0)),
    }


def main_models(records: Mapping[str, Record]) -> dict[str, tuple[Record, int]]:
    """Record and position of the main models, by title."""
    models = {}
    for title, (name, params) in MAIN.items():
        record = records.get(f"cv_{name}")
        if record is None:
            continue
        if name == "srrr":  # ranks are in ascending order
            rank = record.params[-1 if "full" in title else 0]["rank"]
            models[title] = record, record.best_with_at_most(N_GENES, rank=rank)
        elif points := record.points(**params):
            if "preselected" in record.values:
                title = title.replace("all", "preselected")
            models[title] = record, points[0]
    return models


def study_accuracy_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Test R2 of all models by their parameters, with published R2 for data scaled over all cells.

    The standard error is that of our mean.
    """
    validations = [record for name, record in records.items() if name.startswith("cv_")]
    keys = ["model", *RESULT_KEYS]
    fits = pd.concat([_list_fits(record) for record in validations])
    fits = fits.reindex(columns=[*keys, "test_r2"])
    groups = fits.groupby(keys, dropna=False)["test_r2"]
    table = groups.agg(R2="mean", SD="std").reset_index()
    first = validations[0]
    published = published_r2(first.dataset, len(first.gene_names))
    published = published.rename(columns={"test_r2": "published", "sd": "published SD"})
    published = published[[*RESULT_KEYS, "published", "published SD"]]
    table = table.merge(published, how="left", on=RESULT_KEYS)
    table["minus published"] = table["R2"] - table["published"]
    table["SE"] = table["SD"] / np.sqrt(table["folds"])
    # columns that no model has are left out; a parameter that some models lack is empty for these
    table = table.dropna(axis=1, how="all")
    settings = table[[key for key in keys if key in table]]
    settings = settings.convert_dtypes().astype("string").fillna("")
    numbers = table.drop(columns=settings.columns)
    return numbers.set_index(pd.MultiIndex.from_frame(settings))


def beside_published(records: Mapping[str, Record]) -> pd.DataFrame:
    """The fits of `study_accuracy_table` that have a published R2, or all if none is published.

    Parameters
    ----------
    records : dict of str to Record
        Of a data set, see `read_study_records`.

    Returns
    -------
    DataFrame
        The index has the model and its setting in words.
    """
    table = study_accuracy_table(records)
    if "published" in table:
        table = table.dropna(subset=["published"])
    settings = table.index.to_frame(index=False).replace(VALUE_WORDS)
    rows = []
    for words in settings.to_dict("records"):
        model = _join_words(words, {"model": "{}", **SIZE_WORDS})
        rows.append((model, _join_words(words, SETTING_WORDS)))
    shown = [name for name in ("R2", "published", "minus published", "SE") if name in table]
    index = pd.MultiIndex.from_tuples(rows, names=["model", "setting"])
    return table[shown].set_axis(index).rename(columns={"R2": "R²"})


def _join_words(values, formats):
    """Values that are there, each in its words."""
    return ", ".join(
        text.format(values[name]) for name, text in formats.items() if values.get(name)
    )


def comparison_table(
    models: Mapping[str, Record | tuple[Record, dict]], references: Sequence[str]
) -> pd.DataFrame:
    """Number of genes, test R2 and its differences from some of the models, a row for each model.

    Parameters
    ----------
    models, references
        As in `sbnn.plotting.accuracy_comparison`.

    Returns
    -------
    DataFrame
        A difference is None with fewer than three folds, or for a model with other folds.
    """
    chosen = {name: choose_model(model, N_GENES) for name, model in models.items()}
    columns = {
        "genes": [record.n_genes(point) for record, point in chosen.values()],
        "test R²": [mean_sd(record.test_r2[:, point]) for record, point in chosen.values()],
    }
    for reference in references:
        differences = differences_from(chosen[reference], [*chosen.values()])
        columns[f"minus {reference}"] = [found and str(found) for found in differences]
    return pd.DataFrame(columns, index=pd.Index([*chosen]))


def _list_fits(record):
    """Test R2 by fold and parameters."""
    fits = record.to_frame()
    fits["folds"] = len(record.folds)
    fits["scaling"] = record.settings["scaling"]
    fits["stage"] = LAST
    fits["n_genes"] = record.n_genes(0)
    if "rank" in fits:
        return _list_srrr_fits(record, fits.assign(model="sRRR"))
    if record.settings["estimator"]["class"] == STACKED:
        return fits.assign(model="distilled + ridge")
    if "n_components" not in fits:
        return fits.assign(model="ridge")
    fits["n_genes"] = fits["n_selected"]
    if "group_lasso" not in fits:
        return fits.assign(model="distilled")
    fits["model"] = "published"
    r2_before_pruning = []
    for histories in record.history:
        for history in histories:
            unfrozen = history[history["stage"] == "unfrozen"]
            r2_before_pruning.append(unfrozen["eval_r2"].iloc[-1])
    return pd.concat([fits, fits.assign(stage=BEFORE_PRUNING, test_r2=r2_before_pruning)])


def _list_srrr_fits(record, fits):
    """Sparse linear models with the published numbers of genes."""
    published = published_r2(record.dataset, len(record.gene_names))
    numbers = published.loc[published["rank"].notna(), "n_genes"].unique()
    if not len(numbers):
        numbers = SRRR_GENES
    tables = []
    for rank, fits_of_rank in fits.groupby("rank", sort=False):
        for n_genes in numbers:
            point = record.best_with_at_most(n_genes, rank=rank)
            alpha = record.params[point]["alpha"]
            chosen = fits_of_rank[fits_of_rank["alpha"] == alpha]
            tables.append(chosen.assign(n_genes=n_genes))
    return pd.concat(tables)


def output_r2_table(main: Mapping[str, tuple[Record, int]]) -> pd.DataFrame:
    """Mean test R2 of every output by model, scaled per fold; the best output is first."""
    columns = {}
    for title, (record, point) in main.items():
        columns[title] = record.test_feature_r2[:, point].mean(axis=0)
    table = pd.DataFrame(columns, index=pd.Index(record.feature_names, name="output"))
    return table.sort_values(table.columns[0], ascending=False)


def kept_counts_table(
    published: pd.DataFrame, runs: Mapping[int, Record], genes_of_srrr: Collection[str]
) -> pd.DataFrame:
    """How often ten networks of mouse M1 keep a gene, and what two of them share.

    Parameters
    ----------
    published : DataFrame
        From `sbnn.study.published.published_counts`.
    runs : dict of int to Record
        Our fits to all cells with ten seeds, by units of the network.
    genes_of_srrr : collection of str
        Genes of sparse reduced-rank regression of rank 2.

    Returns
    -------
    DataFrame
        Number of genes that k of ten networks keep, for each k from 1 to 10; below, the genes that
        two networks share, and those that a network shares with the linear model, on average.
    """
    counts = published.copy()
    shared = dict(SHARED_WITH_SRRR)
    for width, record in runs.items():
        kept = record.selected[0]  # (10, n_genes)
        times = kept.sum(axis=0)
        is_linear = np.isin(record.gene_names, [*genes_of_srrr])
        title = f"{width}, ours"
        counts[title] = [(times == k).sum() for k in counts.index]
        shared[title] = kept[:, is_linear].sum(axis=1).mean()
    k = counts.index.to_numpy()
    pairs_of_networks = counts.mul(k * (k - 1), axis=0).sum() / (10 * 9)
    counts.loc["genes that two runs share"] = pairs_of_networks.round(1)
    counts.loc["genes that a run shares with sRRR, rank 2"] = shared
    return counts.rename_axis("genes kept k of ten times")


def effects_table(table: pd.DataFrame, record: Record, point: int) -> pd.DataFrame:
    """Effects of genes, without an `output` that is not predicted better than by its mean."""
    r2 = record.test_feature_r2[:, point]
    interval = corrected_difference(r2, test_fraction(record.folds))
    predicted = record.feature_names[interval.low > 0]
    is_predicted = table["output"].isin(predicted)
    outputs = table["output"].where(is_predicted)
    effects = table["effect"].where(is_predicted)
    return table.assign(output=outputs, effect=effects)


def grouped_holdout_table(
    records: Mapping[str, Record], main: Mapping[str, tuple[Record, int]]
) -> pd.DataFrame:
    """Test R2 on held-out groups, compared with random folds and, over the groups, with ridge."""
    columns = {}
    for title in APART_MODELS:
        if title not in main:
            continue
        random_folds, point = main[title]
        columns[title] = {"random folds": mean_sd(random_folds.test_r2[:, point])}
        name, _ = MAIN[title]
        for label, held_out in APART.items():
            apart = records.get(f"apart_{label}_{name}")
            if apart is None:
                continue
            columns[title][held_out] = mean_sd(apart.test_r2[:, 0])
            ridge = records.get(f"apart_{label}_ridge", apart)
            if len(apart.folds) > 1 and ridge is not apart:
                difference = paired_difference(apart, ridge, "test_r2")
                columns[title][f"{held_out}: minus ridge"] = str(difference)
    return pd.DataFrame(columns).rename_axis("tested on")
