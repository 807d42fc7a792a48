import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import LeaveOneOutRidge, ReducedRankRegression, SparseReducedRankRegression, paper_folds
from sbnn.metrics import pooled_r2
from sbnn.models.sparse_linear import glmnet_elastic_net

MODELS = [
    LeaveOneOutRidge(),
    ReducedRankRegression(rank=1),
    SparseReducedRankRegression(rank=1, alpha=0.01),
]
LATENT = [ReducedRankRegression(rank=2, alpha=0.1), SparseReducedRankRegression(rank=2, alpha=0.1)]


# Rank 1, since the checks use one output, where no other rank is possible.
@parametrize_with_checks(MODELS)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def pair():
    """Expression X (120, 40) and outputs Y (120, 5) that six genes explain in part, neither centred."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(120, 40)) + 3
    return X, X[:, :6] @ rng.normal(size=(6, 5)) + 2 * rng.normal(size=(120, 5))


# --- ridge, and one elastic net


def test_leave_one_out_ridge_chooses_what_refitting_without_each_cell_chooses(pair):
    X, Y = pair
    alphas = [1.0, 10.0, 100.0, 1000.0]
    errors = []
    for alpha in alphas:
        errors.append(((Y - cross_val_predict(Ridge(alpha), X, Y, cv=LeaveOneOut())) ** 2).sum())
    model = LeaveOneOutRidge(alphas).fit(X, Y)
    assert model.alpha_ == alphas[int(np.argmin(errors))]
    assert model.best_score_ == pytest.approx(-min(errors) / Y.size)
    np.testing.assert_allclose(model.coef_, Ridge(model.alpha_).fit(X, Y).coef_, atol=1e-10)


@pytest.mark.parametrize(("sparse", "ridge"), [(0.2, 0.0), (0.1, 0.4), (0.0, 0.3)])
@pytest.mark.parametrize("size", [1.0, 7.0])
def test_glmnet_solves_the_stated_problem(pair, sparse, ridge, size):
    Xc, y = pair[0] - pair[0].mean(axis=0), size * (pair[1][:, 0] - pair[1][:, 0].mean())
    coef = glmnet_elastic_net(Xc, y, sparse, ridge, tol=1e-13)
    slope = Xc.T @ (y - Xc @ coef) / len(y) - ridge * coef
    np.testing.assert_allclose(
        slope[coef != 0], sparse * np.sign(coef[coef != 0]), atol=1e-5 * size
    )
    assert (np.abs(slope[coef == 0]) <= sparse + 1e-5).all()


# --- what all have in common


@pytest.mark.parametrize("model", MODELS + LATENT, ids=str)
def test_score_is_pooled_and_about_the_training_mean(pair, model):
    X, Y = pair
    rank_one = getattr(model, "rank", 2) == 1
    Y = Y[:, 0] if rank_one else Y
    model = clone(model).fit(X[:90], Y[:90])
    prediction = model.predict(X[90:])
    assert prediction.shape == Y[90:].shape
    assert prediction.dtype == np.float64
    assert model.score(X[90:], Y[90:]) == pooled_r2(Y[90:], prediction, Y[:90].mean(axis=0))
    assert model.score(X[90:], Y[90:]) > 0.3


def test_bad_parameters_are_named(pair):
    for model, error, message in (
        (ReducedRankRegression(rank=0), ValueError, "rank"),
        (ReducedRankRegression(rank=1.5), TypeError, "rank"),
        (ReducedRankRegression(rank=6), ValueError, "rank .* 5\\]"),
        (ReducedRankRegression(alpha=np.nan), ValueError, "alpha"),
        (SparseReducedRankRegression(alpha=-0.1), ValueError, "alpha"),
        (SparseReducedRankRegression(l1_ratio=1.1), ValueError, r"l1_ratio .*\[0, 1\], got 1.1"),
        (SparseReducedRankRegression(penalty="rows"), ValueError, "'penalty' .*'rows'"),
        (SparseReducedRankRegression(max_iter=0), ValueError, "max_iter"),
        (SparseReducedRankRegression(tol=0), ValueError, "tol"),
        (SparseReducedRankRegression(relaxed="False"), ValueError, "relaxed"),
        (LeaveOneOutRidge(alphas=[np.nan]), ValueError, "alphas"),
    ):
        with pytest.raises(error, match=message):
            model.fit(*pair)
        with pytest.raises(ValueError, match="alpha must be .*got -1"):  # before any work
            SparseReducedRankRegression().fit_path(*pair, [1.0, -1])


# --- the published numbers (Bernaerts et al., arXiv:2006.10411, figure 2)


@pytest.mark.slow
def test_published_results_on_mouse_m1(real_scala):
    X, Y = (
        (a - a.mean(axis=0)) / a.std(axis=0)
        for a in (real_scala.X.astype(float), real_scala.Y.astype(float))
    )
    for model, r2, within, n_genes in (
        (LeaveOneOutRidge(), 0.449, 0.003, 1000),
        (SparseReducedRankRegression(rank=2, alpha=0.4), 0.350, 0.002, 24),
        (SparseReducedRankRegression(rank=16, alpha=0.5), 0.398, 0.002, 24),
    ):
        fits = [
            (clone(model).fit(X[train], Y[train]), X[test], Y[test])
            for train, test in paper_folds(len(X))
        ]
        assert np.mean([fit.score(*new) for fit, *new in fits]) == pytest.approx(r2, abs=within)
        assert np.mean([fit.coef_.any(axis=0).sum() for fit, *_ in fits]) == pytest.approx(
            n_genes, abs=1
        )
