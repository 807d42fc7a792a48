"""Every figure of committed results shows the same numbers, colours and words as before, by a fingerprint of each."""

import functools
from pathlib import Path

import pytest
from made_up import assert_tidy, selection_record
from notebook import run_cells
from same import numbers_shown

from sbnn import plotting, results
from sbnn.study import published

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
PAPER = {"n_components": 2, "pretraining": True, "group_lasso": 0.1}
MAPS = "fit_default_2d", "fit_srrr_rank16"
POINTS = {"default": {"n_components": 2}, "network": PAPER}


@functools.cache
def load(name, dataset="simulated"):
    return results.load(SAVED / dataset / f"{name}.pickle")


def models():
    networks = {
        f"sBNN {name}, d = 2": (load(f"cv_{name}"), point) for name, point in POINTS.items()
    }
    linear = {f"sRRR, rank {rank}": (load("cv_srrr"), {"rank": rank}) for rank in (2, 16)}
    return networks | linear | {"ridge": load("cv_ridge")}


def leaky(name):
    return load(f"cv_{name}_scaled_over_all_cells", "scala")


def known(name):
    return published.comparable(leaky(name))


def true_genes():
    return load("gene_prior").lists["true genes"]


THREE = "network_three_folds"
# Fingerprint of each, and what it is drawn of.
FIGURES = {
    "accuracy_comparison": ("957e1570bee1", lambda: [models()]),
    "bottleneck_comparison": (
        "e5275e9162ee",
        lambda: [*map(leaky, ("network", "srrr", "ridge")), known("network")],
    ),
    "component_variance": ("ad2d311017a8", lambda: [load("components"), ("RNA", "outputs")]),
    "effect_map": ("0e0861e5ab1f", lambda: [load("interpretation")]),
    "family_zoom": (
        "29704d1396d6",
        lambda: [load("fit_network_2d"), None, None, [(load("cv_network"), PAPER)]],
    ),
    "gene_selection_curve": ("b39a8b8321a1", lambda: [selection_record(), "genes"]),
    "genes_curve": ("32369cc799ec", lambda: [load("genes_curve", "citeseq_cd8")]),
    "latent_panels": ("2aa9dc9e22ae", lambda: [*map(load, MAPS), True, None, true_genes()]),
    "map_trust": ("8026d39743de", lambda: [load("map_trust"), load("fit_default_2d")]),
    "overview": (
        "fb7f2af8d2c4",
        lambda: [*map(load, (MAPS[0], "halves_default", "cv_default")), true_genes()],
    ),
    "selection_frequencies": ("466cdb9d5d6c", lambda: [load("halves_default")]),
    "training_curves": ("4db1eaca794b", lambda: [leaky(THREE), leaky("srrr"), (64,), known(THREE)]),
    "tsne_pair": ("19dae2c5cd79", lambda: [load("tsne")]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_committed_results_stay_as_they_are(name):
    shown, given = FIGURES[name]
    figure = getattr(plotting, name)(*given())
    assert_tidy(figure)
    assert numbers_shown({name: figure}) == shown


def test_all_figures_are_compared():
    assert set(FIGURES) == set(plotting.__all__) - {"family_colors", "save_figure", "style"}


# Drawn by a notebook alone.
IN_NOTEBOOKS = {
    "figure6_width_and_stability": ("84685fd60842", "04_figures"),
    "gene_prior": ("96eebd0dbbe9", "08_gene_priors"),
    "noise": ("e0c865529275", "03_model"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_NOTEBOOKS)
def test_figures_that_notebooks_draw_stay_as_they_are(name, monkeypatch):
    drawn, (shown, notebook) = {}, IN_NOTEBOOKS[name]
    monkeypatch.setattr(
        plotting, "save_figure", lambda figure, path, **_: drawn.update({path.name: figure})
    )
    run_cells(notebook, dataset="simulated")
    assert_tidy(drawn[name])
    assert numbers_shown({name: drawn[name]}) == shown
