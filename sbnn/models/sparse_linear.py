"""Sparse reduced-rank regression, a linear model that selects genes."""

from __future__ import annotations

# For fixed V, W solves a convex elastic net. With the group penalty, coordinate descent of
# scikit-learn works on a growing set of genes, whose expression is replaced by its triangular
# factor: a row per gene, not per cell. With more genes than cells, this would need thousands of
# passes, so Newton's method comes first. With the element-wise penalty, glmnet solves each column
# of W separately.
import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path
from sklearn.utils._param_validation import StrOptions

from sbnn.errors import check_number, require, warn
from sbnn.models.linear import (
    GeneSelectionMixin,
    LatentRegressor,
    ridge_reduced_rank,
    with_positive_peaks,
)

# weight of the previous decoder in the V-step, relative to the data, for latent variables that have
# no genes yet
_INERTIA = 1e-8
_MOST_NEWTON_STEPS = 50
# relative to the diagonal of the Hessian, which is singular if two genes are equal
_LEAST_DAMPING = 1e-10


class SparseReducedRankRegression(GeneSelectionMixin, LatentRegressor):
    """Reduced-rank regression that selects genes by a lasso or elastic-net penalty on its encoder.

    Minimises ``|Y - X W V'|^2 / (2 n) + alpha (l1_ratio P(W) + (1 - l1_ratio) / 2 |W|^2)`` over the
    encoder W, (p, rank), and the orthonormal decoder V, (q, rank), for centred X and Y [1]_. P is
    the sum of the 2-norms of the rows of W (one per gene), or of the absolute values of its entries
    [2]_. W and V are optimised in turn until they reach a stationary point.

    Parameters
    ----------
    rank : int, default=2
        Width of the bottleneck, from 1 to min(p, q).
    alpha : float, default=1.0
        Strength of the penalty. 0 gives `ReducedRankRegression`, which selects all genes.
    l1_ratio : float, default=1.0
        Share of the sparse penalty in the total penalty; with 0, only the ridge penalty remains.
    relaxed : bool, default=True
        Refit the selected genes by `ReducedRankRegression` with the same ``alpha``.
    penalty : {"group", "element"}, default="group"
        Whether whole rows of W become zero, or single entries.
    max_iter : int, default=1000
        Maximum number of alternations between W and V.
    tol : float, default=1e-6
        Change of the decoder (root mean square over its columns) at which the alternation stops.

    Attributes
    ----------
    encoder_ : ndarray, shape (p, rank)
        Encoder W with zero rows for genes that were not selected; latent variables are sorted by
        decreasing variance.
    decoder_, coef_, intercept_, x_mean_, y_mean_
        As in `ReducedRankRegression`.
    objective_ : ndarray, shape (iterations,)
        Objective after every W-step, before the relaxed refit.
    n_iter_ : int
        Number of alternations; 1 if the solution has a closed form.

    References
    ----------
    .. [1] Kobak, Bernaerts, Weis, Scala, Tolias and Berens, J. R. Stat. Soc. C 70, 2021.
    .. [2] Chen and Huang, J. Am. Stat. Assoc. 107, 2012.

    Examples
    --------
    >>> from scipy.stats import zscore
    >>> from sbnn import SparseReducedRankRegression, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> X, Y = zscore(data.X), zscore(data.obsm["outputs"])
    >>> model = SparseReducedRankRegression(rank=2, alpha=1.3).fit(X, Y)
    >>> data.var_names[model.get_support()].tolist()
    ['gene06', 'gene42', 'gene56']
    """

    _parameter_constraints = {"relaxed": ["boolean"], "penalty": [StrOptions({"group", "element"})]}

    def __init__(
        self,
        rank: int = 2,
        alpha: float = 1.0,
        l1_ratio: float = 1.0,
        relaxed: bool = True,
        penalty: str = "group",
        max_iter: int = 1000,
        tol: float = 1e-6,
    ) -> None:
        self.rank = rank
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.relaxed = relaxed
        self.penalty = penalty
        self.max_iter = max_iter
        self.tol = tol

    def _validate(self, X, y):
        check_number("l1_ratio", self.l1_ratio, float, 0, 1)
        check_number("max_iter", self.max_iter, int, 1)
        check_number("tol", self.tol, float, 1e-7, 1)
        self._validate_params()
        return super()._validate(X, y)

    def _solve(self, X, Y, alphas):
        # not the previous solution: as the problem in (W, V) is not convex, a path could end in
        # another optimum than a single fit
        _, _, directions = np.linalg.svd(X.T @ Y, full_matrices=False)
        first = directions[: self.rank].T
        step = _EncoderStep(X, _PENALTIES[self.penalty], self.l1_ratio, self.tol)
        encoder = np.zeros((X.shape[1], self.rank))
        for alpha in alphas:
            if alpha * self.l1_ratio == 0:
                [(encoder, decoder)] = ridge_reduced_rank(X, Y, self.rank, [alpha])
                yield encoder, decoder, [step.objective(Y, encoder, decoder, alpha)]
                continue
            encoder, decoder, objective = self._alternate(step, Y, encoder, first, alpha)
            if alpha == min(alphas) and not encoder.any():
                bound = step.slopes(Y @ first).max() / self.l1_ratio
                warn(f"no gene is selected with alpha={alpha:.4g}; use alpha below {bound:.4g}")
            yield *self._finished(X, Y, encoder, decoder, alpha), objective

    def _support_mask(self):
        return self.encoder_.any(axis=1)

    def _store(self, encoder, decoder, objective):
        self.objective_ = np.array(objective)
        self.n_iter_ = len(objective)
        return super()._store(encoder, decoder)

    def _alternate(self, step, Y, encoder, decoder, alpha):
        """Alternate until V hardly changes; return W, its V, and objectives."""
        objective = []
        for _ in range(self.max_iter):
            encoder = step(Y @ decoder, encoder, alpha)
            objective.append(step.objective(Y, encoder, decoder, alpha))
            if not encoder.any():
                return encoder, decoder, objective
            last = decoder
            pull = Y.T @ step.latent(encoder)  # shape (q, rank)
            pull += _INERTIA * np.linalg.norm(pull) * last
            left, _, right = np.linalg.svd(pull, full_matrices=False)
            decoder = left @ right
            if np.linalg.norm(decoder - last) <= self.tol * np.sqrt(self.rank):
                return encoder, last, objective
        text = f"no convergence after max_iter={self.max_iter} alternations with alpha={alpha:.4g}"
        warn(f"{text}; increase max_iter", ConvergenceWarning)
        return encoder, last, objective

    def _finished(self, X, Y, encoder, decoder, alpha):
        """Refit the selected genes if `relaxed`, or else rotate to a unique form."""
        selected = encoder.any(axis=1)
        some = X[:, selected]
        if self.relaxed and selected.any():
            [(refit, decoder)] = ridge_reduced_rank(some, Y, self.rank, [alpha])
            encoder = np.zeros_like(encoder)
            encoder[selected] = refit
            return encoder, decoder
        # Rotations leave the fit and the group penalty unchanged; the element-wise penalty allows
        # only permutations and sign changes.
        latent = some @ encoder[selected]
        covariance = latent.T @ latent
        if self.penalty == "element":
            covariance = np.diag(np.diag(covariance))  # its eigenvectors only permute
        _, vectors = np.linalg.eigh(covariance)
        rotation = vectors[:, ::-1]
        return with_positive_peaks(encoder @ rotation, decoder @ rotation)


class _EncoderStep:
    """Minimise ``|Z - X W|^2 / (2 n) + penalty(W)`` on a growing working set of genes."""

    def __init__(self, X, penalty, l1_ratio, tol):
        self.X = X
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.tol = tol
        self.genes = np.zeros(0, dtype=int)  # the working set

    def __call__(self, Z, encoder, alpha):
        """Minimise over W, (p, rank), for targets Z, (n, rank), starting from `encoder`."""
        sparse = alpha * self.l1_ratio
        ridge = alpha * (1 - self.l1_ratio)
        while True:
            if len(self.genes):
                start = encoder[self.genes]
                encoder = np.zeros_like(encoder)
                encoder[self.genes] = self.penalty.solve(
                    self.problem, Z, start, sparse, ridge, self.tol
                )
            slopes = self.slopes(Z - self.latent(encoder))
            slopes[self.genes] = 0
            steepest = np.argsort(-slopes, kind="stable")[: max(10, len(self.genes))]
            added = steepest[slopes[steepest] > sparse]
            if not len(added):
                return encoder
            self.genes = np.sort(np.append(self.genes, added))
            self.problem = self.penalty.prepare(self.X[:, self.genes])

    def slopes(self, residual):
        """Gradient norm of each gene, (p,)."""
        return self.penalty.dual(self.X.T @ residual) / len(self.X)

    def latent(self, encoder):
        used = encoder.any(axis=1)
        return self.X[:, used] @ encoder[used]

    def objective(self, Y, encoder, decoder, alpha):
        residual = Y - self.latent(encoder) @ decoder.T
        error = (residual**2).sum() / (2 * len(Y))
        sparse = self.penalty.value(encoder)
        ridge = (encoder**2).sum() / 2
        penalty = self.l1_ratio * sparse + (1 - self.l1_ratio) * ridge
        return error + alpha * penalty


class _RowPenalty:
    """Sum of the 2-norms of the rows of W."""

    def value(self, encoder):
        return np.linalg.norm(encoder, axis=1).sum()

    def dual(self, gradient):
        return np.linalg.norm(gradient, axis=1)

    def prepare(self, X):
        # Rotations in the space of cells preserve squared errors. The scale is needed because the
        # solver's objective is a mean over cells.
        orthogonal, triangular = qr(X, mode="economic")
        scale = np.sqrt(len(triangular) / len(X))
        return scale * orthogonal, np.asfortranarray(scale * triangular)

    def solve(self, problem, Z, start, sparse, ridge, tol):
        orthogonal, triangular = problem
        Z = orthogonal.T @ Z
        n, p = triangular.shape
        if n < p:
            start = group_elastic_net(triangular, Z, start, sparse, ridge, tol)
        alpha = sparse + ridge
        start = np.asfortranarray(start.T)
        _, coef, _ = enet_path(
            triangular,
            np.asfortranarray(Z),
            l1_ratio=sparse / alpha,
            alphas=[alpha],
            coef_init=start,
            # applies to a duality gap, which is quadratic in the error of W
            tol=tol**2,
            max_iter=100_000,
            check_input=False,
        )
        return coef[:, :, 0].T


class _EntryPenalty:
    """Sum of the absolute values of W."""

    def value(self, encoder):
        return np.abs(encoder).sum()

    def dual(self, gradient):
        return np.abs(gradient).max(axis=1)

    def prepare(self, X):
        return X

    def solve(self, problem, Z, start, sparse, ridge, tol):
        # glmnet compares it with a squared step, and steps become small before the gradient does
        tol = tol**3
        columns = [glmnet_elastic_net(problem, z, sparse, ridge, tol) for z in Z.T]
        return np.column_stack(columns)


_PENALTIES = {"group": _RowPenalty(), "element": _EntryPenalty()}


def group_elastic_net(X, Z, start, sparse, ridge, tol):
    """Minimise ``|Z - X W|^2 / (2 n) + sparse (sum of row norms of W) + ridge / 2 |W|^2``."""
    # |w| is the minimum of (|w|^2 / g + g) / 2 over g >= 0. For fixed g, W is the solution of a
    # ridge regression with an n x n matrix. What remains is a smooth convex problem with one
    # nonnegative variable per gene (Bach et al., Found. Trends Mach. Learn. 4, 2012, section 5).
    # Projected Newton steps: Bertsekas, SIAM J. Control Optim. 20, 1982.
    point = _Point(X, Z, sparse, ridge, np.linalg.norm(start, axis=1))
    damping = _LEAST_DAMPING
    for _ in range(_MOST_NEWTON_STEPS):
        gradient = point.gradient()
        free = np.flatnonzero((point.norms > 0) | (gradient < 0))
        if not len(free):
            break
        is_close = np.abs(gradient[free]).max() <= tol * sparse
        better, damping = _damped_step(point, gradient, free, damping)
        if better is None:
            break
        point = better
        if is_close and damping == _LEAST_DAMPING:
            break
        damping = max(damping / 100, _LEAST_DAMPING)
    return point.encoder()


def _damped_step(point, gradient, free, least):
    """Newton step in the free norms, damped until the objective decreases."""
    # A step can be too long if the Hessian is nearly singular, or be cut off at the bound; a short
    # gradient step always descends.
    hessian = point.hessian(free)
    scale = np.diag(hessian) + _LEAST_DAMPING * np.trace(hessian)
    rounding = 10 * np.finfo(float).eps * point.value
    for damping in least * 100.0 ** np.arange(12):
        try:
            factor = cho_factor(hessian + np.diag(damping * scale), overwrite_a=True)
        except LinAlgError:
            continue
        norms = point.norms.copy()
        step = cho_solve(factor, gradient[free])
        norms[free] = np.maximum(norms[free] - step, 0)
        tried = _Point(point.X, point.Z, point.sparse, point.ridge, norms)
        expected = 1e-4 * gradient @ (norms - point.norms)
        if tried.value <= point.value + expected + rounding:
            return tried, damping
    return None, damping


class _Point:
    """Minimum of the objective over W for given row norms, (p,), and its derivatives."""

    def __init__(self, X, Z, sparse, ridge, norms):
        self.X = X
        self.Z = Z
        self.sparse = sparse
        self.ridge = ridge
        self.norms = norms
        n = len(X)
        self.weights = norms / (sparse + ridge * norms)
        used = np.flatnonzero(norms)
        some = X[:, used]
        kernel = (some * (self.weights[used] / n)) @ some.T
        kernel[np.diag_indices(n)] += 1
        self.factor = cho_factor(kernel, lower=True, overwrite_a=True)
        self.residual = cho_solve(self.factor, Z)  # shape (n, r)
        error = np.vdot(Z, self.residual) / (2 * n)
        self.value = error + sparse / 2 * norms.sum()

    def encoder(self):
        return self.weights[:, None] * (self.X.T @ self.residual) / len(self.X)

    def gradient(self):
        self.slopes = self.X.T @ self.residual
        # derivatives of the weights with respect to the norms
        self.totals = self.sparse + self.ridge * self.norms
        self.rates = self.sparse / self.totals**2
        squares = (self.slopes**2).sum(axis=1)
        self.pulls = squares / (2 * len(self.X) ** 2)
        return self.sparse / 2 - self.rates * self.pulls

    def hessian(self, free):
        """Hessian by the norms of the rows `free`; needs a call of `gradient`."""
        X = self.X[:, free]
        slopes = self.slopes[free]
        rates = self.rates[free]
        hessian = X.T @ cho_solve(self.factor, X)
        hessian *= slopes @ slopes.T
        hessian *= np.outer(rates, rates) / len(X) ** 3
        bend = 2 * self.ridge / self.totals[free]
        return hessian + np.diag(bend * rates * self.pulls[free])


def glmnet_elastic_net(X, y, sparse, ridge, tol):
    """Minimise ``|y - X b|^2 / (2 n) + sparse |b|_1 + ridge / 2 |b|^2`` over b."""
    size = np.sqrt(np.mean(y**2))
    if size == 0:
        return np.zeros(X.shape[1])
    # glmnet divides y by its root mean square first, which divides the ridge penalty as well
    strength = sparse + ridge * size
    require("glmnet")
    from glmnet import ElasticNet

    model = ElasticNet(
        alpha=sparse / strength,
        lambda_path=[strength],
        standardize=False,
        fit_intercept=False,
        n_splits=0,
        tol=tol,
        max_iter=1_000_000,
    )
    model.fit(X, y)
    if model.n_lambda_ == 0:
        raise RuntimeError(f"glmnet did not converge with penalties {sparse:.3g} and {ridge:.3g}")
    return model.coef_path_[:, 0]
