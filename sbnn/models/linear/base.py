"""What the linear models share: checks at the border, prediction, the latent space, kept genes and the score."""

import copy
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils import TransformerTags
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.inputs import (
    check_values,
    expression_table,
    learn_library,
    new_cells,
    output_names,
    output_table,
    two_tables,
)
from sbnn.metrics import pooled_r2
from sbnn.models.base import GeneSelectionMixin, check_number, kept_genes


class LinearRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A regressor that has ``coef_``, ``intercept_`` and ``y_mean_``.

    Attributes
    ----------
    output_names_ : ndarray of str, shape (q,)
        Of `fit`.
    algorithm_version : int
        A subclass raises its own whenever the same parameters give other numbers on the same data, so that what an
        older version has computed is not taken for what this one would.
    """

    algorithm_version = 1

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True  # made dense at the border
        return tags

    def _validate(self, X, y):
        """Check X and y, remember their means, and return both centred in float64, Y two-dimensional."""
        X, y = two_tables(X, y)
        learn_library(self, X)
        table, outputs = expression_table(X), output_table(X, y)
        X, Y = validate_data(
            self,
            table,
            outputs,
            dtype=np.float64,
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
        Y = Y.astype(np.float64, copy=False)
        self.output_names_ = output_names(outputs, 1 if Y.ndim == 1 else Y.shape[1])
        check_values(X, Y, table, outputs)
        self.x_mean_, self.y_mean_ = X.mean(axis=0), Y.mean(axis=0)
        # Column order, because the solvers read and cut out single genes.
        return np.asfortranarray(X - self.x_mean_), (Y - self.y_mean_).reshape(len(Y), -1)

    def _store_coef(self, coef):
        """Keep coefficients (q, p) in the shape that belongs to the dimension of y, and the intercept."""
        self.coef_ = coef if np.ndim(self.y_mean_) else coef[0]
        self.intercept_ = self.y_mean_ - self.coef_ @ self.x_mean_

    def predict(self, X):
        """Predict the outputs.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, AnnData, MuData, PairedData or ExpressionStream of shape (n, p)
            Expression. What has names needs the genes only that the model uses, in any order and among others.

        Returns
        -------
        ndarray of shape (n, q) or (n,), float64
        """
        check_is_fitted(self)
        X = new_cells(self, X, needed=kept_genes(self))
        return X @ self.coef_.T + self.intercept_

    def score(self, X, y=None):
        """Pooled R2 of the prediction about the training means, see `sbnn.metrics.pooled_r2`.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, AnnData, MuData, PairedData or ExpressionStream of shape (n, p)
            Expression.
        y : array-like of shape (n, q) or (n,), or the name of a table in ``X.obsm``
            Measured outputs.

        Returns
        -------
        float
        """
        X, y = two_tables(X, y)
        return pooled_r2(output_table(X, y), self.predict(X), self.y_mean_)


class SparseCoefficients(GeneSelectionMixin):
    """A linear model that uses the genes with a coefficient that is not zero for some output."""

    def _support_mask(self):
        return np.atleast_2d(self.coef_).any(axis=0)


class LatentRegressor(LinearRegressor):
    """Reduced-rank model Y = X W V' with encoder W (p, rank) and decoder V (q, rank), V'V = 1.

    A subclass has the parameters ``rank`` and ``alpha`` and gives the generator ``_solve(X, Y, alphas, start)``: for
    centred arrays and penalties in falling order it yields, for each penalty, a dict of attributes with ``encoder_``
    and ``decoder_`` among them, and ``path_state_`` where the next one starts from it.
    """

    # What `fit_path` varies; cross-validation asks for it, since a path costs much less than separate fits.
    path_parameter = "alpha"

    def __sklearn_tags__(self):
        # Not a TransformerMixin: that would call the columns of `transform` what `get_feature_names_out` gives, the
        # names of genes.
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags

    def _validate(self, X, y):
        check_number("alpha", self.alpha, Real, 0)
        check_number("rank", self.rank, Integral, 1)
        X, Y = super()._validate(X, y)
        if self.rank > min(X.shape[1], Y.shape[1]):
            raise ValueError(
                f"rank must not exceed the number of genes, {X.shape[1]}, or of outputs, {Y.shape[1]}; got {self.rank}"
            )
        return X, Y

    def fit(self, X, y=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, AnnData, MuData, PairedData or ExpressionStream of shape (n, p)
            Expression.
        y : array-like of shape (n, q) or (n,), or the name of a table in ``X.obsm``
            Outputs; those of a PairedData, and the only other modality of a MuData, by default.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X or y holds NaN or infinity, their rows do not match, ``rank`` is not within 1 .. min(p, q), or
            another parameter is out of its range.
        TypeError
            If a parameter has the wrong type.
        """
        X, Y = self._validate(X, y)
        [solution] = self._solve(X, Y, [self.alpha])
        return self._store(solution)

    def fit_path(self, X, y, alphas, start=None):
        """Fit one model per penalty, for little more than the cost of the hardest of them.

        A model is solved when it is asked for. So ``tqdm(estimator.fit_path(X, y, alphas), total=len(alphas))`` shows
        how far a path is, what it has yielded can be kept, and the rest be asked for another time.

        Parameters
        ----------
        X, y
            As for `fit`.
        alphas : sequence of float
            Penalties in any order; each model is ready at once if they fall.
        start : dict, optional
            The ``path_state_`` of the last model of an interrupted path: the rest of it then comes out to the bit as it
            would have.

        Returns
        -------
        iterator of estimators
            One fitted copy of this estimator per penalty, in the order of `alphas`, each what `fit` gives with
            that ``alpha`` up to the tolerance of the solver. This estimator itself is left as it is.

        Raises
        ------
        ValueError, TypeError
            As for `fit`.
        """
        alphas = list(alphas)
        if not alphas:
            raise ValueError("alphas is empty, expected at least one penalty")
        for alpha in alphas:
            check_number("alpha", alpha, Real, 0)
        template = clone(self).set_params(alpha=alphas[0])
        return template._along(*template._validate(X, y), alphas, start)

    def _along(self, X, Y, alphas, start):
        """Yield the models of a path in the order given, solved in the order that warm starts want."""
        falling = sorted(range(len(alphas)), key=lambda i: -alphas[i])
        solved, turn = {}, 0
        for i, solution in zip(falling, self._solve(X, Y, [alphas[i] for i in falling], start), strict=True):
            solved[i] = copy.copy(self).set_params(alpha=alphas[i])._store(solution)
            while turn in solved:
                yield solved.pop(turn)
                turn += 1

    def _store(self, solution):
        for name, value in solution.items():
            setattr(self, name, value)
        self._store_coef(self.decoder_ @ self.encoder_.T)
        return self

    def transform(self, X):
        """Map cells into the latent space.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, AnnData, MuData, PairedData or ExpressionStream of shape (n, p)
            Expression.

        Returns
        -------
        ndarray of shape (n, rank), float64
            ``(X - x_mean_) @ encoder_``: the mean of the training cells lies in the origin.
        """
        check_is_fitted(self)
        X = new_cells(self, X, needed=kept_genes(self))
        return (X - self.x_mean_) @ self.encoder_

    def fit_transform(self, X, y=None):
        """Fit, then map the training cells into the latent space, shape (n, rank)."""
        return self.fit(X, y).transform(X)
