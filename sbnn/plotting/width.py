"""Width of the bottleneck, stability of the kept genes, and R2 of outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sbnn.plotting.colors import model_color
from sbnn.plotting.common import (
    finish,
    legend_above,
    name_columns,
    name_rows,
    new_figure,
    new_panels,
    styled,
)
from sbnn.plotting.reading import choose_models, folds_text, mean_sd, scaling_text
from sbnn.results import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from sbnn.results import Record


MARKS = "osD^vX"
MOST_GENES = 36
LINE = 8.5  # points, of numbers below an axis


@styled
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
    >>> default = results.load("saved_models/scala/cv_default.pickle")
    >>> figure = plotting.bottleneck_widths({"distilled": (default, {})})
    """
    figure, ax = new_panels(2.4, 1, 1)
    _draw_widths(ax, networks)
    return finish(figure)


@styled
def output_accuracy(models: Mapping[str, Record | tuple[Record, dict]]) -> Figure:
    """Test R2 of every output, sorted by the first model; bars of networks are SDs over folds.

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
    >>> default = results.load("saved_models/scala/cv_default.pickle")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle")
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.output_accuracy(models)
    """
    names = next(iter(choose_models(models, 25).values()))[0].feature_names
    figure, ax = new_panels(max(2.5, 0.14 * len(names) + 1.2), 1, 1)
    _draw_outputs(ax, models, names)
    return finish(figure)


@styled
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
        Repeated fits by name, such as from `sbnn.stability_selection`. The 36 genes that the first
        record keeps most often are drawn.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> default = results.load("saved_models/scala/cv_default.pickle")
    >>> halves = results.load("saved_models/scala/halves_default.pickle")
    >>> networks = {"distilled": (default, {})}
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2})}
    >>> figure = plotting.width_and_stability(networks, {"halves of the cells": halves}, models)
    """
    names = next(iter(choose_models(models, 25).values()))[0].feature_names
    figure = new_figure(max(4.7, 0.13 * len(names) + 0.9))
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    above, below = left.subplots(2, 1)
    beside = right.subplots()
    _draw_widths(above, networks)
    _draw_stability(below, selections)
    _draw_outputs(beside, models, names)
    return finish(figure, [[above, beside], [below]], "acb")


def _draw_widths(ax, networks):
    every = set()
    for name, (record, _) in networks.items():
        require(record, f"networks[{name!r}]", ["test_r2", "n_selected", "n_components"])
        every |= {point["n_components"] for point in record.params}
    every = sorted(every)
    for i, (name, (record, params)) in enumerate(networks.items()):
        points = record.points(**params)
        points.sort(key=lambda point: record.params[point]["n_components"])
        widths = [record.params[point]["n_components"] for point in points]
        places = np.array([every.index(width) for width in widths])
        mean, spread = mean_sd(record.test_r2[:, points])
        look = {"color": model_color(record, points[0]), "marker": MARKS[i]}
        error = {"capsize": 1.5, "elinewidth": 0.8, "fmt": "-", "ms": 3.5, "zorder": 6}
        ax.errorbar(places + 0.09 * (i - 0.5), mean, spread, **error, **look)
        ax.plot([], [], label=name, **look)
        _write_below(ax, places, mean, -12 - LINE * i, look["color"])
    ax.set(xlim=(-0.5, len(every) - 0.5), xticks=range(len(every)), xticklabels=every)
    ax.set_ylabel("test R²")
    ax.set_xlabel("units of the bottleneck", labelpad=2.5 + LINE * len(networks))
    ax.yaxis.set_major_locator(MaxNLocator(5))  # else the layout may not be found
    n_genes = round(record.n_selected[:, points].mean())
    title = f"{n_genes} genes, {folds_text(record)}{scaling_text(record)}"
    legend_above(ax, ncols=2, title=title)


def _write_below(ax, places, values, down, color):
    at = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    look = {"va": "top", "ha": "center", "color": color, "fontsize": 6.5}
    for place, value in zip(places, values, strict=True):
        ax.annotate(f"{value:.3f}", (place, 0), (0, down), **at, **look)


def _draw_stability(ax, selections):
    from sbnn.evaluation.stability import gene_counts  # loads scikit-learn

    shown = None
    for i, (name, record) in enumerate(selections.items()):
        table = gene_counts(record)
        is_kept = table["count"] > 0
        n_always = (table["frequency"] == 1).sum()
        n_fits = record.selected[..., 0].size
        label = f"{name}: {n_always} genes in all {n_fits} fits, {is_kept.sum()} in any"
        if shown is None:
            shown = table.index[is_kept][:MOST_GENES]
            if is_kept.sum() > MOST_GENES:
                label += f" ({MOST_GENES} shown)"
            places = np.arange(len(shown))
            ax.bar(places, table["frequency"][shown], width=0.72, color="0.75", lw=0, label=label)
            continue
        look = {"color": model_color(record, 0), "mec": "white", "mew": 0.4, "ms": 3.8}
        moved = places + 0.2 * (2 * i - len(selections))
        ax.plot(moved, table["frequency"].reindex(shown), MARKS[i], label=label, **look)
    name_columns(ax, shown, fontsize=5.5)
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.04), ylabel="fits that keep the gene")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    legend_above(ax)


def _draw_outputs(ax, models, names):
    chosen = choose_models(models, 25)
    rows = np.arange(len(names))
    used = []
    order = None
    for i, (model, (record, point)) in enumerate(chosen.items()):
        color = model_color(record, point)
        mean, spread = mean_sd(record.test_feature_r2[:, point])
        if order is None:
            order = np.argsort(-mean, kind="stable")
        # the second model of a colour is hollow
        look = {"color": color, "mfc": "white" if color in used else color, "mew": 0.8, "ms": 3.2}
        used.append(color)
        places = rows + 0.14 * min(len(names) / 16, 1) * (i - (len(chosen) - 1) / 2)
        ax.plot(mean[order], places, MARKS[i], label=model, zorder=5 - 0.1 * i, **look)
        if model.startswith("sBNN"):
            error = {"fmt": "none", "ecolor": color, "elinewidth": 0.6, "alpha": 0.7}
            ax.errorbar(mean[order], places, xerr=spread[order], **error)
    if min(line.get_xdata().min() for line in ax.lines) < 0:
        ax.axvline(0, color="0.6", lw=0.5, zorder=0)
    name_rows(ax, [names[j] for j in order])
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel="test R² of the output")
    legend_above(ax, title="bars: SD over folds")
