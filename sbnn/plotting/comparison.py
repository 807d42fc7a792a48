"""Networks with and without a bottleneck beside the linear models: genes needed, pretraining, training."""

import numpy as np
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

from sbnn.plotting import reading
from sbnn.plotting.colors import MODELS, model_color, paler
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled
from sbnn.plotting.curves import (
    CURVES,
    HISTORY,
    PUBLISHED,
    draw_epochs,
    extreme_ranks,
    limit_r2,
    mark_stages,
    require_linear,
    srrr_levels,
)
from sbnn.plotting.labels import name_level, name_line, settle_labels

GENE_TICKS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
DODGE = 1.045
# Of widths and of ranks, the narrowest first.
LINES = ("-", (0, (3, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
MARKERS = "os^v"


@styled
def bottleneck_comparison(network, srrr, ridge, published=None, group_lasso=0.1, n_components=None):
    """Test R2 against the number of genes, cross-entropy of the pretraining, and test R2 over the epochs.

    Parameters
    ----------
    network, srrr, ridge : Record
        Cross-validations: of `SparseBottleneckRegressor` over any of ``n_components`` and ``pretraining``; of sparse
        reduced-rank regression over ``rank`` and ``alpha``, of which the smallest and the largest rank are drawn; and
        of a model of all genes, drawn as a level.
    published : list of dict, optional
        ``{"n_components": 2, "group_lasso": 0.1, "n_genes": 25, "test_r2": 0.397}`` and ``{"rank": 2, "n_genes": 24,
        "test_r2": 0.350}``; drawn as hollow diamonds and circles.
    group_lasso : float
        The nearest strength in the record is drawn.
    n_components : sequence of int, optional
        Widths drawn; by default all in the record.

    Returns
    -------
    matplotlib.figure.Figure
        Bands and bars are the sample SD over folds. Without any pretrained network there is no middle panel.
    """
    reading.require(network, "network", CURVES, HISTORY)
    require_linear(srrr, network)
    reading.require(ridge, "ridge", "a cross-validation record of ridge regression", ["test_r2"])
    reading.require_same_data(ridge, "ridge", network)
    strength = reading.nearest(reading.levels(network, "group_lasso"), group_lasso)
    known = reading.levels(network, "n_components")
    wanted = [width for width in known if n_components is None or width in n_components]
    if not wanted:
        raise ValueError(f"n_components: the record has no network of the widths {n_components}, only {known}")
    chosen = [g for width in wanted for g in network.points(group_lasso=strength, n_components=width)]
    meant = [g for g in chosen if network.parameter(g, "pretraining")]
    # Of a width that is there with and without pretraining, the pretrained network stands for it.
    widths = {network.parameter(g, "n_components"): g for g in sorted(chosen, key=lambda g: g in meant)}
    pretrained = [g for g in meant if reading.pretrained_folds(network, g)]
    looks = {width: (LINES[i % 4], MARKERS[i % 4]) for i, width in enumerate(sorted(widths))}

    figure = new_figure(2.6)
    panels = figure.subplots(1, 3 if pretrained else 2, width_ratios=(1.1, 0.8, 1.1) if pretrained else None)
    entries = _draw_genes(panels[0], network, widths, looks, srrr, ridge, published, strength)
    if pretrained:
        _draw_cross_entropy(panels[1], network, pretrained, looks)
    _draw_training(panels[-1], network, chosen, looks, srrr)
    figure.legend(
        entries,
        ["published: sBNN, sRRR" if isinstance(entry, tuple) else entry.get_label() for entry in entries],
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="outside upper center",
        ncols=-(-len(entries) // 2),
    )
    settle_labels(figure, freeze_layout(figure))
    letter_panels(figure, [panels])
    return figure


def _draw_genes(ax, network, widths, looks, srrr, ridge, published, strength):
    """Draw the panel and return the entries of the legend."""
    entries, genes, shown = [], [], []
    for i, width in enumerate(sorted(widths)):
        mean, spread = reading.mean_sd(network.test_r2[:, widths[width]])
        n_genes, color = float(network.n_selected[:, widths[width]].mean()), model_color(network, widths[width])
        marker = looks[width][1]
        # Networks of one size stand side by side, the published ones further out, not on top of each other.
        place = (i - (len(widths) - 1) / 2) * (2 if len(widths) < 3 else 4)
        ax.errorbar(
            n_genes * DODGE**place, mean, spread or None, fmt=marker, color=color, ms=3.5, lw=1, capsize=1.5, zorder=5
        )
        label = f"sBNN, d = {width}, λ = {reading.number(strength)}: {reading.mean_text(mean, spread)}"
        for row in reading.published_rows(published, "n_components", width, pretraining=True, group_lasso=strength):
            further = DODGE ** (place + (2 if place > 0 else -2))
            ax.plot(row.get("n_genes", n_genes) * further, row["test_r2"], color=color, zorder=4, **PUBLISHED)
            label += f" (published {row['test_r2']:.3f})"
            shown.append(row["test_r2"])
        entries.append(Line2D([], [], marker=marker, ms=3.5, ls=looks[width][0], color=color, label=label))
        genes.append(n_genes)
    for rank, line in zip(extreme_ranks(srrr), LINES, strict=False):
        shade = MODELS["linear"]
        among = [g for g in srrr.points(rank=rank) if srrr.n_selected[:, g].mean() >= 1]
        among.sort(key=lambda g: srrr.n_selected[:, g].mean())
        n_genes = srrr.n_selected[:, among].mean(0)
        mean, spread = reading.mean_sd(srrr.test_r2[:, among])
        ax.plot(n_genes, mean, color=shade, ls=line, marker="." if len(among) < 8 else None)
        ax.fill_between(n_genes, mean - spread, mean + spread, color=shade, alpha=0.13, lw=0)
        known = [row for row in reading.published_rows(published, "rank", rank) if "n_genes" in row]
        for row in known:
            ax.plot(row["n_genes"], row["test_r2"], color=shade, zorder=4, **{**PUBLISHED, "marker": "o"})
            shown.append(row["test_r2"])
        point = srrr.within_genes(reading.gene_target(network), rank=rank)
        size, value = srrr.n_selected[:, point].mean(), srrr.test_r2[:, point].mean()
        label = f"sRRR, rank {rank}, {size:.0f} genes: {value:.3f}"
        near = min(known, key=lambda row: abs(row["n_genes"] - size), default=None)
        if near and abs(near["n_genes"] - size) <= 2:
            label += f" (published {near['test_r2']:.3f})"
        entries.append(Line2D([], [], color=shade, ls=line, label=label))
        genes.extend(n_genes)
    value = ridge.test_r2.mean()
    ax.axhline(value, color=MODELS["all genes"], lw=1, ls=":")
    label = f"ridge, {len(ridge.gene_names)} genes: {value:.3f}"
    entries.append(Line2D([], [], color=MODELS["all genes"], lw=1, ls=":", label=label))
    if shown:
        entries.append(tuple(Line2D([], [], color="0.3", **{**PUBLISHED, "marker": marker}) for marker in "Do"))
    target = reading.gene_target(network)
    name_line(ax, target, f"{target} genes", low=True)
    ax.set(xscale="log", xlabel="selected genes", ylabel="test R²")
    ax.set_xlim(min(genes) / 1.2, max(genes) * 1.2)
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in GENE_TICKS if min(genes) <= tick <= max(genes)]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set_title("mean ± SD over folds", loc="left")
    return entries


def _draw_cross_entropy(ax, network, points, looks):
    curves = []
    for point in points:
        color, (line, _) = model_color(network, point), looks[network.parameter(point, "n_components")]
        for column, shade in (("loss", paler(color)), ("eval_loss", color)):
            values = reading.curve(network, point, column, stage="pretraining")
            curves.append(draw_epochs(ax, values, shade, ls=line)[0])
    ax.set(xlabel="epoch of the pretraining", ylabel="cross-entropy", xlim=(0, len(curves[0])))
    ax.set_ylim(0, 1.08 * max(np.nanquantile(curve, 0.97) for curve in curves))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _explain_shades(ax, color, "validation", "training")


def _draw_training(ax, network, points, looks, srrr):
    pretrained = [g for g in points if network.parameter(g, "pretraining")]
    both = 0 < len(pretrained) < len(points)
    curves = []
    for point in points:
        pale = both and point not in pretrained
        color, (line, _) = model_color(network, point), looks[network.parameter(point, "n_components")]
        values = reading.curve(network, point, "eval_r2")
        # Bands of every second curve: four would hide each other.
        curves.append(draw_epochs(ax, values, paler(color) if pale else color, band=not pale, ls=line))
    levels = srrr_levels(srrr, reading.gene_target(network))
    for (value, _), rank, line in zip(levels, extreme_ranks(srrr), LINES, strict=False):
        ax.axhline(value, color=MODELS["linear"], ls=line, lw=0.9, zorder=1.5)
        name_level(ax, value, f"sRRR\nrank {rank}", MODELS["linear"])
    mark_stages(ax, network, points[0])
    limit_r2(ax, curves, [value for value, _ in levels])
    if both:
        few = min(reading.pretrained_folds(network, g) for g in pretrained)
        some = f" in {few} of {n_folds} folds" if few < (n_folds := len(network.test_r2)) else ""
        _explain_shades(ax, color, f"pretrained{some} (± SD)", "straight")


def _explain_shades(ax, color, full, pale):
    entries = [Line2D([], [], color=color, label=full), Line2D([], [], color=paler(color), label=pale)]
    ax.legend(handles=entries, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2)
