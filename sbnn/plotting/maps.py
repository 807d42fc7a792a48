"""Positions of cells, and the predictions between them."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.tri import Triangulation
from scipy.spatial import cKDTree

from sbnn.plotting.common import colorbar

STEPS = 64  # colours of a map
LIMITS = (-2.0, 2.0)  # z-scores, the same for all maps
EDGE = 0.005  # share of the cells beyond each edge of a panel
STRETCH = 2.8  # sides of triangles over empty space, in units of the spacing


def map_coordinates(record):
    """`panel_coordinates` of a fit."""
    # units of latent dimensions are arbitrary
    return panel_coordinates(record.embedding, proportional=record.latent.shape[1] > 2)


def panel_coordinates(xy, proportional):
    """Coordinates in which a square from 0 to 1 holds nearly all cells."""
    xy = np.array(xy, float)
    if xy.shape[1] == 1 or np.ptp(xy[:, 1]) == 0:
        # a second axis without a meaning
        xy = np.column_stack([xy[:, 0], np.random.default_rng(0).uniform(size=len(xy))])
    low, high = np.quantile(xy, [EDGE, 1 - EDGE], axis=0)
    size = np.maximum(high - low, 1e-9)
    if proportional:
        size = size.max()
    return 0.5 + 0.94 * (xy - (low + high) / 2) / size


def map_triangles(xy):
    """Delaunay triangles except over empty regions, or None."""
    places = np.unique(xy, axis=0)  # which cells may share
    distances = cKDTree(places).query(xy, [min(11, len(places))])[0].ravel()
    spacing = np.minimum(distances, np.quantile(distances, 0.9))
    try:
        triangles = Triangulation(*xy.T)
    except (RuntimeError, ValueError):  # too few cells, or all on a line
        return None
    corners = xy[triangles.triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    usual = np.median(spacing[triangles.triangles], axis=1)
    hidden = longest > STRETCH * usual
    triangles.set_mask(hidden)
    return None if hidden.all() else triangles


def draw_map(ax, triangles, values, limits=LIMITS):
    """Draw predicted values over the cells."""
    if triangles is not None:
        low, high = limits
        levels = np.linspace(low, max(high, low + 1e-6), STEPS + 1)  # values may be constant
        ax.tricontourf(triangles, values, levels, extend="both").set_rasterized(True)


def draw_colorbar(figure, limits=LIMITS, **options):
    """Draw the colour bar of maps of predictions."""
    scales = ScalarMappable(Normalize(*limits))
    look = {"location": "bottom", "extend": "both", "aspect": 25, "pad": 0.02, "shrink": 0.8}
    colorbar(figure, scales, "prediction (z-score)", **look, **options)
