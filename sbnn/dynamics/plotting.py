"""Figures of gene-regulatory dynamics, made from saved records only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbnn.dynamics.report import (
    DRAWN_METHODS,
    MAPPED_METHODS,
    METHOD_LABELS,
    MISPLACED,
    PUBLISHED_ACCURACY,
    REFERENCE_NETWORK,
    TEST_LEVEL,
    all_draws,
    coregulation,
    mean_scores,
)
from sbnn.evaluation.verdict import differences_over_draws
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import (
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
from sbnn.results import Record

#: Units of time and expression.
MEASURED_UNITS = {"yeast_pramila": ("time (minutes)", "expression (log ratio)")}
ACCURACY_LIMITS = (0.45, 1.02)
SPARSITY_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)
PUBLISHED_SQUARE = {"marker": "s", "mfc": "white", "ms": 4.5}
#: Colours of methods.
DYNAMICS_COLORS = METHOD_COLORS["dynamics"]


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
        4, n_rows=1, n_columns=3, width_ratios=(2.8, 0.7, 1)
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
        Predictions start from the first time point.
    """
    errors = mean_scores(records, "real")["mse_rollout"]
    first = records["real_ridge"]
    [times, *_], [test, *_] = first.times, first.test
    figure, axes = new_subplots(3.1, n_rows=2, n_columns=3, sharex=True)
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
def network_maps(networks: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Maps of the effects in the true network, the prior and others, and of shared regulation.

    Parameters
    ----------
    networks : dict of str to dict of str to ndarray
        As in `shared_regulation_table`.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each title with the effects of regulators (columns) on targets (rows), red if they
        activate, and below these, how strongly two genes regulate the same targets.
    """
    n_rows = len(networks)
    shown = {"truth": "truth", "prior": "prior"}
    shown |= {name: METHOD_LABELS[name] for name in MAPPED_METHODS}
    figure, axes = new_subplots(
        2.6 * n_rows, n_rows=2 * n_rows, n_columns=len(shown), sharex=True, sharey=True
    )
    for i, (title, effects) in enumerate(networks.items()):
        axes[i, 0].set_ylabel(f"target, {title}")
        axes[n_rows + i, 0].set_ylabel(f"gene, {title}")
        for j, (name, label) in enumerate(shown.items()):
            axes[i, j].set_title(label)
            found = effects[name]
            of_effects = _show_map(axes[i, j], found.T, vmin=-1, cmap="RdBu_r")
            shared = coregulation(found)
            of_pairs = _show_map(axes[n_rows + i, j], shared, vmin=0, cmap="Greys")
    figure.supxlabel("regulator (above) or gene (below)", fontsize=7)
    bar = figure.colorbar(of_effects, ax=axes[:n_rows], extend="both", aspect=40, pad=0.01)
    bar.set_label("effect on the target / 90th percentile")
    bar = figure.colorbar(of_pairs, ax=axes[n_rows:], extend="max", aspect=40, pad=0.01)
    bar.set_label("shared regulation / 90th percentile")
    return finish(figure, axes[:, :1])


def _show_map(ax, values, **look):
    """Draw sizes relative to their 90th percentile."""
    present = np.abs(values[values != 0])
    top = np.quantile(present, 0.9) if present.size else 1
    relative = values / top
    # a pixel shows the mean of several genes, taken before it has a colour
    return ax.imshow(relative, vmax=1, origin="lower", interpolation_stage="data", **look)


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
    figure, axes = new_subplots(4.4, n_rows=2)
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
    add_colorbar(figure, image, f"z (star: p < {TEST_LEVEL})", ax=axes)
    return finish(figure)
