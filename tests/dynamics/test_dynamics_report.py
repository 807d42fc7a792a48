"""Figures of committed results hold the numbers of the right seeds and columns."""

from pathlib import Path

from same import numbers_shown

from sbnn.dynamics import figures, report

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


def test_figures_of_committed_results_stay_as_they_are():
    known = report.by_condition(report.read(SAVED / "grn_350"))["noise_5"]
    found = {name: record for name, record in known.items() if "predicted" in record.values}
    drawn = {
        "scores": figures.scores_of_methods(
            report.by_condition(report.read(SAVED / "yeast_pramila"))["real"]
        ),
        "paths": figures.predicted_paths(known["prior"], found),
    }
    assert numbers_shown(drawn) == "00b1a8ec71df"
