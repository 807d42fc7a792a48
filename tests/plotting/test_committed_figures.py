"""Figures of committed records look as the committed pictures."""

import functools
from pathlib import Path

import pytest
from made_up import assert_tidy
from notebook import run_cells
from same import assert_looks_like

from sbnn import plotting, results

ROOT = Path(__file__).resolve().parents[2]
PAPER = {"pretraining": True, "group_lasso": 0.1}
TITLES = ("transcriptome", "outputs")


@functools.cache
def load(name, dataset="simulated"):
    return results.load(ROOT / "saved_models" / dataset / f"{name}.pickle")


def latent_panels():
    fits = load("fit_srrr_rank2"), load("fit_srrr_rank16")
    scores = [(load("cv_srrr"), {"rank": rank}) for rank in (2, 16)]
    genes = load("gene_prior").lists["true genes"]
    return plotting.latent_panels(*fits, scores=scores, true_genes=genes)


def family_zoom():
    fits = load("fit_network_64d"), load("fit_network_2d")
    scores = [(load("cv_network"), {"n_components": width, **PAPER}) for width in (64, 2)]
    return plotting.family_zoom(*fits, scores=scores)


def overview():
    genes = load("gene_prior").lists["true genes"]
    fit = load("fit_default_2d")
    return plotting.overview(fit, load("halves_default"), load("cv_default"), genes)


def accuracy_comparison():
    models = {
        "sBNN distilled, d = 2": (load("cv_default"), {"n_components": 2}),
        "sBNN paper, d = 2": (load("cv_network"), {"n_components": 2, **PAPER}),
        "sRRR, rank 2": (load("cv_srrr"), {"rank": 2}),
        "sRRR, rank 16": (load("cv_srrr"), {"rank": 16}),
        "ridge": load("cv_ridge"),
    }
    return plotting.accuracy_comparison(models)


def tsne_pair():
    return plotting.tsne_pair(load("tsne"), TITLES, load("fit_default_2d"))


FIGURES = {
    "simulated/figure3_latent_srrr": latent_panels,
    "simulated/figure4_family_zoom": family_zoom,
    "simulated/figure7_tsne": tsne_pair,
    "simulated/overview": overview,
    "simulated/accuracy": accuracy_comparison,
    "simulated/component_variance": lambda: plotting.component_variance(load("components"), TITLES),
    "simulated/effects": lambda: plotting.effect_map(load("interpretation")),
    "simulated/map_trust": lambda: plotting.map_trust(load("map_trust"), load("fit_default_2d")),
    "simulated/stability_selection": lambda: plotting.selection_frequencies(load("halves_default")),
    "simulated/figure8_gene_selection": lambda: plotting.gene_selection_curve(
        load("gene_selection")
    ),
    "citeseq_cd8/genes_curve": lambda: plotting.genes_curve(load("genes_curve", "citeseq_cd8")),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_committed_records_look_as_the_committed_pictures(name):
    figure = FIGURES[name]()
    assert_tidy(figure)
    assert_looks_like(figure, ROOT / "figures" / f"{name}.png")


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["simulated", "scala"])
@pytest.mark.parametrize("notebook", ["03_model", "04_figures", "08_gene_priors"])
def test_figures_of_notebooks_look_as_the_committed_pictures(notebook, dataset, monkeypatch):
    drawn = {}

    def keep(figure, path, **_):
        drawn[path.name] = figure

    monkeypatch.setattr(plotting, "save_figure", keep)
    run_cells(notebook, dataset=dataset)
    for name, figure in drawn.items():
        assert_tidy(figure)
        assert_looks_like(figure, ROOT / "figures" / dataset / f"{name}.png")
