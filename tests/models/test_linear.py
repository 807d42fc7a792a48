"""Ridge regression, and what all linear models share."""

import numpy as np
import pytest
from material.cells import z_scores
from material.command import run_alone
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneOut
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import LeaveOneOutRidge, ReducedRankRegression, SparseReducedRankRegression, paper_folds
from sbnn.metrics import pooled_r2
from sbnn.models.linear import kept_genes

MODELS = [LeaveOneOutRidge(), ReducedRankRegression(), SparseReducedRankRegression(alpha=0.01)]


@pytest.mark.filterwarnings("ignore:X. values up to .* are no log values")
@pytest.mark.filterwarnings("ignore:ridge. of all penalties")
@parametrize_with_checks(MODELS)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


# --- ridge regression


@pytest.fixture(scope="module")
def search(pair):
    """Ridge regression whose penalty is chosen by refitting without each cell."""
    grid = {"alpha": [1.0, 10.0, 100.0, 1000.0]}
    search = GridSearchCV(Ridge(), grid, cv=LeaveOneOut(), scoring="neg_mean_squared_error")
    return search.fit(*pair)


@pytest.fixture
def ridge(pair):
    return LeaveOneOutRidge([1.0, 10.0, 100.0, 1000.0]).fit(*pair)


def test_the_penalty_is_that_of_refitting(ridge, search):
    assert ridge.alpha_ == search.best_params_["alpha"]


def test_the_error_is_that_of_refitting(ridge, search):
    assert ridge.best_score_ == pytest.approx(search.best_score_)


def test_predictions_are_those_of_ridge(ridge, search, pair):
    X, _ = pair
    assert_allclose(ridge.predict(X), search.predict(X), atol=1e-10)


def test_default_penalties_are_four_per_decade(pair):
    X, Y = pair
    default = LeaveOneOutRidge().fit(X, Y)
    listed = LeaveOneOutRidge(np.geomspace(1, 1e6, 25)).fit(X, Y)
    assert 1 < default.alpha_ < 1e6
    assert default.alpha_ == pytest.approx(listed.alpha_)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_other_units_of_the_genes_change_the_penalty_and_no_prediction(scale, pair):
    """The default penalties go on while their end is the best."""
    X, Y = pair
    usual = LeaveOneOutRidge().fit(X, Y)
    scaled = LeaveOneOutRidge().fit(scale * X, Y)
    assert scaled.alpha_ == pytest.approx(scale**2 * usual.alpha_)
    assert_allclose(scaled.predict(scale * X), usual.predict(X), rtol=1e-6)


def test_penalties_that_are_given_are_the_only_ones(pair):
    X, Y = pair
    assert LeaveOneOutRidge([1, 10]).fit(1e3 * X, Y).alpha_ == 10


def test_the_smallest_penalty_is_warned_of(rng):
    X = rng.normal(size=(30, 4))
    with pytest.warns(UserWarning, match="of all penalties, the smallest, 1e-06"):
        LeaveOneOutRidge().fit(X, X)


def test_the_largest_penalty_is_warned_of(rng):
    X = rng.normal(size=(30, 4))
    y = rng.normal(size=30)
    unrelated = y - LinearRegression().fit(X, y).predict(X)
    with pytest.warns(UserWarning, match="the largest, 1e.12, is the best; from z-scored"):
        model = LeaveOneOutRidge().fit(X, unrelated)
    assert_allclose(model.predict(X), model.y_mean_, atol=1e-9)


def test_no_penalty_is_the_best_for_constant_outputs(rng, recwarn):
    assert LeaveOneOutRidge().fit(rng.normal(size=(30, 4)), np.ones(30)).alpha_ == 1
    assert not recwarn


# --- genes and scores


@pytest.fixture
def sparse_model(pair):
    """Fitted to the first 60 of 80 cells."""
    X, Y = pair
    return SparseReducedRankRegression(alpha=1.0).fit(X[:60], Y[:60])


def test_kept_genes_have_coefficients(sparse_model):
    genes = np.flatnonzero(sparse_model.coef_.any(axis=0))
    assert 0 < len(genes) < 30
    assert_array_equal(kept_genes(sparse_model), genes)


def test_kept_genes_of_ridge_are_all(ridge):
    assert kept_genes(ridge).tolist() == list(range(30))


def test_kept_genes_have_numbered_names(sparse_model):
    names = [f"x{gene}" for gene in kept_genes(sparse_model)]
    assert sparse_model.get_feature_names_out().tolist() == names


def test_the_score_is_relative_to_training_means(sparse_model, pair):
    X, Y = pair
    predictions = sparse_model.predict(X[60:])
    score = pooled_r2(Y[60:], predictions, Y_mean=Y[:60].mean(axis=0))
    assert sparse_model.score(X[60:], Y[60:]) == score > 0.2


# --- torch, which takes seconds to import

VALIDATE_LINEAR_MODELS = """
import sys
from sbnn import LeaveOneOutRidge, ReducedRankRegression, SparseReducedRankRegression
from sbnn import cross_validate, simulate_patchseq

data = simulate_patchseq(n_cells=60, n_genes=40, random_state=0)
models = [LeaveOneOutRidge(), ReducedRankRegression(), SparseReducedRankRegression(alpha=0.5)]
records = [cross_validate(model, data, folds=2, verbose=False) for model in models]
print("torch" in sys.modules)
for record in records:
    for fold in record.test_predictions[0]:
        print(fold.tobytes().hex())
"""


def test_linear_models_need_no_torch(capsys):
    """It is not loaded after a cross-validation, and changes no result when it is, as here."""
    alone = run_alone(VALIDATE_LINEAR_MODELS)
    exec(VALIDATE_LINEAR_MODELS, {})
    torch_there, *predictions = capsys.readouterr().out.split()
    assert torch_there == "True"
    assert alone.split() == ["False", *predictions]


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
    X, Y = z_scores(real_scala)
    scores = []
    numbers = []
    for train, test in paper_folds(len(X)):
        fitted = clone(model).fit(X[train], Y[train])
        scores.append(fitted.score(X[test], Y[test]))
        numbers.append(len(kept_genes(fitted)))
    assert np.mean(scores) == pytest.approx(r2, abs=within)
    assert np.mean(numbers) == pytest.approx(n_genes, abs=1)


def test_ridge_takes_a_single_penalty(rng):
    X = Y = rng.normal(size=(30, 4))
    one = LeaveOneOutRidge(alphas=(3.0,)).fit(X, Y)
    two = LeaveOneOutRidge(alphas=(3.0, 1e9)).fit(X, Y)
    assert one.alpha_ == two.alpha_ == 3
    np.testing.assert_allclose(one.coef_, two.coef_)
