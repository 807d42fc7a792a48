"""Cells placed by measurements or latents: t-SNE, maps side by side, and their trust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from sbnn.plotting.colors import VALUE_COLORS, Groups
from sbnn.plotting.common import (
    FIGURE_WIDTH,
    add_colorbar,
    finish,
    new_subplots,
    with_style,
)
from sbnn.plotting.maps import (
    MOST_SHAPES,
    draw_cloud,
    draw_legend,
    edge_text,
    frame_map,
    map_coordinates,
    name_families,
    subplot_coordinates,
)
from sbnn.plotting.reading import model_title, number_and_noun
from sbnn.results import Record

if TYPE_CHECKING:
    from anndata import AnnData

MAP_MARGIN = 0.03  # around the cells of a map in a square of length 1
NARROWEST_MAP = 0.5  # relative to the height of the highest
HIGHEST_MAP = 3.6  # inches
MEASUREMENTS = ("transcriptome", "outputs")
ERROR_QUANTILE = 0.95  # of the cells, the end of the colour range


@with_style
def tsne_pair(record: Record, titles: tuple[str, str] = MEASUREMENTS) -> Figure:
    """t-SNE of the genes and of the outputs, in the colours of the families.

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
    >>> maps = results.load("saved_models/scala/tsne.pickle.xz")
    >>> figure = plotting.tsne_pair(maps)
    """
    genes_title, outputs_title = titles
    n_components, n_outputs = record.n_transcriptome, record.n_outputs
    genes_method = _tsne_method(n_components, "principal component")
    outputs_method = _tsne_method(n_outputs, "output")
    by_genes = subplot_coordinates(record.transcriptome, proportional=n_components > 2)
    by_outputs = subplot_coordinates(record.outputs, proportional=n_outputs > 2)
    maps = {
        f"{genes_title}\n{genes_method}": by_genes,
        f"{outputs_title}\n{outputs_method}": by_outputs,
    }
    return _draw_cell_maps(maps, Groups(record))


def _tsne_method(n, noun):
    """One or two numbers of a cell are drawn as they are."""
    numbers = number_and_noun(n, noun)
    return f"t-SNE of {numbers}" if n > 2 else numbers


@with_style
def cell_maps(maps: Mapping[str, np.ndarray], adata: AnnData) -> Figure:
    """Maps of the same cells side by side, in the colours of their families.

    Parameters
    ----------
    maps : dict of str to array, shape (n, 2)
        By title.
    adata : AnnData
        With ``obs["family"]``, ``obs["type"]`` and ``uns["type_colors"]`` if known.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> figure = plotting.cell_maps({"true latent space": data.obsm["true_latent"]}, data)
    """
    from sbnn.data.paired import as_paired  # loads scikit-learn

    fitted_maps = {}
    for title, xy in maps.items():
        fitted_maps[title] = subplot_coordinates(xy, proportional=False)
    data = as_paired(adata, check=False)
    return _draw_cell_maps(fitted_maps, Groups(data))


def _draw_cell_maps(maps, groups):
    """Draw maps as high as wide or less, side by side in the same scale."""
    corners = [_corners(xy) for xy in maps.values()]
    # relative to the height of the highest
    height = max(high[1] - low[1] for low, high in corners)
    widths = [max((high[0] - low[0]) / height, NARROWEST_MAP) for low, high in corners]
    if len(maps) == 1:  # has the size of one of two
        widths.append(widths[0])
    inches = min(FIGURE_WIDTH / sum(widths), HIGHEST_MAP)
    figure, subplots = new_subplots(
        inches + 0.7, n_rows=1, n_columns=len(widths), width_ratios=widths
    )
    draw_legend(figure, groups.table, groups.title)
    for ax in subplots:
        frame_map(ax)
    middles = [(low + high) / 2 for low, high in corners]
    for ax, (title, xy), middle, width in zip(
        subplots, maps.items(), middles, widths, strict=False
    ):
        ax.set_title(f"{title}{edge_text(xy)}")
        half = np.array([width, 1]) * height / 2
        (left, bottom), (right, top) = middle - half, middle + half
        ax.set(xlim=(left, right), ylim=(bottom, top))
    finish(figure, [subplots[: len(maps)]])
    for ax, xy in zip(subplots, maps.values(), strict=False):
        draw_cloud(ax, groups, xy)
    return figure


def _corners(xy):
    """Lower left and upper right corner of all cells, with a margin."""
    return xy.min(axis=0) - MAP_MARGIN, xy.max(axis=0) + MAP_MARGIN


@with_style
def map_trust_subplots(record: Record, fit: Record | None = None) -> Figure:
    """Maps coloured by held-out error and by variation over seeds.

    Parameters
    ----------
    record : Record
        From `sbnn.map_trust`.
    fit : Record, optional
        The fit that was assessed, to name it and its families; its t-SNE is drawn if the map has
        more than two dimensions.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> trust = results.load("saved_models/scala/map_trust.pickle.xz")
    >>> figure = plotting.map_trust_subplots(trust)
    """
    figure, (left, right) = new_subplots(2.8, n_rows=1, n_columns=2)
    n_components = record.latent.shape[1]
    if n_components <= 2:
        xy = subplot_coordinates(record.latent, proportional=False)
    elif fit is not None:
        xy = map_coordinates(fit)
    else:
        raise ValueError(f"fit: needed to draw a map of {n_components} dimensions by its t-SNE")
    mean_error = np.nanmean(record.errors)
    left.set_title(f"held-out cells: mean error {mean_error:.2f}{edge_text(xy)}")
    dots = _draw_errors(left, xy, record.errors)
    _add_error_bar(figure, dots, left, label="mean squared error of a cell (z-scores)")
    r2 = record.agreement  # of each seed
    lowest, highest = r2.min(), r2.max()
    seeds = number_and_noun(len(r2), "other seed")
    right.set_title(f"maps of {seeds}: R² {lowest:.2f} to {highest:.2f}")
    dots = _draw_errors(right, xy, record.spread)
    _add_error_bar(figure, dots, right, label="distance moved / map size")
    if fit is not None:
        figure.supxlabel(model_title(fit), fontsize=7)
    finish(figure, [[left, right]])
    if fit is not None:
        groups = Groups(fit)
        name_families(left, groups, xy)
        name_families(right, groups, xy)
    return figure


def _draw_errors(ax, xy, errors):
    """Draw cells in the colours of their errors, the largest on top."""
    n_finite = np.isfinite(errors).sum()
    order = np.argsort(errors, kind="stable")[:n_finite]
    x, y = xy[order].T
    dots = ax.scatter(
        x,
        y,
        c=errors[order],
        s=np.clip(5000 / len(xy), 1, 9),
        lw=0,
        cmap=VALUE_COLORS,
        vmin=0,
        vmax=np.nanquantile(errors, ERROR_QUANTILE),
    )
    dots.set_rasterized(len(xy) > MOST_SHAPES)
    frame_map(ax)
    return dots


def _add_error_bar(figure, dots, ax, label):
    add_colorbar(figure, dots, label, ax=ax, fraction=0.035, pad=0.02, extend="max")
