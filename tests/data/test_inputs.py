"""Names of cells, genes and outputs, and values that no model can be fitted to."""

import anndata
import numpy as np
import pandas as pd
import pytest
from made_up import outputs_of, table_of
from scipy import sparse
from sklearn.base import clone

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    ExpressionStream,
    LeaveOneOutRidge,
    ReducedRankRegression,
    SparseReducedRankRegression,
)
from sbnn.data.inputs import new_cells, output_names

SHORT = DistilledSettings(steps_of_teachers=5, steps_of_student=5)
NETWORK = DistilledBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)
LINEAR = ReducedRankRegression(rank=2)
RIDGE = LeaveOneOutRidge()
MODELS = [NETWORK, LINEAR, RIDGE, SparseReducedRankRegression(alpha=0.3)]


def test_objects_that_are_no_table_are_named(adata, data):
    empty = anndata.AnnData(obs=adata.obs, var=adata.var, layers={"log": adata.X})
    model = clone(LINEAR).fit(adata)
    with pytest.raises(ValueError, match=r"no X; .*\['log'\]"):
        model.fit(empty, data.Y)
    with pytest.raises(ValueError, match=r"no X; .*\['log'\]"):
        model.predict(empty)
    with pytest.raises(TypeError, match="Y: .* got AnnData"):
        model.fit(data.X, adata)
    with pytest.raises(TypeError, match="Y: .* got ExpressionStream"):
        model.fit(data.X, ExpressionStream(data.Y))
    with pytest.raises(KeyError, match="no 'type' in adata.obsm"):
        model.fit(adata, "type")
    masked = np.ma.masked_less(data.X, 1)
    with pytest.raises(ValueError, match="X: .*masked"):
        model.fit(masked, data.Y)
    with pytest.raises(ValueError, match="Y: .*masked"):
        model.fit(data.X, np.ma.masked_less(data.Y, 1))


@pytest.mark.parametrize("given", [pd.DataFrame, ExpressionStream, anndata.AnnData])
@pytest.mark.parametrize("column", [slice(None), 0])
@pytest.mark.parametrize("model", [NETWORK, LINEAR])
def test_cells_in_another_order_are_refused(given, column, model, data):
    X = given(table_of(data))
    Y = outputs_of(data).iloc[:, column]
    with pytest.raises(ValueError, match="Y: .*if only the order"):
        model.fit(X, Y.iloc[::-1])
    with pytest.raises(ValueError, match="Y: .*other"):
        model.fit(X, Y.rename({data.cell_names[0]: "other"}))


def test_numbers_are_no_names_of_cells(data):
    Y = outputs_of(data)
    named = clone(RIDGE).fit(table_of(data), Y)
    numbered = clone(RIDGE).fit(table_of(data), Y.reset_index(drop=True))
    np.testing.assert_array_equal(numbered.coef_, named.coef_)


@pytest.mark.parametrize("model", MODELS)
def test_genes_are_found_by_name(model, data):
    table = table_of(data)
    model = clone(model).fit(table, data.Y)
    expected = model.predict(table)
    turned = table.iloc[:, ::-1].assign(Malat1=3.0)
    np.testing.assert_array_equal(model.predict(turned), expected)
    np.testing.assert_array_equal(model.predict(anndata.AnnData(turned)), expected)
    np.testing.assert_array_equal(model.predict(ExpressionStream(turned)), expected)


@pytest.mark.parametrize("model", [NETWORK, MODELS[3]])
def test_only_the_genes_of_the_model_are_needed(model, data):
    table = table_of(data)
    model = clone(model).fit(table, data.Y)
    kept = table.columns[model.get_support()]
    assert model.get_feature_names_out().tolist() == kept.tolist()
    np.testing.assert_allclose(model.predict(table[kept]), model.predict(table), rtol=1e-10)
    with pytest.raises(ValueError, match=f"X: no values for 1 of the .*: {kept[1]}"):
        model.predict(table.drop(columns=kept[1]))


def test_genes_of_new_cells_have_the_positions_of_the_fit(data):
    table = table_of(data)
    model = clone(LINEAR).fit(table, data.Y)
    some = table[table.columns[[5, 3, 9]]]
    found = new_cells(model, some, needed=np.array([3, 5]))
    expected = np.zeros(table.shape)
    expected[:, [3, 5, 9]] = table.iloc[:, [3, 5, 9]]
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous
    chosen = new_cells(model, some, genes=np.array([9, 3]))
    np.testing.assert_array_equal(chosen, table.iloc[:, [9, 3]])


def test_missing_genes_are_named(data):
    table = table_of(data)
    model = clone(LINEAR).fit(table, data.Y)
    with pytest.raises(ValueError, match=f"X: no values for 1 .*: {data.gene_names[0]} "):
        model.predict(table.drop(columns=data.gene_names[0]).assign(other=1.0))
    unnamed = clone(LINEAR).fit(data.X, data.Y)
    with pytest.raises(ValueError, match="39 features"):
        unnamed.predict(data.X[:, 1:])
    with pytest.raises(ValueError, match="X: expected 40 genes, got 39"):
        unnamed.predict(ExpressionStream(data.X[:, 1:]))
    repeating = anndata.AnnData(data.X, var=pd.DataFrame(index=["G"] * 40))
    with pytest.raises(ValueError, match="X: .*unique.*: G"):
        model.predict(repeating)
    with pytest.raises(ValueError, match="X: .*unique.*: G"):
        model.fit(repeating, data.Y)


@pytest.mark.parametrize("model", MODELS)
def test_wrong_values_are_errors_of_every_model(model, data):
    model = clone(model)
    for value in (np.nan, np.inf, 1e30):
        X = data.X.copy()
        Y = data.Y.astype(float)
        X[3, 4] = value
        Y[7, 2] = value
        with pytest.raises(ValueError, match="X"):
            model.fit(X, data.Y)
        with pytest.raises(ValueError, match="[yY]"):
            model.fit(data.X, Y)
    with pytest.raises(ValueError, match="-1e|1e"):
        model.fit(-np.full_like(data.X, 1e16), data.Y)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(data.X, data.Y[1:])
    with pytest.raises(ValueError, match="y"):
        model.fit(data.X)


def test_sparse_formats_are_converted(data):
    X = sparse.coo_array(np.where(data.X > 2, data.X, 0).astype("f8"))
    model = clone(LINEAR).fit(X, data.Y)
    again = clone(LINEAR).fit(X.toarray(), data.Y)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))


def test_outputs_keep_their_names(data):
    Y = outputs_of(data)
    assert output_names(Y, 5).tolist() == data.feature_names.tolist()
    assert output_names(Y.to_numpy(), 2).tolist() == ["output0", "output1"]
    vector = clone(RIDGE).fit(data.X, data.Y[:, 0])
    assert vector.output_names_.tolist() == ["output0"]


def test_a_linear_model_keeps_the_range_of_its_genes(data):
    model = clone(RIDGE).fit(data.X, data.Y)
    np.testing.assert_array_equal(model.x_min_, data.X.min(axis=0))
    np.testing.assert_array_equal(model.x_max_, data.X.max(axis=0))
    np.testing.assert_allclose(model.x_mean_, data.X.mean(axis=0), rtol=1e-5)


def test_names_of_an_earlier_fit_are_forgotten(data):
    model = clone(NETWORK).fit(table_of(data), data.Y)
    model.fit(data.X, data.Y)
    assert not hasattr(model, "feature_names_in_")
