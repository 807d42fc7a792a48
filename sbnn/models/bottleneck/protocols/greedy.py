"""Greedy forward selection of genes, and trees."""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor


def forward_selection(X, Y, n_genes, penalty=0.0):
    """Positions of up to `n_genes` genes that reduce the squared error the most, one by one.

    X, (n, p), and Y, (n, q), are centred.
    """
    # Orthogonal least squares (Chen, Billings and Luo, International Journal of Control 50, 1873,
    # 1989). A penalty of 3 n acts as if three quarters of the variance of every gene were noise.
    n, p = X.shape
    n_steps = min(n_genes, p)
    if not penalty:
        n_steps = min(n_steps, n)
    squares = np.einsum("ij,ij->j", X, X, dtype=np.float64)
    # squared length of each gene, orthogonal to the chosen genes
    left = squares.copy()
    cross = (X.T @ Y).astype(np.float64)  # inner products of this part with the outputs
    directions = np.zeros((n_steps, p))
    chosen = []
    for step in range(n_steps):
        # rounding errors could favour a gene with hardly any orthogonal part
        usable = left > 1e-3 * squares
        usable[chosen] = False
        if not usable.any():
            break
        lengths = np.where(usable, left + penalty, 1)
        explained = np.square(cross).sum(1) / lengths
        gene = int(np.where(usable, explained, -1).argmax())
        chosen.append(gene)
        earlier = directions[:step]
        direction = X.T @ X[:, gene] - earlier[:, gene] @ earlier
        length = np.sqrt(left[gene] + penalty)
        direction /= length
        directions[step] = direction
        cross -= np.outer(direction, cross[gene] / length)
        left -= np.square(direction)
    return np.array(chosen, dtype=int)


def cells_behind(X):
    """Effective number of cells behind the variance of each centred gene, (p,)."""
    # m for a gene at the same level in m of many cells, n / 3 for a normal gene, 0 for a constant
    squares = np.square(X, dtype=np.float64)
    fourth_powers = np.square(squares).sum(axis=0).clip(min=1e-300)
    return np.square(squares.sum(axis=0)) / fourth_powers


def grow_forest(X, Y, n_trees, random):
    """Extremely randomised trees (Geurts, Ernst and Wehenkel, Machine Learning 63, 3, 2006)."""
    seed = int(random.randint(2**31 - 1))
    forest = ExtraTreesRegressor(n_trees, min_samples_leaf=3, max_features=0.4, random_state=seed)
    if Y.shape[1] == 1:
        Y = Y[:, 0]
    return forest.fit(X, Y)
