"""Where cells and names stand in a panel, and the predictions between them."""

import itertools

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.tri import Triangulation

from sbnn import plotting
from sbnn.plotting import labels, maps
from sbnn.plotting.common import finish, new_figure, new_panels

CLOUD = np.random.default_rng(0).uniform(size=(500, 2))


def test_names_and_numbers_are_short():
    shorts = {11: "abcdefghijk", 10: "abcdef…ijk"}
    for most, short in shorts.items():
        assert labels.shortened("abcdefghijk", most) == short
    assert labels.shortened("one two  three four", 10) == "one tw…our"
    assert labels.counted(1, "gene") == "1 gene"
    assert labels.counted(0, "gene") == "0 genes"
    assert labels.signed(-0.126) == "−0.13"


def test_names_stand_apart_near_their_points():
    figure, ax = new_panels(4)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    finish(figure)
    points = 0.3 + 0.3 * CLOUD[:9]
    texts = labels.place_names(ax, points, [f"name {i}" for i in range(9)])
    boxes = [text.get_window_extent() for text in texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    centres = ax.transData.inverted().transform([(box.min + box.max) / 2 for box in boxes])
    assert np.linalg.norm(centres - points, axis=1).max() < 0.2


def test_one_coordinate_is_spread_over_the_panel():
    xy = maps.panel_coordinates([[3, 7], [1, 7], [2, 7], [0, 7]], proportional=False)
    assert np.argsort(xy[:, 0]).tolist() == [3, 1, 2, 0]
    assert len(set(xy[:, 1])) == 4


@pytest.mark.parametrize(("proportional", "height"), [(True, 0.4), (False, 1)])
def test_a_tsne_keeps_its_proportions(proportional, height):
    places = maps.panel_coordinates(CLOUD * [1, 0.4], proportional)
    across, up = np.ptp(places, axis=0)
    assert across == pytest.approx(0.94, abs=0.03)
    assert up / across == pytest.approx(height, abs=0.03)


def test_outlying_cells_leave_the_panel_to_the_cloud():
    alone = maps.panel_coordinates(CLOUD, proportional=False)
    xy = maps.panel_coordinates(np.vstack([CLOUD, [[9, 0.5], [0.5, -7]]]), proportional=False)
    assert np.abs(xy[:500] - alone).max() < 0.05
    assert xy[500, 0] > 1
    assert xy[501, 1] < 0


def test_a_map_has_the_outline_of_the_cloud():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 800)
    radius = np.sqrt(rng.uniform(0.49, 1, 800))
    ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    xy = np.vstack([ring, [3, 0] + 0.2 * rng.normal(size=(200, 2))])
    shown = maps.map_triangles(xy).get_masked_triangles()
    of_ring = (shown < 800).sum(1)
    assert set(of_ring) == {0, 3}, "no bridge"
    assert np.linalg.norm(xy[shown].mean(1), axis=1).min() > 0.5, "the hole stays open"
    assert len(np.unique(shown)) > 970, "hardly a cell is left out"
    assert maps.map_triangles(np.tile([[0.5, 0.5]], (9, 1))) is None


def test_a_map_shows_the_values_at_their_place():
    xy = np.vstack([[[0, 0], [0, 1], [1, 0], [1, 1]], CLOUD]) * [0.5, 1]
    with plotting.style():
        figure = new_figure(7.2, None)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, 1), ylim=(0, 1))
        ax.set_axis_off()
        maps.draw_map(ax, Triangulation(*xy.T), 8 * xy[:, 0] - 2)  # from -2 to 2
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    assert (pixels[:, 730:] == 255).all(), "nothing where there are no cells"
    expected = colormaps["inferno"]((np.arange(700) + 0.5) / 720)[:, :3]
    np.testing.assert_allclose(pixels[700, 20:700] / 255, expected[20:], atol=0.08)
