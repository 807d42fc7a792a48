"""Effects of genes: against closed forms and the definition, of cells that were not fitted."""

import numpy as np
import pandas as pd
import pytest
from made_up import SelectingRidge
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
from sbnn.evaluation.folds import split_fold
from sbnn.evaluation.interpretation import interpret, interpret_held_out, kept_genes

QUICK = {"hidden_layers": (16, 8), "epochs": (1, 20, 10, 10), "learning_rate": 3e-3}
QUICK |= {"n_genes": 6, "random_state": 0}


@pytest.fixture(scope="module")
def tables(data):
    """Genes and outputs, z-scored, of named cells."""
    X = pd.DataFrame(data.X, columns=data.gene_names, dtype=float)
    Y = pd.DataFrame(data.Y, columns=data.feature_names, dtype=float)
    return (X - X.mean()) / X.std(), (Y - Y.mean()) / Y.std()


def test_the_record_holds_what_changes_if_genes_are_raised_or_removed(tables):
    X, Y = (table.to_numpy() for table in tables)
    model = SparseBottleneckRegressor(**QUICK).fit(5 * X[:80], Y[:80])
    model.network_.activation = "silu"
    X = 5 * X[80:]
    Y = Y[80:]
    record = interpret(model, X, Y)

    def at(gene, value):
        return np.where(np.arange(X.shape[1]) == gene, value, X)

    for k, gene in enumerate(kept_genes(model)):
        row = record.table.loc[f"x{gene}"]
        mean = X[:, gene].mean()
        sd = X[:, gene].std()
        low = at(gene, mean - sd)
        high = at(gene, mean + sd)
        change = (model.predict(high) - model.predict(low)).mean(0)
        close(record.effects[k], change / 2 / Y.std(0), atol=1e-8)
        moves = model.transform(high) - model.transform(low)
        loss = model.score(X, Y) - model.score(at(gene, model.x_mean_[gene]), Y)
        expected = [model.gene_norms_[gene], np.linalg.norm(moves, axis=1).mean() / 2, loss]
        close(row[["norm", "shift", "r2_drop"]].astype(float), expected, atol=1e-8)


def test_effects_of_a_linear_model_are_coefficients(tables):
    """What does not vary has none; genes are matched by name, and listed by their loss."""
    X, Y = tables
    model = LeaveOneOutRidge().fit(X[:80], Y[:80])
    first = X.columns[0]
    stability = pd.DataFrame({"frequency": 0.5}, X.columns.drop(first))
    X = X[80:].assign(**{first: 1.0})
    Y = Y[80:].assign(**{Y.columns[4]: 0.0})
    record = interpret(model, X[X.columns[::-1]].assign(Malat1=7), Y, stability=stability)
    sds = Y.std(ddof=0).replace(0, 1).to_numpy()
    effects = (model.coef_ * X.std(ddof=0).to_numpy()).T / sds
    close(record.effects, effects, atol=1e-10)
    table = record.table
    assert table.r2_drop.is_monotonic_decreasing
    effects = pd.DataFrame(effects, X.columns, Y.columns).loc[table.index].abs()
    equal(table.output, effects.idxmax(axis=1))
    close(table.effect.abs(), effects.max(axis=1))
    equal(table.stability, 0.5 * (table.index != first))


def test_models_of_other_packages_are_refused(tables):
    with pytest.raises(TypeError, match="model: .*, got Ridge"):
        interpret(Ridge().fit(*tables), *tables)


@pytest.mark.parametrize("by_donor", [True, False])
def test_an_interpretation_is_of_cells_that_were_not_fitted(data, tmp_path, by_donor):
    """Genes are chosen on the fitted cells, and donors are not split."""
    halves = stability_selection(SelectingRidge(9), data, 2, verbose=False)
    model = SparseReducedRankRegression(alpha=0.02)
    model.random_state = 0
    donors = np.arange(data.n_cells) % 5 if by_donor else None
    fold = grouped_folds(donors, 4)[0] if by_donor else paper_folds(data.n_cells, 4)[0]
    how = {"preselect": 8, "groups": donors, "results": tmp_path / "interpretation.pickle.xz"}
    record = interpret_held_out(model, data, halves, **how)
    X, Y, X_test, Y_test, genes = split_fold(data, fold, "fold", 8)
    fitted = clone(model).fit(X, Y)
    close(record.r2, fitted.score(X_test, Y_test), atol=1e-3)
    equal(record.kept_genes, data.gene_names[genes][fitted.get_support()])
    equal(record.table.stability, selection_table(halves).frequency[record.table.index])
    others = stability_selection(SelectingRidge(9), data, 3, verbose=False)
    how["groups"] = np.arange(data.n_cells) % 6
    with pytest.raises(ValueError, match="differs in halves, groups;"):
        interpret_held_out(model, data, others, **how)
