"""Names of cells, genes and outputs in the input of estimators."""

import anndata
import numpy as np
import pandas as pd
import pytest
from material.cells import expression_frame
from material.estimators import distilled
from scipy import sparse

from sbnn import (
    LeaveOneOutRidge,
    SparseReducedRankRegression,
    cross_validate,
    paired,
)

NETWORK = distilled(random_state=0)
RIDGE = LeaveOneOutRidge()
SPARSE = SparseReducedRankRegression(alpha=0.3)


def fit_in_folds(X, Y):
    data = X if Y is None else (X, Y)
    return cross_validate(RIDGE, data, folds=2, verbose=False)


@pytest.fixture
def with_outputs(adata, data):
    """Outputs also in another entry of ``obsm``, and two of them in ``obs``."""
    adata = adata.copy()
    adata.obs[["a", "b"]] = data.Y[:, :2]
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


def test_outputs_may_be_columns_of_obs(with_outputs, coefficients):
    model = RIDGE.fit(with_outputs, ["a", "b"])
    np.testing.assert_allclose(model.coef_, coefficients[:2], atol=1e-12)
    assert model.output_names_.tolist() == ["a", "b"]


def test_an_output_without_a_name_is_numbered(data):
    model = RIDGE.fit(data.X, data.Y[:, 0].tolist())
    assert model.output_names_.tolist() == ["output0"]


def test_a_series_names_its_output(data):
    model = RIDGE.fit(data.X, pd.Series(data.Y[:, 0], name="Tau"))
    assert model.output_names_.tolist() == ["Tau"]


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
    with pytest.raises(ValueError, match=f"X: no values for 1 of the {len(kept)} .*: {kept[1]};"):
        model.predict(table.drop(columns=kept[1]))


def test_genes_of_other_names_are_told(table, data):
    model = RIDGE.fit(table, data.Y)
    with pytest.raises(ValueError, match="; it has ENSG"):
        model.predict(table.add_prefix("ENSG"))


def test_names_of_two_levels_become_text(table, data):
    columns = pd.MultiIndex.from_product([["mouse"], table.columns])
    model = RIDGE.fit(table.set_axis(columns, axis=1), data.Y)
    assert model.feature_names_in_[0] == str(columns[0])


@pytest.fixture
def repeated(with_outputs):
    """Of which two genes have the name of the first."""
    first, _, *others = with_outputs.var_names
    with_outputs.var_names = [first, first, *others]
    return with_outputs


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ("protein", "outputs: 'protein' is unknown, .*'proteins'"),
        (["nope"], "outputs: 'nope' is unknown, .*'type'"),
    ],
)
def test_outputs_that_are_not_there_are_named(outputs, message, with_outputs):
    with pytest.raises(ValueError, match=message):
        RIDGE.fit(with_outputs, outputs)


def test_genes_of_the_same_name_are_refused(repeated):
    with pytest.raises(ValueError, match="empty or repeated gene names: 'gene01'"):
        RIDGE.fit(repeated)


def test_raw_counts_are_refused_in_folds(adata):
    with pytest.raises(ValueError, match="X: looks like raw counts"):
        fit_in_folds(adata.layers["counts"], adata.obsm["outputs"])


def test_a_series_of_another_name_is_refused(data):
    outputs = pd.Series(data.Y[:, 0], name="Tau")
    model = RIDGE.fit(data.X, outputs)
    assert model.score(data.X, outputs) == model.score(data.X, data.Y[:, 0])
    with pytest.raises(ValueError, match="expected the names Tau"):
        model.score(data.X, outputs.rename("Rin"))


@pytest.mark.parametrize("train", [RIDGE.fit, fit_in_folds])
def test_noted_whole_numbers_are_taken(train, adata):
    outputs = adata.obsm["outputs"]
    table = adata.to_df("counts")
    train(paired(table, outputs, notes=["rounded logarithms"]), None)


def test_a_linear_model_keeps_the_means_of_its_genes(data):
    X = np.where(data.X > 2, data.X, -data.X).astype("f8")
    RIDGE.fit(sparse.coo_array(X), data.Y)
    np.testing.assert_allclose(RIDGE.x_mean_, X.mean(axis=0))


@pytest.mark.parametrize("model", [NETWORK, RIDGE])
def test_masks_and_dates_do_not_become_numbers(model, adata, data):
    model.fit(data.X, data.Y)
    masked = np.ma.masked_greater(data.X, 5)
    dates = pd.to_datetime(["2020-01-01"] * len(data.Y)).to_frame()
    with pytest.raises(ValueError, match="X: masked values"):
        model.predict(masked)
    with pytest.raises(ValueError, match="X: masked values"):
        model.score(masked, data.Y)
    with pytest.raises(ValueError, match="Y: Datetime64? data not supported"):
        model.score(data.X, dates)
