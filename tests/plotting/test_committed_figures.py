"""Figures of the study are drawn from the records that they name, and committed."""

import functools

import numpy as np
import pytest
from made_up import figure_text

from sbnn import genes_table, selection_table
from sbnn.cli import REPOSITORY
from sbnn.plotting.reading import mean_text
from sbnn.study import figures, report

REAL = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein")
#: The others are slow to draw; functions of `sbnn.plotting` have tests of their own.
FAST = ("figure1_training_curves", "figure3_latent_distilled", "accuracy", "overview")
#: Models on the maps of a figure.
MODELS_OF_MAPS = {
    "figure3_latent_published": ["published, d=2", "published, d=64"],
    "figure3_latent_distilled": ["distilled, d=2", "distilled, d=64"],
    "figure3_latent_srrr": ["sRRR, rank 2", "sRRR, full rank"],
    "figure4_family_zoom": ["published, d=64", "published, d=2"],
}


@functools.cache
def records_of(dataset):
    return report.read_study_records(REPOSITORY / "saved_models" / dataset)


@functools.cache
def study_figure(dataset, name):
    """A figure of the study, or None if its records are not there."""
    needed, draw = figures.FIGURES[name]
    records = records_of(dataset)
    return draw(records) if records.keys() >= set(needed) else None


def r2_of_network(records):
    network = figures.as_published(records, "published")
    point = network.find(n_components=2, **report.STANDARD)
    return [f"λ = 0.1: {mean_text(network.test_r2[:, point])}"]


def r2_of_models(records):
    models = report.main_models(records)
    shown = [models[title] for title in models if not title.endswith("d=64")]
    return [mean_text(record.test_r2[:, point]) for record, point in shown]


def r2_of_outputs(records):
    distilled = records["cv_distilled"]
    r2 = distilled.test_feature_r2[:, distilled.find(n_components=2)].mean(axis=0)
    return [f"{value:.2f}".replace("-", "−") for value in np.sort(r2)[-25:]]


def genes_of_all_seeds(records):
    frequency = selection_frequency(records["repeats_published"].selected[0], records)
    n_always, n_ever = (frequency == 1).sum(), (frequency > 0).sum()
    return [f"published, d = 2, other seeds: {n_always} genes in all fits, {n_ever} in any"]


def selection_frequency(selected, records):
    """Without added RNA."""
    names = records["repeats_published"].gene_names.astype(str)
    return selected.mean(axis=0)[~np.char.startswith(names, "ERCC-")]


def trusted_genes(records):
    trusted = selection_table(records["halves_distilled"]).query("trusted").index
    return [f"{(~trusted.str.startswith('ERCC-')).sum()} trusted genes"]


def sufficient_number(records):
    [enough] = genes_table(records["genes_curve"]).query("suffices").index
    return [f"{enough} "]


#: By figure, a function that gives numbers that the figure names, from its records.
NUMBERS = {
    "figure1_training_curves": r2_of_network,
    "figure2_r2_vs_genes": r2_of_network,
    "figure6_width_and_stability": genes_of_all_seeds,
    "figure7_tsne": lambda records: [f"{records['tsne'].n_transcriptome} principal components"],
    "gene_selection": lambda records: [f"{n_selected(records['gene_selection'])} selected genes"],
    "overview": r2_of_outputs,
    "bibiplot": lambda records: [f"of {len(records['fit_distilled_2d'].kept_genes)} genes drawn"],
    "accuracy": r2_of_models,
    "stability_selection": trusted_genes,
    "effects": lambda records: [f"largest {np.abs(records['interpretation'].effects).max():.2g}"],
    "map_trust": lambda records: [f"mean error {np.nanmean(records['map_trust'].errors):.2f}"],
    "genes_curve": sufficient_number,
}


def n_selected(record):
    return (record.selected & np.isfinite(record.mean_log2)).sum()


def r2_of_maps(records, titles):
    """Models of which there is no cross-validation have an R2 of the training."""
    models = report.main_models(records)
    shown = [models[title] for title in titles if title in models]
    return [f": test R² {record.test_r2[:, point].mean():.2f}" for record, point in shown]


SLOW_FIGURES = [
    pytest.param(dataset, name, marks=pytest.mark.slow)
    for dataset in ("simulated", *REAL)
    for name in figures.FIGURES
    if dataset != "simulated" or name not in FAST
]


@pytest.mark.parametrize(
    ("dataset", "name"), [*(("simulated", name) for name in FAST), *SLOW_FIGURES]
)
def test_figures_of_the_study_name_numbers_of_their_records(dataset, name):
    figure = study_figure(dataset, name)
    if figure is None:
        pytest.skip("there is no such figure of these data")
    records = records_of(dataset)
    if name in MODELS_OF_MAPS:
        numbers = r2_of_maps(records, MODELS_OF_MAPS[name])
    else:
        numbers = NUMBERS[name](records)
    text = figure_text(figure)
    places = [text.find(number) for number in numbers]
    assert min(places) >= 0, "every number is there"
    if name in MODELS_OF_MAPS:
        assert places == sorted(places), "from top to bottom"


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["simulated", *REAL])
def test_figures_with_records_are_committed(dataset):
    committed = {path.stem for path in (REPOSITORY / "figures" / dataset).glob("*.png")}
    assert {name for name in figures.FIGURES if study_figure(dataset, name)} == committed
