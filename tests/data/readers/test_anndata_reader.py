import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn import PairedData

CELLS = [f"c{i}" for i in range(10)]
PROTEINS = ["CD3", "CD4", "CD19"]


class Modalities:
    """What a MuData shows of itself: several AnnData by name, shared labels, and a place for anything."""

    def __init__(self, mod, obs=None, uns=None):
        self.mod, self.obs, self.uns = mod, pd.DataFrame(index=CELLS) if obs is None else obs, uns or {}


@pytest.fixture
def rna():
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(
        sparse.csr_matrix(rng.poisson(5, (10, 4)).astype(np.float32)),
        obs=pd.DataFrame({"cluster": pd.Categorical(["B", "T"] * 5)}, index=CELLS),
        var=pd.DataFrame(index=["G0", "G1", "G2", "G3"]),
    )
    adata.layers["counts"] = adata.X.astype(int)
    return adata


@pytest.fixture
def proteins():
    values = np.random.default_rng(1).normal(size=(10, 3)).astype(np.float32)
    return anndata.AnnData(values, obs=pd.DataFrame(index=CELLS), var=pd.DataFrame(index=PROTEINS))


@pytest.mark.parametrize("form", ["frame", "array", "csr", "csc"])
def test_outputs_of_every_form_have_names(rna, proteins, form):
    table = pd.DataFrame(proteins.X, index=CELLS, columns=PROTEINS)
    made = {"frame": table, "array": proteins.X, "csr": sparse.csr_matrix(table), "csc": sparse.csc_matrix(table)}
    rna.obsm["protein_expression"] = made[form]
    data = PairedData.from_anndata(rna, "protein_expression")
    np.testing.assert_array_equal(data.Y, proteins.X)
    assert data.feature_names.tolist() == (PROTEINS if form == "frame" else ["output_0", "output_1", "output_2"])
    for key in ("protein_names", "protein_expression_names"):  # as scvi-tools names them, and by the table itself
        rna.uns = {key: np.array(PROTEINS, dtype=object)}
        assert PairedData.from_anndata(rna, "protein_expression").feature_names.tolist() == PROTEINS
    rna.uns = {"protein_names": PROTEINS[:2]}
    if form != "frame":
        with pytest.raises(ValueError, match=r"adata.uns\['protein_names'\] holds 2 names, expected 3"):
            PairedData.from_anndata(rna, "protein_expression")


@pytest.mark.parametrize(
    "palette",
    [["#FF0000", "#0000ff"], ["red", "blue"], [(1, 0, 0), (0, 0, 1, 1)], {"T": "blue", "B": "#FF0000FF"}],
)
@pytest.mark.parametrize("categorical", [False, True])
def test_colors_of_every_form(rna, palette, categorical):
    rna.uns["cluster_colors"] = palette
    if not categorical:
        rna.obs["cluster"] = rna.obs["cluster"].astype(str)
    data = PairedData.from_anndata(rna, None, type_key="cluster")
    assert data.colors == {"B": "#FF0000", "T": "#0000FF"}
    assert data.labels["type"].tolist() == ["B", "T"] * 5 and data.labels["cluster"].dtype == object


def test_colors_that_are_none_or_too_few(rna):
    rna.uns["cluster_colors"] = ["red", "no colour"]
    with pytest.raises(ValueError, match=r"uns\['cluster_colors'\] holds what is no colour: .*no colour"):
        PairedData.from_anndata(rna, None, type_key="cluster")
    rna.uns["cluster_colors"] = ["red"]  # of another clustering: as in scanpy, not used
    assert "#FF0000" not in PairedData.from_anndata(rna, None, type_key="cluster").colors.values()


def test_modalities_are_paired_by_cell_name(rna, proteins):
    shared = pd.DataFrame({"cluster": "other", "donor": list("ab") * 5}, index=CELLS)
    mdata = Modalities({"rna": rna, "prot": proteins[::-1]}, shared, {"cluster_colors": ["#111111", "#222222"]})
    data = PairedData.from_anndata(mdata, "prot", type_key="cluster", source="a study")
    np.testing.assert_array_equal(data.X, rna.X.toarray())
    np.testing.assert_array_equal(data.Y, proteins.X)
    np.testing.assert_array_equal(data.counts.toarray(), rna.layers["counts"].toarray())
    assert data.feature_names.tolist() == PROTEINS and data.cell_names.tolist() == CELLS
    assert data.labels["type"].tolist() == ["B", "T"] * 5  # what the modality says goes before what is shared
    assert data.labels["donor"].tolist() == list("ab") * 5
    assert data.colors == {"B": "#111111", "T": "#222222"} and data.source == "a study" and data.dropped == {}


def test_cells_of_one_modality_alone_are_listed(rna, proteins):
    mdata = Modalities({"gex": rna[:8], "adt": proteins[[9, 7, 2, 3, 0, 6]]})
    with pytest.warns(UserWarning) as caught:
        data = PairedData.from_anndata(mdata, "adt", expression="gex")
    assert [str(warning.message) for warning in caught] == [
        "3 of 8 cells are only in modality 'gex' and are left out: c1, c4, c5",
        "1 of 6 cells are only in modality 'adt' and are left out: c9",
    ]
    assert caught[0].filename == __file__
    assert data.cell_names.tolist() == ["c0", "c2", "c3", "c6", "c7"]
    np.testing.assert_array_equal(data.Y, proteins[data.cell_names].X)
    assert data.dropped == {"cells only in gex": ["c1", "c4", "c5"], "cells only in adt": ["c9"]}
    assert PairedData.from_anndata(data.to_anndata()).dropped == data.dropped


def test_outputs_beside_the_genes_of_a_modality(rna, proteins):
    rna.obsm["outputs"] = proteins.to_df()
    mdata = Modalities({"rna": rna})
    np.testing.assert_array_equal(PairedData.from_anndata(mdata).Y, proteins.X)
    assert PairedData.from_anndata(mdata, None).n_outputs == 0


def test_modalities_that_are_not_there_are_named(rna, proteins):
    mdata = Modalities({"rna": rna, "prot": proteins})
    with pytest.raises(KeyError, match=r"no 'gex' in mod; it holds \['prot', 'rna'\]"):
        PairedData.from_anndata(mdata, "prot", expression="gex")
    with pytest.raises(
        KeyError, match=r"no 'adt' in mod\['rna'\].obsm; it holds \[\], and the modalities are \['prot', "
    ):
        PairedData.from_anndata(mdata, "adt")
    proteins.obs_names = [f"x{i}" for i in range(10)]
    with pytest.raises(ValueError, match="modalities 'rna' and 'prot' share no cell name: c0, .* in the first, x0"):
        PairedData.from_anndata(mdata, "prot")
