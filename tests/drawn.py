"""What is drawn on axes, as numbers, names and colours."""

import numpy as np
import pandas as pd
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.text import Annotation
from matplotlib.tri import TriContourSet
from sklearn.linear_model import LinearRegression


def tick_names(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def lines_of(ax, n_places):
    """Lines with this number of places by label, without rules and markers."""
    lines = [line for line in ax.lines if len(line.get_xdata()) == n_places]
    return by_label(lines)


def by_label(lines):
    named = {line.get_label(): line for line in lines}
    assert len(named) == len(lines), "they have different labels"
    return named


def heights(lines):
    return {label: line.get_ydata() for label, line in lines.items()}


def line_colors(lines):
    return {label: to_hex(line.get_color()) for label, line in lines.items()}


def levels_of(ax, start):
    """Heights of horizontal lines whose labels start with a word."""
    rules = [line for line in ax.lines if line.get_label().startswith(start)]
    return {line.get_label(): line.get_ydata()[0] for line in rules if len(line.get_xdata()) == 2}


def diamonds_of(ax):
    """Place and colour of published results."""
    hollow = [line for line in ax.lines if line.get_marker() == "D"]
    places = {to_hex(line.get_color()): line.get_xydata()[0] for line in hollow}
    assert len(places) == len(hollow), "they have different colours"
    return places


def bands_of(ax):
    """Lower and upper edges of the bands that show, (2, n_places) each."""
    bands = []
    for part in shown_bands(ax):
        [outline] = part.get_paths()
        edges = pd.DataFrame(outline.vertices, columns=["x", "y"]).groupby("x")["y"]
        bands.append(np.array([edges.min(), edges.max()]))
    return bands


def shown_bands(ax):
    bands = [part for part in ax.collections if isinstance(part, FillBetweenPolyCollection)]
    return [band for band in bands if band.get_facecolor()[0, 3] > 0]


def band_colors(ax):
    return [to_hex(band.get_facecolor()[0]) for band in shown_bands(ax)]


def error_bars(container):
    """Place, half lengths across and up (0 if there is no bar) of points."""
    points, _, bars = container.lines
    table = pd.DataFrame(points.get_xydata(), columns=["x", "y"]).assign(x_sd=0.0, y_sd=0.0)
    for collection in bars:
        spans = np.ptp(collection.get_segments(), axis=1) / 2  # (n_points, 2)
        across, up = spans.T
        table["x_sd"] += across
        table["y_sd"] += up
    return table


def dots_of(ax):
    """Place and colour (as three numbers) of every cell, from left to right."""
    [dots] = [part for part in ax.collections if isinstance(part, PathCollection)]
    return sort_cells(dots.get_offsets(), dots.get_facecolors())


def sort_cells(xy, colors):
    """Place and colour of cells, from left to right."""
    rows = np.column_stack([xy, to_rgba_array(colors)[:, :3]])
    return rows[np.argsort(rows[:, 0])]


def names_on(ax):
    """Texts without the letter of a panel."""
    return [text for text in ax.texts if not isinstance(text, Annotation)]


def nearest_groups(ax, xy, groups):
    """By name on a map, the group whose median is nearest to the name."""
    medians = pd.DataFrame(xy).groupby(np.asarray(groups, str)).median()
    nearest = {}
    for text in names_on(ax):
        distances = np.linalg.norm(medians - text.get_position(), axis=1)
        nearest[text.get_text()] = medians.index[distances.argmin()]
    return nearest


def legend_of(figure):
    """Texts and colours of the entries."""
    [legend] = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    handles = [to_hex(handle.get_color()) for handle in legend.legend_handles]
    return dict(zip(texts, handles, strict=True))


def slopes_of(ax):
    """Slopes of a map of predictions that rise evenly, from layers between two levels."""
    [regions] = [part for part in ax.collections if isinstance(part, TriContourSet)]
    middles = (regions.levels[:-1] + regions.levels[1:]) / 2
    vertices, values = [], []
    for path, middle in zip(regions.get_paths()[1:-1], middles, strict=True):
        vertices.append(path.vertices)
        values.append(np.full(len(path.vertices), middle))
    vertices, values = np.concatenate(vertices), np.concatenate(values)
    return LinearRegression().fit(vertices, values).coef_


def bars_of(ax, axis):
    """Length of bars by the names on an axis."""
    lengths = [bar.get_height() if axis is ax.xaxis else bar.get_width() for bar in ax.patches]
    return dict(zip(tick_names(axis), lengths, strict=True))
