"""Maps of each measurement alone, and maps side by side."""

from __future__ import annotations

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
    groups = Groups(fit or record)
    maps = {}
    for name, title in zip(PARTS, titles, strict=True):
        n_components = record.values[f"n_{name}"]
        xy, note = panel_coordinates(record.values[name], proportional=n_components > 2)
        method = METHODS.get(n_components, f"t-SNE of {n_components} principal components")
        notes = [method, note] if note else [method]
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
