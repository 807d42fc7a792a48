"""Tables of our and of published results, made from saved records only.

Published results are those of Bernaerts, Berens and Kobak, arXiv 2006.10411 (v3), and of the arrays
stored with its code (github.com/berenslab/sBNN): means over the folds, for data z-scored over all
cells, at the end of a training stage, not at the epoch that is best on the test fold.
"""

from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.evaluation import stability
from sbnn.evaluation.scores import mean_sd
from sbnn.evaluation.verdict import corrected_difference
from sbnn.metrics import test_fraction
from sbnn.results import load_folder

N_GENES = 25  # kept by networks
LASSO = 0.1  # group lasso of the paper
# values of the varied parameters in the published network
STANDARD = {"pretraining": True, "group_lasso": LASSO}
LEAK = "scaled_over_all_cells"  # results of data scaled as in the paper
LAST = "last epoch"  # after pruning and fine-tuning
BEFORE_PRUNING = "before pruning"  # the last epoch with all genes
PUBLISHED = pd.read_csv(Path(__file__).with_name("published.csv")).assign(scaling="all")
#: Parameters that identify a result, ours or a published one.
KEYS = [
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
MAIN = {
    "distilled, d=2": ("distilled", {"n_components": 2}),
    "distilled, d=64": ("distilled", {"n_components": 64}),
    "paper, d=2": ("published", {"n_components": 2, **STANDARD}),
    "paper, d=64": ("published", {"n_components": 64, **STANDARD}),
    "sRRR, rank 2": ("srrr", {}),
    "sRRR, full rank": ("srrr", {}),
    "ridge, all genes": ("ridge", {}),
}
APART = {
    "mouse": "whole mice held out, ten folds",
    "date": "trained on the first four fifths of the recording dates, tested on the last",
}
APART_MODELS = ["distilled, d=2", "paper, d=2", "ridge, all genes"]
# numbers of genes of sRRR if none were published
SRRR_GENES = (25, 33, 83)
#: Experiments with other genes or noise.
OTHER_DATA = ("gene-selection", "noise")


def read(folder):
    """Read the records in a folder, by name."""
    return load_folder(folder, data_of=_data_of)


def _data_of(record):
    if record.experiment in OTHER_DATA:
        return None
    return record.dataset, record.sha256


def published(dataset, n_genes):
    """Table of the published results for a data set with `n_genes` genes; empty without any."""
    table = PUBLISHED[PUBLISHED["dataset"] == dataset]
    return table[table["from_genes"].fillna(n_genes) == n_genes]


def comparable(record):
    """Published results at the last epoch for the folds and genes of our record, as dicts.

    Those without frozen layers are left out.
    """
    known = published(record.dataset, len(record.gene_names))
    same = known.query(f"folds == {len(record.folds)} and stage == @LAST and frozen_layers.isna()")
    return same.to_dict("records")


def all_tables(records):
    """All tables of the records of a data set, by title."""
    tables = {}
    main = main_models(records)
    if main:
        tables["Test R2, mean over the folds"] = accuracy_table(records)
        tables["Test R2 of every output, scaled per fold"] = feature_table(main)
    if "apart_mouse_distilled" in records:
        tables["Test R2 on held-out groups"] = grouped_holdout_table(records, main)
    if "genes_curve" in records:
        tables["Test R2 by number of genes"] = stability.genes_table(records["genes_curve"])
    if "halves_distilled" in records:
        halves = records["halves_distilled"]
        table = stability.selection_table(halves, records.get("repeats_published"))
        tables[f"Genes to trust, of {len(halves.folds)} halves"] = table[table["trusted"]]
    if "interpretation" in records:
        effects = effects_table(records["interpretation"].table, *main["distilled, d=2"])
        tables["Effects of the kept genes on held-out cells"] = effects
    if "noise" in records:
        by_noise = records["noise"].table.groupby(["model", "noise"])
        tables["Known genes found, by noise"] = by_noise.mean()
    return tables


def overview(saved_models):
    """Test R2 of the main models on every data set with saved results; a dict of one table."""
    rows = {}
    for path in sorted(Path(saved_models).glob("*/cv_distilled.pickle.xz")):
        name = path.parent.name
        if name.endswith("-fast"):
            continue
        tested = load_folder(path.parent, "cv_", _data_of)
        records = {f"cv_{model}": record for model, record in tested.items()}
        default = records["cv_distilled"]
        size = f"{len(default.gene_names)} -> {len(default.feature_names)}"
        rows[name] = {"genes -> outputs": size}
        for title, (record, point) in main_models(records).items():
            rows[name][title] = mean_sd(record.test_r2[:, point])
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}; run the notebooks first")
    table = pd.DataFrame.from_dict(rows, "index", columns=["genes -> outputs", *MAIN])
    return {"Test R2 on every data set": table.fillna("").rename_axis("data")}


def main_models(records):
    """Record and position of the main models, by title."""
    found = {}
    for title, (name, wanted) in MAIN.items():
        record = records.get(f"cv_{name}")
        if record is None:
            continue
        if name == "srrr":  # ranks are in ascending order
            rank = record.params[-1 if "full" in title else 0]["rank"]
            found[title] = record, record.best_with_at_most(N_GENES, rank=rank)
        elif record.points(**wanted):
            if "preselected" in record.values:
                title = title.replace("all", "preselected")
            found[title] = record, record.points(**wanted)[0]
    return found


def accuracy_table(records):
    """Test R2 of all models by their parameters, with published R2 for data scaled over all cells.

    The standard error is that of our mean.
    """
    keys = ["model", *KEYS]
    tested = [record for name, record in records.items() if name.startswith("cv_")]
    fits = pd.concat([_fits(record) for record in tested])
    fits = fits.reindex(columns=[*keys, "test_r2"])
    groups = fits.groupby(keys, dropna=False)["test_r2"]
    table = groups.agg(R2="mean", SD="std").reset_index()
    known = published(tested[0].dataset, len(tested[0].gene_names))
    known = known.rename(columns={"test_r2": "published", "sd": "published SD"})
    table = table.merge(known[[*KEYS, "published", "published SD"]], how="left", on=KEYS)
    table["minus published"] = table["R2"] - table["published"]
    table["SE"] = table["SD"] / np.sqrt(table["folds"])
    # columns that no model has are left out; a parameter that some models lack is empty for these
    table = table.dropna(axis=1, how="all")
    settings = table[[key for key in keys if key in table]]
    settings = settings.convert_dtypes().astype("string").fillna("")
    numbers = table.drop(columns=settings.columns)
    return numbers.set_index(pd.MultiIndex.from_frame(settings))


def _fits(record):
    """Test R2 by fold and parameters."""
    fits = record.to_frame()
    fits["folds"] = len(record.folds)
    fits["scaling"] = record.settings["scaling"]
    fits["stage"] = LAST
    fits["n_genes"] = record.n_genes(0)
    fits["model"] = "sRRR" if "rank" in fits else "ridge"
    if "rank" in fits:
        return _fits_on_path(record, fits)
    if "n_components" in fits:
        fits["model"] = "paper" if "group_lasso" in fits else "distilled"
        fits["n_genes"] = fits["n_selected"]
    if "group_lasso" in fits:
        curves = chain.from_iterable(record.history)
        r2 = [curve.query("stage == 'unfrozen'")["eval_r2"].iloc[-1] for curve in curves]
        fits = pd.concat([fits, fits.assign(stage=BEFORE_PRUNING, test_r2=r2)])
    return fits


def _fits_on_path(record, fits):
    """Sparse linear models with the published numbers of genes."""
    known = published(record.dataset, len(record.gene_names))
    numbers = known.loc[known["rank"].notna(), "n_genes"].unique()
    shown = []
    for rank in fits["rank"].unique():
        for n_genes in numbers if len(numbers) else SRRR_GENES:
            point = record.params[record.best_with_at_most(n_genes, rank=rank)]
            chosen = fits.query(f"rank == {rank} and alpha == {point['alpha']}")
            shown.append(chosen.assign(n_genes=n_genes))
    return pd.concat(shown)


def feature_table(main):
    """Mean test R2 of every output by model, scaled per fold; the best output is first."""
    columns = {}
    for title, (record, point) in main.items():
        columns[title] = record.test_feature_r2[:, point].mean(axis=0)
    table = pd.DataFrame(columns, pd.Index(record.feature_names, name="output"))
    return table.sort_values(table.columns[0], ascending=False)


def effects_table(table, record, point):
    """Effects of genes, without an `output` that is not predicted better than by its mean."""
    r2 = record.test_feature_r2[:, point]
    predicted = corrected_difference(r2, test_fraction(record.folds)).low > 0
    known = table["output"].isin(record.feature_names[predicted])
    return table.assign(**table[["output", "effect"]].where(known))


def grouped_holdout_table(records, main):
    """Test R2 on held-out groups, compared with random folds."""
    columns = {}
    for title in APART_MODELS:
        record, point = main[title]
        columns[title] = {"random folds": mean_sd(record.test_r2[:, point])}
        name, _ = MAIN[title]
        for label, held_out in APART.items():
            record = records.get(f"apart_{label}_{name}")
            if record is not None:
                columns[title][held_out] = mean_sd(record.test_r2[:, 0])
    return pd.DataFrame(columns).rename_axis("tested on")
