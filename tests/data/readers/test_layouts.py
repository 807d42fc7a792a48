"""Layouts of published data sets, from small files of the same form."""

import io
import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from material.layouts import blood_clustering, blood_tables, visual_cortex_fields
from scipy.io import savemat

from sbnn.data.counts import read_count_table
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import log2p1, normalize_library_size, select_genes
from sbnn.data.readers import citeseq, gouwens, scala

# --- CITE-seq


@pytest.fixture
def blood(rng):
    return blood_tables(rng)


@pytest.fixture
def blood_files(blood, tmp_path):
    counts, proteins = blood
    counts.to_csv(tmp_path / "rna.csv")
    proteins.to_csv(tmp_path / "protein.csv")
    return tmp_path / "rna.csv", tmp_path / "protein.csv"


def test_the_gate_of_cd8_cells_is_their_type(blood_files):
    adata = citeseq.read_cd8(*blood_files, n_genes=3)
    assert set(adata.obs["type"]) == {"CD8 low", "CD4"}


@pytest.fixture
def clustering(blood):
    counts, _ = blood
    return blood_clustering(counts)


@pytest.fixture
def typed(clustering):
    """The cells that have a type and are no erythrocytes."""
    return clustering[clustering["type"].isin(["NK", "B"])].set_index("cell_barcode")


@pytest.fixture
def kept(typed, blood):
    """Those that have counts."""
    counts, _ = blood
    return typed.drop(counts.columns[3])


@pytest.fixture
def read_blood(blood_files, clustering, tmp_path):
    path = tmp_path / "clustering.csv"
    clustering.to_csv(path)
    return partial(citeseq.read_cord_blood, *blood_files, path, n_genes=3)


def test_cord_blood_is_in_the_order_of_its_clustering(read_blood, kept):
    data = as_paired(read_blood())
    assert data.cell_names.tolist() == kept.index.tolist()
    assert data.labels["type"].tolist() == kept["type"].tolist()
    assert data.labels["family"].tolist() == kept["type"].tolist()


def test_human_genes_are_selected_by_counts_of_typed_cells(read_blood, blood, typed, kept):
    data = as_paired(read_blood())
    counts, _ = blood
    human = counts.iloc[:7].T
    selection = select_genes(human.loc[typed.index], 3)
    genes = human.columns[selection.selected]
    assert ["HUMAN_" + gene for gene in data.gene_names] == genes.tolist()
    chosen = human.loc[kept.index, genes]
    np.testing.assert_array_equal(data.counts, chosen)
    np.testing.assert_array_equal(data.X, log2p1(normalize_library_size(chosen)))


def test_proteins_are_counts_or_their_logarithms(read_blood, blood, kept):
    _, proteins = blood
    counted = as_paired(read_blood(log_proteins=False))
    np.testing.assert_array_equal(counted.Y, proteins[kept.index].T)
    logs = as_paired(read_blood(files={"rna.csv": "1"}))
    np.testing.assert_allclose(logs.Y, np.log2(1 + counted.Y))
    assert logs.sha256 != counted.sha256, "of the same files"


def test_centred_logs_of_proteins_are_log_ratios(read_blood):
    logs = as_paired(read_blood(log_proteins=True)).Y
    centred = as_paired(read_blood(log_proteins="centred")).Y
    assert centred.sum(axis=1) == pytest.approx(0, abs=1e-4)
    ratios = logs - logs[:, :1]
    np.testing.assert_allclose(centred - centred[:, :1], ratios, atol=1e-5)


def test_sparse_matrices_of_r_have_cells_in_columns():
    # three genes x two cells
    matrix = SimpleNamespace(
        x=np.array([5.0, 7.0, 1.0]),
        i=np.array([0, 2, 1]),
        p=np.array([0, 2, 3]),
        Dimnames=[["A", "B", "C"], ["x", "y"]],
    )
    counts, cells, genes = citeseq.sparse_counts(matrix, {})
    table = pd.DataFrame(counts.toarray(), cells, genes)
    expected = pd.DataFrame({"A": [5, 0], "B": [0, 1], "C": [7, 0]}, ["x", "y"])
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


# --- Patch-seq

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


@pytest.fixture
def metadata():
    return pd.read_csv(io.StringIO(METADATA))


def test_labels_of_motor_cortex_are_named_by_cell(metadata):
    labels = scala.cell_labels(metadata)
    assert labels.index.tolist() == [f"20180102sample{i}" for i in (3, 4, 5)]
    np.testing.assert_array_equal(labels["soma_depth_um"], [700, np.nan, np.nan])


@pytest.fixture
def from_raw(metadata):
    """Features and reasons for the cells of `REASONS`, of which every feature is 2."""
    names = [line.split(",")[0] for line in REASONS.splitlines()]
    raw = pd.DataFrame(2.0, range(6), list(scala.EPHYS_FEATURES))
    raw["name sample"] = [f"x/{name}.mat" for name in names]
    raw.iloc[3, 0] = np.nan
    return scala.ephys_from_raw(raw, metadata)


def test_cells_of_motor_cortex_are_left_out_for_a_reason(from_raw):
    features, reasons = from_raw
    expected = [line.split(",")[1] for line in REASONS.splitlines()]
    assert reasons.tolist() == expected[1:]
    assert features.index.tolist() == ["20180102sample3"]


def test_some_features_of_motor_cortex_are_logarithms(from_raw):
    features, _ = from_raw
    is_log = features.columns.isin(scala.LOG_FEATURES)
    expected = np.where(is_log, np.log(2), 2)
    np.testing.assert_allclose(features.to_numpy()[0], expected)


@pytest.mark.parametrize("separator", [",", "\t"])
def test_counts_are_read_in_blocks_of_genes(tmp_path, rng, monkeypatch, separator):
    monkeypatch.setattr("sbnn.data.counts.GENES_READ_AT_ONCE", 3)
    cells = [f"20180918_sample_{i}_S1" for i in range(4)]
    table = pd.DataFrame(rng.poisson(1, (8, 4)), ["NA", *"bcdefgh"], cells)
    table.to_csv(tmp_path / "counts.csv.gz", sep=separator)
    counts, found, genes = read_count_table(tmp_path / "counts.csv.gz")
    np.testing.assert_array_equal(counts.toarray(), table.T)
    assert genes.tolist() == table.index.tolist()
    assert found.tolist() == cells


@pytest.fixture
def release(rng):
    return visual_cortex_fields(rng)


@pytest.fixture
def visual_cortex(release, tmp_path):
    fields, names = release
    savemat(tmp_path / "release.mat", fields)
    (tmp_path / "names.json").write_text(json.dumps(names))
    return as_paired(gouwens.read_gouwens(tmp_path / "release.mat", tmp_path / "names.json"))


def test_visual_cortex_has_the_cells_with_all_outputs(visual_cortex, release):
    fields, _ = release
    np.testing.assert_array_equal(visual_cortex.X, fields["T_dat"][[0, 1, 3]].astype("f4"))
    assert visual_cortex.about["dropped"] == {"missing output": ["y"]}


def test_outputs_of_visual_cortex_have_short_names(visual_cortex, release):
    fields, _ = release
    outputs = np.hstack([fields["E_pc_scaled"], fields["E_feature"]])
    expected = outputs[[0, 1, 3], len(gouwens.EXCLUDED_FEATURES) :]
    np.testing.assert_array_equal(visual_cortex.Y, expected.astype("f4"))
    assert visual_cortex.feature_names.tolist() == ["tau", "rheobase i"]


def test_families_of_visual_cortex_are_the_first_word(visual_cortex):
    assert visual_cortex.labels["family"].tolist() == ["Vip", "Sst", "Sst"]
    assert visual_cortex.colors["Sst Calb2"] == "#AABBCC"
