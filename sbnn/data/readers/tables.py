"""Paired data from a user's own tables: read them, match the cells by name, and say what does not fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.checks import check_counts, some
from sbnn.data.plausible import check_given_once, kind_of_expression, warn_of_log_values
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.cell_names import loosened, same_cells
from sbnn.data.readers.gene_names import counters, spike_ins, unique_genes, without_versions
from sbnn.data.readers.missing_outputs import WAYS, kept, require_complete
from sbnn.data.readers.table_files import dates_among, read_rows
from sbnn.data.readers.table_layout import find_layout
from sbnn.data.readers.table_numbers import as_numbers, is_mark, looks_like_number, require_numbers, to_numbers

__all__ = ["as_numbers", "leave_out", "read_table", "read_tables"]

_MEASURED = re.compile(r"-?\d*[.,]\d+(e[+-]?\d+)?", re.I)
_TABLES = ("expression", "outputs", "labels")


def read_tables(
    expression,
    outputs,
    labels=None,
    *,
    counts: bool | None = None,
    genes_in_rows: bool | None = None,
    missing: str = "error",
    missing_marks: Iterable[str] = (),
    decimal: str | Mapping[str, str] | None = None,
    header: int | Mapping[str, int] | None = None,
    cell_key: str | Mapping[str, str] | None = None,
    match: str | None = None,
    duplicates: str = "error",
    spike_ins: str = "leave out",
    family_key: str = "family",
    type_key: str = "type",
    colors: Mapping[str, str] | None = None,
    name: str = "custom",
    source: str | None = None,
) -> dict[str, Any]:
    """Build paired data from a table of expression and a table of outputs.

    Every table has the names of its columns in one row, above which there may be titles and remarks and below which
    there may be units, and of its rows in one column, mostly the first. Cells are matched by name, in any order; they
    are kept in the order of `expression`. Options that say how a table is written (`decimal`, `header`, `cell_key`)
    hold for all tables, or are given for each: ``header={"outputs": 3}``.

    Parameters
    ----------
    expression : path-like, (path-like, str) or DataFrame
        Cells x genes, or genes x cells. A path leads to text (.csv, .tsv, .txt, also .gz, or a .zip with one file; the
        separator - tab, comma, semicolon, blank or | - and the encoding are found out) or to an Excel workbook (.xlsx
        needs ``openpyxl``, .xls needs ``xlrd``; the extra ``excel`` has both). A pair of path and sheet name chooses
        among several sheets.
    outputs : path-like, (path-like, str) or DataFrame
        Cells x features, or features x cells: whichever has the cell names.
    labels : path-like, (path-like, str) or DataFrame, optional
        Cells x labels, of any kind.
    counts : bool, optional
        Whether `expression` is raw counts: they are kept, and `X` is log2 of the library-size normalised counts plus
        one. False: `X` is `expression` as it is. By default this is found out by the values: counts are whole and reach
        far; normalised ones (CPM, TPM) are not whole and reach beyond 50, and `X` is log2 of them plus one; others are
        logarithms, and `X` is what they are. A note says which it was.
    genes_in_rows : bool, optional
        Which way `expression` lies. By default the way that has more cell names in common with `outputs`; cells in rows
        where both have equally many.
    missing : {"error", "cells", "outputs", "fewest"}
        What to do where outputs are missing: name the columns, leave out the cells or the outputs with gaps, or leave
        out cells and outputs so that most values are kept. ``"drop"`` is another name of ``"cells"``.
    missing_marks : iterable of str
        Text that says in `expression` or `outputs` that a value is missing, besides ``""``, ``"-"``, ``"NA"``,
        ``"n.d."`` and the like (`sbnn.data.readers.table_numbers.MARKS`). It may be a number: ``"-999"``.
    decimal : {".", ","}, optional
        Decimal mark of numbers that are text; found out by default.
    header : int, optional
        Number of the row with the names of columns, counted from 1 as a spreadsheet shows it, empty rows and remarks
        included; found out by default.
    cell_key : str, optional
        Column with the names of the cells, or of whatever is in the rows; the first by default. One name for all tables
        holds for those that have such a column.
    match : {"exact", "loose"}, optional
        Whether cell names match as they are, or also if they differ in case, blanks, punctuation, an X before a digit
        (R's) or the -1 behind a barcode (10x's). By default they match as they are, and it is an error if twice as many
        would match loosely.
    duplicates : {"error", "sum", "first"}
        What to do with genes of the same name: name them, add them up (as is right for counts), or take the first.
    spike_ins : {"leave out", "keep"}
        What to do with RNA that was added (ERCC-00002 and the like), which would count as part of the library.
    family_key, type_key : str
        Columns of `labels` with the coarse and the fine label; ``"unknown"`` for cells and columns that are not there.
        Where `labels` has neither by its usual name, and one column of text, this is taken.
    colors : mapping of str to str, optional
        Type -> ``"#RRGGBB"``.
    name, source : str, optional
        As for `PairedData`; by default the source names the files.

    Returns
    -------
    dict
        Arguments of `PairedData`. What was left out is in ``"dropped"``: cells of one table alone, cells or outputs
        with missing values, outputs and genes without any number, spike-ins, what counters write below the genes,
        cells without counts, labels of other cells, genes with one value in all cells that are kept. What was done
        besides is told in ``"notes"``.

    Raises
    ------
    FileNotFoundError
    ImportError
        An Excel workbook where ``openpyxl`` or ``xlrd`` is not installed.
    ValueError
        A file that is no table (another ending, empty, damaged, several sheets and none chosen), columns without a name
        (as merged cells leave them), repeated names, no or hardly a cell in common, values that are neither numbers nor
        missing in a column that has numbers, numbers that can be read in two ways, missing values, Excel formulas that
        were never calculated, labels without the columns asked for, outputs that are genes of the expression alone,
        counts that are not whole numbers; options that are not among those above; and as for `PairedData`.

    Warns
    -----
    UserWarning
        Telling how many cells, outputs, labels and genes are left out, and their first names; that expression looks
        like log values with `counts`, or like raw counts without, or that it cannot be told; that more cells would
        match loosely.
    """
    missing = "cells" if missing == "drop" else missing
    for option, given, allowed in (
        ("counts", counts, (True, False, None)),
        ("missing", missing, ("error", *WAYS)),
        ("duplicates", duplicates, ("error", "sum", "first")),
        ("spike_ins", spike_ins, ("leave out", "keep")),
    ):
        if given not in allowed:
            raise ValueError(f"{option} must be {' or '.join(map(repr, allowed))}, got {given!r}")
    marks = (missing_marks,) if isinstance(missing_marks, str) else tuple(missing_marks)
    how = {what: _options(what, header=header, key=cell_key, decimal=decimal) for what in _TABLES}
    given = {"expression": expression, "outputs": outputs, "labels": labels}
    given = {what: table for what, table in given.items() if table is not None}
    notes: list[str] = []
    dropped: dict[str, list[str]] = {}
    tables = {
        what: read_table(
            table,
            what,
            header=how[what]["header"],
            key=how[what]["key"],
            key_must_be_there=isinstance(cell_key, Mapping),
            repeats=what == "expression",
            notes=notes,
        )
        for what, table in given.items()
    }
    if isinstance(cell_key, str) and not any(table.index.name == cell_key for table in tables.values()):
        columns = {what: some(table.columns, 8) for what, table in tables.items() if what != "expression"}
        raise ValueError(f"cell_key: no table has a column {cell_key!r}; these have: {columns}")

    found = same_cells(
        tables["expression"],
        tables["outputs"],
        genes_in_rows,
        match,
        _other_key(tables["outputs"], tables["expression"]),
    )
    X, Y = found.X, found.Y
    if found.doubt:
        warnings.warn(found.doubt, stacklevel=3)
    leave_out(dropped, "cells only in expression", found.only_X, len(found.only_X) + len(X), "cells")
    leave_out(dropped, "cells only in outputs", found.only_Y, len(found.only_Y) + len(Y), "cells")

    numbers, text = to_numbers(Y, "outputs", how["outputs"]["decimal"], marks, notes)
    some_number = numbers.notna().any().to_numpy()
    leave_out(dropped, "outputs without a number", Y.columns[~some_number], Y.shape[1], "outputs")
    require_numbers(Y.loc[:, some_number], text[:, some_number], "outputs")
    Y = numbers.loc[:, some_number]
    if not Y.shape[1]:
        first = f", the first value is {str(found.Y.iat[0, 0])!r}" if len(some_number) else ""
        raise ValueError(f"outputs: no output is left, none of {len(some_number)} columns holds a number{first}")
    if missing == "error":
        require_complete(Y)
    cells, features = kept(Y.isna().to_numpy(), "cells" if missing == "error" else missing)
    leave_out(dropped, "cells with missing outputs", Y.index[~cells], len(Y), "cells")
    leave_out(dropped, "outputs with missing values", Y.columns[~features], Y.shape[1], "outputs")
    if not cells.any():
        raise ValueError("outputs: no cell is left, every one has a missing value")
    if not features.any():
        raise ValueError("outputs: no output is left, every one has a missing value")
    X, Y = X[cells], Y.loc[cells, features]

    X, kind = _expression(X, how["expression"]["decimal"], marks, counts, duplicates, spike_ins, dropped, notes)
    check_given_once(X.to_numpy(), Y.to_numpy())
    if kind != "log":
        seen = X.to_numpy().any(axis=1)
        leave_out(dropped, "cells without counts", X.index[~seen], len(X), "cells")
        X, Y = X[seen], Y[seen]
        if not len(X):
            raise ValueError("expression: no cell is left, none has a count")
    constant = np.ptp(X.to_numpy(), axis=0) == 0
    leave_out(dropped, "genes with one value in all cells", X.columns[constant], X.shape[1], "genes")
    X = X.loc[:, ~constant]
    constant = np.ptp(Y.to_numpy(), axis=0) == 0
    leave_out(dropped, "outputs with one value in all cells", Y.columns[constant], Y.shape[1], "outputs")
    Y = Y.loc[:, ~constant]
    if not Y.shape[1]:
        raise ValueError(f"outputs: no output is left, each has one value in all {len(Y)} cells")
    if not X.shape[1]:
        raise ValueError(f"expression: no gene is left, each has one value in all {len(X)} cells")
    raw = check_counts(X.to_numpy(), X.shape) if kind == "counts" else None
    if counts:
        warn_of_log_values(raw, "expression")
    values = {"counts": lambda: log2p1(normalize_library_size(X)), "normalised": lambda: log2p1(X), "log": X.to_numpy}
    return dict(
        X=values[kind](),
        Y=Y.to_numpy(),
        gene_names=X.columns,
        feature_names=Y.columns,
        cell_names=X.index,
        labels=_labels_of(X.index, tables.get("labels"), family_key, type_key, match, dropped, notes),
        colors=colors,
        counts=raw,
        dropped=dropped,
        notes=tuple(notes),
        name=name,
        source=source or "the user's tables: " + ", ".join(_called(given[what], what) for what in tables),
    )


def read_table(
    table,
    what: str,
    *,
    header: int | None = None,
    key: str | None = None,
    key_must_be_there: bool = False,
    repeats: bool = False,
    notes: list[str] | None = None,
) -> pd.DataFrame:
    """Read one table: names of its columns in one row, of its rows in one column.

    Parameters
    ----------
    table : path-like, (path-like, str) or DataFrame
        See `read_tables`.
    what : str
        How messages call it, as in ``"outputs"``. Of ``"labels"`` no numbers are expected.
    header : int, optional
        Number of the row with the names, from 1; found out by default.
    key : str, optional
        Column with the names of the rows, the first by default.
    key_must_be_there : bool
        Whether a table without the column `key` is an error, or has the names in its first one.
    repeats : bool
        Whether names may repeat.
    notes : list of str, optional
        Is told what was done; without it there is a warning.

    Returns
    -------
    DataFrame
        With names of type str. Values are as they were read: text stays text. The name of the index is `key` where it
        was taken.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        As for `read_tables`.
    """
    called, told = _called(table, what), []
    if isinstance(table, pd.DataFrame):
        body = table.set_axis(_names(table.columns), axis=1).set_axis(_names(table.index), axis=0)
        if key in body:
            body = body.set_axis(_names(body.pop(key)), axis=0).rename_axis(index=key)
    else:
        path, sheet = table if isinstance(table, tuple) else (table, None)
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"{what}: no file {str(path)!r}")
        names, rows = read_rows(
            path,
            sheet,
            lambda head: find_layout(head, header, called, told),
            key=key,
            numbers=what != "labels",
            called=called,
            notes=told,
        )
        body = _named(names, rows, key, called)
        if header is None and what == "outputs":
            _require_names(body.columns, called)
    if key is not None and body.index.name != key and key_must_be_there:
        raise ValueError(f"{called}: cell_key: no column {key!r}; it has {some(body.columns, 8)}")
    for axis, names in (("column", body.columns), ("row", body.index)):
        if (names == "").any():
            raise ValueError(
                f"{called}: {(names == '').sum()} of {len(names)} {axis}s of values have no name, the first is number "
                f"{np.flatnonzero(names == '')[0] + 1}. Merged cells and titles leave such gaps: give every {axis} a "
                f"name of its own, or say which row has the names of columns (header=<its number, from 1>) and which "
                f"column those of rows (cell_key)"
            )
        if names.has_duplicates and not repeats:
            repeated = some(names[names.duplicated()].unique())
            advice = "; cell_key says which column has the names of the cells" if axis == "row" and key is None else ""
            raise ValueError(f"{called}: {axis} names appear more than once: {repeated}{advice}")
    if not body.size:
        raise ValueError(
            f"{called} holds no values ({body.shape[0]} rows x {body.shape[1]} columns); text is separated by tabs, "
            f"commas, semicolons, blanks or |"
        )
    if notes is None:
        for note in told:
            warnings.warn(note, stacklevel=2)
    else:
        notes += told
    return body


def _require_names(names: pd.Index, called: str) -> None:
    """Refuse names that are measured values, as where the row of names is lost."""
    if len(names) and all(_MEASURED.fullmatch(name) for name in names):
        raise ValueError(
            f"{called}: the first row holds numbers where names of outputs are expected: {some(names, 3)}; add the "
            f"row of names, or say which row it is (header=<its number, from 1>)"
        )


def _named(header: list, body: pd.DataFrame, key: str | None, called: str) -> pd.DataFrame:
    """Take the names of columns and rows, and leave out rows and columns without name and values."""
    at = header.index(key) if key in header else 0
    if at and not header[0]:  # where programs write numbers of rows
        header, body, at = header[1:], body.iloc[:, 1:], at - 1
    rows, columns = body.iloc[:, at], [*header[:at], *header[at + 1 :]]
    dates = dates_among([*columns, *rows])
    if len(dates):
        raise ValueError(
            f"{called}: {len(dates)} name(s) are dates, the first {dates[0]:%Y-%m-%d}; Excel makes them of genes such "
            f"as MARCH1, so type them anew as text"
        )
    rows, columns = _names(rows), _names(columns)
    body = body.drop(columns=body.columns[at]).set_axis(rows, axis=0).set_axis(columns, axis=1)
    for axis, names in ((1, columns), (0, rows)):
        unnamed = np.flatnonzero(names == "")
        if len(unnamed):
            empty = unnamed[body.take(unnamed, axis=axis).isna().all(axis=1 - axis).to_numpy()]
            body = body.take(np.delete(np.arange(len(names)), empty), axis=axis)
    return body.rename_axis(index=key) if key in header else body


def _names(values: Iterable) -> pd.Index:
    return pd.Index(["" if pd.isna(value) else str(value).strip() for value in values], dtype=object)


def _called(table, what: str) -> str:
    if isinstance(table, pd.DataFrame):
        return what
    path, sheet = table if isinstance(table, tuple) else (table, None)
    return f"{what} ({Path(path).name}{'' if sheet is None else f', sheet {sheet}'})"


def _options(what: str, **given) -> dict[str, Any]:
    """Options of one table, of those that hold for all or are given for each."""
    options = {}
    for option, value in given.items():
        if isinstance(value, Mapping) and not value.keys() <= set(_TABLES):
            raise ValueError(f"{option} is given for {list(value)}, expected some of {list(_TABLES)}")
        options[option] = value.get(what) if isinstance(value, Mapping) else value
    if options["decimal"] not in (None, ".", ","):
        raise ValueError(f"decimal must be '.' or ',', got {options['decimal']!r}")
    return options


def _other_key(Y: pd.DataFrame, X: pd.DataFrame) -> str:
    """Name the column of the outputs that has the cells of the expression, if there is one."""
    names = [*X.index, *X.columns]
    shared = {
        column: Y[column].astype(str).str.strip().isin(names).sum() for column in Y if Y[column].dtype.kind in "Oiu"
    }
    best = max(shared, key=shared.get, default=None)
    if best is None or shared[best] < 2:
        return ""
    return f". The column {best!r} of outputs holds {shared[best]} names of expression: cell_key={best!r}"


def _expression(X, decimal, marks, counts, duplicates, added, dropped, notes) -> tuple[pd.DataFrame, str]:
    """Make numbers of expression, of genes alone, and tell whether they are counts, normalised, or logarithms."""
    numbers, text = to_numbers(X, "expression", decimal, marks, notes)
    some_number = numbers.notna().any().to_numpy()
    leave_out(dropped, "genes without a number", X.columns[~some_number], X.shape[1], "genes", up=1)
    require_numbers(X.loc[:, some_number], text[:, some_number], "expression")
    X = numbers.loc[:, some_number]
    leave = {"rows of a counter that are no genes": counters} | ({} if added == "keep" else {"spike-ins": spike_ins})
    for why, others in leave.items():
        no_genes = others(X.columns)
        leave_out(dropped, why, X.columns[no_genes], X.shape[1], "genes", up=1)
        X = X.loc[:, ~no_genes]
    if not X.shape[1]:
        raise ValueError("expression: no gene is left that has a number")
    _require_values(X)
    kind = {True: "counts", False: "log"}.get(counts)
    if kind is None:
        kind = _kind(X.to_numpy(), notes)
    X = X.set_axis(without_versions(X.columns, notes), axis=1)
    return unique_genes(X, duplicates, kind == "log", notes), kind


def _kind(values: np.ndarray, notes: list[str]) -> str:
    kind, told, doubt = kind_of_expression(values)
    taken = {
        "counts": "raw counts, and normalised to the size of the library before log2(x + 1)",
        "normalised": "normalised values that are no logarithms, and log2(x + 1) is taken of them",
        "log": "log values, and left as they are",
    }[kind]
    told = f"expression is taken for {taken}: {told}"
    if doubt:
        warnings.warn(f"{told}. But {doubt}; counts=True or counts=False decides it", stacklevel=5)
    else:
        notes.append(f"{told}; counts=True or counts=False decides otherwise")
    return kind


def leave_out(dropped: dict[str, list[str]], why: str, names: pd.Index, total: int, kind: str, up: int = 0) -> None:
    """Note in `dropped` what is left out of so many in total, and warn whoever called the caller's caller, or `up`."""
    if len(names):
        dropped[why] = list(names)
        warnings.warn(f"{len(names)} of {total} {kind} are left out ({why}): {some(names)}", stacklevel=4 + up)


def _require_values(X: pd.DataFrame) -> None:
    gaps = X.isna().sum()
    gaps = gaps[gaps > 0]
    if len(gaps):
        listed = some(f"{column} ({count})" for column, count in gaps.items())
        raise ValueError(
            f"expression: {len(gaps)} column(s) have missing values in some of {len(X)} cells: {listed}; a gene that "
            f"was not seen has the value 0"
        )


def _labels_of(cells, table, family_key, type_key, match, dropped, notes) -> pd.DataFrame | None:
    if table is None:
        return None
    if match == "loose":
        ours = pd.Series(cells, loosened(cells))
        names = zip(loosened(table.index), table.index, strict=True)
        table = table.set_axis([ours.get(key, name) for key, name in names], axis=0)
        if table.index.has_duplicates:
            repeated = some(table.index[table.index.duplicated()].unique())
            raise ValueError(f"labels: with match='loose' several rows are of the same cell: {repeated}")
    keys = {"family": family_key, "type": type_key}
    if (family_key, type_key) == ("family", "type") and not {"family", "type"} & set(table):
        texts = [column for column in table if not all(_is_number(value) for value in table[column])]
        texts = texts or (list(table) if table.shape[1] == 1 else [])
        if len(texts) == 1:
            keys = dict.fromkeys(keys, texts[0])
            notes.append(f"labels: the types and families of cells are taken from the column {texts[0]!r}")
    there = {column: key for column, key in keys.items() if key in table}
    missing = [key for column, key in keys.items() if key not in table and (key != column or not there)]
    if missing:
        raise ValueError(
            f"labels: no column {' or '.join(map(repr, missing))}; it has {list(table.columns)}. Name the columns to "
            f"take with family_key and type_key"
        )
    without = cells.difference(table.index, sort=False)
    if len(without) == len(cells):
        raise ValueError(
            f"labels: of no cell; the cells are {some(cells, 3)}, and labels has the rows {some(table.index, 3)}. "
            f"match='loose' matches names that differ in case or punctuation, and cell_key says which column has them"
        )
    strangers = table.index.difference([*cells, *sum(dropped.values(), [])], sort=False)
    leave_out(dropped, "labels of cells that are not there", strangers, len(table), "labels", up=1)
    if len(without):
        warnings.warn(f"{len(without)} of {len(cells)} cells have no labels: {some(without)}", stacklevel=4)
    labels = table.astype(object).reindex(cells)
    # A table with one kind of label is as good for the families as for the types.
    for column in keys:
        labels[column] = labels[there.get(column, next(iter(there.values())))]
    return labels


def _is_number(value) -> bool:
    return not isinstance(value, str) or is_mark(value) or looks_like_number(value)
