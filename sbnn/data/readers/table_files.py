"""From a file to rows of values: text in any encoding and with any separator, workbooks old and new."""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sbnn.data.readers.counts import encoding_of, open_text
from sbnn.data.readers.table_layout import Layout, is_comment
from sbnn.data.readers.table_numbers import has_commas

EXCEL = (".xlsx", ".xlsm", ".xls")
TEXT = (".csv", ".tsv", ".txt")
_SEPARATORS = ("\t", ",", ";")
_RARE_SEPARATORS = (" ", "|")  # of R by default, and of databases; they stand in names too
_ENGINES = {b"PK\3\4": "openpyxl", b"\xd0\xcf\x11\xe0": "xlrd", b"\t\0": "xlrd", b"\t\2": "xlrd", b"\t\4": "xlrd"}
_FORMULA = re.compile(rb"<f[ />]")
_HEAD = 50  # rows that are looked at to find names and values

#: Rows of text -> which of them hold the names.
Finder = Callable[[list[list[str]]], Layout]


class Rows(NamedTuple):
    """The names of all columns, the first one included, and the rows below them."""

    names: list
    body: pd.DataFrame


def read_rows(
    path: Path, sheet: str | None, find: Finder, *, key: str | None, numbers: bool, called: str, notes: list[str]
) -> Rows:
    """Read a file.

    Parameters
    ----------
    path : Path
    sheet : str or None
        Which one of a workbook with several.
    find : callable
        Takes the first rows, as text, and says which holds the names.
    key : str or None
        Column with the names of rows, by default the first. Nothing in it is a missing value.
    numbers : bool
        Whether numbers are expected: text in which some have a comma is left as it is, then.
    called : str
        How messages call the table.
    notes : list of str
        Is told what was done.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError, ImportError
        As for `sbnn.data.readers.tables.read_tables`.
    """
    kind = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if kind not in (*TEXT, *EXCEL, ".zip"):
        raise ValueError(
            f"{called}: cannot read the ending {path.suffix!r}; expected {', '.join((*TEXT, *EXCEL))}, or text "
            f"in .gz or .zip"
        )
    if path.suffix.lower() in EXCEL:
        with path.open("rb") as handle:
            start = handle.read(4)
        engine = next((engine for mark, engine in _ENGINES.items() if start.startswith(mark)), None)
        if engine:
            return _read_excel(path, sheet, engine, find, called)
        if path.suffix.lower() != ".xls":
            raise ValueError(f"{called} is not a complete Excel workbook: it does not begin as one")
        notes.append(f"{called} is text and no workbook, whatever its ending says, and is read as text")
    if sheet is not None:
        raise ValueError(f"{called}: only an Excel workbook has sheets")
    try:
        return _read_text(path, find, key, numbers, called, notes)
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, csv.Error, pd.errors.ParserError) as error:
        raise ValueError(f"{called} cannot be read as a table: {error}") from error


def _read_text(path: Path, find: Finder, key: str | None, numbers: bool, called: str, notes: list[str]) -> Rows:
    try:
        encoding = encoding_of(path)
    except ValueError as error:  # an archive of several files
        raise ValueError(f"{called} cannot be read as a table: {error}") from error
    if encoding != "utf-8-sig":
        notes.append(f"{called} is not UTF-8 text and is read as {encoding}")
    with open_text(path, encoding) as handle:
        lines = [line for line, _ in zip(iter(handle.readline, ""), range(_HEAD), strict=False)]
    separator = _separator(lines)
    head = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=separator)]
    layout = find(head)
    names = layout.names

    def body(**options) -> pd.DataFrame:
        with open_text(path, encoding) as handle:
            rows = csv.reader(iter(handle.readline, ""), delimiter=separator)
            for _ in range(layout.first):
                next(rows, None)
            try:
                return pd.read_csv(handle, sep=separator, header=None, low_memory=False, **options)
            except pd.errors.EmptyDataError:
                return pd.DataFrame(index=[], columns=range(max(1, len(names))))

    wide = len(head[layout.first]) if layout.first < len(head) else len(names)
    # R writes no name above the row names
    shifted = wide == len(names) + 1 and any(len(row) == wide and row[-1] for row in head[layout.first :])
    names = ["", *names] if shifted else names
    at = names.index(key) if key in names else 0
    # The converter keeps pandas from taking a gene called NA for one without a name.
    named = {"converters": {at: str}}
    table = body(**named)
    if numbers and has_commas(table):  # a point may be something else than it looks like, then
        table = body(**named, dtype={i: str for i in range(table.shape[1]) if i != at})
    lacking = table.shape[1] - len(names)
    if lacking < 0 and not any(names[lacking:]):
        names = names[:lacking]
    elif lacking == 1 and table.iloc[:, -1].isna().all():
        table = table.iloc[:, :-1]
    if len(names) != table.shape[1]:
        raise ValueError(
            f"{called}: the first row names {len(names)} columns but the others have {table.shape[1]}; if another row "
            f"has the names, say which: header=<its number, from 1>"
        )
    first = table[0].astype(str)
    comments = first.str.startswith("#") & table.iloc[:, 1:].isna().all(axis=1)
    return Rows(names, table[~comments].reset_index(drop=True) if comments.any() else table)


def _separator(lines: list[str]) -> str:
    """Take the separator that cuts most lines into equally many fields."""

    def agreement(separator: str) -> tuple[float, int]:
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator) if any(row) and not is_comment(row)]
        except csv.Error:  # a field longer than any is: a row that is not cut at all
            return 0, 0
        sizes = Counter(map(len, rows))
        size, times = max(sizes.items(), key=lambda item: (item[0] > 1, item[1], item[0]), default=(1, 0))
        return (times / len(rows), size) if size > 1 else (0, 0)

    found = max(_SEPARATORS, key=agreement)
    return found if any(agreement(found)) else max(_RARE_SEPARATORS, key=agreement)


def _read_excel(path: Path, sheet: str | None, engine: str, find: Finder, called: str) -> Rows:
    options = {"header": None, "dtype": object, "keep_default_na": False, "na_values": [""]}
    try:
        with pd.ExcelFile(path, engine=engine) as book:
            sheets = book.sheet_names
            if sheet in sheets:
                filled = {sheet: book.parse(sheet, **options)}
            if sheet not in sheets or not filled[sheet].size:
                filled = book.parse(None, **options)
    except ImportError:
        raise ImportError(
            f"{called}: reading this workbook needs {engine}; pip install {engine} or 'sbnn[excel]', or save the table "
            f"as CSV"
        ) from None
    except Exception as error:  # zip, XML, openpyxl and xlrd each have errors of their own
        raise ValueError(f"{called} is not a complete Excel workbook: {error}") from error
    filled = {name: table for name, table in filled.items() if table.size}
    if sheet is None and len(filled) != 1:
        state = (
            f"holds several sheets, {list(filled)}; choose one: (path, sheet), or --sheet on the command line"
            if filled
            else "holds no values"
        )
        raise ValueError(f"{called} {state}")
    if sheet is not None and sheet not in filled:
        state = "is empty" if sheet in sheets else "is not there"
        raise ValueError(f"{called}: sheet {sheet!r} {state}; the sheets with values are {list(filled)}")
    sheet, table = next(item for item in filled.items() if sheet in (None, item[0]))
    if engine == "openpyxl":
        _require_calculated(path, sheet, table, called)
    head = table.iloc[:_HEAD].map(lambda value: "" if pd.isna(value) else str(value).strip())
    layout = find(head.to_numpy().tolist())
    names = [*layout.names, *[""] * (table.shape[1] - len(layout.names))]
    # A date is a name that Excel has changed; its text would not tell.
    original = table.iloc[layout.row] if layout.row < len(table) else []
    names = [cell if hasattr(cell, "year") else name for name, cell in zip(names, original, strict=True)]
    return Rows(names, table.iloc[layout.first :].reset_index(drop=True))


def _require_calculated(path: Path, sheet: str, table: pd.DataFrame, called: str) -> None:
    """Refuse formulas without a value, which a program that is not a spreadsheet writes and pandas reads as missing."""
    if not table.isna().any(axis=None) or not _has_formulas(path):
        return
    import openpyxl  # pandas has read the workbook with it

    rows = openpyxl.load_workbook(path)[sheet].iter_rows(max_row=table.shape[0], max_col=table.shape[1])
    gaps = table.isna().to_numpy()
    formulas = [cell for row in rows for cell in row if cell.data_type == "f" and gaps[cell.row - 1, cell.column - 1]]
    if not formulas:
        return
    values = openpyxl.load_workbook(path, data_only=True)[sheet]  # an error such as #DIV/0! is a value
    empty = [cell.coordinate for cell in formulas if values[cell.coordinate].value is None]
    if empty:
        raise ValueError(
            f"{called}: {len(empty)} formula(s) have no value, the first in {empty[0]}, since no spreadsheet has "
            f"calculated them; open the file in Excel or LibreOffice and save it, or paste values"
        )


def _has_formulas(path: Path) -> bool:
    """Look for any formula in the files of a workbook, which is quick where openpyxl is not."""
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        return any(_FORMULA.search(archive.read(name)) for name in sheets)


def dates_among(names: list) -> np.ndarray:
    """Find the names that are dates, as Excel makes them of genes such as MARCH1."""
    return np.array([name for name in names if hasattr(name, "year") and not pd.isna(name)], dtype=object)
