"""Expression of more cells than fit into memory: read and normalised block by block.

Gene selection needs some cells only, and after it a few genes of all cells are enough, so a model of a million cells is
fitted in three passes over the file and the memory that 25 genes take.
"""

import mmap
import os

import numpy as np
from scipy import sparse

from sbnn.data.checks import check_names
from sbnn.data.inputs import is_anndata
from sbnn.data.preprocessing import log2p1, normalize_library_size

VALUES_AT_ONCE = 2**23  # of a block, 64 MB in double precision
SCATTERED_CELLS_AT_ONCE = 128  # of a mapped file: each may bring half a megabyte of neighbours into memory


class ExpressionStream:
    """Genes by cells in a file, handed out as dense blocks of single precision.

    Parameters
    ----------
    source : array-like, shape (n, p), or AnnData
        Anything with ``shape`` whose rows can be sliced: ``numpy.memmap``, an h5py or zarr data set, a CSR matrix, an
        AnnData opened with ``backed="r"`` (not a part of it, which anndata would load) or its ``X``. Sliced rows may
        be sparse. zarr takes a chunk that is missing for zeros.
    gene_names : sequence of str, optional
        Those of the AnnData by default.
    counts : bool
        Whether `source` holds raw counts: then every block is normalised to the median library size and
        log2(x + 1) is taken. Else it is handed out as it is.
    block_size : int, optional
        Cells read at a time; by default as many as make eight million values.

    Raises
    ------
    ValueError
        If there are no cells or genes, names do not match or repeat, or, on reading, a value is not finite or a cell of
        counts is empty; the message names the cells.
    OSError
        If the file cannot be read, or is gone, shorter than it should be, replaced or written to since the stream was
        made. A removed file could still be read while it is open, but nobody could repeat the result.

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn import ExpressionStream
    >>> counts = np.memmap("counts.bin", dtype="uint16", mode="r", shape=(10**6, 1000))  # doctest: +SKIP
    >>> model.fit(ExpressionStream(counts, counts=True), Y)  # doctest: +SKIP
    """

    def __init__(self, source, gene_names=None, counts=False, block_size=None):
        if is_anndata(source):
            gene_names = source.var_names if gene_names is None else gene_names
            source = source.X
        source = source.tocsr() if sparse.issparse(source) else source
        if getattr(source, "format", "csr") != "csr":
            raise ValueError(f"source: expected cells stored one after the other (CSR), got {source.format!r}")
        self.source, self.counts = source, counts
        shape = self._attempt(lambda: source.shape)
        if len(shape) != 2 or min(shape) == 0:
            raise ValueError(f"source: expected at least one cell and one gene, got shape {tuple(shape)}")
        self.shape = tuple(int(size) for size in shape)
        if block_size is not None and block_size < 1:
            raise ValueError(f"block_size: expected at least 1, got {block_size}")
        self.block_size = block_size or max(1, VALUES_AT_ONCE // self.shape[1])
        self.gene_names = None
        if gene_names is not None:
            self.gene_names = check_names(gene_names, "gene_names", "gene", self.shape[1]).astype(object)
        self._path = self._attempt(lambda: _path_behind(source))
        self._state = self._file_state()
        self._check_file()
        # The median over all cells, so that every block is normalised alike.
        self.library_size = float(np.median(np.concatenate(list(self._library_sizes())))) if counts else None

    def __len__(self):
        return self.shape[0]

    def rows(self, cells):
        """All genes of some cells.

        Parameters
        ----------
        cells : slice or sorted ndarray of int

        Returns
        -------
        ndarray of float32, shape (len(cells), p)
        """
        block = self._read(cells)
        if self.counts:
            block = log2p1(normalize_library_size(block, target=self.library_size))
        block = block.toarray() if sparse.issparse(block) else block
        block = np.asarray(block, dtype=np.float32)
        if not np.isfinite(block).all():
            bad = np.flatnonzero(~np.isfinite(block).all(1))
            names = np.arange(self.shape[0])[cells][bad][:5]
            raise ValueError(f"{len(bad)} cell(s) hold NaN or infinite values, first at the positions {names.tolist()}")
        return block

    def columns(self, genes):
        """Some genes of all cells, in one pass.

        Parameters
        ----------
        genes : ndarray of int

        Returns
        -------
        ndarray of float32, shape (n, len(genes))
        """
        values = np.empty((self.shape[0], len(genes)), dtype=np.float32)
        for block in self._blocks():
            values[block] = self.rows(block)[:, genes]
        return values

    def _library_sizes(self):
        for block in self._blocks():
            yield np.asarray(self._read(block).sum(axis=1, dtype=np.float64)).ravel()

    def _blocks(self):
        for start in range(0, self.shape[0], self.block_size):
            yield slice(start, min(start + self.block_size, self.shape[0]))
            self._release()
        self._check_file()  # what was read last may have been read from another file

    def _read(self, cells):
        self._check_file()
        if isinstance(cells, slice) or mapped(self.source) is None:
            return self._attempt(lambda: _dense_or_csr(self.source[cells]))
        parts = []
        for start in range(0, len(cells), SCATTERED_CELLS_AT_ONCE):
            parts.append(self.source[cells[start : start + SCATTERED_CELLS_AT_ONCE]])
            self._release()
        return np.concatenate(parts)

    def _attempt(self, read):
        """Result of a function that reads, whose errors get the name of the file."""
        try:
            return read()
        except (OSError, RuntimeError, ValueError, KeyError) as error:  # h5py and zarr raise all of these
            name = getattr(self, "_path", None) or f"a {type(self.source).__name__}"
            raise OSError(f"source: cannot read {name}, is its file open and complete? {error}") from error

    def _release(self):
        """Give back the pages of a mapped file, which would stay resident long after they were read.

        Only of one opened for reading: elsewhere a page may hold what is in no file.
        """
        array = mapped(self.source)
        if array is not None and array.mode == "r" and hasattr(array._mmap, "madvise"):
            array._mmap.madvise(mmap.MADV_DONTNEED)

    def _check_file(self):
        check_mapped(self.source, "source")
        if self._file_state() != self._state:
            raise OSError(f"source: the file {self._path} was replaced or written to since the stream was made")

    def _file_state(self):
        """What changes when a file is replaced, cut or written to."""
        if self._path is None:
            return None
        try:
            state = os.stat(self._path)
        except FileNotFoundError:
            raise FileNotFoundError(f"source: the file {self._path} is gone") from None
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def mapped(array):
    """Find the ``numpy.memmap`` that an array is part of; None for anything else."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return array if isinstance(array, np.memmap) else None


def check_mapped(array, argument):
    """Refuse a mapped array whose file became shorter: to read beyond its end would kill the process.

    Parameters
    ----------
    array : object
        Anything; only what is part of a ``numpy.memmap`` is looked at.
    argument : str
        Its name in the message.

    Raises
    ------
    OSError
        If the file is shorter than what was mapped.
    """
    array = mapped(array)
    if array is not None:
        needed = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY + len(array._mmap)
        if array._mmap.size() < needed:
            raise OSError(
                f"{argument}: the file {array.filename} was cut after it was opened, "
                f"expected at least {needed} bytes, got {array._mmap.size()}"
            )


def _path_behind(source):
    """Path of the one local file that a source reads; None for arrays in memory, folders and what is far away."""
    array = mapped(source)
    if array is not None:
        return None if array.filename is None else os.path.abspath(array.filename)
    file = getattr(getattr(source, "group", source), "file", None)  # of h5py, or below the sparse matrix of an AnnData
    return os.path.abspath(file.filename) if getattr(file, "driver", None) == "sec2" else None


def _dense_or_csr(block):
    return block.tocsr() if sparse.issparse(block) else np.asarray(block)
