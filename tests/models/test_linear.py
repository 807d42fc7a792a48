import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneOut
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import LeaveOneOutRidge, ReducedRankRegression, SparseReducedRankRegression, paper_folds
from sbnn.metrics import pooled_r2
from sbnn.models.linear import kept_genes

MODELS = [LeaveOneOutRidge(), ReducedRankRegression(), SparseReducedRankRegression(alpha=0.01)]


@parametrize_with_checks(MODELS)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_leave_one_out_ridge_chooses_what_refitting_without_each_cell_chooses(pair):
    X, Y = pair
    alphas = [1.0, 10.0, 100.0, 1000.0]
    squares = {"cv": LeaveOneOut(), "scoring": "neg_mean_squared_error"}
    search = GridSearchCV(Ridge(), {"alpha": alphas}, **squares).fit(X, Y)
    model = LeaveOneOutRidge(alphas).fit(X, Y)
    assert model.alpha_ == search.best_params_["alpha"]
    assert model.best_score_ == pytest.approx(search.best_score_)
    assert_allclose(model.predict(X), search.predict(X), atol=1e-10)


def test_penalties_of_ridge():
    assert_allclose(LeaveOneOutRidge().alphas, np.geomspace(1, 1e6, 25))


def test_genes_and_score_of_a_model(pair):
    X, Y = pair
    model = SparseReducedRankRegression(alpha=1.0).fit(X[:60], Y[:60])
    genes = np.flatnonzero(model.coef_.any(axis=0))
    assert_array_equal(kept_genes(model), genes)
    score = pooled_r2(Y[60:], model.predict(X[60:]), Y[:60].mean(axis=0))
    assert model.score(X[60:], Y[60:]) == score > 0.2
    assert 0 < len(genes) < 30
    assert model.get_feature_names_out().tolist() == [f"x{gene}" for gene in genes]


# --- the published numbers (Bernaerts et al., arXiv:2006.10411, figure 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "r2", "within", "n_genes"),
    [
        (LeaveOneOutRidge(), 0.449, 0.003, 1000),
        (SparseReducedRankRegression(rank=2, alpha=0.4), 0.350, 0.002, 24),
        (SparseReducedRankRegression(rank=16, alpha=0.5), 0.398, 0.002, 24),
    ],
)
def test_published_results_on_mouse_m1(real_scala, model, r2, within, n_genes):
    X = zscore(real_scala.X.astype(float))
    Y = zscore(real_scala.Y.astype(float))
    scores = []
    numbers = []
    for train, test in paper_folds(len(X)):
        fitted = clone(model).fit(X[train], Y[train])
        scores.append(fitted.score(X[test], Y[test]))
        numbers.append(len(kept_genes(fitted)))
    assert np.mean(scores) == pytest.approx(r2, abs=within)
    assert np.mean(numbers) == pytest.approx(n_genes, abs=1)
