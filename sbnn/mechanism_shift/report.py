"""Tables of perturbation screens, made from saved records."""

from functools import partial
from pathlib import Path

import pandas as pd
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from sbnn.evaluation.verdict import corrected_difference
from sbnn.mechanism_shift.graph import EVEN, edges_of, wide
from sbnn.results import load_folder, named_after

#: Labels of methods.
LABELS = {
    "pca": "PCA",
    "ica": "ICA",
    "linear": "PCA, unmixed",
    "vae": "VAE",
    "ivae": "iVAE",
    "ivae_unmixed": "iVAE, unmixed",
    "svae": "sVAE",
    "svae+": "SVAE+",
    "svae+_unmixed": "SVAE+, unmixed",
    "staged": "staged",
}
#: Labels of the methods whose edges are counted in half of the cells.
HELD_OUT = {
    "means": "means of the training half",
    "z": "z-scored differences",
    "linear": "PCA, unmixed",
    "staged": "staged: latents and effects, edges to latents",
    "effects": "staged: gene_effects_, edges to genes, too",
}
OF_HELD_OUT = {
    "pairs": "pairs",
    "slope": "slope",
    "r": "r",
    "effect_r": "r within a target",
    "edges": "edges",
    "targets": "targets with an edge",
    "other_targets": "of others",
    "permuted": "permuted labels",
    "seconds": "CPU s",
}
#: Labels of the networks that are compared on held-out cells.
NETWORKS = {
    "staged": "staged",
    "ivae": "iVAE, our training",
    "svae+": "SVAE+",
    "svae+_like_staged": "SVAE+, our training",
    "sams": "SAMS-VAE, our training",
}
#: Labels of all methods of this comparison.
RIVALS = {
    "no change": "no change",
    "means": "means of the training half",
    "shrunken means": "shrunken means",
    **{
        f"{name}{suffix}": f"{label}{text}"
        for name, label in NETWORKS.items()
        for suffix, text in (("", ""), (", effects", " + effects"))
    },
    "gene_effects_": "staged: gene_effects_",
}
#: Screens of this comparison.
SCREENS = {
    "papalexi": "Papalexi, 299 genes",
    "papalexi_80": "Papalexi, 80 genes",
    "targeted": "simulated, targeted",
    "targeted_genes": "targeted, single genes",
    "targeted_modules": "targeted, modules",
    "targeted_both": "targeted, both",
    "simulated": "simulated, latents",
}
#: Whether the perturbations of held-out cells are given for their likelihood.
LABELS_OF_CELLS = ("given", "withheld")
OURS = "staged, effects"  # method that the others are compared with
#: Pairs of methods whose difference is due to sparse shifts.
OF_SPARSITY = (
    ("staged", "ivae"),
    ("staged, effects", "ivae, effects"),
    ("staged", "svae+"),
    ("staged, effects", "svae+, effects"),
    ("staged", "svae+_like_staged"),
    ("staged, effects", "svae+_like_staged, effects"),
    ("staged", "sams"),
    ("staged, effects", "sams, effects"),
    ("staged, effects", "means"),
)
OF_GUIDES = {
    "staged": "staged: shifts",
    "effects": "staged: gene_effects_",
    "minus_z": "AUC minus z",
    "auc": "AUC",
}
TITLE = (
    "{n_cells_per} cells × {n_perturbations} perturbations, {n_latents} latents, {n_genes} genes"
)
CONFIGURATIONS = ("small", "script", "library")
#: Quantities that are varied.
VARIED = {
    "shift": "size of the shifts (SD)",
    "density": "share of latents moved",
    "n_cells_per": "cells of a perturbation",
    "latents_fitted": "latents of the model",
}
COLUMNS = {
    "mcc": "MCC",
    "sd": "SD",
    "f1": "edge F1",
    "precision": "precision",
    "recall": "recall",
    "seconds": "CPU s",
    "elbo": "ELBO",
    "new_iwelbo": "IWELBO, held out",
}
PAIRED = ("mcc", "f1", "elbo", "new_iwelbo")
IN_ABLATION = ("mcc", "f1", "precision", "recall", "elbo", "seconds")
ROWS = 40  # of a table of perturbations, at most
#: Targets of Papalexi et al. in the response to interferon gamma, the stimulus of the cells.
PATHWAY = ("IFNGR1", "IFNGR2", "JAK2", "STAT1")
NOTE = (
    "Three simulated screens (seeds 0, 1, 2), trained on 80 of 100 perturbations. Settings were "
    "chosen on seeds 100 to 107, but the reported screens were evaluated four times (small and "
    "script five times); after the first time, the first stage was made longer. MCC: mean absolute "
    "correlation of matched latents over the training cells. ELBO: nats per cell, of a held-out "
    "tenth of the cells. IWELBO: of cells of the other 20 perturbations. Intervals: 95 %, over "
    "seeds. One thread. Unlike in the published code, means of perturbations and log dispersions "
    "start at 0."
)


#: Read the records of a folder; every simulated configuration is a data set.
read = partial(load_folder, prefix="shift_", data_of=lambda record: record.dataset)


def of_configuration(records, configuration):
    """Dict of method to record, in the order of `LABELS`."""
    return named_after(records, configuration, LABELS)


def methods_table(records):
    """Scores of methods on the same screens: means over seeds, and the SD of MCC."""
    return _means(records, COLUMNS).rename(index=LABELS).rename_axis("method")


def _means(records, columns):
    """Means over seeds of those of these scores that there are."""
    table = pd.DataFrame({name: record.scores.mean() for name, record in records.items()}).T
    table["sd"] = [record.scores["mcc"].std() for record in records.values()]
    shown = [column for column in columns if column in table]
    return table[shown].rename(columns=COLUMNS)


def differences_table(records, method="staged"):
    """Scores of a method minus those of the others, with 95 % intervals."""
    mine = records[method].scores.set_index("seed")
    rows = {}
    for name, record in records.items():
        if name == method:
            continue
        difference = (mine - record.scores.set_index("seed")).dropna(axis=1)
        row = rows[LABELS.get(name, name)] = {}
        for column in PAIRED:
            if column in difference:
                row[COLUMNS[column]] = _difference(difference[column])
    return _table(rows, f"{LABELS[method]} minus").fillna("")


def _difference(values):
    if len(values) == 1:
        return f"{values.mean():+.3f}"
    return str(corrected_difference(values, 0))


def overview_table(records):
    """MCC and edge F1 of all methods on all configurations, mean ± SD over seeds."""
    rows = {}
    for configuration in CONFIGURATIONS:
        for name, record in of_configuration(records, configuration).items():
            row = rows.setdefault(LABELS[name], {})
            for column, label in (("mcc", "MCC"), ("f1", "F1")):
                values = record.scores[column]
                row[f"{label}, {configuration}"] = f"{values.mean():.3f} ± {values.std():.3f}"
    return _table(rows, "method").fillna("")


def overview(saved_models):
    """Tables that ``sbnn report`` prints."""
    records = read(Path(saved_models, "simulated_screen"))
    return {"MCC and edge F1 on simulated screens": overview_table(records)}


def ablation_table(records):
    """Scores after each change to the published recipe, in the small configuration."""
    names = [name for name in records if name.startswith("ablation_")]
    names.sort(key=lambda name: int(name.removeprefix("ablation_")))
    changed = {records[name].params[0]["method"]: records[name] for name in names}
    return _means(changed, IN_ABLATION).rename_axis("recipe")


def varied_table(records):
    """Mean accuracy of methods as one quantity varies."""
    means = {}
    for quantity in VARIED:
        record = records.get(f"varied_{quantity}")
        if record is not None:
            groups = record.scores.groupby(["value", "method"], sort=False)
            means[quantity] = groups[["mcc", "f1"]].mean()
    table = pd.concat(means, names=["varied"]).rename(columns=COLUMNS)
    return table.rename("{:g}".format, level="value").rename(LABELS, level="method")


def edges_table(records):
    """Shifted latents and shifts of each perturbation by seed."""
    graph = records["fits"].graph
    found = graph[graph["probability"] > EVEN]
    names = found["latent"].str.removeprefix("latent_")
    found = found.assign(text=names + found["effect"].map(" ({:+.2f})".format))
    table = found.pivot_table("text", "perturbation", "seed", ", ".join, fill_value="")
    return table.rename(columns="seed {}".format).rename_axis(columns=None)


def trust_table(records):
    """Edges for true and permuted labels, and distances within a known pathway and to others."""
    permuted = records["permuted"]
    false_edges = permuted.edges.set_index("seed")["edges"]
    group = list(PATHWAY)
    rows = {}
    for seed, graph in records["fits"].graph.groupby("seed"):
        edges = edges_of(graph)
        row = rows[f"seed {seed}"] = {
            "edges": int(edges.to_numpy().sum()),
            "edges, permuted labels": false_edges.get(seed),
            "false discovery rate": false_discovery_rate(graph, permuted.null),
        }
        if set(group) <= set(edges.index):
            effects = wide(graph, "effect")
            inside = effects.loc[group]
            row["latents shifted by the whole pathway"] = int(edges.loc[group].all().sum())
            row["largest distance within"] = pdist(inside).max()
            row["smallest to others"] = cdist(inside, effects.drop(index=group)).min()
    return _table(rows, "fit")


def false_discovery_rate(graph, null):
    """Share of the edges that is expected to be false; NaN without edges.

    Absolute effects with permuted labels (`null`) that reach the smallest edge are false edges.
    """
    sizes = graph.loc[graph["probability"] > EVEN, "effect"].abs()
    if not len(sizes):
        return float("nan")
    expected = (null >= sizes.min()).mean() * len(graph)
    return min(expected / len(sizes), 1.0)


def held_out_tables(records):
    """Tables of held-out cells, and of guides."""
    splits = {name: record for name, record in records.items() if name.startswith("held_out_")}
    tables = {}
    if splits:
        scores = pd.concat([record.scores for record in splits.values()]).set_index("method")
        means = scores.astype(float).groupby(level=0).mean()
        means = means.loc[[name for name in HELD_OUT if name in means.index], [*OF_HELD_OUT]]
        over = f"means over {len(splits)} splits" if len(splits) > 1 else "one split"
        title = f"Held-out half of the cells, {over}"
        tables[title] = means.rename(columns=OF_HELD_OUT, index=HELD_OUT).round(3)
    rivals = rivals_by_screen(records)
    for label, runs in rivals.items():
        tables[f"Held-out half of the cells: {label}, runs: {len(runs)}"] = rivals_table(runs)
    if rivals:
        tables["What sparse shifts add, IWELBO per cell (nats)"] = sparsity_table(rivals)
    if "guides" in records:
        labels = HELD_OUT | OF_GUIDES
        guides = records["guides"].guides.set_index("method")
        guides = guides.rename(index=labels, columns=labels)
        title = "Profiles of guides: those of the same target against others, 95 % over targets"
        tables[title] = guides.round(3)
    return tables


def rivals_by_screen(records):
    """Runs of the comparison of networks and baselines, a list for each screen."""
    found = {label: [] for label in SCREENS.values()}
    for name, record in records.items():
        if name.startswith("rivals_"):
            found[SCREENS[record.params[0]["screen"]]].append(record)
    return {label: runs for label, runs in found.items() if runs}


def rivals_table(runs):
    """One screen: likelihood of `OURS` minus those of the others, and log fold changes."""
    changes = pd.concat([run.changes for run in runs]).groupby(level=0).mean()
    rows = {}
    for name, text in RIVALS.items():
        row = rows[text] = {}
        for label in LABELS_OF_CELLS:
            if name == OURS:
                mean = sum(run.likelihoods[label][name] for run in runs) / len(runs)
                row[label] = f"{mean:.2f}"
            elif name in runs[0].likelihoods.index:
                difference, row[label] = rivals_difference(runs, OURS, name, label)
                if label == "given" and len(runs) > 1:
                    row["range"] = f"{min(difference):+.3f} to {max(difference):+.3f}"
        if name in changes.index:
            row |= changes.loc[name].map("{:.3f}".format).to_dict()
    columns = {
        "given": f"{RIVALS[OURS]} minus this",
        "range": "range of runs",
        "withheld": "perturbation withheld",
        "rmse": "RMSE of log fold changes",
        "slope": "slope",
        "r2": "R2, all pairs",
    }
    rows = {text: row for text, row in rows.items() if row}
    table = _table(rows, "method").reindex(index=rows, columns=columns).dropna(axis=1, how="all")
    return table.rename(columns=columns).fillna("")


def sparsity_table(rivals):
    """Differences in likelihood that are due to sparse shifts, on all screens."""
    rows = {}
    for method, other in OF_SPARSITY:
        row = {}
        for screen, runs in rivals.items():
            if {method, other} <= set(runs[0].likelihoods.index):
                _, row[screen] = rivals_difference(runs, method, other)
        if row:
            rows[f"{RIVALS[method]} - {RIVALS[other]}"] = row
    # pandas 2.1 sorts the rows
    return _table(rows, "difference").loc[[*rows]].fillna("")


def rivals_difference(runs, method, other, label="given"):
    """Differences between the mean bounds of two methods by run, and their mean as text.

    The text has a 95 % interval over several runs. That of independent simulated screens, whose
    starts are averaged, is Student's. Splits of a real screen share cells: the variance over the
    cells of one run is not divided by the number of runs, and that between runs (with Student's
    quantile) only by the number of splits. In 14 simulations, they contained the expected
    difference in 97 to 100 %.
    """
    differences = [run.likelihoods[label][method] - run.likelihoods[label][other] for run in runs]
    splits = [run.settings["split"] for run in runs]
    by_split = pd.Series(differences).groupby(splits).mean()
    if len(runs) == 1 or runs[0].dataset == "simulated_screen":
        return differences, _difference(by_split)
    names = list(runs[0].likelihoods.index)
    at = LABELS_OF_CELLS.index(label), names.index(method), names.index(other)
    over_cells = sum(float(run.errors[at]) ** 2 for run in runs) / len(runs)
    quantile = stats.t.ppf(0.975, len(runs) - 1)
    between = quantile**2 * pd.Series(differences).var() / len(by_split)
    mean = sum(differences) / len(runs)
    half = (1.96**2 * over_cells + between) ** 0.5
    return differences, f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def all_tables(records):
    """Dict of title to DataFrame, of all tables with results."""
    tables = {}
    for configuration in CONFIGURATIONS:
        methods = of_configuration(records, configuration)
        if methods:
            sizes = next(iter(methods.values())).settings["configuration"]
            title = TITLE.format(**sizes)
            tables[f"Simulated screens, {title}"] = methods_table(methods)
        if "staged" in methods:
            tables[f"Staged minus the others, {title}"] = differences_table(methods)
    if any(name.startswith("ablation_") for name in records):
        tables["From the published recipe to the staged one"] = ablation_table(records)
    if any(name.startswith("varied_") for name in records):
        tables["Other screens, unchanged settings"] = varied_table(records)
    if "fits" in records:
        shifted = edges_table(records)
        tables["Shifted latents"] = shifted.head(ROWS)
        if "permuted" in records:
            known = f" ({', '.join(PATHWAY)})" if PATHWAY[0] in shifted.index else ""
            tables[f"Checks of the edges{known}"] = trust_table(records)
    if "sizes" in records:
        sizes = records["sizes"].sizes.set_index("n_latent")
        sizes["elbo"] = sizes["elbo"].map("{:.2f}".format)  # to 0.01 nat
        tables["Number of latents"] = sizes
    if "bootstraps" in records:
        stability = records["bootstraps"].stability.set_index("perturbation")
        tables["Edges found in bootstraps"] = stability.head(ROWS)
    return tables | held_out_tables(records)


def _table(rows, index):
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index)
