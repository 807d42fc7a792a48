"""Tables and figures of made-up and of committed records."""

from types import SimpleNamespace

import pandas as pd
import pytest
from drawn import colors_of, error_bars, lines_of, nearest_groups
from figure_records import dynamics
from made_up import assert_tidy
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
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


@pytest.fixture(scope="module")
def methods():
    """Those with a published accuracy, in display order."""
    return [name for name in report.METHOD_LABELS if name in report.PUBLISHED_ACCURACY]


@pytest.fixture(scope="module")
def drawn_scores(methods):
    """Of three seeds for each method, and of the prior."""
    records = dynamics(["prior", *methods])
    scores = [record.scores[["sparsity", "balanced_accuracy"]] for record in records.values()]
    return dict(zip(["prior", *methods], scores, strict=True))


@pytest.fixture(scope="module")
def figure_axes(methods):
    [ax] = report.accuracy_by_sparsity(dynamics(["prior", *methods])).axes
    return ax


def test_networks_are_means_with_sds_over_seeds(figure_axes, methods, drawn_scores):
    drawn = [error_bars(container)[0] for container in figure_axes.containers]
    tables = [drawn_scores[name] for name in methods]
    assert_allclose(drawn, [[*table.mean(), *table.std()] for table in tables])
    colors = [to_hex(report.DYNAMICS_COLORS[name]) for name in methods]
    assert colors_of(figure_axes.containers) == colors


def test_lines_lead_to_published_values(figure_axes, drawn_scores):
    lines = lines_of(figure_axes, marker="s")
    ends = [(drawn_scores[name].mean(), end) for name, end in report.PUBLISHED_ACCURACY.items()]
    assert_allclose([line.get_xydata() for line in lines], ends)
    colors = [to_hex(report.DYNAMICS_COLORS[name]) for name in report.PUBLISHED_ACCURACY]
    assert colors_of(lines) == colors


def test_names_stand_beside_their_networks(figure_axes, methods, drawn_scores):
    places = [drawn_scores[name].mean() for name in methods]
    nearest = nearest_groups(figure_axes, places, methods)
    assert nearest == {report.METHOD_LABELS[name]: name for name in methods}


def test_the_prior_is_a_level(figure_axes, drawn_scores):
    accuracy = drawn_scores["prior"]["balanced_accuracy"].mean()
    assert_allclose(figure_axes.lines[0].get_ydata(), [accuracy, accuracy])
