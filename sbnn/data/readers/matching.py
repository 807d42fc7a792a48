"""Find the cells that several tables share."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.objects import AnnDataLike
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table import FEWEST_NAMES, Table, Way, are_row_numbers, are_values

LEAST_SHARED = 0.5  # of the cells of the smaller table
_OF_GENES = re.compile("gene|symbol|ensembl|entrez|(^|[_ ])(id|name)$", re.I)
CELLS = "the cells"  # found in the other tables


def exactly(names: pd.Index) -> pd.Index:
    """Names as they are."""
    return names


def loosened(names: pd.Index) -> pd.Index:
    """Names without case, R's X and 10x's -1; punctuation becomes a point."""
    plain = names.str.lower().str.replace(r"[\W_]+", ".", regex=True).str.strip(".")
    plain = plain.str.replace(r"^x(?=\d)", "", regex=True)
    return plain.str.replace(r"([acgt]{12,})\.1$", r"\1", regex=True)


def without_marks(names: pd.Index) -> pd.Index:
    """Like `loosened`, without punctuation: "C_01" is "c01"."""
    return loosened(names).str.replace(".", "", regex=False)


def without_zeros(names: pd.Index) -> pd.Index:
    """Like `loosened`, without leading zeros: "C_01" is "c.1"."""
    return loosened(names).str.replace(r"(?<!\d)0+(?=\d)", "", regex=True)


def without_files(names: pd.Index) -> pd.Index:
    """Like `loosened`: "bam/C_01.sorted.bam" is "c.01"."""
    endings = r"^.*/|(Aligned)?(\.(sorted|sortedByCoord|out|dedup|markdup))*\.[bs]am$"
    return loosened(names.str.replace(endings, "", regex=True))


SPELLINGS = {
    "exact": [exactly],
    "loose": [loosened, without_marks, without_zeros, without_files],
}


class Side(NamedTuple):
    """A table, and the ways in which it may name its cells."""

    table: Table
    ways: list[Way]


class Match(NamedTuple):
    """How the cells of two tables are found."""

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
        """Whether the names of both tables are row numbers."""
        return self.first.by_number and self.second.by_number

    @property
    def numbered(self) -> bool:
        """Like `by_number`, also for rows of larger tables."""
        return all(way.by_number or way.filtered for way in (self.first, self.second))

    def keys(self) -> tuple[pd.Index, pd.Index]:
        """Names in the common spelling."""
        return self.spelled(self.first.names), self.spelled(self.second.names)


def best_match(firsts: Iterable[Way], seconds: Iterable[Way], spellings) -> Match | None:
    """The first combination that shares most cells."""
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


def find_cells(reading: Reading, first: Side, second: Side, few_are_allowed=False) -> Match:
    """Find the cells of two tables, half of the smaller one unless `few_are_allowed`."""
    usual = best_match(first.ways, second.ways, SPELLINGS[reading.how.match])
    if usual.holds and not usual.numbered:
        return usual
    filtered = usual.holds and not usual.by_number
    other = _match_of_any_column(first, second, filtered)
    doubt = _doubt(first, second, usual)
    if filtered and (other is None or _agree(usual, other)):
        advice = "if they number the rows of each table, set cell_key=COLUMN or by_row=True"
        reading.notes.append(f"{doubt}; {advice}")
        return usual
    if other is not None:
        _ask_for(reading, doubt, first, second, other)
        return other
    if usual.n_shared == 0 or usual.by_number or not few_are_allowed:
        _ask_for_names(reading, doubt, first, second, usual)
    return usual


def _match_of_any_column(first, second, filtered) -> Match | None:
    """The best match in any spelling, if it holds."""
    candidates = []
    for table, ways in (first, second):
        named = [way for way in ways if not (way.by_number or filtered and way.filtered)]
        keyed = [way for way in table.other_ways() if not are_row_numbers(way.names)]
        candidates.append([*named, *keyed])
    best = best_match(*candidates, SPELLINGS["exact"] + SPELLINGS["loose"])
    return best if best is not None and best.holds else None


def _doubt(first, second, match) -> str:
    tables = f"{first.table} and {second.table}"
    if match.by_number:
        return f"{tables}: the cells have no names, only row numbers"
    if match.holds:
        return f"{tables} are matched by numbers in columns without a name"
    if match.n_shared:
        return f"{tables} share only {match.n_shared} cell names"
    return f"{tables} share no cell name"


def _agree(one: Match, other: Match) -> bool:
    places = []
    for match in (one, other):
        first_keys, second_keys = match.keys()
        if second_keys.has_duplicates or match.first.axis or match.second.axis:
            return False
        places.append(second_keys.get_indexer(first_keys))
    first, second = places
    return bool((first == second)[(first >= 0) & (second >= 0)].all())


def _ask_for(reading, doubt, first, second, match) -> None:
    solved_by = {}
    keys = {}
    for (table, _), way in ((first, match.first), (second, match.second)):
        if way.key not in (None, table.key):
            keys[table.what] = way.key
    if keys:
        solved_by["cell_key"] = keys
    found = f"{match.first} of {first.table.what} and {match.second} of {second.table.what}"
    found += f" share {match.n_shared}"
    if match.spelled is not exactly and reading.how.match == "exact":
        solved_by["match"] = "loose"
        found += f", spelled like {_example(match)}"
    if match.first.axis != first.ways[0].axis:
        solved_by["genes_in_rows"] = bool(match.first.axis)
    reading.problem(f"{doubt}, but {found}", **solved_by)


def _example(match) -> str:
    first_keys, second_keys = match.keys()
    i = first_keys.isin(second_keys.drop("", errors="ignore")).argmax()
    j = second_keys.get_indexer_for([first_keys[i]])[0]
    return f"{match.first.names[i]} and {match.second.names[j]}"


def _ask_for_names(reading, doubt, first, second, match) -> None:
    text = f"{doubt} ({_names(first)}; {_names(second)})"
    unnamed = [way.by_number or are_values(way.names) for way in (first.ways[0], second.ways[0])]
    if any(unnamed) and len(first.table.content.body) == len(second.table.content.body):
        reading.problem(text, "if all tables list the same cells in the same order", by_row=True)
        return
    if match.n_shared >= FEWEST_NAMES and not match.by_number:
        reading.problem(text, "if these cells are right", genes_in_rows=bool(match.first.axis))
        return
    if 0 < match.n_shared < FEWEST_NAMES:
        text += f"; at least {FEWEST_NAMES} are needed"
    advice = "name the column of the cells by cell_key=COLUMN, or, if the tables have different"
    reading.stop(f"{text}; {advice} names for a cell, pair them with cell_names=FILE")


def _names(side) -> str:
    named = {"columns" if way.axis else "rows": some(way.names, 2) for way in side.ways}
    return ", ".join(f"{axis} of {side.table.what}: {names}" for axis, names in named.items())


def axis_names(table, axis: int) -> pd.Index:
    """Names of the rows or columns."""
    if isinstance(table, AnnDataLike):
        return table.var_names if axis else table.obs_names
    return table.axes[axis]


def taken(table, axis: int, cells: np.ndarray):
    """Select cells before turning a table, as text elsewhere would make all text."""
    if isinstance(table, AnnDataLike):
        return table[:, cells].T if axis else table[cells]
    selected = table.take(cells, axis=axis)
    return selected.T if axis else selected


class Found(NamedTuple):
    """A table whose cells are found."""

    table: Table
    way: Way
    frame: pd.DataFrame | AnnDataLike  # oriented as in the file
    names: pd.Index
    keys: pd.Index


def _found(reading, table, way, spelled) -> Found:
    frame = _frame(reading, table, way)
    names = axis_names(frame, way.axis)
    return Found(table, way, frame, names, spelled(names))


def _shared(reading, found, others, why) -> np.ndarray:
    """Mask of the cells among `others`; the rest is left out."""
    shared = found.keys.isin(others)
    require_single(reading, found.table, found.names, found.keys, shared)
    describe_file(reading, found.table, found.way, f"{shared.sum()} cells")
    reading.leave_out(found.table.what, why, found.names, ~shared)
    return shared


def require_single(reading: Reading, table: Table, names, keys, shared) -> None:
    """Reject names of `shared` cells whose keys repeat."""
    twice = names[keys.duplicated() & shared]
    if len(twice):
        text = f"{table}: cells appear more than once: {some(twice)}"
        reading.stop(f"{text}; correct the names, or take another column by cell_key=COLUMN")


def joined(reading: Reading, first: Table, second: Table) -> tuple:
    """Both tables with the same cells, in the order of the first."""
    firsts = first.ways()
    axis = reading.choices.get("genes_in_rows")
    if axis is not None:
        firsts = [way for way in firsts if way.axis == int(axis)]
    if not reading.how.by_row:
        sides = Side(first, firsts), Side(second, second.ways())
        match = find_cells(reading, *sides, few_are_allowed=axis is not None)
    if reading.choices.get("by_row"):
        X = _in_order(reading, first)
        return X, _in_order(reading, second, axis_names(X, 0))
    one = _found(reading, first, match.first, match.spelled)
    other = _found(reading, second, match.second, match.spelled)
    in_both = _shared(reading, one, other.keys, f"cells only in {first.what}")
    _shared(reading, other, one.keys, f"cells only in {second.what}")
    if first.what == "expression":
        reading.choices["genes_in_rows"] = bool(match.first.axis)
    if match.first.axis and first.adata is None:
        _note_other_gene_names(reading, first, match.first)
    chosen = np.flatnonzero(in_both)
    places = other.keys.get_indexer(one.keys[chosen])
    X = taken(one.frame, match.first.axis, chosen)
    Y = taken(other.frame, match.second.axis, places)
    Y = _with_cells(Y, one.names[chosen])
    return reading.edited(X, first.what), reading.edited(Y, second.what)


def _note_other_gene_names(reading, table, way) -> None:
    named = way.key or table.content.names[0]
    keys = [other.key for other in table.other_ways()]
    others = [key for key in keys if key != named and _OF_GENES.search(key)]
    if others:
        text = f"genes are named by {named or 'the first column'}; {some(others)} has other names"
        reading.notes.append(f"{text}: cell_key={table.what}={others[0]}")


def alone(reading: Reading, table: Table, columns) -> pd.DataFrame:
    """A single table, turned if `columns` are in rows."""
    by_row, by_column = table.ways()
    turned = by_row.names.isin(columns).any() and not by_column.names.isin(columns).any()
    way = by_column if turned else _way_with_names(reading, table, by_row)
    if reading.choices.get("by_row"):
        return _in_order(reading, table)
    found = _frame(reading, table, way)
    found = found.T if turned else found
    require_single(reading, table, found.index, found.index, True)
    describe_file(reading, table, way, f"{len(found)} cells")
    return reading.edited(found, table.what)


def _frame(reading, table, way):
    frame = table.frame(way)
    if way.axis == 0 and table.what in ("outputs", "features"):
        return reading.averaged(frame, table.what)
    return frame


def _way_with_names(reading, table, way):
    are_names = way.names.is_unique and "" not in way.names and not way.by_number
    if are_names or reading.how.by_row or way.key is not None:
        return way
    for other in table.other_ways():
        is_text = pd.to_numeric(other.names, errors="coerce").isna().all()
        if is_text and other.names.is_unique and "" not in other.names:
            text = f"{table}: the first column does not name the cells ({some(way.names, 3)})"
            text += f", but {other} has a name for each"
            reading.problem(text, cell_key={table.what: other.key})
            return other
    if are_values(way.names):
        text = f"{table}: no column has a name for each cell; if several rows are of one cell, set"
        text += " average=True and cell_key=COLUMN"
        reading.problem(text, "if each row is a cell of its own", by_row=True)
    return way


def _in_order(reading, table, cells=None):
    rows = table.in_order()
    names = axis_names(rows, 0)
    cells = names if cells is None else cells
    if len(names) != len(cells):
        reading.stop(f"by_row: {table} has {len(names)} rows for {len(cells)} cells")
    describe_file(reading, table, Way(0, None, cells), f"{len(cells)} cells")
    return reading.edited(_with_cells(rows, cells), table.what)


def _with_cells(table, cells):
    if not isinstance(table, AnnDataLike):
        return table.set_axis(cells, axis=0)
    table = table.copy()
    table.obs_names = cells
    return table


def describe_file(reading: Reading, table: Table, way: Way, used: str) -> None:
    """Store how a table was understood, and the options that say so."""
    facts = {"file": table.file} if table.file else {}
    facts["cells in"] = "columns" if way.axis else "rows"
    if table.adata is None:
        names, body, header = table.content
        facts["size"] = f"{len(body)} x {len(names)}"
        if header:
            facts["names in row"] = str(header)
            reading.choose("header", {table.what: header})
    else:
        facts["size"] = f"{table.adata.n_obs} x {table.adata.n_vars}"
    if table.sheet is not None:
        reading.choose("sheet", {table.what: table.sheet})
    if way.key is not None:
        reading.choose("cell_key", {table.what: way.key})
    facts["cells named by"] = "their order" if reading.choices.get("by_row") else str(way)
    reading.describe(table.what, **facts, used=used)


def labels_of(reading: Reading, table: Table, cells: pd.Index) -> pd.DataFrame:
    """Labels of the cells, in their order."""
    if reading.choices.get("by_row"):
        return _in_order(reading, table, cells)
    given = Table(CELLS, pd.DataFrame(index=cells))
    sides = Side(given, given.ways()[:1]), Side(table, table.ways())
    match = find_cells(reading, *sides, few_are_allowed=True)
    labels = table.frame(match.second)
    labels = labels.T if match.second.axis else labels
    labels = reading.once(labels, table.what)
    found = Found(table, match.second, labels, labels.index, match.spelled(labels.index))
    keys = match.spelled(cells)
    _shared(reading, found, keys, f"{table.what} of other cells")
    without = cells[~keys.isin(found.keys)]
    if len(without):
        text = f"no {table.what} for {len(without)} of {len(cells)} cells: {some(without)}"
        reading.left_out.append(text)
    unique = labels.astype(object).set_axis(found.keys, axis=0)
    unique = unique[~unique.index.duplicated()].reindex(keys)
    return reading.edited(unique.set_axis(cells, axis=0), table.what)


def kept(gaps: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the cells and outputs to keep."""
    if missing == "cells":
        return ~gaps.any(axis=1), np.ones(gaps.shape[1], dtype=bool)
    if missing == "outputs":
        cells = ~gaps.all(axis=1)  # otherwise no output would be left
        return cells, ~gaps[cells].any(axis=0)
    return larger(_fewest_left_out(gaps), kept(gaps, "cells"), kept(gaps, "outputs"))


def larger(*masks):
    """The masks of cells and outputs that keep most values."""
    return max(masks, key=lambda pair: pair[0].sum() * pair[1].sum())


def _fewest_left_out(gaps):
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
