"""Tables of our results and of published results for ``sbnn report``, made from saved records only."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.evaluation import stability
from sbnn.evaluation.crossval import epoch_curves
from sbnn.evaluation.verdict import have_same_folds, outputs_table, verdict
from sbnn.results import load, load_folder
from sbnn.study import published

# number of genes that networks keep, and widths of the networks in the table of outputs
N_GENES, MAPS = 25, (2, 64)
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
SCALED = "R2, scaled per fold", "SD, scaled per fold"
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
    "The genes of mouse M1 and of CITE-seq were selected by their counts in all cells, test cells included, but not by "
    "the outputs; benchmarks/README.md measures the effect."
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
    return load_folder(
        folder, data_of=lambda r: None if r.experiment in OTHER_DATA else (r.dataset, r.sha256)
    )


def accuracy_table(records, everything=False):
    """Test R2 of all models on a data set; if available, also R2 with the published scaling, and published R2."""
    records = {name: record for name, record in records.items() if name.startswith("cv_")}
    leaky, clean = _rows(records, f"_{LEAK}"), _rows(records, "")
    if THREE_FOLDS in records:
        leaky |= _network_rows(records[THREE_FOLDS], THIRDS)
    if "cv_default" in records:
        of = records["cv_default"]
        widths = [of.parameter(g, "n_components") for g in range(len(of.params))]
        names = [
            f"distilled network d={d}, {genes} genes"
            for d, genes in zip(widths, of.n_selected[0], strict=True)
        ]
        clean = (
            dict(zip(names, zip(of.n_selected.mean(0), of.test_r2.T, strict=True), strict=True))
            | clean
        )
    rows = clean | leaky
    table = pd.DataFrame(
        {"genes": [n_genes for n_genes, _ in rows.values()]}, pd.Index(rows, name="model")
    )
    folds = [len(r2) for _, r2 in rows.values()]
    if leaky or set(folds) != {USUAL_FOLDS}:
        table["folds"] = folds
    if leaky:
        known = pd.DataFrame(
            _published_rows(next(iter(records.values()))), ["test_r2", "sd"]
        ).T.reindex(table.index)
        table["R2"], table["SD"] = _mean_and_sd(leaky, rows)
        table["published"], table["published SD"] = (
            known["test_r2"].astype(float),
            known["sd"].astype(float),
        )
        table["minus published"] = table["R2"] - table["published"]
        # SE of our mean only: published results of single folds are not available, so differences
        # cannot be paired.
        table["SE"] = (table["SD"] / np.sqrt(table["folds"])).where(table["published"].notna())
    table[SCALED[0]], table[SCALED[1]] = _mean_and_sd(clean, rows)
    return (
        table
        if everything or not leaky
        else table.dropna(subset=["published", SCALED[0]], how="all")
    )


def _rows(records, suffix):
    """Dict from name to (genes, R2 per fold) for the models of the paper, from records with this `suffix`."""
    rows = {}
    for name, rows_of in (("network", _network_rows), ("srrr", _srrr_rows), ("ridge", _ridge_rows)):
        if f"cv_{name}{suffix}" in records:
            rows |= rows_of(records[f"cv_{name}{suffix}"])
    return rows


def _mean_and_sd(scores, models):
    r2 = [scores[model][1] if model in scores else np.full(2, np.nan) for model in models]
    return [one.mean() for one in r2], [one.std(ddof=1) for one in r2]


def _ridge_rows(record):
    shown = record.values.get("preselected")
    name, n_genes = (
        ("all", len(record.gene_names)) if shown is None else ("preselected", shown.sum(1).mean())
    )
    return {f"ridge, {name} genes": (n_genes, record.test_r2[:, 0])}


def _network_name(n_components, n_genes, group_lasso, pretraining):
    return f"network d={n_components}, {n_genes} genes{'' if pretraining else ', straight'}{_lasso(group_lasso)}"


def _before_pruning_name(n_components, group_lasso):
    return f"network d={n_components}, before pruning" + _lasso(group_lasso)


def _lasso(strength):
    return "" if strength == LASSO else f", group lasso {strength:g}"


def _srrr_name(rank, n_genes):
    return f"sRRR rank {rank}, {n_genes} genes"


def _network_rows(record, ending=""):
    """Dict from name to (genes, R2 per fold) for all grid points of the network, with the usual group lasso first."""
    rows = {}
    n_genes = int(record.n_selected[0, 0])
    for g, point in enumerate(record.params):
        rows[_network_name(n_genes=n_genes, **point) + ending] = (n_genes, record.test_r2[:, g])
        if point["pretraining"] and (
            point["group_lasso"] == LASSO or record.settings["scaling"] == "all"
        ):
            name = _before_pruning_name(point["n_components"], point["group_lasso"])
            curves = epoch_curves(record, **point)
            last = curves[curves.stage == "unfrozen"].groupby("fold").eval_r2.last().to_numpy()
            rows[name + ending] = (len(record.gene_names), last)
    return dict(
        sorted(
            rows.items(),
            key=lambda row: ("lasso" in row[0], "straight" in row[0], _natural(row[0])),
        )
    )


def _natural(text):
    """Sort key that compares numbers in a text by value, so that 10 comes after 2."""
    return [float(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _srrr_rows(record):
    """Dict from name to (genes, R2 per fold) for sRRR with at most the published numbers of genes."""
    rows, known = {}, published.srrr_genes(record.dataset)
    ranks = sorted({point["rank"] for point in record.params})
    for rank in ranks:
        for n_genes in known.get(rank, SRRR_GENES if rank == ranks[-1] else SRRR_GENES[:1]):
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
            name = _network_name(
                **{
                    key: row[key]
                    for key in ("n_components", "n_genes", "group_lasso", "pretraining")
                }
            )
        rows[name + (THIRDS if row["folds"] == 3 else "")] = row
    return rows


def overview(saved_models):
    """Test R2 of the main models, with about 25 genes and scaling per fold, on every data set with saved results."""
    rows = {}
    for path in sorted(Path(saved_models).glob("*/cv_default.pickle")):
        if path.parent.name.endswith("-fast"):
            continue
        records = {part.stem: load(part) for part in sorted(path.parent.glob("cv_*.pickle"))}
        table, default = accuracy_table(records), records["cv_default"]
        n_genes, srrr = (
            default.n_selected[0, 0],
            [name for name in table.index if name.startswith("sRRR")],
        )
        models = {
            "distilled, d=2": f"distilled network d=2, {n_genes} genes",
            "distilled, d=64": f"distilled network d=64, {n_genes} genes",
            "paper, d=2": f"network d=2, {n_genes} genes",
            "paper, d=64": f"network d=64, {n_genes} genes",
            "sRRR, rank 2": srrr[0] if srrr else None,
            "sRRR, full rank": next(
                (name for name in srrr if name.split(",")[0] == srrr[-1].split(",")[0]), None
            ),
            "ridge, all genes": "ridge, all genes",
        }
        size = f"{len(default.gene_names)} -> {len(default.feature_names)}"
        row = rows[path.parent.name] = {"genes -> outputs": size}
        for title, name in models.items():
            mean, sd = table.loc[name, list(SCALED)] if name in table.index else (np.nan, np.nan)
            row[title] = "" if np.isnan(mean) else f"{mean:.3f} ± {sd:.3f}"
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}; run the notebooks first")
    table = pd.DataFrame(rows).T.rename_axis("data")
    table.attrs["note"] = SELECTION_NOTE
    return {"Test R2 on every data set": table}


def feature_table(records):
    """Mean test R2 of every output by model, for data scaled per fold; outputs predicted best come first."""
    shown = {"distilled network d=2": ("cv_default", {"n_components": 2})}
    shown |= {f"network d={d}": ("cv_network", {"n_components": d, **STANDARD}) for d in MAPS}
    columns = {}
    for title, (name, known) in shown.items():
        for point in records[name].points(**known) if name in records else ():
            columns[title] = records[name].test_feature_r2[:, point]
    if (srrr := records.get("cv_srrr")) is not None:
        for rank in sorted({point["rank"] for point in srrr.params}):
            columns[f"sRRR rank {rank}"] = srrr.test_feature_r2[
                :, srrr.best_with_at_most(N_GENES, rank=rank)
            ]
    if "cv_ridge" in records:
        columns["ridge"] = records["cv_ridge"].test_feature_r2[:, 0]
    names = next(record.feature_names for name, record in records.items() if name.startswith("cv_"))
    table = pd.DataFrame({name: values.mean(0) for name, values in columns.items()}, index=names)
    return table.sort_values(next(iter(columns)), ascending=False) if columns else table


def all_tables(records):
    """All tables that can be made from the records of a data set, by title."""
    tables = {}
    if len(summary := summarise(records)):
        tables[SUMMARY] = summary
    if any(name.startswith("cv_") for name in records):
        tables[ACCURACY] = accuracy_table(records)
        tables["Test R2 of every output, scaled per fold"] = feature_table(records).rename_axis(
            "output"
        )
    if any(name.startswith("apart_") for name in records):
        tables["Test R2 on held-out groups"] = grouped_holdout_table(records)
    if "genes_curve" in records:
        table = stability.genes_table(records["genes_curve"])
        tables[NUMBERS] = table.assign(suffices=table.suffices.map({True: "yes", False: ""}))
    halves = records.get("halves_default")
    if halves is not None:
        genes = stability.selection_table(halves)
        if "repeats_network" in records:
            counts = stability.gene_counts(records["repeats_network"])["count"]
            genes["count, published network"] = counts.reindex(genes.index).fillna(0)
        title = f"Genes to trust: the distilled network on {len(halves.folds)} halves of the cells"
        tables[title] = genes[genes.trusted].drop(columns="trusted")
        tables[title].attrs["note"] = stability.trust_sentence(halves)
    if "interpretation" in records:
        tables[EFFECTS] = effects_table(records["interpretation"], halves)
    if "gene_prior" in records:
        tables[PRIORS] = stability.priors_table(records["gene_prior"]).reset_index(
            ["list", "influence"]
        )
    if "noise" in records:
        means = (
            records["noise"]
            .table.groupby(["model", "noise"])[["precision", "recall", "test_r2", "best_r2"]]
            .mean()
        )
        tables["Known genes found, by noise"] = means.reset_index("noise")
    return tables


def effects_table(interpretation, halves=None):
    """Effects of the kept genes, and whether each gene is trusted."""
    table = interpretation.table.rename_axis("gene")
    if halves is None:
        return table
    table.insert(
        table.columns.get_loc("stability") + 1,
        "trust",
        stability.kept_genes_table(halves, table.index).trust,
    )
    trusted = (
        "trusted: kept in so many halves of the cells that at most one false selection is expected"
    )
    table.attrs["note"] = f"{trusted}; unstable: other cells may give another gene in its place."
    return table


def note(records):
    """Note below the tables on genes that were selected using all cells, and on computing time."""
    notes = (
        [SELECTION_NOTE] if {record.dataset for record in records.values()} & set(SELECTED) else []
    )
    if seconds := sum(
        record.seconds.sum() for name, record in records.items() if name.startswith("cv_")
    ):
        notes.append(f"The cross-validations took {seconds / 60:.0f} CPU minutes")
    return "\n\n".join(notes)


def grouped_holdout_table(records):
    """Test R2 on held-out groups, compared with random folds."""
    columns = {title: {} for title in APART_MODELS.values()}
    usual = {
        "default": {"n_components": 2},
        "network": {"n_components": 2, **STANDARD},
        "ridge": {},
    }
    for name, title in APART_MODELS.items():
        if (record := records.get(f"cv_{name}")) is not None:
            columns[title]["random folds"] = _spread(record.test_r2[:, record.find(**usual[name])])
        for label, held in APART.items():
            if (record := records.get(f"apart_{label}_{name}")) is not None:
                columns[title][held] = _spread(record.test_r2[:, 0])
    return pd.DataFrame(columns).fillna("").rename_axis("tested on")


def _spread(r2):
    return f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}" if len(r2) > 1 else f"{r2.mean():.3f}"


def summarise(records):
    """Summarise the test R2, outputs, genes and map of the default network with two units; a
    sentence for each.

    Sentences that need missing records are omitted. The comparison with chance needs a record of a
    fit to the same data that contains the outputs.
    """
    found = {}
    scores, ridge = records.get("cv_default"), records.get("cv_ridge")
    fit = next(
        (one for one in records.values() if one.experiment == "fit" and "outputs" in one.values),
        None,
    )
    for point in scores.points(n_components=2)[:1] if scores is not None else ():
        if ridge is not None and not have_same_folds(scores, ridge):
            ridge = None
        accuracy = verdict(scores, fit, ridge, point, curve=records.get("genes_curve"))
        found["distilled network d=2"] = accuracy.sentence
        if accuracy.better_than_chance is not None:
            better = outputs_table(scores, fit, point=point).better_than_chance
            rest = ", ".join(better.index[~better])
            some_of_them = (
                f"{better.sum()} of {len(better)} outputs are"
                if better.any()
                else "No single output is"
            )
            others = f", but not {rest}" if rest and better.any() else ""
            found["its outputs"] = (
                f"{some_of_them} predicted better than chance (adjusted for their number){others}."
            )
    if (halves := records.get("halves_default")) is not None:
        n = stability.selection_table(halves).trusted.sum()
        some = f"{n} gene{' is' if n == 1 else 's are'} trusted"
        found["its genes"] = (
            stability.trust_sentence(halves)
            or f"{some}, with at most one false selection expected."
        )
    if (trust := records.get("map_trust")) is not None:
        low, high = trust.agreement.min(), trust.agreement.max()
        holds = next(text for least, text in MAP_HOLDS.items() if low >= least)
        found["its map"] = (
            f"Maps of other seeds agree with it with an R2 of {low:.2f} to {high:.2f}: {holds}."
        )
    return pd.DataFrame({"sentence": found.values()}, pd.Index(found, name="about"))
