"""Which genes have more near-zero counts than their expression level explains."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE, ORANGE
from sbnn.plotting.common import freeze_layout, legend_above, new_figure, styled
from sbnn.plotting.labels import place_names

SELECTION = "a record of a gene selection"
NEEDED = ("gene_names", "mean_log2", "near_zero_frequency", "selected", "slope", "b", "offset", "threshold")
# Genes that tell cortical cell classes apart, and one that all neurons express.
MARKERS = (
    *("Snap25", "Gad1", "Slc17a7", "Pvalb", "Sst", "Vip", "Lamp5", "Sncg", "Cux2", "Fezf2", "Foxp2", "Rorb"),
    *("Calb2", "Npy", "Th", "Chodl", "Cck", "Tac1", "Reln", "Penk"),
)


@styled
def gene_selection_curve(record, title=None):
    """Frequency of near-zero counts against mean expression of every gene, with the curve that selects.

    Parameters
    ----------
    record : Record
        With the values of `GeneSelection`. Genes without any count above the threshold have no mean and are not drawn.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", SELECTION, NEEDED)
    x, y, selected = (np.asarray(record.values[name]) for name in ("mean_log2", "near_zero_frequency", "selected"))
    drawn = np.isfinite(x)
    place = {gene: i for i, gene in enumerate(record.gene_names)}
    named = [place[gene] for gene in MARKERS if gene in place and drawn[place[gene]]]

    figure = new_figure(3.6)
    ax = figure.subplots()
    low, high = x[drawn].min(), x[drawn].max()
    margin = 0.02 * max(high - low, 1)
    ax.set(xlim=(low - margin, high + margin), ylim=(-0.02, 1.03))
    line = np.linspace(*ax.get_xlim(), 500)
    curve = _curve(record, line)
    ax.fill_between(line, curve.clip(max=2), 2, color=ORANGE, alpha=0.12, lw=0)
    for chosen, color in ((~selected & drawn, "0.6"), (selected & drawn, "0.15")):
        ax.plot(x[chosen], y[chosen], ".", color=color, ms=2, mew=0, rasterized=True)
    ax.plot(line, curve, color=ORANGE, lw=1.5)
    places = np.column_stack([x[named], y[named]])
    ax.plot(*places.T, "o", ms=3.2, mfc=BLUE, mec="white", mew=0.4, zorder=5)
    few = f"with at most {record.threshold:g} counts" if record.threshold else "without a count"
    ax.set(
        xlabel=f"mean log₂ count of the cells with more than {record.threshold:g}", ylabel=f"fraction of cells {few}"
    )
    rule = f"exp(−{record.slope:g} (x − {record.b:.2f})) + {record.offset:g}"
    # Genes on the selected side that were seen in too few cells to judge.
    scarce = (~selected & drawn & (y > _curve(record, x))).any()
    left_out = "left out" + (" (below the curve, or in too few cells)" if scarce else "")
    dot = {"ls": "", "marker": "o", "ms": 2.5}
    entries = [
        Line2D([], [], color=ORANGE, lw=1.5, label=rule),
        Patch(color=ORANGE, alpha=0.12, lw=0, label="selected side"),
        Line2D([], [], color="0.15", label=f"{selected.sum()} selected of {len(selected)} genes", **dot),
        Line2D([], [], color="0.6", label=left_out, **dot),
    ]
    legend_above(ax, entries, ncols=4)
    if title:
        figure.suptitle(title, fontsize=7.5)
    freeze_layout(figure)
    background = np.column_stack([x, y])[drawn]
    place_names(ax, places, np.asarray(record.gene_names)[named], background, fontsize=7, fontstyle="italic")
    return figure


def _curve(record, mean_log2):
    return np.exp(-record.slope * (mean_log2 - record.b)) + record.offset
