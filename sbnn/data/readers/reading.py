"""What was understood of a user's tables, and what is to be decided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.objects import AnnDataLike
from sbnn.data.readers.table import Table, is_workbook, numbered, read_table
from sbnn.data.readers.table_names import about_cells, doubtful_names
from sbnn.data.readers.table_numbers import text_among, to_numbers
from sbnn.errors import check_among, check_number, warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from sbnn.typehints import TableLike

#: Different texts in a column that may mark missing values.
MOST_MARKS = 3
#: Arguments of readers that are tables.
TABLES = ("expression", "outputs", "labels", "features", "guides", "targets", "times")


@dataclass(frozen=True)
class TableOptions:
    """Options of every reader of a user's tables.

    Some take a mapping such as ``{"outputs": 3}``.

    Parameters
    ----------
    sheet : str or mapping, optional
        By default, the only sheet with values.
    header : int or mapping, optional
        Row with the column names, from 1; by default, the first with more than half of the usual
        number of fields.
    cell_key : str or mapping, optional
        Column with the cell names; by default, the first.
    by_row : bool
        Whether rows are the same cells in the same order; needed if cells are only numbered.
    average : bool
        Whether to average outputs or features of one cell, such as sweeps.
    match : {"exact", "loose"}
        Whether cell names may differ in case, blanks, punctuation, R's X before a digit, the -1 of
        a barcode, or the path and ending of a file.
    cell_names : path-like, (path-like, str) or DataFrame, optional
        Cell names in other tables (first column) and in `expression` (second).
    decimal : {".", ","} or mapping, optional
        Of numbers stored as text; detected by default.
    missing_marks : iterable of str
        Marks of missing values, such as ``"-999"``, besides ``""``, ``"NA"`` and so on.
    drop_columns : iterable of str
        Columns to leave out.
    rename : mapping of str to str, optional
        Old -> new column names.
    """

    sheet: str | Mapping[str, str] | None = None
    header: int | Mapping[str, int] | None = None
    cell_key: str | Mapping[str, str] | None = None
    by_row: bool = False
    average: bool = False
    match: str = "exact"
    cell_names: TableLike | None = None
    decimal: str | Mapping[str, str] | None = None
    missing_marks: Iterable[str] = ()
    drop_columns: Iterable[str] = ()
    rename: Mapping[str, str] | None = None

    def __post_init__(self):
        check_among("match", self.match, ("exact", "loose"))
        for name in ("sheet", "header", "cell_key", "decimal"):
            given = getattr(self, name)
            of_tables = given if isinstance(given, Mapping) else {TABLES[0]: given}
            for table, value in of_tables.items():
                check_among(name, table, TABLES)
                if value is None:
                    continue
                if name == "header":
                    check_number(name, value, int, 1)
                elif not isinstance(value, str):
                    raise TypeError(f"{name}: expected text, got {value!r}")
        for name in ("missing_marks", "drop_columns"):
            given = getattr(self, name)
            listed = [given] if isinstance(given, str) else list(given)
            object.__setattr__(self, name, listed)
        object.__setattr__(self, "rename", dict(self.rename or {}))

    def of(self, name: str, table: str):
        """Value for one table."""
        value = getattr(self, name)
        return value.get(table) if isinstance(value, Mapping) else value


class ReadingError(ValueError):
    """Every problem; ``reading.problems`` has the options that solve each."""

    def __init__(self, reading: Reading):
        self.reading = reading
        super().__init__(reading.text_of_problems(as_keywords))


def as_keywords(options: Mapping) -> str:
    """Options as written in Python."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


class Reading:
    """Decisions made while tables are read.

    Reading goes on as if a problem had been solved, so that one try shows all. `how` has the
    options of `TableOptions`, and `choices` all others.
    """

    def __init__(self, kind: str, how: Mapping, choices: Mapping):
        self.kind = kind
        known = [field.name for field in fields(TableOptions)]
        unknown = sorted(how.keys() - {*known})
        if unknown:
            raise TypeError(f"unknown options {some(unknown)}; expected some of {some(known, 99)}")
        self.how = TableOptions(**how)
        given = {name: getattr(self.how, name) for name in how if how[name] is not None}
        if isinstance(self.how.cell_names, pd.DataFrame):
            del given["cell_names"]
        asked = {name: value for name, value in choices.items() if value not in (None, "error")}
        self.choices = asked | given
        self.problems: list[tuple[str, dict]] = []
        self.facts: dict[str, dict] = {}
        self.dropped: dict[str, list[str]] = {}
        self.notes: list[str] = []
        self.left_out: list[str] = []  # warnings
        self.columns: set[str] = set()  # of all tables

    def open(self, given: Mapping) -> dict[str, Table]:
        """Open all tables that are not None."""
        other_names = self._other_names()
        tables = {}
        for what, table in given.items():
            if table is not None:
                renamed = {} if what == "expression" else other_names
                tables[what] = self._opened(what, table, renamed)
        self.require_no_problem()
        sheet = self.how.sheet
        if isinstance(sheet, str) and not any(map(is_workbook, given.values())):
            self.problem(f"sheet: no table is a workbook with a sheet {sheet!r}")
        self._choose_sheets(tables.values())
        for table in tables.values():
            self.columns.update(table.columns())
        self._require_keys(tables)
        return tables

    def _other_names(self) -> dict:
        if self.how.cell_names is None:
            return {}
        table = self.attempt("cell_names", read_table, self.how.cell_names, "cell_names")
        return {} if table is None else table.iloc[:, 0].astype(str).to_dict()

    def _opened(self, what, given, renamed) -> Table:
        sheet = self.how.of("sheet", what)
        if isinstance(self.how.sheet, str) and not is_workbook(given):
            sheet = None  # one sheet is for one of the workbooks
        header = self.how.of("header", what)
        key = self.how.of("cell_key", what)
        return self.attempt(what, Table, what, given, sheet, header, key, renamed)

    def _choose_sheets(self, tables) -> None:
        """Suggest a sheet of this name, else the largest."""
        used = {(table.path, table.sheet) for table in tables if len(table.sheets) == 1}
        genes = set()  # or cells; the expression is the first table
        for table in tables:
            if len(table.sheets) > 1:
                free = []
                for name, sheet in table.sheets.items():
                    is_expression = 2 * len(genes.intersection(sheet.names)) > len(sheet.names)
                    if (table.path, name) not in used and not is_expression:
                        free.append(name)
                sizes = {name: table.sheets[name].body.size for name in free or table.sheets}
                named = [name for name in sizes if table.what in name.casefold()]
                table.sheet = max(named or sizes, key=sizes.get)
                used.add((table.path, table.sheet))
                text = f"{table}: several sheets have values: {some(table.sheets)}"
                self.problem(text, sheet={table.what: table.sheet})
            if table.what == "expression" and table.adata is None:
                genes = {*table.content.names[1:]}

    def _require_keys(self, tables) -> None:
        keys = self.how.cell_key or {}
        if isinstance(keys, str):  # of at least one table
            if any(keys in table.columns() for table in tables.values()):
                return
            keys = {next(iter(tables)): keys}
        unknown = {}
        for what, key in keys.items():
            if key is not None and key not in tables[what].columns():
                unknown[what] = key
        for what, key in unknown.items():
            names = some(tables[what].columns(), 12)
            self.problem(f"cell_key: no column {key!r} in {tables[what]}; it has {names}")
        if unknown:
            raise ReadingError(self)

    def attempt(self, what, function, *arguments):
        """Call a function; its error becomes a problem."""
        try:
            return function(*arguments)
        except FileNotFoundError as error:
            self.problem(f"{what}: there is no file {str(error.filename)!r}")
        except (ValueError, OSError) as error:
            self.problem(str(error) if what in str(error) else f"{what}: {error}")
        return None

    def problem(self, text: str, aim: str = "", **solved_by) -> None:
        """Note a problem, the options that solve it, and their aim: "to leave them out"."""
        if solved_by:
            text += f"; {aim}, set" if aim else "; set"
        self.problems.append((text, solved_by))
        for name, value in solved_by.items():
            self.choose(name, value)

    def stop(self, text: str, **solved_by) -> NoReturn:
        """Raise this and all other problems."""
        self.problem(text, **solved_by)
        raise ReadingError(self)

    def choose(self, name: str, value) -> None:
        """Store a choice; a mapping or a list adds to earlier ones."""
        before = self.choices.get(name)
        if isinstance(value, Mapping):
            if before is not None and not isinstance(before, Mapping):  # of all tables
                before = dict.fromkeys(self.facts, before)
            of_tables = {**(before or {}), **value}
            value = {table: one for table, one in of_tables.items() if one is not None}
        elif isinstance(value, list):
            value = [*(before or []), *value]
        self.choices[name] = value

    def require_no_problem(self) -> None:
        """Raise all problems, or warn about what was left out."""
        if self.problems:
            raise ReadingError(self)
        for text in self.left_out:
            warn(text)
        self.left_out = []

    def text_of_problems(self, as_text) -> str:
        """All problems, with options in Python or of the command line."""
        lines = []
        for text, solved_by in self.problems:
            lines.append(f"{text} {as_text(solved_by)}" if solved_by else text)
        if len(lines) == 1:
            return lines[0]
        return "\n".join([f"{len(lines)} problems:", *(f"- {line}" for line in lines)])

    def edited(self, table: pd.DataFrame, what: str) -> pd.DataFrame:
        """Drop, rename and, except for genes, number columns."""
        if isinstance(table, AnnDataLike):
            self.columns.update(table.var_names)
            return table[:, ~table.var_names.isin(self.how.drop_columns)]
        if what != "expression":
            table = table.set_axis(numbered(table.columns, what), axis=1)
        self.columns.update(table.columns)
        table = table.drop(columns=self.how.drop_columns, errors="ignore")
        table = table.rename(columns=self.how.rename)
        for kind, names in doubtful_names(table.columns).items():
            text = f"{what}: {kind}: {some(names)}; rename=OLD=NEW gives them names"
            self.problem(text, "to leave them out", drop_columns=names)
            table = table.drop(columns=names)
        return table

    def require_known_columns(self) -> None:
        """Note unknown columns to drop or rename."""
        for option in ("drop_columns", "rename"):
            absent = [name for name in getattr(self.how, option) if name not in self.columns]
            if absent:
                self.problem(f"{option}: not a column of any table: {some(absent)}")

    def averaged(self, table: pd.DataFrame, what: str) -> pd.DataFrame:
        """One row per cell; ask whether to average several."""
        if table.index.is_unique:
            return table
        found = self._converted(table, what)
        if not self.how.average:
            self._require_wide(table, found.wrong.mean(axis=0) > 0.5, what)
            twice = table.index[table.index.duplicated()].unique()
            text = f"{what}: cells have several rows: {some(twice)}"
            self.problem(text, "to average them", average=True)
        differ = table.where(found.wrong).groupby(level=0).nunique().gt(1).any()
        if what == "features" and differ.any():  # such as types
            names = list(table.columns[differ])
            text = f"{what}: rows of one cell have different texts in {some(names)}"
            self.problem(text, "to leave these columns out", drop_columns=names)
        values = found.values.to_numpy(object)
        values[found.wrong] = table.to_numpy(object)[found.wrong].astype(str)
        values = pd.DataFrame(values, table.index, table.columns)
        return values.groupby(level=0, sort=False).agg(_mean_or_text)

    def _require_wide(self, table, of_text, what) -> None:
        """Reject a table with a row per cell and output."""
        if np.count_nonzero(~of_text) > 1:
            return
        for name in table.columns[of_text]:
            if not table.set_index(name, append=True).index.has_duplicates:
                text = f"{what}: a row per cell and {name!r}, as it seems"
                self.problem(f"{text}; if so, give a table with a column for each {name!r}")

    def once(self, table: pd.DataFrame, what: str) -> pd.DataFrame:
        """One row per cell, without columns that differ within a cell."""
        if table.index.is_unique:
            return table
        found = table[~table.index.duplicated()]
        self.notes.append(f"{what}: {len(table)} rows are of {len(found)} cells")
        differ = table.groupby(level=0).nunique(dropna=False).gt(1).any().to_numpy()
        return self.without(found, differ, what, "columns that differ between rows of one cell")

    def numbers(self, table: pd.DataFrame, what: str, kind: str) -> pd.DataFrame:
        """Convert columns of numbers; ask about text among them."""
        found = self._converted(table, what)
        if found.unclear:
            text = f"{what}: the decimal mark is unclear from {found.unclear}"
            self.problem(text, decimal={what: found.decimal})
        elif found.decimal == ",":
            self.notes.append(f"{what}: commas are decimal marks")
            self.choose("decimal", {what: ","})
        self.notes += [f"{what}: {note}" for note in found.notes]
        empty = found.values.isna().all().to_numpy()  # (n_columns,)
        mixed = found.wrong.any(axis=0) & ~empty
        if mixed.any() and self._are_dropped(table, found.wrong, mixed, what):
            empty |= mixed
        return self.without(found.values, empty, what, f"{kind} without a number")

    def _converted(self, table, what):
        return to_numbers(table, self.how.of("decimal", what), self.how.missing_marks)

    def _are_dropped(self, table, wrong, mixed, what) -> bool:
        """Ask about text among numbers; whether the columns are left out."""
        of_text = table.loc[:, mixed]
        wrong = wrong[:, mixed]
        marks = sorted({str(mark) for mark in of_text.to_numpy()[wrong]})
        text = f"{what}: {text_among(of_text, wrong)}"
        if {*marks} & {*map(str, table.columns)}:
            self.problem(f"{text}; the names of the columns are repeated below them")
            return False
        if len(marks) <= MOST_MARKS and wrong.mean(axis=0).max() < 0.5:
            self.problem(text, "to take these values for missing", missing_marks=marks)
            return False
        if mixed.mean() > 0.5:  # probably the row of names is wrong
            self.problem(text)
            return False
        self.problem(text, "to leave these columns out", drop_columns=list(of_text.columns))
        return True

    def genes_only(self, table: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns such as batch and nCount_RNA."""
        why = "columns whose names are not of genes"
        return self.without(table, about_cells(table.columns), "expression", why)

    def without(self, table: pd.DataFrame, unwanted, what: str, why: str) -> pd.DataFrame:
        """Leave out columns, given by a mask."""
        self.leave_out(what, why, table.columns, unwanted)
        return table.loc[:, ~unwanted]

    def leave_out(self, what: str, why: str, names, unwanted) -> None:
        """Note which names, given by a mask, are left out; all is a problem."""
        lost = names[unwanted]
        if len(lost) == len(names):
            self.stop(f"{what}: all {len(names)} are left out ({why}): {some(lost)}")
        if len(lost):
            self.dropped[why] = [*self.dropped.get(why, []), *lost]
            text = f"{what}: {len(lost)} of {len(names)} left out ({why}): {some(lost)}"
            self.left_out.append(text)

    def describe(self, table: str, **facts) -> None:
        """Store what was understood of a table."""
        self.facts.setdefault(table, {}).update(facts)

    def table(self) -> pd.DataFrame:
        """What was understood, one row per table."""
        table = pd.DataFrame.from_dict(self.facts, orient="index").fillna("").astype(str)
        return table.rename_axis("table").reset_index()

    def about(self, name: str, source: str | None = None) -> dict:
        """Description for ``uns["sbnn"]``; the source is by default the files."""
        if not source:
            files = [facts["file"] for facts in self.facts.values() if facts.get("file")]
            source = "the user's tables"
            if files:
                source += f": {', '.join(files)}"
        return {"name": name, "source": source, "dropped": self.dropped, "notes": self.notes}

    def attach(self, adata: AnnData) -> AnnData:
        """Store all this in ``uns["sbnn"]["read"]``."""
        self.require_no_problem()
        adata.uns["sbnn"]["read"] = {
            "kind": self.kind,
            "table": self.table(),
            "choices": json.dumps(self.choices, default=str),
        }
        return adata


def _mean_or_text(values: pd.Series):
    numbers = pd.to_numeric(values, errors="coerce")
    text = values[numbers.isna() & values.notna()]
    return text.iloc[0] if len(text) else numbers.mean()
