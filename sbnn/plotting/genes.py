"""Genes selected before a fit or by halves of the cells, and how many suffice."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbnn.evaluation.stability import genes_table, selection_table, selection_threshold
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, model_color
from sbnn.plotting.common import (
    finish,
    legend_above,
    log_ticks,
    name_columns,
    new_panels,
    styled,
)
from sbnn.plotting.labels import DASHES, name_line, place_names
from sbnn.plotting.reading import SPIKE_INS, folds_text, model_title, network_name
from sbnn.results import Record

# of cortical cell classes, and one gene that all neurons express
MARKERS = ("Snap25", "Gad1", "Slc17a7", "Pvalb", "Sst", "Vip", "Lamp5", "Sncg", "Cux2", "Fezf2")
MARKERS += ("Foxp2", "Rorb", "Calb2", "Npy", "Th", "Chodl", "Cck", "Tac1", "Reln", "Penk")


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
        Markers of cell classes are named; 0.1 % of the genes lie beyond the right edge.

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
    figure, ax = new_panels(3.4)
    low, high = genes.x.min(), genes.x.quantile(0.999)
    margin = 0.05 * max(high - low, 1)
    ax.set(xlim=(low - margin, high + margin), ylim=(-0.02, 1.03))
    line = np.linspace(*ax.get_xlim(), 500)
    curve = selection_curve(record, line)
    n_selected = record.selected.sum()
    for name, own, look in (
        ("others", genes[~genes.selected], {"color": "0.6", "ms": 2}),
        (f"{n_selected} selected genes", genes[genes.selected], {"color": "0.15", "ms": 3}),
    ):
        ax.plot(own.x, own.y, ".", mew=0, rasterized=True, label=name, **look)
    rule = f"exp(−{record.slope:g} (x − {record.b:.2f})) + {record.offset:g}"
    ax.plot(line, curve, color=ORANGE, lw=1.5, label=rule)
    named = genes.loc[genes.index.intersection(MARKERS), ["x", "y"]]
    named = named[named.x < ax.get_xlim()[1]]
    ax.plot(*named.to_numpy().T, "o", ms=3.2, mfc=BLUE, mec="white", mew=0.4, zorder=5)
    ax.set_xlabel(f"mean log₂ count in cells with more than {record.threshold:g}")
    ax.set_ylabel(f"fraction of cells with at most {record.threshold:g} counts")
    legend_above(ax, ncols=3)
    finish(figure)
    place_names(ax, named.to_numpy(), named.index, fontsize=7, fontstyle="italic")
    return figure


def selection_curve(record, mean_log2):
    """Frequency above which genes are selected."""
    return np.exp(-record.slope * (mean_log2 - record.b)) + record.offset


MOST_GENES = 60  # names that fit side by side
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
    for own, color, name in (
        (shown["trusted"], GREEN, f"{table['trusted'].sum()} trusted genes"),
        (~shown["trusted"], "0.65", "others"),
    ):
        ax.vlines(x[own], 0, shown["frequency"][own], color=color, lw=1.2)
        ax.plot(x[own], shown["frequency"][own], "o", color=color, ms=3.5, label=name)
    threshold = selection_threshold(record, MAX_FALSE)
    if np.isfinite(threshold):
        rule = f"frequency ≥ {threshold:.2f}: at most {MAX_FALSE:g} false gene expected"
        ax.axhline(threshold, label=rule, color="0.2", lw=0.8, ls=DASHES)
    legend_above(ax, ncols=3)
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.03))
    ax.set_ylabel(f"frequency over {len(record.folds)} halves")
    ax.set_xlabel(f"{len(shown)} of {len(kept)} genes kept at least once ({model_title(record)})")
    name_columns(ax, shown.index)
    return finish(figure)


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
    color = model_color(record)
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
    ax.legend(loc="lower right", title=network_name(record, 0))
    # at the end of the grid, more genes might be needed
    name_line(ax, enough, f"{enough} suffice" if enough < numbers.max() else f"{enough} or more")
    return finish(figure)
