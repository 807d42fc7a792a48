"""Expression of more cells than fit into memory: read and normalised block by block.

Gene selection needs only some of the cells, and training needs only the kept genes of all cells. A
model can therefore be fitted to a million cells in three passes over the file, with only the kept
genes (25 by default) in memory.
"""

import copy
import mmap
import os
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import check_names
from sbnn.data.objects import AnnDataLike, MuDataLike
from sbnn.data.preprocessing import log2p1, normalize_library_size, shares_of_genes
from sbnn.errors import attempt, check_flag, check_number, documented

VALUES_AT_ONCE = 2**23  # number of values in a block; 64 MB in double precision
# cells read at a time from a mapped file; each may load half a megabyte of neighbours
SCATTERED_CELLS_AT_ONCE = 128


class ExpressionStream:
    """Expression in a file, read in dense blocks of single precision.

    Parameters
    ----------
    source : array-like, shape (n, p), DataFrame or AnnData
        Any object with ``shape`` and sliceable rows: ``numpy.memmap``, an h5py or zarr data set, a
        CSR matrix, an AnnData opened with ``backed="r"`` (not a view, which anndata would load) or
        its ``X``. Sliced rows may be sparse. Note that zarr reads missing chunks as zeros.
    gene_names, cell_names : sequence of str, optional
        By default, the names in the AnnData or DataFrame.
    counts : bool
        Whether `source` holds raw counts. If True, each block is normalised to `library_size` and
        converted to log2(x + 1).
    block_size : int, optional
        Number of cells to read at a time; by default, a block has about eight million values.
    totals : array-like of shape (n,), optional
        Total counts of each new cell over all genes of the fit, used if `source` lacks counts of
        some of these genes.

    Attributes
    ----------
    library_size : float or None
        Total to which counts are normalised: the median total of the cells, computed in a separate
        pass on first use. A model stores the library size of its training cells and normalises new
        cells to it (see `as_fitted`).
    adata : AnnData or None
        The AnnData given as `source`, which holds other tables of the same cells.

    Raises
    ------
    ValueError
        If `source` is not a matrix, there are no cells or genes, names do not match or repeat, or
        if, during reading, a value is not finite or a cell has no counts. Counts that look like log
        values give a warning, and vice versa.
    OSError
        If the file cannot be read, or was removed, replaced, truncated or modified since the stream
        was made.

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn import ExpressionStream
    >>> counts = np.memmap("counts.bin", dtype="uint16", mode="r", shape=(10**6, 1000))  # doctest: +SKIP
    >>> model.fit(ExpressionStream(counts, counts=True), Y)  # doctest: +SKIP
    """

    def __init__(
        self, source, gene_names=None, counts=False, block_size=None, cell_names=None, totals=None
    ):
        self.adata = source if isinstance(source, AnnDataLike) else None
        of_genes, of_cells = (
            ("columns", "index") if self.adata is None else ("var_names", "obs_names")
        )
        gene_names = getattr(source, of_genes, None) if gene_names is None else gene_names
        cell_names = getattr(source, of_cells, None) if cell_names is None else cell_names
        if self.adata is not None:
            source = source.X
        elif isinstance(source, pd.DataFrame):
            source = source.to_numpy()
        source = source.tocsr() if sparse.issparse(source) else source
        shape, layout = getattr(source, "shape", ()), getattr(source, "format", "csr")
        if isinstance(source, MuDataLike) or len(shape) != 2 or min(shape) == 0 or layout != "csr":
            got = f"{type(source).__name__} of shape {tuple(shape)}; load other layouts by adata.to_memory()"
            raise ValueError(
                f"source: expected an open matrix of cells x genes, CSR if it is sparse, got {got}"
            )
        for name, given in (("cell_names", cell_names), ("totals", totals)):
            if given is not None and np.shape(given) != tuple(shape[:1]):
                raise ValueError(
                    f"{name}: expected one for each of {shape[0]} cells, got shape {np.shape(given)}"
                )
        self.source, self.counts, self.shape = (
            source,
            check_flag("counts", counts),
            tuple(int(size) for size in shape),
        )
        check_number("block_size", 1 if block_size is None else block_size, int, 1)
        self.block_size = block_size or max(1, VALUES_AT_ONCE // self.shape[1])
        self.gene_names = None
        if gene_names is not None:
            self.gene_names = check_names(gene_names, "gene_names", "gene", self.shape[1]).astype(
                object
            )
        self.cell_names = None if cell_names is None else pd.Index(cell_names)
        self.totals = (
            None
            if totals is None
            else attempt("totals: expected numbers", np.asarray, totals, np.float64)
        )
        self._genes = None
        self._path = _path_behind(self.source)
        self._state = self._file_state()
        self._release()

    def __len__(self):
        return self.shape[0]

    @cached_property
    def library_size(self):
        """Total to which the counts of each cell are normalised (see the class)."""
        return self._counted[0] if self.counts else None

    @cached_property
    def count_share(self):
        """Each gene's mean share of the counts of a cell, an array of shape (p,); None without counts."""
        return self._counted[1] if self.counts else None

    @cached_property
    def _counted(self):
        """Library size and shares, computed in one pass."""
        sizes, shares = [], np.zeros(self.shape[1])
        for cells in self._blocks():
            block = self._read(cells)
            sizes.append(np.asarray(block.sum(axis=1, dtype=np.float64)).ravel())
            shares += shares_of_genes(block) * block.shape[0]
        return float(np.median(np.concatenate(sizes))), shares / len(self)

    @documented
    def as_fitted(self, genes, library_size):
        """Stream of the genes at these positions (all if None), with counts normalised to the given library size."""
        if self.counts and library_size is None:
            raise ValueError(
                "X: got a stream of counts, but the model was not fitted to counts; pass log values"
            )
        other = copy.copy(self)
        if genes is not None:
            other._genes = genes if self._genes is None else self._genes[genes]
            other.gene_names = None if self.gene_names is None else self.gene_names[genes]
            other.shape = (self.shape[0], len(genes))
        other.library_size = library_size
        return other

    @documented
    def rows(self, cells, genes=None):
        """Read some or all genes, given by position, of some cells, given by a slice or by sorted
        positions.

        The values are float32, of shape (cells, genes).
        """
        block = self._read(cells)
        if self.counts:
            totals = None if self.totals is None else self.totals[cells]
            names = (np.arange(len(self)) if self.cell_names is None else self.cell_names)[cells]
            block = log2p1(normalize_library_size(block, self.library_size, totals, names))
        # values too large for single precision become infinite and are reported below
        with np.errstate(over="ignore"):
            block = (
                block.astype(np.float32)
                if sparse.issparse(block)
                else np.asarray(block, dtype=np.float32)
            )
        if not np.isfinite(block.data if sparse.issparse(block) else block).all():
            bad = np.flatnonzero(~np.isfinite(block.sum(axis=1)))
            names = np.arange(self.shape[0])[cells][bad][:5]
            raise ValueError(
                f"source: NaN or infinite values in cells {names.tolist()} (positions; {len(bad)} in all)"
            )
        block = block if genes is None else block[:, genes]
        # made dense only after genes are selected
        return block.toarray() if sparse.issparse(block) else block

    @documented
    def columns(self, genes):
        """Read the genes at these positions for all cells in one pass, as float32 of shape (n, len(genes))."""
        values = np.empty((self.shape[0], len(genes)), dtype=np.float32)
        for block in self._blocks():
            values[block] = self.rows(block, genes)
        return values

    def _blocks(self):
        for start in range(0, self.shape[0], self.block_size):
            yield slice(start, min(start + self.block_size, self.shape[0]))
            self._release()
        self._check_file()  # the file may have changed during the last block

    def _read(self, cells):
        """Read the values of some cells as they are stored in the source."""
        self._check_file()
        if isinstance(cells, slice) or mapped(self.source) is None:
            try:
                block = self.source[cells]
            # raised by h5py and zarr
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                name = self._path or f"a {type(self.source).__name__}"
                raise OSError(
                    f"source: cannot read {name}; is its file open and complete? {error}"
                ) from error
            block = block.tocsr() if sparse.issparse(block) else np.asarray(block)
        else:
            parts = []
            for start in range(0, len(cells), SCATTERED_CELLS_AT_ONCE):
                parts.append(self.source[cells[start : start + SCATTERED_CELLS_AT_ONCE]])
                self._release()
            block = np.concatenate(parts)
        return block if self._genes is None else block[:, self._genes]

    def _release(self):
        """Release the pages of a memory-mapped file, which otherwise stay in memory after reading."""
        array = mapped(self.source)
        if array is not None and array.mode == "r" and hasattr(array._mmap, "madvise"):
            array._mmap.madvise(mmap.MADV_DONTNEED)

    def _check_file(self):
        """Reject a replaced or changed file, since reading beyond the end of a mapped file kills the process."""
        if self._file_state() != self._state:
            raise OSError(
                f"source: the file {self._path} was removed, replaced or modified since it was opened"
            )

    def _file_state(self):
        """State of a file, which changes when the file is removed, replaced, truncated or modified."""
        if self._path is None or not os.path.exists(self._path):
            return None
        state = os.stat(self._path)
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def mapped(array):
    """The ``numpy.memmap`` to which an array belongs, or None."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return array if isinstance(array, np.memmap) else None


def _path_behind(source):
    """Path of the local file behind a source; None for arrays in memory, folders and remote sources."""
    array = mapped(source)
    if array is not None:
        return None if array.filename is None else os.path.abspath(array.filename)
    # set by h5py, also for an AnnData's sparse matrix
    file = getattr(getattr(source, "group", source), "file", None)
    return os.path.abspath(file.filename) if getattr(file, "driver", None) == "sec2" else None
