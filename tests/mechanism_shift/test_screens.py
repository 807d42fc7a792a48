"""Perturbation screens: arrays, names and labels go together, and wrong input is refused."""

import anndata
import numpy as np
import pandas as pd
import pytest
from material.cells import screened_cells
from scipy import sparse

from sbnn.mechanism_shift.data import as_screen, perturbation_codes, screen

CELLS = ["c0", "c1", "c2", "c3", "c4", "c5"]
GENES = ["IRF1", "CD86", "MYC"]
PERTURBATION = ["b", "none", "a", "b", "none", "c"]
COUNTS = np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 5], [6, 7, 0], [0, 0, 8]])
TABLE = pd.DataFrame(COUNTS, CELLS, GENES)
LABELS = pd.DataFrame({"replicate": list("xyzxyz")}, index=CELLS)
CELLS_OF_GUIDES = anndata.AnnData(TABLE.astype(float), LABELS.assign(guide=PERTURBATION))


@pytest.fixture
def built():
    return screen(COUNTS, PERTURBATION, "none", GENES, CELLS, labels=LABELS[::-1], name="mine")


def test_counts_become_a_sparse_matrix(built):
    counts = as_screen(built).counts
    assert isinstance(counts, sparse.csr_array)
    assert counts.dtype == np.int32
    np.testing.assert_array_equal(counts.toarray(), COUNTS)


def test_perturbations_and_name_stay(built):
    arrays = as_screen(built)
    assert arrays.perturbation.tolist() == PERTURBATION
    assert arrays.control == "none"
    assert arrays.name == "mine"


def from_table():
    return screen(TABLE, PERTURBATION, "b")


def from_adata():
    return screen(CELLS_OF_GUIDES, "guide", "b")


def from_layer():
    adata = CELLS_OF_GUIDES.copy()
    adata.layers["counts"] = adata.X.copy()
    adata.X = np.log1p(adata.X)
    return screen(adata, "guide", "b")


@pytest.mark.parametrize("build", [from_table, from_adata, from_layer])
def test_names_come_from_the_container(build):
    adata = build()
    assert adata.obs_names.tolist() == CELLS
    assert adata.var_names.tolist() == GENES


@pytest.mark.parametrize("build", [from_table, from_adata, from_layer])
def test_counts_and_perturbations_belong_to_their_cells(build):
    arrays = as_screen(build())
    np.testing.assert_array_equal(arrays.counts.toarray(), COUNTS)
    assert arrays.perturbation.tolist() == PERTURBATION
    assert arrays.control == "b"


def test_labels_of_an_anndata_stay():
    assert list(from_adata().obs) == ["replicate", "perturbation"]


SERIES = pd.Series(PERTURBATION, CELLS)
WITH_OTHER_CELLS = pd.concat([SERIES, SERIES.add_prefix("d")])
NUMBERED = SERIES.reset_index(drop=True)


@pytest.mark.parametrize("perturbation", [SERIES[::-1], WITH_OTHER_CELLS])
def test_perturbations_are_matched_by_cell(perturbation):
    expected = screen(TABLE, PERTURBATION, "none")
    adata = screen(TABLE, perturbation, "none")
    assert adata.obs.equals(expected.obs)
    assert adata.uns["sbnn"]["sha256"] == expected.uns["sbnn"]["sha256"]


def test_cells_without_names_are_in_order():
    arrays = as_screen(screen(COUNTS, NUMBERED))
    assert arrays.perturbation.tolist() == PERTURBATION


@pytest.mark.parametrize(
    ("counts", "perturbation", "message"),
    [
        (TABLE, NUMBERED, "perturbation: no row for 6 of 6 cells: c0.*rows 0, 1"),
        (TABLE, SERIES.replace("a", None), "perturbation: unknown for cells c2"),
        (CELLS_OF_GUIDES, "nope", "perturbation: 'nope' is unknown"),
        (
            TABLE.assign(new="x"),
            PERTURBATION,
            "counts: expected numbers, got 'x' in row 'c0', column 'new'",
        ),
        (
            TABLE.assign(new=np.arange(6) / 5),
            PERTURBATION,
            "counts: .*not whole numbers from 0 on: new",
        ),
        (TABLE.assign(new=np.nan), PERTURBATION, "counts: missing, .*: new"),
        (TABLE.assign(new=True), PERTURBATION, "counts: flags.*: new"),
        (sparse.csr_array(COUNTS * 1.13), PERTURBATION, r"counts: .*got 1\.13"),
        (
            TABLE.set_axis(["IRF1", "CD86", "IRF1"], axis=1),
            PERTURBATION,
            "counts: .*repeated gene names: 'IRF1'",
        ),
    ],
)
def test_mistakes_in_tables_are_named(counts, perturbation, message):
    with pytest.raises(ValueError, match=message):
        screen(counts, perturbation)


@pytest.mark.parametrize(
    ("labels", "control", "expected"),
    [([" ctrl ", " ctrl ", "IRF1"], " ctrl ", "ctrl"), ([0.0, 0.0, 1.0], 0.0, "0")],
    ids=["spaces", "numbers"],
)
def test_the_control_is_read_as_labels_are(labels, control, expected):
    assert as_screen(screen(COUNTS[:3], labels, control)).control == expected


def test_several_controls_are_refused():
    with pytest.raises(TypeError, match="control: expected one label"):
        screen(TABLE, PERTURBATION, ["a", "b"])


def test_an_unknown_control_is_named():
    with pytest.raises(ValueError, match="control: no cell is 'x'; the perturbations are a, b"):
        screen(TABLE, PERTURBATION, "x")


def test_labels_among_the_genes_are_named():
    with pytest.raises(ValueError, match="counts: .* replicate"):
        screen(TABLE.assign(replicate=1), PERTURBATION, labels=LABELS)


GUIDES = pd.DataFrame(np.eye(6, 3, dtype=int), CELLS, ["g1", "g2", "g3"])


@pytest.mark.parametrize(
    ("perturbation", "got"),
    [
        ([["a"]] * 6, "list"),
        (GUIDES, "DataFrame"),
        (anndata.AnnData(GUIDES.astype(float)), "AnnData"),
    ],
)
def test_perturbations_are_a_column(perturbation, got):
    with pytest.raises(TypeError, match=f"perturbation: expected a list .* each cell, got {got}$"):
        screen(TABLE, perturbation)


@pytest.mark.parametrize("argument", ["gene_names", "cell_names", "labels"])
def test_names_beside_an_anndata_are_refused(argument):
    with pytest.raises(TypeError, match=f"{argument}.*: leave them out"):
        screen(CELLS_OF_GUIDES, "guide", **{argument: TABLE})


@pytest.fixture
def unordered():
    """The same counts, with columns of a row in no order, and an entry in two parts."""
    data = np.array([2.0, 0.5, 0.5, 3, 4, 5, 6, 7, 8])
    columns = [2, 0, 0, 1, 0, 2, 0, 1, 2]
    return sparse.csr_array((data, columns, [0, 3, 4, 5, 6, 8, 9]), shape=(6, 3))


@pytest.fixture
def stored_zeros():
    """The same counts, with all zeros stored."""
    matrix = sparse.csr_array(COUNTS + np.float32(1))
    matrix.data -= 1
    return matrix


@pytest.mark.parametrize("counts", ["unordered", "stored_zeros"])
def test_equal_counts_are_the_same_data(counts, request):
    expected = as_screen(screen(COUNTS, PERTURBATION, "none", GENES))
    same = as_screen(screen(request.getfixturevalue(counts), PERTURBATION, "none", GENES))
    assert same.sha256 == expected.sha256


def test_counts_are_left_as_they_are(unordered):
    before = unordered.copy()
    screen(unordered, PERTURBATION)
    assert unordered.data.tolist() == before.data.tolist()
    assert unordered.indices.tolist() == before.indices.tolist()


def test_perturbations_have_codes_and_sizes():
    names, codes, sizes = perturbation_codes(np.array(["b", "a", "b", "a", "b"]), None)
    assert names.tolist() == ["a", "b"]
    assert codes.tolist() == [1, 0, 1, 0, 1]
    assert sizes.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("labels", "control", "message"),
    [
        ("aabc", None, "perturbation: leave out those of a single cell: b, c"),
        ("aabb", "b", "perturbation: expected two or more besides the control, got a, b"),
    ],
)
def test_every_perturbation_needs_two_cells(labels, control, message):
    with pytest.raises(ValueError, match=message):
        perturbation_codes(np.array([*labels]), control)


def test_a_subset_takes_truth_along():
    adata = screened_cells()
    part = as_screen(adata[[7, 2, 30]])
    latents = adata.obsm["true_latents"]
    np.testing.assert_array_equal(part.truth["latents"], latents[[7, 2, 30]])


def test_a_subset_without_control_cells_has_no_control(built):
    assert as_screen(built[[0, 2]]).control is None
