"""Tables and figures of screens, against the records that they are made from."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sbnn.mechanism_shift import plotting
from sbnn.mechanism_shift.graph import graph_table


@pytest.fixture
def real():
    """Record of fits to a real screen with two seeds."""
    effects = np.array([[2.0, 0.1], [3.0, -0.6], [0.3, -1.2]])
    graph = graph_table([*"abc"], effects, np.abs(effects) > 0.5)
    graphs = [graph.assign(seed=0), graph.assign(seed=1, probability=1.0)]
    genes = pd.DataFrame({"latent_0": [0.9], "latent_1": [0.1]}, ["u"])
    direct = pd.DataFrame({"perturbation": ["c"], "gene": "u", "direct": [0.5]})
    return SimpleNamespace(graph=pd.concat(graphs), dataset="s", genes=genes, effects=direct)


def test_latents_and_direct_effects_are_drawn_in_the_order_of_the_strongest_edges(real):
    top, bottom = plotting.latents_and_genes(real).axes[:2]
    assert [label.get_text() for label in bottom.get_xticklabels()] == ["b", "a", "c"]
    assert top.images[0].get_array().tolist() == [[3, 2, 0.3], [-0.6, 0.1, -1.2]]
    assert top.lines[0].get_xydata().tolist() == [[0, 0], [1, 0], [0, 1], [2, 1]]
    assert bottom.images[0].get_array().tolist() == [[0, 0, 0.5]]


def test_latents_are_drawn_and_wrong_edges_marked():
    shifts = pd.DataFrame([[0, 2], [3, 0]])
    record = SimpleNamespace(true_shifts=shifts, edges=shifts >= 0, effects=10 * shifts)
    true, found = plotting.found_graph(record).axes[:2]
    assert true.images[0].get_array().tolist() == [[3, 0], [0, 2]]
    assert found.images[0].get_array().tolist() == [[30, 0], [0, 20]]
    assert found.lines[0].get_xydata().tolist() == [[1, 0], [0, 1]]
