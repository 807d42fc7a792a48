"""Tables and figures of screens, against the records that they are made from."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sbnn.mechanism_shift import plotting, report
from sbnn.mechanism_shift.graph import graph_table
from sbnn.results import Record


def record_of(params=(), dataset="s", settings=(), **values):
    return Record("e", dataset, "x", [dict(params)], settings=dict(settings), values=values)


def scored(seeds=(0, 1, 2), **columns):
    """Record with scores by seed."""
    return record_of(scores=pd.DataFrame({"seed": seeds} | columns))


PCA = scored(mcc=[0.2, 0.4, 0.3], f1=[0.1, 0.1, 0.4], seconds=[1.0, 2.0, 6.0])
OURS = scored(
    seeds=(2, 0, 1),
    mcc=[0.9, 0.8, 1.0],
    f1=[0.5, 0.7, 0.6],
    seconds=[8.0, 9.0, 7.0],
    elbo=[-3.0] * 3,
)
DEFAULT = report.LABELS["default"]


def test_scores_are_averaged_over_seeds():
    table = report.methods_table({"pca": PCA, "default": OURS})
    assert list(table.columns) == ["MCC", "SD", "edge F1", "CPU s", "ELBO"]
    assert table.loc["PCA"].tolist()[:4] == pytest.approx([0.3, 0.1, 0.2, 3.0])
    assert table.loc[DEFAULT, "ELBO"] == -3
    overview = report.overview_table({"small_pca": PCA, "script_default": OURS})
    assert overview.loc["PCA", "MCC, small"] == "0.300 ± 0.100"
    assert overview.loc["PCA", "MCC, script"] == ""


def test_differences_are_of_the_same_seeds_with_intervals_over_seeds():
    table = report.differences_table({"pca": PCA, "default": OURS})
    f1 = np.array([0.7, 0.6, 0.5]) - np.array([0.1, 0.1, 0.4])
    half = stats.t.ppf(0.975, 2) * f1.std(ddof=1) / np.sqrt(3)
    text = f"{f1.mean():+.3f} [{f1.mean() - half:+.3f}, {f1.mean() + half:+.3f}]"
    assert table.loc["PCA", "edge F1"] == text
    assert table.loc["PCA", "ELBO"] == ""
    once = {"default": scored(seeds=(0,), mcc=[0.5]), "pca": scored(seeds=(0,), mcc=[0.75])}
    assert report.differences_table(once).loc["PCA", "MCC"] == "-0.250"


def rival(screen, split, bounds, dataset="papalexi"):
    likelihoods = pd.DataFrame({"given": bounds}, ["default, effects", "ivae", "means"])
    about = {"split": split}
    return record_of({"screen": screen}, dataset, about, likelihoods=likelihoods)


def test_rivals_are_subtracted_from_the_default_with_effects_on_genes():
    runs = [rival("papalexi", split, [0.0, -1.0 - split, -9.0]) for split in (0, 0, 1, 2)]
    runs += [rival("targeted", 0, [0.5, 1.0, 0.0], "simulated_screen")]
    table = report.rivals_table(dict(enumerate(runs)))
    assert table.loc[report.RIVALS["default, effects"]].tolist() == ["0.00", "0.50"]
    ivae = table.loc[report.RIVALS["ivae"]]
    half = stats.t.ppf(0.975, 2) * np.sqrt(1 / 3 + 1), "halves of one screen share cells"
    assert ivae.iloc[0] == f"+2.000 [{2 - half[0]:+.3f}, {2 + half[0]:+.3f}]"
    assert ivae.iloc[1] == "-0.500"
    assert list(table.index) == [
        report.RIVALS[name] for name in ("means", "ivae", "default, effects")
    ]


@pytest.fixture
def real():
    """Record of fits to a real screen with two seeds."""
    effects = np.array([[2.0, 0.1], [1.5, 0.9], [1.0, -0.6], [3.0, 0.2], [0.3, -1.2]])
    probabilities = [[0.9, 0.1], [1.0, 0.6], [0.8, 0.51], [1.0, 0.0], [0.5, 0.7]]
    graph = graph_table([*"abcde"], effects, probabilities)
    graphs = [graph.assign(seed=0), graph.assign(seed=1, probability=1.0)]
    return SimpleNamespace(graph=pd.concat(graphs, ignore_index=True), dataset="s")


def test_edges_are_listed_by_seed(real):
    table = report.edges_table(real.graph)
    assert table.loc["b", "seed 0"] == "0 (+1.50), 1 (+0.90)"
    assert table.loc["e"].tolist() == ["1 (-1.20)", "0 (+0.30), 1 (-1.20)"]


def test_genes_of_latents_and_direct_effects_are_drawn_in_one_order(real):
    genes = pd.DataFrame([[0.9, 0.1], [-0.95, 0.2], [0.1, -0.7]], list("uvw"))
    genes.columns = ["latent_0", "latent_1"]
    effects = pd.DataFrame({"perturbation": ["e", "c", "e"], "gene": ["u", "u", "w"]})
    effects["direct"] = [0.5, -1.5, 2.0]
    effects["edge"] = [True, True, False]
    record = SimpleNamespace(**vars(real), genes=genes, effects=effects)
    top, bottom = plotting.latents_and_genes(record).axes[:2]
    names = [label.get_text() for label in bottom.get_xticklabels()]
    assert names == ["d", "a", "b", "c", "e"], "by latent, then by size"
    assert top.get_yticklabels()[0].get_text() == "0: v, u, w"
    assert top.images[0].get_array()[1].tolist() == [0.2, 0.1, 0.9, -0.6, -1.2]
    assert bottom.images[0].get_array().tolist() == [[0, 0, 0, -1.5, 0.5]]
    assert len(top.lines[0].get_xdata()) == 7


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
