"""The drawings of the page hold what its scripts look for, by name."""

import numpy as np
import pytest

from sbnn.explorer import drawings


@pytest.fixture(scope="module")
def drawn():
    xy = np.array([[0.0, 5], [2, -1], [1, 1]])
    return drawings.cell_map(xy, ["one", "two"], True)


def named(drawing, name):
    return drawing.select_one({"name": name})


def test_corners_fix_the_view_while_cells_are_hidden(drawn):
    corners = named(drawn, "corners")
    assert dict(corners.data) == {"x": [0, 2], "y": [-1, 5]}
    for range_ in (drawn.x_range, drawn.y_range):
        [renderer] = range_.renderers
        assert renderer.data_source is corners
    assert drawn.match_aspect
    assert [axis.axis_label for axis in drawn.axis] == ["one", "two"]


def test_dots_are_selected_by_tools(drawn):
    dots = named(drawn, "dots")
    assert dots.data_source is named(drawn, "cells")
    assert dots.selection_glyph is dots.glyph
    assert dots.nonselection_glyph.fill_alpha < 0.1
    assert dots.view.filter is named(drawn, "shown")
    for tool in ("box", "lasso", "hover"):
        assert named(drawn, tool).renderers == [dots]
    assert drawn.toolbar.active_drag is named(drawn, "lasso")
    assert not named(drawn, "lasso").continuous
    assert not named(drawn, "bar").visible


@pytest.mark.parametrize(
    ("n_cells", "size"), [(899, 9), (900, 9), (2500, 5.4), (5900, 3.515), (7000, 3.5)]
)
def test_many_cells_are_small(n_cells, size):
    dots = named(drawings.cell_map(np.zeros((n_cells, 2)), "xy", False), "dots")
    assert dots.glyph.size == pytest.approx(size, abs=0.001)


def test_bars_of_a_histogram_stand_on_zero():
    plot = drawings.histogram()
    for name in ("rest", "inside"):
        bars = named(plot, name)
        assert (bars.glyph.top, bars.glyph.bottom) == (name, 0)
        assert (bars.glyph.left, bars.glyph.right) == ("left", "right")
        assert bars.data_source is named(plot, "bins")
    assert plot.y_range.start == 0
