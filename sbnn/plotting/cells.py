"""Cells on a map, with the names and the legend of their families."""

import numpy as np
from matplotlib.lines import Line2D
from scipy.spatial import cKDTree

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.colors import MOST_GROUPS, listed
from sbnn.plotting.common import MARGIN, WIDTH
from sbnn.plotting.labels import place_names, shortened_apart

# more cells are drawn as an image in a PDF, to save space
MOST_SHAPES = 5000
LETTERS = 18  # of a name on the map
NOTE = {"fontsize": 5, "color": "0.45"}


def draw_cells(ax, xy, colors, size):
    """Draw cells in random order, so that no group lies on top."""
    order = np.random.default_rng(0).permutation(len(xy))
    dots = ax.scatter(*xy[order].T, s=size, c=colors[order], lw=0)
    dots.set_rasterized(len(xy) > MOST_SHAPES)


def frame_map(ax, note):
    """Prepare a panel for a map, with a note below it."""
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    ax.set_xlabel(note, labelpad=1, **NOTE)


def draw_cloud(ax, groups, xy, size):
    """Draw cells and name families."""
    draw_cells(ax, np.clip(xy, 0.01, 0.99), groups.colors, size)
    known = groups.table.index.drop(UNKNOWN, errors="ignore")
    if not 2 <= len(known) <= MOST_GROUPS:
        return
    peaks = np.array([family_centre(xy, groups.families == family) for family in known])
    place_names(ax, peaks, shortened_apart(known, LETTERS), xy, fontsize=6.5)


def family_centre(xy, own):
    """Position of the cell with the purest and densest surroundings."""
    cells = xy[own]
    k = max(len(cells) // 3, 1)
    distances, _ = cKDTree(cells).query(cells, k=range(1, k + 1))
    k_all = min(2 * k, len(xy))
    _, near = cKDTree(xy).query(cells, k=range(1, k_all + 1))
    purity = own[near].mean(axis=1)
    return cells[np.argmax(purity**2 / np.maximum(distances.mean(axis=1), 1e-12))]


def legend_entries(table):
    """Legend entries such as "Pvalb (286)"."""
    shown = listed(table)
    names = shortened_apart(shown.index)
    rows = list(zip(names, shown["count"], shown["color"], strict=True))
    others = table["count"].iloc[len(shown) :]
    if len(others):
        rows.append((f"{len(others)} others", others.sum(), "none"))
    entries = []
    for name, count, color in rows:
        label = f"{name} ({count})"
        entries.append(Line2D([], [], marker="o", ms=4, ls="", color=color, label=label))
    return entries


def draw_legend(figure, table, title, width=WIDTH - 2 * MARGIN, loc="lower left"):
    """Draw the legend of the groups; return it and its height."""
    entries = legend_entries(table)
    longest = max(len(entry.get_label()) for entry in entries)
    columns = max(int(width / (0.055 * longest + 0.3)), 1)
    n_rows = -(-len(entries) // columns)
    look = {"alignment": "left", "handletextpad": 0.1, "handlelength": 1.2, "title": title}
    legend = figure.legend(handles=entries, loc=loc, ncols=-(-len(entries) // n_rows), **look)
    return legend, legend.get_window_extent().height / figure.dpi
