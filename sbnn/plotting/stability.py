"""How often each gene is kept by fits of other cells."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.evaluation.stability import selection_table, selection_threshold
from sbnn.plotting import reading
from sbnn.plotting.colors import GREEN
from sbnn.plotting.common import legend_above, name_columns, new_figure, styled

MOST_GENES = 60  # names that fit side by side
PAIRS = "a record of a stability selection"
NEEDED = ("selected", "gene_names", "n_selected")
TRUSTED, OTHERS = GREEN, "0.65"
MAX_FALSE = 1.0  # false selections expected among the trusted genes


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
    legend_above(ax, entries, ncols=3, title=reading.model_title(record))
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.03), ylabel=f"frequency over {len(record.folds)} halves")
    name_columns(ax, shown.index)
    return figure
