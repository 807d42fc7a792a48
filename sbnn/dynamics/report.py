"""Tables and the figure of gene-regulatory dynamics, made from saved records only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from sbnn.evaluation.scores import label_rows, mean_sd, scores_table
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import draw_headline, finish, new_panels, place_names, with_style
from sbnn.results import Record, load_folder, records_by_name

#: Labels of methods, in display order.
METHOD_LABELS = {
    "prior": "the prior alone, no change",
    "mean": "constant mean",
    "ar1_mean": "AR(1) to the mean",
    "ar1": "AR(1) of each gene",
    "ridge": "ridge, x(t + 1) on x(t)",
    "ar1_ridge": "AR(1), and ridge on the rest",
    "path": "nearest part of the training path",
    "none": "PHOENIX",
    "phoenix": "PHOENIX, prior in the loss",
    "c_node": "C-NODE",
    "l0": "L0",
    "path_reg": "PathReg",
    "post_hoc": "post hoc",
    "imp": "IMP",
    "biological": "BioPruning",
    "dash": "DASH",
}
#: Titles of conditions, in display order.
CONDITION_TITLES = {
    "noise_0": "without noise, correct prior",
    "noise_5": "noise 0.025 and 5% of the prior misplaced",
    "noise_10": "noise 0.05 and 10% of the prior misplaced",
    "real": "real data",
}
#: Labels of scores, in display order.
SCORE_LABELS = {
    "sparsity": "sparsity",
    "balanced_accuracy": "BA",
    "auroc": "AUROC",
    "recall_missing": "missing edges found",
    "kept_wrong": "wrong edges kept",
    "precision": "edges right",
    "new_right": "new edges right",
    "mse_rollout": "rollout MSE",
    "mse_ahead": "one-step MSE",
    "relative": "one-step MSE / no change",
    "seconds": "CPU s",
}
#: Scores and conditions in the overview of simulated networks.
OVERVIEW_SCORES = {
    "noise_0": ["balanced_accuracy"],
    "noise_5": ["balanced_accuracy", "recall_missing", "kept_wrong", "new_right", "relative"],
    "noise_10": ["balanced_accuracy", "recall_missing", "kept_wrong", "new_right"],
}
#: Measured data, with their labels.
MEASURED_DATA = {"yeast_pramila": "yeast", "breast_desmedt": "breast", "hematopoiesis": "blood"}
#: Published sparsity and balanced accuracy (350 genes, 5 % noise), read off a figure of arXiv
#: 2403.04805 to within 0.005. The published unpruned network has the prior in the loss.
PUBLISHED_ACCURACY = {
    "phoenix": (0.099, 0.586),
    "c_node": (0.062, 0.558),
    "l0": (0.338, 0.550),
    "path_reg": (0.566, 0.618),
    "post_hoc": (0.871, 0.823),
    "biological": (0.835, 0.873),
    "imp": (0.959, 0.708),
    "dash": (0.946, 0.906),
}

#: Colours of methods.
DYNAMICS_COLORS = METHOD_COLORS["dynamics"]


def read_dynamics_records(folder: str | Path) -> dict[str, Record]:
    """Records in a folder, by names such as ``"noise_5_dash"``."""
    return load_folder(folder, prefix="dynamics_", data_of=lambda record: record.dataset)


def condition_scores(records: Mapping[str, Record], condition: str) -> pd.DataFrame:
    """Scores of all methods and seeds under one condition.

    Parameters
    ----------
    records : dict of str to Record
        By names such as ``"noise_5_dash"``.
    condition : str

    Returns
    -------
    DataFrame
        The index is method and seed.
    """
    scores = scores_table(records_by_name(records, condition, METHOD_LABELS))
    error_of_no_change = scores.loc["prior", "mse_ahead"].mean()
    scores["relative"] = scores["mse_ahead"] / error_of_no_change
    return scores.filter(list(SCORE_LABELS))


def mean_scores(records: Mapping[str, Record], condition: str) -> pd.DataFrame:
    """Scores of `condition_scores`, mean over seeds."""
    return condition_scores(records, condition).groupby("method").mean()


def dynamics_methods_table(records: Mapping[str, Record], condition: str) -> pd.DataFrame:
    """Mean ± SD over seeds of the scores of all methods under one condition.

    Parameters
    ----------
    records, condition
        As in `condition_scores`.

    Returns
    -------
    DataFrame of str
    """
    scores = condition_scores(records, condition).groupby("method", sort=False)
    three_digits = partial(mean_sd, digits="#.3g", sd_digits=".1g")
    return scores.agg(three_digits).rename(index=METHOD_LABELS, columns=SCORE_LABELS)


def overview_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Mean accuracy of edges, corrections of the prior, and relative one-step error.

    Parameters
    ----------
    records : dict of str to Record

    Returns
    -------
    DataFrame
    """
    columns = {}
    for condition, scores in OVERVIEW_SCORES.items():
        if f"{condition}_prior" in records:
            percent = condition.removeprefix("noise_")
            means = mean_scores(records, condition)
            for score in scores:
                columns[f"{SCORE_LABELS[score]}, {percent} %"] = means[score]
    return label_rows(columns, METHOD_LABELS)


def dynamics_overview(saved_models: str | Path) -> dict[str, pd.DataFrame]:
    """Tables that are part of ``sbnn report``, by title."""
    errors = {}
    for name, label in MEASURED_DATA.items():
        records = read_dynamics_records(Path(saved_models, name))
        errors[label] = mean_scores(records, "real")["relative"]
    simulated = read_dynamics_records(Path(saved_models, "grn_350"))
    return {
        "Simulated networks of 350 genes": overview_table(simulated),
        "One-step MSE on real data, relative to no change": label_rows(errors, METHOD_LABELS),
    }


def dynamics_tables(records: Mapping[str, Record]) -> dict[str, pd.DataFrame]:
    """Available tables by title."""
    tables = {}
    for condition, title in CONDITION_TITLES.items():
        if f"{condition}_prior" in records:
            tables[f"Methods, {title}"] = dynamics_methods_table(records, condition)
    return tables


@with_style
def accuracy_by_sparsity(records: Mapping[str, Record]) -> Figure:
    """Accuracy of edges against sparsity, with 5 % noise; lines lead to published values.

    Parameters
    ----------
    records : dict of str to Record
    """
    scores = condition_scores(records, "noise_5")[["sparsity", "balanced_accuracy"]]
    by_method = scores.groupby("method", sort=False)
    means = by_method.mean()
    sds = by_method.std().fillna(0)
    figure, ax = new_panels(4)
    ax.set(xlim=(-0.03, 1.19), xlabel="sparsity of the weights")
    ax.set(ylim=(0.47, 1.02), ylabel="balanced accuracy of edges")
    ax.axhline(means.loc["prior", "balanced_accuracy"], xmax=0.81, ls="--", lw=0.8, color="black")
    networks = means.drop("prior")
    for name, (sparsity, accuracy) in networks.iterrows():
        sd = sds.loc[name]
        ax.errorbar(
            sparsity,
            accuracy,
            yerr=sd["balanced_accuracy"],
            xerr=sd["sparsity"],
            color=DYNAMICS_COLORS[name],
            fmt="o",
            lw=0.8,
        )
    if records["noise_5_prior"].dataset == "grn_350":
        for name, (sparsity, accuracy) in PUBLISHED_ACCURACY.items():
            ax.plot(
                [means.loc[name, "sparsity"], sparsity],
                [means.loc[name, "balanced_accuracy"], accuracy],
                color=DYNAMICS_COLORS[name],
                lw=0.6,
                marker="s",
                markevery=[1],
                mfc="white",
                ms=4.5,
            )
    title = "Means over seeds; bars: SD over seeds; squares: published; dashed: the prior"
    draw_headline(figure, title)
    finish(figure)
    labels = [METHOD_LABELS[name] for name in networks.index]
    beside_points = networks.to_numpy() + (0.01, -0.01)
    place_names(ax, beside_points, labels, beside=False, leader=None, ha="left", fontsize=6)
    return figure
