"""How well the networks predict while they train, and how sparse they become."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator

from sbnn.plotting import reading
from sbnn.plotting.colors import MODELS, model_color, shades
from sbnn.plotting.common import finish, legend_above, new_figure, styled
from sbnn.plotting.labels import name_level, name_line
from sbnn.results import same_value

TRANSITIONS = {"unfrozen": "unfreezing", "fine-tuning": "pruning"}
CURVES = "a cross-validation record of a network, with its history of test R²"
PUBLISHED = {"marker": "D", "markersize": 4.5, "markerfacecolor": "white", "markeredgewidth": 0.9, "ls": ""}
HISTORY = ("history", "test_r2", "n_selected")
LINEAR = "a cross-validation record of sparse reduced-rank regression"


@styled
def training_curves(network, srrr=None, n_components=(2,), published=None):
    """Test R2 over the epochs of the regression, and the gene norms before pruning, by strength of the lasso.

    Parameters
    ----------
    network : Record
        Cross-validation of `SparseBottleneckRegressor` over ``group_lasso``; the pretrained networks are drawn. Bands
        are the sample SD over folds.
    srrr : Record, optional
        Cross-validation of sparse reduced-rank regression; its smallest and largest rank are drawn as levels, with at
        most as many genes as the network.
    n_components : sequence of int
        Bottleneck widths, one row of panels each; those that the record lacks are left out.
    published : list of dict, optional
        ``{"n_components": 2, "group_lasso": 0.1, "test_r2": 0.397}``; drawn as hollow diamonds after the last epoch.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(network, "network", CURVES, [*HISTORY, "gene_norms", "n_components"])
    levels = srrr_levels(srrr, network)
    grid = points_by_width(network, n_components, pretraining=True)
    figure = new_figure(2.55 * len(grid))
    panels = figure.subplots(len(grid), 2, width_ratios=(2, 1), squeeze=False)
    for (left, right), (width, among) in zip(panels, grid.items(), strict=True):
        among.sort(key=lambda point: network.parameter(point, "group_lasso"))
        of_lasso = dict(zip(among, shades(model_color(network, among[0]), len(among)), strict=True))
        known = reading.published_rows(published, "n_components", width, pretraining=True)
        _draw_curves(left, network, of_lasso, known, levels)
        _draw_norms(right, network, of_lasso)
    finish(figure, panels)
    return figure


def points_by_width(network, n_components, **params):
    """Grid points with the given parameters by width of the bottleneck: the wanted ones that there are, or all."""
    known = reading.levels(network, "n_components")
    found = {width: network.points(n_components=width, **params) for width in n_components or known}
    found = {width: points for width, points in found.items() if points}
    if not found:
        raise ValueError(
            f"n_components: the record has no network of the widths {n_components} with {params}, only {known}"
        )
    return found


def srrr_levels(srrr, network):
    """Rank, test R2 and genes of the sparse linear models of smallest and largest rank, as sparse as the network."""
    if srrr is None:
        return []
    reading.require(srrr, "srrr", LINEAR, ["test_r2", "n_selected", "rank"], network)
    ranks, levels = reading.levels(srrr, "rank"), []
    for rank in sorted({ranks[0], ranks[-1]}):
        point = srrr.within_genes(reading.gene_target(network), rank=rank)
        levels.append((rank, srrr.test_r2[:, point].mean(), srrr.n_selected[:, point].mean()))
    return levels


def draw_epochs(ax, curves, color, band=True, **options):
    """Mean over folds of curves (folds, epochs), with a band of SD if wanted."""
    curves = np.ma.masked_invalid(curves)  # where some folds did not train, the others
    mean, spread = curves.mean(0).filled(np.nan), curves.std(0, ddof=min(1, len(curves) - 1)).filled(0)
    epochs = np.arange(1, len(mean) + 1)
    ax.plot(epochs, mean, color=color, zorder=3, marker="." if len(mean) < 8 else None, **options)
    if band and spread.any():
        ax.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.11, lw=0, zorder=2)
    return mean, spread if band else 0 * spread


def mark_stages(ax, record, point):
    """Dashed vertical lines where the training changes, named at the top of the panel."""
    starts, n_epochs = reading.regression_stages(record, point)
    previous = starts[0][1]
    for start, stage in starts[1:]:
        name = "rate halved" if previous == "straight" else TRANSITIONS.get(stage, stage)
        name_line(ax, start - 0.5, name)
        previous = stage
    ax.set(xlim=(0, n_epochs), xlabel="epoch of the regression")
    ax.xaxis.set_major_locator(MultipleLocator(25) if 100 <= n_epochs <= 250 else MaxNLocator(integer=True, nbins=8))


def limit_r2(ax, curves, others=()):
    """Limits that show the curves and the given values, but not every short drop, and leave room for names on top."""
    low = min([np.nanquantile(mean, 0.02) for mean, _ in curves] + list(others))
    high = max([np.nanmax(mean + spread) for mean, spread in curves] + list(others) + [low + 0.01])
    margin = 0.05 * (high - low)
    ax.set(ylim=(low - margin, high + 3 * margin), ylabel="test R²")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def _draw_curves(ax, network, colors, published, levels):
    bands, shown, entries = [], [], []
    for point, shade in colors.items():
        bands.append(draw_epochs(ax, reading.curve(network, point, "eval_r2"), shade))
        strength = network.parameter(point, "group_lasso")
        text = f"λ = {reading.number(strength)}:  {reading.mean_text(*reading.mean_sd(network.test_r2[:, point]))}"
        row = next((row for row in published if same_value(row.get("group_lasso", strength), strength)), None)
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
    mark_stages(ax, network, point)
    limit_r2(ax, bands, shown)
    title = f"{reading.network_name(network, point)}, {reading.gene_target(network)} genes, group lasso λ; "
    legend_above(ax, entries, ncols=2, title=f"{title}last test R², {reading.folds_text(network)}")


def _draw_norms(ax, network, colors):
    means = []
    for point, shade in colors.items():
        norms = -np.sort(-network.gene_norms[:, point].astype(float), axis=1)
        means.append(np.exp(np.log(np.maximum(norms, 1e-30)).mean(0)))  # the mean that a log axis shows
        ax.plot(np.arange(1, norms.shape[1] + 1), means[-1], color=shade, marker="." if norms.shape[1] < 8 else None)
    n_genes, largest, smallest = reading.gene_target(network), np.max(means), np.min(means)
    ax.set(yscale="log", xlim=(0, network.gene_norms.shape[2]), xlabel="genes, sorted", ylabel="weight norm of a gene")
    ax.set_ylim(max(smallest, 1e-6 * largest) / 1.6, largest * 3)
    ax.set_title("first layer, before pruning", loc="left")
    name_line(ax, n_genes, f"{n_genes} genes")
