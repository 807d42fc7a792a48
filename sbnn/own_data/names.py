"""Names of tables that should match: what was seen of them, and changes that make them equal."""

from __future__ import annotations

import os
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.checks import abbreviate

#: Where recipes show how tables are brought into shape.
PAGE = 'docs/own_data.md, "Prepare your files"'
#: What a user calls the tables of the core.
USER_NAMES = {"X": "expression", "Y": "outputs"}
NAMES_SEEN = 3  # of each axis, in an error
#: Changes of names, as arguments of `Series.str.replace`, of which one may make two files equal.
CHANGES = (
    ("", ""),  # capitals alone
    (r"[\W_]+", "_"),
    (r"[\W_]+", ""),
    # names of samples before barcodes, and what 10x adds to them
    (r"^.*[_#:](?=[acgt]{8})|-1$", ""),
)
NAMES_TRIED = 10
MAJORITY = 0.5  # of names, at least


def axes(table: pd.DataFrame | AnnData) -> tuple[pd.Index, pd.Index]:
    """Names of the rows and of the columns."""
    if isinstance(table, AnnData):
        return table.obs_names, table.var_names
    return table.index, table.columns


def are_numbered(rows: pd.Index) -> bool:
    """Whether names only number the rows, from 0 or 1 on."""
    numbers_of_rows = pd.RangeIndex(len(rows) + 1).astype(str)
    return rows.equals(numbers_of_rows[:-1]) or rows.equals(numbers_of_rows[1:])


def count_matches(names: pd.Index, others: pd.Index) -> int:
    """How many names are among the others."""
    return int(names.isin(others).sum())


# --- what was seen


@contextmanager
def naming_the_page() -> Iterator[None]:
    """Errors about tables of a user end with where to find recipes; decorates what reads them."""
    try:
        yield
    except ValueError as error:
        argument, colon, problem = str(error).partition(":")
        error.args = (f"{USER_NAMES.get(argument, argument)}{colon}{problem}; see {PAGE}",)
        raise


def what_was_seen(tables: Mapping[str, pd.DataFrame | AnnData]) -> str:
    """Say the size, the first names and the first text of each table, and which names match."""
    sizes = []
    for what, table in tables.items():
        rows, columns = axes(table)
        sizes.append(
            f"{len(rows)} rows ({abbreviate(rows, NAMES_SEEN)}) and {len(columns)} columns "
            f"({abbreviate(columns, NAMES_SEEN)}) of {what}"
        )
    parts = [f"seen: {', '.join(sizes)}"]
    if len(tables) > 1:
        parts += _count_shared_names(tables)
    for what, table in tables.items():
        text = "" if what == "labels" else _first_text(table)
        if text:
            parts.append(f"the first value of {what} that is no number: {text}")
    return "; ".join(parts)


def _count_shared_names(tables):
    """How many names of each axis of the second table are those of each axis of the first."""
    (first, one), (second, other) = tables.items()
    rows, columns = axes(one)
    counts = []
    for axis, names in zip(("rows", "columns"), axes(other), strict=True):
        counts.append(
            f"of the {axis} of {second}, {count_matches(names, rows)} are rows and "
            f"{count_matches(names, columns)} are columns of {first}"
        )
    return counts


def _first_text(table):
    """The first value of a table that is no number, and where it is, or ""."""
    if isinstance(table, AnnData):
        return ""
    is_text = np.array([not pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes])
    if not is_text.any():
        return ""
    others = table.loc[:, is_text].astype(object)
    converted = others.apply(pd.to_numeric, errors="coerce")
    places = np.argwhere(converted.isna() & others.notna())
    if not len(places):
        return ""
    i, j = places[0]
    row, column = str(others.index[i]), str(others.columns[j])
    return f"{others.iat[i, j]!r:.80} in row {row!r}, column {column!r}"


# --- names that nearly match


class Match(NamedTuple):
    """How many names match, 0 if too few, and after which line of pandas, "" if as they are."""

    n_names: int
    change: str


def find_match(names: pd.Index, others: pd.Index, name: str, other: str) -> Match:
    """Names that match as they are or, if most do not, after the change that makes the most equal.

    `name` and `other` are Python for the names.
    """
    least = MAJORITY * min(len(names), len(others))
    n_equal = count_matches(names, others)
    if n_equal >= least:
        return Match(n_equal, "")
    best = Match(0, "")
    if are_numbered(names) or are_numbered(others):  # c1 may be row 0, or row 1
        return best
    for line, mine, theirs in change_names(names, others, name, other):
        n_found = count_matches(mine, theirs)
        # fewer may match by chance, and what makes two names one would match different cells
        is_better = n_found > best.n_names and n_found >= least
        if is_better and mine.is_unique and theirs.is_unique:
            best = Match(n_found, line)
    return best


def say_change(match: Match) -> str:
    """Say how many names would match after a change, or ""."""
    return f"; {match.n_names} would match after {match.change}" if match.change else ""


def change_names(
    names: pd.Index, others: pd.Index, name: str, other: str
) -> Iterator[tuple[str, pd.Index, pd.Index]]:
    """Yield lines that change names, and the names after them."""
    for before, after in find_affixes(names, others):
        line, changed = remove_affixes(names, name, before=before, after=after)
        yield line, changed, others
    for before, after in find_affixes(others, names):
        line, changed = remove_affixes(others, other, before=before, after=after)
        yield line, names, changed
    before, after = find_common_affixes(names)
    others_before, others_after = find_common_affixes(others)
    line, mine = remove_affixes(names, name, before=before, after=after)
    other_line, theirs = remove_affixes(others, other, before=others_before, after=others_after)
    if not mine.str.isdecimal().all():  # numbers of other cells would match as well
        yield f"{line} and {other_line}", mine, theirs
    for pattern, replacement in CHANGES:
        method = ".str.lower()"
        if pattern:
            method += f".str.replace({pattern!r}, {replacement!r}, regex=True)"
        mine, theirs = (
            old.str.lower().str.replace(pattern, replacement, regex=True) for old in (names, others)
        )
        yield f"{name} = {name}{method} and the same of {other}", mine, theirs
    # ends that differ from cell to cell, as in barcodes of samples of the same patients
    length = max(find_unique_length(names), find_unique_length(others))
    line = f"{name} = {name}.str[:{length}] and {other} = {other}.str[:{length}]"
    yield line, names.str[:length], others.str[:length]


def find_unique_length(names: pd.Index) -> int:
    """The shortest length to which names can be cut that stay different."""
    lengths = range(1, names.str.len().max())
    return 1 + bisect_left(lengths, True, key=lambda length: names.str[:length].is_unique)


def find_affixes(names: pd.Index, others: pd.Index) -> list[tuple[str, str]]:
    """Texts before and after some of the others in these names, such as the X that R adds."""
    found = []
    for other in others[:NAMES_TRIED]:
        for name in names[names.str.contains(other, regex=False)][:NAMES_TRIED]:
            before, _, after = name.partition(other)
            found.append((before, after))
    return [*dict.fromkeys(found)]


def find_common_affixes(names: pd.Index) -> tuple[str, str]:
    """Texts before and after all names, up to a separator."""
    before = os.path.commonprefix([*names])
    after = os.path.commonprefix([name[::-1] for name in names])[::-1]
    [start] = re.findall(r"^(?:.*[\W_])?", before, re.DOTALL)
    [end] = re.findall(r"(?:[\W_].*)?$", after, re.DOTALL)[:1]
    return start, end


def remove_affixes(names: pd.Index, name: str, before: str, after: str) -> tuple[str, pd.Index]:
    """The line of pandas that removes texts before and after names, and the names after it."""
    method = ""
    if before:
        method += f".str.removeprefix({before!r})"
    if after:
        method += f".str.removesuffix({after!r})"
    return f"{name} = {name}{method}", names.str.removeprefix(before).str.removesuffix(after)


def suggest_spelling(names: Iterable[Any], others: Iterable[Any]) -> str:
    """Say which names differ only in capitals, spaces, punctuation or encoding, or ""."""
    others_by_letters = {_letters(name): str(name) for name in others}
    for name in names:
        other = others_by_letters.get(_letters(name))
        if other is not None and other != str(name):
            return (
                f"; {ascii(str(name))} and {ascii(other)} differ only in capitals, spaces, "
                "punctuation or the encoding of letters"
            )
    return ""


def _letters(name):
    """A name as it would be with one encoding of letters, capitals and punctuation."""
    # accents of macOS are characters of their own, and R replaces - by . in names
    composed = unicodedata.normalize("NFKC", str(name))
    return re.sub(r"[\W_]+", " ", composed.casefold()).strip()
