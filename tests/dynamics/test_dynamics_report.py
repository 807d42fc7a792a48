"""Tables and figures of made-up and of committed records."""

from types import SimpleNamespace

import pandas as pd
import pytest
from drawn import colors_of, error_bars, heights, lines_of, texts_on, tick_names
from figure_records import DYNAMICS, PATHS, axes_of
from made_up import assert_tidy, figure_text
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from pages import to_markdown
from same import ROOT

from sbnn.dynamics import report
from sbnn.results import records_by_name


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


#: With a published accuracy, in display order.
NETWORKS = [name for name in report.METHOD_LABELS if name in report.PUBLISHED_ACCURACY]
#: Sparsity and accuracy of each, in three seeds.
SCORES = [DYNAMICS[name][["sparsity", "balanced_accuracy"]] for name in NETWORKS]


def test_networks_are_means_with_sds_over_seeds():
    ax, _ = axes_of("accuracy_by_sparsity")
    drawn = [error_bars(container)[0] for container in ax.containers]
    assert_allclose(drawn, [[*scores.mean(), *scores.std()] for scores in SCORES])
    colors = [to_hex(report.DYNAMICS_COLORS[name]) for name in NETWORKS]
    assert colors_of(ax.containers) == colors


def test_lines_lead_to_published_values():
    *lines, _ = lines_of(axes_of("accuracy_by_sparsity")[0], marker="s")  # and of the legend
    ends = {
        to_hex(report.DYNAMICS_COLORS[name]): [scores.mean(), report.PUBLISHED_ACCURACY[name]]
        for name, scores in zip(NETWORKS, SCORES, strict=True)
    }
    expected = [ends[color] for color in colors_of(lines)]
    assert_allclose([line.get_xydata() for line in lines], expected)


def test_names_stand_beside_their_networks():
    ax, _ = axes_of("accuracy_by_sparsity")
    accuracy = pd.Series({name: DYNAMICS[name]["balanced_accuracy"].mean() for name in NETWORKS})
    nearest = {}
    for text in texts_on(ax):
        _, height = text.get_position()
        nearest[text.get_text()] = (accuracy - height).abs().idxmin()
    assert nearest == {report.METHOD_LABELS[name]: name for name in NETWORKS}


def test_the_prior_is_a_level():
    accuracy = DYNAMICS["prior"]["balanced_accuracy"].mean()
    level, *_ = axes_of("accuracy_by_sparsity")[0].lines
    assert_allclose(level.get_ydata(), [accuracy, accuracy])


def test_differences_from_dash_are_of_the_same_seeds():
    beside = axes_of("accuracy_by_sparsity")[1]
    by_seed = DYNAMICS["prior"]["balanced_accuracy"] - DYNAMICS["dash"]["balanced_accuracy"]
    [[x, y, *_]] = error_bars(beside.containers[0])
    assert (x, y) == pytest.approx((by_seed.mean(), 0))
    assert tick_names(beside.yaxis)[0] == report.METHOD_LABELS["prior"]


def test_paths_are_of_genes_that_vary_most():
    ax, *_ = axes_of("predicted_paths")
    assert ax.get_title() == "Y6"
    measured, ridge, *_ = heights(ax.lines)
    assert_allclose(measured, [0, 6, 12, 18])
    assert_allclose(ridge, PATHS["real_ridge"].predicted[0, :, 6])


@pytest.mark.parametrize(("error", "word"), [(2, "no"), (0.5, "a")])
def test_the_headline_says_whether_a_network_helps(error, word):
    scores = PATHS["real_none"].scores.assign(mse_rollout=error)
    network = SimpleNamespace(**vars(PATHS["real_none"]) | {"scores": scores})
    figure = report.predicted_paths(PATHS | {"real_none": network})
    assert f"yeast cell cycle; {word} network predicts better" in figure_text(figure)


def test_the_page_has_the_tests_of_known_targets():
    records = report.read_dynamics_records(ROOT / "saved_models" / "breast_desmedt")
    of_targets = records_by_name(records, "targets", report.METHOD_LABELS)
    table = report.known_targets_table(of_targets).rename(index=report.METHOD_LABELS)
    page = (ROOT / "docs" / "dynamics.md").read_text()
    for line in to_markdown(table).splitlines():
        assert line in page
