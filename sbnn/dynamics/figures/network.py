"""The strongest edges of a network that was found, drawn; colour tells which are right and which the prior lacked."""

import matplotlib.lines
import networkx
import numpy as np

from sbnn.dynamics.figures.looks import label
from sbnn.plotting.colors import BLUE, GREEN, VERMILLION
from sbnn.plotting.common import new_figure, styled

KINDS = {
    "true, in the prior": ("0.55", "-"),
    "true, missing in the prior": (GREEN, "-"),
    "wrong, in the prior": (VERMILLION, "-"),
    "wrong, not in the prior": (VERMILLION, ":"),
    "in the prior, truth unknown": ("0.55", "-"),
    "not in the prior, truth unknown": (BLUE, "-"),
}
ACTIVATION, REPRESSION = "->,head_width=.12,head_length=.2", "|-|,widthA=0,widthB=.12"
STRONGEST = 150
SPREAD, GAP = 1.3, 0.9  # of connected parts, and between them
NAMED = 12  # regulators with the most targets are named


@styled
def strongest_edges(records, n_edges=STRONGEST):
    """Draw the strongest edges of networks, side by side.

    Parameters
    ----------
    records : dict of str to Record
        By method, with ``edges``.
    n_edges : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(0.4 + 7.0 / len(records))
    axes = np.atleast_1d(figure.subplots(1, len(records)))
    used = set()
    for ax, (name, record) in zip(axes, records.items(), strict=True):
        edges = record.edges.iloc[:n_edges]
        graph = networkx.DiGraph()
        for row in edges.itertuples():
            graph.add_edge(row.regulator, row.target)
        place = _places(graph)
        for row in edges.itertuples():
            kind = _kind(row)
            color, style = KINDS[kind]
            used.add(kind)
            plain = color == "0.55"
            arrow = {"arrowstyle": ACTIVATION if row.score > 0 else REPRESSION, "color": color, "ls": style}
            arrow |= {"lw": 0.5 if plain else 1.1, "shrinkA": 1, "shrinkB": 1.5}
            ax.annotate("", place[row.target], place[row.regulator], zorder=1 if plain else 2, arrowprops=arrow)
        points = np.array([place[gene] for gene in graph])
        degree = np.array([graph.out_degree(gene) for gene in graph])
        ax.scatter(*points.T, s=2 + 1.3 * degree, c="k", lw=0, zorder=3)
        for gene in sorted(graph, key=graph.out_degree, reverse=True)[:NAMED]:
            if graph.out_degree(gene) > 1:
                ax.annotate(
                    gene, place[gene], xytext=(0, 3), textcoords="offset points", fontsize=5.5, ha="center", zorder=4,
                    bbox={"facecolor": "w", "alpha": 0.7, "lw": 0, "pad": 0.3},
                )  # fmt: skip
        wrong = sum(_kind(row).startswith("wrong") for row in edges.itertuples())
        known = "true" in edges and edges["true"].notna().all()
        ax.set_title(f"{label(name)}: {len(edges)} strongest edges" + (f", {wrong} of them wrong" if known else ""))
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.axis("off")
    handles = [
        matplotlib.lines.Line2D([], [], color=KINDS[kind][0], ls=KINDS[kind][1], lw=1.2, label=kind)
        for kind in KINDS if kind in used
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=6.5)
    return figure


def _kind(row):
    true = getattr(row, "true", np.nan)
    if np.isnan(true):
        return f"{'' if row.in_prior else 'not '}in the prior, truth unknown"
    if true:
        return "true, in the prior" if row.in_prior else "true, missing in the prior"
    return "wrong, in the prior" if row.in_prior else "wrong, not in the prior"


def _places(graph):
    """Positions of genes: connected parts each by their own layout, packed in rows."""
    whole = graph.to_undirected()
    parts = sorted(networkx.connected_components(whole), key=lambda part: (-len(part), min(part)))
    sizes = [SPREAD * np.sqrt(len(part)) for part in parts]
    width = max(np.sqrt(sum((size + GAP) ** 2 for size in sizes)), sizes[0])
    place, x, y, height = {}, 0.0, 0.0, 0.0
    for part, size in zip(parts, sizes, strict=True):
        ordered = networkx.Graph()  # nodes in the order of their names: the same drawing whatever the order of sets
        ordered.add_nodes_from(sorted(part))
        ordered.add_edges_from(sorted(map(sorted, whole.subgraph(part).edges)))
        at = networkx.kamada_kawai_layout(ordered)
        points = np.array(list(at.values()))
        low, span = points.min(axis=0), np.ptp(points, axis=0).max() or 1.0
        if x and x + size > width:
            x, y, height = 0.0, y - height - GAP, 0.0
        for gene, point in at.items():
            place[gene] = np.array([x, y - size]) + (point - low) / span * size
        x, height = x + size + GAP, max(height, size)
    return place
