"""Tables and figures of screens, against the records that they are made from."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sbnn.mechanism_shift import plotting, report
from sbnn.mechanism_shift.graph import graph_table


def scored(seeds=(0, 1, 2), **columns):
    """Record with scores by seed."""
    return SimpleNamespace(scores=pd.DataFrame({"seed": seeds} | columns))


PCA = scored(mcc=[0.2, 0.4, 0.3], f1=[0.1, 0.1, 0.4], seconds=[1.0, 2.0, 6.0])
TIMES = {"seconds": [8.0, 9.0, 7.0], "elbo": [-3.0] * 3, "new_iwelbo": [-2.0] * 3}
OURS = scored((2, 0, 1), mcc=[0.9, 0.8, 1.0], f1=[0.5, 0.7, 0.6], **TIMES)
DEFAULT = report.LABELS["default"]


def test_scores_are_averaged_over_seeds():
    table = report.methods_table({"pca": PCA, "default": OURS})
    assert list(table) == ["MCC", "SD", "edge F1", "CPU s", "ELBO", "IWELBO, held out"]
    assert table.loc["PCA"].tolist()[:4] == pytest.approx([0.3, 0.1, 0.2, 3.0])
    assert table.loc[DEFAULT, "ELBO"] == -3
    overview = report.overview_table({"small_pca": PCA, "script_default": OURS})
    assert overview.loc["PCA"].tolist() == ["0.300 ± 0.100", "0.200 ± 0.173", "", ""]


def interval(differences, share=0.0):
    """Mean and 95 % interval, with the variance that training cells shared by the folds add."""
    mean, n = differences.mean(), len(differences)
    half = stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) * np.sqrt(1 / n + share)
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def test_differences_are_of_the_same_seeds_with_intervals_over_seeds():
    row = report.differences_table({"pca": PCA, "default": OURS}).loc["PCA"]
    assert row["edge F1"] == interval(np.array([0.7, 0.6, 0.5]) - [0.1, 0.1, 0.4])
    assert row["ELBO"] == ""
    once = {
        name: scored((0,), mcc=[0.5], f1=[0.0], elbo=0, new_iwelbo=0) for name in ("default", "z")
    }
    once["z"].scores["mcc"] = 0.75
    assert report.differences_table(once)["MCC"].tolist() == ["-0.250"]


def test_rivals_are_subtracted_from_the_default_with_effects_on_genes():
    rows = [("papalexi", split, [0.0, -1.0 - split, -9.0]) for split in (0, 0, 1, 2)]
    runs = []
    for screen, split, given in [*rows, ("targeted", 0, [0.5, 1.0, 0.0])]:
        methods = pd.Index(["default, effects", "ivae", "means"], name="method")
        runs.append(pd.DataFrame({"given": given, "screen": screen, "split": split}, methods))
    table = report.rivals_table(runs)
    assert list(table.index) == [report.RIVALS[name] for name in ("means", *methods[1::-1])]
    assert table.iloc[2].tolist() == ["0.00", "0.50"]
    shared = interval(np.array([1.0, 2, 3]), 1)  # halves of one screen share cells
    assert table.iloc[1].tolist() == [shared, "-0.500"]


@pytest.fixture
def real():
    """Record of fits to a real screen with two seeds."""
    effects = np.array([[2.0, 0.1], [1.5, 0.9], [1.0, -0.6], [3.0, 0.2], [0.3, -1.2]])
    probabilities = [[0.9, 0.1], [1.0, 0.6], [0.8, 0.51], [1.0, 0.0], [0.5, 0.7]]
    graph = graph_table([*"abcde"], effects, probabilities)
    graphs = [graph.assign(seed=0), graph.assign(seed=1, probability=1.0)]
    genes = pd.DataFrame({"latent_0": [0.9, -0.95, 0.1], "latent_1": [0.1, 0.2, -0.7]}, [*"uvw"])
    direct = pd.DataFrame({"perturbation": ["e", "c"], "gene": "u", "direct": [0.5, -1.5]})
    return SimpleNamespace(graph=pd.concat(graphs), dataset="s", genes=genes, effects=direct)


def test_edges_are_listed_by_seed(real):
    table = report.edges_table(real.graph)
    assert table.loc["b", "seed 0"] == "0 (+1.50), 1 (+0.90)"
    assert table.loc["e"].tolist() == ["1 (-1.20)", "0 (+0.30), 1 (-1.20)"]


def test_genes_of_latents_and_direct_effects_are_drawn_in_one_order(real, monkeypatch):
    top, bottom = plotting.latents_and_genes(real).axes[:2]
    names = [label.get_text() for label in bottom.get_xticklabels()]
    assert names == ["d", "a", "b", "c", "e"], "by latent, then by size"
    assert top.get_yticklabels()[0].get_text() == "0: v, u, w"
    assert top.images[0].get_array()[1].tolist() == [0.2, 0.1, 0.9, -0.6, -1.2]
    assert bottom.images[0].get_array().tolist() == [[0, 0, 0, -1.5, 0.5]]
    assert len(top.lines[0].get_xdata()) == 7
    monkeypatch.setattr(plotting, "SHOWN", 2)
    real.effects = real.effects[:0]
    bottom = plotting.latents_and_genes(real).axes[1]
    assert [label.get_text() for label in bottom.get_xticklabels()] == ["d", "a"], "the largest"
    assert bottom.get_yticklabels()[0].get_text() == "none"


def test_methods_are_drawn_by_their_scores():
    panels = plotting.scores_of_methods({"pca": PCA, "default": OURS}).axes
    assert panels[0].lines[1].get_xdata() == pytest.approx([0.3]), "the mean of PCA"
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["PCA", DEFAULT]


def test_latents_are_drawn_and_wrong_edges_marked():
    shifts = pd.DataFrame([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    edges = pd.DataFrame([[True, True], [False, False], [False, False]])
    figure = plotting.found_graph(SimpleNamespace(true_shifts=shifts, edges=edges, effects=shifts))
    assert figure.axes[0].images[0].get_array().tolist() == [[3, 0], [0, 2], [0, 0]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[0, 0], [0, 1]]
