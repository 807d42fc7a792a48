"""Accuracy and sparsity of the networks during training, with linear models for comparison."""

import numpy as np
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator

from sbnn.plotting import reading
from sbnn.plotting.colors import MODELS, model_color, paler, shades
from sbnn.plotting.common import finish, legend_above, log_ticks, new_panels, styled
from sbnn.plotting.labels import name_level, name_line
from sbnn.results import same_value

TRANSITIONS = {"unfrozen": "unfreezing", "fine-tuning": "pruning"}
PUBLISHED = {
    "marker": "D",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
    "ls": "",
}
HISTORY = ("history", "test_r2", "n_selected")


@styled
def training_curves(network, srrr=None, n_components=(2,), published=None):
    """Test R2 over the epochs of the regression, and gene norms before pruning, for each strength
    of the group lasso.

    Parameters
    ----------
    network : Record
        Cross-validation of `SparseBottleneckRegressor` over ``group_lasso``; only pretrained
        networks are drawn. Bands show the sample SD over folds.
    srrr : Record, optional
        Cross-validation of sparse reduced-rank regression. For the smallest and for the largest
        rank, the largest model with no more genes than the network is drawn as a horizontal line.
    n_components : sequence of int
        Bottleneck widths, each drawn in its own row of panels; widths that the record lacks are
        left out.
    published : list of dict, optional
        Results such as ``{"n_components": 2, "group_lasso": 0.1, "test_r2": 0.397}``, drawn as
        hollow diamonds after the last epoch.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(network, "network", [*HISTORY, "gene_norms", "n_components"])
    levels = srrr_levels(srrr, network)
    grid = points_by_width(network, n_components, pretraining=True)
    figure, panels = new_panels(2.55 * len(grid), len(grid), 2, width_ratios=(2, 1), squeeze=False)
    for (left, right), (width, among) in zip(panels, grid.items(), strict=True):
        among.sort(key=lambda point: network.parameter(point, "group_lasso"))
        of_lasso = dict(zip(among, shades(model_color(network, among[0]), len(among)), strict=True))
        known = reading.published_rows(published, "n_components", width, pretraining=True)
        _draw_curves(left, network, of_lasso, known, levels)
        _draw_norms(right, network, of_lasso)
    return finish(figure, panels)


def points_by_width(network, n_components, **params):
    """Grid points with parameters `params`, by bottleneck width; `n_components` gives the widths (None: all)."""
    known = reading.levels(network, "n_components")
    found = {
        width: network.points(n_components=width, **params)
        for width in np.ravel(n_components or known).tolist()
    }
    found = {width: points for width, points in found.items() if points}
    if not found:
        raise ValueError(
            f"n_components: no model has {n_components} and {params}; the record has the values {known}"
        )
    return found


def srrr_levels(srrr, network):
    """Rank, test R2 and number of genes of the linear models with the smallest and with the largest
    rank.

    For each rank, the model has no more genes than the network, if the record contains such a
    model.
    """
    if srrr is None:
        return []
    reading.require(srrr, "srrr", ["test_r2", "n_selected", "rank"], network)
    ranks, levels = reading.levels(srrr, "rank"), []
    for rank in sorted({ranks[0], ranks[-1]}):
        point = srrr.best_with_at_most(reading.gene_target(network), rank=rank)
        levels.append((rank, srrr.test_r2[:, point].mean(), srrr.n_selected[:, point].mean()))
    return levels


def draw_epochs(ax, curves, color, band=True, **options):
    """Draw the mean over folds, and optionally a band of one SD, of curves of shape (folds, epochs); return both."""
    # each mean is over the folds that were trained in that epoch
    curves = np.ma.masked_invalid(curves)
    mean, spread = (
        curves.mean(0).filled(np.nan),
        curves.std(0, ddof=min(1, len(curves) - 1)).filled(0),
    )
    epochs = np.arange(1, len(mean) + 1)
    ax.plot(epochs, mean, color=color, zorder=3, marker="." if len(mean) < 8 else None, **options)
    if band and spread.any():
        ax.fill_between(
            epochs, mean - spread, mean + spread, color=color, alpha=0.11, lw=0, zorder=2
        )
    return mean, spread if band else 0 * spread


def mark_stages(ax, tables):
    """Draw dashed vertical lines at the epochs where the training changes, and name them at the top of the panel."""
    starts, n_epochs = reading.regression_stages(tables)
    previous = starts[0][1]
    for start, stage in starts[1:]:
        name = "rate halved" if previous == "straight" else TRANSITIONS.get(stage, stage)
        name_line(ax, start - 0.5, name)
        previous = stage
    ax.set(xlim=(0, n_epochs), xlabel="epoch of the regression")
    ax.xaxis.set_major_locator(
        MultipleLocator(25) if 100 <= n_epochs <= 250 else MaxNLocator(integer=True, nbins=8)
    )


def limit_r2(ax, curves, others=()):
    """Set y limits that show the curves and other values, but not every short drop, with space for names at the top."""
    low = min([np.nanquantile(mean, 0.02) for mean, _ in curves] + list(others))
    high = max([np.nanmax(mean + spread) for mean, spread in curves] + list(others) + [low + 0.01])
    margin = 0.05 * (high - low)
    ax.set(ylim=(low - margin, high + 3 * margin), ylabel="test R²")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _draw_curves(ax, network, colors, published, levels):
    bands, shown, entries = [], [], []
    for point, shade in colors.items():
        bands.append(
            draw_epochs(ax, reading.curve(reading.epochs(network, point), "eval_r2"), shade)
        )
        strength = network.parameter(point, "group_lasso")
        text = f"λ = {reading.number(strength)}:  {reading.mean_text(*reading.mean_sd(network.test_r2[:, point]))}"
        row = next(
            (row for row in published if same_value(row.get("group_lasso", strength), strength)),
            None,
        )
        if row is not None:
            text += f"  (published {row['test_r2']:.3f})"
            at_edge = {"transform": ax.get_yaxis_transform(), "clip_on": False, "zorder": 5}
            ax.plot(1, row["test_r2"], color=shade, **at_edge, **PUBLISHED)
            shown.append(row["test_r2"])
        entries.append(Line2D([], [], color=shade, label=text))
    if published:
        entries.append(Line2D([], [], color="0.3", label="published, last epoch", **PUBLISHED))
    for rank, value, n_genes in levels:
        ax.axhline(value, color=MODELS["linear"], lw=0.7, zorder=1.5)
        name_level(ax, value, f"sRRR, rank {rank}\n{n_genes:.0f} genes: {value:.3f}")
        shown.append(value)
    point = next(iter(colors))
    mark_stages(ax, reading.epochs(network, point))
    limit_r2(ax, bands, shown)
    title = f"{reading.network_name(network, point)}, {reading.gene_target(network)} genes, group lasso λ; "
    legend_above(ax, entries, ncols=2, title=f"{title}last test R², {reading.folds_text(network)}")


def _draw_norms(ax, network, colors):
    means = []
    for point, shade in colors.items():
        norms = -np.sort(-network.gene_norms[:, point].astype(float), axis=1)
        # geometric mean, as the axis is logarithmic
        means.append(np.exp(np.log(np.maximum(norms, 1e-30)).mean(0)))
        ax.plot(
            np.arange(1, norms.shape[1] + 1),
            means[-1],
            color=shade,
            marker="." if norms.shape[1] < 8 else None,
        )
    n_genes, largest, smallest = reading.gene_target(network), np.max(means), np.min(means)
    ax.set(
        yscale="log",
        xlim=(0, network.gene_norms.shape[2]),
        xlabel="genes, sorted",
        ylabel="weight norm of a gene",
    )
    ax.set_ylim(max(smallest, 1e-6 * largest) / 1.6, largest * 3)
    ax.set_title("first layer, before pruning", loc="left")
    name_line(ax, n_genes, f"{n_genes} genes")


GENE_TICKS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
DODGE = 1.045
# Line styles and markers for widths and ranks in ascending order.
LINES = ("-", (0, (3, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
MARKERS = "os^v"


@styled
def bottleneck_comparison(network, srrr, ridge, published=None, group_lasso=0.1, n_components=None):
    """Test R2 against the number of genes, cross-entropy during the pretraining, and test R2 over
    the epochs.

    Parameters
    ----------
    network, srrr, ridge : Record
        Cross-validations of `SparseBottleneckRegressor` over ``n_components``, ``pretraining`` or
        both, of sparse reduced-rank regression over ``rank`` and ``alpha`` (the smallest and the
        largest rank are drawn), and of a model that uses all genes (drawn as a horizontal line).
    published : list of dict, optional
        Results such as ``{"n_components": 2, "group_lasso": 0.1, "n_genes": 25, "test_r2":
        0.397}``, drawn as hollow diamonds, and ``{"rank": 2, "n_genes": 24, "test_r2": 0.350}``,
        drawn as hollow circles.
    group_lasso : float
        Strength of the group lasso; networks with the nearest strength in the record are drawn.
    n_components : sequence of int, optional
        Bottleneck widths to draw; by default, all widths in the record.

    Returns
    -------
    matplotlib.figure.Figure
        Bands and bars show the sample SD over folds. The middle panel is left out if no network was
        pretrained.
    """
    reading.require(network, "network", [*HISTORY, "n_components"])
    levels = srrr_levels(srrr, network)
    reading.require(ridge, "ridge", ["test_r2"], network)
    strength = reading.nearest(reading.levels(network, "group_lasso"), group_lasso)
    grid = dict(sorted(points_by_width(network, n_components, group_lasso=strength).items()))
    chosen = [point for points in grid.values() for point in points]
    meant = [point for point in chosen if network.parameter(point, "pretraining")]
    pretrained = [point for point in meant if reading.epochs(network, point, "pretraining")]
    # If a width has networks with and without pretraining, the pretrained network represents it.
    widths = {
        width: sorted(points, key=lambda point: point in meant)[-1]
        for width, points in grid.items()
    }
    looks = {width: (LINES[i % 4], MARKERS[i % 4]) for i, width in enumerate(widths)}

    figure, panels = new_panels(
        2.6, 1, 3 if pretrained else 2, width_ratios=(1.1, 0.8, 1.1) if pretrained else None
    )
    ax, target = panels[0], reading.gene_target(network)
    entries, genes = _draw_networks(ax, network, widths, looks, published, strength)
    linear, others = _draw_linear(ax, srrr, levels, published)
    label = f"ridge, {len(ridge.gene_names)} genes: {ridge.test_r2.mean():.3f}"
    entries += [
        *linear,
        ax.axhline(ridge.test_r2.mean(), color=MODELS["all genes"], lw=1, ls=":", label=label),
    ]
    name_line(ax, target, f"{target} genes", low=True)
    low, high = min(genes + others), max(genes + others)
    log_ticks(ax, [tick for tick in GENE_TICKS if low <= tick <= high])
    ax.set(xlim=(low / 1.2, high * 1.2), xlabel="selected genes", ylabel="test R²")
    ax.set_title("mean ± SD over folds", loc="left")
    if published:
        dots = (Line2D([], [], color="0.3", **PUBLISHED | {"marker": marker}) for marker in "Do")
        entries.append(tuple(dots))
    if pretrained:
        _draw_cross_entropy(panels[1], network, pretrained, looks)
        _explain_shades(
            panels[1], model_color(network, pretrained[0]), looks, "validation", "training"
        )
    _draw_training(panels[-1], network, chosen, meant, looks, levels)
    names = [
        "published: sBNN, sRRR" if isinstance(entry, tuple) else entry.get_label()
        for entry in entries
    ]
    both = {tuple: HandlerTuple(ndivide=None)}
    figure.legend(
        entries,
        names,
        handler_map=both,
        loc="outside upper center",
        ncols=min(-(-len(entries) // 2), 3),
    )
    return finish(figure, [panels])


def _draw_networks(ax, network, widths, looks, published, strength):
    """Draw the networks as dots; return the entries of the legend and the numbers of genes."""
    entries, genes = [], []
    for i, (width, point) in enumerate(widths.items()):
        mean, spread = reading.mean_sd(network.test_r2[:, point])
        n_genes, color = float(network.n_selected[:, point].mean()), model_color(network, point)
        line, marker = looks[width]
        # Networks with equal numbers of genes are drawn side by side, and published results further
        # out, so that no markers overlap.
        place = (i - (len(widths) - 1) / 2) * (2 if len(widths) < 3 else 4)
        look = {"fmt": marker, "color": color, "ms": 3.5, "lw": 1, "capsize": 1.5, "zorder": 5}
        ax.errorbar(n_genes * DODGE**place, mean, spread or None, **look)
        label = (
            f"sBNN, d = {width}, λ = {reading.number(strength)}: {reading.mean_text(mean, spread)}"
        )
        for row in reading.published_rows(
            published, "n_components", width, pretraining=True, group_lasso=strength
        ):
            further = DODGE ** (place + (2 if place > 0 else -2))
            ax.plot(
                row.get("n_genes", n_genes) * further,
                row["test_r2"],
                color=color,
                zorder=4,
                **PUBLISHED,
            )
            label += f" (published {row['test_r2']:.3f})"
        entries.append(Line2D([], [], marker=marker, ms=3.5, ls=line, color=color, label=label))
        genes.append(n_genes)
    return entries, genes


def _draw_linear(ax, srrr, levels, published):
    """Draw the paths of sparse reduced-rank regression as curves; return the same values as `_draw_networks`."""
    entries, genes, shade = [], [], MODELS["linear"]
    for (rank, value, size), line in zip(levels, LINES, strict=False):
        among = [point for point in srrr.points(rank=rank) if srrr.n_selected[:, point].mean() >= 1]
        among.sort(key=lambda point: srrr.n_selected[:, point].mean())
        n_genes = srrr.n_selected[:, among].mean(0)
        mean, spread = reading.mean_sd(srrr.test_r2[:, among])
        ax.plot(n_genes, mean, color=shade, ls=line, marker="." if len(among) < 8 else None)
        ax.fill_between(n_genes, mean - spread, mean + spread, color=shade, alpha=0.13, lw=0)
        label = f"sRRR, rank {rank}, {size:.0f} genes: {value:.3f}"
        known = [row for row in reading.published_rows(published, "rank", rank) if "n_genes" in row]
        for row in known:
            ax.plot(
                row["n_genes"], row["test_r2"], color=shade, zorder=4, **PUBLISHED | {"marker": "o"}
            )
        near = min(known, key=lambda row: abs(row["n_genes"] - size), default=None)
        if near and abs(near["n_genes"] - size) <= 2:
            label += f" (published {near['test_r2']:.3f})"
        entries.append(Line2D([], [], color=shade, ls=line, label=label))
        genes.extend(n_genes)
    return entries, genes


def _draw_cross_entropy(ax, network, points, looks):
    curves = []
    for point in points:
        color, (line, _) = (
            model_color(network, point),
            looks[network.parameter(point, "n_components")],
        )
        tables = reading.epochs(network, point, "pretraining")
        for column, shade in (("loss", paler(color)), ("eval_loss", color)):
            curves.append(draw_epochs(ax, reading.curve(tables, column), shade, ls=line)[0])
    ax.set(xlabel="epoch of the pretraining", ylabel="cross-entropy", xlim=(0, len(curves[0])))
    ax.set_ylim(0, 1.08 * max(np.nanquantile(curve, 0.97) for curve in curves))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _draw_training(ax, network, points, pretrained, looks, levels):
    both, curves = 0 < len(pretrained) < len(points), []
    for point in points:
        pale = both and point not in pretrained
        color, (line, _) = (
            model_color(network, point),
            looks[network.parameter(point, "n_components")],
        )
        values = reading.curve(reading.epochs(network, point), "eval_r2")
        # If some curves are pale, only the other curves have bands, because too many bands would
        # hide each other.
        curves.append(
            draw_epochs(ax, values, paler(color) if pale else color, band=not pale, ls=line)
        )
    for (rank, value, _), line in zip(levels, LINES, strict=False):
        ax.axhline(value, color=MODELS["linear"], ls=line, lw=0.9, zorder=1.5)
        name_level(ax, value, f"sRRR\nrank {rank}", MODELS["linear"])
    mark_stages(ax, reading.epochs(network, points[0]))
    limit_r2(ax, curves, [value for _, value, _ in levels])
    if both:
        # The number of folds with pretraining is shown, because few cells may not form enough
        # clusters for pretraining.
        few = min(len(reading.epochs(network, point, "pretraining")) for point in pretrained)
        n_folds = len(network.test_r2)
        some = f" in {few} of {n_folds} folds" if few < n_folds else ""
        _explain_shades(ax, color, looks, f"pretrained{some} (± SD)", "no pretraining")


def _explain_shades(ax, color, looks, *names):
    named = zip((color, paler(color)), names, strict=False)
    entries = [Line2D([], [], color=shade, label=name) for shade, name in named]
    lines = [
        Line2D([], [], color="0.3", ls=line, label=f"d = {width}")
        for width, (line, _) in looks.items()
    ]
    legend_above(ax, [*entries, *lines], ncols=2)
