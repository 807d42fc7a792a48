"""One of a user's tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype, is_object_dtype

from sbnn.data.checks import some
from sbnn.data.objects import AnnDataLike, gene_modality
from sbnn.data.readers.containers import is_container, read_container
from sbnn.data.readers.table_files import OtherFileError, Sheet, read_file
from sbnn.data.readers.table_names import doubtful_names, named, texts, texts_of_cells
from sbnn.errors import warn

_HINT = "check header=ROW (row with the column names) and cell_key=COLUMN (column of the cells)"
WORKBOOKS = (".xls", ".xlsx", ".xlsm")
FEWEST_NAMES = 20  # of cells to fit
_FEW_COLUMNS = 200  # with fewer, numbers may be names of cells
_MOST_KEYS = 50
_MOST_UNNAMED = 0.1  # share of rows, such as means, that may be left out
#: Names of columns of row numbers.
_OF_ROW_NUMBERS = ("", "x", "index", "row", "no", "no.", "nr", "#", "unnamed: 0", "v1")


class Way(NamedTuple):
    """Cells are named by a column, or by the column names."""

    axis: int  # 0 for cells in rows, 1 for columns
    key: str | None  # None for the first column
    names: pd.Index
    by_number: bool = False  # whether names only number the rows
    filtered: bool = False  # whether names may number the rows of a larger table

    def __str__(self):
        if self.axis:
            return "the column names"
        return "the first column" if self.key is None else f"column {self.key!r}"


class Table:
    """A table; `renamed` maps names of cells to those in the expression."""

    def __init__(self, what, given, sheet=None, header=None, key=None, renamed=None):
        self.what = what
        self.renamed = renamed or {}
        self.file = ""
        self.path = None
        self.key = key
        self.named = False  # whether the index of a DataFrame has a name
        self.adata = None
        self.sheets = {}  # name -> Sheet; None is the name of the only one
        if isinstance(given, tuple):
            given, sheet = given
        if isinstance(given, pd.DataFrame):
            self._take_table(given)
            self.named = given.index.name is not None
        elif isinstance(given, AnnDataLike):
            self._take(given)
        else:
            path = Path(given)
            path.stat()  # a missing file raises its own error
            self.file = path.name
            self.path = path.resolve()
            try:
                if is_container(path):
                    self._take(gene_modality(read_container(path)))
                else:
                    self.sheets = read_file(path, sheet, header, key)
            except ImportError:
                raise  # it names the extra
            except OtherFileError as error:
                raise ValueError(f"{self}: {error}") from error
            # libraries raise errors of many kinds
            except Exception as error:
                text = str(error).strip()
                raise ValueError(f"{self}: {text}; {_HINT}") from error
        self.sheet = next(iter(self.sheets), None)

    def _take(self, adata):
        if self.what == "expression" or (self.what == "guides" and adata.n_vars):
            self.adata = adata
        of_cells = self.adata is not None or self.what == "labels" or not adata.n_vars
        self._take_table(adata.obs if of_cells else adata.to_df())

    def _take_table(self, table):
        body = table.reset_index(names="", allow_duplicates=True)
        self.sheets = {None: Sheet(["", *texts(table.columns)], body, 0)}

    def __str__(self):
        return f"{self.what} ({self.file})" if self.file else self.what

    @property
    def content(self) -> Sheet:
        """Names and values of the chosen sheet."""
        return self.sheets[self.sheet]

    def columns(self) -> list[str]:
        """Names of columns, of an AnnData those of `obs`."""
        return list(filter(None, self.content.names))

    def ways(self) -> list[Way]:
        """Names in the first or the given column, or column names."""
        names, body, _ = self.content
        key = self.key if self.key in names else None
        j = 0 if key is None else names.index(key)
        columns = [name for name in np.delete(names, j) if name]
        columns = self._cells(columns if self.adata is None else self.adata.var_names)
        cells = self._cells(body.iloc[:, j])
        unnamed = key is None and not self.named and names[0].lower() in _OF_ROW_NUMBERS
        by_number = unnamed and are_row_numbers(cells)
        filtered = unnamed and not by_number and bool(cells.str.isdecimal().all())
        return [Way(0, key, cells, by_number, filtered), Way(1, key, columns)]

    def _cells(self, values) -> pd.Index:
        names = texts_of_cells(values)
        return names.map(lambda name: self.renamed.get(name, name)) if self.renamed else names

    def other_ways(self) -> Iterator[Way]:
        """Names in any other column with many different values."""
        names, body, _ = self.content
        candidates = [j for j in range(len(names)) if names[j] and names[j] != self.key]
        if len(names) > _FEW_COLUMNS:
            candidates = [j for j in candidates if is_object_dtype(body.iloc[:, j])]
            candidates = candidates[:_MOST_KEYS]
        for j in candidates:
            values = body.iloc[:, j]
            fractions = is_float_dtype(values) and (values.dropna() % 1 != 0).any()
            n_names = values.nunique()
            differ = 2 * n_names > len(values)
            of_sweeps = is_object_dtype(values) and n_names >= FEWEST_NAMES
            if not fractions and (differ or of_sweeps):
                yield Way(0, names[j], self._cells(values))

    def frame(self, way: Way):
        """The table, oriented as in the file."""
        if self.adata is not None:
            if way.axis or way.names.equals(self.adata.obs_names):
                return self.adata
            adata = self.adata.copy()
            adata.obs_names = way.names
            return adata
        names, body, _ = self.content
        table = self._named(names, body, way.key)
        if not table.size:
            raise ValueError(f"{self}: it holds no values; {_HINT}")
        unnamed = table.index == ""
        if unnamed.mean() > _MOST_UNNAMED:
            row = unnamed.argmax() + 1
            raise ValueError(f"{self}: row {row} below the names has values but no name; {_HINT}")
        if unnamed.any():
            warn(f"{self}: rows without a name are left out: {unnamed.sum()} of {len(table)}")
            table = table[~unnamed]
        return table.set_axis(self._cells(table.axes[way.axis]), axis=way.axis)

    def _named(self, names, body, key) -> pd.DataFrame:
        try:
            table, units = named(names, body, key)
        except ValueError as error:
            raise ValueError(f"{self}: {error}; {_HINT}") from error
        if units:
            warn(f"{self}: rows without names and numbers are left out: {some(units)}")
        numbers = [
            name.lower() in _OF_ROW_NUMBERS and are_row_numbers(texts(values))
            for name, values in table.items()
        ]
        return table.loc[:, ~np.array(numbers, dtype=bool)]

    def in_order(self):
        """The rows; the first column may have values, no names."""
        if self.adata is not None:
            return self.adata
        names, body, _ = self.content
        first = texts(body.iloc[:, 0])
        holds_values = are_numbers(first) or first.has_duplicates
        if names[0] and holds_values and not are_row_numbers(first):
            names = ["", *names]
            body = pd.concat([pd.Series(range(1, len(body) + 1)), body], axis=1)
        return self._named(names, body, None)


def are_numbers(values) -> bool:
    """Whether all values are, or spell, numbers."""
    return bool(pd.to_numeric(values, errors="coerce").notna().all())


def are_row_numbers(names: pd.Index) -> bool:
    """Whether names are the numbers from 0 or 1 on, in any order."""
    found = [{str(i + start) for i in range(len(names))} for start in (0, 1)]
    return len(names) > 1 and set(names) in found


def are_values(names: pd.Index) -> bool:
    """Whether entries are fractions, repeated numbers, or few kinds of text."""
    numbers = pd.to_numeric(names, errors="coerce")
    if numbers.isna().any():
        return 4 * names.nunique() < len(names)
    return names.has_duplicates or bool((numbers % 1 > 0).any())


def is_workbook(given) -> bool:
    """Whether a path has the suffix of a workbook."""
    if not isinstance(given, str | os.PathLike):
        return False
    return str(given).lower().removesuffix(".gz").endswith(WORKBOOKS)


def read_table(
    table, what: str, *, header: int | None = None, key: str | None = None
) -> pd.DataFrame:
    """Read a table with row names in its first column, or in the column `key`."""
    opened = Table(what, table, header=header, key=key)
    if len(opened.sheets) > 1:
        sheets = list(opened.sheets)
        raise ValueError(f"{opened}: expected one sheet with values, got {sheets}; set sheet")
    found = opened.frame(opened.ways()[0])
    for kind, names in doubtful_names(found.columns).items():
        raise ValueError(f"{opened}: {kind}: {some(names)}; {_HINT}")
    if what in ("expression", "prior"):  # names may repeat in a list of edges
        return found
    twice = found.index[found.index.duplicated()]
    if len(twice):
        raise ValueError(f"{opened}: row names appear more than once: {some(twice)}")
    return found.set_axis(numbered(found.columns, what), axis=1)


def numbered(names, what: str) -> pd.Index:
    """Number names that repeat: "Tau" and "Tau (2)"."""
    names = list(names)
    taken = set(names)
    times: dict[str, int] = {}
    found = []
    for name in names:
        times[name] = times.get(name, 0) + 1
        if times[name] == 1:
            found.append(name)
            continue
        while f"{name} ({times[name]})" in taken:
            times[name] += 1
        found.append(f"{name} ({times[name]})")
    repeated = [name for name, n in times.items() if n > 1]
    if repeated:
        warn(f"{what}: names appear more than once and are numbered: {some(repeated)}")
    return pd.Index(found, dtype=object)
