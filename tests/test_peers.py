"""Peers of `benchmarks/accuracy.py`: their genes, and their scores on the folds of the study."""

import accuracy
import numpy as np
import pandas as pd
import pytest
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.linear_model import lasso_path

from sbnn import LeaveOneOutRidge, cross_validate
from sbnn.data.paired import as_paired
from sbnn.evaluation.verdict import PairedDifference, paired_difference
from sbnn.metrics import pooled_r2

# the others are tested as models, or need other packages
SELECTED = [
    name
    for name in accuracy.MODELS
    if name.startswith(("greedy", "lasso_", "glmnet", "srrr"))  # not "lassonet"
]


@pytest.mark.parametrize("name", SELECTED)
def test_a_peer_uses_no_more_genes_than_it_may(name, data):
    X, Y = zscore(data.X), zscore(data.Y)
    model = clone(accuracy.MODELS[name].estimator).set_params(n_genes=6).fit(X[:90], Y[:90])
    used = model.get_support()
    assert 4 <= used.sum() <= 6
    predicted = model.predict(X[90:])
    others = np.where(used, X[90:], 7)
    np.testing.assert_allclose(model.predict(others), predicted)
    assert pooled_r2(Y[:90], model.predict(X[:90]), Y[:90].mean(0)) > 0.2


def test_genes_of_glmnet_are_those_that_any_output_has_on_the_path_of_the_lasso(data):
    pytest.importorskip("glmnet", reason="there is none for Python 3.14")
    X, Y = data.X[:, :20] - data.X[:, :20].mean(0), zscore(data.Y)
    alphas = np.abs(X.T @ Y).max() / len(X) * 0.97 ** np.arange(100)
    used = np.array([lasso_path(X, y, alphas=alphas)[1] for y in Y.T]).any(axis=0)
    first = (used.sum(axis=0) > 9).argmax()  # penalty with more genes
    assert first > 1
    found = accuracy.GlmnetPath().select(X, Y, 9)
    assert found.tolist() == np.flatnonzero(used[:, first - 1]).tolist()


def test_the_mean_with_ridge_is_that_of_the_predictions_of_both(data):
    X, Y = zscore(data.X), zscore(data.Y)
    both = clone(accuracy.MODELS["ridge_and_forest"].estimator).set_params(n_genes=6)
    forest = clone(accuracy.MODELS["greedy_forest"].estimator).set_params(n_genes=6)
    models = forest, LeaveOneOutRidge()
    expected = np.mean([model.fit(X[:90], Y[:90]).predict(X[90:]) for model in models], axis=0)
    np.testing.assert_allclose(both.fit(X[:90], Y[:90]).predict(X[90:]), expected)


@pytest.fixture
def ridge(data, tmp_path, monkeypatch):
    """Record of ridge in place of that of a study, whose other scores go to an empty file."""
    path = tmp_path / "scores.csv"
    pd.DataFrame(columns=accuracy.COLUMNS).to_csv(path, index=False)
    record = cross_validate(LeaveOneOutRidge(), data, 3, scaling="all", verbose=False)
    monkeypatch.setattr(accuracy, "path_of", lambda dataset: path)
    monkeypatch.setattr(accuracy, "study_of", lambda dataset: record)
    return record


def test_scores_are_those_of_the_folds_and_only_missing_ones_are_added(ridge, data):
    accuracy.measure("ridge", "simulated", data)
    scores = accuracy.scores_of("simulated")
    np.testing.assert_allclose(scores["r2"], ridge.test_r2[:, 0])
    assert set(scores["used"]) == {data.n_genes}
    for _ in range(2):
        accuracy.measure("greedy_ridge", "simulated", data)
        scores = accuracy.scores_of("simulated")
        assert len(scores) == 3 + 3 * len(accuracy.GENES)
    greedy = scores.query("model == 'greedy_ridge' and n_genes == 10")
    assert set(greedy["used"]) == {10}
    model = clone(accuracy.MODELS["greedy_ridge"].estimator).set_params(n_genes=10)
    record = cross_validate(model, data, ridge.folds, scaling="all", verbose=False)
    np.testing.assert_allclose(greedy["r2"], record.test_r2[:, 0])
    with pytest.raises(ValueError, match="other data"):
        accuracy.measure("pls", "simulated", as_paired((data.X[:50], data.Y[:50])))


def test_tables_hold_means_and_differences_to_the_reference(ridge, data, monkeypatch):
    monkeypatch.setattr(accuracy, "REFERENCE", "greedy_ridge")
    for name in ("greedy_ridge", "ridge", "greedy_kernel"):
        accuracy.measure(name, "simulated", data)
    table = accuracy.accuracy_table("simulated")
    assert list(table.index) == ["greedy + ridge", "greedy + kernel ridge", "ridge, all genes"]
    r2 = ridge.test_r2[:, 0]
    text = f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f} ({data.n_genes:.1f})"
    assert table.loc["ridge, all genes", "all genes"] == text
    model = clone(accuracy.MODELS["greedy_ridge"].estimator).set_params(n_genes=25)
    reference = cross_validate(model, data, ridge.folds, scaling="all", verbose=False)
    expected = paired_difference(ridge, reference, "test_r2")
    found = accuracy.differences("simulated", 25)["ridge"]
    assert found == pytest.approx(expected)
    shown = accuracy.difference_table("simulated").loc["ridge, all genes"]
    assert shown["25 genes"] == str(expected)
    for better in (True, False):
        difference = {"ridge": PairedDifference(0.1, 0.05 if better else -0.05, 0.15)}
        monkeypatch.setattr(accuracy, "differences", lambda *_, found=difference: found)
        cells = accuracy.data_table().loc["ridge, all genes", [*accuracy.DATA]]
        text = "**+0.100 ± 0.050**" if better else "+0.100 ± 0.050"
        assert set(cells) == {f"{r2.mean():.3f} ({text})"}
