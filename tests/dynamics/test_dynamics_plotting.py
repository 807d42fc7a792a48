"""Figures show the values of records and tables."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_up import assert_tidy, words
from matplotlib.text import Annotation
from numpy.testing import assert_allclose, assert_array_equal
from same import ROOT

from sbnn.dynamics import plotting, report
from sbnn.plotting import style
from sbnn.results import Record


def record(dataset="set", values=None, **scores):
    """A record of two seeds."""
    values = {"scores": pd.DataFrame({"seed": [0, 1]} | scores)} | (values or {})
    return Record("dynamics", dataset, "", [{"sparsity": 0.7}], values=values)


def dots(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


def test_samples_are_drawn_for_the_genes_that_change_most_and_end_differently(rng):
    times = np.array([0.0, 1, 3])
    true = np.zeros((7, 3, 6))
    true[:, 1:, :5] = np.arange(1, 6) * rng.random((7, 1, 1))
    measured = true + 0.1
    axes = plotting.simulated_samples(times, true, measured, [*"abcdef"]).axes
    assert [ax.get_title() for ax in axes] == [*"edcb"]
    for ax, gene in zip(axes, (4, 3, 2, 1), strict=True):
        assert len(ax.lines) == 2 * plotting.SHOWN_SAMPLES
        assert_array_equal(ax.lines[2].get_ydata(), true[1, :, gene])
        assert_array_equal(ax.lines[3].get_xydata(), np.stack([times, measured[1, :, gene]], 1))
        assert ax.lines[2].get_color() == ax.lines[3].get_color()


def test_means_of_accuracy_are_drawn_with_published_values_and_other_sparsities():
    dash = {"sparsity": [0.9, 1.0], "balanced_accuracy": [0.6, 0.8], "mse_ahead": [0.01, 0.03]}
    prior = {"sparsity": [1, 1], "balanced_accuracy": [0.9, 0.9], "mse_ahead": [0.2, 0.2]}
    curve = {"method": "dash", "asked": 0.5, "balanced_accuracy": [0.5, 0.6], "sparsity": 0.5}
    records = {
        "noise_5_prior": record("grn_350", **prior),
        "noise_5_dash": record("grn_350", **dash),
        "sparsities": record("grn_350", **curve),
    }
    left, right = plotting.accuracy_by_sparsity(records, "noise_5").axes
    [mean], [at_error] = dots(left, "o"), dots(right, "o")
    assert_allclose(mean.get_xydata(), [[0.95, 0.7]])
    assert_allclose(at_error.get_xydata(), [[0.7, 0.02]])
    bars = [line.get_segments()[0] for line in left.collections]
    half = np.sqrt(0.005)
    assert_allclose(bars[0], [[0.95 - half, 0.7], [0.95 + half, 0.7]])
    squares = [tuple(line.get_xydata()[0]) for line in dots(left, "s") if len(line.get_xdata())]
    assert set(squares) == set(report.PUBLISHED.values())
    [line] = [line for line in left.lines if len(line.get_xdata()) == 2 and line.get_alpha()]
    assert_allclose(line.get_xydata(), [[0.5, 0.55], [0.95, 0.7]])
    del records["sparsities"]
    others = {name: record("other", **dash) for name in ("noise_5_dash", "noise_0_dash")}
    for condition in ("noise_5", "noise_0"):
        left, _ = plotting.accuracy_by_sparsity(others, condition).axes
        assert not dots(left, "s")


def test_corrected_edges_are_drawn_by_seed_and_as_means():
    of_methods = {
        "prior": record(kept_wrong=[1.0, 1.0], recall_missing=[0.0, 0.0]),
        "dash": record(kept_wrong=[0.2, 0.4], recall_missing=[0.5, 0.7]),
    }
    figure = plotting.corrected_edges({"noise_5": of_methods, "noise_10": of_methods})
    for ax in figure.axes:
        [seeds], [mean] = dots(ax, "o"), dots(ax, "D")
        assert seeds.get_xydata().tolist() == [[0.2, 0.5], [0.4, 0.7]]
        assert_allclose(mean.get_xydata(), [[0.3, 0.6]])
        assert mean.get_color() == plotting.COLORS["dash"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["DASH"]


def test_edges_are_drawn_by_kind_and_regulators_named():
    pytest.importorskip("networkx")
    edges = pd.DataFrame({"regulator": [*"aaab"], "target": [*"bcde"], "score": [3.0, -2, 1, 0.5]})
    edges["true"] = [1.0, 0, 1, 0]
    edges["in_prior"] = [True, False, False, True]
    figure = plotting.strongest_edges({"dash": SimpleNamespace(edges=edges)})
    [ax] = figure.axes
    arrows = [text.arrow_patch for text in ax.texts if isinstance(text, Annotation)]
    looks = [(arrow.get_edgecolor()[:3], arrow.get_linestyle()) for arrow in arrows]
    assert len(set(looks)) == 4
    assert ax.get_title() == "DASH: 2 of 4 strongest edges wrong"
    assert {text.get_text() for text in figure.legends[0].texts} == {
        label for label, *_ in plotting.EDGES.values()
    }
    assert {text.get_text() for text in ax.texts} == {"", "a"}, "b has one target"
    [genes] = ax.collections
    assert len(genes.get_offsets()) == 5
    assert genes.get_sizes().max() == pytest.approx(2 + 1.3 * 3)


def test_parts_of_a_network_do_not_overlap():
    nx = pytest.importorskip("networkx")
    stars = [(f"r{i}", f"t{i}_{j}") for i, n in enumerate((9, 5, 5, 2, 1)) for j in range(n)]
    place = plotting._places_of_genes(nx.DiGraph(stars))
    assert len(place) == 5 + 22
    boxes = []
    for i in range(5):
        own = np.array([at for gene, at in place.items() if gene.startswith((f"r{i}", f"t{i}_"))])
        boxes.append((own.min(axis=0), own.max(axis=0)))
    for i, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:i]:
            assert (low > other_high).any() or (high < other_low).any()


def test_out_degrees_are_drawn_as_shares_of_genes():
    truth = {"out_degree": np.array([2, 1, 0, 0]), "true_out_degree": np.array([3, 0, 0, 0])}
    records = {"prior": record(values=truth), "none": record(values={"out_degree": np.full(4, 3)})}
    true, prior, dense = plotting.out_degrees(records).axes[0].lines
    assert true.get_xydata().tolist() == [[3, 0.25]]
    assert prior.get_xydata().tolist() == [[1, 0.5], [2, 0.25]]
    assert dense.get_xydata().tolist() == [[3, 1]]
    assert dense.get_marker() == "o"


@pytest.mark.parametrize(
    "dataset", ["simulated_grn", pytest.param("grn_350", marks=pytest.mark.slow)]
)
def test_figures_of_committed_records_are_tidy(dataset):
    pytest.importorskip("networkx")
    records = report.read(ROOT / "saved_models" / dataset)
    conditions = report.by_condition(records)
    of_methods = conditions["noise_5"]
    shown = {name: of_methods[name] for name in ("imp", "dash", "sparse")}
    edges = {name: shown[name] for name in ("dash", "sparse")}
    drawn = {
        "network": plotting.strongest_edges(edges),
        "out_degree": plotting.out_degrees(of_methods),
        "noise_5_sparsity": plotting.accuracy_by_sparsity(records, "noise_5"),
    }
    conditions.pop("noise_0", None)
    drawn["corrected"] = plotting.corrected_edges(conditions)
    for name, figure in drawn.items():
        assert (ROOT / "figures" / dataset / f"dynamics_{name}.png").exists()
        with style():
            assert_tidy(figure)


@pytest.mark.parametrize("dataset", ["yeast_pramila", "breast_desmedt"])
def test_figures_of_real_data_are_tidy(dataset):
    of_methods = report.by_condition(report.read(ROOT / "saved_models" / dataset))["real"]
    shown = {name: of_methods[name] for name in ("imp", "dash", "sparse")}
    drawn = {"scores": plotting.scores_of_methods(of_methods)}
    if dataset == "yeast_pramila":
        drawn["paths"] = plotting.predicted_paths(of_methods["prior"], shown)
    for name, figure in drawn.items():
        assert (ROOT / "figures" / dataset / f"dynamics_{name}.png").exists()
        with style():
            assert_tidy(figure)


def test_titles_state_what_the_records_show(rng):
    dash = {"sparsity": 1.0, "balanced_accuracy": [0.6, 0.8], "mse_ahead": [0.01, 0.03]}
    dash |= {"kept_wrong": [0.2, 0.4], "recall_missing": [0.5, 0.7], "mse_rollout": 1.0}
    prior = dash | {"balanced_accuracy": 0.65, "mse_ahead": 0.015}
    records = {"noise_5_prior": record(**prior), "noise_5_dash": record(**dash)}
    of_methods = report.by_condition(records)["noise_5"]
    text = words(plotting.accuracy_by_sparsity(records, "noise_5"))
    assert "More accurate than the prior (0.650): DASH (0.700)" in text
    text = words(plotting.corrected_edges({"noise_5": of_methods}))
    assert "DASH finds 60%, keeps 30%" in text
    text = words(plotting.scores_of_methods(of_methods))
    assert "no network (lowest: 0.0200) predicts better than “the prior alone” (0.0150)" in text
    of_methods["dash"].scores["mse_ahead"] = 0.01
    text = words(plotting.scores_of_methods(of_methods))
    assert "DASH (0.0100) predicts better than “the prior alone” (0.0150)" in text
