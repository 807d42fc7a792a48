"""Where cells stand in a panel, and the predictions between them."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.tri import Triangulation
from scipy.spatial.distance import cdist, pdist

from sbnn import plotting
from sbnn.plotting import maps

CLOUD = np.random.default_rng(0).uniform(size=(500, 2))


def test_islands_come_nearer_as_they_are_and_keep_a_strait_between_them():
    own = np.repeat([0, 1, 2], [300, 200, 100])
    xy = np.array([[0, 0], [40, 0], [0, 80]])[own] + 6 * np.resize(CLOUD, (600, 2))
    xy += 1e-3 * own[:, np.newaxis]
    new, moved = maps.packed(xy)
    assert moved
    strait = maps.STRAIT * np.quantile(maps._spacing(xy), 0.9)
    nearest = []
    for i, j in ((0, 1), (1, 2), (2, 0)):  # turned together, but for that as they were
        np.testing.assert_allclose(pdist(new[own == i]), pdist(xy[own == i]), atol=1e-9)
        nearest.append(cdist(new[own == i], new[own == j]).min())
    assert strait - 1e-9 <= min(nearest) < 2 * strait
    assert max(nearest) < 13, "of 34 or more"
    for proportional, note in ((True, "gaps compressed"), (False, "")):
        assert maps.panel_coordinates(xy, proportional)[1] == note


def test_islands_gather_around_the_centre_of_all_cells():
    """The middle of a box around each island moves; the island at the centre stays."""
    square = np.vstack([[[0, 0], [6, 0], [0, 6], [6, 6]], 6 * CLOUD[:200]])
    square = np.vstack([square, 6 - square])  # its mean is its middle
    middles = np.array([[60, 60], [100, 60], [20, 60], [60, 130], [60, -10]])
    xy = np.vstack([square - 3 + middle for middle in middles])
    new, moved = maps.packed(xy)
    assert moved
    own = np.repeat(np.arange(5), len(square))
    # the whole map may be turned around the origin
    before = np.linalg.norm(xy, axis=1)
    after = np.linalg.norm(new, axis=1)
    np.testing.assert_allclose(after[own == 0], before[own == 0])
    centre, *others = [new[own == i].mean(0) for i in range(5)]
    distances = np.linalg.norm(others - centre, axis=1)
    assert distances.min() > 6
    assert (distances < 0.3 * np.array([40, 40, 70, 70])).all()


@pytest.mark.parametrize("xy", [np.zeros((5, 2)), np.arange(10.0).reshape(5, 2), CLOUD])
def test_one_island_and_few_places_are_left_alone(xy):
    new, moved = maps.packed(xy)
    assert not moved
    np.testing.assert_allclose(pdist(new), pdist(xy), atol=1e-9)
    panel, _ = maps.panel_coordinates(xy, proportional=False)
    if xy.any():
        assert panel.min() == pytest.approx(0.035, abs=0.02)
        assert panel.max() == pytest.approx(0.965, abs=0.02)


def test_one_coordinate_is_spread_over_the_panel():
    xy, _ = maps.panel_coordinates([[3, 7], [1, 7], [2, 7], [0, 7]], proportional=False)
    np.testing.assert_allclose(xy[:, 0], [0.965, 0.345, 0.655, 0.035])
    # 0, 1/2, 1/4 and 3/4 in the order of the coordinate
    np.testing.assert_allclose(xy[:, 1], 0.035 + 0.93 * np.array([3, 2, 1, 0]) / 3)


def test_a_long_cloud_is_turned_along_the_diagonal_and_a_tsne_keeps_its_proportions():
    corners = np.array([[0.0, 0], [4, 0], [4, 1], [0, 1]])
    diagonal = [[0, 0], [2.83, 2.83], [2.12, 3.54], [-0.71, 0.71]]
    np.testing.assert_allclose(maps.turned(corners), diagonal, atol=0.005)
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    np.testing.assert_array_equal(maps.turned(square), square)
    xy = CLOUD * [1, 0.4]
    for proportional, stretch in ((True, 1), (False, 2.5)):
        places, _ = maps.panel_coordinates(xy, proportional)
        linear, *_ = np.linalg.lstsq(xy - xy.mean(0), places - places.mean(0))
        assert np.linalg.cond(linear) == pytest.approx(stretch, rel=0.2)


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


def test_a_map_shows_the_values_between_the_cells_in_few_colours():
    corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
    xy = np.vstack([corners, CLOUD]) * [0.5, 1]
    left_half = Triangulation(*xy.T)
    with plotting.style():
        image = maps.map_image(left_half, 8 * xy[:, 0] - 2, 60)  # from -2 to 2 in the middle
        upwards = maps.map_image(left_half, 4 * xy[:, 1] - 2, 60)
        narrow = maps.map_image(Triangulation(*(0.95 * xy).T), xy[:, 0], 20)
    assert (image[:, 30:] == 255).all(), "nothing where there are no cells"
    across = colormaps["inferno"]((np.arange(30) + 0.5) / 30)[:, :3]
    np.testing.assert_allclose(image[:, :30] / 255, np.tile(across, (60, 1, 1)), atol=0.04)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) <= 65
    assert upwards[0, 10].sum() > 2 * upwards[-1, 10].sum(), "the first row is the top"
    inner, outline = narrow[10, 8:10].astype(int)
    assert (inner < outline - 20).any(), "half covered: the outline is smooth"
    assert (outline < 255).any()
