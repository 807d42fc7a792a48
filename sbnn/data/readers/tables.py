"""Paired data from a user's own tables, which are read, matched by cell name and checked."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions, validate_params

from sbnn.data.checks import (
    check_counts,
    kind_of_expression,
    some,
)
from sbnn.data.paired import paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers import table_checks as checks
from sbnn.data.readers.table_checks import as_numbers
from sbnn.data.readers.table_files import read_file
from sbnn.results import results_path

__all__ = ["as_numbers", "read_table", "read_tables"]

_TABLES = ("expression", "outputs", "labels")


@validate_params(
    {
        **dict.fromkeys(("counts", "genes_in_rows"), ["boolean", None]),
        **dict.fromkeys(("type_key", "family_key"), [str]),
        "missing": [StrOptions({"error", "cells", "outputs", "fewest"})],
        "match": [StrOptions({"exact", "loose"})],
        "duplicates": [StrOptions({"error", "sum", "first"})],
        "spike_ins": [StrOptions({"leave out", "keep"})],
        "cell_key": [str, Mapping, None],
        "decimal": [str, Mapping, None],
    },
    prefer_skip_nested_validation=True,
)
def read_tables(
    expression,
    outputs,
    labels=None,
    *,
    counts=None,
    genes_in_rows=None,
    missing="error",
    missing_marks=(),
    decimal=None,
    header=None,
    cell_key=None,
    match="exact",
    duplicates="error",
    spike_ins="leave out",
    family_key="family",
    type_key="type",
    drop_columns=(),
    rename=None,
    cell_names=None,
    colors=None,
    name="custom",
    source=None,
):
    """Build paired data from a table of expression and a table of outputs.

    Every table has the names of its columns in one row and the names of its rows in one column.
    Cells are matched by name and kept in the order of `expression`. Rows and columns that have
    neither a name nor numbers, such as a row of units, are left out; outputs that have the same
    name are numbered. `decimal`, `header` and `cell_key` apply to all tables, or can be given for
    each table, as in ``header={"outputs": 3}``.

    Parameters
    ----------
    expression : path-like, (path-like, str) or DataFrame
        Cells x genes, or genes x cells. A file may be an Excel workbook (.xlsx or .xls; requires
        the extra ``excel``) or a text file, which may be gzipped or the only file in a .zip
        archive; its separator and encoding are detected. A pair (path, sheet) selects one of
        several sheets.
    outputs : path-like, (path-like, str) or DataFrame
        Cells x features, or features x cells.
    labels : path-like, (path-like, str) or DataFrame, optional
        Cells x labels of any kind.
    counts : bool, optional
        Whether `expression` holds raw counts. If True, the counts are kept, and `X` is log2(x + 1)
        of the library-size normalised counts. If False, `X` is `expression` itself. By default,
        this is detected: whole numbers are taken as counts if some exceed 20, or if some exceed 2
        and the median nonzero value is 1; fractions are taken as normalised values (CPM, TPM) if
        some exceed 50, and `X` is log2(x + 1) of these values; all other values are taken as
        logarithms. A note records the choice.
    genes_in_rows : bool, optional
        Whether genes are in the rows of `expression`; by default, the orientation that shares more
        cell names with `outputs` is used.
    missing : {"error", "cells", "outputs", "fewest"}
        What to do if values of outputs are missing: raise an error, leave out the affected cells,
        leave out the affected outputs, or leave out some of both such that few values are lost.
    missing_marks : iterable of str
        Marks for missing values, such as ``"-999"``, besides ``""``, ``"-"``, ``"NA"``, ``"n.d."``
        and so on.
    decimal : {".", ","}, optional
        Decimal mark of numbers stored as text; detected by default.
    header : int, optional
        Row with the column names, counted from 1; by default, the first row with more than half of
        the usual number of fields (titles and notes have fewer fields).
    cell_key : str, optional
        Column with the cell names; by default, the first column. A single name applies to the
        tables that have this column.
    match : {"exact", "loose"}
        Whether cell names must be equal, or may differ in case, blanks, punctuation, an X that R
        puts before a digit, or the -1 at the end of a barcode.
    duplicates : {"error", "sum", "first"}
        What to do if genes have the same name: raise an error, add up their values (an error if the
        values are logarithms), or take the first of these genes.
    spike_ins : {"leave out", "keep"}
        What to do with spike-ins (such as ERCC-00002) and with the rows in which HTSeq and STAR
        count unassigned reads (such as ``__no_feature``).
    family_key, type_key : str
        Columns of `labels` with the coarse and the fine label; both may be the same column. Missing
        labels are ``"unknown"``.
    drop_columns : iterable of str
        Columns of any table to leave out, such as text among the outputs.
    rename : mapping of str to str, optional
        Old column names -> new column names.
    cell_names : path-like, (path-like, str) or DataFrame, optional
        Needed if cells are named differently in `expression` than in `outputs` and `labels`: a
        table whose first column holds the names in `outputs` and `labels`, and whose second column
        holds the names in `expression`.
    colors : mapping of str to str, optional
        Type -> colour.
    name, source : str, optional
        By default, `source` lists the names of the files.

    Returns
    -------
    AnnData
        As returned by `sbnn.data.paired.paired`. ``uns["sbnn"]["dropped"]`` lists what was left
        out, and ``uns["sbnn"]["notes"]`` what was detected.

    Raises
    ------
    FileNotFoundError
    ValueError
        If a file is not a table, rows or columns have no name, names repeat, the tables have no
        cell in common, there is text among numbers, decimal marks are ambiguous, values are
        missing, label columns are unknown, or counts are not whole numbers. Warnings are given for
        rows and columns that are left out, and for expression that does not look like `counts`.
    """
    headers, keys, decimals = (
        option if isinstance(option, Mapping) else dict.fromkeys(_TABLES, option)
        for option in (header, cell_key, decimal)
    )
    if labels is None and (named := {type_key, family_key} - {"type", "family"}):
        raise ValueError(
            f"labels: type_key and family_key need a table with the columns {sorted(named)}, got None"
        )
    marks = [missing_marks] if isinstance(missing_marks, str) else missing_marks
    # Expression is read last, since it takes longest and errors are more frequent in the other
    # tables.
    given = {
        what: table
        for what, table in {"outputs": outputs, "labels": labels, "expression": expression}.items()
        if table is not None or what != "labels"
    }
    tables = {
        what: read_table(
            table, what, header=headers.get(what), key=keys.get(what), repeats=what == "expression"
        )
        for what, table in given.items()
    }
    renamed = (
        {}
        if cell_names is None
        else read_table(cell_names, "cell_names").iloc[:, 0].astype(str).to_dict()
    )
    tables = _edited(tables, drop_columns, rename or {}, renamed)
    without = {
        what: some(table, 8) for what, table in tables.items() if table.index.name != keys.get(what)
    }
    if without and (len(without) == len(tables) or isinstance(cell_key, Mapping)):
        raise ValueError(f"cell_key: no column {cell_key!r}; the columns are {without}")

    notes: list[str] = []
    dropped: dict[str, list[str]] = {}
    X, Y, only_X, only_Y = checks.same_cells(
        tables["expression"], tables["outputs"], genes_in_rows, match
    )
    leave_out(dropped, "expression", "cells only in expression", only_X, len(only_X) + len(X))
    leave_out(dropped, "outputs", "cells only in outputs", only_Y, len(only_Y) + len(Y))

    called = {what: _called(table, what) for what, table in given.items()}
    Y = _numbers(Y, called["outputs"], "outputs", decimals.get("outputs"), marks, dropped, notes)
    gaps = Y.isna().to_numpy()
    if missing == "error":
        checks.require_none(
            gaps,
            Y,
            called["outputs"],
            "missing values",
            "set missing='cells', 'outputs' or 'fewest'",
        )
    else:
        cells, features = checks.kept(gaps, missing)
        leave_out(dropped, "outputs", "cells with missing outputs", Y.index[~cells], len(Y))
        leave_out(
            dropped, "outputs", "outputs with missing values", Y.columns[~features], Y.shape[1]
        )
        X, Y = X[cells], Y.loc[cells, features]

    X = _numbers(
        X, called["expression"], "genes", decimals.get("expression"), marks, dropped, notes
    )
    if spike_ins != "keep":
        others = checks.no_genes(X.columns)
        leave_out(dropped, "expression", "spike-ins and counters", X.columns[others], X.shape[1])
        X = X.loc[:, ~others]
    checks.require_none(
        X.isna().to_numpy(), X, called["expression"], "missing values", "set unobserved genes to 0"
    )
    kind = {True: "counts", False: "log"}.get(counts) or _kind(X.to_numpy(), notes)
    X = checks.unique_genes(X, duplicates, kind == "log", notes)
    if kind != "log":
        seen = X.to_numpy().any(axis=1)
        leave_out(dropped, "expression", "cells without counts", X.index[~seen], len(X))
        X, Y = X[seen], Y[seen]
    X = _varying(X, "expression", "genes", dropped)
    Y = _varying(Y, "outputs", "outputs", dropped)
    raw = check_counts(X.to_numpy(), X.shape) if kind == "counts" else None
    values = {
        "counts": lambda: log2p1(normalize_library_size(X)),
        "normalised": lambda: log2p1(X),
        "log": X.to_numpy,
    }
    return paired(
        values[kind](),
        Y.to_numpy(),
        X.columns,
        Y.columns,
        X.index,
        None
        if labels is None
        else _labels_of(X.index, tables["labels"], family_key, type_key, match, dropped),
        colors,
        raw,
        name=name,
        dropped=dropped,
        notes=notes,
        source=source
        or "the user's tables: " + ", ".join(called[what] for what in _TABLES if what in called),
    )


def read_table(
    table, what: str, *, header: int | None = None, key: str | None = None, repeats=False
) -> pd.DataFrame:
    """Read one table for `read_tables`: names become text, values are unchanged, and the index is named `key`."""
    cause, in_memory = None, isinstance(table, pd.DataFrame)
    if in_memory:
        body = table.set_axis(checks.texts(table.columns), axis=1).set_axis(
            checks.texts(table.index), axis=0
        )
        if key in body:
            body = body.set_axis(checks.texts(body.pop(key)), axis=0).rename_axis(index=key)
    else:
        path, sheet = table if isinstance(table, tuple) else (table, None)
        path = results_path(path, what)
        path.stat()  # a missing file raises its own error
        try:
            body = checks.named(*read_file(path, sheet, header, key), key)
        # zip, gzip, XML, pandas, openpyxl and xlrd raise errors of their own
        except Exception as error:
            problems, cause = [f"no table can be read: {str(error).strip()}"], error
    if cause is None:
        body = _numbered(body, what)
        problems = checks.problems_of_names(
            body, repeats, in_memory or header is not None or what == "labels"
        )
    if problems:
        hint = "if names are wrong, set header (row of the column names, from 1) or cell_key (column of row names)"
        raise ValueError(f"{_called(table, what)}: {'; '.join(problems)}; {hint}") from cause
    return body


def _numbered(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Number the outputs that have the same name, for example from two protocols."""
    twice = table.columns[table.columns.duplicated() & (table.columns != "")].unique()
    if what != "outputs" or not len(twice):
        return table
    warnings.warn(
        f"outputs: names appear more than once and are numbered: {some(twice)}", stacklevel=4
    )
    times = pd.Series(table.columns).groupby(table.columns, sort=False).cumcount() + 1
    return table.set_axis(
        [f"{name} ({n})" if n > 1 else name for name, n in zip(table, times, strict=True)], axis=1
    )


def _edited(tables: dict, drop: Iterable[str], rename: Mapping, cells: dict) -> dict:
    """Drop columns of the tables, and rename columns and cells."""
    drop = list(drop) if isinstance(drop, Iterable) and not isinstance(drop, str) else [drop]
    for option, names in (("drop_columns", drop), ("rename", rename)):
        absent = [name for name in names if not any(name in table for table in tables.values())]
        if absent:
            there = {what: some(table.columns, 8) for what, table in tables.items()}
            raise ValueError(
                f"{option}: not a column of any table: {some(absent)}; the columns are {there}"
            )
    edited = {}
    for what, table in tables.items():
        names = dict(rename) if what == "expression" else cells | dict(rename)
        body = table.drop(columns=table.columns.intersection(drop)) if drop else table
        body = body.rename(names, axis=0).rename(names, axis=1) if names else body
        edited[what] = (
            body if body is table else read_table(body, what, repeats=what == "expression")
        )
    return edited


def leave_out(
    dropped: dict[str, list[str]], what: str, why: str, names: pd.Index, total: int
) -> None:
    """Warn about the names that are left out, and store them in `dropped`; raise an error if nothing would be left."""
    if len(names) == total:
        raise ValueError(f"{what}: all {total} are left out ({why}): {some(names)}")
    if len(names):
        dropped[why] = list(names)
        warnings.warn(
            f"{what}: {len(names)} of {total} left out ({why}): {some(names)}", stacklevel=3
        )


def _called(table, what: str) -> str:
    if isinstance(table, pd.DataFrame):
        return what
    path, sheet = table if isinstance(table, tuple) else (table, None)
    return f"{what} ({Path(path).name}{'' if sheet is None else f', sheet {sheet}'})"


def _numbers(
    table: pd.DataFrame, what: str, kind: str, decimal, marks, dropped, notes
) -> pd.DataFrame:
    """Convert the columns that hold numbers; raise an error if there is text among the numbers."""
    numbers, text = checks.to_numbers(table, what, decimal, marks, notes)
    some_number = numbers.notna().any().to_numpy()
    leave_out(
        dropped, what, f"{kind} without a number", table.columns[~some_number], table.shape[1]
    )
    text, table = text[:, some_number], table.loc[:, some_number]
    checks.require_none(text, table, what, "values that are not numbers", checks.TEXT)
    return numbers.loc[:, some_number]


def _kind(values: np.ndarray, notes: list[str]) -> str:
    kind, span, doubt = kind_of_expression(values)
    taken = {
        "counts": "raw counts, and normalised to the size of the library before log2(x + 1)",
        "normalised": "normalised values that are not logarithms, and log2(x + 1) is taken of them",
        "log": "log values, and used unchanged",
    }[kind]
    span = f"expression is taken for {taken}: {span}"
    if doubt:
        warnings.warn(f"{span}. But {doubt}; set counts=True or counts=False", stacklevel=3)
    else:
        notes.append(f"{span}; counts=True or counts=False decides otherwise")
    return kind


def _varying(table: pd.DataFrame, what: str, kind: str, dropped) -> pd.DataFrame:
    constant = np.ptp(table.to_numpy(), axis=0) == 0
    leave_out(
        dropped,
        what,
        f"{kind} with one value in all cells",
        table.columns[constant],
        table.shape[1],
    )
    return table.loc[:, ~constant]


def _labels_of(cells, table, family_key, type_key, match, dropped) -> pd.DataFrame:
    """Labels of the cells, with the columns "family" and "type", which are equal if there is only one kind of label."""
    if match == "loose":
        ours = pd.Series(cells, checks.loosened(cells))
        names = zip(checks.loosened(table.index), table.index, strict=True)
        table = read_table(
            table.set_axis([ours.get(key, name) for key, name in names], axis=0), "labels"
        )
    keys = {"type": type_key, "family": family_key}
    there = [key for key in keys.values() if key in table] or list(table)
    absent = [key for kind, key in keys.items() if key not in table and key != kind]
    if absent or not (there[0] in keys.values() or len(there) == 1):
        raise ValueError(
            f"labels: expected type_key and family_key among the columns {list(table)}, got {keys}"
        )
    strangers = table.index.difference([*cells, *sum(dropped.values(), [])], sort=False)
    leave_out(dropped, "labels", "labels of unknown cells", strangers, len(table))
    without = cells.difference(table.index, sort=False)
    if len(without):
        warnings.warn(
            f"no labels for {len(without)} of {len(cells)} cells: {some(without)}", stacklevel=3
        )
    labels = table.astype(object).reindex(cells)
    return labels.assign(
        **{kind: labels[key if key in table else there[0]] for kind, key in keys.items()}
    )
