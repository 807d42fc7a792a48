"""Text that stands for numbers: marks of missing values, decimal commas, separators of thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from numbers import Number

import numpy as np
import pandas as pd

#: What stands for a missing value, in any case: spreadsheets, R, Python and people have their own.
MARKS = frozenset(
    ["", "-", "--", "---", "–", "—", ".", "?", "na", "n/a", "n.a.", "nan", "-nan", "<na>", "null", "none"]
    + ["nd", "n.d.", "n.d", "n/d", "not measured", "not determined", "not available", "not applicable"]
    + ["#na", "#n/a", "#n/a!", "#div/0!", "#value!", "#num!", "#ref!", "#name?", "#null!"]
)

_PLAIN = str.maketrans({"−": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'"})
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE)
_LOOKS = re.compile(r"[-+−]?(\d[\d.,' \u00a0]*|[.,]\d+)(e[-+]?\d+)?%?", re.IGNORECASE)
_COMMAS = re.compile(r"[-+−]?[\d.' \u00a0]*,\d[\d.,]*(e[-+]?\d+)?|[-+−]?\d{1,3}(\.\d{3}){2,}", re.IGNORECASE)
_SPELLED = re.compile(r"[,' \u00a0\u202f\u2009’−]|\..*\.")  # a number perhaps, and not in the way pandas reads


def _certain(mark: str, other: str) -> re.Pattern:
    """What can be read in one way only, and with this decimal mark."""
    return re.compile(
        rf"[-+]?((0*|\d{{4,}}){mark}\d+|\d+{mark}(\d{{1,2}}|\d{{4,}})|\d+{mark}\d+e[-+]?\d+"
        rf"|\d{{1,3}}({other}\d{{3}})+{mark}\d+|\d{{1,3}}({other}\d{{3}}){{2,}})",
        re.IGNORECASE,
    )


_CERTAIN = {".": _certain(r"\.", ","), ",": _certain(",", r"\.")}
_EITHER = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
_GROUPED = {
    mark: re.compile(rf"([-+]?\d{{1,3}})([{other} '])(\d{{3}}(?:\2\d{{3}})*)((?:{re.escape(mark)}\d*)?)")
    for mark, other in (".,", ",.")
}


def as_numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Convert all columns to float64, or name the first value that is no number.

    Parameters
    ----------
    table : DataFrame
        Numbers and text, of any kind.
    what : str
        How messages call it.

    Returns
    -------
    DataFrame of float64
        NaN where a value is missing.

    Raises
    ------
    ValueError
        Text that is neither a number nor a mark of a missing value, or that is two numbers: "1,234".
    """
    numbers, text = to_numbers(table, what)
    require_numbers(table, text, what)
    return numbers


def to_numbers(
    table: pd.DataFrame,
    what: str,
    decimal: str | None = None,
    marks: Iterable[str] = (),
    notes: list[str] | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Convert what is a number, and tell what is not.

    Parameters
    ----------
    table : DataFrame of shape (n, k)
    what : str
        How messages call it.
    decimal : {".", ",", None}
        The decimal mark of numbers that are text; None finds it out.
    marks : iterable of str
        What stands for a missing value, besides `MARKS`.
    notes : list of str, optional
        Is told of decimal commas and separators of thousands.

    Returns
    -------
    numbers : DataFrame of float64, shape (n, k)
        NaN where a value is missing or no number.
    text : ndarray of bool, shape (n, k)
        The values that are neither a number nor missing.

    Raises
    ------
    ValueError
        Numbers that can be read in two ways, or a table with both decimal marks.
    """
    text = np.zeros(table.shape, bool)
    # To a table of nothing but numbers there is nothing to do; others may have a text in any place.
    marks = {str(mark).strip().casefold() for mark in marks}
    plain = np.array([isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in table.dtypes], dtype=bool)
    if plain.all() and not marks:
        return table.astype(np.float64), text
    values = np.empty(table.shape, np.float64)
    values[:, plain] = table.iloc[:, plain].to_numpy(np.float64)
    given = table.iloc[:, ~plain].to_numpy(object)
    codes, distinct = pd.factorize(given.ravel())
    converted, is_text = _converted(distinct, what, decimal, MARKS | marks, [] if notes is None else notes)
    codes = codes.reshape(given.shape)
    values[:, ~plain] = np.append(converted, np.nan)[codes]  # what is missing has the code -1
    text[:, ~plain] = np.append(is_text, False)[codes]
    values[np.isin(values, [float(mark) for mark in marks if _NUMBER.fullmatch(mark)])] = np.nan  # such as -999
    return pd.DataFrame(values, index=table.index, columns=table.columns), text


def require_numbers(table: pd.DataFrame, text: np.ndarray, what: str) -> None:
    """Refuse text where numbers are expected, naming the first of it."""
    if text.any():
        j = int(text.any(axis=0).argmax())
        i = int(text[:, j].argmax())
        listed = "" if text.any(axis=0).sum() == 1 else f" (and so do {text.any(axis=0).sum() - 1} more)"
        raise ValueError(
            f"{what}: column {table.columns[j]!r} holds {text[:, j].sum()} value(s) that are not numbers{listed}, the "
            f"first {str(table.iat[i, j])!r} for cell {table.index[i]!r}; correct it, leave the column out, or, if it "
            f"says that the value is missing, name it in missing_marks"
        )


def has_commas(table: pd.DataFrame) -> bool:
    """Whether some text of a table is a number with a comma, or with several points."""
    distinct = pd.unique(table.select_dtypes(object).to_numpy().ravel())
    return any(isinstance(value, str) and bool(_COMMAS.fullmatch(value.strip())) for value in distinct)


def is_mark(text: str) -> bool:
    """Whether a text says that a value is missing."""
    return text.strip().casefold() in MARKS


def looks_like_number(text: str) -> bool:
    """Whether a text may be a number in some spelling."""
    return bool(_LOOKS.fullmatch(text.strip()))


def _converted(distinct, what, decimal, missing, notes) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of distinct values, NaN for those that are none, and which of these are text."""
    # pandas would make nanoseconds of a date
    texts = [value if isinstance(value, Number) else str(value).strip() for value in distinct]
    values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64).copy()
    strings = {i: text.translate(_PLAIN) for i, text in enumerate(texts) if isinstance(text, str)}
    spelled = {i: text for i, text in strings.items() if _SPELLED.search(texts[i])}
    if decimal is None:
        decimal = _decimal_mark(strings.values(), what) if any(map(_COMMAS.fullmatch, spelled.values())) else "."
    grouped = ""
    for i, text in (strings if decimal == "," else spelled).items():
        number = text
        if match := _GROUPED[decimal].fullmatch(text):
            number, grouped = match[1] + match[3].replace(match[2], "") + match[4].replace(",", "."), text
        elif decimal == ",":
            number = "" if "." in text else text.replace(",", ".")
        values[i] = float(number) if _NUMBER.fullmatch(number) else np.nan
    if decimal == "," and any("," in text for text in strings.values()):
        notes.append(f"{what}: decimal commas are read as points")
    if grouped:
        notes.append(f"{what}: separators of thousands are taken away, as in {grouped!r}")
    is_text = np.zeros(len(texts), bool)
    is_text[[i for i, text in strings.items() if np.isnan(values[i]) and text.casefold() not in missing]] = True
    return values, is_text


def _decimal_mark(texts: Iterable[str], what: str) -> str:
    first = {mark: next(filter(certain.fullmatch, texts), None) for mark, certain in _CERTAIN.items()}
    advice = "; say which mark the decimals have with decimal=',' or decimal='.'"
    if first[","] and first["."]:
        raise ValueError(
            f"{what}: {first[',']!r} has a decimal comma and {first['.']!r} a decimal point, if both are numbers"
            f"{advice}, where the other one is no number"
        )
    either = next(filter(_EITHER.fullmatch, texts), None)
    if either and not any(first.values()):
        whole, fraction = either.split(",")
        raise ValueError(f"{what}: {either!r} may be {whole}{fraction} or {whole}.{fraction}{advice}")
    return "," if first[","] else "."
