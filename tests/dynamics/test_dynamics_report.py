"""Tables and figures of made-up and of committed records."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from material.comparisons import interval_text
from material.drawn import (
    assert_tidy,
    colors_of,
    error_bars,
    heights,
    lines_of,
    texts_on,
    tick_names,
)
from material.figures import axes_of
from material.notebooks import rows_of, shown_rows
from material.paths import SAVED_MODELS
from material.records import DYNAMICS, EFFECTS_OF_NETWORKS, PATHS
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

from sbnn.dynamics import plotting, report
from sbnn.results import records_by_name

#: Accuracy that three seeds lose with more noise.
LOST = [0.1, 0.05, 0.15]


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


@pytest.fixture
def noisy(records):
    """The same with other noise, and with two further draws of the prior and of DASH."""
    more = {"seed": [3, 4], "sparsity": 0.7, "mse_ahead": 0.1}
    for name, accuracy in {"prior": [0.9, 0.9], "dash": [0.7, 0.7]}.items():
        scores = pd.DataFrame(more | {"balanced_accuracy": accuracy})
        records[f"more_noise_5_{name}"] = SimpleNamespace(scores=scores, dataset="set")
    for noise, lost in {"noise_0": 0, "noise_10": np.array(LOST)}.items():
        for name in ("prior", "imp", "dash"):
            accuracy = records[f"noise_5_{name}"].scores["balanced_accuracy"] - lost
            records[f"{noise}_{name}"] = record_of(accuracy=accuracy, error=0.1)
    return records


def test_differences_are_of_the_draws_that_both_have(noisy):
    columns = {"BA": ("noise_5", "balanced_accuracy")}
    table = report.differences_in_draws(noisy, columns)
    assert table.index.tolist() == ["the prior alone, no change", "IMP"]
    # of five draws: -0.2, -0.15, 0, -0.2 and -0.2; of three: 0.2, 0.15 and 0.25
    assert [text.split()[0] for text in table["BA"]] == ["-0.150", "+0.200"]
    assert table.loc["IMP", "BA"] == "+0.200 [+0.0758, +0.324]"  # 4.303 * 0.05 / sqrt(3)


def test_sparsity_is_of_all_draws_beside_the_published_one(noisy):
    table = report.sparsity_table(noisy)
    assert table.loc["DASH", "sparsity"] == "0.820"
    assert table.loc["DASH", "published sparsity"] == "0.946"
    assert table.loc["DASH", "BA, 5 %"] == "0.750"
    assert table.loc["DASH", "10 % minus 0 %"] == interval_text(np.negative(LOST))


def test_a_quick_run_has_no_interval(records):
    one_draw = {name: record_of(0.9, 0.1) for name in records}
    for record in one_draw.values():
        record.scores = record.scores[:1]
    columns = {"BA": ("noise_5", "balanced_accuracy")}
    assert report.differences_in_draws(one_draw, columns).empty
    assert report.sparsity_table(one_draw).columns.tolist()[-1] == "BA, 5 %"


@pytest.fixture(scope="module")
def committed():
    """Committed records of a data set."""
    return lambda dataset: report.read_dynamics_records(SAVED_MODELS / dataset)


def test_the_figure_of_committed_records_is_tidy(committed):
    assert_tidy(plotting.accuracy_by_sparsity(committed("grn_350")))


def test_accuracy_is_drawn_at_every_noise(committed):
    _, of_noise, _ = plotting.accuracy_by_sparsity(committed("grn_350")).axes
    table = report.sparsity_table(committed("grn_350"))
    expected = table.filter(like="BA").astype(float).loc["DASH"]
    [line] = lines_of(of_noise, color=plotting.DYNAMICS_COLORS["dash"])
    assert_allclose(line.get_xydata().T, [[0, 5, 10], expected], atol=5e-4)


def test_ours_stand_beside_published_numbers(committed):
    table = report.published_numbers_table(committed("grn_350"))
    dash = table.loc[("DASH", "5 %")]
    assert dash["published BA"] == "0.906" and dash["BA"].startswith("0.892 [0.883, 0.901]")
    assert dash["published one-step MSE"] == "0.00072"
    assert dash["one-step MSE"] == "0.00165 [0.00138, 0.00192]"
    assert len(table) == 14


def test_bound_edges_are_compared_with_the_prior(committed):
    dash = report.bound_edges_table(committed("breast_desmedt")).loc["DASH"]
    numbers = ["0.611 ± 0.013", "0.597 ± 0.009", "0.575 ± 0.012", "0.518 ± 0.015"]
    assert dash.tolist() == [*numbers, "+0.014 [+0.005, +0.023]"]


def test_regulation_is_shared_by_regulators_of_the_same_targets():
    found = EFFECTS_OF_NETWORKS["5 %"]["dash"]
    assert_allclose(report.coregulation(found), [[0, 6, 0, 0], [6, 0, 0, 0], [0] * 4, [0] * 4])
    table = report.shared_regulation_table(EFFECTS_OF_NETWORKS)
    dash = table.loc[("DASH", "10 %")]
    assert dash.tolist() == [3, 0.5, 1]


def test_pairs_that_share_targets_are_of_two_genes(rng):
    names = ("truth", "prior", *report.MAPPED_METHODS)
    effects = {name: rng.normal(size=(8, 8)) * (rng.random((8, 8)) < 0.4) for name in names}
    table = report.shared_regulation_table({"": effects})
    share = {}
    for name in ("truth", "dash"):
        sizes = np.abs(effects[name])
        share[name] = [a @ b for a, b in combinations(sizes, 2)]
    auroc = roc_auc_score(np.array(share["truth"]) > 0, share["dash"])
    assert table.loc[("DASH", ""), "AUROC of shared targets"] == pytest.approx(auroc)


def test_networks_are_maps_of_targets_by_regulators():
    axes = np.reshape(axes_of("network_maps")[:24], (4, 6))
    assert axes[1, 0].get_ylabel() == "target, 10 %"
    titles = ["truth", "prior", "PathReg", "IMP", "BioPruning", "DASH"]
    assert [ax.get_title() for ax in axes[0]] == titles
    found = EFFECTS_OF_NETWORKS["10 %"]["dash"]
    top = np.quantile([2, 3, 5], 0.9)
    assert_allclose(axes[0, 5].images[0].get_array(), found.T / top)
    assert_allclose(axes[2, 5].images[0].get_array(), report.coregulation(found) / 6)


def test_red_is_activation_and_white_no_effect():
    axes = np.reshape(axes_of("network_maps")[:24], (4, 6))
    effects, shared = axes[0, 5].images[0], axes[2, 5].images[0]
    activated, repressed = effects.cmap(effects.norm([1, -1]))[:, :3]
    assert activated[0] > activated[2] and repressed[0] < repressed[2]
    for image in (effects, shared):
        assert min(image.cmap(image.norm(0))) > 0.95


def test_effects_on_known_targets_are_drawn(committed):
    records = committed("breast_desmedt")
    of_targets = {"PHOENIX": records["targets_none"], "DASH": records["targets_dash"]}
    every, beyond, _ = plotting.known_targets_map(of_targets).axes
    tests = records["targets_dash"].tests
    for ax, genes in {every: "all", beyond: "not in the prior"}.items():
        of_genes = tests[tests["genes"] == genes]
        assert tick_names(ax.xaxis) == of_genes["regulator"].tolist()
        assert_allclose(ax.images[0].get_array()[1], of_genes["z"])
        stars = [text.get_position()[0] for text in texts_on(ax) if text.get_position()[1] == 1]
        assert_allclose(stars, np.flatnonzero(of_genes["p"] < report.TEST_LEVEL))


#: With a published accuracy, in display order.
COMPARED = [name for name in report.METHOD_LABELS if name in report.PUBLISHED_ACCURACY]
#: Sparsity and accuracy of each, in three seeds.
SCORES = [DYNAMICS[name][["sparsity", "balanced_accuracy"]] for name in COMPARED]


def test_networks_are_means_with_sds_over_seeds():
    ax, *_ = axes_of("accuracy_by_sparsity")
    drawn = [error_bars(container)[0] for container in ax.containers]
    assert_allclose(drawn, [[*scores.mean(), *scores.std()] for scores in SCORES])
    colors = [to_hex(plotting.DYNAMICS_COLORS[name]) for name in COMPARED]
    assert colors_of(ax.containers) == colors


def test_lines_lead_to_published_values():
    *lines, _ = lines_of(axes_of("accuracy_by_sparsity")[0], marker="s")  # and of the legend
    ends = {
        to_hex(plotting.DYNAMICS_COLORS[name]): [scores.mean(), report.PUBLISHED_ACCURACY[name]]
        for name, scores in zip(COMPARED, SCORES, strict=True)
    }
    expected = [ends[color] for color in colors_of(lines)]
    assert_allclose([line.get_xydata() for line in lines], expected)


def test_names_stand_beside_their_networks():
    ax, *_ = axes_of("accuracy_by_sparsity")
    accuracy = pd.Series({name: DYNAMICS[name]["balanced_accuracy"].mean() for name in COMPARED})
    nearest = {}
    for text in texts_on(ax):
        _, height = text.get_position()
        nearest[text.get_text()] = (accuracy - height).abs().idxmin()
    assert nearest == {report.METHOD_LABELS[name]: name for name in COMPARED}


def test_the_prior_is_a_level():
    accuracy = DYNAMICS["prior"]["balanced_accuracy"].mean()
    level, *_ = axes_of("accuracy_by_sparsity")[0].lines
    assert_allclose(level.get_ydata(), [accuracy, accuracy])


def test_differences_from_dash_are_of_the_same_seeds():
    beside = axes_of("accuracy_by_sparsity")[2]
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


def test_notebook_07_has_the_tests_of_known_targets():
    records = report.read_dynamics_records(SAVED_MODELS / "breast_desmedt")
    of_targets = records_by_name(records, "targets", report.METHOD_LABELS)
    table = report.known_targets_table(of_targets).rename(index=report.METHOD_LABELS)
    shown = shown_rows("07_dynamics")
    for row in rows_of(table, digits=2):
        assert row in shown
