"""Tables of perturbation screens, made from saved records."""

from functools import partial
from pathlib import Path

import pandas as pd

from sbnn.evaluation.scores import label_rows, scores_table
from sbnn.evaluation.verdict import corrected_difference
from sbnn.mechanism_shift.graph import EVEN
from sbnn.results import load_folder, records_by_name

#: Labels of methods; the default is the last one.
LABELS = {
    "z": "z-scored differences",
    "pca": "PCA",
    "ica": "ICA",
    "linear": "PCA, unmixed",
    "vae": "VAE",
    "ivae": "iVAE",
    "ivae_unmixed": "iVAE, unmixed",
    "svae": "sVAE",
    "svae+": "SVAE+",
    "svae+_unmixed": "SVAE+, unmixed",
    "default": "SVAE+, our training, unmixed",
}
#: Labels of the methods that are compared on held-out cells; the last one is the default.
RIVALS = {
    "no change": "no change",
    "means": "means of the training half",
    "svae+": "SVAE+",
    "svae+, effects": "SVAE+ + effects",
    "ivae": "iVAE, our training",
    "ivae, effects": "iVAE, our training + effects",
    "sams": "SAMS-VAE, our training",
    "sams, effects": "SAMS-VAE, our training + effects",
    "default": "SVAE+, our training",
    "default, effects": "SVAE+, our training + effects",
}
#: Screens of this comparison.
SCREENS = {
    "papalexi": "Papalexi, 299 genes",
    "papalexi_80": "Papalexi, 80 genes",
    "targeted": "simulated, targeted",
}
CONFIGURATIONS = ("small", "script")
COLUMNS = {
    "mcc": "MCC",
    "sd": "SD",
    "mcc_rank": "MCC of ranks",
    "r2": "R²",
    "f1": "edge F1",
    "f1_published": "published F1",
    "precision": "precision",
    "recall": "recall",
    "seconds": "CPU s",
    "elbo": "ELBO",
    "new_iwelbo": "IWELBO, held out",
}
PAIRED = ("mcc", "f1", "elbo", "new_iwelbo")


#: Read the records of a folder; every simulated configuration is a data set.
read = partial(load_folder, prefix="shift_", data_of=lambda record: record.dataset)


def methods_table(records):
    """Scores of methods on the same screens: means over seeds, and the SD of MCC."""
    by_method = scores_table(records).groupby("method", sort=False)
    table = by_method.mean().assign(sd=by_method["mcc"].std())
    table = table.reindex(columns=COLUMNS).dropna(axis=1, how="all")
    return table.rename(columns=COLUMNS, index=LABELS)


def differences_table(records):
    """Scores of the default minus those of the others, with 95 % intervals over seeds."""
    scores = scores_table(records)
    columns = {}
    for score in PAIRED:
        by_seed = scores[score].unstack("method").dropna(axis=1)
        columns[COLUMNS[score]] = minus_others(by_seed, "default")
    ours = LABELS["default"]
    table = label_rows(columns, LABELS).drop(ours).fillna("")
    return table.rename_axis(f"{ours} minus")


def minus_others(values, ours, test_fraction=0):
    """Means of one column minus the others, with 95 % intervals if there are several rows.

    The rows are screens, or splits of one with `test_fraction` test cells for each training cell.
    """
    differences = values.rsub(values[ours], axis=0)
    if len(values) == 1:
        return differences.iloc[0].map("{:+.3f}".format)
    return differences.apply(lambda column: str(corrected_difference(column, test_fraction)))


def overview(saved_models):
    """Tables that ``sbnn report`` prints."""
    tables = all_tables(read(Path(saved_models, "simulated_screen")))
    return {title: tables[title] for title in tables if title.startswith("Simulated")}


def edges_table(graph):
    """Shifted latents and shifts of each perturbation by seed, from the graphs of several fits."""
    found = graph[graph["probability"] > EVEN]
    names = found["latent"].str.removeprefix("latent_")
    found = found.assign(text=names + found["effect"].map(" ({:+.2f})".format))
    table = found.pivot_table("text", "perturbation", "seed", ", ".join, fill_value="")
    return table.rename(columns="seed {}".format).rename_axis(columns=None)


def rivals_table(runs):
    """Likelihood of held-out cells: the default with effects on genes, minus the others.

    Intervals are over simulated screens, or over splits of a real one; starts are averaged.
    """
    *_, ours = RIVALS
    by_split = pd.concat(runs).pivot_table("given", ["screen", "split"], "method")
    columns = {}
    for screen, bounds in by_split.groupby("screen"):
        columns[SCREENS[screen]] = minus_others(bounds, ours, int(screen != "targeted"))
        columns[SCREENS[screen]][ours] = f"{bounds[ours].mean():.2f}"
    table = label_rows(columns, RIVALS).fillna("")
    return table.rename_axis(f"{RIVALS[ours]} minus")


def found_table(runs):
    """Edges in half of the cells by screen and method, means over splits or screens."""
    means = pd.concat(runs).groupby(["screen", "method"], sort=False).mean().drop(columns="split")
    return means.rename(SCREENS, level="screen").rename(LABELS | RIVALS, level="method")


def of_screens(records, kind):
    """Tables of the runs on `SCREENS`, with columns for the screen and the split."""
    runs = []
    for record in records.values():
        if "screen" in record.params[0] and kind in record.values:
            table = record.values[kind].rename_axis("method")
            runs.append(table.assign(**record.params[0], split=record.settings["split"]))
    return runs


def all_tables(records):
    """Dict of title to DataFrame, of all tables with results."""
    tables = {}
    for configuration in CONFIGURATIONS:
        methods = records_by_name(records, configuration, LABELS)
        if "default" in methods:
            tables[f"Simulated screens, {configuration}"] = methods_table(methods)
            tables[f"The default minus the others, {configuration}"] = differences_table(methods)
    if "fits" in records:
        tables["Shifted latents"] = edges_table(records["fits"].graph)
    if runs := of_screens(records, "likelihoods"):
        tables["Held-out cells, IWELBO (nats per cell)"] = rivals_table(runs)
    if runs := of_screens(records, "edges"):
        tables["Edges in half of the cells"] = found_table(runs)
    return tables
