"""A map of the cells: positions, the outline of the cloud, and the prediction at each position."""

import numpy as np
from matplotlib import colormaps, rcParams
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.tri import LinearTriInterpolator, Triangulation
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree

from sbnn.plotting.common import RASTER_DPI, colorbar
from sbnn.plotting.labels import counted

FINER = 3  # points evaluated along each side of a pixel, for smooth outlines
# number of colours: a PDF stores an image with few colours as a palette, in a third of the space
STEPS = 64
EDGE = 3  # steps of opacity along outlines; 64 colours at 3 opacities fit into a palette of 256
LIMIT = 2.0  # z-scores: all maps have the same colour range, so that they can be compared
# outliers dominate an SD if the central 95 % of the z-scores span less than this fraction of 3.92
NARROW = 0.5
# Gaps in a t-SNE are compressed, since distances between its islands mean little and the space
# between them is empty. width of a gap, in units of the distance to the tenth neighbour where cells
# are sparse
STRAIT = 1.75
MOVES = (8, 4, 2, 1, 0.5)  # steps by which islands move, in gap widths, from coarse to fine
# angles off the way to the centre, to pass other islands
TURNS = np.pi * np.array([0, 0.25, -0.25, 0.4, -0.4])
ROUNDS = 40
# a map is rotated only if this shrinks the side of the square to less than this fraction
WORTH = 0.97


def map_coordinates(record):
    """Coordinates of the cells of a fit in units of the panel, and a note, as returned by `panel_coordinates`."""
    # The units of latent dimensions are arbitrary; the proportions of a t-SNE are not.
    return panel_coordinates(record.embedding, proportional=record.latent.shape[1] > 2)


def panel_coordinates(xy, proportional):
    """Coordinates in which the cloud of cells fills a square panel from 0 to 1, and a note to write below the panel."""
    xy, moved = np.asarray(xy, float), False
    if np.ptp(xy[:, 1]) == 0:
        # A van der Corput sequence spreads the cells evenly along the second axis.
        order = np.argsort(np.argsort(xy[:, 0], kind="stable"))
        xy = np.column_stack([xy[:, 0], [int(f"{i:032b}"[::-1], 2) / 2**32 for i in order]])
    if proportional:
        xy, moved = packed(xy)
    low, high = np.quantile(xy, [0.025, 0.975], axis=0)
    reach = 0.5 * (high - low)
    low, high = np.maximum(xy.min(0), low - reach), np.minimum(xy.max(0), high + reach)
    if (triangles := map_triangles(_framed(xy, low, high, proportional))) is not None:
        inside = xy[np.unique(triangles.get_masked_triangles())]
        low, high = inside.min(0), inside.max(0)
    xy = _framed(xy, low, high, proportional)
    notes, beyond = ["gaps compressed"] * moved, int(((xy < 0) | (xy > 1)).any(1).sum())
    notes += [f"{counted(beyond, 'outlying cell')} drawn at the edge"] if beyond else []
    return xy, "; ".join(notes)


def _framed(xy, low, high, proportional):
    """Scale coordinates such that a box nearly fills the square from 0 to 1."""
    size = np.where(high > low, high - low, 1.0)
    if proportional:
        size = np.maximum(size, size.max() / 1.2)
    return 0.5 + 0.93 * (xy - (low + high) / 2) / size


def widened(record):
    """Factor by which outliers inflate the SD of each output, in which predictions are drawn; 1 if it is at most 2."""
    bulk = np.ptp(np.quantile(record.outputs, [0.025, 0.975], axis=0), axis=0) / 3.92
    return np.where((bulk > 0) & (bulk < NARROW), 1 / np.maximum(bulk, 1e-30), 1.0)


def map_triangles(xy, stretch=0.85):
    """Delaunay triangles over the cells, without those that span empty regions; None if no triangle is left."""
    spacing = cKDTree(xy).query(xy, k=min(11, len(xy)))[0][:, -1]
    # outlying cells are far from all others
    spacing = np.minimum(spacing, np.quantile(spacing, 0.9))
    try:
        triangles = Triangulation(*xy.T)
        hidden = _circumradius(xy[triangles.triangles]) > stretch * np.median(
            spacing[triangles.triangles], axis=1
        )
        hidden = hidden ^ _small_parts(triangles, hidden, False, 8)
        hidden = hidden ^ _small_parts(triangles, hidden, True, 8)
        if hidden.all():
            return None
        triangles.set_mask(hidden)
        triangles.get_trifinder()
    except (RuntimeError, ValueError):  # too few cells, or all on a line
        return None
    return triangles


def _circumradius(corners):
    """Circumradius of each triangle; `corners` has shape (m, 3, 2)."""
    a, b, c = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).T
    u, v = (corners[:, 1:] - corners[:, :1]).swapaxes(0, 1)
    return a * b * c / np.maximum(2 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]), 1e-30)


def _small_parts(triangles, hidden, state, size):
    """Mask of the triangles in small connected parts.

    A small part consists of at most `size` triangles, for all of which `hidden` equals `state`;
    hidden parts at the hull do not count.
    """
    first, side = np.nonzero(triangles.neighbors >= 0)
    second = triangles.neighbors[first, side]
    same = hidden[first] == hidden[second]
    n = len(hidden)
    part = connected_components(
        coo_array((np.ones(same.sum()), (first[same], second[same])), shape=(n, n))
    )[1]
    small = np.bincount(part)[part] <= size
    if state:
        small &= ~np.isin(part, part[(triangles.neighbors < 0).any(1)])
    return small & (hidden == state)


def draw_map(ax, corner, side, triangles, values, limits=(-LIMIT, LIMIT)):
    """Draw predicted values over a map, as a square image with the given corner and side in inches."""
    if triangles is not None:
        (left, low), image = corner, map_image(triangles, values, round(side * RASTER_DPI), limits)
        ax.imshow(
            image, extent=(left, left + side, low, low + side), aspect="auto", interpolation="none"
        )


def map_image(triangles, values, pixels, limits=(-LIMIT, LIMIT)):
    """Image (with few colours) of values that are linearly interpolated between the corners of the triangles."""
    fine = (np.arange(pixels * FINER) + 0.5) / (pixels * FINER)
    found = LinearTriInterpolator(triangles, values)(*np.meshgrid(fine, fine[::-1]))
    inside = ~np.ma.getmaskarray(found)
    blocks = (pixels, FINER, pixels, FINER)
    covered = inside.reshape(blocks).sum((1, 3))
    mean = np.where(inside, found.data, 0).reshape(blocks).sum((1, 3)) / np.maximum(covered, 1)
    colors = colormaps[rcParams["image.cmap"]].resampled(STEPS)(
        Normalize(*limits, clip=True)(mean)
    )[..., :3]
    opacity = np.ceil(EDGE * covered / FINER**2)[..., None] / EDGE
    return np.round(255 * (opacity * colors + 1 - opacity)).astype(np.uint8)


def draw_colorbar(figure, x, y, width, label, limits=(-LIMIT, LIMIT), ticks=None):
    """Draw a horizontal colour bar at a position in inches from the lower left corner of the figure."""
    across, height = figure.get_size_inches()
    ax = figure.add_axes((x / across, y / height, width / across, 0.07 / height))
    scale = {"orientation": "horizontal", "extend": "both", "ticks": ticks}
    colorbar(figure, ScalarMappable(Normalize(*limits)), label, 1, cax=ax, **scale)


def packed(xy):
    """Move islands of cells towards each other until gaps of equal width separate them, and rotate the whole map."""
    xy = np.asarray(xy, float)
    tree = cKDTree(xy)
    strait = STRAIT * np.quantile(tree.query(xy, k=min(11, len(xy)))[0][:, -1], 0.9)
    close = tree.sparse_distance_matrix(tree, strait, output_type="coo_matrix")
    n_islands, island = connected_components(close)
    if n_islands == 1 or strait == 0:
        return turned(xy), False
    shifts = _shifts(xy, island, n_islands, strait)
    return turned(xy + shifts[island]), bool(np.any(shifts))


def _shifts(xy, island, n_islands, strait):
    """Displacement of each island, an array of shape (n_islands, 2)."""
    cells = [xy[island == i] for i in range(n_islands)]
    trees = [cKDTree(own) for own in cells]
    boxes = np.array([[own.min(0), own.max(0)] for own in cells])
    middles, centre = boxes.mean(1), xy.mean(0)
    shifts = np.zeros((n_islands, 2))

    def is_free(i, shift):
        low, high = boxes[i] + shift
        apart = np.maximum(boxes[:, 0] + shifts - high, low - boxes[:, 1] - shifts).max(1)
        near = [j for j in np.flatnonzero(apart < strait) if j != i]
        found = (
            trees[j].query(cells[i] + shift - shifts[j], distance_upper_bound=strait)[0]
            for j in near
        )
        return not any(np.isfinite(distances).any() for distances in found)

    for length in MOVES:
        for _ in range(ROUNDS):
            before = shifts.copy()
            for i in np.argsort(np.linalg.norm(middles + shifts - centre, axis=1), kind="stable"):
                way = centre - middles[i] - shifts[i]
                distance = np.linalg.norm(way)
                if distance < length * strait:
                    continue
                for turn in TURNS:
                    step = length * strait * _rotation(turn) @ way / distance
                    if np.linalg.norm(way - step) < distance and is_free(i, shifts[i] + step):
                        shifts[i] += step
                        break
            if np.array_equal(before, shifts):
                break
    return shifts


def turned(xy):
    """Rotate points so that they fit into the smallest upright square."""
    try:
        hull = xy[ConvexHull(xy).vertices]
    except QhullError:  # all on a line, or too few
        return xy
    turns = [_rotation(-angle) for angle in np.radians(np.arange(0, 90, 3))]
    sides = np.array([np.ptp(hull @ turn, axis=0).max() for turn in turns])
    best = int(np.argmin(sides))
    return xy @ turns[best] if sides[best] < WORTH * sides[0] else xy


def _rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
