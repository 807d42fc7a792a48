"""Labels that do not overlap: shortened, spread along the edge of a panel, or placed next to points."""

import numpy as np
from matplotlib import patheffects
from scipy.optimize import isotonic_regression

HALO = [patheffects.withStroke(linewidth=2, foreground="white")]
LETTERS = 28  # maximum length of a name next to an axis or in a legend
SMALLEST = 5.0  # smallest font size in points
GAP = 3.5  # distance from a drawn point to its name, in points
# Possible positions of a name around its point: distances beyond the gap, and directions, the best
# (right) first.
FURTHER = (0, 3, 7, 12, 18, 25, 33, 42, 55)
# as multiples of pi
ANGLES = (0, 0.25, -0.25, 1, 0.75, -0.75, 0.5, -0.5, 0.125, -0.125, 0.875, -0.875)
DIRECTIONS = np.array([[np.cos(np.pi * angle), np.sin(np.pi * angle)] for angle in ANGLES])


def shortened(name, most=LETTERS):
    """Shorten a name to `most` letters, with "…" in place of its middle, because names often differ at the end."""
    name = str(name)
    if len(name) <= most:
        return name
    tail = max(most // 3, 1)
    return f"{name[: most - 1 - tail].rstrip()}…{name[-tail:].lstrip()}"


def counted(n, noun):
    """A number with its noun: "1 gene", "25 genes"."""
    return f"{n} {noun}{'s' * (n != 1)}"


def signed(value, digits=2):
    """A number with a minus sign as long as a plus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def fit_text(text, width, keep=""):
    """Fit a text into a width in inches: reduce its font size, but not below 5 points, then shorten the text."""

    def measure():
        return text.get_window_extent().width / text.get_figure().dpi

    while measure() > width and text.get_fontsize() > SMALLEST:
        text.set_fontsize(max(text.get_fontsize() - 0.25, SMALLEST))
    if (wide := measure()) <= width:
        return
    name = text.get_text().removesuffix(keep)
    for most in range(min(len(name) - 1, int(len(name) * width / wide) + 2), 2, -1):
        text.set_text(shortened(name, most) + keep)
        if measure() <= 0.95 * width:  # letters are slightly wider at other resolutions
            return


def name_line(ax, x, name, low=False):
    """Draw a dashed vertical line with a name at its top (or bottom); `settle_labels` may move the name."""
    ax.axvline(x, color="0.45", lw=0.7, ls=(0, (3, 2)), zorder=1)
    height, va = (0, "bottom") if low else (1, "top")
    place = {
        "xycoords": ax.get_xaxis_transform(),
        "textcoords": "offset points",
        "va": va,
        "ha": "left",
    }
    ax.annotate(
        name, (x, height), (2, 1 - 2 * height), fontsize=6, color="0.3", gid="line", **place
    )


def name_level(ax, y, name, color="black"):
    """Write a name to the right of the axes at height `y` in data units; `settle_labels` may move the name."""
    style = {"color": color, "va": "center", "ha": "left", "fontsize": 6.5}
    ax.text(1.03, y, name, transform=ax.get_yaxis_transform(), gid="level", **style)


def settle_labels(ax):
    """Move the labels of lines and of levels apart; call this when the layout is final."""
    _settle_levels(ax, [text for text in ax.texts if text.get_gid() == "level"])
    _settle_lines(ax, [text for text in ax.texts if text.get_gid() == "line"])


def _settle_levels(ax, texts):
    """Move the names of levels apart as little as possible, and connect each name to its level with a thin line."""
    if not texts:
        return
    texts = sorted(texts, key=lambda text: text.get_position()[1])
    boxes = [text.get_window_extent() for text in texts]
    heights = np.array([box.height for box in boxes]) + ax.figure.dpi / 72
    levels = np.array([(box.y0 + box.y1) / 2 for box in boxes])
    # Isotonic regression gives the smallest sum of squared shifts for which no two names overlap.
    offsets = np.concatenate([[0], np.cumsum((heights[1:] + heights[:-1]) / 2)])
    frame = ax.get_window_extent()
    low, high = frame.y0 + heights[0] / 2, frame.y1 - heights[-1] / 2 - offsets[-1]
    places = isotonic_regression(levels - offsets).x.clip(low, max(low, high)) + offsets
    to_axes = ax.transAxes.inverted()
    for text, level, place in zip(texts, levels, places, strict=True):
        x = text.get_position()[0]
        y0, y1 = (to_axes.transform((0, y))[1] for y in (level, place))
        text.set(transform=ax.transAxes, position=(x, y1))
        leader = {"transform": ax.transAxes, "color": text.get_color(), "lw": 0.5, "clip_on": False}
        ax.plot([1.002, x - 0.003], [y0, y1], **leader)


def _settle_lines(ax, texts):
    """Move names that extend beyond the axes to the left of their lines, and lower names that would overlap."""
    settled, edge = [], ax.get_window_extent().x1
    for text in texts:
        across, down = text.get_position()
        if text.get_window_extent().x1 > edge:
            text.set(ha="right", position=(-across, down))
        while any(text.get_window_extent().overlaps(box) for box in settled):
            down -= text.get_fontsize() * 1.2
            text.set_position((text.get_position()[0], down))
        settled.append(text.get_window_extent())


def place_names(ax, points, names, background, leader=True, **style):
    """Write a name next to each point, if possible without overlaps, inside the axes and not over another point."""
    pixels, dots = (
        ax.transData.transform(np.asarray(places, float)) for places in (points, background)
    )
    frame, unit = ax.get_window_extent().extents, ax.figure.dpi / 72
    placed, notes = (
        [inset.get_window_extent().extents for inset in ax.child_axes],
        [None] * len(names),
    )
    # Crowded points come first, since they have the fewest free positions.
    crowding = (np.linalg.norm(pixels[:, np.newaxis] - pixels, axis=2) < 40 * unit).sum(1)
    for i in np.argsort(-crowding, kind="stable"):
        note = ax.annotate(
            names[i], points[i], (0, 0), textcoords="offset points", annotation_clip=False
        )
        note.set(ha="center", va="center", path_effects=HALO, in_layout=False, **style)
        size, others = np.array(note.get_window_extent().size), np.delete(pixels, i, 0)
        shifts = _shifts(size, unit)
        boxes = np.hstack([pixels[i] + shifts - size / 2, pixels[i] + shifts + size / 2])
        outside = size.prod() - _shared(boxes, frame)
        overlap = sum(_shared(boxes, other) for other in placed)
        # would seem to name another point
        hidden = _inside(boxes + 3 * unit * np.array([-1, -1, 1, 1]), others)
        crowd = _inside(boxes, dots) / max(len(dots), 1) ** 0.5
        away = _distance(shifts, size) / unit
        costs = 1e4 * (overlap + outside) / unit**2 + 1e3 * hidden + 5 * crowd + away
        best = shifts[np.argmin(costs)]
        note.set_position(best / unit)
        placed.append(boxes[np.argmin(costs)] + 0.5 * unit * np.array([-1, -1, 1, 1]))
        notes[i] = note
        if leader and _distance(best, size) > (GAP + 4) * unit:
            # point of the box nearest to the named point
            line = np.clip(0, best - size / 2, best + size / 2)
            ax.plot(
                *ax.transData.inverted().transform([pixels[i], pixels[i] + line]).T,
                color="0.2",
                lw=0.4,
                zorder=4,
            )
    return notes


def _shifts(size, unit):
    """Possible centres of a box next to a point, relative to the point: an array of shape (n_places, 2)."""
    # The side or corner of the box that faces the point touches a circle around the point.
    touching = np.sign(np.round(DIRECTIONS, 9)) * np.abs(DIRECTIONS) ** 0.5 * size / 2
    return np.vstack([DIRECTIONS * (GAP * unit + further * unit) + touching for further in FURTHER])


def _distance(shifts, size):
    """Distance from a point to boxes whose centres are shifted from the point by `shifts`."""
    return np.linalg.norm(np.maximum(np.abs(shifts) - size / 2, 0), axis=-1)


def _shared(boxes, other):
    """Area that each box (x0, y0, x1, y1) shares with another box."""
    low, high = np.maximum(boxes[:, :2], other[:2]), np.minimum(boxes[:, 2:], other[2:])
    return np.maximum(high - low, 0).prod(axis=1)


def _inside(boxes, points):
    """Number of points within each box (x0, y0, x1, y1)."""
    x, y = points.T[:, np.newaxis]
    x0, y0, x1, y1 = boxes.T[..., np.newaxis]
    return ((x0 < x) & (x < x1) & (y0 < y) & (y < y1)).sum(axis=1)
