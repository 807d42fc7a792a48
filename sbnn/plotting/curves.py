"""How well the networks predict while they train, and how sparse they become."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator

from sbnn.plotting import reading
from sbnn.plotting.colors import MODELS, model_color, shades
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled
from sbnn.plotting.labels import name_level, name_line, settle_labels
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
        Bottleneck widths, one row of panels each.
    published : list of dict, optional
        ``{"n_components": 2, "group_lasso": 0.1, "test_r2": 0.397}``; drawn as hollow diamonds after the last epoch.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(network, "network", CURVES, [*HISTORY, "gene_norms"])
    if srrr is not None:
        require_linear(srrr, network)
    rows = []
    for width in n_components:
        if not (among := network.points(n_components=width, pretraining=True)):
            known = reading.levels(network, "n_components")
            raise ValueError(f"n_components: the record has no pretrained network with {width} units, only {known}")
        rows.append(sorted(among, key=lambda g: network.parameter(g, "group_lasso")))

    figure = new_figure(2.55 * len(rows))
    panels = figure.subplots(len(rows), 2, width_ratios=(2, 1), squeeze=False)
    for (left, right), among, width in zip(panels, rows, n_components, strict=True):
        of_lasso = dict(zip(among, shades(model_color(network, among[0]), len(among)), strict=True))
        found = reading.published_rows(published, "n_components", width, pretraining=True)
        _draw_curves(left, network, of_lasso, found, srrr, reading.network_name(network, among[0]))
        _draw_norms(right, network, of_lasso)
    settle_labels(figure, freeze_layout(figure))
    letter_panels(figure, panels)
    return figure


def srrr_levels(srrr, n_genes):
    """Test R2 of the sparse linear models with about as many genes as the network, with a label each."""
    levels = []
    for rank in extreme_ranks(srrr):
        point = srrr.within_genes(n_genes, rank=rank)
        value, genes = srrr.test_r2[:, point].mean(), srrr.n_selected[:, point].mean()
        levels.append((value, f"sRRR, rank {rank}\n{genes:.0f} genes: {value:.3f}"))
    return levels


def extreme_ranks(srrr):
    """Smallest and largest rank of a record; one of them if they are the same, none without a record."""
    ranks = [] if srrr is None else reading.levels(srrr, "rank")
    return sorted({ranks[0], ranks[-1]}) if ranks else []


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
    ax.set_ylim(low - margin, high + 3 * margin)
    ax.set_ylabel("test R²")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def require_linear(srrr, network):
    """Check a record of sparse reduced-rank regression that is drawn beside networks."""
    reading.require(srrr, "srrr", LINEAR, ["test_r2", "n_selected"])
    reading.require_same_data(srrr, "srrr", network)


def _draw_curves(ax, network, colors, published, srrr, title):
    bands, shown, entries = [], [], []
    for point, shade in colors.items():
        bands.append(draw_epochs(ax, reading.curve(network, point, "eval_r2"), shade))
        strength = network.parameter(point, "group_lasso")
        text = f"λ = {reading.number(strength)}:  {reading.mean_text(*reading.mean_sd(network.test_r2[:, point]))}"
        rows = [row for row in published if same_value(row.get("group_lasso", strength), strength)]
        for row in rows[:1]:
            text += f"  (published {row['test_r2']:.3f})"
            ax.plot(
                1, row["test_r2"], transform=ax.get_yaxis_transform(), color=shade, clip_on=False, zorder=5, **PUBLISHED
            )
            shown.append(row["test_r2"])
        entries.append(Line2D([], [], color=shade, label=text))
    if published:
        entries.append(Line2D([], [], color="0.3", label="published, last epoch", **PUBLISHED))
    for value, name in srrr_levels(srrr, reading.gene_target(network)):
        ax.axhline(value, color=MODELS["linear"], lw=0.7, zorder=1.5)
        name_level(ax, value, name)
        shown.append(value)
    mark_stages(ax, network, next(iter(colors)))
    limit_r2(ax, bands, shown)
    genes = reading.gene_target(network)
    ax.legend(
        handles=entries, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2, alignment="left",
        title=f"{title}, {genes} genes, group lasso λ; last test R², {reading.folds_text(network)}",
    )  # fmt: skip


def _draw_norms(ax, network, colors):
    largest, smallest = 0.0, np.inf
    for point, shade in colors.items():
        norms = -np.sort(-network.gene_norms[:, point].astype(float), axis=1)
        mean = np.exp(np.log(np.maximum(norms, 1e-30)).mean(0))  # the mean that a log axis shows
        ax.plot(np.arange(1, len(mean) + 1), mean, color=shade, marker="." if len(mean) < 8 else None)
        largest, smallest = max(largest, mean[0]), min(smallest, mean[-1])
    n_genes = reading.gene_target(network)
    ax.set(yscale="log", xlim=(0, network.gene_norms.shape[2]), xlabel="genes, sorted", ylabel="weight norm of a gene")
    ax.set_ylim(max(smallest, 1e-6 * largest) / 1.6, largest * 3)
    ax.set_title("first layer, before pruning", loc="left")
    name_line(ax, n_genes, f"{n_genes} genes")
