"""Figures of committed results hold the numbers of the right seeds and columns."""

from pathlib import Path

import pytest
from same import numbers_shown

from sbnn.dynamics import figures, report

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


@pytest.fixture(scope="module")
def records():
    return report.read(SAVED / "grn_350")


def test_figures_of_committed_results_stay_as_they_are(records):
    of = report.by_condition(records)
    known, corrupted = of["noise_5"], {name: of[name] for name in ("noise_5", "noise_10")}
    found = {name: record for name, record in known.items() if "predicted" in record.values}
    drawn = {
        "scores": figures.scores_of_methods(report.by_condition(report.read(SAVED / "yeast_pramila"))["real"]),
        "sparsity": figures.accuracy_by_sparsity(known, "noise_5", report.by_sparsity(records)),
        "corrected": figures.corrected_edges(corrupted),
        "out_degree": figures.out_degrees({"prior": known["prior"]} | found),
        "paths": figures.predicted_paths(known["prior"], found),
        "network": figures.strongest_edges(found),
    }
    assert numbers_shown(drawn) == "c747bdfac483"
