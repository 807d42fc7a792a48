from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.perturbation_screen import PerturbationScreen
from sbnn.data.simulate_perturbations import simulate_perturbations

CELLS = ["c0", "c1", "c2", "c3", "c4", "c5"]
GENES = ["IRF1", "CD86", "MYC"]
PERTURBATION = ["b", "none", "a", "b", "none", "c"]


def counts():
    return np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [0, 0, 5], [6, 7, 0], [0, 0, 8]])


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
    return PerturbationScreen(**(given | changes))


@pytest.fixture
def simulated():
    return simulate_perturbations(5, 6, 4, 40, n_control=3, random_state=1)


def test_what_it_holds():
    screen = build()
    assert (screen.n_cells, screen.n_genes) == (6, 3)
    assert isinstance(screen.counts, sparse.csr_array) and screen.counts.dtype == np.int32
    np.testing.assert_array_equal(screen.counts.toarray(), counts())
    assert screen.targets.tolist() == ["a", "b", "c"]
    assert build(control=None).targets.tolist() == ["a", "b", "c", "none"]
    assert screen.dropped == {"few counts": 3}
    assert repr(screen) == (
        f"PerturbationScreen('custom': 6 cells x 3 genes, 3 perturbations, sha256 {screen.sha256[:12]})"
    )
    assert "3 perturbations of 1 to 2 cells; control 'none' 2 cells\n" in screen.summary()
    assert "4 perturbations of 1 to 2 cells; no control\n" in build(control=None).summary()
    assert "0 perturbations; control 'none' 2 cells\n" in screen.of("none").summary()
    with pytest.raises(AttributeError):
        screen.control = "a"


@pytest.mark.parametrize(
    "form",
    [
        np.asarray,
        lambda x: x.astype(np.float32),
        sparse.csr_matrix,
        sparse.csc_array,
        sparse.coo_array,
        lambda x: sparse.csr_array(x.astype(float)),
        lambda x: pd.DataFrame(x, CELLS, GENES),
    ],
)
def test_counts_of_every_form_are_the_same_data(form):
    screen = build(counts=form(counts()))
    np.testing.assert_array_equal(screen.counts.toarray(), counts())
    assert screen.sha256 == build().sha256


def test_equal_counts_stored_otherwise_are_the_same_data_and_are_left_as_they_are():
    # columns of a row in no order, an entry in two parts, and a stored zero
    data, columns = [2.0, 0.5, 0.5, 0, 3, 4, 5, 6, 7, 8], [2, 0, 0, 1, 1, 0, 2, 0, 1, 2]
    odd = sparse.csr_array((np.array(data), columns, [0, 4, 5, 6, 7, 9, 10]), shape=(6, 3))
    assert build(counts=odd).sha256 == build().sha256
    assert odd.data.tolist() == data and odd.indices.tolist() == columns
    whole = sparse.csr_array(counts().astype(np.int32))
    screen = build(counts=whole)
    whole.data[:] = 9
    np.testing.assert_array_equal(screen.counts.toarray(), counts())


def test_a_dataframe_names_cells_and_genes():
    table = pd.DataFrame(counts(), CELLS, GENES)
    screen = PerturbationScreen(table, PERTURBATION)
    assert screen.cell_names.tolist() == CELLS and screen.gene_names.tolist() == GENES
    other = PerturbationScreen(table, PERTURBATION, gene_names=["x", "y", "z"])
    assert other.gene_names.tolist() == ["x", "y", "z"]
    plain = PerturbationScreen(counts(), PERTURBATION)
    assert plain.cell_names.tolist()[:2] == ["cell_0", "cell_1"] and plain.gene_names.tolist()[-1] == "gene_2"


def test_perturbations_and_labels_go_by_the_names_of_their_cells():
    order = [3, 0, 5, 1, 4, 2]
    named = pd.Series(PERTURBATION, CELLS).iloc[order]
    labels = pd.DataFrame({"replicate": list("xyxyxy")}, index=CELLS).iloc[order]
    screen = build(perturbation=named, labels=labels)
    assert screen.perturbation.tolist() == PERTURBATION
    assert screen.labels["replicate"].tolist() == list("xyxyxy")
    assert build(perturbation=pd.Series(PERTURBATION)).perturbation.tolist() == PERTURBATION
    assert PerturbationScreen(counts()[order], named).cell_names.tolist() == named.index.tolist()
    with pytest.raises(ValueError, match="perturbation: its index must .* 2 names are only in one of the two: c5, x"):
        build(perturbation=pd.Series(PERTURBATION, [*CELLS[:5], "x"]))
    with pytest.raises(ValueError, match="perturbation: its index must hold each cell name once"):
        build(perturbation=pd.Series([*PERTURBATION, "a"], [*CELLS, "c0"]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, r"got 2 negative values \(11.1 % of all\), the first -1"),
        (0.5, r"got 2 fractional values \(11.1 % of all\), the first 0.5; give raw counts, not normalised or log"),
        (np.nan, r"got 2 NaN or infinite values \(11.1 % of all\)"),
        (-np.inf, r"got 2 NaN or infinite values \(11.1 % of all\), the first -inf"),
        (2.0**31, r"got 2 larger \(than 2147483647\) values \(11.1 % of all\)"),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, lambda x: pd.DataFrame(x, CELLS, GENES)])
def test_values_that_are_no_counts_are_named_with_their_share(value, message, form):
    wrong = counts().astype(float)
    wrong[1, 1] = wrong[4, 0] = value
    with pytest.raises(ValueError, match="counts: expected whole numbers >= 0, " + message):
        build(counts=form(wrong))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"counts": counts().astype(str)}, TypeError, "counts: expected counts, got values of type <U"),
        ({"counts": counts()[0]}, ValueError, r"counts: expected cells x genes, got shape \(3,\)"),
        ({"counts": np.zeros((0, 3))}, ValueError, r"at least one cell and one gene, got shape \(0, 3\)"),
        ({"control": "None"}, ValueError, "control: no cell is 'None'; the perturbations are a, b, c, none"),
        ({"perturbation": PERTURBATION[1:]}, ValueError, r"expected 6 names, one of each cell, got shape \(5,\)"),
        ({"perturbation": ["b", "", *PERTURBATION[2:]]}, ValueError, "1 cells have none .* the first at position 1"),
        ({"perturbation": [*PERTURBATION[:4], None, np.nan]}, ValueError, "2 cells have none .* at position 4"),
        ({"cell_names": ["c0"] * 6}, ValueError, "duplicate cell names in cell_names: c0"),
        ({"gene_names": GENES[:2]}, ValueError, r"gene_names has shape \(2,\), expected \(3,\)"),
        ({"labels": pd.DataFrame(index=CELLS[1:])}, ValueError, "exactly the cells of the data; 1 names .*: c0"),
        ({"labels": {"replicate": 1}}, TypeError, "labels must be a pandas DataFrame, got dict"),
        ({"truth": {"latents": np.zeros((5, 2))}}, ValueError, r"has shape \(5, 2\), expected \(6, d\)"),
        ({"truth": {"shifts": np.zeros((3, 2))}}, TypeError, "must be a DataFrame of perturbations, got ndarray"),
        ({"truth": {"shifts": pd.DataFrame(0.0, ["a", "c"], [0])}}, ValueError, "lacks the perturbations b$"),
        (
            {"truth": {"latents": np.zeros((6, 2)), "shifts": pd.DataFrame(0.0, ["a", "b", "c"], [0])}},
            ValueError,
            "truth: 2 latents of cells, but shifts of 1",
        ),
    ],
)
def test_wrong_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        build(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"counts": counts() + 1},
        {"counts": counts()[:, ::-1]},
        {"perturbation": ["c", *PERTURBATION[1:]]},
        {"control": "a"},
        {"gene_names": ["x", "y", "z"]},
        {"cell_names": list("uvwxyz"), "labels": None},
    ],
)
def test_the_fingerprint_names_the_content(changes):
    assert build(**changes).sha256 != build().sha256
    given = build(sha256="of the files")
    assert given.sha256 == "of the files" and replace(given, name="other").sha256 == "of the files"
    assert replace(given, **changes).sha256 == build(**changes).sha256, (
        "that of the files holds for their content alone"
    )


def test_subset_takes_cells_in_the_order_given(simulated):
    names = ["cell_7", "cell_2", "cell_30"]
    part = simulated.subset(names)
    rows = [7, 2, 30]
    assert part.cell_names.tolist() == names == part.labels.index.tolist()
    np.testing.assert_array_equal(part.counts.toarray(), simulated.counts.toarray()[rows])
    np.testing.assert_array_equal(part.truth["latents"], simulated.truth["latents"][rows])
    assert part.perturbation.tolist() == simulated.perturbation[rows].tolist()
    assert part.truth["shifts"].equals(simulated.truth["shifts"])
    mask = np.isin(simulated.cell_names, names)
    assert simulated.subset(mask).sha256 == simulated.subset(sorted(rows)).sha256 != part.sha256
    for wrong, error in (("cell_99", KeyError), ([99], IndexError), ([1, 1], ValueError), ([], ValueError)):
        with pytest.raises(error):
            simulated.subset(wrong)


def test_subset_has_a_fingerprint_of_its_own():
    screen = build(sha256="of the files")
    assert screen.subset().sha256 == screen.subset(CELLS).sha256 == "of the files"
    part = screen.subset([0, 1])
    assert part.sha256 == screen.subset(CELLS[:2]).sha256
    assert part.sha256 not in ("of the files", screen.subset([1, 0]).sha256, build().subset([0, 1]).sha256)
    assert part.labels["replicate"].tolist() == ["x", "y"]


def test_the_control_stays_while_it_has_cells():
    assert build().subset([1, 2]).control == "none"
    assert build().subset([0, 2]).control is None


def test_cells_of_some_perturbations():
    screen = build()
    assert screen.of({"c", "b"}).sha256 == screen.of(["c", "b", "c"]).sha256
    assert screen.of(["c", "b"]).cell_names.tolist() == ["c0", "c3", "c5"]
    assert screen.of("none").cell_names.tolist() == ["c1", "c4"]
    with pytest.raises(ValueError, match="no cell is under d, e; there are a, b, c, none"):
        screen.of(["e", "a", "d"])
    with pytest.raises(ValueError, match="perturbations is empty"):
        screen.of([])


def same(one, other):
    assert one.counts.dtype == other.counts.dtype and (one.counts != other.counts).nnz == 0
    for name in ("perturbation", "gene_names", "cell_names"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    for name in ("control", "name", "source", "sha256", "files", "dropped"):
        assert getattr(one, name) == getattr(other, name), name
    pd.testing.assert_frame_equal(
        one.labels, other.labels, check_categorical=False, check_dtype=False, check_column_type=False
    )
    assert one.truth.keys() == other.truth.keys()
    for name, values in one.truth.items():
        np.testing.assert_array_equal(values, other.truth[name])
    if "shifts" in one.truth:
        pd.testing.assert_frame_equal(one.truth["shifts"], other.truth["shifts"])


@pytest.mark.parametrize("written", [False, True])
def test_anndata_and_back(written, simulated, tmp_path):
    for screen in (simulated, build(name="mine", files={"a.csv": "12"}, sha256="of the files"), build(control=None)):
        adata = screen.to_anndata()
        if written:
            adata.write_h5ad(tmp_path / "screen.h5ad")
            adata = anndata.read_h5ad(tmp_path / "screen.h5ad")
        same(screen, PerturbationScreen.from_anndata(adata))


def test_part_of_an_anndata_object_is_not_taken_for_the_whole(simulated):
    adata = simulated.to_anndata("guide")
    targeted = adata[adata.obs["guide"] != "control"]
    part = PerturbationScreen.from_anndata(targeted, "guide")
    assert part.control is None and part.sha256 not in (simulated.sha256, "")
    np.testing.assert_array_equal(part.truth["latents"], simulated.subset(part.cell_names).truth["latents"])
    fewer = PerturbationScreen.from_anndata(adata[:, :40][:, ::-1], "guide")
    assert fewer.gene_names.tolist() == simulated.gene_names[::-1].tolist() and fewer.sha256 != simulated.sha256


def test_anndata_of_others():
    obs = pd.DataFrame({"gene": ["a", None, "NT", ""], "guide": ["a1", "a2", "n1", "n1"]}, index=CELLS[:4])
    adata = anndata.AnnData(np.log1p(counts()[:4]), obs=obs, var=pd.DataFrame(index=GENES))
    adata.layers["counts"] = sparse.csr_matrix(counts()[:4])
    screen = PerturbationScreen.from_anndata(adata, "gene", "NT", layer="counts", name="theirs")
    assert screen.perturbation.tolist() == ["a", "NT"] and screen.control == "NT" and screen.name == "theirs"
    np.testing.assert_array_equal(screen.counts.toarray(), counts()[[0, 2]])
    assert screen.dropped == {"no entry in obs['gene']": 2} and list(screen.labels) == ["guide"]
    with pytest.raises(ValueError, match="fractional values"):
        PerturbationScreen.from_anndata(adata, "gene")
    with pytest.raises(KeyError, match=r"no 'target' in adata.obs; it holds \['gene', 'guide'\]"):
        PerturbationScreen.from_anndata(adata, "target")
    with pytest.raises(KeyError, match=r"no 'raw' in adata.layers; it holds \['counts'\]"):
        PerturbationScreen.from_anndata(adata, "gene", layer="raw")
    adata.obs["gene"] = None
    with pytest.raises(ValueError, match="names no perturbation: all 4 entries are empty"):
        PerturbationScreen.from_anndata(adata, "gene")
    with pytest.raises(ValueError, match=r"X is empty; pass layer=, one of \['counts'\]"):
        PerturbationScreen.from_anndata(anndata.AnnData(obs=obs, layers={"counts": counts()[:4]}), "gene")


def test_another_column_does_not_take_over_control_and_shifts(simulated):
    adata = simulated.to_anndata()
    adata.obs["batch"] = ["one", "two", "two"] * 11
    screen = PerturbationScreen.from_anndata(adata, "batch")
    assert screen.control is None and screen.truth.keys() == {"latents"}
    with pytest.raises(ValueError, match="labels have a column 'batch' of their own"):
        PerturbationScreen.from_anndata(adata).to_anndata("batch")
