"""Maps of cells: their places, the cells with their families, and the predictions between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.tri import Triangulation
from scipy.spatial import cKDTree

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.colors import MOST_LEGEND_ENTRIES, Groups
from sbnn.plotting.common import FIGURE_WIDTH, add_colorbar, place_names
from sbnn.plotting.reading import short_name
from sbnn.results import Record

# more cells are drawn as an image in a PDF, to save space
MOST_SHAPES = 5000
MOST_SHADES = 8  # of a family in a legend
COLOR_LEVELS = 64  # of a map
PREDICTION_LIMITS = (-2.0, 2.0)  # z-scores, the same for all maps
TAIL_FRACTION = 0.005  # of the cells on each side, beyond the usual range
#: Distance of ordinary cells, and of cells at the edge, from the middle of a subplot of length 1.
ORDINARY, AT_EDGE = 0.47, 0.49
STRETCH = 2.8  # sides of triangles over empty space, in units of the spacing


def map_coordinates(record: Record) -> np.ndarray:
    """`subplot_coordinates` of a fit."""
    # units of latent dimensions are arbitrary
    return subplot_coordinates(record.embedding, proportional=record.latent.shape[1] > 2)


def subplot_coordinates(xy: Any, proportional: bool) -> np.ndarray:
    """Coordinates in a square from 0 to 1.

    An axis holds all cells, but is at most three times as long as the range of all but the last
    0.5 % of the cells on each side. Cells that are farther away are placed at the edge.
    """
    xy = np.array(xy, float)
    if xy.shape[1] == 1 or np.ptp(xy[:, 1]) == 0:
        # a second axis without a meaning
        jitter = np.random.default_rng(0).uniform(size=len(xy))
        xy = np.column_stack([xy[:, 0], jitter])
    low, high = np.quantile(xy, [TAIL_FRACTION, 1 - TAIL_FRACTION], axis=0)
    usual = np.maximum(high - low, 1e-9)
    if proportional:
        usual = usual.max()
    start = np.maximum(xy.min(axis=0), low - usual)
    end = np.minimum(xy.max(axis=0), high + usual)
    size = end - start
    if proportional:
        size = size.max()
    places = 0.5 + 2 * ORDINARY * (xy - (start + end) / 2) / np.maximum(size, 1e-9)
    places = np.where(xy < start, 0.5 - AT_EDGE, places)
    return np.where(xy > end, 0.5 + AT_EDGE, places)


def edge_text(xy: np.ndarray) -> str:
    """How many cells `subplot_coordinates` has placed at the edge, such as " (2 at the edge)"."""
    is_at_edge = np.abs(xy - 0.5) > (ORDINARY + AT_EDGE) / 2
    n_cells = is_at_edge.any(axis=1).sum()
    return f" ({n_cells} at the edge)" if n_cells else ""


def draw_cells(ax: Axes, xy: np.ndarray, colors: np.ndarray) -> None:
    """Draw cells in random order."""
    order = np.random.default_rng(0).permutation(len(xy))
    x, y = xy[order].T
    size = np.clip(6000 / len(xy), 1, 12)
    dots = ax.scatter(x, y, s=size, c=colors[order], lw=0)
    dots.set_rasterized(len(xy) > MOST_SHAPES)


def frame_map(ax: Axes) -> None:
    """Prepare a subplot for a map."""
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def draw_cloud(ax: Axes, groups: Groups, xy: np.ndarray) -> None:
    """Draw cells and name families, after the layout."""
    draw_cells(ax, xy, groups.colors)
    name_families(ax, groups, xy)


def name_families(ax: Axes, groups: Groups, xy: np.ndarray) -> None:
    """Name known families, after the layout."""
    families = groups.table.index.drop(UNKNOWN, errors="ignore")
    if groups.has_names and 2 <= len(families) <= MOST_LEGEND_ENTRIES:
        name_groups(ax, xy, groups.families, names=families)


def name_groups(ax: Axes, xy: np.ndarray, groups: np.ndarray, names: pd.Index) -> None:
    """Names at the middle cells of groups, (n_cells,)."""
    middles = np.array([_middle_cell(xy[groups == name]) for name in names])
    place_names(ax, middles, [short_name(name) for name in names])


def _middle_cell(xy):
    """Place of the cell nearest to the median, as there may be none at the median itself."""
    distances = np.linalg.norm(xy - np.median(xy, axis=0), axis=1)
    return xy[distances.argmin()]


def draw_legend(
    figure: FigureBase,
    table: pd.DataFrame,
    title: str,
    shades: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Draw a legend such as "Pvalb (286)" below a figure; of several shades at most eight."""
    dots: list[Any] = []
    labels = []
    for name, count, color in table[:MOST_LEGEND_ENTRIES].itertuples():
        labels.append(f"{short_name(name)} ({count})")
        colors = [color] if shades is None else shades[name][:MOST_SHADES]
        dots.append(tuple(Line2D([], [], color=each, marker="o", ms=4, ls="") for each in colors))
    rare = table["count"][MOST_LEGEND_ENTRIES:]
    if len(rare):
        labels.append(f"{len(rare)} others ({rare.sum()})")
        dots.append((Line2D([], [], ls=""),))
    n_dots = max(map(len, dots))
    n_letters = max(map(len, labels))
    figure.legend(
        dots,
        labels,
        title=title,
        loc="outside lower left",
        ncols=int(FIGURE_WIDTH / (0.055 * n_letters + 0.23 + 0.075 * n_dots)),  # inches
        alignment="left",
        handletextpad=0.1,
        handlelength=0.4 + 0.8 * n_dots,
        handler_map={tuple: HandlerTuple(ndivide=n_dots, pad=0)},
    )


def map_triangles(xy: np.ndarray) -> Triangulation | None:
    """Delaunay triangles except over empty regions, or None."""
    places = np.unique(xy, axis=0)  # which cells may share
    n_places = min(11, len(places))  # the cell itself and ten others
    distances, _ = cKDTree(places).query(xy, [n_places])
    distances = distances.ravel()
    spacing = np.minimum(distances, np.quantile(distances, 0.9))
    x, y = xy.T
    try:
        triangles = Triangulation(x, y)
    except (RuntimeError, ValueError):  # too few cells, or all on a line
        return None
    corners = xy[triangles.triangles]
    edges = corners - np.roll(corners, 1, axis=1)
    sides = np.linalg.norm(edges, axis=2)
    usual = np.median(spacing[triangles.triangles], axis=1)
    hidden = sides.max(1) > STRETCH * usual
    triangles.set_mask(hidden)
    return None if hidden.all() else triangles


def draw_map(
    ax: Axes,
    triangles: Triangulation | None,
    values: np.ndarray,
    limits: Any = PREDICTION_LIMITS,
) -> None:
    """Draw predicted values over the cells."""
    if triangles is not None:
        low, high = limits
        high = max(high, low + 1e-6)  # values may be constant
        levels = np.linspace(low, high, COLOR_LEVELS + 1)
        regions = ax.tricontourf(triangles, values, levels, extend="both")
        regions.set_rasterized(True)


def draw_colorbar(figure: FigureBase, limits: Any = PREDICTION_LIMITS, **options: Any) -> None:
    """Draw the colour bar of maps of predictions."""
    low, high = limits
    add_colorbar(
        figure,
        ScalarMappable(Normalize(low, high)),
        label="prediction (z-score)",
        location="bottom",
        extend="both",
        aspect=25,
        pad=0.02,
        shrink=0.8,
        **options,
    )
