"""Ridge regression whose one penalty is chosen by the leave-one-out error of all outputs together."""

import numpy as np
from sklearn.linear_model import RidgeCV

from sbnn.data.inputs import check_values, expression_table, learn_library, output_names, output_table, two_tables
from sbnn.models.linear.base import LinearRegressor


class LeaveOneOutRidge(LinearRegressor, RidgeCV):
    """Ridge regression on all genes, with a leave-one-out choice of one penalty for all outputs.

    scikit-learn's ``RidgeCV`` with a grid fit for z-scored expression, scored like every other model here. The
    leave-one-out errors are exact and come from one singular value decomposition.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,), default=four per decade from 1 to 10^6
        Penalties to choose from, for the objective ``|Y - X B|^2 + alpha |B|^2`` (scikit-learn's: a sum over the
        cells, n times the penalty of the reduced-rank models).

    Attributes
    ----------
    alpha_ : float
        Penalty with the smallest leave-one-out squared error, summed over the outputs.
    best_score_ : float
        Minus that error, as mean over cells and outputs.
    coef_ : ndarray of shape (q, p) or (p,)
        Coefficients; one-dimensional for a one-dimensional ``y``.
    intercept_ : ndarray of shape (q,) or float
    y_mean_ : ndarray of shape (q,) or float
        Training mean of each output.
    n_features_in_, feature_names_in_
        Number of genes; their names, where X has them.
    """

    def __init__(self, alphas=tuple(10.0 ** (k / 4) for k in range(25))):
        # RidgeCV's "auto" would take "eigen" here, four times slower where cells and genes are about equally many.
        super().__init__(alphas=alphas, gcv_mode="svd")

    def fit(self, X, y=None):
        """Choose the penalty and fit.

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
            If X or y holds NaN or infinity, their rows do not match, or a penalty is not positive.
        """
        X, y = two_tables(X, y)
        learn_library(self, X)
        table, y = expression_table(X), output_table(X, y)
        super().fit(table, y)
        check_values(np.asarray(table, dtype=np.float64), np.asarray(y, dtype=np.float64), table, y)
        self.y_mean_ = np.asarray(y, dtype=np.float64).mean(axis=0)
        self.output_names_ = output_names(y, np.size(self.y_mean_))
        if np.ndim(self.y_mean_):  # RidgeCV makes one column one-dimensional
            self.coef_, self.intercept_ = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
        return self
