"""Genes selected before a fit, genes kept by fits to halves of the cells, and how many genes suffice."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sbnn.evaluation.stability import genes_table, selection_table, selection_threshold
from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, model_color
from sbnn.plotting.common import finish, legend_above, log_ticks, name_columns, new_panels, styled
from sbnn.plotting.labels import counted, name_line, place_names

CURVE = (
    "gene_names",
    "mean_log2",
    "near_zero_frequency",
    "selected",
    "slope",
    "b",
    "offset",
    "threshold",
)
# Markers of cortical cell classes, and one gene that all neurons express.
MARKERS = (
    *(
        "Snap25",
        "Gad1",
        "Slc17a7",
        "Pvalb",
        "Sst",
        "Vip",
        "Lamp5",
        "Sncg",
        "Cux2",
        "Fezf2",
        "Foxp2",
        "Rorb",
    ),
    *("Calb2", "Npy", "Th", "Chodl", "Cck", "Tac1", "Reln", "Penk"),
)


@styled
def gene_selection_curve(record, title=None):
    """Frequency of near-zero counts against mean expression for every gene, with the selection
    curve.

    Parameters
    ----------
    record : Record
        Record with the values of a `GeneSelection`. Genes without any count above the threshold
        have no mean and are not drawn.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", CURVE)
    x, y, selected = (
        np.asarray(record.values[name]) for name in ("mean_log2", "near_zero_frequency", "selected")
    )
    drawn = np.isfinite(x)
    place = {gene: i for i, gene in enumerate(record.gene_names)}
    named = [place[gene] for gene in MARKERS if gene in place and drawn[place[gene]]]

    figure, ax = new_panels(3.6)
    low, high = x[drawn].min(), x[drawn].max()
    # a few genes would take up half of the panel
    if (tail := low + 1.5 * (np.quantile(x[drawn], 0.999) - low)) < high:
        high, further, named = tail, drawn & (x > tail), [i for i in named if x[i] <= tail]
        ax.plot(np.full(further.sum(), tail), y[further], ">", color="0.15", ms=4, mew=0)
        beyond = counted(int(further.sum()), "gene") + f" beyond {tail:.1f}"
        ax.annotate(
            beyond, (1, 0.25), xycoords="axes fraction", ha="right", fontsize=6, color="0.3"
        )
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
    more = f"more than {record.threshold:g}" if record.threshold else "a count"
    ax.set(xlabel=f"mean log₂ count in cells with {more}", ylabel=f"fraction of cells {few}")
    rule = f"exp(−{record.slope:g} (x − {record.b:.2f})) + {record.offset:g}"
    # Some genes on the selected side may be left out because they were detected in too few cells.
    scarce = (~selected & drawn & (y > _curve(record, x))).any()
    left_out = "left out" + (" (below the curve, or in too few cells)" if scarce else "")
    dot = {"ls": "", "marker": "o", "ms": 2.5}
    entries = [
        Line2D([], [], color=ORANGE, lw=1.5, label=rule),
        Patch(color=ORANGE, alpha=0.12, lw=0, label="selected side"),
        Line2D(
            [], [], color="0.15", label=f"{selected.sum()} selected of {len(selected)} genes", **dot
        ),
        Line2D([], [], color="0.6", label=left_out, **dot),
    ]
    legend_above(ax, entries, ncols=4)
    if title:
        figure.suptitle(title, fontsize=7.5)
    finish(figure)
    background = np.column_stack([x, y])[drawn]
    place_names(
        ax, places, np.asarray(record.gene_names)[named], background, fontsize=7, fontstyle="italic"
    )
    return figure


def _curve(record, mean_log2):
    return np.exp(-record.slope * (mean_log2 - record.b)) + record.offset


MOST_GENES = 60  # largest number of names that fit side by side
SPIKE_INS = "ERCC-"  # added RNA, which is measured like genes but is not from the cells
TRUSTED, OTHERS = GREEN, "0.65"
MAX_FALSE = 1.0  # expected number of false selections among the trusted genes


@styled
def selection_frequencies(record):
    """Selection frequencies of genes over halves of the cells, with the threshold for trusted
    genes.

    Parameters
    ----------
    record : Record
        Returned by `sbnn.evaluation.fits.stability_selection`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", ["selected", "gene_names", "n_selected"])
    table = selection_table(record)
    threshold = selection_threshold(record, MAX_FALSE)
    shown = table[(table["frequency"] > 0) & ~table.index.str.startswith(SPIKE_INS)].iloc[
        :MOST_GENES
    ]

    figure, ax = new_panels(2.6)
    x, colors = np.arange(len(shown)), np.where(shown["trusted"], TRUSTED, OTHERS)
    ax.vlines(x, 0, shown["frequency"], color=colors, lw=1.2)
    ax.scatter(x, shown["frequency"], c=colors, s=14, lw=0, zorder=3)
    if np.isfinite(threshold):
        ax.axhline(threshold, color="0.2", lw=0.8, ls=(0, (3, 2)))
    hidden = int(table["trusted"].sum() - shown["trusted"].sum())
    trusted = counted(int(table["trusted"].sum()), "trusted gene") + (
        f", {hidden} of them not shown" if hidden else ""
    )
    rule = (
        f"frequency ≥ {threshold:.2f}: at most"
        if np.isfinite(threshold)
        else "no threshold: more than"
    )
    entries = [
        Line2D([], [], marker="o", ms=3.5, color=TRUSTED, label=trusted),
        Line2D([], [], marker="o", ms=3.5, color=OTHERS, label="other genes"),
        Line2D(
            [],
            [],
            color="0.2",
            lw=0.8,
            ls=(0, (3, 2)),
            label=f"{rule} {MAX_FALSE:g} false gene expected",
        ),
    ]
    legend_above(
        ax, entries, ncols=3, title=f"{reading.model_title(record)}; fits to halves of the cells"
    )
    ax.set(
        xlim=(-0.8, len(shown) - 0.2),
        ylim=(0, 1.03),
        ylabel=f"frequency over {len(record.folds)} halves",
    )
    name_columns(ax, shown.index)
    return figure


AUTO = "auto"  # value of n_genes at the grid point where the model chooses the number of genes


@styled
def genes_curve(record):
    """Test R2 against the number of genes, with the smallest number that suffices and the choice of
    ``"auto"``.

    Parameters
    ----------
    record : Record
        Returned by `sbnn.genes_curve`. The band shows the sample SD over folds, and each thin line
        shows one fold.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", ["test_r2", "n_selected"])
    table, color = genes_table(record), model_color(record, 0)
    curve = table.drop(index=AUTO, errors="ignore")
    numbers, points = (
        curve.index.to_numpy(int),
        [g for g, p in enumerate(record.params) if p["n_genes"] != AUTO],
    )
    figure, ax = new_panels(2.6)
    ax.plot(numbers, record.test_r2[:, points].T, color=color, lw=0.5, alpha=0.35)
    ax.fill_between(
        numbers, curve.test_r2 - curve.sd, curve.test_r2 + curve.sd, color=color, alpha=0.12, lw=0
    )
    ax.plot(
        numbers,
        curve.test_r2,
        color=color,
        marker="o",
        ms=3.5,
        label=f"{reading.folds_text(record)} (thin lines)",
    )
    enough = int(table.index[table.suffices][0])
    inside = enough < numbers.max()  # at the end of the grid, more genes might be needed
    name_line(
        ax,
        enough,
        f"{enough} genes suffice" if inside else f"{enough} or more genes needed",
        low=True,
    )
    if AUTO in table.index:
        row = table.loc[AUTO]
        label = f'n_genes="auto": {row.genes:.0f} genes, R² {row.test_r2:.3f}'
        look = {"fmt": "D", "color": "black", "ms": 4, "lw": 1, "capsize": 2, "zorder": 5}
        ax.errorbar(row.genes, row.test_r2, row.sd, label=label, **look)
    log_ticks(ax, np.unique(numbers))
    low, high = numbers.min() / 1.15, numbers.max() * 1.15 * (1 if len(numbers) > 1 else 1.5)
    ax.set(xlim=(low, high), xlabel="genes", ylabel="test R²")
    ax.legend(loc="upper left")
    ax.set_title(reading.network_name(record, 0), loc="left")
    return finish(figure)
