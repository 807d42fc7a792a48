"""The group lasso with more genes than cells, against its optimality conditions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sbnn.models import sparse_linear
from sbnn.models.sparse_linear import SparseReducedRankRegression, group_elastic_net


def problem(n_cells, n_genes, n_outputs):
    """Correlated genes X and outputs Z that some of them drive, centred."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_cells, 6)) @ rng.normal(size=(6, n_genes))
    X += rng.normal(size=(n_cells, n_genes))
    Z = rng.normal(size=(n_cells, n_outputs))
    Z += X[:, :8] @ rng.normal(size=(8, n_outputs))
    return X - X.mean(axis=0), Z - Z.mean(axis=0)


@pytest.mark.parametrize("shape", [(20, 60, 3), (30, 31, 1), (12, 300, 12)])
@pytest.mark.parametrize(("share", "ridge"), [(0.5, 0.0), (0.01, 0.0), (0.1, 0.2)])
@pytest.mark.parametrize("n_copies", [0, 9])
def test_the_optimality_conditions_hold(shape, share, ridge, n_copies):
    X, Z = problem(*shape)
    X = np.hstack([X, X[:, :n_copies], 0 * X[:, :n_copies]])
    penalty = share * np.linalg.norm(X.T @ Z, axis=1).max() / len(X)
    start = np.zeros((X.shape[1], Z.shape[1]))  # rows from elsewhere have to leave
    start[::3] = np.random.default_rng(1).normal(size=start[::3].shape)
    W = group_elastic_net(X, Z, start, penalty, ridge, 1e-6)
    used = W.any(axis=1)
    assert used.any() and not used.all()
    slope = X.T @ (Z - X @ W) / len(X) - ridge * W
    direction = W[used] / np.linalg.norm(W[used], axis=1, keepdims=True)
    bound = (1e-6 if n_copies else 1e-9) * penalty
    assert_allclose(slope[used], penalty * direction, atol=bound)
    assert np.linalg.norm(slope[~used], axis=1).max() < penalty + bound


def test_a_path_of_many_genes_leaves_nothing_to_coordinate_descent(monkeypatch):
    """Which takes thousands of passes there: it returns the start that it is given."""
    X, Y = problem(40, 600, 20)
    Y /= Y.std(axis=0)
    descend = sparse_linear.enet_path
    moved = []

    def watched(triangular, Z, coef_init, **options):
        start = coef_init.copy()
        found = descend(triangular, Z, coef_init=coef_init, **options)
        if triangular.shape[0] < triangular.shape[1]:
            moved.append(np.abs(found[1][:, :, 0] - start).max())
        return found

    monkeypatch.setattr(sparse_linear, "enet_path", watched)
    model = SparseReducedRankRegression(rank=20, relaxed=False)
    *_, last = model.fit_path(X, Y, [0.8, 0.4, 0.2, 0.1])
    assert len(moved) >= 3
    assert max(moved) < 1e-12
    slope = X.T @ (Y - X @ last.coef_.T) / len(X)
    assert np.linalg.norm(slope, axis=1).max() == pytest.approx(0.1, rel=1e-6)
    assert 40 < last.get_support().sum() < 600
