"""The builder, the adapter and other layouts of paired cells."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.paired import as_paired, groups_of, paired
from sbnn.data.streams import ExpressionStream

N, P, Q = 12, 5, 3
CELLS = [f"c{i}" for i in range(N)]


def arguments(**changes):
    rng = np.random.default_rng(0)
    counts = rng.poisson(5, (N, P))
    labels = pd.DataFrame(
        {"family": ["Sst", "Vip", "Vip"] * 4, "type": ["Sst Chodl", "Vip Gpc3", "Vip Chat_1"] * 4},
        index=CELLS,
    ).assign(mouse=["a", "b"] * 6, slice=["1", np.nan, "1", "", "1", "unknown"] * 2)
    colors = {"Vip Gpc3": "#B09FFF", "Vip Chat_1": "#FF00FF", "Sst Chodl": "#FFFF00"}
    names = {
        "gene_names": [f"Gene{i}" for i in range(P)],
        "feature_names": ["AP width", "Tau", "Sag"],
    }
    given = {
        "X": np.log2(counts + 1.0),
        "Y": rng.normal(size=(N, Q)),
        "cell_names": CELLS,
        "labels": labels,
    }
    return given | names | {"colors": colors, "counts": counts, "name": "tiny"} | changes


@pytest.fixture
def adata():
    return paired(**arguments(sha256="cd" * 32))


def test_arrays_are_single_precision_and_keep_names_labels_and_counts(adata):
    data, given = as_paired(adata), arguments()
    assert data.X.dtype == data.Y.dtype == np.float32
    np.testing.assert_array_equal(data.Y, given["Y"].astype(np.float32))
    np.testing.assert_array_equal(adata.layers["counts"], given["counts"])
    for names in ("gene_names", "feature_names", "cell_names"):
        assert getattr(data, names).tolist() == given[names]
    assert data.labels["type"].tolist() == given["labels"]["type"].tolist()
    assert (
        dict(zip(adata.obs["type"].cat.categories, adata.uns["type_colors"], strict=True))
        == given["colors"]
    )
    bare = as_paired((np.arange(6.0).reshape(3, 2), np.arange(3.0)))
    assert bare.gene_names.tolist() == ["gene_0", "gene_1"] and bare.feature_names.tolist() == [
        "output_0"
    ]
    assert (bare.labels[["family", "type"]] == "unknown").all(axis=None) and bare.colors == {
        "unknown": "#808080"
    }
    assert as_paired(paired(np.eye(3))).n_outputs == 0


def test_labels_go_by_cell_name_and_gaps_are_filled():
    labels = arguments()["labels"][["type"]]
    labels.loc[["c0", "c1"], "type"] = [None, ""]
    data = as_paired(paired(**arguments(labels=labels[::-1], colors={"Vip Gpc3": "#B09FFF"})))
    assert data.labels["type"].tolist()[:3] == ["unknown", "unknown", "Vip Chat_1"]
    assert (data.labels["family"] == "unknown").all() and data.colors["Vip Gpc3"] == "#B09FFF"
    assert set(data.colors) == {"Vip Gpc3", "Vip Chat_1", "Sst Chodl", "unknown"}
    many = pd.DataFrame(
        {"type": [f"type {i:02d}" for i in range(60)]}, [f"cell_{i}" for i in range(60)]
    )
    for size in (7, 60):
        made = paired(np.arange(2.0 * size).reshape(size, 2), labels=many[:size])
        assert len(set(made.uns["type_colors"])) == size, "no two types share a colour"


def changed(name, at, value):
    values = arguments()[name].astype(float)
    values[at] = value
    return {name: values}


def test_bad_input_is_named():
    for changes, message in (
        (changed("X", (2, 1), 1e30), "X: .* 'c2' in column 'Gene1' is 1e.30"),
        (changed("Y", (2, 1), np.nan), "Y: .* 'c2' in column 'Tau' is nan"),
        (changed("X", np.s_[:, 3], 1), "of X .*: Gene3"),
        (changed("Y", np.s_[:, 0], 1), "of Y .*: AP width"),
        ({"Y": arguments()["X"], "feature_names": None}, "Y: all 5 outputs are columns of X"),
        ({"X": pd.DataFrame(arguments()["X"], CELLS[::-1])}, "expected the cells of X .* c0, c1"),
        ({"Y": np.zeros((N - 1, Q))}, "Y \\(11, 3\\)"),
        ({"gene_names": ["a", "b", "a", "c", "c"]}, "gene_names: .*: 'a', 'c'"),
        ({"gene_names": ["a", "b"]}, "gene_names: expected 5"),
        ({"gene_names": ["a", None, "b", "c", "d"]}, "gene_names"),
        ({"labels": arguments()["labels"].iloc[1:]}, "labels: .*: c0"),
        ({"labels": arguments()["labels"].iloc[[0] * N]}, "labels: .*repeated names: c0"),
        ({"colors": {"Vip Gpc3": "rot"}}, "rot"),
        ({"counts": np.ones((N, P + 1), int)}, "counts: "),
        ({"counts": np.full((N, P), 0.5)}, "counts: "),
        ({"counts": np.full((N, P), -1)}, "counts: .* from -1 to -1"),
    ):
        with pytest.raises(ValueError, match=message):
            paired(**arguments(**changes))


def test_all_forms_give_the_same_arrays(adata):
    given, data = arguments(), as_paired(adata)
    X = pd.DataFrame(given["X"], CELLS, given["gene_names"])
    Y = pd.DataFrame(given["Y"], CELLS, given["feature_names"])
    mdata = mudata.MuData({"rna": anndata.AnnData(X), "ephys": anndata.AnnData(Y)})
    forms = [
        (X, Y),
        (X.to_numpy(), Y),
        (sparse.csc_matrix(X), Y),
        (anndata.AnnData(X), Y),
        (adata, "outputs"),
        mdata,
    ]
    forms += [(mdata, "ephys"), (anndata.AnnData(sparse.csr_matrix(X)), Y), (X, Y.to_numpy())]
    for form in forms:
        other = as_paired(form)
        np.testing.assert_array_equal(other.X, data.X)
        np.testing.assert_array_equal(other.Y, data.Y)
    assert as_paired((X, Y)).feature_names.tolist() == data.feature_names.tolist()
    assert as_paired((anndata.AnnData(X), Y["Tau"])).feature_names.tolist() == ["Tau"]
    adata.obs["depth"] = np.arange(float(N))
    assert as_paired((adata, ["depth"])).Y[:, 0].tolist() == list(range(N))
    assert as_paired(data) is data
    for wrong, error, message in (
        ((X, Y[::-1]), ValueError, "Y: .*only the order"),
        ((anndata.AnnData(X), Y[::-1]), ValueError, "Y: .*only the order"),
        ((X.reset_index(drop=True), Y), ValueError, "Y: expected the cells of X"),
        ((X, adata), ValueError, "Y"),
        (ExpressionStream(X), TypeError, "data: .* got ExpressionStream"),
        ((adata, "protein"), KeyError, r"no 'protein' in adata.obsm; it holds \['outputs'\]"),
    ):
        with pytest.raises(error, match=message):
            as_paired(wrong)


@pytest.mark.parametrize("changed", ["X", "outputs", "counts"])
def test_a_fingerprint_holds_for_the_arrays_it_was_given_for(adata, changed):
    assert as_paired(adata).sha256 == as_paired(adata.copy()).sha256 == "cd" * 32
    if changed == "outputs":
        adata.obsm["outputs"].iloc[0, 0] += 1
    else:
        (adata.X if changed == "X" else adata.layers["counts"])[0, 0] += 1
    data = as_paired(adata)
    assert data.sha256 == fingerprint_arrays(data.X, data.Y, data.counts)
    assert (
        len(
            {
                fingerprint_arrays(sparse.csr_array(at))
                for at in ([[1, 0], [0, 0]], [[0, 0], [1, 0]])
            }
        )
        == 2
    )


def test_subsets_have_fingerprints_of_their_own_take_the_truth_along_and_are_checked(adata):
    latent = np.arange(2.0 * N).reshape(N, 2)
    truth = {"latent": latent, "genes": ["Gene0", "Gene4"], "noise": 0.5}
    plain = paired(**arguments(truth=truth, counts=sparse.coo_array(arguments()["counts"])))
    assert plain.layers["counts"].format == "csr"
    subsets = [(c, g) for c in (slice(None), [0, 1, 2], [2, 1, 0]) for g in (slice(None), [0, 1])]
    assert len({as_paired(plain[c][:, g].copy()).sha256 for c, g in subsets}) == 6
    part = as_paired(plain[[3, 0, 5], ["Gene4", "Gene2"]].copy())
    np.testing.assert_array_equal(part.truth["latent"], latent[[3, 0, 5]])
    np.testing.assert_array_equal(
        part.counts.toarray(), arguments()["counts"][[3, 0, 5]][:, [4, 2]]
    )
    assert part.truth["genes"] == ["Gene4"] and part.truth["noise"] == 0.5
    adata.X[:4, 1] = 2
    with pytest.raises(ValueError, match="X.*: Gene1"):
        as_paired(adata[:4].copy())
    adata.X[0, 0] = np.nan
    with pytest.raises(ValueError, match="X: .* 'c0' in column 'Gene0'"):
        as_paired(adata)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "files": {"counts.csv": "ab" * 32},
            "notes": ("taken for counts",),
            "dropped": {"why": ["c99"]},
        },
        {
            "counts": sparse.csr_matrix(arguments()["counts"]),
            "truth": {"genes": ["Gene1"], "latent": np.ones((N, 2))},
        },
        {"Y": None, "feature_names": None, "counts": None, "labels": None, "colors": None},
    ],
)
def test_a_file_keeps_everything(tmp_path, changes):
    adata = paired(**arguments(**changes, sha256="cd" * 32))
    adata.write_h5ad(tmp_path / "a.h5ad")
    again = anndata.read_h5ad(tmp_path / "a.h5ad")
    one, other = as_paired(again), as_paired(adata)
    for name in ("X", "Y", "gene_names", "feature_names", "cell_names"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.labels.equals(other.labels) and sparse.issparse(one.counts) == sparse.issparse(
        other.counts
    )
    assert (one.colors, one.name, one.sha256) == (other.colors, other.name, "cd" * 32)
    for key in ("files", "dropped", "notes"):
        np.testing.assert_equal(again.uns["sbnn"][key], adata.uns["sbnn"][key])
    on_disk = as_paired(anndata.read_h5ad(tmp_path / "a.h5ad", backed="r"))
    np.testing.assert_array_equal(on_disk.X, one.X)


def test_groups_are_labels_known_of_every_cell(adata):
    assert groups_of(adata, "mouse").tolist() == ["a", "b"] * 6
    assert (
        groups_of(adata[::-1], "mouse").tolist()
        == groups_of(as_paired(adata), "mouse").tolist()[::-1]
    )
    with pytest.raises(KeyError, match="'donor'"):
        groups_of(adata, "donor")
    with pytest.raises(ValueError, match="'slice' .* .6."):
        groups_of(adata, "slice")


# --- what others make


@pytest.fixture
def modalities():
    """Genes with sparse expression, counts and types, and proteins of the same cells."""
    X = sparse.csr_matrix(np.random.default_rng(0).poisson(5, (N, 4)).astype("f4"))
    obs = pd.DataFrame({"type": pd.Categorical(["B", "T"] * 6)}, index=CELLS)
    rna = anndata.AnnData(
        X, obs, pd.DataFrame(index=list("ABCD")), layers={"counts": X.astype(int)}
    )
    values = np.random.default_rng(1).normal(size=(N, 3)).astype("f4")
    return rna, anndata.AnnData(values, obs[[]], pd.DataFrame(index=["CD3", "CD4", "CD19"]))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, pd.DataFrame])
def test_outputs_of_every_form_have_names(modalities, form):
    rna, proteins = modalities
    rna.obsm["protein_expression"] = form(proteins.to_df())
    # as scvi-tools names them, and by the table itself
    for key in ("protein_names", "protein_expression_names"):
        rna.uns = {key: np.array(proteins.var_names, dtype=object)}
        data = as_paired((rna, "protein_expression"))
        np.testing.assert_array_equal(data.Y, proteins.X)
        assert data.feature_names.tolist() == ["CD3", "CD4", "CD19"]
    rna.uns = {"protein_names": ["CD3"]}
    if form is np.asarray:
        with pytest.raises(ValueError, match="values is .12, 3., indices imply .12, 1."):
            as_paired((rna, "protein_expression"))


def test_modalities_are_paired_by_cell_name(modalities):
    rna, proteins = modalities
    mdata = mudata.MuData({"rna": rna[:10], "prot": proteins[::-1][:11]})
    mdata.obs = pd.DataFrame({"type": "other", "donor": list("ab") * 6}, CELLS).reindex(
        mdata.obs_names
    )
    mdata.uns["type_colors"] = ["#111111", "#222222"]
    with pytest.warns(UserWarning) as caught:
        data = as_paired((mdata, "prot"))
    assert [("'rna'" in str(w.message), "'prot'" in str(w.message)) for w in caught] == [
        (True, False),
        (False, True),
    ]
    assert data.cell_names.tolist() == CELLS[1:10]
    np.testing.assert_array_equal(data.Y, proteins.X[1:10])
    np.testing.assert_array_equal(data.counts.toarray(), rna.layers["counts"].toarray()[1:10])
    assert data.about["dropped"] == {
        "cells only in rna": ["c0"],
        "cells only in prot": ["c11", "c10"],
    }
    assert data.labels["type"].tolist() == (["B", "T"] * 6)[1:10], (
        "the modality goes before what is shared"
    )
    assert data.labels["donor"].tolist() == (["a", "b"] * 6)[1:10]
    assert data.colors == {"B": "#111111", "T": "#222222"}
