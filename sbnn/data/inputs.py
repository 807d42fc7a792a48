"""The border: turns what users hand over (numpy, pandas, AnnData) into named matrices."""

import numpy as np
import pandas as pd
from scipy import sparse


def is_anndata(X):
    """Whether an object is an AnnData or looks like one."""
    return hasattr(X, "var_names") and hasattr(X, "obsm")


def expression_table(X):
    """Expression as scikit-learn accepts it; an AnnData becomes a DataFrame with its gene names.

    Parameters
    ----------
    X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)

    Returns
    -------
    array-like or DataFrame, shape (n, p)

    Raises
    ------
    ValueError
        If gene names repeat.
    """
    if is_anndata(X):
        matrix = X.X
        matrix = matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)
        X = pd.DataFrame(matrix, index=X.obs_names, columns=X.var_names)
    elif sparse.issparse(X):
        X = X.toarray()
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        repeated = list(X.columns[X.columns.duplicated()].unique()[:5])
        raise ValueError(f"X: gene names must be unique, these repeat: {repeated}")
    return X


def output_table(X, Y):
    """Outputs that go with `X`: given as they are, or by the name of a table in ``X.obsm``.

    Parameters
    ----------
    X : array-like or AnnData
    Y : array-like, DataFrame, str or None
        A str is a key of ``X.obsm``; None means ``"outputs"`` when X is an AnnData.

    Returns
    -------
    array-like or DataFrame, shape (n, q) or (n,)

    Raises
    ------
    ValueError
        If the key is not there, or the rows of two tables have different names.
    """
    if is_anndata(X) and (Y is None or isinstance(Y, str)):
        key = "outputs" if Y is None else Y
        if key not in X.obsm:
            raise ValueError(f"Y: the AnnData has no obsm[{key!r}]; it has {list(X.obsm)}")
        return X.obsm[key]
    if isinstance(Y, str):
        raise ValueError(f"Y: a name ({Y!r}) needs an AnnData as X, got {type(X).__name__}")
    if isinstance(X, pd.DataFrame) and isinstance(Y, pd.DataFrame) and len(X) == len(Y) and not X.index.equals(Y.index):
        if set(X.index) == set(Y.index):
            raise ValueError("Y: the rows are the same cells as those of X in another order; use Y = Y.loc[X.index]")
        if not _default_index(X) and not _default_index(Y):
            raise ValueError(f"Y: row names differ from those of X, first {Y.index[0]!r} against {X.index[0]!r}")
    return Y


def output_names(Y, n_outputs):
    """Names of the outputs: the columns of a table, else ``output0``, ``output1``, ... as an object array."""
    if isinstance(Y, pd.DataFrame):
        return np.array([str(name) for name in Y.columns], dtype=object)
    return np.array([f"output{i}" for i in range(n_outputs)], dtype=object)


def _default_index(table):
    return isinstance(table.index, pd.RangeIndex)
