"""Genes selected before a fit or by halves of the cells, and how many suffice."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sbnn.evaluation.stability import genes_table, selection_table, selection_threshold
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, model_color
from sbnn.plotting.common import (
    finish,
    headline,
    legend_above,
    log_ticks,
    name_columns,
    new_panels,
    styled,
)
from sbnn.plotting.labels import DASHES, counted, name_line, place_names, signed
from sbnn.plotting.reading import SPIKE_INS, folds_text, model_title, network_name
from sbnn.results import Record

# of cortical cell classes, and one gene that all neurons express
MARKERS = ("Snap25", "Gad1", "Slc17a7", "Pvalb", "Sst", "Vip", "Lamp5", "Sncg", "Cux2", "Fezf2")
MARKERS += ("Foxp2", "Rorb", "Calb2", "Npy", "Th", "Chodl", "Cck", "Tac1", "Reln", "Penk")
DOT = {"ls": "", "marker": "o", "ms": 2.5}


@styled
def gene_selection_curve(record: Record) -> Figure:
    """Frequency of near-zero counts against mean expression of every gene, and the selection curve.

    Parameters
    ----------
    record : Record
        With the values of a `GeneSelection`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> selection = results.load("saved_models/citeseq_cd8/gene_selection.pickle")
    >>> figure = plotting.gene_selection_curve(selection)
    """
    genes = pd.DataFrame({"selected": record.selected}, index=record.gene_names)
    genes["x"] = record.mean_log2
    genes["y"] = record.near_zero_frequency
    genes = genes[np.isfinite(genes.x)]
    figure, ax = new_panels(3.6)
    low = genes.x.min()
    # else a few genes would take up half of the panel
    high = low + 1.5 * (genes.x.quantile(0.999) - low)
    xlabel = f"mean log₂ count in cells with more than {record.threshold:g}"
    n_beyond = (genes.x > high).sum()
    if n_beyond:
        xlabel += f"; {counted(n_beyond, 'gene')} beyond {high:.1f} drawn at the edge"
    genes["x"] = genes.x.clip(upper=high)
    margin = 0.02 * max(genes.x.max() - low, 1)
    ax.set(xlim=(low - margin, genes.x.max() + margin), ylim=(-0.02, 1.03))

    line = np.linspace(*ax.get_xlim(), 500)
    curve = selection_curve(record, line)
    look = {"color": ORANGE, "alpha": 0.12, "lw": 0, "label": "selected side"}
    side = ax.fill_between(line, curve.clip(max=2), 2, **look)
    left_out = genes[~genes.selected]
    selected = genes[genes.selected]
    ax.plot(left_out.x, left_out.y, ".", color="0.6", ms=2, mew=0, rasterized=True)
    ax.plot(selected.x, selected.y, ".", color="0.15", ms=3, mew=0, rasterized=True)
    rule = f"exp(−{record.slope:g} (x − {record.b:.2f})) + {record.offset:g}"
    (border,) = ax.plot(line, curve, color=ORANGE, lw=1.5, label=rule)
    named = genes.loc[genes.index.intersection(MARKERS), ["x", "y"]]
    ax.plot(*named.to_numpy().T, "o", ms=3.2, mfc=BLUE, mec="white", mew=0.4, zorder=5)
    ax.set(xlabel=xlabel, ylabel=f"fraction of cells with at most {record.threshold:g} counts")

    n_selected = f"{record.selected.sum()} of {len(record.selected)} genes"
    headline(figure, f"{n_selected} are near zero in more cells than their mean suggests")
    others = "left out (below the curve, or in too few cells)"
    dark = Line2D([], [], color="0.15", label="selected", **DOT)
    pale = Line2D([], [], color="0.6", label=others, **DOT)
    legend_above(ax, [border, side, dark, pale], ncols=4)
    finish(figure)
    look = {"fontsize": 7, "fontstyle": "italic"}
    place_names(ax, named.to_numpy(), named.index, genes[["x", "y"]], **look)
    return figure


def selection_curve(record, mean_log2):
    """Frequency above which genes are selected."""
    return np.exp(-record.slope * (mean_log2 - record.b)) + record.offset


MOST_GENES = 60  # names that fit side by side
TRUSTED, OTHERS = GREEN, "0.65"
MAX_FALSE = 1.0  # expected false genes among the trusted ones


@styled
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
    >>> halves = results.load("saved_models/scala/halves_default.pickle")
    >>> figure = plotting.selection_frequencies(halves)
    """
    table = selection_table(record)
    of_cells = ~table.index.str.startswith(SPIKE_INS)
    kept = table[(table["frequency"] > 0) & of_cells]
    shown = kept.iloc[:MOST_GENES]

    figure, ax = new_panels(2.8)
    x = np.arange(len(shown))
    colors = np.where(shown["trusted"], TRUSTED, OTHERS)
    ax.vlines(x, 0, shown["frequency"], color=colors, lw=1.2)
    ax.scatter(x, shown["frequency"], c=colors, s=14, lw=0, zorder=3)
    dashed = {"color": "0.2", "lw": 0.8, "ls": DASHES}
    threshold = selection_threshold(record, MAX_FALSE)
    rule = "no threshold: more than"
    if np.isfinite(threshold):
        ax.axhline(threshold, **dashed)
        rule = f"frequency ≥ {threshold:.2f}: at most"
    green = Line2D([], [], marker="o", ms=3.5, color=TRUSTED, label="trusted")
    grey = Line2D([], [], marker="o", ms=3.5, color=OTHERS, label="others")
    dashes = Line2D([], [], label=f"{rule} {MAX_FALSE:g} false gene expected", **dashed)
    legend_above(ax, [green, grey, dashes], ncols=3)
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.03))
    ax.set_ylabel(f"frequency over {len(record.folds)} halves")
    ax.set_xlabel(f"{len(shown)} of {len(kept)} genes kept at least once ({model_title(record)})")
    name_columns(ax, shown.index)
    n_halves = len(record.folds)
    found = f"{counted(table['trusted'].sum(), 'trusted gene')} from {n_halves} halves"
    if not np.isfinite(threshold):
        found = f"Trusted genes are unknown: {n_halves} halves are too few"
    headline(figure, found)
    return figure


@styled
def genes_curve(record: Record) -> Figure:
    """Test R2 against the number of genes, and the number that suffices.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate` with a grid of ``n_genes``. The band shows the sample SD, thin
        lines the folds.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> curve = results.load("saved_models/citeseq_cd8/genes_curve.pickle")
    >>> figure = plotting.genes_curve(curve)
    """
    curve = genes_table(record)
    numbers = curve.index.to_numpy(int)
    color = model_color(record, 0)
    figure, ax = new_panels(2.8)
    ax.plot(numbers, record.test_r2.T, color=color, lw=0.5, alpha=0.35)
    low, high = curve.test_r2 - curve.sd, curve.test_r2 + curve.sd
    ax.fill_between(numbers, low, high, color=color, alpha=0.12, lw=0)
    label = f"{folds_text(record)} (thin lines)"
    ax.plot(numbers, curve.test_r2, color=color, marker="o", ms=3.5, label=label)
    enough = curve.index[curve.suffices][0]
    log_ticks(ax, np.unique(numbers))
    ax.set(xlabel="genes", ylabel="test R²")
    ax.yaxis.set_major_formatter("{x:.2f}")
    ax.legend(loc="upper left", title=network_name(record, 0))
    # at the end of the grid, more genes might be needed
    text = "genes suffice" if enough < numbers.max() else "or more genes needed"
    name_line(ax, enough, f"{enough} {text}", low=True)
    headline(figure, f"{enough} {text}: test R² {signed(curve.test_r2[enough], 3)}")
    return finish(figure)
