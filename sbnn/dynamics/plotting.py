"""Figures of gene-regulatory dynamics, drawn from saved records only."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.dynamics.report import COLUMNS, METHODS, PUBLISHED, by_sparsity, scores_of
from sbnn.plotting.colors import GREEN, VERMILLION
from sbnn.plotting.colors import METHODS as METHOD_COLORS
from sbnn.plotting.common import finish, headline, new_panels, styled

COLORS = METHOD_COLORS["dynamics"]
LEGEND = {"loc": "outside right upper", "fontsize": 6.5}
SHOWN_GENES = 6
SHOWN_EDGES = 150
NAMED_GENES = 8  # regulators named in a network (those with the most targets)
ROW_WIDTH = 18  # of connected parts, in the square root of their numbers of genes
#: Label, colour and line style of edges, by whether they are true and in the prior.
EDGES = {
    (True, True): ("true, in the prior", "0.55", "-"),
    (True, False): ("true, missing in the prior", GREEN, "-"),
    (False, True): ("wrong, in the prior", VERMILLION, "-"),
    (False, False): ("wrong, not in the prior", VERMILLION, ":"),
}


@styled
def accuracy_by_sparsity(records, condition):
    """Accuracy of edges against sparsity, and error of predictions against accuracy of edges.

    Dashed lines are the accuracy of the prior, and the dotted one the error of no change. Published
    values (squares) and other sparsities (lines) are those of 5 % noise.

    Parameters
    ----------
    records : dict of str to Record
    condition : str
    """
    scores = scores_of(records, condition).groupby(level="method", sort=False)
    columns = ["sparsity", "balanced_accuracy", "mse_ahead"]
    means = scores[columns].mean()
    sds = scores[columns].std().fillna(0)
    figure, (left, right) = new_panels(3.3, 1, 2)
    for name in means.index.drop("prior"):
        sparsity, accuracy, error = means.loc[name]
        of_sparsity, of_accuracy, of_error = sds.loc[name]
        look = {"fmt": "o", "color": COLORS[name], "ms": 4, "lw": 0.8, "zorder": 3}
        left.errorbar(sparsity, accuracy, of_accuracy, of_sparsity, label=METHODS[name], **look)
        right.errorbar(accuracy, error, of_error, of_accuracy, **look)
    line = {"color": COLORS["prior"], "lw": 0.8}
    left.axhline(means.loc["prior", "balanced_accuracy"], ls="--", **line)
    right.axvline(means.loc["prior", "balanced_accuracy"], ls="--", **line)
    right.axhline(means.loc["prior", "mse_ahead"], ls=":", **line)
    if condition == "noise_5" and "sparsities" in records:
        square = {"marker": "s", "ls": "", "mfc": "none", "ms": 4.5, "mew": 0.9}
        for name, of_method in by_sparsity(records).groupby("method", sort=False):
            curve = of_method.groupby("asked")[["sparsity", "balanced_accuracy"]].mean()
            left.plot(*curve.to_numpy().T, color=COLORS[name], lw=1, alpha=0.7)
        for name, published in PUBLISHED.items():
            left.plot(*published, color=COLORS[name], **square)
        left.plot([], [], color="k", label="published", **square)
        left.plot([], [], color="0.3", lw=1, label="other sparsities")
    accuracy = "balanced accuracy of edges"
    left.set(xlabel="sparsity of the weights", ylabel=accuracy)
    left.set(xlim=(-0.03, 1.03), ylim=(0.48, 1.02))
    right.set(xlabel=accuracy, ylabel=f"test {COLUMNS['mse_ahead']}")
    right.set(xlim=(0.48, 1.02), yscale="log")
    headline(figure, "Means over seeds; bars: SD; dashed: the prior; dotted: no change")
    figure.legend(**LEGEND)
    return finish(figure, [[left, right]])


@styled
def strongest_edges(records):
    """The strongest edges of networks; dots are genes, and grow with their number of targets.

    Parameters
    ----------
    records : dict of str to Record
        By method, with ``edges``.
    """
    figure, [axes] = new_panels(4.2, 1, len(records), squeeze=False)
    present = set()
    for ax, (name, record) in zip(axes, records.items(), strict=True):
        edges = record.edges.iloc[:SHOWN_EDGES]
        present |= set(zip(edges["true"].astype(bool), edges["in_prior"], strict=True))
        _draw_network(ax, edges)
        ax.set_title(METHODS[name], fontsize=7)
        ax.axis("off")
    handles = []
    for kind, (label, color, ls) in EDGES.items():
        if kind in present:
            handles.append(Line2D([], [], color=color, ls=ls, lw=1.2, label=label))
    title = f"the {SHOWN_EDGES} strongest edges; arrows activate, bars repress"
    figure.legend(handles=handles, loc="outside lower center", ncols=4, title=title)
    return finish(figure, [axes])


def _draw_network(ax, edges):
    """Draw edges as arrows or bars and genes as dots, of which some are named."""
    import networkx as nx  # of the extra `notebooks`

    graph = nx.DiGraph(edges[["regulator", "target"]].to_numpy().tolist())
    place = _places_of_genes(nx, graph.to_undirected())
    heads = {True: "->", False: "|-|,widthA=0,widthB=.15"}
    for row in edges.itertuples():
        _, color, ls = EDGES[bool(row.true), row.in_prior]
        nx.draw_networkx_edges(
            graph,
            place,
            [(row.regulator, row.target)],
            ax=ax,
            edge_color=color,
            style=ls,
            width=0.7,
            arrowstyle=heads[row.score > 0],
            arrowsize=4,
            node_size=12,
        )
    n_targets = dict(graph.out_degree)
    sizes = [2 + 1.3 * n_targets[gene] for gene in graph]
    nx.draw_networkx_nodes(graph, place, ax=ax, node_size=sizes, node_color="k", linewidths=0)
    named = sorted(graph, key=n_targets.get, reverse=True)[:NAMED_GENES]
    labels = {gene: gene for gene in named}
    box = {"facecolor": "w", "alpha": 0.7, "pad": 0.3, "lw": 0}
    nx.draw_networkx_labels(graph, place, labels, font_size=5.5, bbox=box, ax=ax)
    ax.set_aspect("equal")


def _places_of_genes(nx, graph):
    """Positions of genes: connected parts in rows, the largest first."""
    place = {}
    x = y = 0.0
    row_height = None
    for part in sorted(map(sorted, nx.connected_components(graph)), key=len, reverse=True):
        size = 1.2 * len(part) ** 0.5
        if row_height is None:
            row_height = size
        elif x + size > ROW_WIDTH:
            x = 0.0
            y -= row_height
            row_height = size
        center = x + size / 2, y - size / 2
        ordered = nx.Graph()
        ordered.add_nodes_from(part)
        ordered.add_edges_from(sorted(map(sorted, graph.subgraph(part).edges)))
        place |= nx.kamada_kawai_layout(ordered, scale=0.4 * size, center=center)
        x += size
    return place


@styled
def predicted_paths(of_prior, records):
    """A test trajectory and its predictions from the first time, of the genes that change most.

    Parameters
    ----------
    of_prior : Record
        With ``test``, ``times`` and ``gene_names``.
    records : dict of str to Record
        By method, with ``predicted``.
    """
    figure, axes = new_panels(3, 2, SHOWN_GENES // 2, sharex=True)
    times = of_prior.times[0]
    test = of_prior.test[0]
    most = np.argsort(-np.ptp(test, axis=0), kind="stable")
    for ax, gene in zip(axes.flat, most, strict=False):
        ax.plot(times, test[:, gene], "o", color="k", ms=3.5, label="test sample")
        for name, record in records.items():
            path = record.predicted[0, :, gene]
            ax.plot(times, path, ".-", color=COLORS[name], lw=1, ms=3, label=METHODS[name])
        ax.set_title(of_prior.gene_names[gene], fontsize=7, pad=2)
    for ax in axes[-1]:
        ax.set_xlabel("time")
    for ax in axes[:, 0]:
        ax.set_ylabel("expression")
    headline(figure, f"{of_prior.dataset}, predicted from the first time")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), **LEGEND)
    return finish(figure)
