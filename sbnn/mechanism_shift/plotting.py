"""Figures of perturbation screens, from saved records alone."""

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.mechanism_shift.report import LABELS, METHODS, TITLE, VARIED
from sbnn.plotting.colors import BLUE, GREEN, PALETTE, VERMILLION
from sbnn.plotting.common import MANY, draw_scores, finish, grid, new_figure, new_panels, styled
from sbnn.plotting.labels import place_names

KIND_COLORS = {"linear": "0.45", "network": BLUE, "published": VERMILLION, "ours": GREEN}
EFFECTS = "PuOr_r"
COLUMNS = 5  # of panels of latents
NAMED_GENES = 3  # of each latent, those that correlate with it most
DIRECT_GENES = 14  # those with the largest direct effects
SHOWN = 40  # perturbations in a graph, those with the largest shifts
PANELS = {
    "mcc": ("correlation with true latents (MCC)", "linear"),
    "f1": ("shift graph, F1", "linear"),
    "elbo": ("held-out ELBO per cell (nats)", "linear"),
    "seconds": ("CPU seconds", "log"),
}


def _color(method):
    return KIND_COLORS[METHODS[method][1]]


def _title(records):
    return TITLE.format(**next(iter(records.values())).settings["configuration"])


def _rows_of(ax, methods):
    """One row for each method, from the top."""
    ax.set_yticks(range(len(methods)), [LABELS[name] for name in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)
    grid(ax)


def _first_fit(record):
    """Effects of the first of several fits, perturbations by latents, and their sizes, 0 where there is no edge."""
    graph = record.graph[record.graph["seed"] == record.seed]
    effects = wide(graph, "effect")
    return effects, np.abs(effects.to_numpy()) * edges_of(graph).to_numpy()


@styled
def accuracy_of_methods(records):
    """Scores of methods by name: latents, shift graph, likelihood and time, one dot for each seed."""
    figure, axes = new_panels(0.8 + 0.2 * len(records), 1, len(PANELS), sharey=True)
    for ax, (column, (label, scale)) in zip(axes, PANELS.items(), strict=True):
        for y, (name, record) in enumerate(records.items()):
            if column in record.scores:
                draw_scores(ax, y, record.scores[column], _color(name))
        _rows_of(ax, records)
        ax.set(xscale=scale, xlabel=label, xlim=(0, 1.02) if column in ("mcc", "f1") else None)
        if scale == "linear":
            ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        ax.tick_params(axis="y", length=0)
    figure.suptitle(_title(records))
    return figure


@styled
def held_out_likelihood(records):
    """Importance-weighted bound on held-out perturbations before and after their shifts are learned, by seed."""
    figure, ax = new_panels(0.9 + 0.22 * len(records))
    for y, (name, record) in enumerate(records.items()):
        before, after = record.scores["new_iwelbo_before"], record.scores["new_iwelbo"]
        color, rows = _color(name), np.full(len(after), y)
        ax.plot([before, after], [rows, rows], "-", color=color, lw=0.6, alpha=0.6)
        ax.plot(before, rows, "o", mfc="none", color=color, ms=4)
        ax.plot(after, rows, "o", color=color, ms=4, mew=0)
    ax.plot([], [], "o", mfc="none", color="0.3", ms=4, label="shifts at zero")
    ax.plot([], [], "o", color="0.3", ms=4, mew=0, label="shifts learned from other cells")
    _rows_of(ax, records)
    ax.set(xlabel="IWELBO per cell of held-out perturbations (nats)", title=_title(records))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def true_and_found(record):
    """Scatter of each true latent and the one matched to it; cells of the first seed of the staged method."""
    true, found = record.true_latents, record.latents
    n_columns = min(COLUMNS, true.shape[1])
    n_rows = -(-true.shape[1] // n_columns)
    figure, axes = new_panels(1.35 * n_rows + 0.3, n_rows, n_columns, squeeze=False)
    for i, ax in enumerate(axes.flat[: true.shape[1]]):
        ax.plot(true[:, i], found[:, i], ".", color=GREEN, ms=2, mew=0, alpha=0.6, rasterized=True)
        ax.set_title(f"latent {i}: r = {np.corrcoef(true[:, i], found[:, i])[0, 1]:.3f}")
    figure.supxlabel("true latent", fontsize="medium")
    figure.supylabel("recovered latent", fontsize="medium")
    return figure


@styled
def found_and_true(record):
    """Shift graphs of a simulated screen, the true one and that of the staged method; wrong edges are marked."""
    true, effects, edges = record.true_shifts.to_numpy(), record.effects.to_numpy(), record.edges.to_numpy()
    order = np.lexsort(tuple(-np.abs(true).T[::-1]))
    figure, axes = new_panels(4.2, 1, 2, sharex=True, sharey=True)
    most = float(np.abs(true).max())
    for ax, values, title in ((axes[0], true, "true shifts"), (axes[1], effects, "found (staged)")):
        image = ax.imshow(values[order], cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto", rasterized=True)
        ax.set(title=title, xlabel="latent")
    y, x = np.nonzero((edges != (true != 0))[order])
    axes[1].plot(x, y, "x", color="k", ms=5, label=f"wrong edges: {len(x)}; true ones: {int((true != 0).sum())}")
    figure.legend(loc="outside lower right")
    axes[0].set(ylabel="perturbation, by its shifts", yticks=[])
    figure.colorbar(image, ax=axes, label="shift (SD within a perturbation)", shrink=0.6)
    return figure


@styled
def accuracy_as_varied(records):
    """MCC and F1 against each quantity, by its name; a thin line for each seed, a thick one for the mean."""
    figure, axes = new_panels(3.6, 2, len(records), sharey="row", sharex="col", squeeze=False)
    for (quantity, record), column in zip(records.items(), axes.T, strict=True):
        usual, label = VARIED[quantity]
        for metric, ax in zip(("mcc", "f1"), column, strict=True):
            for method, scores in record.scores.groupby("method", sort=False):
                table, color = scores.pivot(index="value", columns="seed", values=metric), _color(method)
                ax.plot(table.index, table, color=color, lw=0.5, alpha=0.5)
                ax.plot(table.index, table.mean(axis=1), "o-", ms=3, color=color, label=LABELS[method])
            if usual is not None:
                ax.axvline(usual, color="0.8", lw=0.8, zorder=0)
            ax.set_ylim(0, 1.03)
        column[1].set_xlabel(label)
    axes[0, 0].set_ylabel("MCC")
    axes[1, 0].set_ylabel("shift graph, F1")
    axes[1, 0].legend(loc="lower right")
    return figure


@styled
def graph_of_screen(record):
    """Shift graph of a real screen, of the first seed: perturbations that shift the same latents stand together."""
    effects, strength = _first_fit(record)
    order = leaves_list(linkage(effects.to_numpy(), "average", optimal_ordering=True))
    order = sorted(order, key=lambda i: -strength[i].max())[:SHOWN]  # stable: of equal strength the tree decides
    effects = effects.iloc[order]
    figure, ax = new_panels(0.8 + 0.16 * len(effects))
    most = float(np.abs(effects.to_numpy()).max())
    image = ax.imshow(effects, cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto")
    y, x = np.nonzero(strength[order])
    ax.plot(x, y, "o", color="k", ms=3, label="edge")
    ax.set_xticks(range(effects.shape[1]), [name.removeprefix("latent_") for name in effects.columns])
    ax.set_yticks(range(len(effects)), effects.index)
    ax.set(xlabel="latent", title=f"{record.dataset}: shifts against the control")
    figure.legend(loc="outside lower right")
    figure.colorbar(image, ax=ax, label="shift (SD)", shrink=0.5)
    return figure


@styled
def latents_and_genes(record):
    """Shifts of the latents by all perturbations, each latent with its genes, and significant direct effects."""
    effects, strength = _first_fit(record)
    of_latents = [", ".join(record.genes[name].abs().nlargest(NAMED_GENES).index) for name in effects.columns]
    found = record.effects[record.effects["significant"]]
    largest = found.assign(size=found["direct"].abs()).groupby("gene")["size"].max()
    genes = largest[largest > 0].nlargest(DIRECT_GENES).index
    direct = found.pivot(index="gene", columns="perturbation", values="direct")
    direct = direct.reindex(index=genes, columns=effects.index).fillna(0.0)
    most_shifted = np.argsort(-np.abs(effects).max(axis=1).to_numpy(), kind="stable")[:SHOWN]
    order = [i for i in np.lexsort((-strength.max(axis=1), strength.argmax(axis=1))) if i in most_shifted]
    names = [f"{name.removeprefix('latent_')}: {of}" for name, of in zip(effects.columns, of_latents, strict=True)]
    panels = [("latent: its genes", effects.to_numpy().T, names, "shift (SD)")]
    panels += [("gene", direct.to_numpy(), genes, "direct effect\n(log fold change)")] * (len(genes) > 0)
    sizes = [len(rows) for _, _, rows, _ in panels]
    figure, axes = new_panels(1.5 + 0.17 * sum(sizes), len(panels), 1, sharex=True, height_ratios=sizes, squeeze=False)
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


@styled
def cells_by_perturbation(record):
    """Cells of a real screen in the two latents that are shifted most, and the means of all perturbations."""
    effects, strength = _first_fit(record)
    axes_of = np.sort(np.argsort(-strength.sum(axis=0), kind="stable")[:2])
    titles, values = [name.replace("_", " ") for name in effects.columns], effects.to_numpy()
    first, second = strength[:, axes_of].astype(bool).T
    any_latent, names = strength.any(axis=1), effects.index.to_numpy(str).astype(object)
    kinds = {f"shifts {titles[axes_of[0]]}": first & ~second, f"shifts {titles[axes_of[1]]}": second & ~first}
    kinds |= {"shifts both": first & second, "shifts another latent": any_latent & ~first & ~second}
    figure, (cells, means) = new_panels(3.4, 1, 2, sharex=True, sharey=True)
    cells.plot(*record.latents[:, axes_of].T, ".", color="0.8", ms=2, mew=0, rasterized=True)
    means.plot(*values[~any_latent][:, axes_of].T, "o", color="0.7", ms=3)
    means.plot(0, 0, "+", color="k", ms=8)
    for (kind, of), color in zip(kinds.items(), PALETTE, strict=False):
        if of.any():
            x, y = record.latents[np.isin(record.perturbation, effects.index[of])][:, axes_of].T
            cells.plot(x, y, ".", color=color, ms=3, mew=0, rasterized=True)
            means.plot(*values[of][:, axes_of].T, "o", color=color, ms=4, label=f"{kind} ({of.sum()})")
    headings = "cells; grey: all other perturbations and the control", "shifts of all perturbations; +: control"
    for ax, title in zip((cells, means), headings, strict=True):
        ax.set(title=title, xlabel=titles[axes_of[0]], ylabel=titles[axes_of[1]])
    entries = means.get_legend_handles_labels()
    figure.legend(
        *entries, loc="outside upper center", ncols=len(kinds), title="perturbations with edges, by what they shift"
    )
    finish(figure)
    if any_latent.sum() <= MANY:
        hidden = any_latent & ~first & ~second
        names[hidden] = [f"{names[i]} → {titles[strength[i].argmax()]}" for i in np.flatnonzero(hidden)]
        place_names(means, values[any_latent][:, axes_of], names[any_latent], values[:, axes_of], fontsize="small")
    return figure


@styled
def trust(sizes, bootstraps, permuted, fits):
    """Number of latents, how stable the edges are, and effects under labels that mean nothing."""
    figure = new_figure(2.9)
    bound, middle, right, moved = figure.subplot_mosaic("ACD;BCD").values()
    bound.plot(sizes.sizes["n_latent"], sizes.sizes["elbo"], "o-", color=BLUE, ms=3)
    bound.set_ylabel("held-out ELBO\nper cell (nats)")
    bound.sharex(moved)
    bound.tick_params(labelbottom=False)
    moved.plot(sizes.sizes["n_latent"], sizes.sizes["moved"], "o-", color=BLUE, ms=3)
    moved.set(ylim=(0, None), xlabel="latents of the model", ylabel="latents that\nare shifted")
    moved.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    found = bootstraps.stability.sort_values(["found", "share"], ascending=False)
    middle.barh(np.arange(len(found)), found["share"], color=np.where(found["found"], GREEN, "0.7"))
    names = found["perturbation"] + " → " + found["latent"].str.replace("_", " ")
    if len(found) <= MANY:
        middle.set_yticks(np.arange(len(found)), names, fontsize="small")
    else:
        middle.set(yticks=[], ylabel=f"{len(found)} edges")
    middle.invert_yaxis()
    middle.set(xlim=(0, 1), xlabel="share of bootstraps with the edge", title="green: edges of the fit to all cells")
    effects = np.abs(_first_fit(fits)[0].to_numpy()).ravel()
    for values, color, label in ((effects, GREEN, "true labels"), (permuted.null, VERMILLION, "permuted labels")):
        right.plot(np.arange(1, len(values) + 1) / len(values), np.sort(values)[::-1], color=color, label=label)
    right.set(xscale="log", yscale="log", xlabel="share of effects that are larger", ylabel="|effect| (SD)")
    right.set_ylim(1e-3, None)
    right.legend()
    return figure
