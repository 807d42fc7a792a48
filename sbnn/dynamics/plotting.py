"""Figures of gene-regulatory dynamics, drawn from saved records and tables only."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.spatial.distance import cdist

from sbnn.dynamics.baselines import BASELINES
from sbnn.dynamics.report import COLUMNS, METHODS, PUBLISHED, TITLES, by_sparsity
from sbnn.plotting.colors import GREEN, VERMILLION
from sbnn.plotting.colors import METHODS as METHOD_COLORS
from sbnn.plotting.common import (
    draw_scores,
    finish,
    grid,
    headline,
    name_rows,
    new_figure,
    new_panels,
    styled,
)
from sbnn.plotting.labels import place_names
from sbnn.results import named_after

COLORS = METHOD_COLORS["dynamics"]
ROW = 0.2  # inches
LEGEND = {"loc": "outside right upper", "fontsize": 6.5}
PANELS = {
    "auroc": "AUROC of edges",
    "balanced_accuracy": "BA of edges",
    "mse_rollout": COLUMNS["mse_rollout"],
    "mse_ahead": COLUMNS["mse_ahead"],
    "sparsity": "sparsity",
}
CHANCE = {"auroc", "balanced_accuracy"}  # scores of which guessing achieves 0.5
SHOWN_GENES = 6
N_BINS = 70  # along each axis of predicted against true values
SHOWN_SAMPLES = 6
SHOWN_EDGES = 150
NAMED_GENES = 12  # regulators named in a network (those with the most targets)
SPREAD, GAP = 1.3, 0.9  # of and between connected parts of a network
ACCURACY = "balanced accuracy of edges"
OUT_DEGREE = "targets of a gene (out-degree), k"
#: Label, colour and line style of edges, by whether they are true and in the prior.
EDGES = {
    (True, True): ("true, in the prior", "0.55", "-"),
    (True, False): ("true, missing in the prior", GREEN, "-"),
    (False, True): ("wrong, in the prior", VERMILLION, "-"),
    (False, False): ("wrong, not in the prior", VERMILLION, ":"),
}
TIME_UNITS = {"yeast_pramila": "min"}
EXPRESSION_UNITS = {"yeast_pramila": "log ratio"}


@styled
def simulated_samples(times, true, measured, gene_names):
    """Simulated values and data with noise of genes that change much and end at different levels.

    Parameters
    ----------
    times : ndarray, shape (t,)
    true, measured : ndarray, shape (n, t, p)
    gene_names : sequence of str
    """
    spread = true[:, -1].std(axis=0)
    change = np.ptp(true, axis=1).mean(axis=0)
    varied = np.argsort(-spread * change)
    figure, axes = new_panels(2, 1, 4, sharey=True)
    for ax, gene in zip(axes, varied, strict=False):
        for i in range(SHOWN_SAMPLES):
            [line] = ax.plot(times, true[i, :, gene], lw=1)
            ax.plot(times, measured[i, :, gene], ".", color=line.get_color())
        ax.set(title=gene_names[gene], xlabel="time")
    axes[0].set_ylabel("expression")
    noise = (measured - true).std() / true.std()
    looks = f"{SHOWN_SAMPLES} samples (colours); lines: without noise, dots: data"
    headline(figure, f"Noise has {noise:.0%} of the SD of the values; {looks}")
    return figure


@styled
def accuracy_by_sparsity(records, condition):
    """Accuracy of edges against sparsity, and error of predictions against accuracy of edges.

    Published values and other sparsities are drawn under the condition of the publication.

    Parameters
    ----------
    records : dict of str to Record
    condition : str
    """
    of_methods = named_after(records, condition, METHODS)
    figure, (left, right) = new_panels(3.3, 1, 2)
    for name, record in of_methods.items():
        scores = record.scores[["sparsity", "balanced_accuracy", "mse_ahead"]]
        sparsity, accuracy, error = scores.mean()
        if name == "prior":
            _mark_prior(left, right, accuracy, error)
            continue
        of_sparsity, of_accuracy, of_error = scores.std().fillna(0)
        look = {"fmt": "o", "color": COLORS[name], "ms": 4, "lw": 0.8, "zorder": 3}
        left.errorbar(sparsity, accuracy, of_accuracy, of_sparsity, label=METHODS[name], **look)
        right.errorbar(accuracy, error, of_error, of_accuracy, **look)
    if condition == "noise_5":
        _draw_other_sparsities(left, of_methods, records)
    left.set(xlabel="sparsity of the weights", ylabel=ACCURACY)
    left.set(xlim=(-0.03, 1.03), ylim=(0.48, 1.02))
    right.set(xlabel=ACCURACY, ylabel=f"test {COLUMNS['mse_ahead']}")
    right.set(xlim=(0.48, 1.02), yscale="log")
    headline(figure, f"{_above_prior(of_methods)}\n{TITLES[condition]}; bars: SD over seeds")
    figure.legend(**LEGEND)
    return finish(figure, [[left, right]])


def _above_prior(of_methods):
    means = {}
    for name, record in of_methods.items():
        means[name] = record.scores["balanced_accuracy"].mean()
    prior = means.pop("prior", 1.0)
    above = []
    for name, mean in means.items():
        if mean > prior:
            above.append(f"{METHODS[name]} ({mean:.3f})")
    above = ", ".join(above) or "none"
    return f"More accurate than the prior ({prior:.3f}): {above}"


def _mark_prior(left, right, accuracy, error):
    """Draw lines at the accuracy of the prior and at the error of no change."""
    line = {"color": COLORS["prior"], "lw": 0.8}
    note = {"textcoords": "offset points", "fontsize": 6}
    left.axhline(accuracy, ls="--", **line)
    right.axvline(accuracy, ls="--", **line)
    right.axhline(error, ls=":", **line)
    left.annotate("the prior itself", (0, accuracy), (2, 2), **note)
    right.annotate("no change", (0.5, error), (2, 2), **note)
    right.annotate(
        "the prior itself",
        (accuracy, 0.3),
        (-2, 0),
        xycoords=right.get_xaxis_transform(),
        rotation=90,
        ha="right",
        **note,
    )


def _draw_other_sparsities(ax, of_methods, records):
    """Draw published values as squares, and other sparsities as lines."""
    square = {"marker": "s", "ls": "", "mfc": "none", "ms": 4.5, "mew": 0.9}
    line = {"lw": 1, "alpha": 0.7}
    if next(iter(of_methods.values())).dataset == "grn_350":
        for name, published in PUBLISHED.items():
            ax.plot(*published, color=COLORS[name], **square)
        ax.plot([], [], color="k", label="published", **square)
    if "sparsities" in records:
        for name, of in by_sparsity(records).groupby("method", sort=False):
            means = of.groupby("asked")[["sparsity", "balanced_accuracy"]].mean()
            ax.plot(*means.to_numpy().T, color=COLORS[name], **line)
        ax.plot([], [], color="0.3", label="other sparsities", **line)


@styled
def corrected_edges(conditions):
    """Missing edges that are found against wrong edges of the prior that are kept.

    `conditions` is as from `sbnn.dynamics.report.by_condition`.
    """
    figure, [axes] = new_panels(3.5, 1, len(conditions), sharey=True, squeeze=False)
    for ax, (condition, of_methods) in zip(axes, conditions.items(), strict=True):
        for name, record in of_methods.items():
            if name == "prior":
                continue  # finds nothing and keeps everything, by definition
            wrong = record.scores["kept_wrong"]
            missing = record.scores["recall_missing"]
            label = METHODS[name] if ax is axes[0] else None
            color = COLORS[name]
            ax.plot(wrong, missing, "o", color=color, ms=3, mew=0, alpha=0.5)
            ax.plot(wrong.mean(), missing.mean(), "D", color=color, ms=5, label=label)
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
        ax.plot(1, 0, "kx", ms=5)
        ax.annotate("prior", (1, 0), (-4, 4), textcoords="offset points", fontsize=6, ha="right")
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        ax.set_title(f"{_corrections(of_methods)}\n{TITLES[condition]}", fontsize=7)
        ax.set_xlabel("wrong edges of the prior that are kept")
    axes[0].set_ylabel("true edges missing in the prior that are found")
    title = "diamonds: means, dots: seeds\ndashed: chance"
    figure.legend(**LEGEND, title=title, title_fontsize=6)
    return finish(figure, [axes])


def _corrections(of_methods):
    """Missing edges that the last two methods find, and wrong ones that they keep."""
    texts = []
    for name in [*of_methods][-2:]:
        found, kept = of_methods[name].scores[["recall_missing", "kept_wrong"]].mean()
        texts.append(f"{METHODS[name]} finds {found:.0%}, keeps {kept:.0%}")
    return "\n".join(reversed(texts))


@styled
def strongest_edges(records):
    """The strongest edges of networks; needs networkx (extra ``notebooks``).

    `records` maps methods to records with ``edges``.
    """
    figure, [axes] = new_panels(3.9, 1, len(records), squeeze=False)
    drawn = []
    present = set()
    for ax, (name, record) in zip(axes, records.items(), strict=True):
        edges = record.edges.iloc[:SHOWN_EDGES]
        drawn.append((ax, *_draw_network(ax, edges)))
        present |= set(zip(edges["true"].astype(bool), edges["in_prior"], strict=True))
        wrong = (edges["true"] == 0).sum()
        title = f"{METHODS[name]}: {wrong} of {len(edges)} strongest edges wrong"
        ax.set_title(title, fontsize=6.5)
    handles = []
    for kind, (label, color, ls) in EDGES.items():
        if kind in present:
            handles.append(Line2D([], [], color=color, ls=ls, lw=1.2, label=label))
    title = "arrows activate, bars repress; dots grow with the number of targets"
    figure.legend(handles=handles, loc="outside lower center", ncols=4, title=title)
    finish(figure, [axes])
    for ax, points, names in drawn:
        place_names(ax, points, names, fontsize=5.5)
    return figure


def _draw_network(ax, edges):
    """Draw edges as arrows, and genes as dots; returns places and names of regulators."""
    import networkx as nx

    graph = nx.DiGraph(edges[["regulator", "target"]].to_numpy().tolist())
    place = _places_of_genes(graph)
    n_targets = dict(graph.out_degree)
    for row in edges.itertuples():
        kind = bool(row.true), row.in_prior
        _, color, ls = EDGES[kind]
        usual = all(kind)
        head = "|-|,widthA=0,widthB=.12"
        if row.score > 0:
            head = "->,head_width=.12,head_length=.2"
        arrow = {"arrowstyle": head, "color": color, "ls": ls, "lw": 0.5 if usual else 1.1}
        arrow |= {"shrinkA": 1, "shrinkB": 1.5}
        ends = place[row.target], place[row.regulator]
        ax.annotate("", *ends, zorder=1 if usual else 2, arrowprops=arrow)
    points = np.array([place[gene] for gene in graph])
    sizes = 2 + 1.3 * np.array([n_targets[gene] for gene in graph])
    ax.scatter(*points.T, s=sizes, c="k", lw=0, zorder=3)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.axis("off")
    most = sorted(graph, key=n_targets.get, reverse=True)[:NAMED_GENES]
    named = [gene for gene in most if n_targets[gene] > 1]
    return [place[gene] for gene in named], named


def _places_of_genes(graph):
    """Positions of genes: connected parts, packed in rows by size."""
    import networkx as nx

    whole = graph.to_undirected()
    parts = sorted(nx.connected_components(whole), key=lambda part: (-len(part), min(part)))
    layouts = {}
    sizes = []
    for part in parts:
        ordered = nx.Graph()
        ordered.add_nodes_from(sorted(part))
        ordered.add_edges_from(sorted(map(sorted, whole.subgraph(part).edges)))
        layout = nx.kamada_kawai_layout(ordered)
        # last digits differ between processors
        at = np.round([layout[gene] for gene in ordered], 3)
        largest = np.ptp(at, axis=0).max() or 1.0
        size = SPREAD * np.sqrt(len(part))
        at = (at - at.min(axis=0)) * size / largest
        width, height = np.ptp(at, axis=0)
        if width < height:
            at = at[:, ::-1]
        layouts[tuple(ordered)] = at
        sizes.append((max(width, height) + GAP, min(width, height) + GAP))
    area = np.prod(sizes, axis=1).sum()
    row_width = 1.05 * max(np.sqrt(area), sizes[0][0])
    place = {}
    x = y = row_height = 0.0
    for (genes, at), (width, height) in zip(layouts.items(), sizes, strict=True):
        if x and x + width > row_width:
            x = 0.0
            y -= row_height
            row_height = 0.0
        place |= dict(zip(genes, at + [x, y - height], strict=True))
        x += width
        row_height = max(row_height, height)
    return place


@styled
def out_degrees(records):
    """Share of the genes with at least k targets.

    The record of the prior has ``true_out_degree`` if known.
    """
    figure, ax = new_panels(3.1)
    xlabel = OUT_DEGREE
    most = []
    if "true_out_degree" in records["prior"].values:
        k, shares = _at_least(records["prior"].true_out_degree)
        ax.plot(k, shares, color="k", lw=2.2, alpha=0.35, label="true network")
        most.append(f"{k.max()} in the true network")
    for name, record in records.items():
        k, shares = _at_least(record.out_degree)
        look = {"lw": 1.1}
        if name == "prior":
            look = {"lw": 0.9, "ls": "--"}
        elif len(k) == 1:
            look = {"marker": "o", "ms": 4, "alpha": 0.8, "ls": ""}
            xlabel = f"{OUT_DEGREE}; dots: the same for all regulators"
        ax.plot(k, shares, color=COLORS[name], label=METHODS[name], **look)
        if name in ("dash", "sparse"):
            most.append(f"{k.max()} by {METHODS[name]}")
    ax.set(xscale="log", yscale="log")
    headline(figure, f"Most targets of a gene: {', '.join(most)}")
    ax.set(xlabel=xlabel, ylabel="share of genes with k or more")
    figure.legend(**LEGEND)
    return figure


def _at_least(degree):
    k = np.unique(degree[degree > 0])
    return k, [(degree >= value).mean() for value in k]


@styled
def scores_of_methods(records):
    """Scores of predictions, sparsity and, if known, edges, with a row for each method."""
    scores = pd.concat({name: record.scores for name, record in records.items()})
    scores = scores.reindex(columns=PANELS).dropna(axis=1, how="all")
    height = 1.2 + ROW * len(records)
    n_panels = scores.shape[1]
    figure, [axes] = new_panels(height, 1, n_panels, sharey=True, squeeze=False)
    for ax, column in zip(axes, scores, strict=True):
        for y, name in enumerate(records):
            draw_scores(ax, y, scores.loc[name, column].dropna(), COLORS[name])
        if column in CHANCE:
            ax.axvline(0.5, color="0.6", lw=0.8, ls="--")
        ax.set_title(PANELS[column].replace(" of ", "\nof "), fontsize=7)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.ticklabel_format(axis="x", scilimits=(-2, 3), useMathText=True)
        name_rows(ax, [METHODS[name] for name in records])
        grid(ax)
    axes[-1].set(xlim=(-0.05, 1.05), xticks=(0, 0.5, 1))
    dataset = next(iter(records.values())).dataset
    title = f"{_best_of_both(scores['mse_ahead'])}\n{dataset}; dots: seeds, strokes: means"
    if CHANCE & set(scores):
        title += ", dashed: chance"
    headline(figure, title)
    return finish(figure, [axes])


def _best_of_both(errors):
    means = errors.groupby(level=0, sort=False).mean()
    simple = means.index.isin([*BASELINES])
    networks, without = means[~simple], means[simple]
    if networks.empty or without.empty:
        return "Scores by method"
    best = without.idxmin()
    if networks.min() < without.min():
        found = f"{METHODS[networks.idxmin()]} ({networks.min():#.3g}) predicts"
    else:
        found = f"no network (lowest: {networks.min():#.3g}) predicts"
    return f"One-step MSE: {found} better than “{METHODS[best]}” ({without.min():#.3g})"


@styled
def predicted_paths(of_prior, records):
    """Test trajectories and predictions of some genes, and all predicted and true values."""
    observed = "true, without noise"
    if of_prior.settings["condition"] == "real":
        observed = "measured"
    time = "time"
    if of_prior.dataset in TIME_UNITS:
        time = f"time ({TIME_UNITS[of_prior.dataset]})"
    figure = new_figure(4.6)
    headline(figure, _followed_best(of_prior.test, records))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    axes = top.subplots(2, SHOWN_GENES // 2, sharex=True)
    for ax, gene in zip(axes.flat, _most_moving(of_prior.test), strict=True):
        _draw_gene(ax, gene, of_prior, observed, records)
    for ax in axes[-1]:
        ax.set_xlabel(time)
    unit = EXPRESSION_UNITS.get(of_prior.dataset)
    for ax in axes[:, 0]:
        ax.set_ylabel(f"expression\n({unit})" if unit else "expression")
    top.legend(*axes[0, 0].get_legend_handles_labels(), **LEGEND)
    [squares] = bottom.subplots(1, len(records), sharex=True, sharey=True, squeeze=False)
    true = of_prior.test[:, 1:].ravel()
    for ax, (name, record) in zip(squares, records.items(), strict=True):
        _draw_agreement(ax, true, record.predicted[:, 1:].ravel(), name)
        ax.set_xlabel(observed)
    squares[0].set_ylabel("predicted")
    return finish(figure, [[axes[0, 0]], [squares[0]]])


def _later_mse(predicted, test):
    """MSE after the first time."""
    later = (predicted - test)[:, 1:]
    return np.mean(later**2)


def _followed_best(test, records):
    errors = {}
    for name, record in records.items():
        errors[name] = _later_mse(record.predicted, test)
    best = min(errors, key=errors.get)
    unchanged = _later_mse(test[:, :1], test)
    found = f"Of these, {METHODS[best]} has the lowest rollout MSE ({errors[best]:.2g}"
    return f"{found}; no change: {unchanged:.2g})"


def _draw_gene(ax, gene, of_prior, observed, records):
    times = of_prior.times[0]
    ax.plot(times, of_prior.test[0, :, gene], "o", color="k", ms=3.5, label=observed)
    for name, record in records.items():
        path = record.predicted[0, :, gene]
        ax.plot(times, path, ".-", color=COLORS[name], lw=1, ms=3, label=METHODS[name])
    ax.set_title(of_prior.gene_names[gene], fontsize=7, pad=2)


def _draw_agreement(ax, true, predicted, method):
    """Draw numbers of predicted and true values, with triangles for values beyond the panel."""
    color = COLORS[method]
    range_ = true.min(), true.max()
    shown = predicted.clip(*range_)
    shades = LinearSegmentedColormap.from_list("shades", ["0.9", color])
    ranges = (range_, range_)
    ax.hist2d(true, shown, N_BINS, range=ranges, cmin=1, norm="log", cmap=shades, rasterized=True)
    for marker, beyond in (("^", predicted > shown), ("v", predicted < shown)):
        if beyond.any():
            ax.plot(true[beyond], shown[beyond], marker, color=color, ms=3, mew=0, clip_on=False)
    ax.plot(range_, range_, color="k", lw=0.6)
    mse = ((true - predicted) ** 2).mean()
    title = f"{METHODS[method]}: MSE {mse:.2g}"
    n_beyond = (predicted != shown).sum()
    if n_beyond:
        title += f"\n{n_beyond} of {len(true)} outside the panel"
    ax.set_title(title, fontsize=7)
    ax.set(aspect="equal", xlim=range_, ylim=range_)


def _most_moving(true):
    """Genes that change strongly, and differently, in the first of (samples, times, genes)."""
    path = true[0] - true[0, 0]
    order = np.argsort(-np.ptp(path, axis=0), kind="stable")[:60]
    strong = path[:, order].T
    distance = cdist(strong, strong, "chebyshev")
    chosen = [0]
    while len(chosen) < SHOWN_GENES:
        chosen.append(distance[chosen].min(axis=0).argmax())
    return order[chosen]
