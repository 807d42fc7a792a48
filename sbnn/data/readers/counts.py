"""Read text files, also packed, and published tables of raw counts (genes x cells)."""

import codecs
import gzip
import io
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from scipy import sparse

_GENES_AT_ONCE = 2000  # complete tables are too large
_LETTERS_AT_ONCE = 2**20
_UTF8 = "utf-8-sig"  # skips the byte-order mark that Excel writes


def read_count_table(path) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Read int32 counts (n_cells, n_genes) and names from a table of genes x cells."""
    genes = []
    pieces = []
    with open_file(path, _UTF8) as handle:
        separator = "\t" if "\t" in handle.readline() else ","
        handle.seek(0)
        reader = pd.read_csv(
            handle,
            sep=separator,
            index_col=0,
            na_filter=False,
            low_memory=False,
            chunksize=_GENES_AT_ONCE,
        )
        for piece in reader:
            genes.extend(piece.index.astype(str))
            counts = piece.to_numpy().astype(np.int32, casting="same_kind")
            pieces.append(sparse.csr_array(counts))
    return sparse.vstack(pieces).T.tocsr(), piece.columns, pd.Index(genes, dtype=object)


def open_file(path, encoding: str | None = None) -> IO:
    """Open a file, also gzipped, or the only one in a zip archive."""
    suffix = Path(path).suffix.lower()
    if suffix == ".zip":
        archive = zipfile.ZipFile(path)
        # archives of macOS have metadata besides
        members = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        if len(members) != 1:
            raise ValueError(f"expected one file in the archive, found {members}")
        content = archive.open(members[0])
    elif suffix == ".gz":
        content = gzip.open(path)  # noqa: SIM115
    else:
        content = open(path, "rb")  # noqa: SIM115
    return content if encoding is None else io.TextIOWrapper(content, encoding)


def encoding_of(path) -> str:
    """Detect UTF-16 (by its mark), UTF-8 or Windows-1252."""
    with open_file(path) as handle:
        if handle.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
    try:
        with open_file(path, _UTF8) as handle:
            while handle.read(_LETTERS_AT_ONCE):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return _UTF8
