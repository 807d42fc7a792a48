"""Find the cells that several tables share: orientation, column of the names, and spelling."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.objects import AnnDataLike
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table import Table, Way, are_row_numbers
from sbnn.errors import warn

LEAST_SHARED = 0.5  # of the cells of the smaller table
FEWEST_SHARED = 20  # with fewer cells, there is nothing to fit


def exactly(names: pd.Index) -> pd.Index:
    """Names as they are."""
    return names


def loosened(names: pd.Index) -> pd.Index:
    """Remove case, R's X before a digit and 10x's -1; any punctuation becomes a point."""
    plain = names.str.lower().str.replace(r"[\W_]+", ".", regex=True).str.strip(".")
    plain = plain.str.replace(r"^x(?=\d)", "", regex=True)
    return plain.str.replace(r"([acgt]{12,})\.1$", r"\1", regex=True)


def without_marks(names: pd.Index) -> pd.Index:
    """Like `loosened`, but without any punctuation: "C_01" is "c01"."""
    return loosened(names).str.replace(".", "", regex=False)


SPELLINGS = {"exact": [exactly], "loose": [loosened, without_marks]}


class Match(NamedTuple):
    """How the cells of two tables are found, and the number of cells that both have."""

    first: Way
    second: Way
    spelled: Callable
    n_shared: int

    @property
    def holds(self) -> bool:
        """Whether enough cells are found."""
        sizes = len(set(self.first.names)), len(set(self.second.names))
        return self.n_shared > 0 and self.n_shared >= LEAST_SHARED * min(sizes)

    @property
    def by_number(self) -> bool:
        """Whether the names of both tables number their rows."""
        return self.first.by_number and self.second.by_number


def best_match(firsts: Iterable[Way], seconds: Iterable[Way], spellings) -> Match:
    """The combination of ways that shares most cells; the first of equal ones."""
    firsts, seconds = list(firsts), list(seconds)
    best = None
    for spelled in spellings:
        first_names = [set(spelled(way.names)) for way in firsts]
        second_names = [set(spelled(way.names)) for way in seconds]
        for i, j in itertools.product(range(len(firsts)), range(len(seconds))):
            shared = len((first_names[i] & second_names[j]) - {""})
            if best is None or shared > best.n_shared:
                best = Match(firsts[i], seconds[j], spelled, shared)
    return best


def find_cells(
    reading: Reading, first: Table, second: Table, firsts, seconds, few_are_allowed=False
) -> Match:
    """Find the cells of two tables by the given options; ask if other options find far more.

    `firsts` and `seconds` are the usual ways in which their cells may be named. Unless
    `few_are_allowed`, half of the cells of the smaller table must be found.
    """
    usual = best_match(firsts, seconds, SPELLINGS[reading.how.match])
    if usual.holds and not usual.by_number:
        return usual
    tables = f"{first} {_names(firsts)} and {second} {_names(seconds)}"
    spellings = SPELLINGS["exact"] + SPELLINGS["loose"]
    others = [*firsts, *first.other_ways()], [*seconds, *second.other_ways()]
    others = [[way for way in ways if not are_row_numbers(way.names)] for ways in others]
    tried = best_match(*others, spellings) if all(others) else usual
    if usual.by_number:
        text = f"{tables}: the cells are only named by row numbers"
        if not tried.holds:
            reading.problem(f"{text}; if row after row is the same cell", by_row=True)
            return usual
    else:
        n = usual.n_shared
        text = f"{tables} share {f'only {n} names of cells' if n else 'no cell name'}"
    if not tried.holds:
        if usual.n_shared and few_are_allowed:
            return usual
        if usual.n_shared < FEWEST_SHARED:
            advice = "a table cell_names=... can pair the names"
            reading.problem(f"{text}, in whichever column or spelling; {advice}")
            raise reading.error()
        axis = bool(usual.first.axis)
        reading.problem(f"{text}, too few to trust; if they are right", genes_in_rows=axis)
        return usual
    solved_by = {}
    keys = {}
    for table, way in ((first, tried.first), (second, tried.second)):
        if way.key is not None and way.key != table.key:
            keys[table.what] = way.key
    if keys:
        solved_by["cell_key"] = keys
    if tried.spelled is not exactly and reading.how.match == "exact":
        solved_by["match"] = "loose"
    if tried.first.axis != firsts[0].axis and len({way.axis for way in firsts}) == 1:
        solved_by["genes_in_rows"] = bool(tried.first.axis)
    names = f"{tried.first} of {first.what} and {tried.second} of {second.what}"
    reading.problem(f"{text}, but {names} share {tried.n_shared}", **solved_by)
    return tried


def _names(ways: list[Way]) -> str:
    named = {"rows" if not way.axis else "columns": some(way.names, 3) for way in ways}
    return "(" + "; ".join(f"{axis}: {names}" for axis, names in named.items()) + ")"


def axis_names(table, axis: int) -> pd.Index:
    """Names of the rows or columns of a DataFrame or an AnnData."""
    if isinstance(table, AnnDataLike):
        return table.var_names if axis else table.obs_names
    return table.axes[axis]


def taken(table, axis: int, cells: np.ndarray):
    """Select cells, and turn the table if they are in its columns.

    They are selected before the table is turned: text in another column would make all values text.
    """
    if isinstance(table, AnnDataLike):
        return table[:, cells].T if axis else table[cells]
    selected = table.take(cells, axis=axis)
    return selected.T if axis else selected


def require_single(reading: Reading, table: Table, names, keys, shared) -> None:
    """Reject names of `shared` cells whose keys, by which they are matched, repeat."""
    twice = names[keys.duplicated() & shared]
    if len(twice):
        reading.problem(f"{table}: cells appear more than once: {some(twice)}")
        raise reading.error()


def joined(reading: Reading, first: Table, second: Table) -> tuple:
    """Both tables with the same cells in the same order, in their rows; other cells are left out.

    The names are those of the first table. An AnnData stays one.
    """
    firsts = first.ways()
    axis = reading.choices.get("genes_in_rows")
    if axis is not None:
        firsts = [way for way in firsts if way.axis == int(axis)]
    if reading.how.by_row:
        return _joined_by_row(reading, first, second)
    match = find_cells(reading, first, second, firsts, second.ways(), axis is not None)
    tables = first.frame(match.first), second.frame(match.second)
    axes = match.first.axis, match.second.axis
    names = [axis_names(table, axis) for table, axis in zip(tables, axes, strict=True)]
    keys = [match.spelled(of_table) for of_table in names]
    shared = [keys[0].isin(keys[1]), keys[1].isin(keys[0])]
    for i, table in enumerate((first, second)):
        require_single(reading, table, names[i], keys[i], shared[i])
        others = names[i][~shared[i]]
        describe_file(reading, table, (match.first, match.second)[i], f"{shared[i].sum()} cells")
        reading.leave_out(table.what, f"cells only in {table.what}", others, len(names[i]))
    if first.what == "expression":
        reading.choices["genes_in_rows"] = bool(axes[0])
    chosen = np.flatnonzero(shared[0])
    X = taken(tables[0], axes[0], chosen)
    Y = taken(tables[1], axes[1], keys[1].get_indexer(keys[0][chosen]))
    if isinstance(Y, AnnDataLike):
        Y = Y.copy()
        Y.obs_names = names[0][chosen]
    else:
        Y = Y.set_axis(names[0][chosen], axis=0)
    return reading.edited(X, first.what), reading.edited(Y, second.what)


def alone(reading: Reading, table: Table, columns) -> pd.DataFrame:
    """A table that is joined with no other; its cells are in columns if `columns` are in rows."""
    by_row, by_column = table.ways()[:2]
    turned = by_row.names.isin(columns).any() and not by_column.names.isin(columns).any()
    way = by_column if turned else by_row
    found = table.frame(way)
    if turned:
        found = found.T
    require_single(reading, table, found.index, found.index, True)
    describe_file(reading, table, way, f"{len(found)} cells")
    return reading.edited(found, table.what)


def _joined_by_row(reading, first, second):
    tables = first.in_order(), second.in_order()
    sizes = list(map(len, tables))
    if sizes[0] != sizes[1]:
        reading.problem(f"by_row: {first} has {sizes[0]} rows, {second} {sizes[1]}")
        raise reading.error()
    for table in (first, second):
        way = Way(next(iter(table.sheets)), 0, None, tables[0].index)
        describe_file(reading, table, way, f"{sizes[0]} rows in their order")
    X, Y = tables
    return reading.edited(X, first.what), reading.edited(Y.set_axis(X.index), second.what)


def describe_file(reading: Reading, table: Table, way: Way, used: str) -> None:
    """Store how a table was understood, and the options that say so."""
    facts = {"cells in": "columns" if way.axis else "rows"}
    if table.file:
        facts = {"file": table.file} | facts
    if table.adata is None:
        names, body, header = table.sheets[way.sheet]
        facts["size"] = f"{len(body)} x {len(names)}"
        if header:
            facts["names in row"] = str(header)
            reading.choose("header", {table.what: header})
    else:
        facts["size"] = f"{table.adata.n_obs} x {table.adata.n_vars}"
    if way.sheet is not None:
        reading.choose("sheet", {table.what: way.sheet})
    if way.key is not None:
        reading.choose("cell_key", {table.what: way.key})
    facts["cells named by"] = str(way)
    reading.describe(table.what, **facts, used=used)


def labels_of(reading: Reading, table: Table, cells: pd.Index) -> pd.DataFrame:
    """Labels of the cells, in their order; labels of other cells are left out."""
    if reading.how.by_row:
        labels = table.in_order()
        if len(labels) != len(cells):
            reading.problem(f"by_row: {table} has {len(labels)} rows for {len(cells)} cells")
            raise reading.error()
        labels = labels.set_axis(cells)
        used = f"{len(cells)} rows in their order"
        describe_file(reading, table, Way(next(iter(table.sheets)), 0, None, cells), used)
        return reading.edited(labels, table.what)
    given = Table("cells", pd.DataFrame(index=cells))
    match = find_cells(reading, given, table, given.ways()[:1], table.ways(), True)
    labels = table.frame(match.second)
    labels = labels.T if match.second.axis else labels
    names = match.spelled(labels.index)
    keys = match.spelled(cells)
    require_single(reading, table, labels.index, names, names.isin(keys))
    others = labels.index[~names.isin(keys)]
    describe_file(reading, table, match.second, f"{keys.isin(names).sum()} cells")
    reading.leave_out(table.what, f"{table.what} of other cells", others, len(labels))
    without = cells[~keys.isin(names)]
    if len(without):
        warn(f"no {table.what} for {len(without)} of {len(cells)} cells: {some(without)}")
    unique = labels.astype(object).set_axis(names, axis=0)
    unique = unique[~unique.index.duplicated()].reindex(keys)
    return reading.edited(unique.set_axis(cells, axis=0), table.what)


def kept(gaps: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the cells and outputs to keep, from the mask of missing values."""
    if missing == "cells":
        return ~gaps.any(axis=1), np.ones(gaps.shape[1], dtype=bool)
    if missing == "outputs":
        cells = ~gaps.all(axis=1)  # a cell without any value would leave no output
        return cells, ~gaps[cells].any(axis=0)
    ways = _fewest_left_out(gaps), kept(gaps, "cells"), kept(gaps, "outputs")
    return max(ways, key=lambda way: way[0].sum() * way[1].sum())


def _fewest_left_out(gaps):
    """Leave out the cell or output with the largest share of gaps until there is none."""
    cells = np.ones(gaps.shape[0], dtype=bool)
    outputs = np.ones(gaps.shape[1], dtype=bool)
    left = gaps
    while left.any():
        by_cell = left.sum(axis=1) / outputs.sum()
        by_output = left.sum(axis=0) / cells.sum()
        if by_cell.max() > by_output.max():
            cells[by_cell.argmax()] = False
        else:
            outputs[by_output.argmax()] = False
        left = gaps & cells[:, np.newaxis] & outputs
    return cells, outputs
