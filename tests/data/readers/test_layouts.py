"""Layouts of published data sets, from small files of the same form."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.ephys_features import feature_table
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.readers import citeseq, ephys_types, gene_dynamics, papalexi, scala


def written(folder, **tables):
    """Write tables without their index, and return the paths."""
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
    return paths


@pytest.fixture
def mouse_files(tmp_path):
    """Five mouse cells, of which one has no type, one a rare type and one no feature."""
    about = feature_table("gouwens_2020")
    features = pd.DataFrame(np.tile(about["median"], (5, 1)), columns=about.index)
    features["ID"] = [f"sub-1_ses-{session}_x" for session in (13, 11, 12, 10, 14)]
    features.loc[0, "tau"] = 5
    features.iloc[1, :-1] = np.nan
    features.loc[3, "peak_t_ramp"] = np.nan
    metadata = pd.DataFrame(
        {
            "ephys_session_id": range(10, 15),
            "cell_specimen_id": [70.0, 71, 72, 73, 74],
            "T-type Label": ["Sncg Gpr50 ", "Vip Igfbp6", None, "Sst Chodl", "Meis2 A"],
            "MET-type Label": ["NULL", "a", "b", "Sst-1", "c"],
            "structure": ["VISp2/3", "VISp5", "VISl", "VISl", "x"],
            "age": ["P60", "P61", "P62", "unknown", "P7"],
            "full_genotype": [
                "Sst-IRES-Cre/wt;Ai14(RCL-tdT)/wt",
                None,
                "a",
                "Ai1/wt;Vip/wt; Flp/wt",
                "a",
            ],
            "donor_id ": 3,
        }
    )
    return written(tmp_path, features=features, metadata=metadata)


def test_mouse_cells_are_found_by_their_session(mouse_files):
    mouse = ephys_types.read_gouwens_ephys(*mouse_files, files={"a": "1"})
    assert mouse.obs_names.tolist() == ["73", "70"]
    assert mouse.n_vars == 45
    labels = mouse.obs.astype(object).to_dict("list")
    assert labels["type"] == ["SST", "VIP"]
    assert labels["type5"] == ["SST", "SNCG"]
    assert labels["subclass"] == ["Sst", "Sncg"]
    assert labels["t_type"] == ["Sst Chodl", "Sncg Gpr50"]
    assert labels["met_type"] == ["Sst-1", ""]
    assert labels["area"] == ["VISl", "VISp"]
    assert labels["layer"] == ["", "2/3"]
    assert labels["cre"] == ["Vip;Flp", "Sst-IRES-Cre"]
    assert [str(donor) for donor in labels["donor"]] == ["3", "3"]
    assert np.isnan(labels["age_days"][0])
    assert labels["age_days"][1] == 60
    assert mouse.to_df().loc["73", "tau"] == 5
    assert mouse.uns["sbnn"]["files"] == {"a": "1"}
    assert mouse.uns["sbnn"]["dropped"] == {
        "no t-type": ["72"],
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": ["74"],
        "no measured feature": ["71"],
    }


def test_genotypes_may_be_missing(mouse_files):
    metadata = pd.read_csv(mouse_files[1])
    metadata.loc[3, "full_genotype"] = np.nan
    metadata.to_csv(mouse_files[1], index=False)
    assert ephys_types.read_gouwens_ephys(*mouse_files).obs["cre"].astype(str)["73"] == ""


def test_spikes_of_mouse_cells_relative_to_their_threshold(mouse_files):
    plain = ephys_types.read_gouwens_ephys(*mouse_files).to_df()
    relative = ephys_types.read_gouwens_ephys(*mouse_files, relative=True)
    assert relative.uns["sbnn"]["name"] == "gouwens_ephys_relative"
    found = relative.to_df()
    for part in ("trough", "fast_trough", "slow_trough"):
        depth = plain[f"{part}_v_ramp"] - plain["threshold_v_ramp"]
        lag = plain[f"{part}_t_ramp"] - plain["threshold_t_ramp"]
        np.testing.assert_allclose(found[f"{part}_deltav_ramp"], depth)
        np.testing.assert_allclose(found[f"{part}_lag_ramp"], lag)
    assert found["peak_lag_ramp"].isna().tolist() == [False, True]


def test_human_cells_are_found_by_their_number(tmp_path):
    about = feature_table("lee_2023")
    features = pd.DataFrame(np.tile(about["median"], (3, 1)), columns=about.index)
    features["specimen_id"] = [6, 4, 5]
    metadata = pd.DataFrame(
        {
            "specimen_id": [4, 5, 6],
            "Revised_subclass_label": ["SST", None, "LAMP5/PAX6/Other "],
            "Cortical_layer": ["L2_3", None, None],
            "Virus": [None, "a", "b"],
            "subclass_label": "X",
        }
    )
    paths = written(tmp_path, features=features, metadata=metadata)
    human = ephys_types.read_lee_human(*paths)
    labels = human.obs.astype(str)
    assert labels.index.tolist() == ["6", "4"]
    assert human.n_vars == 93
    assert labels["type"].tolist() == ["LAMP5", "SST"]
    assert labels["subclass"].tolist() == ["LAMP5/PAX6/Other", "SST"]
    assert labels["virus"].tolist() == ["b", "none"]
    assert labels["layer"].tolist() == ["", "L2/3"]
    assert human.uns["sbnn"]["dropped"] == {"no subclass": ["5"]}


@pytest.fixture
def blood():
    """Counts of six genes and two proteins in 40 cells; the fourth cell has no counts."""
    rng = np.random.default_rng(0)
    cells = [f"CD8_low_{i}" if i % 2 else f"CD4_{i}" for i in range(40)]
    counts = pd.DataFrame(rng.negative_binomial(0.3, 0.02, (6, 40)), list("abcdef"), cells)
    counts.iloc[:, 3] = 0
    proteins = pd.DataFrame(rng.poisson(5, (2, 40)), ["CD3_TotalSeqB", "CD19"], cells)
    return counts, proteins


def test_sorted_blood_cells_have_the_type_of_their_gate(tmp_path, blood):
    counts, proteins = blood
    counts.to_csv(tmp_path / "rna.csv")
    proteins.iloc[:, ::-1].to_csv(tmp_path / "protein.csv")
    data = citeseq.read_cd8(tmp_path / "rna.csv", tmp_path / "protein.csv", n_genes=3)
    assert data.obs["type"].value_counts().to_dict() == {"CD4": 20, "CD8 low": 19}
    assert data.obs["family"].astype(str).equals(data.obs["type"].astype(str))
    assert data.n_vars == 3
    np.testing.assert_array_equal(
        data.layers["counts"], counts.loc[data.var_names, data.obs_names].T
    )
    expected = np.log2(1 + proteins[data.obs_names].T)
    np.testing.assert_allclose(data.obsm["outputs"], expected, rtol=1e-6)
    assert list(data.uns["sbnn"]["dropped"].values()) == [["CD8_low_3"]]


def test_blood_cells_in_an_anndata(tmp_path, blood):
    counts, proteins = blood
    adata = anndata.AnnData(counts.T.astype(float), obsm={"protein_expression": proteins.T})
    adata.write_h5ad(tmp_path / "a.h5ad")
    data = citeseq.read_pbmc(tmp_path / "a.h5ad", "small", n_genes=None, log_proteins=False)
    assert data.shape == (39, 6)
    assert data.uns["sbnn"]["name"] == "small"
    assert data.obsm["outputs"].columns.tolist() == ["CD3", "CD19"]
    np.testing.assert_array_equal(data.obsm["outputs"], proteins[data.obs_names].T)


@pytest.fixture
def course(tmp_path):
    """Paths of trajectories of three genes to train and to test, their names and a prior."""
    texts = {
        "train": '"3","1"\n1,2,0,4\n0,0,0,0\n5,-8,7,6\n0,1,2,3\n',
        "test": "3,1\n4,2\n1,3\n1,1\n0,1\n",
        "names": "gene\na_input\nb\nc\n",
        "prior": "0,0.5,0\n0,0,-0.5\n0,0,0\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return [tmp_path / f"{name}.csv" for name in texts]


def test_trajectories_with_a_prior(course):
    yeast = gene_dynamics.read_yeast(*course)
    expected = [[1, 0, 5], [2, 0, -8], [0, 0, 7], [4, 0, 6], [4, 1, 1], [2, 3, 1]]
    np.testing.assert_array_equal(yeast.X, expected)
    assert yeast.obs["time"].tolist() == [0, 1, 2, 3, 0, 1]
    assert yeast.obs["split"].tolist() == ["train"] * 4 + ["test"] * 2
    assert yeast.var_names.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(prior_of(yeast), [[0, 0.5, 0], [0, 0, -0.5], [0, 0, 0]])
    assert truth_of(yeast) is None
    assert yeast.uns["sbnn"]["gene_major"]


def test_true_edges_of_some_regulators(course, tmp_path):
    edges = tmp_path / "edges.csv"
    edges.write_text("from,to\nb,a\nb,x\nx,a\nc,c\n")
    truth = truth_of(gene_dynamics.read_breast(*course, edges))
    assert truth.index.tolist() == ["b", "c"]
    assert truth.columns.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(truth, [[1, 0, 0], [0, 0, 1]])


def test_averaged_cells_are_divided_by_the_largest_training_value(course):
    assert gene_dynamics.read_hematopoiesis(*course).n_obs == 6
    blood = gene_dynamics.read_hematopoiesis(*course, cells_per_bin=2)
    # means of two cells: (1.5, 0, -1.5) and (2, 0, 6.5) to train
    expected = [[0.75, 0, -1.5 / 6.5], [1, 0, 1], [2, 1, 1 / 6.5], [1, 3, 1 / 6.5]]
    np.testing.assert_allclose(blood.X, expected)
    assert blood.obs["time"].tolist() == [0.5, 2.5, 0, 1]


def test_the_next_repeat_of_a_boolean_model_is_for_tests(tmp_path):
    for number in (4, 0):
        folder = tmp_path / f"M_2000_{number}_50"
        folder.mkdir()
        (folder / "ExpressionData.csv").write_text(f"gene,u,v,w\nA,{number},1,2\nB,3,0,0\n")
        (folder / "PseudoTime.csv").write_text("cell,T1\nw,2\nv,1\nu,0\n")
        (folder / "refNetwork.csv").write_text("Gene1,Gene2,Type\nA,B,-\nB,B,+\n")
    data = gene_dynamics.read_beeline(
        *tmp_path.glob("M_*/*"), model="M", repeat=4, dropout=True, n_bins=3
    )
    # cells u, v, w in the order of time, scaled by the range of each repeat
    assert data.to_df()["A"].tolist() == [1, 0.25, 0.5, 0, 0.5, 1]
    assert data.obs["split"].tolist() == ["train"] * 3 + ["test"] * 3
    np.testing.assert_array_equal(truth_of(data), [[0, -1], [0, 1]])
    assert not prior_of(data).to_numpy().any()
    with pytest.raises(ValueError, match="repeat"):
        gene_dynamics.read_beeline(model="M", repeat=5)


METADATA = pd.DataFrame(
    {
        "Cell": ["20180102_sample_3_x", "20180102_sample_4", "20180102_sample_5"],
        "RNA family": ["Sst", "low quality", None],
        "RNA type": ["Sst A", "low quality", "Vip"],
        "Soma depth (µm)": ["700", "Slice Lost", None],
    }
)


def test_labels_of_motor_cortex():
    labels = scala.cell_labels(METADATA)
    assert labels.index.tolist() == [f"20180102sample{i}" for i in (3, 4, 5)]
    assert labels["family"].tolist() == ["Sst", "low quality", ""]
    assert labels["type"].tolist() == ["Sst A", "", "Vip"]
    np.testing.assert_array_equal(labels["soma_depth_um"], [700, np.nan, np.nan])


def test_why_cells_of_motor_cortex_are_left_out():
    reasons = {
        "01 02 2018 sample 3": "",
        "01 02 2018 sample 4": "no RNA type (missing or low quality)",
        "01 02 2018 sample 6": "not in the metadata",
        "01 02 2018 sample 5": "missing ephys value",
        "03 15 2018 sample 6": "RNA and firing disagree",
        "07 04 2019 sample 2": "outside of M1",
    }
    raw = pd.DataFrame(2.0, range(6), list(scala.EPHYS_FEATURES))
    raw["name sample"] = [f"x/{name}.mat" for name in reasons]
    raw.iloc[3, 0] = np.nan
    features, found = scala.ephys_from_raw(raw, METADATA)
    assert found.tolist() == list(reasons.values())[1:]
    assert features.index.tolist() == ["20180102sample3"]
    logs = features.columns.isin(scala.LOG_FEATURES)
    assert logs.sum() == 3
    np.testing.assert_allclose(features.to_numpy()[0], np.where(logs, np.log(2), 2))


def test_colours_and_ion_channels(tmp_path):
    colors = scala.type_colors(["Sst Penk", "L5 ET_1", "L5 PT_1"])
    assert colors == {"Sst Penk": "#FF8011", "L5 PT_1": "#0D5D7E", "L5 ET_1": "#0D5D7E"}
    terms = tmp_path / "terms.txt"
    terms.write_text("A\tSymbol\nx\tKcna1\t\ny\t\t\nx\tKcna1\t\n")
    assert scala.ion_channel_genes(terms) == ["Kcna1"]


def test_cells_with_a_clear_guide(tmp_path):
    cells = pd.DataFrame(dict.fromkeys(papalexi.LABELS, [1, 2, 3]))
    cells["target"] = ["STAT2", "non-targeting", "STAT2"]
    cells["confident"] = [True, True, False]
    sparse.save_npz(tmp_path / "c.npz", sparse.csr_matrix([[1.0, 0], [0, 2], [3, 0]]))
    (tmp_path / "genes.txt").write_text("IRF1\nCTD-2196E14.4\n")
    paths = tmp_path / "c.npz", tmp_path / "genes.txt", *written(tmp_path, cells=cells)
    screen = papalexi.read_papalexi(*paths)
    assert screen.to_df().to_dict("index") == {
        "cell_0": {"IRF1": 1, "CTD-2196E14.4": 0},
        "cell_1": {"IRF1": 0, "CTD-2196E14.4": 2},
    }
    assert screen.obs["perturbation"].tolist() == ["STAT2", "non-targeting"]
    assert screen.obs["guide"].tolist() == [1, 2]
    assert list(screen.uns["sbnn"]["dropped"].values()) == [1]
    whole = papalexi.read_papalexi(*paths, confident_only=False, files={"a": "1"})
    clear = papalexi.read_papalexi(*paths, files={"a": "1"})
    assert whole.n_obs == 3
    assert whole.uns["sbnn"]["sha256"] != clear.uns["sbnn"]["sha256"]
