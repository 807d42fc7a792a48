"""Where cells stand in a panel, and the predictions between them."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.tri import Triangulation

from sbnn import plotting
from sbnn.plotting import maps
from sbnn.plotting.common import new_figure, place_panel

CLOUD = np.random.default_rng(0).uniform(size=(500, 2))


def test_one_coordinate_is_spread_over_the_panel():
    xy, _ = maps.panel_coordinates([[3, 7], [1, 7], [2, 7], [0, 7]], proportional=False)
    np.testing.assert_allclose(xy[:, 0], [0.965, 0.345, 0.655, 0.035])
    assert len(set(xy[:, 1])) == 4
    assert [xy[:, 1].min(), xy[:, 1].max()] == pytest.approx([0.035, 0.965])


# up to a factor of 1.2, a flat cloud is stretched
@pytest.mark.parametrize(("proportional", "height"), [(True, 0.48), (False, 1)])
def test_a_tsne_keeps_its_proportions(proportional, height):
    places, _ = maps.panel_coordinates(CLOUD * [1, 0.4], proportional)
    across, up = np.ptp(places, axis=0)
    assert across == pytest.approx(0.93, abs=0.02)
    assert up / across == pytest.approx(height, abs=0.02)


def test_outlying_cells_leave_the_panel_to_the_cloud_and_are_counted():
    alone, _ = maps.panel_coordinates(CLOUD, proportional=False)
    more = np.vstack([CLOUD, [[1.6, 0.5], [0.5, -0.7]]])
    xy, note = maps.panel_coordinates(more, proportional=False)
    assert note == "2 outlying cells drawn at the edge"
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
    corners = xy[shown[of_ring == 3]]
    area = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])).sum() / 2
    assert 0.8 < area / (np.pi * (1 - 0.7**2)) < 1
    assert len(np.unique(shown)) > 970, "hardly a cell is left out"


def test_a_map_shows_the_values_between_the_cells_at_its_place():
    corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
    xy = np.vstack([corners, CLOUD]) * [0.5, 1]
    left_half = Triangulation(*xy.T)
    with plotting.style():
        figure = new_figure(1, "none")
        canvas = place_panel(figure, 0, 0, 7.2, 1, ((0, 7.2), (0, 1)))
        maps.draw_map(canvas, (1, 0), 1, left_half, 8 * xy[:, 0] - 2)  # from -2 to 2
        maps.draw_map(canvas, (3, 0), 1, left_half, 4 * xy[:, 1] - 2)
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    across, upwards = pixels[:, 200:400], pixels[:, 600:800]
    assert (pixels[:, :200] == 255).all()
    assert (across[:, 102:] == 255).all(), "nothing where there are no cells"
    expected = colormaps["inferno"]((np.arange(100) + 0.5) / 100)[:, :3]
    expected = np.tile(expected[2:98], (196, 1, 1))
    np.testing.assert_allclose(across[2:-2, 2:98] / 255, expected, atol=0.08)
    assert upwards[5, 50].sum() > 2 * upwards[-5, 50].sum(), "the first row is the top"
