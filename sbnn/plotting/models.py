"""Accuracy of several models, width of the bottleneck, and stability of the kept genes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sbnn.evaluation.stability import gene_counts
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import (
    finish,
    grid,
    legend_above,
    log_ticks,
    name_columns,
    name_rows,
    new_figure,
    new_panels,
    with_style,
)
from sbnn.plotting.labels import counted, shortened
from sbnn.plotting.reading import (
    SPIKE_INS,
    choose_model,
    folds_text,
    mean_sd,
    mean_text,
    scaling_text,
)
from sbnn.results import Record

ROW = 0.25  # inches
WORST = -1.1  # the axis ends here


@with_style
def accuracy_comparison(
    models: Mapping[str, Record | tuple[Record, dict]], n_genes: int = 25
) -> Figure:
    """Test R2 of several models on one data set: every fold, and the mean with its SD.

    Parameters
    ----------
    models : dict of str to Record or (Record, dict)
        Cross-validations by name, with parameters of grid points.
    n_genes : int
        Of a path of penalties, the point with the most genes up to this number.

    Returns
    -------
    matplotlib.figure.Figure
        Small dots are the folds in order, from top to bottom; those below -1 lie outside.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> default = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle.xz")
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.accuracy_comparison(models)
    """
    figure, ax = new_panels(0.75 + ROW * len(models))
    names, records = [], []
    for y, (name, model) in enumerate(models.items()):
        record, point = choose_model(model, n_genes)
        records.append(record)
        size = counted(record.n_genes(point), "gene")
        names.append(f"{shortened(name, 40)}, {size}{scaling_text(record)}")
        color = model_color(record)
        r2 = record.test_r2[:, point]
        mean, spread = mean_sd(r2)
        # in the order of the folds, to recognise difficult ones
        ax.plot(
            r2,
            y + np.linspace(-0.28, 0.28, len(r2)),
            "o",
            color=color,
            ms=2.5,
            mew=0,
            alpha=0.45,
            zorder=2,
        )
        ax.errorbar(mean, y, xerr=spread, color=color, fmt="o", ms=3.5, lw=1.2, capsize=2, zorder=6)
        text = mean_text(r2)
        ax.text(1.02, y, text, color=color, transform=ax.get_yaxis_transform(), va="center")
    name_rows(ax, names)
    low, high = ax.get_xlim()
    ax.set_xlim(max(low, WORST), min(high, 1.1))
    grid(ax)
    ax.set_xlabel(f"test R² (dots: folds; bars: {folds_text(*records)})")
    ax.set_title(shortened(record.dataset, 60))
    return finish(figure)


MARKS = "osD^vXP*<>"
MOST_GENES = 36
DODGE = 1.03  # factor between the widths of models
AT_MOST = 25  # genes of the models whose outputs are compared


@with_style
def bottleneck_widths(networks: Mapping[str, tuple[Record, dict]]) -> Figure:
    """Test R2 against the number of units of the bottleneck: mean and SD over the folds.

    Parameters
    ----------
    networks : dict of str to (Record, dict)
        Cross-validations over ``n_components`` by name, with other parameters.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> default = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> figure = plotting.bottleneck_widths({"distilled": (default, {})})
    """
    figure, ax = new_panels(2.4)
    _draw_widths(ax, networks)
    return finish(figure)


@with_style
def output_accuracy(models: Mapping[str, Record | tuple[Record, dict]]) -> Figure:
    """Test R2 of every output, sorted by the first model.

    Parameters
    ----------
    models : dict of str to Record or (Record, dict)
        As in `accuracy_comparison`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> default = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle.xz")
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.output_accuracy(models)
    """
    figure, ax = new_panels(2.5)
    _draw_outputs(ax, models)
    figure.set_figheight(max(2.5, 0.14 * len(ax.get_yticks()) + 1.2))
    return finish(figure)


@with_style
def width_and_stability(
    networks: Mapping[str, tuple[Record, dict]],
    selections: Mapping[str, Record],
    models: Mapping[str, Record | tuple[Record, dict]],
) -> Figure:
    """R2 by bottleneck width, how often each gene is kept, and R2 of every output.

    Parameters
    ----------
    networks, models : dict
        As in `bottleneck_widths` and `output_accuracy`.
    selections : dict of str to Record
        Repeated fits by name; genes are the 36 that the first keeps most often.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> default = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> halves = results.load("saved_models/scala/halves_distilled.pickle.xz")
    >>> networks = {"distilled": (default, {})}
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2})}
    >>> figure = plotting.width_and_stability(networks, {"halves of the cells": halves}, models)
    """
    figure = new_figure(4.7)
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    above, below = left.subplots(2, 1)
    beside = right.subplots()
    _draw_widths(above, networks)
    _draw_stability(below, selections)
    _draw_outputs(beside, models)
    return finish(figure, [[above, below, beside]])


def _draw_widths(ax, networks):
    for i, (name, (record, params)) in enumerate(networks.items()):
        points = record.points(**params)
        points.sort(key=lambda point: record.params[point]["n_components"])
        widths = np.array([record.params[point]["n_components"] for point in points])
        mean, spread = mean_sd(record.test_r2[:, points])
        look = {"color": model_color(record), "fmt": f"-{MARKS[i]}", "ms": 3.5, "label": name}
        ax.errorbar(widths * DODGE**i, mean, spread, capsize=1.5, elinewidth=0.8, **look)
    log_ticks(ax, widths)
    n_genes = round(record.n_selected[:, points].mean())
    settings = f"{n_genes} genes, {folds_text(record)}{scaling_text(record)}"
    ax.set(xlabel=f"units of the bottleneck, d ({settings})", ylabel="test R²")
    ax.yaxis.set_major_locator(MaxNLocator(5))  # else no layout may be found
    legend_above(ax, ncols=2)


def _draw_stability(ax, selections):
    for i, (name, record) in enumerate(selections.items()):
        frequency = gene_counts(record)["frequency"]
        frequency = frequency[~frequency.index.str.startswith(SPIKE_INS)]
        n_always, n_ever = (frequency == 1).sum(), (frequency > 0).sum()
        label = f"{name}: {n_always} genes in all fits, {n_ever} in any"
        if i == 0:
            shown = frequency.index[:n_ever][:MOST_GENES]
            places = np.arange(len(shown))
            ax.bar(places, frequency[shown], width=0.72, color="0.75", label=label)
        else:
            own = frequency.reindex(shown)
            color = model_color(record)
            ax.plot(places + 0.4 * i - 0.6, own, MARKS[i], color=color, mec="white", label=label)
    name_columns(ax, shown, fontsize=5.5)
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.04), ylabel="fits that keep the gene")
    ax.set_xlabel(f"the {len(shown)} genes with the longest bars")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    legend_above(ax)


def _draw_outputs(ax, models):
    order = None
    for i, (name, model) in enumerate(models.items()):
        record, point = choose_model(model, AT_MOST)
        mean, spread = mean_sd(record.test_feature_r2[:, point])
        if order is None:
            order = np.argsort(-mean, kind="stable")
        places = np.arange(len(order)) + 0.14 * (i - (len(models) - 1) / 2)
        ax.errorbar(
            mean[order],
            places,
            xerr=spread[order],
            fmt=MARKS[i],
            color=model_color(record),
            label=name,
            elinewidth=0.5,
            ms=3,
        )
    grid(ax)
    name_rows(ax, [shortened(name) for name in record.feature_names[order]])
    ax.set_xlabel("test R² (bars: SD over folds)")
    legend_above(ax)
