"""How cells look: in the published colours of their types, or in colours and shapes for any colour vision."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle

from sbnn.data.checks import GREY, OKABE_ITO, UNKNOWN
from sbnn.plotting.colors import families_of, family_table, type_colors, type_table, types_of, without_types
from sbnn.plotting.common import WIDTH
from sbnn.plotting.labels import shortened

PALETTES = ("published", "colorblind")
SHAPES = "os^DvXP*"  # eight, and seven colours: 56 pairs before one repeats
INSET, ENLARGED = 0.3, 2.5  # side of the inset of the busiest part, of that of the map; how much larger it is
MOST_GROUPS = 24  # in a legend
MOST_SHAPES = 5000  # cells drawn one by one in a PDF; more are an image, which is then smaller


def looks(record, palette="published", by="family"):
    """Colour and shape of every cell, and of the groups in the legend."""
    if palette not in PALETTES:
        raise ValueError(f"palette: expected one of {list(PALETTES)}, got {palette!r}")
    groups = families_of(record) if by == "family" else types_of(record)
    table = family_table(record) if by == "family" else type_table(record)
    table["marker"] = "o"
    if palette == "published":
        return table, type_colors(record), np.full(len(groups), "o")
    known = [group for group in _listed(table).index if group != UNKNOWN]
    table["color"] = GREY  # of unknown cells, and of groups that the legend does not list
    for i, group in enumerate(known):
        table.loc[group, ["color", "marker"]] = OKABE_ITO[i % len(OKABE_ITO)], SHAPES[i % len(SHAPES)]
    return table, table["color"].loc[groups].to_numpy(str), table["marker"].loc[groups].to_numpy(str)


def draw_cells(ax, xy, colors, markers, size):
    """Draw cells as small filled shapes, in random order, so that no group lies on top of all others."""
    order = np.random.default_rng(0).permutation(len(xy))
    kinds = np.unique(markers)
    dots = ax.scatter(*xy[order].T, s=size, c=colors[order], lw=0, marker=kinds[0], rasterized=len(xy) > MOST_SHAPES)
    if len(kinds) == 1:
        return dots
    # A path of its own for each cell: a collection for each shape would put one group above the other.
    paths = {m: MarkerStyle(m).get_path().transformed(MarkerStyle(m).get_transform()) for m in kinds}
    dots.set_paths([paths[m] for m in markers[order]])
    dots.set_rasterized(True)  # a PDF would define each of them anew
    return dots


def draw_panel(ax, xy, note, colors, markers, size):
    """Draw all cells of a map, stray ones at its border, and write below it what was done to their places."""
    draw_cells(ax, np.clip(xy, 0.01, 0.99), colors, markers, size)
    if note:
        ax.text(0.5, -0.01, note, transform=ax.transAxes, ha="center", va="top", fontsize=5, color="0.45")


def draw_crowd(ax, xy, groups, colors, markers):
    """Draw the busiest part of the map once more, larger, in its emptiest corner."""
    half, n = INSET / ENLARGED / 2, len(xy)
    some = slice(None, None, max(n // 1500, 1))  # enough to find it
    members = np.equal.outer(np.unique(groups), groups[some]).astype(float)
    close = np.abs(xy[some, None] - xy[None, some]).max(2) <= half
    middle = xy[some][np.sqrt(members @ close).sum(0).argmax()]
    near = (np.abs(xy - middle) <= half).all(1)
    corners = [(x, y) for x in (-0.1, 1.1 - INSET) for y in (0, 1 - INSET)]  # beside the panel is some room
    hidden = [(((xy >= corner) & (xy <= np.add(corner, INSET))).all(1)).sum() for corner in corners]
    if near.sum() < 0.1 * n or min(hidden) > 0.005 * n or len(np.unique(groups[near])) < 2:
        return
    inset = ax.inset_axes((*corners[int(np.argmin(hidden))], INSET, INSET))
    (x, y), ends = middle, half * np.array([-1, 1])
    inset.set(xlim=x + ends, ylim=y + ends, xticks=[], yticks=[])
    for spine in inset.spines.values():
        spine.set(visible=True, linewidth=0.5, edgecolor="0.5")
    draw_cells(inset, xy[near], colors[near], markers[near], size=np.clip(1500 / near.sum(), 1, 6))
    ax.indicate_inset_zoom(inset, edgecolor="0.5", linewidth=0.5, alpha=0.9)


def legend_title(record, palette="published"):
    """Say what the groups of the families' legend are, and what their colours mean."""
    if without_types(record):
        return "no types are known: clusters of the outputs (cells)"
    if record.labels["family"].isin(["", UNKNOWN]).all():
        return "types (cells)"
    return "families (cells)" + (", in the colour of their most frequent type" if palette == "published" else "")


def _listed(table):
    """Groups that have an entry of their own in the legend: all, or the most frequent of very many."""
    return table if len(table) <= MOST_GROUPS else table.iloc[: MOST_GROUPS - 1]


def legend_entries(table):
    """Entries of a legend, "Pvalb (286)", of the table of `looks`; the rest of very many groups in one of them."""
    listed = _listed(table)
    entries = [
        Line2D([], [], marker=row.marker, ms=4, ls="", color=row.color, label=f"{shortened(group)} ({row.count_})")
        for group, row in listed.rename(columns={"count": "count_"}).iterrows()
    ]
    if len(rest := table.iloc[len(listed) :]):
        color = rest["color"].iloc[0] if rest["color"].nunique() == 1 else "none"
        label = f"{len(rest)} others ({rest['count'].sum()})"
        entries.append(Line2D([], [], marker="o", ms=4, ls="", color=color, label=label))
    return entries


def draw_legend(figure, table, title, width, margin):
    """Draw the legend of the groups at the lower left of a figure, in as many columns as fit into a width in inches."""
    entries = legend_entries(table)
    options = {"loc": "lower left", "bbox_to_anchor": (margin / WIDTH, 0), "handletextpad": 0.1, "handlelength": 1.2}
    narrow = figure.legend(handles=entries, **options)
    columns = max(int(width / (narrow.get_window_extent().width / figure.dpi + 0.12)), 1)
    narrow.remove()
    rows = -(-len(entries) // columns)
    return figure.legend(handles=entries, ncols=-(-len(entries) // rows), title=title, alignment="left", **options)
