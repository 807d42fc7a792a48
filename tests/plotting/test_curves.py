"""Test R2 and norms of networks during training, beside linear models and published results."""

import numpy as np
import pytest
from material.drawn import (
    bands_of,
    colors_of,
    edges,
    error_bars,
    heights,
    labels_of,
    lines_of,
    texts_on,
)
from material.figures import axes_of
from material.records import AT_ONCE, LINEAR, NETWORK, RIDGE, STAGES
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn.plotting.colors import BOTTLENECK_COLORS, MODEL_COLORS

FIRST, SECOND = map(to_hex, BOTTLENECK_COLORS[:2])
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
    label = labels_of(epoch_lines(axes_of("training_curves")[subplot]))[1]
    r2 = NETWORK.test_r2[:, points[1]]
    assert label == f"λ = 0.1: {with_sd(r2)} (◇ published {published:.3f})"


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
    lines = axes_of(figure)[subplot].lines
    levels = [line for line in lines if line.get_label().startswith("sRRR")]
    assert_allclose(heights(levels), np.transpose([LINEAR_R2, LINEAR_R2]))
    assert labels_of(levels) == LINEAR_LABELS


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
    assert labels_of(containers) == [
        f"sBNN published, d = 64, λ = 0.1: {with_sd(wide)} (◇ published 0.150)",
        f"sBNN published, d = 2, λ = 0.1: {with_sd(narrow)} (◇ published 0.250)",
    ]
    assert colors_of(containers) == [FIRST, SECOND]


def test_published_r2_stands_beside_its_model():
    diamonds = lines_of(axes_of("bottleneck_comparison")[0], marker="D")
    places = [line.get_xydata()[0] for line in diamonds]
    assert_allclose(places, [[5 / 1.06, 0.15], [5 / 1.06**2, 0.25], [7, 0.35]])
    assert colors_of(diamonds) == [FIRST, SECOND, to_hex(MODEL_COLORS["linear"])]


def test_linear_models_go_from_few_genes_to_many():
    """Without those of no genes."""
    ax = axes_of("bottleneck_comparison")[0]
    lines = [line for line in ax.lines if line.get_label().startswith("sRRR")]
    r2 = LINEAR.test_r2[:, [[3, 2, 1, 0], [8, 7, 6, 5]]]
    means = r2.mean(axis=0)
    assert_allclose(heights(lines), means)
    assert_allclose([line.get_xdata() for line in lines], [[4, 6, 7, 9]] * 2)
    assert_allclose([edges(band)[0] for band in bands_of(ax)], means - r2.std(axis=0, ddof=1))
    assert labels_of(lines) == LINEAR_LABELS
    assert ax.get_xscale() == "log"


def test_ridge_is_a_level():
    r2 = RIDGE.test_r2.mean()
    [level] = lines_of(axes_of("bottleneck_comparison")[0], label=f"ridge, 12 genes: {r2:.3f}")
    assert_allclose(level.get_ydata(), [r2, r2])


def test_losses_are_of_validation_and_training():
    ax = axes_of("bottleneck_comparison")[1]
    curves = [history(point, column) for point in (4, 1) for column in ("eval_loss", "loss")]
    means, sds = np.swapaxes(curves, 0, 1)
    assert_allclose(heights(ax.lines), means)
    assert_allclose([edges(band)[0] for band in bands_of(ax)], (means - sds)[::2])
    assert labels_of(ax.lines) == [
        "d = 64, validation",
        "d = 64, training",
        "d = 2, validation",
        "d = 2, training",
    ]
    assert colors_of(ax.lines) == [FIRST, FIRST, SECOND, SECOND]


def test_networks_without_pretraining_have_curves():
    lines = epoch_lines(axes_of("bottleneck_comparison")[2])
    curves = [*map(history, (4, 1, 2)), history(0, record=AT_ONCE)]
    assert_allclose(heights(lines), [mean for mean, _ in curves])
    names = ["d = 64", "d = 2", "d = 2, no pretraining", "d = 2, none frozen"]
    assert labels_of(lines) == names
    assert colors_of(lines) == [FIRST, SECOND, SECOND, to_hex("black")]
