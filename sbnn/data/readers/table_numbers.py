"""Numbers in a user's table: decimal marks, missing values, and text among the numbers."""

import re
from collections.abc import Iterable
from numbers import Number
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from sbnn.data.checks import some
from sbnn.errors import check_among

#: Texts that mark missing values in spreadsheets, R, Python or tables typed by hand; letter case is
#: ignored.
_TABLE = Path(__file__).parents[1] / "missing_marks.csv"
MARKS = frozenset(pd.read_csv(_TABLE, keep_default_na=False, dtype=str)["mark"])

TEXT = "values that are not numbers"
_PLAIN = str.maketrans({"−": "-", "’": "'"})


def _number_pattern(mark, other):
    """Numbers with this decimal mark; another mark or a blank may separate groups of 3 digits."""
    usual = rf"\d*[{mark}]?\d+(e[-+]?\d+)?"
    ending_in_mark = rf"\d+[{mark}]"
    groups = rf"[1-9]\d{{0,2}}(?P<between>[{other}'\s])\d{{3}}((?P=between)\d{{3}})*([{mark}]\d*)?"
    return re.compile(rf"[-+]?({usual}|{ending_in_mark}|{groups})", re.I)


#: Decimal mark -> pattern of a number.
_NUMBER = {".": _number_pattern(".", ","), ",": _number_pattern(",", ".")}


def is_number(value) -> bool:
    """Whether a value is, or spells, a number with either decimal mark."""
    return any(pattern.fullmatch(str(value).strip()) for pattern in _NUMBER.values())


def has_decimal_commas(table: pd.DataFrame) -> bool:
    """Whether any text in a table is a number with a comma or with several points."""
    values = table.select_dtypes(object).to_numpy()
    for text in map(str, pd.unique(values.ravel())):
        marked = "," in text or text.count(".") > 1
        if marked and _NUMBER[","].fullmatch(text.strip()):
            return True
    return False


def to_numbers(
    table: pd.DataFrame, what: str, decimal, marks, notes: list[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Convert a table to float64, and mask values that are neither numbers nor missing."""
    values = np.empty(table.shape)
    wrong = np.zeros(table.shape, dtype=bool)
    plain = table.dtypes.map(is_numeric_dtype).to_numpy(bool)  # (n_columns,)
    values[:, plain] = table.loc[:, plain].to_numpy(np.float64, na_value=np.nan)
    given = table.loc[:, ~plain].to_numpy(object)
    cells = pd.Series(given.ravel(), dtype=object)
    numbers = {}  # value -> number
    strings = {}  # value -> text in plain characters
    for value in cells.dropna().unique():
        if isinstance(value, Number):
            numbers[value] = value
        else:
            strings[value] = str(value).strip().translate(_PLAIN)
    if decimal is None:
        decimal = _decimal_mark(strings.values(), what)
    check_among("decimal", decimal, _NUMBER)
    marks = {str(mark).strip().casefold() for mark in np.ravel(marks)}
    known = MARKS | marks
    text = []
    for value, string in strings.items():
        numbers[value] = _number(string, decimal)
        if np.isnan(numbers[value]) and string.casefold() not in known:
            text.append(value)
    if decimal == ",":
        notes.append(f"{what}: decimal commas are read as points")
    values[:, ~plain] = cells.map(numbers).to_numpy(np.float64).reshape(given.shape)
    wrong[:, ~plain] = cells.isin(text).to_numpy().reshape(given.shape)
    values[np.isin(values, [_number(mark, ".") for mark in marks])] = np.nan  # such as -999
    return pd.DataFrame(values, table.index, table.columns), wrong | np.isinf(values)


def _number(string, decimal) -> float:
    """Number spelled with this decimal mark and any mark between groups of digits, or NaN."""
    if not _NUMBER[decimal].fullmatch(string):
        return np.nan
    digits = re.sub(rf"[^-+\de{decimal}]", "", string.lower())
    return float(digits.replace(decimal, "."))


def _decimal_mark(strings: Iterable[str], what: str) -> str:
    """The decimal mark with which all numbers can be read."""
    points = set(filter(_NUMBER["."].fullmatch, strings))
    commas = set(filter(_NUMBER[","].fullmatch, strings))
    clear = points ^ commas  # numbers that only one of the marks fits
    either = [string for string in points if "," in string]
    if (points - commas and commas - points) or (either and not clear):
        unclear = some(sorted(clear) or either)
        advice = "set decimal=',' or decimal='.'"
        raise ValueError(f"{what}: the decimal mark is unclear from {unclear}; {advice}")
    return "," if commas - points else "."


def require_none(
    wrong: np.ndarray, table: pd.DataFrame, what: str, problem: str, advice: str
) -> None:
    """Reject `wrong` values; the error names their columns and quotes the first."""
    if not wrong.any():
        return
    columns = some(table.columns[wrong.any(axis=0)])
    j, i = np.argwhere(wrong.T)[0]
    first = f"the first is {table.iat[i, j]} for cell {table.index[i]}"
    raise ValueError(f"{what}: {problem} in columns {columns}; {first}; {advice}")


def as_numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Convert all columns to float64, with NaN for missing values; reject text."""
    numbers, text = to_numbers(table, what, None, (), [])
    require_none(text, table, what, TEXT, "correct them or leave them out")
    return numbers
