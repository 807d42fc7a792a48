"""Tables and figures of made-up and of committed records."""

from types import SimpleNamespace

import pandas as pd
import pytest
from made_up import assert_tidy
from numpy.testing import assert_allclose
from same import ROOT

from sbnn.dynamics import plotting, report


def record(accuracy, error):
    """Scores of a method with three seeds."""
    scores = {"seed": [0, 1, 2], "sparsity": 0.9}
    scores |= {"balanced_accuracy": accuracy, "mse_ahead": error}
    return SimpleNamespace(scores=pd.DataFrame(scores), dataset="set")


RECORDS = {
    "noise_5_prior": record(0.9, [0.1, 0.2, 0.3]),
    "noise_5_imp": record([0.5, 0.6, 0.65], 0.02),
    "noise_5_dash": record([0.7, 0.75, 0.9], 0.1),
}


def test_tables_have_means_and_sds():
    table = report.methods_table(RECORDS, "noise_5")
    assert table.index.tolist() == [report.METHODS["prior"], "IMP", "DASH"]
    assert table["BA"].tolist() == ["0.900 ± 0", "0.583 ± 0.08", "0.783 ± 0.1"]
    assert table["one-step MSE / no change"]["DASH"] == "0.500 ± 0"


def test_the_figure_shows_means_of_methods_beside_the_prior():
    [ax] = plotting.accuracy_by_sparsity(RECORDS).axes
    assert_allclose([line.get_ydata()[0] for line in ax.lines], [0.9, 1.75 / 3, 2.35 / 3])
    heights = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert heights == pytest.approx({"IMP": 1.75 / 3, "DASH": 2.35 / 3}, abs=0.03)
    assert_tidy(plotting.accuracy_by_sparsity(report.read(ROOT / "saved_models" / "grn_350")))
