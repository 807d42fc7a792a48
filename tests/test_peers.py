"""Peers of `benchmarks/accuracy.py`: their genes, and their scores on the folds of the study.

That tables of scores are right is tested where they stand on pages.
"""

import accuracy
import numpy as np
import pandas as pd
import pytest
from peers import Persist, SparsePLS
from peers_all_genes import CoupledAutoencoder, SumKernelRidge
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.metrics import r2_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.svm import SVR

from sbnn import LeaveOneOutRidge, cross_validate

# the others are tested as models, or need other packages
SELECTED = [
    name
    for name in accuracy.MODELS
    if name.startswith(("greedy", "lasso_", "glmnet", "srrr", "sparse"))  # not "lassonet"
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
    if request.param.startswith("glmnet"):
        pytest.importorskip("glmnet", reason="there is none for Python 3.14")
    return peer(request.param, 6).fit(X[:90], Y[:90])


def test_a_peer_reports_no_more_genes_than_it_may(six_genes):
    assert 4 <= six_genes.get_support().sum() <= 6


def test_a_peer_uses_no_gene_but_those_it_reports(six_genes, X):
    changed = np.where(six_genes.get_support(), X[90:], 7)
    np.testing.assert_allclose(six_genes.predict(changed), six_genes.predict(X[90:]))


@pytest.fixture
def ridge(data, tmp_path, monkeypatch):
    """Record of ridge in place of that of a study, whose other scores go to an empty file."""
    path = tmp_path / "scores.csv"
    pd.DataFrame(columns=accuracy.COLUMNS).to_csv(path, index=False)
    record = cross_validate(LeaveOneOutRidge(), data, 3, scaling="all", verbose=False)
    monkeypatch.setattr(accuracy, "path_of", lambda dataset: path)
    monkeypatch.setattr(accuracy, "study_of", lambda dataset: record)
    return record


def test_missing_scores_are_added_once(ridge, data):
    """They are those of the folds of the study."""
    accuracy.measure("greedy_ridge", "simulated", data)
    once = accuracy.scores_of("simulated")
    accuracy.measure("greedy_ridge", "simulated", data)
    pd.testing.assert_frame_equal(accuracy.scores_of("simulated"), once)
    model = peer("greedy_ridge", 10)
    expected = cross_validate(model, data, ridge.folds, scaling="all", verbose=False)
    of_ten = once.query("n_genes == 10")
    assert set(of_ten["used"]) == {10}
    np.testing.assert_allclose(of_ten["r2"], expected.test_r2[:, 0])


@pytest.mark.usefixtures("ridge")
def test_data_other_than_those_of_the_study_are_refused(monkeypatch, data):
    monkeypatch.setattr(accuracy, "load_dataset", lambda name: (data.X[:50], data.Y[:50]))
    with pytest.raises(ValueError, match="other data"):
        accuracy.read_data("simulated")


def test_an_own_regressor_is_scored_on_the_folds_of_the_study(ridge, data, monkeypatch, capsys):
    reference = pd.DataFrame({"fold": [0, 1, 2], "model": accuracy.REFERENCE, "n_genes": 25})
    rows = reference.assign(r2=0.5, used=25, seconds=1).reindex(columns=accuracy.COLUMNS)
    rows.to_csv(accuracy.path_of("simulated"), index=False)
    monkeypatch.setattr(accuracy, "load_dataset", lambda name: data)
    monkeypatch.setitem(accuracy.MODELS, accuracy.OWN, None)  # removed after the test
    accuracy.compare_own("sklearn.svm:SVR", ["simulated"])
    model = MultiOutputRegressor(SVR())
    expected = cross_validate(model, data, ridge.folds, scaling="all", verbose=False)
    mean = expected.test_r2.mean()
    assert f"| sklearn.svm:SVR | {mean:.3f} ({mean - 0.5:+.3f}" in capsys.readouterr().out


def test_the_sum_kernel_predicts_left_out_cells_as_refits_do(X, Y):
    kernel = SumKernelRidge(n_genes=6).fit(X, Y)
    K = kernel._kernel(X, kernel.gamma_, kernel.share_)
    others = np.arange(1, len(X))
    inner = K[np.ix_(others, others)] + kernel.alpha_ * np.eye(len(others))
    centred = Y - Y.mean(axis=0)
    expected = Y.mean(axis=0) + K[0, others] @ np.linalg.solve(inner, centred[others])
    np.testing.assert_allclose(kernel.left_out_predictions_[0], expected)


def test_sparse_pls_with_all_genes_is_pls(X, Y):
    sparse = SparsePLS(n_genes=X.shape[1], share=1).fit(X, Y)
    np.testing.assert_allclose(
        sparse.predict(X), PLSRegression(2, scale=False, tol=1e-12).fit(X, Y).predict(X), atol=1e-6
    )


def test_persist_finds_the_genes_that_decide():
    X = np.random.default_rng(0).standard_normal((400, 12))
    Y = np.column_stack([X[:, 3], X[:, 7], X[:, 3] - X[:, 7]])
    np.testing.assert_array_equal(Persist(n_steps=200).select(X, Y, 2), [3, 7])


def test_coupled_autoencoders_predict_outputs_from_genes():
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((400, 2))
    X, Y = (
        zscore(latent @ rng.standard_normal((2, 10))),
        zscore(latent @ rng.standard_normal((2, 4))),
    )
    model = CoupledAutoencoder(2, n_epochs=60, dropout=0.1).fit(X[:300], Y[:300])
    assert r2_score(Y[300:], model.predict(X[300:])) > 0.7
