"""Effects of genes: against closed forms and the definition, of cells that were not fitted."""

import numpy as np
import pandas as pd
import pytest
from material.estimators import SelectingRidge
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as equal
from sklearn.base import clone
from sklearn.linear_model import Ridge

from sbnn import (
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    grouped_folds,
    paper_folds,
    selection_table,
    stability_selection,
)
from sbnn.evaluation.folds import scale_fold
from sbnn.evaluation.interpretation import interpret, interpret_held_out, kept_genes


@pytest.fixture(scope="module")
def tables(data):
    """Twelve genes and the outputs, z-scored."""
    X = pd.DataFrame(data.X, columns=data.gene_names, dtype=float).iloc[:, :12]
    Y = pd.DataFrame(data.Y, columns=data.feature_names, dtype=float)
    X = (X - X.mean()) / X.std()
    Y = (Y - Y.mean()) / Y.std()
    return X, Y


@pytest.fixture(scope="module")
def of_network(tables):
    """A network, held-out cells and the interpretation of the network on them."""
    X, Y = (table.to_numpy() for table in tables)
    X = 5 * X
    model = SparseBottleneckRegressor(
        hidden_layers=(16, 8),
        epochs=(1, 20, 10, 10),
        learning_rate=3e-3,
        n_genes=6,
        random_state=0,
    )
    model.fit(X[:80], Y[:80])
    model.network_.activation = "silu"
    record = interpret(model, X[80:], Y[80:])
    return model, X[80:], Y[80:], record


def set_gene(X, gene, value):
    return np.where(np.arange(X.shape[1]) == gene, value, X)


def one_sd_apart(X, gene):
    """Cells with the gene one SD below its mean, and one above."""
    mean = X[:, gene].mean()
    sd = X[:, gene].std()
    low = set_gene(X, gene, mean - sd)
    high = set_gene(X, gene, mean + sd)
    return low, high


def test_an_effect_is_half_the_change_of_outputs(of_network):
    model, X, Y, record = of_network
    for k, gene in enumerate(kept_genes(model)):
        low, high = one_sd_apart(X, gene)
        change = model.predict(high) - model.predict(low)
        effect = change.mean(0) / 2 / Y.std(0)
        close(record.effects[k], effect, atol=1e-8)


def test_a_shift_is_half_the_distance_moved(of_network):
    model, X, _, record = of_network
    for gene in kept_genes(model):
        low, high = one_sd_apart(X, gene)
        moves = model.transform(high) - model.transform(low)
        distance = np.linalg.norm(moves, axis=1).mean()
        row = record.table.loc[f"x{gene}"]
        assert row["shift"] == pytest.approx(distance / 2, abs=1e-8)


def test_a_gene_is_removed_by_its_training_mean(of_network):
    model, X, Y, record = of_network
    for gene in kept_genes(model):
        removed = set_gene(X, gene, model.x_mean_[gene])
        loss = model.score(X, Y) - model.score(removed, Y)
        row = record.table.loc[f"x{gene}"]
        assert row["r2_drop"] == pytest.approx(loss, abs=1e-8)


def test_norms_are_those_of_the_network(of_network):
    model, _, _, record = of_network
    for gene in kept_genes(model):
        row = record.table.loc[f"x{gene}"]
        assert row["norm"] == pytest.approx(model.gene_norms_[gene])


@pytest.fixture(scope="module")
def of_ridge(tables):
    """A linear model, whose effects are coefficients, and its interpretation.

    The first gene and the last output do not vary; genes are matched by name.
    """
    X, Y = tables
    model = LeaveOneOutRidge().fit(X[:80], Y[:80])
    first = X.columns[0]
    stability = pd.DataFrame({"frequency": 0.5}, X.columns.drop(first))
    X = X[80:].assign(**{first: 1.0})
    Y = Y[80:].assign(**{Y.columns[4]: 0.0})
    in_other_order = X[X.columns[::-1]].assign(Malat1=7)
    record = interpret(model, in_other_order, Y, stability=stability)
    gene_sds = X.std(ddof=0).to_numpy()
    output_sds = Y.std(ddof=0).replace(0, 1).to_numpy()
    effects = (model.coef_ * gene_sds).T / output_sds
    return record, pd.DataFrame(effects, X.columns, Y.columns)


def test_effects_of_a_linear_model_are_coefficients(of_ridge):
    record, effects = of_ridge
    close(record.effects, effects, atol=1e-10)


def test_genes_are_listed_by_their_loss(of_ridge):
    record, _ = of_ridge
    assert record.table.r2_drop.is_monotonic_decreasing


def test_the_largest_effect_is_listed(of_ridge):
    record, effects = of_ridge
    table = record.table
    sizes = effects.loc[table.index].abs()
    equal(table.output, sizes.idxmax(axis=1))
    close(table.effect.abs(), sizes.max(axis=1))


def test_genes_without_a_frequency_are_unstable(of_ridge):
    record, effects = of_ridge
    table = record.table
    equal(table.stability, 0.5 * (table.index != effects.index[0]))


def test_outputs_without_names_are_taken_by_position(tables):
    X, Y = tables
    r2 = LeaveOneOutRidge().fit(X, Y).score(X, Y.to_numpy())
    assert LeaveOneOutRidge().fit(X, Y.to_numpy()).score(X, Y) == r2


def rename_outputs(Y):
    return Y.add_prefix("other ")


def drop_output(Y):
    return Y.iloc[:, 1:]


def add_output(Y):
    return Y.assign(other=1.0)


WRONG_OUTPUTS = "Y: .*missing: .*not expected: "


@pytest.mark.parametrize(
    ("function", "model", "change", "error", "message"),
    [
        (LeaveOneOutRidge.score, LeaveOneOutRidge(), drop_output, ValueError, WRONG_OUTPUTS),
        (LeaveOneOutRidge.score, LeaveOneOutRidge(), add_output, ValueError, WRONG_OUTPUTS),
        (interpret, LeaveOneOutRidge(), rename_outputs, ValueError, WRONG_OUTPUTS),
        (interpret, Ridge(), pd.DataFrame.copy, TypeError, "model: .*, got Ridge"),
    ],
)
def test_other_outputs_and_models_are_refused(function, model, change, error, message, tables):
    X, Y = tables
    fitted = clone(model).fit(X, Y)
    with pytest.raises(error, match=message):
        function(fitted, X, change(Y))


@pytest.fixture(scope="module")
def halves(data):
    return stability_selection(SelectingRidge(9), data, 2, verbose=False)


@pytest.fixture(scope="module")
def model():
    model = SparseReducedRankRegression(alpha=0.02)
    model.random_state = 0
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["by donor", "by cell"])
def held_out(request, data, halves, model):
    """The record, and what a fit by hand gives: the model, test cells and genes."""
    donors = None
    fold = paper_folds(data.n_cells, 4)[0]
    if request.param:
        donors = np.arange(data.n_cells) % 5
        fold = grouped_folds(donors, 4)[0]
    record = interpret_held_out(model, data, halves, preselect=8, groups=donors)
    X, Y, X_test, Y_test, genes = scale_fold(data, fold, "fold", 8)
    fitted = clone(model).fit(X, Y)
    return record, fitted, (X_test, Y_test), data.gene_names[genes]


def test_an_interpretation_is_of_held_out_cells(held_out):
    record, fitted, test_cells, _ = held_out
    close(record.r2, fitted.score(*test_cells), rtol=1e-5)


def test_kept_genes_are_those_of_fitted_cells(held_out):
    record, fitted, _, genes = held_out
    equal(record.kept_genes, genes[fitted.get_support()])


def test_stability_is_that_of_the_halves(held_out, halves):
    table = held_out[0].table
    equal(table.stability, selection_table(halves).frequency[table.index])
