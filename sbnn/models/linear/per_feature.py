"""Elastic net for every output on its own, by glmnet."""

from numbers import Integral, Real

import numpy as np
from glmnet import ElasticNet

from sbnn.models.base import check_number
from sbnn.models.linear.base import LinearRegressor, SparseCoefficients


class PerFeatureElasticNet(SparseCoefficients, LinearRegressor):
    """Elastic net for every output on its own: what sparsity reaches when the outputs need not share genes.

    For output y, divided by its SD, minimises
    ``|y - X b|^2 / (2 n) + alpha (l1_ratio |b|_1 + (1 - l1_ratio) / 2 |b|^2)`` with glmnet (Friedman et al. 2010),
    X and y centred. Dividing by the SD (ddof 0) gives one ``alpha`` the same meaning for all outputs.

    Parameters
    ----------
    l1_ratio : float, default=0.5
        Share of the lasso penalty, 0 .. 1.
    alpha : float, optional
        Strength of the penalty, above 0. By default it is chosen for every output by cross-validation inside the
        training cells.
    n_alphas : int, default=50
        Number of penalties on the path that is searched.
    min_alpha_ratio : float, default=0.01
        Smallest penalty on the path, relative to the smallest that leaves no gene.
    n_splits : int, default=5
        Folds of the inner cross-validation, at least 3.
    cut_point : float, default=0.0
        Take the sparsest model whose inner R2 is within so many standard errors of the best. 0 is the best itself,
        1 the "one standard error rule".
    tol : float, default=1e-7
        Convergence threshold of glmnet.
    random_state : int, default=0
        Seed of the inner folds. A number always: the result is the same each time.

    Attributes
    ----------
    coef_ : ndarray of shape (q, p) or (p,)
        Coefficients; one-dimensional for a one-dimensional ``y``.
    intercept_ : ndarray of shape (q,) or float
    alpha_ : ndarray of shape (q,)
        Penalty of each output; NaN for an output that is constant in the training cells.
    x_mean_, y_mean_ : ndarray of shape (p,) and (q,)
        Training means.
    n_features_in_, feature_names_in_
        Number of genes; their names, where X has them.

    References
    ----------
    Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent",
    J. Stat. Softw. 33, 2010.
    """

    def __init__(
        self,
        l1_ratio=0.5,
        alpha=None,
        n_alphas=50,
        min_alpha_ratio=0.01,
        n_splits=5,
        cut_point=0.0,
        tol=1e-7,
        random_state=0,
    ):
        self.l1_ratio = l1_ratio
        self.alpha = alpha
        self.n_alphas = n_alphas
        self.min_alpha_ratio = min_alpha_ratio
        self.n_splits = n_splits
        self.cut_point = cut_point
        self.tol = tol
        self.random_state = random_state

    def fit(self, X, y=None):
        """Fit one elastic net per output.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, AnnData, MuData, PairedData or ExpressionStream of shape (n, p)
            Expression.
        y : array-like of shape (n, q) or (n,), or the name of a table in ``X.obsm``
            Outputs.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X or y holds NaN or infinity, their rows do not match, or a parameter is out of its range.
        TypeError
            If a parameter has the wrong type.
        """
        self._check_parameters()
        X, Y = self._validate(X, y)
        spread = Y.std(axis=0)
        coef = np.zeros((Y.shape[1], X.shape[1]))
        self.alpha_ = np.full(len(coef), np.nan)
        for k in np.flatnonzero(spread):
            scaled = Y[:, k] / spread[k]
            if self.alpha is None:
                chosen, self.alpha_[k] = self._cross_validated(X, scaled)
            else:
                sparse, ridge = self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
                chosen, self.alpha_[k] = glmnet_elastic_net(X, scaled, sparse, ridge, self.tol), self.alpha
            coef[k] = spread[k] * chosen
        self._store_coef(coef)
        return self

    def _check_parameters(self):
        check_number("l1_ratio", self.l1_ratio, Real, 0, 1)
        if self.alpha is not None:
            check_number("alpha", self.alpha, Real, 0)
        check_number("n_alphas", self.n_alphas, Integral, 2)
        check_number("min_alpha_ratio", self.min_alpha_ratio, Real, 1e-6, 1)
        check_number("n_splits", self.n_splits, Integral, 3)
        check_number("cut_point", self.cut_point, Real, 0)
        check_number("tol", self.tol, Real, 1e-14, 1)
        check_number("random_state", self.random_state, Integral, 0)

    def _cross_validated(self, X, y):
        """Coefficients (p,) and penalty of the path that do best in the inner folds."""
        model = ElasticNet(
            alpha=self.l1_ratio,
            n_lambda=self.n_alphas,
            min_lambda_ratio=self.min_alpha_ratio,
            standardize=False,
            n_splits=self.n_splits,
            cut_point=self.cut_point,
            tol=self.tol,
            random_state=self.random_state,
            n_jobs=1,
        ).fit(X, y)
        return model.coef_, model.lambda_best_[0]


def glmnet_elastic_net(X, y, sparse, ridge, tol):
    """Solve one elastic net without intercept: ``|y - X b|^2 / (2 n) + sparse |b|_1 + ridge / 2 |b|^2``.

    Parameters
    ----------
    X : ndarray of shape (n, p)
    y : ndarray of shape (n,)
    sparse, ridge : float
        Strengths of the two penalties, not negative.
    tol : float
        glmnet ends when no squared step changes the fit by more than this share of the variance of y.

    Returns
    -------
    ndarray of shape (p,), float64

    Raises
    ------
    RuntimeError
        If a million passes over the genes were not enough.
    """
    size = np.sqrt(np.mean(y**2))
    if size == 0:
        return np.zeros(X.shape[1])
    # glmnet divides y by its size and then applies the penalty, in a way that leaves the lasso penalty what it was and
    # divides the ridge penalty by the size.
    strength = sparse + ridge * size
    model = ElasticNet(
        alpha=sparse / strength if strength else 1.0,
        lambda_path=[strength],
        standardize=False,
        fit_intercept=False,
        n_splits=0,
        tol=tol,
        max_iter=1_000_000,
    ).fit(X, y)
    if model.n_lambda_ == 0:
        raise RuntimeError(f"glmnet did not converge with the penalties sparse={sparse:.3g}, ridge={ridge:.3g}")
    return model.coef_path_[:, 0]
