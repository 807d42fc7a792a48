"""Which rows of a table are titles, names, units or values: what people leave above and below the names."""

from __future__ import annotations

import re
from collections import Counter
from itertools import takewhile
from typing import NamedTuple

from sbnn.data.checks import some
from sbnn.data.readers.table_numbers import is_mark, looks_like_number

_ROWS_OF_NAMES = 4  # rows that names, or groups of names, may take
_ROWS_OF_VALUES = 10  # that are looked at
_UNIT = re.compile(
    r"[(\[].*[)\]]|(f|p|n|u|µ|μ|m|c|k|M|G)?(s|V|A|Hz|Ohm|ohm|Ω|F|S|m|M|g|L)([/*·^ ]\S*)?|sec|min|h|d|%|°C|ratio|"
    r"1/\S+|a\.?\s?u\.?|counts?|number|spikes.*"
)
_UNIT_NAMES = ("unit", "units")


class Layout(NamedTuple):
    """Where the names are."""

    row: int  # with the names, from 0
    first: int  # row with values
    names: list[str]  # of all columns, the first one included


def find_layout(rows: list[list[str]], header: int | None, called: str, notes: list[str]) -> Layout:
    """Find the row with the names of columns, and the first row with values.

    Parameters
    ----------
    rows : list of list of str
        First rows of the table, ``""`` for an empty field.
    header : int or None
        Number of the row with the names, from 1, as a spreadsheet shows it; None finds it out where it is clear, and
        else takes the first that is not empty.
    called : str
        How messages call the table.
    notes : list of str
        Is told what was left out.

    Returns
    -------
    Layout

    Raises
    ------
    ValueError
        A `header` beyond the rows.
    """
    if header is not None:
        if isinstance(header, bool) or not isinstance(header, int) or not 0 < header <= max(1, len(rows)):
            raise ValueError(
                f"{called}: header must be the number of the row with the names, from 1 to {len(rows)}, got {header!r}"
            )
        row, names = header - 1, rows[header - 1] if rows else [""]
    else:
        row, names = _names(rows)
    above = [" ".join(filter(None, fields)) for fields in rows[:row] if any(fields)]
    if above:
        notes.append(f"{called}: the names are in row {row + 1}; left out above them: {some(map(_short, above), 3)}")
    first = row + 1
    while first < row + _ROWS_OF_NAMES and _is_no_value(rows, first, len(names)):
        told = some(map(_short, filter(None, rows[first])), 4)
        notes.append(f"{called}: row {first + 1} below the names holds units or text and is left out: {told}")
        first += 1
    return Layout(row, first, names)


def is_comment(row: list[str]) -> bool:
    """Whether a row is a remark and no row of a table."""
    return row[0].startswith("#") and sum(map(bool, row)) == 1


def _names(rows: list[list[str]]) -> tuple[int, list[str]]:
    filled = [i for i, row in enumerate(rows) if any(row)]
    if not filled:
        return 0, rows[0] if rows else [""]
    sizes = Counter(len(rows[i]) for i in filled)
    width = max(sizes, key=lambda size: (sizes[size], size))
    used = {j for i in filled[-_ROWS_OF_VALUES:] for j, field in enumerate(rows[i]) if field and j}

    def is_title(i: int) -> bool:
        row = rows[i]
        if len(row) == 1 and width == 2:
            return " " in row[0]  # a sentence, and not the one name that R writes above one column
        alone = sum(map(bool, row)) == 1
        # A name alone above a single column of values is no title.
        return is_comment(row) or len(row) not in (width, width - 1) or (alone and width > (1 if row[0] else 2))

    titles = list(takewhile(is_title, filled[:-1]))
    start = filled[len(titles)]
    after = filled[min(len(titles) + 1, len(filled) - 1)]
    if len(rows[start]) == width - 1 and len(rows[after]) == width and _is_below_groups(rows, after):
        titles, start = [*titles, start], after  # and not R's names, which have values below
    sure = all(rows[i][0] and sum(map(bool, rows[i])) == 1 for i in titles)  # nothing that could be a name
    if titles and not (_is_text(rows[start]) and (sure or _numbers_follow(rows, start))):
        return filled[0], rows[filled[0]]
    # Names of groups stand above some of the names, or repeat where the names below do not.
    groups = []
    for i in filled[len(titles) : len(titles) + _ROWS_OF_NAMES]:
        if not (_is_text(rows[i]) and _numbers_follow(rows, i)) or (i > start and not _is_below_groups(rows, i)):
            break
        names, last = rows[i], rows[groups[-1]] if groups else []
        named = [names[j] for j in used if j < len(names) and names[j]]
        gaps, repeats = len(named) < len(used) and len(names) == width, len(set(named)) < len(named)
        if not gaps and not repeats:
            return i, names
        if not gaps and groups and not _below_is_better(rows, i):
            joined = [f"{group} {name}".strip() for group, name in zip(_spread(last), names, strict=False)]
            joined = [one if name else "" for one, name in zip(joined, names, strict=False)][1:]
            unique = len(set(filter(None, joined))) == len(list(filter(None, joined)))
            return (i, [names[0], *joined]) if unique else (i, names)
        groups.append(i)
    return start, rows[start]


def _is_below_groups(rows: list[list[str]], i: int) -> bool:
    """Whether a row below others has names: no number, which a row of values has, and numbers below."""
    return i < len(rows) and not any(map(looks_like_number, rows[i][1:])) and _numbers_follow(rows, i)


def _below_is_better(rows: list[list[str]], i: int) -> bool:
    """Whether the next row has names that do not repeat."""
    below = rows[i + 1] if i + 1 < len(rows) else []
    return len(below) == len(rows[i]) == len(set(below)) and _is_below_groups(rows, i + 1)


def _spread(groups: list[str]) -> list[str]:
    """Write the name of a group above each of its columns."""
    spread = [groups[0]]
    for group in groups[1:]:
        spread.append(group or spread[-1])
    return ["", *spread[1:]]


def _is_text(row: list[str]) -> bool:
    """Whether hardly any field but the first is a number."""
    fields = [field for field in row[1:] if field]
    return 2 * sum(map(looks_like_number, fields)) < max(1, len(fields))


def _numbers_follow(rows: list[list[str]], i: int) -> bool:
    return any(looks_like_number(field) for row in rows[i + 1 : i + 1 + _ROWS_OF_NAMES] for field in row[1:])


def _is_no_value(rows: list[list[str]], i: int, width: int) -> bool:
    """Whether a row has text in all columns that hold numbers below: units, descriptions, groups of cells."""
    if i >= len(rows) or not any(rows[i]) or is_comment(rows[i]):
        return False
    below = [row for row in rows[i + 1 : i + 1 + _ROWS_OF_VALUES] if sum(map(bool, row)) > 1]
    numeric = []
    for j in range(1, width):
        fields = [row[j] for row in below if j < len(row) and not is_mark(row[j])]
        if fields and 2 * sum(map(looks_like_number, fields)) > len(fields):
            numeric.append(j)
    fields = [rows[i][j] for j in numeric if j < len(rows[i])]
    text = [field for field in fields if not is_mark(field)]
    if not text or any(map(looks_like_number, fields)):
        return False
    unnamed = not rows[i][0] or rows[i][0].strip("[]():").lower() in _UNIT_NAMES
    return unnamed or len(text) >= 3 or all(map(_UNIT.fullmatch, text))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
