"""Reduced-rank regression, plain and sparse, against textbook formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import polar
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sbnn import ReducedRankRegression, SparseReducedRankRegression


@pytest.fixture
def centred(pair):
    X, Y = pair
    return X - X.mean(axis=0), Y - Y.mean(axis=0)


# --- reduced-rank regression


@pytest.mark.parametrize(("rank", "n_cells", "alpha"), [(3, 80, 0.3), (2, 12, 0.3), (4, 12, 0.0)])
def test_rrr_is_the_textbook_closed_form(pair, rank, n_cells, alpha):
    """The solution of ridge regression or of least norm, projected onto principal outputs."""
    X = pair[0][:n_cells]
    Y = pair[1][:n_cells]
    Xc = X - X.mean(axis=0)
    Yc = Y - Y.mean(axis=0)
    gram = Xc.T @ Xc + alpha * n_cells * np.eye(30)
    full = np.linalg.pinv(gram, rcond=1e-10) @ Xc.T @ Yc
    _, vectors = np.linalg.eigh(Yc.T @ Xc @ full)
    top = vectors[:, -rank:]
    model = ReducedRankRegression(rank, alpha).fit(X, Y)
    assert_allclose(model.coef_.T, full @ top @ top.T, atol=1e-9)


def test_a_rank_above_the_outputs_is_refused(pair):
    model = ReducedRankRegression(rank=5)
    with pytest.raises(ValueError, match="rank must be .* got 5"):
        model.fit(*pair)


# --- sparse reduced-rank regression


@pytest.mark.parametrize("penalty", ["group", "element"])
@pytest.mark.parametrize(("rank", "alpha", "l1_ratio"), [(2, 1.5, 1.0), (2, 0.5, 0.2)])
def test_solutions_are_stationary(pair, centred, penalty, rank, alpha, l1_ratio):
    model = SparseReducedRankRegression(
        rank, alpha, l1_ratio, relaxed=False, penalty=penalty, max_iter=20_000
    )
    model.fit(*pair)
    Xc, Yc = centred
    W, V = model.encoder_, model.decoder_
    lasso, ridge = alpha * l1_ratio, alpha * (1 - l1_ratio)
    slope = Xc.T @ (Yc @ V - Xc @ W) / len(Xc)
    step = W + slope - ridge * W
    # rows, or every entry, of a step along the slope are shrunk, some to 0, back to where it began
    size = np.abs(step)
    if penalty == "group":
        size = np.linalg.norm(step, axis=1, keepdims=True)
    assert 0 < (size > lasso).mean() < 1
    assert_allclose(W, step * (1 - lasso / size).clip(0), atol=1e-3 * lasso)
    assert_allclose(V, polar(Yc.T @ Xc @ W)[0], atol=1e-4)


def test_relaxed_is_ridge_rrr_on_selected_genes(pair):
    X, Y = pair
    relaxed = SparseReducedRankRegression(alpha=0.5).fit(X, Y)
    plain = clone(relaxed).set_params(relaxed=False).fit(X, Y)
    genes = plain.get_support(indices=True)
    assert 2 < len(genes) < 30
    refit = ReducedRankRegression(alpha=0.5).fit(X[:, genes], Y)
    assert_allclose(relaxed.predict(X), refit.predict(X[:, genes]), atol=1e-10)


def test_without_lasso_it_is_ridge_rrr(pair):
    model = SparseReducedRankRegression(alpha=0.4, l1_ratio=0).fit(*pair)
    ridge = ReducedRankRegression(alpha=0.4).fit(*pair)
    assert_allclose(model.coef_, ridge.coef_, atol=1e-10)


def test_fewer_genes_than_the_rank(pair):
    """Parts of the decoder that no gene moves stay where they are."""
    model = SparseReducedRankRegression(4, 18.0).fit(*pair)
    assert model.get_support().sum() == model.n_iter_ == 1
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(4), atol=1e-12)


def test_without_genes_it_predicts_the_mean(pair):
    X, Y = pair
    model = SparseReducedRankRegression(alpha=1000).fit(X, Y)
    assert not model.get_support().any()
    assert_allclose(model.predict(X[:1]), [Y.mean(axis=0)])


def test_a_warning_if_alternations_do_not_converge(pair):
    model = SparseReducedRankRegression(alpha=0.1, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        model.fit(*pair)
    assert model.n_iter_ == 1


def test_alternations_of_many_single_weights_are_fewer(rng):
    """Where the penalty is weak, each takes long, and thousands would be needed."""
    X, Y = rng.standard_normal((120, 120)), 30 * rng.standard_normal((120, 4))
    model = SparseReducedRankRegression(2, alpha=0.2, penalty="element", max_iter=20, relaxed=False)
    with pytest.warns(ConvergenceWarning, match="in [3-9] alternations, as many as max_iter=20"):
        model.fit(X, Y)
    assert (model.encoder_ != 0).sum() > 200  # each in the time of four or more


# --- the latent space

GROUP = SparseReducedRankRegression(3, 0.5, relaxed=False)
ELEMENT = SparseReducedRankRegression(3, 0.5, relaxed=False, penalty="element")


@pytest.fixture(params=[ReducedRankRegression(3, alpha=0.1), GROUP, ELEMENT])
def model(request, pair):
    return clone(request.param).fit(*pair)


def test_the_decoder_is_orthonormal(model):
    V = model.decoder_
    assert_allclose(V.T @ V, np.eye(3), atol=1e-12)


def test_the_largest_weight_of_outputs_is_positive(model):
    V = model.decoder_
    largest = np.abs(V).argmax(axis=0)
    assert (V[largest, [0, 1, 2]] > 0).all()


def test_predictions_are_decoded_latent_variables(model, pair):
    X, _ = pair
    decoded = model.transform(X) @ model.decoder_.T + model.y_mean_
    assert_allclose(decoded, model.predict(X), atol=1e-10)


def test_variances_of_latent_variables_decrease(model, pair):
    X, _ = pair
    variances = model.transform(X).var(axis=0)
    assert (np.diff(variances) < 0).all()


def test_with_the_group_penalty_they_are_uncorrelated(pair):
    latent = clone(GROUP).fit_transform(*pair)
    covariance = np.cov(latent, rowvar=False)
    assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-8)
