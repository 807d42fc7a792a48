"""Tables and figures of screens, against the records that they are made from."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sbnn.mechanism_shift import plotting, records, report, simulate_perturbations
from sbnn.mechanism_shift.graph import graph_table
from sbnn.results import Record

PATHWAY = list(report.PATHWAY)
CONFIGURATION = {"n_cells_per": 9, "n_perturbations": 8, "n_latents": 2, "n_genes": 3}


def scored(recipe="", seeds=(0, 1, 2), **columns):
    """Record with scores by seed."""
    values = {"scores": pd.DataFrame({"seed": seeds} | columns)}
    params = [{"method": recipe}]
    return Record(
        "recovery", "s", "x", params, None, {"configuration": CONFIGURATION}, values=values
    )


PCA = scored(mcc=[0.2, 0.4, 0.3], f1=[0.1, 0.1, 0.4], seconds=[1.0, 2.0, 6.0])
STAGED = scored(
    seeds=(2, 0, 1),
    mcc=[0.9, 0.8, 1.0],
    f1=[0.5, 0.7, 0.6],
    seconds=[8.0, 9.0, 7.0],
    elbo=[-3.0] * 3,
)


def test_scores_are_averaged_over_seeds():
    table = report.methods_table({"pca": PCA, "staged": STAGED})
    assert list(table.columns) == ["MCC", "SD", "edge F1", "CPU s", "ELBO"]
    assert table.loc["PCA"].tolist()[:4] == pytest.approx([0.3, 0.1, 0.2, 3.0])
    assert table.loc["staged", "ELBO"] == -3
    overview = report.overview_table({"small_pca": PCA, "library_staged": STAGED})
    assert overview.loc["PCA", "MCC, small"] == "0.300 ± 0.100"
    assert overview.loc["PCA", "MCC, library"] == ""


def test_differences_are_of_the_same_seeds_with_intervals_over_seeds():
    table = report.differences_table({"pca": PCA, "staged": STAGED})
    f1 = np.array([0.7, 0.6, 0.5]) - np.array([0.1, 0.1, 0.4])
    half = stats.t.ppf(0.975, 2) * f1.std(ddof=1) / np.sqrt(3)
    text = f"{f1.mean():+.3f} [{f1.mean() - half:+.3f}, {f1.mean() + half:+.3f}]"
    assert table.loc["PCA", "edge F1"] == text
    assert list(table.columns) == ["MCC", "edge F1"]
    assert report.differences_table({"pca": PCA, "staged": STAGED}, "pca").index[0] == "staged"
    once = {"staged": scored(seeds=(0,), mcc=[0.5]), "pca": scored(seeds=(0,), mcc=[0.75])}
    assert report.differences_table(once).loc["PCA", "MCC"] == "-0.250"


def test_ablations_keep_their_order_and_varied_quantities_their_values():
    ablations = {
        "ablation_10": scored("last", mcc=[1.0] * 3, recall=[0.5] * 3),
        "ablation_2": scored("first", mcc=[0.2] * 3, recall=[1.0] * 3),
    }
    table = report.ablation_table(ablations)
    assert table["MCC"].to_dict() == pytest.approx({"first": 0.2, "last": 1.0})
    assert table.loc["last", "recall"] == 0.5
    scores = {"value": [2.0, 2.0, 0.5], "method": ["pca", "pca", "staged"], "mcc": [0.1, 0.2, 0.9]}
    varied = report.varied_table({"varied_shift": scored(**scores, f1=[0.0, 1.0, 0.5])})
    assert varied.loc[("shift", "2", "PCA")].tolist() == pytest.approx([0.15, 0.5])
    assert varied.loc[("shift", "0.5", "staged"), "MCC"] == 0.9


@pytest.fixture
def real():
    """Records of a real screen with two seeds."""
    effects = np.array([[2.0, 0.1], [1.5, 0.9], [1.0, -0.6], [3.0, 0.2], [0.3, -1.2]])
    probabilities = [[0.9, 0.1], [1.0, 0.6], [0.8, 0.51], [1.0, 0.0], [0.5, 0.7]]
    first = graph_table([*PATHWAY, "z"], effects, probabilities)
    second = first.assign(seed=4, probability=(np.arange(10) == 7).astype(float))
    graph = pd.concat([first.assign(seed=0), second])
    edges = pd.DataFrame({"seed": [4, 0], "edges": [3, 1]})
    null = np.array([0.1, 0.7, 0.2, 0.6, 0.0])
    return {
        "fits": SimpleNamespace(graph=graph, seed=0, dataset="made up"),
        "permuted": SimpleNamespace(edges=edges, null=null),
    }


def test_edges_are_listed_by_seed(real):
    table = report.edges_table(real)
    assert table.loc["IFNGR2", "seed 0"] == "0 (+1.50), 1 (+0.90)"
    assert table.loc["z"].tolist() == ["1 (-1.20)", ""]


def test_checks_count_edges_false_edges_and_distances_of_the_pathway(real):
    first, second = report.trust_table(real).to_dict("records")
    assert (first["edges"], first["edges, permuted labels"]) == (7, 1)
    assert (second["edges"], second["edges, permuted labels"]) == (1, 3)
    # two of five null effects reach .6, the smallest edge: 40 % of ten pairs, of seven edges
    assert first["false discovery rate"] == pytest.approx(0.4 * 10 / 7)
    assert second["false discovery rate"] == 1, "never above 1"
    assert first["latents shifted by the whole pathway"] == 1
    assert first["largest distance within"] == pytest.approx(np.hypot(2.0, 0.8))
    assert first["smallest to others"] == pytest.approx(np.hypot(0.7, 0.6))
    none = real["fits"].graph.assign(probability=0.0)
    assert np.isnan(report.false_discovery_rate(none, np.ones(3)))


def test_held_out_scores_are_averaged_over_splits():
    scores = pd.DataFrame({"method": ["staged", "means"]})
    for name in report.OF_HELD_OUT:
        scores[name] = [0.12345, 2.0]
    splits = {
        "held_out_0": SimpleNamespace(scores=scores),
        "held_out_1": SimpleNamespace(scores=scores.replace(2, 5.5)),
    }
    [means] = report.held_out_tables(splits).values()
    assert list(means.index) == [report.HELD_OUT["means"], report.HELD_OUT["staged"]]
    assert means["slope"].tolist() == [3.75, 0.123]


def test_rivals_are_subtracted_from_staged_with_effects_on_genes():
    methods = ["staged", "staged, effects", "ivae", "ivae, effects", "svae+", "svae+, effects"]
    methods += ["means"]
    bounds = pd.Series(np.arange(7.0)[::-1], methods)
    run = SimpleNamespace(
        likelihoods=pd.DataFrame({"given": bounds, "withheld": 2 * bounds}),
        errors=np.full((2, 7, 7), 0.5),
        changes=pd.DataFrame({"rmse": [0.5], "slope": [1.0], "r2": [0.25]}, ["means"]),
        params=[{"screen": "papalexi"}],
        dataset="papalexi",
        settings={"split": 3},
    )
    rivals, sparsity = report.held_out_tables({"rivals_papalexi_3_0": run}).values()
    row = rivals.loc[report.RIVALS["ivae, effects"]]
    assert row.iloc[:2].tolist() == ["+2.000", "+4.000"]
    assert rivals.loc[report.RIVALS["means"]].iloc[2:].tolist() == ["0.500", "1.000", "0.250"]
    assert sparsity.iloc[:, 0].astype(float).tolist() == [2, 2, 4, 4, 5]


def test_all_tables_are_those_for_which_there_are_records(real):
    real["sizes"] = SimpleNamespace(sizes=pd.DataFrame({"n_latent": [5], "elbo": [-1234.567]}))
    stability = pd.DataFrame({"perturbation": range(41), "share": 0.5})
    real["bootstraps"] = SimpleNamespace(stability=stability)
    guides = pd.DataFrame({"method": ["staged", "z"], "auc": [0.8765, 0.5]})
    real["guides"] = SimpleNamespace(guides=guides)
    tables = report.all_tables(real | {"small_pca": PCA, "small_staged": STAGED})
    sizes = "9 cells × 8 perturbations, 2 latents, 3 genes"
    assert {f"Simulated screens, {sizes}", f"Staged minus the others, {sizes}"} <= tables.keys()
    assert tables["Number of latents"].loc[5, "elbo"] == "-1234.57"
    assert len(tables["Edges found in bootstraps"]) == report.ROWS
    assert len(tables["Shifted latents"]) == 5
    profiles = next(table for title, table in tables.items() if "guides" in title)
    assert profiles.loc["staged: shifts", "AUC"] == 0.876


def test_the_graph_is_drawn_from_the_largest_edge_down(real, monkeypatch):
    axes = plotting.graph_of_screen(real["fits"]).axes
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert names == ["STAT1", "IFNGR1", "IFNGR2", "z", "JAK2"]
    image = axes[0].images[0].get_array()
    assert image[0].tolist() == [3.0, 0.2]
    dots = {(int(x), names[int(y)]) for x, y in axes[0].lines[0].get_xydata()}
    expected = {(0, name) for name in PATHWAY} | {(1, "IFNGR2"), (1, "JAK2"), (1, "z")}
    assert dots == expected
    monkeypatch.setattr(plotting, "SHOWN", 2)
    ax = plotting.graph_of_screen(real["fits"]).axes[0]
    assert len(ax.get_yticks()) == 2
    assert ax.get_ylabel() == "perturbation (2 of 5)"


def test_genes_of_latents_and_direct_effects_are_drawn_in_one_order(real, monkeypatch):
    genes = pd.DataFrame([[0.9, 0.1], [-0.95, 0.2], [0.1, -0.7]], list("uvw"))
    genes.columns = ["latent_0", "latent_1"]
    effects = pd.DataFrame({"perturbation": ["z", "JAK2", "z"], "gene": ["u", "u", "w"]})
    effects["direct"] = [0.5, -1.5, 2.0]
    effects["edge"] = [True, True, False]
    record = SimpleNamespace(**vars(real["fits"]), genes=genes, effects=effects)
    top, bottom = plotting.latents_and_genes(record).axes[:2]
    names = [label.get_text() for label in bottom.get_xticklabels()]
    assert names == ["STAT1", "IFNGR1", "IFNGR2", "JAK2", "z"], "by latent, then by size"
    assert top.get_yticklabels()[0].get_text() == "0: v, u, w"
    assert top.images[0].get_array()[1].tolist() == [0.2, 0.1, 0.9, -0.6, -1.2]
    assert bottom.images[0].get_array().tolist() == [[0, 0, 0, -1.5, 0.5]]
    assert len(top.lines[0].get_xdata()) == 7
    assert top.get_title().endswith("7 edges to latents")
    assert bottom.get_title() == "2 edges to genes"
    monkeypatch.setattr(plotting, "SHOWN", 4)  # all but JAK2
    top, bottom = plotting.latents_and_genes(record).axes[:2]
    assert top.get_title().endswith("5 of 7 edges to latents")
    assert bottom.get_title() == "1 of 2 edges to genes"


def test_cells_and_shifts_are_drawn_along_the_latents_that_are_shifted_most(real):
    of_cells = {
        "latents": np.arange(10.0).reshape(5, 2),
        "perturbation": np.array([*"abcz", "JAK2"]),
    }
    left, right = plotting.cells_and_shifts(SimpleNamespace(**vars(real["fits"]), **of_cells)).axes
    assert left.lines[0].get_xydata().tolist() == of_cells["latents"].tolist()
    own = {line.get_label(): line.get_xydata().tolist() for line in right.lines}
    assert own["shifts latent 0 (2)"] == [[2.0, 0.1], [3.0, 0.2]]
    assert own["shifts latent 1 (1)"] == [[0.3, -1.2]]
    assert own["shifts both (2)"] == [[1.5, 0.9], [1.0, -0.6]]
    assert left.lines[2].get_xydata().tolist() == [[6, 7]], "the cell of z"
    assert {text.get_text() for text in right.texts} == {*PATHWAY, "z", "b"}


def test_checks_of_edges_show_sizes_of_effects_and_edges_of_the_fit_first(real):
    sizes = pd.DataFrame({"n_latent": [5, 9], "elbo": [-3.0, -2.0], "moved": [1, 4]})
    stability = pd.DataFrame({"perturbation": [*"abcd"], "latent": "latent_1"})
    stability["found"] = [False, True, False, True]
    stability["share"] = [0.8, 0.2, 0.4, 0.6]
    bootstraps = SimpleNamespace(stability=stability, settings={"n_bootstraps": 5})
    tables = SimpleNamespace(sizes=sizes), bootstraps
    figure = plotting.checks_of_edges(real["fits"], real["permuted"], *tables)
    bound, bars, effects, moved = figure.axes
    assert bound.lines[0].get_xydata().tolist() == [[5, -3], [9, -2]]
    assert moved.lines[0].get_ydata().tolist() == [1, 4]
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names == ["d → latent 1", "b → latent 1", "a → latent 1"], "c is neither"
    assert [bar.get_width() for bar in bars.patches] == [0.6, 0.2, 0.8]
    assert "share of 5 bootstraps" in bars.get_xlabel()
    true, permuted = effects.lines
    drawn = true.get_xydata()
    np.testing.assert_allclose(drawn[:2], [[0.1, 3.0], [0.2, 2.0]])
    assert permuted.get_ydata().tolist() == [0.7, 0.6, 0.2, 0.1, 0.0]


def test_methods_are_drawn_by_their_scores_and_networks_by_their_bounds():
    bounds = {"new_iwelbo": [-1.0, -2.0, -4.0], "new_iwelbo_before": [-5.0, -6.0, -7.0]}
    scores = {"precision": [0.1, 0.2, 0.3], "recall": [0.9, 0.8, 0.7], "mcc": [0.5] * 3}
    scores["f1"] = [0.2, 0.3, 0.4]
    network = scored(**bounds, **scores)
    methods = {"pca": PCA, "vae": network, "ivae_unmixed": network}
    ax = plotting.held_out_bounds(methods).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["VAE"]
    assert ax.lines[0].get_xdata().tolist() == [-5, -1]
    figure = plotting.precision_and_recall({"vae": network}, {"mine": network})
    assert figure.get_suptitle() == "Highest F1: VAE, 0.300"
    dots = figure.axes[0].lines
    assert dots[0].get_xydata().tolist() == [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]
    np.testing.assert_allclose(dots[1].get_xydata(), [[0.8, 0.2]])
    panels = plotting.scores_of_methods(methods).axes
    assert panels[0].lines[1].get_xdata() == pytest.approx([0.3]), "the mean of PCA"
    rows = {"method": ["staged"] * 3, "value": [1.0, 1.0, 2.0]}
    varied = scored(seeds=(0, 1, 0), mcc=[0.1, 0.3, 0.7], f1=[0.0] * 3, **rows)
    top = plotting.scores_as_screens_vary({"shift": varied, "density": varied}).axes[0]
    means = [line for line in top.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(means[0].get_xydata(), [[1, 0.2], [2, 0.7]])


def test_latents_are_matched_and_wrong_edges_marked():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(90, 3))
    left, right = plotting.matched_latents(true, {"a": -true[:, [2, 0, 1]], "b": true**2}).axes[:2]
    np.testing.assert_allclose(np.diag(left.images[0].get_array()), 1)
    assert left.get_title() == "a: MCC 1.000"
    shifts = pd.DataFrame([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
    edges = pd.DataFrame([[True, True], [False, False], [False, False]])
    record = SimpleNamespace(true_shifts=shifts, edges=edges, effects=shifts)
    figure = plotting.found_graph(record)
    assert figure.axes[0].images[0].get_array().tolist() == [[3, 0], [0, 2], [0, 0]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[0, 0], [0, 1]]
    titles = [ax.get_title() for ax in figure.axes[:2]]
    assert titles == ["2 true edges", "found (staged): 2 wrong or missing"]
    right = plotting.true_shifts(shifts, true, np.repeat([2, 1, 0], 30)).axes[1]
    np.testing.assert_array_equal(right.lines[1].get_xydata(), true[30:60, :2])
    profiles = pd.DataFrame(rng.normal(size=(4, 6)), [*"abcd"]).mul([1, 9, 3, 6], axis=0)
    image = plotting.profile_correlations(profiles, 3).axes[0].images[0].get_array()
    np.testing.assert_allclose(image, profiles.loc[[*"bdc"]].T.corr())


def test_latents_and_genes_of_some_cells_are_correlated_over_these_cells():
    adata = simulate_perturbations(12, 5, 3, 40, n_control=30, random_state=0)[:, :4].copy()
    adata.X.data[adata.X.indices == 3] = 0
    graph = graph_table(["a"], [[0.0, 1.0]], [[1.0, 1.0]])
    model = SimpleNamespace(transform=lambda cells: cells.X[:, :2].toarray(), shift_graph_=graph)
    cells = np.array([3, 0, 7, 5, 80, 2])
    found = records.cells_and_genes(model, adata, cells)
    counts = adata.X[cells].toarray()
    logs = np.log1p(1000 * counts / counts.sum(axis=1, keepdims=True))
    expected = np.corrcoef(logs[:, 1], counts[:, 0])[0, 1]
    assert found["genes"].loc["gene_1", "latent_0"] == pytest.approx(expected)
    assert found["genes"].loc["gene_3"].tolist() == [0, 0], "a gene without counts"
    assert found["perturbation"].tolist() == adata.obs["perturbation"].iloc[cells].tolist()
    assert found["latents"].dtype == np.float32
