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


@pytest.fixture
def X(data):
    return zscore(data.X)


@pytest.fixture
def Y(data):
    return zscore(data.Y)


def peer(name, n_genes):
    model = clone(accuracy.MODELS[name].estimator)
    return model.set_params(n_genes=n_genes)


@pytest.fixture(params=SELECTED)
def six_genes(request, X, Y):
    """A peer with six genes at most, fitted to the first 90 cells."""
    return peer(request.param, 6).fit(X[:90], Y[:90])


def test_a_peer_reports_no_more_genes_than_it_may(six_genes):
    assert 4 <= six_genes.get_support().sum() <= 6


def test_a_peer_uses_no_gene_but_those_it_reports(six_genes, X):
    changed = np.where(six_genes.get_support(), X[90:], 7)
    np.testing.assert_allclose(six_genes.predict(changed), six_genes.predict(X[90:]))


def test_a_peer_fits_its_training_cells(six_genes, X, Y):
    predicted = six_genes.predict(X[:90])
    assert pooled_r2(Y[:90], predicted, Y[:90].mean(0)) > 0.2


def test_glmnet_takes_genes_of_any_output_on_the_path(data, Y):
    """The path of the lasso of each output, just before there are more genes than wanted."""
    pytest.importorskip("glmnet", reason="there is none for Python 3.14")
    X = data.X[:, :20] - data.X[:, :20].mean(0)
    largest = np.abs(X.T @ Y).max() / len(X)
    alphas = largest * 0.97 ** np.arange(100)
    paths = [lasso_path(X, y, alphas=alphas)[1] for y in Y.T]
    used = np.array(paths).any(axis=0)  # (genes, penalties)
    first_with_more = (used.sum(axis=0) > 9).argmax()
    assert first_with_more > 1
    expected = np.flatnonzero(used[:, first_with_more - 1])
    assert accuracy.GlmnetPath().select(X, Y, 9).tolist() == expected.tolist()


def test_the_mean_with_ridge_is_that_of_both_predictions(X, Y):
    both = peer("ridge_and_forest", 6).fit(X[:90], Y[:90])
    forest = peer("greedy_forest", 6).fit(X[:90], Y[:90])
    ridge = LeaveOneOutRidge().fit(X[:90], Y[:90])
    expected = (forest.predict(X[90:]) + ridge.predict(X[90:])) / 2
    np.testing.assert_allclose(both.predict(X[90:]), expected)


@pytest.fixture
def ridge(data, tmp_path, monkeypatch):
    """Record of ridge in place of that of a study, whose other scores go to an empty file."""
    path = tmp_path / "scores.csv"
    pd.DataFrame(columns=accuracy.COLUMNS).to_csv(path, index=False)
    record = cross_validate(LeaveOneOutRidge(), data, 3, scaling="all", verbose=False)
    monkeypatch.setattr(accuracy, "path_of", lambda dataset: path)
    monkeypatch.setattr(accuracy, "study_of", lambda dataset: record)
    return record


def validate(name, n_genes, data, folds):
    """Cross-validation of a peer on the folds of the study."""
    return cross_validate(peer(name, n_genes), data, folds, scaling="all", verbose=False)


def test_scores_of_ridge_are_those_of_the_study(ridge, data):
    accuracy.measure("ridge", "simulated", data)
    scores = accuracy.scores_of("simulated")
    np.testing.assert_allclose(scores["r2"], ridge.test_r2[:, 0])
    assert set(scores["used"]) == {data.n_genes}


def test_scores_are_those_of_the_folds(ridge, data):
    accuracy.measure("greedy_ridge", "simulated", data)
    scores = accuracy.scores_of("simulated").query("n_genes == 10")
    expected = validate("greedy_ridge", 10, data, ridge.folds)
    assert set(scores["used"]) == {10}
    np.testing.assert_allclose(scores["r2"], expected.test_r2[:, 0])


def test_only_missing_scores_are_added(ridge, data):
    accuracy.measure("greedy_ridge", "simulated", data)
    once = accuracy.scores_of("simulated")
    accuracy.measure("greedy_ridge", "simulated", data)
    assert len(once) == 3 * len(accuracy.GENES)
    pd.testing.assert_frame_equal(accuracy.scores_of("simulated"), once)


def test_scores_of_other_data_are_refused(ridge, data):
    other = as_paired((data.X[:50], data.Y[:50]))
    with pytest.raises(ValueError, match="other data"):
        accuracy.measure("pls", "simulated", other)


@pytest.fixture
def measured(ridge, data, monkeypatch):
    """Scores of three peers, which are compared with greedy selection and ridge."""
    monkeypatch.setattr(accuracy, "REFERENCE", "greedy_ridge")
    for name in ("greedy_ridge", "ridge", "greedy_kernel"):
        accuracy.measure(name, "simulated", data)


def test_the_table_holds_means_and_numbers_of_genes(measured, ridge, data):
    table = accuracy.accuracy_table("simulated")
    r2 = ridge.test_r2[:, 0]
    text = f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f} ({data.n_genes:.1f})"
    assert list(table.index) == ["greedy + ridge", "greedy + kernel ridge", "ridge, all genes"]
    assert table.loc["ridge, all genes", "all genes"] == text


def test_differences_are_paired_over_the_folds(measured, ridge, data):
    reference = validate("greedy_ridge", 25, data, ridge.folds)
    expected = paired_difference(ridge, reference, "test_r2")
    assert accuracy.differences("simulated", 25)["ridge"] == pytest.approx(expected)
    row = accuracy.difference_table("simulated").loc["ridge, all genes"]
    assert row["25 genes"] == str(expected)


@pytest.mark.parametrize(("low", "text"), [(0.05, "**+0.100 ± 0.050**"), (-0.05, "+0.100 ± 0.050")])
def test_what_is_better_is_bold(measured, ridge, monkeypatch, low, text):
    difference = PairedDifference(0.1, low, 0.15)
    monkeypatch.setattr(accuracy, "differences", lambda *_: {"ridge": difference})
    cells = accuracy.data_table().loc["ridge, all genes", [*accuracy.DATA]]
    assert set(cells) == {f"{ridge.test_r2.mean():.3f} ({text})"}
