"""Perturbation screens: arrays, names and labels go together, and wrong input is refused."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.screens import as_screen, check_perturbation, codes_of, screen
from sbnn.data.simulate_perturbations import simulate_perturbations

CELLS = ["c0", "c1", "c2", "c3", "c4", "c5"]
GENES = ["IRF1", "CD86", "MYC"]
PERTURBATION = ["b", "none", "a", "b", "none", "c"]
COUNTS = np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 5], [6, 7, 0], [0, 0, 8]])
LABELS = pd.DataFrame({"replicate": list("xyzxyz")}, index=CELLS)


def build(**changes):
    given = {
        "counts": COUNTS,
        "perturbation": PERTURBATION,
        "control": "none",
        "gene_names": GENES,
        "cell_names": CELLS,
        "labels": LABELS,
    }
    return screen(**given | changes)


def test_arrays_are_those_that_it_was_built_of():
    arrays = as_screen(build(name="mine", dropped={"few counts": 3, "no guide": 0}))
    assert isinstance(arrays.counts, sparse.csr_array)
    assert arrays.counts.dtype == np.int32
    np.testing.assert_array_equal(arrays.counts.toarray(), COUNTS)
    assert arrays.perturbation.tolist() == PERTURBATION
    assert arrays.control == "none"
    assert arrays.targets.tolist() == ["a", "b", "c"]
    assert arrays.gene_names.tolist() == GENES
    assert arrays.cell_names.tolist() == CELLS
    assert arrays.labels.equals(LABELS)
    assert arrays.name == "mine"
    assert as_screen(arrays) is arrays


def test_names_come_from_the_table_or_are_numbers():
    table = as_screen(screen(pd.DataFrame(COUNTS, CELLS, GENES), PERTURBATION))
    assert table.cell_names.tolist() == CELLS and table.gene_names.tolist() == GENES
    adata = anndata.AnnData(sparse.csr_array(COUNTS), LABELS.assign(guide=PERTURBATION))
    arrays = as_screen(screen(adata, "guide", "b"))
    assert arrays.perturbation.tolist() == PERTURBATION and arrays.control == "b"
    assert list(arrays.labels) == ["replicate"]


def test_equal_counts_are_the_same_data_and_are_left_as_they_are():
    # columns of a row in no order, and an entry in two parts
    data = [2.0, 0.5, 0.5, 3, 4, 5, 6, 7, 8]
    columns = [2, 0, 0, 1, 0, 2, 0, 1, 2]
    odd = sparse.csr_array((np.array(data), columns, [0, 3, 4, 5, 6, 8, 9]), shape=(6, 3))
    zeros = sparse.csr_array(COUNTS + np.float32(1))
    zeros.data -= 1  # all zeros are stored
    known = as_screen(build()).sha256
    for same in (odd, zeros, sparse.csc_array(COUNTS), pd.DataFrame(COUNTS, CELLS, GENES)):
        assert as_screen(build(counts=same)).sha256 == known
    assert odd.data.tolist() == data and odd.indices.tolist() == columns


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("counts", COUNTS - 1),
        ("counts", COUNTS / 2),
        ("control", "None"),
        ("perturbation", PERTURBATION[1:]),
        ("perturbation", pd.Series(PERTURBATION, CELLS[::-1])),
        ("perturbation", ["", *PERTURBATION[1:]]),
        ("labels", LABELS[1:]),
    ],
)
def test_wrong_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=argument):
        build(**{argument: value})


def test_every_perturbation_needs_two_cells():
    names, codes, sizes = codes_of(np.array(["b", "a", "b", "a", "b"]), None)
    assert names.tolist() == ["a", "b"]
    assert codes.tolist() == [1, 0, 1, 0, 1]
    assert sizes.tolist() == [2, 3]
    assert check_perturbation([1, "unknown"], COUNTS[:2], 1).tolist() == ["1", "unknown"]
    for wrong, control in ((list("aabc"), None), (list("aabb"), "b"), (list("aaaa"), None)):
        with pytest.raises(ValueError, match="perturbation"):
            codes_of(np.array(wrong), control)


def test_the_fingerprint_is_of_the_content_or_given_for_it():
    adata = build(sha256="of the files")
    assert as_screen(adata).sha256 == as_screen(adata.copy()).sha256 == "of the files"
    others = [build(), build(counts=COUNTS + 1), build(counts=COUNTS[:, ::-1])]
    others.append(build(perturbation=["c", *PERTURBATION[1:]]))
    others.append(build(control=None))
    others.append(build(gene_names=["x", "y", "z"]))
    others.append(build(cell_names=list("uvwxyz"), labels=None))
    others.append(adata[[0, 1, 2]])
    assert as_screen(others[4]).targets.tolist() == ["a", "b", "c", "none"]
    found = [as_screen(other).sha256 for other in others]
    assert len({"of the files", *found}) == 9


def test_a_subset_takes_truth_along_and_has_a_control_while_its_cells_are_there():
    adata = simulate_perturbations(5, 6, 4, 40, n_control=3, random_state=1)
    whole = as_screen(adata)
    rows = [7, 2, 30]
    part = as_screen(adata[rows])
    np.testing.assert_array_equal(part.counts.toarray(), whole.counts.toarray()[rows])
    np.testing.assert_array_equal(part.truth["latents"], whole.truth["latents"][rows])
    assert part.truth["shifts"].equals(whole.truth["shifts"])
    assert as_screen(build()[[0, 2]]).control is None


@pytest.mark.parametrize("control", ["none", None])
def test_it_is_the_same_after_a_file(control, tmp_path):
    given = build(control=control, files={"a.csv": "12"}, truth={"latents": np.eye(6)})
    given.write_h5ad(tmp_path / "screen.h5ad")
    one = as_screen(given)
    other = as_screen(anndata.read_h5ad(tmp_path / "screen.h5ad"))
    assert (one.counts != other.counts).nnz == 0
    assert (one.sha256, one.control) == (other.sha256, other.control)
    assert one.perturbation.tolist() == other.perturbation.tolist()
    np.testing.assert_array_equal(one.truth["latents"], other.truth["latents"])
