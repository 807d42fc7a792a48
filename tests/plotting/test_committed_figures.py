"""Committed figures are drawn again, and show the models and grid points that they name."""

import functools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import words
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist
from scipy.stats import gmean

from sbnn import plotting
from sbnn.cli import ROOT
from sbnn.plotting import curves
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.reading import mean_text
from sbnn.study import figures, report

SLOW = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein")
MODELS_OF_FIGURE_2 = ("published", "srrr", "ridge")
DATASETS = ["simulated", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@functools.cache
def records_of(dataset):
    return report.read(ROOT / "saved_models" / dataset)


@functools.cache
def study_figure(dataset, name):
    needed, draw = figures.FIGURES[name]
    records = records_of(dataset)
    return draw(records) if records.keys() >= set(needed) else None


@pytest.mark.parametrize("name", figures.FIGURES)
@pytest.mark.parametrize("dataset", DATASETS)
def test_committed_figures_can_be_drawn(dataset, name):
    path = ROOT / "figures" / dataset / f"{name}.png"
    assert (study_figure(dataset, name) is not None) == path.exists()


def test_curves_have_bands_of_one_sample_sd_and_norms_are_averaged_on_the_log_scale():
    records = records_of("simulated")
    network = records["cv_published"]
    figure = plotting.training_curves(network, records["cv_srrr"], n_components=[2])
    left, right = figure.axes
    point = network.find(n_components=2, group_lasso=1e-4, pretraining=True)
    tables = network.history[point]
    r2 = np.array([table["eval_r2"].iloc[50:] for table in tables], float)
    mean, spread = r2.mean(axis=0), r2.std(axis=0, ddof=1)
    assert_allclose(left.lines[0].get_ydata(), mean)
    band = pd.DataFrame(left.collections[0].get_paths()[0].vertices).groupby(0)[1]
    assert_allclose(band.min(), mean - spread)
    assert_allclose(band.max(), mean + spread)
    norms = np.sort(network.gene_norms[:, point].astype(float))[:, ::-1]
    assert_allclose(right.lines[0].get_ydata(), gmean(norms))
    assert right.lines[0].get_xdata().tolist() == [*range(1, 301)]
    assert f"λ = 0.0001: {mean_text(network.test_r2[:, point])}" in words(figure)
    srrr, point = report.main_models(records)["sRRR, full rank"]
    assert f"rank 16, 25 genes: {srrr.test_r2[:, point].mean():.3f}" in words(figure)


def test_published_values_stand_next_to_their_models():
    published = [{"rank": 2, "n_genes": n, "test_r2": n / 10} for n in (1, 4, 30)]
    narrow = {"n_components": 2, "group_lasso": 0.1, "pretraining": True}
    published.append(narrow | {"n_genes": 25, "test_r2": 0.15})
    network, srrr, ridge = [records_of("simulated")[f"cv_{name}"] for name in MODELS_OF_FIGURE_2]
    # from the most genes to none
    values = {name: srrr.values[name][:, ::-1] for name in ("test_r2", "n_selected")}
    srrr = replace(srrr, params=srrr.params[::-1], values=values)
    figure = plotting.bottleneck_comparison(network, srrr, ridge, published)
    assert "(◇ published 0.150)" in words(figure)
    assert f"ridge, 300 genes: {ridge.test_r2.mean():.3f}" in words(figure)
    widths = [line for line in figure.axes[2].lines if line.get_label() in ("d = 2", "d = 64")]
    assert len({line.get_color() for line in widths}) == 2
    lines = figure.axes[0].lines
    hollow = [line for line in lines if line.get_markerfacecolor() == "white"]
    drawn = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in hollow)
    assert_allclose(drawn, [(1, 0.1), (4, 0.4), (25 / curves.MARKER_SPACING, 0.15), (30, 3)])
    [path] = [line for line in lines if line.get_label().startswith("sRRR, rank 2,")]
    points = srrr.points(rank=2)
    expected = np.array([srrr.n_selected.mean(axis=0)[points], srrr.test_r2.mean(axis=0)[points]])
    expected = expected[:, np.argsort(expected[0], kind="stable")]
    assert_allclose(path.get_data(), expected[:, expected[0] >= 1])


def test_accuracy_is_that_of_the_main_models():
    models = report.main_models(records_of("simulated"))
    del models["distilled, d=64"], models["paper, d=64"]
    texts = [mean_text(record.test_r2[:, point]) for record, point in models.values()]
    assert re.findall(r"^.* ± [\d.]+$", words(study_figure("simulated", "accuracy")), re.M) == texts


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("figure3_latent_default", ["distilled, d=2", "distilled, d=64"]),
        ("figure3_latent_srrr", ["sRRR, rank 2", "sRRR, full rank"]),
        ("figure4_family_zoom", ["paper, d=64", "paper, d=2"]),
    ],
)
def test_maps_name_the_test_r2_of_their_models_and_outputs(name, models):
    """The last model has an enlarged family, too, or not."""
    text = words(study_figure("simulated", name))
    drawn = re.findall(r"^(output\d+),? (?:test R² )?(\S+)$", text, re.M)
    means = re.findall(r"\d genes: test R² (\S+)", text)
    for model, mean, outputs in zip(models, means, (drawn[:9], drawn[9:]), strict=True):
        record, point = report.main_models(records_of("simulated"))[model]
        assert mean == f"{record.test_r2[:, point].mean():.2f}"
        r2 = dict(zip(record.feature_names, record.test_feature_r2[:, point].mean(0), strict=True))
        assert len(outputs) >= 9
        for output, shown in outputs:
            assert shown == f"{r2[output]:.2f}"


def test_widths_stability_and_outputs_are_those_of_the_records():
    records = records_of("scala")
    figure = study_figure("scala", "figure6_width_and_stability")
    above, below, beside = figure.axes
    default, network = records["cv_distilled"], records["cv_published"]
    points = [network.find(n_components=d, **report.STANDARD) for d in (1, 2, 4, 6, 8, 10, 64)]
    means = above.containers[1].lines[0].get_ydata()
    assert_allclose(means, network.test_r2.mean(axis=0)[points])
    [selected] = records["repeats_published"].selected  # (n_seeds, n_genes)
    frequency = np.sort(selected.mean(axis=0))[::-1]
    n_always, n_ever = (frequency == 1).sum(), (frequency > 0).sum()
    assert f"d = 2, other seeds: {n_always} genes in all fits, {n_ever} in any" in words(figure)
    bars = [bar.get_height() for bar in below.patches]
    assert_allclose(bars, frequency[: len(bars)])
    r2 = default.test_feature_r2[:, default.find(n_components=2)].mean(axis=0)
    assert_allclose(beside.lines[0].get_xdata(), np.sort(r2)[::-1])


def test_r2_by_number_of_genes_is_that_of_the_record():
    record = records_of("citeseq_cd8")["genes_curve"]
    [ax] = study_figure("citeseq_cd8", "genes_curve").axes
    x, y = ax.lines[len(record.folds)].get_data()
    assert x.tolist() == [point["n_genes"] for point in record.params]
    assert_allclose(y, record.test_r2.mean(axis=0))


def test_colours_of_methods_differ_for_readers_who_see_red_as_green():
    for table in METHOD_COLORS.values():
        seen = [(red + 2 * green, blue) for red, green, blue in map(to_rgb, table.values())]
        assert pdist(seen).min() > 0.09
