"""Width of the bottleneck, stability of the kept genes, and R2 of outputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sbnn.plotting.colors import model_color
from sbnn.plotting.common import (
    finish,
    grid,
    legend_above,
    name_columns,
    name_rows,
    new_figure,
    new_panels,
    styled,
)
from sbnn.plotting.labels import shortened
from sbnn.plotting.reading import SPIKE_INS, choose_models, folds_text, mean_sd, scaling_text
from sbnn.results import Record

MARKS = "osD^vX"
MOST_GENES = 36
ERROR = {"capsize": 1.5, "elinewidth": 0.8, "ms": 3.5, "zorder": 6}
AT_MOST = 25  # genes of the models whose outputs are compared


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
    figure, ax = new_panels(2.4)
    _draw_widths(ax, networks)
    return finish(figure)


@styled
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
    >>> default = results.load("saved_models/scala/cv_default.pickle")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle")
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.output_accuracy(models)
    """
    chosen = choose_models(models, AT_MOST)
    figure, ax = new_panels(max(2.5, 0.14 * _n_outputs(chosen) + 1.2))
    _draw_outputs(ax, chosen)
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
        Repeated fits by name. The 36 genes that the first keeps most often are drawn.

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
    chosen = choose_models(models, AT_MOST)
    figure = new_figure(max(4.7, 0.13 * _n_outputs(chosen) + 0.9))
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    above, below = left.subplots(2, 1)
    beside = right.subplots()
    _draw_widths(above, networks)
    _draw_stability(below, selections)
    _draw_outputs(beside, chosen)
    return finish(figure, [[above, below, beside]])


def _n_outputs(chosen):
    return len(next(iter(chosen.values()))[0].feature_names)


def _draw_widths(ax, networks):
    every = set()
    for record, _ in networks.values():
        every |= {point["n_components"] for point in record.params}
    every = sorted(every)
    for i, (name, (record, params)) in enumerate(networks.items()):
        points = record.points(**params)
        points.sort(key=lambda point: record.params[point]["n_components"])
        widths = [record.params[point]["n_components"] for point in points]
        places = np.array([every.index(width) for width in widths])
        mean, spread = mean_sd(record.test_r2[:, points])
        look = {"color": model_color(record), "fmt": f"-{MARKS[i % len(MARKS)]}", "label": name}
        ax.errorbar(places + 0.09 * (i - 0.5), mean, spread, **look, **ERROR)
    ax.set(xlim=(-0.5, len(every) - 0.5), xticks=range(len(every)), xticklabels=every)
    n_genes = round(record.n_selected[:, points].mean())
    settings = f"{n_genes} genes, {folds_text(record)}{scaling_text(record)}"
    ax.set(xlabel=f"units of the bottleneck, d ({settings})", ylabel="test R²")
    ax.yaxis.set_major_locator(MaxNLocator(5))  # else no layout may be found
    legend_above(ax, ncols=2)


def _draw_stability(ax, selections):
    from sbnn.evaluation.stability import gene_counts  # loads scikit-learn

    tables = {}
    for name, record in selections.items():
        table = gene_counts(record)
        tables[name] = table[~table.index.str.startswith(SPIKE_INS)]
    first, *others = tables
    frequency = tables[first]["frequency"]
    kept = frequency[frequency > 0]
    shown = kept[:MOST_GENES]
    places = np.arange(len(shown))
    label = _stability_label(first, frequency)
    if len(shown) < len(kept):
        label += f" ({len(shown)} drawn)"
    ax.bar(places, shown, width=0.72, color="0.75", lw=0, label=label)
    for i, name in enumerate(others, 1):
        color = model_color(selections[name])
        look = {"color": color, "mec": "white", "mew": 0.4, "ms": 3.8}
        moved = places + 0.2 * (2 * i - len(selections))
        own = tables[name]["frequency"]
        label = _stability_label(name, own)
        ax.plot(moved, own.reindex(shown.index), MARKS[i % len(MARKS)], label=label, **look)
    name_columns(ax, shown.index, fontsize=5.5)
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.04), ylabel="fits that keep the gene")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    legend_above(ax)


def _stability_label(name, frequency):
    return f"{name}: {(frequency == 1).sum()} genes in all fits, {(frequency > 0).sum()} in any"


def _draw_outputs(ax, chosen):
    names = next(iter(chosen.values()))[0].feature_names
    means = {}
    for model, (record, point) in chosen.items():
        means[model] = mean_sd(record.test_feature_r2[:, point])
    first = next(iter(means))
    order = np.argsort(-means[first][0], kind="stable")
    rows = np.arange(len(names))
    for i, (model, (mean, spread)) in enumerate(means.items()):
        color = model_color(chosen[model][0])
        look = {"color": color, "mew": 0.8, "ms": 3.2}
        places = rows + 0.14 * min(len(names) / 16, 1) * (i - (len(means) - 1) / 2)
        ax.plot(mean[order], places, MARKS[i % len(MARKS)], label=model, zorder=5 - 0.1 * i, **look)
        if model.startswith("sBNN"):
            error = {"fmt": "none", "ecolor": color, "elinewidth": 0.6, "alpha": 0.7}
            ax.errorbar(mean[order], places, xerr=spread[order], **error)
    grid(ax)
    name_rows(ax, [shortened(name) for name in names[order]])
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel="test R² (bars: SD over folds)")
    legend_above(ax)
