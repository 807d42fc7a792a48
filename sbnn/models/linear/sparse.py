"""Sparse reduced-rank regression: a linear bottleneck that reads few genes.

The W-step, given V, is a convex elastic net. For rows of W that vanish together it is multi-response, and of the
well-kept solvers scikit-learn's coordinate descent was chosen (``benchmarks/linear_solvers.py`` prints the
comparison): skglm is no faster and spends seconds on compiling; adelie is a little faster at a loose
tolerance but needs numpy < 2, which the rest of the package cannot go back to. What makes the difference is
to hand the solver little: a working set of genes, and of those the triangular factor, which has as many rows as the
set has genes instead of one row per cell. With more genes in the set than cells, coordinate descent would take
thousands of passes, and starts from the solution of Newton's method instead (`sbnn.models.linear.group_newton`). For
element-wise sparsity the columns of W separate, and glmnet solves each.
"""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy.linalg import qr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from sbnn.models.base import check_number
from sbnn.models.linear.base import LatentRegressor, SparseCoefficients
from sbnn.models.linear.group_newton import group_elastic_net
from sbnn.models.linear.per_feature import glmnet_elastic_net
from sbnn.models.linear.reduced_rank import ridge_reduced_rank, with_positive_peaks

# Weight of the last decoder in the V-step, relative to the data. Too small to change what the data determine, it keeps
# what they leave open, the column of a latent variable without genes, where it was instead of anywhere: from there
# genes may still enter.
_INERTIA = 1e-8


class SparseReducedRankRegression(SparseCoefficients, LatentRegressor):
    """Reduced-rank regression that selects genes by a lasso or elastic-net penalty on its encoder.

    Minimises ``|Y - X W V'|^2 / (2 n) + alpha (l1_ratio P(W) + (1 - l1_ratio) / 2 |W|^2)`` over the encoder
    W (p, rank) and the orthonormal decoder V (q, rank), X and Y centred (Kobak et al. 2021). P is the
    sum over the genes of the 2-norm of their row of W, or the sum of the absolute values of W. W and V are
    found in turn: W by an elastic net on Y V, V from the singular value decomposition of Y'X W (Procrustes),
    starting from the first right singular vectors of X'Y as the authors do. The result is a stationary point; each
    half-step is solved exactly, so the objective never rises.

    Parameters
    ----------
    rank : int, default=2
        Width of the bottleneck, 1 .. min(p, q).
    alpha : float, default=1.0
        Strength of the penalty. 0 gives `ReducedRankRegression`, which selects all genes.
    l1_ratio : float, default=1.0
        Share of the sparse penalty, 0 .. 1. 0 is the ridge penalty alone: `ReducedRankRegression`.
    relaxed : bool, default=True
        Fit once more without the sparse penalty: ridge-penalised reduced-rank regression on the selected genes
        with the same ``alpha``, which undoes most of the shrinkage.
    penalty : {"group", "element"}, default="group"
        Make whole rows of W zero together, or single entries.
    max_iter : int, default=1000
        Largest number of alternations.
    tol : float, default=1e-6
        The alternation ends when the decoder moves by less than this (root mean square over its columns). The W-steps
        are solved at least as exactly.

    Attributes
    ----------
    encoder_ : ndarray of shape (p, rank)
        W, zero rows for genes that were not selected. With the group penalty the latent variables ``X W`` are
        uncorrelated if not relaxed; their order is by falling variance.
    decoder_ : ndarray of shape (q, rank)
        V, orthonormal columns; the entry of largest magnitude in each is positive.
    objective_ : ndarray of shape (iterations,)
        Objective after every W-step, before the relaxed refit.
    n_iter_ : int
        Number of alternations; 1 for a closed form.
    path_state_ : dict
        What the next penalty of a path starts from, see `fit_path`.
    coef_ : ndarray of shape (q, p) or (p,)
        ``decoder_ @ encoder_.T``; one-dimensional for a one-dimensional ``y``.
    intercept_ : ndarray of shape (q,) or float
    x_mean_, y_mean_ : ndarray of shape (p,) and (q,)
        Training means.
    n_features_in_, feature_names_in_
        Number of genes; their names, where X has them.

    Warns
    -----
    UserWarning
        If no gene is selected (along a path: for no penalty); the model then predicts the training means.
    ConvergenceWarning
        If ``max_iter`` alternations were not enough.

    References
    ----------
    Kobak, Bernaerts, Weis, Scala, Tolias and Berens, "Sparse reduced-rank regression for exploratory visualisation of
    paired multivariate data", J. R. Stat. Soc. C 70, 2021. Chen and Huang, J. Am. Stat. Assoc. 107, 2012.
    """

    def __init__(self, rank=2, alpha=1.0, l1_ratio=1.0, relaxed=True, penalty="group", max_iter=1000, tol=1e-6):
        self.rank = rank
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.relaxed = relaxed
        self.penalty = penalty
        self.max_iter = max_iter
        self.tol = tol

    def _validate(self, X, y):
        check_number("l1_ratio", self.l1_ratio, Real, 0, 1)
        check_number("max_iter", self.max_iter, Integral, 1)
        check_number("tol", self.tol, Real, 1e-7, 1)
        if self.penalty not in _PENALTIES:
            raise ValueError(f"penalty must be one of {list(_PENALTIES)}, got {self.penalty!r}")
        return super()._validate(X, y)

    def _solve(self, X, Y, alphas, start=None):
        # Every penalty starts from this decoder, not from the last solution: the problem in (W, V) is not convex, and
        # so a path cannot lead elsewhere than a single fit. The W-step is convex and may start anywhere.
        first = np.linalg.svd(X.T @ Y, full_matrices=False)[2][: self.rank].T
        step = _EncoderStep(X, _PENALTIES[self.penalty], self.l1_ratio, self.tol)
        encoder = np.zeros((X.shape[1], self.rank))
        if start is not None:
            encoder[start["genes"]] = start["encoder"]
            step.take(start["genes"])
        for alpha in alphas:
            if alpha * self.l1_ratio == 0:
                [(encoder, decoder)] = ridge_reduced_rank(X, Y, self.rank, [alpha])
                objective = [step.objective(Y, encoder, decoder, alpha)]
                solution = encoder, decoder
            else:
                encoder, decoder, objective = self._alternate(step, Y, encoder, first, alpha)
                solution = self._finished(X, Y, encoder, decoder, alpha)
            yield {
                "encoder_": solution[0],
                "decoder_": solution[1],
                "objective_": np.array(objective),
                "n_iter_": len(objective),
                "path_state_": {"genes": step.genes, "encoder": encoder[step.genes]},
            }
        if alphas[-1] * self.l1_ratio > 0 and not encoder.any():
            bound = step.slopes(Y @ first).max() / self.l1_ratio
            warnings.warn(
                f"no gene is selected with alpha={alphas[-1]:.4g}, so that the prediction is the training mean; "
                f"genes are selected with alpha below {bound:.4g}",
                stacklevel=3,
            )

    def _alternate(self, step, Y, encoder, decoder, alpha):
        """Encoder, the decoder it is optimal for, and the objective after every W-step."""
        objective = []
        for _ in range(self.max_iter):
            encoder = step(Y @ decoder, encoder, alpha)
            objective.append(step.objective(Y, encoder, decoder, alpha))
            if not encoder.any():
                return encoder, decoder, objective
            pull = Y.T @ step.latent(encoder)
            left, _, right = np.linalg.svd(pull + _INERTIA * np.linalg.norm(pull) * decoder, full_matrices=False)
            last, decoder = decoder, left @ right
            if np.linalg.norm(decoder - last) <= self.tol * np.sqrt(self.rank):
                return encoder, last, objective
        warnings.warn(
            f"the decoder still moves after max_iter={self.max_iter} alternations with alpha={alpha:.4g}",
            ConvergenceWarning,
            stacklevel=4,
        )
        return encoder, last, objective

    def _finished(self, X, Y, encoder, decoder, alpha):
        """Refit if relaxed, else bring the solution into the one form its symmetries allow."""
        selected = encoder.any(axis=1)
        if self.relaxed and selected.any():
            refit, decoder = next(ridge_reduced_rank(X[:, selected], Y, self.rank, [alpha]))
            encoder = np.zeros_like(encoder)
            encoder[selected] = refit
            return encoder, decoder
        # The group penalty and the fit do not change with a rotation of the latent space, the element-wise penalty
        # does, but for a change of order.
        latent = X[:, selected] @ encoder[selected]
        covariance = latent.T @ latent
        if self.penalty == "group":
            rotation = np.linalg.eigh(covariance)[1][:, ::-1]
        else:
            rotation = np.eye(self.rank)[:, np.argsort(-np.diag(covariance), kind="stable")]
        return with_positive_peaks(encoder @ rotation, decoder @ rotation)


class _EncoderStep:
    """Minimise ``|Z - X W|^2 / (2 n) + penalty(W)`` on a working set of genes that grows until nothing is missing.

    The set is kept from call to call: a call may start from the result of an earlier one, which is zero outside it.
    """

    def __init__(self, X, penalty, l1_ratio, tol):
        self.X, self.penalty, self.l1_ratio, self.tol = X, penalty, l1_ratio, tol
        self.genes = np.zeros(0, dtype=int)

    def __call__(self, Z, encoder, alpha):
        sparse, ridge = alpha * self.l1_ratio, alpha * (1 - self.l1_ratio)
        while True:
            if len(self.genes):
                start, encoder = encoder[self.genes], np.zeros_like(encoder)
                encoder[self.genes] = self.penalty.solve(self.problem, Z, start, sparse, ridge, self.tol)
            slopes = self.slopes(Z - self.latent(encoder))
            slopes[self.genes] = 0
            missing = np.flatnonzero(slopes > sparse)
            if not len(missing):
                return encoder
            steepest = missing[np.argsort(-slopes[missing], kind="stable")]
            self.take(np.sort(np.append(self.genes, steepest[: max(10, len(self.genes))])))

    def take(self, genes):
        """Work on these genes, positions of shape (m,)."""
        self.genes = genes
        if len(genes):
            self.problem = self.penalty.prepare(self.X[:, genes])

    def slopes(self, residual):
        """How strongly each gene would enter: what the penalty must exceed to keep it out, shape (p,)."""
        return self.penalty.dual(self.X.T @ residual) / len(self.X)

    def latent(self, encoder):
        """X W from the few rows that are not zero."""
        used = encoder.any(axis=1)
        return self.X[:, used] @ encoder[used]

    def objective(self, Y, encoder, decoder, alpha):
        """What is minimised over encoder and decoder."""
        error = ((Y - self.latent(encoder) @ decoder.T) ** 2).sum() / (2 * len(Y))
        sparse, ridge = self.penalty.value(encoder), (encoder**2).sum() / 2
        return error + alpha * (self.l1_ratio * sparse + (1 - self.l1_ratio) * ridge)


class _RowPenalty:
    """Sum of the 2-norms of the rows: a gene is in or out for the whole latent space."""

    @staticmethod
    def value(encoder):
        return np.linalg.norm(encoder, axis=1).sum()

    @staticmethod
    def dual(gradient):
        return np.linalg.norm(gradient, axis=1)

    @staticmethod
    def prepare(X):
        # Rotating the cells changes no distance, and leaves all but the first rows of X empty. The factor is for
        # the mean over cells in the objective of the solver.
        orthogonal, triangular = qr(X, mode="economic")
        scale = np.sqrt(len(triangular) / len(X))
        return scale * orthogonal, np.asfortranarray(scale * triangular)

    @staticmethod
    def solve(problem, Z, start, sparse, ridge, tol):
        orthogonal, triangular = problem
        Z = orthogonal.T @ Z
        if triangular.shape[0] < triangular.shape[1]:  # more genes than cells: what is left for below is to confirm it
            start = group_elastic_net(triangular, Z, start, sparse, ridge, tol)
        _, coef, _ = enet_path(
            triangular,
            np.asfortranarray(Z),
            l1_ratio=sparse / (sparse + ridge),
            alphas=[sparse + ridge],
            coef_init=np.asfortranarray(start.T),
            tol=tol**2,  # a duality gap, quadratic in the error of W
            max_iter=100_000,
            check_input=False,
        )
        return coef[:, :, 0].T


class _EntryPenalty:
    """Sum of the absolute values: each latent variable has genes of its own."""

    @staticmethod
    def value(encoder):
        return np.abs(encoder).sum()

    @staticmethod
    def dual(gradient):
        return np.abs(gradient).max(axis=1)

    @staticmethod
    def prepare(X):
        return X

    @staticmethod
    def solve(problem, Z, start, sparse, ridge, tol):
        # glmnet compares the square of one step; steps are small long before the gradient is.
        return np.column_stack([glmnet_elastic_net(problem, z, sparse, ridge, tol**3) for z in Z.T])


_PENALTIES = {"group": _RowPenalty, "element": _EntryPenalty}
