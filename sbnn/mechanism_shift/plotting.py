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
    """Effects of the first fit (perturbations by latents), and absolute effects, set to 0 where there is no edge."""
    graph = record.graph[record.graph["seed"] == record.seed]
    effects = wide(graph, "effect")
    return effects, np.abs(effects.to_numpy()) * edges_of(graph).to_numpy()


@styled
def graph_of_screen(record):
    """Shift graph of a real screen (first seed); perturbations with the largest shifts come first."""
    effects, strength = _first_fit(record)
    order = leaves_list(linkage(effects.to_numpy(), "average", optimal_ordering=True))
    # stable sort: the order of the tree breaks ties
    order = sorted(order, key=lambda i: -strength[i].max())[:SHOWN]
    effects = effects.iloc[order]
    figure, ax = new_panels(0.8 + 0.16 * len(effects))
    most = float(np.abs(effects.to_numpy()).max())
    image = ax.imshow(effects, cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto")
    y, x = np.nonzero(strength[order])
    ax.plot(x, y, "o", color="k", ms=3, label="edge")
    ax.set_xticks(
        range(effects.shape[1]), [name.removeprefix("latent_") for name in effects.columns]
    )
    ax.set_yticks(range(len(effects)), effects.index)
    ax.set(xlabel="latent", title=f"{record.dataset}: shifts against the control")
    figure.legend(loc="outside lower right")
    figure.colorbar(image, ax=ax, label="shift (SD)", shrink=0.5)
    return figure


@styled
def latents_and_genes(record):
    """Shifts of the latents by perturbations, the genes that correlate most with each latent, and edges to genes."""
    effects, strength = _first_fit(record)
    of_latents = [
        ", ".join(record.genes[name].abs().nlargest(NAMED_GENES).index) for name in effects.columns
    ]
    found = record.effects[record.effects["edge"]]
    genes = (
        found.assign(size=found["direct"].abs())
        .groupby("gene")["size"]
        .max()
        .nlargest(DIRECT_GENES)
        .index
    )
    direct = found.pivot(index="gene", columns="perturbation", values="direct")
    direct = direct.reindex(index=genes, columns=effects.index).fillna(0.0)
    most_shifted = np.argsort(-np.abs(effects).max(axis=1).to_numpy(), kind="stable")[:SHOWN]
    order = [
        i for i in np.lexsort((-strength.max(axis=1), strength.argmax(axis=1))) if i in most_shifted
    ]
    names = [
        f"{name.removeprefix('latent_')}: {of}"
        for name, of in zip(effects.columns, of_latents, strict=True)
    ]
    panels = [("latent: its genes", effects.to_numpy().T, names, "shift (SD)")]
    panels += [("gene", direct.to_numpy(), genes, "direct effect\n(log fold change)")] * (
        len(genes) > 0
    )
    sizes = [len(rows) for _, _, rows, _ in panels]
    figure, axes = new_panels(
        1.5 + 0.17 * sum(sizes), len(panels), 1, sharex=True, height_ratios=sizes, squeeze=False
    )
    axes = axes[:, 0]
    for ax, (kind, table, rows, label) in zip(axes, panels, strict=True):
        most = float(np.abs(table).max())
        image = ax.imshow(table[:, order], cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto")
        ax.set_yticks(range(len(rows)), rows, fontsize="small")
        ax.set_ylabel(kind)
        figure.colorbar(image, ax=ax, label=label)
    y, x = np.nonzero(strength[order].T)
    axes[0].plot(x, y, "o", color="k", ms=3, label="edge")
    axes[0].set_title(f"{record.dataset}: what each perturbation does")
    axes[-1].set_xticks(range(len(order)), effects.index[order], rotation=90)
    figure.legend(loc="outside upper right")
    return figure
