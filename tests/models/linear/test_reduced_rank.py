import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import MultiTaskElasticNet, Ridge

from sbnn import ReducedRankRegression, SparseReducedRankRegression


@pytest.fixture(scope="module")
def pair():
    """Correlated genes X (80, 30) and outputs Y (80, 4) of rank 2 plus noise, neither centred."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 30)) + 3
    X += 2 * rng.normal(size=(80, 30))
    encoder = np.zeros((30, 2))
    encoder[:6] = rng.normal(size=(6, 2))
    Y = X @ encoder @ rng.normal(size=(2, 4)) - 1
    Y += rng.normal(size=(80, 4))
    return X, Y


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
    assert_allclose(model.coef_.T, ols @ top @ top.T, atol=1e-10)


@pytest.mark.parametrize("n_cells", [80, 12])
def test_rrr_of_full_rank_with_a_penalty_is_ridge(pair, n_cells):
    X, Y = pair[0][:n_cells], pair[1][:n_cells]
    model = ReducedRankRegression(rank=4, alpha=0.3).fit(X, Y)
    reference = Ridge(alpha=0.3 * n_cells, solver="cholesky").fit(X, Y)
    assert_allclose(model.coef_, reference.coef_, atol=1e-10)
    assert_allclose(model.intercept_, reference.intercept_, atol=1e-10)


def test_rrr_with_more_genes_than_cells_is_the_solution_of_least_norm(rng):
    X, Y = rng.normal(size=(20, 3000)), rng.normal(size=(20, 3))
    Xc, Yc = centred(X, Y)
    model = ReducedRankRegression(rank=3).fit(X, Y)
    assert_allclose(model.predict(X), Y, atol=1e-9)
    assert_allclose(model.coef_.T, np.linalg.pinv(Xc) @ Yc, atol=1e-10)


# --- sparse reduced-rank regression


def penalty_of(W, kind, l1_ratio):
    norm = np.abs(W) if kind == "element" else np.linalg.norm(W, axis=1)
    return l1_ratio * norm.sum() + (1 - l1_ratio) / 2 * (W**2).sum()


def kkt_violation(Xc, Yc, model):
    """Largest violation of the optimality conditions of W, relative to the sparse penalty."""
    W, V = model.encoder_, model.decoder_
    sparse = model.alpha * model.l1_ratio
    ridge = model.alpha * (1 - model.l1_ratio)
    residual = Yc @ V - Xc @ W
    slope = Xc.T @ residual / len(Xc) - ridge * W
    if model.penalty == "group":
        size = np.linalg.norm(W, axis=1, keepdims=True)
        inside = np.linalg.norm(slope, axis=1, keepdims=True) - sparse
    else:
        size = np.abs(W)
        inside = np.abs(slope) - sparse
    direction = W / np.where(size > 0, size, 1)
    outside = np.abs(slope - sparse * direction)
    return np.where(size > 0, outside, np.maximum(inside, 0)).max() / sparse


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.2])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("alpha", [1.5, 0.1])
def test_solutions_are_stationary_and_the_objective_never_rises(
    pair, penalty, l1_ratio, rank, alpha
):
    model = SparseReducedRankRegression(rank, alpha, l1_ratio, relaxed=False, penalty=penalty)
    model.set_params(max_iter=20_000).fit(*pair)
    Xc, Yc = centred(*pair)
    W, V = model.encoder_, model.decoder_
    assert W.any()
    assert kkt_violation(Xc, Yc, model) < 1e-5
    # V is the polar factor of Y'X W exactly if V'Y'X W is symmetric with no negative eigenvalue.
    product = V.T @ Yc.T @ Xc @ W
    bound = 1e-4 * np.abs(product).max()
    assert_allclose(product, product.T, atol=bound)
    assert np.linalg.eigvalsh(product + product.T).min() > -bound
    assert len(model.objective_) == model.n_iter_
    assert np.diff(model.objective_).max(initial=0) <= 1e-10 * model.objective_[0]
    residual = Yc - Xc @ W @ V.T
    error = (residual**2).sum() / (2 * len(Xc))
    expected = error + alpha * penalty_of(W, penalty, l1_ratio)
    assert model.objective_[-1] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_group_penalty_at_full_rank_is_the_multi_response_elastic_net(pair, l1_ratio):
    how = {"alpha": 0.3, "l1_ratio": l1_ratio}
    model = SparseReducedRankRegression(rank=4, relaxed=False, **how).fit(*pair)
    reference = MultiTaskElasticNet(tol=1e-12, max_iter=100_000, **how).fit(*pair)
    assert_allclose(model.coef_, reference.coef_, atol=1e-5)
    assert_array_equal(model.get_support(), reference.coef_.any(axis=0))


@pytest.mark.parametrize(("penalty", "rank"), [("group", 1), ("group", 2), ("element", 2)])
def test_without_a_sparse_penalty_it_is_rrr(pair, penalty, rank):
    none = SparseReducedRankRegression(rank, alpha=0, penalty=penalty).fit(*pair)
    little = SparseReducedRankRegression(rank, 1e-6, relaxed=False, penalty=penalty).fit(*pair)
    reference = ReducedRankRegression(rank).fit(*pair)
    assert_allclose(none.coef_, reference.coef_, atol=1e-10)
    assert_allclose(little.coef_, reference.coef_, atol=2e-5)
    assert none.n_iter_ == 1
    ridge_alone = SparseReducedRankRegression(rank, 0.4, l1_ratio=0, penalty=penalty).fit(*pair)
    reference = ReducedRankRegression(rank, alpha=0.4).fit(*pair)
    assert_allclose(ridge_alone.coef_, reference.coef_, atol=1e-12)


@pytest.mark.parametrize("penalty", ["group", "element"])
def test_relaxed_is_ridge_rrr_on_the_selected_genes(pair, penalty):
    X, Y = pair
    relaxed = SparseReducedRankRegression(alpha=0.5, penalty=penalty).fit(X, Y)
    plain = clone(relaxed).set_params(relaxed=False).fit(X, Y)
    genes = plain.get_support(indices=True)
    assert 2 < len(genes) < 30
    assert_array_equal(relaxed.get_support(indices=True), genes)
    refit = ReducedRankRegression(alpha=0.5).fit(X[:, genes], Y)
    assert_allclose(relaxed.encoder_[genes], refit.encoder_, atol=1e-12)
    assert_allclose(relaxed.predict(X), refit.predict(X[:, genes]), atol=1e-10)


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize("relaxed", [True, False])
def test_path_is_what_single_fits_give_in_the_order_asked(pair, penalty, relaxed):
    template = SparseReducedRankRegression(2, 9.0, 0.9, relaxed, penalty)
    models = list(template.fit_path(*pair, [0.3, 2.0, 0.3]))
    assert [model.alpha for model in models] == [0.3, 2.0, 0.3]
    assert not hasattr(template, "coef_")
    for model in models:
        single = clone(model).fit(*pair)
        assert_allclose(model.coef_, single.coef_, atol=2e-5)
        assert_array_equal(model.get_support(), single.get_support())


@pytest.mark.parametrize(
    "model", [ReducedRankRegression(alpha=0.1), SparseReducedRankRegression(alpha=0.1)], ids=str
)
def test_latent_space(pair, model):
    X, Y = pair
    model = clone(model).fit(X, Y)
    V = model.decoder_
    assert_allclose(V.T @ V, np.eye(2), atol=1e-12)
    assert (V[np.abs(V).argmax(axis=0), [0, 1]] > 0).all()
    latent = model.transform(X)
    assert_allclose(latent.mean(axis=0), 0, atol=1e-10)
    assert_allclose(latent @ V.T + Y.mean(axis=0), model.predict(X), atol=1e-10)
    assert_array_equal(clone(model).fit_transform(X, Y), latent)


@pytest.mark.parametrize("penalty", ["group", "element"])
def test_latent_variables_are_sorted_by_variance(pair, penalty):
    model = SparseReducedRankRegression(3, 0.5, relaxed=False, penalty=penalty).fit(*pair)
    covariance = np.cov(model.transform(pair[0]), rowvar=False)
    variances = np.diag(covariance)
    assert (np.diff(variances) < 0).all()
    if penalty == "group":
        assert_allclose(covariance, np.diag(variances), atol=1e-8)


@pytest.mark.parametrize("rank", [2, 4])
def test_fewer_genes_than_the_rank(pair, rank):
    path = SparseReducedRankRegression(rank=rank).fit_path(*pair, np.linspace(20, 2, 19))
    few = [model for model in path if 0 < model.get_support().sum() < rank]
    assert few
    for model in few:
        assert_allclose(model.decoder_.T @ model.decoder_, np.eye(rank), atol=1e-12)
        assert np.linalg.matrix_rank(model.coef_) <= model.get_support().sum()
        assert model.n_iter_ < 100


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_a_warning_says_below_which_penalty_genes_are_selected(pair, penalty, l1_ratio):
    template = SparseReducedRankRegression(2, 1000, l1_ratio, penalty=penalty)
    with pytest.warns(UserWarning, match="no gene is selected with alpha=1000") as warned:
        model = template.fit(*pair)
    X, Y = pair
    means = np.broadcast_to(Y.mean(axis=0), Y.shape)
    assert_allclose(model.predict(X), means)
    assert model.get_feature_names_out().size == 0
    bound = float(str(warned[0].message).split()[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a path that starts without genes is no reason
        none, some = template.fit_path(*pair, [1.01 * bound, 0.99 * bound])
    assert not none.get_support().any() and some.get_support().any()


def test_a_warning_if_alternations_do_not_converge(pair):
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        model = SparseReducedRankRegression(alpha=0.1, max_iter=1).fit(*pair)
    assert model.n_iter_ == 1
