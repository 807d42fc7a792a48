"""Expression of more cells than fit into memory, read block by block."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.cells import Cells, some_columns
from sbnn.data.checks import some
from sbnn.data.objects import opened
from sbnn.errors import check_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import ArrayLike

    from sbnn.typehints import Expression, Sparse


# from a mapped file, where each may load half a megabyte
SCATTERED_CELLS_AT_ONCE = 128


class FileCells(Cells):
    """Expression in a file, read in blocks."""

    def __init__(
        self,
        matrix: ArrayLike | Sparse,
        gene_names: Sequence[str] | None = None,
        cell_names: Sequence[str] | None = None,
        adata: AnnData | None = None,
    ) -> None:
        _check_source(matrix)
        super().__init__(matrix, gene_names, cell_names, adata)
        self._mapped = mapped(self.matrix)
        self._path = self._path_behind()
        self._state = self._file_state()

    def blocks(self) -> Iterator[slice]:
        """As in `Cells`."""
        yield from super().blocks()
        self._check_file()  # the file may have changed during the last block

    def _block(self, cells, genes):
        block = self._stored(cells)
        values = block.data if sparse.issparse(block) else block
        if not np.isfinite(values).all():
            bad = self.names_of(cells)[~np.isfinite(block.sum(axis=1))]
            raise ValueError(f"source: NaN or infinite values in {len(bad)} cells: {some(bad)}")
        return some_columns(block, genes)

    def _stored(self, cells):
        self._check_file()
        self._release()
        if not isinstance(cells, slice) and self._mapped is not None:
            parts = []
            for start in range(0, len(cells), SCATTERED_CELLS_AT_ONCE):
                parts.append(self.matrix[cells[start : start + SCATTERED_CELLS_AT_ONCE]])
                self._release()
            return np.concatenate(parts)
        try:
            block = self.matrix[cells]
        # raised by h5py and zarr
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            text = "source: cannot read the values; is the file open and complete?"
            raise OSError(f"{text} {error}") from error
        return block.tocsr() if sparse.issparse(block) else np.asarray(block)

    def _path_behind(self):
        file = self._mapped
        if file is None:
            # set by h5py, also for an AnnData's sparse matrix
            file = getattr(getattr(self.matrix, "group", self.matrix), "file", None)
        name = getattr(file, "filename", None)
        return None if name is None else os.path.abspath(name)

    def _release(self):
        """Release the pages of a mapped file, which otherwise stay in memory."""
        array = self._mapped
        if array is not None and array.mode == "r" and hasattr(array._mmap, "madvise"):
            array._mmap.madvise(mmap.MADV_DONTNEED)

    def _check_file(self):
        """Reject a changed file; reading beyond its end kills the process."""
        if self._file_state() != self._state:
            raise OSError(f"source: the file {self._path} was removed, replaced or modified")

    def _file_state(self):
        if self._path is None or not os.path.exists(self._path):
            return None
        state = os.stat(self._path)
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


class ExpressionStream(FileCells):
    """Expression in a file, read in dense blocks.

    Parameters
    ----------
    source : array-like, shape (n, p), DataFrame, AnnData or MuData
        Log expression or counts: any object with ``shape`` and sliceable rows, such as a
        ``numpy.memmap``, an h5py or zarr data set (zarr reads missing chunks as zeros), a CSR
        matrix, or an AnnData opened with ``backed="r"`` (not a view, which anndata would load).
    gene_names, cell_names : sequence of str, optional
        By default, those of the AnnData or DataFrame.
    block_size : int, optional
        Cells to read at a time; by default, about four million values.
    totals : array-like of shape (n,), optional
        Total counts over all genes, for `sbnn.CountNormalizer`.

    Raises
    ------
    ValueError
        If `source` is no matrix or empty, names do not match or repeat, or a value is not finite
        when it is read.
    OSError
        If the file cannot be read, or changed since the stream was made.

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn import CountNormalizer, ExpressionStream, simulate_patchseq
    >>> np.save("counts.npy", simulate_patchseq(n_cells=100, n_genes=60).layers["counts"])
    >>> cells = ExpressionStream(np.load("counts.npy", mmap_mode="r"))
    >>> CountNormalizer().fit(cells).transform(cells).shape
    (100, 60)
    """

    def __init__(
        self,
        source: Expression,
        gene_names: Sequence[str] | None = None,
        block_size: int | None = None,
        cell_names: Sequence[str] | None = None,
        totals: ArrayLike | None = None,
    ) -> None:
        matrix, genes, cells, adata = opened(source)
        if isinstance(matrix, pd.DataFrame):
            matrix = matrix.to_numpy()
        gene_names = genes if gene_names is None else gene_names
        cell_names = cells if cell_names is None else cell_names
        super().__init__(matrix, gene_names, cell_names, adata)
        if block_size is not None:
            check_number("block_size", block_size, int, 1)
            self.block_size = block_size
        if totals is not None:
            self.totals = np.asarray(totals, dtype=np.float64)
        for name, given in (("cell_names", self.cell_names), ("totals", self.totals)):
            if given is not None and len(given) != len(self):
                raise ValueError(f"{name}: expected {len(self)}, got {len(given)}")


def _check_source(matrix):
    shape = tuple(getattr(matrix, "shape", ()))
    is_column_major = not sparse.issparse(matrix) and getattr(matrix, "format", "csr") != "csr"
    if len(shape) != 2 or min(shape) == 0 or is_column_major:
        raise ValueError(
            "source: expected an open matrix of cells x genes, CSR if it is sparse, got "
            f"{type(matrix).__name__} of shape {shape}; load other layouts by adata.to_memory()"
        )


def mapped(array):
    """The ``numpy.memmap`` to which an array belongs, or None."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return array if isinstance(array, np.memmap) else None
