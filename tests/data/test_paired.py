"""The builder and the adapter of paired cells."""

import anndata
import numpy as np
import pandas as pd
import pytest
from made_up import change_data, expression_frame, outputs_frame
from scipy import sparse

from sbnn.data.paired import as_paired, get_groups, paired
from sbnn.data.screens import screen
from sbnn.data.typed_cells import as_typed


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
    again = change_data(data, X=X, Y=Y, cell_names=None)
    np.testing.assert_array_equal(again.X, X)
    assert again.labels.equals(data.labels[::-1])
    assert again.colors == data.colors


def test_what_was_converted_is_not_converted_again(data):
    assert as_paired(data) is data


def test_arrays_of_an_anndata_are_not_copied(adata):
    assert np.shares_memory(as_paired(adata).X, adata.X)


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


def test_outputs_may_be_in_obsm(with_other_outputs, data):
    assert_equal(as_paired((with_other_outputs, "ephys")), data)


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
    with pytest.raises(ValueError, match="groups: 'donor'"):
        get_groups(data, "donor")


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


def test_the_library_size_goes_with_some_genes(counted):
    assert as_paired(counted[:, 1:]).library_size is None


def test_the_library_size_goes_with_changed_expression(counted):
    counted.X = counted.X + 0.1
    assert as_paired(counted).library_size is None


def test_the_library_size_goes_with_changed_counts(counted):
    counted.layers["counts"] = counted.layers["counts"] + 1
    assert as_paired(counted).library_size is None


def test_the_library_size_goes_without_counts(counted):
    del counted.layers["counts"]
    assert as_paired(counted).library_size is None


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


def change_names(adata):
    adata.var_names = adata.var_names[::-1]


def change_expression(adata):
    adata.X[0, 0] += 1


def change_counts(adata):
    adata.layers["counts"][0, 0] += 1


def change_outputs(adata):
    adata.obsm["outputs"].iloc[0, 0] += 1


@pytest.mark.parametrize("change", [change_names, change_expression, change_counts, change_outputs])
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


# --- what was changed is checked again, and mistakes are named


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


def test_outputs_that_single_precision_loses_are_named(data):
    Y = outputs_frame(data)
    seconds = 1.6e9 + Y.iloc[:, 0].astype(float)
    with pytest.raises(ValueError, match="Y: single precision .* in seconds; subtract"):
        as_paired((expression_frame(data), Y.assign(seconds=seconds)))


@pytest.mark.filterwarnings("error")
def test_large_outputs_are_outputs(data):
    as_paired((expression_frame(data), outputs_frame(data) * 1e10))


def test_outputs_of_one_name_are_refused(adata):
    adata = adata.copy()
    adata.obsm["outputs"].columns = ["a"] * 5
    with pytest.raises(ValueError, match="output names: a"):
        as_paired(adata)


def test_columns_with_one_value_are_named(data):
    X = expression_frame(data)
    Y = outputs_frame(data)
    with pytest.raises(ValueError, match="of X .*: new"):
        as_paired((X.assign(new=1), Y))
    with pytest.raises(ValueError, match="of Y .*: new"):
        as_paired((X, Y.assign(new=1)))


def test_outputs_in_another_order_are_refused(data):
    with pytest.raises(ValueError, match="Y: .*only the order"):
        as_paired((expression_frame(data), outputs_frame(data)[::-1]))


@pytest.fixture
def tables(data):
    """Expression, outputs and counts, all with names."""
    X = expression_frame(data)
    counts = pd.DataFrame(np.arange(X.size).reshape(X.shape), X.index, X.columns)
    return X, outputs_frame(data), counts


def test_counts_are_matched_by_name(tables):
    X, Y, counts = tables
    turned = paired(X, Y, counts=counts.iloc[::-1, ::-1])
    np.testing.assert_array_equal(turned.layers["counts"], counts)


def test_counts_alone_give_the_names(tables):
    _, Y, counts = tables
    adata = paired(None, Y, counts=counts)
    assert adata.obs_names.equals(counts.index)
    assert adata.var_names.equals(counts.columns)
    with pytest.raises(ValueError, match="Y: .*only the order"):
        paired(None, Y[::-1], counts=counts)


def test_counts_of_other_names_are_refused(tables):
    X, Y, counts = tables
    with pytest.raises(ValueError, match="counts: .*missing: .*not expected: x"):
        paired(X, Y, counts=counts.add_prefix("x"))


@pytest.mark.parametrize("labels", [{"type": ["a"]}, ["a"], pd.Series(["a"]), "types.csv"])
def test_labels_that_are_no_table_are_refused(labels, tables):
    X, Y, counts = tables
    for build in (
        lambda: paired(X, Y, labels=labels),
        lambda: screen(counts, ["a", "b"] * 60, labels=labels),
    ):
        with pytest.raises(TypeError, match="labels: expected a DataFrame"):
            build()


@pytest.mark.parametrize("argument", ["gene_names", "feature_names"])
def test_names_beside_a_table_are_in_its_order(argument, tables):
    X, Y, _ = tables
    names = (X if argument == "gene_names" else Y).columns[::-1]
    with pytest.raises(ValueError, match=f"{argument}: .*another order"):
        paired(X, Y, **{argument: names})


def test_outputs_of_fewer_cells_are_refused(data):
    with pytest.raises(ValueError, match="Y: .*120 .*119"):
        as_paired((data.X, data.Y[1:]))


def test_an_array_without_outputs_is_refused(data):
    with pytest.raises(TypeError, match="data: .* got ndarray"):
        as_paired(data.X)


@pytest.fixture
def looks_raw():
    """Whole numbers, which no logarithm reaches."""
    return 30 * np.arange(4800).reshape(120, 40)


def test_raw_counts_are_refused(looks_raw, data):
    with pytest.raises(ValueError, match="X: looks like raw counts"):
        as_paired((looks_raw, data.Y))


def test_raw_counts_pass_without_a_check(looks_raw, data):
    assert as_paired((looks_raw, data.Y), check=False).X.max() == 30 * 4799


def test_raw_counts_pass_if_a_reader_knows_them(looks_raw, data):
    built = paired(looks_raw, data.Y, notes=["counts, indeed"])
    assert built.n_obs == 120


@pytest.mark.parametrize("kind", ["expression", "counts", "logarithm"])
def test_an_output_that_is_a_gene_is_refused(kind, adata):
    counts = adata.to_df("counts")["gene04"]
    genes = {"expression": adata.to_df()["gene04"], "counts": counts, "logarithm": np.log1p(counts)}
    adata = adata.copy()
    adata.obsm["outputs"]["marker"] = 3 * genes[kind] - 1
    with pytest.raises(ValueError, match="the output marker copies the gene gene04"):
        as_paired(adata)


@pytest.mark.parametrize("arrays_of", [as_paired, as_typed])
def test_without_expression_the_layers_are_named(arrays_of, adata):
    empty = adata.copy()
    empty.X = None
    with pytest.raises(ValueError, match=r"layers \['counts'\]"):
        arrays_of(empty)
