"""Accuracy and sparsity of the networks during training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator

from sbnn.errors import check_number
from sbnn.plotting.colors import MODELS, model_color, paler, shades
from sbnn.plotting.common import finish, headline, legend_above, log_ticks, new_panels, styled
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
    regression_stages,
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
    findings = []
    for (left, right), (width, points) in zip(panels, grid.items(), strict=True):
        points.sort(key=lambda point: network.parameter(point, "group_lasso"))
        colors = shades(model_color(network, points[0]), len(points))
        _draw_strengths(left, network, points, colors, published, levels)
        _draw_norms(right, network, points, colors)
        r2 = network.test_r2[:, points].mean(0)
        best = network.parameter(points[r2.argmax()], "group_lasso")
        findings.append(f"λ = {number(best)} for d = {width} (test R² {r2.max():.3f})")
    headline(figure, f"Best group lasso: {', '.join(findings)}")
    return finish(figure, panels)


def points_by_width(network, n_components, **params):
    """Grid points with some parameters, by bottleneck width."""
    known = levels_of(network, "n_components")
    found = {}
    for width in np.ravel(n_components or known).tolist():
        points = network.points(n_components=width, **params)
        if points:
            found[width] = points
    if not found:
        text = f"no model has {n_components} and {params}; the record has the values {known}"
        raise ValueError(f"n_components: {text}")
    return found


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


def marker_of(n):
    """Marker of short curves."""
    return "." if n < 8 else None


def draw_epochs(ax, curves, color, line="-", band=True, label=None):
    """Draw and return the mean and SD of curves (folds x epochs)."""
    # of the folds that were trained in that epoch
    curves = np.ma.masked_invalid(curves)
    mean = curves.mean(0).filled(np.nan)
    spread = np.zeros(len(mean))
    if band and len(curves) > 1:
        spread = curves.std(0, ddof=1).filled(0)
    epochs = np.arange(1, len(mean) + 1)
    marker = marker_of(len(mean))
    ax.plot(epochs, mean, color=color, zorder=3, marker=marker, ls=line, label=label)
    if spread.any():
        low, high = mean - spread, mean + spread
        ax.fill_between(epochs, low, high, color=color, alpha=0.11, lw=0, zorder=2)
    return mean, spread


def mark_stages(ax, tables):
    """Name the epochs where the training changes."""
    starts, n_epochs = regression_stages(tables)
    ax.set(xlim=(0, n_epochs), xlabel="epoch of the regression")
    for start, stage in starts[1:]:
        name_line(ax, start - 0.5, TRANSITIONS.get(stage, stage))
    if 100 <= n_epochs <= 250:
        ax.xaxis.set_major_locator(MultipleLocator(25))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def limit_r2(ax, curves, others):
    """Set y limits that leave out deep drops."""
    low = min([np.nanquantile(mean, 0.02) for mean, _ in curves] + others)
    high = max([np.nanmax(mean + spread) for mean, spread in curves] + others)
    ax.set(ylim=(low - 0.01, high + 0.03), ylabel="test R²")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _draw_strengths(ax, network, points, colors, published, levels):
    curves = []
    published_r2 = []
    width = network.parameter(points[0], "n_components")
    # at any number of epochs
    at_edge = {"transform": ax.get_yaxis_transform(), "zorder": 5, "clip_on": False}
    for point, color in zip(points, colors, strict=True):
        strength = network.parameter(point, "group_lasso")
        label = f"λ = {number(strength)}:  {mean_text(network.test_r2[:, point])}"
        params = {"n_components": width, "group_lasso": strength, "pretraining": True}
        for row in published_rows(published, **params):
            label += f"  (published {row['test_r2']:.3f})"
            ax.plot(1, row["test_r2"], color=color, **at_edge, **PUBLISHED)
            published_r2.append(row["test_r2"])
        r2 = curve(regression_epochs(network, point), "eval_r2")
        curves.append(draw_epochs(ax, r2, color, label=label))
    if published_r2:
        ax.plot([], [], color="0.3", label="published, last epoch", **PUBLISHED)
    entries, _ = ax.get_legend_handles_labels()
    entries += _draw_levels(ax, levels)
    mark_stages(ax, regression_epochs(network, points[0]))
    limit_r2(ax, curves, [r2 for _, r2, _ in levels] + published_r2)
    model = f"{network_name(network, points[0])}, {gene_target(network)} genes"
    title = f"{model}, group lasso λ; last test R², {folds_text(network)}"
    legend_above(ax, entries, ncols=2, title=title)


def _draw_norms(ax, network, points, colors):
    n_genes = gene_target(network)
    norms = network.gene_norms[:, points].astype(float)  # (folds, strengths, genes)
    norms = np.maximum(-np.sort(-norms), 1e-30)
    # geometric, as the axis is logarithmic
    means = np.exp(np.log(norms).mean(0))
    rank = np.arange(1, means.shape[1] + 1)
    for mean, color in zip(means, colors, strict=True):
        ax.plot(rank, mean, color=color, marker=marker_of(len(rank)))
    lowest = max(means.min(), 1e-6 * means.max())
    ax.set(xlabel="genes, sorted", ylabel="norm of a gene's weights\nbefore pruning", yscale="log")
    ax.set(xlim=(0, len(rank)), ylim=(lowest / 1.6, means.max() * 3))
    name_line(ax, n_genes, f"{n_genes} genes")


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
    if len(ridge.params) > 1:
        raise ValueError(f"ridge: expected one grid point, got {len(ridge.params)}")
    check_number("group_lasso", group_lasso, float, 0)
    strength = nearest(levels_of(network, "group_lasso"), group_lasso)
    grid = points_by_width(network, n_components, group_lasso=strength)
    grid = {width: grid[width] for width in sorted(grid)}
    lines = dict(zip(grid, cycle(LINES), strict=False))
    points = sum(grid.values(), [])
    # few cells may not form enough clusters
    pretrained = [point for point in points if pretraining_epochs(network, point)]

    if pretrained:
        figure, panels = new_panels(2.6, 1, 3, width_ratios=(1.1, 0.8, 1.1))
        _draw_cross_entropy(panels[1], network, pretrained, lines)
    else:
        figure, panels = new_panels(2.6, 1, 2)
    _draw_training(panels[-1], network, points, pretrained, lines, levels)

    ax = panels[0]
    shown = []
    for of_width in grid.values():
        # pretrained networks are preferred
        candidates = [point for point in of_width if point in pretrained] or of_width
        shown.append(max(candidates))
    entries = _draw_networks(ax, network, shown, lines, published)
    first = network.test_r2[:, shown[0]].mean()
    paths = _draw_linear(ax, srrr, levels, published)
    r2 = ridge.test_r2.mean()
    label = f"ridge, {len(ridge.gene_names)} genes: {r2:.3f}"
    line = ax.axhline(r2, color=MODELS["all genes"], lw=1, ls=":", label=label)
    linear_genes = [path.get_xdata() for path in paths]
    n_genes = np.hstack([network.n_selected[:, shown].mean(0), *linear_genes])
    _set_genes_axis(ax, n_genes, gene_target(network))
    ax.set_ylabel("test R² (mean ± SD over folds)")
    _name_models(figure, [*entries, *paths, line], published)
    finding = f"Test R² of sBNN with {gene_target(network)} genes and d = {min(grid)}: {first:.3f}"
    if levels:
        finding += f", of sRRR of rank {levels[0][0]}: {levels[0][1]:.3f}"
    headline(figure, f"{finding}, of ridge on all genes: {r2:.3f}")
    return finish(figure, [panels])


def _set_genes_axis(ax, n_genes, target):
    low, high = n_genes.min(), n_genes.max()
    log_ticks(ax, [tick for tick in GENE_TICKS if low <= tick <= high])
    ax.set(xlim=(low / 1.2, high * 1.2), xlabel="selected genes")
    name_line(ax, target, f"{target} genes", low=True)


def _name_models(figure, entries, published):
    if published:
        entries.append(Line2D([], [], color="0.3", label="published", **PUBLISHED))
    columns = min(-(-len(entries) // 2), 3)
    figure.legend(handles=entries, loc="outside lower center", ncols=columns)


def _draw_networks(ax, network, points, lines, published):
    entries = []
    # side by side, and published results further out, at powers of `DODGE`
    spacing = 2 if len(points) < 3 else 4
    places = spacing * (np.arange(len(points)) - (len(points) - 1) / 2)
    look = {"ms": 3.5, "lw": 1, "capsize": 1.5, "zorder": 5}
    for point, place, marker in zip(points, places, cycle(MARKERS), strict=False):
        width = network.parameter(point, "n_components")
        strength = network.parameter(point, "group_lasso")
        color = model_color(network, point)
        r2 = network.test_r2[:, point]
        mean, spread = mean_sd(r2)
        n_genes = network.n_selected[:, point].mean()
        ax.errorbar(n_genes * DODGE**place, mean, spread or None, fmt=marker, color=color, **look)
        label = f"sBNN, d = {width}, λ = {number(strength)}: {mean_text(r2)}"
        params = {"n_components": width, "group_lasso": strength, "pretraining": True}
        for row in published_rows(published, **params):
            further = place + 2 if place > 0 else place - 2
            x = row.get("n_genes", n_genes) * DODGE**further
            ax.plot(x, row["test_r2"], color=color, zorder=4, **PUBLISHED)
            label += f" (published {row['test_r2']:.3f})"
        line = lines[width]
        entries.append(Line2D([], [], marker=marker, ms=3.5, ls=line, color=color, label=label))
    return entries


def _draw_linear(ax, srrr, levels, published):
    paths = []
    color = MODELS["linear"]
    mean_genes = srrr.n_selected.mean(0)
    for (rank, r2, size), line in zip(levels, LINES, strict=False):
        points = [point for point in srrr.points(rank=rank) if mean_genes[point] >= 1]
        points.sort(key=lambda point: mean_genes[point])
        n_genes = mean_genes[points]
        mean, spread = mean_sd(srrr.test_r2[:, points])
        (path,) = ax.plot(n_genes, mean, color=color, ls=line, marker=marker_of(len(points)))
        ax.fill_between(n_genes, mean - spread, mean + spread, color=color, alpha=0.13, lw=0)
        label = f"sRRR, rank {rank}, {size:.0f} genes: {r2:.3f}"
        for row in published_rows(published, rank=rank):
            ax.plot(row["n_genes"], row["test_r2"], color=color, zorder=4, **PUBLISHED)
            if abs(row["n_genes"] - size) <= 2:
                label += f" (published {row['test_r2']:.3f})"
        path.set_label(label)
        paths.append(path)
    return paths


def _draw_cross_entropy(ax, network, points, lines):
    for point in points:
        color = model_color(network, point)
        line = lines[network.parameter(point, "n_components")]
        tables = pretraining_epochs(network, point)
        for column, shade in (("loss", paler(color)), ("eval_loss", color)):
            loss, _ = draw_epochs(ax, curve(tables, column), shade, line)
    ax.set(xlabel="epoch of the pretraining", ylabel="cross-entropy (nats)")
    ax.set(xlim=(0, len(loss)), ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _explain(ax, color, lines, "validation", "training")


def _draw_training(ax, network, points, pretrained, lines, levels):
    both = 0 < len(pretrained) < len(points)
    curves = []
    for point in points:
        color = model_color(network, point)
        # pale curves have no bands, which would hide each other
        pale = both and point not in pretrained
        shade = paler(color) if pale else color
        line = lines[network.parameter(point, "n_components")]
        r2 = curve(regression_epochs(network, point), "eval_r2")
        curves.append(draw_epochs(ax, r2, shade, line, band=not pale))
    _draw_levels(ax, levels)
    mark_stages(ax, regression_epochs(network, points[0]))
    limit_r2(ax, curves, [r2 for _, r2, _ in levels])
    if both:
        _explain(ax, color, lines, "pretrained (± SD)", "no pretraining")


def _draw_levels(ax, levels):
    look = {"color": MODELS["linear"], "lw": 0.9, "zorder": 1.5}
    lines = []
    for (rank, r2, n_genes), dashes in zip(levels, LINES, strict=False):
        label = f"sRRR, rank {rank}, {n_genes:.0f} genes: {r2:.3f}"
        lines.append(ax.axhline(r2, ls=dashes, label=label, **look))
    return lines


def _explain(ax, color, lines, strong, pale):
    entries = [Line2D([], [], color=color, label=strong)]
    entries.append(Line2D([], [], color=paler(color), label=pale))
    for width, line in lines.items():
        entries.append(Line2D([], [], color="0.3", ls=line, label=f"d = {width}"))
    legend_above(ax, entries, ncols=2)
