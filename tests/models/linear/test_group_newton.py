"""The group lasso with more genes than cells, against its optimality conditions and an independent solver."""

import numpy as np
import pytest

from sbnn import simulate_patchseq
from sbnn.data.paired import as_paired
from sbnn.models import sparse_linear as sparse
from sbnn.models.sparse_linear import SparseReducedRankRegression, group_elastic_net


def problem(n_cells, n_genes, n_outputs, seed=0):
    """Correlated genes X and outputs Z that some of them drive, centred."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_cells, 6)) @ rng.normal(size=(6, n_genes)) + rng.normal(
        size=(n_cells, n_genes)
    )
    Z = X[:, :8] @ rng.normal(size=(8, n_outputs)) + rng.normal(size=(n_cells, n_outputs))
    return X - X.mean(axis=0), Z - Z.mean(axis=0)


def largest_violation(X, Z, W, penalty, ridge):
    """Of the optimality conditions, relative to the penalty."""
    slope = X.T @ (Z - X @ W) / len(X) - ridge * W
    size = np.linalg.norm(W, axis=1)
    used = size > 0
    wrong = slope[used] - penalty * W[used] / size[used, None]
    entering = np.linalg.norm(slope[~used], axis=1) - penalty
    return max(np.abs(wrong).max(initial=0), entering.max(initial=0)) / penalty


@pytest.mark.parametrize("shape", [(20, 60, 3), (30, 31, 1), (12, 300, 12)])
@pytest.mark.parametrize("share", [0.5, 0.01])
@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("is_warm", [False, True])
def test_the_optimality_conditions_hold(shape, share, ridge, is_warm):
    X, Z = problem(*shape)
    penalty = share * np.linalg.norm(X.T @ Z, axis=1).max() / len(X)
    start = np.zeros((X.shape[1], Z.shape[1]))
    if is_warm:  # from elsewhere, with rows that have to leave
        start[::3] = np.random.default_rng(1).normal(size=start[::3].shape)
    W = group_elastic_net(X, Z, start, penalty, ridge, 1e-6)
    assert W.any() and not W.any(axis=1).all()
    assert largest_violation(X, Z, W, penalty, ridge) < 1e-9


def test_genes_that_are_alike_or_constant():
    X, Z = problem(20, 50, 4)
    X = np.hstack([X, X[:, :10], np.zeros((20, 5))])
    W = group_elastic_net(X, Z, np.zeros((65, 4)), 0.3, 0.0, 1e-6)
    assert not W[60:].any()
    assert largest_violation(X, Z, W, 0.3, 0.0) < 1e-6
    single = group_elastic_net(X[:, :50], Z, np.zeros((50, 4)), 0.3, 0.0, 1e-6)
    np.testing.assert_allclose(X @ W, X[:, :50] @ single, atol=1e-5)


def test_a_path_of_many_genes_leaves_nothing_to_coordinate_descent(monkeypatch):
    """Which takes thousands of passes there: it returns the start that it is given."""
    data = as_paired(
        simulate_patchseq(
            n_cells=40, n_genes=600, n_outputs=20, n_true_genes=10, n_families=2, n_types=4
        )
    )
    X, Y = data.X - data.X.mean(axis=0), (data.Y - data.Y.mean(axis=0)) / data.Y.std(axis=0)
    descend, moved = sparse.enet_path, []

    def spied(triangular, Z, coef_init, **options):
        start = coef_init.copy()
        found = descend(triangular, Z, coef_init=coef_init, **options)
        if triangular.shape[0] < triangular.shape[1]:
            moved.append(np.abs(found[1][:, :, 0] - start).max())
        return found

    monkeypatch.setattr(sparse, "enet_path", spied)
    model = SparseReducedRankRegression(rank=20, relaxed=False)
    fitted = list(model.fit_path(X, Y, [0.8, 0.4, 0.2, 0.1]))
    assert len(moved) >= 3 and not any(moved)
    for each in fitted:
        slope = X.T @ (Y - X @ each.coef_.T) / len(X)
        assert np.linalg.norm(slope, axis=1).max() == pytest.approx(each.alpha, rel=1e-6)
    assert 40 < fitted[-1].get_support().sum() < 600
