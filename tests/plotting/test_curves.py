"""Test R2 and norms of networks during training, beside linear models and published results."""

from dataclasses import replace

import numpy as np
import pytest
from material.drawn import (
    assert_named_at_edge,
    bands_of,
    colors_of,
    edges,
    error_bars,
    figure_text,
    heights,
    lines_of,
    texts_on,
)
from material.figures import axes_of
from material.records import AT_ONCE, LINEAR, NETWORK, RIDGE, STAGES
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn import plotting
from sbnn.plotting.colors import BOTTLENECK_COLORS, MODEL_COLORS

FIRST, SECOND = map(to_hex, BOTTLENECK_COLORS[:2])
GREY, BLUE = to_hex(MODEL_COLORS["linear"]), to_hex(MODEL_COLORS["all genes"])
#: Of the penalties that leave four genes.
LINEAR_R2 = LINEAR.test_r2[:, [3, 8]].mean(axis=0)
LINEAR_LABELS = [
    f"sRRR, rank {rank}, 4 genes: {r2:.3f}" for rank, r2 in zip((2, 16), LINEAR_R2, strict=True)
]


def history(point, column="eval_r2", record=NETWORK):
    """Mean and SD of a training: losses of the pretraining, R2 after it."""
    is_loss = column.endswith("loss")
    shown = [(stage == "pretraining") == is_loss for stage in STAGES]
    of_folds = [table[column][shown] for table in record.history[point]]
    return np.mean(of_folds, axis=0), np.std(of_folds, axis=0, ddof=1)


def with_sd(values):
    """Mean and SD over folds, in a label."""
    return f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"


def lines_in(ax, color):
    """Lines without markers."""
    return [line for line in lines_of(ax, marker="None") if colors_of([line]) == [color]]


def epoch_lines(ax):
    return [line for line in ax.lines if len(line.get_xdata()) == 7]


#: Of widths 2 and 64: subplot, grid points, and published R2 of the second of these points.
widths = pytest.mark.parametrize(
    ("subplot", "points", "published"), [(0, [0, 1], 0.25), (2, [3, 4], 0.15)]
)


@widths
def test_curves_are_mean_r2_with_sd(subplot, points, published):
    ax = axes_of("training_curves")[subplot]
    means, sds = np.swapaxes([history(point) for point in points], 0, 1)
    assert_allclose(heights(epoch_lines(ax)), means)
    expected = np.stack([means - sds, means + sds], axis=1)
    assert_allclose([edges(band) for band in bands_of(ax)], expected)


@widths
def test_curves_are_named_by_strength(subplot, points, published):
    ax = axes_of("training_curves")[subplot]
    r2 = NETWORK.test_r2[:, points]
    weak, strong = (NETWORK.params[point]["group_lasso"] for point in points)
    names = [f"λ = {weak:g}: {with_sd(r2[:, 0])}"]
    names.append(f"λ = {strong:g}: {with_sd(r2[:, 1])} (◇ {published:.3f})")
    colors = [*colors_of(epoch_lines(ax)), GREY, GREY]
    assert_named_at_edge(ax, names + LINEAR_LABELS, [*r2.mean(axis=0), *LINEAR_R2], colors)


@widths
def test_published_r2_stands_at_last_epoch(subplot, points, published):
    ax = axes_of("training_curves")[subplot]
    [diamond] = lines_of(ax, marker="D")
    assert diamond.get_xydata().tolist() == [[7, published]]
    assert colors_of([diamond]) == colors_of(epoch_lines(ax))[1:]


def test_stronger_penalties_are_paler():
    left, right, *_ = axes_of("training_curves")
    dark, pale = colors_of(epoch_lines(left))
    assert sum(bytes.fromhex(dark[1:])) < sum(bytes.fromhex(pale[1:]))
    assert colors_of(bands_of(left)) == colors_of(right.lines[:2]) == [dark, pale]


@pytest.mark.parametrize(
    ("figure", "subplot"),
    [("training_curves", 0), ("bottleneck_comparison", 2)],
)
def test_linear_models_of_as_many_genes_are_levels(figure, subplot):
    levels = lines_in(axes_of(figure)[subplot], GREY)
    assert_allclose(heights(levels), np.transpose([LINEAR_R2, LINEAR_R2]))


def test_stages_are_named_at_their_first_epoch():
    texts = texts_on(axes_of("training_curves")[0])
    places = {text.get_text(): text.get_position()[0] for text in texts}
    assert places == {"unfreezing": 2.5, "pruning": 4.5}


def test_all_but_deep_drops_of_r2_show():
    low, _ = axes_of("training_curves")[0].get_ylim()
    lowest = min(history(0)[0].min(), history(1)[0].min())
    assert lowest - 0.03 < low < lowest


def test_norms_are_geometric_means_of_sorted_genes():
    ax = axes_of("training_curves")[1]
    *curves, kept = ax.lines
    means = np.exp(np.log(np.sort(NETWORK.gene_norms[:, :2])).mean(axis=0))
    assert_allclose(heights(curves), means[:, ::-1])
    assert ax.get_yscale() == "log"
    assert kept.get_xdata() == [5, 5]


def test_networks_have_r2_by_genes():
    containers = axes_of("bottleneck_comparison")[0].containers
    wide, narrow = NETWORK.test_r2[:, [4, 1]].T
    places = [error_bars(container)[0] for container in containers]
    expected = [[x, r2.mean(), 0, r2.std(ddof=1)] for x, r2 in [(5, wide), (5 * 1.06, narrow)]]
    assert_allclose(places, expected)
    assert colors_of(containers) == [FIRST, SECOND]


def test_models_by_genes_are_named():
    """Linear ones at their R2 of most genes."""
    wide, narrow = NETWORK.test_r2[:, [4, 1]].T
    most_genes, ridge = LINEAR.test_r2[:, [0, 5]].mean(axis=0), RIDGE.test_r2.mean()
    names = [f"d = 64: {with_sd(wide)} (◇ 0.150)", f"d = 2: {with_sd(narrow)} (◇ 0.250)"]
    assert_named_at_edge(
        axes_of("bottleneck_comparison")[0],
        [*names, "sRRR, rank 2", "sRRR, rank 16", f"ridge, 12 genes: {ridge:.3f}"],
        [wide.mean(), narrow.mean(), *most_genes, ridge],
        [FIRST, SECOND, GREY, GREY, BLUE],
    )


def test_published_r2_stands_beside_its_model():
    diamonds = lines_of(axes_of("bottleneck_comparison")[0], marker="D")
    places = [line.get_xydata()[0] for line in diamonds]
    assert_allclose(places, [[5 / 1.06, 0.15], [5 / 1.06**2, 0.25], [7, 0.35]])
    assert colors_of(diamonds) == [FIRST, SECOND, GREY]


def test_linear_models_go_from_few_genes_to_many():
    """Without those of no genes."""
    ax = axes_of("bottleneck_comparison")[0]
    lines = lines_in(ax, GREY)
    r2 = LINEAR.test_r2[:, [[3, 2, 1, 0], [8, 7, 6, 5]]]
    means = r2.mean(axis=0)
    assert_allclose(heights(lines), means)
    assert_allclose([line.get_xdata() for line in lines], [[4, 6, 7, 9]] * 2)
    assert_allclose([edges(band)[0] for band in bands_of(ax)], means - r2.std(axis=0, ddof=1))
    assert ax.get_xscale() == "log"


def test_ridge_is_a_level():
    r2 = RIDGE.test_r2.mean()
    [level] = lines_in(axes_of("bottleneck_comparison")[0], BLUE)
    assert_allclose(level.get_ydata(), [r2, r2])


def test_losses_are_of_validation_and_training():
    ax = axes_of("bottleneck_comparison")[1]
    curves = [history(point, column) for point in (4, 1) for column in ("eval_loss", "loss")]
    means, sds = np.swapaxes(curves, 0, 1)
    assert_allclose(heights(ax.lines), means)
    assert_allclose([edges(band)[0] for band in bands_of(ax)], (means - sds)[::2])
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--", "-", "--"]
    colors = [FIRST, FIRST, SECOND, SECOND]
    assert colors_of(ax.lines) == colors
    cells = ("validation", "training (dashed)")
    names = [f"d = {width}, {of_cells}" for width in (64, 2) for of_cells in cells]
    assert_named_at_edge(ax, names, means[:, -1], colors)


def test_networks_without_pretraining_have_curves():
    ax = axes_of("bottleneck_comparison")[2]
    lines = epoch_lines(ax)
    curves = [*map(history, (4, 1, 2)), history(0, record=AT_ONCE)]
    assert_allclose(heights(lines), [mean for mean, _ in curves])
    colors = [FIRST, SECOND, SECOND, to_hex("black")]
    assert colors_of(lines) == colors
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--", "-"]
    names = ["d = 64: frozen first", "d = 2: frozen first", "d = 2, no pretraining (dashed)"]
    names.append("d = 2: all layers at once")
    r2 = [*NETWORK.test_r2[:, [4, 1, 2]].mean(axis=0), AT_ONCE.test_r2.mean(), *LINEAR_R2]
    assert_named_at_edge(ax, names + LINEAR_LABELS, r2, [*colors, GREY, GREY])


@pytest.mark.parametrize(
    ("scaling", "text"), [("all", "scaled over all cells"), ("fold", "scaled per fold")]
)
def test_the_scaling_is_written(scaling, text):
    network, linear, ridge = (
        replace(record, settings=record.settings | {"scaling": scaling})
        for record in (NETWORK, LINEAR, RIDGE)
    )
    assert text in figure_text(plotting.training_curves(network, n_components=[2]))
    assert text in figure_text(plotting.bottleneck_comparison(network, linear, ridge))
