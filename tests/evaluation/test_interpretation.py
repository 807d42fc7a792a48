"""Effects of genes: against closed forms, against the definition, and complete."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from sbnn import (
    ExpressionStream,
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
)
from sbnn.evaluation import interpretation
from sbnn.evaluation.interpretation import (
    baseline_of,
    completeness_gap,
    expression_of,
    finite_differences,
    interpret,
    kept_genes,
    r2_drops,
)

QUICK = {
    "hidden_layers": (16, 8),
    "epochs": (1, 20, 10, 10),
    "learning_rate": 3e-3,
}
QUICK |= {"n_genes": 6, "random_state": 0}


def integrated_gradients(model, X, baseline=None, n_steps=32):
    X = expression_of(model, X)
    return interpretation.integrated_gradients(model, X, baseline_of(model, X, baseline), n_steps)


@pytest.fixture(scope="module")
def halves(data):
    X, Y = (StandardScaler().fit_transform(a.astype(np.float64)) for a in (data.X, data.Y))
    return X[:80], Y[:80], X[80:], Y[80:]


@pytest.fixture(scope="module", params=["standardized elu", "plain silu", "one output"])
def network(request, data, halves):
    if request.param == "standardized elu":
        return (
            SparseBottleneckRegressor(**QUICK).fit(data.X[:80], data.Y[:80]),
            data.X[80:],
            data.Y[80:],
        )
    X, Y, X_new, Y_new = halves
    if request.param == "one output":
        return SparseBottleneckRegressor(**QUICK).fit(X, Y[:, 0]), X_new, Y_new[:, 0]
    model = SparseBottleneckRegressor(**QUICK, standardize=False).fit(X, Y)
    model.network_.activation = "silu"  # covered without a slow protocol
    return model, X_new, Y_new


def test_shares_of_a_network_sum_to_the_prediction_minus_that_of_the_baseline(network):
    model, X, Y = network
    shares = integrated_gradients(model, X, n_steps=64)
    outputs = 1 if np.ndim(Y) == 1 else Y.shape[1]
    assert shares.shape == (len(X), 6, outputs)
    spread = np.asarray(model.predict(X)).std()
    assert np.abs(completeness_gap(model, X, shares, model.x_mean_)).max() < 2e-3 * spread
    other = X[3].astype(float)
    shares = integrated_gradients(model, X, baseline=other, n_steps=64)
    np.testing.assert_array_equal(shares[3], 0)
    assert np.abs(completeness_gap(model, X, shares, other)).max() < 5e-3 * spread


def test_shares_are_the_integral_of_slopes_by_differences(network):
    model, X, _ = network
    X = X[:4].astype(float)
    kept = kept_genes(model)
    origin = model.x_mean_
    shares = integrated_gradients(model, X, n_steps=64)
    gene = kept[2]
    places = (np.arange(400) + 0.5) / 400
    for cell, point in enumerate(X):
        line = origin + places[:, None] * (point - origin)
        step = 1e-4 * model.x_scale_[gene] * (np.arange(len(origin)) == gene)
        slopes = (model.predict(line + step) - model.predict(line - step)).reshape(400, -1) / (
            2 * step[gene]
        )
        expected = slopes.mean(0) * (point - origin)[gene]
        np.testing.assert_allclose(
            shares[cell, 2], expected, atol=5e-3 * np.asarray(model.predict(X)).std()
        )


@pytest.fixture(scope="module")
def linear(halves):
    X, Y, _, _ = halves
    return SparseReducedRankRegression(rank=2, alpha=0.2).fit(X, Y)


def test_linear_models_have_closed_forms(halves, linear):
    _, _, X, Y = halves
    kept = kept_genes(linear)
    assert 0 < len(kept) < X.shape[1]
    way = X[:, kept] - linear.x_mean_[kept]
    coef = linear.coef_.T[kept]  # (k, q)
    sd = X[:, kept].std(0)[:, None]
    shares = integrated_gradients(linear, X)
    np.testing.assert_allclose(shares, way[:, :, None] * coef)
    np.testing.assert_allclose(completeness_gap(linear, X, shares, linear.x_mean_), 0, atol=1e-10)
    steps = finite_differences(linear, "predict", X)
    np.testing.assert_allclose(steps[5], sd * coef, atol=1e-10)
    moves = finite_differences(linear, "transform", X)
    np.testing.assert_allclose(moves[5], sd * linear.encoder_[kept], atol=1e-10)
    record = interpret(linear, X, Y, name="mine", random_state=3)
    np.testing.assert_allclose(record.steps, sd * coef, atol=1e-10)
    np.testing.assert_allclose(record.effects, sd * coef / Y.std(0), atol=1e-10)
    np.testing.assert_allclose(record.latent_steps, sd * linear.encoder_[kept], atol=1e-10)
    np.testing.assert_allclose(record.gene_sd, sd[:, 0])
    assert record.kept_genes.tolist() == [f"x{gene}" for gene in kept]
    assert (record.dataset, record.seed, record.settings["n_cells"]) == ("mine", 3, len(X))


def test_a_gene_and_an_output_that_do_not_vary_have_no_effect(halves, linear):
    """Without care, both would divide zero by zero."""
    _, _, X, Y = halves
    still = X.copy()
    gene = kept_genes(linear)[0]
    still[:, gene] = linear.x_mean_[gene]
    flat = Y * [1, 1, 1, 1, 0]
    record = interpret(linear, still, flat)
    assert (record.effects[0] == 0).all()
    assert (record.effects[1:] != 0).any()
    assert record.output_sd[4] == 1


def test_baselines_and_names_of_another_size_are_rejected(halves, linear):
    _, _, X, Y = halves
    with pytest.raises(ValueError, match="baseline"):
        interpret(linear, X, Y, baseline=[0.0])
    with pytest.raises(ValueError, match="gene_names"):
        interpret(linear, X, Y, gene_names=["a"])
    with pytest.raises(ValueError, match="feature_names"):
        interpret(linear, X, Y, feature_names=["a"])


def test_a_model_of_all_genes_without_a_map(adata, data, halves):
    """Cells of a stream are those of an array."""
    X, Y, X_new, Y_new = halves
    model = LeaveOneOutRidge().fit(X, Y)
    with pytest.raises(ValueError, match="baseline: "):
        interpret(model, X_new, Y_new, baseline=X.mean(0)[1:])
    record = interpret(model, X_new, Y_new, baseline=X.mean(0))
    assert record.effects.shape == (40, 5)
    assert "latent_steps" not in record.values
    assert "shift" not in record.table
    model = LeaveOneOutRidge().fit(adata)
    stream = ExpressionStream(data.X[:40], data.gene_names)
    shares = integrated_gradients(model, stream, data.X.mean(0))
    expected = integrated_gradients(model, data.X[:40], data.X.mean(0))
    np.testing.assert_allclose(shares, expected, rtol=1e-4, atol=1e-4)


def test_differences_and_drops_are_those_of_predictions(network):
    model, X, Y = network
    X, gene = X.astype(float), kept_genes(model)[1]
    latent = finite_differences(model, "transform", X)
    outputs = finite_differences(model, "predict", X)
    raised = X.copy()
    blind = X.copy()
    raised[:, gene] += X[:, gene].std()
    np.testing.assert_allclose(
        latent[:, 1], model.transform(raised) - model.transform(X), atol=1e-10
    )
    np.testing.assert_allclose(
        outputs[:, 1], (model.predict(raised) - model.predict(X)).reshape(len(X), -1), atol=1e-8
    )
    blind[:, gene] = model.x_mean_[gene]
    drops = r2_drops(model, X, Y, model.x_mean_)
    assert drops[1] == pytest.approx(model.score(X, Y) - model.score(blind, Y))


@pytest.fixture(scope="module")
def named(data):
    """Network fitted to tables, whose genes and outputs go by their names, and held-out tables."""
    X = pd.DataFrame(data.X, columns=data.gene_names)
    Y = pd.DataFrame(data.Y, columns=data.feature_names)
    model = SparseBottleneckRegressor(**QUICK).fit(X[:80], Y[:80])
    return model, X[80:], Y[80:]


def test_the_record_holds_means_over_the_cells(data, named):
    model, X, Y = named
    kept = kept_genes(model)
    record = interpret(model, X, Y)
    assert record.kept_genes.tolist() == data.gene_names[kept].tolist()
    assert record.feature_names.tolist() == data.feature_names.tolist()
    shares = integrated_gradients(model, X)
    close = np.testing.assert_allclose
    close(record.share_absolute, np.abs(shares).mean(0), rtol=1e-5)
    close(record.share_mean, shares.mean(0), rtol=1e-5)
    values = X.to_numpy(float)
    close(record.steps, finite_differences(model, "predict", values).mean(0), rtol=1e-5)
    latent = finite_differences(model, "transform", values)
    close(record.latent_lengths, np.linalg.norm(latent, axis=2).mean(0), rtol=1e-5)
    close(record.gene_norms, model.gene_norms_[kept])
    close(record.output_sd, Y.std(ddof=0), rtol=1e-5)
    assert record.r2 == pytest.approx(model.score(X, Y))
    assert 0 < record.gap < 0.01


def test_the_table_names_the_output_with_the_largest_effect(data, named):
    model, X, Y = named
    stability = pd.Series(0.5, index=data.gene_names[kept_genes(model)[1:]])
    record = interpret(model, X, Y, stability=stability)
    table = record.table
    assert table.columns.tolist() == ["norm", "stability", "output", "effect", "shift", "r2_drop"]
    assert table["r2_drop"].is_monotonic_decreasing
    for gene, effects in zip(record.kept_genes, record.effects, strict=True):
        largest = np.abs(effects).argmax()
        assert table.loc[gene, "effect"] == effects[largest]
        assert table.loc[gene, "output"] == record.feature_names[largest]
    # 0 for a gene that the stability does not name
    assert table["stability"][record.kept_genes].tolist() == [0, *[0.5] * 5]


def test_genes_of_tables_are_matched_by_name(named):
    model, X, _ = named
    shuffled = X[X.columns[::-1]].assign(Malat1=7)
    shares = integrated_gradients(model, shuffled)
    np.testing.assert_array_equal(shares, integrated_gradients(model, X))
    first = model.get_feature_names_out()[0]
    with pytest.raises(ValueError, match=f"X: no values for 1 of .*{first}"):
        integrated_gradients(model, X.drop(columns=first))
