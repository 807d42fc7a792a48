"""Names of cells, genes and outputs in the input of estimators."""

import anndata
import numpy as np
import pandas as pd
import pytest
from material.cells import expression_frame
from material.estimators import distilled
from scipy import sparse

from sbnn import LeaveOneOutRidge, SparseReducedRankRegression

NETWORK = distilled(random_state=0)
RIDGE = LeaveOneOutRidge()
SPARSE = SparseReducedRankRegression(alpha=0.3)


@pytest.fixture
def with_outputs(adata, data):
    """Outputs also in another entry of ``obsm``."""
    adata = adata.copy()
    adata.obsm["proteins"] = sparse.csr_array(data.Y)
    return adata


@pytest.fixture
def coefficients(adata):
    return RIDGE.fit(adata).coef_.copy()


@pytest.mark.parametrize("form", ["key of obsm", "sparse", "array"])
def test_outputs_may_have_any_form(form, with_outputs, data, coefficients):
    arguments = {
        "key of obsm": (with_outputs, "proteins"),
        "sparse": (with_outputs, sparse.coo_array(data.Y)),
        "array": (data.X, data.Y),
    }
    found = RIDGE.fit(*arguments[form]).coef_
    np.testing.assert_allclose(found, coefficients, atol=1e-12)


def test_a_series_names_its_output(data):
    outputs = pd.Series(data.Y[:, 0], name="Tau")
    model = RIDGE.fit(data.X, outputs)
    assert model.output_names_.tolist() == ["Tau"]
    with pytest.raises(ValueError, match="expected the names Tau"):
        model.score(data.X, outputs.rename("Rin"))
    assert RIDGE.fit(data.X, data.Y[:, 0].tolist()).output_names_.tolist() == ["output0"]


@pytest.fixture
def table(data):
    return expression_frame(data)


@pytest.mark.parametrize("model", [NETWORK, RIDGE])
def test_another_gene_and_order_change_nothing(model, table, data):
    turned = table.iloc[:, ::-1].assign(Malat1=3.0)
    cells = anndata.AnnData(sparse.csr_array(turned), obs=turned[[]], var=turned.T[[]])
    expected = model.fit(table, data.Y).predict(table)
    np.testing.assert_array_equal(model.predict(cells), expected)


@pytest.mark.parametrize("model", [NETWORK, SPARSE])
def test_only_the_genes_of_the_model_are_needed(model, table, data):
    expected = model.fit(table, data.Y).predict(table)
    kept = table.columns[model.get_support()]
    assert model.get_feature_names_out().tolist() == kept.tolist()
    np.testing.assert_allclose(model.predict(table[kept]), expected, rtol=1e-10)


@pytest.mark.parametrize("model", [NETWORK, SPARSE])
def test_missing_genes_of_the_model_are_named(model, table, data):
    model.fit(table, data.Y)
    kept = table.columns[model.get_support()]
    message = f"X: no values for 1 of the {len(kept)} .*: {kept[1]}; it has {table.columns[0]}"
    with pytest.raises(ValueError, match=message):
        model.predict(table.drop(columns=kept[1]))


def test_genes_of_the_same_name_are_refused(with_outputs):
    with_outputs.var_names = ["gene01", *with_outputs.var_names[:-1]]
    with pytest.raises(ValueError, match="X: empty or repeated gene names: 'gene01'"):
        RIDGE.fit(with_outputs)


def test_a_linear_model_keeps_the_means_of_its_genes(data):
    X = np.where(data.X > 2, data.X, -data.X).astype("f8")
    RIDGE.fit(sparse.coo_array(X), data.Y)
    np.testing.assert_allclose(RIDGE.x_mean_, X.mean(axis=0))
