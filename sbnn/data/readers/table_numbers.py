"""Numbers in a user's table."""

import re
from collections.abc import Iterable
from numbers import Number
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

from sbnn.data.checks import some
from sbnn.errors import check_among

#: Marks of missing values in any letter case.
_TABLE = Path(__file__).parents[1] / "missing_marks.csv"
MARKS = frozenset(pd.read_csv(_TABLE, keep_default_na=False, dtype=str)["mark"])

_PLAIN = str.maketrans({"−": "-", "’": "'"})


def _number_pattern(mark, other):
    """The other mark or a blank may separate groups of 3 digits."""
    usual = rf"\d*[{mark}]?\d+(e[-+]?\d+)?"
    ending_in_mark = rf"\d+[{mark}]"
    groups = rf"[1-9]\d{{0,2}}(?P<between>[{other}'\s])\d{{3}}((?P=between)\d{{3}})*([{mark}]\d*)?"
    return re.compile(rf"[-+]?({usual}|{ending_in_mark}|{groups})", re.I)


# A letter alone needs a blank before it: 7A is a well.
_PREFIX, _BASE = "[fpnµμumkMG]", "(V|A|Ω|Ohms?|S|F|s|Hz|m|g|[lL]|M)"
_UNIT = rf"\s*(%|°C|Hz|{_PREFIX}{_BASE}(/{_PREFIX}?{_BASE})?)|\s+{_BASE}"
_WITH_UNIT = re.compile(rf"[-+−]?[\d.,'’\s]*\d(?P<unit>{_UNIT})")

#: Decimal mark -> pattern of a number.
_NUMBER = {".": _number_pattern(".", ","), ",": _number_pattern(",", ".")}


def is_number(value) -> bool:
    """Whether a value is, or spells, a number."""
    return any(pattern.fullmatch(str(value).strip()) for pattern in _NUMBER.values())


def is_unit(text: str) -> bool:
    """Whether a text is a unit."""
    return _WITH_UNIT.fullmatch(f"1 {text}") is not None


def has_decimal_commas(table: pd.DataFrame) -> bool:
    """Whether any number has a comma or several points."""
    values = table.select_dtypes(object).to_numpy()
    for text in map(str, pd.unique(values.ravel())):
        marked = "," in text or text.count(".") > 1
        if marked and _NUMBER[","].fullmatch(text.strip()):
            return True
    return False


class Numbers(NamedTuple):
    """A table of float64, and what could not be read."""

    values: pd.DataFrame
    wrong: np.ndarray  # neither numbers nor missing
    decimal: str
    unclear: str  # numbers that leave the decimal mark open
    notes: list[str]


def to_numbers(table: pd.DataFrame, decimal: str | None = None, marks=()) -> Numbers:
    """Convert a table; truth values are no numbers."""
    table, notes = _without_units(table)
    found = _to_numbers(table, decimal, marks)
    if found.unclear and table.shape[1] > 1:
        parts = [_to_numbers(table.iloc[:, [j]], None, marks) for j in range(table.shape[1])]
        if not any(part.unclear for part in parts):
            commas = table.columns[[part.decimal == "," for part in parts]]
            notes.append(f"commas are decimal marks only in {some(commas)}")
            values = pd.concat([part.values for part in parts], axis=1)
            wrong = np.hstack([part.wrong for part in parts])
            found = Numbers(values, wrong, ".", "", found.notes)
    return found._replace(notes=notes + found.notes)


def _without_units(table) -> tuple[pd.DataFrame, list[str]]:
    units = []
    of_text = np.flatnonzero(~_are_numeric(table))
    given = table.iloc[:, of_text].to_numpy(object)  # (n_cells, n_columns of text)
    for j, values in zip(of_text, given.T, strict=True):
        unit = _unit_of(values)
        if unit:
            numbers = table.iloc[:, j].astype(str).str.strip().str.removesuffix(unit)
            table = table.copy() if not units else table
            table.isetitem(j, numbers)
            units.append(f"{table.columns[j]} ({unit})")
    notes = [f"the unit after each number is left out: {some(units)}"] if units else []
    return table, notes


def _are_numeric(table) -> np.ndarray:
    return np.array([is_numeric_dtype(of) and not is_bool_dtype(of) for of in table.dtypes], bool)


def _unit_of(values) -> str:
    units = set()
    for value in values:
        text = str(value).strip()
        match = _WITH_UNIT.fullmatch(text)
        if match is not None:
            units.add(match["unit"].strip())
        elif not pd.isna(value) and text.casefold() not in MARKS:
            return ""
    return units.pop() if len(units) == 1 else ""


def _to_numbers(table, decimal, marks) -> Numbers:
    values = np.empty(table.shape)
    wrong = np.zeros(table.shape, dtype=bool)
    plain = _are_numeric(table)
    values[:, plain] = table.loc[:, plain].to_numpy(np.float64, na_value=np.nan)
    given = table.loc[:, ~plain].to_numpy(object)
    cells = pd.Series(given.ravel(), dtype=object)
    if infer_dtype(cells).startswith(("boolean", "mixed")):
        truths = cells.map(type).isin([bool, np.bool_])
        cells = cells.where(~truths, cells.astype(str))  # True equals 1 in a dict
    numbers = {}  # value -> number
    strings = {}  # value -> text in plain characters
    for value in cells.dropna().unique():
        if isinstance(value, Number):
            numbers[value] = value
        else:
            strings[value] = str(value).strip().translate(_PLAIN)
    unclear = ""
    if decimal is None:
        decimal, unclear = _decimal_mark(strings.values())
    check_among("decimal", decimal, _NUMBER)
    marks = {str(mark).strip().casefold() for mark in np.ravel(marks)}
    known = MARKS | marks
    text = []
    missing = set()
    for value, string in strings.items():
        numbers[value] = _number(string, decimal)
        if np.isnan(numbers[value]):
            if string.casefold() in known:
                missing.add(string)
            else:
                text.append(value)
    values[:, ~plain] = cells.map(numbers).to_numpy(np.float64).reshape(given.shape)
    wrong[:, ~plain] = cells.isin(text).to_numpy().reshape(given.shape)
    values[np.isin(values, [_number(mark, ".") for mark in marks])] = np.nan
    found = pd.DataFrame(values, table.index, table.columns)
    missing -= {""}
    notes = [f"read as missing: {some(sorted(missing))}"] if missing else []
    return Numbers(found, wrong | np.isinf(values), decimal, unclear, notes)


def _number(string, decimal) -> float:
    if not _NUMBER[decimal].fullmatch(string):
        return np.nan
    digits = re.sub(rf"[^-+\de{decimal}]", "", string.lower())
    return float(digits.replace(decimal, "."))


def _decimal_mark(strings: Iterable[str]) -> tuple[str, str]:
    """The mark that fits most numbers, and numbers against it."""
    points = set(filter(_NUMBER["."].fullmatch, strings))
    commas = set(filter(_NUMBER[","].fullmatch, strings))
    mark = "," if len(commas) > len(points) else "."
    clear = points ^ commas  # numbers that only one of the marks fits
    either = [string for string in points if "," in string]
    if (points - commas and commas - points) or (either and not clear):
        return mark, some(sorted(clear) or either)
    return ("," if commas - points else "."), ""


def as_numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Convert to float64 with NaN; reject text."""
    found = to_numbers(table)
    if found.unclear:
        raise ValueError(f"{what}: the decimal mark is unclear from {found.unclear}; set decimal")
    if found.wrong.any():
        raise ValueError(f"{what}: {text_among(table, found.wrong)}; correct or leave them out")
    return found.values


def text_among(table: pd.DataFrame, wrong: np.ndarray) -> str:
    """Sentence that quotes the first value that is no number."""
    columns = some(table.columns[wrong.any(axis=0)])
    j, i = np.argwhere(wrong.T)[0]
    first = f"the first is '{table.iat[i, j]}' for cell {table.index[i]}"
    return f"values that are not numbers in columns {columns}; {first}"
