"""Accuracy and sparsity of the networks during training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from sbnn.plotting.colors import MODELS, WIDTHS, model_color, shades
from sbnn.plotting.common import draw_band, finish, legend_above, log_ticks, new_panels, with_style
from sbnn.plotting.labels import name_line
from sbnn.plotting.reading import (
    curve,
    folds_text,
    gene_target,
    mean_sd,
    mean_text,
    network_name,
    published_rows,
)
from sbnn.results import Record

TRANSITIONS = {"unfrozen": "unfreezing", "fine-tuning": "pruning"}
REGRESSION = ("frozen", "unfrozen", "fine-tuning")  # stages with a test R2
PUBLISHED = {
    "marker": "D",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
    "ls": "",
}
GENE_TICKS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
DODGE = 1.06  # factor between markers with equal numbers of genes
MARKERS = "os^v"  # of widths in ascending order
ABOVE_NAMES = (0, 1.07)  # place of a legend


@with_style
def training_curves(
    network: Record,
    srrr: Record | None = None,
    n_components: Sequence[int] = (2, 64),
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
        Bottleneck widths, one for each row of panels; those without a model are left out.
    published : list of dict, optional
        Such as ``{"n_components": 2, "group_lasso": 0.1, "pretraining": True, "test_r2": 0.397}``,
        drawn as diamonds.

    Returns
    -------
    matplotlib.figure.Figure
        Bands show the sample SD over folds.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> network = results.load("saved_models/scala/cv_published.pickle.xz")
    >>> figure = plotting.training_curves(network)
    """
    grid = points_by_width(network, n_components, pretraining=True)
    n_rows = len(grid)
    figure, panels = new_panels(2.55 * n_rows, n_rows, 2, width_ratios=(2.6, 1), squeeze=False)
    n_genes = gene_target(network)
    for (left, right), points in zip(panels, grid.values(), strict=True):
        points.sort(key=lambda point: network.parameter(point, "group_lasso"))
        for point, color in zip(points, shades(model_color(network), len(points)), strict=True):
            rows = published_rows(published, **network.params[point])
            label = _label(network, point, rows)
            epochs = draw_epochs(left, network, point, color=color, label=label)
            for row in rows:
                left.plot(
                    epochs[-1], row["test_r2"], color=color, clip_on=False, zorder=5, **PUBLISHED
                )
            norms = np.sort(network.gene_norms[:, point].astype(float))[:, ::-1]
            # geometric, as the axis is logarithmic
            right.plot(
                np.arange(norms.shape[1]) + 1,
                np.exp(np.log(norms.clip(1e-30)).mean(0)),
                color=color,
            )
        mark_stages(left, network, point)
        draw_levels(left, srrr, network)
        title = (
            f"{network_name(network, point)}, {n_genes} genes\n"
            f"last test R², {folds_text(network)}, by group lasso λ"
        )
        legend_above(left, ncols=2, title=title, bbox_to_anchor=ABOVE_NAMES)
        right.set(xlabel="genes, sorted", ylabel="norm of a gene's weights\nbefore pruning")
        right.set(yscale="log", xlim=(0, norms.shape[1]))
        name_line(right, n_genes, f"{n_genes} genes")
    return finish(figure, panels)


def points_by_width(network, n_components, **params):
    """Grid points with some parameters, by bottleneck width."""
    found = {width: network.points(n_components=width, **params) for width in n_components}
    return {width: points for width, points in found.items() if points}


def _label(network, point, rows):
    strength = network.parameter(point, "group_lasso")
    label = f"λ = {strength:g}: {mean_text(network.test_r2[:, point])}"
    for row in rows:
        label += f" (◇ published {row['test_r2']:.3f})"
    return label


def linear_models(srrr, network):
    """Rank, R2, line and label of linear models with the genes of networks."""
    ranks = [params["rank"] for params in srrr.params]
    models = []
    for rank, line in {min(ranks): "-", max(ranks): "--"}.items():
        point = srrr.best_with_at_most(gene_target(network), rank=rank)
        r2 = srrr.test_r2[:, point].mean()
        label = f"sRRR, rank {rank}, {srrr.n_selected[:, point].mean():.0f} genes: {r2:.3f}"
        models.append((rank, r2, line, label))
    return models


def draw_levels(ax, srrr, network):
    """Draw linear models as horizontal lines."""
    if srrr is not None:
        for _, r2, line, label in linear_models(srrr, network):
            ax.axhline(r2, label=label, color=MODELS["linear"], ls=line, lw=0.9, zorder=1.5)


def draw_epochs(ax, network, point, stages=REGRESSION, column="eval_r2", **look):
    """Draw a curve of the training; return its epochs."""
    values = curve(network.history[point], stages, column)
    epochs = np.arange(values.shape[1]) + 1
    draw_band(ax, epochs, values, **look)
    return epochs


def mark_stages(ax, network, point):
    """Name the stages of the training, and leave out deep drops of R2."""
    stages = network.history[point][0]["stage"]
    stages = stages[stages.isin(REGRESSION)]
    for stage, name in TRANSITIONS.items():
        name_line(ax, np.argmax(stages == stage) + 0.5, name)
    ax.set(xlim=(0, len(stages)), xlabel="epoch of the regression (bands: SD over folds)")
    ax.set_ylabel("test R²")
    curves = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == len(stages)]
    ax.set_ylim(bottom=np.quantile(curves, 0.02, axis=1).min() - 0.03)


@with_style
def bottleneck_comparison(
    network: Record,
    srrr: Record,
    ridge: Record,
    published: list[dict] | None = None,
    group_lasso: float = 0.1,
    n_components: Sequence[int] = (2, 64),
    at_once: Record | None = None,
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
        Strength that is drawn.
    n_components : sequence of int
        At most four bottleneck widths; those without a model are left out.
    at_once : Record, optional
        Cross-validation of `SparseBottleneckRegressor` with two components and
        ``frozen_layers=0``.

    Returns
    -------
    matplotlib.figure.Figure
        Bands and bars show the sample SD over folds.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> network = results.load("saved_models/scala/cv_published.pickle.xz")
    >>> srrr = results.load("saved_models/scala/cv_srrr.pickle.xz")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle.xz")
    >>> figure = plotting.bottleneck_comparison(network, srrr, ridge)
    """
    figure, (left, middle, right) = new_panels(3.2, 1, 3, width_ratios=(1.1, 0.8, 1.1))
    pretrained = points_by_width(network, n_components, group_lasso=group_lasso, pretraining=True)
    for i, (width, [point]) in enumerate(pretrained.items()):
        name = f"d = {width}"
        color = WIDTHS[i]
        # without bands, which would hide each other
        dashed = {"color": color, "ls": "--", "alpha": 0}
        stages = ["pretraining"]
        draw_epochs(
            middle, network, point, stages, "eval_loss", color=color, label=f"{name}, validation"
        )
        draw_epochs(middle, network, point, stages, "loss", label=f"{name}, training", **dashed)
        draw_epochs(right, network, point, color=color, label=name)
        for other in network.points(**network.params[point] | {"pretraining": False}):
            draw_epochs(right, network, other, label=f"{name}, no pretraining", **dashed)
        rows = published_rows(published, **network.params[point])
        mean, spread = mean_sd(network.test_r2[:, point])
        n_genes = network.n_selected[:, point].mean()
        left.errorbar(
            n_genes * DODGE**i,
            mean,
            spread,
            label=f"sBNN, {name}, {_label(network, point, rows)}",
            fmt=MARKERS[i],
            color=color,
            ms=3.5,
            lw=1,
            capsize=1.5,
            zorder=5,
        )
        for row in rows:
            x = n_genes / DODGE ** (i + 1)
            left.plot(x, row["test_r2"], color=color, zorder=4, **PUBLISHED)
    _draw_linear(left, srrr, network, published)
    r2 = ridge.test_r2.mean()
    label = f"ridge, {len(ridge.gene_names)} genes: {r2:.3f}"
    left.axhline(r2, color=MODELS["all genes"], lw=1, ls=":", label=label)
    left.set(xlabel="selected genes", ylabel="test R² (mean ± SD over folds)")
    name_line(left, gene_target(network), f"{gene_target(network)} genes")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    middle.set(xlabel="epoch of the pretraining (band: SD)", ylabel="cross-entropy (nats)")
    middle.set_ylim(bottom=0)
    legend_above(middle)
    if at_once is not None:
        draw_epochs(right, at_once, 0, label="d = 2, none frozen", color="black", alpha=0)
    mark_stages(right, network, point)
    legend_above(right, bbox_to_anchor=ABOVE_NAMES)
    draw_levels(right, srrr, network)
    return finish(figure, [[left, middle, right]])


def _draw_linear(ax, srrr, network, published):
    """Draw the test R2 of linear models against the number of genes."""
    color = MODELS["linear"]
    mean_genes = srrr.n_selected.mean(0)
    for rank, _, line, label in linear_models(srrr, network):
        points = [point for point in srrr.points(rank=rank) if mean_genes[point] >= 1]
        points.sort(key=lambda point: mean_genes[point])
        draw_band(
            ax, mean_genes[points], srrr.test_r2[:, points], color=color, ls=line, label=label
        )
        for row in published_rows(published, rank=rank):
            ax.plot(row["n_genes"], row["test_r2"], color=color, zorder=4, **PUBLISHED)
    log_ticks(ax, GENE_TICKS)
    ax.set_xlim(0.9, 1.3 * mean_genes.max())
