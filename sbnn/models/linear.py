"""Linear baselines: ridge and reduced-rank regression.

The models do not scale X and Y, so z-score genes and outputs beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeCV
from sklearn.utils._param_validation import Interval
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.extmath import svd_flip
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sbnn.data.checks import get_cell_names
from sbnn.data.inputs import (
    ExpressionRegressor,
    match_outputs,
    validate_new_cells,
    validate_training_arrays,
)
from sbnn.determinism import atomic_fit, reproducible
from sbnn.errors import check_among, check_number, warn
from sbnn.metrics import pooled_r2

RIDGE_PENALTIES = tuple(10.0 ** (k / 4) for k in range(25))  # four per decade, from 1 to 10^6
SMALLER_PENALTIES = tuple(10.0 ** (k / 4) for k in range(-24, 1))
LARGER_PENALTIES = tuple(10.0 ** (k / 4) for k in range(24, 49))


def kept_genes(model: Any) -> np.ndarray:
    """Positions of the genes of a fitted model."""
    check_is_fitted(model)
    if hasattr(model, "get_support"):
        return model.get_support(indices=True)
    return np.arange(model.n_features_in_)


class GeneSelector(Protocol):
    """A model that has the mask of its genes, (p,), maybe as a property."""

    @property
    def support_(self) -> np.ndarray:
        """Mask of the genes."""
        ...


class GeneSelectionMixin:
    """Access to the genes of a fitted model that has ``support_``, a mask, (p,)."""

    def get_support(self: GeneSelector, indices: bool = False) -> np.ndarray:
        """Genes that the model uses: a mask, (p,), or, with `indices`, sorted positions."""
        check_is_fitted(self)
        return np.flatnonzero(self.support_) if indices else self.support_.copy()

    def get_feature_names_out(
        self: GeneSelector, input_features: ArrayLike | None = None
    ) -> np.ndarray:
        """Names of the genes that the model uses, of `input_features` if ``fit`` had none."""
        names = _check_feature_names_in(self, input_features)
        check_is_fitted(self)
        return names[self.support_]


class LinearRegressor(ExpressionRegressor):
    """A regressor with ``coef_``, ``intercept_``, ``y_mean_`` and ``output_names_``."""

    coef_: np.ndarray
    intercept_: np.ndarray | float
    y_mean_: np.ndarray | float
    output_names_: np.ndarray

    def predict(self, X: Any) -> np.ndarray:
        """Predict outputs, (n, q) or (n,); X is as in `SparseBottleneckRegressor.predict`."""
        check_is_fitted(self)
        return self._predict_genes(validate_new_cells(self, X, needed=self._genes_with_effect()))

    def _genes_with_effect(self) -> np.ndarray:
        """Positions of the genes that have a coefficient other than 0."""
        return np.flatnonzero(np.atleast_2d(self.coef_).any(axis=0))

    @reproducible()
    def _predict_genes(self, genes: np.ndarray) -> np.ndarray:
        """Predict outputs from values of all genes, (n, p), which are not checked."""
        return genes @ self.coef_.T + self.intercept_

    def score(self, X: Any, y: Any = None) -> float:
        """Pooled R2 relative to the training means; see `sbnn.metrics.pooled_r2`.

        Outputs with names are matched to those of the fit.
        """
        Y = match_outputs(self, X, y)
        return pooled_r2(Y, self.predict(X), self.y_mean_)


class LeaveOneOutRidge(LinearRegressor):
    """Ridge regression on all genes; leave-one-out cross-validation chooses the penalty.

    Parameters
    ----------
    alphas : array-like, shape (n_alphas,), optional
        Penalties to choose from, in ``|Y - X B|^2 + alpha |B|^2``, a sum over the n cells:
        ``alpha / n`` in the reduced-rank models. By default, four per decade from 1 to 10^6; if an
        end of them is the best, also those from there to 10^-6 or 10^12.

    Attributes
    ----------
    alpha_ : float
        Penalty with the smallest leave-one-out squared error.
    best_score_ : float
        Negative leave-one-out error for `alpha_`, mean over cells and outputs.
    coef_, intercept_ : ndarray, shape (q, p) and (q,); (p,) and float for a one-dimensional ``y``
    y_mean_ : ndarray, shape (q,), or float
        Training mean of each output.

    Warns
    -----
    UserWarning
        If 10^-6 or 10^12 is the best penalty; with 10^12 and z-scored genes, predictions are the
        training means.

    Examples
    --------
    >>> from scipy.stats import zscore
    >>> from sbnn import LeaveOneOutRidge, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> X, Y = zscore(data.X), zscore(data.obsm["outputs"])
    >>> model = LeaveOneOutRidge().fit(X, Y)
    >>> round(model.alpha_), model.predict(X).shape
    (100, (100, 16))
    """

    alpha_: float
    best_score_: float

    def __init__(self, alphas: ArrayLike | None = None) -> None:
        self.alphas = alphas

    @property
    def algorithm_version(self) -> int:
        """Version of the algorithm, incremented when results change."""
        return 2

    @atomic_fit
    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose the penalty and fit; X and y are as in `SparseBottleneckRegressor.fit`."""
        genes, outputs = validate_training_arrays(self, X, y)
        if self.alphas is not None:
            ridge = choose_penalty(genes, outputs, tuple(np.atleast_1d(self.alphas)))
        else:
            ridge = choose_penalty(genes, outputs, RIDGE_PENALTIES)
            # an end of the first grid is one of these
            for further in (SMALLER_PENALTIES, LARGER_PENALTIES):
                if ridge.alpha_ in further:
                    beyond = choose_penalty(genes, outputs, further)
                    # all penalties are alike if the outputs are constant
                    ridge = beyond if beyond.best_score_ > ridge.best_score_ else ridge
            if ridge.alpha_ == SMALLER_PENALTIES[0]:
                warn(f"ridge: of all penalties, the smallest, {ridge.alpha_:g}, is the best")
            if ridge.alpha_ == LARGER_PENALTIES[-1]:
                warn(
                    f"ridge: of all penalties, the largest, {ridge.alpha_:g}, is the best; from "
                    "z-scored genes, it predicts the training means"
                )
        self.alpha_ = ridge.alpha_
        self.best_score_ = ridge.best_score_
        self.y_mean_ = outputs.mean(axis=0)
        self.coef_ = ridge.coef_.reshape(*outputs.shape[1:], -1)
        self.intercept_ = ridge.intercept_
        return self


def choose_penalty(X: np.ndarray, Y: np.ndarray, alphas: tuple[float, ...]) -> RidgeCV:
    """Ridge with that penalty that has the least leave-one-out error."""
    # "auto" would choose "eigen", four times slower with about as many cells as genes
    # scikit-learn compares several penalties only
    several = np.repeat(alphas, 2) if len(alphas) == 1 else alphas
    return RidgeCV(several, gcv_mode="svd").fit(X, Y)


def left_out_residuals(X: np.ndarray, Y: np.ndarray, alpha: float) -> np.ndarray:
    """Outputs minus predictions of ridge, (n, q), each by a fit without this cell.

    X, (n, p), and Y, (n, q), are those of all cells, and `alpha` is as in `LeaveOneOutRidge`. In
    closed form, the residual of a cell in the fit to all cells is divided by 1 minus its leverage.
    """
    # Allen, Technometrics 16, 125 (1974); the intercept, not penalised, has leverage 1 / n
    n, p = X.shape
    X = X - X.mean(axis=0)
    Y = Y - Y.mean(axis=0)
    # the smaller one of two matrices is inverted
    if n <= p:
        squares = X @ X.T
        # the centred outputs have no part along 1, ..., 1, where any number may be added: with this
        # one, no digits are lost even if the penalty is small
        added = np.trace(squares) / n
        inverse = alpha * np.linalg.inv(squares + added / n + alpha * np.eye(n))
        residuals = inverse @ Y
        not_leverages = np.diag(inverse) + (1 - alpha / (alpha + added)) / n
    else:
        inverse = np.linalg.inv(X.T @ X + alpha * np.eye(p))
        residuals = Y - X @ (inverse @ (X.T @ Y))
        not_leverages = 1 - np.einsum("ij,ij->i", X @ inverse, X)
    return residuals / (not_leverages - 1 / n)[:, None]


class LatentMixin:
    """A regressor whose ``transform`` maps cells to a latent space, ``sbnn_1``, ``sbnn_2``, ..."""

    # a TransformerMixin would name the columns of `transform` after genes

    fit: Callable[..., Any]

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what ``transform`` returns.

        Parameters
        ----------
        transform : {"default", "pandas"}, optional
            With ``"pandas"``, a DataFrame with the names of the cells of X.
        """
        if transform is not None:
            check_among("transform", transform, ("default", "pandas"))
            self._sklearn_output_config = {"transform": transform}
        return self

    def fit_transform(self, X: Any, y: Any = None, **options: object) -> np.ndarray | pd.DataFrame:
        """Fit the model and map the training cells; see `fit`."""
        return self.fit(X, y, **options).transform(X)

    def _format_latent(self, latent, X):
        """What `set_output` chose: an array, or a DataFrame with the names of the cells of X."""
        if _get_output_config("transform", self)["dense"] != "pandas":
            return latent
        units = [f"sbnn_{unit + 1}" for unit in range(latent.shape[1])]
        return pd.DataFrame(latent, get_cell_names(X), units)


class ReducedRankRegression(LatentMixin, LinearRegressor):
    """Least squares (or ridge) regression of bounded rank: a linear bottleneck on all genes.

    Minimises ``|Y - X W V'|^2 / (2 n) + alpha / 2 |W|^2`` over the encoder W, (p, rank), and the
    orthonormal decoder V, (q, rank), for centred X and Y, in closed form [1]_ [2]_. With
    ``alpha=0`` and more genes than cells, this is the minimum-norm solution.

    Parameters
    ----------
    rank : int
        Width of the bottleneck, from 1 to min(p, q); with one gene or output, 2 becomes 1.
    alpha : float
        Ridge penalty.

    Attributes
    ----------
    encoder_ : ndarray, shape (p, rank)
        Columns are sorted by decreasing explained variance.
    decoder_ : ndarray, shape (q, rank)
        The largest entry of each column is positive.
    coef_, intercept_ : ndarray, shape (q, p) and (q,); (p,) and float for a one-dimensional ``y``
        ``coef_ = decoder_ @ encoder_.T``.
    x_mean_, y_mean_ : ndarray, shape (p,) and (q,)
        Training means.

    References
    ----------
    .. [1] Izenman, J. Multivariate Analysis 5, 1975.
    .. [2] Mukherjee and Zhu, Stat. Anal. Data Min. 4, 2011.
    """

    encoder_: np.ndarray
    decoder_: np.ndarray
    x_mean_: np.ndarray
    _parameter_constraints = {"alpha": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, rank: int = 2, alpha: float = 0.0) -> None:
        self.rank = rank
        self.alpha = alpha

    @atomic_fit
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the model; X and y are as in `SparseBottleneckRegressor.fit`."""
        self._validate_params()
        genes, outputs = validate_training_arrays(self, X, y)
        self.y_mean_ = outputs.mean(axis=0)
        # column-major, as the solvers select genes
        centred_genes = np.asfortranarray(genes - self.x_mean_)
        centred_outputs = (outputs - self.y_mean_).reshape(len(outputs), -1)
        highest_rank = min(centred_genes.shape[1], centred_outputs.shape[1])
        # the default becomes 1
        check_number("rank", self.rank, int, low=1, high=max(highest_rank, 2))
        rank = min(self.rank, highest_rank)
        encoder, decoder = self._solve(centred_genes, centred_outputs, rank)
        # the largest entry of each decoder column is positive
        self.decoder_, flipped = svd_flip(decoder, encoder.T)
        self.encoder_ = flipped.T
        coef = self.decoder_ @ self.encoder_.T
        self.coef_ = coef.reshape(*np.shape(self.y_mean_), -1)
        self.intercept_ = self.y_mean_ - self.coef_ @ self.x_mean_
        return self

    def _solve(self, X, Y, rank):
        """Encoder and decoder of centred data, (n, p) and (n, q)."""
        return ridge_reduced_rank(X, Y, rank, alpha=self.alpha)

    def transform(self, X: Any) -> np.ndarray | pd.DataFrame:
        """Map cells to latent coordinates, (n, rank); the training mean is at the origin."""
        centred = validate_new_cells(self, X, needed=kept_genes(self)) - self.x_mean_
        with reproducible():
            latent = centred @ self.encoder_
        return self._format_latent(latent, X)


def ridge_reduced_rank(X, Y, rank, alpha):
    """Encoder, (p, rank), and decoder, (q, rank)."""
    # [Y; 0] is regressed on [X; sqrt(n alpha) 1]: the decoder has the first right singular vectors
    # of the ridge predictions for all these cells, the encoder is the ridge solution times the
    # decoder.
    left, spread, right = np.linalg.svd(X, full_matrices=False)
    # directions in which the cells differ by more than rounding errors
    rounding_error = spread[0] * max(X.shape) * np.finfo(np.float64).eps
    kept = spread > rounding_error
    spread = spread[kept]  # shape (k,)
    projected = left[:, kept].T @ Y  # shape (k, q)
    penalised = spread**2 + len(X) * alpha
    # a rotation of the predictions for all these cells, so with their Gram matrix; shape (k, q)
    rotated = (spread / np.sqrt(penalised))[:, None] * projected
    _, _, directions = np.linalg.svd(rotated, full_matrices=len(rotated) < rank)
    decoder = directions[:rank].T
    ridge_weights = (spread / penalised)[:, None] * (projected @ decoder)
    encoder = right[kept].T @ ridge_weights
    return encoder, decoder
