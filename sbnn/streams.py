"""Expression of more cells than fit into memory: read and normalised block by block.

Gene selection needs some cells only, and after it a few genes of all cells are enough, so a model of a million cells is
fitted in three passes over the file and the memory that 25 genes take.
"""

import mmap

import numpy as np
from scipy import sparse

from sbnn.preprocessing import log2p1, normalize_library_size


class ExpressionStream:
    """Genes by cells in a file, handed out as dense blocks of single precision.

    Parameters
    ----------
    source : array-like, shape (n, p)
        Anything with ``shape`` whose rows can be sliced: ``numpy.memmap``, an h5py or zarr data set, a CSR matrix, the
        ``X`` of an AnnData opened with ``backed="r"``. Sliced rows may be sparse.
    gene_names : sequence of str, optional
    counts : bool
        Whether `source` holds raw counts: then every block is normalised to the median library size and
        log2(x + 1) is taken. Else it is handed out as it is.
    block_size : int
        Cells read at a time.

    Raises
    ------
    ValueError
        If there are no cells or genes, names do not match, or, on reading, a value is not finite or a cell of counts
        is empty; the message names the cells.

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn import ExpressionStream
    >>> counts = np.memmap("counts.bin", dtype="uint16", mode="r", shape=(10**6, 1000))  # doctest: +SKIP
    >>> model.fit(ExpressionStream(counts, counts=True), Y)  # doctest: +SKIP
    """

    def __init__(self, source, gene_names=None, counts=False, block_size=8192):
        if len(source.shape) != 2 or min(source.shape) == 0:
            raise ValueError(f"source: expected at least one cell and one gene, got shape {tuple(source.shape)}")
        if gene_names is not None and len(gene_names) != source.shape[1]:
            raise ValueError(f"gene_names: expected {source.shape[1]} names, got {len(gene_names)}")
        if block_size < 1:
            raise ValueError(f"block_size: expected at least 1, got {block_size}")
        self.source, self.counts, self.block_size = source, counts, block_size
        self.shape = tuple(int(size) for size in source.shape)
        self.gene_names = None if gene_names is None else np.asarray(gene_names, dtype=object)
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

    def _blocks(self):
        for start in range(0, self.shape[0], self.block_size):
            yield slice(start, min(start + self.block_size, self.shape[0]))
            self._release()

    def _release(self):
        """Give back the pages of a mapped file, which would stay resident long after they were read.

        Only of one opened for reading: elsewhere a page may hold what is in no file.
        """
        mapped = getattr(self.source, "_mmap", None)
        if getattr(self.source, "mode", None) == "r" and hasattr(mapped, "madvise"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def _read(self, cells):
        block = self.source[cells]
        return block.tocsr() if sparse.issparse(block) else np.asarray(block)

    def _library_sizes(self):
        for block in self._blocks():
            yield np.asarray(self._read(block).sum(axis=1, dtype=np.float64)).ravel()
