"""The builder and the adapter of paired cells."""

import anndata
import numpy as np
import pandas as pd
import pytest
from material.cells import add_to_counts, change_data, expression_frame, outputs_frame, turn_names
from scipy import sparse
from sklearn import config_context

from sbnn.data import paired as paired_cells
from sbnn.data.paired import as_paired, get_groups, paired
from sbnn.ephys_types.data import as_typed
from sbnn.mechanism_shift.data import screen
from sbnn.own_data.tables import read_tables


def assert_equal(one, other):
    for name in ("X", "Y", "gene_names", "feature_names", "cell_names"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# --- arrays, names and labels


def test_arrays_are_single_precision(data):
    again = change_data(data, X=data.X.astype(float), Y=data.Y.astype(float))
    assert again.X.dtype == again.Y.dtype == np.float32
    assert_equal(again, data)


def test_tables_keep_names_labels_and_colours(data):
    X = expression_frame(data)[::-1]
    Y = outputs_frame(data)[::-1]
    again = change_data(data, X=X, Y=Y, cell_names=None, gene_names=None, feature_names=None)
    np.testing.assert_array_equal(again.X, X)
    assert again.labels.equals(data.labels[::-1])
    assert again.colors == data.colors


def test_what_was_converted_is_not_converted_again(data):
    assert as_paired(data) is data


def test_arrays_of_an_anndata_are_not_copied(adata):
    assert np.shares_memory(as_paired(adata).X, adata.X)


def test_settings_of_scikit_learn_change_no_cells(data):
    with config_context(transform_output="pandas"):
        assert_equal(change_data(data), data)


def test_without_names_there_are_usual_ones():
    data = as_paired((np.eye(3, 2), np.arange(3.0)))
    last = [names[-1] for names in data.names.values()]
    assert last == ["gene_1", "output_0", "cell_2"]


def test_without_labels_all_types_are_unknown():
    data = as_paired((np.eye(3, 2), np.arange(3.0)))
    assert data.colors == {"unknown": "#808080"}
    assert set(data.labels) == {"type", "family"}


def test_a_series_names_its_output_and_cells():
    outputs = pd.Series(range(3), ["a", "b", "c"], name="Tau")
    data = as_paired((np.eye(3), outputs))
    assert data.feature_names == ["Tau"]
    assert data.cell_names.tolist() == ["a", "b", "c"]


@pytest.fixture
def with_other_outputs(data):
    """Expression with a table in ``obsm`` and a number of each cell in ``obs``."""
    obs = pd.DataFrame({"depth": range(120)}, data.cell_names)
    cells = anndata.AnnData(expression_frame(data), obs=obs)
    cells.obsm["ephys"] = outputs_frame(data)
    return cells


def test_outputs_may_be_columns_of_obs(with_other_outputs):
    depth = as_paired((with_other_outputs, ["depth"]))
    assert depth.Y[:, 0].tolist() == [*range(120)]
    assert "depth" not in depth.labels


def test_there_may_be_no_outputs(with_other_outputs):
    assert as_paired(with_other_outputs).Y.shape == (120, 0)


def test_subsets_take_the_truth_along(adata, data):
    cells = np.arange(60, 20, -1)
    part = as_paired(adata[cells].copy())
    for key in ("latent", "outputs"):
        np.testing.assert_array_equal(part.truth[key], data.truth[key][cells])


def test_subsets_take_the_colours_along(adata, data):
    part = as_paired(adata[60:20:-1].copy())
    assert part.colors.items() <= data.colors.items()


def test_what_is_dropped_is_kept_as_text(data):
    dropped = {"why": ["x", 2], "none": [], "n": 3}
    assert change_data(data, dropped=dropped).about["dropped"] == {"why": ["x", "2"], "n": 3}


def test_groups_are_labels_known_of_every_cell(data):
    assert get_groups(data, "type").tolist() == data.labels["type"].tolist()


# --- counts, and the library size of expression that was computed from them


def test_counts_may_be_stored_in_parts(data):
    whole = sparse.csr_array(data.counts)
    indices = np.repeat(whole.indices, 2)
    values = np.repeat(whole.data / 2, 2)
    halves = sparse.csr_array((values, indices, 2 * whole.indptr), shape=whole.shape)
    again = change_data(data, counts=halves)
    np.testing.assert_array_equal(again.counts.toarray(), data.counts)
    assert halves.nnz == 2 * whole.nnz


@pytest.fixture
def counted(rng):
    """Expression computed from counts, of which 60 are the median total."""
    fractions = np.full(4, 0.25)
    counts = rng.multinomial(60, fractions, size=30)
    counts[0] *= 2
    return paired(None, rng.normal(size=(30, 2)), counts=counts)


def test_the_builder_notes_the_library_size(counted):
    assert counted.uns["sbnn"]["library_size"] == 60
    assert as_paired(counted).library_size == 60


def test_expression_that_is_given_is_taken_as_it_is(counted):
    given = paired(counted.X, counts=counted.layers["counts"])
    assert "library_size" not in given.uns["sbnn"]
    assert as_paired(given).library_size is None


def test_a_library_size_may_be_given_with_expression(counted):
    noted = paired(counted.X, counts=counted.layers["counts"], library_size=60)
    assert noted.uns["sbnn"]["library_size"] == 60


def test_a_library_size_may_be_given_for_expression(counted):
    counts = counted.layers["counts"]
    made = paired(None, counts=counts, library_size=1000)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(made.X, np.log2(1000 * fractions + 1), rtol=1e-5)
    assert made.uns["sbnn"]["library_size"] == 1000


def test_a_library_size_that_does_not_give_x_is_left_out(counted):
    noted = paired(counted.X, counts=counted.layers["counts"], library_size=61)
    assert "library_size" not in noted.uns["sbnn"]


def test_some_cells_keep_the_library_size_of_all(counted):
    assert as_paired(counted[:20]).library_size == 60


def change_all_values(adata):
    adata.X = adata.X + 1e-3


def change_last_cell(adata):
    adata.X[-1] = 0


def empty_a_cell(adata):
    adata.layers["counts"][0] = 0


def remove_counts(adata):
    del adata.layers["counts"]


@pytest.mark.parametrize(
    "change", [change_all_values, change_last_cell, add_to_counts, empty_a_cell, remove_counts]
)
def test_the_library_size_goes_with_changed_values(change, counted):
    change(counted)
    assert as_paired(counted).library_size is None


def test_the_library_size_goes_with_some_genes(counted):
    assert as_paired(counted[:, 1:]).library_size is None


def test_the_median_total_of_some_cells_may_differ(counted):
    assert as_paired(counted).has_median_library_size
    assert as_paired(counted[1:]).has_median_library_size
    assert not as_paired(counted[:2]).has_median_library_size


def test_without_counts_there_is_no_median_library_size(counted):
    pair = (counted.X, counted.obsm["outputs"])
    assert not as_paired(pair).has_median_library_size


# --- fingerprints and files


def test_the_fingerprint_is_of_the_content(data):
    about = change_data(data, files={"a": "1"}, notes=("1",)).about
    assert about["notes"] == ["1"]
    assert about["sha256"] == data.sha256, "it is not of what is said about the content"


def change_expression(adata):
    adata.X[0, 0] += 1


def change_counts(adata):
    adata.layers["counts"][0, 0] += 1


def change_outputs(adata):
    adata.obsm["outputs"].iloc[0, 0] += 1


@pytest.mark.parametrize("change", [turn_names, change_expression, change_counts, change_outputs])
def test_changed_content_has_another_fingerprint(change, adata, data):
    other = adata.copy()
    assert as_paired(other).sha256 == data.sha256 == other.uns["sbnn"]["sha256"]
    change(other)
    assert as_paired(other).sha256 != data.sha256


def test_sparse_expression_has_the_same_fingerprint(adata):
    adata = adata.copy()
    adata.X[0, 0] += 1
    dense = as_paired(adata).sha256
    adata.X = sparse.csr_matrix(adata.X)
    assert as_paired(adata).sha256 == dense


@pytest.mark.parametrize("mode", [None, "r"])
@pytest.mark.parametrize("convert", [np.asarray, sparse.coo_array])
def test_a_file_keeps_everything(convert, mode, adata, tmp_path):
    built = paired(
        X=None,
        Y=adata.obsm["outputs"],
        gene_names=adata.var_names,
        labels=adata.obs,
        counts=convert(adata.layers["counts"]),
        name="tiny",
        files={"a.csv": "ab"},
    )
    expected = as_paired(built)
    built.write_h5ad(tmp_path / "a.h5ad")
    found = as_paired(anndata.read_h5ad(tmp_path / "a.h5ad", backed=mode))
    assert_equal(found, expected)
    assert found.labels.equals(expected.labels)
    assert type(found.counts) is type(expected.counts)
    assert found.about == expected.about


# --- what was validated is unpacked, what was changed is checked again, mistakes are named


@pytest.fixture
def no_validation(monkeypatch):
    monkeypatch.setattr(paired_cells, "validate_parts", lambda *parts, **options: 1 / 0)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_validated_cells_are_only_unpacked(convert, adata, tmp_path, request):
    counts = convert(adata.layers["counts"])
    built = paired(adata.X, adata.obsm["outputs"], adata.var_names, labels=adata.obs, counts=counts)
    built.write_h5ad(tmp_path / "a.h5ad")
    request.getfixturevalue("no_validation")
    labelled = built.copy()
    labelled.obs["batch"] = ["a", "b"] * 60
    labelled.uns["sbnn"]["notes"] = ["of another day"]
    for cells in (built, labelled, anndata.read_h5ad(tmp_path / "a.h5ad")):
        assert_equal(as_paired(cells), as_paired(built))
    assert as_paired(labelled).labels["batch"].nunique() == 2
    assert as_paired(labelled).about["notes"] == ["of another day"]


@pytest.mark.usefixtures("no_validation")
@pytest.mark.parametrize(
    "change",
    [
        lambda cells: cells.X.__setitem__((0, 0), 9),
        lambda cells: cells.layers["counts"].__setitem__((0, 0), 9),
        lambda cells: cells.obsm["outputs"].__setitem__("output1", 2.0),
        lambda cells: cells.obsm.pop("outputs"),
        lambda cells: setattr(cells, "var_names", cells.var_names[::-1]),
        lambda cells: setattr(cells, "obs_names", cells.obs_names[::-1]),
        lambda cells: cells.uns["sbnn"].update(library_size=7.0),
        lambda cells: cells.uns["sbnn"].pop("notes"),
    ],
)
def test_changed_cells_are_validated_again(change, adata):
    changed = adata.copy()
    change(changed)
    with pytest.raises(ZeroDivisionError):
        as_paired(changed)


def test_categories_without_cells_change_nothing(adata, data):
    adata = adata.copy()
    adata.obs["type"] = adata.obs["type"].cat.add_categories(["none"])
    assert as_paired(adata).sha256 == data.sha256


@pytest.mark.filterwarnings("ignore:.* have no family")
def test_missing_families_are_unknown(adata):
    adata = adata.copy()
    adata.obs["family"] = pd.NA
    assert set(as_paired(adata).labels["family"]) == {"unknown"}


def test_missing_colours_are_made(adata):
    adata = adata.copy()
    n_types = len(adata.uns.pop("type_colors"))
    assert len(as_paired(adata).colors) == n_types


@pytest.mark.filterwarnings("ignore:.* have no type")
def test_without_types_there_is_one_colour(adata, data):
    adata = adata.copy()
    adata.obs["type"] = None
    other = as_paired(adata)
    assert other.colors == {"unknown": "#808080"}
    assert other.sha256 == data.sha256


def test_a_single_colour_may_be_text(adata):
    adata = adata.copy()
    adata.obs["type"] = "IT"
    adata.uns["type_colors"] = "#ff0000"
    assert as_paired(adata).colors == {"IT": "#FF0000"}


def test_cells_may_be_called_as_a_label_is(adata, data):
    adata = adata.copy()
    adata.obs.index.name = "family"
    assert as_paired(adata).colors == data.colors


COUNTS = pd.DataFrame(30 * np.arange(12).reshape(3, 4), list("abc"), list("wxyz"))
X = np.log2(1 + COUNTS)
Y = pd.DataFrame([[3, 1], [1, 2], [2, 9]], list("abc"), ["Tau", "Rin"])


def test_counts_are_matched_by_name():
    turned = paired(X, Y, counts=COUNTS.iloc[::-1, ::-1])
    np.testing.assert_array_equal(turned.layers["counts"], COUNTS)


def test_counts_alone_give_the_names():
    adata = paired(None, Y, counts=COUNTS)
    assert adata.obs_names.tolist() == list("abc")
    assert adata.var_names.tolist() == list("wxyz")


@pytest.mark.parametrize(
    ("expression", "outputs", "options", "message"),
    [
        (X.assign(new=1), Y, {}, "of X .*: new"),
        (X, Y.assign(new=1), {}, "of Y .*: new"),
        (X, Y[::-1], {}, "Y: .*in the same order"),
        (X, Y.to_numpy()[1:], {}, "Y: expected the 3 cells of X, got 2"),
        (X, Y.rename(columns={"Rin": "Tau"}), {}, "repeated output names: 'Tau'"),
        (COUNTS, Y, {}, "X: looks like raw counts"),
        (None, Y[::-1], {"counts": COUNTS}, "Y: .*in the same order"),
        (X, Y, {"counts": COUNTS.T.add_prefix("x").T}, "counts: .*missing: .*not expected: xa"),
        (X, Y, {"gene_names": list("zyxw")}, "gene_names: the table has names"),
        (X, Y, {"feature_names": ["Rin", "Tau"]}, "feature_names: the table has names"),
        (None, Y, {"counts": COUNTS, "gene_names": list("zyxw")}, "gene_names: the table has"),
    ],
)
def test_mistakes_are_named(expression, outputs, options, message):
    with pytest.raises(ValueError, match=message):
        paired(expression, outputs, **options)


def test_unknown_groups_are_named(data):
    with pytest.raises(ValueError, match="groups: 'donor'"):
        get_groups(data, "donor")


def test_an_array_without_outputs_is_refused():
    with pytest.raises(TypeError, match="data: .* got ndarray"):
        as_paired(np.eye(3))


@pytest.mark.parametrize("labels", [{"type": ["a"]}, ["a"], pd.Series(["a"]), "types.csv"])
@pytest.mark.parametrize("build", [paired, screen])
def test_labels_that_are_no_table_are_refused(build, labels):
    perturbation = ["a", "b", "b"] if build is screen else None
    with pytest.raises(TypeError, match="labels: expected a DataFrame"):
        build(np.eye(3), perturbation, labels=labels)


@pytest.mark.filterwarnings("error")
def test_cells_that_are_twice_in_the_table_are_named(rng):
    X = pd.DataFrame(rng.normal(size=(20, 3)), [f"c{i}" for i in range(20)])
    Y = rng.normal(size=(20, 2))
    X.iloc[12], Y[12] = X.iloc[3], Y[3]
    X.iloc[15] = X.iloc[4]  # with other outputs
    with pytest.warns(UserWarning, match=r"earlier one \(1\): c12; leave .* weight of ridge"):
        paired(X, Y)
    paired(X.drop("c12"), np.delete(Y, 12, axis=0))


def test_large_outputs_are_outputs():
    as_paired((X, Y * 1e10))


def test_raw_counts_pass_without_a_check():
    assert as_paired((COUNTS, Y), check=False).X.max() == 330


def test_raw_counts_pass_if_a_reader_knows_them():
    assert paired(COUNTS, Y, notes=["counts, indeed"]).X.max() == 330


@pytest.mark.parametrize("read", [as_paired, as_typed, read_tables])
def test_without_expression_the_layers_are_named(read, adata):
    empty = adata.copy()
    empty.layers["raw"] = empty.layers.pop("counts")
    empty.X = None
    with pytest.raises(ValueError, match=r"layers \['raw'\]"):
        read(empty)
