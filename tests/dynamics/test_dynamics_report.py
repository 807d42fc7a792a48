"""Tables and figures of made-up and of committed records."""

from types import SimpleNamespace

import pandas as pd
import pytest
from made_up import assert_tidy
from same import ROOT

from sbnn.dynamics import report


def record_of(accuracy, error):
    """Scores of a method with three seeds."""
    scores = {
        "seed": [0, 1, 2],
        "sparsity": 0.9,
        "balanced_accuracy": accuracy,
        "mse_ahead": error,
    }
    return SimpleNamespace(scores=pd.DataFrame(scores), dataset="set")


@pytest.fixture
def records():
    return {
        "noise_5_prior": record_of(accuracy=0.9, error=[0.1, 0.2, 0.3]),
        "noise_5_imp": record_of(accuracy=[0.5, 0.6, 0.65], error=0.02),
        "noise_5_dash": record_of(accuracy=[0.7, 0.75, 0.9], error=0.1),
    }


def test_tables_have_methods_by_label(records):
    table = report.dynamics_methods_table(records, "noise_5")
    assert table.index.tolist() == ["the prior alone, no change", "IMP", "DASH"]


def test_tables_have_means_and_sds(records):
    table = report.dynamics_methods_table(records, "noise_5")
    assert table["BA"].tolist() == ["0.900 ± 0", "0.583 ± 0.08", "0.783 ± 0.1"]


def test_errors_are_relative_to_no_change(records):
    table = report.dynamics_methods_table(records, "noise_5")
    assert table["one-step MSE / no change"]["DASH"] == "0.500 ± 0"


def test_the_figure_of_committed_records_is_tidy():
    records = report.read_dynamics_records(ROOT / "saved_models" / "grn_350")
    assert_tidy(report.accuracy_by_sparsity(records))
