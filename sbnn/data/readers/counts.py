"""Read published tables of raw counts (genes x cells), which may be packed."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

_GENES_AT_ONCE = 2000  # complete tables are too large


def read_count_table(path) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Read int32 counts (n_cells, n_genes) and names from a table of genes x cells."""
    genes = []
    pieces = []
    with _opened(path) as table:
        separator = "\t" if "\t" in table.readline() else ","
        table.seek(0)
        for piece in pd.read_csv(
            table,
            sep=separator,
            index_col=0,
            na_filter=False,  # a gene may be called NA
            low_memory=False,
            chunksize=_GENES_AT_ONCE,
        ):
            genes.extend(piece.index.astype(str))
            counts = piece.to_numpy().astype(np.int32, casting="same_kind")
            pieces.append(sparse.csr_array(counts))
    return sparse.vstack(pieces).T.tocsr(), piece.columns, pd.Index(genes, dtype=object)


def _opened(path):
    suffix = Path(path).suffix
    if suffix == ".zip":
        archive = zipfile.ZipFile(path)
        # archives of macOS have metadata besides
        [member] = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        return io.TextIOWrapper(archive.open(member))
    return gzip.open(path, "rt") if suffix == ".gz" else open(path)
