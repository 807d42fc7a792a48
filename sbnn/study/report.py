"""Tables of our and of published results, made from saved records only."""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.evaluation import stability
from sbnn.evaluation.crossval import epoch_curves
from sbnn.evaluation.verdict import have_same_folds, outputs_table, verdict
from sbnn.results import load, load_folder
from sbnn.study import published

N_GENES = 25  # kept by networks
LASSO = 0.1  # group lasso of the paper
# values of the varied parameters in the published network
STANDARD = {"pretraining": True, "group_lasso": LASSO}
LEAK = "scaled_over_all_cells"  # results of data scaled as in the paper
THREE_FOLDS = f"cv_network_three_folds_{LEAK}"
SUMMARY = "Summary"
ACCURACY = "Test R2, mean over the folds"
EFFECTS = "Effects of the kept genes of the distilled network, on held-out cells"
NUMBERS = "Test R2 by number of genes, and which numbers suffice"
SCALED = ["R2, scaled per fold", "SD, scaled per fold"]
USUAL_FOLDS = 10
PRIORS = "Effect of a prior of the genes, mean over the folds"
#: Record and parameters of the main models by title.
MAIN = {
    "distilled, d=2": ("default", {"n_components": 2}),
    "distilled, d=64": ("default", {"n_components": 64}),
    "paper, d=2": ("network", {"n_components": 2, **STANDARD}),
    "paper, d=64": ("network", {"n_components": 64, **STANDARD}),
    "ridge, all genes": ("ridge", {}),
}
LOWEST, FULL = "sRRR, rank 2", "sRRR, full rank"
#: Models in the overview -> names in the table of the outputs.
TITLES = {
    "distilled, d=2": "distilled network d=2",
    "distilled, d=64": "",
    "paper, d=2": "network d=2",
    "paper, d=64": "network d=64",
    LOWEST: "sRRR rank {rank}",
    FULL: "sRRR rank {rank}",
    "ridge, all genes": "ridge",
}
APART = {
    "mouse": "whole mice held out, ten folds",
    "date": "trained on the first four fifths of the recording dates, tested on the last",
}
APART_MODELS = ["distilled, d=2", "paper, d=2", "ridge, all genes"]
# numbers of genes of sRRR if none were published; lower ranks use only the first
SRRR_GENES = (25, 33, 83)
CITESEQ = ("stoeckius", "citeseq_cd8", "pbmc_5k_protein", "pbmc_10k_protein")
# data sets whose genes were selected by counts in all cells, including test cells
SELECTED = ("scala", *CITESEQ)
SELECTION_NOTE = (
    "The genes of mouse M1 and of CITE-seq were selected by their counts in all cells, test cells "
    "included, but not by the outputs; docs/leaks.md measures the effect."
)
# Smallest R2 between maps -> interpretation.
MAP_HOLDS = {
    0.9: "stable",
    0.7: "mostly stable, some cells move (figure map_trust)",
    -np.inf: "not stable, do not interpret the positions of cells",
}
#: Experiments with other genes or noise.
OTHER_DATA = ("gene-selection", "noise")


def read(folder):
    """Read the records in a folder."""
    return load_folder(folder, data_of=_data_of)


def _data_of(record):
    if record.experiment in OTHER_DATA:
        return None
    return record.dataset, record.sha256


def accuracy_table(records):
    """Test R2 of all models, with published R2.

    Published results were scaled over all cells, so ours with this scaling stand beside them.
    """
    clean = _rows(records, "")
    leaky = _rows(records, f"_{LEAK}")
    table = _scores(clean | leaky).drop(columns=["R2", "SD"])
    if leaky:
        record = next(record for name, record in records.items() if name.endswith(LEAK))
        known = pd.DataFrame(_published_rows(record), ["test_r2", "sd"], dtype=float).T
        table[["R2", "SD"]] = _scores(leaky)[["R2", "SD"]]
        table[["published", "published SD"]] = known.reindex(table.index)
        table["minus published"] = table["R2"] - table["published"]
        # SE of our mean only, as published results of single folds are not available
        standard_error = table["SD"] / np.sqrt(table["folds"])
        table["SE"] = standard_error.where(table["published"].notna())
    elif (table["folds"] == USUAL_FOLDS).all():
        table = table.drop(columns="folds")
    table[SCALED] = _scores(clean)[["R2", "SD"]]
    if leaky:
        table = table.dropna(subset=["published", SCALED[0]], how="all")
    return table


def _scores(rows):
    found = {}
    for model, (n_genes, r2) in rows.items():
        found[model] = n_genes, len(r2), r2.mean(), r2.std(ddof=1)
    table = pd.DataFrame.from_dict(found, "index", columns=["genes", "folds", "R2", "SD"])
    return table.rename_axis("model")


def _rows(records, suffix):
    """Name -> (genes, R2 per fold)."""
    rows = {}
    for name in ("default", "network", "srrr", "ridge", "network_three_folds"):
        record = records.get(f"cv_{name}{suffix}")
        if record is not None:
            rows |= _rows_of(record)
    return rows


def _name(point, genes, n_folds=USUAL_FOLDS):
    name = f"ridge, {genes}"
    if "rank" in point:
        name = f"sRRR rank {point['rank']}, {genes}"
    elif "n_components" in point:
        name = f"network d={point['n_components']}, {genes}"
        if "group_lasso" not in point:
            return f"distilled {name}"
        if not point["pretraining"]:
            name += ", straight"
        if point["group_lasso"] != LASSO:
            name += f", group lasso {point['group_lasso']:g}"
    return f"{name}, three folds" if n_folds == 3 else name


def _rows_of(record):
    if "group_lasso" in record.params[0]:
        return _network_rows(record)
    if "rank" in record.params[0]:
        shown = _srrr_points(record)
    elif "n_selected" in record.values:
        shown = [(g, int(n_genes)) for g, n_genes in enumerate(record.n_selected[0])]
    else:
        genes, n_genes = "all genes", len(record.gene_names)
        if "preselected" in record.values:
            genes, n_genes = "preselected genes", record.preselected.sum(axis=1).mean()
        return {_name({}, genes): (n_genes, record.test_r2[:, 0])}
    rows = {}
    for g, n_genes in shown:
        name = _name(record.params[g], f"{n_genes} genes")
        rows[name] = record.n_selected[:, g].mean(), record.test_r2[:, g]
    return rows


def _srrr_points(record):
    """Grid points of sRRR with the published numbers of genes, and these."""
    points = []
    known = published.srrr_genes(record.dataset)
    ranks = sorted({point["rank"] for point in record.params})
    for rank in ranks:
        usual = SRRR_GENES if rank == ranks[-1] else SRRR_GENES[:1]
        for n_genes in known.get(rank, usual):
            points.append((record.best_with_at_most(n_genes, rank=rank), n_genes))
    return points


def _network_rows(record):
    """Rows of the published network, the usual group lasso first."""
    rows = []
    n_folds, n_genes = len(record.folds), record.n_selected[0, 0]
    for g, point in enumerate(record.params):
        usual = point["group_lasso"] == LASSO
        order = not usual, not point["pretraining"], point["n_components"]
        name = _name(point, f"{n_genes} genes", n_folds)
        rows.append((*order, "kept", g, name, (n_genes, record.test_r2[:, g])))
        if point["pretraining"] and (usual or record.settings["scaling"] == "all"):
            curves = epoch_curves(record, **point)
            unfrozen = curves[curves["stage"] == "unfrozen"]
            before = unfrozen.groupby("fold")["eval_r2"].last().to_numpy()
            name = _name(point, published.BEFORE_PRUNING, n_folds)
            rows.append((*order, "not pruned", g, name, (len(record.gene_names), before)))
    return {name: found for *_, name, found in sorted(rows)}


def _published_rows(record):
    rows = {}
    for row in published.rows(record.dataset, len(record.gene_names)):
        genes = row["stage"]
        if genes == published.LAST:
            genes = f"{row['n_genes']} genes"
        rows[_name(row, genes, row["folds"])] = row
    return rows


def _main_models(records):
    found = {}
    for title, (name, wanted) in MAIN.items():
        record = records.get(f"cv_{name}")
        points = [] if record is None else record.points(**wanted)
        if points:
            found[title] = record, points[0]
    srrr = records.get("cv_srrr")
    if srrr is not None:
        for title, end in ((LOWEST, 0), (FULL, -1)):  # ranks are in ascending order
            rank = srrr.params[end]["rank"]
            found[title] = srrr, srrr.best_with_at_most(N_GENES, rank=rank)
    return found


def overview(saved_models):
    """Test R2 of the main models on every data set with saved results."""
    rows = {}
    for path in sorted(Path(saved_models).glob("*/cv_default.pickle")):
        if path.parent.name.endswith("-fast"):
            continue
        records = {part.stem: load(part) for part in path.parent.glob("cv_*.pickle")}
        default = records["cv_default"]
        row = {"genes -> outputs": f"{len(default.gene_names)} -> {len(default.feature_names)}"}
        row |= dict.fromkeys(TITLES, "")
        for title, (record, point) in _main_models(records).items():
            row[title] = _spread(record.test_r2[:, point])
        rows[path.parent.name] = row
    if not rows:
        raise FileNotFoundError(f"no results in {saved_models}; run the notebooks first")
    table = pd.DataFrame(rows).T.rename_axis("data")
    table.attrs["note"] = SELECTION_NOTE
    return {"Test R2 on every data set": table}


def feature_table(main):
    """Mean test R2 of every output by model, scaled per fold; the best output is first."""
    columns = {}
    for title, name in TITLES.items():
        if name and title in main:
            record, point = main[title]
            r2 = record.test_feature_r2[:, point]  # of shape (folds, outputs)
            columns[name.format(**record.params[point])] = r2.mean(axis=0)
            names = pd.Index(record.feature_names, name="output")
    table = pd.DataFrame(columns, names)
    return table.sort_values(table.columns[0], ascending=False)


def all_tables(records):
    """All tables of the records of a data set, by title."""
    tables = {}
    summary = summarise(records)
    if len(summary):
        tables[SUMMARY] = summary
    main = _main_models(records)
    if main:
        tables[ACCURACY] = accuracy_table(records)
        tables["Test R2 of every output, scaled per fold"] = feature_table(main)
    if any(name.startswith("apart_") for name in records):
        tables["Test R2 on held-out groups"] = grouped_holdout_table(records, main)
    if "genes_curve" in records:
        table = stability.genes_table(records["genes_curve"])
        tables[NUMBERS] = table.assign(suffices=table["suffices"].map({True: "yes", False: ""}))
    halves = records.get("halves_default")
    if halves is not None:
        title = f"Genes to trust: the distilled network on {len(halves.folds)} halves of the cells"
        tables[title] = _trusted_genes(halves, records.get("repeats_network"))
    if "interpretation" in records:
        tables[EFFECTS] = _effects(records["interpretation"], halves)
    if "gene_prior" in records:
        table = stability.priors_table(records["gene_prior"])
        tables[PRIORS] = table.reset_index(["list", "influence"])
    if "noise" in records:
        columns = ["model", "noise", "precision", "recall", "test_r2", "best_r2"]
        means = records["noise"].table[columns].groupby(["model", "noise"]).mean()
        tables["Known genes found, by noise"] = means.reset_index("noise")
    return tables


def _trusted_genes(halves, repeats):
    """Trusted genes, and how many fits of the published network keep them."""
    table = stability.selection_table(halves)
    if repeats is not None:
        counts = stability.gene_counts(repeats)["count"]
        table["count, published network"] = counts.reindex(table.index, fill_value=0)
    table = table[table["trusted"]].drop(columns="trusted")
    table.attrs["note"] = stability.trust_sentence(halves)
    return table


def _effects(interpretation, halves):
    table = interpretation.table.rename_axis("gene")
    if halves is not None:
        trust = stability.kept_genes_table(halves, table.index)["trust"]
        table.insert(table.columns.get_loc("stability") + 1, "trust", trust)
        table.attrs["note"] = (
            "trusted: kept in so many halves of the cells that at most one false selection is "
            "expected; unstable: other cells may give another gene in its place."
        )
    return table


def note(records):
    """Note on genes selected using all cells, and on computing time."""
    notes = []
    if any(record.dataset in SELECTED for record in records.values()):
        notes.append(SELECTION_NOTE)
    folds = [record for name, record in records.items() if name.startswith("cv_")]
    if folds:
        minutes = sum(record.seconds.sum() for record in folds) / 60
        notes.append(f"The cross-validations took {minutes:.0f} CPU minutes")
    return "\n\n".join(notes)


def grouped_holdout_table(records, main):
    """Test R2 on held-out groups, compared with random folds."""
    columns = {}
    for title in APART_MODELS:
        column = columns[title] = {}
        if title in main:
            record, point = main[title]
            column["random folds"] = _spread(record.test_r2[:, point])
        name, _ = MAIN[title]
        for label, held_out in APART.items():
            record = records.get(f"apart_{label}_{name}")
            if record is not None:
                column[held_out] = _spread(record.test_r2[:, 0])
    return pd.DataFrame(columns).fillna("").rename_axis("tested on")


def _spread(r2):
    if len(r2) == 1:
        return f"{r2[0]:.3f}"
    return f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"


def summarise(records):
    """Summarise R2, outputs, genes and map of the default network, a sentence each.

    Sentences that need missing records are omitted.
    """
    found = {}
    default = records.get("cv_default")
    if default is not None and default.points(n_components=2):
        found |= _sentences_on_accuracy(records, default)
    halves = records.get("halves_default")
    if halves is not None:
        found["its genes"] = genes_sentence(halves)
    trust = records.get("map_trust")
    if trust is not None:
        low = trust.agreement.min()
        holds = next(text for least, text in MAP_HOLDS.items() if low >= least)
        agreement = f"{low:.2f} to {trust.agreement.max():.2f}"
        found["its map"] = f"Maps of other seeds agree with it with an R2 of {agreement}: {holds}."
    return pd.Series(found, dtype=object).rename_axis("about").to_frame("sentence")


def _sentences_on_accuracy(records, default):
    point = default.points(n_components=2)[0]
    ridge = records.get("cv_ridge")
    if ridge is not None and not have_same_folds(default, ridge):
        ridge = None
    fit = records.get("fit_default_2d")
    accuracy = verdict(default, fit, ridge, point, curve=records.get("genes_curve"))
    found = {"distilled network d=2": accuracy.sentence}
    if accuracy.better_than_chance is not None:
        better = outputs_table(default, fit, point=point)["better_than_chance"]
        sentence = (
            f"{better.sum()} of {len(better)} outputs are predicted better than chance (adjusted "
            "for their number)"
        )
        if not better.all():
            sentence += f", but not {', '.join(better.index[~better])}"
        if len(better) == 1:
            verb = "is" if better.all() else "is not"
            sentence = f"{better.index[0]} {verb} predicted better than chance"
        found["its outputs"] = f"{sentence}."
    return found


def genes_sentence(halves):
    """How many genes are trusted, or why none is."""
    n = stability.selection_table(halves)["trusted"].sum()
    genes = "1 gene is" if n == 1 else f"{n} genes are"
    trusted = f"{genes} trusted, with at most one false selection expected."
    return stability.trust_sentence(halves) or trusted
