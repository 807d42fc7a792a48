import itertools
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import MultiTaskElasticNet, Ridge

from sbnn import ReducedRankRegression, SparseReducedRankRegression

GRID = [
    {"penalty": penalty, "l1_ratio": l1_ratio, "rank": rank}
    for penalty, l1_ratio, rank in itertools.product(["group", "element"], [1.0, 0.2], [1, 2])
]


@pytest.fixture(scope="module")
def pair():
    """Correlated expression X (80, 30) and outputs Y (80, 4) of rank 2 plus noise, neither centred."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 30)) + 2 * rng.normal(size=(80, 30)) + 3
    encoder = np.zeros((30, 2))
    encoder[:6] = rng.normal(size=(6, 2))
    return X, X @ encoder @ rng.normal(size=(2, 4)) + rng.normal(size=(80, 4)) - 1


def centred(X, Y):
    return X - X.mean(axis=0), Y - Y.mean(axis=0)


# --- reduced-rank regression


@pytest.mark.parametrize("rank", [1, 3])
def test_rrr_is_the_textbook_closed_form(pair, rank):
    Xc, Yc = centred(*pair)
    ols = np.linalg.solve(Xc.T @ Xc, Xc.T @ Yc)
    _, vectors = np.linalg.eigh(Yc.T @ Xc @ ols)
    top = vectors[:, -rank:]
    model = ReducedRankRegression(rank).fit(*pair)
    np.testing.assert_allclose(model.coef_.T, ols @ top @ top.T, atol=1e-10)
    np.testing.assert_allclose(
        model.intercept_, pair[1].mean(axis=0) - model.coef_ @ pair[0].mean(axis=0)
    )


@pytest.mark.parametrize("n_cells", [80, 12])
def test_rrr_of_full_rank_with_a_penalty_is_ridge(pair, n_cells):
    X, Y = pair[0][:n_cells], pair[1][:n_cells]
    model = ReducedRankRegression(rank=4, alpha=0.3).fit(X, Y)
    reference = Ridge(alpha=0.3 * n_cells, solver="cholesky").fit(X, Y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-10)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, atol=1e-10)


def test_rrr_with_more_genes_than_cells_is_the_solution_of_least_norm(rng):
    X, Y = rng.normal(size=(20, 3000)), rng.normal(size=(20, 3))
    Xc, Yc = centred(X, Y)
    model = ReducedRankRegression(rank=3).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-9)
    np.testing.assert_allclose(model.coef_.T, np.linalg.pinv(Xc) @ Yc, atol=1e-10)


# --- sparse reduced-rank regression


def kkt_violation(Xc, Yc, model):
    """Largest violation of the optimality conditions of the W-step, relative to the sparse penalty."""
    W, V = model.encoder_, model.decoder_
    sparse, ridge = model.alpha * model.l1_ratio, model.alpha * (1 - model.l1_ratio)
    slope = Xc.T @ (Yc @ V - Xc @ W) / len(Xc) - ridge * W
    if model.penalty == "group":
        size = np.linalg.norm(W, axis=1, keepdims=True)
        inside = np.linalg.norm(slope, axis=1, keepdims=True) - sparse
    else:
        size, inside = np.abs(W), np.abs(slope) - sparse
    outside = slope - sparse * W / np.where(size > 0, size, 1)
    return np.where(size > 0, np.abs(outside), np.maximum(inside, 0)).max() / sparse


@pytest.mark.parametrize("params", GRID, ids=str)
@pytest.mark.parametrize("alpha", [1.5, 0.1])
def test_solutions_are_stationary_and_the_objective_never_rises(pair, params, alpha):
    model = SparseReducedRankRegression(alpha=alpha, relaxed=False, max_iter=20_000, **params).fit(
        *pair
    )
    (Xc, Yc), W, V = centred(*pair), model.encoder_, model.decoder_
    assert model.get_support().any() and kkt_violation(Xc, Yc, model) < 1e-5
    # V is the polar factor of Y'X W exactly if V'Y'X W is symmetric with no negative eigenvalue.
    product = V.T @ Yc.T @ Xc @ W
    np.testing.assert_allclose(product, product.T, atol=1e-4 * np.abs(product).max())
    assert np.linalg.eigvalsh(product + product.T).min() > -1e-4 * np.abs(product).max()
    assert len(model.objective_) == model.n_iter_
    assert (np.diff(model.objective_) <= 1e-10 * model.objective_[0]).all()
    norm = np.linalg.norm(W, axis=1).sum() if params["penalty"] == "group" else np.abs(W).sum()
    penalty = params["l1_ratio"] * norm + (1 - params["l1_ratio"]) / 2 * (W**2).sum()
    expected = ((Yc - Xc @ W @ V.T) ** 2).sum() / (2 * len(Xc)) + alpha * penalty
    assert model.objective_[-1] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_group_penalty_at_full_rank_is_the_multi_response_elastic_net(pair, l1_ratio):
    model = SparseReducedRankRegression(rank=4, alpha=0.3, l1_ratio=l1_ratio, relaxed=False).fit(
        *pair
    )
    reference = MultiTaskElasticNet(alpha=0.3, l1_ratio=l1_ratio, tol=1e-12, max_iter=100_000).fit(
        *pair
    )
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-5)
    np.testing.assert_array_equal(model.get_support(), reference.coef_.any(axis=0))


@pytest.mark.parametrize(("penalty", "rank"), [("group", 1), ("group", 2), ("element", 2)])
def test_without_penalty_it_is_rrr_and_close_to_it_with_little(pair, penalty, rank):
    reference = ReducedRankRegression(rank).fit(*pair)
    model = SparseReducedRankRegression(rank, alpha=0, penalty=penalty).fit(*pair)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-10)
    model = SparseReducedRankRegression(rank, alpha=1e-6, penalty=penalty, relaxed=False).fit(*pair)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=2e-5)
    model = SparseReducedRankRegression(rank, alpha=0.4, l1_ratio=0, penalty=penalty).fit(*pair)
    np.testing.assert_allclose(
        model.coef_, ReducedRankRegression(rank, alpha=0.4).fit(*pair).coef_, atol=1e-12
    )


@pytest.mark.parametrize("penalty", ["group", "element"])
def test_relaxed_is_ridge_rrr_on_the_selected_genes(pair, penalty):
    X, Y = pair
    plain = SparseReducedRankRegression(rank=2, alpha=0.5, relaxed=False, penalty=penalty).fit(X, Y)
    relaxed = SparseReducedRankRegression(rank=2, alpha=0.5, penalty=penalty).fit(X, Y)
    genes = plain.get_support(indices=True)
    assert 2 < len(genes) < 30
    np.testing.assert_array_equal(relaxed.get_support(indices=True), genes)
    refit = ReducedRankRegression(rank=2, alpha=0.5).fit(X[:, genes], Y)
    np.testing.assert_allclose(relaxed.encoder_[genes], refit.encoder_, atol=1e-12)
    np.testing.assert_allclose(relaxed.predict(X), refit.predict(X[:, genes]), atol=1e-10)


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize("relaxed", [True, False])
def test_path_is_what_single_fits_give_in_the_order_asked(pair, penalty, relaxed):
    alphas = [0.3, 2.0, 0.3]
    template = SparseReducedRankRegression(
        alpha=9.0, penalty=penalty, relaxed=relaxed, l1_ratio=0.9
    )
    models = list(template.fit_path(*pair, alphas))
    assert [model.alpha for model in models] == alphas
    assert not hasattr(template, "coef_")
    for model in models:
        single = clone(model).fit(*pair)
        np.testing.assert_allclose(model.coef_, single.coef_, atol=2e-5)
        np.testing.assert_array_equal(model.get_support(), single.get_support())
        np.testing.assert_array_equal(model.transform(pair[0]).shape, (80, 2))


@pytest.mark.parametrize(
    "model", [ReducedRankRegression(alpha=0.1), SparseReducedRankRegression(alpha=0.1)], ids=str
)
def test_latent_space(pair, model):
    X, Y = pair
    model = clone(model).fit(X, Y)
    np.testing.assert_allclose(model.decoder_.T @ model.decoder_, np.eye(2), atol=1e-12)
    np.testing.assert_array_equal(model.coef_, model.decoder_ @ model.encoder_.T)
    assert (model.decoder_[np.abs(model.decoder_).argmax(axis=0), [0, 1]] > 0).all()
    latent = model.transform(X)
    np.testing.assert_allclose(latent.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(
        latent @ model.decoder_.T + Y.mean(axis=0), model.predict(X), atol=1e-10
    )
    np.testing.assert_array_equal(clone(model).fit_transform(X, Y), latent)
    for penalty in ("element", "group"):
        model = SparseReducedRankRegression(rank=3, alpha=0.5, relaxed=False, penalty=penalty).fit(
            *pair
        )
        covariance = np.cov(model.transform(pair[0]), rowvar=False)
        assert (np.diff(np.diag(covariance)) < 0).all()
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-8)


@pytest.mark.parametrize("rank", [2, 4])
def test_fewer_genes_than_the_rank(pair, rank):
    X, Y = pair
    path = list(SparseReducedRankRegression(rank=rank).fit_path(X, Y, np.linspace(20, 2, 19)))
    few = [model for model in path if 0 < model.get_support().sum() < rank]
    assert few
    for model in few:
        np.testing.assert_allclose(model.decoder_.T @ model.decoder_, np.eye(rank), atol=1e-12)
        assert np.linalg.matrix_rank(model.coef_) <= model.get_support().sum()
        assert model.n_iter_ < 100


@pytest.mark.parametrize("penalty", ["group", "element"])
def test_no_gene_selected_predicts_the_mean_and_warns(pair, penalty):
    X, Y = pair
    with pytest.warns(UserWarning, match="no gene is selected with alpha=1000"):
        model = SparseReducedRankRegression(alpha=1000, penalty=penalty).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), np.tile(Y.mean(axis=0), (80, 1)))
    assert model.score(X, Y) == pytest.approx(0) and model.get_feature_names_out().size == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a path that starts without genes is no reason
        none, some = SparseReducedRankRegression(penalty=penalty).fit_path(X, Y, [1000, 0.5])
    assert not none.get_support().any() and some.get_support().any()
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        SparseReducedRankRegression(alpha=0.1, max_iter=1, penalty=penalty).fit(X, Y)
