"""Names of cells, genes and outputs in the input of estimators."""

import anndata
import numpy as np
import pytest
from made_up import expression_frame
from scipy import sparse

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    LeaveOneOutRidge,
    SparseReducedRankRegression,
)

SHORT = DistilledSettings(n_teachers=2, n_trees=5, steps_of_teachers=5, steps_of_student=5)
NETWORK = DistilledBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)
RIDGE = LeaveOneOutRidge()
SPARSE = SparseReducedRankRegression(alpha=0.3)


def test_outputs_are_in_obsm_or_obs(adata, data):
    adata = adata.copy()
    adata.obs[["a", "b"]] = data.Y[:, :2]
    adata.obsm["proteins"] = sparse.csr_array(data.Y)
    expected = RIDGE.fit(adata).coef_
    for X, Y in ((adata, "proteins"), (adata, sparse.coo_array(data.Y)), (data.X, data.Y)):
        np.testing.assert_allclose(RIDGE.fit(X, Y).coef_, expected, atol=1e-12)
    np.testing.assert_allclose(RIDGE.fit(adata, ["a", "b"]).coef_, expected[:2], atol=1e-12)
    assert RIDGE.output_names_.tolist() == ["a", "b"]
    assert RIDGE.fit(data.X, data.Y[:, 0].tolist()).output_names_.tolist() == ["output0"]
    with pytest.raises(ValueError, match="outputs: 'protein' is unknown, .*'proteins'"):
        RIDGE.fit(adata, "protein")


@pytest.mark.filterwarnings("ignore:X converted")
@pytest.mark.parametrize("model", [NETWORK, RIDGE, SPARSE])
def test_genes_are_found_by_name(model, data):
    table = expression_frame(data)
    expected = model.fit(table, data.Y).predict(table)
    turned = table.iloc[:, ::-1].assign(Malat1=3.0)
    for X in (
        turned,
        anndata.AnnData(turned),
        anndata.AnnData(sparse.csr_array(turned), var=turned.T[[]]),
    ):
        np.testing.assert_array_equal(model.predict(X), expected)
    if model is RIDGE:
        return
    # only the genes of the model are needed
    kept = table.columns[model.get_support()]
    assert model.get_feature_names_out().tolist() == kept.tolist()
    np.testing.assert_allclose(model.predict(table[kept]), expected, rtol=1e-10)
    with pytest.raises(ValueError, match=f"X: no values for 1 of the {len(kept)} .*: {kept[1]};"):
        model.predict(table.drop(columns=kept[1]))


@pytest.mark.parametrize("model", [NETWORK, RIDGE, SPARSE])
def test_genes_of_the_same_name_are_refused(model, adata):
    adata = adata.copy()
    first, _, *others = adata.var_names
    adata.var_names = [first, first, *others]
    with pytest.raises(ValueError, match=f"empty or repeated gene names: {first}"):
        model.fit(adata)


def test_raw_counts_give_a_warning(adata):
    with pytest.warns(UserWarning, match="X: looks like raw counts"):
        RIDGE.fit(adata.layers["counts"], adata.obsm["outputs"])


def test_a_linear_model_keeps_the_means_of_its_genes(data):
    X = np.where(data.X > 2, data.X, -data.X).astype("f8")
    RIDGE.fit(sparse.coo_array(X), data.Y)
    np.testing.assert_allclose(RIDGE.x_mean_, X.mean(axis=0))
