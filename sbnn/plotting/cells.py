"""Appearance of cells: published colours of their types, or colours and shapes safe for colour-blind readers."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from scipy.spatial import cKDTree

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.colors import MOST_GROUPS, listed
from sbnn.plotting.common import WIDTH
from sbnn.plotting.labels import HALO, place_names, shortened

MARGIN = 0.06  # inches, for figures whose panels are placed one by one
# side of the inset as a share of the side of the map, and magnification inside the inset
INSET, ENLARGED = 0.3, 2.5
# largest number of cells drawn as vectors in a PDF; more are drawn as an image to save space
MOST_SHAPES = 5000
# if one family has more than this share of the busiest part, an inset would show nothing new
MIXED = 0.8
AROUND = 9  # number of cells around a name whose families are compared with the name
LETTERS = 18  # maximum length of a name on the map


def draw_cells(ax, xy, colors, markers, size):
    """Draw cells as small filled shapes, in random order, so that no group lies on top of all others."""
    order = np.random.default_rng(0).permutation(len(xy))
    kinds = np.unique(markers)
    dots = ax.scatter(
        *xy[order].T,
        s=size,
        c=colors[order],
        lw=0,
        marker=kinds[0],
        rasterized=len(xy) > MOST_SHAPES,
    )
    if len(kinds) > 1:
        # Each cell is a separate path, since a collection for each shape would put one group on top
        # of another.
        paths = {
            m: MarkerStyle(m).get_path().transformed(MarkerStyle(m).get_transform()) for m in kinds
        }
        dots.set_paths([paths[m] for m in markers[order]])
        dots.set_rasterized(True)  # as vectors, each path would be defined separately in a PDF


def draw_cloud(ax, groups, xy, note, size, inset=False):
    """Draw all cells of a map, outlying cells at its edge, with the names of families and a note below the map."""
    draw_cells(ax, np.clip(xy, 0.01, 0.99), groups.colors, groups.markers, size)
    if note:
        ax.text(
            0.5,
            -0.01,
            note,
            transform=ax.transAxes,
            ha="center",
            va="top",
            fontsize=5,
            color="0.45",
        )
    if inset:
        draw_crowd(ax, xy, groups)
    name_families(ax, groups, xy)


def draw_crowd(ax, xy, groups):
    """Enlarge the busiest part of the map in the emptiest corner, unless that would hide cells or show nothing new."""
    half, n, families = INSET / ENLARGED / 2, len(xy), groups.families
    some = slice(None, None, max(n // 1500, 1))  # a sample of the cells is enough
    members = np.equal.outer(np.unique(families), families[some]).astype(float)
    close = np.abs(xy[some, None] - xy[None, some]).max(2) <= half
    middle = xy[some][np.sqrt(members @ close).sum(0).argmax()]
    near = (np.abs(xy - middle) <= half).all(1)
    # there is some space next to the panel
    corners = [(x, y) for x in (-0.1, 1.1 - INSET) for y in (0, 1 - INSET)]
    hidden = [(((xy >= corner) & (xy <= np.add(corner, INSET))).all(1)).sum() for corner in corners]
    most = np.unique(families[near], return_counts=True)[1].max() / near.sum()
    # few cells, hidden cells, or a single colour
    if near.sum() < 0.1 * n or min(hidden) > 0.005 * n or most > MIXED:
        return
    inset = ax.inset_axes((*corners[int(np.argmin(hidden))], INSET, INSET))
    (x, y), ends = middle, half * np.array([-1, 1])
    inset.set(xlim=x + ends, ylim=y + ends, xticks=[], yticks=[])
    inset.spines[:].set(visible=True, linewidth=0.5, edgecolor="0.5")
    draw_cells(
        inset,
        xy[near],
        groups.colors[near],
        groups.markers[near],
        size=np.clip(1500 / near.sum(), 1, 6),
    )
    ax.indicate_inset_zoom(inset, edgecolor="0.5", linewidth=0.5, alpha=0.9)


def name_families(ax, groups, xy):
    """Write the name of each family where its cells are dense and not mixed with other families."""
    families, known = groups.families, groups.table.index.drop(UNKNOWN, errors="ignore")
    if not 2 <= len(known) <= MOST_GROUPS:
        return
    peaks = np.array([family_centre(xy, families == family) for family in known])
    names = [shortened(family, LETTERS) for family in known]
    notes = place_names(ax, peaks, names, xy, leader=False, fontsize=6.5)
    tree, to_data = cKDTree(xy), ax.transData.inverted()
    for note, family, peak in zip(notes, known, peaks, strict=True):
        box = note.get_window_extent()
        middle = to_data.transform([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
        near = tree.query(middle, k=min(AROUND, len(xy)))[1]
        # the name would seem to belong to its neighbours
        if (families[near] == family).mean() < 0.5:
            corner = to_data.transform(np.clip(ax.transData.transform(peak), box.min, box.max))
            # below the names
            ax.plot(
                *np.array([peak, corner]).T, color="0.15", lw=0.6, zorder=2.5, path_effects=HALO
            )


def family_centre(xy, own):
    """Position of the cell in a family where squared purity times the square root of the local density is largest."""
    cells = xy[own]
    k = min(int(len(cells) ** 0.5) + 1, len(cells))
    distance = cKDTree(cells).query(cells, k=np.arange(1, k + 1))[0].mean(axis=1)
    near = cKDTree(xy).query(cells, k=np.arange(1, min(2 * k + 1, len(xy) + 1)))[1]
    purity = own[near].mean(axis=1)
    return cells[np.argmax(purity**2 / np.maximum(distance, 1e-12))]


def legend_entries(table):
    """Legend entries such as "Pvalb (286)" from the table of `Groups`; the rarest of many groups share one entry."""
    rows = [
        (shortened(group), *row)
        for group, *row in listed(table)[["count", "color", "marker"]].itertuples()
    ]
    if len(rest := table.iloc[len(rows) :]):
        color = rest["color"].iloc[0] if rest["color"].nunique() == 1 else "none"
        rows.append((f"{len(rest)} others", rest["count"].sum(), color, "o"))
    return [
        Line2D([], [], marker=m, ms=4, ls="", color=color, label=f"{name} ({n})")
        for name, n, color, m in rows
    ]


def draw_legend(figure, table, title, width=WIDTH - 2 * MARGIN):
    """Draw the legend of the groups at the lower left of a figure, in as many columns as fit into
    `width` inches.

    Returns the legend and its height in inches.
    """
    entries = legend_entries(table)
    options = {
        "loc": "lower left",
        "bbox_to_anchor": (MARGIN / WIDTH, 0),
        "handletextpad": 0.1,
        "handlelength": 1.2,
    }
    narrow = figure.legend(handles=entries, **options)
    columns = max(int(width / (narrow.get_window_extent().width / figure.dpi + 0.12)), 1)
    narrow.remove()
    rows = -(-len(entries) // columns)
    legend = figure.legend(
        handles=entries, ncols=-(-len(entries) // rows), title=title, alignment="left", **options
    )
    return legend, legend.get_window_extent().height / figure.dpi
