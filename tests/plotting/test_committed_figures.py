"""Figures of committed records look as the committed pictures."""

import functools

import pytest
from made_up import assert_tidy
from same import assert_looks_like

from sbnn import plotting, results
from sbnn.study import figures, report
from sbnn.study.reproduce import ROOT

NOT_OF_SIMULATED = {"genes_curve", "figure3_latent_default_colorblind"}
OTHERS = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein")


@functools.cache
def drawn(dataset):
    return figures.drawings(report.read(ROOT / "saved_models" / dataset))


def assert_as_committed(figure, dataset, name):
    assert_tidy(figure)
    assert_looks_like(figure, ROOT / "figures" / dataset / f"{name}.png")


@pytest.mark.parametrize("name", sorted(figures.FIGURES.keys() - NOT_OF_SIMULATED))
def test_figures_of_simulated_cells_look_as_the_committed_pictures(name):
    assert_as_committed(drawn("simulated")[name], "simulated", name)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", OTHERS)
def test_figures_look_as_the_committed_pictures(dataset):
    for name, figure in drawn(dataset).items():
        assert_as_committed(figure, dataset, name)


def test_the_curve_of_the_number_of_genes_looks_as_the_committed_picture():
    _, draw = figures.FIGURES["genes_curve"]
    records = report.read(ROOT / "saved_models" / "citeseq_cd8")
    assert_as_committed(draw(records), "citeseq_cd8", "genes_curve")


@pytest.mark.parametrize("dataset", ["simulated", "scala"])
def test_figures_of_gene_priors_look_as_the_committed_pictures(dataset):
    record = results.load(ROOT / "saved_models" / dataset / "gene_prior.pickle")
    assert_as_committed(plotting.prior_effects(record), dataset, "gene_prior")
