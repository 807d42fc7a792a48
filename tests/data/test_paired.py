"""The builder, the adapter and other layouts of paired cells."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from made_up import changed, outputs_of, table_of
from scipy import sparse

from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_files
from sbnn.data.paired import as_paired, groups_of, paired
from sbnn.data.streams import ExpressionStream


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
    for names, kind in zip(data.names.values(), ("gene", "output", "cell"), strict=True):
        assert names.tolist() == [f"{kind}_{i}" for i in range(len(names))]
    assert data.colors == {"unknown": "#808080"} and set(data.labels) == {"type", "family"}
    assert data.about["source"] == "the user's arrays"
    named = as_paired((np.eye(3), pd.Series(range(3), list("abc"), name="Tau")))
    assert named.feature_names == ["Tau"] and list(named.cell_names) == ["a", "b", "c"]
    assert paired(pd.DataFrame([["1.5", "2"]])).X.tolist() == [[1.5, 2]]


def test_counts_lie_behind_x_only_if_they_give_it(data):
    assert data.counts_behind_x is data.counts
    twice = np.log2(2 * (np.exp2(data.X) - 1) + 1)  # of another library size
    for other in ({"X": data.X + 0.1}, {"X": twice}, {"counts": None}):
        assert changed(data, **other).counts_behind_x is None


def test_what_is_known_about_the_data_is_kept_as_text(data):
    dropped = {"why": ["x", 2], "none": [], "n": 3}
    about = changed(data, files={"a": "1"}, dropped=dropped, notes=(1,)).about
    assert about["dropped"] == {"why": ["x", "2"], "n": 3} and about["notes"] == ["1"]
    assert about["sha256"] == fingerprint_files({"a": "1"}) != fingerprint_files({"b": "1"})
    assert fingerprint_files({"a": "1", "b": "2"}) == fingerprint_files({"b": "2", "a": "1"})


def test_bad_input_is_named(data):
    X, Y = table_of(data), outputs_of(data)
    large = X.astype(float)
    large.iloc[3, 1] = 1e39
    for message, changes in {
        f"X: .* '{X.index[3]}' in column '{X.columns[1]}' is inf": {"X": large},
        "X: .* string": {"X": X.assign(g="a")},
        "Y: .*'new' is nan": {"Y": Y.assign(new=np.nan), "feature_names": None},
        "of X .*: new": {"X": X.assign(new=1), "gene_names": None, "counts": None},
        "of Y .*: new": {"Y": Y.assign(new=1), "feature_names": None},
        "Y: .*only the order": {"Y": Y[::-1]},
        "X: .*only the order": {"X": X[::-1]},
        "Y: .*120 .*119": {"Y": data.Y[1:]},
    }.items():
        with pytest.raises(ValueError, match=message):
            changed(data, **changes)


def test_all_forms_give_the_same_arrays(data):
    X, Y = table_of(data), outputs_of(data)
    rna = anndata.AnnData(X, obs=pd.DataFrame({"depth": range(120)}, X.index))
    mdata = mudata.MuData({"rna": rna, "ephys": anndata.AnnData(Y)})
    for form in ((X, Y), (ExpressionStream(X), Y), (rna, Y), mdata, (mdata, "ephys")):
        assert_equal(as_paired(form), data)
    np.testing.assert_array_equal(as_paired((sparse.csc_matrix(X), Y)).X, data.X)
    depth = as_paired((rna, ["depth"]))
    assert depth.Y[:, 0].tolist() == [*range(120)] and "depth" not in depth.labels
    assert as_paired(rna).n_outputs == 0
    with pytest.raises(TypeError, match="data: .* got ExpressionStream"):
        as_paired(ExpressionStream(X))
    with pytest.raises(KeyError, match="no 'protein'"):
        as_paired((rna, "protein"))


@pytest.mark.parametrize("part", ["X", "outputs", "counts"])
def test_a_fingerprint_holds_for_the_arrays_it_was_given_for(part, adata, data):
    adata = adata.copy()
    assert as_paired(adata).sha256 == data.sha256 == adata.uns["sbnn"]["sha256"]
    tables = {"X": adata.X, "counts": adata.layers["counts"]}
    tables.get(part, adata.obsm["outputs"].values)[0, 0] += 1
    other = as_paired(adata)
    assert other.sha256 == fingerprint_arrays(other.X, other.Y, other.counts) != data.sha256


def test_fingerprints_tell_places_types_and_shapes_apart():
    eye = np.eye(2)
    arrays = [eye, eye.astype("f4"), eye.ravel(), eye[::-1]]
    arrays += map(sparse.csr_array, [eye, eye[::-1], [[1, 1], [0, 0]], 2 * eye])
    assert len({fingerprint_arrays(array) for array in arrays}) == 8
    assert fingerprint_arrays(arrays[3]) == fingerprint_arrays(np.asfortranarray(arrays[3]))


def test_subsets_take_the_truth_along(adata, data):
    cells = [3, 0, 5]
    genes = [*data.truth["genes"][:2], data.gene_names[0]]
    part = as_paired(adata[cells, genes].copy())
    for key in ("latent", "outputs"):
        np.testing.assert_array_equal(part.truth[key], data.truth[key][cells])
    assert set(part.truth["genes"]) == set(genes) & set(data.truth["genes"])
    assert part.colors.items() <= data.colors.items()


@pytest.mark.parametrize("convert", [np.asarray, sparse.coo_array])
def test_a_file_keeps_everything(convert, data, tmp_path):
    about = {"name": "tiny", "files": {"a.csv": "ab"}, "sha256": "cd"}
    one = changed(data, counts=convert(data.counts), **about)
    adata = paired(one.X, one.Y, **one.names, labels=one.labels, counts=one.counts, **about)
    adata.write_h5ad(tmp_path / "a.h5ad")
    for mode in (None, "r"):
        other = as_paired(anndata.read_h5ad(tmp_path / "a.h5ad", backed=mode))
        assert_equal(other, one)
        assert other.labels.equals(one.labels) and type(other.counts) is type(one.counts)
        assert {key: other.about[key] for key in about} == about
        assert (other.name, other.sha256) == ("tiny", "cd")


def test_groups_are_labels_known_of_every_cell(data):
    assert groups_of(data, "type").tolist() == data.labels["type"].tolist()
    with pytest.raises(KeyError, match="'donor'"):
        groups_of(data, "donor")
    with pytest.raises(ValueError, match="groups"):
        groups_of(data, ["a"])


# --- what others make


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, pd.DataFrame])
def test_outputs_of_every_form_have_names(form, data):
    rna = anndata.AnnData(table_of(data))
    rna.obsm["protein_expression"] = form(outputs_of(data))
    # as scvi-tools names them, and by the table itself
    for key in ("protein_names", "protein_expression_names"):
        rna.uns = {key: np.array(data.feature_names, dtype=object)}
        assert_equal(as_paired((rna, "protein_expression")), data)
    rna.obsm["one"] = np.arange(120)
    assert as_paired((rna, "one")).feature_names == ["output_0"]


def test_modalities_are_paired_by_cell_name(adata, data):
    rna = adata[:100].copy()
    rna.obsm.clear()
    colors = rna.uns.pop("type_colors")
    cells = data.cell_names
    mdata = mudata.MuData({"rna": rna, "prot": anndata.AnnData(outputs_of(data)[:0:-1])})
    labels = pd.DataFrame({"type": "other", "donor": cells}, cells)
    mdata.obs = labels.reindex(mdata.obs_names)
    mdata.uns["type_colors"] = colors
    with pytest.warns(UserWarning) as caught:
        found = as_paired(mdata)
    assert ["'prot'" in str(one.message) for one in caught] == [False, True]
    for name in ("X", "Y", "counts", "cell_names"):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name)[1:100])
    alone = found.about["dropped"]
    assert alone == {"cells only in rna": [cells[0]], "cells only in prot": [*cells[:99:-1]]}
    # the labels of the modality are preferred to those of the MuData
    assert found.labels["type"].equals(data.labels["type"][1:100])
    assert found.labels["donor"].tolist() == cells[1:100].tolist()
    assert found.colors == data.colors
