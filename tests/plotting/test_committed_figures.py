"""Every figure of committed results shows the same numbers, colours and words as before, by a fingerprint of each."""

import functools
from pathlib import Path

import pytest
from made_up import assert_tidy, selection_record
from same import numbers_shown

from sbnn import plotting, results
from sbnn.study import published

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
PAPER = {"n_components": 2, "pretraining": True, "group_lasso": 0.1}
POINTS = {"default": {"n_components": 2}, "network": PAPER}


@functools.cache
def load(name, dataset="simulated"):
    return results.load(SAVED / dataset / f"{name}.pickle")


def models():
    networks = {f"sBNN {name}, d = 2": (load(f"cv_{name}"), point) for name, point in POINTS.items()}
    linear = {f"sRRR, rank {rank}": (load("cv_srrr"), {"rank": rank}) for rank in (2, 16)}
    return networks | linear | {"ridge": load("cv_ridge")}


def leaky(name):
    return load(f"cv_{name}_scaled_over_all_cells", "scala")


def true_genes():
    return load("gene_prior").lists["true genes"]


FIGURES = {
    "accuracy_comparison": ("957e1570bee1", lambda draw: draw(models())),
    "bottleneck_comparison": (
        "e5275e9162ee",
        lambda draw: draw(*map(leaky, ("network", "srrr", "ridge")), published.comparable(leaky("network"))),
    ),
    "component_variance": ("ad2d311017a8", lambda draw: draw(load("components"), ("RNA", "outputs"))),
    "effect_map": ("0e0861e5ab1f", lambda draw: draw(load("interpretation"))),
    "family_zoom": ("12d1552d7631", lambda draw: draw(load("fit_network_2d"), scores=[(load("cv_network"), PAPER)])),
    "gene_selection_curve": ("b8ebfa58dceb", lambda draw: draw(selection_record(), "genes")),
    "genes_curve": ("a1f1566619ea", lambda draw: draw(load("genes_curve", "citeseq_cd8"))),
    "latent_panels": (
        "2aa9dc9e22ae",
        lambda draw: draw(load("fit_default_2d"), load("fit_srrr_rank16"), True, true_genes=true_genes()),
    ),
    "map_trust": ("0b0638a78602", lambda draw: draw(load("map_trust"), load("fit_default_2d"))),
    "noise_degradation": ("8efb25b65809", lambda draw: draw(load("noise"), load("map_trust"))),
    "overview": (
        "fb7f2af8d2c4",
        lambda draw: draw(load("fit_default_2d"), load("halves_default"), load("cv_default"), true_genes()),
    ),
    "prior_effects": ("3de365e64a8b", lambda draw: draw(load("gene_prior"))),
    "selection_frequencies": ("7d85e3dbe2f2", lambda draw: draw(load("halves_default"))),
    "training_curves": (
        "4db1eaca794b",
        lambda draw: draw(
            leaky("network_three_folds"), leaky("srrr"), (64,), published.comparable(leaky("network_three_folds"))
        ),
    ),
    "tsne_pair": ("19dae2c5cd79", lambda draw: draw(load("tsne"))),
    "width_and_stability": (
        "7389b400498c",
        lambda draw: draw(
            {"distilled": load("cv_default"), "paper": load("cv_network")},
            {"paper, d = 2": load("repeats_network"), "distilled, halves of the cells": load("halves_default")},
            models(),
        ),
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_committed_results_stay_as_they_are(name):
    shown, draw = FIGURES[name]
    figure = draw(getattr(plotting, name))
    assert_tidy(figure)
    assert numbers_shown({name: figure}) == shown


def test_all_figures_are_compared():
    assert set(FIGURES) == set(plotting.__all__) - {"family_colors", "save_figure", "style"}
