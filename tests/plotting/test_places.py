"""Where cells stand in a panel: the cloud fills it whatever lies far out, and islands come nearer as they are."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from sbnn.plotting.maps import map_triangles, packed, panel_coordinates, turned


def islands(gap=40.0):
    """Three islands far apart, and which each cell is of."""
    rng = np.random.default_rng(0)
    own = np.repeat([0, 1, 2], [300, 200, 100])
    return np.array([[0, 0], [gap, 0], [0, 2 * gap]])[own] + rng.uniform(-3, 3, size=(600, 2)), own


def test_islands_come_nearer_as_they_are_and_do_not_touch():
    xy, own = islands()
    new, moved = packed(xy)
    assert moved
    for i in range(3):  # turned together, but for that as they were
        np.testing.assert_allclose(pdist(new[own == i]), pdist(xy[own == i]), atol=1e-9)
    centres = [np.array([places[own == i].mean(0) for i in range(3)]) for places in (xy, new)]
    assert (pdist(centres[1]) < 0.4 * pdist(centres[0])).all()
    triangles = map_triangles(new).get_masked_triangles()
    assert (own[triangles] == own[triangles[:, :1]]).all(), "no map bridges the strait"


def test_one_island_stays():
    xy = np.random.default_rng(0).uniform(size=(400, 2))
    new, moved = packed(xy)
    assert not moved
    np.testing.assert_allclose(pdist(new), pdist(xy), atol=1e-9)
    assert panel_coordinates(xy, proportional=True)[1] == ""
    assert panel_coordinates(islands()[0], proportional=True)[1] == "gaps compressed"
    assert panel_coordinates(islands()[0], proportional=False)[1] == "", (
        "the axes of a latent space have a meaning"
    )


@pytest.mark.parametrize("xy", [np.zeros((5, 2)), np.arange(10.0).reshape(5, 2), np.eye(2)])
def test_few_places_and_those_on_a_line_are_left_alone(xy):
    new, _ = packed(xy)
    np.testing.assert_allclose(pdist(new), pdist(xy), atol=1e-9)
    panel = panel_coordinates(xy, proportional=False)[0]
    assert not xy.any() or (panel.min() < 0.05 and panel.max() > 0.95), "they fill the panel"


def test_a_long_cloud_is_turned_along_the_diagonal():
    xy = np.random.default_rng(0).normal(size=(500, 2)) * [8, 1]
    new = turned(xy)
    np.testing.assert_allclose(pdist(new), pdist(xy), atol=1e-9)
    assert np.ptp(new, axis=0).max() < 0.85 * np.ptp(xy, axis=0).max()


def test_outlying_cells_leave_the_panel_to_the_cloud_and_are_counted():
    cloud = np.random.default_rng(0).uniform(size=(500, 2))
    alone = panel_coordinates(cloud, proportional=False)[0]
    xy, note = panel_coordinates(np.vstack([cloud, [[1.6, 0.5], [0.5, -0.7]]]), proportional=False)
    assert note == "2 outlying cells drawn at the edge"
    assert np.abs(np.ptp(xy[:500], axis=0) - np.ptp(alone, axis=0)).max() < 0.05
    assert ((xy[:500] > 0) & (xy[:500] < 1)).all() and xy[500, 0] > 1 and xy[501, 1] < 0


@pytest.mark.parametrize(("proportional", "stretch"), [(True, 1.2), (False, 1 / 0.6)])
def test_proportions_are_kept_where_they_mean_something(proportional, stretch):
    xy = np.random.default_rng(0).uniform(size=(800, 2)) * [1, 0.6]
    new = panel_coordinates(xy, proportional)[0]
    sizes = np.linalg.svd(
        np.linalg.lstsq(xy - xy.mean(0), new - new.mean(0), rcond=None)[0], compute_uv=False
    )
    assert sizes[0] / sizes[1] == pytest.approx(stretch, rel=0.03)
