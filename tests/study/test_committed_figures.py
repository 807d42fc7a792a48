"""Figures of the study are drawn from the records that they name, and committed."""

from functools import cache, partial
from itertools import product

import numpy as np
import pytest
from material.drawn import figure_text

from sbnn.plotting.reading import mean_text
from sbnn.study import figures, report
from sbnn.study.command import REPOSITORY
from sbnn.study.records import as_published

REAL = (
    "scala",
    "scala_ion_channels",
    "citeseq_cd8",
    "pbmc_10k_protein",
    "citefuse",
    "tcga_breast",
)
FAST = [
    ("simulated", "figure1_training_curves"),
    ("simulated", "figure3_latent_distilled"),
    ("simulated", "overview"),
    ("simulated", "accuracy"),
]
#: Models on the maps of a figure.
MODELS_OF_MAPS = {
    "figure3_latent_published": ["published, d=2", "published, d=64"],
    "figure3_latent_distilled": ["distilled, d=2", "distilled, d=64"],
    "figure3_latent_srrr": ["sRRR, rank 2", "sRRR, full rank"],
}


@cache
def records_of(dataset):
    return report.read_study_records(REPOSITORY / "saved_models" / dataset)


@cache
def study_figure(dataset, name):
    """A figure of the study, or None if its records are not there."""
    needed, draw = figures.FIGURES[name]
    records = records_of(dataset)
    return draw(records) if records.keys() >= set(needed) else None


def r2_of_network(name, records):
    network = as_published(records, "published")
    point = network.find(n_components=2, **report.STANDARD)
    return [f"{name}: {mean_text(network.test_r2[:, point])}"]


def r2_of_models(records):
    models = report.main_models(records)
    shown = [models[title] for title in models if not title.endswith("d=64")]
    return [mean_text(record.test_r2[:, point]) for record, point in shown]


def r2_of_outputs(records):
    distilled = records["cv_distilled"]
    r2 = distilled.test_feature_r2[:, distilled.find(n_components=2)].mean(axis=0)
    return [f"{value:z.2f}".replace("-", "−") for value in np.sort(r2)[-25:]]


def genes_of_halves(records):
    """Without added RNA."""
    halves = records["halves_distilled"]
    is_gene = [not name.startswith("ERCC-") for name in halves.gene_names]
    n_often = (halves.selected[:, 0, is_gene].mean(axis=0) >= 0.9).sum()
    return [f"distilled, d = 2, {len(halves.folds)} halves: {n_often} genes on 90% or more"]


def r2_of_zoomed_outputs(records):
    network = records["cv_published"]
    r2 = network.test_feature_r2[:, network.find(n_components=2, **report.STANDARD)].mean(axis=0)
    return [
        f"{name}, test R² {r2[network.feature_names == name][0]:.2f}" for name in ("Tau", "Rebound")
    ]


#: By figure, a function that gives numbers that the figure names, from its records.
NUMBERS = {
    "figure1_training_curves": partial(r2_of_network, "λ = 0.1"),
    "figure2_r2_vs_genes": partial(r2_of_network, "d = 2"),
    "figure4_family_zoom": r2_of_zoomed_outputs,
    "figure6_width_and_stability": genes_of_halves,
    "overview": r2_of_outputs,
    "accuracy": r2_of_models,
}


def r2_of_maps(titles, records):
    """Models of which there is no cross-validation have an R2 of the training."""
    models = report.main_models(records)
    shown = [models[title] for title in titles if title in models]
    return [f": test R² {record.test_r2[:, point].mean():.2f}" for record, point in shown]


NUMBERS |= {name: partial(r2_of_maps, titles) for name, titles in MODELS_OF_MAPS.items()}
CASES = [
    case if case in FAST else pytest.param(*case, marks=pytest.mark.slow)
    for case in product(("simulated", *REAL), NUMBERS)
]


@pytest.mark.parametrize(("dataset", "name"), CASES)
def test_study_figures_name_numbers_of_their_records(dataset, name):
    """Those of maps from top to bottom."""
    figure = study_figure(dataset, name)
    if figure is None:
        pytest.skip("there is no such figure of these data")
    text = figure_text(figure)
    places = [text.find(number) for number in NUMBERS[name](records_of(dataset))]
    assert min(places) >= 0
    assert name not in MODELS_OF_MAPS or places == sorted(places)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["simulated", *REAL])
def test_figures_with_records_are_committed(dataset):
    committed = {path.stem for path in (REPOSITORY / "figures" / dataset).glob("*.png")}
    assert {name for name in figures.FIGURES if study_figure(dataset, name)} == committed
