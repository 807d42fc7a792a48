"""Tables and figures of committed results hold the numbers of the right seeds and columns."""

from pathlib import Path

import numpy as np
import pytest

from sbnn.dynamics import figures, report

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


@pytest.fixture(scope="module")
def records():
    return report.read(SAVED / "grn_350")


def test_differences_are_those_of_the_same_seeds(records):
    scores = [records[f"noise_5_{name}"].scores.set_index("seed") for name in ("dash", "phoenix")]
    less = (scores[0] - scores[1])["balanced_accuracy"]
    found = report.differences_table(records, "noise_5").loc["DASH less PHOENIX, prior in the loss", "BA"]
    assert found.startswith(f"{less.mean():+.3g} [") and less.mean() > 0.1


def test_bars_are_the_standard_deviations_of_their_axis(records):
    dash = records["noise_5_dash"]
    [container] = figures.accuracy_by_sparsity({"dash": dash}, "noise_5").axes[0].containers
    wide, high = (np.ptp(bars.get_segments()[0], axis=0) for bars in container.lines[2])
    sd = dash.scores[["sparsity", "balanced_accuracy"]].std()
    np.testing.assert_allclose([wide[0], high[1]], 2 * sd)
