"""Checks of a user's table: names, numbers, cells and missing values."""

import re
from collections.abc import Iterable
from numbers import Number
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import dates_among, some
from sbnn.errors import check_among, warn

#: Texts that mark missing values in spreadsheets, R, Python or tables typed by hand; letter case is
#: ignored.
_TABLE = Path(__file__).parents[1] / "missing_marks.csv"
_MARKS = pd.read_csv(_TABLE, keep_default_na=False, dtype=str)
MARKS = frozenset(_MARKS["mark"])

TEXT = (
    "if text marks missing values, add it to missing_marks; to leave out columns, set drop_columns"
)

_PLAIN = str.maketrans({"−": "-", "’": "'"})
_FRACTION = re.compile(r"-?\d*[.,]\d+(e[+-]?\d+)?", re.I)
_BARCODE = re.compile(r"([acgt]{12,})\.1$")  # a suffix that 10x adds to all barcodes of a sample


def _number_pattern(mark, other):
    """Numbers with this decimal mark; another mark or a blank may separate groups of 3 digits."""
    usual = rf"\d*[{mark}]?\d+(e[-+]?\d+)?"
    ending_in_mark = rf"\d+[{mark}]"
    groups = rf"[1-9]\d{{0,2}}(?P<between>[{other}'\s])\d{{3}}((?P=between)\d{{3}})*([{mark}]\d*)?"
    return re.compile(rf"[-+]?({usual}|{ending_in_mark}|{groups})", re.I)


#: Decimal mark -> pattern of a number.
_NUMBER = {".": _number_pattern(".", ","), ",": _number_pattern(",", ".")}

# Spike-ins, such as ERCC-00002 (but ERCC1 to ERCC8, ERCC6L and ERCC6-PGBD3 are genes).
_SPIKE_INS = (
    r"(gspikein[-_. ]?)?ercc([-_. ]\d.*|\d{5})",
    r"gspikein.*",
    r"(rna[-_. ]?)?spike([-_. ]?ins?)?[-_. ]?\d+",
    r"rna[-_. ]spike.*",
)
# Rows in which HTSeq and STAR count reads that belong to no gene.
_COUNTERS = (
    r"__\w+",
    r"N_(unmapped|multimapping|noFeature|ambiguous)",
    r"no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique",
)
_NO_GENE = re.compile("|".join(_SPIKE_INS + _COUNTERS), re.I)


def named(names: list[str], body: pd.DataFrame, key: str | None) -> pd.DataFrame:
    """Set the names; leave out unnamed columns without values and unnamed rows without numbers."""
    body = body.set_axis(texts(names), axis=1)
    of_rows = names.index(key) if key in names else 0
    columns = [j for j in range(len(names)) if j != of_rows]
    if of_rows and not names[0]:  # row numbers
        columns.remove(0)
    rows = texts(body.iloc[:, of_rows])
    table = body.iloc[:, columns].set_axis(rows, axis=0)
    filled = table.notna().any().to_numpy()  # (n_columns,)
    table = table.loc[:, filled | (table.columns != "")]
    keep = np.ones(len(table), dtype=bool)
    for i in np.flatnonzero(table.index == ""):
        keep[i] = any(map(_is_number, table.iloc[i]))
    left_out = table[~keep].to_numpy().ravel()
    left_out = left_out[pd.notna(left_out)]
    if len(left_out):
        warn(f"rows with neither a name nor a number are left out: {some(left_out)}")
    return table[keep].rename_axis(index=key if key in names else None)


def _is_number(value) -> bool:
    text = str(value).strip()
    return any(pattern.fullmatch(text) for pattern in _NUMBER.values())


def texts(values: Iterable) -> pd.Index:
    """Convert names to text without surrounding blanks; missing names become ""."""
    names = ["" if pd.isna(value) else str(value).strip() for value in values]
    return pd.Index(names, dtype=object)


def check_names(table: pd.DataFrame, repeats: bool, numbers: bool = True) -> None:
    """Reject missing names, dates and, unless allowed, repeated names and numbers as names."""
    if not table.size:
        raise ValueError("it holds no values")
    for axis, names in (("column", table.columns), ("row", table.index)):
        dates = dates_among(names)
        missing = np.flatnonzero(names == "")
        if dates:
            date = dates[0].removesuffix(" 00:00:00")
            raise ValueError(f"dates instead of {axis} names, such as {date}; enter names as text")
        if len(missing):
            number = missing[0] + 1
            raise ValueError(f"{axis} {number} of {len(names)} has values but no name")
        if names.has_duplicates and not repeats:
            twice = names[names.duplicated()].unique()
            raise ValueError(f"{axis} names appear more than once: {some(twice)}")
    if not numbers and all(map(_FRACTION.fullmatch, table.columns)):
        raise ValueError(f"the first row has numbers instead of names: {some(table.columns, 3)}")


def has_decimal_commas(table: pd.DataFrame) -> bool:
    """Whether any text in a table is a number with a comma or with several points."""
    values = table.select_dtypes(object).to_numpy()
    for value in pd.unique(values.ravel()):
        text = str(value).strip()
        marked = "," in text or text.count(".") > 1
        if marked and _NUMBER[","].fullmatch(text):
            return True
    return False


def to_numbers(
    table: pd.DataFrame, what: str, decimal, marks, notes: list[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Convert a table to float64, and mask values that are neither numbers nor missing."""
    if isinstance(marks, str | int | float):
        marks = [marks]
    marks = {str(mark).strip().casefold() for mark in marks}
    values = np.empty(table.shape)
    is_text = np.zeros(table.shape, dtype=bool)
    plain = np.array([_is_plain(dtype) for dtype in table.dtypes], dtype=bool)
    values[:, plain] = table.loc[:, plain].to_numpy(np.float64)
    given = table.loc[:, ~plain].to_numpy(object)
    codes, distinct = pd.factorize(given.ravel())  # missing values have the code -1, the last one
    codes = codes.reshape(given.shape)
    converted = np.full(len(distinct) + 1, np.nan)
    wrong = np.zeros(len(distinct) + 1, dtype=bool)
    strings = {}
    for i, value in enumerate(distinct):
        if isinstance(value, Number):
            converted[i] = value
        else:
            strings[i] = str(value).strip().translate(_PLAIN)
    decimal = _decimal_mark(decimal, strings.values(), what)
    for i, string in strings.items():
        if _NUMBER[decimal].fullmatch(string):
            converted[i] = _number(string, decimal)
        else:
            wrong[i] = string.casefold() not in MARKS | marks
    if decimal == "," and any("," in string for string in strings.values()):
        notes.append(f"{what}: decimal commas are read as points")
    values[:, ~plain] = converted[codes]
    is_text[:, ~plain] = wrong[codes]
    for mark in marks:  # such as -999
        if _NUMBER["."].fullmatch(mark):
            values[values == float(mark)] = np.nan
    is_text |= np.isinf(values)
    return pd.DataFrame(values, table.index, table.columns), is_text


def _is_plain(dtype) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def _number(string, decimal):
    """Number spelled with this decimal mark and with any mark between groups of digits."""
    others = r"[.'\s]" if decimal == "," else r"[,'\s]"
    digits = re.sub(others, "", string)
    return float(digits.replace(",", "."))


def _decimal_mark(given: str | None, strings: Iterable[str], what: str) -> str:
    """The given decimal mark or, if it is None, the mark with which all values can be read."""
    if given is not None:
        check_among("decimal", given, (".", ","))
        return given
    only_point, only_comma, either = [], [], []
    for string in strings:
        point = _NUMBER["."].fullmatch(string)
        comma = _NUMBER[","].fullmatch(string)
        if point and comma and "," in string:
            either.append(string)
        elif point and not comma:
            only_point.append(string)
        elif comma and not point:
            only_comma.append(string)
    if only_point and only_comma:
        unclear = f"{only_point[0]!r} and {only_comma[0]!r}"
    elif either and not only_point and not only_comma:
        unclear = repr(either[0])
    else:
        return "," if only_comma else "."
    raise ValueError(
        f"{what}: the decimal mark is unclear from {unclear}; set decimal=',' or decimal='.'"
    )


def require_none(
    wrong: np.ndarray, table: pd.DataFrame, what: str, problem: str, advice: str
) -> None:
    """Reject `wrong` values; the error counts them by column and quotes the first."""
    if not wrong.any():
        return
    counts = pd.Series(wrong.sum(axis=0), table.columns)
    columns = [f"{n} in column {name!r}" for name, n in counts[counts > 0].items()]
    j, i = np.argwhere(wrong.T)[0]
    value = str(table.iat[i, j])
    first = f"the first is {value!r} for cell {table.index[i]!r}"
    raise ValueError(f"{what}: {problem}: {some(columns)}; {first}; {advice}")


def as_numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Convert all columns to float64, with NaN for missing values; reject text."""
    numbers, text = to_numbers(table, what, None, (), [])
    problem = "values that are not numbers"
    require_none(text, table, what, problem, "correct them or leave them out")
    return numbers


def kept(gaps: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the cells and outputs to keep, from the mask of missing values."""
    if missing == "cells":
        return ~gaps.any(axis=1), np.ones(gaps.shape[1], dtype=bool)
    if missing == "outputs":
        cells = ~gaps.all(axis=1)  # a cell without any value would leave no output
        return cells, ~gaps[cells].any(axis=0)
    ways = _fewest_left_out(gaps), kept(gaps, "cells"), kept(gaps, "outputs")
    return max(ways, key=_n_kept)


def _n_kept(way):
    cells, outputs = way
    return cells.sum() * outputs.sum()


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


def no_genes(names: pd.Index) -> np.ndarray:
    """Mask, of shape (n_genes,), of the spike-ins and the counters of unassigned reads."""
    return np.array([_NO_GENE.fullmatch(name) is not None for name in names], dtype=bool)


def unique_genes(X: pd.DataFrame, duplicates: str, is_log: bool, notes: list[str]) -> pd.DataFrame:
    """Merge genes that have the same name, in order of first occurrence."""
    repeated = X.columns.duplicated()
    if not repeated.any():
        return X
    twice = X.columns[repeated].unique()
    found = f"expression: gene names that appear more than once ({len(twice)}): {some(twice)}"
    if duplicates == "error" or (duplicates == "sum" and is_log):
        raise ValueError(
            f"{found}; set duplicates='first' to take the first of each or 'sum' to add up counts"
        )
    notes.append(f"{found}; duplicates={duplicates!r}")
    if duplicates == "first":
        return X.loc[:, ~repeated]
    return X.T.groupby(level=0, sort=False).sum().T


def loosened(names: pd.Index) -> pd.Index:
    """Remove case, blanks, punctuation, R's X before a digit and 10x's -1 from names."""
    plain = []
    for name in names:
        name = re.sub(r"[\W_]+", ".", name.lower())
        name = name.strip(".")
        name = re.sub(r"^x(?=\d)", "", name)
        plain.append(_BARCODE.sub(r"\1", name))
    return pd.Index(plain, dtype=object)


def same_cells(X: pd.DataFrame, Y: pd.DataFrame, genes_in_rows: bool | None, match: str) -> tuple:
    """Orient both tables such that they share the most cells; also return unmatched names."""
    alike = loosened if match == "loose" else pd.Index
    x_axes = (0, 1) if genes_in_rows is None else (int(genes_in_rows),)
    n_shared, x_axis, y_axis = _best_axes(X, Y, x_axes, alike)
    if not n_shared:
        raise ValueError(_nothing_shared(X, Y, x_axes))
    x_names, y_names = X.axes[x_axis], Y.axes[y_axis]
    x_keys, y_keys = alike(x_names), alike(y_names)
    in_y = x_keys.isin(y_keys)  # (n_cells of X,)
    in_x = y_keys.isin(x_keys)  # (n_cells of Y,)
    _require_single("expression", x_names, x_keys, in_y)
    _require_single("outputs", y_names, y_keys, in_x)
    rows = np.flatnonzero(in_y)
    matching = y_keys.get_indexer_for(x_keys[rows])
    X = _taken(X, x_axis, rows)
    Y = _taken(Y, y_axis, matching).set_axis(x_names[rows], axis=0)
    return X, Y, x_names[~in_y], y_names[~in_x]


def _best_axes(X, Y, x_axes, alike):
    """Largest number of shared cells, and the axes of X and Y with the cells (rows, if tied)."""
    best = 0, x_axes[0], 0
    for x_axis in x_axes:
        x_keys = alike(X.axes[x_axis])
        for y_axis in (0, 1):
            y_keys = alike(Y.axes[y_axis])
            n_shared = x_keys.isin(y_keys).sum()
            if n_shared > best[0]:
                best = n_shared, x_axis, y_axis
    return best


def _nothing_shared(X, Y, x_axes) -> str:
    """Message that shows the names of both tables."""
    found = []
    for what, table in (("expression", X), ("outputs", Y)):
        rows = some(table.index, 3)
        columns = some(table.columns, 3)
        found.append(f"{what} (rows: {rows}; columns: {columns})")
    n_loose = _best_axes(X, Y, x_axes, loosened)[0]
    advice = "set cell_key to the column of cell names"
    if n_loose:
        advice = f"set match='loose', which matches {n_loose}"
    advice = f"{advice}, or cell_names to a table of matching names"
    return f"{' and '.join(found)} share no cell name; {advice}"


def _require_single(what, names, keys, shared):
    """Reject names that repeat, and cells of both tables whose names differ too little."""
    alike = keys.duplicated() & shared
    twice = names[names.duplicated() | alike]
    if len(twice):
        raise ValueError(f"{what}: cells appear more than once: {some(twice)}")


def _taken(table: pd.DataFrame, axis: int, cells: np.ndarray) -> pd.DataFrame:
    """Select cells before transposing: text in another column would make all values text."""
    return table.iloc[cells] if axis == 0 else table.iloc[:, cells].T
