"""Effects of genes: against closed forms, against the definition, and complete."""

import numpy as np
import pandas as pd
import pytest
from made_up import assert_tidy
from sklearn.preprocessing import StandardScaler

from sbnn import ExpressionStream, LeaveOneOutRidge, SparseBottleneckRegressor, SparseReducedRankRegression
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
from sbnn.plotting.interpretation import effect_map, similar_order

QUICK = {
    "protocol": "paper",
    "hidden_layers": (16, 8),
    "epochs": (1, 20, 10, 10),
    "learning_rate": 3e-3,
    "n_genes": 6,
    "random_state": 0,
}


def integrated_gradients(model, X, baseline=None, n_steps=32):
    X = expression_of(model, X)
    return interpretation.integrated_gradients(model, X, baseline_of(model, X, baseline), n_steps)


@pytest.fixture(scope="module")
def halves(data):
    X, Y = (StandardScaler().fit_transform(a.astype(np.float64)) for a in (data.X, data.Y))
    return X[:80], Y[:80], X[80:], Y[80:]


def with_silu(model):
    """The same weights with the other activation, so that both are covered without a slow protocol."""
    model.network_.activation = "silu"
    return model


@pytest.fixture(scope="module", params=["standardized elu", "plain silu", "one output"])
def network(request, data, halves):
    if request.param == "standardized elu":
        return SparseBottleneckRegressor(**QUICK).fit(data.X[:80], data.Y[:80]), data.X[80:], data.Y[80:]
    X, Y, X_new, Y_new = halves
    if request.param == "one output":
        return SparseBottleneckRegressor(**QUICK).fit(X, Y[:, 0]), X_new, Y_new[:, 0]
    return with_silu(SparseBottleneckRegressor(**QUICK, standardize=False).fit(X, Y)), X_new, Y_new


@pytest.fixture(scope="module")
def linear(halves):
    X, Y, _, _ = halves
    return SparseReducedRankRegression(rank=2, alpha=0.2).fit(X, Y)


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
        slopes = (model.predict(line + step) - model.predict(line - step)).reshape(400, -1) / (2 * step[gene])
        expected = slopes.mean(0) * (point - origin)[gene]
        np.testing.assert_allclose(shares[cell, 2], expected, atol=5e-3 * np.asarray(model.predict(X)).std())


def test_linear_models_have_closed_forms(linear, halves):
    _, _, X, Y = halves
    kept = kept_genes(linear)
    assert 0 < len(kept) < X.shape[1]
    shares = integrated_gradients(linear, X)
    np.testing.assert_allclose(completeness_gap(linear, X, shares, linear.x_mean_), 0, atol=1e-10)
    latent, outputs = finite_differences(linear, X)
    sd = X[:, kept].std(0)
    np.testing.assert_allclose(outputs[5], sd[:, None] * linear.coef_.T[kept], atol=1e-10)
    np.testing.assert_allclose(latent[5], sd[:, None] * linear.encoder_[kept], atol=1e-10)
    record = interpret(linear, X, Y)
    expected = sd[:, None] * linear.coef_.T[kept] / Y.std(0)
    way = X[:, kept] - linear.x_mean_[kept]
    np.testing.assert_allclose(record.steps / record.output_sd, expected, atol=1e-10)
    np.testing.assert_allclose(record.effects, expected * (way.std(0) / sd)[:, None], atol=1e-10)


def test_a_gene_that_no_cell_moves_has_no_effect(linear, halves):
    """Its slope would be zero over zero; and arrays without names are numbered, as many as there are genes."""
    _, _, X, Y = halves
    still = X[:30].copy()
    still[:, kept_genes(linear)[0]] = linear.x_mean_[kept_genes(linear)[0]]
    record = interpret(linear, still, Y[:30])
    assert (record.effects[0] == 0).all() and (record.effects[1:] != 0).any()
    assert record.kept_genes.tolist() == [f"x{gene}" for gene in kept_genes(linear)]
    with pytest.raises(ValueError, match="X has 3 features"):
        integrated_gradients(linear, X[:, :3])
    with pytest.raises(ValueError, match="baseline: expected 40 numbers"):
        integrated_gradients(linear, X, baseline=[0.0])
    for names in ({"gene_names": ["a"]}, {"feature_names": ["a"]}):
        with pytest.raises(ValueError, match="gene_names, feature_names: expected 40 and 5"):
            interpret(linear, X, Y, **names)


def test_a_model_of_all_genes_without_a_map(halves):
    X, Y, X_new, Y_new = halves
    model = LeaveOneOutRidge().fit(X, Y)
    with pytest.raises(ValueError, match="baseline: .* LeaveOneOutRidge"):
        interpret(model, X_new, Y_new)
    record = interpret(model, X_new, Y_new, baseline=X.mean(0))
    assert record.effects.shape == (X.shape[1], Y.shape[1])
    assert "latent_steps" not in record.values and "shift" not in record.table


def test_differences_and_drops_are_those_of_predictions(network):
    model, X, Y = network
    X, gene = X.astype(float), kept_genes(model)[1]
    latent, outputs = finite_differences(model, X)
    raised, blind = X.copy(), X.copy()
    raised[:, gene] += X[:, gene].std()
    np.testing.assert_allclose(latent[:, 1], model.transform(raised) - model.transform(X), atol=1e-10)
    np.testing.assert_allclose(outputs[:, 1], (model.predict(raised) - model.predict(X)).reshape(len(X), -1), atol=1e-8)
    blind[:, gene] = model.x_mean_[gene]
    drops = r2_drops(model, X, Y, model.x_mean_)
    assert drops[1] == pytest.approx(model.score(X, Y) - model.score(blind, Y))


@pytest.fixture(scope="module")
def record(data):
    model = SparseBottleneckRegressor(**QUICK).fit(data.X[:80], data.Y[:80])
    names = {"gene_names": data.gene_names, "feature_names": data.feature_names}
    stability = pd.Series(0.5, index=data.gene_names[kept_genes(model)[1:]])
    return interpret(model, data.X[80:], data.Y[80:], stability=stability, **names)


def test_the_record_and_its_table(data, record):
    model = SparseBottleneckRegressor(**QUICK).fit(data.X[:80], data.Y[:80])
    shares = integrated_gradients(model, data.X[80:])
    np.testing.assert_allclose(record.share_absolute, np.abs(shares).mean(0))
    np.testing.assert_allclose(record.share_mean, shares.mean(0))
    assert 0 < record.gap < 0.01 and record.r2 == pytest.approx(model.score(data.X[80:], data.Y[80:]))
    latent, steps = finite_differences(model, data.X[80:].astype(float))
    np.testing.assert_allclose(record.steps, steps.mean(0))
    np.testing.assert_allclose(record.latent_lengths, np.linalg.norm(latent, axis=2).mean(0))
    np.testing.assert_allclose(record.gene_norms, model.gene_norms_[kept_genes(model)])
    np.testing.assert_allclose(record.output_sd, data.Y[80:].std(0), rtol=1e-5)
    table = record.table
    assert table.columns.tolist() == ["norm", "stability", "output", "effect", "shift", "r2_drop"]
    assert table["r2_drop"].is_monotonic_decreasing
    for gene, row in table.iterrows():
        effects = record.effects[list(record.kept_genes).index(gene)]
        assert row["effect"] == effects[np.abs(effects).argmax()]
        assert row["output"] == record.feature_names[np.abs(effects).argmax()]
    assert table.loc[record.kept_genes[0], "stability"] == 0, "a gene that the stability does not name"
    assert (table["stability"].drop(record.kept_genes[0]) == 0.5).all()


def test_tables_with_names_are_taken_and_other_names_refused(data):
    X = pd.DataFrame(data.X, columns=data.gene_names)
    Y = pd.DataFrame(data.Y, columns=data.feature_names)
    model = SparseBottleneckRegressor(**QUICK).fit(X[:80], Y[:80])
    record = interpret(model, X[80:], Y[80:])
    assert record.kept_genes.tolist() == model.get_feature_names_out().tolist()
    assert record.feature_names.tolist() == data.feature_names.tolist()
    shares = integrated_gradients(model, X.iloc[:9])
    np.testing.assert_array_equal(integrated_gradients(model, X.iloc[:9, ::-1].assign(Malat1=7)), shares)
    with pytest.raises(ValueError, match=f"X: 1 of the .* genes of the model are missing: {record.kept_genes[0]}"):
        integrated_gradients(model, X.drop(columns=record.kept_genes[0]))


def test_heat_map_shows_the_effects_around_zero(record):
    figure = effect_map(record)
    image = figure.axes[0].images[0]
    low, high = image.get_clim()
    assert low == -high == -np.abs(record.effects).max()
    genes = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    outputs = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    drawn = pd.DataFrame(np.asarray(image.get_array()), genes, outputs)
    expected = pd.DataFrame(record.effects, record.kept_genes, record.feature_names)
    np.testing.assert_array_equal(drawn.loc[expected.index, expected.columns], expected)
    assert_tidy(figure)


def test_similar_rows_stand_side_by_side(rng):
    rows = np.repeat(np.eye(3), 4, axis=0) + 0.01 * rng.normal(size=(12, 3))
    shuffled = rng.permutation(12)
    groups = np.repeat([0, 1, 2], 4)[shuffled][similar_order(rows[shuffled])]
    assert (np.diff(groups) != 0).sum() == 2


def test_counts_of_new_cells_are_normalised_as_the_training_cells_were(adata, data):
    model = LeaveOneOutRidge().fit(adata)
    stream = ExpressionStream(3 * data.counts[:40], data.gene_names, counts=True)
    baseline = data.X.mean(0)
    shares = integrated_gradients(model, stream, baseline)
    np.testing.assert_allclose(shares, integrated_gradients(model, data.X[:40], baseline), rtol=1e-4, atol=1e-4)
