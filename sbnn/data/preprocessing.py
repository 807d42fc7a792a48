"""Preprocessing of raw counts: gene selection, library size, logarithm and scaling.

Counts are cells x genes, as an array, a DataFrame, or a CSR or CSC matrix.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted, check_non_negative, validate_data

from sbnn.data.checks import LARGEST_LOG, looked_at, some
from sbnn.data.objects import dense
from sbnn.errors import check_number, warn

__all__ = [
    "Standardizer",
    "expression_pipeline",
    "log2p1",
    "normalize_library_size",
    "select_genes",
]

# slope of the selection curve per log2 unit, and its offset in near-zero frequency
SLOPE, OFFSET = 1.5, 0.02

_SPARSE = ("csr", "csc")
# Nearly equal positions on the selection curve differ only by rounding errors; positions that are
# equal to this many decimals are ties.
_DECIMALS = 9
FEW_CELLS = 8  # up to this number, correlations between X and counts mean nothing
_CELLS_LOOKED_AT = 1000  # number of cells used to detect how expression was normalised


@dataclass(frozen=True, eq=False)
class GeneSelection:
    """Result of `select_genes`: arrays with one entry per gene, and the parameters of the curve."""

    selected: np.ndarray
    # mean of log2(counts) over counts above the threshold; NaN if a gene has no such counts
    mean_log2: np.ndarray
    near_zero_frequency: np.ndarray  # fraction of cells with at most `threshold` counts
    eligible: np.ndarray  # whether a gene is above the threshold in at least `min_cells` cells
    b: float  # horizontal position of the curve, in log2 counts
    slope: float
    offset: float
    threshold: float


def select_genes(counts, n_genes=1000, threshold=0, min_cells=10):
    """Choose the genes with more near-zero counts than their expression level explains.

    A gene with mean log2 expression m (over the cells above the threshold) is kept if its near-zero
    frequency exceeds ``exp(-1.5 (m - b)) + 0.02``, where b, the horizontal position of the curve,
    is such that `n_genes` genes are kept. Equivalently, a gene is kept if b is below ``m +
    log(frequency - 0.02) / 1.5``. A bisection over b would therefore find the `n_genes` genes for
    which this expression is largest.

    Parameters
    ----------
    counts : array, DataFrame or CSR/CSC matrix of shape (n_cells, n_genes_in)
        Non-negative raw counts.
    n_genes : int
        Exact number of genes to keep. If the positions of genes on the curve are tied (equal to
        nine decimals), the first of these genes in column order are kept.
    threshold : float
        Counts up to this value are considered to be near zero. Use 0 for molecules (UMIs) and about
        30 for full-length reads.
    min_cells : int
        Genes that exceed the threshold in fewer cells than this are never kept.

    Returns
    -------
    GeneSelection
        ``selected`` is a mask of the genes; ``mean_log2``, ``near_zero_frequency``, ``eligible``
        and the parameters of the curve (``b``, ``slope``, ``offset``, ``threshold``) are for
        figures.

    Raises
    ------
    ValueError
        If counts are negative or not finite, or `n_genes` exceeds the number of genes that the
        curve can keep.

    References
    ----------
    Andrews & Hemberg, Bioinformatics 35, 2865 (2019); Kobak & Berens, Nature Communications 10,
    5416 (2019), Methods.
    """
    check_number("n_genes", n_genes, int, 1)
    check_number("threshold", threshold, float, 0)
    check_number("min_cells", min_cells, float, 0)
    mean_log2, frequency, eligible, position = positions_of_curve(counts, threshold, min_cells)
    low, high, whole, _ = looked_at(counts)
    if whole < 1 and high <= LARGEST_LOG:
        warn(f"counts: values from {low:g} to {high:g} look like log values, not raw counts")
    n_candidates = np.isfinite(position).sum()
    if n_genes > n_candidates:
        text = f"above {threshold} in {min_cells} cells and near zero in more than {OFFSET:.0%}"
        raise ValueError(f"n_genes: only {n_candidates} genes are {text}, got {n_genes}")
    order = np.argsort(-position, kind="stable")
    selected = np.zeros(len(position), bool)
    selected[order[:n_genes]] = True
    # the curve lies between the last gene that is kept and the next one
    last_kept = position[order[n_genes - 1]]
    next_one = last_kept - 2 * 10.0**-_DECIMALS
    if n_genes < n_candidates:
        next_one = position[order[n_genes]]
    b = float((last_kept + next_one) / 2)
    return GeneSelection(selected, mean_log2, frequency, eligible, b, SLOPE, OFFSET, threshold)


def _checked(counts):
    """Convert counts to an array or sparse matrix of non-negative numbers."""
    counts = check_array(counts, accept_sparse=_SPARSE, input_name="counts")
    check_non_negative(counts, "counts")
    return counts


def positions_of_curve(counts, threshold, min_cells):
    """Means, frequencies and `eligible` of `GeneSelection`, and curve positions (-inf: none)."""
    counts = sparse.csr_array(_checked(counts))
    n_cells, n_genes = counts.shape
    above = counts.data > threshold
    genes = counts.indices[above]
    n_above = np.bincount(genes, minlength=n_genes)
    log_sum = np.bincount(genes, weights=np.log2(counts.data[above]), minlength=n_genes)
    mean_log2 = np.full(n_genes, np.nan)
    np.divide(log_sum, n_above, out=mean_log2, where=n_above > 0)
    frequency = 1 - n_above / n_cells
    eligible = n_above >= min_cells
    on_curve = eligible & (frequency > OFFSET)
    position = np.full(n_genes, -np.inf)
    position[on_curve] = mean_log2[on_curve] + np.log(frequency[on_curve] - OFFSET) / SLOPE
    return mean_log2, frequency, eligible, np.round(position, _DECIMALS)


def normalize_library_size(counts, target=None, totals=None, cells=None):
    """Scale every cell to the same total, so that cells no longer differ in sequencing depth.

    Parameters
    ----------
    counts : array, DataFrame or CSR/CSC matrix of shape (n_cells, n_genes)
        Non-negative counts.
    target : float, optional
        Total of every cell after scaling; by default the median total of the given cells.
    totals : ndarray of shape (n_cells,), optional
        Total counts of every cell over all genes, if `counts` holds only some of the genes; by
        default, the row sums.
    cells : array-like of shape (n_cells,), optional
        Names of the cells for error messages; by default, the index of a DataFrame.

    Returns
    -------
    ndarray or CSR matrix of float32, shape (n_cells, n_genes)
        ``counts / total * target``, sparse for sparse input.

    Raises
    ------
    ValueError
        If a cell has no counts, counts are negative or not finite, or the total of a cell is
        smaller than the sum of its counts.
    """
    if isinstance(counts, pd.DataFrame):
        cells = counts.index
    values = _checked(counts)
    counted = row_sums(values)
    problem = "totals: smaller than the counts in"
    if totals is None:
        totals = counted
        problem = "counts: no counts in"
    totals = np.asarray(totals, dtype=np.float64).reshape(counted.shape)
    wrong = np.flatnonzero(~((totals >= counted) & (totals > 0)))
    if len(wrong):
        names = some(wrong if cells is None else cells[wrong])
        of_cells = f"{len(wrong)} of {len(totals)} cells: {names}"
        raise ValueError(f"{problem} {of_cells}; leave such cells out")
    if target is None:
        target = np.median(totals)
    check_number("target", target, float, 0)
    factors = (target / totals)[:, np.newaxis]
    if sparse.issparse(values):
        return values.multiply(factors).tocsr().astype(np.float32)
    return (values * factors).astype(np.float32)


def row_sums(counts):
    """Total of each cell in double precision, from an array or a sparse matrix."""
    return np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()


def size_of_library(X, counts):
    """Total to which cells were normalised if X is log2(x + 1) of their counts; otherwise None."""
    totals = row_sums(counts)
    looked_at = _some_of(np.arange(len(totals)))
    X = dense(X[looked_at])
    with np.errstate(over="ignore"):
        size = np.median((np.exp2(X, dtype=np.float64) - 1).sum(axis=1))
    if not (0 < size < np.inf and totals.min() > 0):
        return None
    if np.isclose(size, np.median(totals), rtol=1e-5, atol=0):
        size = np.median(totals)  # exact, without the rounding of X
    expected = dense(log2p1(normalize_library_size(counts[looked_at], size)))
    return float(size) if np.allclose(X, expected, rtol=1e-4, atol=1e-4) else None


def correlation_with_counts(X, counts):
    """Correlation of a typical gene in X with its normalised counts; NaN if it is not defined."""
    counted = _some_of(np.flatnonzero(row_sums(counts)))
    if len(counted) <= FEW_CELLS:
        return np.nan
    expected = dense(log2p1(normalize_library_size(counts[counted])))
    return pd.DataFrame(dense(X[counted])).corrwith(pd.DataFrame(expected)).median()


def _some_of(cells):
    """At most `_CELLS_LOOKED_AT` evenly spaced cells."""
    return cells[np.unique(np.linspace(0, len(cells) - 1, _CELLS_LOOKED_AT).astype(int))]


def log2p1(x):
    """Take log2(x + 1) of values above -1; zeros remain zero, and ratios become differences.

    Parameters
    ----------
    x : array, DataFrame or CSR/CSC matrix
        Normalised counts.

    Returns
    -------
    ndarray or sparse matrix of float32
        Array of the same shape as `x`, sparse for sparse input.
    """
    if sparse.issparse(x):
        logged = x.astype(np.float32)  # always a copy
        logged.data = log2p1(x.data)
        return logged
    x = np.asarray(x, dtype=np.float32)
    check_number("x", float(x.min(initial=0)), float, -1 + 1e-6)
    return np.log2(x + 1)


class _Transformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class LibrarySizeNormalizer(_Transformer):
    """Apply `normalize_library_size` with the median total of the training cells, ``target_``."""

    def fit(self, X, y=None):
        """Learn the median of the totals of cells, from counts of shape (n_cells, n_genes)."""
        counts = validate_data(self, X, accept_sparse=_SPARSE)
        check_non_negative(counts, "library-size normalisation (counts expected)")
        self.target_ = float(np.median(row_sums(counts)))
        return self

    def transform(self, X):
        """Scale cells to the learned total; return a float32 array or CSR matrix."""
        check_is_fitted(self)
        validate_data(self, X, accept_sparse=_SPARSE, reset=False)
        return normalize_library_size(X, self.target_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


class Standardizer(_Transformer):
    """Z-score features with the mean and population SD (ddof 0) of the training cells.

    The result is a dense array of float32.

    A gene that does not vary in the training cells is set to 0 in all cells, even in new cells with
    other values.

    Attributes
    ----------
    scaler_ : sklearn.preprocessing.StandardScaler
    constant_ : ndarray of bool, shape (n_features,)
        Whether a feature is constant in the training cells.
    """

    def fit(self, X, y=None):
        """Learn the mean and SD of each feature of `X`, of shape (n_cells, n_features)."""
        X = self._dense(X, reset=True)
        self.constant_ = np.ptp(X, axis=0) == 0
        self.scaler_ = StandardScaler().fit(X)
        return self

    def transform(self, X):
        """Z-scores of `X`, a float32 array of shape (n_cells, n_features)."""
        check_is_fitted(self)
        Z = self.scaler_.transform(self._dense(X, reset=False)).astype(np.float32)
        Z[:, self.constant_] = 0
        return Z

    def _dense(self, X, reset):
        X = validate_data(self, X, accept_sparse=_SPARSE, reset=reset, dtype=np.float64)
        return dense(X)


def expression_pipeline(scale=True) -> Pipeline:
    """Build a pipeline that normalises counts, takes log2(x + 1) and z-scores genes.

    Fit it to training cells only.

    Parameters
    ----------
    scale : bool
        Whether to z-score genes; genes that do not vary in the training cells become 0 (see
        `Standardizer`).

    Returns
    -------
    sklearn.pipeline.Pipeline
        Transforms dense or sparse counts of shape (n_cells, n_genes) to float32; the result is
        dense if `scale` is True, otherwise dense or sparse like the input.
    """
    log = FunctionTransformer(log2p1, accept_sparse=True, feature_names_out="one-to-one")
    steps = [LibrarySizeNormalizer(), log]
    if scale:
        steps.append(Standardizer())
    return make_pipeline(*steps)


def shares_of_genes(counts):
    """Mean share of each gene in the counts of a cell."""
    # used to estimate totals of cells in which genes are missing
    return np.asarray(normalize_library_size(counts, 1).mean(axis=0, dtype=np.float64)).ravel()
