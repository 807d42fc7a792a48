"""Labels that do not overlap."""

from collections import Counter

import numpy as np
from matplotlib import patheffects
from scipy.spatial.distance import cdist

HALO = [patheffects.withStroke(linewidth=2, foreground="white")]
LETTERS = 28  # of a name next to an axis or in a legend
SMALLEST = 5.0  # font size in points
GAP = 3.5  # points from a dot to its name
CROWDED = 40  # names at dots that are closer compete for space
# distances of a name beyond the gap, and directions, the best first
FURTHER = (0, 3, 7, 12, 18, 25, 33, 42, 55)
ANGLES = np.pi / 8 * np.array([0, 2, -2, 8, 6, -6, 4, -4, 1, -1, 7, -7])
DIRECTIONS = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
OUTWARDS = np.array([-1, -1, 1, 1])  # of the four sides of a box (x0, y0, x1, y1)
DASHES = (0, (3, 2))
OFF_BORDERS = (5**0.5 - 1) / 2
NAME = {"textcoords": "offset points", "ha": "center", "va": "center"}
NAME |= {"path_effects": HALO, "in_layout": False, "annotation_clip": False}


def shortened(name, most=LETTERS):
    """Shorten a name, with "…" in its middle: names often differ at the end."""
    name = str(name)
    if len(name) <= most:
        return name
    tail = max(most // 3, 1)
    start = name[: most - 1 - tail].rstrip()
    return f"{start}…{name[-tail:].lstrip()}"


def shortened_apart(names, letters=LETTERS):
    """Shorten names, which stay different."""
    names = [str(name) for name in names]
    most = dict.fromkeys(names, letters)
    while True:
        short = {name: shortened(name, most[name]) for name in most}
        counts = Counter(short.values())
        alike = [name for name in most if counts[short[name]] > 1]
        if not alike:
            return [short[name] for name in names]
        for name in alike:
            most[name] += 1


def counted(n, noun):
    """Such as "1 gene", "25 genes"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def signed(value, digits=2, plus=False):
    """A number with a long minus sign, and a plus if wanted."""
    sign = "+" if plus else "-"
    return f"{value:{sign}.{digits}f}".replace("-", "−")


def text_width(text):
    """In inches."""
    return text.get_window_extent().width / text.get_figure().dpi


def fit_text(text, width, keep=""):
    """Reduce the font of a text, then shorten it, to a width in inches."""
    while text_width(text) > width and text.get_fontsize() > SMALLEST:
        text.set_fontsize(max(text.get_fontsize() - 0.25, SMALLEST))
    if text_width(text) <= width:
        return
    name = text.get_text().removesuffix(keep)
    for most in range(len(name) - 1, 2, -1):
        text.set_text(shortened(name, most) + keep)
        if text_width(text) <= 0.95 * width:
            return


def name_line(ax, x, name, low=False):
    """Draw a named vertical line; the axes have their final limits."""
    ax.axvline(x, color="0.45", lw=0.7, ls=DASHES, zorder=1)
    (across, _) = (ax.transScale + ax.transLimits).transform((x, 1))
    shift, ha = (-2, "right") if across > 0.8 else (2, "left")
    end, va = (0.01, "bottom") if low else (0.99, "top")
    place = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points"}
    ax.annotate(name, (x, end), (shift, 0), ha=ha, va=va, fontsize=6, color="0.3", **place)


def place_names(ax, points, names, background, leader=True, **style):
    """Write a name next to each of the `points`, (n_names, 2), if possible without overlaps.

    Names should not hide the dots of `background`, (n_dots, 2), either; both are in data units.
    The axes have their final limits and position. With `leader`, lines lead to distant names.
    """
    unit = ax.figure.dpi / 72  # pixels
    step = ax.figure.dpi / 1000
    pixels = _rounded(ax.transData.transform(np.asarray(points, float)), step)
    dots = _rounded(ax.transData.transform(np.asarray(background, float)), step)
    notes = []
    for name, point in zip(names, points, strict=True):
        notes.append(ax.annotate(name, point, (0, 0), **NAME, **style))
    taken = []
    # crowded points first, which have the fewest free positions
    crowding = (cdist(pixels, pixels) < CROWDED * unit).sum(1)
    for i in np.argsort(-crowding, kind="stable"):
        size = _rounded(np.array(notes[i].get_window_extent().size), step)
        shifts = _shifts(size, unit)  # (n_places, 2)
        centres = pixels[i] + shifts
        boxes = np.hstack([centres - size / 2, centres + size / 2])
        outside = size.prod() - _shared(boxes, [ax.get_window_extent().extents])
        covered = outside + _shared(boxes, taken)
        # a name beside another point would seem to name it
        misleading = _inside(boxes + 3 * unit * OUTWARDS, np.delete(pixels, i, 0))
        hidden = _inside(boxes, dots) / max(len(dots), 1) ** 0.5
        away = _distance(shifts, size) / unit
        costs = 1e4 * covered / unit**2 + 1e3 * misleading + 5 * hidden + away
        best = np.argmin(costs.round(6))  # of equal ones, the first
        notes[i].set_position(shifts[best] / unit)
        taken.append(boxes[best] + 0.5 * unit * OUTWARDS)
        if leader and away[best] > GAP + 4:
            nearest = np.clip(pixels[i], boxes[best, :2], boxes[best, 2:])  # point of the box
            ends = ax.transData.inverted().transform([pixels[i], nearest])
            ax.plot(*ends.T, color="0.2", lw=0.4, zorder=4)
    return notes


def _rounded(lengths, step):
    """Round to thousandths of an inch, or names would move with the last bits of a processor."""
    # round numbers, such as whole pixels, lie on no border between two steps
    return np.floor(lengths / step + OFF_BORDERS) * step


def _shifts(size, unit):
    """Possible centres of a box, relative to its point, (n_places, 2)."""
    # the side or corner that faces the point touches a circle around it
    facing = np.sign(DIRECTIONS.round(9)) * np.abs(DIRECTIONS) ** 0.5
    touching = facing * size / 2
    rings = [GAP * unit + further * unit for further in FURTHER]
    return np.vstack([DIRECTIONS * radius + touching for radius in rings])


def _distance(shifts, size):
    beyond = np.maximum(np.abs(shifts) - size / 2, 0)
    return np.linalg.norm(beyond, axis=-1)


def _shared(boxes, others):
    """Area that each box (x0, y0, x1, y1) shares with others."""
    others = np.reshape(others, (-1, 4))
    low = np.maximum(boxes[:, np.newaxis, :2], others[:, :2])
    high = np.minimum(boxes[:, np.newaxis, 2:], others[:, 2:])
    return np.maximum(high - low, 0).prod(axis=2).sum(axis=1)


def _inside(boxes, points):
    low = boxes[:, np.newaxis, :2]
    high = boxes[:, np.newaxis, 2:]
    return ((low < points) & (points < high)).all(2).sum(1)
