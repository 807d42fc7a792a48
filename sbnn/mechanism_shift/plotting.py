"""Figures of perturbation screens, drawn from saved records."""

from string import ascii_lowercase

import numpy as np
from matplotlib.ticker import MaxNLocator

from sbnn.mechanism_shift import report
from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.plotting.colors import METHODS
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
        if column != "seconds":
            ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    for ax in axes[:2]:
        ax.set_xlim(0, 1.02)
    axes[-1].set_xscale("log")
    headline(figure, "Methods on simulated screens (dots: screens, strokes: means)")
    for ax, letter in zip(axes, ascii_lowercase, strict=False):
        ax.set_title(letter, loc="left", **LETTER)
    return figure


@styled
def found_graph(record):
    """Shift graph of `recovery` beside the true one, with crosses at wrong and missing edges."""
    truth = record.true_shifts.to_numpy()
    order = np.lexsort(-np.abs(truth).T[::-1])
    wrong = record.edges.to_numpy() != (truth != 0)
    figure, axes = new_panels(4.2, 1, 2, sharex=True, sharey=True)
    drawn = {
        counted((truth != 0).sum(), "true edge"): truth,
        "found": record.effects.to_numpy(),
    }
    for ax, (title, values) in zip(axes, drawn.items(), strict=True):
        image = _draw_effects(ax, values[order], np.abs(truth).max(), rasterized=True)
        ax.set(title=title, xlabel="latent")
    y, x = np.nonzero(wrong[order])
    axes[1].plot(x, y, "x", color="k", ms=5, label="wrong or missing edge")
    figure.legend(loc="outside lower right")
    axes[0].set(ylabel="perturbation, by its shifts", yticks=[])
    figure.colorbar(image, ax=axes, label="shift (SD within a perturbation)", shrink=0.6)
    return finish(figure, [axes])


@styled
def latents_and_genes(record):
    """Shifts of the latents, genes that correlate most with each latent, and edges to genes.

    The shifts are those of the first seed. Perturbations are in the order of their strongest edge.
    """
    graph = record.graph[record.graph["seed"] == record.graph["seed"].iloc[0]]
    effects = wide(graph, "effect")
    largest = effects.abs().max(axis=1).nlargest(SHOWN).index.sort_values()
    effects = effects.loc[largest]
    edges = edges_of(graph).loc[largest].to_numpy()
    strength = effects.abs().to_numpy() * edges
    order = np.lexsort((-strength.max(axis=1), strength.argmax(axis=1)))
    effects = effects.iloc[order]
    names = []
    for latent in effects:
        genes = record.genes[latent].abs().nlargest(NAMED_GENES).index
        names.append(f"{latent.removeprefix('latent_')}: {', '.join(genes)}")
    direct = record.effects.pivot(index="gene", columns="perturbation", values="direct")
    genes = direct.abs().max(axis=1).nlargest(DIRECT_GENES).index
    direct = direct.reindex(genes if len(genes) else ["none"]).reindex(columns=effects.index)
    heights = len(names), len(direct)
    figure, axes = new_panels(1.5 + 0.17 * sum(heights), 2, sharex=True, height_ratios=heights)
    top, bottom = axes
    _draw_rows(top, effects.T, names, "latent: its genes", "shift (SD)")
    _draw_rows(bottom, direct.fillna(0.0), direct.index, "gene", "direct effect\n(log fold change)")
    y, x = np.nonzero(edges[order].T)
    top.plot(x, y, "o", color="k", ms=3, label="edge")
    top.set_title(f"{record.dataset}: shifts of the latents")
    bottom.set_title("direct effects on the genes with the largest")
    bottom.set_xticks(range(len(effects)), effects.index, rotation=90)
    bottom.set_xlabel("perturbation")
    figure.legend(loc="outside upper right")
    return finish(figure, [axes])


def _draw_rows(ax, table, names, ylabel, label):
    """Draw effects with names of the rows and a colour bar."""
    image = _draw_effects(ax, table, np.abs(table.to_numpy()).max())
    ax.set_yticks(range(len(names)), names, fontsize="small")
    ax.set_ylabel(ylabel)
    ax.figure.colorbar(image, ax=ax, label=label)


def _draw_effects(ax, table, most, **look):
    return ax.imshow(table, cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto", **look)
