"""Islands of cells moved nearer: how far apart t-SNE puts them means little, and the space between shows nothing."""

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree

STRAIT = 1.75  # how wide, in distances to the tenth neighbour where cells are sparse: no map bridges it
STEPS = (8, 4, 2, 1, 0.5)  # of a move, in widths of the strait, from far to fine
TURNS = np.pi * np.array([0, 0.25, -0.25, 0.4, -0.4])  # from the way to the centre, to slide along another island
ROUNDS = 40
WORTH = 0.97  # a turn that makes the square smaller by less is none


def packed(xy):
    """Move islands of cells towards each other until straits of one width part them, and turn the whole."""
    xy = np.asarray(xy, float)
    tree = cKDTree(xy)
    spacing = tree.query(xy, k=min(11, len(xy)))[0][:, -1]
    strait = STRAIT * np.quantile(spacing, 0.9)
    close = tree.sparse_distance_matrix(tree, strait, output_type="coo_matrix")
    n_islands, island = connected_components(close)
    if n_islands == 1 or strait == 0:
        return turned(xy), False
    shifts = _shifts(xy, island, n_islands, strait)
    return turned(xy + shifts[island]), bool(np.any(shifts))


def _shifts(xy, island, n_islands, strait):
    """How far each island moves, shape (n_islands, 2)."""
    cells = [xy[island == i] for i in range(n_islands)]
    trees = [cKDTree(own) for own in cells]
    boxes = np.array([[own.min(0), own.max(0)] for own in cells])
    middles, centre = boxes.mean(1), xy.mean(0)
    shifts = np.zeros((n_islands, 2))

    def is_free(i, shift):
        low, high = boxes[i] + shift
        for j in range(n_islands):
            apart = np.maximum(boxes[j, 0] + shifts[j] - high, low - boxes[j, 1] - shifts[j]).max()
            if j == i or apart >= strait:
                continue
            if np.isfinite(trees[j].query(cells[i] + shift - shifts[j], distance_upper_bound=strait)[0]).any():
                return False
        return True

    for length in STEPS:
        for _ in range(ROUNDS):
            before = shifts.copy()
            for i in np.argsort(np.linalg.norm(middles + shifts - centre, axis=1), kind="stable"):
                way = centre - middles[i] - shifts[i]
                distance = np.linalg.norm(way)
                if distance < length * strait:
                    continue
                for turn in TURNS:
                    cos, sin = np.cos(turn), np.sin(turn)
                    step = length * strait * np.array([[cos, -sin], [sin, cos]]) @ way / distance
                    if np.linalg.norm(way - step) < distance and is_free(i, shifts[i] + step):
                        shifts[i] += step
                        break
            if np.array_equal(before, shifts):
                break
    return shifts


def turned(xy):
    """Turn places such that they fit into the smallest upright square."""
    try:
        hull = xy[ConvexHull(xy).vertices]
    except QhullError:  # all on a line, or too few
        return xy
    angles = np.radians(np.arange(0, 90, 3))
    turns = [np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) for angle in angles]
    sides = np.array([np.ptp(hull @ turn, axis=0).max() for turn in turns])
    best = int(np.argmin(sides))
    return xy @ turns[best] if sides[best] < WORTH * sides[0] else xy
