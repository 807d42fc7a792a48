"""The two measurements without a model: variance of their principal components, and a map of each."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from sbnn.plotting import reading
from sbnn.plotting.cells import MARGIN, draw_cloud, draw_legend
from sbnn.plotting.colors import BLUE, Groups
from sbnn.plotting.common import WIDTH, finish, log_ticks, new_figure, new_panels, styled
from sbnn.plotting.labels import counted
from sbnn.plotting.latent import place_panel
from sbnn.plotting.maps import panel_coordinates

LEVELS = (0.5, 0.75, 0.9, 0.99)
DECADES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)


@styled
def component_variance(record, titles=("transcriptome", "outputs")):
    """Share of the variance in each principal component, and its cumulative sum, for the genes and
    for the outputs.

    Parameters
    ----------
    record : Record
        Returned by `sbnn.evaluation.maps.principal_components`.
    titles : pair of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", ("transcriptome", "outputs"))
    figure, panels = new_panels(2.3, 1, 2)
    for ax, name, title in zip(panels, ("transcriptome", "outputs"), titles, strict=True):
        shares = np.asarray(record.values[name])
        total, places = shares.cumsum(), np.arange(1, len(shares) + 1)
        few = len(shares) <= 50
        ax.plot(places, total, color="black", marker="." if few else None, label="cumulative")
        ax.plot(places, shares, color=BLUE, marker="." if few else None, label="per component")
        for level in LEVELS:
            n = int(np.searchsorted(total, level - 1e-9)) + 1
            if n <= len(shares):
                ax.plot([1, n, n], [level, level, 0], color="0.5", lw=0.6, ls="--", zorder=1)
                look = {
                    "fontsize": 6,
                    "color": "0.3",
                    "bbox": {"facecolor": "white", "lw": 0, "pad": 0.5},
                }
                ax.annotate(
                    f"{level:.0%}: {n}", (n, level), (3, -7), textcoords="offset points", **look
                )
        ax.set(xlabel="principal component", ylabel="share of the variance", ylim=(0, 1.03))
        if few:
            ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        else:
            log_ticks(ax, [tick for tick in DECADES if tick <= len(shares)])
        if len(shares) < 8:
            ax.set(xlim=(0.5, len(shares) + 0.5), xticks=places)
        ax.set_title(f"{title}: {counted(len(shares), 'component')}", loc="left")
    # If few components hold most of the variance, the right of the panel is free of curves and
    # numbers.
    free = 5 <= len(shares) <= 50 and total[int(0.4 * len(shares)) - 1] >= 0.5
    panels[1].legend(
        loc="center right" if free else "best", frameon=True, framealpha=1, edgecolor="white"
    )
    return finish(figure, [panels])


METHODS = {1: "first principal component", 2: "two principal components"}
GAP, HEADING = 0.3, 0.3  # inches
SIDE = (WIDTH - 2 * MARGIN - GAP) / 2


@styled
def tsne_pair(record, titles=("transcriptome", "outputs"), fit=None):
    """t-SNE of the genes and t-SNE of the outputs, with cells in the colours of their types.

    Parameters
    ----------
    record : Record
        Returned by `sbnn.evaluation.maps.tsne_maps`.
    titles : pair of str
    fit : Record, optional
        Returned by `sbnn.fit_full` for the same cells. If no type is known, colours show clusters
        of the outputs in this record.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(
        record,
        "record",
        ["transcriptome", "outputs", "n_transcriptome", "n_outputs", "labels", "colors"],
    )
    if fit is not None:
        reading.require(fit, "fit", ["labels", "colors"], record)
    figure, groups = new_figure(1, "none"), Groups(fit or record)
    room = draw_legend(figure, groups.table, groups.title)[1] + 0.2
    figure.set_size_inches(WIDTH, height := room + SIDE + HEADING)
    for i, (name, heading) in enumerate(zip(("transcriptome", "outputs"), titles, strict=True)):
        left, n_components = MARGIN + i * (SIDE + GAP), record.values[f"n_{name}"]
        ax = place_panel(figure, left, room, SIDE, SIDE)
        xy, note = panel_coordinates(record.values[name], proportional=n_components > 2)
        draw_cloud(ax, groups, xy, note, np.clip(9000 / len(xy), 1, 14))
        method = METHODS.get(n_components, f"t-SNE of {n_components} principal components")
        top = (room + SIDE + 0.1) / height
        figure.text(left / WIDTH, top, "ab"[i], fontsize=9, fontweight="bold")
        figure.text(
            (left + SIDE / 2) / WIDTH, top, f"{heading}: {method}", fontsize=7.5, ha="center"
        )
    return figure
