"""Which records a figure of the study is drawn from."""

from pathlib import Path

import pytest

from sbnn.study import figures, report

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


@pytest.fixture(scope="module")
def simulated():
    return report.read(SAVED / "simulated")


@pytest.mark.parametrize(
    ("fit", "point"),
    [
        ("fit_default_64d", {"n_components": 64}),
        ("fit_network_2d", {"n_components": 2, "pretraining": True, "group_lasso": 0.1}),
    ],
)
def test_a_fit_is_tested_with_its_own_parameters(simulated, fit, point):
    record, found = figures.tested(simulated, fit)
    assert record is simulated[f"cv_{fit.split('_')[1]}"]
    assert found == point
    assert figures.tested({fit: simulated[fit]}, fit) is None


def test_true_genes_are_those_of_the_simulation(simulated):
    fit = simulated["fit_default_2d"]
    true = figures.true_genes(fit)
    assert len(true) == 25
    assert len(set(true) & set(fit.kept_genes)) > 20
    fit.dataset = "mine"
    assert figures.true_genes(fit) is None


def test_models_are_compared_and_results_scaled_as_published_come_first():
    records = dict.fromkeys(["cv_ridge", f"cv_ridge_{report.LEAK}", "cv_default"])
    assert list(figures.compared_models(records)) == ["sBNN distilled, d = 2", "ridge"]
    scaled = {"cv_ridge": "fold", f"cv_ridge_{report.LEAK}": "all"}
    assert figures.as_published(scaled, "ridge") == "all"
    assert figures.as_published({"cv_ridge": "fold"}, "ridge") == "fold"


def test_figures_are_drawn_if_their_records_exist(simulated, tmp_path):
    for name in ("gene_selection", "fit_default_2d"):
        (tmp_path / "simulated").mkdir(exist_ok=True)
        path = tmp_path / "simulated" / f"{name}.pickle"
        path.write_bytes((SAVED / "simulated" / path.name).read_bytes())
    drawn = figures.draw("simulated", tmp_path, tmp_path / "figures")
    assert drawn.keys() == {"figure3_latent_default", "gene_selection", "overview", "bibiplot"}
    assert {path.stem for path in tmp_path.glob("figures/*/*.png")} == drawn.keys()
