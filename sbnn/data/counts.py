"""Raw counts: checks, library sizes and logarithms."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.validation import check_array, check_non_negative

from sbnn.data.checks import abbreviate
from sbnn.errors import check_number

LARGEST_LOG = 20  # log values are usually smaller
LARGEST_COUNT = 2**31 - 1
CELLS_LOOKED_AT = 1000  # to tell counts from logarithms, and how these were normalised


def dense(matrix):
    """Matrix as a dense array."""
    return matrix.toarray(order="C") if sparse.issparse(matrix) else np.asarray(matrix)


def check_counts(given: ArrayLike, shape: tuple[int, int]) -> np.ndarray | sparse.csr_array:
    """Convert raw counts to an integer array or CSR matrix of this shape."""
    if sparse.issparse(given):
        counts = sparse.csr_array(given, copy=True)
        counts.sum_duplicates()  # an entry may be stored in parts
    else:
        counts = np.asarray(given)
    if counts.shape != shape:
        raise ValueError(f"counts: expected the shape of X, {shape}, got {counts.shape}")
    values = counts.data if sparse.issparse(counts) else counts
    wrong = values[~are_counts(values)]
    if len(wrong):
        raise ValueError(f"counts: expected raw counts, whole and not negative, got {wrong[0]}")
    return counts.astype(np.int64) if counts.dtype.kind == "f" else counts


def are_counts(values: np.ndarray) -> np.ndarray:
    """Mask of possible raw counts."""
    return (values >= 0) & (values <= LARGEST_COUNT) & (values == np.rint(values))


def raw_counts(X: np.ndarray) -> str:
    """Sentence about raw counts, with values above 20, in place of logarithms, or ""."""
    if X.max() <= LARGEST_LOG or not are_counts(X[:CELLS_LOOKED_AT]).all():
        return ""
    advice = "pass log2p1(normalize_library_size(X)) of sbnn.preprocessing, as read_tables does"
    return f"X: looks like raw counts (whole numbers up to {X.max():g}); {advice}"


def checked_counts(counts):
    """Convert to non-negative numbers, dense, CSR or CSC."""
    counts = check_array(counts, accept_sparse=("csr", "csc"), input_name="counts")
    check_non_negative(counts, "counts")
    return counts


def normalize_library_size(
    counts,
    target: float | None = None,
    totals: np.ndarray | None = None,
):
    """Scale every cell to the same total.

    Parameters
    ----------
    counts : array, DataFrame or CSR/CSC matrix of shape (n_cells, n_genes)
        Non-negative counts.
    target : float, optional
        By default the median total of the given cells.
    totals : ndarray of shape (n_cells,), optional
        Totals over all genes, if `counts` holds only some of them.

    Returns
    -------
    ndarray or CSR matrix of float32, shape (n_cells, n_genes)
        ``counts / total * target``, sparse for sparse input.

    Raises
    ------
    ValueError
        If a cell has no counts, counts are negative or infinite, or totals are too small.
    """
    values = checked_counts(counts)
    counted = row_sums(values)
    totals = counted if totals is None else np.asarray(totals, dtype=np.float64)
    wrong = np.flatnonzero(~((totals >= counted) & (totals > 0)))
    if len(wrong):
        names = abbreviate(counts.index[wrong] if isinstance(counts, pd.DataFrame) else wrong)
        raise ValueError(
            f"counts: none, or more than in totals, in {len(wrong)} of {len(totals)} cells: "
            f"{names}; leave such cells out"
        )
    if target is None:
        target = np.median(totals)
    factors = (target / totals)[:, np.newaxis]
    if sparse.issparse(values):
        return values.multiply(factors).tocsr().astype(np.float32)
    scaled = np.empty(values.shape, dtype=np.float32)
    # without an array of double precision
    return np.multiply(values, factors, out=scaled, casting="same_kind")


def log2p1(x):
    """Take log2(x + 1) of values above -1.

    Parameters
    ----------
    x : array, DataFrame or CSR/CSC matrix
        Normalised counts.

    Returns
    -------
    ndarray or sparse matrix of float32
        Sparse for sparse input.

    Examples
    --------
    >>> from sbnn import preprocessing
    >>> preprocessing.log2p1([[0, 1, 3]])
    array([[0., 1., 2.]], dtype=float32)
    """
    if sparse.issparse(x):
        logged = x.astype(np.float32)  # always a copy
        logged.sum_duplicates()
        logged.data = log2p1(logged.data)
        return logged
    x = np.asarray(x, dtype=np.float32)
    check_number("x", float(x.min(initial=0)), float, -1 + 1e-6)
    return np.log2(x + 1)


def row_sums(counts):
    """Total of each cell in double precision."""
    return np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()


def size_of_library(X, counts):
    """Total to which counts were normalised before log2(x + 1), or None."""
    totals = row_sums(counts)  # (n_cells,)
    looked_at = np.unique(np.linspace(0, len(totals) - 1, CELLS_LOOKED_AT).astype(int))
    X = dense(X[looked_at])
    with np.errstate(over="ignore"):  # X that is not a logarithm
        normalised = np.exp2(X, dtype=np.float64) - 1
        size = np.median(normalised.sum(axis=1))
    if not (0 < size < np.inf and totals.min() > 0):
        return None
    if np.isclose(size, np.median(totals), rtol=1e-5, atol=0):
        size = np.median(totals)  # exact, without the rounding of X
    expected = dense(log2p1(normalize_library_size(counts[looked_at], size)))
    return float(size) if np.allclose(X, expected, rtol=1e-4, atol=1e-4) else None
