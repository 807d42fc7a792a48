"""Greedy forward selection of genes: at each step the one that explains most of what is left of all outputs."""

import numpy as np

from sbnn.models.bottleneck.gene_prior import most_important


def forward_selection(X, Y, n_genes, penalty=0.0, prior=None):
    """Choose genes one after the other by multi-response least squares."""
    n, p = X.shape
    squares = np.einsum("ij,ij->j", X, X, dtype=np.float64)
    left = squares.copy()  # squared length of each gene, orthogonal to the chosen ones
    cross = (X.T @ Y).astype(np.float64)  # of each gene, orthogonal to the chosen ones, with the outputs
    directions = np.zeros((min(n_genes, p) if penalty else min(n_genes, p, n), p))
    chosen = []
    for step in range(len(directions)):
        # A gene of which hardly anything is left would win by rounding errors.
        usable = left > 1e-3 * squares
        usable[chosen] = False
        if not usable.any():
            break
        gain = np.where(usable, np.square(cross).sum(1) / np.where(usable, left + penalty, 1), -1)
        if prior is None:
            gene = int(gain.argmax())
        else:
            [gene] = most_important(np.sqrt(gain.clip(0)), 1, prior, usable)
        chosen.append(gene)
        direction = X.T @ X[:, gene] - directions[:step, gene] @ directions[:step]
        length = np.sqrt(left[gene] + penalty)
        direction /= length
        directions[step] = direction
        cross -= np.outer(direction, cross[gene] / length)
        left -= np.square(direction)
    return np.array(chosen, dtype=int)


def cells_behind(x):
    """How many cells the variance of each gene comes from: m for a gene that m of many cells express alike."""
    squares = x.double().square()
    return (squares.sum(0).square() / squares.square().sum(0).clamp(min=1e-300)).cpu().numpy()
