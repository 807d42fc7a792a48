"""Accuracy of several models, width of the bottleneck, and stability of the kept genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sbnn.errors import check_among
from sbnn.evaluation.stability import gene_counts, trusted_genes
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import (
    draw_differences,
    draw_folds,
    draw_grid,
    finish,
    legend_above,
    log_ticks,
    name_columns,
    name_rows,
    new_figure,
    new_subplots,
    with_style,
)
from sbnn.plotting.reading import (
    SPIKE_INS,
    choose_model,
    folds_text,
    list_numbers,
    mean_and_sd,
    number_and_noun,
    output_r2,
    scaling_text,
    short_name,
)
from sbnn.results import Record

ACCURACY_ROW = 0.25  # inches
LOWEST_R2 = -1.1  # the axis ends here
MODEL_MARKERS = "osD^vXP*<>"
STABILITY_GENES = 36
OFTEN_KEPT = 0.9  # of the halves
WIDTH_SPACING = 1.03  # factor between the widths of models
MOST_GENES_COMPARED = 25  # of the models whose outputs are compared


@with_style
def accuracy_comparison(
    models: Mapping[str, Record | tuple[Record, dict]],
    n_genes: int = 25,
    references: Sequence[str] = (),
) -> Figure:
    """Test R2 of several models on one data set, and their differences from some of them.

    Parameters
    ----------
    models : dict of str to Record or (Record, dict)
        Cross-validations by name, with parameters of grid points.
    n_genes : int
        Of a path of penalties, the point with the most genes up to this number.
    references : list of str
        Names of the models from which differences are drawn, by default the first one.

    Returns
    -------
    matplotlib.figure.Figure
        On the left, small dots are the folds in order, from top to bottom; those below -1 lie
        outside. Large dots are means with their SD over the folds. On the right are paired
        differences from each reference with the 95 % interval of `sbnn.verdict`, if another model
        has the same three or more folds.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> distilled = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle.xz")
    >>> models = {"sBNN, d = 2": (distilled, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.accuracy_comparison(models, references=[*models])
    """
    chosen = {name: choose_model(model, n_genes) for name, model in models.items()}
    records = [record for record, _ in chosen.values()]
    compared = {}
    for reference in references or [*models][:1]:
        check_among("references", reference, models)
        differences = _compare_with(chosen[reference], chosen.values())
        if sum(difference is not None for difference in differences) > 1:
            compared[reference] = differences
    height = 0.85 + ACCURACY_ROW * len(models)
    figure, [subplots] = new_subplots(
        height,
        n_rows=1,
        n_columns=1 + len(compared),
        sharey=True,
        squeeze=False,
    )
    ax = subplots[0]
    names = []
    for y, (name, (record, point)) in enumerate(chosen.items()):
        size = number_and_noun(record.n_genes(point), "gene")
        names.append(f"{short_name(name, 40)}, {size}")
        draw_folds(ax, y, record.test_r2[:, point], color=model_color(record))
    name_rows(ax, names)
    _limit_r2(ax)
    draw_grid(ax)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    settings = f"{folds_text(*records)}{scaling_text(*records)}"
    ax.set_xlabel(f"test R² (dots: folds)\n{settings}")
    for beside, (reference, differences) in zip(subplots[1:], compared.items(), strict=True):
        _draw_model_differences(beside, differences, records, reference)
        _limit_r2(beside)
    return finish(figure, [subplots])


def _compare_with(reference, models):
    from sbnn.evaluation.verdict import differences_from  # loads scikit-learn

    return differences_from(reference=reference, models=list(models))


def _limit_r2(ax):
    low, high = ax.get_xlim()
    ax.set_xlim(max(low, LOWEST_R2), min(high, 1.1))


def _draw_model_differences(ax, differences, records, reference, markers="o"):
    """Draw differences of the test R2 from a model."""
    draw_differences(
        ax,
        differences,
        colors=[model_color(record) for record in records],
        reference=short_name(reference),
        markers=markers,
    )


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
    >>> distilled = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> figure = plotting.bottleneck_widths({"distilled": (distilled, {})})
    """
    figure, ax = new_subplots(2.4)
    _draw_width_accuracy(ax, networks)
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
    >>> distilled = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle.xz")
    >>> models = {"sBNN, d = 2": (distilled, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.output_accuracy(models)
    """
    figure, ax = new_subplots(2.5)
    _draw_output_accuracy(ax, models)
    legend_above(ax)
    n_outputs = len(ax.get_yticks())
    figure.set_figheight(max(2.5, 0.14 * n_outputs + 1.2))
    return finish(figure)


@with_style
def width_and_stability(
    networks: Mapping[str, tuple[Record, dict]],
    selections: Mapping[str, Record],
    models: Mapping[str, Record | tuple[Record, dict]],
    outputs_of: Sequence[str] = (),
) -> Figure:
    """R2 by bottleneck width, how often each gene is kept, and R2 of models and every output.

    Parameters
    ----------
    networks, models : dict
        As in `bottleneck_widths` and `output_accuracy`.
    selections : dict of str to Record
        From `sbnn.stability_selection` by name; genes are the 36 that the first keeps most often,
        with its trusted genes in bold.
    outputs_of : list of str
        Names of the models whose outputs are drawn, by default all.

    Returns
    -------
    matplotlib.figure.Figure
        Differences of models from the first are those of `accuracy_comparison`.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> distilled = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> halves = results.load("saved_models/scala/halves_distilled.pickle.xz")
    >>> networks = {"distilled": (distilled, {})}
    >>> models = {"sBNN, d = 2": (distilled, {"n_components": 2})}
    >>> figure = plotting.width_and_stability(networks, {"halves of the cells": halves}, models)
    """
    chosen = [choose_model(model, MOST_GENES_COMPARED) for model in models.values()]
    records = [record for record, _ in chosen]
    figure = new_figure(4.9)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.75, 1))[0]
    above, below = left.subplots(2, 1)
    _draw_width_accuracy(above, networks)
    _draw_stability(below, selections)
    differences = _compare_with(chosen[0], chosen)
    shown = {name: models[name] for name in outputs_of or models if name in models}
    if not any(differences[1:]):
        beside = right.subplots()
        _draw_output_accuracy(beside, shown)
        legend_above(beside)
        return finish(figure, [[above, below, beside]])
    compared, outputs = right.subplots(2, 1, height_ratios=(1, 2.3))
    names = [*models]
    _draw_model_differences(compared, differences, records, names[0])
    name_rows(compared, [short_name(name) for name in names])
    _draw_output_accuracy(outputs, shown)
    legend_above(outputs)
    return finish(figure, [[above, below, compared, outputs]])


def _draw_width_accuracy(ax, networks):
    records = [record for record, _ in networks.values()]
    all_widths, numbers_of_genes = set(), []
    for i, (name, (record, params)) in enumerate(networks.items()):
        points = record.points(**params)
        points.sort(key=lambda point: record.params[point]["n_components"])
        widths = np.array([record.params[point]["n_components"] for point in points])
        mean, sd = mean_and_sd(record.test_r2[:, points])
        ax.errorbar(
            widths * WIDTH_SPACING**i,
            mean,
            sd,
            color=model_color(record),
            fmt=f"-{MODEL_MARKERS[i]}",
            ms=3.5,
            label=name,
            capsize=1.5,
            elinewidth=0.8,
        )
        all_widths |= {*widths.tolist()}
        numbers_of_genes.append(round(record.n_selected[:, points].mean()))
    log_ticks(ax, sorted(all_widths))
    n_genes = list_numbers(numbers_of_genes)
    settings = f"{n_genes} genes, {folds_text(*records)}{scaling_text(*records)}"
    ax.set(xlabel=f"units of the bottleneck, d ({settings})", ylabel="test R²")
    ax.yaxis.set_major_locator(MaxNLocator(5))  # else no layout may be found
    legend_above(ax, ncols=2)


def _draw_stability(ax, selections):
    """Bars for the first halves, which choose the genes, and markers for the others."""
    frequencies = {name: gene_frequency(record) for name, record in selections.items()}
    first = next(iter(frequencies.values()))
    n_ever = (first > 0).sum()
    genes = first.index[:n_ever][:STABILITY_GENES]
    places = np.arange(len(genes))
    for i, (name, frequency) in enumerate(frequencies.items()):
        n_often = (frequency >= OFTEN_KEPT).sum()
        n_halves = len(selections[name].folds)
        label = f"{name}, {n_halves} halves: {n_often} genes on {OFTEN_KEPT:.0%} or more"
        color = model_color(selections[name])
        if i == 0:
            ax.bar(places, frequency[genes], width=0.72, color=color, alpha=0.5, label=label)
        else:
            kept = frequency.reindex(genes)
            ax.plot(places, kept, MODEL_MARKERS[i], color=color, mec="white", label=label)
    halves = next(iter(selections.values()))
    name_columns(ax, genes, bold=trusted_genes(halves), fontsize=5.5)
    ax.set(xlim=(-0.8, len(genes) - 0.2), ylim=(0, 1.04), ylabel="halves with the gene")
    ax.set_xlabel(f"the {len(genes)} genes with the longest bars (bold: trusted)")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    legend_above(ax)


def gene_frequency(record: Record) -> pd.Series:
    """How often each gene is kept, without added RNA."""
    frequency = gene_counts(record)["frequency"]
    is_spike_in = frequency.index.str.startswith(SPIKE_INS)
    return frequency[~is_spike_in]


def _draw_output_accuracy(ax, models):
    first, *_ = models.values()
    record, point = choose_model(first, MOST_GENES_COMPARED)
    order = np.argsort(-record.test_feature_r2[:, point].mean(0), kind="stable")
    names = record.feature_names[order]
    for i, (name, model) in enumerate(models.items()):
        record, point = choose_model(model, MOST_GENES_COMPARED)
        mean, sd = mean_and_sd(output_r2(record, point, names))
        shift = min(0.14, 0.7 / len(models)) * (i - (len(models) - 1) / 2)  # stays in its row
        ax.errorbar(
            mean,
            np.arange(len(names)) + shift,
            xerr=sd,
            fmt=MODEL_MARKERS[i],
            color=model_color(record),
            label=name,
            elinewidth=0.5,
            ms=3,
        )
    draw_grid(ax)
    name_rows(ax, [short_name(name) for name in names])
    ax.set_xlabel("test R² (bars: SD over folds)")
