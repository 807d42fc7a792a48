"""Tables of our and of published results for ``sbnn report``, made from saved records only."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.evaluation import stability
from sbnn.evaluation.crossval import epoch_curves
from sbnn.evaluation.verdict import have_same_folds, outputs_table, verdict
from sbnn.results import load, load_folder
from sbnn.study import published

N_GENES = 25  # number of genes that networks keep
MAPS = (2, 64)  # widths of the networks in the table of outputs
LASSO = 0.1  # strength of the group lasso that was chosen in the paper
# values of the varied parameters in the published network
STANDARD = {"pretraining": True, "group_lasso": LASSO}
LEAK = "scaled_over_all_cells"  # suffix of results for which the data were scaled as in the paper
# results to compare with published results on three folds
THREE_FOLDS = f"cv_network_three_folds_{LEAK}"
CITESEQ = ("stoeckius", "citeseq_cd8", "pbmc_5k_protein", "pbmc_10k_protein")
SUMMARY = "Summary"
ACCURACY = "Test R2, mean over the folds"
EFFECTS = "Effects of the kept genes of the distilled network, on held-out cells"
NUMBERS = "Test R2 by number of genes, and which numbers suffice"
SCALED = ["R2, scaled per fold", "SD, scaled per fold"]
USUAL_FOLDS = 10
PRIORS = "Effect of a prior of the genes, mean over the folds"
APART = {
    "mouse": "whole mice held out, ten folds",
    "date": "trained on the first four fifths of the recording dates, tested on the last",
}
APART_MODELS = {"default": "distilled, d=2", "network": "paper, d=2", "ridge": "ridge, all genes"}
THIRDS = ", three folds"  # suffix of row names for three folds
# numbers of genes of sRRR if none were published; lower ranks use only the first number
SRRR_GENES = (25, 33, 83)
# data sets whose genes were selected by counts in all cells, including test cells
SELECTED = ("scala", *CITESEQ)
SELECTION_NOTE = (
    "The genes of mouse M1 and of CITE-seq were selected by their counts in all cells, test cells "
    "included, but not by the outputs; benchmarks/README.md measures the effect."
)
# Smallest R2 between the map and maps from other seeds -> interpretation.
MAP_HOLDS = {
    0.9: "stable",
    0.7: "mostly stable, map_trust shows which cells move",
    -np.inf: "not stable, do not interpret the positions of cells",
}
#: Experiments in which genes or noise differ from those of the data set.
OTHER_DATA = ("gene-selection", "noise")


def read(folder):
    """Read the records in a folder; all records must be on the same data."""
    return load_folder(folder, data_of=_data_of)


def _data_of(record):
    if record.experiment in OTHER_DATA:
        return None
    return record.dataset, record.sha256


def accuracy_table(records, everything=False):
    """Test R2 of all models on a data set, with published R2 where there are any.

    Published results were scaled over all cells, so ours with this scaling stand beside them.
    Models with neither a published R2 nor an R2 scaled per fold are left out unless `everything` is
    requested.
    """
    records = {name: record for name, record in records.items() if name.startswith("cv_")}
    leaky = _models_of_paper(records, f"_{LEAK}")
    if THREE_FOLDS in records:
        leaky |= _network_rows(records[THREE_FOLDS], THIRDS)
    clean = {}
    if "cv_default" in records:
        clean = _distilled_rows(records["cv_default"])
    clean |= _models_of_paper(records, "")
    rows = clean | leaky
    table = pd.DataFrame(index=pd.Index(rows, name="model"))
    table["genes"] = [n_genes for n_genes, _ in rows.values()]
    n_folds = [len(r2) for _, r2 in rows.values()]
    if leaky or set(n_folds) != {USUAL_FOLDS}:
        table["folds"] = n_folds
    if leaky:
        table[["R2", "SD"]] = _mean_and_sd(leaky, table.index)
        known = pd.DataFrame(_published_rows(next(iter(records.values()))), ["test_r2", "sd"]).T
        known = known.reindex(table.index).astype(float)
        table["published"] = known["test_r2"]
        table["published SD"] = known["sd"]
        table["minus published"] = table["R2"] - table["published"]
        # SE of our mean only: published results of single folds are not available, so differences
        # cannot be paired.
        standard_error = table["SD"] / np.sqrt(table["folds"])
        table["SE"] = standard_error.where(table["published"].notna())
    table[SCALED] = _mean_and_sd(clean, table.index)
    if leaky and not everything:
        table = table.dropna(subset=["published", SCALED[0]], how="all")
    return table


def _mean_and_sd(rows, models):
    """Mean and SD of R2 over folds for these models, of shape (models, 2); NaN without results."""
    found = []
    for model in models:
        if model in rows:
            _, r2 = rows[model]
            found.append([r2.mean(), r2.std(ddof=1)])
        else:
            found.append([np.nan, np.nan])
    return found


def _models_of_paper(records, suffix):
    """Dict from name to (genes, R2 per fold) for the models of the paper, of one scaling."""
    rows = {}
    for name, rows_of in (("network", _network_rows), ("srrr", _srrr_rows), ("ridge", _ridge_rows)):
        record = records.get(f"cv_{name}{suffix}")
        if record is not None:
            rows |= rows_of(record)
    return rows


def _distilled_rows(record):
    """Dict from name to (genes, R2 per fold) for each width of the distilled network."""
    rows = {}
    for g in range(len(record.params)):
        width = record.parameter(g, "n_components")
        n_genes = record.n_selected[:, g]
        name = f"distilled network d={width}, {n_genes[0]} genes"
        rows[name] = n_genes.mean(), record.test_r2[:, g]
    return rows


def _ridge_rows(record):
    preselected = record.values.get("preselected")
    if preselected is None:
        return {"ridge, all genes": (len(record.gene_names), record.test_r2[:, 0])}
    n_genes = preselected.sum(axis=1).mean()
    return {"ridge, preselected genes": (n_genes, record.test_r2[:, 0])}


def _network_name(n_components, n_genes, group_lasso, pretraining):
    straight = "" if pretraining else ", straight"
    return f"network d={n_components}, {n_genes} genes{straight}{_lasso(group_lasso)}"


def _before_pruning_name(n_components, group_lasso):
    return f"network d={n_components}, before pruning{_lasso(group_lasso)}"


def _lasso(strength):
    return "" if strength == LASSO else f", group lasso {strength:g}"


def _srrr_name(rank, n_genes):
    return f"sRRR rank {rank}, {n_genes} genes"


def _network_rows(record, ending=""):
    """Dict from name to (genes, R2 per fold) for all grid points of the published network.

    Points with the usual group lasso come first. With pretraining, R2 before the pruning is given
    too.
    """
    rows = {}
    n_genes = int(record.n_selected[0, 0])
    for g, point in enumerate(record.params):
        rows[_network_name(n_genes=n_genes, **point) + ending] = n_genes, record.test_r2[:, g]
        usual = point["group_lasso"] == LASSO or record.settings["scaling"] == "all"
        if point["pretraining"] and usual:
            curves = epoch_curves(record, **point)
            unfrozen = curves[curves["stage"] == "unfrozen"]
            before = unfrozen.groupby("fold")["eval_r2"].last().to_numpy()
            name = _before_pruning_name(point["n_components"], point["group_lasso"])
            rows[name + ending] = len(record.gene_names), before
    return {name: rows[name] for name in sorted(rows, key=_order_of_network)}


def _order_of_network(name):
    """Sort key by kind of network, then by name, whose numbers are compared by value."""
    parts = re.split(r"(\d+)", name)
    natural = [float(part) if part.isdigit() else part for part in parts]
    return "lasso" in name, "straight" in name, natural


def _srrr_rows(record):
    """Dict from name to (genes, R2 per fold) for sRRR with the published numbers of genes."""
    rows = {}
    known = published.srrr_genes(record.dataset)
    ranks = sorted({point["rank"] for point in record.params})
    for rank in ranks:
        usual = SRRR_GENES if rank == ranks[-1] else SRRR_GENES[:1]
        for n_genes in known.get(rank, usual):
            g = record.best_with_at_most(n_genes, rank=rank)
            rows[_srrr_name(rank, n_genes)] = record.n_selected[:, g].mean(), record.test_r2[:, g]
    return rows


def _published_rows(record):
    """Dict from the names of our rows to the corresponding rows of `published.R2`."""
    rows = {}
    for row in published.rows(record.dataset, len(record.gene_names)):
        if "rank" in row:
            name = _srrr_name(row["rank"], row["n_genes"])
        elif row["stage"] == published.BEFORE_PRUNING:
            name = _before_pruning_name(row["n_components"], row["group_lasso"])
        else:
            lasso = row["group_lasso"]
            name = _network_name(row["n_components"], row["n_genes"], lasso, row["pretraining"])
        if row["folds"] == 3:
            name += THIRDS
        rows[name] = row
    return rows


def overview(saved_models):
    """Test R2 of the main models, with about 25 genes, on every data set with saved results."""
    rows = {}
    for path in sorted(Path(saved_models).glob("*/cv_default.pickle")):
        if path.parent.name.endswith("-fast"):
            continue
        records = {part.stem: load(part) for part in sorted(path.parent.glob("cv_*.pickle"))}
        rows[path.parent.name] = _overview_row(records)
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}; run the notebooks first")
    table = pd.DataFrame(rows).T.rename_axis("data")
    table.attrs["note"] = SELECTION_NOTE
    return {"Test R2 on every data set": table}


def _overview_row(records):
    """Size of a data set and R2 of the main models, as text by column."""
    default = records["cv_default"]
    table = accuracy_table(records)
    n_genes = default.n_selected[0, 0]
    models = {
        "distilled, d=2": f"distilled network d=2, {n_genes} genes",
        "distilled, d=64": f"distilled network d=64, {n_genes} genes",
        "paper, d=2": f"network d=2, {n_genes} genes",
        "paper, d=64": f"network d=64, {n_genes} genes",
        "sRRR, rank 2": None,
        "sRRR, full rank": None,
        "ridge, all genes": "ridge, all genes",
    }
    # the first row of the lowest and of the highest rank has the fewest genes
    srrr = [name for name in table.index if name.startswith("sRRR")]
    if srrr:
        highest, _, _ = srrr[-1].partition(",")
        models["sRRR, rank 2"] = srrr[0]
        models["sRRR, full rank"] = next(name for name in srrr if name.startswith(f"{highest},"))
    row = {"genes -> outputs": f"{len(default.gene_names)} -> {len(default.feature_names)}"}
    for title, name in models.items():
        row[title] = ""
        if name in table.index and not np.isnan(table.loc[name, SCALED[0]]):
            mean, sd = table.loc[name, SCALED]
            row[title] = f"{mean:.3f} ± {sd:.3f}"
    return row


def feature_table(records):
    """Mean test R2 of every output by model, scaled per fold; the best output is first."""
    columns = {}
    if "cv_default" in records:
        default = records["cv_default"]
        for point in default.points(n_components=2):
            columns["distilled network d=2"] = default.test_feature_r2[:, point]
    if "cv_network" in records:
        network = records["cv_network"]
        for width in MAPS:
            for point in network.points(n_components=width, **STANDARD):
                columns[f"network d={width}"] = network.test_feature_r2[:, point]
    if "cv_srrr" in records:
        srrr = records["cv_srrr"]
        for rank in sorted({point["rank"] for point in srrr.params}):
            point = srrr.best_with_at_most(N_GENES, rank=rank)
            columns[f"sRRR rank {rank}"] = srrr.test_feature_r2[:, point]
    if "cv_ridge" in records:
        columns["ridge"] = records["cv_ridge"].test_feature_r2[:, 0]
    names = next(record.feature_names for name, record in records.items() if name.startswith("cv_"))
    table = pd.DataFrame(index=pd.Index(names, name="output"))
    for title, r2 in columns.items():  # r2 has the shape (folds, outputs)
        table[title] = r2.mean(axis=0)
    if columns:
        table = table.sort_values(table.columns[0], ascending=False)
    return table


def all_tables(records):
    """All tables that can be made from the records of a data set, by title."""
    tables = {}
    summary = summarise(records)
    if len(summary):
        tables[SUMMARY] = summary
    if any(name.startswith("cv_") for name in records):
        tables[ACCURACY] = accuracy_table(records)
        tables["Test R2 of every output, scaled per fold"] = feature_table(records)
    if any(name.startswith("apart_") for name in records):
        tables["Test R2 on held-out groups"] = grouped_holdout_table(records)
    if "genes_curve" in records:
        table = stability.genes_table(records["genes_curve"])
        tables[NUMBERS] = table.assign(suffices=table["suffices"].map({True: "yes", False: ""}))
    halves = records.get("halves_default")
    if halves is not None:
        title = f"Genes to trust: the distilled network on {len(halves.folds)} halves of the cells"
        tables[title] = _trusted_genes(halves, records.get("repeats_network"))
    if "interpretation" in records:
        tables[EFFECTS] = effects_table(records["interpretation"], halves)
    if "gene_prior" in records:
        table = stability.priors_table(records["gene_prior"])
        tables[PRIORS] = table.reset_index(["list", "influence"])
    if "noise" in records:
        groups = records["noise"].table.groupby(["model", "noise"])
        means = groups[["precision", "recall", "test_r2", "best_r2"]].mean()
        tables["Known genes found, by noise"] = means.reset_index("noise")
    return tables


def _trusted_genes(halves, repeats):
    """Genes that are trusted, and how many fits of the published network keep them."""
    table = stability.selection_table(halves)
    if repeats is not None:
        counts = stability.gene_counts(repeats)["count"]
        table["count, published network"] = counts.reindex(table.index).fillna(0)
    table = table[table["trusted"]].drop(columns="trusted")
    table.attrs["note"] = stability.trust_sentence(halves)
    return table


def effects_table(interpretation, halves=None):
    """Effects of the kept genes, and whether each gene is trusted."""
    table = interpretation.table.rename_axis("gene")
    if halves is None:
        return table
    trust = stability.kept_genes_table(halves, table.index)["trust"]
    table.insert(table.columns.get_loc("stability") + 1, "trust", trust)
    table.attrs["note"] = (
        "trusted: kept in so many halves of the cells that at most one false selection is "
        "expected; unstable: other cells may give another gene in its place."
    )
    return table


def note(records):
    """Note below the tables on genes selected using all cells, and on computing time."""
    notes = []
    if any(record.dataset in SELECTED for record in records.values()):
        notes.append(SELECTION_NOTE)
    seconds = 0.0
    for name, record in records.items():
        if name.startswith("cv_"):
            seconds += record.seconds.sum()
    if seconds:
        notes.append(f"The cross-validations took {seconds / 60:.0f} CPU minutes")
    return "\n\n".join(notes)


def grouped_holdout_table(records):
    """Test R2 on held-out groups, compared with random folds."""
    usual = {"default": {"n_components": 2}, "network": {"n_components": 2, **STANDARD}}
    columns = {}
    for name, title in APART_MODELS.items():
        column = columns[title] = {}
        record = records.get(f"cv_{name}")
        if record is not None:
            point = record.find(**usual.get(name, {}))
            column["random folds"] = _spread(record.test_r2[:, point])
        for label, held_out in APART.items():
            record = records.get(f"apart_{label}_{name}")
            if record is not None:
                column[held_out] = _spread(record.test_r2[:, 0])
    return pd.DataFrame(columns).fillna("").rename_axis("tested on")


def _spread(r2):
    if len(r2) == 1:
        return f"{r2.mean():.3f}"
    return f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"


def summarise(records):
    """Summarise R2, outputs, genes and map of the default network with two units, a sentence each.

    Sentences that need missing records are omitted. The comparison with chance needs a record of a
    fit to the same data that contains the outputs.
    """
    found = {}
    default = records.get("cv_default")
    if default is not None and default.points(n_components=2):
        found |= _sentences_on_accuracy(records, default)
    halves = records.get("halves_default")
    if halves is not None:
        found["its genes"] = stability.trust_sentence(halves) or _sentence_on_genes(halves)
    trust = records.get("map_trust")
    if trust is not None:
        low = trust.agreement.min()
        holds = next(text for least, text in MAP_HOLDS.items() if low >= least)
        agreement = f"{low:.2f} to {trust.agreement.max():.2f}"
        found["its map"] = f"Maps of other seeds agree with it with an R2 of {agreement}: {holds}."
    return pd.DataFrame({"sentence": found.values()}, pd.Index(found, name="about"))


def _sentences_on_accuracy(records, default):
    """The verdict on the network with two units, and which outputs it predicts."""
    point = default.points(n_components=2)[0]
    ridge = records.get("cv_ridge")
    if ridge is not None and not have_same_folds(default, ridge):
        ridge = None
    fit = None
    for record in records.values():
        if fit is None and record.experiment == "fit" and "outputs" in record.values:
            fit = record
    accuracy = verdict(default, fit, ridge, point, curve=records.get("genes_curve"))
    found = {"distilled network d=2": accuracy.sentence}
    if accuracy.better_than_chance is not None:
        better = outputs_table(default, fit, point=point)["better_than_chance"]
        found["its outputs"] = _sentence_on_outputs(better)
    return found


def _sentence_on_outputs(better):
    """Which outputs are predicted better than chance, from a Series of bool by output."""
    how = "predicted better than chance (adjusted for their number)"
    if not better.any():
        return f"No single output is {how}."
    sentence = f"{better.sum()} of {len(better)} outputs are {how}"
    if not better.all():
        sentence += f", but not {', '.join(better.index[~better])}"
    return f"{sentence}."


def _sentence_on_genes(halves):
    n = stability.selection_table(halves)["trusted"].sum()
    some = "1 gene is" if n == 1 else f"{n} genes are"
    return f"{some} trusted, with at most one false selection expected."
