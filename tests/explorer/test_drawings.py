"""The drawings of the page hold what its scripts look for, by name."""

import numpy as np
import pytest

from sbnn.explorer import drawings


def named(drawing, name):
    return drawing.select_one({"name": name})


def test_dots_are_selected_by_tools_and_corners_fix_the_view():
    xy = np.array([[0.0, 5], [2, -1], [1, 1]])
    drawn = drawings.cell_map(xy, ["one", "two"], True)
    assert named(drawn, "corners").data == {"x": [0, 2], "y": [-1, 5]}
    for range_ in (drawn.x_range, drawn.y_range):
        assert [one.data_source.name for one in range_.renderers] == ["corners"]
    assert drawn.match_aspect
    assert [axis.axis_label for axis in drawn.axis] == ["one", "two"]
    dots = named(drawn, "dots")
    assert dots.data_source.name == "cells"
    for tool in ("box", "lasso", "hover"):
        assert named(drawn, tool).renderers == [dots]
    assert not named(drawn, "bar").visible


def test_many_cells_are_small():
    for n_cells, size in ((899, 9), (2500, 5.4), (7000, 3.5)):
        drawn = drawings.cell_map(np.zeros((n_cells, 2)), "xy", False)
        assert named(drawn, "dots").glyph.size == pytest.approx(size, abs=0.001)
