"""Maps of each measurement alone, and maps side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from sbnn.plotting.cells import draw_cloud, draw_legend, frame_map
from sbnn.plotting.colors import Groups, groups_of
from sbnn.plotting.common import WIDTH, finish, new_panels, styled
from sbnn.plotting.maps import panel_coordinates
from sbnn.results import Record

PARTS = ("transcriptome", "outputs")
METHODS = {1: "first principal component", 2: "two principal components"}


@styled
def tsne_pair(record: Record, titles: tuple[str, str] = PARTS) -> Figure:
    """t-SNE of the genes and t-SNE of the outputs, with cells in the colours of their types.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.maps.tsne_maps`.
    titles : pair of str

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> maps = results.load("saved_models/scala/tsne.pickle")
    >>> figure = plotting.tsne_pair(maps)
    """
    maps = {}
    for name, title in zip(PARTS, titles, strict=True):
        n_components = record.values[f"n_{name}"]
        method = METHODS.get(n_components, f"t-SNE of {n_components} principal components")
        xy = panel_coordinates(record.values[name], proportional=n_components > 2)
        maps[f"{title}, {method}"] = xy
    return _draw_maps(maps, Groups(record))


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
    height = draw_legend(figure, groups.table, groups.title)
    figure.set_figheight(WIDTH / n_columns + height + 0.2)
    for ax, title in itertools.zip_longest(panels, maps):
        frame_map(ax)
        ax.set_title(title)
    finish(figure, [panels[: len(maps)]])
    for ax, xy in zip(panels, maps.values(), strict=False):
        draw_cloud(ax, groups, xy, np.clip(18000 / n_columns / len(xy), 1, 14))
    return figure
