import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

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


@pytest.mark.parametrize(("n_cells", "alpha"), [(80, 0.3), (12, 0.3), (12, 0.0)])
def test_rrr_of_full_rank_is_ridge_or_the_solution_of_least_norm(pair, n_cells, alpha):
    X, Y = pair[0][:n_cells], pair[1][:n_cells]
    model = ReducedRankRegression(rank=4, alpha=alpha).fit(X, Y)
    Xc, Yc = centred(X, Y)
    more_X = np.vstack([Xc, np.sqrt(alpha * n_cells) * np.eye(30)])
    more_Y = np.vstack([Yc, np.zeros((30, 4))])
    expected = np.linalg.pinv(more_X) @ more_Y
    assert_allclose(model.coef_.T, expected, atol=1e-10)
    assert_allclose(model.predict(X), Xc @ expected + Y.mean(axis=0), atol=1e-9)


# --- sparse reduced-rank regression


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize(("rank", "alpha", "l1_ratio"), [(2, 1.5, 1.0), (2, 0.5, 0.2)])
def test_solutions_are_stationary(pair, penalty, rank, alpha, l1_ratio):
    model = SparseReducedRankRegression(rank, alpha, l1_ratio, relaxed=False, penalty=penalty)
    model.set_params(max_iter=20_000).fit(*pair)
    Xc, Yc = centred(*pair)
    W, V = model.encoder_, model.decoder_
    sparse, ridge = alpha * l1_ratio, alpha * (1 - l1_ratio)
    size = np.abs(W) if penalty == "element" else np.linalg.norm(W, axis=1, keepdims=True)
    slope = Xc.T @ (Yc @ V - Xc @ W) / len(Xc) - ridge * W
    used = np.broadcast_to(size > 0, W.shape)
    assert used.any() and not used.all()
    expected = sparse * W / np.where(size > 0, size, 1)
    assert_allclose(slope[used], expected[used], atol=1e-3 * sparse)
    unused = np.abs(slope) if penalty == "element" else np.linalg.norm(slope, axis=1, keepdims=True)
    assert unused[size == 0].max() < (1 + 1e-3) * sparse
    # V is the polar factor of Y'X W exactly if V'Y'X W is symmetric with no negative eigenvalue.
    product = V.T @ Yc.T @ Xc @ W
    bound = 1e-4 * np.abs(product).max()
    assert_allclose(product, product.T, atol=bound)
    assert np.linalg.eigvalsh(product + product.T).min() > -bound


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize("how", [{"alpha": 0}, {"alpha": 0.4, "l1_ratio": 0}])
def test_without_a_sparse_penalty_it_is_rrr(pair, penalty, how):
    model = SparseReducedRankRegression(penalty=penalty, **how).fit(*pair)
    reference = ReducedRankRegression(alpha=how["alpha"]).fit(*pair)
    assert_allclose(model.coef_, reference.coef_, atol=1e-10)
    assert model.n_iter_ == 1


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


@pytest.mark.parametrize(
    "model",
    [
        ReducedRankRegression(3, alpha=0.1),
        SparseReducedRankRegression(3, 0.5, relaxed=False),
        SparseReducedRankRegression(3, 0.5, relaxed=False, penalty="element"),
    ],
)
def test_latent_space(pair, model):
    X, Y = pair
    latent = clone(model).fit_transform(X, Y)
    model = clone(model).fit(X, Y)
    V = model.decoder_
    assert_allclose(V.T @ V, np.eye(3), atol=1e-12)
    assert (V[np.abs(V).argmax(axis=0), [0, 1, 2]] > 0).all()
    assert_allclose(latent @ V.T + Y.mean(axis=0), model.predict(X), atol=1e-10)
    covariance = np.cov(latent, rowvar=False)
    assert (np.diff(np.diag(covariance)) < 0).all()
    if model.get_params().get("penalty") == "group":
        assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-8)


@pytest.mark.parametrize("rank", [2, 4])
def test_fewer_genes_than_the_rank(pair, rank):
    fits = [SparseReducedRankRegression(rank, alpha).fit(*pair) for alpha in range(2, 21)]
    few = [model for model in fits if 0 < model.get_support().sum() < rank]
    assert few
    for model in few:
        assert_allclose(model.decoder_.T @ model.decoder_, np.eye(rank), atol=1e-12)
        assert np.linalg.matrix_rank(model.coef_) <= model.get_support().sum()
        assert model.n_iter_ < 100


@pytest.mark.parametrize(("penalty", "l1_ratio"), [("group", 1.0), ("element", 0.5)])
def test_without_genes_it_predicts_the_mean(pair, penalty, l1_ratio):
    model = SparseReducedRankRegression(2, 1000, l1_ratio, penalty=penalty).fit(*pair)
    assert not model.get_support().any()
    assert_allclose(model.predict(pair[0]), np.tile(pair[1].mean(axis=0), (80, 1)))


def test_a_warning_if_alternations_do_not_converge(pair):
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        model = SparseReducedRankRegression(alpha=0.1, max_iter=1).fit(*pair)
    assert model.n_iter_ == 1
