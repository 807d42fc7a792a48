"""Read names and rows of values from a text file, in any encoding, or from a workbook."""

import csv
import io
import zipfile
from collections import Counter
from itertools import chain, islice

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.readers.counts import check_packed, check_unpacked, encoding_of, open_file
from sbnn.data.readers.table_checks import has_decimal_commas, texts
from sbnn.errors import warn

_SEPARATORS = ("\t", ",", ";")
# default separators of R and of databases, which may also occur within names
_RARE_SEPARATORS = (" ", "|")
# first bytes of a workbook -> package that reads it
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
    """Read the names of all columns, including the column of row names, and the table below them.

    The names are in row number `header` or, by default, in the first row with more than half of the
    usual number of fields, since titles and notes have fewer fields.
    """
    check_packed(path)
    engine = _engine_of(path)
    if engine:
        content = _Sheet(path, sheet, engine)
    elif sheet is None:  # many .xls files are text
        content = _Text(path)
    else:
        raise ValueError(f"the file is text and has no sheet {sheet!r}")
    if not header:
        return content.below(_row_of_names(content.rows), key)
    return content.below(range(len(content.rows))[header - 1], key)


def _engine_of(path):
    with open_file(path) as handle:
        start = handle.read(4)
    for mark, engine in _ENGINES.items():
        if start.startswith(mark):
            return engine
    return None


def _row_of_names(rows):
    """Position of the first row with more than half of the usual number of fields."""
    filled = np.array([sum(map(bool, row)) for row in rows])
    if not filled.any():
        raise ValueError("the file or the sheet is empty")
    usual = np.median(filled[filled > 0])
    least = usual / 2 if usual > 2 else 0
    at = int(np.argmax(filled > least))
    if filled[:at].any():
        titles = [" ".join(filter(None, row)) for row in rows[:at] if any(row)]
        warn(f"names are taken from row {at + 1}, below {some(titles)}; to change it, set header")
    return at


class _Text:
    """A text file: its first `rows`, as lists of fields, and the table below any of them."""

    def __init__(self, path):
        self.path = path
        self.encoding = encoding_of(path)
        with open_file(path, self.encoding) as handle:
            lines = list(islice(iter(handle.readline, ""), _HEAD))
            # pandas would truncate numbers at a NUL
            if any("\0" in line for line in chain(lines, handle)):
                raise ValueError("the file contains NUL characters and is probably damaged")
        self.separator = _separator(lines)
        reader = csv.reader(lines, delimiter=self.separator)
        self.rows = [[field.strip() for field in row] for row in reader]

    def below(self, at, key):
        """Names in row `at`, one for each column, and the table below this row."""
        names = self.rows[at]
        others = [row for row in self.rows[at + 1 :] if any(row)]
        # R leaves out the name above the row names
        if others and min(map(len, others)) == len(names) + 1 and any(row[-1] for row in others):
            names = ["", *names]
        of_rows = names.index(key) if key in names else 0
        table = self._read(at + 1, of_rows)
        width = table.shape[1]
        if has_decimal_commas(table):  # a point may separate thousands in such a table
            of_values = [j for j in range(width) if j != of_rows]
            table = self._read(at + 1, of_rows, dict.fromkeys(of_values, str))
        surplus = [name for name in names[width:] if name]  # rejected later: they name no column
        padding = [""] * (width - len(names))
        return names[:width] + surplus + padding, table

    def _read(self, n_above, of_rows, dtype=None):
        """Table below the first rows; the column `of_rows` holds the names of the rows."""
        with open_file(self.path, self.encoding) as handle:
            rows = csv.reader(iter(handle.readline, ""), delimiter=self.separator)
            for _ in islice(rows, n_above):
                pass
            return pd.read_csv(
                handle,
                sep=self.separator,
                header=None,
                low_memory=False,
                dtype=dtype,
                # keeps pandas from reading a gene called NA as a missing name
                converters={of_rows: str},
            )


def _separator(lines: list[str]) -> str:
    """The separator that splits most lines into the same number of fields."""
    usual = {separator: _agreement(lines, separator) for separator in _SEPARATORS}
    if any(share for share, _ in usual.values()):
        return max(usual, key=usual.get)
    return max(_RARE_SEPARATORS, key=lambda separator: _agreement(lines, separator))


def _agreement(lines, separator) -> tuple[float, int]:
    """Share of the lines with the most frequent number of fields, and this number."""
    try:
        sizes = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if any(row))
    except csv.Error:  # an overlong field: this separator does not split the row
        return 0, 0
    n_lines = sizes.total()
    del sizes[1]
    if not sizes:
        return 0, 0
    size = max(sizes, key=lambda size: (sizes[size], size))
    return sizes[size] / n_lines, size


class _Sheet:
    """One sheet of a workbook, with the same methods as `_Text`."""

    def __init__(self, path, sheet, engine):
        with open_file(path) as handle:
            content = io.BytesIO(handle.read())
        if engine == "openpyxl":
            with zipfile.ZipFile(content) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            check_unpacked(unpacked, path)
        with pd.ExcelFile(content, engine=engine) as book:
            if engine == "openpyxl":
                _check_sizes(book.book.worksheets, unpacked)
            found = book.parse(
                sheet, header=None, dtype=object, keep_default_na=False, na_values=[""]
            )
        if sheet is None:
            found = [(name, table) for name, table in found.items() if table.size]
            if len(found) != 1:
                names = [name for name, _ in found]
                raise ValueError(
                    f"expected one sheet with values, got {names}; "
                    "choose one by (path, sheet) or --sheet"
                )
            [(_, found)] = found
        self.table = found
        self.rows = [list(texts(row)) for row in found.iloc[:_HEAD].to_numpy()]

    def below(self, at, key):
        """Names in row `at`, one for each column, and the table below this row."""
        return self.rows[at], self.table.iloc[at + 1 :].reset_index(drop=True)


def _check_sizes(sheets, unpacked):
    """Reject sheets with far more cells than their file can fill: empty cells take memory."""
    for sheet in sheets:
        rows = sheet.max_row or 0
        columns = sheet.max_column or 0
        if rows * columns > max(_FREE_CELLS, unpacked / _LEAST_OF_CELL):
            raise ValueError(
                f"delete the empty cells of sheet {sheet.title!r}, {rows} rows x {columns} columns"
            )
