"""Appearance of cells: published colours, or colours and shapes that are safe."""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.colors import MOST_GROUPS, listed
from sbnn.plotting.common import MARGIN, WIDTH
from sbnn.plotting.labels import HALO, place_names, shortened_apart

# side of the inset relative to that of the map, and its magnification
INSET, ENLARGED = 0.3, 2.5
# there is some space next to the panel
SIDES = (-0.1, 1.1 - INSET)
CORNERS = np.array(list(product(SIDES, (0, 1 - INSET))))
# more cells are drawn as an image in a PDF, to save space
MOST_SHAPES = 5000
# with a larger share of one family, an inset would show nothing new
MIXED = 0.8
AROUND = 9  # cells around a name whose families are compared with it
LETTERS = 18  # of a name on the map
NOTE = {"fontsize": 5, "color": "0.45"}


def draw_cells(ax, xy, colors, markers, size):
    """Draw cells in random order, so that no group lies on top."""
    order = np.random.default_rng(0).permutation(len(xy))
    dots = ax.scatter(*xy[order].T, s=size, c=colors[order], lw=0, marker=markers[0])
    kinds, codes = np.unique(markers[order], return_inverse=True)
    if len(kinds) > 1:
        # a collection for each shape would put one group on top of another
        own = [MarkerStyle(kind) for kind in kinds]
        shapes = [marker.get_path().transformed(marker.get_transform()) for marker in own]
        dots.set_paths([shapes[code] for code in codes])
    dots.set_rasterized(len(xy) > MOST_SHAPES or len(kinds) > 1)


def draw_cloud(ax, groups, xy, note, size, inset=False):
    """Draw all cells, names of families and a note."""
    draw_cells(ax, np.clip(xy, 0.01, 0.99), groups.colors, groups.markers, size)
    ax.text(0.5, -0.01, note, transform=ax.transAxes, ha="center", va="top", **NOTE)
    if inset:
        draw_crowd(ax, xy, groups)
    name_families(ax, groups, xy)


def draw_crowd(ax, xy, groups):
    """Enlarge the busiest part of the map in an empty corner."""
    half = INSET / ENLARGED / 2
    n = len(xy)
    sample = slice(None, None, max(n // 1500, 1))
    families = pd.get_dummies(groups.families).to_numpy(float)  # (n_cells, n_families)
    close = cdist(xy[sample], xy[sample], "chebyshev") <= half
    # the square root favours places where families meet
    middle = xy[sample][np.sqrt(close @ families[sample]).sum(1).argmax()]
    near = (np.abs(xy - middle) <= half).all(1)
    beyond = xy - CORNERS[:, np.newaxis]  # (n_corners, n_cells, 2)
    hidden = ((beyond >= 0) & (beyond <= INSET)).all(2).sum(1)
    few = near.sum() < 0.1 * n
    if few or hidden.min() > 0.005 * n or families[near].mean(0).max() > MIXED:
        return
    inset = ax.inset_axes((*CORNERS[np.argmin(hidden)], INSET, INSET))
    inset.set(xticks=[], yticks=[])
    inset.axis(np.repeat(middle, 2) + [-half, half, -half, half])
    inset.spines[:].set(visible=True, linewidth=0.5, edgecolor="0.5")
    size = np.clip(1500 / near.sum(), 1, 6)
    draw_cells(inset, xy[near], groups.colors[near], groups.markers[near], size)
    ax.indicate_inset_zoom(inset, edgecolor="0.5", linewidth=0.5, alpha=0.9)


def name_families(ax, groups, xy):
    """Write the name of each family where its cells are dense."""
    families = groups.families
    known = groups.table.index.drop(UNKNOWN, errors="ignore")
    if not 2 <= len(known) <= MOST_GROUPS:
        return
    peaks = np.array([family_centre(xy, families == family) for family in known])
    names = shortened_apart(known, LETTERS)
    notes = place_names(ax, peaks, names, xy, leader=False, fontsize=6.5)
    pixels = cKDTree(ax.transData.transform(xy))
    for family, peak, note in zip(known, peaks, notes, strict=True):
        box = note.get_window_extent()
        _, near = pixels.query((box.min + box.max) / 2, k=min(AROUND, len(xy)))
        # else the name would seem to belong to its neighbours
        if (families[near] == family).mean() < 0.5:
            box = box.transformed(ax.transData.inverted())
            line = np.array([peak, np.clip(peak, box.min, box.max)])
            ax.plot(*line.T, color="0.15", lw=0.6, zorder=2.5, path_effects=HALO)


def family_centre(xy, own):
    """Position of the cell of a family with the purest and densest surroundings."""
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
    looks = list(shown[["count", "color", "marker"]].itertuples(index=False))
    others = table.iloc[len(shown) :]
    if len(others):
        names.append(f"{len(others)} others")
        color = others["color"].iloc[0] if others["color"].nunique() == 1 else "none"
        looks.append((others["count"].sum(), color, "o"))
    entries = []
    for name, (count, color, marker) in zip(names, looks, strict=True):
        label = f"{name} ({count})"
        entries.append(Line2D([], [], marker=marker, ms=4, ls="", color=color, label=label))
    return entries


def draw_legend(figure, table, title, width=WIDTH - 2 * MARGIN):
    """Draw the legend of the groups; return it and its height."""
    entries = legend_entries(table)
    place = {"loc": "lower left", "bbox_to_anchor": (MARGIN / WIDTH, 0), "alignment": "left"}
    place |= {"handletextpad": 0.1, "handlelength": 1.2, "handles": entries}
    narrow = figure.legend(**place)
    widest = narrow.get_window_extent().width / figure.dpi
    narrow.remove()
    columns = max(int(width / (widest + 0.12)), 1)
    n_rows = -(-len(entries) // columns)
    legend = figure.legend(ncols=-(-len(entries) // n_rows), title=title, **place)
    return legend, legend.get_window_extent().height / figure.dpi
