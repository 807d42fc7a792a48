import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_files, fingerprint_parameters
from sbnn.data.paired import PairedData, as_paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.streams import ExpressionStream

N, P, Q = 12, 5, 3


def arguments(**changes):
    rng = np.random.default_rng(0)
    counts = rng.poisson(5, (N, P))
    labels = pd.DataFrame(
        {
            "family": ["Sst", "Vip", "Vip"] * 4,
            "type": ["Sst Chodl", "Vip Gpc3", "Vip Chat_1"] * 4,
            "layer": ["2/3", "5", np.nan] * 4,
            "depth": np.arange(N) / 7,
        },
        index=[f"c{i}" for i in range(N)],
    )
    return {
        "X": np.log2(counts + 1.0),
        "Y": rng.normal(size=(N, Q)),
        "gene_names": [f"Gene{i}" for i in range(P)],
        "feature_names": ["AP width", "Tau", "Sag"],
        "cell_names": list(labels.index),
        "labels": labels,
        "colors": {"Vip Gpc3": "#B09FFF", "Vip Chat_1": "#FF00FF", "Sst Chodl": "#FFFF00"},
        "counts": counts,
        "name": "tiny",
        "source": "made for the test",
    } | changes


@pytest.fixture
def data():
    return PairedData(**arguments())


def test_holds_what_the_contract_says(data):
    assert data.X.dtype == data.Y.dtype == np.float32
    assert (data.n_cells, data.n_genes, data.n_outputs) == (N, P, Q)
    for names, size in ((data.gene_names, P), (data.feature_names, Q), (data.cell_names, N)):
        assert names.shape == (size,) and names.dtype.kind == "U"
    assert list(data.labels.index) == list(data.cell_names)
    assert data.counts.dtype.kind == "i"
    assert data.sha256 == fingerprint_arrays(data.X, data.Y, data.counts)


def test_summary_and_repr_tell_shape_families_and_source(data):
    assert data.summary() == (
        "tiny: 12 cells x 5 genes -> 3 outputs; families: Vip 8, Sst 4\n  source: made for the test"
    )
    assert repr(data).startswith("PairedData('tiny': 12 cells x 5 genes -> 3 outputs, sha256 ")


def test_arrays_alone_are_enough():
    data = PairedData(np.arange(6.0).reshape(3, 2), np.arange(3.0)[:, None])
    assert data.gene_names.tolist() == ["gene_0", "gene_1"]
    assert data.feature_names.tolist() == ["output_0"]
    assert data.cell_names.tolist() == ["cell_0", "cell_1", "cell_2"]
    assert (data.labels[["family", "type"]] == "unknown").all(axis=None)
    assert data.colors == {"unknown": "#808080"}


def test_takes_names_from_data_frames():
    given = arguments()
    X = pd.DataFrame(given["X"], index=given["cell_names"], columns=given["gene_names"])
    Y = pd.DataFrame(given["Y"], index=given["cell_names"], columns=given["feature_names"])
    data = PairedData(X, Y)
    assert data.gene_names.tolist() == given["gene_names"]
    assert data.feature_names.tolist() == given["feature_names"]
    assert data.cell_names.tolist() == given["cell_names"]
    assert data.sha256 == PairedData(**given | {"counts": None}).sha256
    with pytest.raises(ValueError, match="same cells in the same order"):
        PairedData(X, Y.iloc[::-1])


def test_sparse_input_equals_dense():
    given = arguments()
    made = PairedData(**given | {"X": sparse.csc_matrix(given["X"]), "counts": sparse.coo_array(given["counts"])})
    np.testing.assert_array_equal(made.X, given["X"].astype(np.float32))
    assert sparse.issparse(made.counts) and made.counts.format == "csr"
    np.testing.assert_array_equal(made.counts.toarray(), given["counts"])


def test_labels_are_aligned_by_cell_name(data):
    shuffled = arguments()["labels"].sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(PairedData(**arguments(labels=shuffled)).labels, data.labels)


def test_missing_labels_and_colors_are_filled_in():
    labels = arguments()["labels"]
    labels.loc[["c0", "c1"], "type"] = [None, ""]
    made = PairedData(**arguments(labels=labels[["type"]], colors={"Vip Gpc3": "#B09FFF"}))
    assert made.labels["type"].tolist()[:3] == ["unknown", "unknown", "Vip Chat_1"]
    assert (made.labels["family"] == "unknown").all()
    assert set(made.colors) == {"Vip Gpc3", "Vip Chat_1", "Sst Chodl", "unknown"}
    assert made.colors["Vip Gpc3"] == "#B09FFF"


@pytest.mark.parametrize("size", [3, 7, 8, 60])
def test_no_two_types_share_a_made_up_color(size):
    types = [f"type {i:02d}" for i in range(size)]
    X = np.arange(2.0 * size).reshape(size, 2)
    colors = PairedData(X, labels=pd.DataFrame({"type": types}, index=[f"cell_{i}" for i in range(size)])).colors
    assert len(set(colors.values())) == size


def test_cannot_be_reassigned(data):
    with pytest.raises(AttributeError):
        data.X = data.X + 1


def with_value(name, value):
    values = arguments()[name].astype(float)
    values[2, 1] = value
    return {name: values}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (with_value("X", np.nan), ValueError, "X holds 1 NaN or infinite .* cell 'c2' in column 'Gene1'"),
        (with_value("X", -np.inf), ValueError, "X holds 1 NaN or infinite"),
        (with_value("X", 1e300), ValueError, "X holds 1 NaN or infinite"),
        (with_value("Y", np.nan), ValueError, "Y holds 1 NaN or infinite .* cell 'c2' in column 'Tau'"),
        ({"X": np.zeros(N)}, ValueError, "X must be 2-dimensional"),
        ({"X": np.full((N, P), "a")}, TypeError, "X must hold numbers"),
        ({"X": np.zeros((0, P))}, ValueError, "at least one cell"),
        ({"Y": np.zeros((N - 1, Q))}, ValueError, "X has 12 rows and Y has 11"),
        ({"gene_names": ["a", "b", "a", "c", "c"]}, ValueError, "duplicate gene names in gene_names: a, c"),
        ({"cell_names": ["c0"] * N}, ValueError, "duplicate cell names in cell_names: c0"),
        ({"feature_names": ["a", "a", "b"]}, ValueError, "duplicate output names in feature_names: a"),
        ({"gene_names": ["a", "b"]}, ValueError, r"gene_names has shape \(2,\), expected \(5,\)"),
        ({"gene_names": ["a", None, "b", "c", "d"]}, ValueError, r"gene_names\[1\] is empty"),
        ({"labels": {"type": ["a"] * N}}, TypeError, "labels must be a pandas DataFrame, got dict"),
        ({"labels": arguments()["labels"].iloc[1:]}, ValueError, "exactly the cells of the data; 1 names .*: c0"),
        ({"labels": arguments()["labels"].reset_index(drop=True)}, ValueError, "indexed by cell name"),
        ({"labels": arguments()["labels"].iloc[[0] * N]}, ValueError, "duplicate cell names in labels: c0"),
        ({"colors": {"Vip Gpc3": "red"}}, ValueError, "colors must be '#RRGGBB'"),
        ({"counts": np.ones((N, P + 1), int)}, ValueError, r"counts has shape \(12, 6\)"),
        ({"counts": np.full((N, P), 0.5)}, ValueError, "counts must be whole numbers"),
        ({"counts": np.full((N, P), np.nan)}, ValueError, "counts must be whole numbers"),
        ({"counts": np.full((N, P), -1)}, ValueError, "counts must not be negative, got -1"),
        ({"counts": np.full((N, P), "a")}, TypeError, "counts must hold whole numbers"),
    ],
)
def test_bad_input_is_named(changes, error, message):
    with pytest.raises(error, match=message):
        PairedData(**arguments(**changes))


def test_constant_genes_and_outputs_are_refused_only_where_something_is_learned():
    X, Y = arguments()["X"], arguments()["Y"]
    X[:, 3] = 0
    with pytest.raises(ValueError, match=r"1 gene\(s\) of X have one constant value in all 12 cells: Gene3"):
        PairedData(**arguments(X=X))
    assert PairedData(**arguments(X=X, Y=None, feature_names=None)).n_outputs == 0
    Y[:, 0] = 1
    with pytest.raises(ValueError, match=r"1 output\(s\) of Y .*: AP width"):
        PairedData(**arguments(Y=Y))


def test_subset_takes_names_positions_and_masks_alike(data):
    by_name = data.subset(["c4", "c1", "c9"], ["Gene3", "Gene0"])
    mask = np.isin(np.arange(N), [1, 4, 9])
    for other in (data.subset([4, 1, 9], [3, 0]), data.subset(mask, [3, 0]).subset(["c4", "c1", "c9"])):
        np.testing.assert_array_equal(by_name.X, other.X)
        np.testing.assert_array_equal(by_name.counts, other.counts)
        pd.testing.assert_frame_equal(by_name.labels, other.labels)
    np.testing.assert_array_equal(by_name.X, data.X[[4, 1, 9]][:, [3, 0]])
    np.testing.assert_array_equal(by_name.Y, data.Y[[4, 1, 9]])
    assert by_name.cell_names.tolist() == ["c4", "c1", "c9"]


def test_subset_has_a_fingerprint_of_its_own(data):
    assert data.subset().sha256 == data.sha256
    prints = {data.subset(c, g).sha256 for c in (None, [0, 1, 2], [2, 1, 0]) for g in (None, [0, 1])}
    assert len(prints) == 6


def test_subset_takes_the_truth_along():
    latent = np.arange(2.0 * N).reshape(N, 2)
    data = PairedData(**arguments(truth={"latent": latent, "genes": ["Gene0", "Gene4"], "noise": 0.5}))
    truth = data.subset([3, 0, 5], ["Gene4", "Gene2"]).truth
    np.testing.assert_array_equal(truth["latent"], latent[[3, 0, 5]])
    assert truth["genes"] == ["Gene4"] and truth["noise"] == 0.5


def test_subset_of_sparse_counts_stays_sparse():
    data = PairedData(**arguments(counts=sparse.csr_matrix(arguments()["counts"])))
    part = data.subset([1, 4, 9], [3, 0])
    np.testing.assert_array_equal(part.counts.toarray(), arguments()["counts"][[1, 4, 9]][:, [3, 0]])


def test_notes_are_told_and_go_along():
    data = PairedData(**arguments(notes=["taken for counts"]))
    assert data.summary().endswith("made for the test\n  note: taken for counts")
    assert data.subset([1, 4, 9]).notes == ("taken for counts",)


def test_subset_says_what_is_wrong(data):
    with pytest.raises(KeyError, match="not in the data: Gad1"):
        data.subset(genes=["Gene0", "Gad1"])
    with pytest.raises(IndexError):
        data.subset(cells=[N])
    with pytest.raises(ValueError, match="mask of shape"):
        data.subset(cells=[True, False])
    with pytest.raises(ValueError, match="cells is empty"):
        data.subset(cells=[])
    with pytest.raises(ValueError, match="duplicate cell names"):
        data.subset(cells=[0, 0, 1])


def test_subset_can_leave_out_genes_that_no_longer_vary():
    X = arguments()["X"]
    X[:4, 1] = 2
    data = PairedData(**arguments(X=X))
    with pytest.raises(ValueError, match="constant value in all 4 cells: Gene1"):
        data.subset(cells=range(4))
    assert data.subset(cells=range(4), drop_constant=True).gene_names.tolist() == ["Gene0", "Gene2", "Gene3", "Gene4"]


def assert_same(one, other):
    for name in ("X", "Y", "gene_names", "feature_names", "cell_names"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    pd.testing.assert_frame_equal(one.labels, other.labels)
    for name in ("colors", "name", "source", "sha256", "files", "notes"):
        assert getattr(one, name) == getattr(other, name)
    assert sparse.issparse(one.counts) == sparse.issparse(other.counts)
    if one.counts is not None:
        dense = [c.toarray() if sparse.issparse(c) else c for c in (one.counts, other.counts)]
        np.testing.assert_array_equal(*dense)
    assert one.truth.keys() == other.truth.keys()
    for key in one.truth:
        np.testing.assert_array_equal(one.truth[key], other.truth[key])


@pytest.mark.parametrize("through_file", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"counts.csv": "ab" * 32}, "notes": ("taken for counts", "titles are left out")},
        {"counts": sparse.csr_matrix(arguments()["counts"])},
        {"counts": None, "labels": None, "colors": None},
        {"truth": {"genes": ["Gene1", "Gene2"], "latent": np.ones((N, 2)), "noise": 0.5}},
    ],
)
def test_anndata_round_trip(tmp_path, through_file, changes):
    import anndata

    data = PairedData(**arguments(**changes))
    adata = data.to_anndata()
    if through_file:
        adata.write_h5ad(tmp_path / "data.h5ad")
        adata = anndata.read_h5ad(tmp_path / "data.h5ad")
    assert_same(PairedData.from_anndata(adata), data)


def test_anndata_layout(data):
    adata = data.to_anndata()
    np.testing.assert_array_equal(adata.X, data.X)
    np.testing.assert_array_equal(adata.layers["counts"], data.counts)
    assert list(adata.obsm["outputs"].columns) == list(data.feature_names)
    colors = dict(zip(adata.obs["type"].cat.categories, adata.uns["type_colors"], strict=True))
    assert colors == data.colors


def test_raw_counts_without_outputs_go_through_anndata():
    data = PairedData(**arguments(Y=None, feature_names=None))
    assert_same(PairedData.from_anndata(data.to_anndata(), outputs=None), data)


def test_changed_anndata_does_not_keep_the_fingerprint(data):
    adata = data.to_anndata()
    adata.X[0, 0] += 1
    changed = PairedData.from_anndata(adata)
    assert changed.sha256 == fingerprint_arrays(changed.X, changed.Y, changed.counts) != data.sha256
    assert PairedData.from_anndata(data.to_anndata()[:6]).n_cells == 6


def test_the_library_size_is_known_where_expression_was_made_of_the_counts():
    counts = np.random.default_rng(0).poisson(30, (N, P))
    X, totals = log2p1(normalize_library_size(counts)), counts.sum(1)
    for form in (np.asarray, sparse.csr_matrix):
        data = PairedData(**arguments(X=X, counts=form(counts)))
        assert data.library_size == np.median(totals)
        assert data.subset(cells=[0, 5, 7]).library_size == pytest.approx(np.median(totals), rel=1e-5)
        assert data.subset(genes=[0, 1, 2]).library_size is None  # some genes do not add up to it
        assert dataclasses.replace(data, X=X + 0.1).library_size is None
        assert dataclasses.replace(data, X=X - X.mean(0)).library_size is None
        assert dataclasses.replace(data, counts=None).library_size is None
    of_ten_thousand = log2p1(normalize_library_size(counts, 1e4))
    assert PairedData(**arguments(X=of_ten_thousand, counts=counts)).library_size == pytest.approx(1e4, rel=1e-5)
    assert PairedData.from_anndata(data.to_anndata()).library_size == data.library_size


def test_slips_in_values_are_told():
    counts = np.random.default_rng(0).poisson(30, (N, P))
    with pytest.warns(UserWarning, match="X looks like raw counts .* hand counts over as from_tables"):
        PairedData(**arguments(X=counts))
    with pytest.raises(ValueError, match="X: 1e.30 of cell 'c2', column 'Gene1' is beyond"):
        PairedData(**arguments(**with_value("X", 1e30)))
    with pytest.warns(UserWarning, match="Y: 1e.08 of cell 'c2', column 'Tau' is more than"):
        PairedData(**arguments(**with_value("Y", 1e8)))
    X = arguments()["X"]
    with pytest.raises(ValueError, match="the expression seems to have been given again as outputs"):
        PairedData(X, X)


def test_foreign_anndata():
    import anndata

    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"width": rng.normal(size=N), "Tau": rng.normal(size=N), "cluster": pd.Categorical(["a", "b"] * 6)},
        index=[f"c{i}" for i in range(N)],
    )
    adata = anndata.AnnData(X=sparse.csr_matrix(rng.poisson(3, (N, P)).astype(np.float32)), obs=obs)
    adata.layers["log"] = np.log2(adata.X.toarray() + 1)
    adata.uns["cluster_colors"] = ["#FF0000FF", "#00FF00FF"]
    data = PairedData.from_anndata(adata, ["width", "Tau"], layer="log", counts=None, type_key="cluster", name="mine")
    np.testing.assert_array_equal(data.X, adata.layers["log"])
    assert data.feature_names.tolist() == ["width", "Tau"]
    assert data.labels["type"].tolist() == ["a", "b"] * 6
    assert data.colors == {"a": "#FF0000", "b": "#00FF00"}
    assert not {"width", "Tau"} & set(data.labels.columns)
    assert data.name == "mine"

    with pytest.raises(KeyError, match="no 'outputs' in adata.obsm; it holds"):
        PairedData.from_anndata(adata)
    with pytest.raises(KeyError, match="no 'depth' in adata.obs"):
        PairedData.from_anndata(adata, ["depth"])
    with pytest.raises(KeyError, match=r"no 'raw' in adata.layers; it holds \['log'\]"):
        PairedData.from_anndata(adata, None, layer="raw")


def test_fingerprints_tell_data_apart():
    assert fingerprint_files({"a": "1", "b": "2"}) == fingerprint_files({"b": "2", "a": "1"})
    assert fingerprint_files({"a": "1"}) != fingerprint_files({"a": "2"})
    parameters = {"n": 3, "noise": 0.5}
    assert fingerprint_parameters(parameters) == fingerprint_parameters({"noise": np.float64(0.5), "n": np.int32(3)})
    assert fingerprint_parameters(parameters) != fingerprint_parameters(parameters | {"n": 4})
    with pytest.raises(TypeError, match="no canonical JSON form"):
        fingerprint_parameters({"random_state": np.random.default_rng()})
    zeros = np.zeros((2, 3))
    assert len({fingerprint_arrays(a) for a in (zeros, zeros.T, zeros.astype(np.float32), zeros + 1)}) == 4


def test_a_given_fingerprint_names_the_data_and_files_do_not():
    files = {"counts.csv": "ab" * 32}
    assert PairedData(**arguments(files=files)).sha256 == PairedData(**arguments()).sha256
    assert PairedData(**arguments(sha256="cd" * 32, files=files)).sha256 == "cd" * 32


@pytest.mark.parametrize("field", ["X", "Y", "counts"])
def test_a_fingerprint_holds_for_the_arrays_it_was_given_for(field):
    data = PairedData(**arguments(sha256="cd" * 32, files={"counts.csv": "ab" * 32}))
    values = getattr(data, field).copy()
    values[0, 0] += 1
    changed = dataclasses.replace(data, **{field: values})
    assert changed.sha256 == fingerprint_arrays(changed.X, changed.Y, changed.counts)
    assert dataclasses.replace(data, name="other").sha256 == "cd" * 32
    assert dataclasses.replace(changed, **{field: getattr(data, field)}).sha256 != changed.sha256


def test_sparse_counts_belong_to_the_fingerprint():
    counts = sparse.csr_array(PairedData(**arguments()).counts)
    one = PairedData(**arguments(counts=counts))
    counts = counts.copy()
    counts.data[0] += 1
    assert PairedData(**arguments(counts=counts)).sha256 != one.sha256


def test_paired_data_come_in_the_usual_forms(data):
    for given in (data, data.to_anndata(), (data.X, data.Y)):
        np.testing.assert_array_equal(as_paired(given).Y, data.Y)
    with pytest.raises(TypeError, match=r"data: expected PairedData, a pair \(X, Y\), .* got ExpressionStream"):
        as_paired(ExpressionStream(data.X))


def test_groups_are_labels_that_are_known_of_every_cell(data):
    mice = pd.Series(["a", "b"] * (data.n_cells // 2), data.cell_names)
    labelled = dataclasses.replace(data, labels=data.labels.assign(mouse=mice, slice=mice.where(mice != "b")))
    assert labelled.groups("mouse").tolist() == mice.tolist()
    assert labelled.subset(data.cell_names[::-1]).groups("mouse").tolist() == mice.tolist()[::-1]
    with pytest.raises(KeyError, match="no labels 'donor'; it has family, type, .*mouse, slice"):
        labelled.groups("donor")
    with pytest.raises(ValueError, match=f"of {data.n_cells // 2} cells 'slice' is not known"):
        labelled.groups("slice")
