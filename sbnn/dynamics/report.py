"""Tables and figures of gene-regulatory dynamics, made from saved records only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from sbnn.evaluation.scores import label_rows, mean_sd, scores_table
from sbnn.evaluation.verdict import (
    corrected_difference,
    differences_over_draws,
    means_over_draws,
)
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import (
    FIGURE_WIDTH,
    add_colorbar,
    draw_differences,
    finish,
    legend_above,
    name_columns,
    name_rows,
    new_subplots,
    place_names,
    with_style,
)
from sbnn.plotting.reading import dataset_title
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
ACCURACY_LIMITS = (0.45, 1.02)
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
#: Published numbers by method and percentage of the prior that is misplaced. One-step errors (of
#: validation samples) and AUCs are from the logs and figures of Hossain et al.; the logs of IMP
#: (two runs) and BioPruning stand beside ours of 0 and of 5 %.
PUBLISHED_NUMBERS = {
    "balanced_accuracy": {
        (name, 5): f"{accuracy:.3f}" for name, (_, accuracy) in PUBLISHED_ACCURACY.items()
    },
    "mse_ahead": {
        ("phoenix", 0): "0.0010 to 0.0014",
        ("phoenix", 5): "0.00115",
        ("phoenix", 10): "0.0019",
        ("imp", 0): "0.0012, 0.0015",
        ("imp", 5): "0.0012, 0.0015",
        ("biological", 0): "0.0036",
        ("biological", 5): "0.0036",
        ("dash", 0): "0.00076",
        ("dash", 5): "0.00072",
        ("dash", 10): "0.00168",
    },
    "auroc": {("phoenix", 0): "0.997", ("phoenix", 5): "0.992", ("phoenix", 10): "0.979"},
}
#: Percentages of the prior that are misplaced, by condition.
MISPLACED = {"noise_0": 0, "noise_5": 5, "noise_10": 10}
#: Condition and score of columns about edges that were measured.
BOUND_EDGES = {
    "AUROC": ("real", "auroc"),
    "with shared targets": ("shared", "auroc"),
    "as published": ("published", "auroc"),
    "shares, as published": ("published", "auroc_share"),
}
#: Networks that are shown as maps, as published.
MAPPED_METHODS = ("path_reg", "imp", "biological", "dash")

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


def all_draws(records: Mapping[str, Record], condition: str) -> pd.DataFrame:
    """Scores under one condition as in `condition_scores`, of further draws of data, too.

    Some methods are fitted to more draws than others, in records such as ``"more_noise_5_dash"``.
    """
    named = [name for name in (condition, f"more_{condition}") if f"{name}_prior" in records]
    return pd.concat([condition_scores(records, name) for name in named])


def mean_scores(records: Mapping[str, Record], condition: str) -> pd.DataFrame:
    """Scores of `condition_scores`, mean over seeds."""
    return condition_scores(records, condition).groupby("method").mean()


def dynamics_methods_table(
    records: Mapping[str, Record], condition: str, further_draws: bool = False
) -> pd.DataFrame:
    """Mean ± SD over seeds of the scores of all methods under one condition.

    Parameters
    ----------
    records, condition
        As in `condition_scores`.
    further_draws : bool
        Whether to include those of `all_draws`.

    Returns
    -------
    DataFrame of str
    """
    read = all_draws if further_draws else condition_scores
    scores = read(records, condition).groupby("method", sort=False)
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


def differences_in_draws(
    records: Mapping[str, Record],
    columns: Mapping[str, tuple[str, str]],
    reference: str = REFERENCE_NETWORK,
) -> pd.DataFrame:
    """A method minus each other one in the same draws of data, with 95 % intervals.

    Parameters
    ----------
    records : dict of str to Record
    columns : dict of str to tuple of str
        Condition and score by title, such as ``{"BA, 5 %": ("noise_5", "balanced_accuracy")}``.
    reference : str
        Name of the method.

    Returns
    -------
    DataFrame of str
        Without methods that have fewer than three draws.
    """
    table = {}
    for title, (condition, score) in columns.items():
        by_seed = all_draws(records, condition)[score].unstack("method")
        behind = differences_over_draws(-by_seed, reference)
        table[title] = pd.Series(behind, by_seed.columns, dtype=object)
    rows = label_rows(table, METHOD_LABELS).drop(METHOD_LABELS[reference], errors="ignore")
    return rows.map(_text_of_difference, na_action="ignore").fillna("–")


def _text_of_difference(difference):
    """Three digits, as errors are small."""
    return "{:+#.3g} [{:+#.3g}, {:+#.3g}]".format(*difference)


def sparsity_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Sparsity with 5 % noise beside the published one, and accuracy of edges at every noise.

    Parameters
    ----------
    records : dict of str to Record

    Returns
    -------
    DataFrame of str
        Means over all draws; the last column is the accuracy at 10 % minus that at 0 %, in the same
        seeds, with a 95 % interval.
    """
    published = {name: sparsity for name, (sparsity, _) in PUBLISHED_ACCURACY.items()}
    sparsity = all_draws(records, "noise_5")["sparsity"]
    columns = {
        "sparsity": sparsity.groupby("method").mean(),
        "published sparsity": pd.Series(published),
    }
    accuracy = {}
    for condition, percent in MISPLACED.items():
        if f"{condition}_prior" in records:
            by_seed = all_draws(records, condition)["balanced_accuracy"].unstack("method")
            accuracy[percent] = by_seed
            columns[f"BA, {percent} %"] = by_seed.mean()
    table = label_rows(columns, METHOD_LABELS).map("{:.3f}".format, na_action="ignore")
    if len(accuracy) == len(MISPLACED):
        changes = accuracy[10] - accuracy[0]
        texts = pd.Series(means_over_draws(changes), changes.columns, dtype=object)
        table["10 % minus 0 %"] = texts.map(str, na_action="ignore").rename(METHOD_LABELS)
    return table.fillna("–")


def published_numbers_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Means over all draws, with 95 % intervals, beside published numbers.

    Parameters
    ----------
    records : dict of str to Record
        Of ``grn_350``.

    Returns
    -------
    DataFrame of str
        A row for each method and percentage of the prior that is misplaced.
    """
    rows = {}
    for name, label in METHOD_LABELS.items():
        for percent in MISPLACED.values():
            published = {
                score: numbers[name, percent]
                for score, numbers in PUBLISHED_NUMBERS.items()
                if (name, percent) in numbers
            }
            if published:
                scores = all_draws(records, f"noise_{percent}").loc[name]
                rows[label, f"{percent} %"] = _join_published(scores, published)
    return pd.DataFrame.from_dict(rows, orient="index")


def _join_published(scores, published):
    """Columns of one method: each score, and the published one."""
    row = {}
    for score in PUBLISHED_NUMBERS:
        ours = corrected_difference(scores[score], test_fraction=0)
        row[SCORE_LABELS[score]] = "{:#.3g} [{:#.3g}, {:#.3g}]".format(*ours)
        row[f"published {SCORE_LABELS[score]}"] = published.get(score, "–")
    return row


def bound_edges_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """AUROC of edges that were measured, with our and with the published training.

    Parameters
    ----------
    records : dict of str to Record
        Of ``breast_desmedt``.

    Returns
    -------
    DataFrame of str
        Mean ± SD over starts; the differences from the prior alone have 95 % intervals.
    """
    shown = ["prior", *(name for name in METHOD_LABELS if name not in SIMPLE_METHODS)]
    columns = {}
    for title, (condition, score) in BOUND_EDGES.items():
        of_condition = records_by_name(records, condition, shown)
        if of_condition:
            scores = scores_table(of_condition)[score]
            columns[title] = scores.groupby("method").agg(mean_sd)
    auroc = scores_table(records_by_name(records, "real", shown))["auroc"]
    # that of the prior is the same for all starts
    by_start = auroc.unstack("method").assign(prior=auroc["prior"].mean())
    ahead = pd.Series(differences_over_draws(by_start, "prior"), by_start.columns, dtype=object)
    columns["AUROC minus the prior"] = ahead.drop("prior").map(str, na_action="ignore")
    return label_rows(columns, METHOD_LABELS).fillna("–")


def coregulation(effects: np.ndarray) -> np.ndarray:
    """How strongly two genes regulate the same targets, from effects [regulator, target]."""
    sizes = np.abs(effects.astype(float))
    together = sizes @ sizes.T
    np.fill_diagonal(together, 0)
    return together


def shared_regulation_table(
    networks: Mapping[str, Mapping[str, np.ndarray]],
) -> pd.DataFrame:
    """Which genes have effects in a network, and whether pairs that share targets are found.

    Parameters
    ----------
    networks : dict of str to dict of str to ndarray
        For each title the effects, [regulator, target], by method, and those of "truth".

    Returns
    -------
    DataFrame
        A row for each method and title.
    """
    rows = {}
    for title, effects in networks.items():
        regulates = (effects["truth"] != 0).any(axis=1)
        upper = np.triu_indices(len(regulates), 1)
        together = coregulation(effects["truth"])[upper] > 0
        for name in ("prior", *MAPPED_METHODS):
            sizes = np.abs(effects[name].astype(float))
            of_pairs = coregulation(effects[name])[upper]
            rows[METHOD_LABELS[name], title] = {
                "genes with targets": np.count_nonzero(sizes.any(axis=1)),
                "effects by true regulators": sizes[regulates].sum() / max(sizes.sum(), 1),
                "AUROC of shared targets": roc_auc_score(together, of_pairs),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


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
    """Accuracy of edges against sparsity and noise, and differences from DASH, over all draws.

    Parameters
    ----------
    records : dict of str to Record

    Returns
    -------
    matplotlib.figure.Figure
        (a) Dots are means over seeds with 5 % noise, with their SD; lines lead to published values,
        and the dashed line is the prior. (b) Means at every noise. (c) Paired differences from DASH
        with 5 % noise and the 95 % interval of `sbnn.verdict`, if there are three or more seeds.
    """
    dataset = records["noise_5_prior"].dataset
    scores = all_draws(records, "noise_5")[["sparsity", "balanced_accuracy"]]
    by_method = scores.groupby("method", sort=False)
    means = by_method.mean()
    networks = means.drop("prior")
    colors = [DYNAMICS_COLORS[name] for name in means.index]
    figure, (ax, of_noise, beside) = new_subplots(
        4,
        dataset,
        n_rows=1,
        n_columns=3,
        topic="edges with 5 % noise, and with less and more",
        width_ratios=(2.8, 0.7, 1),
    )
    # with room for names on the right, but no axis beyond 1
    ax.set(xlim=(-0.03, 1.26), xticks=SPARSITY_TICKS, xlabel="sparsity of the weights")
    ax.spines["bottom"].set_bounds(-0.03, 1)
    ax.set(ylim=ACCURACY_LIMITS, ylabel="balanced accuracy of edges (bars: SD over seeds)")
    level = means.loc["prior", "balanced_accuracy"]
    ax.axhline(level, ls="--", lw=0.8, color="black", label="prior")
    sds = by_method.std().fillna(0)
    _draw_networks(ax, networks, sds)
    if dataset == "grn_350":
        _draw_published_networks(ax, networks)
    legend_above(ax, ncols=2)
    _draw_noise(of_noise, records)
    by_seed = scores["balanced_accuracy"].unstack("method")[means.index]
    if REFERENCE_NETWORK in by_seed:
        differences = differences_over_draws(by_seed, REFERENCE_NETWORK)
        reference = METHOD_LABELS[REFERENCE_NETWORK]
        draw_differences(beside, differences, colors=colors, reference=reference)
    name_rows(beside, [METHOD_LABELS[name] for name in means.index])
    finish(figure, [[ax, of_noise, beside]])
    labels = [METHOD_LABELS[name] for name in networks.index]
    place_names(ax, networks.to_numpy(), labels, beside=True)
    return figure


def _draw_noise(ax, records):
    """Draw the mean accuracy of each method at every noise."""
    accuracy = {
        percent: all_draws(records, condition)["balanced_accuracy"].groupby("method").mean()
        for condition, percent in MISPLACED.items()
        if f"{condition}_prior" in records
    }
    for name, of_method in pd.DataFrame(accuracy).iterrows():
        ax.plot(
            of_method.index,
            of_method,
            color=DYNAMICS_COLORS[name],
            ls="--" if name == "prior" else "-",
            marker="o",
            ms=2.5,
            lw=1,
        )
    ax.set(xlim=(-2, 12), xticks=[*accuracy], ylim=ACCURACY_LIMITS)
    ax.set_xlabel("noise, and prior\nmisplaced (%)")
    ax.tick_params(labelleft=False)


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


@with_style
def network_maps(networks: Mapping[str, Mapping[str, np.ndarray]], dataset: str) -> Figure:
    """Maps of the effects in the true network and in others, and of shared regulation.

    Parameters
    ----------
    networks : dict of str to dict of str to ndarray
        As in `shared_regulation_table`.
    dataset : str

    Returns
    -------
    matplotlib.figure.Figure
        A row for each title with the effects of regulators (columns) on targets (rows), and below
        these, how strongly two genes regulate the same targets.
    """
    n_rows = len(networks)
    figure = Figure(figsize=(FIGURE_WIDTH, 3 * n_rows), layout="constrained")
    axes = figure.subplots(2 * n_rows, 1 + len(MAPPED_METHODS), sharex=True, sharey=True)
    for i, (title, effects) in enumerate(networks.items()):
        axes[i, 0].set_ylabel(f"target, {title}")
        axes[n_rows + i, 0].set_ylabel(f"gene, {title}")
        for j, name in enumerate(("truth", *MAPPED_METHODS)):
            axes[i, j].set_title(METHOD_LABELS.get(name, name), pad=2)
            found = effects[name]
            of_effects = _show_map(axes[i, j], found.T, vmin=-1, cmap="RdBu")
            shared = coregulation(found)
            of_pairs = _show_map(axes[n_rows + i, j], shared, vmin=0, cmap="magma")
    figure.suptitle(dataset_title(dataset))
    figure.supxlabel("regulator (above) or gene (below)", fontsize=7)
    bar = figure.colorbar(of_effects, ax=axes[:n_rows], extend="both", aspect=40, pad=0.01)
    bar.set_label("effect on the target / 90th percentile")
    bar = figure.colorbar(of_pairs, ax=axes[n_rows:], extend="max", aspect=40, pad=0.01)
    bar.set_label("shared regulation / 90th percentile")
    return figure


def _show_map(ax, values, **look):
    """Draw sizes relative to their 90th percentile."""
    present = np.abs(values[values != 0])
    top = np.quantile(present, 0.9) if present.size else 1
    relative = values / top
    return ax.imshow(relative, vmax=1, origin="lower", interpolation="nearest", **look)


@with_style
def known_targets_map(records: Mapping[str, Record]) -> Figure:
    """How much larger the effects of each regulator are on its known targets than on others.

    Parameters
    ----------
    records : dict of str to Record
        As in `known_targets_table`.

    Returns
    -------
    matplotlib.figure.Figure
        The z of `sbnn.dynamics.gene_set_test` for methods (rows) and regulators (columns), among
        all genes and among those that are not in the prior; a star is p < 0.05.
    """
    tests = pd.concat({label: record.tests for label, record in records.items()}, names=["method"])
    [dataset] = {record.dataset for record in records.values()}
    topic = "effects on bound genes (z; star: p < 0.05)"
    figure, axes = new_subplots(4.4, dataset, n_rows=2, topic=topic)
    strongest = tests["z"].abs().max()
    for ax, (genes, of_genes) in zip(axes, tests.groupby("genes", sort=False), strict=True):
        by_method = of_genes.reset_index().set_index(["method", "regulator"])
        z = by_method["z"].unstack().loc[list(records)]
        p = by_method["p"].unstack().loc[list(records)]
        image = ax.imshow(z, cmap="RdBu_r", vmin=-strongest, vmax=strongest, aspect="auto")
        for row, column in np.argwhere(p < TEST_LEVEL):
            ax.text(column, row, "*", ha="center", va="center_baseline")
        ax.set_title(genes if genes.startswith("not") else f"{genes} genes")
        name_columns(ax, z.columns)
        name_rows(ax, z.index)
    add_colorbar(figure, image, "z", ax=axes)
    return finish(figure)
