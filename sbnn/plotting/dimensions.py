"""Cells placed by measurements or latents: t-SNE, maps side by side, their trust, and bibiplot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from sbnn.plotting.colors import VALUE_COLORS, Groups, color_untyped
from sbnn.plotting.common import (
    FIGURE_WIDTH,
    LEADER,
    NAME_STYLE,
    add_colorbar,
    finish,
    new_subplots,
    spread_apart,
    with_style,
)
from sbnn.plotting.maps import (
    MOST_SHAPES,
    draw_cells,
    draw_cloud,
    draw_legend,
    edge_text,
    frame_map,
    map_coordinates,
    name_families,
    subplot_coordinates,
)
from sbnn.plotting.reading import model_title, number_and_noun, short_name
from sbnn.results import Record

if TYPE_CHECKING:
    from anndata import AnnData

MAP_MARGIN = 0.03  # around the cells of a map in a square of length 1
NARROWEST_MAP = 0.5  # relative to the height of the highest
HIGHEST_MAP = 3.6  # inches
MEASUREMENTS = ("transcriptome", "outputs")
ERROR_QUANTILE = 0.95  # of the cells, the end of the colour range
CIRCLE_RADIUS = 2.5  # SDs of a latent at which a correlation of 1 is drawn
NAME_RADIUS = 1.12 * CIRCLE_RADIUS
NAME_SPACING = 0.13  # of heights of names around a circle of radius 1
ROOM_FOR_NAMES = 1.6  # end of the axes, in radii of the circle
CIRCLE_LETTERS = 14  # of a name
SHORTEST_LINE = 0.3  # in correlations
MOST_LINES = 16  # in a subplot


@with_style
def tsne_pair(record: Record, titles: tuple[str, str] = MEASUREMENTS) -> Figure:
    """t-SNE of the genes and of the outputs, in the colours of the types.

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
    """Maps of the same cells side by side, in the colours of their types.

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


@with_style
def bibiplot(record: Record) -> Figure:
    """Cells in the latent space with correlations of genes (left) and of outputs (right).

    On the right, a linear regression of the latents on the outputs places the cells. A line shows
    the correlations of a gene or an output with both latents; it ends on the circle if they explain
    it fully. After Kobak et al. (2021), who draw loadings on the right.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full` for a model with two latents.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    >>> figure = plotting.bibiplot(fit)
    """
    if record.latent.shape[1] != 2:
        raise ValueError(f"record: expected 2 latents, got {record.latent.shape[1]}")
    from sklearn.preprocessing import scale  # slow to load

    record = color_untyped(record)
    latents = scale(record.latent.astype(float))
    genes = scale(record.expression.astype(float))
    outputs = scale(record.outputs.astype(float))
    coefficients, *_ = np.linalg.lstsq(outputs, latents)
    from_outputs = scale(outputs @ coefficients)

    groups = Groups(record)
    figure, subplots = new_subplots(FIGURE_WIDTH / 2 + 0.6, n_rows=1, n_columns=2)
    left, right = subplots
    draw_legend(figure, groups.table, groups.title)
    # correlations, as all columns are scaled
    gene_lines = longest_lines(record.kept_genes, genes.T @ latents / len(latents))
    output_lines = longest_lines(record.feature_names, outputs.T @ from_outputs / len(latents))
    _draw_circle(left, groups, latents, source="genes")
    _draw_circle(right, groups, from_outputs, source="outputs")
    n_genes = len(record.kept_genes)
    left.set_title(f"{len(gene_lines)} of {n_genes} genes drawn, circle: r = 1")
    n_outputs = len(record.feature_names)
    right.set_title(f"{len(output_lines)} of {n_outputs} outputs drawn, circle: r = 1")
    finish(figure, [subplots])
    _draw_lines(left, gene_lines, fontstyle="italic")
    _draw_lines(right, output_lines, fontstyle="normal")
    return figure


def _draw_circle(ax, groups, xy, source):
    """Draw cells, and the circle of perfect correlation."""
    # all cells, but the circle is a third of the subplot at least; others are drawn at its edge
    farthest = min(np.abs(xy).max(), 3 * CIRCLE_RADIUS)
    limit = 1.05 * max(farthest, ROOM_FOR_NAMES * CIRCLE_RADIUS)
    xy = xy.clip(-limit, limit)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    ax.set(xlabel=f"unit 1 of the cells, from {source} (SD)", ylabel="unit 2 (SD)")
    draw_cells(ax, xy, groups.colors)
    ax.add_patch(Circle((0, 0), CIRCLE_RADIUS, fill=False, lw=0.5, color="0.5"))


def _draw_lines(ax, lines, fontstyle):
    """Draw lines from the centre with their names around the circle, after the layout."""
    correlations = lines.to_numpy()
    for x, y in CIRCLE_RADIUS * correlations:
        ax.plot([0, x], [0, y], color="0.1", lw=0.7, zorder=3)
    if not len(lines):
        return
    places = name_places(correlations)
    for name, tip, (x, y) in zip(lines.index, CIRCLE_RADIUS * correlations, places, strict=True):
        ax.annotate(
            short_name(name, CIRCLE_LETTERS),
            xy=tip,
            xytext=(x, y),
            ha="left" if x > 0 else "right",
            fontstyle=fontstyle,
            arrowprops=LEADER,
            **NAME_STYLE,
        )


def name_places(directions: np.ndarray) -> np.ndarray:
    """Places around the circle near directions, (n, 2), at different heights on each side."""
    points = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    for side in (points[:, 0] > 0, points[:, 0] <= 0):
        heights = spread_apart(points[side, 1], NAME_SPACING, low=-1, high=1)
        points[side, 1] = heights
        across = np.sqrt(1 - heights.clip(-0.99, 0.99) ** 2)
        points[side, 0] = np.where(points[side, 0] > 0, across, -across)
    return NAME_RADIUS * points


def longest_lines(names: np.ndarray, correlations: np.ndarray) -> pd.DataFrame:
    """Names and correlations of the longest lines."""
    lines = pd.DataFrame(correlations, names)
    length = np.hypot(lines[0], lines[1]).round(6)
    length = length.sort_values(ascending=False, kind="stable")
    long_enough = length.index[length >= SHORTEST_LINE]
    return lines.loc[long_enough[:MOST_LINES]]
