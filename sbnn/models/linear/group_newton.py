"""The group lasso where genes outnumber cells: Newton's method on the norms of the rows.

Coordinate descent needs thousands of passes there, since many sets of genes explain the cells nearly as well. What
helps is that a norm is the least of a family of squares, ``|w| = min over g >= 0 of (|w|^2 / g + g) / 2``. With g
held, the rows of W solve a ridge regression, in closed form by a matrix as large as the number of cells; what is left
is a smooth convex problem in one number per gene, all of them bounded by zero. Its Hessian is a product, entry by
entry, of two Gram matrices, and a handful of projected Newton steps end at full precision.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

_MOST_STEPS = 50
# Of the diagonal of the Hessian, relative to it: two genes that are alike make it singular.
_LEAST_DAMPING = 1e-10


def group_elastic_net(X, Z, start, sparse, ridge, tol):
    """Minimise ``|Z - X W|^2 / (2 n) + sparse (sum of row norms of W) + ridge / 2 |W|^2``.

    Parameters
    ----------
    X : ndarray of shape (n, p), float64
        Made for p > n: a step costs n^2 p + n p^2 + p^3 / 3 products.
    Z : ndarray of shape (n, r), float64
    start : ndarray of shape (p, r)
        Where to begin; rows of zeros may enter.
    sparse : float
        Strength of the group penalty, above 0.
    ridge : float
        Strength of the ridge penalty, not negative.
    tol : float
        The last step is the one that starts where no row breaks its optimality condition by more than this share of
        `sparse`. It leaves about the square of it.

    Returns
    -------
    ndarray of shape (p, r), float64
        Rows of exactly zero for genes that are not selected. The best that was found, if 50 steps were not enough.

    References
    ----------
    Bach, Jenatton, Mairal and Obozinski, "Optimization with sparsity-inducing penalties", Found. Trends Mach. Learn.
    4, 2012, section 5. Bertsekas, "Projected Newton methods", SIAM J. Control Optim. 20, 1982.
    """
    point = _Point(X, Z, sparse, ridge, np.linalg.norm(start, axis=1))
    damping = _LEAST_DAMPING
    for _ in range(_MOST_STEPS):
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
    """The point that a projected Newton step of the free norms leads to, damped until it pays, and by how much.

    Damping leads from the Newton step, which may be long where the Hessian is nearly singular and is no way down where
    the bound cuts it, to a short one along the gradient, which always is. The point is None where none pays.
    """
    hessian = point.hessian(free)
    diagonal = np.diag_indices_from(hessian)
    scale = hessian[diagonal] + _LEAST_DAMPING * np.trace(hessian)
    rounding = 10 * np.finfo(float).eps * point.value
    for damping in least * 100.0 ** np.arange(12):
        damped = hessian.copy()
        damped[diagonal] += damping * scale
        try:
            step = -cho_solve(cho_factor(damped, overwrite_a=True), gradient[free])
        except LinAlgError:
            continue
        norms = point.norms.copy()
        norms[free] = np.maximum(norms[free] + step, 0)
        tried = _Point(point.X, point.Z, point.sparse, point.ridge, norms)
        if tried.value <= point.value + 1e-4 * gradient @ (norms - point.norms) + rounding:
            return tried, damping
    return None, damping


class _Point:
    """The objective at given norms of the rows, minimised over W, with its derivatives by the norms."""

    def __init__(self, X, Z, sparse, ridge, norms):
        self.X, self.Z, self.sparse, self.ridge, self.norms = X, Z, sparse, ridge, norms
        n = len(X)
        self.weights = norms / (sparse + ridge * norms)  # of the ridge regression: how freely each row may move
        used = np.flatnonzero(norms)
        kernel = (X[:, used] * (self.weights[used] / n)) @ X[:, used].T
        kernel[np.diag_indices(n)] += 1
        self.factor = cho_factor(kernel, lower=True, overwrite_a=True)
        self.residual = cho_solve(self.factor, Z)
        self.value = np.vdot(Z, self.residual) / (2 * n) + sparse / 2 * norms.sum()

    def encoder(self):
        """W, shape (p, r)."""
        return self.weights[:, None] * (self.X.T @ self.residual) / len(self.X)

    def gradient(self):
        """Shape (p,)."""
        self.slopes = self.X.T @ self.residual
        self.rates = self.sparse / (self.sparse + self.ridge * self.norms) ** 2  # derivatives of the weights
        self.pulls = (self.slopes**2).sum(axis=1) / (2 * len(self.X) ** 2)
        return self.sparse / 2 - self.rates * self.pulls

    def hessian(self, free):
        """Of the norms of some rows, shape (free, free); asks for `gradient` first."""
        X, slopes, rates = self.X[:, free], self.slopes[free], self.rates[free]
        hessian = (X.T @ cho_solve(self.factor, X)) * (slopes @ slopes.T) * (np.outer(rates, rates) / len(X) ** 3)
        bend = 2 * self.ridge / (self.sparse + self.ridge * self.norms[free])
        hessian[np.diag_indices_from(hessian)] += bend * rates * self.pulls[free]
        return hessian
