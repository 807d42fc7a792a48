"""Raw counts: tables of them, checks, library sizes, logarithms and their estimator."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sbnn.data.checks import (
    abbreviate,
    check_in_order,
    check_numeric,
    dense,
    is_anndata,
)
from sbnn.determinism import atomic_fit
from sbnn.errors import check_number, warn

LARGEST_LOG = 20  # log values are usually smaller
BEYOND_LOG = 50  # no logarithm of a count is this large
LARGEST_COUNT = np.float64(2**31 - 1)  # which half precision is compared to, too
LEAST_LIBRARY = 1e-9  # sizes are positive
CELLS_LOOKED_AT = 1000  # to tell counts from logarithms
CELLS_COMPARED_AT_ONCE = 1000
GENES_READ_AT_ONCE = 2000  # complete tables are too large
#: Options of `check_array`: non-negative numbers, dense, CSR or CSC.
NOT_NEGATIVE: dict[str, Any] = {
    "accept_sparse": ("csr", "csc"),
    "ensure_non_negative": True,
    "input_name": "counts",
}
LEAST_FRACTION_OF_COUNTS = 0.5  # of the training counts, for a good estimate of depth


# --- tables of counts


def read_count_table(path: str | Path) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Read a published table of genes x cells, which may be packed.

    Returns
    -------
    counts : CSR matrix of int32, shape (n_cells, n_genes)
    cells, genes : Index
        Their names.
    """
    genes: list[str] = []
    blocks = []
    with _open_table(path) as table:
        separator = "\t" if "\t" in table.readline() else ","
        table.seek(0)
        for block in pd.read_csv(
            table,
            sep=separator,
            index_col=0,
            na_filter=False,  # a gene may be called NA
            low_memory=False,
            chunksize=GENES_READ_AT_ONCE,
        ):
            genes.extend(block.index.astype(str))
            counts = block.to_numpy().astype(np.int32, casting="same_kind")
            blocks.append(sparse.csr_array(counts))
    genes_by_cells = sparse.vstack(blocks)
    return genes_by_cells.T.tocsr(), block.columns, pd.Index(genes, dtype=object)


def _open_table(path):
    suffix = Path(path).suffix
    if suffix == ".gz":
        return gzip.open(path, "rt")
    if suffix != ".zip":
        return open(path)
    archive = zipfile.ZipFile(path)
    # archives of macOS have metadata besides
    [member] = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    return io.TextIOWrapper(archive.open(member))


# --- checks


def row_sums(counts: Any) -> np.ndarray:
    """Total of each cell in double precision."""
    return np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()


def convert_counts(counts: ArrayLike, shape: tuple[int, int]) -> np.ndarray | sparse.csr_array:
    """Convert raw counts to an integer array or CSR matrix of this shape."""
    check_numeric(counts, "counts")
    if sparse.issparse(counts):
        matrix = sparse.csr_array(counts, copy=True)
        matrix.sum_duplicates()  # an entry may be stored in parts
        values = matrix.data
    else:
        matrix = np.asarray(counts)
        # sparse matrices have no other order of bytes
        matrix = matrix.astype(matrix.dtype.newbyteorder("="), copy=False)
        values = matrix
    if matrix.shape != shape:
        raise ValueError(f"counts: expected the shape of X, {shape}, got {matrix.shape}")
    wrong = values[~are_counts(values)]
    if len(wrong):
        raise ValueError(f"counts: expected raw counts, whole and not negative, got {wrong[0]:g}")
    return matrix.astype(np.int64) if matrix.dtype.kind == "f" else matrix


def are_counts(values: np.ndarray) -> np.ndarray:
    """Mask of possible raw counts."""
    is_whole = values == np.rint(values)
    return (values >= 0) & (values <= LARGEST_COUNT) & is_whole


def look_like_counts(X: np.ndarray) -> bool:
    """Whether expression is whole numbers, larger than logarithms usually are."""
    return X.max(initial=0) > LARGEST_LOG and bool(are_counts(X[:CELLS_LOOKED_AT]).all())


def are_beyond_logarithms(X: np.ndarray) -> bool:
    """Whether expression is too large for logarithms."""
    return X.max(initial=0) > BEYOND_LOG and X.min() >= 0  # z-scores may be large


def check_no_counts(X: np.ndarray) -> None:
    """Reject expression that looks like raw counts."""
    if look_like_counts(X):
        raise ValueError(
            f"X: looks like raw counts, whole numbers up to {X.max():g}; CountNormalizer makes "
            "logarithms of them; `paired` takes them as counts=, or says in notes= what else X is"
        )


def check_logarithms(X: np.ndarray) -> None:
    """Reject expression that looks like raw counts, or is too large for logarithms."""
    check_no_counts(X)
    if are_beyond_logarithms(X):
        raise ValueError(
            f"X: values up to {X.max():g} are no log values; CountNormalizer makes them of counts"
        )


def warn_of_fractions(counts: Any) -> None:
    """Warn of counts that are not whole, as logarithms are not."""
    values = counts.data if sparse.issparse(counts) else counts
    fractions = values[values != np.rint(values)]
    if len(fractions):
        warn(f"counts: expected raw counts, not logarithms, got {fractions[0]:g}")


# --- library sizes and logarithms


def normalize_library_size(
    counts: Any,
    target: float | None = None,
    totals: ArrayLike | None = None,
) -> Any:
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
    check_numeric(counts, "counts")
    if totals is not None:
        check_numeric(totals, "totals")
        check_in_order(counts, totals, "totals")
    values = check_array(counts, **NOT_NEGATIVE)
    sums = row_sums(values)
    library_sizes = sums if totals is None else np.asarray(totals, dtype=np.float64)
    if library_sizes.shape != sums.shape:
        raise ValueError(
            f"totals: expected one for each of {len(sums)} cells, got {library_sizes.shape}"
        )
    is_right = (library_sizes >= sums) & (library_sizes > 0)
    wrong = np.flatnonzero(~is_right)
    if len(wrong):
        names = abbreviate(counts.index[wrong] if isinstance(counts, pd.DataFrame) else wrong)
        raise ValueError(
            f"counts: none, or more than in totals, in {len(wrong)} of {len(library_sizes)} cells: "
            f"{names}; leave such cells out"
        )
    if target is None:
        target = np.median(library_sizes)
    check_number("target", target, float, low=LEAST_LIBRARY)
    factors = (target / library_sizes)[:, np.newaxis]
    if isinstance(values, sparse.sparray | sparse.spmatrix):
        return values.multiply(factors).tocsr().astype(np.float32)
    scaled = np.empty(values.shape, dtype=np.float32)
    # without an array of double precision
    return np.multiply(values, factors, out=scaled, casting="same_kind")


def log2p1(x: Any) -> Any:
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
    values = np.asarray(x, dtype=np.float32)
    check_number("x", float(values.min(initial=0)), float, low=-1 + 1e-6)
    return np.log2(values + 1)


def confirm_library_size(X: Any, counts: Any, library_size: float | None) -> float | None:
    """The library size if `X` is log2(1 + counts / total * library size), otherwise None.

    It is not if `X` or counts were changed, or genes left out with their part of the totals.
    """
    if counts is None or library_size is None or not (row_sums(counts) > 0).all():
        return None
    for start in range(0, X.shape[0], CELLS_COMPARED_AT_ONCE):
        cells = slice(start, start + CELLS_COMPARED_AT_ONCE)
        expected = log2p1(normalize_library_size(counts[cells], library_size))
        # the last bits of logarithms differ between processors
        if not np.allclose(dense(X[cells]), dense(expected), rtol=1e-4, atol=1e-4):
            return None
    return float(library_size)


class CountNormalizer(  # type: ignore[call-arg]  # scikit-learn has no types
    OneToOneFeatureMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # genes may be missing from the result
):
    """Normalise counts to ``log2(1 + counts / total * library size)``.

    The library size is the median total of the training cells; new cells are normalised like them.

    Attributes
    ----------
    library_size_ : float
    count_share_ : ndarray, shape (p,)
        Mean share of each gene in the counts of a training cell.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sbnn import CountNormalizer, LeaveOneOutRidge, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> model = make_pipeline(CountNormalizer(), LeaveOneOutRidge())
    >>> model.fit(data, data.obsm["outputs"]).predict(data).shape
    (100, 16)
    """

    library_size_: float
    count_share_: np.ndarray

    @atomic_fit
    def fit(self, X: Any, y: object = None) -> Self:
        """Learn the library size and the shares of the genes.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            Counts; of an AnnData, ``layers["counts"]``.
        y : ignored
        """
        table = _counts_table(X)
        counts = validate_data(self, table, accept_sparse=("csr", "csc"))
        warn_of_fractions(counts)
        self.library_size_ = float(np.median(row_sums(counts)))
        fractions = normalize_library_size(counts, target=1)
        means = fractions.mean(axis=0, dtype=np.float64)
        self.count_share_ = np.asarray(means).ravel()
        return self

    def transform(self, X: Any, totals: ArrayLike | None = None) -> np.ndarray | pd.DataFrame:
        """Log expression of counts, (n, p), in single precision.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            Genes are matched by name; those of the fit that are missing are left out.
        totals : array-like of shape (n,), optional
            Counts of each cell over all genes, by default estimated from the genes that are
            present.

        Returns
        -------
        ndarray or DataFrame
            A DataFrame for a DataFrame or an AnnData.
        """
        check_is_fitted(self)
        table = _counts_table(X)
        size = self.library_size_
        if isinstance(table, pd.DataFrame) and hasattr(self, "feature_names_in_"):
            present = np.isin(self.feature_names_in_, table.columns)
            if not present.any():
                raise ValueError(
                    f"X: it has none of the {len(present)} genes of the fit, such as "
                    f"{self.feature_names_in_[0]!r}, but {abbreviate(table.columns)}"
                )
            table = table[self.feature_names_in_[present]]
            if totals is None and not present.all():
                # log2 errors of totals: SD 0.08 to 0.15 with half of the genes, 1.1 with 25 of
                # 30,000
                fraction = float(self.count_share_[present].sum())
                size *= fraction
                if fraction < LEAST_FRACTION_OF_COUNTS:
                    warn(
                        f"X: counts of {np.sum(~present)} of the {len(present)} genes of the fit "
                        f"are missing, and the others have {fraction:.1%} of the counts of the "
                        "training cells; provide the counts of all genes, or the total of each "
                        "cell as `totals`"
                    )
        else:
            table = validate_data(self, table, reset=False, accept_sparse=("csr", "csc"))
        normalized = normalize_library_size(table, size, totals)
        values = dense(log2p1(normalized))
        if isinstance(table, pd.DataFrame):
            return pd.DataFrame(values, table.index, table.columns)
        return values


def normalizer_to(
    library_size: float | None, counts: Any, genes: pd.Index | np.ndarray
) -> CountNormalizer | None:
    """Normaliser to a library size, maybe of other cells, with the shares of genes in counts."""
    if library_size is None:
        return None
    normalizer = CountNormalizer().fit(counts)
    normalizer.library_size_ = library_size
    normalizer.feature_names_in_ = np.asarray(genes, dtype=object)
    return normalizer


def _counts_table(X):
    table = X.to_df("counts") if is_anndata(X) else X
    check_numeric(table, "X")
    return table
