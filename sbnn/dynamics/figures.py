"""Figures of the study of gene-regulatory dynamics, from records alone."""

import networkx
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sbnn.dynamics.report import COLUMNS, METHODS, PUBLISHED, TITLES
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from sbnn.plotting.common import draw_scores, finish, grid, name_rows, new_figure, new_panels, styled
from sbnn.plotting.labels import place_names

COLORS = {
    "prior": "k", "mean": "#a6a6a6", "ar1_mean": "#b39ac9", "ar1": "#7a5c9e", "ridge": "#4b2e83",
    "ar1_ridge": "#2a1a4a", "replicate": "#d0b000", "none": "0.45", "phoenix": "0.7", "c_node": SKY,
    "l0": BLUE, "path_reg": PURPLE,
    "post_hoc": "#8c6d31", "imp": ORANGE, "biological": "#882255", "dash": VERMILLION, "sparse": GREEN,
}  # fmt: skip
ROW = 0.2  # inches
LEGEND = {"loc": "outside right upper", "fontsize": 6.5}
PANELS = {
    "auroc": "AUROC of edges", "balanced_accuracy": "balanced accuracy of edges",
    "mse_rollout": COLUMNS["mse_rollout"], "mse_ahead": COLUMNS["mse_ahead"], "sparsity": "sparsity",
}  # fmt: skip
KINDS_OF_EDGES = {  # by whether they are true, and whether the prior has them
    (True, True): ("true, in the prior", "0.55", "-"),
    (True, False): ("true, missing in the prior", GREEN, "-"),
    (False, True): ("wrong, in the prior", VERMILLION, "-"),
    (False, False): ("wrong, not in the prior", VERMILLION, ":"),
}
ACTIVATION, REPRESSION = "->,head_width=.12,head_length=.2", "|-|,widthA=0,widthB=.12"
STRONGEST = 150
SPREAD, GAP = 1.3, 0.9  # of connected parts, and between them
NAMED = 12  # regulators with the most targets are named
SHOWN_GENES = 6


@styled
def scores_of_methods(records):
    """Edges, where a truth is known, predictions and sparsity: one dot for each seed, methods from top to bottom."""
    scored = {name: record.scores.dropna(axis=1, how="all") for name, record in records.items()}
    panels = {column: name for column, name in PANELS.items() if any(column in of for of in scored.values())}
    figure, (axes,) = new_panels(1 + ROW * len(records), 1, len(panels), sharey=True, squeeze=False)
    for ax, (column, title) in zip(axes, panels.items(), strict=True):
        for y, (name, of) in enumerate(scored.items()):
            if column in of:
                draw_scores(ax, y, of[column], COLORS[name])
        if column in ("auroc", "balanced_accuracy"):
            ax.axvline(0.5, color="0.6", lw=0.8, ls="--")
        ax.set_title(title.replace(" of ", "\nof "), fontsize=7)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.ticklabel_format(axis="x", scilimits=(-2, 3), useMathText=True)
        name_rows(ax, [METHODS[name] for name in records])
        grid(ax)
    axes[-1].set(xlim=(-0.05, 1.05), xticks=(0, 0.5, 1))
    figure.suptitle(f"{next(iter(records.values())).dataset}: a dot for each start, a stroke for the mean", fontsize=8)
    return figure


@styled
def accuracy_by_sparsity(records, condition, sweep=None):
    """Balanced accuracy against sparsity, and error against balanced accuracy; lines: a sweep, squares: published."""
    published = condition == "noise_5" and next(iter(records.values())).dataset == "grn_350"  # the same network
    figure, (left, right) = new_panels(3.3, 1, 2)
    note = {"xytext": (2, 2), "textcoords": "offset points", "fontsize": 6}
    for name, record in records.items():
        scores, color = record.scores, COLORS[name]
        if name == "prior":
            level, error = scores[["balanced_accuracy", "mse_ahead"]].mean()
            left.axhline(level, color=color, lw=0.8, ls="--")
            right.axvline(level, color=color, lw=0.8, ls="--")
            left.annotate("the prior itself", (0.0, level), color=color, **note)
            right.axhline(error, color=color, lw=0.8, ls=":")
            right.annotate("no change", (0.5, error), **note)
            continue
        style = {"fmt": "o", "color": color, "ms": 4, "lw": 0.8, "zorder": 3}
        left.errorbar(*_points(scores, "sparsity", "balanced_accuracy"), label=METHODS[name], **style)
        right.errorbar(*_points(scores, "balanced_accuracy", "mse_ahead"), **style)
        if published and name in PUBLISHED:
            left.plot(*PUBLISHED[name], "s", color=color, mfc="none", ms=4.5, mew=0.9)
    if published:
        left.plot([], [], "s", color="k", mfc="none", ms=4.5, mew=0.9, label="published")
    if sweep is not None:
        for name, of in sweep.groupby("method", sort=False):
            means = of.groupby("asked")[["sparsity", "balanced_accuracy"]].mean()
            left.plot(*means.to_numpy().T, color=COLORS[name], lw=1, alpha=0.7)
    accuracy, error = "balanced accuracy of edges", f"test {COLUMNS['mse_ahead']}"
    left.set(xlabel="sparsity of the weights", ylabel=accuracy, xlim=(-0.03, 1.03), ylim=(0.48, 1.02))
    right.set(xlabel=accuracy, ylabel=error, yscale="log", xlim=(0.48, 1.02))
    figure.legend(**LEGEND)
    figure.suptitle(TITLES[condition][0].upper() + TITLES[condition][1:], fontsize=8)
    return finish(figure, [[left, right]])


def _points(scores, x, y):
    """Means and standard deviations of two columns, as `errorbar` takes them: x, y, yerr, xerr."""
    sd = [np.nan_to_num(scores[column].std()) for column in (y, x)]
    return scores[x].mean(), scores[y].mean(), *sd


@styled
def corrected_edges(by_condition):
    """Share of missing edges found against share of wrong edges kept; one panel per condition, one dot per seed."""
    figure, (axes,) = new_panels(3.2, 1, len(by_condition), sharey=True, squeeze=False)
    for ax, (condition, records) in zip(axes, by_condition.items(), strict=True):
        for name, record in records.items():
            if name == "prior":
                continue  # finds nothing and keeps everything, by definition
            wrong, missing = record.scores["kept_wrong"], record.scores["recall_missing"]
            label = METHODS[name] if ax is axes[0] else None
            ax.plot(wrong, missing, "o", color=COLORS[name], ms=3, mew=0, alpha=0.5)
            ax.plot(wrong.mean(), missing.mean(), "D", color=COLORS[name], ms=5, label=label)
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
        slanted = {"rotation": 45, "transform_rotates_text": True, "rotation_mode": "anchor", "va": "top"}
        ax.text(0.1, 0.09, "edges at random", fontsize=6, color="0.4", **slanted)
        ax.plot(1, 0, "kx", ms=5)
        ax.annotate("prior", (1, 0), xytext=(-4, 4), textcoords="offset points", fontsize=6, ha="right")
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), title=TITLES[condition])
        ax.set_xlabel("wrong edges of the prior that are kept")
    axes[0].set_ylabel("true edges missing in the prior that are found")
    figure.legend(**LEGEND)
    return figure


@styled
def out_degrees(records):
    """Share of genes with at least so many targets, on logarithmic scales: true network, prior, and networks found."""
    (figure, ax), prior = new_panels(2.9), records["prior"]
    if "true_out_degree" in prior.values:
        ax.plot(*_at_least(prior.true_out_degree), color="k", lw=2.2, alpha=0.35, label="true network", zorder=4)
    ax.plot(*_at_least(prior.out_degree), color="k", lw=0.9, ls="--", label="prior", zorder=4)
    for name, record in records.items():
        if name != "prior":
            k, shares = _at_least(record.out_degree)
            # All genes of a network have as many targets, and where they are drawn they are one dot.
            look = {} if len(k) > 1 else {"marker": "o", "ms": 4, "alpha": 0.8, "ls": ""}
            ax.plot(k, shares, color=COLORS[name], lw=1.1, label=METHODS[name], **look)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="targets of a gene (out-degree), k", ylabel="share of genes with k or more")
    figure.legend(**LEGEND)
    return figure


def _at_least(degree):
    """Out-degrees from 1 on, and the share of genes that have as many or more."""
    k = np.unique(degree[degree > 0])
    return k, [(degree >= value).mean() for value in k]


@styled
def predicted_paths(of_prior, records):
    """Test trajectories of some genes with predictions from their start, and all values predicted against true."""
    true, times, names = of_prior.test, of_prior.times, of_prior.gene_names
    observed = "measured" if of_prior.settings["condition"] == "real" else "true, without noise"
    figure = new_figure(4.6)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = top.subplots(2, SHOWN_GENES // 2, sharex=True)
    for ax, gene in zip(axes.flat, _most_moving(true), strict=True):
        ax.plot(times[0], true[0, :, gene], "o", color="k", ms=3.5, label=observed)
        for name, record in records.items():
            ax.plot(times[0], record.predicted[0, :, gene], ".-", color=COLORS[name], lw=1, ms=3, label=METHODS[name])
        ax.set_title(names[gene], fontsize=7, pad=2)
    for ax in axes[-1]:
        ax.set_xlabel("time")
    for ax in axes[:, 0]:
        ax.set_ylabel("expression")
    top.legend(*axes.flat[0].get_legend_handles_labels(), **LEGEND)
    squares = np.atleast_1d(bottom.subplots(1, len(records), sharex=True, sharey=True))
    low, high = np.quantile(true[:, 1:], [0, 1])
    for ax, (name, record) in zip(squares, records.items(), strict=True):
        t, p = true[:, 1:].ravel(), record.predicted[:, 1:].ravel()
        ax.plot(t, p, ".", color=COLORS[name], ms=1.2, alpha=0.4, rasterized=True)
        for marker, beyond, edge in (("^", p > high, high), ("v", p < low, low)):
            if beyond.any():
                ax.plot(t[beyond], 0 * t[beyond] + edge, marker, color=COLORS[name], ms=3, mew=0, clip_on=False)
        ax.plot([low, high], [low, high], color="k", lw=0.6)
        outside = f"\n{n} of {len(p)} outside" if (n := ((p < low) | (p > high)).sum()) else ""
        ax.set_title(f"{METHODS[name]}: MSE {((t - p) ** 2).mean():.2g}{outside}", fontsize=7)
        ax.set(xlabel="true", aspect="equal", xlim=(low, high), ylim=(low, high))
    squares[0].set_ylabel("predicted")
    return finish(figure, [[axes[0, 0]], [squares[0]]])


def _most_moving(true):
    """Genes that change most in the first sample, and as differently as possible."""
    path = true[0] - true[0, 0]
    order = np.argsort(-np.ptp(path, axis=0), kind="stable")[:60]
    apart = np.abs(path[:, order, None] - path[:, None, order]).max(axis=0)
    chosen = [0]
    while len(chosen) < SHOWN_GENES:
        chosen.append(int(apart[:, chosen].min(axis=1).argmax()))
    return order[chosen]


@styled
def strongest_edges(records):
    """The strongest edges of networks, side by side: which are true, and which the prior lacks."""
    figure, (axes,) = new_panels(0.4 + 7.0 / len(records), 1, len(records), squeeze=False)
    used, named = set(), []
    for ax, (name, record) in zip(axes, records.items(), strict=True):
        edges = record.edges.iloc[:STRONGEST].astype({"true": bool})
        graph = networkx.DiGraph(edges[["regulator", "target"]].to_numpy().tolist())
        place = _places(graph)
        for row in edges.itertuples():
            kind = row.true, row.in_prior
            used.add(kind)
            _, color, style = KINDS_OF_EDGES[kind]
            arrow = {"arrowstyle": ACTIVATION if row.score > 0 else REPRESSION, "color": color, "ls": style}
            arrow |= {"lw": 0.5 if all(kind) else 1.1, "shrinkA": 1, "shrinkB": 1.5}
            ax.annotate("", place[row.target], place[row.regulator], zorder=1 if all(kind) else 2, arrowprops=arrow)
        degree = dict(graph.out_degree)
        points = np.array([place[gene] for gene in graph])
        ax.scatter(*points.T, s=2 + 1.3 * np.array(list(degree.values())), c="k", lw=0, zorder=3)
        most = [gene for gene in sorted(graph, key=degree.get, reverse=True)[:NAMED] if degree[gene] > 1]
        named.append((ax, np.array([place[gene] for gene in most]), most, points))
        wrong = (~edges["true"]).sum()
        ax.set_title(f"{METHODS[name]}: {len(edges)} strongest edges, {wrong} of them wrong")
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.axis("off")
    kinds = [about for kind, about in KINDS_OF_EDGES.items() if kind in used]
    handles = [Line2D([], [], color=color, ls=style, lw=1.2, label=label) for label, color, style in kinds]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=6.5)
    finish(figure)
    for some in named:
        place_names(*some, fontsize=5.5)
    return figure


def _places(graph):
    """Positions of genes: connected parts each by their own layout, packed in rows."""
    whole = graph.to_undirected()
    parts = sorted(networkx.connected_components(whole), key=lambda part: (-len(part), min(part)))
    at, sizes = {}, []
    for part in parts:
        ordered = networkx.Graph()  # nodes in the order of their names: the same drawing whatever the order of sets
        ordered.add_nodes_from(sorted(part))
        ordered.add_edges_from(sorted(map(sorted, whole.subgraph(part).edges)))
        points = networkx.kamada_kawai_layout(ordered)
        points = np.round([points[gene] for gene in ordered], 3)  # last digits differ between processors
        points = (points - points.min(axis=0)) * SPREAD * np.sqrt(len(part)) / (np.ptp(points, axis=0).max() or 1.0)
        at[tuple(ordered)] = points[:, ::-1] if np.ptp(points[:, 0]) < np.ptp(points[:, 1]) else points  # lying
        sizes.append(np.sort(np.ptp(points, axis=0))[::-1] + GAP)
    width = max(np.sqrt(np.prod(sizes, axis=1).sum()), sizes[0][0])
    place, x, y, height = {}, 0.0, 0.0, 0.0
    for (genes, points), size in zip(at.items(), sizes, strict=True):
        if x and x + size[0] > 1.05 * width:
            x, y, height = 0.0, y - height, 0.0
        place |= dict(zip(genes, points + [x, y - size[1]], strict=True))
        x, height = x + size[0], max(height, size[1])
    return place
