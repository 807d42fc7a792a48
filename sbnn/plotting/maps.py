"""Positions of cells, the outline of the cloud, and the prediction at each position."""

import numpy as np
from matplotlib import colormaps, rcParams
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.tri import LinearTriInterpolator, Triangulation
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.spatial.distance import cdist
from scipy.stats.qmc import Halton

from sbnn.plotting.common import RASTER_DPI, colorbar, place_axes
from sbnn.plotting.labels import counted

FINER = 3  # points along each side of a pixel, for smooth outlines
# colours and opacities, which fit into a palette of 256
STEPS = 64
EDGE = 3
LIMITS = (-2.0, 2.0)  # z-scores, the same for all maps
# outliers dominate an SD if the central 95 % of the z-scores span less than this fraction of 3.92
NARROW = 0.5
STRETCH = 0.85  # circumradius, in units of the spacing, above which a triangle spans empty space
FEW = 8  # holes and islands of so few triangles are noise
# gaps in a t-SNE, which mean little, are compressed to this, in distances to the tenth neighbour
STRAIT = 1.75
MOVES = (8, 4, 2, 1, 0.5)  # steps of islands, in gap widths
# angles off the way to the centre, to pass other islands
TURNS = np.pi * np.array([0, 0.25, -0.25, 0.4, -0.4])
ROUNDS = 40
WORTH = 0.97  # a map is rotated only if this shrinks it more


def map_coordinates(record):
    """`panel_coordinates` of the cells of a fit."""
    # units of latent dimensions are arbitrary
    return panel_coordinates(record.embedding, proportional=record.latent.shape[1] > 2)


def panel_coordinates(xy, proportional):
    """Coordinates in which the cloud of cells fills a square from 0 to 1, and a note."""
    xy = np.array(xy, float)
    notes = []
    if np.ptp(xy[:, 1]) == 0:
        # spread cells evenly along the second axis
        order = np.argsort(xy[:, 0], kind="stable")
        xy[order, 1] = Halton(1, scramble=False).random(len(xy))[:, 0]
    if proportional:
        xy, moved = packed(xy)
        if moved:
            notes.append("gaps compressed")
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
    if n_outside:
        notes.append(f"{counted(n_outside, 'outlying cell')} drawn at the edge")
    return xy, "; ".join(notes)


def _framed(xy, low, high, proportional):
    size = np.where(high > low, high - low, 1.0)
    if proportional:
        size = np.maximum(size, size.max() / 1.2)
    return 0.5 + 0.93 * (xy - (low + high) / 2) / size


def widened(record):
    """Factor by which outliers inflate the SD of each output."""
    low, high = np.quantile(record.outputs, [0.025, 0.975], axis=0)
    bulk = (high - low) / 3.92
    narrow = (bulk > 0) & (bulk < NARROW)
    return 1 / np.where(narrow, bulk, 1)


def map_triangles(xy):
    """Delaunay triangles over the cells except over empty regions, if any."""
    spacing = _spacing(xy)
    spacing = np.minimum(spacing, np.quantile(spacing, 0.9))
    try:
        triangles = Triangulation(*xy.T)
        corners = triangles.triangles  # positions of cells, shape (n_triangles, 3)
        usual = np.median(spacing[corners], axis=1)
        hidden = _circumradius(xy[corners]) > STRETCH * usual
        hidden |= _in_small_parts(triangles, ~hidden)
        outer = (triangles.neighbors < 0).any(1)
        hidden &= ~_in_small_parts(triangles, hidden, outer)
        if hidden.all():
            return None
        triangles.set_mask(hidden)
        triangles.get_trifinder()
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


def _in_small_parts(triangles, own, never=False):
    """Mask of the triangles `own` in small connected parts without any of `never`."""
    neighbors = triangles.neighbors  # shape (n_triangles, 3), -1 at the hull
    first, side = np.nonzero((neighbors >= 0) & own[:, np.newaxis] & own[neighbors])
    pairs = first, neighbors[first, side]
    links = coo_array((np.ones(len(first)), pairs), shape=(len(own), len(own)))
    _, part = connected_components(links)
    small = np.bincount(part) <= FEW
    small[part[own & never]] = False
    return own & small[part]


def draw_map(ax, corner, side, triangles, values, limits=LIMITS):
    """Draw predicted values as a square at a position in inches."""
    if triangles is not None:
        left, low = corner
        image = map_image(triangles, values, round(side * RASTER_DPI), limits)
        extent = (left, left + side, low, low + side)
        ax.imshow(image, extent=extent, aspect="auto", interpolation="none")


def map_image(triangles, values, pixels, limits=LIMITS):
    """Image, (pixels, pixels, 3), of values interpolated between cells."""
    fine = (np.arange(pixels * FINER) + 0.5) / (pixels * FINER)
    found = LinearTriInterpolator(triangles, values)(*np.meshgrid(fine, fine[::-1]))
    blocks = found.reshape(pixels, FINER, pixels, FINER)
    means = blocks.mean((1, 3)).filled(0)
    covered = blocks.count((1, 3)) / FINER**2
    shades = colormaps[rcParams["image.cmap"]].resampled(STEPS)
    colors = shades(Normalize(*limits, clip=True)(means))[..., :3]
    opacity = np.ceil(EDGE * covered)[..., np.newaxis] / EDGE
    shown = opacity * colors + 1 - opacity
    return np.round(255 * shown).astype(np.uint8)


def draw_colorbar(figure, x, y, width, label, limits=LIMITS, ticks=None):
    """Draw a horizontal colour bar at a position in inches."""
    ax = place_axes(figure, x, y, width, 0.07)
    scale = {"orientation": "horizontal", "extend": "both", "ticks": ticks}
    colorbar(figure, ScalarMappable(Normalize(*limits)), label, 1, cax=ax, **scale)


def packed(xy):
    """Move islands of cells together, and rotate the map; also whether any moved."""
    strait = STRAIT * np.quantile(_spacing(xy), 0.9)
    tree = cKDTree(xy)
    close = tree.sparse_distance_matrix(tree, strait, output_type="coo_matrix")
    n_islands, island = connected_components(close)
    if n_islands == 1 or strait == 0:
        return turned(xy), False
    placed = xy.copy()
    islands = [island == i for i in range(n_islands)]  # masks of cells
    for move in MOVES:
        for _ in range(ROUNDS):
            before = placed.copy()
            boxes = np.array([(placed[cells].min(0), placed[cells].max(0)) for cells in islands])
            to_centre = xy.mean(0) - boxes.mean(1)  # shape (n_islands, 2)
            distances = np.linalg.norm(to_centre, axis=1)
            for i in np.argsort(distances, kind="stable"):
                cells = islands[i]
                placed[cells] += approach(placed, cells, to_centre[i], move * strait, strait)
            if np.array_equal(before, placed):
                break
    return turned(placed), not np.array_equal(xy, placed)


def approach(xy, island, to_centre, length, strait):
    """Step of an island, a mask of the cells `xy`, towards the centre; zeros if it cannot move."""
    distance = np.linalg.norm(to_centre)
    if distance < length:
        return np.zeros(2)
    others = xy[~island]
    for angle in TURNS:
        step = length * _rotation(angle) @ to_centre / distance
        if np.linalg.norm(to_centre - step) >= distance:
            continue
        moved = xy[island] + step
        # only cells in a box around the island can be too close
        reach = np.ptp(moved, axis=0) + strait
        near = (np.abs(others - moved.mean(0)) < reach).all(1)
        if not (cdist(moved, others[near]) < strait).any():
            return step
    return np.zeros(2)


def turned(xy):
    """Rotate points into the smallest square."""
    try:
        hull = xy[ConvexHull(xy).vertices]
    except QhullError:  # all on a line, or too few
        return xy
    turns = [_rotation(-angle) for angle in np.radians(np.arange(0, 90, 3))]
    sides = np.array([np.ptp(hull @ turn, axis=0).max() for turn in turns])
    best = np.argmin(sides)
    return xy @ turns[best] if sides[best] < WORTH * sides[0] else xy


def _rotation(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
