import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from sbnn import SparseBottleneckRegressor, fit_full, neighbour_accuracy
from sbnn.data.preprocessing import select_genes
from sbnn.evaluation.fits import gene_selection
from sbnn.models.maps import embed
from sbnn.models.sparse_linear import SparseReducedRankRegression

QUICK = {
    "hidden_layers": (16, 8),
    "epochs": (1, 2, 1, 2),
    "n_genes": 5,
    "standardize": False,
}


def test_network_record(data):
    model = SparseBottleneckRegressor(**QUICK, reconstruct=True)
    record = fit_full(model, data, seed=3)
    X, Y = ((a - a.mean(0)) / a.std(0) for a in (data.X.astype(float), data.Y.astype(float)))
    model.set_params(random_state=3).fit(X.astype(np.float32), Y.astype(np.float32))
    for found, expected in (
        (record.latent, model.transform(X)),
        (record.embedding, model.transform(X)),
        (record.predictions, model.predict(X)),
        (record.predicted_expression, model.reconstruct_genes(X)),
        (record.expression, X[:, model.get_support()]),
        (record.train_r2, model.score(X, Y)),
        (record.train_feature_r2, r2_score(Y, model.predict(X), multioutput="raw_values")),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert record.kept_genes.tolist() == data.gene_names[model.get_support()].tolist()
    assert record.labels.index.tolist() == data.cell_names.tolist()
    assert record.colors == dict(data.colors)


def test_linear_record_predicts_expression_from_the_latent_space(data):
    record = fit_full(SparseReducedRankRegression(rank=2, alpha=0.2), data)
    expected = LinearRegression().fit(record.latent, record.expression).predict(record.latent)
    np.testing.assert_allclose(record.predicted_expression, expected, atol=1e-3)
    assert "gene_norms" not in record.values
    assert "history" not in record.values


def test_embedding_of_flat_and_wide_latent_spaces(rng):
    flat = rng.normal(size=(30, 2))
    np.testing.assert_array_equal(embed(flat), flat)
    labels = np.repeat([0, 1, 2], 40)
    found = embed(rng.normal(size=(120, 8)) + 20 * rng.normal(size=(3, 8))[labels], seed=1)
    assert neighbour_accuracy(found, labels.astype(str), k=1) > 0.99, "t-SNE keeps the groups apart"


def test_a_wide_latent_space_is_drawn_with_the_seed(data):
    model = SparseReducedRankRegression(rank=3, alpha=0.2)
    record = fit_full(model, data, preselect=30, seed=4)
    np.testing.assert_allclose(record.embedding, embed(record.latent, 4), atol=0.3)
    assert np.abs(record.embedding - embed(record.latent, 5)).max() > 1
    assert record.selected.shape == record.gene_names.shape == (30,)
    np.testing.assert_allclose(record.outputs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(record.outputs.std(0), 1, atol=1e-6)
    kinds = {
        record.values[name].dtype for name in ("latent", "embedding", "predictions", "outputs")
    }
    assert kinds == {np.dtype(np.float32)}


def test_a_saved_fit_is_repeated_if_its_model_is_missing(data, tmp_path):
    how = {"results": tmp_path / "fit.pickle", "model_file": tmp_path / "model.safetensors"}
    network = SparseBottleneckRegressor(**QUICK)
    first = fit_full(network, data, seed=1, **how)
    how["model_file"].unlink()
    again = fit_full(network, data, seed=1, **how)
    saved = SparseBottleneckRegressor.load(how["model_file"])
    np.testing.assert_array_equal(again.latent, first.latent)
    np.testing.assert_allclose(saved.transform(data.X), first.latent, atol=1e-4)


def test_genes_are_selected_from_counts(adata, tmp_path):
    path = tmp_path / "genes.pickle"
    record = gene_selection(adata, 10, 2, results=path)
    expected = select_genes(adata.layers["counts"], 10, 2)
    np.testing.assert_array_equal(record.selected, expected.selected)
    assert record.gene_names.tolist() == adata.var_names.tolist()
    with pytest.raises(ValueError, match="differs in parameters"):
        gene_selection(adata, 11, 2, results=path)
