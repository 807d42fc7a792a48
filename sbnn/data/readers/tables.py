"""Paired data from a user's own tables: read, matched by cell name, checked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.checks import check_counts, check_given_once, kind_of_expression, some, warn_of_log_values
from sbnn.data.paired import paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers import table_checks as checks
from sbnn.data.readers.table_checks import as_numbers
from sbnn.data.readers.table_files import read_file

__all__ = ["as_numbers", "read_table", "read_tables"]

_TABLES = ("expression", "outputs", "labels")


def read_tables(
    expression, outputs, labels=None, *, counts=None, genes_in_rows=None, missing="error", missing_marks=(),
    decimal=None, header=None, cell_key=None, match="exact", duplicates="error", spike_ins="leave out",
    family_key="family", type_key="type", colors=None, name="custom", source=None,
):  # fmt: skip
    """Build paired data from a table of expression and a table of outputs.

    Every table has the names of its columns in one row and of its rows in one column. Cells are matched by name and
    kept in the order of `expression`. Rows and columns without name and numbers, such as units, are left out.
    `decimal`, `header` and `cell_key` hold for all tables, or are given for each: ``header={"outputs": 3}``.

    Parameters
    ----------
    expression : path-like, (path-like, str) or DataFrame
        Cells x genes, or genes x cells. A path leads to text (.csv, .tsv, .txt, also .gz, or .zip with one file;
        separator and encoding are detected) or to an Excel workbook (.xlsx, .xls; extra ``excel``). A pair of path and
        sheet name chooses among several sheets.
    outputs : path-like, (path-like, str) or DataFrame
        Cells x features, or features x cells.
    labels : path-like, (path-like, str) or DataFrame, optional
        Cells x labels, of any kind.
    counts : bool, optional
        Whether `expression` is raw counts: they are kept, and `X` is log2 of the library-size normalised counts plus
        one. False: `X` is `expression` as it is. By default detected by the values: counts are whole and reach far;
        normalised ones (CPM, TPM) are not whole and reach beyond 50, and `X` is log2 of them plus one; others are
        logarithms. A note says which it was.
    genes_in_rows : bool, optional
        Orientation of `expression`; by default the one with more cell names in common with `outputs`.
    missing : {"error", "cells", "outputs", "fewest"}
        Where outputs are missing: raise, leave out the cells or the outputs with gaps, or leave out cells and outputs
        so that most values are kept.
    missing_marks : iterable of str
        Text or numbers that mean a missing value, such as ``"-999"``, besides ``""``, ``"-"``, ``"NA"``, ``"n.d."`` and
        the like.
    decimal : {".", ","}, optional
        Decimal mark of numbers that are text; by default detected.
    header : int, optional
        Number of the row with the names of columns, from 1 as a spreadsheet shows it; by default the first that is not
        empty. Rows above it are not read.
    cell_key : str, optional
        Column with the cell names, by default the first. One name for all tables holds for those that have it.
    match : {"exact", "loose"}
        Whether cell names may differ in case, blanks, punctuation, an X before a digit (R's) or the -1 of a barcode.
    duplicates : {"error", "sum", "first"}
        What to do with genes of the same name: raise, add them up (counts), or take the first.
    spike_ins : {"leave out", "keep"}
        What to do with added RNA (ERCC-00002 and the like) and the counters of HTSeq and STAR, which would count as
        part of the library.
    family_key, type_key : str
        Columns of `labels` with the coarse and the fine label; ``"unknown"`` for cells that are not there. If only one
        of the columns is there, or `labels` has a single column, it is both.
    colors : mapping of str to str, optional
        Type -> ``"#RRGGBB"``.
    name, source : str, optional
        By default the source names the files.

    Returns
    -------
    AnnData
        As of `sbnn.data.paired.paired`: what was left out is in ``uns["sbnn"]["dropped"]``, what was detected in
        ``uns["sbnn"]["notes"]``.

    Raises
    ------
    FileNotFoundError, ImportError
    ValueError
        A file that is no table, rows or columns without a name, repeated names, no cell in common, text among numbers,
        numbers that can be read in two ways, missing values, no such labels, counts that are not whole numbers.

    Warns
    -----
    UserWarning
        How many cells, outputs, labels and genes are left out; expression that does not look like `counts`.
    """
    for option, value, allowed in (
        ("counts", counts, (True, False, None)),
        ("missing", missing, ("error", *checks.WAYS)),
        ("match", match, ("exact", "loose")),
        ("duplicates", duplicates, ("error", "sum", "first")),
        ("spike_ins", spike_ins, ("leave out", "keep")),
    ):
        if value not in allowed:
            raise ValueError(f"{option} must be {' or '.join(map(repr, allowed))}, got {value!r}")
    header, cell_keys, decimal = (
        _by_table(*item) for item in (("header", header), ("cell_key", cell_key), ("decimal", decimal))
    )
    marks = (missing_marks,) if isinstance(missing_marks, str) else tuple(missing_marks)
    given = {"expression": expression, "outputs": outputs, "labels": labels}
    given = {what: table for what, table in given.items() if table is not None}
    notes: list[str] = []
    dropped: dict[str, list[str]] = {}
    tables = {
        what: read_table(
            table, what, header=header[what], key=cell_keys[what], repeats=what == "expression", notes=notes
        )
        for what, table in given.items()
    }
    without = {what: some(table, 8) for what, table in tables.items() if table.index.name != cell_keys[what]}
    if cell_key and without and (len(without) == len(tables) or isinstance(cell_key, Mapping)):
        raise ValueError(f"cell_key: no column {cell_key!r}; there are {without}")

    X, Y, only_X, only_Y = checks.same_cells(tables["expression"], tables["outputs"], genes_in_rows, match)
    _leave_out(dropped, "cells only in expression", only_X, len(only_X) + len(X), "cells")
    _leave_out(dropped, "cells only in outputs", only_Y, len(only_Y) + len(Y), "cells")

    Y = _numbers(Y, "outputs", decimal["outputs"], marks, dropped, notes)
    if missing == "error":
        checks.require_complete(
            Y, "outputs", "complete them, or missing='cells', 'outputs' or 'fewest' leaves them out"
        )
    cells, features = checks.kept(Y.isna().to_numpy(), "cells" if missing == "error" else missing)
    _leave_out(dropped, "cells with missing outputs", Y.index[~cells], len(Y), "cells")
    _leave_out(dropped, "outputs with missing values", Y.columns[~features], Y.shape[1], "outputs")
    if not cells.any() or not features.any():
        raise ValueError("outputs: nothing is left without a missing value")
    X, Y = X[cells], Y.loc[cells, features]

    X = _numbers(X, "expression", decimal["expression"], marks, dropped, notes)
    if spike_ins != "keep":
        others = checks.no_genes(X.columns)
        _leave_out(dropped, "spike-ins and counters", X.columns[others], X.shape[1], "genes")
        X = X.loc[:, ~others]
    if not X.shape[1]:
        raise ValueError("expression: no gene is left")
    checks.require_complete(X, "expression", "a gene that was not seen has the value 0")
    kind = {True: "counts", False: "log"}.get(counts) or _kind(X.to_numpy(), notes)
    X = checks.unique_genes(X, duplicates, kind == "log", notes)
    check_given_once(X.to_numpy(), Y.to_numpy())
    if kind != "log":
        seen = X.to_numpy().any(axis=1)
        _leave_out(dropped, "cells without counts", X.index[~seen], len(X), "cells")
        X, Y = X[seen], Y[seen]
    X = _varying(X, "genes", dropped)
    Y = _varying(Y, "outputs", dropped)
    raw = check_counts(X.to_numpy(), X.shape) if kind == "counts" else None
    if counts:
        warn_of_log_values(raw, "expression")
    values = {"counts": lambda: log2p1(normalize_library_size(X)), "normalised": lambda: log2p1(X), "log": X.to_numpy}
    return paired(
        values[kind](), Y.to_numpy(), X.columns, Y.columns, X.index,
        _labels_of(X.index, tables.get("labels"), family_key, type_key, match, dropped),
        colors, raw, name=name, dropped=dropped, notes=notes,
        source=source or "the user's tables: " + ", ".join(_called(given[what], what) for what in tables),
    )  # fmt: skip


def read_table(
    table, what: str, *, header: int | None = None, key: str | None = None, repeats: bool = False, notes=None
) -> pd.DataFrame:
    """One table, as `read_tables` takes it: names are text, values stay as they are, the index has the name `key`.

    `what` is its name in messages; without a list of `notes` they are warnings. Raises FileNotFoundError, ValueError.
    """
    called, told = _called(table, what), []
    if isinstance(table, pd.DataFrame):
        body = table.set_axis(checks.texts(table.columns), axis=1).set_axis(checks.texts(table.index), axis=0)
        if key in body:
            body = body.set_axis(checks.texts(body.pop(key)), axis=0).rename_axis(index=key)
    else:
        path, sheet = table if isinstance(table, tuple) else (table, None)
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"{what}: no file {str(path)!r}")
        try:
            names, rows = read_file(path, sheet, header, key)
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # zip, gzip, XML, pandas, openpyxl and xlrd each have errors of their own
            hint = "header=<number from 1> says which row has the names of columns"
            raise ValueError(f"{called} cannot be read as a table: {str(error).strip()}; {hint}") from error
        body = checks.named(names, rows, key, called, told)
        if header is None and what != "labels":
            checks.require_no_values(body.columns, called)
    checks.require_names(body, called, repeats)
    if notes is None:
        for note in told:
            warnings.warn(note, stacklevel=2)
    else:
        notes += told
    return body


def _leave_out(dropped: dict[str, list[str]], why: str, names: pd.Index, total: int, kind: str) -> None:
    """Note in `dropped` what is left out of so many in total, and warn."""
    if len(names):
        dropped[why] = list(names)
        warnings.warn(f"{len(names)} of {total} {kind} are left out ({why}): {some(names)}", stacklevel=3)


def _called(table, what: str) -> str:
    if isinstance(table, pd.DataFrame):
        return what
    path, sheet = table if isinstance(table, tuple) else (table, None)
    return f"{what} ({Path(path).name}{'' if sheet is None else f', sheet {sheet}'})"


def _by_table(option: str, value) -> dict[str, Any]:
    """Values of an option that holds for all tables or is given for each."""
    by_table = dict(value) if isinstance(value, Mapping) else dict.fromkeys(_TABLES, value)
    if not by_table.keys() <= set(_TABLES):
        raise ValueError(f"{option} is given for {list(by_table)}, expected some of {list(_TABLES)}")
    if option == "decimal" and not set(by_table.values()) <= {None, ".", ","}:
        raise ValueError(f"decimal must be '.' or ',', got {value!r}")
    return dict.fromkeys(_TABLES) | by_table


def _numbers(table: pd.DataFrame, what: str, decimal, marks, dropped, notes) -> pd.DataFrame:
    """Numbers of the columns that have any; text among them is an error."""
    numbers, text = checks.to_numbers(table, what, decimal, marks, notes)
    some_number = numbers.notna().any().to_numpy()
    kind = "genes" if what == "expression" else "outputs"
    _leave_out(dropped, f"{kind} without a number", table.columns[~some_number], table.shape[1], kind)
    checks.require_numbers(table.loc[:, some_number], text[:, some_number], what)
    if not some_number.any():
        raise ValueError(f"{what}: none of {table.shape[1]} columns holds a number, first {str(table.iat[0, 0])!r}")
    return numbers.loc[:, some_number]


def _kind(values: np.ndarray, notes: list[str]) -> str:
    kind, told, doubt = kind_of_expression(values)
    taken = {
        "counts": "raw counts, and normalised to the size of the library before log2(x + 1)",
        "normalised": "normalised values that are no logarithms, and log2(x + 1) is taken of them",
        "log": "log values, and left as they are",
    }[kind]
    told = f"expression is taken for {taken}: {told}"
    if doubt:
        warnings.warn(f"{told}. But {doubt}; counts=True or counts=False decides it", stacklevel=3)
    else:
        notes.append(f"{told}; counts=True or counts=False decides otherwise")
    return kind


def _varying(table: pd.DataFrame, kind: str, dropped) -> pd.DataFrame:
    constant = np.ptp(table.to_numpy(), axis=0) == 0 if len(table) else np.ones(table.shape[1], bool)
    _leave_out(dropped, f"{kind} with one value in all cells", table.columns[constant], table.shape[1], kind)
    if constant.all():
        what = "expression" if kind == "genes" else kind
        raise ValueError(
            f"{what}: none of {len(constant)} {kind} is left, each has one value in all {len(table)} cells"
        )
    return table.loc[:, ~constant]


def _labels_of(cells, table, family_key, type_key, match, dropped) -> pd.DataFrame | None:
    if table is None:
        return None
    if match == "loose":
        ours = pd.Series(cells, checks.loosened(cells))
        names = zip(checks.loosened(table.index), table.index, strict=True)
        table = table.set_axis([ours.get(key, name) for key, name in names], axis=0)
        checks.require_names(table, "labels, with match='loose'", repeats=False)
    keys = [key for key in (type_key, family_key) if key in table] or list(table)
    absent = [key for key, usual in ((type_key, "type"), (family_key, "family")) if key not in table and key != usual]
    if absent or (len(keys) > 1 and not {type_key, family_key} & set(keys)):
        raise ValueError(
            f"labels: no column {' or '.join(map(repr, absent or [type_key, family_key]))}; type_key and family_key "
            f"name the columns to take of {list(table)}"
        )
    without = cells.difference(table.index, sort=False)
    if len(without) == len(cells):
        raise ValueError(
            f"labels: of no cell; the cells are {some(cells, 3)}, and labels has the rows {some(table.index, 3)}; "
            f"match='loose' and cell_key may help"
        )
    strangers = table.index.difference([*cells, *sum(dropped.values(), [])], sort=False)
    _leave_out(dropped, "labels of cells that are not there", strangers, len(table), "labels")
    if len(without):
        warnings.warn(f"{len(without)} of {len(cells)} cells have no labels: {some(without)}", stacklevel=3)
    labels = table.astype(object).reindex(cells)
    # A table with one kind of label serves for families as well as for types.
    kinds = {
        "type": type_key if type_key in table else keys[0],
        "family": family_key if family_key in table else keys[0],
    }
    return labels.assign(**{column: labels[key] for column, key in kinds.items()})
