import numpy as np
import pytest

from sbnn.models.bottleneck.protocols.greedy import forward_selection


def by_least_squares(X, Y, n_genes):
    """The definition: try every gene, keep the one with the smallest error."""
    chosen = []
    for _ in range(n_genes):
        errors = {}
        for gene in set(range(X.shape[1])) - set(chosen):
            A = X[:, [*chosen, gene]]
            errors[gene] = np.square(Y - A @ np.linalg.lstsq(A, Y)[0]).sum()
        chosen.append(min(errors, key=errors.get))
    return chosen


@pytest.mark.parametrize(("n", "penalty"), [(60, 0.0), (20, 50.0)])
def test_it_follows_the_definition(n, penalty, rng):
    X = rng.normal(size=(n, 12)) @ rng.normal(size=(12, 12))
    Y = X @ rng.normal(size=(12, 3)) + rng.normal(size=(n, 3))
    X, Y = X - X.mean(0), Y - Y.mean(0)
    # Ridge regression is least squares with a cell more for every gene.
    cells = np.vstack([X, np.sqrt(penalty) * np.eye(12)]), np.vstack([Y, np.zeros((12, 3))])
    chosen = forward_selection(X, Y, 8, penalty=penalty).tolist()
    assert chosen == by_least_squares(*cells, 8)
    assert penalty == 0 or chosen != forward_selection(X, Y, 8).tolist()


def test_more_genes_than_cells(rng):
    X = rng.normal(size=(30, 200)).astype(np.float32)
    Y = X[:, [3, 50]] @ rng.normal(size=(2, 4)).astype(np.float32)
    chosen = forward_selection(X, Y, 40)
    assert set(chosen[:2]) == {3, 50} and len(set(chosen)) == len(chosen) <= 30
    X, Y = X.astype(float) - X.mean(0), Y.astype(float)
    assert len(set(forward_selection(X, Y, 45, penalty=30.0))) == 45, (
        "with a penalty there may be more"
    )
