import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sbnn.models.bottleneck.protocols.greedy import cells_behind, forward_selection, grow_forest


def by_definition(X, Y, n_genes):
    """Try every gene; keep the one with the largest gain."""

    def error(genes):
        A = X[:, genes]
        return np.square(Y - A @ np.linalg.lstsq(A, Y)[0]).sum()

    chosen = []
    for _ in range(n_genes):
        left = np.setdiff1d(np.arange(X.shape[1]), chosen)
        errors = np.array([error([*chosen, gene]) for gene in left])
        chosen.append(int(left[errors.argmin()]))
    return chosen


@pytest.mark.parametrize(("n", "penalty"), [(60, 0.0), (20, 50.0)])
def test_it_follows_the_definition(n, penalty, rng):
    X = rng.normal(size=(n, 12)) @ rng.normal(size=(12, 12))
    Y = X @ rng.normal(size=(12, 3)) + rng.normal(size=(n, 3))
    X -= X.mean(0)
    Y -= Y.mean(0)
    # Ridge regression is least squares with a cell more for every gene.
    more_X = np.vstack([X, np.sqrt(penalty) * np.eye(12)])
    more_Y = np.vstack([Y, np.zeros((12, 3))])
    chosen = forward_selection(X, Y, 8, penalty).tolist()
    assert chosen == by_definition(more_X, more_Y, 8)
    if penalty:
        assert chosen != forward_selection(X, Y, 8).tolist()


def test_more_genes_than_cells_and_copies(rng):
    X = rng.normal(size=(30, 200)).astype(np.float32)
    X -= X.mean(0)
    chosen = forward_selection(X, X[:, [3, 50]], 40)
    assert set(chosen[:2]) == {3, 50}
    assert len(set(chosen)) == len(chosen) <= 30
    assert len(set(forward_selection(X.astype(float), X[:, :2], 45, penalty=30.0))) == 45
    copies = 0.01 * X[:, [0, 0, 1, 1]]
    assert forward_selection(copies, copies[:, :1], 4).tolist() == [0, 2]


def test_cells_behind_a_gene(rng):
    """About m for a gene at one level in m of many cells, n / 3 for a normal gene."""
    x = np.zeros((10_000, 3))
    x[:50, 0] = 7
    x[:, 1] = rng.normal(size=10_000)
    x -= x.mean(0)
    assert cells_behind(x) == pytest.approx([50, 3333, 0], rel=0.1)


def test_trees_are_those_of_the_seed(rng):
    X, Y = rng.normal(size=(2, 30, 4))
    forest = grow_forest(X, Y[:, :1], 7, np.random.RandomState(0))
    again = grow_forest(X, Y[:, :1], 7, np.random.RandomState(0))
    assert_array_equal(forest.predict(X), again.predict(X))
    other = grow_forest(X, Y[:, :1], 7, np.random.RandomState(1))
    assert (forest.predict(X) != other.predict(X)).any()
    assert len(forest.estimators_) == 7
    assert forest.min_samples_leaf == 3 and forest.max_features == 0.4
