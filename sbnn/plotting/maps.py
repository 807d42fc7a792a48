"""Positions of cells, the outline of the cloud, and the prediction at each position."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.transforms import Affine2D, Bbox, TransformedBbox
from matplotlib.tri import Triangulation
from scipy.spatial import cKDTree

from sbnn.plotting.common import colorbar, place_axes
from sbnn.plotting.labels import counted

STEPS = 64  # colours of a map
LIMITS = (-2.0, 2.0)  # z-scores, the same for all maps
STRETCH = 1.3  # circumradius of triangles over empty space, in units of the spacing


def map_coordinates(record):
    """`panel_coordinates` of a fit."""
    # units of latent dimensions are arbitrary
    return panel_coordinates(record.embedding, proportional=record.latent.shape[1] > 2)


def panel_coordinates(xy, proportional):
    """Coordinates in which the cloud of cells fills a square from 0 to 1, and a note."""
    xy = np.array(xy, float)
    if np.ptp(xy[:, 1]) == 0:
        # a second axis without a meaning
        xy[:, 1] = np.random.default_rng(0).uniform(size=len(xy))
    low, high = np.quantile(xy, [0.025, 0.975], axis=0)
    reach = 0.5 * (high - low)
    low = np.maximum(xy.min(0), low - reach)
    high = np.minimum(xy.max(0), high + reach)
    triangles = map_triangles(_framed(xy, low, high, proportional))
    if triangles is not None:
        drawn = xy[np.unique(triangles.get_masked_triangles())]
        low, high = drawn.min(0), drawn.max(0)
    xy = _framed(xy, low, high, proportional)
    n_outside = (np.abs(xy - 0.5) > 0.5).any(1).sum()
    note = f"{counted(n_outside, 'outlying cell')} drawn at the edge" if n_outside else ""
    return xy, note


def _framed(xy, low, high, proportional):
    size = np.where(high > low, high - low, 1.0)
    if proportional:
        size = np.maximum(size, size.max() / 1.2)
    return 0.5 + 0.93 * (xy - (low + high) / 2) / size


def map_triangles(xy):
    """Delaunay triangles over the cells except over empty regions, if any."""
    spacing = _spacing(xy)
    spacing = np.minimum(spacing, np.quantile(spacing, 0.9))
    try:
        triangles = Triangulation(*xy.T)
        corners = triangles.triangles  # positions of cells, shape (n_triangles, 3)
        usual = np.median(spacing[corners], axis=1)
        hidden = _circumradius(xy[corners]) > STRETCH * usual
        if hidden.all():
            return None
        triangles.set_mask(hidden)
    except (RuntimeError, ValueError):  # too few cells, or all on a line
        return None
    return triangles


def _spacing(xy):
    """Distance of each cell to its tenth neighbour."""
    distances, _ = cKDTree(xy).query(xy, k=min(11, len(xy)))
    return distances[:, -1]


def _circumradius(corners):
    sides = corners - np.roll(corners, 1, axis=1)
    double_area = np.abs(np.linalg.det(sides[:, :2]))
    return np.linalg.norm(sides, axis=2).prod(1) / np.maximum(2 * double_area, 1e-30)


def draw_map(ax, corner, side, triangles, values, limits=LIMITS):
    """Draw predicted values as a square at a position in inches."""
    if triangles is None:
        return
    place = Affine2D().scale(side).translate(*corner) + ax.transData
    low, high = limits
    levels = np.linspace(low, max(high, low + 1e-6), STEPS + 1)  # values may be constant
    filled = ax.tricontourf(triangles, values, levels, extend="both", transform=place)
    filled.set(rasterized=True, clip_box=TransformedBbox(Bbox.unit(), place))


def draw_colorbar(figure, x, y, width, label, limits=LIMITS, ticks=None):
    """Draw a horizontal colour bar at a position in inches."""
    ax = place_axes(figure, x, y, width, 0.07)
    scale = {"orientation": "horizontal", "extend": "both", "ticks": ticks}
    colorbar(figure, ScalarMappable(Normalize(*limits)), label, 1, cax=ax, **scale)
