"""Principal components of the two measurements, and maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sbnn.plotting.cells import draw_cloud, draw_legend, frame_map
from sbnn.plotting.colors import BLUE, Groups, groups_of
from sbnn.plotting.common import WIDTH, finish, log_ticks, new_panels, styled
from sbnn.plotting.maps import panel_coordinates
from sbnn.results import Record

PARTS = ("transcriptome", "outputs")
LEVEL = 0.9  # of the variance
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
    _check_titles(titles)
    figure, panels = new_panels(2.3, 1, 2)
    for ax, name, title in zip(panels, PARTS, titles, strict=True):
        shares = record.values[name]
        needed = _draw_shares(ax, shares)
        text = f"{title}: {needed} of {len(shares)} components hold {LEVEL:.0%}"
        ax.set_title(text, loc="left")
    panels[1].legend(loc="center right")
    return finish(figure, [panels])


def _check_titles(titles):
    if not isinstance(titles, tuple | list) or len(titles) != 2:
        raise ValueError(f"titles: expected a pair of texts, got {titles!r}")


def _draw_shares(ax, shares):
    """Return the number of components that hold most of the variance."""
    n = len(shares)
    total = shares.cumsum()
    places = np.arange(1, n + 1)
    marker = "." if n <= FEW else None
    ax.plot(places, total, color="black", marker=marker, label="cumulative")
    ax.plot(places, shares, color=BLUE, marker=marker, label="per component")
    needed = np.searchsorted(total, LEVEL - 1e-9) + 1
    corner = [1, needed, needed], [LEVEL, LEVEL, 0]
    ax.plot(*corner, color="0.5", lw=0.6, ls="--", zorder=1)
    ax.set(xlabel="principal component", ylabel="share of the variance", ylim=(0, 1.03))
    if n < 8:
        ax.set(xlim=(0.5, n + 0.5), xticks=places)
    elif n <= FEW:
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    else:
        log_ticks(ax, [tick for tick in DECADES if tick <= n])
    return needed


METHODS = {1: "first principal component", 2: "two principal components"}


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
        Titles give the share of cells whose family prevails among their 15 neighbours on the map,
        as in `sbnn.neighbour_accuracy`.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> maps = results.load("saved_models/scala/tsne.pickle")
    >>> figure = plotting.tsne_pair(maps)
    """
    from sbnn.evaluation.neighbours import NEIGHBOURS, vote  # loads scikit-learn

    _check_titles(titles)
    groups = Groups(fit or record)
    families = groups.families.astype(str)
    maps = {}
    for name, title in zip(PARTS, titles, strict=True):
        n_components = record.values[f"n_{name}"]
        xy, note = panel_coordinates(record.values[name], proportional=n_components > 2)
        method = METHODS.get(n_components, f"t-SNE of {n_components} principal components")
        notes = [method, note] if note else [method]
        share = vote(xy, families, NEIGHBOURS)
        if share < 1:  # NaN with few cells, 1 with one family
            title += f": neighbours give the family of {share:.0%} of the cells"
        maps[title] = xy, "; ".join(notes)
    return _draw_maps(maps, groups)


@styled
def cell_maps(maps: Mapping[str, np.ndarray], adata) -> Figure:
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
    placed = {title: panel_coordinates(xy, proportional=False) for title, xy in maps.items()}
    return _draw_maps(placed, groups_of(adata))


def _draw_maps(maps, groups):
    """A single map has the size of one of two."""
    n_columns = max(len(maps), 2)
    figure, panels = new_panels(1, 1, n_columns)
    _, height = draw_legend(figure, groups.table, groups.title, loc="outside lower left")
    figure.set_figheight(WIDTH / n_columns + height + 0.35)
    shown = panels[: len(maps)]
    for ax in panels[len(maps) :]:
        ax.remove()
    for ax, (title, (_, note)) in zip(shown, maps.items(), strict=True):
        frame_map(ax, note)
        ax.set_title(title)
    finish(figure, [shown] if len(maps) > 1 else ())
    for ax, (xy, _) in zip(shown, maps.values(), strict=True):
        draw_cloud(ax, groups, xy, np.clip(18000 / n_columns / len(xy), 1, 14))
    return figure
