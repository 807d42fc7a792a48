"""Which records a figure of the study is drawn from."""

from pathlib import Path
from shutil import copy

import pytest

from sbnn.study import figures, report

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


@pytest.fixture(scope="module")
def simulated():
    return report.read(SAVED / "simulated")


def test_a_fit_is_tested_with_its_own_parameters(simulated):
    record, point = figures.tested(simulated, "fit_network_2d")
    assert record is simulated["cv_network"]
    assert point == {"n_components": 2, "pretraining": True, "group_lasso": 0.1}
    alone = {"fit_network_2d": simulated["fit_network_2d"]}
    assert figures.tested(alone, "fit_network_2d") is None


def test_figures_are_drawn_if_their_records_exist(simulated, tmp_path):
    (tmp_path / "simulated").mkdir()
    for name in ("gene_selection.pickle", "fit_default_2d.pickle"):
        copy(SAVED / "simulated" / name, tmp_path / "simulated")
    drawn = figures.draw("simulated", tmp_path, tmp_path / "figures")
    assert drawn.keys() == {"figure3_latent_default", "gene_selection", "overview", "bibiplot"}
    assert {path.stem for path in tmp_path.glob("figures/*/*.png")} == drawn.keys()
