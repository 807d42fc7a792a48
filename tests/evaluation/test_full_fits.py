import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from sbnn import SparseBottleneckRegressor, fit_full, neighbour_accuracy, results
from sbnn.models.linear import SparseReducedRankRegression
from sbnn.models.maps import embed

QUICK = {
    "protocol": "paper",
    "hidden_layers": (16, 8),
    "epochs": (1, 2, 1, 2),
    "n_genes": 5,
    "random_state": 0,
    "standardize": False,
}


def zscore(A):
    A = A.astype(float)
    return (A - A.mean(0)) / A.std(0)


def test_network_record(data):
    model = SparseBottleneckRegressor(**QUICK, reconstruct=True)
    record = fit_full(model, data)
    X, Y = zscore(data.X).astype(np.float32), zscore(data.Y).astype(np.float32)
    model.fit(X, Y)
    np.testing.assert_allclose(record.latent, model.transform(X), atol=1e-5)
    np.testing.assert_array_equal(record.embedding, record.latent)
    np.testing.assert_allclose(record.predictions, model.predict(X), atol=1e-5)
    np.testing.assert_allclose(record.predicted_expression, model.reconstruct_genes(X), atol=1e-5)
    np.testing.assert_allclose(record.expression, X[:, model.get_support()], atol=1e-5)
    assert record.kept_genes.tolist() == data.gene_names[model.get_support()].tolist()
    assert record.train_r2 == pytest.approx(model.score(X, Y), abs=1e-5)
    np.testing.assert_allclose(
        record.train_feature_r2, r2_score(Y, model.predict(X), multioutput="raw_values"), atol=1e-5
    )
    assert record.labels.index.tolist() == data.cell_names.tolist() and record.colors == dict(data.colors)


def test_linear_record_predicts_expression_from_the_latent_space(data):
    record = fit_full(SparseReducedRankRegression(rank=2, alpha=0.2), data)
    expected = LinearRegression().fit(record.latent, record.expression).predict(record.latent)
    np.testing.assert_allclose(record.predicted_expression, expected, atol=1e-3)
    assert "gene_norms" not in record.values and "history" not in record.values


def test_another_fit_is_not_overwritten(data, tmp_path):
    path = tmp_path / "fit.pickle"
    first = fit_full(SparseReducedRankRegression(rank=2, alpha=0.2), data, results=path)
    stamp = path.stat().st_mtime_ns
    again = fit_full(SparseReducedRankRegression(rank=2, alpha=0.2), data, results=path)
    np.testing.assert_array_equal(again.latent, first.latent)
    with pytest.raises(ValueError, match="holds another fit of .*, with another estimator;"):
        fit_full(SparseReducedRankRegression(rank=1, alpha=0.2), data, results=path)
    assert path.stat().st_mtime_ns == stamp
    fit_full(SparseReducedRankRegression(rank=1, alpha=0.2), data, results=path, overwrite=True)
    assert results.load(path).latent.shape[1] == 1


def test_embedding_of_flat_and_wide_latent_spaces(rng):
    flat = rng.normal(size=(30, 2))
    np.testing.assert_array_equal(embed(flat), flat)
    np.testing.assert_array_equal(embed(flat[:, :1]), np.column_stack([flat[:, :1], np.zeros(30)]))
    labels = np.repeat([0, 1, 2], 40)
    found = embed(rng.normal(size=(120, 8)) + 20 * rng.normal(size=(3, 8))[labels], seed=1)
    assert neighbour_accuracy(found, labels.astype(str), k=1) > 0.99, "t-SNE keeps the groups apart"
