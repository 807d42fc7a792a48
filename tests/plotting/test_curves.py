"""Test R2 and norms of networks during training, beside linear models and published results."""

import numpy as np
import pytest
from drawn import bands_of, colors_of, edges, error_bars, heights, labels_of, lines_of, texts_on
from figure_records import PUBLISHED, STAGES, linear, network, ridge
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from scipy.stats import gmean

from sbnn import plotting
from sbnn.plotting.colors import BOTTLENECK_COLORS, MODEL_COLORS

#: Mean R2 of each rank at the penalty that leaves four genes, and the label.
LINEAR_LABELS = ["sRRR, rank 2, 4 genes: {:.3f}", "sRRR, rank 16, 4 genes: {:.3f}"]
N_EPOCHS = 7  # of the regression
FIRST, SECOND = map(to_hex, BOTTLENECK_COLORS[:2])


@pytest.fixture(scope="module")
def networks():
    return network()


@pytest.fixture(scope="module")
def srrr():
    return linear()


@pytest.fixture(scope="module")
def linear_r2(srrr):
    return srrr.test_r2.mean(axis=0)[[3, 8]]


def mean_and_edges(values):
    """Of values of the folds: the mean, and one SD below and above it."""
    mean, sd = np.mean(values, axis=0), np.std(values, axis=0, ddof=1)
    return mean, [mean - sd, mean + sd]


def history(record, point, column="eval_r2"):
    """Numbers of a training, (n_folds, n_epochs): losses of the pretraining, R2 after it."""
    is_loss = column.endswith("loss")
    shown = [(stage == "pretraining") == is_loss for stage in STAGES]
    return [table[column][shown] for table in record.history[point]]


def r2_text(record, point):
    r2 = record.test_r2[:, point]
    return f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"


@pytest.fixture(scope="module")
def training(networks, srrr):
    """Panels of width 2, whose points are 0 and 1, and of width 64, with 3 and 4."""
    return plotting.training_curves(networks, srrr=srrr, published=PUBLISHED).axes


def epoch_lines(ax):
    return [line for line in ax.lines if len(line.get_xdata()) == N_EPOCHS]


@pytest.mark.parametrize(("panel", "points"), [(0, [0, 1]), (2, [3, 4])])
def test_curves_are_mean_r2_with_sd(training, networks, panel, points):
    lines, bands = epoch_lines(training[panel]), bands_of(training[panel])
    for point, line, band in zip(points, lines, bands, strict=True):
        mean, mean_with_sd = mean_and_edges(history(networks, point))
        assert_allclose(line.get_xydata().T, [range(1, 8), mean])
        assert_allclose(edges(band), mean_with_sd)


def test_curves_are_named_by_strength(training, networks):
    assert labels_of(epoch_lines(training[0])) == [
        f"λ = 0.01: {r2_text(networks, 0)}",
        f"λ = 0.1: {r2_text(networks, 1)} (◇ published 0.250)",
    ]


def test_stronger_penalties_are_paler(training):
    dark, pale = colors_of(epoch_lines(training[0]))
    assert sum(bytes.fromhex(dark[1:])) < sum(bytes.fromhex(pale[1:]))
    assert colors_of(bands_of(training[0])) == colors_of(training[1].lines[:2]) == [dark, pale]


@pytest.mark.parametrize(("panel", "r2"), [(0, 0.25), (2, 0.15)])
def test_published_r2_stands_at_last_epoch(training, panel, r2):
    [diamond] = lines_of(training[panel], marker="D")
    assert diamond.get_xydata().tolist() == [[N_EPOCHS, r2]]
    assert colors_of([diamond]) == colors_of(epoch_lines(training[panel]))[1:]


def test_linear_models_of_as_many_genes_are_levels(training, linear_r2):
    levels = [line for line in training[2].lines if line.get_label().startswith("sRRR")]
    assert_allclose(heights(levels), np.transpose([linear_r2, linear_r2]))
    assert labels_of(levels) == list(map(str.format, LINEAR_LABELS, linear_r2))


def test_stages_are_named_at_their_first_epoch(training):
    places = {text.get_text(): text.get_position()[0] for text in texts_on(training[0])}
    assert places == {"unfreezing": 2.5, "pruning": 4.5}


def test_all_but_deep_drops_of_r2_show(networks, training):
    low = training[0].get_ylim()[0]
    r2 = [np.mean(history(networks, point), axis=0) for point in (0, 1)]
    assert np.min(r2) - 0.03 < low < np.min(r2)


def test_norms_are_geometric_means_of_sorted_genes(training, networks):
    for line, norms in zip(training[1].lines, networks.gene_norms.swapaxes(0, 1)[:2], strict=False):
        means = gmean(np.sort(norms)[:, ::-1])
        assert_allclose(line.get_xydata().T, [range(1, 13), means])


def test_norms_have_a_logarithmic_axis(training):
    assert training[1].get_yscale() == "log"


def test_kept_genes_are_marked_among_norms(training):
    assert training[1].lines[2].get_xdata() == [5, 5]


@pytest.fixture(scope="module")
def at_once():
    return network(params=[{"frozen_layers": 0}], seed=5)


@pytest.fixture(scope="module")
def comparison(networks, srrr, at_once):
    """R2 by genes, losses, R2 by epochs: the first width is 64, at point 4; then 2, at point 1."""
    return plotting.bottleneck_comparison(
        networks,
        srrr=srrr,
        ridge=ridge(),
        published=[{"n_genes": 5, **row} for row in PUBLISHED],
        n_components=(64, 2),
        at_once=at_once,
    ).axes


def test_networks_have_r2_by_genes(comparison, networks):
    containers = comparison[0].containers
    for place, point in enumerate([4, 1]):
        r2 = networks.test_r2[:, point]
        n_genes = [7, 6][place] * 1.06**place
        expected = [[n_genes, r2.mean(), 0, r2.std(ddof=1)]]
        assert_allclose(error_bars(containers[place]), expected)
    assert labels_of(containers) == [
        f"sBNN, d = 64, λ = 0.1: {r2_text(networks, 4)} (◇ published 0.150)",
        f"sBNN, d = 2, λ = 0.1: {r2_text(networks, 1)} (◇ published 0.250)",
    ]
    assert colors_of(containers) == [FIRST, SECOND]


def test_published_r2_stands_beside_its_model(comparison):
    diamonds = lines_of(comparison[0], marker="D")
    places = [line.get_xydata()[0] for line in diamonds]
    assert_allclose(places, [[7 / 1.06, 0.15], [6 / 1.06**2, 0.25], [7, 0.35]])
    assert colors_of(diamonds) == [FIRST, SECOND, to_hex(MODEL_COLORS["linear"])]


def test_linear_models_go_from_few_genes_to_many(comparison, srrr, linear_r2):
    lines = [line for line in comparison[0].lines if line.get_label().startswith("sRRR")]
    paths = [[3, 2, 1, 0], [8, 7, 6, 5]]  # without the model of no genes
    for line, band, points in zip(lines, bands_of(comparison[0]), paths, strict=True):
        mean, mean_with_sd = mean_and_edges(srrr.test_r2[:, points])
        assert_allclose(line.get_xydata().T, [[4, 6, 7, 9], mean])
        assert_allclose(edges(band), mean_with_sd)
    assert labels_of(lines) == list(map(str.format, LINEAR_LABELS, linear_r2))


def test_ridge_is_a_level(comparison):
    r2 = ridge().test_r2.mean()
    [level] = lines_of(comparison[0], label=f"ridge, 12 genes: {r2:.3f}")
    assert_allclose(level.get_ydata(), [r2, r2])


def test_numbers_of_genes_have_a_logarithmic_axis(comparison):
    assert comparison[0].get_xscale() == "log"


def test_losses_are_of_validation_and_training(comparison, networks):
    lines = comparison[1].lines
    columns = [(4, "eval_loss"), (4, "loss"), (1, "eval_loss"), (1, "loss")]
    means = [np.mean(history(networks, *column), axis=0) for column in columns]
    assert_allclose(heights(lines), means)
    for band, point in zip(bands_of(comparison[1]), (4, 1), strict=True):
        assert_allclose(edges(band), mean_and_edges(history(networks, point, "eval_loss"))[1])
    widths = ("d = 64", "d = 2")
    names = [f"{width}, {cells}" for width in widths for cells in ("validation", "training")]
    assert labels_of(lines) == names
    assert colors_of(lines) == [FIRST, FIRST, SECOND, SECOND]


def test_networks_without_pretraining_have_curves(comparison, networks, at_once):
    lines = epoch_lines(comparison[2])
    trainings = [(networks, 4), (networks, 1), (networks, 2), (at_once, 0)]
    means = [np.mean(history(*training), axis=0) for training in trainings]
    assert_allclose(heights(lines), means)
    names = ["d = 64", "d = 2", "d = 2, no pretraining", "d = 2, none frozen"]
    assert labels_of(lines) == names
    assert colors_of(lines) == [FIRST, SECOND, SECOND, to_hex("black")]
