"""The builder and the adapter of paired cells."""

import anndata
import numpy as np
import pandas as pd
import pytest
from made_up import changed, outputs_of, table_of
from scipy import sparse

from sbnn.data.paired import as_paired, get_groups, paired_cells
from sbnn.data.typed_cells import as_typed


def assert_equal(one, other):
    for name in ("X", "Y", "gene_names", "feature_names", "cell_names"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_arrays_are_single_precision_and_keep_names_labels_and_counts(data):
    again = changed(data, X=table_of(data)[::-1] / 3, Y=outputs_of(data)[::-1], cell_names=None)
    np.testing.assert_array_equal(again.X, data.X[::-1] / np.float32(3))
    np.testing.assert_array_equal(again.counts, data.counts)
    assert again.X.dtype == again.Y.dtype == np.float32
    assert again.labels.equals(data.labels[::-1]) and again.colors == data.colors
    assert_equal(changed(data), data)
    assert as_paired(data) is data


def test_without_names_and_labels_there_are_usual_ones():
    data = as_paired((np.eye(3, 2), np.arange(3.0)))
    assert [names[-1] for names in data.names.values()] == ["gene_1", "output_0", "cell_2"]
    assert data.colors == {"unknown": "#808080"} and set(data.labels) == {"type", "family"}
    named = as_paired((np.eye(3), pd.Series(range(3), list("abc"), name="Tau")))
    assert named.feature_names == ["Tau"] and list(named.cell_names) == ["a", "b", "c"]


def test_counts_may_be_stored_in_parts(data):
    whole = sparse.csr_array(data.counts)
    places = np.repeat(whole.indices, 2), 2 * whole.indptr
    halves = sparse.csr_array((np.repeat(whole.data / 2, 2), *places), shape=whole.shape)
    again = changed(data, counts=halves)
    np.testing.assert_array_equal(again.counts.toarray(), data.counts)
    assert halves.nnz == 2 * whole.nnz


@pytest.fixture
def counted(rng):
    """Built from counts, of which 60 are the median total."""
    counts = rng.multinomial(1, np.full(4, 0.25), size=(30, 60)).sum(axis=1)
    counts[0] *= 2
    return paired_cells(None, rng.normal(size=(30, 2)), counts=counts)


def test_the_builder_notes_the_library_size(counted):
    assert counted.uns["sbnn"]["library_size"] == 60
    assert as_paired(counted).library_size == 60


def test_expression_that_is_given_is_taken_as_it_is(counted):
    outputs = counted.obsm["outputs"]
    given = paired_cells(counted.X, outputs, counts=counted.layers["counts"])
    assert "library_size" not in given.uns["sbnn"]
    assert as_paired(given).library_size is None


def test_a_library_size_may_be_given_with_the_expression(counted):
    counts = counted.layers["counts"]
    noted = paired_cells(counted.X, counts=counts, library_size=60)
    assert noted.uns["sbnn"]["library_size"] == 60
    made = paired_cells(None, counts=counts, library_size=60)
    np.testing.assert_array_equal(made.X, counted.X)


def test_some_cells_keep_the_library_size_of_all(counted):
    assert as_paired(counted[:20]).library_size == 60


def test_the_library_size_goes_with_some_genes(counted):
    assert as_paired(counted[:, 1:]).library_size is None


def test_the_library_size_goes_with_changed_expression_or_counts(counted):
    other = counted.copy()
    other.X = counted.X + 0.1
    assert as_paired(other).library_size is None
    other = counted.copy()
    other.layers["counts"] = counted.layers["counts"] + 1
    assert as_paired(other).library_size is None
    del other.layers["counts"]
    assert as_paired(other).library_size is None


def test_the_median_total_of_some_cells_may_differ(counted):
    assert as_paired(counted).has_median_library_size
    assert as_paired(counted[1:]).has_median_library_size
    assert not as_paired(counted[:2]).has_median_library_size
    assert not as_paired((counted.X, counted.obsm["outputs"])).has_median_library_size


def test_what_is_known_about_the_data_is_kept_as_text(data):
    dropped = {"why": ["x", 2], "none": [], "n": 3}
    about = changed(data, files={"a": "1"}, dropped=dropped, notes=("1",)).about
    assert about["dropped"] == {"why": ["x", "2"], "n": 3} and about["notes"] == ["1"]
    assert about["sha256"] == data.sha256, "it is of the content, not of what is said about it"


def test_bad_input_is_named(data):
    X, Y = table_of(data), outputs_of(data)
    counts = 30 * np.arange(4800).reshape(120, 40)
    for message, given in {
        "of X .*: new": (X.assign(new=1), Y),
        "of Y .*: new": (X, Y.assign(new=1)),
        "Y: .*only the order": (X, Y[::-1]),
        "Y: .*120 .*119": (X, data.Y[1:]),
        "X: looks like raw counts": (counts, data.Y),
    }.items():
        with pytest.raises(ValueError, match=message):
            as_paired(given)
    as_paired((counts, data.Y), check=False)
    assert paired_cells(counts, data.Y, notes=["counts, indeed"]).n_obs == 120
    with pytest.raises(TypeError, match="data: .* got ndarray"):
        as_paired(data.X)


def test_outputs_are_a_table_beside_an_anndata_or_in_it(data):
    rna = anndata.AnnData(table_of(data), obs=pd.DataFrame({"depth": range(120)}, data.cell_names))
    rna.obsm["ephys"] = outputs_of(data)
    assert_equal(as_paired((rna, "ephys")), data)
    depth = as_paired((rna, ["depth"]))
    assert depth.Y[:, 0].tolist() == [*range(120)] and "depth" not in depth.labels
    assert as_paired(rna).Y.shape == (120, 0)


@pytest.mark.parametrize("part", ["X", "outputs", "counts", "names"])
def test_a_fingerprint_holds_for_the_content_it_was_given_for(part, adata, data):
    adata = adata.copy()
    assert as_paired(adata).sha256 == data.sha256 == adata.uns["sbnn"]["sha256"]
    tables = {
        "X": adata.X,
        "counts": adata.layers["counts"],
        "outputs": adata.obsm["outputs"].values,
    }
    if part == "names":
        adata.var_names = adata.var_names[::-1]
    else:
        tables[part][0, 0] += 1
    other = as_paired(adata)
    assert other.sha256 != data.sha256
    adata.X = sparse.csr_matrix(adata.X)
    assert as_paired(adata).sha256 == other.sha256


def test_what_was_changed_is_checked_again(adata):
    adata = adata.copy()
    assert np.shares_memory(as_paired(adata).X, adata.X)
    adata.obs["type"] = adata.obs["type"].astype("category").cat.add_categories(["none"])
    assert as_paired(adata).sha256 == adata.uns["sbnn"]["sha256"]
    adata.obs["family"] = pd.NA
    assert set(as_paired(adata).labels["family"]) == {"unknown"}
    n_types = len(adata.uns.pop("type_colors"))
    assert len(as_paired(adata).colors) == n_types
    adata.obs["type"] = None
    other = as_paired(adata)
    assert other.colors == {"unknown": "#808080"} and other.sha256 == adata.uns["sbnn"]["sha256"]
    adata.obsm["outputs"].columns = ["a"] * 5
    with pytest.raises(ValueError, match="output names: a"):
        as_paired(adata)


def test_subsets_take_the_truth_and_colours_along(adata, data):
    cells = [3, 0, 5]
    genes = [*data.truth["genes"][:2], data.gene_names[0]]
    part = as_paired(adata[cells, genes].copy())
    for key in ("latent", "outputs"):
        np.testing.assert_array_equal(part.truth[key], data.truth[key][cells])
    assert part.colors.items() <= data.colors.items()


@pytest.mark.parametrize("convert", [np.asarray, sparse.coo_array])
def test_a_file_keeps_everything(convert, data, tmp_path):
    about = {"name": "tiny", "files": {"a.csv": "ab"}}
    one = changed(data, counts=convert(data.counts), **about)
    adata = paired_cells(None, one.Y, **one.names, labels=one.labels, counts=one.counts, **about)
    adata.write_h5ad(tmp_path / "a.h5ad")
    for mode in (None, "r"):
        other = as_paired(anndata.read_h5ad(tmp_path / "a.h5ad", backed=mode))
        assert_equal(other, one)
        assert other.labels.equals(one.labels) and type(other.counts) is type(one.counts)
        assert {key: other.about[key] for key in about} == about
        assert (other.name, other.sha256) == ("tiny", one.sha256)


def test_groups_are_labels_known_of_every_cell(data):
    assert get_groups(data, "type").tolist() == data.labels["type"].tolist()
    with pytest.raises(ValueError, match="groups: 'donor'"):
        get_groups(data, "donor")


def test_an_output_that_is_a_gene_is_refused(adata):
    """Its expression, its counts or their logarithm."""
    adata = adata.copy()
    given = adata.to_df()["gene04"], adata.to_df("counts")["gene04"]
    for marker in (*given, np.log1p(given[1])):
        adata.obsm["outputs"] = adata.obsm["outputs"].assign(marker=3 * marker - 1)
        with pytest.raises(ValueError, match="the output marker copies the gene gene04"):
            as_paired(adata)


@pytest.mark.parametrize("arrays_of", [as_paired, as_typed])
def test_without_expression_the_layers_are_named(arrays_of, adata):
    empty = adata.copy()
    empty.X = None
    with pytest.raises(ValueError, match=r"layers \['counts'\]"):
        arrays_of(empty)
