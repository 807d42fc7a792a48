"""Cells on a map, with the names and the legend of their families."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.colors import MOST_GROUPS, listed
from sbnn.plotting.common import MARGIN, WIDTH
from sbnn.plotting.labels import place_names, shortened

# more cells are drawn as an image in a PDF, to save space
MOST_SHAPES = 5000
LETTERS = 18  # of a name on the map


def draw_cells(ax, xy, colors, size):
    """Draw cells in random order, so that no group lies on top."""
    order = np.random.default_rng(0).permutation(len(xy))
    dots = ax.scatter(*xy[order].T, s=size, c=colors[order], lw=0)
    dots.set_rasterized(len(xy) > MOST_SHAPES)


def frame_map(ax):
    """Prepare a panel for a map."""
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def draw_cloud(ax, groups, xy, size):
    """Draw cells and name families; the figure has its final layout."""
    draw_cells(ax, xy, groups.colors, size)
    known = groups.table.index.drop(UNKNOWN, errors="ignore")
    if 2 <= len(known) <= MOST_GROUPS:
        centres = [np.median(xy[groups.families == family], axis=0) for family in known]
        names = [shortened(family, LETTERS) for family in known]
        place_names(ax, centres, names, beside=False, fontsize=6.5)


def legend_entries(table):
    """Legend entries such as "Pvalb (286)"."""
    shown = listed(table)
    labels = [f"{shortened(name)} ({n})" for name, n in shown["count"].items()]
    colors = shown["color"].tolist()
    others = table["count"].iloc[len(shown) :]
    if len(others):
        labels.append(f"{len(others)} others ({others.sum()})")
        colors.append("none")
    look = {"marker": "o", "ms": 4, "ls": ""}
    return [
        Line2D([], [], color=color, label=label, **look)
        for label, color in zip(labels, colors, strict=True)
    ]


def draw_legend(figure, table, title, width=WIDTH - 2 * MARGIN, loc="outside lower left"):
    """Draw the legend of the groups; return its height in inches."""
    entries = legend_entries(table)
    longest = max(len(entry.get_label()) for entry in entries)
    columns = max(int(width / (0.055 * longest + 0.3)), 1)
    n_rows = -(-len(entries) // columns)
    look = {"alignment": "left", "handletextpad": 0.1, "handlelength": 1.2, "title": title}
    figure.legend(handles=entries, loc=loc, ncols=-(-len(entries) // n_rows), **look)
    return 0.12 * n_rows + 0.25
