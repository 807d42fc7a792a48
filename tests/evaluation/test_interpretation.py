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
    kept, origin = kept_genes(model), model.x_mean_
    shares = integrated_gradients(model, X, n_steps=64)
    gene, places = kept[2], (np.arange(400) + 0.5) / 400
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


def test_linear_models_have_closed_forms(halves):
    X, Y, X_new, Y_new = halves
    model = SparseReducedRankRegression(rank=2, alpha=0.2).fit(X, Y)
    kept = kept_genes(model)
    assert 0 < len(kept) < X.shape[1]
    shares = integrated_gradients(model, X_new)
    np.testing.assert_allclose(completeness_gap(model, X_new, shares, model.x_mean_), 0, atol=1e-10)
    latent, outputs = finite_differences(model, X_new)
    sd = X_new[:, kept].std(0)
    np.testing.assert_allclose(outputs[5], sd[:, None] * model.coef_.T[kept], atol=1e-10)
    np.testing.assert_allclose(latent[5], sd[:, None] * model.encoder_[kept], atol=1e-10)
    record = interpret(model, X_new, Y_new)
    expected = sd[:, None] * model.coef_.T[kept] / Y_new.std(0)
    way = X_new[:, kept] - model.x_mean_[kept]
    np.testing.assert_allclose(record.steps / record.output_sd, expected, atol=1e-10)
    np.testing.assert_allclose(record.effects, expected * (way.std(0) / sd)[:, None], atol=1e-10)
    still = X_new.copy()
    # a gene that no cell moves: its slope would be zero over zero
    still[:, kept[0]] = model.x_mean_[kept[0]]
    record = interpret(model, still, Y_new)
    assert (record.effects[0] == 0).all() and (record.effects[1:] != 0).any()
    assert record.kept_genes.tolist() == [f"x{gene}" for gene in kept]
    with pytest.raises(ValueError, match="baseline: expected a number for each of 40 genes"):
        integrated_gradients(model, X_new, baseline=[0.0])
    for names in ({"gene_names": ["a"]}, {"feature_names": ["a"]}):
        with pytest.raises(ValueError, match="gene_names, feature_names: expected 40 and 5"):
            interpret(model, X_new, Y_new, **names)


def test_a_model_of_all_genes_without_a_map(adata, data, halves):
    """Cells of a stream are those of an array."""
    X, Y, X_new, Y_new = halves
    model = LeaveOneOutRidge().fit(X, Y)
    with pytest.raises(ValueError, match="baseline: "):
        interpret(model, X_new, Y_new, baseline=X.mean(0)[1:])
    record = interpret(model, X_new, Y_new, baseline=X.mean(0))
    assert record.effects.shape == (40, 5)
    assert "latent_steps" not in record.values and "shift" not in record.table
    model = LeaveOneOutRidge().fit(adata)
    stream = ExpressionStream(data.X[:40], data.gene_names)
    shares = integrated_gradients(model, stream, data.X.mean(0))
    expected = integrated_gradients(model, data.X[:40], data.X.mean(0))
    np.testing.assert_allclose(shares, expected, rtol=1e-4, atol=1e-4)


def test_differences_and_drops_are_those_of_predictions(network):
    model, X, Y = network
    X, gene = X.astype(float), kept_genes(model)[1]
    latent, outputs = finite_differences(model, X)
    raised, blind = X.copy(), X.copy()
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


def test_the_record_and_its_table(data):
    """Of tables, whose genes and outputs go by their names."""
    X, Y = (
        pd.DataFrame(data.X, columns=data.gene_names),
        pd.DataFrame(data.Y, columns=data.feature_names),
    )
    model = SparseBottleneckRegressor(**QUICK).fit(X[:80], Y[:80])
    stability = pd.Series(0.5, index=data.gene_names[kept_genes(model)[1:]])
    X, Y = X[80:], Y[80:]
    record = interpret(model, X, Y, stability=stability)
    assert record.kept_genes.tolist() == model.get_feature_names_out().tolist()
    assert record.feature_names.tolist() == data.feature_names.tolist()
    shares, (latent, steps) = (
        integrated_gradients(model, X),
        finite_differences(model, data.X[80:].astype(float)),
    )
    for found, expected in (
        (record.share_absolute, np.abs(shares).mean(0)),
        (record.share_mean, shares.mean(0)),
        (record.steps, steps.mean(0)),
        (record.latent_lengths, np.linalg.norm(latent, axis=2).mean(0)),
        (record.gene_norms, model.gene_norms_[kept_genes(model)]),
        (record.output_sd, data.Y[80:].std(0)),
        (record.r2, model.score(X, Y)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert 0 < record.gap < 0.01
    table = record.table
    assert table.columns.tolist() == ["norm", "stability", "output", "effect", "shift", "r2_drop"]
    assert table["r2_drop"].is_monotonic_decreasing
    for gene, effects in zip(record.kept_genes, record.effects, strict=True):
        largest = np.abs(effects).argmax()
        assert table.loc[gene, ["effect", "output"]].tolist() == [
            effects[largest],
            record.feature_names[largest],
        ]
    assert table["stability"][record.kept_genes].tolist() == [0, *[0.5] * 5], (
        "zero where the stability names no gene"
    )
    np.testing.assert_array_equal(
        integrated_gradients(model, X[X.columns[::-1]].assign(Malat1=7)), shares
    )
    with pytest.raises(
        ValueError, match=f"X: no values for 1 of the .* genes of the model: {record.kept_genes[0]}"
    ):
        integrated_gradients(model, X.drop(columns=record.kept_genes[0]))
