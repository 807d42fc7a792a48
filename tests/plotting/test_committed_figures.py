"""Committed figures are drawn again, and show the models and grid points that they name."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
from drawn import dots_of, error_bars
from made_up import figure_text
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist
from scipy.stats import zscore

from sbnn import plotting
from sbnn.cli import REPOSITORY
from sbnn.plotting import maps
from sbnn.plotting.colors import METHOD_COLORS
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


@pytest.mark.parametrize("dataset", ["simulated", *SLOW_DATASETS])
def test_figures_with_records_are_committed(dataset):
    committed = {path.stem for path in (REPOSITORY / "figures" / dataset).glob("*.png")}
    assert {name for name in figures.FIGURES if study_figure(dataset, name)} == committed


def published_network(records):
    """The cross-validation scaled as published, and its main grid point."""
    network = figures.as_published(records, "published")
    return network, network.find(n_components=2, **report.STANDARD)


def sum_of_curve(figure, records):
    """Test R2 over the epochs, of the weakest group lasso."""
    network, _ = published_network(records)
    points = network.points(n_components=2, pretraining=True)
    weakest = min(points, key=lambda point: network.parameter(point, "group_lasso"))
    folds = network.history[weakest]
    r2 = [table["eval_r2"][table["stage"] != "pretraining"] for table in folds]
    return figure.axes[0].lines[0].get_ydata().sum(), np.mean(r2, axis=0).sum()


def r2_of_network(figure, records):
    network, point = published_network(records)
    drawn = error_bars(figure.axes[0].containers[0])["y"]
    return drawn, [network.test_r2[:, point].mean()]


def sums_of_places(*names):
    """Of the cells on the maps of fits, without those that were not made."""

    def read(figure, records):
        fits = [records[name] for name in names if name in records]
        parts = figure.subfigs[: len(fits)]
        drawn = [dots_of(part.subfigs[1].axes[0])[:, :2].sum() for part in parts]
        return drawn, [maps.map_coordinates(fit).sum() for fit in fits]

    return read


def srrr_places(figure, records):
    names = sorted((name for name in records if name.startswith("fit_srrr")), key=len)
    return sums_of_places(*names)(figure, records)


def sums_of_widths_genes_and_outputs(figure, records):
    by_width, by_gene, by_output = figure.axes
    network, distilled = records["cv_published"], records["cv_distilled"]
    r2 = network.test_r2[:, network.points(**report.STANDARD)].mean(axis=0)
    repeats = records["repeats_published"]
    is_gene = ~pd.Index(repeats.gene_names).str.startswith("ERCC-")
    frequency = np.sort(repeats.selected[0].mean(axis=0)[is_gene])[::-1]
    output_r2 = distilled.test_feature_r2[:, distilled.find(n_components=2)].mean(axis=0)
    drawn = [
        error_bars(by_width.containers[1])["y"].sum(),
        sum(bar.get_height() for bar in by_gene.patches),
        error_bars(by_output.containers[0])["x"].sum(),
    ]
    return drawn, [r2.sum(), frequency[: len(by_gene.patches)].sum(), output_r2.sum()]


def sums_of_tsne(figure, records):
    record = records["tsne"]
    sizes = {"transcriptome": record.n_transcriptome, "outputs": record.n_outputs}
    expected = [
        maps.panel_coordinates(record.values[name], proportional=size > 2).sum()
        for name, size in sizes.items()
    ]
    return [dots_of(ax)[:, :2].sum() for ax in figure.axes[:2]], expected


def n_selected(figure, records):
    record = records["gene_selection"]
    n_drawn = len(figure.axes[0].lines[1].get_xdata())
    return n_drawn, (record.selected & np.isfinite(record.mean_log2)).sum()


def sum_of_output_bars(figure, records):
    distilled = records["cv_distilled"]
    r2 = distilled.test_feature_r2[:, distilled.find(n_components=2)].mean(axis=0)
    best = np.sort(r2.clip(0, 1))[::-1][:25]
    return sum(bar.get_width() for bar in figure.axes[4].patches), best.sum()


def latents_of_bibiplot(figure, records):
    fit = records["fit_distilled_2d"]
    drawn = dots_of(figure.axes[0])[:, 0]
    return drawn, np.sort(zscore(fit.latent[:, 0].astype(float)))


def r2_of_models(figure, records):
    drawn = [error_bars(container)["x"].sum() for container in figure.axes[0].containers]
    models = report.main_models(records)
    shown = {name: model for name, model in models.items() if not name.endswith("d=64")}
    return drawn, [record.test_r2[:, point].mean() for record, point in shown.values()]


def sum_of_frequencies(figure, records):
    halves = records["halves_distilled"]
    is_gene = ~pd.Index(halves.gene_names).str.startswith("ERCC-")
    frequency = np.sort(halves.selected.mean(axis=(0, 1))[is_gene])[::-1]
    return sum(bar.get_height() for bar in figure.axes[0].patches), frequency[:60].sum()


def sum_of_effects(figure, records):
    return figure.axes[0].images[0].get_array().sum(), records["interpretation"].effects.sum()


def sums_of_trust(figure, records):
    trust = records["map_trust"]
    drawn = [ax.collections[0].get_array().sum() for ax in figure.axes[:2]]
    return drawn, [np.nansum(trust.errors), trust.spread.sum()]


def r2_by_number_of_genes(figure, records):
    record = records["genes_curve"]
    return figure.axes[0].lines[len(record.folds)].get_ydata(), record.test_r2.mean(axis=0)


#: By figure, a function that reads some number from it, and computes the same from the records.
NUMBERS = {
    "figure1_training_curves": sum_of_curve,
    "figure2_r2_vs_genes": r2_of_network,
    "figure3_latent_published": sums_of_places("fit_published_2d", "fit_published_64d"),
    "figure3_latent_distilled": sums_of_places("fit_distilled_2d", "fit_distilled_64d"),
    "figure3_latent_srrr": srrr_places,
    "figure4_family_zoom": sums_of_places("fit_published_64d", "fit_published_2d"),
    "figure6_width_and_stability": sums_of_widths_genes_and_outputs,
    "figure7_tsne": sums_of_tsne,
    "gene_selection": n_selected,
    "overview": sum_of_output_bars,
    "bibiplot": latents_of_bibiplot,
    "accuracy": r2_of_models,
    "stability_selection": sum_of_frequencies,
    "effects": sum_of_effects,
    "map_trust": sums_of_trust,
    "genes_curve": r2_by_number_of_genes,
}


@pytest.mark.parametrize("name", figures.FIGURES)
@pytest.mark.parametrize("dataset", ["simulated", *SLOW_DATASETS])
def test_committed_figures_show_their_records(dataset, name):
    figure = study_figure(dataset, name)
    if figure is None:
        pytest.skip("there is no such figure of these data")
    drawn, expected = NUMBERS[name](figure, records_of(dataset))
    assert_allclose(drawn, expected, rtol=1e-5)


@pytest.fixture(scope="module")
def simulated():
    return records_of("simulated")


@pytest.fixture(scope="module")
def training_curves(simulated):
    network = simulated["cv_published"]
    return plotting.training_curves(network, simulated["cv_srrr"], n_components=[2])


def test_label_has_r2_of_linear_model(training_curves, simulated):
    srrr, point = report.main_models(simulated)["sRRR, full rank"]
    r2 = srrr.test_r2[:, point].mean()
    assert f"rank 16, 25 genes: {r2:.3f}" in figure_text(training_curves)


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


@pytest.mark.parametrize("room", METHOD_COLORS)
def test_colours_differ_without_red_and_green(room):
    """For readers who see red as green."""
    seen = []
    for color in METHOD_COLORS[room].values():
        red, green, blue = to_rgb(color)
        seen.append((red + 2 * green, blue))
    assert pdist(seen).min() > 0.09
