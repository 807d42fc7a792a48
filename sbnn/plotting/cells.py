"""Cells on a map, with the names and the legend of their families."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.colors import MOST_GROUPS
from sbnn.plotting.common import WIDTH
from sbnn.plotting.labels import place_names, shortened

# more cells are drawn as an image in a PDF, to save space
MOST_SHAPES = 5000


def draw_cells(ax, xy, colors):
    """Draw cells in random order."""
    order = np.random.default_rng(0).permutation(len(xy))
    size = np.clip(6000 / len(xy), 1, 12)
    dots = ax.scatter(*xy[order].T, s=size, c=colors[order], lw=0)
    dots.set_rasterized(len(xy) > MOST_SHAPES)


def frame_map(ax):
    """Prepare a panel for a map."""
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def draw_cloud(ax, groups, xy):
    """Draw cells and name families, after the layout."""
    draw_cells(ax, xy, groups.colors)
    name_families(ax, groups, xy)


def name_families(ax, groups, xy):
    """Name known families, after the layout."""
    known = groups.table.index.drop(UNKNOWN, errors="ignore")
    if 2 <= len(known) <= MOST_GROUPS:
        name_groups(ax, xy, groups.families, known)


def name_groups(ax, xy, groups, names):
    """Names at the medians of groups, (n_cells,)."""
    centres = [np.median(xy[groups == name], axis=0) for name in names]
    place_names(ax, centres, map(shortened, names), beside=False, fontsize=6.5)


def draw_legend(figure, table, title):
    """Draw a legend such as "Pvalb (286)" below a figure."""
    entries = []
    for name, count, color in table[:MOST_GROUPS].itertuples():
        label = f"{shortened(name)} ({count})"
        entries.append(Line2D([], [], color=color, label=label, marker="o", ms=4, ls=""))
    others = table["count"][MOST_GROUPS:]
    if len(others):
        entries.append(Line2D([], [], ls="", label=f"{len(others)} others ({others.sum()})"))
    longest = max(len(entry.get_label()) for entry in entries)
    figure.legend(
        handles=entries,
        title=title,
        loc="outside lower left",
        ncols=int(WIDTH / (0.055 * longest + 0.3)),  # inches
        alignment="left",
        handletextpad=0.1,
        handlelength=1.2,
    )
