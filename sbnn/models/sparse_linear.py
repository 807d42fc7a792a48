"""Sparse reduced-rank regression, a linear model that selects genes."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy.linalg import qr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import MultiTaskElasticNet
from sklearn.utils._param_validation import Interval, StrOptions

from sbnn.data.inputs import COUNT
from sbnn.errors import require, warn
from sbnn.models.linear import (
    GeneSelectionMixin,
    ReducedRankRegression,
    ridge_reduced_rank,
)

# weight of the previous decoder in the V-step, relative to the data, for latent variables that have
# no genes yet
INERTIA = 1e-8
# single weights in the time of one alternation; it grows by the square of their number
WEIGHTS_OF_AN_ALTERNATION = 100


class SparseReducedRankRegression(GeneSelectionMixin, ReducedRankRegression):
    """Reduced-rank regression that selects genes by a lasso or elastic-net penalty on its encoder.

    Minimises ``|Y - X W V'|^2 / (2 n) + alpha (l1_ratio P(W) + (1 - l1_ratio) / 2 |W|^2)`` over the
    encoder W, (p, rank), and the orthonormal decoder V, (q, rank), for centred X and Y [1]_. P is
    the sum of the 2-norms of the rows of W (one per gene), or of the absolute values of its entries
    [2]_. W and V are optimised in turn until they reach a stationary point.

    Parameters
    ----------
    rank : int
        As in `ReducedRankRegression`.
    alpha : float
        Strength of the penalty; 0 gives `ReducedRankRegression`.
    l1_ratio : float
        Fraction of the sparse penalty; the rest is a ridge penalty.
    relaxed : bool
        Refit the selected genes by `ReducedRankRegression` with the same ``alpha``.
    penalty : {"group", "element"}
        Whether whole rows of W become zero, or single entries.
    max_iter : int
        Maximum number of alternations between W and V. With the penalty on entries, one that keeps
        more than 100 of them counts as several, by the square of their number, as it takes longer.
    tol : float
        Change of the decoder (root mean square over its columns) at which the alternation stops.

    Attributes
    ----------
    encoder_ : ndarray, shape (p, rank)
        Encoder W with zero rows for genes that were not selected; latent variables are sorted by
        decreasing variance.
    decoder_, coef_, intercept_, x_mean_, y_mean_
        As in `ReducedRankRegression`.
    n_iter_ : int
        Number of alternations.

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

    n_iter_: int
    _parameter_constraints = ReducedRankRegression._parameter_constraints | {
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "relaxed": ["boolean"],
        "penalty": [StrOptions({"group", "element"})],
        "max_iter": COUNT,
        "tol": [Interval(Real, 1e-7, 1, closed="both")],
    }

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

    @property
    def support_(self) -> np.ndarray:
        """Mask of the selected genes, (p,)."""
        return np.asarray(self.encoder_.any(axis=1))

    def _solve(self, X, Y, rank):
        if self.alpha * self.l1_ratio == 0:
            self.n_iter_ = 1
            return ridge_reduced_rank(X, Y, rank, alpha=self.alpha)
        encoder, decoder = self._alternate(X, Y, rank)
        kept = encoder.any(axis=1)
        if self.relaxed and kept.any():
            encoder[kept], decoder = ridge_reduced_rank(X[:, kept], Y, rank, alpha=self.alpha)
            return encoder, decoder
        # Rotations leave the group penalty unchanged, only permutations the element-wise one.
        latent = X @ encoder
        covariance = latent.T @ latent
        if self.penalty == "element":
            covariance = np.diag(np.diag(covariance))  # its eigenvectors only permute
        _, vectors = np.linalg.eigh(covariance)
        rotation = vectors[:, ::-1]
        return encoder @ rotation, decoder @ rotation

    def _alternate(self, X, Y, rank):
        """Minimise over W and V in turn until V hardly changes."""
        _, _, directions = np.linalg.svd(X.T @ Y, full_matrices=False)
        decoder = directions[:rank].T
        encoder = np.zeros((X.shape[1], rank))
        minimise = row_elastic_net if self.penalty == "group" else entry_elastic_net
        self.n_iter_, counted = 0, 0.0
        while True:
            self.n_iter_ += 1
            # W-step: an elastic net on the targets of the latent variables, (n, rank)
            encoder = minimise(
                X,
                Z=Y @ decoder,
                alpha=self.alpha,
                l1_ratio=self.l1_ratio,
                tol=self.tol,
                start=encoder,
            )
            # V-step: the orthonormal decoder nearest to Y' X W (Procrustes)
            previous = decoder
            pull = Y.T @ (X @ encoder)  # shape (q, rank)
            pull += INERTIA * np.linalg.norm(pull) * previous
            left, _, right = np.linalg.svd(pull, full_matrices=False)
            decoder = left @ right
            change = np.linalg.norm(decoder - previous)
            if change <= self.tol * np.sqrt(rank) or not encoder.any():
                break
            counted += self._alternations_in_the_time_of(encoder)
            if counted >= self.max_iter:
                warn(
                    f"alpha={self.alpha:.4g}: no convergence in {self.n_iter_} alternations, as"
                    f" many as max_iter={self.max_iter} allows; raise alpha, or z-score genes and"
                    " outputs",
                    ConvergenceWarning,
                )
                break
        # the decoder to which the encoder was fitted
        return encoder, previous

    def _alternations_in_the_time_of(self, encoder):
        """How many usual alternations take as long as the one that found this encoder."""
        if self.penalty == "group":
            return 1
        return max(1, (np.count_nonzero(encoder) / WEIGHTS_OF_AN_ALTERNATION) ** 2)


def row_elastic_net(X, Z, alpha, l1_ratio, tol, start):
    """Minimise over W, (p, rank), for targets Z, with a group penalty."""
    net = MultiTaskElasticNet(
        alpha,
        l1_ratio=l1_ratio,
        fit_intercept=False,
        max_iter=100_000,
        tol=tol,
        warm_start=True,
        random_state=0,  # otherwise it draws from NumPy's global generator
    )
    encoder = start
    smallest_slope = alpha * l1_ratio * len(X)
    genes = np.flatnonzero(encoder.any(axis=1))
    # on a growing set of genes, which takes less time than on all
    while True:
        if len(genes):
            net.coef_ = np.asfortranarray(encoder[genes].T)
            # a rotation keeps the errors, but has a row for each gene instead of each cell
            rotation, rotated = qr(X[:, genes], mode="economic")
            scale = np.sqrt(len(rotated) / len(X))
            net.fit(scale * rotated, scale * rotation.T @ Z)
            encoder = np.zeros_like(encoder)
            encoder[genes] = net.coef_.T
        # a gene leaves 0 if the slope of the squared error there is above that of the penalty
        residuals = Z - X[:, genes] @ encoder[genes]
        slopes = np.linalg.norm(X.T @ residuals, axis=1)
        slopes[genes] = 0
        steepest = np.argsort(-slopes, kind="stable")[: max(10, len(genes))]
        added = steepest[slopes[steepest] > smallest_slope]
        if not len(added):
            return encoder
        genes = np.append(genes, added)


def entry_elastic_net(X, Z, alpha, l1_ratio, tol, start):
    """Minimise over W, (p, rank), for targets Z, with a penalty on entries; `start` is not used."""
    require("glmnet")
    from glmnet import ElasticNet

    lasso = alpha * l1_ratio
    columns = []
    for z in Z.T:
        # glmnet divides z by its root mean square first, which divides the ridge penalty as well;
        # it compares its tolerance with a squared step, small before the gradient is
        root_mean_square = np.sqrt(np.mean(z**2))
        ridge = alpha * (1 - l1_ratio) * root_mean_square
        strength = lasso + ridge
        net = ElasticNet(
            lasso / strength,
            lambda_path=[strength],
            n_splits=0,
            standardize=False,
            fit_intercept=False,
            tol=tol**2,
            max_iter=1_000_000,
        )
        columns.append(net.fit(X, z).coef_path_)
    return np.hstack(columns)
