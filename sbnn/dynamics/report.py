"""Tables and the figure of gene-regulatory dynamics, made from saved records only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbnn.evaluation.scores import label_rows, mean_sd, scores_table
from sbnn.evaluation.verdict import differences_over_draws
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import (
    draw_differences,
    finish,
    legend_above,
    name_rows,
    new_subplots,
    place_names,
    with_style,
)
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
TEST_LEVEL = 0.05  # of tests of known targets
#: Units of time and expression.
MEASURED_UNITS = {"yeast_pramila": ("time (minutes)", "expression (log ratio)")}
#: Methods without a network.
SIMPLE_METHODS = ["prior", "mean", "ar1_mean", "ar1", "ridge", "ar1_ridge", "path"]
#: Methods whose predictions are drawn: the best simple one, PHOENIX and the best of its prunings.
DRAWN_METHODS = ("ridge", "none", "dash")
SPARSITY_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
PUBLISHED_SQUARE = {"marker": "s", "mfc": "white", "ms": 4.5}
REFERENCE_NETWORK = "dash"  # that others are compared with
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


def known_targets_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Whether networks have larger effects on known targets than on random genes.

    Parameters
    ----------
    records : dict of str to Record
        By label, from `sbnn.dynamics.known_targets_test`.

    Returns
    -------
    DataFrame
        For all genes and for those that are not in the prior, the mean z of the regulators and how
        many have p < 0.05.
    """
    tests = {label: record.tests for label, record in records.items()}
    table = pd.concat(tests, names=["method"])
    table["below"] = table["p"] < TEST_LEVEL
    by_choice = table.groupby(["method", "genes"], sort=False)
    columns = {"mean z": by_choice["z"].mean(), f"p < {TEST_LEVEL}": by_choice["below"].sum()}
    wide = pd.DataFrame(columns).unstack("genes").loc[list(records)]
    wide.columns = [f"{score}, {genes}" for score, genes in wide.columns]
    return wide


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
    """Accuracy of edges against sparsity, with 5 % noise, and differences from DASH.

    Parameters
    ----------
    records : dict of str to Record

    Returns
    -------
    matplotlib.figure.Figure
        On the left, dots are means over seeds, with their SD; lines lead to published values, and
        the dashed line is the prior. On the right are paired differences from DASH with the 95 %
        interval of `sbnn.verdict`, if there are three or more seeds.
    """
    dataset = records["noise_5_prior"].dataset
    scores = condition_scores(records, "noise_5")[["sparsity", "balanced_accuracy"]]
    by_method = scores.groupby("method", sort=False)
    means = by_method.mean()
    networks = means.drop("prior")
    colors = [DYNAMICS_COLORS[name] for name in means.index]
    figure, (ax, beside) = new_subplots(
        4, dataset, n_rows=1, n_columns=2, topic="edges with 5 % noise", width_ratios=(2.8, 1)
    )
    # with room for names on the right, but no axis beyond 1
    ax.set(xlim=(-0.03, 1.26), xticks=SPARSITY_TICKS, xlabel="sparsity of the weights")
    ax.spines["bottom"].set_bounds(-0.03, 1)
    ax.set(ylim=(0.45, 1.02), ylabel="balanced accuracy of edges (bars: SD over seeds)")
    level = means.loc["prior", "balanced_accuracy"]
    ax.axhline(level, ls="--", lw=0.8, color="black", label="prior")
    sds = by_method.std().fillna(0)
    _draw_networks(ax, networks, sds)
    if dataset == "grn_350":
        _draw_published_networks(ax, networks)
    legend_above(ax, ncols=2)
    by_seed = scores["balanced_accuracy"].unstack("method")[means.index]
    if REFERENCE_NETWORK in by_seed:
        differences = differences_over_draws(by_seed, REFERENCE_NETWORK)
        reference = METHOD_LABELS[REFERENCE_NETWORK]
        draw_differences(beside, differences, colors=colors, reference=reference)
    name_rows(beside, [METHOD_LABELS[name] for name in means.index])
    finish(figure, [[ax, beside]])
    labels = [METHOD_LABELS[name] for name in networks.index]
    place_names(ax, networks.to_numpy(), labels, beside=True)
    return figure


def _draw_networks(ax, means, sds):
    """Draw the mean sparsity and accuracy of networks, with their SD."""
    for name, (sparsity, accuracy) in means.iterrows():
        sd = sds.loc[name]
        ax.errorbar(
            sparsity,
            accuracy,
            yerr=sd["balanced_accuracy"],
            xerr=sd["sparsity"],
            color=DYNAMICS_COLORS[name],
            fmt="o",
            lw=0.8,
            zorder=7,  # above the halo of a name
        )


def _draw_published_networks(ax, means):
    """Draw lines from our means to published values."""
    for name, (sparsity, accuracy) in PUBLISHED_ACCURACY.items():
        ax.plot(
            [means.loc[name, "sparsity"], sparsity],
            [means.loc[name, "balanced_accuracy"], accuracy],
            color=DYNAMICS_COLORS[name],
            lw=0.6,
            markevery=[1],
            **PUBLISHED_SQUARE,
        )
    ax.plot([], [], color="0.3", ls="", label="published", **PUBLISHED_SQUARE)


@with_style
def predicted_paths(records: Mapping[str, Record]) -> Figure:
    """Measured and predicted expression of the six genes that vary most, in the first test sample.

    Parameters
    ----------
    records : dict of str to Record
        Of measured data, with details of ridge, PHOENIX and DASH; see `sbnn.dynamics.evaluate`.

    Returns
    -------
    matplotlib.figure.Figure
        Predictions start from the first time point. The headline compares the rollout MSE of all
        networks with that of ridge.
    """
    errors = mean_scores(records, "real")["mse_rollout"]
    networks = errors.drop(SIMPLE_METHODS, errors="ignore")
    is_better = networks.min() < errors["ridge"]
    topic = f"{'a' if is_better else 'no'} network predicts better than ridge"
    first = records["real_ridge"]
    [times, *_], [test, *_] = first.times, first.test
    figure, axes = new_subplots(3.1, first.dataset, n_rows=2, n_columns=3, topic=topic, sharex=True)
    genes = np.argsort(-np.ptp(test, axis=0), kind="stable")
    for ax, gene in zip(axes.flat, genes, strict=False):
        ax.plot(times, test[:, gene], "o", color="black", ms=3, label="test sample")
        for name in DRAWN_METHODS:
            ax.plot(
                times,
                records[f"real_{name}"].predicted[0, :, gene],
                color=DYNAMICS_COLORS[name],
                label=f"{METHOD_LABELS[name]}: rollout MSE {errors[name]:.3f}",
            )
        ax.set_title(first.gene_names[gene], pad=2)
    time, expression = MEASURED_UNITS.get(first.dataset, ("time", "expression"))
    axes[1, 1].set_xlabel(time)
    figure.supylabel(expression, fontsize=7)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels))
    return finish(figure)
