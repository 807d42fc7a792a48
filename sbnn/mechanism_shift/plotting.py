"""Figures of perturbation screens, drawn from saved records.

The first half compares methods on simulated screens, the second half shows a screen.
"""

from itertools import product
from string import ascii_lowercase

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.mechanism_shift import report
from sbnn.mechanism_shift.accuracy import match_latents
from sbnn.mechanism_shift.graph import edges_of, wide
from sbnn.plotting.colors import BLUE, GREEN, METHODS, PALETTE, SHAPES, VERMILLION
from sbnn.plotting.common import (
    LETTER,
    MANY,
    draw_scores,
    finish,
    grid,
    headline,
    name_rows,
    new_figure,
    new_panels,
    styled,
)
from sbnn.plotting.labels import counted, place_names, signed

EFFECTS = "PuOr_r"
_NONE, _VAE, _SWITCHES, _OURS = METHODS["mechanism_shift"].values()
_FAMILIES = [_NONE] * 3 + [_VAE] * 3 + [_SWITCHES] * 3 + [_OURS]
COLORS = dict(zip(report.LABELS, _FAMILIES, strict=True))
PANELS = {
    "mcc": "correlation with true latents (MCC)",
    "f1": "shift graph, F1",
    "elbo": "held-out ELBO per cell (nats)",
    "seconds": "CPU seconds",
}
USUAL = {"shift": 5.0, "n_cells_per": 50, "latents_fitted": 15}  # where other quantities vary
NAMED_GENES = 3  # named for each latent: those most correlated with it
DIRECT_GENES = 14  # shown: those with the largest direct effects
SHOWN = 40  # perturbations shown: those with the largest shifts


@styled
def true_shifts(shifts, latents, perturbation):
    """True shifts of a simulated screen, and its cells along the first two latents.

    Parameters
    ----------
    shifts : DataFrame, perturbations by latents
    latents : ndarray, shape (n, d)
    perturbation : array of str, shape (n,)
    """
    name = shifts.columns[0]
    moved = np.isin(perturbation, shifts.index[shifts[name] != 0])
    figure, (left, right) = new_panels(3, 1, 2)
    image = left.imshow(shifts, cmap=EFFECTS, aspect="auto", interpolation="none", vmin=-6, vmax=6)
    title = f"{np.count_nonzero(shifts)} of {shifts.size} pairs are shifted"
    left.set(title=title, xlabel="latent", ylabel="perturbation")
    left.set_xticks(range(shifts.shape[1]))
    figure.colorbar(image, ax=left, label="SD within a perturbation")
    right.plot(*latents[:, :2].T, ".", ms=2, color="0.8", label="other cells")
    right.plot(*latents[moved, :2].T, ".", ms=2, color="C0", label="latent 0 is a target")
    right.set(title="true latents of the cells", xlabel="latent 0", ylabel="latent 1")
    right.legend(markerscale=4)
    return finish(figure, [[left, right]])


@styled
def precision_and_recall(methods, rules):
    """Precision and recall of the edges of each method, and of rules that need no model.

    Parameters
    ----------
    methods, rules : dict of str to record
    """
    figure, ax = new_panels(3)
    for (name, record), marker in zip(methods.items(), SHAPES, strict=False):
        scores = record.scores
        ax.plot(
            scores["recall"],
            scores["precision"],
            marker=marker,
            ls="",
            color=COLORS[name],
            label=report.LABELS[name],
        )
    for (rule, record), marker in zip(rules.items(), "x+1", strict=False):
        scores = record.scores.mean()
        ax.plot(
            scores["recall"],
            scores["precision"],
            marker=marker,
            ls="",
            color="k",
            ms=9,
            label=f"rule: {rule}",
        )
    ax.plot(1, 1, "*", ms=12, color="0.7", label="the truth")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    ax.set(xlabel="recall: share of true edges found", ylabel="precision")
    figure.legend(loc="outside right upper")
    best, f1 = _highest(methods, "f1")
    headline(figure, f"Highest F1: {best}, {f1:.3f}")
    return figure


@styled
def matched_latents(true, found):
    """Absolute correlations of true latents with those of several models.

    Parameters
    ----------
    true : ndarray, shape (n, d)
    found : dict of str to ndarray, shape (n, d)
    """
    d = true.shape[1]
    figure, axes = new_panels(3, 1, len(found), sharey=True)
    for ax, (title, values) in zip(axes, found.items(), strict=True):
        matched, _, of_found = match_latents(true, values)
        correlation = np.corrcoef(true.T, values.T)[:d, d:]
        image = ax.imshow(np.abs(correlation[:, of_found]), cmap="Greys", vmin=0, vmax=1)
        ax.set(title=f"{title}: MCC {np.abs(matched).mean():.3f}", xlabel="matched latent")
        ax.set_xticks(range(d))
    axes[0].set(ylabel="true latent", yticks=range(d))
    figure.colorbar(image, ax=axes, label="|correlation| over cells")
    return finish(figure, [axes])


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
    best, mcc = _highest(methods, "mcc")
    headline(figure, f"Highest MCC: {best}, {mcc:.3f}; {_title(methods)}")
    figure.supxlabel("dots: seeds, strokes: means", fontsize=6.5)
    _letter(axes)
    return figure


def _highest(methods, score):
    """Label and mean score of the method with the highest mean."""
    means = {report.LABELS[name]: record.scores[score].mean() for name, record in methods.items()}
    best = max(means, key=means.get)
    return best, means[best]


def _title(methods):
    record = next(iter(methods.values()))
    return report.TITLE.format(**record.settings["configuration"])


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
        f"found (staged): {wrong.sum()} wrong or missing": record.effects.to_numpy(),
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
    found = []
    for i, (ax, x, y) in enumerate(pairs):
        found.append(np.corrcoef(x, y)[0, 1])
        ax.plot(x, y, ".", color=GREEN, ms=2, mew=0, alpha=0.6, rasterized=True)
        ax.set_title(f"latent {i}: r = {found[-1]:.3f}")
    lowest, highest = min(found), max(found)
    headline(figure, f"{len(found)} latents are recovered with r = {lowest:.3f} to {highest:.3f}")
    figure.supxlabel("true latent", fontsize="medium")
    figure.supylabel("recovered latent", fontsize="medium")
    return figure


@styled
def held_out_bounds(methods):
    """Bounds of held-out perturbations, with shifts at zero and with learned shifts.

    Parameters
    ----------
    methods : dict of str to record
        Those with bounds are drawn; unmixing does not change bounds.
    """
    networks = {}
    for name, record in methods.items():
        if "new_iwelbo" in record.scores and not name.endswith("unmixed"):
            networks[name] = record
    figure, ax = new_panels(0.9 + 0.22 * len(networks))
    for y, (name, record) in enumerate(networks.items()):
        before = record.scores["new_iwelbo_before"]
        after = record.scores["new_iwelbo"]
        color = COLORS[name]
        rows = np.full(len(after), y)
        ax.plot([before, after], [rows, rows], "-", color=color, lw=0.6, alpha=0.6)
        ax.plot(before, rows, "o", mfc="none", color=color, ms=4)
        ax.plot(after, rows, "o", color=color, ms=4, mew=0)
    ax.plot([], [], "o", mfc="none", color="0.3", ms=4, label="shifts at zero")
    ax.plot([], [], "o", color="0.3", ms=4, mew=0, label="shifts learned from other cells")
    name_rows(ax, [report.LABELS[name] for name in networks])
    grid(ax)
    best, bound = _highest(networks, "new_iwelbo")
    ax.set_xlabel("IWELBO per cell of held-out perturbations (nats)")
    headline(figure, f"Highest: {best}, {signed(bound, 1)} nats; {_title(methods)}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def scores_as_screens_vary(varied):
    """MCC and F1 of methods as one quantity varies, for several quantities.

    Parameters
    ----------
    varied : dict of str to record
        By the quantities of `report.VARIED`: scores of each ``method``, ``value`` and ``seed``.
    """
    figure, axes = new_panels(3.6, 2, len(varied), sharey="row", sharex="col")
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
            if quantity in USUAL:
                ax.axvline(USUAL[quantity], color="0.8", lw=0.8, zorder=0)
            ax.set_ylim(0, 1.03)
        column[1].set_xlabel(report.VARIED[quantity])
    lowest = min(_lowest(quantity, record.scores) for quantity, record in varied.items())
    headline(figure, "Lowest MCC of staged: {:.3f} ({}: {:g})".format(*lowest))
    looks = "dots: means, thin lines: seeds, vertical line: the usual value"
    figure.supxlabel(looks, fontsize=6.5)
    axes[0, 0].set_ylabel("MCC")
    axes[1, 0].set_ylabel("shift graph, F1")
    axes[1, 0].legend(loc="lower right")
    _letter(axes.flat)
    return figure


def _letter(axes):
    """Letters of panels whose titles are empty."""
    for ax, letter in zip(axes, ascii_lowercase, strict=False):
        ax.set_title(letter, loc="left", **LETTER)


def _lowest(quantity, scores):
    """Lowest mean MCC of the staged model, and where it is."""
    means = scores[scores["method"] == "staged"].groupby("value")["mcc"].mean()
    return means.min(), report.VARIED[quantity], means.idxmin()


def _first_fit(record):
    """Effects and edges of the first fit, DataFrames of perturbations by latents."""
    graph = record.graph[record.graph["seed"] == record.seed]
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
    n_edges = counted(edges.to_numpy().sum(), "edge")
    headline(figure, f"{record.dataset}: {_moved(edges)}, {n_edges}")
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
        n_drawn = np.count_nonzero(direct)
        bottom.set_title(f"{_of_all(n_drawn, record.effects['edge'].sum())} to genes")
    _draw_edges(top, shown.T)
    n_drawn = np.count_nonzero(shown)
    top.set_title(f"{record.dataset}: {_of_all(n_drawn, np.count_nonzero(edges))} to latents")
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


@styled
def cells_and_shifts(record):
    """Cells, and shifts of all perturbations, along the two latents that are shifted most."""
    effects, edges = _first_fit(record)
    strength = effects.abs() * edges
    axes_of = strength.sum().nlargest(2).index.sort_values()
    x_label, y_label = axes_of.str.replace("_", " ")
    first, second = edges[axes_of].to_numpy().T
    moved = edges.any(axis=1).to_numpy()
    kinds = {
        f"shifts {x_label}": first & ~second,
        f"shifts {y_label}": second & ~first,
        "shifts both": first & second,
        "shifts another latent": moved & ~first & ~second,
    }
    x, y = record.latents[:, effects.columns.get_indexer(axes_of)].T
    shifts = effects[axes_of].to_numpy()
    figure, (left, right) = new_panels(3.4, 1, 2, sharex=True, sharey=True)
    left.plot(x, y, ".", color="0.8", ms=2, mew=0, rasterized=True)
    right.plot(*shifts[~moved].T, "o", color="0.7", ms=3)
    right.plot(0, 0, "+", color="k", ms=8)
    for (kind, of_kind), color in zip(kinds.items(), PALETTE, strict=False):
        if of_kind.any():
            own = np.isin(record.perturbation, effects.index[of_kind])
            left.plot(x[own], y[own], ".", color=color, ms=3, mew=0, rasterized=True)
            label = f"{kind} ({of_kind.sum()})"
            right.plot(*shifts[of_kind].T, "o", color=color, ms=4, label=label)
    numbers = f"{first.sum()} perturbations shift {x_label}, {second.sum()} {y_label}"
    left.set_title(f"{numbers}; grey: other cells")
    right.set_title(f"{_moved(edges)}; +: control")
    for ax in (left, right):
        ax.set(xlabel=x_label, ylabel=y_label)
    handles = right.get_legend_handles_labels()
    title = "perturbations with edges, by what they shift"
    figure.legend(*handles, loc="outside upper center", ncols=4, title=title)
    finish(figure, [[left, right]])
    if moved.sum() <= MANY:
        names = _with_other_latents(strength[moved], kinds["shifts another latent"][moved])
        place_names(right, shifts[moved], names, fontsize="small")
    return figure


def _with_other_latents(strength, others):
    """Names of perturbations; those of the mask `others` are followed by their latent."""
    names = strength.index.to_series()
    latent = strength[others].idxmax(axis=1).str.replace("_", " ")
    names[others] = names[others] + " → " + latent
    return names.to_numpy()


@styled
def profile_correlations(profiles, shown=MANY):
    """Correlations between the profiles of the perturbations with the largest ones.

    Parameters
    ----------
    profiles : DataFrame, perturbations by genes
    shown : int
    """
    sizes = (profiles**2).sum(axis=1)
    profiles = profiles.loc[sizes.sort_values(ascending=False).index[:shown]]
    figure, ax = new_panels(3.8)
    r = np.corrcoef(profiles)
    image = ax.imshow(r, cmap=EFFECTS, vmin=-1, vmax=1)
    ax.set_xticks(range(len(profiles)), profiles.index, rotation=90)
    ax.set_yticks(range(len(profiles)), profiles.index)
    figure.colorbar(image, ax=ax, label="correlation of z-scored differences")
    others = np.where(np.tri(len(r), k=-1), r, -1)
    first, second = np.unravel_index(others.argmax(), r.shape)
    pair = f"{profiles.index[second]} and {profiles.index[first]}"
    headline(figure, f"Most alike: {pair}, r = {others.max():.2f}")
    return figure


@styled
def checks_of_edges(fits, permuted, sizes, bootstraps):
    """Bound and shifted latents by size of the model, edges in bootstraps, and sizes of effects.

    Parameters
    ----------
    fits, permuted, sizes, bootstraps : Record
        Fits to all cells, to permuted labels, with other numbers of latents, and to bootstraps.
    """
    found = bootstraps.stability.query("found or share > 0.5")
    found = found.sort_values(["found", "share"], ascending=False)
    figure = new_figure(2.9)
    bound, middle, right, moved = figure.subplot_mosaic("ACD;BCD").values()
    bound.plot("n_latent", "elbo", "o-", color=BLUE, ms=3, data=sizes.sizes)
    bound.set(ylabel="held-out ELBO\nper cell (nats)")
    moved.plot("n_latent", "moved", "o-", color=BLUE, ms=3, data=sizes.sizes)
    moved.set(ylim=(0, None), xlabel="latents of the model", ylabel="latents that\nare shifted")
    smallest, *_, largest = sizes.sizes.sort_values("n_latent").to_dict("records")
    range_of_sizes = f"{smallest['n_latent']} to {largest['n_latent']} latents"
    bound.set_title(
        f"{signed(largest['elbo'] - smallest['elbo'], plus=True)} nats, {range_of_sizes}"
    )
    moved.set_title(f"{smallest['moved']} to {largest['moved']} are shifted")
    for axis in (bound.xaxis, moved.xaxis, moved.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    _draw_stability(middle, found, bootstraps.settings["n_bootstraps"])
    effects, _ = _first_fit(fits)
    _draw_sizes(right, effects.abs().to_numpy().ravel(), GREEN, "true labels")
    _draw_sizes(right, permuted.null, VERMILLION, "permuted labels")
    right.set(xscale="log", yscale="log")
    right.set(xlabel="share of effects that are larger", ylabel="|effect| (SD)")
    right.set_ylim(1e-3, None)
    right.set_title(f"{counted(permuted.edges['edges'].sum(), 'edge')} with permuted labels")
    right.legend()
    return finish(figure, [[bound, middle, right], [moved]])


def _draw_stability(ax, found, n_bootstraps):
    places = range(len(found))
    ax.barh(places, found["share"], color=np.where(found["found"], GREEN, "0.7"))
    if len(found) <= MANY:
        names = found["perturbation"] + " → " + found["latent"].str.replace("_", " ")
        ax.set_yticks(places, names, fontsize="small")
    else:
        ax.set(yticks=[], ylabel=f"{len(found)} edges")
    ax.invert_yaxis()
    ax.set(xlim=(0, 1), xlabel=f"share of {n_bootstraps} bootstraps\n(green: edges of the fit)")
    own = found[found["found"]]
    again = (own["share"] > 0.99).sum()
    ax.set_title(f"{again} of {counted(len(own), 'edge')} always recur")


def _draw_sizes(ax, values, color, label):
    share = np.arange(1, len(values) + 1) / len(values)
    ax.plot(share, np.sort(values)[::-1], color=color, label=label)


def _largest_direct(effects, perturbations):
    """Direct effects (genes by perturbations) on the genes with the largest."""
    found = effects[effects["edge"]]
    table = found.pivot(index="gene", columns="perturbation", values="direct")
    genes = table.abs().max(axis=1).nlargest(DIRECT_GENES).index
    return table.reindex(index=genes, columns=perturbations).fillna(0.0)


def _moved(edges):
    moved = edges.any(axis=1)
    return f"{moved.sum()} of {len(moved)} perturbations shift a latent"


def _shown_of(effects, edges):
    """Number of perturbations, if not all are shown."""
    return f" ({len(effects)} of {len(edges)})" if len(effects) < len(edges) else ""


def _of_all(drawn, total):
    edges = counted(total, "edge")
    return edges if drawn == total else f"{drawn} of {edges}"


def _draw_effects(ax, table):
    most = float(table.abs().to_numpy().max())
    return ax.imshow(table, cmap=EFFECTS, vmin=-most, vmax=most, aspect="auto")


def _draw_edges(ax, edges):
    """Mark the edges, DataFrame of bool, with dots."""
    y, x = np.nonzero(edges.to_numpy())
    ax.plot(x, y, "o", color="k", ms=3, label="edge")
