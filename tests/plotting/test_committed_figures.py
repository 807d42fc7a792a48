"""Figures of committed records show the numbers of these records."""

import functools
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from made_up import words
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from seen import BLIND, contrast_to_white, lab

from sbnn import plotting
from sbnn.cli import ROOT
from sbnn.plotting.colors import METHODS, MODELS
from sbnn.study import figures, report

OTHERS = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein")
D2 = {"n_components": 2}


@functools.cache
def study_figure(dataset, name):
    needed, draw = figures.FIGURES[name]
    records = records_of(dataset)
    return draw(records) if all(record in records for record in needed) else None


@functools.cache
def records_of(dataset):
    return report.read(ROOT / "saved_models" / dataset)


def own_data_figure(dataset, name):
    """The figure of notebook 08 that compares with ridge."""
    records = records_of(dataset)
    models = {"sBNN, d = 2": records["cv_default"], "ridge": records["cv_ridge"]}
    return plotting.accuracy_comparison(models, 15)


DRAWINGS = [(study_figure, dataset, name) for dataset in OTHERS for name in figures.FIGURES]
DRAWINGS = [pytest.param(*drawing, marks=pytest.mark.slow) for drawing in DRAWINGS]
DRAWINGS += [(study_figure, "simulated", name) for name in figures.FIGURES]
OF_OWN_DATA = ("effects", "figure3_latent_default", "map_trust", "overview")
DRAWINGS += [(study_figure, "own_data/simulated", name) for name in OF_OWN_DATA]
DRAWINGS += [(own_data_figure, "own_data/simulated", "accuracy")]


@pytest.mark.parametrize(("draw", "dataset", "name"), DRAWINGS)
def test_committed_figures_can_be_drawn(draw, dataset, name):
    figure = draw(dataset, name)
    path = ROOT / "figures" / dataset / f"{name}.png"
    assert (figure is not None) == path.exists()


def shown(name, dataset="simulated"):
    """A figure, its texts and the records it is drawn from."""
    figure = study_figure(dataset, name)
    return figure, words(figure), records_of(dataset)


def scores(record, **params):
    """Test R2 of the folds of one grid point."""
    return record.test_r2[:, record.find(**params)]


def mean_and_sd(r2):
    return f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"


def main_scores(records):
    """R2 of the folds of the models that are compared; networks and sRRR with 25 genes."""
    srrr = records["cv_srrr"]
    found = {
        "distilled": scores(records["cv_default"], **D2),
        "paper": scores(records["cv_network"], **D2, group_lasso=0.1, pretraining=True),
        "ridge": records["cv_ridge"].test_r2[:, 0],
    }
    for rank in (2, 16):
        points = srrr.points(rank=rank)
        genes = srrr.n_selected[:, points].mean(axis=0)
        most = np.where(genes.round() <= 25, genes, 0).argmax()
        found[f"rank {rank}"] = srrr.test_r2[:, points[most]]
    return found


def test_accuracy_shows_every_fold_and_the_means_of_all_models():
    figure, text, records = shown("accuracy")
    [ax] = figure.axes
    folds = main_scores(records)
    drawn = [np.sort(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 10]
    for model in ("distilled", "paper", "rank 2", "rank 16", "ridge"):
        assert mean_and_sd(folds[model]) in text
        assert any(np.allclose(np.sort(folds[model]), values) for values in drawn)


def test_curves_end_at_the_test_r2_of_their_group_lasso():
    figure, text, records = shown("figure1_training_curves")
    network = records["cv_network"]
    for width in (2, 64):
        for lasso in (1e-4, 1e-2, 0.1, 1):
            r2 = scores(network, n_components=width, group_lasso=lasso, pretraining=True)
            assert mean_and_sd(r2) in text
    for rank in (2, 16):
        assert f"rank {rank}, 25 genes: {main_scores(records)[f'rank {rank}'].mean():.3f}" in text


def test_r2_against_genes_shows_networks_srrr_and_ridge():
    figure, text, records = shown("figure2_r2_vs_genes")
    folds = main_scores(records)
    wide = scores(records["cv_network"], n_components=64, group_lasso=0.1, pretraining=True)
    assert f"λ = 0.1: {mean_and_sd(folds['paper'])}" in text
    assert f"λ = 0.1: {mean_and_sd(wide)}" in text
    assert f"ridge, 300 genes: {folds['ridge'].mean():.3f}" in text
    srrr = records["cv_srrr"]
    points = srrr.points(rank=2)
    path = np.column_stack([srrr.n_selected[:, points].mean(0), srrr.test_r2[:, points].mean(0)])
    path = path[path[:, 0] >= 1]
    path = path[np.argsort(path[:, 0])]
    drawn = [line.get_xydata() for line in figure.axes[0].lines]
    assert any(line.shape == path.shape and np.allclose(line, path) for line in drawn)


@pytest.mark.parametrize(("model", "params"), [("default", D2), ("network", D2 | report.STANDARD)])
def test_maps_name_the_main_genes_and_the_test_r2_of_outputs(model, params):
    _, text, records = shown(f"figure3_latent_{model}")
    record, fit = records[f"cv_{model}"], records[f"fit_{model}_2d"]
    point = record.find(**params)
    assert f"25 genes: test R² {record.test_r2[:, point].mean():.2f}" in text
    means = record.test_feature_r2[:, point].mean(axis=0)
    drawn = re.findall(r"^(output\d+) (\S+)$", text, re.M)
    assert len(drawn) == 18
    of_output = dict(zip(record.feature_names, means, strict=True))
    for output, r2 in drawn[:9]:
        assert float(r2) == pytest.approx(of_output[output], abs=5.1e-3)
    norms = pd.Series(fit.gene_norms, record.gene_names).reindex(fit.kept_genes)
    longest = norms.sort_values(ascending=False).index[:9]
    genes = re.findall(r"^gene\d+$", text, re.M)
    assert genes[:9] == list(longest)


def test_an_enlarged_family_shows_held_out_r2():
    _, text, records = shown("figure4_family_zoom")
    fit = records["fit_network_2d"]
    own = (fit.labels["family"] == "family 2").to_numpy()
    assert f"of {own.sum()} cells" in text
    r2 = records["cv_network"]
    point = r2.find(**D2, group_lasso=0.1, pretraining=True)
    means = dict(zip(fit.feature_names, r2.test_feature_r2[:, point].mean(0), strict=True))
    enlarged = re.findall(r"(output\d+), test R² (\d\.\d+)", text)
    assert len(enlarged) == 2
    for output, shown_r2 in enlarged:
        assert float(shown_r2) == pytest.approx(means[output], abs=5.1e-3)


def test_widths_stability_and_outputs_are_those_of_the_records():
    figure, text, records = shown("figure6_width_and_stability")
    above, below, beside = figure.axes
    widths = records["cv_default"]
    means = widths.test_r2.mean(axis=0)
    heights = [np.asarray(container.lines[0].get_ydata()) for container in above.containers]
    order = np.argsort([point["n_components"] for point in widths.params])
    assert any(np.allclose(own, means[order]) for own in heights if own.shape == means.shape)
    repeats = records["repeats_network"]
    frequency = repeats.selected[:, 0].mean(axis=0)
    all_and_any = (frequency == 1).sum(), (frequency > 0).sum()
    assert "d = 2, other seeds: {} genes in all fits, {} in any".format(*all_and_any) in text
    bars = sorted(bar.get_height() for bar in below.patches)
    assert_allclose(bars, np.sort(frequency[frequency > 0])[-len(bars) :])
    default = widths.test_feature_r2[:, widths.find(**D2)].mean(axis=0)
    drawn = [np.sort(line.get_xdata()) for line in beside.lines]
    assert any(np.allclose(np.sort(default), values) for values in drawn if len(values) == 16)


def test_frequencies_of_genes_and_their_threshold():
    figure, text, records = shown("stability_selection")
    frequency = records["halves_default"].selected[:, 0].mean(axis=0)
    frequency = np.sort(frequency[frequency > 0])[::-1]
    [ax] = figure.axes
    drawn = [bar.get_height() for bar in ax.patches]
    assert_allclose(np.sort(drawn)[::-1], frequency[:60])
    threshold = float(re.search(r"frequency ≥ (\S+):", text)[1])
    n_trusted = int(re.search(r"(\d+) trusted genes", text)[1])
    assert (frequency >= threshold).sum() == n_trusted


def test_effects_are_those_of_the_record_in_another_order():
    figure, _, records = shown("effects")
    record = records["interpretation"]
    ax, _ = figure.axes
    genes = [list(record.kept_genes).index(label.get_text()) for label in ax.get_xticklabels()]
    outputs = [list(record.feature_names).index(label.get_text()) for label in ax.get_yticklabels()]
    assert_allclose(ax.images[0].get_array(), record.effects[np.ix_(genes, outputs)].T)


def test_an_overview_has_the_test_r2_of_every_output():
    figure, text, records = shown("overview")
    record, fit = records["cv_default"], records["fit_default_2d"]
    point = record.find(**D2)
    means = np.sort(record.test_feature_r2[:, point].mean(axis=0))[::-1]
    drawn = re.findall(r"^(0\.\d\d)$", text, re.M)
    assert drawn == [f"{r2:.2f}" for r2 in means]
    assert set(fit.kept_genes) <= set(re.findall(r"gene\d+", text))


def test_genes_and_curves_are_counted():
    _, text, records = shown("gene_selection")
    selected = records["gene_selection"].selected
    assert f"{selected.sum()} selected genes" in text
    figure, text, records = shown("genes_curve", "citeseq_cd8")
    curve = records["genes_curve"]
    means = curve.test_r2.mean(axis=0)
    drawn = [line.get_ydata() for line in figure.axes[0].lines]
    assert any(np.allclose(line, means) for line in drawn if len(line) == len(means))


@pytest.mark.parametrize("table", [MODELS, *METHODS.values()])
def test_colours_of_methods_differ_from_white_and_for_colour_blind_readers_from_each_other(table):
    colors = [to_hex(color) for color in table.values()]
    assert min(map(contrast_to_white, colors)) > 3
    for sight in (np.eye(3), *BLIND.values()):
        seen = [lab(color, sight) for color in colors]
        # a difference of about 2.3 is just noticeable
        assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15


def test_the_r2_beside_a_linear_map_is_that_of_its_penalty():
    records = records_of("scala")
    name = "fit_srrr_rank16"
    record, params = figures.tested(records, name)
    [point] = record.points(**params)
    assert record.params[point]["alpha"] == records[name].params[0]["alpha"]
    assert f"test R² {record.test_r2[:, point].mean():.2f}" in words(
        study_figure("scala", "figure3_latent_srrr")
    )
