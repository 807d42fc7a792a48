"""What is drawn on axes, as numbers, names and colours, and whether it is tidy."""

import itertools
from unittest import mock

import numpy as np
import pandas as pd
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.offsetbox import DrawingArea
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from matplotlib.tri import TriContourSet
from sklearn.linear_model import LinearRegression

from sbnn.plotting.common import EDGE_NAME, NAME_LINE


def tick_names(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def texts_on(ax):
    """Texts without the letter of a panel and the names at the edge."""
    texts = [text for text in ax.texts if text.get_gid() != EDGE_NAME["gid"]]
    return [text for text in texts if getattr(text, "xycoords", "data") == "data"]


def assert_named_at_edge(ax, names, values, colors):
    """Names have the colours of their lines and stand beside the axes, as high as values or apart.

    They are in the order of the values, at least a line apart.
    """
    texts = [text for text in ax.texts if text.get_gid() == EDGE_NAME["gid"]]
    assert [text.get_text() for text in texts] == names
    assert colors_of(texts) == colors
    order = np.argsort(values)
    boxes = [texts[place].get_window_extent() for place in order]
    heights = np.array([(box.y0 + box.y1) / 2 for box in boxes])
    figure = ax.get_figure(root=True)
    assert np.diff(heights).min() > 0.99 * NAME_LINE * figure.dpi
    frame = ax.get_window_extent()
    assert frame.y0 - 1 < heights.min() < heights.max() < frame.y1 + 1
    assert all(frame.x1 < box.x0 < box.x1 < figure.bbox.x1 for box in boxes)
    wanted = ax.transData.transform([(1, value) for value in np.array(values)[order]])[:, 1]
    shift = np.abs(heights - wanted.clip(frame.y0, frame.y1)).max()
    assert shift < len(names) * NAME_LINE * figure.dpi


def lines_of(ax, **properties):
    """Lines with such properties, as `marker="D"`."""
    return [line for line in ax.lines if properties.items() <= line.properties().items()]


def labels_of(artists):
    return [artist.get_label() for artist in artists]


def colors_of(artists):
    """Of lines, texts and bands, or of the points of error bars."""
    return [to_hex(color_of(artist)) for artist in artists]


def color_of(artist):
    if isinstance(artist, tuple):
        return artist.lines[0].get_color()
    if isinstance(artist, FillBetweenPolyCollection):
        return artist.get_facecolor()[0]
    return artist.get_color()


def heights(lines):
    return [line.get_ydata() for line in lines]


def bands_of(ax):
    """Bands that show."""
    bands = [part for part in ax.collections if isinstance(part, FillBetweenPolyCollection)]
    return [band for band in bands if band.get_facecolor()[0, 3] > 0]


def edges(band):
    """Lower and upper edge of a band, (2, n_places)."""
    [outline] = band.get_paths()
    of_places = pd.DataFrame(outline.vertices).groupby(0)[1]
    return [of_places.min(), of_places.max()]


def error_bars(container):
    """Place, half lengths across and up (0 if there is no bar) of points, (n_points, 4)."""
    points, _, bars = container.lines
    half_lengths = sum(np.ptp(part.get_segments(), axis=1) for part in bars) / 2
    return np.column_stack([points.get_xydata(), half_lengths])


def cells_of(ax):
    """Place and colour (four numbers) of every cell, from left to right."""
    [dots] = [part for part in ax.collections if isinstance(part, PathCollection)]
    return cells_at(dots.get_offsets(), dots.get_facecolors())


def cells_at(xy, colors):
    """As `cells_of`, for cells of these places and colours."""
    rows = np.column_stack([xy, to_rgba_array(colors)])
    return rows[np.argsort(rows[:, 0])]


def nearest_groups(ax, xy, groups):
    """By name on a map, the group whose median is nearest to the name."""
    medians = pd.DataFrame(xy).groupby(np.asarray(groups, str)).median()
    nearest = {}
    for text in texts_on(ax):
        distances = np.linalg.norm(medians - text.get_position(), axis=1)
        nearest[text.get_text()] = medians.index[distances.argmin()]
    return nearest


def legend_of(figure):
    """Texts and colours of the entries, in order."""
    return [(text, color) for text, [color] in shades_of(figure).items()]


def shades_of(figure):
    """By text of the legend, the colours of its dots."""
    [legend] = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    dots = [area.get_children() for area in legend.findobj(DrawingArea)]
    return dict(zip(texts, map(colors_of, dots), strict=True))


def slopes_of(ax):
    """Slopes of a map of predictions that rise evenly, from layers between two levels."""
    [regions] = [part for part in ax.collections if isinstance(part, TriContourSet)]
    middles = (regions.levels[:-1] + regions.levels[1:]) / 2
    layers = [path.vertices for path in regions.get_paths()[1:-1]]
    values = np.repeat(middles, [len(layer) for layer in layers])
    return LinearRegression().fit(np.concatenate(layers), values).coef_


def image_of(ax):
    """Heat map with the names of its rows and columns, where they have names."""
    [image] = ax.images
    values = image.get_array()
    names = []
    for axis, length in zip((ax.yaxis, ax.xaxis), values.shape, strict=True):
        labels = tick_names(axis)
        names.append(labels if len(labels) == length else None)
    return pd.DataFrame(values, *names)


def visible_texts(figure):
    """Every text that shows."""
    texts = []
    with mock.patch.object(Text, "draw", lambda text, renderer: texts.append(text)):
        figure.draw_without_rendering()
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def assert_tidy(figure):
    """No two texts overlap, and none leaves the figure."""
    page = figure.bbox.padded(1)
    # without the lines that lead from names to points
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in visible_texts(figure)]
    for text, box in boxes:
        assert page.contains(*box.min), text
        assert page.contains(*box.max), text
    for (a, box_a), (b, box_b) in itertools.combinations(boxes, 2):
        overlap = Bbox.intersection(box_a, box_b)
        is_apart = overlap is None or min(overlap.size) < 1
        assert is_apart, f"{a!r} and {b!r} overlap"


def figure_text(figure):
    """Every text that shows, one on each line."""
    return "\n".join(text.get_text() for text in visible_texts(figure))
