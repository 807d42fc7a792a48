"""Expression in any container, as dense blocks of the same values and sizes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import check_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import ArrayLike

    from sbnn.typehints import Sparse


VALUES_AT_ONCE = 2**22  # 32 MB in double precision


class Cells:
    """Expression of shape (n_cells, n_genes), dense or sparse; `adata` has other tables."""

    block_size = None  # cells; by default, a block has `VALUES_AT_ONCE` values
    totals = None  # counts of each cell over all genes

    def __init__(
        self,
        matrix: ArrayLike | Sparse,
        gene_names: Sequence[str] | None = None,
        cell_names: Sequence[str] | None = None,
        adata: AnnData | None = None,
    ) -> None:
        if sparse.issparse(matrix):
            matrix = matrix.tocsr()
        self.matrix = matrix
        self.shape = tuple(int(size) for size in matrix.shape)
        if gene_names is not None:
            gene_names = check_names(gene_names, "gene_names of X", "gene", self.shape[1])
            gene_names = gene_names.astype(object)
        self.gene_names = gene_names
        self.cell_names = None if cell_names is None else pd.Index(cell_names)
        self.adata = adata
        self._genes = None  # positions in the matrix; None for all genes

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        """All values, for NumPy and scikit-learn."""
        return np.asarray(self.rows(), dtype=dtype)

    def with_genes(self, genes: ArrayLike) -> Cells:
        """The same cells with the genes at these positions."""
        if np.array_equal(genes, np.arange(self.shape[1])):
            return self
        other = copy.copy(self)
        other._genes = genes if self._genes is None else self._genes[genes]
        other.gene_names = None if self.gene_names is None else self.gene_names[genes]
        other.shape = (len(self), len(genes))
        return other

    def rows(
        self, cells: ArrayLike | slice = slice(None), genes: ArrayLike | None = None
    ) -> np.ndarray:
        """Read genes, given by position, of some cells, a slice or sorted positions.

        The result, (cells, genes), may be a view. It has single precision if stored so, otherwise
        double.
        """
        if genes is None:
            genes = self._genes
        elif self._genes is not None:
            genes = self._genes[genes]
        block = self._block(cells, genes)
        if sparse.issparse(block):
            block = block.toarray(order="C")
        if block.dtype != np.float32:
            block = block.astype(np.float64, copy=False)
        return np.ascontiguousarray(block)

    def columns(self, genes: ArrayLike) -> np.ndarray:
        """Read the genes at these positions for all cells."""
        return np.concatenate([self.rows(cells, genes) for cells in self.blocks()])

    def blocks(self) -> Iterator[slice]:
        """Yield slices of cells that can be read at once."""
        size = self.block_size
        if size is None:
            size = max(1, VALUES_AT_ONCE // self.shape[1])
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    def names_of(self, cells: ArrayLike | slice) -> pd.Index:
        """Names of some cells, or their positions."""
        names = pd.RangeIndex(len(self)) if self.cell_names is None else self.cell_names
        return names[cells]

    def _block(self, cells, genes):
        return some_columns(self.matrix[cells], genes)


def some_columns(block, genes):
    """Columns at these positions, or all if `genes` is None."""
    if genes is None:
        return block
    return block[:, genes] if sparse.issparse(block) else np.take(block, genes, axis=1)
