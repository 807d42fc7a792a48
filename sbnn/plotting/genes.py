"""Genes selected before a fit or by halves of the cells, how many suffice, and their effects."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.evaluation.stability import (
    genes_table,
    selection_table,
    selection_threshold,
    trusted_genes,
)
from sbnn.plotting.colors import GREEN, ORANGE, VERMILLION, model_color
from sbnn.plotting.common import (
    DASHES,
    add_colorbar,
    draw_band,
    finish,
    legend_above,
    log_ticks,
    name_columns,
    name_line,
    name_rows,
    new_subplots,
    place_names,
    with_style,
)
from sbnn.plotting.reading import (
    SPIKE_INS,
    folds_text,
    model_title,
    network_name,
    short_name,
)
from sbnn.results import Record

MOST_BARS = 60  # with names that fit side by side
MOST_EFFECTS = 60  # genes and outputs
EFFECT_ROW, EFFECT_FRAME = 0.125, 1.4  # inches: a row, and the space above and below all rows
COLOR_LIMIT_FACTOR = 3  # end of the colour range, relative to the median of the largest effects


@with_style
def gene_selection_curve(
    record: Record, markers: Iterable[str] = (), marker_label: str = "named genes"
) -> Figure:
    """Frequency of near-zero counts against mean expression, and the selection curve.

    Parameters
    ----------
    record : Record
        With the values of a `GeneSelection`.
    markers : iterable of str, optional
        Genes to be named; those that the record does not contain are left out.
    marker_label : str
        What they are, for the legend.

    Returns
    -------
    matplotlib.figure.Figure
        0.1 % of the genes lie beyond the right edge.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> selection = results.load("saved_models/citeseq_cd8/gene_selection.pickle.xz")
    >>> figure = plotting.gene_selection_curve(selection)
    """
    drawn = np.isfinite(record.mean_log2)
    x = record.mean_log2[drawn]
    y = record.near_zero_frequency[drawn]
    selected = record.selected[drawn]
    figure, ax = new_subplots(3.4)
    left_out = ~selected
    _draw_genes(ax, x[left_out], y[left_out], color="0.6", ms=2, label="others")
    label = f"{selected.sum()} selected genes"
    _draw_genes(ax, x[selected], y[selected], color="0.15", ms=3, label=label)
    left, right = x.min() - 0.05, np.quantile(x, 0.999) + 0.05
    ax.set(xlim=(left, right), ylim=(-0.02, 1.03))
    line = np.linspace(left, right, 500)
    fraction = np.exp(-record.slope * (line - record.b)) + record.offset
    rule = f"exp(−{record.slope:g} (x − {record.b:.2f})) + {record.offset:g}"
    ax.plot(line, fraction, color=ORANGE, label=rule)
    ax.set_xlabel(f"mean log₂ count in cells with more than {record.threshold:g}")
    counts = f"at most {record.threshold:g} counts" if record.threshold else "no counts"
    ax.set_ylabel(f"fraction of cells with {counts}")
    named = _positions(record, markers, right)
    if len(named):
        places = np.column_stack([record.mean_log2, record.near_zero_frequency])[named]
        ax.plot(*places.T, ".", color=VERMILLION, ms=5, mew=0, zorder=7, label=marker_label)
    legend_above(ax, ncols=4, markerscale=3)
    finish(figure)
    if len(named):
        place_names(ax, places, record.gene_names[named], beside=True, fontstyle="italic")
    return figure


def _positions(record, markers, right):
    """Positions of named genes that have counts and lie left of the edge."""
    markers = [*markers]
    if not markers:
        return np.array([], int)
    is_drawn = np.isfinite(record.mean_log2) & (record.mean_log2 < right)
    return np.flatnonzero(is_drawn & np.isin(record.gene_names, markers))


def _draw_genes(ax, x, y, color, ms, label):
    ax.plot(x, y, marker=".", ls="", color=color, ms=ms, mew=0, rasterized=True, label=label)


@with_style
def selection_frequencies(record: Record) -> Figure:
    """Selection frequencies of genes over halves of the cells, and the threshold of trusted genes.

    Parameters
    ----------
    record : Record
        From `sbnn.stability_selection`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> halves = results.load("saved_models/scala/halves_distilled.pickle.xz")
    >>> figure = plotting.selection_frequencies(halves)
    """
    table = selection_table(record)
    is_spike_in = table.index.str.startswith(SPIKE_INS)
    table = table[(table["frequency"] > 0) & ~is_spike_in]
    shown = table[:MOST_BARS]
    n_shown, n_kept = len(shown), len(table)
    figure, ax = new_subplots(2.8)
    colors = np.where(shown["trusted"], GREEN, "0.65")
    ax.bar(range(n_shown), shown["frequency"], color=colors)
    threshold = selection_threshold(record)
    if np.isfinite(threshold):
        n_trusted = table["trusted"].sum()
        rule = (
            f"{n_trusted} trusted genes, frequency ≥ {threshold:.2f}: at most 1 false gene expected"
        )
        ax.axhline(threshold, label=rule, color="0.2", lw=0.8, ls=DASHES)
        legend_above(ax)
    ax.set(xlim=(-0.8, n_shown - 0.2), ylim=(0, 1.03))
    ax.set_ylabel(f"frequency over {len(record.folds)} halves")
    model = model_title(record)
    ax.set_xlabel(f"{n_shown} of {n_kept} genes kept at least once ({model})")
    name_columns(ax, shown.index)
    return finish(figure)


@with_style
def genes_curve(record: Record) -> Figure:
    """Test R2 against the number of genes, and the number that suffices.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate` over ``n_genes``. The band shows the sample SD.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> curve = results.load("saved_models/citeseq_cd8/genes_curve.pickle.xz")
    >>> figure = plotting.genes_curve(curve)
    """
    numbers = [point["n_genes"] for point in record.params]
    color = model_color(record)
    figure, ax = new_subplots(2.8)
    ax.plot(numbers, record.test_r2.T, color=color, lw=0.5, alpha=0.35)
    label = f"{folds_text(record)} (thin lines)"
    draw_band(ax, numbers, record.test_r2, color=color, marker="o", ms=3.5, label=label)
    [enough] = genes_table(record).query("suffices").index
    log_ticks(ax, numbers)
    ax.set(xlabel="genes", ylabel="test R²")
    ax.legend(loc="upper left", title=network_name(record, 0), alignment="left", borderaxespad=1)
    # at the end of the grid, more genes might be needed
    is_last = enough == max(numbers)
    text = f"{enough} or more genes needed" if is_last else f"{enough} genes suffice"
    name_line(ax, enough, text, ha="right" if is_last else "left")
    return finish(figure)


@with_style
def effect_map(record: Record, halves: Record | None = None) -> Figure:
    """Heat map of the effect of every gene on every output.

    Parameters
    ----------
    record : Record
        From `sbnn.interpret` or `sbnn.fit_full`.
    halves : Record, optional
        From `sbnn.stability_selection`, to write trusted genes in bold.

    Returns
    -------
    matplotlib.figure.Figure
        In SDs of the output per SD of the gene, for at most 60 genes and outputs, ordered by
        average linkage. The colour range ends at three times the median (over outputs) of the
        largest effect.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> effects = results.load("saved_models/scala/interpretation.pickle.xz")
    >>> figure = plotting.effect_map(effects)
    """
    genes = rows_of_largest_effects(record.effects)
    outputs = rows_of_largest_effects(record.effects[genes].T)
    effects = record.effects[np.ix_(genes, outputs)].T  # (n_outputs, n_genes)
    rows, columns = similar_order(effects), similar_order(effects.T)
    strength = np.abs(effects)
    # not set by one strong output alone
    median = np.median(strength.max(1))
    limit = min(COLOR_LIMIT_FACTOR * median, strength.max())

    n_rows = max(len(outputs), 10)
    figure, ax = new_subplots(EFFECT_ROW * n_rows + EFFECT_FRAME)
    shown = effects[np.ix_(rows, columns)]
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    output_names = record.feature_names[outputs[rows]]
    name_rows(ax, [short_name(name) for name in output_names])
    trusted = [] if halves is None else trusted_genes(halves)
    name_columns(ax, record.kept_genes[genes[columns]], bold=trusted)
    ax.spines[:].set_visible(False)
    label = f"effect: SD of the output\nper SD of the gene, largest {strength.max():.2g}"
    add_colorbar(figure, image, label, ax=ax, fraction=0.02, pad=0.015, extend="both")
    title = model_title(record)
    if "held out" in record.settings:
        left_out = record.settings["held out"].replace("quarter", "quarter of the cells")
        title += f", fitted without {left_out}"
    for positions, names, noun in (
        (genes, record.kept_genes, "genes"),
        (outputs, record.feature_names, "outputs"),
    ):
        if len(positions) < len(names):
            title += f", {len(positions)} of {len(names)} {noun}"
    if halves is not None:
        title += "; bold: trusted genes"
    ax.set_title(title)
    return finish(figure)


def rows_of_largest_effects(effects: np.ndarray) -> np.ndarray:
    """Positions of the rows with the largest effects."""
    strength = np.abs(effects).max(1)
    order = np.argsort(-strength, kind="stable")
    return np.sort(order[:MOST_EFFECTS])


def similar_order(rows: np.ndarray) -> np.ndarray:
    """Similar rows side by side, by average linkage."""
    if len(rows) < 3:
        return np.arange(len(rows))
    return leaves_list(linkage(rows, "average", optimal_ordering=True))
