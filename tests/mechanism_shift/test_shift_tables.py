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
BOUNDS = {"seconds": 8.0, "elbo": -3.0, "new_iwelbo": -2.0}
OURS = scored((2, 0, 1), mcc=[0.9, 0.8, 1.0], f1=[0.5, 0.7, 0.6], **BOUNDS)
DEFAULT = report.LABELS["default"]


def test_scores_are_averaged_over_seeds():
    table = report.methods_table({"pca": PCA, "default": OURS})
    assert table.loc["PCA"].tolist()[:4] == pytest.approx([0.3, 0.1, 0.2, 3.0])
    assert table.loc[DEFAULT, "ELBO"] == -3


def test_differences_are_of_the_same_seeds_with_intervals_over_seeds():
    row = report.differences_table({"pca": PCA, "default": OURS}).loc["PCA"]
    differences = np.array([0.7, 0.6, 0.5]) - [0.1, 0.1, 0.4]
    mean = differences.mean()
    low, high = stats.t.interval(0.95, 2, mean, stats.sem(differences))
    assert row["edge F1"] == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


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


def test_genes_of_latents_and_direct_effects_are_drawn_in_one_order(real):
    top, bottom = plotting.latents_and_genes(real).axes[:2]
    names = [label.get_text() for label in bottom.get_xticklabels()]
    assert names == ["d", "a", "b", "c", "e"], "by latent, then by size"
    assert top.images[0].get_array()[1].tolist() == [0.2, 0.1, 0.9, -0.6, -1.2]
    assert bottom.images[0].get_array().tolist() == [[0, 0, 0, -1.5, 0.5]]


def test_latents_are_drawn_and_wrong_edges_marked():
    shifts = pd.DataFrame([[0, 2], [3, 0]])
    record = SimpleNamespace(true_shifts=shifts, edges=shifts >= 0, effects=10 * shifts)
    true, found = plotting.found_graph(record).axes[:2]
    assert true.images[0].get_array().tolist() == [[3, 0], [0, 2]]
    assert found.images[0].get_array().tolist() == [[30, 0], [0, 20]]
    assert found.lines[0].get_xydata().tolist() == [[1, 0], [0, 1]]
