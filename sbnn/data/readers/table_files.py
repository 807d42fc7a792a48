"""From a file to names and rows of values: text in any encoding and with any separator, workbooks old and new."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import islice
from pathlib import Path

import pandas as pd

from sbnn.data.readers.counts import encoding_of, open_text
from sbnn.data.readers.table_checks import has_decimal_commas

EXCEL = (".xlsx", ".xlsm", ".xls")
TEXT = (".csv", ".tsv", ".txt", ".gz", ".zip")
_SEPARATORS = ("\t", ",", ";")
_RARE_SEPARATORS = (" ", "|")  # of R by default, and of databases; they stand in names too
_ENGINES = {b"PK\3\4": "openpyxl", b"\xd0\xcf\x11\xe0": "xlrd", b"\t\0": "xlrd", b"\t\2": "xlrd", b"\t\4": "xlrd"}
_HEAD = 50  # rows that are looked at to find separator and names


def read_file(path, sheet: str | None, header: int | None, key: str | None) -> tuple[list, pd.DataFrame]:
    """Names of all columns, that of the row names included, and the rows below them."""
    suffix = Path(path).suffix.lower()
    if suffix not in EXCEL + TEXT:
        raise ValueError(f"unknown file ending {suffix!r}, expected one of {', '.join(EXCEL + TEXT)}")
    with open(path, "rb") as handle:
        start = handle.read(4)
    engine = next((engine for mark, engine in _ENGINES.items() if start.startswith(mark)), None)
    if suffix in EXCEL and engine:
        return _read_excel(path, sheet, engine, header)
    if suffix in EXCEL and suffix != ".xls":  # of which many are text
        raise ValueError("not an Excel workbook")
    if sheet is not None:
        raise ValueError("only an Excel workbook has sheets")
    return _read_text(path, header, key)


def _read_text(path, header, key):
    encoding = encoding_of(path)
    with open_text(path, encoding) as handle:
        lines = list(islice(iter(handle.readline, ""), _HEAD))
    separator = _separator(lines)
    rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=separator)]
    at = _row_of_names(rows, header)
    names, below = rows[at], [row for row in rows[at + 1 :] if any(row)]
    if below and min(map(len, below)) == len(names) + 1 and any(row[-1] for row in below):
        names = ["", *names]  # R writes no name above the row names
    of_rows = names.index(key) if key in names else 0

    def body(**options):
        with open_text(path, encoding) as handle:
            for _ in islice(csv.reader(iter(handle.readline, ""), delimiter=separator), at + 1):
                pass
            # The converter keeps pandas from reading a gene called NA as a missing name.
            return pd.read_csv(
                handle, sep=separator, header=None, low_memory=False, converters={of_rows: str}, **options
            )

    table = body()
    if has_decimal_commas(table):  # then a point may separate thousands
        table = body(dtype={i: str for i in range(table.shape[1]) if i != of_rows})
    return _padded(names, table), table


def _separator(lines: list[str]) -> str:
    """Take the separator that cuts most lines into equally many fields."""

    def agreement(separator: str) -> tuple[float, int]:
        try:
            sizes = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if any(row))
        except csv.Error:  # a field longer than any is: a row that is not cut at all
            return 0, 0
        size, times = max(sizes.items(), key=lambda item: (item[0] > 1, item[1], item[0]), default=(1, 0))
        return (times / sizes.total(), size) if size > 1 else (0, 0)

    found = max(_SEPARATORS, key=agreement)
    return found if any(agreement(found)) else max(_RARE_SEPARATORS, key=agreement)


def _read_excel(path, sheet, engine, header):
    with pd.ExcelFile(path, engine=engine) as book:
        sheets = book.parse(None, header=None, dtype=object, keep_default_na=False, na_values=[""])
    filled = {name: table for name, table in sheets.items() if table.size}
    if sheet is None and len(filled) != 1:
        raise ValueError(f"choose one of the sheets {list(filled)}: (path, sheet), or --sheet on the command line")
    if sheet is not None and sheet not in filled:
        raise ValueError(f"no sheet {sheet!r} with values; the others are {list(filled)}")
    table = filled[sheet] if sheet is not None else next(iter(filled.values()))
    rows = table.iloc[:_HEAD].map(lambda value: "" if pd.isna(value) else str(value).strip()).to_numpy().tolist()
    at = _row_of_names(rows, header)
    # A date is a name that Excel has changed; its text would not tell.
    names = [cell if hasattr(cell, "year") else name for name, cell in zip(rows[at], table.iloc[at], strict=True)]
    return names, table.iloc[at + 1 :].reset_index(drop=True)


def _row_of_names(rows: list[list[str]], header: int | None) -> int:
    """Position of the row with the names: the first that is not empty, or number `header`."""
    if header is None:
        header = next((i for i, row in enumerate(rows, 1) if any(row)), 0)
        if not header:
            raise ValueError("it holds no values")
    if not 0 < header <= len(rows):
        raise ValueError(f"header must be the number of the row with the names, 1 to {len(rows)}, got {header!r}")
    return header - 1


def _padded(names: list[str], table: pd.DataFrame) -> list[str]:
    width = table.shape[1]
    if any(names[width:]):
        raise ValueError(f"{len(names)} names of columns, but the rows below have {width} fields")
    return (names + [""] * width)[:width]
