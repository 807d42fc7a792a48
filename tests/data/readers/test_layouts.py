"""Layouts of published data sets, from small files of the same form."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from sbnn.data.counts import read_count_table
from sbnn.data.ephys_features import feature_table
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import log2p1, normalize_library_size, select_genes
from sbnn.data.readers import citeseq, ephys_types, gouwens, scala

# of five mouse cells, one has no type, one a rare type and one no feature
MOUSE = """ephys_session_id,cell_specimen_id,T-type Label,MET-type Label,structure,age,full_genotype,donor_id 
10,70.0,Sncg Gpr50 ,NULL,VISp2/3,P60,Sst/wt;Ai14(RCL-tdT)/wt,3
11,71.0,Vip Igfbp6,a,VISp5,P61,,3
12,72.0,,b,VISl,P62,a,3
13,73.0,Sst Chodl,Sst-1,VISl,unknown,Ai1/wt;Vip/wt; Flp/wt,4
14,74.0,Meis2 A,c,x,P7,,3
"""  # noqa: E501, W291
MOUSE_LABELS = """,type,type5,subclass,t_type,met_type,area,layer,cre,age_days,donor
73,SST,SST,Sst,Sst Chodl,Sst-1,VISl,,Vip;Flp,,4
70,VIP,SNCG,Sncg,Sncg Gpr50,,VISp,2/3,Sst,60.0,3
"""


def labels_of(data, expected):
    """The labels that are expected, as the text of a table."""
    columns = expected.split("\n")[0].split(",")[1:]
    return data.obs[columns].to_csv()


@pytest.mark.parametrize("relative", [False, True])
def test_mouse_cells_are_found_by_their_session(tmp_path, relative):
    features = feature_table("gouwens_2020")["median"]
    table = pd.DataFrame([features] * 5, range(5)).assign(tau=range(5))
    table.loc[1] = np.nan
    table["ID"] = [f"sub-1_ses-{session}_x" for session in (13, 11, 12, 10, 14)]
    table.to_csv(tmp_path / "features.csv", index=False)
    (tmp_path / "metadata.csv").write_text(MOUSE)
    paths = tmp_path / "features.csv", tmp_path / "metadata.csv"
    mouse = ephys_types.read_gouwens_ephys(*paths, relative=relative)
    assert labels_of(mouse, MOUSE_LABELS) == MOUSE_LABELS
    assert mouse.to_df()["tau"].tolist() == [0, 3]
    assert ("peak_lag_ramp" in mouse.var_names) == relative
    assert list(mouse.uns["sbnn"]["dropped"].values()) == [["72"], ["74"], ["71"]]


@pytest.fixture
def blood(rng):
    """Counts of eight genes and two proteins in 40 cells; the fourth cell has no counts."""
    cells = [f"CD8_low_{i}" if i % 2 else f"CD4_{i}" for i in range(40)]
    genes = [*(f"HUMAN_{letter}" for letter in "abcdefg"), "MOUSE_a"]
    counts = pd.DataFrame(rng.negative_binomial(0.3, 0.02, (8, 40)), genes, cells)
    counts.iloc[:, 3] = 0
    proteins = pd.DataFrame(rng.poisson(5, (2, 40)), ["CD3_TotalSeqB", "CD19"], cells)
    return counts, proteins


def test_proteins_of_cd8_cells_are_matched_by_name(tmp_path, blood):
    counts, proteins = blood
    counts.to_csv(tmp_path / "rna.csv")
    proteins.iloc[:, ::-1].to_csv(tmp_path / "protein.csv")
    paths = tmp_path / "rna.csv", tmp_path / "protein.csv"
    data = as_paired(citeseq.read_cd8(*paths, log_proteins=False, n_genes=3))
    np.testing.assert_array_equal(data.Y, proteins[data.cell_names].T)


def test_cord_blood_is_in_the_order_of_its_clustering(tmp_path, blood):
    counts, proteins = blood
    clusters = pd.DataFrame({"cell_barcode": counts.columns[::-1], "cluster": range(40)})
    clusters["type"] = np.tile(["NK", "Ery", None, "B"], 10)
    paths = [tmp_path / f"{name}.csv" for name in ("rna", "protein", "clustering")]
    for path, table in zip(paths, (counts, proteins, clusters), strict=True):
        table.to_csv(path)
    options = {"n_genes": 3, "files": {"rna.csv": "1"}}
    data = as_paired(citeseq.read_cord_blood(*paths, log_proteins=False, **options))
    typed = clusters[clusters["type"].isin(["NK", "B"])].set_index("cell_barcode")
    kept = typed.drop(counts.columns[3])
    assert data.cell_names.tolist() == kept.index.tolist()
    assert data.labels["type"].tolist() == data.labels["family"].tolist() == kept["type"].tolist()
    np.testing.assert_array_equal(data.Y, proteins[kept.index].T)
    human = counts.iloc[:7].T
    genes = human.columns[select_genes(human.loc[typed.index], 3).selected]
    assert ["HUMAN_" + gene for gene in data.gene_names] == genes.tolist()
    chosen = human.loc[kept.index, genes]
    np.testing.assert_array_equal(data.counts, chosen)
    np.testing.assert_array_equal(data.X, log2p1(normalize_library_size(chosen)))
    logs = as_paired(citeseq.read_cord_blood(*paths, **options))
    np.testing.assert_allclose(logs.Y, np.log2(1 + data.Y))
    assert logs.sha256 != data.sha256, "of the same files"


METADATA = """Cell,RNA family,RNA type,Soma depth (µm)
20180102_sample_3_x,Sst,Sst A,700
20180102_sample_4,low quality,low quality,Slice Lost
20180102_sample_5,,Vip,
"""
REASONS = """01 02 2018 sample 3,
01 02 2018 sample 4,no RNA type (missing or low quality)
01 02 2018 sample 6,not in the metadata
01 02 2018 sample 5,missing ephys value
03 15 2018 sample 6,RNA and firing disagree
07 04 2019 sample 2,outside of M1
"""


def test_cells_of_motor_cortex_and_why_some_are_left_out():
    metadata = pd.read_csv(io.StringIO(METADATA))
    labels = scala.cell_labels(metadata)
    assert labels.index.tolist() == [f"20180102sample{i}" for i in (3, 4, 5)]
    np.testing.assert_array_equal(labels["soma_depth_um"], [700, np.nan, np.nan])
    names, reasons = zip(*(line.split(",") for line in REASONS.splitlines()), strict=True)
    raw = pd.DataFrame(2.0, range(6), list(scala.EPHYS_FEATURES))
    raw["name sample"] = [f"x/{name}.mat" for name in names]
    raw.iloc[3, 0] = np.nan
    features, found = scala.ephys_from_raw(raw, metadata)
    assert found.tolist() == list(reasons[1:])
    assert features.index.tolist() == ["20180102sample3"]
    logs = features.columns.isin(scala.LOG_FEATURES)
    np.testing.assert_allclose(features.to_numpy()[0], np.where(logs, np.log(2), 2))


@pytest.mark.parametrize("separator", [",", "\t"])
def test_counts_are_read_in_blocks_of_genes(tmp_path, rng, monkeypatch, separator):
    monkeypatch.setattr("sbnn.data.counts.GENES_READ_AT_ONCE", 3)
    cells = [f"20180918_sample_{i}_S1" for i in range(4)]
    table = pd.DataFrame(rng.poisson(1, (8, 4)), ["NA", *"bcdefgh"], cells)
    table.to_csv(tmp_path / "counts.csv.gz", sep=separator)
    counts, found, genes = read_count_table(tmp_path / "counts.csv.gz")
    np.testing.assert_array_equal(counts.toarray(), table.T)
    assert genes.tolist() == table.index.tolist()
    assert scala.join_cell_names(found).tolist() == [f"20180918sample{i}" for i in range(4)]


def test_visual_cortex_is_read_from_a_matlab_file(tmp_path, rng):
    n_excluded = len(gouwens.EXCLUDED_FEATURES)
    short = [*gouwens.EXCLUDED_FEATURES, "tau", "rheobase i"]
    names = {f"raw_{i}": name for i, name in enumerate(short)}
    outputs = rng.normal(size=(4, len(short)))
    outputs[2, 3] = np.nan  # in an output that is left out
    texts = {
        "gene_id": ["a", "b"],
        "pc_name": list(names)[:9],
        "sample_id": ["w", "x", "y", "z"],
        "cluster": ["Vip Chat ", "Sst Calb2", "Sst Chodl", "Sst Calb2"],
    }
    fields = {name: np.array(values, dtype=object) for name, values in texts.items()}
    fields["T_dat"] = rng.gamma(1, 2, (4, 2))
    fields["E_pc_scaled"] = outputs[:, :9]
    fields["E_feature"] = outputs[:, 9:]
    fields["feature_name"] = list(names)[9:]  # padded characters, all of the same length
    fields["cluster_color"] = ["#00FF00", "#AABBCC", "#102030", "#AABBCC"]
    fields["map_conf"] = fields["T_spec_id_label"] = np.arange(4)
    savemat(tmp_path / "release.mat", fields)
    (tmp_path / "names.json").write_text(json.dumps(names))
    data = as_paired(gouwens.read_gouwens(tmp_path / "release.mat", tmp_path / "names.json"))
    kept = [0, 1, 3]
    np.testing.assert_array_equal(data.X, fields["T_dat"][kept].astype("f4"))
    np.testing.assert_array_equal(data.Y, outputs[kept, n_excluded:].astype("f4"))
    assert data.feature_names.tolist() == ["tau", "rheobase i"]
    assert data.labels["family"].tolist() == ["Vip", "Sst", "Sst"]
    assert data.colors["Sst Calb2"] == "#AABBCC"
    assert data.about["dropped"] == {"missing output": ["y"]}
