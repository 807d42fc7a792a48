"""Names of cells, genes and outputs, and values that no model can be fitted to."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from made_up import outputs_of, table_of
from scipy import sparse

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    ExpressionStream,
    LeaveOneOutRidge,
    SparseReducedRankRegression,
)
from sbnn.data.inputs import new_cells, output_names

SHORT = DistilledSettings(n_teachers=2, n_trees=5, steps_of_teachers=5, steps_of_student=5)
NETWORK = DistilledBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)
RIDGE = LeaveOneOutRidge()
SPARSE = SparseReducedRankRegression(alpha=0.3)


def test_what_is_no_table_is_named(adata, data):
    empty = anndata.AnnData(obs=adata.obs, var=adata.var, layers={"log": adata.X})
    for X, Y, error, words in (
        (empty, data.Y, ValueError, r"X: .*\['log'\]"),
        (data.X, adata, TypeError, "Y: .* got AnnData"),
        (data.X, "outputs", TypeError, "Y: .* got str"),
        (adata, "type", KeyError, "no 'type' in adata.obsm"),
        (data.X, np.ma.masked_less(data.Y, 1), ValueError, "Y: .*masked"),
        (anndata.AnnData(data.X), None, ValueError, "y"),
        (data.X[:1], data.Y[:1], ValueError, "X: .*minimum of 2"),
        (data.X, data.Y[1:], ValueError, "inconsistent"),
    ):
        with pytest.raises(error, match=words):
            RIDGE.fit(X, Y)


@pytest.mark.parametrize("given", [pd.DataFrame, ExpressionStream, anndata.AnnData])
def test_cells_in_another_order_are_refused(given, data):
    X = given(table_of(data))
    Y = outputs_of(data)
    with pytest.raises(ValueError, match="Y: .*only the order"):
        RIDGE.fit(X, Y.iloc[::-1, 0])
    RIDGE.fit(X, Y.reset_index(drop=True))
    with pytest.raises(ValueError, match="Y: .*only the order"):
        RIDGE.score(X, Y[::-1])


def test_a_pair_and_sparse_outputs_are_the_same_cells(adata, data):
    expected = RIDGE.fit(adata).predict(adata)
    score = RIDGE.score(adata)
    mdata = mudata.MuData({"rna": adata, "ephys": anndata.AnnData(adata.obsm["outputs"])})
    for X, Y in (
        ((adata, "outputs"), None),
        ((mdata, "ephys"), None),
        ((adata.to_df(), adata.obsm["outputs"]), None),
        (adata, sparse.coo_array(data.Y)),
    ):
        found = RIDGE.fit(X, Y).predict(X)
        np.testing.assert_array_equal(found, expected)
        assert RIDGE.score(X, Y) == score
    with pytest.raises(ValueError, match="y"):
        RIDGE.fit((data.X, None))


def test_outputs_can_be_columns_of_obs(adata, data):
    adata = adata.copy()
    adata.obs[["a", "b"]] = data.Y[:, :2]
    expected = RIDGE.fit(data.X, data.Y[:, :2]).coef_
    for X in (adata, ExpressionStream(adata)):
        np.testing.assert_array_equal(RIDGE.fit(X, ["a", "b"]).coef_, expected)
    assert RIDGE.output_names_.tolist() == ["a", "b"]
    assert output_names(data.Y, 2).tolist() == ["output0", "output1"]
    assert RIDGE.fit(data.X, data.Y[:, 0].tolist()).output_names_.tolist() == ["output0"]


@pytest.mark.filterwarnings("ignore:X converted")
@pytest.mark.parametrize("model", [NETWORK, RIDGE, SPARSE])
def test_genes_are_found_by_name(model, data):
    table = table_of(data)
    expected = model.fit(table, data.Y).predict(table)
    turned = table.iloc[:, ::-1].assign(Malat1=3.0)
    for X in (turned, anndata.AnnData(turned), ExpressionStream(turned)):
        np.testing.assert_array_equal(model.predict(X), expected)
    if model is RIDGE:
        return
    # only the genes of the model are needed
    kept = table.columns[model.get_support()]
    assert model.get_feature_names_out().tolist() == kept.tolist()
    np.testing.assert_allclose(model.predict(table[kept]), expected, rtol=1e-10)
    with pytest.raises(ValueError, match=f"X: no values for 1 of the {len(kept)} .*: {kept[1]};"):
        model.predict(table.drop(columns=kept[1]))


def test_genes_of_new_cells_have_the_positions_of_the_fit(data):
    table = table_of(data)
    RIDGE.fit(table, data.Y)
    some = table.iloc[:, [5, 3, 9]]
    found = new_cells(RIDGE, some, needed=np.array([3, 5]))
    expected = np.zeros(table.shape)
    expected[:, [3, 5, 9]] = table.iloc[:, [3, 5, 9]]
    np.testing.assert_array_equal(found, expected)
    chosen = new_cells(RIDGE, some, genes=np.array([9, 3]))
    np.testing.assert_array_equal(chosen, table.iloc[:, [9, 3]])
    with pytest.raises(ValueError, match="X: no values for 37 of the 40"):
        RIDGE.predict(some)


def test_genes_without_names_are_counted(data):
    RIDGE.fit(table_of(data), data.Y)
    repeating = anndata.AnnData(data.X, var=pd.DataFrame(index=["G"] * 40))
    with pytest.raises(ValueError, match="gene_names of X: .*'G'"):
        RIDGE.predict(repeating)
    RIDGE.fit(pd.DataFrame(data.X), data.Y)  # numbers are no names
    assert not hasattr(RIDGE, "feature_names_in_")
    for X in (data.X[:, 1:], ExpressionStream(data.X[:, 1:])):
        with pytest.raises(ValueError, match="X has 39 features"):
            RIDGE.predict(X)


@pytest.mark.parametrize("model", [NETWORK, RIDGE])
def test_too_large_values_are_named(model, data):
    wrong = np.where(np.eye(120, 40) == 1, 1.1e15, data.X)
    with pytest.raises(ValueError, match="X: .*1.1e.15"):
        model.fit(wrong, data.Y)
    with pytest.raises(ValueError, match="Y: .*1.1e.15"):
        model.fit(data.X, wrong)


def test_a_linear_model_keeps_the_range_of_its_genes(data):
    X = np.where(data.X > 2, data.X, -data.X).astype("f8")
    RIDGE.fit(sparse.coo_array(X), data.Y)
    np.testing.assert_array_equal([RIDGE.x_min_, RIDGE.x_max_], [X.min(axis=0), X.max(axis=0)])
    np.testing.assert_allclose(RIDGE.x_mean_, X.mean(axis=0))
