"""What users hand over to `fit` and `predict`, in every form, and what is said about their mistakes."""

import tracemalloc

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from sbnn import ExpressionStream, LeaveOneOutRidge, PairedData, ReducedRankRegression, SparseBottleneckRegressor
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.models.bottleneck.settings import DistilledSettings

NETWORK = SparseBottleneckRegressor(
    protocol="paper", hidden_layers=(16, 8), epochs=(0, 2, 2, 3), pretraining=False, n_genes=5, random_state=0
)
MODELS = [NETWORK, ReducedRankRegression(rank=2), LeaveOneOutRidge()]


def table_of(data):
    return pd.DataFrame(data.X.copy(), data.cell_names, data.gene_names)


def outputs_of(data):
    return pd.DataFrame(data.Y.copy(), data.cell_names, data.feature_names)


@pytest.fixture
def counts(data):
    """Raw counts with names."""
    return pd.DataFrame(data.counts, data.cell_names, data.gene_names)


@pytest.fixture
def paired(counts, data):
    return PairedData.from_tables(counts, outputs_of(data), counts=True)


# --- the library size of the training cells


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_counts_of_new_cells_get_the_normalisation_of_the_training_cells(model, paired, counts, data):
    few = counts.iloc[90:]
    expected = log2p1(normalize_library_size(few, paired.library_size)).astype(float)
    model.fit(paired)
    assert model.library_size_ == np.median(counts.sum(axis=1)) != np.median(few.sum(axis=1))
    expected = model.predict(pd.DataFrame(expected, columns=data.gene_names))
    # Deeper sequencing of other cells changes nothing, neither does the order of the genes nor a gene more.
    deeper = 3 * few[few.columns[::-1]].assign(Malat1=5000)
    for new in (
        ExpressionStream(few, counts=True),
        ExpressionStream(deeper, counts=True),
        ExpressionStream(sparse.csr_matrix(deeper.to_numpy()), deeper.columns, counts=True),
        PairedData.from_tables(3 * few[few.columns[::-1]], outputs_of(data), counts=True),
    ):
        np.testing.assert_allclose(model.predict(new), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.predict(paired), model.predict(table_of(paired)))
    assert model.score(paired) == pytest.approx(model.score(table_of(paired), outputs_of(paired)))


def test_a_saved_model_keeps_the_library_size(paired, counts, tmp_path):
    model = SparseBottleneckRegressor(**NETWORK.get_params()).fit(paired)
    again = SparseBottleneckRegressor.load(model.save(tmp_path / "m.safetensors"))
    assert again.library_size_ == model.library_size_
    new = ExpressionStream(counts.iloc[:20], counts=True)
    np.testing.assert_array_equal(again.predict(new), model.predict(new))


def test_the_library_size_is_that_of_what_was_fitted_last(paired, counts):
    model = ReducedRankRegression(rank=2).fit(paired).fit(paired.X, paired.Y)
    assert model.library_size_ is None
    with pytest.raises(ValueError, match="the model was not fitted to counts and does not know the library size"):
        model.predict(ExpressionStream(counts, counts=True))


def test_raw_counts_as_a_matrix_of_new_cells_are_noticed(paired, counts):
    model = ReducedRankRegression(rank=2).fit(paired)
    with pytest.warns(UserWarning, match=r"X looks like raw counts .*hand it over as ExpressionStream\(X, counts=True"):
        model.predict(counts)


def test_missing_genes_of_new_cells_are_named(paired, counts, data):
    model = ReducedRankRegression(rank=2).fit(paired)
    lacking = ExpressionStream(counts.drop(columns=data.gene_names[[3, 5]]), counts=True)
    with pytest.raises(ValueError, match=f"2 of the 40 genes of the fit are missing: {data.gene_names[3]}, "):
        model.predict(lacking)


# --- cells of two tables


def series_of(data):
    return outputs_of(data).iloc[:, 0]


@pytest.mark.parametrize("given", [table_of, ExpressionStream, PairedData.to_anndata, lambda data: data])
@pytest.mark.parametrize("outputs", [outputs_of, series_of])
@pytest.mark.parametrize("model", MODELS[:2], ids=lambda model: type(model).__name__)
def test_cells_in_another_order_are_refused(model, given, outputs, data):
    X = ExpressionStream(table_of(data)) if given is ExpressionStream else given(data)
    Y = outputs(data)
    with pytest.raises(ValueError, match="the same cells as those of X in another order"):
        model.fit(X, Y.iloc[::-1])
    with pytest.raises(ValueError, match=r"row names differ from those of X, first 'other' against"):
        model.fit(X, Y.rename({data.cell_names[0]: "other"}))


def test_numbered_cells_go_by_their_order(data):
    model = ReducedRankRegression(rank=1)
    numbered = anndata.AnnData(data.X)
    expected = model.fit(data.X, series_of(data).to_numpy()).coef_.copy()
    for X in (numbered, table_of(data)):
        np.testing.assert_array_equal(model.fit(X, series_of(data).reset_index(drop=True)).coef_, expected)
    np.testing.assert_array_equal(model.fit(numbered, series_of(data)).coef_, expected)


# --- values


def test_slips_of_values_reach_every_model(data):
    for model in MODELS:
        wrong = table_of(data)
        wrong.iloc[3, 4] = 1e30
        with pytest.raises(ValueError, match=f"X: 1e.30 of cell '{data.cell_names[3]}', column '{data.gene_names[4]}'"):
            model.fit(wrong, data.Y)
        outputs = outputs_of(data)
        outputs.iloc[7, 2] = -1e30
        with pytest.raises(ValueError, match=f"Y: -1e.30 of cell '.*', column '{data.feature_names[2]}'"):
            model.fit(table_of(data), outputs)
        with pytest.raises(ValueError, match="the expression seems to have been given again as outputs"):
            model.fit(data.X, data.X)
        with pytest.warns(UserWarning, match="X looks like raw counts"):
            model.fit(data.counts, data.Y)


def test_a_constant_output_has_a_score(data):
    for model in MODELS:
        model = type(model)(**model.get_params())
        if hasattr(model, "rank"):
            model.set_params(rank=1)
        assert model.fit(data.X, np.full(120, 2.5)).score(data.X, np.full(120, 2.5)) in (0, 1)


def test_objects_that_are_no_table_are_named(data):
    mudata = pytest.importorskip("mudata")
    adata = data.to_anndata()
    several = mudata.MuData({"atac": adata, "protein": anndata.AnnData(outputs_of(data))})
    empty = anndata.AnnData(obs=adata.obs, var=adata.var, layers={"log": adata.X})
    for model in MODELS:
        with pytest.raises(KeyError, match=r"no 'rna' in mod; it holds \['atac', 'protein'\]"):
            model.fit(several, data.Y)
        with pytest.raises(TypeError, match=r"Y: expected a table of outputs, got AnnData"):
            model.fit(data.X, adata)
        with pytest.raises(ValueError, match=r"X: the AnnData has no X; set it to one of the layers, \['log'\]"):
            model.fit(empty, data.Y)
        with pytest.raises(ValueError, match=r"no obsm\['depth'\]; it has \['outputs'\]; a column of obs is given as"):
            adata.obs["depth"] = 1.0
            model.fit(adata, "depth")
        model.fit(adata)
        with pytest.raises(KeyError, match="no 'rna' in mod"):
            model.predict(several)
        with pytest.raises(ValueError, match="X: the AnnData has no X"):
            model.predict(empty)


def test_data_without_outputs_are_refused(data):
    alone = PairedData(data.X, gene_names=data.gene_names, name="mine")
    with pytest.raises(ValueError, match="Y: the PairedData 'mine' has no outputs"):
        NETWORK.fit(alone)


# --- sparse input


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_matrix])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_small_sparse_input_gives_what_dense_gives(model, form, data):
    X = np.where(data.X > 2, data.X, 0).astype("f8")
    dense = model.fit(X, data.Y).predict(X)
    np.testing.assert_array_equal(model.predict(form(X)), dense)
    np.testing.assert_array_equal(model.fit(form(X), data.Y).predict(X), dense)
    named = anndata.AnnData(sparse.csr_matrix(X), var=pd.DataFrame(index=data.gene_names))
    np.testing.assert_array_equal(model.predict(named), dense)
    with pytest.raises(ValueError, match="NaN"):
        model.predict(form(np.where(X == X.max(), np.nan, X)))


def peak(task):
    """Largest memory that arrays of a task take beyond what there was, in bytes."""
    tracemalloc.start()
    try:
        task()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("named", [False, True])
def test_large_sparse_input_stays_sparse(monkeypatch, rng, named):
    n, p = 4000, 3000
    X = sparse.random(n, p, 0.01, format="csr", dtype="f4", rng=rng)
    Y = np.column_stack([X[:, j].toarray().ravel() for j in (0, 7)]) + 0.1 * rng.normal(size=(n, 2))
    X = anndata.AnnData(X, var=pd.DataFrame(index=[f"g{j}" for j in range(p)])) if named else X
    few = DistilledSettings(most_cells=200, steps_of_student=20, steps_of_teachers=20)
    monkeypatch.setattr("sbnn.data.inputs.MOST_DENSE_VALUES", n * p - 1)
    model = SparseBottleneckRegressor(n_genes=5, distillation=few, random_state=0)
    dense = 4 * n * p
    assert peak(lambda: model.fit(X, Y)) < dense / 2
    assert peak(lambda: model.predict(X)) < dense / 10
    assert hasattr(model, "feature_names_in_") == named and model.support_.shape == (p,)
    of_stream = clone(model).fit(ExpressionStream(X), Y)
    np.testing.assert_array_equal(of_stream.predict(X), model.predict(X))


def test_counts_of_an_anndata_are_normalised_as_the_training_cells_were(data):
    adata = data.to_anndata()
    few = adata[:9].copy()
    few.layers["counts"] = few.layers["counts"] * np.r_[np.full(5, 7), np.ones(4)].astype(int)[:, None]
    model = LeaveOneOutRidge().fit(adata, "outputs")
    assert model.library_size_ == data.library_size
    np.testing.assert_allclose(model.predict(few), model.predict(data.to_anndata())[:9], atol=1e-4)


def test_a_part_of_the_genes_of_new_cells_is_warned_of(data):
    part = data.subset(genes=np.arange(20))
    model = LeaveOneOutRidge().fit(part)
    with pytest.warns(UserWarning, match="X: its counts were normalised before genes were left out"):
        model.predict(part)


def test_something_else_than_a_matrix_is_named(data):
    with pytest.raises(TypeError, match="Y must be an array, a sparse matrix or a DataFrame, got AnnData"):
        as_paired((data.X, data.to_anndata()))
    assert as_paired((data.X, data.Y[:, 0])).Y.shape == (len(data.X), 1)
    assert as_paired((data.X, pd.Series(data.Y[:, 0], name="Tau"))).feature_names.tolist() == ["Tau"]
