"""Figures of the same numbers are the same, in whatever order the records hold them."""

import numpy as np
import pytest
from material.drawn import assert_tidy, image_of
from material.figures import axes_of, draw, figure_functions, reorder
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba_array
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from sbnn import plotting


def places_of(mark):
    if isinstance(mark, PathCollection):
        return mark.get_offsets()
    if isinstance(mark, Rectangle):
        return mark.get_bbox()
    extents = [path.get_extents() for path in mark.get_paths() if len(path.vertices)]
    return np.reshape(extents, (-1, 2))


def marks_of(axes):
    """Axes, place and colour of points, bars and regions, and the step of those on a line."""
    marks = []
    for number, ax in enumerate(axes):
        for line in ax.lines:
            [color] = to_rgba_array(line.get_color())
            is_path = line.get_linestyle() != "None"
            for step, place in enumerate(line.get_xydata()):
                marks.append([number, step * is_path, *place, *color])
        bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
        for mark in (*ax.collections, *bars):
            xy, colors = np.array(places_of(mark)), to_rgba_array(mark.get_facecolor())
            colors = colors if len(colors) == len(xy) else np.resize(colors, (len(xy), 4))
            marks += [[number, 0, *row] for row in np.column_stack([xy, colors])]
    table = np.array(marks)
    return table[np.lexsort(table.round(6).T)]


@pytest.mark.parametrize("name", sorted(figure_functions()))
def test_order_of_records_changes_no_figure(name):
    axes, others = axes_of(name), draw(name, reorder).axes
    texts, other_texts = [
        [text.get_text() for text in drawn[0].get_figure(root=True).findobj(Text)]
        for drawn in (axes, others)
    ]
    for ax, other in zip(axes, others, strict=True):
        if ax.images:
            assert_frame_equal(image_of(ax), image_of(other), check_like=True)
            texts, other_texts = sorted(texts), sorted(other_texts)
    assert other_texts == texts
    assert_allclose(marks_of(others), marks_of(axes), rtol=1e-5, atol=1e-6)


LONG = (
    "25 genes give a test R² of 0.4 with 2 units and 0.43 with 64 units, ridge on 1000 genes 0.45"
)


@pytest.mark.parametrize("name", sorted(figure_functions()))
def test_a_headline_has_a_line_of_its_own(name):
    """It is on the page, overlaps no other text, and moves no axes."""
    figure = draw(name, lambda values: values)
    figure.draw_without_rendering()
    places = [ax.get_window_extent().get_points() for ax in figure.axes]
    plotting.headline(figure, LONG, "scala")
    figure.draw_without_rendering()
    assert_array_equal([ax.get_window_extent().get_points() for ax in figure.axes], places)
    assert figure.get_suptitle() == f"M1: {LONG}"
    assert_tidy(figure)


@pytest.mark.parametrize("name", sorted(figure_functions()))
def test_text_has_nine_pixels_on_a_page(name):
    """On a page of 900 pixels; exponents are smaller than the text beside them."""
    figure = axes_of(name)[0].get_figure(root=True)
    pixels_per_point = 900 / (72 * figure.get_figwidth())
    for text in figure.findobj(Text):
        if text.get_text():
            assert text.get_fontsize() * pixels_per_point >= 9, text
            assert "^" not in text.get_text()
