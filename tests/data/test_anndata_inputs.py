"""AnnData and MuData in every form: models and evaluation get the same numbers from all of them."""

import copy

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from sbnn import (
    DistilledSettings,
    ExpressionStream,
    LeaveOneOutRidge,
    PairedData,
    ReducedRankRegression,
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    cross_validate,
    fit_full,
    interpret,
)
from sbnn.data.paired import as_paired

SHORT = DistilledSettings(steps_of_teachers=5, steps_of_student=5)
NETWORK = SparseBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)
SELECTING, LINEAR = SparseReducedRankRegression(alpha=0.3), ReducedRankRegression()
FORMS = ["dense", "csr", "csc", "view", "backed dense", "backed csr"]


@pytest.fixture
def plain(data):
    """An AnnData as others make it: outputs under a name of their own, labels as categories, no counts."""
    adata = data.to_anndata()
    adata.obsm["ephys"] = adata.obsm.pop("outputs")
    adata.obs["family"] = adata.obs["family"].astype("category")
    del adata.layers["counts"], adata.uns["sbnn"]
    return adata


def made(adata, form, folder):
    """The same cells and genes in another form."""
    if form == "view":
        more = anndata.AnnData(np.ones((3, adata.n_vars), "f4"), var=adata.var)
        whole = anndata.concat([more, adata])[:, ::-1].copy()
        whole.obsm["ephys"] = adata.obsm["ephys"].reindex(whole.obs_names)
        return whole[3:, ::-1]
    adata = adata.copy()
    if form.split()[-1] != "dense":
        adata.X = getattr(sparse, f"{form.split()[-1]}_matrix")(adata.X)
    if form.startswith("backed"):
        adata.write_h5ad(folder / "a.h5ad")
        return anndata.read_h5ad(folder / "a.h5ad", backed="r")
    return adata


@pytest.fixture(scope="module")
def fitted(data):
    """Models of arrays, and of a stream."""
    X = pd.DataFrame(data.X, data.cell_names, data.gene_names)
    models = [clone(model).fit(X, data.Y) for model in (NETWORK, SELECTING, LINEAR)]
    return models, clone(NETWORK).fit(ExpressionStream(X), data.Y)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(form, fitted, plain, data, tmp_path):
    X, (models, of_stream) = made(plain, form, tmp_path), fitted
    for model in models if form == "view" else models[1:]:
        again = clone(model).fit(X, "ephys")
        np.testing.assert_allclose(again.predict(X), model.predict(data), rtol=1e-10)
        assert again.output_names_.tolist() == data.feature_names.tolist()
        assert again.score(X, "ephys") == pytest.approx(model.score(data))
    np.testing.assert_array_equal(models[0].transform(X), models[0].transform(data.X))
    if form.startswith("backed"):
        np.testing.assert_allclose(clone(NETWORK).fit(X, "ephys").predict(X), of_stream.predict(X), rtol=1e-10)
        assert X.isbacked
        with pytest.raises(ValueError, match=r"it is open on disk, .* read them with adata.to_memory\(\)"):
            cross_validate(NETWORK, (X, "ephys"))
        with pytest.raises(ValueError, match=r"a stream cannot be fitted by 'paper', .* adata.to_memory\(\)"):
            SparseBottleneckRegressor(protocol="paper").fit(X, "ephys")


def test_counts_of_a_file_are_known_to_the_model(data, tmp_path):
    data.to_anndata().write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    model = NETWORK.fit(backed)
    assert model.library_size_ == data.library_size
    deeper = data.to_anndata()
    deeper.layers["counts"] = 3 * deeper.layers["counts"]
    np.testing.assert_allclose(model.transform(deeper), model.transform(backed), rtol=1e-4, atol=1e-4)


def test_a_pair_names_the_outputs_for_every_function(plain, data):
    assert as_paired((plain, "ephys")).feature_names.tolist() == data.feature_names.tolist()
    plain.obs["depth"] = data.Y[:, 0]
    assert as_paired((plain, ["depth"])).feature_names.tolist() == ["depth"]
    table = pd.DataFrame(data.Y, data.cell_names, data.feature_names)
    for pair in ((plain, data.Y), (plain, table), (plain, table.iloc[:, 1])):
        paired = as_paired(pair)
        assert paired.cell_names.tolist() == data.cell_names.tolist() and paired.labels["type"].nunique() == 6
    with pytest.raises(ValueError, match="the same cells as those of X in another order"):
        as_paired((plain, table[::-1]))
    with pytest.raises(KeyError, match=r"no 'protein' in adata.obsm; it holds \['ephys'\]"):
        as_paired((plain, "protein"))
    record = cross_validate(SELECTING, (plain, "ephys"), 3, verbose=False)
    np.testing.assert_array_equal(record.cell_names, data.cell_names)
    assert record.test_r2.tolist() == cross_validate(SELECTING, (data.X, data.Y), 3, verbose=False).test_r2.tolist()
    assert fit_full(SELECTING, (plain, "ephys")).cell_names[3] == data.cell_names[3]


def test_a_mudata_is_its_genes_and_its_other_modality(plain, data):
    proteins = anndata.AnnData(plain.obsm["ephys"][:100])
    mdata = mudata.MuData({"rna": plain, "prot": proteins})
    with pytest.warns(UserWarning, match="20 of 120 cells are only in modality 'rna' and are left out"):
        paired = PairedData.from_anndata(mdata)
    assert paired.n_cells == 100 and paired.feature_names.tolist() == data.feature_names.tolist()
    names = {NETWORK: None, LINEAR: "prot", LeaveOneOutRidge(): "prot"}
    for model, name in names.items():
        method = "predict" if isinstance(model, LeaveOneOutRidge) else "transform"
        expected = getattr(clone(model).fit(data.X[:100], data.Y[:100]), method)(data.X)
        with pytest.warns(UserWarning, match="are left out"):
            again = clone(model).fit(mdata, name)
        np.testing.assert_allclose(getattr(again, method)(mdata), expected, rtol=1e-6)
    with pytest.warns(UserWarning, match="are left out"):
        record = interpret(LINEAR.fit(data), mdata)
    assert len(record.cell_names) == 100 and record.feature_names.tolist() == data.feature_names.tolist()
    three = mudata.MuData({"rna": plain, "prot": proteins, "atac": proteins.copy()})
    with pytest.raises(
        KeyError, match=r"no 'outputs' in mod\['rna'\].obsm; .* modalities are \['atac', 'prot', 'rna'\]"
    ):
        LINEAR.fit(three)


def test_names_that_are_numbers_or_repeat(data):
    with pytest.warns(UserWarning, match="Transforming to str index"):
        numbered = anndata.AnnData(data.X, var=pd.DataFrame(index=range(40)))
    model = SELECTING.fit(numbered, data.Y)
    assert set(model.get_feature_names_out()) <= {str(j) for j in range(40)}
    np.testing.assert_array_equal(model.predict(numbered[:, ::-1]), model.predict(numbered))
    numbered.var_names = ["G"] * 40
    for action in (lambda: model.predict(numbered), lambda: SELECTING.fit(numbered, data.Y)):
        with pytest.raises(ValueError, match=r"gene names must be unique, these repeat: \['G'\]"):
            action()


def test_raw_is_not_mistaken_for_the_expression(plain, data):
    plain.raw = anndata.AnnData(data.counts, var=plain.var, obs=plain.obs)
    np.testing.assert_array_equal(as_paired((plain, "ephys")).X, data.X)


# --- counts of new cells that lack genes


@pytest.fixture(scope="module")
def counted(data):
    """A model of counts, and its genes: kept ones first."""
    model = clone(NETWORK).fit(data)
    kept = model.get_support()
    return model, [*data.gene_names[kept], *data.gene_names[~kept]]


@pytest.mark.parametrize("form", ["stream", "anndata", "paired"])
def test_depth_is_told_from_the_genes_that_are_there(form, counted, data):
    model, genes = counted
    assert model.count_share_ == pytest.approx((data.counts / data.counts.sum(1, keepdims=True)).mean(0), rel=1e-5)
    table = pd.DataFrame(data.counts, data.cell_names, data.gene_names)[genes[:30]]
    share = model.count_share_[np.isin(data.gene_names, genes[:30])].sum()
    totals = table.sum(axis=1).to_numpy() / share
    forms = {
        "stream": lambda: ExpressionStream(table, counts=True),
        "anndata": lambda: anndata.AnnData(np.log1p(table), layers={"counts": table.to_numpy()}),
        "paired": lambda: data.subset(genes=genes[:30]),
    }
    by_hand = np.log2(1 + table.div(totals, axis=0) * model.library_size_)
    np.testing.assert_allclose(model.transform(forms[form]()), model.transform(by_hand), rtol=1e-4, atol=1e-4)
    assert 0.5 < share < 0.95


def test_few_genes_of_counts_are_warned_of_or_refused(counted, data, monkeypatch):
    model, genes = counted
    table = pd.DataFrame(data.counts, data.cell_names, data.gene_names)
    few = ExpressionStream(table[genes[:6]], counts=True)
    monkeypatch.setattr("sbnn.data.inputs.HALF", 0.99)
    with pytest.warns(UserWarning, match="X: counts of 34 of the 40 genes of the fit are missing; how deeply"):
        model.transform(few)
    known = ExpressionStream(table[genes[:6]], counts=True, totals=table.sum(axis=1))
    np.testing.assert_allclose(model.transform(known), model.transform(data), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="totals: expected at least the counts that are given"):
        model.transform(ExpressionStream(table[genes[:6]], counts=True, totals=np.ones(120)))
    with pytest.raises(ValueError, match="totals are for new cells"):
        NETWORK.fit(known, data.Y)
    monkeypatch.setattr("sbnn.data.inputs.LEAST_SHARE", 0.99)
    with pytest.raises(ValueError, match=r"too few to tell how deeply a cell was sequenced; .*totals="):
        model.transform(few)
    model = copy.copy(model)
    model.count_share_ = None  # as of a file of an older version
    with pytest.raises(ValueError, match="the model, of an older version, does not know what share they have"):
        model.transform(few)


def test_names_that_are_written_otherwise_are_hinted_at(data):
    names = [f"ENSG{j:05}" for j in range(40)]
    model = SELECTING.fit(pd.DataFrame(data.X, columns=names), data.Y)
    versions = pd.DataFrame(data.X, columns=[f"{name}.3" for name in names])
    with pytest.raises(ValueError, match=r"under a name .*, as 'ENSG(\d+)\.3' for 'ENSG\1'; rename them"):
        model.predict(versions)
