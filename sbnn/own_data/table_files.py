"""A user's files as tables: CSV, TSV and Excel, also packed, and the AnnData of .h5ad files."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData, read_h5ad

from sbnn.data.checks import abbreviate

SEPARATORS = ",", "\t", ";"
#: Endings of packed files, which have checksums.
PACKED = ".gz", ".bz2", ".zip", ".xz", ".zst", ".tar"
BLOCK_SIZE = 2**20  # bytes
#: Errors that say what is wrong.
CLEAR_ERRORS = FileNotFoundError, ImportError, MemoryError, PermissionError


def read_anndata(path: str | PathLike[str]) -> AnnData:
    """The AnnData of an ``.h5ad`` file; if it cannot be read, an error names it."""
    try:
        return read_h5ad(path)
    except CLEAR_ERRORS:
        raise
    except Exception as error:  # of HDF5 or anndata, which do not name the file
        raise ValueError(
            f"expression: {path} is damaged, incomplete or no file of an AnnData: {error}; copy it "
            "again, or read it with anndata or scanpy, and pass the AnnData"
        ) from error


def read_file_columns(path: Any, what: str, as_text: bool) -> pd.DataFrame:
    """All columns of a file, the first one or all as text; names may repeat."""
    if not isinstance(path, str | Path):
        raise TypeError(f"{what}: expected a path or a DataFrame, got {type(path).__name__}")
    try:
        book = open_workbook(path)
        read = choose_csv_reader(path) if book is None else choose_sheet_reader(book)
        table = read_with_header(read, as_text)
    except CLEAR_ERRORS:
        raise
    except Exception as error:  # of packed files, archives, encodings and unequal lines
        raise ValueError(f"{what}: {path} is not a plain table, or damaged: {error}") from error
    if book is None and has_empty_bytes(path):
        raise ValueError(
            f"{what}: {path} is damaged: it has bytes of 0, which a crash leaves; write or copy it "
            "again"
        )
    return table


def choose_sheet_reader(book: pd.ExcelFile) -> Callable[..., pd.DataFrame]:
    """What reads the only sheet of a workbook."""
    if len(book.sheet_names) > 1:
        raise ValueError(f"it has the sheets {abbreviate(book.sheet_names)}")
    return partial(book.parse, header=None, keep_default_na=False, na_values=[""])


def choose_csv_reader(path: str | Path) -> Callable[..., pd.DataFrame]:
    """What reads a text file with the separator that gives its first line the most columns.

    Between semicolons, commas are decimal if more columns are numbers then.
    """
    read_any = partial(pd.read_csv, path, header=None, low_memory=False, skipinitialspace=True)
    readers = [partial(read_any, sep=separator) for separator in SEPARATORS]
    reader = max(readers, key=lambda read: read(nrows=1).size)
    if reader.keywords["sep"] == ";":
        with_marks = [partial(reader, decimal=mark) for mark in ".,"]
        # a column with both marks stays text, which is refused
        reader = max(with_marks, key=lambda read: read(skiprows=1).select_dtypes("number").shape[1])
    return reader


def read_with_header(read: Callable[..., pd.DataFrame], as_text: bool) -> pd.DataFrame:
    """Table with the names of its first line; what is no plain table is refused."""
    header = read(nrows=1, dtype=str, na_filter=False).loc[0].tolist()
    if len(header) < 2:
        raise ValueError("its first line has one column")
    # without a converter, a gene called NA would be missing
    # and without types, donors 01 and 1 would be one
    n_columns = read(skiprows=1, nrows=1).shape[1]
    types = dict.fromkeys(range(1, n_columns), str) if as_text else None
    table = read(skiprows=1, converters={0: str}, dtype=types)
    if table[0].isna().any():  # pandas 3 also takes converted text as missing
        table[0] = read(skiprows=1, usecols=[0], dtype=str, na_filter=False)[0]
    if str(header[0]).startswith("#") and n_columns != len(header):
        raise ValueError("its first line is a comment")
    if n_columns > len(header) + 1:
        raise ValueError(
            f"its first line has {len(header)} columns and the next one {n_columns}, so it is no "
            "header"
        )
    if n_columns == len(header) + 1:  # write.table of R leaves out the name of the first
        header = ["", *header]
    if table[0].str.contains("\n").any():  # the lines between two quotation marks are one name
        raise ValueError("the name of a row has several lines; is there a quotation mark?")
    return table.set_axis(header, axis=1)


def open_workbook(path: str | Path) -> pd.ExcelFile | None:
    """The workbook at a path that ends as one, also packed by gzip, or None if it is text."""
    if not re.search(r"\.xls[xm]?(\.gz)?$", str(path).lower()):
        return None
    content = Path(path).read_bytes()
    if str(path).lower().endswith(".gz"):
        content = gzip.decompress(content)
    if b"\0" not in content:  # many instruments write text with tabs to files called .xls
        return None
    return pd.ExcelFile(io.BytesIO(content))


def has_empty_bytes(path: str | Path) -> bool:
    """Whether a text file has bytes of 0, after which pandas drops the rest of a number."""
    name = str(path).lower()
    if name.endswith(PACKED) or not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return any(b"\0" in block for block in iter(partial(file.read, BLOCK_SIZE), b""))
