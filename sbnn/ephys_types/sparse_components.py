"""Sparse principal components of one family of features, and how much variance each of them adds."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from sklearn.decomposition import SparsePCA

RIDGE = 0.01  # of the projection on the loadings, which need not be orthogonal; scikit-learn's default
TOLERANCE = 1e-4  # relative change of the objective at which the search ends
LEAST_ALPHA = 1e-6  # below, coordinate descent does not converge, and no loading is zero anyway
LEAST_SHARE = 1e-10  # of the variance: a component below is rounding


class SparseComponents(NamedTuple):
    """Sparse principal components of centred data.

    Attributes
    ----------
    loadings : ndarray, shape (k, p)
        Rows of unit length, ordered by the variance that they add.
    projection : ndarray, shape (p, k)
        From centred data to z-scored components.
    explained : ndarray, shape (k,)
        Adjusted share of the variance, falling.
    """

    loadings: np.ndarray
    projection: np.ndarray
    explained: np.ndarray


def sparse_components(X, n_components, alpha, least_variance=0.01, random_state=0):
    """Sparse principal components of which each adds to the variance explained.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Centred; without NaN.
    n_components : int or None
        Components to look for, at most p; None looks for as many as there are principal components with more than
        `least_variance` of the variance.
    alpha : float
        Strength of the l1 penalty in units of a correlation: a loading is zero about where the feature's covariance
        with the component is below `alpha`.
    least_variance : float
        Components are kept whose adjusted share of the variance is larger.
    random_state : int

    Returns
    -------
    SparseComponents
        Of as many components as were kept: perhaps none, for features that do not vary.

    Notes
    -----
    Components that are not orthogonal explain some of the variance twice. Adjusted as by Zou, Hastie and Tibshirani
    (Sparse principal component analysis, J. Comput. Graph. Stat. 15, 2006, section 3.4) each counts with what the ones
    before it leave over: with the scores Z = Q R that is R_jj^2. The order is that of the largest gain (a QR with
    column pivoting), since components of the algorithm come in none.
    """
    n, p = X.shape
    total = float(np.square(X).sum())
    if total == 0:
        return SparseComponents(np.zeros((0, p)), np.zeros((p, 0)), np.zeros(0))
    # The objective is the same for X and for Q'X, and there are often far more cells than features.
    small = np.linalg.qr(X, mode="r") if n > p else X
    # Fits subtract the column means again, which Q'X has although X has none: rows r and -r together have none.
    small = np.vstack([small, -small]) / np.sqrt(2)
    # The code of a feature is its covariance with a component of unit length over all cells, sqrt(n) times larger.
    if n_components is None:
        shares = np.square(np.linalg.svd(X, compute_uv=False)) / total
        n_components = int((shares > max(least_variance, LEAST_SHARE)).sum())
    penalty = max(alpha, LEAST_ALPHA) * np.sqrt(n)
    pca = SparsePCA(min(n_components, p), alpha=penalty, method="cd", tol=TOLERANCE, random_state=random_state).fit(
        small
    )
    loadings = pca.components_[pca.components_.any(axis=1)]
    projection = np.linalg.solve(loadings @ loadings.T + RIDGE * np.eye(len(loadings)), loadings).T
    scores = X @ projection
    R, order = qr(scores, mode="r", pivoting=True)
    explained = np.square(np.diagonal(R)) / total
    kept = order[: len(explained)][explained > max(least_variance, LEAST_SHARE)]
    return SparseComponents(loadings[kept], projection[:, kept] / scores[:, kept].std(axis=0), explained[: len(kept)])
