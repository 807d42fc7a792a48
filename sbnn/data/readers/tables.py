"""Paired data from a user's own tables: read them, match the cells by name, and say what does not fit."""

from __future__ import annotations

import csv
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from datetime import date
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.checks import check_counts, some
from sbnn.data.plausible import check_given_once, warn_of_log_values
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.counts import open_text, require_unique

_EXCEL = (".xlsx", ".xlsm")
_TEXT = (".csv", ".tsv", ".txt")
_SEPARATORS = ("\t", ",", ";")
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")


def read_tables(
    expression,
    outputs,
    labels=None,
    *,
    counts: bool = False,
    genes_in_rows: bool | None = None,
    missing: str = "error",
    family_key: str = "family",
    type_key: str = "type",
    colors: Mapping[str, str] | None = None,
    name: str = "custom",
    source: str | None = None,
) -> dict[str, Any]:
    """Build paired data from a table of expression and a table of outputs.

    Every table has the names of its columns in the first row and of its rows in the first column. Cells are matched by
    name, in any order; they are kept in the order of `expression`.

    Parameters
    ----------
    expression : path-like, (path-like, str) or DataFrame
        Cells x genes, or genes x cells. A path leads to text (.csv, .tsv, .txt, also .gz, or a .zip with one file; the
        separator - tab, comma or semicolon - is found out) or to an Excel workbook (.xlsx; needs ``openpyxl``). A pair
        of path and sheet name chooses among several sheets.
    outputs : path-like, (path-like, str) or DataFrame
        Cells x features, or features x cells: whichever has the cell names.
    labels : path-like, (path-like, str) or DataFrame, optional
        Cells x labels, of any kind.
    counts : bool
        Whether `expression` is raw counts: they are kept, and `X` is log2 of the library-size normalised counts plus
        one. Otherwise `X` is `expression` as it is.
    genes_in_rows : bool, optional
        Which way `expression` lies. By default the way that has more cell names in common with `outputs`; cells in rows
        where both have equally many.
    missing : {"error", "drop"}
        What to do where outputs are missing: name the columns, or leave the cells out.
    family_key, type_key : str
        Columns of `labels` with the coarse and the fine label; ``"unknown"`` for cells and columns that are not there.
    colors : mapping of str to str, optional
        Type -> ``"#RRGGBB"``.
    name, source : str, optional
        As for `PairedData`; by default the source names the files.

    Returns
    -------
    PairedData
        What was left out is in `dropped`: cells of one table alone, cells without outputs, labels of other cells,
        genes with one value in all cells that are kept.

    Raises
    ------
    FileNotFoundError
    ImportError
        An Excel workbook where ``openpyxl`` is not installed.
    ValueError
        A file that is no table (another ending, empty, damaged, several sheets and none chosen), columns without a name
        (as merged cells leave them), repeated names, no cell in common, values that are not numbers, missing values,
        Excel formulas that were never calculated, labels without the columns asked for, outputs that are genes of the
        expression alone, counts that are not whole numbers; and as for `PairedData`.

    Warns
    -----
    UserWarning
        Telling how many cells, labels and genes are left out, and their first names; that expression looks like log
        values with `counts`, or like raw counts without.
    """
    if missing not in ("error", "drop"):
        raise ValueError(f"missing must be 'error' or 'drop', got {missing!r}")
    given = {"expression": expression, "outputs": outputs, "labels": labels}
    tables = {what: read_table(table, what) for what, table in given.items() if table is not None}
    X, Y = _oriented(tables["expression"], tables["outputs"], genes_in_rows)
    dropped: dict[str, list[str]] = {}

    cells = X.index[X.index.isin(Y.index)]
    for what, table in (("expression", X), ("outputs", Y)):
        leave_out(dropped, f"cells only in {what}", table.index.difference(cells, sort=False), len(table), "cells")
    Y = as_numbers(Y.loc[cells], "outputs")
    incomplete = Y.isna().any(axis=1)
    if missing == "error":
        _require_values(Y, "outputs", "; complete them, or leave those cells out with missing='drop'")
    leave_out(dropped, "cells with missing outputs", cells[incomplete], len(cells), "cells")
    cells, Y = cells[~incomplete], Y[~incomplete]
    if not len(cells):
        raise ValueError("outputs: no cell is left, every one has a missing value")

    X = as_numbers(X.loc[cells], "expression")
    check_given_once(X.to_numpy(), Y.to_numpy())
    _require_values(X, "expression", "; a gene that was not seen has the value 0")
    constant = X.columns[np.ptp(X.to_numpy(), axis=0) == 0]
    leave_out(dropped, "genes with one value in all cells", constant, X.shape[1], "genes")
    X = X.drop(columns=constant)
    if not X.shape[1]:
        raise ValueError(f"expression: no gene is left, each has one value in all {len(cells)} cells")
    raw = check_counts(X.to_numpy(), X.shape) if counts else None
    if counts:
        warn_of_log_values(raw, "expression")
    return dict(
        X=log2p1(normalize_library_size(X)) if counts else X.to_numpy(),
        Y=Y.to_numpy(),
        gene_names=X.columns,
        feature_names=Y.columns,
        cell_names=cells,
        labels=_labels_of(cells, tables.get("labels"), family_key, type_key, dropped),
        colors=colors,
        counts=raw,
        dropped=dropped,
        name=name,
        source=source or "the user's tables: " + ", ".join(_called(given[what], what) for what in tables),
    )


def read_table(table, what: str) -> pd.DataFrame:
    """Read one table: names of its columns in the first row, of its rows in the first column.

    Parameters
    ----------
    table : path-like, (path-like, str) or DataFrame
        See `read_tables`.
    what : str
        How messages call it, as in ``"outputs"``.

    Returns
    -------
    DataFrame
        With unique names of type str. Values are as they were read: text stays text.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        As for `read_tables`.
    """
    called = _called(table, what)
    if isinstance(table, pd.DataFrame):
        body = table.set_axis(_names(table.columns), axis=1).set_axis(_names(table.index), axis=0)
    else:
        path, sheet = table if isinstance(table, tuple) else (table, None)
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"{what}: no file {str(path)!r}")
        if path.suffix.lower() in _EXCEL:
            body = _named(*_read_excel(path, sheet, called))
        elif sheet is not None:
            raise ValueError(f"{called}: only an Excel workbook has sheets")
        else:
            body = _named(*_read_text(path, called))
    for axis, names in (("column", body.columns), ("row", body.index)):
        if (names == "").any():
            raise ValueError(
                f"{called}: {(names == '').sum()} of {len(names)} {axis}s of values have no name, the first is number "
                f"{np.flatnonzero(names == '')[0] + 1}. Merged cells and titles leave such gaps: give every {axis} a "
                f"name of its own, and take away rows above the names"
            )
        require_unique(names, f"{called}: {axis} names")
    if not body.size:
        raise ValueError(
            f"{called} holds no values ({body.shape[0]} rows x {body.shape[1]} columns); text is separated by tabs, "
            f"commas or semicolons"
        )
    return body


def _read_text(path: Path, called: str) -> tuple[list, pd.DataFrame]:
    """Read the first row, and the others with the row names as first column."""
    kind = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if kind not in (*_TEXT, ".zip"):
        raise ValueError(
            f"{called}: cannot read the ending {path.suffix!r}; expected {', '.join((*_TEXT, *_EXCEL))}, or text "
            f"in .gz or .zip"
        )
    try:
        with open_text(path) as handle:
            line = handle.readline()
            headers = [next(csv.reader([line], delimiter=mark), []) for mark in _SEPARATORS]
            header = max(headers, key=len)
            separator = _SEPARATORS[headers.index(header)]
            # The converter keeps pandas from taking a gene called NA for one without a name.
            body = pd.read_csv(handle, sep=separator, header=None, low_memory=False, converters={0: str})
    except pd.errors.EmptyDataError:
        return header or [""], pd.DataFrame(index=[], columns=range(max(1, len(header))))
    except UnicodeDecodeError as error:
        raise ValueError(f"{called} is not UTF-8 text ({error}); save it as CSV UTF-8") from None
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{called} cannot be read as a table: {error}") from error
    if len(header) == body.shape[1] - 1:
        header = ["", *header]  # R writes no name above the row names
    if len(header) != body.shape[1]:
        raise ValueError(f"{called}: the first row names {len(header)} columns but the others have {body.shape[1]}")
    return header, body


def _read_excel(path: Path, sheet: str | None, called: str) -> tuple[list, pd.DataFrame]:
    """Read the first row of a sheet, and the others with the row names as first column."""
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object)
    except ImportError:
        raise ImportError(
            f"{called}: reading Excel needs openpyxl; pip install openpyxl, or save the table as CSV"
        ) from None
    except Exception as error:  # zip, XML and openpyxl each have errors of their own
        raise ValueError(f"{called} is not a complete Excel workbook: {error}") from error
    filled = {name: table for name, table in sheets.items() if table.size}
    if sheet is None and len(filled) != 1:
        state = f"holds several sheets, {list(filled)}; choose one: (path, sheet)" if filled else "holds no values"
        raise ValueError(f"{called} {state}")
    if sheet is not None and sheet not in filled:
        state = "is empty" if sheet in sheets else "is not there"
        raise ValueError(f"{called}: sheet {sheet!r} {state}; the sheets with values are {list(filled)}")
    sheet = next(iter(filled)) if sheet is None else sheet
    table = filled[sheet]
    _require_calculated(path, sheet, table, called)
    names = [*table.iloc[0, 1:], *table.iloc[1:, 0]]
    dates = [name for name in names if isinstance(name, date)]
    if dates:
        raise ValueError(
            f"{called}: {len(dates)} name(s) are dates, the first {dates[0]:%Y-%m-%d}; Excel makes them of genes such "
            f"as MARCH1, so type them anew as text"
        )
    return list(table.iloc[0]), table.iloc[1:].reset_index(drop=True)


def _require_calculated(path: Path, sheet: str, table: pd.DataFrame, called: str) -> None:
    """Refuse formulas without a value, which a program that is not a spreadsheet writes and pandas reads as missing."""
    if not table.isna().any(axis=None):
        return
    import openpyxl  # pandas has read the workbook with it

    rows = openpyxl.load_workbook(path)[sheet].iter_rows(max_row=table.shape[0], max_col=table.shape[1])
    cells = (cell for row in rows for cell in row if cell.data_type == "f")
    empty = [cell.coordinate for cell in cells if pd.isna(table.iat[cell.row - 1, cell.column - 1])]
    if empty:
        raise ValueError(
            f"{called}: {len(empty)} formula(s) have no value, the first in {empty[0]}, since no spreadsheet has "
            f"calculated them; open the file in Excel or LibreOffice and save it, or paste values"
        )


def _named(header: list, body: pd.DataFrame) -> pd.DataFrame:
    """Take the names out of first row and column, and leave out rows and columns without name and values."""
    rows, columns = _names(body.iloc[:, 0]), _names(header[1:])
    body = body.iloc[:, 1:].set_axis(rows, axis=0).set_axis(columns, axis=1)
    for axis, names in ((1, columns), (0, rows)):
        unnamed = np.flatnonzero(names == "")
        empty = unnamed[body.take(unnamed, axis=axis).isna().all(axis=1 - axis).to_numpy()]
        kept = np.delete(np.arange(len(names)), empty)
        body = body.take(kept, axis=axis)
    return body


def _names(values: Iterable) -> pd.Index:
    return pd.Index(["" if pd.isna(value) else str(value).strip() for value in values], dtype=object)


def _called(table, what: str) -> str:
    if isinstance(table, pd.DataFrame):
        return what
    path, sheet = table if isinstance(table, tuple) else (table, None)
    return f"{what} ({Path(path).name}{'' if sheet is None else f', sheet {sheet}'})"


def _oriented(X: pd.DataFrame, Y: pd.DataFrame, genes_in_rows: bool | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn both tables so that cells are in rows: the way in which they share most names."""
    expression_ways = (X, X.T) if genes_in_rows is None else (X.T if genes_in_rows else X,)
    ways = [(x, y) for x in expression_ways for y in (Y, Y.T)]
    shared = [x.index.isin(y.index).sum() for x, y in ways]
    if not max(shared):
        raise ValueError(
            f"expression and outputs share no cell name: expression has the rows {some(X.index, 3)} and the columns "
            f"{some(X.columns, 3)}, outputs has the rows {some(Y.index, 3)} and the columns {some(Y.columns, 3)}"
            + ("" if genes_in_rows is None else f" (genes_in_rows={genes_in_rows})")
        )
    return ways[int(np.argmax(shared))]


def leave_out(dropped: dict[str, list[str]], why: str, names: pd.Index, total: int, kind: str) -> None:
    """Note in `dropped` what is left out of so many in total, and warn whoever called the caller's caller."""
    if len(names):
        dropped[why] = list(names)
        warnings.warn(f"{len(names)} of {total} {kind} are left out ({why}): {some(names)}", stacklevel=4)


def as_numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Convert all columns to float64, or name the first value that is no number."""
    if all(isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in table.dtypes):
        return table.astype(np.float64)
    converted = {}
    for column in table:
        values = table[column]
        # pandas would make nanoseconds of a date
        plain = values.astype(object).map(lambda value: value if isinstance(value, str | Number) else str(value))
        converted[column] = pd.to_numeric(plain.where(values.notna()), errors="coerce").astype(np.float64)
        bad = converted[column].isna() & values.notna()
        if bad.any():
            first = plain[bad].iloc[0]
            hint = "write decimals with a point" if _DECIMAL_COMMA.fullmatch(first) else "leave the column out"
            raise ValueError(
                f"{what}: column {column!r} holds {bad.sum()} value(s) that are not numbers, the first {first!r} for "
                f"cell {bad.index[bad][0]!r}; {hint}"
            )
    return pd.DataFrame(converted, index=table.index)


def _require_values(table: pd.DataFrame, what: str, advice: str) -> None:
    gaps = table.isna().sum()
    gaps = gaps[gaps > 0]
    if len(gaps):
        listed = some(f"{column} ({count})" for column, count in gaps.items())
        raise ValueError(
            f"{what}: {len(gaps)} column(s) have missing values in some of {len(table)} cells: {listed}{advice}"
        )


def _labels_of(cells, table, family_key, type_key, dropped) -> pd.DataFrame | None:
    if table is None:
        return None
    keys = {"family": family_key, "type": type_key}
    there = {column: key for column, key in keys.items() if key in table}
    missing = [key for column, key in keys.items() if key not in table and (key != column or not there)]
    if missing:
        raise ValueError(
            f"labels: no column {' or '.join(map(repr, missing))}; it has {list(table.columns)}. Name the columns to "
            f"take with family_key and type_key"
        )
    strangers = table.index.difference([*cells, *sum(dropped.values(), [])], sort=False)
    leave_out(dropped, "labels of cells that are not there", strangers, len(table), "labels")
    without = cells.difference(table.index, sort=False)
    if len(without):
        warnings.warn(f"{len(without)} of {len(cells)} cells have no labels: {some(without)}", stacklevel=4)
    labels = table.astype(object).reindex(cells)
    # A table with one kind of label is as good for the families as for the types.
    for column in keys:
        labels[column] = labels[there.get(column, next(iter(there.values())))]
    return labels
