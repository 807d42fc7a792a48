"""Cells in the colours and shapes of their groups, and the names of groups where they belong."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from made_up import fit_record
from matplotlib.colors import to_hex

from sbnn import plotting
from sbnn.data.checks import GREY, OKABE_ITO
from sbnn.plotting import cells, colors


def panel():
    return mpl.figure.Figure(figsize=(4, 4)).subplots()


def partly_known():
    """A fit of three unknown cells, and of two cells whose type has no colour."""
    fit = fit_record()
    fit.labels.loc[[0, 3, 6], ["family", "type"]] = ""
    fit.labels.loc[[1, 2], "type"] = "X"
    fit.colors["unknown"] = "#123456"
    return fit


def test_a_family_has_the_colour_of_its_most_frequent_type():
    fit = partly_known()
    groups = colors.Groups(fit)
    assert groups.table["count"].to_dict() == {"B": 30, "C": 30, "A": 27, "unknown": 3}
    known = {"B": "#00AA00", "C": "#3333CC", "A": "#BB3300", "unknown": GREY}
    assert list(plotting.family_colors(fit).items()) == list(known.items())
    assert groups.colors[[0, 1, 4]].tolist() == [GREY, GREY, "#00AA00"]
    types = groups.count("type", groups.families == "B")
    assert types["count"].to_dict() == {"B1": 15, "B2": 14, "X": 1}
    assert types["color"].tolist() == ["#00AA00", "#11BB11", GREY]
    fit.labels["family"] = "unknown"
    assert colors.Groups(fit).title == "types (cells)"


def test_safe_colours_and_shapes_of_families():
    groups = colors.Groups(partly_known(), colorblind=True)
    assert groups.table["color"].tolist() == [*OKABE_ITO[:3], GREY]
    assert groups.table["marker"].tolist() == ["o", "s", "^", "o"]
    assert groups.colors[:3].tolist() == [GREY, *OKABE_ITO[:2]]
    assert groups.markers[:3].tolist() == ["o", "o", "s"]


def test_cells_without_types_are_grey():
    fit = fit_record()
    fit.labels[["family", "type"]] = "unknown"
    groups = colors.Groups(fit)
    assert groups.table["count"].to_dict() == {"unknown": 90}
    assert set(groups.colors) == {GREY}
    fit.labels.loc[0, "type"] = "A1"
    assert set(colors.Groups(fit).types) == {"A1", "unknown"}, "one known type is enough"


def test_shades_run_from_dark_to_pale():
    assert colors.shades("#009e73", 3) == ["#00573f", "#019e73", "#99d8c7"]
    assert colors.shades("#009e73", 1) == ["#019e73"]
    assert colors.paler("#000000") == "#8c8c8c"


def test_the_rarest_of_many_groups_share_a_legend_entry():
    table = pd.DataFrame({"count": np.arange(26, 0, -1), "color": "red", "marker": "o"})
    table.index = [f"g{i}" for i in range(26)]
    table.loc["g25", "color"] = "blue"
    for n, last in ((24, "g23 (3)"), (25, "2 others (5)"), (26, "3 others (6)")):
        entries = cells.legend_entries(table[:n])
        assert len(entries) == 24
        assert entries[-1].get_label() == last
    looks = [(entry.get_label(), entry.get_color()) for entry in entries]
    assert looks[0] == ("g0 (26)", "red")
    assert looks[-1][1] == "none", "they have several colours"


def test_outlying_cells_are_drawn_at_the_edge_in_their_own_colour_and_shape():
    shades = np.array(["#ff0000", "#00ff00", "#0000ff"])
    look = {"colors": shades, "markers": np.array(["o", "s", "o"]), "families": shades}
    groups = SimpleNamespace(table=pd.DataFrame(index=["a"]), **look)
    xy = np.array([[0.2, 0.3], [1.6, 0.5], [0.5, -2]])
    ax = panel()
    cells.draw_cloud(ax, groups, xy, "a note", 4)
    [dots] = ax.collections
    drawn = {}
    looks = zip(dots.get_offsets(), dots.get_facecolors(), dots.get_paths(), strict=True)
    for place, color, path in looks:
        drawn[to_hex(color)] = *place, len(path.vertices) == 5  # a square
    expected = [(0.2, 0.3, False), (0.99, 0.5, True), (0.5, 0.01, False)]
    assert drawn == dict(zip(shades, expected, strict=True))
    assert ax.texts[0].get_text() == "a note"


def test_a_name_among_others_has_a_line_to_its_family():
    large = np.random.default_rng(0).uniform(size=(400, 2)) * [1, 0.9]
    xy = np.vstack([large, [[0.5, 0.5], [0.502, 0.5]]])
    groups = SimpleNamespace(families=np.repeat(["large", "small"], [400, 2]))
    groups.table = pd.DataFrame(index=["large", "small"])
    ax = panel()
    cells.name_families(ax, groups, xy)
    [line] = ax.lines
    small = ax.texts[1]
    assert small.get_text() == "small"
    start, end = line.get_xydata()
    assert start.tolist() in xy[400:].tolist()
    box = small.get_window_extent().transformed(ax.transData.inverted())
    np.testing.assert_allclose(end, np.clip(start, box.min, box.max), atol=1e-6)


def test_a_family_is_named_where_it_is_dense_and_pure():
    corner = [[0, 0], [0.1, 0], [0, 0.1]]
    middle = [[5, 5], [5.2, 5], [5, 5.2], [5.1, 5.1]]
    alone = np.array([*corner, *middle, [9, 9]])
    assert cells.family_centre(alone, np.arange(8) < 7).tolist() in corner
    mixed = np.array([*corner, *middle, *np.array(corner) + 0.02])
    own = np.arange(10) < 7
    assert cells.family_centre(mixed, own).tolist() in middle, "purer, though less dense"


X = np.linspace(0.1, 0.9, 60)
# Cells along a diagonal, and as many in the middle; two corners are empty.
CROWD = np.vstack([np.column_stack([X, 1 - X]), np.tile([0.5, 0.5], (60, 1))])
CROWD[60:] += 0.02 * np.random.default_rng(0).normal(size=(60, 2))


@pytest.mark.parametrize(
    ("families", "xy", "drawn"),
    [
        ("ab", CROWD, True),
        ("aaaaaaaaab", CROWD, False),
        ("ab", np.vstack([CROWD, CROWD[:60] * [-1, 1] + [1, 0]]), False),
        ("ab", np.vstack([CROWD[:60], CROWD[:60] + 0.1]), False),
    ],
)
def test_a_crowded_place_of_a_map_is_drawn_once_more_in_an_empty_corner(families, xy, drawn):
    fit = fit_record(n=len(xy))
    fit.labels["family"] = np.resize(list(families), len(xy))
    ax = panel()
    cells.draw_crowd(ax, xy, colors.Groups(fit))
    assert len(ax.child_axes) == drawn
    for inset in ax.child_axes:
        low, high = np.transpose([inset.get_xlim(), inset.get_ylim()])
        assert high - low == pytest.approx(0.12), "2.5 times larger in an inset of 0.3"
        inside = ((xy > low) & (xy < high)).all(1)
        assert inside[60:].all()
        assert len(inset.collections[0].get_offsets()) == inside.sum()
        place = inset.get_window_extent().transformed(ax.transAxes.inverted())
        assert place.bounds == pytest.approx((-0.1, 0, 0.3, 0.3)), "at the lower left"
