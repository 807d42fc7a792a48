"""Accuracy and sparsity of the networks during training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sbnn.plotting.colors import MODELS, model_color, paler, shades
from sbnn.plotting.common import finish, legend_above, log_ticks, new_panels, styled
from sbnn.plotting.labels import name_line
from sbnn.plotting.reading import (
    curve,
    folds_text,
    gene_target,
    levels_of,
    mean_sd,
    mean_text,
    nearest,
    network_name,
    number,
    pretraining_epochs,
    published_rows,
    regression_epochs,
)
from sbnn.results import Record

TRANSITIONS = {"unfrozen": "unfreezing", "fine-tuning": "pruning"}
PUBLISHED = {
    "marker": "D",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
    "ls": "",
}


@styled
def training_curves(
    network: Record,
    srrr: Record | None = None,
    n_components: Sequence[int] = (2,),
    published: list[dict] | None = None,
) -> Figure:
    """Test R2 over the epochs, and gene norms before pruning, for each strength of the group lasso.

    Parameters
    ----------
    network : Record
        Cross-validation of pretrained `SparseBottleneckRegressor` over ``group_lasso``.
    srrr : Record, optional
        Cross-validation of sparse reduced-rank regression.
    n_components : sequence of int
        Bottleneck widths, one for each row of panels.
    published : list of dict, optional
        Such as ``{"n_components": 2, "group_lasso": 0.1, "test_r2": 0.397}``, drawn as diamonds.

    Returns
    -------
    matplotlib.figure.Figure
        Bands show the sample SD over folds.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> network = results.load("saved_models/scala/cv_network.pickle")
    >>> figure = plotting.training_curves(network)
    """
    levels = srrr_levels(srrr, network)
    grid = points_by_width(network, n_components, pretraining=True)
    shape = (len(grid), 2)
    figure, panels = new_panels(2.55 * len(grid), *shape, width_ratios=(2, 1), squeeze=False)
    n_genes = gene_target(network)
    for (left, right), points in zip(panels, grid.values(), strict=True):
        points.sort(key=lambda point: network.parameter(point, "group_lasso"))
        colors = shades(model_color(network), len(points))
        means = []
        for point, color in zip(points, colors, strict=True):
            strength = network.parameter(point, "group_lasso")
            label = f"λ = {number(strength)}:  {mean_text(network.test_r2[:, point])}"
            for row in known_rows(published, network, point):
                label += f"  (published {row['test_r2']:.3f})"
                # at any number of epochs
                place = {"transform": left.get_yaxis_transform(), "zorder": 5, "clip_on": False}
                left.plot(1, row["test_r2"], color=color, **place, **PUBLISHED)
            r2 = curve(regression_epochs(network, point), "eval_r2")
            means.append(draw_epochs(left, r2, color, label=label))
            norms = np.maximum(-np.sort(-network.gene_norms[:, point].astype(float)), 1e-30)
            # geometric, as the axis is logarithmic
            right.plot(np.arange(1, norms.shape[1] + 1), np.exp(np.log(norms).mean(0)), color=color)
        draw_levels(left, levels)
        if any(known_rows(published, network, point) for point in points):
            left.plot([], [], color="0.3", label="published, last epoch", **PUBLISHED)
        mark_stages(left, network, points[0], means)
        title = f"{network_name(network, points[0])}, {n_genes} genes, group lasso λ"
        legend_above(left, ncols=2, title=f"{title}; last test R², {folds_text(network)}")
        right.set(xlabel="genes, sorted", ylabel="norm of a gene's weights\nbefore pruning")
        right.set(yscale="log", xlim=(0, norms.shape[1]))
        name_line(right, n_genes, f"{n_genes} genes")
    return finish(figure, panels)


def points_by_width(network, n_components, **params):
    """Grid points with some parameters, by bottleneck width."""
    widths = np.ravel(n_components or levels_of(network, "n_components")).tolist()
    found = {width: network.points(n_components=width, **params) for width in widths}
    found = {width: points for width, points in found.items() if points}
    if not found:
        raise ValueError(f"n_components: no model has {widths} and {params}")
    return found


def known_rows(published, network, point):
    """Published results of a pretrained network."""
    names = "n_components", "group_lasso"
    params = {name: network.parameter(point, name) for name in names}
    return published_rows(published, **params, pretraining=True)


def srrr_levels(srrr, network):
    """Rank, test R2 and number of genes of linear models of two ranks."""
    if srrr is None:
        return []
    ranks = levels_of(srrr, "rank")
    levels = []
    for rank in sorted({ranks[0], ranks[-1]}):
        point = srrr.best_with_at_most(gene_target(network), rank=rank)
        levels.append((rank, srrr.test_r2[:, point].mean(), srrr.n_selected[:, point].mean()))
    return levels


def draw_levels(ax, levels):
    """Draw the test R2 of linear models as horizontal lines."""
    for (rank, r2, n_genes), line in zip(levels, LINES, strict=False):
        label = f"sRRR, rank {rank}, {n_genes:.0f} genes: {r2:.3f}"
        ax.axhline(r2, ls=line, label=label, color=MODELS["linear"], lw=0.9, zorder=1.5)


def draw_epochs(ax, curves, color, line="-", band=True, label=None):
    """Draw the mean and SD of curves (folds x epochs); return the mean."""
    mean, spread = mean_sd(curves)
    epochs = np.arange(1, len(mean) + 1)
    ax.plot(epochs, mean, color=color, zorder=3, ls=line, label=label)
    if band:
        low, high = mean - spread, mean + spread
        ax.fill_between(epochs, low, high, color=color, alpha=0.11, lw=0, zorder=2)
    return mean


def mark_stages(ax, network, point, means):
    """Name the epochs where the training changes, and leave out deep drops of R2."""
    tables = regression_epochs(network, point)
    stages = max((table["stage"].to_numpy() for table in tables), key=lambda own: len(set(own)))
    for start in np.flatnonzero(stages[1:] != stages[:-1]) + 1:
        name_line(ax, start + 0.5, TRANSITIONS[stages[start]])
    ax.set(xlim=(0, len(stages)), xlabel="epoch of the regression", ylabel="test R²")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ax.set_ylim(bottom=min(np.quantile(mean, 0.02) for mean in means) - 0.03)


GENE_TICKS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
DODGE = 1.045  # factor between markers with equal numbers of genes
# of widths and ranks in ascending order
LINES = ("-", (0, (3, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
MARKERS = "os^v"


@styled
def bottleneck_comparison(
    network: Record,
    srrr: Record,
    ridge: Record,
    published: list[dict] | None = None,
    group_lasso: float = 0.1,
    n_components: Sequence[int] | None = None,
) -> Figure:
    """Test R2 against the number of genes, cross-entropy in pretraining, and R2 over the epochs.

    Parameters
    ----------
    network, srrr, ridge : Record
        Cross-validations of `SparseBottleneckRegressor` over ``n_components`` and ``pretraining``,
        of sparse reduced-rank regression over ``rank`` and ``alpha``, and of a model on all genes.
    published : list of dict, optional
        As in `training_curves`, with ``n_genes``, or such as ``{"rank": 2, "n_genes": 24,
        "test_r2": 0.350}``.
    group_lasso : float
        The nearest strength in the record is drawn.
    n_components : sequence of int, optional
        Bottleneck widths to draw, by default all.

    Returns
    -------
    matplotlib.figure.Figure
        Bands and bars show the sample SD over folds.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> network = results.load("saved_models/scala/cv_network.pickle")
    >>> srrr = results.load("saved_models/scala/cv_srrr.pickle")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle")
    >>> figure = plotting.bottleneck_comparison(network, srrr, ridge)
    """
    levels = srrr_levels(srrr, network)
    strength = nearest(levels_of(network, "group_lasso"), group_lasso)
    grid = points_by_width(network, n_components, group_lasso=strength)
    looks = dict(zip(sorted(grid), cycle(zip(LINES, MARKERS, strict=True)), strict=False))
    figure, (left, middle, right) = new_panels(2.6, 1, 3, width_ratios=(1.1, 0.8, 1.1))
    entries = []
    means = []
    for i, (width, (line, marker)) in enumerate(looks.items()):
        pretrained = network.points(n_components=width, group_lasso=strength, pretraining=True)
        for point in grid[width]:
            color = model_color(network)
            strong = point in pretrained
            r2 = curve(regression_epochs(network, point), "eval_r2")
            # pale curves have no bands, which would hide each other
            shade = color if strong else paler(color)
            means.append(draw_epochs(right, r2, shade, line, band=strong))
        shown = max(pretrained or grid[width])
        tables = pretraining_epochs(network, shown)
        if tables:
            draw_epochs(middle, curve(tables, "loss"), paler(color), line)
            draw_epochs(middle, curve(tables, "eval_loss"), color, line)
        place = DODGE ** (2 * i - len(looks) + 1)
        label = _draw_network(left, network, shown, place, marker, published)
        entries.append(Line2D([], [], color=color, marker=marker, ms=3.5, ls=line, label=label))
    entries += _draw_linear(left, srrr, levels, published)
    label = f"ridge, {len(ridge.gene_names)} genes: {ridge.test_r2.mean():.3f}"
    look = {"color": MODELS["all genes"], "lw": 1, "ls": ":", "label": label}
    entries.append(left.axhline(ridge.test_r2.mean(), **look))
    if published:
        entries.append(Line2D([], [], color="0.3", label="published", **PUBLISHED))
    low, high = left.get_xlim()
    log_ticks(left, [tick for tick in GENE_TICKS if max(low, 1) <= tick <= high])
    left.set(xlabel="selected genes", ylabel="test R² (mean ± SD over folds)")
    left.set_xlim(left=0.9)
    name_line(left, gene_target(network), f"{gene_target(network)} genes")
    middle.set(xlabel="epoch of the pretraining", ylabel="cross-entropy (nats)", ylim=(0, None))
    _explain(middle, color, looks, "validation", "training")
    draw_levels(right, levels)
    mark_stages(right, network, shown, means)
    _explain(right, color, looks, "pretrained (± SD)", "no pretraining")
    figure.legend(handles=entries, loc="outside lower center", ncols=3)
    return finish(figure, [[left, middle, right]])


def _draw_network(ax, network, point, place, marker, published):
    """Draw a network beside others with as many genes; return its label."""
    color = model_color(network)
    mean, spread = mean_sd(network.test_r2[:, point])
    n_genes = network.n_selected[:, point].mean()
    look = {"ms": 3.5, "lw": 1, "capsize": 1.5, "zorder": 5}
    ax.errorbar(n_genes * place, mean, spread, fmt=marker, color=color, **look)
    width, strength = (network.parameter(point, name) for name in ("n_components", "group_lasso"))
    r2 = mean_text(network.test_r2[:, point])
    label = f"sBNN, d = {width}, λ = {number(strength)}: {r2}"
    for row in known_rows(published, network, point):
        # further out
        x = row.get("n_genes", n_genes) * place**3
        ax.plot(x, row["test_r2"], color=color, zorder=4, **PUBLISHED)
        label += f" (published {row['test_r2']:.3f})"
    return label


def _draw_linear(ax, srrr, levels, published):
    """Draw test R2 against the number of genes of linear models; return the lines."""
    paths = []
    color = MODELS["linear"]
    mean_genes = srrr.n_selected.mean(0)
    for (rank, r2, size), line in zip(levels, LINES, strict=False):
        points = [point for point in srrr.points(rank=rank) if mean_genes[point] >= 1]
        points.sort(key=lambda point: mean_genes[point])
        n_genes = mean_genes[points]
        mean, spread = mean_sd(srrr.test_r2[:, points])
        ax.fill_between(n_genes, mean - spread, mean + spread, color=color, alpha=0.13, lw=0)
        label = f"sRRR, rank {rank}, {size:.0f} genes: {r2:.3f}"
        for row in published_rows(published, rank=rank):
            ax.plot(row["n_genes"], row["test_r2"], color=color, zorder=4, **PUBLISHED)
            if abs(row["n_genes"] - size) <= 2:
                label += f" (published {row['test_r2']:.3f})"
        paths += ax.plot(n_genes, mean, color=color, ls=line, label=label)
    return paths


def _explain(ax, color, looks, strong, pale):
    entries = [Line2D([], [], color=color, label=strong)]
    entries.append(Line2D([], [], color=paler(color), label=pale))
    for width, (line, _) in looks.items():
        entries.append(Line2D([], [], color="0.3", ls=line, label=f"d = {width}"))
    legend_above(ax, entries, ncols=2)
