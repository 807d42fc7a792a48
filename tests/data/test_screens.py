import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.screens import as_screen, screen
from sbnn.data.simulate_perturbations import simulate_perturbations

CELLS = ["c0", "c1", "c2", "c3", "c4", "c5"]
GENES = ["IRF1", "CD86", "MYC"]
PERTURBATION = ["b", "none", "a", "b", "none", "c"]


def counts():
    return np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 5], [6, 7, 0], [0, 0, 8]])


def with_value(value):
    wrong = counts().astype(float)
    wrong[1, 1] = wrong[4, 0] = value
    return wrong


def build(**changes):
    labels = pd.DataFrame({"replicate": list("xyxyxy")}, index=CELLS)
    given = {
        "counts": counts(),
        "perturbation": PERTURBATION,
        "control": "none",
        "gene_names": GENES,
        "cell_names": CELLS,
        "labels": labels,
        "dropped": {"few counts": 3, "no guide": 0},
    }
    return screen(**given | changes)


def test_arrays_are_those_that_it_was_built_of():
    adata = build()
    arrays = as_screen(adata)
    assert isinstance(arrays.counts, sparse.csr_array) and arrays.counts.dtype == np.int32
    np.testing.assert_array_equal(arrays.counts.toarray(), counts())
    assert arrays.perturbation.tolist() == PERTURBATION and arrays.control == "none"
    assert arrays.targets.tolist() == ["a", "b", "c"]
    assert as_screen(build(control=None)).targets.tolist() == ["a", "b", "c", "none"]
    assert arrays.gene_names.tolist() == GENES and arrays.cell_names.tolist() == CELLS
    table, plain = (
        as_screen(screen(x, PERTURBATION)) for x in (pd.DataFrame(counts(), CELLS, GENES), counts())
    )
    assert table.cell_names.tolist() == CELLS and table.gene_names.tolist() == GENES
    assert (
        plain.cell_names.tolist()[:2] == ["cell_0", "cell_1"]
        and plain.gene_names.tolist()[-1] == "gene_2"
    )
    assert list(arrays.labels) == ["replicate"] and arrays.labels["replicate"].tolist() == list(
        "xyxyxy"
    )
    assert adata.uns["sbnn"]["dropped"] == {"few counts": 3}
    assert as_screen(arrays) is arrays


def test_equal_counts_stored_otherwise_are_the_same_data_and_are_left_as_they_are():
    # columns of a row in no order, an entry in two parts, and a stored zero
    data, columns = [2.0, 0.5, 0.5, 0, 3, 4, 5, 6, 7, 8], [2, 0, 0, 1, 1, 0, 2, 0, 1, 2]
    odd = sparse.csr_array((np.array(data), columns, [0, 4, 5, 6, 7, 9, 10]), shape=(6, 3))
    zeros = sparse.csr_array(counts() + np.float32(1))
    zeros.data -= 1  # all zeros are stored
    for same in (odd, zeros, sparse.csc_array(counts()), pd.DataFrame(counts(), CELLS, GENES)):
        assert as_screen(build(counts=same)).sha256 == as_screen(build()).sha256
    assert odd.data.tolist() == data and odd.indices.tolist() == columns


def test_perturbations_and_labels_go_by_the_names_of_their_cells():
    order = [3, 0, 5, 1, 4, 2]
    named = pd.Series(PERTURBATION, CELLS).iloc[order]
    labels = pd.DataFrame({"replicate": list("xyxyxy")}, index=CELLS).iloc[order]
    arrays = as_screen(build(perturbation=named, labels=labels))
    assert arrays.perturbation.tolist() == PERTURBATION and arrays.labels[
        "replicate"
    ].tolist() == list("xyxyxy")
    assert (
        as_screen(build(perturbation=pd.Series(PERTURBATION))).perturbation.tolist() == PERTURBATION
    )
    assert screen(counts()[order], named).obs_names.tolist() == named.index.tolist()
    with pytest.raises(ValueError, match="perturbation: .*empty at positions: 5"):
        build(perturbation=pd.Series(PERTURBATION, [*CELLS[:5], "x"]))


def test_wrong_arguments_are_named():
    for changes, message in (
        ({"counts": with_value(-1)}, "counts: .* first -1.*: 1, 4"),
        ({"counts": sparse.csr_array(with_value(0.5))}, "counts: .* first 0.5.*: 1, 4"),
        ({"counts": with_value(2.0**31)}, "counts: .* first 2147483648"),
        ({"counts": with_value(np.nan)}, "counts"),
        ({"control": "None"}, "control: no cell is 'None'"),
        ({"perturbation": PERTURBATION[1:]}, r"perturbation: .* 6 cells.* got shape \(5,\)"),
        (
            {"perturbation": [*PERTURBATION[:4], None, np.nan]},
            "perturbation: .*empty at positions: 4, 5",
        ),
        ({"perturbation": ["b", "", *PERTURBATION[2:]]}, "perturbation: .*empty at positions: 1"),
        ({"perturbation": ["b ", *PERTURBATION[1:]]}, "perturbation: .*blanks.*'b', 'b '"),
        ({"cell_names": ["c0"] * 6}, "cell_names"),
        ({"gene_names": GENES[:2]}, "gene_names"),
        ({"labels": pd.DataFrame(index=CELLS[1:])}, "labels"),
    ):
        with pytest.raises(ValueError, match=message):
            build(**changes)


def test_the_fingerprint_is_of_the_content_or_given_for_it():
    known = as_screen(build()).sha256
    assert known == "539336ea50a68fd2517402675cc8515fe3c94026fb2a7324af4376613fb8560b", (
        "that of earlier records"
    )
    for changes in (
        {"counts": counts() + 1},
        {"counts": counts()[:, ::-1]},
        {"perturbation": ["c", *PERTURBATION[1:]]},
        {"control": "a"},
        {"gene_names": ["x", "y", "z"]},
        {"cell_names": list("uvwxyz"), "labels": None},
    ):
        assert as_screen(build(**changes)).sha256 != known
    adata = build(sha256="of the files")
    assert as_screen(adata).sha256 == as_screen(adata.copy()).sha256 == "of the files"
    part = adata[[0, 1, 2]]
    assert (
        as_screen(part).sha256
        == as_screen(build()[[0, 1, 2]]).sha256
        != as_screen(adata[[1, 0, 2]]).sha256
    )
    assert as_screen(adata[:, ::-1]).sha256 != "of the files"


def test_a_subset_takes_truth_and_labels_along_and_has_a_control_while_its_cells_are_there():
    adata = simulate_perturbations(5, 6, 4, 40, n_control=3, random_state=1)
    whole, rows = as_screen(adata), [7, 2, 30]
    part = as_screen(adata[rows])
    np.testing.assert_array_equal(part.counts.toarray(), whole.counts.toarray()[rows])
    np.testing.assert_array_equal(part.truth["latents"], whole.truth["latents"][rows])
    assert part.perturbation.tolist() == whole.perturbation[rows].tolist()
    assert part.truth["shifts"].equals(whole.truth["shifts"])
    assert (
        as_screen(build()[[1, 2]]).control == "none" and as_screen(build()[[0, 2]]).control is None
    )


@pytest.mark.parametrize("control", ["none", None])
def test_it_is_the_same_after_a_file(control, tmp_path):
    given = build(control=control, files={"a.csv": "12"}, sha256="of the files")
    for adata in (given, simulate_perturbations(5, 6, 4, 40)):
        adata.write_h5ad(tmp_path / "screen.h5ad")
        one, other = as_screen(adata), as_screen(anndata.read_h5ad(tmp_path / "screen.h5ad"))
        assert (
            (one.counts != other.counts).nnz == 0
            and one.sha256 == other.sha256
            and one.control == other.control
        )
        assert one.perturbation.tolist() == other.perturbation.tolist()
        for name, values in one.truth.items():
            np.testing.assert_array_equal(values, other.truth[name])
