"""Reading a published table of raw counts, genes x cells, a few genes at a time: the complete ones are large."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some

_GENES_AT_ONCE = 2000
_LETTERS_AT_ONCE = 2**20


def read_count_table(
    path, rename: Callable[[Iterable[str]], pd.Index] = pd.Index
) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Read a count table, genes x cells.

    Parameters
    ----------
    path : path-like
        Comma- or tab-separated text, plain, .gz, or .zip with one file inside. First row: cell names; first column:
        gene names.
    rename : callable, optional
        What turns the cell names of the file into those to use.

    Returns
    -------
    counts : csr_array of int32, shape (n_cells, n_genes)
    cell_names, gene_names : Index of str

    Raises
    ------
    FileNotFoundError
    ValueError
        A damaged file, repeated cells or genes, a row of another length than the header, or values that are not
        whole numbers >= 0.
    """
    name = Path(path).name
    genes, pieces = [], []
    try:
        with open_text(path) as handle:
            # The header is not left to pandas, which renames repeated columns.
            line = handle.readline()
            separator = "\t" if "\t" in line else ","
            cells = rename(next(csv.reader([line], delimiter=separator), [])[1:])
            require_unique(cells, f"cells of {name}")
            table = {"sep": separator, "header": None, "index_col": 0, "na_filter": False, "low_memory": False}
            for piece in pd.read_csv(handle, chunksize=_GENES_AT_ONCE, **table):
                if piece.shape[1] != len(cells):
                    raise ValueError(f"the header names {len(cells)} cells but the rows hold {piece.shape[1]} values")
                genes.extend(piece.index.astype(str))
                pieces.append(sparse.csr_array(_whole_numbers(piece.set_axis(cells, axis=1))))
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a complete table of counts, genes x cells: {error}") from error
    genes = pd.Index(genes, dtype=object)
    require_unique(genes, f"genes of {name}")
    return sparse.vstack(pieces).T.tocsr(), cells, genes


def open_text(path, encoding: str = "utf-8-sig") -> IO[str]:
    """Open a text file, gzipped or not, or the one file of a zip (which may hold the book-keeping of macOS besides)."""
    # Excel marks the beginning of its UTF-8; utf-8-sig takes the mark away and is plain UTF-8 otherwise.
    return io.TextIOWrapper(_open_bytes(path), encoding=encoding)


def encoding_of(path) -> str:
    """Tell how a text is encoded: UTF-16 by its mark or its zeros, UTF-8 if it is that, else what Windows writes."""
    with _open_bytes(path) as handle:
        start = handle.read(2000)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = start[::2].count(0), start[1::2].count(0)
    if max(zeros) > len(start) / 4:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    for encoding in ("utf-8-sig", "cp1252"):
        with open_text(path, encoding) as handle, contextlib.suppress(UnicodeDecodeError):
            while handle.read(_LETTERS_AT_ONCE):
                pass
            return encoding
    return "latin-1"  # has a letter for every byte


def _open_bytes(path) -> IO[bytes]:
    suffix = Path(path).suffix.lower()
    if suffix == ".gz":
        return gzip.open(path)
    if suffix != ".zip":
        return open(path, "rb")
    archive = zipfile.ZipFile(path)
    members = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    if len(members) != 1:
        raise ValueError(f"expected one file in the archive, found {members}")
    return archive.open(members[0])


def require_unique(names: pd.Index, what: str) -> None:
    """Refuse names that repeat, naming some."""
    if names.has_duplicates:
        raise ValueError(f"{what} appear more than once: {some(names[names.duplicated()].unique())}")


def _whole_numbers(piece: pd.DataFrame) -> np.ndarray:
    values = piece.to_numpy()
    if values.dtype.kind not in "iuf":
        values = piece.apply(pd.to_numeric, errors="coerce").to_numpy()
    whole = (values >= 0) & (values <= np.iinfo(np.int32).max) & (np.floor(values) == values)
    if not whole.all():
        row, column = np.argwhere(~whole)[0]
        raise ValueError(
            f"gene {piece.index[row]!r}, cell {piece.columns[column]!r} has the value "
            f"{np.asarray(piece.iat[row, column]).item()!r}; expected whole numbers from 0 to {np.iinfo(np.int32).max}"
        )
    return values.astype(np.int32)
