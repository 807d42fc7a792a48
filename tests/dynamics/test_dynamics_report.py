"""Figures of committed results hold the numbers of the right seeds and columns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import words
from same import numbers_shown

from sbnn.dynamics import figures, report

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


@pytest.fixture(scope="module")
def records():
    return report.read(SAVED / "grn_350")


def test_figures_of_committed_results_stay_as_they_are(records):
    known = report.by_condition(records)["noise_5"]
    found = {name: record for name, record in known.items() if "predicted" in record.values}
    drawn = {
        "scores": figures.scores_of_methods(report.by_condition(report.read(SAVED / "yeast_pramila"))["real"]),
        "paths": figures.predicted_paths(known["prior"], found),
    }
    assert numbers_shown(drawn) == "7a9506668ada"


def test_predictions_outside_the_range_of_the_data_are_counted(records):
    prior, dash = (report.by_condition(records)["noise_5"][name] for name in ("prior", "dash"))
    predicted = np.clip(dash.predicted, prior.test[:, 1:].min(), prior.test[:, 1:].max())
    predicted[0, 1, :3] = [-9, 9, 9]
    beyond = replace(dash, values=dash.values | {"predicted": predicted})
    drawn = figures.predicted_paths(prior, {"dash": beyond})
    assert f"3 of {prior.test[:, 1:].size} outside" in words(drawn)
