"""Principal components of the two measurements, and maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from sbnn.plotting.cells import draw_cloud, draw_legend
from sbnn.plotting.colors import BLUE, Groups, groups_of
from sbnn.plotting.common import (
    LETTER,
    MARGIN,
    WIDTH,
    finish,
    log_ticks,
    new_figure,
    new_panels,
    place_panel,
    styled,
    write,
)
from sbnn.plotting.labels import counted
from sbnn.plotting.maps import panel_coordinates
from sbnn.results import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from matplotlib.figure import Figure

    from sbnn.results import Record


PARTS = ("transcriptome", "outputs")
LEVELS = (0.5, 0.75, 0.9, 0.99)
LEVEL = {
    "fontsize": 6,
    "color": "0.3",
    "textcoords": "offset points",
    "bbox": {"facecolor": "white", "lw": 0, "pad": 0.5},
}
DECADES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
FEW = 50  # components that are drawn on a linear axis


@styled
def component_variance(record: Record, titles: tuple[str, str] = PARTS) -> Figure:
    """Share of the variance in each principal component, and its cumulative sum, for both parts.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.maps.principal_components`.
    titles : pair of str

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> components = results.load("saved_models/scala/components.pickle")
    >>> figure = plotting.component_variance(components)
    """
    require(record, "record", PARTS)
    _check_titles(titles)
    figure, panels = new_panels(2.3, 1, 2)
    for ax, name, title in zip(panels, PARTS, titles, strict=True):
        shares = record.values[name]
        _draw_shares(ax, shares)
        ax.set_title(f"{title}: {counted(len(shares), 'component')}", loc="left")
    # the right of the panel is free
    first = shares[: int(0.4 * len(shares))].sum()
    place = "center right" if 5 <= len(shares) <= FEW and first >= 0.5 else "best"
    panels[1].legend(loc=place, frameon=True, framealpha=1, edgecolor="white")
    return finish(figure, [panels])


def _check_titles(titles):
    if not isinstance(titles, tuple | list) or len(titles) != 2:
        raise ValueError(f"titles: expected a pair of texts, got {titles!r}")


def _draw_shares(ax, shares):
    n = len(shares)
    total = shares.cumsum()
    places = np.arange(1, n + 1)
    marker = "." if n <= FEW else None
    ax.plot(places, total, color="black", marker=marker, label="cumulative")
    ax.plot(places, shares, color=BLUE, marker=marker, label="per component")
    for level in LEVELS:
        for needed in places[total >= level - 1e-9][:1]:
            corner = ([1, needed, needed], [level, level, 0])
            ax.plot(*corner, color="0.5", lw=0.6, ls="--", zorder=1)
            ax.annotate(f"{level:.0%}: {needed}", (needed, level), (3, -7), **LEVEL)
    ax.set(xlabel="principal component", ylabel="share of the variance", ylim=(0, 1.03))
    if n < 8:
        ax.set(xlim=(0.5, n + 0.5), xticks=places)
    elif n <= FEW:
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    else:
        log_ticks(ax, [tick for tick in DECADES if tick <= n])


METHODS = {1: "first principal component", 2: "two principal components"}
GAP, HEADING = 0.3, 0.3  # inches
SIDE = (WIDTH - 2 * MARGIN - GAP) / 2


@styled
def tsne_pair(record: Record, titles: tuple[str, str] = PARTS, fit: Record | None = None) -> Figure:
    """t-SNE of the genes and t-SNE of the outputs, with cells in the colours of their types.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.maps.tsne_maps`.
    titles : pair of str
    fit : Record, optional
        From `sbnn.fit_full` for the same cells, for clusters of the outputs if no type is known.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> maps = results.load("saved_models/scala/tsne.pickle")
    >>> figure = plotting.tsne_pair(maps)
    """
    sizes = [f"n_{name}" for name in PARTS]
    require(record, "record", [*PARTS, *sizes, "labels", "colors"])
    _check_titles(titles)
    if fit is not None:
        require(fit, "fit", ["labels", "colors"], record)
    groups = Groups(fit or record)
    figure = new_figure(1, "none")
    _, height = draw_legend(figure, groups.table, groups.title)
    low = height + 0.2
    figure.set_size_inches(WIDTH, low + SIDE + HEADING)
    for i, (name, title) in enumerate(zip(PARTS, titles, strict=True)):
        left = MARGIN + i * (SIDE + GAP)
        ax = place_panel(figure, left, low, SIDE, SIDE)
        n_components = record.values[sizes[i]]
        xy, note = panel_coordinates(record.values[name], proportional=n_components > 2)
        draw_cloud(ax, groups, xy, note, np.clip(9000 / len(xy), 1, 14))
        method = METHODS.get(n_components, f"t-SNE of {n_components} principal components")
        write(figure, left, low + SIDE + 0.1, "ab"[i], **LETTER)
        text = f"{title}: {method}"
        write(figure, left + SIDE / 2, low + SIDE + 0.1, text, fontsize=7.5, ha="center")
    return figure


@styled
def cell_maps(maps: Mapping[str, np.ndarray], adata: AnnData) -> Figure:
    """Maps of the same cells side by side, in the colours of their types.

    Parameters
    ----------
    maps : dict of str to array, shape (n, 2)
        Coordinates of the cells, by title.
    adata : AnnData
        The cells, with ``obs["family"]``, ``obs["type"]`` and ``uns["type_colors"]`` if known.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> figure = plotting.cell_maps({"true latent space": data.obsm["true_latent"]}, data)
    """
    groups = groups_of(adata)
    n_columns = max(len(maps), 2)  # a single map has the size of one of two
    side = (WIDTH - 2 * MARGIN - (n_columns - 1) * GAP) / n_columns
    figure = new_figure(1, "none")
    _, height = draw_legend(figure, groups.table, groups.title)
    low = height + 0.2
    figure.set_size_inches(WIDTH, low + side + HEADING)
    for i, (title, xy) in enumerate(maps.items()):
        left = MARGIN + i * (side + GAP)
        ax = place_panel(figure, left, low, side, side)
        xy, note = panel_coordinates(xy, proportional=False)
        draw_cloud(ax, groups, xy, note, np.clip(6000 / len(xy), 1, 9))
        letter = f"{'abcdefgh'[i]}  " if len(maps) > 1 else ""
        write(figure, left, low + side + 0.1, letter, **LETTER)
        write(figure, left + side / 2, low + side + 0.1, title, fontsize=7.5, ha="center")
    return figure
