"""Figures of perturbation screens, drawn from saved records.

The first half compares methods on simulated screens, the second half shows a screen.
"""

from itertools import product
from string import ascii_lowercase

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.mechanism_shift import report
from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.plotting.colors import GREEN, METHODS
from sbnn.plotting.common import (
    LETTER,
    draw_scores,
    finish,
    grid,
    headline,
    name_rows,
    new_panels,
    styled,
)
from sbnn.plotting.labels import counted

EFFECTS = "PuOr_r"
_NONE, _VAE, _SWITCHES, _OURS = METHODS["mechanism_shift"].values()
_FAMILIES = [_NONE] * 4 + [_VAE] * 3 + [_SWITCHES] * 3 + [_OURS]
COLORS = dict(zip(report.LABELS, _FAMILIES, strict=True))
PANELS = {
    "mcc": "correlation with true latents (MCC)",
    "f1": "shift graph, F1",
    "elbo": "held-out ELBO per cell (nats)",
    "seconds": "CPU seconds",
}
NAMED_GENES = 3  # named for each latent: those most correlated with it
DIRECT_GENES = 14  # shown: those with the largest direct effects
SHOWN = 40  # perturbations shown: those with the largest shifts


@styled
def scores_of_methods(methods):
    """Scores of each method on simulated screens: one dot per seed, and means."""
    figure, axes = new_panels(0.8 + 0.2 * len(methods), 1, len(PANELS), sharey=True)
    for ax, (column, label) in zip(axes, PANELS.items(), strict=True):
        for y, (name, record) in enumerate(methods.items()):
            if column in record.scores:
                draw_scores(ax, y, record.scores[column], COLORS[name])
        name_rows(ax, [report.LABELS[name] for name in methods])
        grid(ax)
        ax.set_xlabel(label)
        if column == "seconds":
            ax.set_xscale("log")
            continue
        if column in ("mcc", "f1"):
            ax.set_xlim(0, 1.02)
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    headline(figure, "Methods on simulated screens (dots: screens, strokes: means)")
    _letter(axes)
    return figure


@styled
def found_graph(record):
    """Shift graph of `recovery` beside the true one, with crosses at wrong and missing edges."""
    truth = record.true_shifts.to_numpy()
    wrong = record.edges.to_numpy() != (truth != 0)
    order = np.lexsort(tuple(-np.abs(truth).T[::-1]))
    most = np.abs(truth).max()
    figure, axes = new_panels(4.2, 1, 2, sharex=True, sharey=True)
    n_true = (truth != 0).sum()
    drawn = {
        counted(n_true, "true edge"): truth,
        "found": record.effects.to_numpy(),
    }
    for ax, (title, values) in zip(axes, drawn.items(), strict=True):
        image = ax.imshow(
            values[order], cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto", rasterized=True
        )
        ax.set(title=title, xlabel="latent")
    y, x = np.nonzero(wrong[order])
    axes[1].plot(x, y, "x", color="k", ms=5, label="wrong or missing edge")
    if len(x):
        figure.legend(loc="outside lower right")
    axes[0].set(ylabel="perturbation, by its shifts", yticks=[])
    figure.colorbar(image, ax=axes, label="shift (SD within a perturbation)", shrink=0.6)
    return finish(figure, [axes])


@styled
def recovered_latents(record):
    """Each recovered latent, of up to 15, against the true one, from a record of `recovery`."""
    figure, axes = new_panels(4.35, 3, 5)
    pairs = zip(axes.flat, record.true_latents.T, record.latents.T, strict=False)
    for i, (ax, x, y) in enumerate(pairs):
        ax.plot(x, y, ".", color=GREEN, ms=2, mew=0, alpha=0.6, rasterized=True)
        ax.set_title(f"latent {i}: r = {np.corrcoef(x, y)[0, 1]:.3f}")
    figure.supxlabel("true latent", fontsize="medium")
    figure.supylabel("recovered latent", fontsize="medium")
    return figure


@styled
def scores_as_screens_vary(varied):
    """MCC and F1 of methods as one quantity varies, for several quantities.

    Parameters
    ----------
    varied : dict of str to record
        By the quantities of `report.VARIED`: scores of each ``method``, ``value`` and ``seed``.
    """
    shared = {"sharey": "row", "sharex": "col", "squeeze": False}
    figure, axes = new_panels(3.6, 2, len(varied), **shared)
    for (quantity, record), column in zip(varied.items(), axes.T, strict=True):
        scores = record.scores
        methods = scores["method"].unique()
        panels = zip(("mcc", "f1"), column, strict=True)
        for (metric, ax), method in product(panels, methods):
            of_method = scores[scores["method"] == method]
            table = of_method.pivot(index="value", columns="seed", values=metric)
            look = {"color": COLORS[method]}
            ax.plot(table.index, table, lw=0.5, alpha=0.5, **look)
            label = report.LABELS[method]
            ax.plot(table.index, table.mean(axis=1), "o-", ms=3, label=label, **look)
        for ax in column:
            ax.set_ylim(0, 1.03)
        column[1].set_xlabel(report.VARIED[quantity])
    headline(figure, "Accuracy as one quantity varies (dots: means, thin lines: screens)")
    axes[0, 0].set_ylabel("MCC")
    axes[1, 0].set_ylabel("shift graph, F1")
    axes[1, 0].legend(loc="lower right")
    _letter(axes.flat)
    return figure


def _letter(axes):
    """Letters of panels whose titles are empty."""
    for ax, letter in zip(axes, ascii_lowercase, strict=False):
        ax.set_title(letter, loc="left", **LETTER)


def _first_fit(record):
    """Effects and edges of the first fit, DataFrames of perturbations by latents."""
    graph = record.graph[record.graph["seed"] == record.graph["seed"].iloc[0]]
    return wide(graph, "effect"), edges_of(graph)


@styled
def graph_of_screen(record):
    """Shift graph of a real screen (first seed), from the largest shift to the smallest."""
    effects, edges = _first_fit(record)
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
    headline(figure, f"{record.dataset}: shifts of the latents by each perturbation")
    ax.set(xlabel="latent", ylabel=f"perturbation{_shown_of(effects, edges)}")
    figure.legend(loc="outside lower right")
    figure.colorbar(image, ax=ax, label="shift (SD)", shrink=0.5)
    return figure


@styled
def latents_and_genes(record):
    """Shifts of the latents, genes that correlate most with each latent, and edges to genes."""
    effects, edges = _first_fit(record)
    order = _largest_by_edge(effects, edges)
    effects = effects.iloc[order]
    shown = edges.iloc[order]
    names = _latents_and_genes(record.genes, effects.columns)
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
    _draw_rows(top, effects.T, names, "latent: its genes", "shift (SD)")
    if len(direct):
        _draw_rows(bottom, direct, direct.index, "gene", "direct effect\n(log fold change)")
        bottom.set_title("direct effects on the genes with the largest")
    _draw_edges(top, shown.T)
    top.set_title(f"{record.dataset}: shifts of the latents")
    bottom.set_xticks(range(len(effects)), effects.index, rotation=90)
    bottom.set_xlabel(f"perturbation{_shown_of(effects, edges)}")
    figure.legend(loc="outside upper right")
    return finish(figure, [[ax] for ax in axes[:, 0]] if len(direct) else [])


def _largest_by_edge(effects, edges):
    """Positions of the perturbations with the largest shifts, by their strongest edge."""
    strength = effects.abs().where(edges, 0).to_numpy()
    shown = np.argsort(-effects.abs().max(axis=1).to_numpy(), kind="stable")[:SHOWN]
    order = np.lexsort((-strength.max(axis=1), strength.argmax(axis=1)))
    return order[np.isin(order, shown)]


def _latents_and_genes(correlations, latents):
    """Number of each latent, and the genes that correlate most with it."""
    names = []
    for latent in latents:
        genes = correlations[latent].abs().nlargest(NAMED_GENES).index
        names.append(f"{latent.removeprefix('latent_')}: {', '.join(genes)}")
    return names


def _draw_rows(ax, table, names, ylabel, label):
    """Draw effects with names of the rows and a colour bar."""
    image = _draw_effects(ax, table)
    ax.set_yticks(range(len(names)), names, fontsize="small")
    ax.set_ylabel(ylabel)
    ax.figure.colorbar(image, ax=ax, label=label)


def _largest_direct(effects, perturbations):
    """Direct effects (genes by perturbations) on the genes with the largest."""
    found = effects[effects["edge"]]
    table = found.pivot(index="gene", columns="perturbation", values="direct")
    genes = table.abs().max(axis=1).nlargest(DIRECT_GENES).index
    return table.reindex(index=genes, columns=perturbations).fillna(0.0)


def _shown_of(effects, edges):
    """Number of perturbations, if not all are shown."""
    return f" ({len(effects)} of {len(edges)})" if len(effects) < len(edges) else ""


def _draw_effects(ax, table):
    most = float(table.abs().to_numpy().max())
    return ax.imshow(table, cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto")


def _draw_edges(ax, edges):
    """Mark the edges, DataFrame of bool, with dots."""
    y, x = np.nonzero(edges.to_numpy())
    ax.plot(x, y, "o", color="k", ms=3, label="edge")
