"""Counts as log expression: new cells are normalised like the training cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sbnn.data.cells import Cells, some_columns
from sbnn.data.counts import log2p1, normalize_library_size, row_sums
from sbnn.data.inputs import SetOutputMixin, as_cells, matched_cells, names_in
from sbnn.data.objects import AnnDataLike, MuDataLike, dense
from sbnn.errors import check_number, warn

if TYPE_CHECKING:
    from typing import Self

    from sbnn.typehints import Expression


COUNTS = "counts"  # layer of an AnnData
# least share of the training counts, for any estimate of depth and for a good one
LEAST_SHARE, HALF = 0.05, 0.5


class CountNormalizer(
    SetOutputMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # genes may be missing from the result
):
    """Normalise counts to ``log2(1 + counts / total * library size)``.

    The library size is that of the training cells, so that new cells get the same units.

    Parameters
    ----------
    library_size : float, optional
        By default the median total of the training cells.

    Attributes
    ----------
    library_size_ : float
    count_share_ : ndarray, shape (p,)
        Mean share of each gene in the counts of a training cell, to estimate the totals of new
        cells that lack genes.
    n_features_in_, feature_names_in_ : number and names of the genes seen by `fit`.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sbnn import CountNormalizer, LeaveOneOutRidge, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> model = make_pipeline(CountNormalizer(), LeaveOneOutRidge())
    >>> model.fit(data.to_df("counts"), data.obsm["outputs"]).predict(data.to_df("counts")).shape
    (100, 16)
    """

    def __init__(self, library_size: float | None = None) -> None:
        self.library_size = library_size

    def fit(self, X: Expression, y: object = None) -> Self:
        """Learn the library size and the shares of the genes.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix, ExpressionStream, AnnData or MuData, shape (n, p)
            Counts; of an AnnData, or of the modality "rna" of a MuData, ``layers["counts"]``.
        y : ignored
        """
        cells = as_cells(X, layer=COUNTS)
        if cells.totals is not None:
            raise ValueError("X: totals are only for new cells; fit to counts of all genes")
        totals = []
        shares = np.zeros(cells.shape[1])
        for rows in cells.blocks():
            # in their own precision, in a third of the time of `rows`
            counts = dense(cells._block(rows, cells._genes))
            totals.append(row_sums(counts))
            shares += normalize_library_size(counts, 1).sum(axis=0, dtype=np.float64)
        self.library_size_ = float(np.median(np.concatenate(totals)))
        if self.library_size is not None:
            check_number("library_size", self.library_size, float, 0)
            self.library_size_ = float(self.library_size)
        self.count_share_ = shares / len(cells)
        names_in(self, cells)
        return self

    def transform(self, X: Expression) -> np.ndarray | pd.DataFrame | Cells:
        """Log expression of counts, (n, p), in single precision.

        Genes are matched by name. If some are missing, the total of each cell is the ``totals`` of
        a stream, or estimated from the genes that are present; the result has only these.

        Returns
        -------
        ndarray, DataFrame or Cells
            A DataFrame for a DataFrame, or if ``set_output`` asks for one. For a stream, an AnnData
            or a MuData, cells for all models, normalised when they are read.
        """
        check_is_fitted(self)
        counts, here = matched_cells(self, as_cells(X, layer=COUNTS), needed=np.zeros(0, int))
        size = self.library_size_
        if len(here) < self.n_features_in_ and counts.totals is None:
            size *= self._enough_counts(here)
        cells = NormalizedCells(counts, size)
        if isinstance(X, pd.DataFrame) or self._gives_frames():
            genes = self.get_feature_names_out()[here]
            return pd.DataFrame(np.asarray(cells), counts.cell_names, genes)
        if isinstance(X, Cells | AnnDataLike | MuDataLike):
            return cells
        return np.asarray(cells)

    def _enough_counts(self, here):
        # log2 errors of totals: SD 0.08 to 0.15 with half of the genes, 0.1 to 0.4 with a tenth,
        # 1.1 with 25 of 30,000 (benchmarks/new_cells.py)
        share = float(self.count_share_[here].sum())
        n_missing = self.n_features_in_ - len(here)
        text = (
            f"X: counts of {n_missing} of the {self.n_features_in_} genes of the fit are missing, "
            f"and the others have {share:.1%} of the counts of the training cells; provide the "
            "counts of all genes, or the total of each cell (ExpressionStream(..., totals=...) or "
            "--totals COLUMN)"
        )
        if share < LEAST_SHARE:
            raise ValueError(f"{text}; this share is too small for an estimate")
        if share < HALF:
            warn(text)
        return share


class NormalizedCells(Cells):
    """Log expression of counts that are normalised when they are read."""

    def __init__(self, counts, library_size):
        super().__init__(counts, counts.gene_names, counts.cell_names, counts.adata)
        self.totals = counts.totals
        self.library_size = library_size

    def blocks(self):
        """As in `Cells`."""
        return self.matrix.blocks()

    def _block(self, cells, genes):
        counts = self.matrix._block(cells, self.matrix._genes)
        totals = row_sums(counts) if self.totals is None else self.totals[cells]
        needed = some_columns(counts, genes)
        names = self.names_of(cells)
        return log2p1(normalize_library_size(needed, self.library_size, totals, names))
