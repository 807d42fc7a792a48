"""Tables of perturbation screens, made from saved records."""

from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

from sbnn.evaluation.verdict import corrected_difference
from sbnn.mechanism_shift.graph import EVEN
from sbnn.results import load_folder, named_after

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
VARIED = "shift", "n_cells_per", "density", "latents_fitted"
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


#: Read the records of a folder; every simulated configuration is a data set.
read = partial(load_folder, prefix="shift_", data_of=lambda record: record.dataset)


def of_configuration(records, configuration):
    """Dict of method to record, in the order of `LABELS`."""
    return named_after(records, configuration, LABELS)


def methods_table(records):
    """Scores of methods on the same screens: means over seeds, and the SD of MCC."""
    scores = pd.concat({name: record.scores for name, record in records.items()})
    by_method = scores.groupby(level=0, sort=False)
    table = by_method.mean().assign(sd=by_method["mcc"].std())
    shown = table.reindex(columns=COLUMNS).dropna(axis=1, how="all")
    return shown.rename(columns=COLUMNS, index=LABELS).rename_axis("method")


def differences_table(records):
    """Scores of the default minus those of the others, with 95 % intervals over seeds."""
    scores = {name: record.scores.set_index("seed") for name, record in records.items()}
    ours = scores.pop("default")
    rows = {}
    for name, others in scores.items():
        differences = (ours - others).reindex(columns=PAIRED).dropna(axis=1)
        rows[LABELS[name]] = differences.apply(difference)
    table = pd.DataFrame(rows, PAIRED).T.rename(columns=COLUMNS)
    return table.rename_axis(f"{LABELS['default']} minus").fillna("")


def difference(values, test_share=0):
    """Mean of differences between screens, or splits of one, with a 95 % interval if several."""
    if len(values) == 1:
        return f"{values.mean():+.3f}"
    return str(corrected_difference(values, test_share))


def overview_table(records):
    """MCC and edge F1 of all methods on all configurations, mean ± SD over seeds."""
    columns = {}
    for configuration, (score, label) in product(
        CONFIGURATIONS, {"mcc": "MCC", "f1": "F1"}.items()
    ):
        column = columns[f"{label}, {configuration}"] = {}
        for name, record in of_configuration(records, configuration).items():
            values = record.scores[score]
            column[LABELS[name]] = f"{values.mean():.3f} ± {values.std():.3f}"
    return pd.DataFrame(columns).fillna("").rename_axis("method")


def overview(saved_models):
    """Tables that ``sbnn report`` prints."""
    records = read(Path(saved_models, "simulated_screen"))
    return {"MCC and edge F1 on simulated screens": overview_table(records)}


def varied_table(records):
    """Mean accuracy of methods as one quantity varies."""
    scores = {name: record.scores for name, record in records.items()}
    table = pd.concat(scores, names=["varied"]).groupby(["varied", "value", "method"])
    table = table[["mcc", "f1"]].mean().rename(columns=COLUMNS)
    return table.rename("{:g}".format, level="value").rename(LABELS, level="method")


def edges_table(graph):
    """Shifted latents and shifts of each perturbation by seed, from the graphs of several fits."""
    found = graph[graph["probability"] > EVEN]
    names = found["latent"].str.removeprefix("latent_")
    found = found.assign(text=names + found["effect"].map(" ({:+.2f})".format))
    table = found.pivot_table("text", "perturbation", "seed", ", ".join, fill_value="")
    return table.rename(columns="seed {}".format).rename_axis(columns=None)


def rivals_table(records):
    """Likelihood of held-out cells: the default with effects on genes, minus the others.

    Intervals are over simulated screens, or over splits of a real one, whose training and test
    halves share cells; starts are averaged.
    """
    *_, ours = RIVALS
    columns = {}
    for screen, runs in _by_screen(records, "likelihoods").items():
        bounds = pd.DataFrame([run.likelihoods["given"] for run in runs])
        bounds = bounds.groupby([run.settings["split"] for run in runs]).mean()
        test_share = 0 if runs[0].dataset == "simulated_screen" else 1
        of_ours = bounds.pop(ours)
        differences = bounds.rsub(of_ours, axis=0)
        columns[screen] = differences.apply(difference, test_share=test_share)
        columns[screen][ours] = f"{of_ours.mean():.2f}"
    table = pd.DataFrame(columns).reindex(RIVALS).dropna(how="all").fillna("")
    return table.rename(RIVALS).rename_axis(f"{RIVALS[ours]} minus")


def found_table(records):
    """Edges in half of the cells by screen and method, means over splits or screens."""
    tables = {}
    for screen, runs in _by_screen(records, "edges").items():
        tables[screen] = pd.concat([run.edges for run in runs]).groupby(level=0, sort=False).mean()
    return pd.concat(tables, names=["screen", "method"]).rename(LABELS | RIVALS, level="method")


def _by_screen(records, kind):
    """Records of runs with values of a kind, a list for each screen."""
    found = {}
    for record in records.values():
        screen = record.params[0].get("screen")
        if screen in SCREENS and kind in record.values:
            found.setdefault(SCREENS[screen], []).append(record)
    return found


def all_tables(records):
    """Dict of title to DataFrame, of all tables with results."""
    tables = {}
    for configuration in CONFIGURATIONS:
        methods = of_configuration(records, configuration)
        if "default" in methods:
            tables[f"Simulated screens, {configuration}"] = methods_table(methods)
            tables[f"The default minus the others, {configuration}"] = differences_table(methods)
    varied = {name: records[f"varied_{name}"] for name in VARIED if f"varied_{name}" in records}
    if varied:
        tables["Other screens, unchanged settings"] = varied_table(varied)
    if "fits" in records:
        tables["Shifted latents"] = edges_table(records["fits"].graph)
    if _by_screen(records, "likelihoods"):
        tables["Held-out cells, IWELBO (nats per cell)"] = rivals_table(records)
    if _by_screen(records, "edges"):
        tables["Edges in half of the cells"] = found_table(records)
    return tables
