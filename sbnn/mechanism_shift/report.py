"""Tables and a figure of records of experiments on perturbation screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from sbnn.evaluation.scores import label_rows, scores_table
from sbnn.evaluation.verdict import corrected_difference, differences_over_draws
from sbnn.mechanism_shift.graph import EDGE_PROBABILITY
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import (
    draw_differences,
    draw_grid,
    draw_scores,
    finish,
    name_rows,
    new_subplots,
    with_style,
    write_plain_numbers,
)
from sbnn.results import Record, load_folder, records_by_name

#: Labels of methods; the default is the last one.
SHIFT_METHODS = {
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
#: Labels of the methods that are compared on held-out perturbations.
NEW_METHODS = {
    "means": "mean shares",
    "vae": "VAE",
    "ivae": "iVAE",
    "svae": "sVAE",
    "svae+": "SVAE+",
    "default": "SVAE+, our training",
}
#: Screens of this comparison; their records are called after them.
NEW_SCREENS = {
    "new_small": "Held-out perturbations, simulated, small",
    "new_script": "Held-out perturbations, simulated, script",
    "pathway": "Held-out pathway of Papalexi et al., other starts",
}
#: Steps before and after the shifts of held-out perturbations are learned.
NEW_STEPS = {
    "before": "before",
    "after": "after",
    "after, all cells": "after, learned from all cells",
}
#: Screens of the comparison on held-out cells.
RIVAL_SCREENS = {
    "papalexi": "Papalexi, 299 genes",
    "papalexi_80": "Papalexi, 80 genes",
    "targeted": "simulated, targeted",
}
CONFIGURATIONS = ("small", "script")
#: Methods of the publication; SVAE+ is the one that it proposes.
PUBLISHED_METHODS = ("vae", "ivae", "svae", "svae+")
#: Titles of scores of recovery, in the order of the columns.
RECOVERY_SCORES = {
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
#: Titles of scores in the figure.
DRAWN_SCORES = {
    "mcc": "latents: MCC",
    "f1": "shift graph: F1",
    "elbo": "held-out ELBO\n(nats per cell)",
    "seconds": "CPU seconds",
}
#: Kind of each method, which determines the colour.
SHIFT_KINDS = dict.fromkeys(SHIFT_METHODS, "no network") | {
    "vae": "all shifts",
    "ivae": "all shifts",
    "ivae_unmixed": "all shifts",
    "svae": "sparse shifts",
    "svae+": "sparse shifts",
    "svae+_unmixed": "sparse shifts",
    "default": "ours",
}
SHIFT_COLORS = METHOD_COLORS["mechanism_shift"]
DECISIVE_SCORES = ("mcc", "f1", "elbo", "new_iwelbo")


def read_screens_records(folder: str | Path) -> dict[str, Record]:
    """Read the records of a folder; every simulated configuration is a data set."""
    return load_folder(folder, prefix="shift_", data_of=attrgetter("dataset"))


def screens_overview(saved_models: str | Path) -> dict[str, pd.DataFrame]:
    """Tables by title that ``sbnn report`` prints of all data sets."""
    records = read_screens_records(Path(saved_models, "simulated_screen"))
    tables = screens_tables(records)
    return {title: table for title, table in tables.items() if title.startswith("Simulated")}


def screens_tables(records: dict[str, Record]) -> dict[str, pd.DataFrame]:
    """All tables with results, by title."""
    tables = {}
    for configuration in CONFIGURATIONS:
        methods = records_by_name(records, configuration, SHIFT_METHODS)
        if "default" in methods:
            tables[f"Simulated screens, {configuration}"] = recovery_table(methods)
            tables[f"The default minus the others, {configuration}"] = differences_table(methods)
        published = records_by_name(records, configuration, PUBLISHED_METHODS)
        if "svae+" in published:
            title = f"Simulated screens, {configuration}, published methods"
            tables[title] = differences_table(published, "svae+")
    for screens, title in NEW_SCREENS.items():
        new = records_by_name(records, screens, NEW_METHODS)
        if "svae+" in new:
            tables[f"{title} (nats per cell)"] = new_perturbations_table(new)
    if "fits" in records:
        tables["Shifted latents"] = edges_table(records["fits"].graph)
    likelihoods = rival_runs(records, "likelihoods")
    if likelihoods:
        bounds = rival_bounds(likelihoods)
        tables["Held-out cells, IWELBO of the default (nats per cell)"] = default_bound(bounds)
        tables["Held-out cells, IWELBO of the default minus others"] = rivals_table(bounds)
    edges = rival_runs(records, "edges")
    if edges:
        tables["Edges in half of the cells"] = edge_counts_table(edges)
    return tables


def recovery_table(records: dict[str, Record]) -> pd.DataFrame:
    """Scores of methods on the same screens: means over seeds, and the SD of MCC."""
    by_method = scores_table(records).groupby("method", sort=False)
    means = by_method.mean()
    means["sd"] = by_method["mcc"].std()
    table = means.reindex(columns=RECOVERY_SCORES).dropna(axis=1, how="all")
    return table.rename(columns=RECOVERY_SCORES, index=SHIFT_METHODS)


def differences_table(records: dict[str, Record], minuend: str = "default") -> pd.DataFrame:
    """Scores of one method minus those of the others, with 95 % intervals over seeds.

    Parameters
    ----------
    records : dict of str to Record
        By method, see `SHIFT_METHODS`.
    minuend : str
        The method that the others are subtracted from.

    Returns
    -------
    DataFrame of str
    """
    scores = scores_table(records)
    columns = {}
    for score in DECISIVE_SCORES:
        by_seed = scores[score].unstack("method").dropna(axis=1)
        columns[RECOVERY_SCORES[score]] = subtract_methods(by_seed, minuend)
    label = SHIFT_METHODS[minuend]
    table = label_rows(columns, SHIFT_METHODS).drop(label).fillna("")
    return table.rename_axis(f"{label} minus")


def subtract_methods(values: pd.DataFrame, minuend: str, test_fraction: float = 0) -> pd.Series:
    """Means of one column minus each column, with 95 % intervals if there are several rows.

    The rows are screens, or splits of one with `test_fraction` test cells for each training cell.
    """
    differences = values.rsub(values[minuend], axis=0)
    if len(values) == 1:
        return differences.iloc[0].map("{:+.3f}".format)
    # splits of one screen share cells, which the interval allows for (Nadeau and Bengio 2003)
    return differences.apply(lambda column: str(corrected_difference(column, test_fraction)))


def new_perturbations_table(records: dict[str, Record]) -> pd.DataFrame:
    """Bounds of held-out perturbations, before and after their shifts are learned.

    Parameters
    ----------
    records : dict of str to Record
        By method, see `NEW_METHODS`, each with a table of ``bounds``.

    Returns
    -------
    DataFrame of str
        Means over perturbations and seeds, and the IWELBO of SVAE+ minus that of each method after
        the shifts are learned, with 95 % intervals over the seeds.
    """
    bounds = pd.concat({name: record.bounds for name, record in records.items()}, names=["method"])
    by_seed = bounds.groupby(["method", "step", "seed"])[["elbo", "iwelbo"]].mean()
    columns = {}
    for score, title in {"elbo": "ELBO", "iwelbo": "IWELBO"}.items():
        means = by_seed[score].groupby(["method", "step"]).mean().unstack("step")
        for step, label in NEW_STEPS.items():
            columns[f"{title} {label}"] = means[step].map("{:.2f}".format)
    after = by_seed["iwelbo"].xs("after", level="step").unstack("method")
    columns["IWELBO after: SVAE+ minus it"] = subtract_methods(after, "svae+").drop("svae+")
    return label_rows(columns, NEW_METHODS).fillna("")


def new_targets_table(bounds: pd.DataFrame, folds: Sequence[str]) -> pd.DataFrame:
    """IWELBO of targets that are held out in folds, and how far each method is ahead of rivals.

    Parameters
    ----------
    bounds : DataFrame
        A row for each target, with its ``method``, ``step`` (see `NEW_STEPS`), ``IWELBO``, and
        the targets that are held out ``together``.
    folds : sequence of str
        Values of ``together``; each target is in one.

    Returns
    -------
    DataFrame
        Means over the folds; after the shifts are learned, minus the mean shares and minus the VAE,
        with corrected 95 % intervals over the folds, as texts.
    """
    of_folds = bounds[bounds["together"].isin(folds)]
    by_fold = of_folds.groupby(["together", "method", "step"])["IWELBO"].mean()
    table = by_fold.groupby(["method", "step"]).mean().unstack("step")[[*NEW_STEPS]]
    after = by_fold.xs("after", level="step").unstack("together")
    test_fraction = 1 / (len(folds) - 1)  # test cells for each training cell
    for rival in (NEW_METHODS["means"], NEW_METHODS["vae"]):
        ahead = (after - after.loc[rival]).drop(rival)
        intervals = [corrected_difference(row, test_fraction) for row in ahead.to_numpy()]
        table[f"after, minus {rival}"] = pd.Series(map(str, intervals), ahead.index)
    return table


def edges_table(graph: pd.DataFrame) -> pd.DataFrame:
    """Shifted latents and shifts of each perturbation by seed, from the graphs of several fits."""
    edges = graph[graph["probability"] > EDGE_PROBABILITY]
    latents = edges["latent"].str.removeprefix("latent_")
    effects = edges["effect"].map(" ({:+.2f})".format)
    table = edges.assign(text=latents + effects).pivot_table(
        "text", index="perturbation", columns="seed", aggfunc=", ".join, fill_value=""
    )
    return table.rename(columns="seed {}".format).rename_axis(columns=None)


def rival_runs(records: dict[str, Record], value: str) -> list[pd.DataFrame]:
    """Tables of the runs on `RIVAL_SCREENS`, with columns for the screen and the split."""
    runs = []
    for record in records.values():
        if "screen" in record.params[0] and value in record.values:
            table = record.values[value].rename_axis("method")
            for name, setting in record.params[0].items():
                table[name] = setting
            table["split"] = record.settings["split"]
            runs.append(table)
    return runs


def rival_bounds(runs: list[pd.DataFrame]) -> pd.DataFrame:
    """IWELBO of held-out cells by screen and split, a column for each method; mean over starts."""
    # "given" is the bound given the perturbations of the cells
    return pd.concat(runs).pivot_table("given", index=["screen", "split"], columns="method")


def default_bound(bounds: pd.DataFrame) -> pd.DataFrame:
    """One row of texts, with the mean of the default with effects on genes on each screen."""
    *_, default = RIVALS
    means = bounds[default].groupby("screen").mean().rename(RIVAL_SCREENS).map("{:.2f}".format)
    return means.to_frame(RIVALS[default]).T.rename_axis("method")


def rivals_table(bounds: pd.DataFrame) -> pd.DataFrame:
    """Likelihood of held-out cells: the default with effects on genes, minus the others.

    Intervals are over simulated screens, or over splits of a real one.
    """
    *_, default = RIVALS
    columns = {}
    for screen, by_split in bounds.groupby("screen"):
        # both halves of a real screen have as many cells; simulated screens share none
        test_fraction = 0 if screen == "targeted" else 1
        differences = subtract_methods(by_split, default, test_fraction)
        columns[RIVAL_SCREENS[screen]] = differences.drop(default)
    table = label_rows(columns, RIVALS).fillna("")
    return table.rename_axis(f"{RIVALS[default]} minus")


def edge_counts_table(runs: list[pd.DataFrame]) -> pd.DataFrame:
    """Edges in half of the cells by screen and method: means over splits or screens, as texts."""
    by_method = pd.concat(runs).groupby(["screen", "method"], sort=False)
    means = by_method.mean().drop(columns="split")
    labelled = means.rename(RIVAL_SCREENS, level="screen")
    return labelled.rename(SHIFT_METHODS | RIVALS, level="method").map("{:.1f}".format)


@with_style
def recovery_subplots(records: Mapping[str, Record]) -> Figure:
    """Recovery of latents and shifts, likelihood and time of methods, and differences from ours.

    Parameters
    ----------
    records : dict of str to Record
        By method, on the same simulated screens.

    Returns
    -------
    matplotlib.figure.Figure
        Above, dots are screens and strokes means. Below are paired differences from the default
        with 95 % intervals over the screens, if there are three or more.
    """
    scores = scores_table(records)
    names = list(records)
    labels = [SHIFT_METHODS[name] for name in names]
    colors = [SHIFT_COLORS[SHIFT_KINDS[name]] for name in names]
    height = 1.2 + 0.32 * len(names)
    figure, axes = new_subplots(height, n_rows=2, n_columns=len(DRAWN_SCORES), sharey=True)
    for (above, below), (score, title) in zip(axes.T, DRAWN_SCORES.items(), strict=True):
        by_seed = scores[score].unstack("method")[names]
        for y, (name, color) in enumerate(zip(names, colors, strict=True)):
            values = by_seed[name].dropna()
            draw_scores(above, y, values, color=color)
        draw_grid(above)
        above.set_xlabel(title)
        if score == "seconds":
            above.set_xscale("log")
            write_plain_numbers(above.xaxis)
            below.set_axis_off()
            continue
        above.locator_params(axis="x", nbins=3)
        differences = differences_over_draws(by_seed, "default")
        draw_differences(below, differences, colors=colors, reference=SHIFT_METHODS["default"])
    for ax in axes[:, 0]:
        name_rows(ax, labels)
    return finish(figure, axes[:, :1].T)
