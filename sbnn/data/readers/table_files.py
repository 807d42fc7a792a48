"""Read names and rows of values from a file: text in any encoding and with any separator, or a workbook."""

import csv
import io
import warnings
import zipfile
from collections import Counter
from itertools import chain, islice

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.readers.counts import check_packed, check_unpacked, encoding_of, open_file
from sbnn.data.readers.table_checks import has_decimal_commas

_SEPARATORS = ("\t", ",", ";")
# default separators of R and of databases, which may also occur within names
_RARE_SEPARATORS = (" ", "|")
_ENGINES = {
    b"PK\3\4": "openpyxl",
    b"\xd0\xcf\x11\xe0": "xlrd",
    b"\t\0": "xlrd",
    b"\t\2": "xlrd",
    b"\t\4": "xlrd",
}
# number of cells that any sheet may have; minimum bytes per cell if it has more
_FREE_CELLS, _LEAST_OF_CELL = 2**24, 8
_HEAD = 50  # rows used to find the separator and the names


def read_file(
    path, sheet: str | None, header: int | None, key: str | None
) -> tuple[list[str], pd.DataFrame]:
    """Read the names of all columns, including the column of row names, and the table below these
    names.

    The names are in row number `header` or, by default, in the first row with more than half of the
    usual number of fields, since titles and notes have fewer fields.
    """
    check_packed(path)
    with open_file(path) as handle:
        start = handle.read(4)
    engine = next((engine for mark, engine in _ENGINES.items() if start.startswith(mark)), None)
    if engine is None:  # many .xls files are text
        if sheet is not None:
            raise ValueError(f"the file is text and has no sheet {sheet!r}")
        rows, below = _read_text(path, encoding_of(path), key)
    else:
        rows, below = _read_excel(path, sheet, engine)
    if header:
        return below(range(len(rows))[header - 1])
    filled = np.array([sum(map(bool, row)) for row in rows])
    if not filled.any():
        raise ValueError("the file or the sheet is empty")
    usual = np.median(filled[filled > 0])
    at = np.argmax(filled > (usual / 2 if usual > 2 else 0))
    if filled[:at].any():
        above = [" ".join(filter(None, row)) for row in rows[:at] if any(row)]
        warnings.warn(
            f"names are taken from row {at + 1}, below {some(above)}; to change it, set header",
            stacklevel=4,
        )
    return below(at)


def _read_text(path, encoding, key):
    """The first rows, and a function that reads the names and the table, given the position of the header row."""
    with open_file(path, encoding) as handle:
        lines = list(islice(iter(handle.readline, ""), _HEAD))
        # pandas would truncate numbers at a NUL
        if any("\0" in line for line in chain(lines, handle)):
            raise ValueError("the file contains NUL characters and is probably damaged")
    separator = _separator(lines)
    rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=separator)]

    def below(at):
        names, others = rows[at], [row for row in rows[at + 1 :] if any(row)]
        if others and min(map(len, others)) == len(names) + 1 and any(row[-1] for row in others):
            names = ["", *names]  # R leaves out the name above the row names
        of_rows = names.index(key) if key in names else 0

        def body(**options):
            with open_file(path, encoding) as handle:
                for _ in islice(csv.reader(iter(handle.readline, ""), delimiter=separator), at + 1):
                    pass
                # The converter stops pandas from reading a gene called NA as a missing name.
                options |= {"header": None, "low_memory": False, "converters": {of_rows: str}}
                return pd.read_csv(handle, sep=separator, **options)

        table = body()
        if has_decimal_commas(table):  # a point may separate thousands in such a table
            table = body(dtype={i: str for i in range(table.shape[1]) if i != of_rows})
        width = table.shape[1]
        return [*names[:width], *filter(None, names[width:]), *[""] * (width - len(names))], table

    return rows, below


def _separator(lines: list[str]) -> str:
    """The separator that splits most lines into the same number of fields."""

    def agreement(separator: str) -> tuple[float, int]:
        try:
            sizes = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if any(row))
        except csv.Error:  # an overlong field: this separator does not split the row
            return 0, 0
        size, times = max(
            sizes.items(), key=lambda item: (item[0] > 1, item[1], item[0]), default=(1, 0)
        )
        return (times / sizes.total(), size) if size > 1 else (0, 0)

    found = max(_SEPARATORS, key=agreement)
    return found if any(agreement(found)) else max(_RARE_SEPARATORS, key=agreement)


def _read_excel(path, sheet, engine):
    """Like `_read_text`, but for one sheet of a workbook."""
    with open_file(path) as handle:
        content = io.BytesIO(handle.read())
    if engine == "openpyxl":
        with zipfile.ZipFile(content) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        check_unpacked(unpacked, path)
    with pd.ExcelFile(content, engine=engine) as book:
        # the reader stores empty cells, too
        for part in book.book.worksheets if engine == "openpyxl" else ():
            rows, columns = part.max_row or 0, part.max_column or 0
            if rows * columns > max(_FREE_CELLS, unpacked / _LEAST_OF_CELL):
                raise ValueError(
                    f"delete the empty cells of sheet {part.title!r}, {rows} rows x {columns} columns"
                )
        found = book.parse(sheet, header=None, dtype=object, keep_default_na=False, na_values=[""])
    sheets = (
        {name: table for name, table in found.items() if table.size}
        if sheet is None
        else {sheet: found}
    )
    if len(sheets) != 1:
        raise ValueError(
            f"expected one sheet with values, got {list(sheets)}; choose one by (path, sheet) or --sheet"
        )
    (table,) = sheets.values()
    rows = (
        table.iloc[:_HEAD]
        .map(lambda value: "" if pd.isna(value) else str(value).strip())
        .to_numpy()
        .tolist()
    )
    return rows, lambda at: (rows[at], table.iloc[at + 1 :].reset_index(drop=True))
