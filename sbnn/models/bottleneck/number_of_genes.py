"""How many genes are needed: the smallest number that predicts held-out cells about as well as the best one."""

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils import _safe_indexing

from sbnn.metrics import smallest_sufficient

AUTO = "auto"
NUMBERS = (5, 10, 15, 25, 50, 100, 200)
N_FOLDS = 3


def numbers_up_to(n_genes, numbers=NUMBERS):
    """Those of the numbers that are smaller than the number of genes; that number itself where none is."""
    return tuple(number for number in numbers if number < n_genes) or (n_genes,)


def choose_number(model, X, Y, numbers=NUMBERS, n_folds=N_FOLDS):
    """Choose the number of genes of a model by held-out parts of its training cells."""
    numbers = numbers_up_to(X.shape[1], numbers)
    n_cells = X.shape[0]
    if n_cells < 2 * n_folds:
        raise ValueError(f"n_genes: 'auto' needs at least {2 * n_folds} cells to choose by, got {n_cells}")
    folds = KFold(n_folds, shuffle=True, random_state=0).split(np.arange(n_cells))
    r2 = [
        [
            clone(model)
            .set_params(n_genes=number, verbose=0)
            .fit(_safe_indexing(X, train), _safe_indexing(Y, train))
            .score(_safe_indexing(X, test), _safe_indexing(Y, test))
            for number in numbers
        ]
        for train, test in folds
    ]
    return smallest_sufficient(r2, numbers), np.array(r2), numbers
