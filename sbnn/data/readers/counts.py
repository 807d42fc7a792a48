"""Read text files (plain, gzipped or zipped) and published tables of raw counts (genes x cells)."""

import codecs
import contextlib
import csv
import gzip
import io
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from scipy import sparse

_GENES_AT_ONCE = 2000  # complete tables are too large to convert at once
_LETTERS_AT_ONCE = 2**20
# Limits on the size of unpacked files in bytes, since a small file may unpack to more than fits
# into memory: a file of one repeated letter unpacks to a thousand times its size. Tables are packed
# to about a tenth of their size, and very sparse tables to about a hundredth, so the limit on the
# ratio does not affect tables. The limits are checked before any content is kept.
_MOST_UNPACKED = 2**32
_USUAL_UNPACKED = 2**30
_MOST_RATIO = 200
_UTF8 = "utf-8-sig"  # skips the byte-order mark that Excel writes


def read_count_table(path) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Read int32 counts (n_cells, n_genes) and both names from a text table of genes x cells."""
    genes = []
    pieces = []
    with open_file(path, _UTF8) as handle:
        # The header is read separately because pandas renames repeated columns.
        line = handle.readline()
        separator = "\t" if "\t" in line else ","
        cells = pd.Index(next(csv.reader([line], delimiter=separator))[1:], dtype=object)
        reader = pd.read_csv(
            handle,
            sep=separator,
            header=None,
            index_col=0,
            na_filter=False,
            low_memory=False,
            chunksize=_GENES_AT_ONCE,
        )
        for piece in reader:
            genes.extend(piece.index.astype(str))
            counts = piece.to_numpy().astype(np.int32, casting="same_kind")
            pieces.append(sparse.csr_array(counts))
    return sparse.vstack(pieces).T.tocsr(), cells, pd.Index(genes, dtype=object)


def open_file(path, encoding: str | None = None) -> IO:
    """Open a plain or gzipped file, or the only file in a zip archive, as bytes or text."""
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


def check_unpacked(size: int, path) -> None:
    """Reject an unpacked `size` above 4 GiB, or above both 1 GiB and 200 times the packed size."""
    packed = Path(path).stat().st_size
    most = min(_MOST_UNPACKED, max(_USUAL_UNPACKED, _MOST_RATIO * packed))
    if size > most:
        raise ValueError(
            f"{packed} bytes unpack to more than {most / 2**30:.3g} GiB; unpack the file first"
        )


def check_packed(path) -> None:
    """Unpack a gzipped or zipped file in blocks, and reject it if it becomes too large."""
    if Path(path).suffix.lower() in (".gz", ".zip"):
        size = 0
        with open_file(path) as handle:
            while block := handle.read(_LETTERS_AT_ONCE):
                size += len(block)
                check_unpacked(size, path)


def encoding_of(path) -> str:
    """Detect the encoding of a text file: UTF-16 (by its mark), UTF-8, Windows-1252 or Latin-1."""
    with open_file(path) as handle:
        if handle.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
    for encoding in (_UTF8, "cp1252"):
        with open_file(path, encoding) as handle, contextlib.suppress(UnicodeDecodeError):
            while handle.read(_LETTERS_AT_ONCE):
                pass
            return encoding
    return "latin-1"  # decodes every byte
