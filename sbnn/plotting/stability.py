"""How often each gene is kept: by fits with other seeds, and by fits of other cells."""

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D

from sbnn.evaluation.stability import gene_counts, selection_table, selection_threshold, selections
from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE, GREEN
from sbnn.plotting.common import new_figure, styled
from sbnn.plotting.labels import shortened

MOST_GENES = 60  # names that fit side by side
FITS = "a record of repeated fits"
PAIRS = "a record of a stability selection"
NEEDED = ("selected", "gene_names", "n_selected")
KEPT, TRUSTED, OTHERS = BLUE, GREEN, "0.65"
MAX_FALSE = 1.0  # false selections expected among the trusted genes
ROW = 0.11  # inches, of a fit in the matrix


@styled
def stability_matrix(record):
    """Which fit kept which gene, and above it in how many fits each gene was kept.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.repeats.repeat_fits`.

    Returns
    -------
    matplotlib.figure.Figure
        Genes from left to right by falling count, those of equal count in the order of the data.
    """
    reading.require(record, "record", FITS, NEEDED)
    selected, counts = selections(record), gene_counts(record)["count"]
    counts = counts[counts > 0]
    shown = counts.index[:MOST_GENES]
    if not len(shown):
        raise ValueError("record: no fit kept any gene")
    place = {gene: i for i, gene in enumerate(record.gene_names)}
    matrix = selected[:, [place[gene] for gene in shown]]
    n_fits = len(matrix)

    height = ROW * min(max(n_fits, 6), 30)
    figure = new_figure(height + 2.0)
    bars, ax = figure.subplots(2, 1, sharex=True, height_ratios=(0.8, height))
    x = np.arange(len(shown))
    bars.bar(x, counts[shown], width=0.8, color=KEPT)
    for count, places in pd.Series(x).groupby(counts[shown].to_numpy()):  # equal bars share a number
        above = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 5.5}
        bars.annotate(str(count), (places.mean(), count), (0, 1), **above)
    bars.set(ylabel="fits", ylim=(0, 1.25 * n_fits), yticks=[0, n_fits])
    bars.set_title(_counted(counts, shown, n_fits), loc="left")
    bars.tick_params(axis="x", length=0)
    # Cells with a white line between them, as long as there is room for it.
    lines = {"edgecolors": "white", "linewidth": 0.6} if n_fits <= 30 else {}
    edges = np.arange(len(shown) + 1) - 0.5, np.arange(n_fits + 1) - 0.5
    ax.pcolormesh(*edges, matrix, cmap=ListedColormap(["0.94", KEPT]), vmin=0, vmax=1, **lines)
    ax.set(xlim=(-0.6, len(shown) - 0.4), ylim=(n_fits - 0.5, -0.5), ylabel="fit")
    ax.set_xticks(x, map(shortened, shown), rotation=90, fontstyle="italic")
    ax.set_yticks([0, n_fits - 1] if n_fits > 1 else [0], ["1", str(n_fits)] if n_fits > 1 else ["1"])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    figure.align_ylabels()
    return figure


def _counted(counts, shown, n_fits):
    """Title: how many genes there are, and how many are not shown."""
    always = int((counts == n_fits).sum())
    text = f"{len(counts)} genes kept by at least one of {n_fits} fits, {always} by all"
    left = len(counts) - len(shown)
    return text + (f"; {left} more not shown, each kept by at most {counts.iloc[len(shown)]}" if left else "")


@styled
def selection_frequencies(record):
    """How often halves of the cells keep each gene, with the frequency from which on it is trusted.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.repeats.stability_selection`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", PAIRS, NEEDED)
    table = selection_table(record)
    threshold = selection_threshold(record, MAX_FALSE)
    shown = table[table["frequency"] > 0].iloc[:MOST_GENES]
    if shown.empty:
        raise ValueError("record: no fit kept any gene")

    figure = new_figure(2.6)
    ax = figure.subplots()
    x, colors = np.arange(len(shown)), np.where(shown["trusted"], TRUSTED, OTHERS)
    ax.vlines(x, 0, shown["frequency"], color=colors, lw=1.2)
    ax.scatter(x, shown["frequency"], c=colors, s=14, lw=0, zorder=3)
    if np.isfinite(threshold):
        ax.axhline(threshold, color="0.2", lw=0.8, ls=(0, (3, 2)))
    hidden = int(table["trusted"].sum() - shown["trusted"].sum())
    trusted = f"{table['trusted'].sum()} trusted genes" + (f", {hidden} of them not shown" if hidden else "")
    rule = f"from {threshold:.2f} on" if np.isfinite(threshold) else "at no frequency"
    entries = [
        Line2D([], [], marker="o", ms=3.5, color=TRUSTED, label=trusted),
        Line2D([], [], marker="o", ms=3.5, color=OTHERS, label="other genes"),
        Line2D([], [], color="0.2", lw=0.8, ls=(0, (3, 2)), label=f"at most {MAX_FALSE:g} false expected, {rule}"),
    ]
    ax.legend(
        handles=entries, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, title=reading.model_title(record),
        alignment="left",
    )  # fmt: skip
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.03), ylabel=f"frequency over {len(record.folds)} halves")
    ax.set_xticks(x, map(shortened, shown.index), rotation=90, fontstyle="italic")
    ax.tick_params(axis="x", length=0)
    return figure
