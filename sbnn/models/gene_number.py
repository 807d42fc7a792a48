"""The number of genes, chosen on held-out parts of the training cells."""

import inspect

import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import _safe_indexing

from sbnn.metrics import smallest_sufficient

AUTO = "auto"
NUMBERS = (5, 10, 15, 25, 50, 100, 200)  # numbers of genes to compare
N_PARTS = 3  # held-out parts of the cells on which they are compared


def numbers_up_to(n_genes, numbers=NUMBERS):
    """The `numbers` below `n_genes`, or only `n_genes` if there are none."""
    smaller = tuple(number for number in numbers if number < n_genes)
    return smaller or (n_genes,)


def choose_n_genes(estimator, X, Y, groups=None, numbers=None):
    """Choose the number of genes of a network by cross-validation.

    Parameters
    ----------
    estimator : estimator with the parameter ``n_genes``
    X : ndarray or DataFrame, shape (n, p)
    Y : ndarray or DataFrame, shape (n, q) or (n,)
    groups : array-like, shape (n,), optional
        Donor, batch or date of each cell, which are not split.
    numbers : sequence of int, default=(5, 10, 15, 25, 50, 100, 200)
        Ascending numbers of genes; those below p are compared.

    Returns
    -------
    number : int
        The smallest whose R2 is within one standard error of the best.
    r2 : DataFrame
        R2 for each number of genes (rows) on each held-out part (columns).
    """
    if groups is None:
        parts = KFold(N_PARTS, shuffle=True, random_state=0)
    else:
        n_parts = min(N_PARTS, len(set(groups)))
        parts = GroupKFold(n_parts, shuffle=True, random_state=0)
    numbers = numbers_up_to(X.shape[1], NUMBERS if numbers is None else numbers)
    r2 = pd.DataFrame(index=pd.Index(numbers, name="n_genes"))
    for part, (train, test) in enumerate(parts.split(X, groups=groups)):
        for number in numbers:
            model = clone(estimator).set_params(n_genes=number)
            model.fit(_safe_indexing(X, train), _safe_indexing(Y, train))
            r2.loc[number, part] = model.score(_safe_indexing(X, test), _safe_indexing(Y, test))
    # not corrected for shared cells, to agree with stored fits
    return smallest_sufficient(r2.to_numpy().T, numbers), r2


class WithNumberChosen(BaseEstimator):
    """An estimator whose fit chooses the number of genes if `n_genes` is "auto"."""

    def __init__(self, estimator, n_genes=AUTO):
        self.estimator = estimator
        self.n_genes = n_genes

    @property
    def described_as(self):
        """What identifies stored results."""
        return clone(self.estimator).set_params(n_genes=self.n_genes)

    def fit(self, X, Y, eval_set=None):
        """Choose the number of genes, then fit all cells."""
        number = self.n_genes
        if number == AUTO:
            number, self.number_curve_ = choose_n_genes(self.estimator, X, Y)
        self.model_ = clone(self.estimator).set_params(n_genes=number)
        if "eval_set" in inspect.signature(self.model_.fit).parameters:
            self.model_.fit(X, Y, eval_set=eval_set)
        else:
            self.model_.fit(X, Y)
        return self

    def __getattr__(self, name):
        # for names that this class does not have, such as predict or history_
        if name.startswith("__") or "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name!r} before fit")
        return getattr(self.model_, name)
