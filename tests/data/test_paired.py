"""The builder and the adapter of paired cells."""

import anndata
import numpy as np
import pandas as pd
import pytest
from material.cells import (
    add_to_counts,
    change_data,
    counts_frame,
    expression_frame,
    outputs_frame,
)
from scipy import sparse
from sklearn import config_context

from sbnn.data import paired as paired_cells
from sbnn.data.checks import dense
from sbnn.data.paired import as_paired, paired


def assert_equal(one, other):
    for name in ("X", "Y", "gene_names", "feature_names", "cell_names"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(dense(one.counts), dense(other.counts))
    assert one.labels.equals(other.labels)
    for name in ("colors", "library_size", "sha256"):
        assert getattr(one, name) == getattr(other, name)


# --- arrays, names and labels


def in_parts(counts):
    """Each entry is stored twice, as a half of it."""
    whole = sparse.csr_array(counts)
    values, indices = np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2)
    return sparse.csr_array((values, indices, 2 * whole.indptr), shape=whole.shape)


OF_TABLES = dict.fromkeys(["cell_names", "gene_names", "feature_names"])
FORMS = {
    "of double precision": lambda data: {"X": data.X.astype(float), "Y": data.Y.astype(float)},
    "tables": lambda data: {"X": expression_frame(data), "Y": outputs_frame(data)} | OF_TABLES,
    "counts alone": lambda data: {"X": None, "counts": counts_frame(data), "gene_names": None},
    "counts in parts": lambda data: {"counts": in_parts(data.counts)},
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_cells_in_another_form_are_the_same(form, data):
    again = change_data(data, **FORMS[form](data))
    assert again.X.dtype == again.Y.dtype == np.float32
    assert_equal(again, data)


def test_arrays_of_an_anndata_are_not_copied(adata):
    assert np.shares_memory(as_paired(adata).X, adata.X)


def test_settings_of_scikit_learn_change_no_cells(data):
    with config_context(transform_output="pandas"):
        assert_equal(change_data(data), data)


def test_without_names_there_are_usual_ones():
    data = as_paired((np.eye(3, 2), np.arange(3.0)))
    last = [names[-1] for names in data.names.values()]
    assert last == ["gene_1", "output_0", "cell_2"]
    assert data.colors == {"unknown": "#808080"}
    assert set(data.labels) == {"type", "family"}
    assert not data.has_median_library_size


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


def test_subsets_take_the_truth_and_colours_along(adata, data):
    cells = np.arange(60, 20, -1)
    part = as_paired(adata[cells].copy())
    for key in ("latent", "outputs"):
        np.testing.assert_array_equal(part.truth[key], data.truth[key][cells])
    assert part.colors.items() <= data.colors.items()


def test_what_is_dropped_is_kept_as_text(data):
    dropped = {"why": ["x", 2], "none": [], "n": 3}
    assert change_data(data, dropped=dropped).about["dropped"] == {"why": ["x", "2"], "n": 3}


# --- counts, and the library size of expression that was computed from them


@pytest.fixture
def counted(rng):
    """Expression computed from counts, of which 60 are the median total."""
    fractions = np.full(4, 0.25)
    counts = rng.multinomial(60, fractions, size=30)
    counts[0] *= 2
    return paired(None, rng.normal(size=(30, 2)), counts=counts)


@pytest.mark.parametrize(("given", "noted"), [(None, None), (60, 60), (61, None)])
def test_a_library_size_is_noted_if_it_gives_the_expression(given, noted, counted):
    again = paired(counted.X, counts=counted.layers["counts"], library_size=given)
    assert again.uns["sbnn"].get("library_size") == noted == as_paired(again).library_size


def test_a_library_size_may_be_given_for_expression(counted):
    counts = counted.layers["counts"]
    made = paired(None, counts=counts, library_size=1000)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(made.X, np.log2(1000 * fractions + 1), rtol=1e-5)
    assert made.uns["sbnn"]["library_size"] == 1000


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


def test_the_library_size_is_that_of_all_cells_and_genes(counted):
    assert as_paired(counted[:20]).library_size == 60
    assert as_paired(counted[:, 1:]).library_size is None


def test_the_median_total_of_some_cells_may_differ(counted):
    assert as_paired(counted).has_median_library_size
    assert as_paired(counted[1:]).has_median_library_size
    assert not as_paired(counted[:2]).has_median_library_size


# --- fingerprints and files


def test_the_fingerprint_is_of_the_content(data):
    about = change_data(data, files={"a": "1"}, notes=("1",)).about
    assert about["notes"] == ["1"]
    assert about["sha256"] == data.sha256, "it is not of what is said about the content"


# --- what was validated is unpacked, what was changed is checked again, mistakes are named


@pytest.fixture
def no_validation(monkeypatch):
    monkeypatch.setattr(paired_cells, "validate_parts", lambda *parts, **options: 1 / 0)


@pytest.mark.parametrize("convert", [np.asarray, sparse.coo_array])
def test_validated_cells_are_only_unpacked(convert, adata, tmp_path, request):
    built = paired(
        None,
        adata.obsm["outputs"],
        adata.var_names,
        labels=adata.obs,
        counts=convert(adata.layers["counts"]),
        name="tiny",
        files={"a.csv": "ab"},
    )
    expected = as_paired(built)
    built.write_h5ad(tmp_path / "a.h5ad")
    request.getfixturevalue("no_validation")
    for mode in (None, "r"):
        found = as_paired(anndata.read_h5ad(tmp_path / "a.h5ad", backed=mode))
        assert_equal(found, expected)
        assert type(found.counts) is type(expected.counts)
        assert found.about == expected.about
    labelled = built.copy()
    labelled.obs["batch"] = ["a", "b"] * 60
    labelled.uns["sbnn"]["notes"] = ["of another day"]
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


def test_missing_colours_are_made(adata):
    adata = adata.copy()
    n_types = len(adata.uns.pop("type_colors"))
    assert len(as_paired(adata).colors) == n_types


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


@pytest.mark.parametrize(
    ("expression", "outputs", "options", "message"),
    [
        (X.assign(new=1), Y, {}, "of X .*: new"),
        (X, Y.assign(new=1), {}, "of Y .*: new"),
        (X, Y.to_numpy()[1:], {}, "Y: expected the 3 cells of X, got 2"),
        (COUNTS, Y, {}, "X: looks like raw counts"),
        (X, Y, {"counts": COUNTS.T.add_prefix("x").T}, "counts: .*missing: .*not expected: xa"),
        (X, Y, {"gene_names": list("zyxw")}, "gene_names: the table has names"),
        (X, Y, {"feature_names": ["Rin", "Tau"]}, "feature_names: the table has names"),
        (None, Y, {"counts": COUNTS, "gene_names": list("zyxw")}, "gene_names: the table has"),
    ],
)
def test_mistakes_are_named(expression, outputs, options, message):
    with pytest.raises(ValueError, match=message):
        paired(expression, outputs, **options)


def test_an_array_without_outputs_is_refused():
    with pytest.raises(TypeError, match="data: .* got ndarray"):
        as_paired(np.eye(3))


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


def test_raw_counts_pass_without_a_check_or_if_a_reader_knows_them():
    assert as_paired((COUNTS, Y), check=False).X.max() == 330
    assert paired(COUNTS, Y, notes=["counts, indeed"]).X.max() == 330


def test_without_expression_the_layers_are_named(adata):
    empty = adata.copy()
    empty.layers["raw"] = empty.layers.pop("counts")
    empty.X = None
    with pytest.raises(ValueError, match=r"layers \['raw'\]"):
        as_paired(empty)
