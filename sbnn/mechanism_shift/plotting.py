"""Figures of perturbation screens, drawn from saved records."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.plotting.common import new_panels, styled

EFFECTS = "PuOr_r"
NAMED_GENES = 3  # number of genes named for each latent (those most correlated with it)
DIRECT_GENES = 14  # number of genes shown (those with the largest direct effects)
SHOWN = 40  # number of perturbations shown (those with the largest shifts)


def _first_fit(record):
    """Effects and edges of the first fit, DataFrames of perturbations by latents."""
    graph = record.graph[record.graph["seed"] == record.seed]
    return wide(graph, "effect"), edges_of(graph)


@styled
def graph_of_screen(record):
    """Shift graph of a real screen (first seed), from the largest shift to the smallest."""
    effects, edges = _first_fit(record)
    # stable sort: perturbations without an edge keep the order of the tree
    order = leaves_list(linkage(effects.to_numpy(), "average", optimal_ordering=True))
    largest = effects.abs().where(edges, 0).max(axis=1).to_numpy()
    order = order[np.argsort(-largest[order], kind="stable")][:SHOWN]
    effects = effects.iloc[order]
    figure, ax = new_panels(0.8 + 0.16 * len(effects))
    image = _draw_effects(ax, effects)
    _draw_edges(ax, edges.iloc[order])
    latents = effects.columns.str.removeprefix("latent_")
    ax.set_xticks(range(len(latents)), latents)
    ax.set_yticks(range(len(effects)), effects.index)
    ax.set(xlabel="latent", title=f"{record.dataset}: shifts against the control")
    figure.legend(loc="outside lower right")
    figure.colorbar(image, ax=ax, label="shift (SD)", shrink=0.5)
    return figure


@styled
def latents_and_genes(record):
    """Shifts of the latents, genes that correlate most with each latent, and edges to genes."""
    effects, edges = _first_fit(record)
    strength = effects.abs().where(edges, 0).to_numpy()
    # the perturbations with the largest shifts, sorted by their strongest edge
    shown = np.argsort(-effects.abs().max(axis=1).to_numpy(), kind="stable")[:SHOWN]
    order = np.lexsort((-strength.max(axis=1), strength.argmax(axis=1)))
    order = order[np.isin(order, shown)]
    effects = effects.iloc[order]
    names = []
    for latent in effects.columns:
        genes = record.genes[latent].abs().nlargest(NAMED_GENES).index
        names.append(f"{latent.removeprefix('latent_')}: {', '.join(genes)}")
    direct = _largest_direct(record.effects, effects.index)
    heights = [len(names), len(direct)] if len(direct) else [len(names)]
    figure, axes = new_panels(
        1.5 + 0.17 * sum(heights),
        len(heights),
        sharex=True,
        height_ratios=heights,
        squeeze=False,
    )
    top = axes[0, 0]
    bottom = axes[-1, 0]
    image = _draw_effects(top, effects.T)
    top.set_yticks(range(len(names)), names, fontsize="small")
    top.set_ylabel("latent: its genes")
    figure.colorbar(image, ax=top, label="shift (SD)")
    if len(direct):
        image = _draw_effects(bottom, direct)
        bottom.set_yticks(range(len(direct)), direct.index, fontsize="small")
        bottom.set_ylabel("gene")
        figure.colorbar(image, ax=bottom, label="direct effect\n(log fold change)")
    _draw_edges(top, edges.iloc[order].T)
    top.set_title(f"{record.dataset}: what each perturbation does")
    bottom.set_xticks(range(len(effects)), effects.index, rotation=90)
    figure.legend(loc="outside upper right")
    return figure


def _largest_direct(effects, perturbations):
    """Direct effects (genes by perturbations) on the genes with the largest; 0 without an edge."""
    found = effects[effects["edge"]]
    table = found.pivot(index="gene", columns="perturbation", values="direct")
    genes = table.abs().max(axis=1).nlargest(DIRECT_GENES).index
    return table.reindex(index=genes, columns=perturbations).fillna(0.0)


def _draw_effects(ax, table):
    """Draw a table of effects with a colour scale that is symmetric around 0; returns the image."""
    most = float(table.abs().to_numpy().max())
    return ax.imshow(table, cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto")


def _draw_edges(ax, edges):
    """Mark the edges, DataFrame of bool, with dots."""
    y, x = np.nonzero(edges.to_numpy())
    ax.plot(x, y, "o", color="k", ms=3, label="edge")
