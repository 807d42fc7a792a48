"""Figures of committed results hold the numbers of the right seeds and columns."""

from pathlib import Path

from same import assert_looks_like

from sbnn.dynamics import figures, report

ROOT = Path(__file__).resolve().parents[2]
SAVED = ROOT / "saved_models"


def test_figures_of_committed_results_stay_as_they_are():
    known = report.by_condition(report.read(SAVED / "grn_350"))["noise_5"]
    found = {name: record for name, record in known.items() if "predicted" in record.values}
    paths = figures.predicted_paths(known["prior"], found)
    assert_looks_like(paths, ROOT / "figures" / "grn_350" / "dynamics_paths.png")
    real = report.by_condition(report.read(SAVED / "yeast_pramila"))["real"]
    scores = figures.scores_of_methods(real)
    assert_looks_like(scores, ROOT / "figures" / "yeast_pramila" / "dynamics_scores.png")
