"""Layouts of published data sets, from small files of the same form."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import savemat

from sbnn.data.ephys_features import feature_table
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import select_genes
from sbnn.data.readers import citeseq, ephys_types, gouwens, papalexi, scala
from sbnn.data.readers.counts import read_count_table


def written(folder, **tables):
    """Write tables without their index, and return the paths."""
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        table.to_csv(paths[-1], index=False)
    return paths


@pytest.mark.parametrize("relative", [False, True])
def test_mouse_cells_are_found_by_their_session(tmp_path, relative):
    """Five cells, of which one has no type, one a rare type and one no feature."""
    features = feature_table("gouwens_2020")["median"]
    table = pd.DataFrame([features] * 5, range(5)).assign(tau=[5, 6, 7, 8, 9])
    table.loc[1] = np.nan
    table["ID"] = [f"sub-1_ses-{session}_x" for session in (13, 11, 12, 10, 14)]
    metadata = pd.DataFrame(
        {
            "ephys_session_id": range(10, 15),
            "cell_specimen_id": [70.0, 71, 72, 73, 74],
            "T-type Label": ["Sncg Gpr50 ", "Vip Igfbp6", None, "Sst Chodl", "Meis2 A"],
            "MET-type Label": ["NULL", "a", "b", "Sst-1", "c"],
            "structure": ["VISp2/3", "VISp5", "VISl", "VISl", "x"],
            "age": ["P60", "P61", "P62", "unknown", "P7"],
            "full_genotype": ["Sst/wt;Ai14(RCL-tdT)/wt", None, "a", "Ai1/wt;Vip/wt; Flp/wt", None],
            "donor_id ": 3,
        }
    )
    paths = written(tmp_path, features=table, metadata=metadata)
    mouse = ephys_types.read_gouwens_ephys(*paths, relative=relative)
    assert mouse.obs_names.tolist() == ["73", "70"]
    assert mouse.to_df()["tau"].tolist() == [5, 8]
    assert ("peak_lag_ramp" in mouse.var_names) == relative
    expected = {
        "type": ["SST", "VIP"],
        "type5": ["SST", "SNCG"],
        "subclass": ["Sst", "Sncg"],
        "t_type": ["Sst Chodl", "Sncg Gpr50"],
        "met_type": ["Sst-1", ""],
        "area": ["VISl", "VISp"],
        "layer": ["", "2/3"],
        "cre": ["Vip;Flp", "Sst"],
        "age_days": ["nan", "60.0"],
        "donor": ["3", "3"],
    }
    assert mouse.obs[list(expected)].astype(str).to_dict("list") == expected
    assert list(mouse.uns["sbnn"]["dropped"].values()) == [["72"], ["74"], ["71"]]


def test_human_cells_are_found_by_their_number(tmp_path):
    features = feature_table("lee_2023")["median"]
    table = pd.DataFrame([features] * 3, range(3)).assign(specimen_id=[6, 4, 5])
    metadata = pd.DataFrame(
        {
            "specimen_id": [4, 5, 6],
            "Revised_subclass_label": ["SST", None, "LAMP5/PAX6/Other "],
            "Cortical_layer": ["L2_3", None, None],
            "Virus": [None, "a", "b"],
        }
    )
    human = ephys_types.read_lee_human(*written(tmp_path, features=table, metadata=metadata))
    assert human.shape == (2, 93)
    assert human.obs_names.tolist() == ["6", "4"]
    expected = {
        "type": ["LAMP5", "SST"],
        "subclass": ["LAMP5/PAX6/Other", "SST"],
        "virus": ["b", "none"],
        "layer": ["", "L2/3"],
    }
    assert human.obs[list(expected)].astype(str).to_dict("list") == expected
    assert human.uns["sbnn"]["dropped"] == {"no subclass": ["5"]}


@pytest.fixture
def blood(rng):
    """Counts of eight genes and two proteins in 40 cells; the fourth cell has no counts."""
    cells = [f"CD8_low_{i}" if i % 2 else f"CD4_{i}" for i in range(40)]
    genes = [*(f"HUMAN_{letter}" for letter in "abcdefg"), "MOUSE_a"]
    counts = pd.DataFrame(rng.negative_binomial(0.3, 0.02, (8, 40)), genes, cells)
    counts.iloc[:, 3] = 0
    proteins = pd.DataFrame(rng.poisson(5, (2, 40)), ["CD3_TotalSeqB", "CD19"], cells)
    return counts, proteins


def test_cord_blood_is_in_the_order_of_its_clustering(tmp_path, blood):
    counts, proteins = blood
    counts.to_csv(tmp_path / "rna.csv")
    proteins.to_csv(tmp_path / "protein.csv")
    clusters = pd.DataFrame({"cell_barcode": counts.columns[::-1], "cluster": range(40)})
    clusters["type"] = clusters["cluster"].map(lambda i: [None, "Ery", "NK", "B"][i % 4])
    written(tmp_path, clustering=clusters)
    paths = [tmp_path / f"{name}.csv" for name in ("rna", "protein", "clustering")]
    options = {"n_genes": 3, "files": {"rna.csv": "1"}}
    data = as_paired(citeseq.read_cord_blood(*paths, log_proteins=False, **options))
    kept = clusters[clusters["type"].isin(["NK", "B"])]
    kept = kept[kept["cell_barcode"] != counts.columns[3]].set_index("cell_barcode")
    assert data.cell_names.tolist() == kept.index.tolist()
    assert data.labels["type"].tolist() == data.labels["family"].tolist() == kept["type"].tolist()
    assert data.labels["cluster"].tolist() == kept["cluster"].tolist()
    np.testing.assert_array_equal(data.Y, proteins[kept.index].T)
    human = counts.iloc[:7].T
    cells = clusters["cell_barcode"][clusters["type"].isin(["NK", "B"])]
    genes = human.columns[select_genes(human.loc[cells], 3).selected]
    assert ["HUMAN_" + gene for gene in data.gene_names] == genes.tolist()
    chosen = human.loc[kept.index, genes].to_numpy()
    np.testing.assert_array_equal(data.counts, chosen)
    library = chosen.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(data.X, np.log2(chosen / library * np.median(library) + 1), 1e-5)
    fingerprints = {data.sha256}
    for more in ({}, {"n_genes": 4}):
        fingerprints.add(as_paired(citeseq.read_cord_blood(*paths, **options | more)).sha256)
    assert len(fingerprints) == 3


def test_sorted_blood_cells_have_the_type_of_their_gate(tmp_path, blood):
    counts, proteins = blood
    counts.to_csv(tmp_path / "rna.csv")
    proteins.iloc[:, ::-1].to_csv(tmp_path / "protein.csv")
    data = citeseq.read_cd8(tmp_path / "rna.csv", tmp_path / "protein.csv", n_genes=None)
    assert data.obs["type"].value_counts().to_dict() == {"CD4": 20, "CD8 low": 19}
    expected = np.log2(1 + proteins[data.obs_names].T)
    np.testing.assert_allclose(data.obsm["outputs"], expected, rtol=1e-6)
    assert list(data.uns["sbnn"]["dropped"].values()) == [["CD8_low_3"]]


def test_blood_cells_in_an_anndata(tmp_path, blood):
    counts, proteins = blood
    counts.iloc[2] = 0
    adata = anndata.AnnData(counts.T.astype(float), obsm={"protein_expression": proteins.T})
    adata.write_h5ad(tmp_path / "a.h5ad")
    data = citeseq.read_pbmc(tmp_path / "a.h5ad", "small", n_genes=None)
    assert data.shape == (39, 7), "all genes with counts"
    assert data.uns["sbnn"]["name"] == "small"
    assert data.obsm["outputs"].columns.tolist() == ["CD3", "CD19"]


METADATA = pd.DataFrame(
    {
        "Cell": ["20180102_sample_3_x", "20180102_sample_4", "20180102_sample_5"],
        "RNA family": ["Sst", "low quality", None],
        "RNA type": ["Sst A", "low quality", "Vip"],
        "Soma depth (µm)": ["700", "Slice Lost", None],
    }
)


def test_cells_of_motor_cortex_and_why_some_are_left_out():
    labels = scala.cell_labels(METADATA)
    assert labels.index.tolist() == [f"20180102sample{i}" for i in (3, 4, 5)]
    assert labels["type"].fillna("").tolist() == ["Sst A", "", "Vip"]
    np.testing.assert_array_equal(labels["soma_depth_um"], [700, np.nan, np.nan])
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
    np.testing.assert_allclose(features.to_numpy()[0], np.where(logs, np.log(2), 2))


def test_real_features_follow_from_raw_files(real_file):
    raw = pd.read_csv(real_file("Cell_Features_M1.csv"))
    metadata = pd.read_csv(real_file("mini-atlas-meta-data.csv"), sep="\t")
    features, dropped = scala.ephys_from_raw(raw, metadata)
    expected = pd.read_csv(real_file("ephys_values.csv"), index_col=0).to_numpy()
    np.testing.assert_allclose(features, expected, rtol=1e-12, atol=1e-12)
    assert (len(features), len(dropped)) == (1213, 106)


@pytest.mark.parametrize("separator", [",", "\t"])
def test_counts_are_read_in_blocks_of_genes(tmp_path, rng, monkeypatch, separator):
    monkeypatch.setattr("sbnn.data.readers.counts._GENES_AT_ONCE", 3)
    cells = [f"20180918_sample_{i}_S1" for i in range(4)]
    table = pd.DataFrame(rng.poisson(1, (8, 4)), ["NA", *"bcdefgh"], cells)
    table.to_csv(tmp_path / "counts.csv.gz", sep=separator)
    counts, found, genes = read_count_table(tmp_path / "counts.csv.gz")
    np.testing.assert_array_equal(counts.toarray(), table.T)
    assert counts.dtype == np.int32
    assert genes.tolist() == table.index.tolist()
    assert scala.join_cell_names(found).tolist() == [f"20180918sample{i}" for i in range(4)]


def test_cells_with_a_clear_guide(tmp_path):
    cells = pd.DataFrame(dict.fromkeys(papalexi.LABELS, [1, 2, 3]))
    cells["target"] = ["STAT2", "non-targeting", "STAT2"]
    cells["confident"] = [True, True, False]
    sparse.save_npz(tmp_path / "c.npz", sparse.csr_matrix([[1.0, 0], [0, 2], [3, 0]]))
    (tmp_path / "genes.txt").write_text("IRF1\nCTD-2196E14.4\n")
    paths = tmp_path / "c.npz", tmp_path / "genes.txt", *written(tmp_path, cells=cells)
    clear = papalexi.read_papalexi(*paths, files={"a": "1"})
    whole = papalexi.read_papalexi(*paths, confident_only=False, files={"a": "1"})
    np.testing.assert_array_equal(clear.X.toarray(), [[1, 0], [0, 2]])
    assert clear.obs_names.tolist() == ["cell_0", "cell_1"]
    assert clear.var_names.tolist() == ["IRF1", "CTD-2196E14.4"]
    assert clear.obs["perturbation"].tolist() == ["STAT2", "non-targeting"]
    assert clear.obs["guide"].tolist() == [1, 2]
    assert list(clear.uns["sbnn"]["dropped"].values()) == [1]
    assert whole.n_obs == 3
    assert whole.uns["sbnn"]["sha256"] != clear.uns["sbnn"]["sha256"]


def test_visual_cortex_is_read_from_a_matlab_file(tmp_path, rng):
    short = [*gouwens.EXCLUDED_FEATURES, "tau", "v baseline", "rheobase i"]
    components = rng.normal(size=(6, 9))
    features = rng.normal(size=(6, len(short) - 9))
    components[3, 2] = features[4, 0] = np.nan  # also in an output that is left out
    long = [f"raw_{i}" for i in range(len(short))]
    types = ["Sst Calb2 Pdlim5", "Vip Chat Htr1f", "Pvalb Reln Tac1"] * 2
    colors = ["#AABBCC", "#00FF00", "#102030"] * 2
    fields = {
        "T_dat": rng.gamma(1, 2, (6, 4)),
        "E_pc_scaled": components,
        "E_feature": features,
        "gene_id": np.array(list("abcd"), dtype=object),
        "map_conf": np.linspace(0, 1, 6),
        "T_spec_id_label": np.arange(6),
        "pc_name": np.array(long[:9], dtype=object),
        "feature_name": np.array(long[9:]),  # padded characters, all of the same length
        "sample_id": np.array([f"S{i}" for i in range(6)], dtype=object)[:, None],
        "cluster": np.array(types, dtype=object),
        "cluster_color": np.array(colors),
    }
    savemat(tmp_path / "release.mat", fields)
    (tmp_path / "names.json").write_text(json.dumps(dict(zip(long, short, strict=True))))
    data = as_paired(gouwens.read_gouwens(tmp_path / "release.mat", tmp_path / "names.json", {}))
    kept = [0, 1, 2, 5]
    np.testing.assert_array_equal(data.X, fields["T_dat"][kept].astype("f4"))
    n_excluded = len(gouwens.EXCLUDED_FEATURES)
    outputs = np.hstack([components, features])[kept, n_excluded:]
    np.testing.assert_array_equal(data.Y, outputs.astype("f4"))
    assert data.feature_names.tolist() == short[n_excluded:]
    assert data.gene_names.tolist() == list("abcd")
    assert data.cell_names.tolist() == [f"S{i}" for i in kept]
    assert data.labels["type"].tolist() == [types[i] for i in kept]
    assert data.labels["family"].tolist() == ["Sst", "Vip", "Pvalb", "Pvalb"]
    assert data.labels["specimen"].tolist() == kept
    assert data.colors == dict(zip(types, colors, strict=True))
    assert data.about["dropped"] == {"missing output": ["S3", "S4"]}
