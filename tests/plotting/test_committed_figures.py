"""Committed figures are drawn again, and show the models and grid points that they name."""

import functools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import figure_text
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist
from scipy.stats import gmean

from sbnn import plotting
from sbnn.cli import REPOSITORY
from sbnn.plotting import curves
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.reading import mean_text
from sbnn.study import figures, report

SLOW = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein")
SLOW_DATASETS = [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]


@functools.cache
def records_of(dataset):
    return report.read_study_records(REPOSITORY / "saved_models" / dataset)


@functools.cache
def study_figure(dataset, name):
    """A figure of the study, or None if its records are not there."""
    needed, draw = figures.FIGURES[name]
    records = records_of(dataset)
    return draw(records) if records.keys() >= set(needed) else None


@pytest.mark.parametrize("name", figures.FIGURES)
@pytest.mark.parametrize("dataset", ["simulated", *SLOW_DATASETS])
def test_committed_figures_can_be_drawn(dataset, name):
    path = REPOSITORY / "figures" / dataset / f"{name}.png"
    assert (study_figure(dataset, name) is not None) == path.exists()


@pytest.fixture(scope="module")
def simulated():
    return records_of("simulated")


@pytest.fixture(scope="module")
def network(simulated):
    return simulated["cv_published"]


@pytest.fixture(scope="module")
def weakest_lasso(network):
    """Grid point of the first lines of the training curves."""
    return network.find(n_components=2, group_lasso=1e-4, pretraining=True)


@pytest.fixture(scope="module")
def training_curves(simulated, network):
    return plotting.training_curves(network, simulated["cv_srrr"], n_components=[2])


@pytest.fixture(scope="module")
def epoch_r2(network, weakest_lasso):
    """Test R2, (n_folds, n_epochs), after 50 epochs of pretraining."""
    folds = [table["eval_r2"].iloc[50:] for table in network.history[weakest_lasso]]
    return np.array(folds, float)


def test_training_lines_are_means_over_folds(training_curves, epoch_r2):
    line = training_curves.axes[0].lines[0]
    assert_allclose(line.get_ydata(), epoch_r2.mean(axis=0))


def test_bands_have_one_sample_sd(training_curves, epoch_r2):
    [outline] = training_curves.axes[0].collections[0].get_paths()
    edges = pd.DataFrame(outline.vertices, columns=["epoch", "r2"])
    bands = edges.groupby("epoch")["r2"]
    mean, sd = epoch_r2.mean(axis=0), epoch_r2.std(axis=0, ddof=1)
    assert_allclose(bands.min(), mean - sd)
    assert_allclose(bands.max(), mean + sd)


def test_gene_norms_are_averaged_on_log_scale(training_curves, network, weakest_lasso):
    norms = network.gene_norms[:, weakest_lasso].astype(float)
    descending = np.sort(norms)[:, ::-1]
    line = training_curves.axes[1].lines[0]
    assert line.get_xdata().tolist() == [*range(1, 301)]
    assert_allclose(line.get_ydata(), gmean(descending))


def test_label_has_last_r2_of_network(training_curves, network, weakest_lasso):
    r2 = mean_text(network.test_r2[:, weakest_lasso])
    assert f"λ = 0.0001: {r2}" in figure_text(training_curves)


def test_label_has_r2_of_linear_model(training_curves, simulated):
    srrr, point = report.main_models(simulated)["sRRR, full rank"]
    r2 = srrr.test_r2[:, point].mean()
    assert f"rank 16, 25 genes: {r2:.3f}" in figure_text(training_curves)


MADE_UP_RESULTS = [
    {"rank": 2, "n_genes": 1, "test_r2": 0.1},
    {"rank": 2, "n_genes": 4, "test_r2": 0.4},
    {"rank": 2, "n_genes": 30, "test_r2": 3.0},
    {"n_components": 2, "group_lasso": 0.1, "pretraining": True, "n_genes": 25, "test_r2": 0.15},
]


@pytest.fixture(scope="module")
def falling_path(simulated):
    """Sparse reduced-rank regression, stored from the most genes to none."""
    record = simulated["cv_srrr"]
    values = {
        "test_r2": record.test_r2[:, ::-1],
        "n_selected": record.n_selected[:, ::-1],
    }
    return replace(record, params=record.params[::-1], values=values)


@pytest.fixture(scope="module")
def comparison(network, falling_path, simulated):
    ridge = simulated["cv_ridge"]
    return plotting.bottleneck_comparison(network, falling_path, ridge, published=MADE_UP_RESULTS)


def test_label_has_published_r2(comparison):
    assert "(◇ published 0.150)" in figure_text(comparison)


def test_label_has_r2_of_ridge(comparison, simulated):
    r2 = simulated["cv_ridge"].test_r2.mean()
    assert f"ridge, 300 genes: {r2:.3f}" in figure_text(comparison)


def test_widths_have_different_colours(comparison):
    lines = {line.get_label(): line for line in comparison.axes[2].lines}
    assert lines["d = 2"].get_color() != lines["d = 64"].get_color()


def test_published_values_stand_next_to_their_models(comparison):
    lines = comparison.axes[0].lines
    hollow = [line for line in lines if line.get_markerfacecolor() == "white"]
    places = sorted(tuple(line.get_xydata()[0]) for line in hollow)
    beside_network = 25 / curves.MARKER_SPACING
    assert_allclose(places, [(1, 0.1), (4, 0.4), (beside_network, 0.15), (30, 3)])


def test_linear_path_runs_from_one_gene_up(comparison, falling_path):
    lines = comparison.axes[0].lines
    [path] = [line for line in lines if line.get_label().startswith("sRRR, rank 2,")]
    points = falling_path.points(rank=2)
    n_genes = falling_path.n_selected.mean(axis=0)[points]
    r2 = falling_path.test_r2.mean(axis=0)[points]
    order = np.argsort(n_genes, kind="stable")
    order = order[n_genes[order] >= 1]
    assert_allclose(path.get_data(), (n_genes[order], r2[order]))


def test_accuracy_is_that_of_the_main_models(simulated):
    models = report.main_models(simulated)
    del models["distilled, d=64"], models["published, d=64"]
    expected = []
    for record, point in models.values():
        expected.append(mean_text(record.test_r2[:, point]))
    shown = figure_text(study_figure("simulated", "accuracy"))
    assert re.findall(r"^.* ± [\d.]+$", shown, re.M) == expected


MODELS_OF_FIGURES = {
    "figure3_latent_distilled": ["distilled, d=2", "distilled, d=64"],
    "figure3_latent_srrr": ["sRRR, rank 2", "sRRR, full rank"],
    "figure4_family_zoom": ["published, d=64", "published, d=2"],
}


@pytest.mark.parametrize("name", MODELS_OF_FIGURES)
def test_titles_of_maps_have_mean_test_r2(simulated, name):
    shown = figure_text(study_figure("simulated", name))
    means = re.findall(r"\d genes: test R² (\S+)", shown)
    models = report.main_models(simulated)
    for title, mean in zip(MODELS_OF_FIGURES[name], means, strict=True):
        record, point = models[title]
        assert mean == f"{record.test_r2[:, point].mean():.2f}"


@pytest.mark.parametrize("name", MODELS_OF_FIGURES)
def test_outputs_on_maps_have_their_test_r2(simulated, name):
    """Nine outputs of each model, and perhaps some of an enlarged family of the second."""
    shown = figure_text(study_figure("simulated", name))
    outputs = re.findall(r"^(output\d+),? (?:test R² )?(\S+)$", shown, re.M)
    models = report.main_models(simulated)
    for title, of_model in zip(MODELS_OF_FIGURES[name], (outputs[:9], outputs[9:]), strict=True):
        record, point = models[title]
        means = record.test_feature_r2[:, point].mean(axis=0)
        r2 = pd.Series(means, record.feature_names)
        assert len(of_model) >= 9
        for output, text in of_model:
            assert text == f"{r2[output]:.2f}"


@pytest.fixture(scope="module")
def scala():
    return records_of("scala")


@pytest.fixture(scope="module")
def width_and_stability():
    return study_figure("scala", "figure6_width_and_stability")


@pytest.fixture(scope="module")
def kept_frequency(scala):
    """How often each gene is kept over seeds, the largest first."""
    [selected] = scala["repeats_published"].selected  # (n_seeds, n_genes)
    return np.sort(selected.mean(axis=0))[::-1]


def test_widths_have_mean_test_r2(width_and_stability, scala):
    network = scala["cv_published"]
    widths = (1, 2, 4, 6, 8, 10, 64)
    points = [network.find(n_components=width, **report.STANDARD) for width in widths]
    line = width_and_stability.axes[0].containers[1].lines[0]
    assert_allclose(line.get_ydata(), network.test_r2.mean(axis=0)[points])


def test_label_counts_kept_genes(width_and_stability, kept_frequency):
    n_always = (kept_frequency == 1).sum()
    n_ever = (kept_frequency > 0).sum()
    label = f"d = 2, other seeds: {n_always} genes in all fits, {n_ever} in any"
    assert label in figure_text(width_and_stability)


def test_bars_are_the_highest_frequencies(width_and_stability, kept_frequency):
    bars = [bar.get_height() for bar in width_and_stability.axes[1].patches]
    assert_allclose(bars, kept_frequency[: len(bars)])


def test_outputs_are_sorted_by_r2(width_and_stability, scala):
    distilled = scala["cv_distilled"]
    point = distilled.find(n_components=2)
    r2 = distilled.test_feature_r2[:, point].mean(axis=0)
    line = width_and_stability.axes[2].lines[0]
    assert_allclose(line.get_xdata(), np.sort(r2)[::-1])


def test_r2_by_number_of_genes_is_that_of_the_record():
    record = records_of("citeseq_cd8")["genes_curve"]
    [ax] = study_figure("citeseq_cd8", "genes_curve").axes
    x, y = ax.lines[len(record.folds)].get_data()
    assert x.tolist() == [point["n_genes"] for point in record.params]
    assert_allclose(y, record.test_r2.mean(axis=0))


@pytest.mark.parametrize("room", METHOD_COLORS)
def test_colours_differ_without_red_and_green(room):
    """For readers who see red as green."""
    seen = []
    for color in METHOD_COLORS[room].values():
        red, green, blue = to_rgb(color)
        seen.append((red + 2 * green, blue))
    assert pdist(seen).min() > 0.09
