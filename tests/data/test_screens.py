"""Perturbation screens: arrays, names and labels go together, and wrong input is refused."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.screens import as_screen, perturbation_codes, screen
from sbnn.data.simulate_perturbations import simulate_perturbations

CELLS = ["c0", "c1", "c2", "c3", "c4", "c5"]
GENES = ["IRF1", "CD86", "MYC"]
PERTURBATION = ["b", "none", "a", "b", "none", "c"]
COUNTS = np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 5], [6, 7, 0], [0, 0, 8]])
LABELS = pd.DataFrame({"replicate": list("xyzxyz")}, index=CELLS)


def build(counts=COUNTS, perturbation=PERTURBATION, control="none", genes=GENES, **changes):
    given = {"cell_names": CELLS, "labels": LABELS} | changes
    return screen(counts, perturbation, control, genes, **given)


def test_arrays_are_those_that_it_was_built_of():
    built = build(name="mine", labels=LABELS[::-1])
    arrays = as_screen(built)
    assert isinstance(arrays.counts, sparse.csr_array)
    assert arrays.counts.dtype == np.int32
    np.testing.assert_array_equal(arrays.counts.toarray(), COUNTS)
    assert arrays.perturbation.tolist() == PERTURBATION
    assert (arrays.control, arrays.name) == ("none", "mine")
    assert built.obs[["replicate"]].equals(LABELS)


def test_names_come_from_the_container():
    table = pd.DataFrame(COUNTS, CELLS, GENES)
    adata = anndata.AnnData(table.astype(float), LABELS.assign(guide=PERTURBATION))
    for made in (screen(table, PERTURBATION, "b"), screen(adata, "guide", "b")):
        arrays = as_screen(made)
        assert made.obs_names.tolist() == CELLS and arrays.gene_names.tolist() == GENES
        assert arrays.perturbation.tolist() == PERTURBATION and arrays.control == "b"
    assert list(made.obs) == ["replicate", "perturbation"]


def test_perturbations_are_matched_by_the_names_of_the_cells():
    table = pd.DataFrame(COUNTS, CELLS, GENES)
    perturbation = pd.Series(PERTURBATION, CELLS)
    known = screen(table, PERTURBATION, "none")
    others = pd.concat([perturbation, perturbation.add_prefix("d")])
    for given in (perturbation[::-1], others):
        found = screen(table, given, "none")
        assert found.obs.equals(known.obs)
        assert found.uns["sbnn"]["sha256"] == known.uns["sbnn"]["sha256"]
    numbered = perturbation.reset_index(drop=True)
    assert as_screen(screen(COUNTS, numbered)).perturbation.tolist() == PERTURBATION
    for wrong, message in [
        (numbered, "perturbation: no row for 6 of 6 cells: c0.*rows 0, 1.*index_col=0"),
        (perturbation[1:], r"perturbation: no row for 1 of 6 cells: c0; .*index.isin"),
        (others.rename({"dc0": "c0"}), "perturbation: rows that appear more than once: c0"),
        (perturbation.replace("a", None), "perturbation: unknown for cells c2; .*drop"),
    ]:
        with pytest.raises(ValueError, match=message):
            screen(table, wrong, "none")
    with pytest.raises(ValueError, match=r"perturbation: no row for 3 of 3 cells: IRF1.*table\.T"):
        screen(table.T, perturbation, "none")
    for wrong in ("guide", perturbation.to_frame("guide")):
        with pytest.raises(TypeError, match=r"perturbation: .*labels\['perturbation'\]"):
            screen(table, wrong, "none")
    with pytest.raises(ValueError, match="perturbation: 'guide' is unknown"):
        screen(anndata.AnnData(table.astype(float)), "guide")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["x"] * 6, "counts: expected numbers, got 'x' in row 'c0', column 'new'"),
        (np.arange(6) / 5, "counts: .*not whole numbers from 0 on: new; .*round"),
        ([np.nan] * 6, "counts: missing, .*: new; .*fillna"),
        ([True] * 6, "counts: flags.*: new"),
    ],
)
def test_columns_that_are_no_counts_are_named(column, message):
    table = pd.DataFrame(COUNTS, CELLS, GENES)
    with pytest.raises(ValueError, match=message):
        screen(table.assign(new=column), PERTURBATION)
    with pytest.raises(ValueError, match="counts: .* replicate"):
        screen(table.assign(replicate=1), PERTURBATION, labels=LABELS)


def test_equal_counts_are_the_same_data_and_are_left_as_they_are():
    # columns of a row in no order, and an entry in two parts
    data = [2.0, 0.5, 0.5, 3, 4, 5, 6, 7, 8]
    columns = [2, 0, 0, 1, 0, 2, 0, 1, 2]
    odd = sparse.csr_array((np.array(data), columns, [0, 3, 4, 5, 6, 8, 9]), shape=(6, 3))
    zeros = sparse.csr_array(COUNTS + np.float32(1))
    zeros.data -= 1  # all zeros are stored
    known = as_screen(build()).sha256
    for same in (odd, zeros):
        assert as_screen(build(same)).sha256 == known
    assert odd.data.tolist() == data and odd.indices.tolist() == columns


def test_every_perturbation_needs_two_cells():
    names, codes, sizes = perturbation_codes(np.array(["b", "a", "b", "a", "b"]), None)
    assert names.tolist() == ["a", "b"]
    assert codes.tolist() == [1, 0, 1, 0, 1]
    assert sizes.tolist() == [2, 3]
    for wrong, control in ((list("aabc"), None), (list("aabb"), "b")):
        with pytest.raises(ValueError, match="perturbation"):
            perturbation_codes(np.array(wrong), control)


def test_a_subset_takes_truth_along_and_has_a_control_while_its_cells_are_there():
    adata = simulate_perturbations(5, 6, 4, 40, n_control=3, random_state=1)
    part = as_screen(adata[[7, 2, 30]])
    latents = adata.obsm["true_latents"]
    np.testing.assert_array_equal(part.truth["latents"], latents[[7, 2, 30]])
    assert as_screen(build()[[0, 2]]).control is None
