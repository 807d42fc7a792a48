"""Read names and values from a text file or a workbook."""

import codecs
import csv
import io
import re
import zipfile
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.readers.counts import encoding_of, open_file
from sbnn.data.readers.table_names import texts
from sbnn.data.readers.table_numbers import has_decimal_commas, is_number, is_unit
from sbnn.errors import require

# in the order of preference
_SEPARATORS = ("\t", ";", "|", ",", " ")
_WORKBOOKS = b"PK\3\4", b"\xd0\xcf\x11\xe0"  # .xlsx and .xls
_HEAD = 50  # rows used to find the separator and the names
# of unpacked files; sparse tables are packed to a hundredth
_USUAL_BYTES, _MOST_RATIO = 2**30, 200
_USUAL_CELLS = 2**24  # cells that any sheet may have
_UTF16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
_OTHER_KINDS = {  # by the first bytes, in lower case
    b"%pdf": "a PDF; save its table as CSV",
    b"<!doctype": "a web page; save its table as CSV",
    b"<html": "a web page; save its table as CSV",
    b"{\\rtf": "a text document; save its table as CSV",
    b"\x1f\x8b": "packed by gzip; name it .gz, or write the table with write.csv if it is from R",
    b"\x89hdf": "HDF5; name it .h5ad, .h5mu or .h5",
}
_NO_TEXT = re.compile(rb"[\x01-\x08\x0e-\x19\x1b-\x1f]")
_UNKNOWN = "the file is neither text nor a workbook, or is damaged; save the table as CSV in UTF-8"
_FRACTION = re.compile(r"-?\d*[.,]\d+(e[+-]?\d+)?", re.I)


class OtherFileError(ValueError):
    """The file holds no table, whatever the options."""


class Sheet(NamedTuple):
    """Names of all columns, and the values below them."""

    names: list[str]  # also of the column of row names
    body: pd.DataFrame
    header: int  # row of the names, counted from 1


def read_file(
    path, sheet: str | None = None, header: int | None = None, key: str | None = None
) -> dict[str | None, Sheet]:
    """Read the sheets with values of a workbook; a text is the sheet ``None``."""
    _require_moderate(path)
    with open_file(path) as handle:
        is_workbook = handle.read(4) in _WORKBOOKS  # many .xls files are text
    if not is_workbook:
        if sheet is not None:
            raise OtherFileError(f"the file is text and has no sheet {sheet!r}")
        return {None: _read_text(path, header, key)}
    sheets = {}
    for name, table in _read_sheets(path, sheet).items():
        rows = list(map(texts, table.iloc[:_HEAD].to_numpy()))
        at = _row_of_names(rows, header)
        body = table.iloc[at + 1 :].reset_index(drop=True)
        sheets[name] = Sheet(_in_one_line(rows[at]), body, at + 1)
    return sheets


def _require_moderate(path):
    if Path(path).suffix.lower() not in (".gz", ".zip"):
        return
    packed = Path(path).stat().st_size
    most = max(_USUAL_BYTES, _MOST_RATIO * packed)
    unpacked = 0
    with open_file(path) as handle:
        while block := handle.read(2**20):
            unpacked += len(block)
            if unpacked > most:
                text = f"{packed} bytes unpack to more than {most}"
                raise ValueError(f"{text}; unpack the file first")


def _row_of_names(rows, header):
    if header:
        return range(len(rows))[header - 1]
    filled = np.array([np.count_nonzero(row) for row in rows])
    if not filled.any():
        raise OtherFileError("the file or the sheet is empty")
    usual = np.median(filled[filled > 0])
    least = usual / 2 if usual > 2 else 0
    at = int(np.argmax(filled > least))
    if _is_row_of_groups(rows[at:]):
        at += 1
    names = list(filter(None, rows[at][1:]))
    if names and all(map(_FRACTION.fullmatch, names)):
        text = f"the first row has numbers instead of names: {some(names, 3)}"
        raise ValueError(f"{text}; if they are the names, set header={at + 1}")
    return at


def _in_one_line(names) -> list[str]:
    return [" ".join(name.split()) for name in names]


def _is_row_of_groups(rows) -> bool:
    """Whether names repeat in the first row, but not in the second, above numbers."""
    if len(rows) < 3 or (rows[0][0] and not rows[1][0]):
        return False
    groups, names, *values = (list(filter(None, row[1:])) for row in rows)
    repeated = len(groups) > len(set(groups)) and len(set(names)) >= len(groups)
    are_names = not any(is_number(name) or is_unit(name) for name in names)
    return repeated and are_names and any(map(is_number, chain(*values)))


def _require_text(path):
    with open_file(path) as handle:
        start = handle.read(512)
    for mark, kind in _OTHER_KINDS.items():
        if start.lstrip().lower().startswith(mark):
            raise OtherFileError(f"the file is {kind}")
    if _NO_TEXT.search(start) and not start.startswith(_UTF16):
        raise OtherFileError(_UNKNOWN)


def _read_text(path, header, key) -> Sheet:
    _require_text(path)
    encoding = encoding_of(path)
    try:
        lines = _first_lines(path, encoding)
    except UnicodeDecodeError as error:
        raise OtherFileError(_UNKNOWN) from error
    separator = max(_SEPARATORS, key=partial(_agreement, lines))
    rows = list(map(texts, csv.reader(lines, delimiter=separator)))
    at = _row_of_names(rows, header)
    names = _in_one_line(rows[at])
    others = list(filter(any, rows[at + 1 :]))
    # R leaves out the name above the row names
    if others and min(map(len, others)) == len(names) + 1 and any(row[-1] for row in others):
        names = ["", *names]
    of_rows = names.index(key) if key in names else 0
    read = partial(_read_below, path, encoding, separator, at + 1, of_rows)
    table = read()
    width = table.shape[1]
    if has_decimal_commas(table):  # a point may separate thousands in such a table
        of_values = [j for j in range(width) if j != of_rows]
        table = read(dict.fromkeys(of_values, str))
    return Sheet(names + [""] * (width - len(names)), table, at + 1)


def _first_lines(path, encoding) -> list[str]:
    with open_file(path, encoding) as handle:
        lines = list(islice(handle, _HEAD))
        # pandas would truncate numbers at a NUL
        if any("\0" in line for line in chain(lines, handle)):
            raise OtherFileError("the file contains NUL characters and is probably damaged")
    return lines


def _read_below(path, encoding, separator, n_above, of_rows, dtype=None):
    with open_file(path, encoding) as handle:
        return pd.read_csv(
            handle,
            sep=separator,
            header=None,
            skiprows=n_above,
            low_memory=False,
            dtype=dtype,
            # or a gene called NA would be missing
            converters={of_rows: str},
        )


def _agreement(lines: list[str], separator: str) -> int:
    try:
        sizes = [len(row) for row in csv.reader(lines, delimiter=separator) if any(row)]
    except csv.Error:  # an overlong field
        return 0
    return np.bincount(sizes)[2:].max(initial=0)


def _read_sheets(path, sheet) -> dict[str, pd.DataFrame]:
    with open_file(path) as handle:
        content = io.BytesIO(handle.read())
    is_zip = content.getvalue().startswith(b"PK")
    require("openpyxl" if is_zip else "xlrd")
    if is_zip and not any(name.startswith("xl/") for name in zipfile.ZipFile(content).namelist()):
        raise OtherFileError("the file is a zip archive, not an Excel workbook")
    with pd.ExcelFile(content) as book:
        if sheet is not None and sheet not in book.sheet_names:
            raise OtherFileError(f"no sheet {sheet!r}; there are {book.sheet_names}")
        for worksheet in getattr(book.book, "worksheets", []):  # of openpyxl
            rows, columns = worksheet.max_row or 0, worksheet.max_column or 0
            if rows * columns > max(_USUAL_CELLS, content.getbuffer().nbytes):
                size = f"{rows} rows x {columns} columns"
                raise ValueError(f"delete the empty cells of sheet {worksheet.title!r}, {size}")
        wanted = book.sheet_names if sheet is None else [sheet]
        found = book.parse(wanted, header=None, dtype=object, keep_default_na=False, na_values=[""])
    sheets = {name: table for name, table in found.items() if table.size}
    if not sheets:
        raise ValueError("the workbook has no values")
    return sheets
