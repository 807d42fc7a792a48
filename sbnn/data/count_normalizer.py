"""Counts as log expression: new cells are normalised like the training cells."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.counts import dense, log2p1, normalize_library_size, row_sums
from sbnn.determinism import atomic_fit
from sbnn.errors import warn

HALF = 0.5  # of the training counts, for a good estimate of depth


class CountNormalizer(
    OneToOneFeatureMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # genes may be missing from the result
):
    """Normalise counts to ``log2(1 + counts / total * library size)``.

    The library size is the median total of the training cells.

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

    @atomic_fit
    def fit(self, X, y: object = None) -> Self:
        """Learn the library size and the shares of the genes.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            Counts; of an AnnData, ``layers["counts"]``.
        y : ignored
        """
        counts = validate_data(self, _table_of(X), accept_sparse=("csr", "csc"))
        self.library_size_ = float(np.median(row_sums(counts)))
        shares = normalize_library_size(counts, 1).mean(axis=0, dtype=np.float64)
        self.count_share_ = np.asarray(shares).ravel()
        return self

    def transform(self, X, totals: ArrayLike | None = None) -> np.ndarray | pd.DataFrame:
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
        X = _table_of(X)
        size = self.library_size_
        if isinstance(X, pd.DataFrame) and hasattr(self, "feature_names_in_"):
            present = np.isin(self.feature_names_in_, X.columns)
            X = X[self.feature_names_in_[present]]
            if totals is None and not present.all():
                # log2 errors of totals: SD 0.08 to 0.15 with half of the genes, 1.1 with 25 of
                # 30,000
                share = float(self.count_share_[present].sum())
                size *= share
                if share < HALF:
                    warn(
                        f"X: counts of {np.sum(~present)} of the {len(present)} genes of the fit "
                        f"are missing, and the others have {share:.1%} of the counts of the "
                        "training cells; provide the counts of all genes, or the total of each "
                        "cell as `totals`"
                    )
        else:
            X = validate_data(self, X, reset=False, accept_sparse=("csr", "csc"))
        values = dense(log2p1(normalize_library_size(X, size, totals)))
        if isinstance(X, pd.DataFrame):
            return pd.DataFrame(values, X.index, X.columns)
        return values


def _table_of(X):
    return X.to_df("counts") if isinstance(X, AnnData) else X
