import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import polar
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sbnn import ReducedRankRegression, SparseReducedRankRegression


def centred(X, Y):
    return X - X.mean(axis=0), Y - Y.mean(axis=0)


# --- reduced-rank regression


@pytest.mark.parametrize(("rank", "n_cells", "alpha"), [(3, 80, 0.3), (2, 12, 0.3), (4, 12, 0.0)])
def test_rrr_is_the_textbook_closed_form(pair, rank, n_cells, alpha):
    """The solution of ridge regression or of least norm, projected onto principal outputs."""
    X, Y = pair[0][:n_cells], pair[1][:n_cells]
    Xc, Yc = centred(X, Y)
    full = np.linalg.pinv(Xc.T @ Xc + alpha * n_cells * np.eye(30), rcond=1e-10) @ Xc.T @ Yc
    _, vectors = np.linalg.eigh(Yc.T @ Xc @ full)
    top = vectors[:, -rank:]
    expected = full @ top @ top.T
    model = ReducedRankRegression(rank, alpha).fit(X, Y)
    assert_allclose(model.coef_.T, expected, atol=1e-9)


def test_a_rank_above_the_number_of_outputs_is_refused(pair):
    with pytest.raises(ValueError, match="rank"):
        ReducedRankRegression(rank=5).fit(*pair)


# --- sparse reduced-rank regression


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize(("rank", "alpha", "l1_ratio"), [(2, 1.5, 1.0), (2, 0.5, 0.2)])
def test_solutions_are_stationary(pair, penalty, rank, alpha, l1_ratio):
    model = SparseReducedRankRegression(rank, alpha, l1_ratio, relaxed=False, penalty=penalty)
    model.set_params(max_iter=20_000).fit(*pair)
    Xc, Yc = centred(*pair)
    W, V = model.encoder_, model.decoder_
    sparse, ridge = alpha * l1_ratio, alpha * (1 - l1_ratio)
    step = W + Xc.T @ (Yc @ V - Xc @ W) / len(Xc) - ridge * W
    # rows, or every entry, of a step along the slope are shrunk, some to 0, back to where it began
    size = np.linalg.norm(step, axis=1, keepdims=True) if penalty == "group" else np.abs(step)
    assert 0 < (size > sparse).mean() < 1
    assert_allclose(W, step * (1 - sparse / size).clip(0), atol=1e-3 * sparse)
    assert_allclose(V, polar(Yc.T @ Xc @ W)[0], atol=1e-4)


def test_relaxed_is_ridge_rrr_on_the_selected_genes(pair):
    X, Y = pair
    relaxed = SparseReducedRankRegression(alpha=0.5).fit(X, Y)
    plain = clone(relaxed).set_params(relaxed=False).fit(X, Y)
    genes = plain.get_support(indices=True)
    assert 2 < len(genes) < 30
    refit = ReducedRankRegression(alpha=0.5).fit(X[:, genes], Y)
    assert_allclose(relaxed.predict(X), refit.predict(X[:, genes]), atol=1e-10)
    everything = SparseReducedRankRegression(alpha=0.4, l1_ratio=0).fit(X, Y)
    assert_allclose(everything.coef_, ReducedRankRegression(alpha=0.4).fit(X, Y).coef_, atol=1e-10)


@pytest.mark.parametrize(
    "model",
    [
        ReducedRankRegression(3, alpha=0.1),
        SparseReducedRankRegression(3, 0.5, relaxed=False),
        SparseReducedRankRegression(3, 0.5, relaxed=False, penalty="element"),
    ],
)
def test_latent_space(pair, model):
    latent = model.fit_transform(*pair)
    V = model.decoder_
    assert_allclose(V.T @ V, np.eye(3), atol=1e-12)
    assert (V[np.abs(V).argmax(axis=0), [0, 1, 2]] > 0).all()
    assert_allclose(latent @ V.T + model.y_mean_, model.predict(pair[0]), atol=1e-10)
    covariance = np.cov(latent, rowvar=False)
    assert (np.diff(np.diag(covariance)) < 0).all()
    if model.get_params().get("penalty") == "group":
        assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-8)


def test_fewer_genes_than_the_rank(pair):
    """Parts of the decoder that no gene moves stay where they are."""
    model = SparseReducedRankRegression(4, 18.0).fit(*pair)
    assert model.get_support().sum() == model.n_iter_ == 1
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(4), atol=1e-12)


def test_without_genes_it_predicts_the_mean(pair):
    model = SparseReducedRankRegression(alpha=1000).fit(*pair)
    assert not model.get_support().any()
    assert_allclose(model.predict(pair[0][:1]), [pair[1].mean(axis=0)])


def test_a_warning_if_alternations_do_not_converge(pair):
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        model = SparseReducedRankRegression(alpha=0.1, max_iter=1).fit(*pair)
    assert model.n_iter_ == 1
