"""Reduced-rank regression in closed form, with an optional ridge penalty."""

import numpy as np

from sbnn.models.linear.base import LatentRegressor


class ReducedRankRegression(LatentRegressor):
    """Least squares (or ridge) under a bound on the rank: the linear bottleneck on all genes.

    Minimises ``|Y - X W V'|^2 / (2 n) + alpha / 2 |W|^2`` over the encoder W (p, rank) and the orthonormal decoder
    V (q, rank), both X and Y centred. The global minimum is known in closed form (Izenman 1975; Mukherjee and Zhu
    2011 with the penalty). It is computed from a singular value decomposition of X, never of X'X, at the
    cost of the smaller side of X; with ``alpha=0`` and more genes than cells it is the solution of least norm.

    Parameters
    ----------
    rank : int, default=2
        Width of the bottleneck, 1 .. min(p, q).
    alpha : float, default=0.0
        Ridge penalty.

    Attributes
    ----------
    encoder_ : ndarray of shape (p, rank)
        W, columns ordered by the variance they explain, the largest first.
    decoder_ : ndarray of shape (q, rank)
        V, orthonormal columns; the entry of largest magnitude in each is positive.
    coef_ : ndarray of shape (q, p) or (p,)
        ``decoder_ @ encoder_.T``; one-dimensional for a one-dimensional ``y``.
    intercept_ : ndarray of shape (q,) or float
    x_mean_, y_mean_ : ndarray of shape (p,) and (q,)
        Training means.
    n_features_in_, feature_names_in_
        Number of genes; their names, where X has them.

    References
    ----------
    Izenman, "Reduced-rank regression for the multivariate linear model", J. Multivariate Analysis 5, 1975.
    Mukherjee and Zhu, "Reduced rank ridge regression and its kernel extensions", Stat. Anal. Data Min. 4, 2011.
    """

    def __init__(self, rank=2, alpha=0.0):
        self.rank = rank
        self.alpha = alpha

    def _solve(self, X, Y, alphas, start=None):
        for encoder, decoder in ridge_reduced_rank(X, Y, self.rank, alphas):
            yield {"encoder_": encoder, "decoder_": decoder}


def ridge_reduced_rank(X, Y, rank, alphas):
    """Closed-form solutions for several penalties from one decomposition of X.

    The penalty turns into n more cells of a least-squares problem, [X; sqrt(n alpha) 1] against [Y; 0]. There, the
    decoder is spanned by the first right singular vectors of the fitted outputs, and the encoder is the ridge
    solution times the decoder.

    Parameters
    ----------
    X : ndarray of shape (n, p), float64
        Centred.
    Y : ndarray of shape (n, q), float64
        Centred.
    rank : int
        At most q. If it exceeds p, the last columns of the encoder are zero.
    alphas : iterable of float
        Penalties, as in `ReducedRankRegression`.

    Yields
    ------
    encoder : ndarray of shape (p, rank)
    decoder : ndarray of shape (q, rank)
    """
    n = len(X)
    left, spread, right = np.linalg.svd(X, full_matrices=False)
    kept = spread > spread[0] * max(X.shape) * np.finfo(np.float64).eps
    left, spread, right = left[:, kept], spread[kept], right[kept]
    projected = left.T @ Y
    for alpha in alphas:
        penalised = spread**2 + n * alpha
        fitted = (spread / np.sqrt(penalised))[:, None] * projected  # (k, q): its Gram matrix is that of the fit
        directions = np.linalg.svd(fitted, full_matrices=len(fitted) < rank)[2]
        decoder = directions[:rank].T
        encoder = right.T @ ((spread / penalised)[:, None] * (projected @ decoder))
        yield with_positive_peaks(encoder, decoder)


def with_positive_peaks(encoder, decoder):
    """Flip latent variables so that each decoder column has a positive entry of largest magnitude.

    Singular vectors have no sign of their own; a rule makes them the same everywhere.
    """
    peaks = decoder[np.abs(decoder).argmax(axis=0), np.arange(decoder.shape[1])]
    signs = np.where(peaks < 0, -1.0, 1.0)
    return encoder * signs, decoder * signs
