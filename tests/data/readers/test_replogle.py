import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.readers import replogle
from sbnn.data.readers.replogle import read_replogle

IDENTIFIERS = ["ENSG01", "ENSG02", "ENSG03", "ENSG04", "ENSG05"]
SYMBOLS = ["HMGN2", "TBCE", "IRF1", "TBCE", "MYC"]
# Of CTSC two pairs of guides; one cell has none.
TARGETS = ["CTSC", "non-targeting", "CTSC", "BRD4", "non-targeting", "CTSC", np.nan, "BRD4", "SPI1"]
GUIDES = ["CTSC_-_1|CTSC_-_2", "non-targeting_01|non-targeting_02", "CTSC_+_3|CTSC_+_4", "BRD4_+_1|BRD4_+_2",
          "non-targeting_03|non-targeting_04", "CTSC_-_1|CTSC_-_2", np.nan, "BRD4_+_1|BRD4_+_2",
          "SPI1_+_1|SPI1_+_2"]  # fmt: skip
N = len(TARGETS)


def counts():
    return np.random.default_rng(0).poisson(1.0, (N, 5)).astype(np.float32)


def cells():
    barcodes = pd.Index([f"AAAC{i}-{i % 3}" for i in range(N)], name="cell_barcode")
    obs = {"gem_group": np.arange(N) % 3, "gene": TARGETS, "sgID_AB": GUIDES, "mitopercent": np.linspace(0, 0.2, N)}
    return pd.DataFrame(obs, barcodes).astype({"gene": "category", "sgID_AB": "category"})


@pytest.fixture
def write(tmp_path):
    """Write a file of the layout, with this matrix."""

    def write_file(matrix):
        var = pd.DataFrame({"gene_name": pd.Categorical(SYMBOLS)}, pd.Index(IDENTIFIERS, name="gene_id"))
        adata = anndata.AnnData(matrix, obs=cells(), var=var)
        adata.write_h5ad(tmp_path / "raw_singlecell.h5ad")
        return tmp_path / "raw_singlecell.h5ad"

    return write_file


@pytest.fixture(params=["dense", "csr", "csc"])
def path(request, write):
    made = {"dense": np.asarray, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix}
    return write(made[request.param](counts()))


@pytest.fixture(params=[1, 10, 10**6])
def values_at_once(request, monkeypatch):
    """A row at a time, two rows, or all."""
    monkeypatch.setattr(replogle, "_VALUES_AT_ONCE", request.param)


def test_layout_is_read(path, values_at_once):
    screen = read_replogle(path)
    there = [i for i in range(N) if i != 6]
    np.testing.assert_array_equal(screen.counts.toarray(), counts()[there])
    assert screen.perturbation.tolist() == [TARGETS[i] for i in there]
    assert screen.control == "non-targeting" and screen.targets.tolist() == ["BRD4", "CTSC", "SPI1"]
    assert screen.gene_names.tolist() == ["HMGN2", "TBCE_ENSG02", "IRF1", "TBCE_ENSG04", "MYC"]
    assert screen.cell_names.tolist() == [f"AAAC{i}-{i % 3}" for i in there]
    assert screen.labels["gem_group"].tolist() == [i % 3 for i in there]
    assert screen.labels["sgID_AB"].tolist()[0] == "CTSC_-_1|CTSC_-_2" and "gene" not in screen.labels
    assert screen.dropped == {"no entry in obs['gene']": 1}


def test_part_of_the_cells_and_genes(path, values_at_once):
    screen = read_replogle(path, perturbations=["CTSC", "SPI1"], genes=["IRF1", "ENSG02", "TBCE_ENSG04"], min_cells=2)
    rows = [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(screen.counts.toarray(), counts()[rows][:, [1, 2, 3]])
    assert screen.perturbation.tolist() == [TARGETS[i] for i in rows]
    assert screen.gene_names.tolist() == ["TBCE_ENSG02", "IRF1", "TBCE_ENSG04"]
    assert screen.dropped == {
        "no entry in obs['gene']": 1,
        "another perturbation": 2,
        "perturbation of fewer than 2 cells": 1,
    }


def test_guides_have_the_same_control(path):
    screen = read_replogle(path, "sgID_AB", min_cells=2)
    assert screen.targets.tolist() == ["BRD4_+_1|BRD4_+_2", "CTSC_-_1|CTSC_-_2"]
    assert (screen.perturbation == screen.control).sum() == 2
    assert screen.dropped["perturbation of fewer than 2 cells"] == 2
    alone = read_replogle(path, "sgID_AB", perturbations="BRD4_+_1|BRD4_+_2", genes="IRF1")
    assert alone.counts.shape == (4, 1) and alone.targets.tolist() == ["BRD4_+_1|BRD4_+_2"]
    assert read_replogle(path, min_cells=3).control == "non-targeting", "two control cells are no perturbation"


def test_the_matrix_is_never_dense_as_a_whole(write, monkeypatch):
    asked = []
    read = h5py.Dataset.__getitem__

    def counted(self, key, *rest, **options):
        values = read(self, key, *rest, **options)
        asked.append(np.size(values) if self.name == "/X" else 0)
        return values

    path = write(counts())
    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    monkeypatch.setattr(replogle, "_VALUES_AT_ONCE", 10)
    read_replogle(path)
    assert max(asked) == 10 and sum(asked) == N * 5


def test_files_of_the_old_layout_of_categories(write):
    path = write(counts())
    with h5py.File(path, "r+") as file:  # as anndata wrote them until 2021, and as the published ones are
        obs = file["obs"]
        for name in ("gene", "sgID_AB"):
            codes, categories = obs[f"{name}/codes"][:], obs[f"{name}/categories"][:]
            del obs[name]
            obs[name] = codes
            obs[f"__categories/{name}"] = categories
            obs[name].attrs["categories"] = obs[f"__categories/{name}"].ref
        obs.attrs["encoding-version"] = "0.1.0"
    screen = read_replogle(path)
    assert screen.perturbation.tolist() == [name for name in TARGETS if name is not np.nan]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"column": "guide"}, KeyError, r"no 'guide' in obs; it holds \['gem_group', 'gene', 'mitopercent', 'sgID_AB'"),
        ({"perturbations": ["CTSC", "NOPE"]}, ValueError, r"perturbations: no cell has NOPE in obs\['gene'\]"),
        ({"genes": ["IRF1", "NOPE"]}, ValueError, "genes: the file holds no NOPE; it holds HMGN2, TBCE_ENSG02"),
        ({"genes": ["TBCE"]}, ValueError, "genes: the file holds no TBCE; it holds"),
        ({"genes": []}, ValueError, "genes is empty"),
    ],
)
def test_wrong_arguments_are_named(write, options, error, message):
    with pytest.raises(error, match=message):
        read_replogle(write(counts()), **options)


def test_values_that_are_no_counts_are_refused(write, tmp_path):
    normalised = counts() - counts().mean(axis=0)
    with pytest.raises(ValueError, match="raw_singlecell.h5ad: X: expected whole numbers >= 0, got .* negative values"):
        read_replogle(write(normalised))
    with pytest.raises(FileNotFoundError, match="path: no file '.*absent.h5ad'"):
        read_replogle(tmp_path / "absent.h5ad")


def test_without_control_cells_and_symbols(tmp_path):
    obs = cells().iloc[[0, 2, 3]]
    adata = anndata.AnnData(counts()[[0, 2, 3]], obs=obs, var=pd.DataFrame(index=IDENTIFIERS))
    adata.write_h5ad(tmp_path / "some.h5ad")
    screen = read_replogle(tmp_path / "some.h5ad")
    assert screen.control is None and screen.gene_names.tolist() == IDENTIFIERS
    with pytest.raises(ValueError, match="no cell is left; left out are .*'perturbation of fewer than 5 cells': 3"):
        read_replogle(tmp_path / "some.h5ad", min_cells=5)
