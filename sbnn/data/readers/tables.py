"""Paired data from a user's own tables, which are read, matched by cell name and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions, validate_params

from sbnn.data.checks import check_counts, kind_of_expression, some
from sbnn.data.paired import paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.table_cells import kept, loosened, require_single, same_cells
from sbnn.data.readers.table_files import read_file
from sbnn.data.readers.table_names import check_names, named, no_genes, texts, unique_genes
from sbnn.data.readers.table_numbers import TEXT, as_numbers, require_none, to_numbers
from sbnn.errors import warn
from sbnn.results import results_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from sbnn.typehints import TableLike


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
        "drop_columns": [str, "array-like"],
    },
    prefer_skip_nested_validation=True,
)
def read_tables(
    expression: TableLike,
    outputs: TableLike,
    labels: TableLike | None = None,
    *,
    counts: bool | None = None,
    genes_in_rows: bool | None = None,
    missing: str = "error",
    missing_marks: Iterable[str] = (),
    decimal: str | Mapping[str, str] | None = None,
    header: int | Mapping[str, int] | None = None,
    cell_key: str | Mapping[str, str] | None = None,
    match: str = "exact",
    duplicates: str = "error",
    spike_ins: str = "leave out",
    family_key: str = "family",
    type_key: str = "type",
    drop_columns: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
    cell_names: TableLike | None = None,
    colors: Mapping[str, str] | None = None,
    name: str = "custom",
    source: str | None = None,
) -> AnnData:
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
        raise ValueError(f"labels: needed for type_key={type_key!r}, family_key={family_key!r}")
    # Expression is read last, since it takes longest and errors are more frequent in the other
    # tables.
    given = {"outputs": outputs, "labels": labels, "expression": expression}
    if labels is None:
        del given["labels"]
    keys = _by_table(cell_key)
    decimals = _by_table(decimal)
    tables = _read_all(given, _by_table(header), keys)
    in_expression = {} if cell_names is None else _names_in_expression(cell_names)
    tables = _edited(tables, keys, drop_columns, dict(rename or {}), in_expression)

    notes: list[str] = []
    dropped: dict[str, list[str]] = {}
    alike = loosened if match == "loose" else pd.Index
    # X (n_cells, n_genes) and Y (n_cells, n_outputs) with the same cells
    X, Y, only_X, only_Y = same_cells(tables["expression"], tables["outputs"], genes_in_rows, alike)
    leave_out(dropped, "expression", "cells only in expression", only_X, len(only_X) + len(X))
    leave_out(dropped, "outputs", "cells only in outputs", only_Y, len(only_Y) + len(Y))

    Y = _numbers(Y, "outputs", "outputs", decimals.get("outputs"), missing_marks, dropped, notes)
    X, Y = _without_gaps(X, Y, missing, dropped)

    X = _numbers(
        X, "expression", "genes", decimals.get("expression"), missing_marks, dropped, notes
    )
    if spike_ins == "leave out":
        X = _without(X, no_genes(X.columns), "expression", "spike-ins and counters", dropped)
    gaps = X.isna().to_numpy()
    require_none(gaps, X, "expression", "missing values", "set unobserved genes to 0")
    kind = "counts" if counts else "log"
    if counts is None:
        kind = _kind(X.to_numpy(), notes)
    X = unique_genes(X, duplicates, kind == "log", notes)
    if kind != "log":
        seen = X.to_numpy().any(axis=1)
        leave_out(dropped, "expression", "cells without counts", X.index[~seen], len(X))
        X = X[seen]
        Y = Y[seen]
    X = _varying(X, "expression", "genes", dropped)
    Y = _varying(Y, "outputs", "outputs", dropped)
    raw = None
    if kind == "counts":
        raw = check_counts(X.to_numpy(), X.shape)
    if labels is not None:
        labels = _labels_of(X.index, tables["labels"], family_key, type_key, alike, dropped)
    if source is None:
        source = f"the user's tables: {', '.join(map(_called, given.values(), given))}"
    return paired(
        _log_expression(X, kind),
        Y,
        X.columns,
        labels=labels,
        colors=colors,
        counts=raw,
        name=name,
        dropped=dropped,
        notes=notes,
        source=source,
    )


def _by_table(option) -> Mapping:
    """An option for each table; a single value applies to all of them."""
    return option if isinstance(option, Mapping) else dict.fromkeys(_TABLES, option)


def _read_all(given: dict, headers: Mapping, keys: Mapping) -> dict[str, pd.DataFrame]:
    """Read each table with its own header and cell key."""
    tables = {}
    for what, table in given.items():
        tables[what] = read_table(table, what, header=headers.get(what), key=keys.get(what))
    return tables


def _names_in_expression(cell_names) -> dict[str, str]:
    """Names of cells in outputs and labels -> their names in expression."""
    table = read_table(cell_names, "cell_names")
    return table.iloc[:, 0].astype(str).to_dict()


def _without_gaps(X, Y, missing, dropped):
    """Leave out cells or outputs as `missing` says, so that no output is missing."""
    gaps = Y.isna().to_numpy()  # (n_cells, n_outputs)
    if missing == "error":
        advice = "set missing='cells', 'outputs' or 'fewest'"
        require_none(gaps, Y, "outputs", "missing values", advice)
        return X, Y
    cells, columns = kept(gaps, missing)
    leave_out(dropped, "outputs", "cells with missing outputs", Y.index[~cells], len(Y))
    Y = _without(Y[cells], ~columns, "outputs", "outputs with missing values", dropped)
    return X[cells], Y


def _log_expression(X: pd.DataFrame, kind: str):
    """Log expression from a table of the kind "counts", "normalised" or "log"."""
    if kind == "counts":
        return log2p1(normalize_library_size(X))
    if kind == "normalised":
        return log2p1(X)
    return X.to_numpy()


def read_table(
    table, what: str, *, header: int | None = None, key: str | None = None
) -> pd.DataFrame:
    """Read one table for `read_tables`: names become text, and the index is named `key`.

    Names may repeat in a table of expression, and are numbered in one of outputs.
    """
    is_file = not isinstance(table, pd.DataFrame)
    if is_file:
        path, sheet = table if isinstance(table, tuple) else (table, None)
        path = results_path(path, what)
        path.stat()  # a missing file raises its own error
    try:
        if is_file:
            names, body = read_file(path, sheet, header, key)
        else:
            names = ["", *texts(table.columns)]
            body = table.reset_index(names="", allow_duplicates=True)
        body = named(names, body, key)
        if what == "outputs":
            body = body.set_axis(_numbered(body.columns), axis=1)
        check_names(body, repeats=what == "expression")
    except ImportError:
        raise  # it names the extra
    # zip, gzip, XML, pandas, openpyxl and xlrd raise errors of their own
    except Exception as error:
        raise ValueError(f"{_called(table, what)}: {error}; {_HINT}") from error
    return body


def _numbered(names):
    """Number names that repeat, as of two protocols: "Tau" and "Tau (2)"."""
    names = pd.Series(names)
    times = names.groupby(names).cumcount() + 1
    repeated = names[(times == 2) & (names != "")]
    if len(repeated):
        warn(f"outputs: names appear more than once and are numbered: {some(repeated)}")
    return names.where(times == 1, names + " (" + times.astype(str) + ")")


def _edited(tables: dict, keys: Mapping, drop, rename: dict, cells: dict) -> dict:
    """Drop and rename columns, and rename cells; the cells of expression keep their names.

    Names in `cells` and `rename` are replaced in rows and columns, since either may be the cells.
    """
    drop = [drop] if isinstance(drop, str) else list(drop)
    known = {table.index.name for table in tables.values()}.union(*tables.values())
    given = {"cell_key": keys.values(), "drop_columns": drop, "rename": rename}
    for option, names in given.items():
        absent = {*names} - known - {None}
        if absent:
            raise ValueError(f"{option}: not a column of any table: {some(absent)}")
    edited = {}
    for what, table in tables.items():
        names = rename if what == "expression" else cells | rename
        table = table.drop(columns=drop, errors="ignore")
        edited[what] = read_table(table.rename(index=names, columns=names), what)
    return edited


def leave_out(
    dropped: dict[str, list[str]], what: str, why: str, names: pd.Index, total: int
) -> None:
    """Store names in `dropped`, and warn about them; raise an error if nothing is left."""
    if len(names) == total:
        raise ValueError(f"{what}: all {total} are left out ({why}): {some(names)}")
    if len(names):
        dropped[why] = list(names)
        warn(f"{what}: {len(names)} of {total} left out ({why}): {some(names)}")


def _without(table, unwanted, what, why, dropped):
    """Leave out columns, given by a mask of shape (n_columns,), with a warning."""
    leave_out(dropped, what, why, table.columns[unwanted], table.shape[1])
    return table.loc[:, ~unwanted]


def _called(table, what: str) -> str:
    """Name of a table in messages: the argument and its file."""
    if isinstance(table, pd.DataFrame):
        return what
    path = table[0] if isinstance(table, tuple) else table
    return f"{what} ({Path(path).name})"


def _numbers(
    table: pd.DataFrame, what: str, kind: str, decimal, marks, dropped, notes
) -> pd.DataFrame:
    """Convert the columns that hold numbers; raise an error if there is text among the numbers."""
    numbers, text = to_numbers(table, what, decimal, marks, notes)
    empty = numbers.isna().all().to_numpy()  # (n_columns,)
    advice = (
        "if text marks missing values, add it to missing_marks; to leave out columns, "
        "set drop_columns"
    )
    require_none(text[:, ~empty], table.loc[:, ~empty], what, TEXT, advice)
    return _without(numbers, empty, what, f"{kind} without a number", dropped)


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
    return _without(table, constant, what, f"{kind} with one value in all cells", dropped)


def _labels_of(cells, table, family_key, type_key, alike, dropped) -> pd.DataFrame:
    """Labels of the cells; "family" and "type" are equal if there is only one kind of label."""
    if table.shape[1] == 1:
        type_key = family_key = table.columns[0]
    keys = {type_key, family_key}
    if not keys & {*table} or not keys <= {"type", "family", *table}:
        raise ValueError(
            f"labels: expected type_key and family_key among the columns {list(table)}, "
            f"got {type_key!r} and {family_key!r}"
        )
    names = alike(table.index)
    require_single("labels", table.index, names, True)
    others = table.index[~names.isin(alike(cells))]
    leave_out(dropped, "labels", "labels of other cells", others, len(table))
    without = cells[~alike(cells).isin(names)]
    if len(without):
        warn(f"no labels for {len(without)} of {len(cells)} cells: {some(without)}")
    labels = table.astype(object).set_axis(names, axis=0).reindex(alike(cells))
    labels = labels.set_axis(cells, axis=0)
    types = labels.get(type_key, labels.get(family_key))
    return labels.assign(type=types, family=labels.get(family_key, types))
