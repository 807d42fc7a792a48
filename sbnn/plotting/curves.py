"""Accuracy and sparsity of the networks during training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbnn.plotting.colors import BOTTLENECK_COLORS, MODEL_COLORS, color_gradient, model_color
from sbnn.plotting.common import (
    PUBLISHED_MARKER,
    draw_band,
    finish,
    log_ticks,
    name_at_edge,
    name_line,
    new_figure,
    new_subplots,
    spread_names,
    with_style,
    write_plain_numbers,
)
from sbnn.plotting.reading import (
    folds_text,
    history_curve,
    mean_and_sd,
    mean_text,
    median_n_genes,
    name_and_color,
    network_name,
    published_rows,
    scaling_text,
)
from sbnn.results import Record

TRANSITIONS = {"unfrozen": "unfreezing", "fine-tuning": "pruning"}
REGRESSION_STAGES = ("frozen", "unfrozen", "fine-tuning")  # with a test R2
GENE_TICKS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
MARKER_SPACING = 1.06  # factor between markers with equal numbers of genes
WIDTH_MARKERS = "os^v"  # of widths in ascending order
ROW_HEIGHT = 2.55  # inches


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
        Bottleneck widths, one for each row of subplots; those without a model are left out.
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
    points_by_width = find_points_by_width(network, n_components, pretraining=True)
    n_rows = len(points_by_width)
    height = ROW_HEIGHT * n_rows
    figure, subplots = new_subplots(
        height, n_rows=n_rows, n_columns=2, width_ratios=(2.6, 1), squeeze=False
    )
    for (left, right), points in zip(subplots, points_by_width.values(), strict=True):
        points.sort(key=lambda point: strength_of_lasso(network, point))
        colors = color_gradient(model_color(network), len(points))
        for point, color in zip(points, colors, strict=True):
            _draw_accuracy(left, network, point, color=color, published=published)
            _draw_gene_norms(right, network, point, color=color)
        mark_stages(left, network, points[-1])
        draw_levels(left, srrr, network)
        n_genes = median_n_genes(network)
        name = network_name(network, points[-1])
        settings = f"{folds_text(network)}{scaling_text(network)}"
        left.set_title(f"{name}, {n_genes} genes; last test R², {settings}", loc="left", pad=12)
        right.set(xlabel="genes, sorted", ylabel="norm of a gene's weights\nbefore pruning")
        n_all = network.gene_norms.shape[2]
        right.set(yscale="log", xlim=(0, n_all))
        write_plain_numbers(right.yaxis)
        name_line(right, n_genes, f"{n_genes} genes")
    finish(figure, subplots)
    for left in subplots[:, 0]:
        spread_names(left)
    return figure


def _draw_accuracy(ax, network, point, color, published):
    """Draw the test R2 over the epochs, and published results at the last one."""
    rows = published_rows(published, **network.params[point])
    epochs = draw_epochs(ax, network, point, color=color)
    name = f"λ = {strength_of_lasso(network, point):g}: {_r2_text(network, point, rows)}"
    name_at_edge(ax, _last_r2(network, point), name, color)
    for row in rows:
        r2 = row["test_r2"]
        ax.plot(epochs[-1], r2, color=color, clip_on=False, zorder=5, **PUBLISHED_MARKER)


def _draw_gene_norms(ax, network, point, color):
    """Draw the norms of the genes of each fold, sorted and averaged over the folds."""
    norms = network.gene_norms[:, point].astype(float)
    descending = np.sort(norms)[:, ::-1]
    # a geometric mean, as the axis is logarithmic
    logarithms = np.log(descending.clip(1e-30))
    means = np.exp(logarithms.mean(0))
    ranks = np.arange(len(means)) + 1
    ax.plot(ranks, means, color=color)


def find_points_by_width(
    network: Record, n_components: Iterable[int], **params: Any
) -> dict[int, list[int]]:
    """Grid points with some parameters, by bottleneck width."""
    points_by_width = {}
    for width in n_components:
        points = network.points(n_components=width, **params)
        if points:
            points_by_width[width] = points
    return points_by_width


def strength_of_lasso(network: Record, point: int) -> float:
    """Strength of the group lasso, which may be a parameter of the grid or of the estimator."""
    return cast(float, network.parameter(point, "group_lasso"))


def _r2_text(network, point, rows):
    """Test R2, and the published one at its marker."""
    text = mean_text(network.test_r2[:, point])
    for row in rows:
        text += f" (◇ {row['test_r2']:.3f})"
    return text


def _last_r2(network, point):
    return network.test_r2[:, point].mean()


def linear_models(srrr: Record, network: Record) -> list[tuple[int, float, str, str]]:
    """Rank, R2, line style and label of linear models with the genes of networks."""
    ranks = [params["rank"] for params in srrr.params]
    models = []
    for rank, line_style in {min(ranks): "-", max(ranks): "--"}.items():
        point = srrr.best_with_at_most(median_n_genes(network), rank=rank)
        r2 = srrr.test_r2[:, point].mean()
        n_genes = srrr.n_selected[:, point].mean()
        label = f"sRRR, rank {rank}, {n_genes:.0f} genes: {r2:.3f}"
        models.append((rank, r2, line_style, label))
    return models


def draw_levels(ax: Axes, srrr: Record | None, network: Record) -> None:
    """Draw linear models as horizontal lines."""
    if srrr is None:
        return
    color = MODEL_COLORS["linear"]
    for _, r2, line_style, label in linear_models(srrr, network):
        ax.axhline(r2, color=color, ls=line_style, lw=0.9, zorder=1.5)
        name_at_edge(ax, r2, label, color)


def draw_epochs(
    ax: Axes,
    network: Record,
    point: int,
    stages: Iterable[str] = REGRESSION_STAGES,
    column: str = "eval_r2",
    **band_options: Any,
) -> np.ndarray:
    """Draw a curve of the training; return its epochs."""
    values = history_curve(network.history[point], stages, column)
    epochs = np.arange(values.shape[1]) + 1
    draw_band(ax, epochs, values, **band_options)
    return epochs


def mark_stages(ax: Axes, network: Record, point: int) -> None:
    """Name the stages of the training, and leave out deep drops of R2."""
    stages = network.history[point][0]["stage"]
    stages = stages[stages.isin(REGRESSION_STAGES)]
    for stage, name in TRANSITIONS.items():
        first_epoch = np.argmax(stages == stage)
        name_line(ax, first_epoch + 0.5, name)
    ax.set(xlim=(0, len(stages)), xlabel="epoch of the regression (bands: SD over folds)")
    ax.set_ylabel("test R²")
    drawn = [np.asarray(line.get_ydata()) for line in ax.lines]
    curves = [values for values in drawn if len(values) == len(stages)]
    low = np.quantile(curves, 0.02, axis=1)
    ax.set_ylim(bottom=low.min() - 0.03)


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
    figure = new_figure(2 * ROW_HEIGHT)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.1))[:, 0]
    by_genes, pretraining = above.subplots(1, 2, width_ratios=(1.5, 1))
    regression = below.subplots()
    points_by_width = find_points_by_width(
        network, n_components, group_lasso=group_lasso, pretraining=True
    )
    for i, (width, [point]) in enumerate(points_by_width.items()):
        name = f"d = {width}"
        color = BOTTLENECK_COLORS[i]
        _draw_width(by_genes, network, point, place=i, published=published)
        _draw_pretraining(pretraining, network, point, color=color)
        draw_epochs(regression, network, point, color=color)
        name_at_edge(regression, _last_r2(network, point), f"{name}: frozen first", color)
        for straight in network.points(**(network.params[point] | {"pretraining": False})):
            # without a band, which would hide that of the first
            draw_epochs(regression, network, straight, color=color, ls="--", alpha=0)
            name_at_edge(
                regression, _last_r2(network, straight), f"{name}, no pretraining (dashed)", color
            )
    _draw_linear(by_genes, srrr, network, published=published)
    r2 = ridge.test_r2.mean()
    color = MODEL_COLORS["all genes"]
    by_genes.axhline(r2, color=color, lw=1, ls=":")
    name_at_edge(by_genes, r2, f"ridge, {len(ridge.gene_names)} genes: {r2:.3f}", color)
    name, _ = name_and_color(network)
    settings = f"{name}: λ = {group_lasso:g}{scaling_text(network, ridge)}"
    by_genes.set_xlabel(f"selected genes ({settings})")
    by_genes.set_ylabel("test R² (mean ± SD over folds)")
    n_genes = median_n_genes(network)
    name_line(by_genes, n_genes, f"{n_genes} genes")
    pretraining.set(xlabel="epoch of the pretraining (band: SD)", ylabel="cross-entropy (nats)")
    pretraining.set_ylim(bottom=0)
    if at_once is not None:
        draw_epochs(regression, at_once, 0, color="black", alpha=0)
        name_at_edge(regression, _last_r2(at_once, 0), "d = 2: all layers at once", "black")
    mark_stages(regression, network, point)
    draw_levels(regression, srrr, network)
    subplots = by_genes, pretraining, regression
    finish(figure, [subplots])
    for ax in subplots:
        spread_names(ax)
    return figure


def _draw_width(ax, network, point, place, published):
    """Draw the test R2 of the width at a place in the list, with published results beside it."""
    rows = published_rows(published, **network.params[point])
    mean, sd = mean_and_sd(network.test_r2[:, point])
    n_genes = network.n_selected[:, point].mean()
    color = BOTTLENECK_COLORS[place]
    ax.errorbar(
        n_genes * MARKER_SPACING**place,
        mean,
        sd,
        fmt=WIDTH_MARKERS[place],
        color=color,
        ms=3.5,
        lw=1,
        capsize=1.5,
        zorder=5,
    )
    name = f"d = {network.parameter(point, 'n_components')}: {_r2_text(network, point, rows)}"
    name_at_edge(ax, mean, name, color)
    x = n_genes / MARKER_SPACING ** (place + 1)
    for row in rows:
        ax.plot(x, row["test_r2"], color=color, zorder=4, **PUBLISHED_MARKER)


def _draw_pretraining(ax, network, point, color):
    """Draw the cross-entropy of validation and training; the latter without a band."""
    width = network.parameter(point, "n_components")
    draw_epochs(
        ax,
        network,
        point,
        stages=["pretraining"],
        column="eval_loss",
        color=color,
    )
    draw_epochs(
        ax,
        network,
        point,
        stages=["pretraining"],
        column="loss",
        color=color,
        ls="--",
        alpha=0,
    )
    for column, cells in {"eval_loss": "validation", "loss": "training (dashed)"}.items():
        last = history_curve(network.history[point], ["pretraining"], column)[:, -1].mean()
        name_at_edge(ax, last, f"d = {width}, {cells}", color)


def _draw_linear(ax, srrr, network, published):
    """Draw the test R2 of linear models against the number of genes."""
    color = MODEL_COLORS["linear"]
    mean_genes = srrr.n_selected.mean(0)
    for rank, _, line_style, _ in linear_models(srrr, network):
        points = srrr.points(rank=rank)
        points.sort(key=lambda point: mean_genes[point])
        points = [point for point in points if mean_genes[point] >= 1]
        r2 = srrr.test_r2[:, points]
        draw_band(ax, mean_genes[points], r2, color=color, ls=line_style)
        name_at_edge(ax, r2[:, -1].mean(), f"sRRR, rank {rank}", color)
        for row in published_rows(published, rank=rank):
            n_genes, r2 = row["n_genes"], row["test_r2"]
            ax.plot(n_genes, r2, color=color, zorder=4, **PUBLISHED_MARKER)
    log_ticks(ax, GENE_TICKS)
    ax.set_xlim(0.9, 1.3 * mean_genes.max())
