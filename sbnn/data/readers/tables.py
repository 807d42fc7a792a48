"""Paired data from a user's own tables, which are read, matched by cell name and checked."""

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
from sbnn.errors import warn
from sbnn.results import results_path

__all__ = ["as_numbers", "read_table", "read_tables"]

_TABLES = ("expression", "outputs", "labels")
_HINT = "set header (row of the column names, from 1) or cell_key (column of row names)"


@validate_params(
    {
        "counts": ["boolean", None],
        "genes_in_rows": ["boolean", None],
        "type_key": [str],
        "family_key": [str],
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
    if labels is None and not {type_key, family_key} <= {"type", "family"}:
        raise ValueError(
            f"labels: expected a table with the columns {type_key!r} (type_key) and "
            f"{family_key!r} (family_key), got None"
        )
    headers = _by_table(header)
    keys = _by_table(cell_key)
    decimals = _by_table(decimal)
    marks = [missing_marks] if isinstance(missing_marks, str) else missing_marks
    # Expression is read last, since it takes longest and errors are more frequent in the other
    # tables.
    given = {"outputs": outputs, "labels": labels, "expression": expression}
    if labels is None:
        del given["labels"]
    tables = {}
    for what, table in given.items():
        repeats = what == "expression"
        tables[what] = read_table(
            table, what, header=headers.get(what), key=keys.get(what), repeats=repeats
        )
    _require_keys(tables, cell_key)
    names_of_cells = {}
    if cell_names is not None:
        table = read_table(cell_names, "cell_names")
        names_of_cells = table.iloc[:, 0].astype(str).to_dict()
    tables = _edited(tables, drop_columns, rename or {}, names_of_cells)

    notes: list[str] = []
    dropped: dict[str, list[str]] = {}
    # X (n_cells, n_genes) and Y (n_cells, n_outputs) with the same cells
    X, Y = tables["expression"], tables["outputs"]
    X, Y, only_X, only_Y = checks.same_cells(X, Y, genes_in_rows, match)
    leave_out(dropped, "expression", "cells only in expression", only_X, len(only_X) + len(X))
    leave_out(dropped, "outputs", "cells only in outputs", only_Y, len(only_Y) + len(Y))

    called = {what: _called(table, what) for what, table in given.items()}
    what = called["outputs"]
    Y = _numbers(Y, what, "outputs", decimals.get("outputs"), marks, dropped, notes)
    gaps = Y.isna().to_numpy()
    if missing == "error":
        advice = "set missing='cells', 'outputs' or 'fewest'"
        checks.require_none(gaps, Y, what, "missing values", advice)
    else:
        cells, columns = checks.kept(gaps, missing)
        leave_out(dropped, "outputs", "cells with missing outputs", Y.index[~cells], len(Y))
        without = Y.columns[~columns]
        leave_out(dropped, "outputs", "outputs with missing values", without, Y.shape[1])
        X = X[cells]
        Y = Y.loc[cells, columns]

    what = called["expression"]
    X = _numbers(X, what, "genes", decimals.get("expression"), marks, dropped, notes)
    if spike_ins == "leave out":
        others = checks.no_genes(X.columns)
        leave_out(dropped, "expression", "spike-ins and counters", X.columns[others], X.shape[1])
        X = X.loc[:, ~others]
    gaps = X.isna().to_numpy()
    advice = "set unobserved genes to 0"
    checks.require_none(gaps, X, what, "missing values", advice)
    kind = "counts" if counts else "log"
    if counts is None:
        kind = _kind(X.to_numpy(), notes)
    X = checks.unique_genes(X, duplicates, kind == "log", notes)
    if kind != "log":
        seen = X.to_numpy().any(axis=1)
        leave_out(dropped, "expression", "cells without counts", X.index[~seen], len(X))
        X = X[seen]
        Y = Y[seen]
    X = _varying(X, "expression", "genes", dropped)
    Y = _varying(Y, "outputs", "outputs", dropped)
    raw = None
    values = X.to_numpy()
    if kind == "counts":
        raw = check_counts(values, values.shape)
        values = log2p1(normalize_library_size(X))
    elif kind == "normalised":
        values = log2p1(X)
    if labels is not None:
        labels = _labels_of(X.index, tables["labels"], family_key, type_key, match, dropped)
    if not source:
        files = [called[what] for what in _TABLES if what in called]
        source = f"the user's tables: {', '.join(files)}"
    return paired(
        values,
        Y.to_numpy(),
        X.columns,
        Y.columns,
        X.index,
        labels,
        colors,
        raw,
        name=name,
        dropped=dropped,
        notes=notes,
        source=source,
    )


def _by_table(option) -> Mapping:
    """An option for each table; a single value applies to all of them."""
    return option if isinstance(option, Mapping) else dict.fromkeys(_TABLES, option)


def _require_keys(tables, cell_key):
    """Reject a `cell_key` that tables lack; a single name may be absent from some."""
    keys = _by_table(cell_key)
    without = [what for what, table in tables.items() if table.index.name != keys.get(what)]
    needed = isinstance(cell_key, Mapping) or len(without) == len(tables)
    if without and needed:
        columns = {what: some(tables[what], 8) for what in without}
        raise ValueError(f"cell_key: no column {cell_key!r}; the columns are {columns}")


def read_table(
    table, what: str, *, header: int | None = None, key: str | None = None, repeats=False
) -> pd.DataFrame:
    """Read one table for `read_tables`: names become text, and the index is named `key`."""
    if isinstance(table, pd.DataFrame):
        body = table.set_axis(checks.texts(table.columns), axis=1)
        body = body.set_axis(checks.texts(table.index), axis=0)
        if key in body:
            names = checks.texts(body.pop(key)).rename(key)
            body = body.set_axis(names, axis=0)
        return _with_valid_names(body, table, what, repeats)
    path, sheet = table if isinstance(table, tuple) else (table, None)
    path = results_path(path, what)
    path.stat()  # a missing file raises its own error
    try:
        names, body = read_file(path, sheet, header, key)
        body = checks.named(names, body, key)
    # zip, gzip, XML, pandas, openpyxl and xlrd raise errors of their own
    except Exception as error:
        called = _called(table, what)
        raise ValueError(f"{called}: no table can be read: {error}; {_HINT}") from error
    numbers = header is not None or what == "labels"
    return _with_valid_names(body, table, what, repeats, numbers)


def _with_valid_names(body, given, what, repeats, numbers=True):
    """Check names; outputs that have the same name, as from two protocols, are numbered."""
    names = pd.Series(body.columns)
    repeated = body.columns[names.duplicated() & (names != "")].unique()
    if what == "outputs" and len(repeated):
        warn(f"outputs: names appear more than once and are numbered: {some(repeated)}")
        times = names.groupby(names, sort=False).cumcount() + 1
        numbered = names + " (" + times.astype(str) + ")"
        body = body.set_axis(names.where(times == 1, numbered), axis=1)
    try:
        checks.check_names(body, repeats, numbers)
    except ValueError as error:
        raise ValueError(f"{_called(given, what)}: {error}; {_HINT}") from None
    return body


def _edited(tables: dict, drop: Iterable[str], rename: Mapping, cells: dict) -> dict:
    """Drop and rename columns, and rename cells; the cells of expression keep their names."""
    if isinstance(drop, str) or not isinstance(drop, Iterable):
        drop = [drop]
    drop = list(drop)
    _require_columns(tables, "drop_columns", drop)
    _require_columns(tables, "rename", rename)
    edited = {}
    for what, table in tables.items():
        names = dict(rename)
        if what != "expression":
            names = cells | names
        unwanted = table.columns.intersection(drop)
        table = table.drop(columns=unwanted)
        table = table.rename(index=names, columns=names)
        edited[what] = read_table(table, what, repeats=what == "expression")
    return edited


def _require_columns(tables, option, names):
    known = set().union(*tables.values())
    absent = [name for name in names if name not in known]
    if absent:
        columns = {what: some(table.columns, 8) for what, table in tables.items()}
        raise ValueError(
            f"{option}: not a column of any table: {some(absent)}; the columns are {columns}"
        )


def leave_out(
    dropped: dict[str, list[str]], what: str, why: str, names: pd.Index, total: int
) -> None:
    """Store names in `dropped`, and warn about them; raise an error if nothing is left."""
    if len(names) == total:
        raise ValueError(f"{what}: all {total} are left out ({why}): {some(names)}")
    if len(names):
        dropped[why] = list(names)
        warn(f"{what}: {len(names)} of {total} left out ({why}): {some(names)}")


def _called(table, what: str) -> str:
    """Name of a table in messages: the argument, its file and its sheet."""
    if isinstance(table, pd.DataFrame):
        return what
    if isinstance(table, tuple):
        path, sheet = table
        return f"{what} ({Path(path).name}, sheet {sheet})"
    return f"{what} ({Path(table).name})"


def _numbers(
    table: pd.DataFrame, what: str, kind: str, decimal, marks, dropped, notes
) -> pd.DataFrame:
    """Convert the columns that hold numbers; raise an error if there is text among the numbers."""
    numbers, text = checks.to_numbers(table, what, decimal, marks, notes)
    filled = numbers.notna().any().to_numpy()  # (n_columns,)
    empty = table.columns[~filled]
    leave_out(dropped, what, f"{kind} without a number", empty, table.shape[1])
    problem = "values that are not numbers"
    checks.require_none(text[:, filled], table.loc[:, filled], what, problem, checks.TEXT)
    return numbers.loc[:, filled]


def _kind(values: np.ndarray, notes: list[str]) -> str:
    """Whether the values are "counts", "normalised" or "log"."""
    kind, span, doubt = kind_of_expression(values)
    taken = {
        "counts": "raw counts, and normalised to the size of the library before log2(x + 1)",
        "normalised": "normalised values that are not logarithms, and log2(x + 1) is taken of them",
        "log": "log values, and used unchanged",
    }
    found = f"expression is taken for {taken[kind]}: {span}"
    if doubt:
        warn(f"{found}. But {doubt}; set counts=True or counts=False")
    else:
        notes.append(f"{found}; counts=True or counts=False decides otherwise")
    return kind


def _varying(table: pd.DataFrame, what: str, kind: str, dropped) -> pd.DataFrame:
    constant = np.ptp(table.to_numpy(), axis=0) == 0
    names = table.columns[constant]
    leave_out(dropped, what, f"{kind} with one value in all cells", names, table.shape[1])
    return table.loc[:, ~constant]


def _labels_of(cells, table, family_key, type_key, match, dropped) -> pd.DataFrame:
    """Labels of the cells; "family" and "type" are equal if there is only one kind of label."""
    if match == "loose":
        table = _renamed_alike(table, cells)
    present = [key for key in (type_key, family_key) if key in table]
    if not present and table.shape[1] == 1:
        present = list(table)
    chosen = {type_key, family_key} - {"type", "family"}
    if not present or not chosen <= set(table):
        raise ValueError(
            f"labels: expected type_key and family_key among the columns {list(table)}, "
            f"got {type_key!r} and {family_key!r}"
        )
    left_out = [cell for cells_left_out in dropped.values() for cell in cells_left_out]
    unknown = table.index.difference([*cells, *left_out], sort=False)
    leave_out(dropped, "labels", "labels of unknown cells", unknown, len(table))
    without = cells.difference(table.index, sort=False)
    if len(without):
        warn(f"no labels for {len(without)} of {len(cells)} cells: {some(without)}")
    labels = table.astype(object).reindex(cells)
    of_type = type_key if type_key in table else present[0]
    of_family = family_key if family_key in table else present[0]
    return labels.assign(type=labels[of_type], family=labels[of_family])


def _renamed_alike(table, cells):
    """Give the rows of a table the names of those `cells` that differ from them only a little."""
    ours = pd.Series(cells, checks.loosened(cells))
    theirs = pd.Series(table.index, checks.loosened(table.index))
    names = theirs.where(~theirs.index.isin(ours.index), theirs.index.map(ours))
    return read_table(table.set_axis(names, axis=0), "labels")
