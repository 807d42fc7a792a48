"""Checks of a user's table: names, numbers, cells and missing values."""

import re
import warnings
from collections.abc import Iterable
from numbers import Number
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import dates_among, some

#: Texts that mark missing values in spreadsheets, R, Python or tables typed by hand; letter case is
#: ignored.
_TABLE = Path(__file__).parents[1] / "missing_marks.csv"
MARKS = frozenset(pd.read_csv(_TABLE, keep_default_na=False, dtype=str)["mark"])

TEXT = (
    "if text marks missing values, add it to missing_marks; to leave out columns, set drop_columns"
)

_MEASURED = re.compile(r"-?\d*[.,]\d+(e[+-]?\d+)?", re.I)
_PLAIN = str.maketrans({"−": "-", "’": "'"})
# Decimal mark -> pattern of a number, in which the other mark, a blank or an apostrophe may
# separate groups of three digits.
_NUMBER = {
    mark: re.compile(
        rf"[-+]?(\d*[{mark}]?\d+(e[-+]?\d+)?|\d+[{mark}]|[1-9]\d{{0,2}}([{other}'\s])\d{{3}}(\3\d{{3}})*([{mark}]\d*)?)",
        re.I,
    )
    for mark, other in (".,", ",.")
}
# Names of spike-ins, such as ERCC-00002 (but ERCC1 to ERCC8, ERCC6L and ERCC6-PGBD3 are genes), and
# names of the counters of HTSeq and STAR.
_NO_GENE = re.compile(
    r"(gspikein[-_. ]?)?ercc([-_. ]\d.*|\d{5})|gspikein.*|(rna[-_. ]?)?spike([-_. ]?ins?)?[-_. ]?\d+|rna[-_. ]spike.*"
    r"|__\w+|N_(unmapped|multimapping|noFeature|ambiguous)|(no_feature|ambiguous|too_low_aQual|not_aligned"
    r"|alignment_not_unique)",
    re.I,
)
_BARCODE = re.compile(r"([acgt]{12,})\.1$")  # a suffix that 10x adds to all barcodes of a sample


def named(names: list[str], body: pd.DataFrame, key: str | None) -> pd.DataFrame:
    """Set the names of columns and rows; leave out unnamed columns without values and unnamed rows without numbers."""
    body = body.set_axis(texts(names), axis=1)
    at = names.index(key) if key in names else 0
    # an unnamed first column has row numbers
    columns = [j for j, name in enumerate(names) if j != at and (j or name)]
    table = body.iloc[:, columns].set_axis(texts(body.iloc[:, at]), axis=0)
    table = table.loc[:, (table.columns != "") | table.notna().any().to_numpy()]
    rows = {
        i: [str(value).strip() for value in table.iloc[i]]
        for i in np.flatnonzero(table.index == "")
    }
    units = [
        i
        for i, row in rows.items()
        if not any(mark.fullmatch(it) for mark in _NUMBER.values() for it in row)
    ]
    units_row = [str(value) for value in table.iloc[units].to_numpy().ravel() if not pd.isna(value)]
    if units_row:
        warnings.warn(
            f"rows with neither a name nor a number are left out: {some(units_row)}", stacklevel=4
        )
    table = table.iloc[np.setdiff1d(np.arange(len(table)), units)]
    return table.rename_axis(index=key if key in names else None)


def texts(values: Iterable) -> pd.Index:
    """Convert names to text without surrounding blanks; missing names become ""."""
    return pd.Index(
        ["" if pd.isna(value) else str(value).strip() for value in values], dtype=object
    )


def problems_of_names(table: pd.DataFrame, repeats: bool, values: bool = True) -> list[str]:
    """List problems with names; `repeats` permits repeated names, and `values` permits numbers as column names."""
    if not table.size:
        return [f"it holds no values ({table.shape[0]} rows x {table.shape[1]} columns)"]
    problems = []
    for axis, names in (("column", table.columns), ("row", table.index)):
        if dates := dates_among(names):
            advice = "enter the names as text, or leave them out"
            problems.append(f"dates instead of {axis} names, such as {dates[0][:10]}; {advice}")
        if (names == "").any():
            first = np.flatnonzero(names == "")[0] + 1
            problems.append(f"{axis} {first} of {len(names)} has values but no name")
        elif names.has_duplicates and not repeats:
            problems.append(
                f"{axis} names appear more than once: {some(names[names.duplicated()].unique())}"
            )
    if not values and all(map(_MEASURED.fullmatch, table.columns)):
        problems.append(f"the first row has numbers instead of names: {some(table.columns, 3)}")
    return problems


def has_decimal_commas(table: pd.DataFrame) -> bool:
    """Whether any text in a table is a number with a comma or with several points."""
    distinct = pd.unique(table.select_dtypes(object).to_numpy().ravel())
    texts = (value.strip() for value in distinct if isinstance(value, str))
    return any(_NUMBER[","].fullmatch(text) for text in texts if "," in text or text.count(".") > 1)


def to_numbers(
    table: pd.DataFrame, what: str, decimal, marks, notes: list[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Convert a table to float64 (NaN for all but numbers); also mask values that are neither numbers nor missing."""
    marks = {
        str(mark).strip().casefold()
        for mark in ([marks] if isinstance(marks, str | int | float) else marks)
    }
    plain = np.array(
        [isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in table.dtypes], dtype=bool
    )
    values, text = np.empty(table.shape), np.zeros(table.shape, bool)
    values[:, plain] = table.iloc[:, plain].to_numpy(np.float64)
    given = table.iloc[:, ~plain].to_numpy(object)
    codes, distinct = pd.factorize(given.ravel())
    converted = np.array(
        [value if isinstance(value, Number) else np.nan for value in distinct], dtype=np.float64
    )
    strings = {
        i: str(v).strip().translate(_PLAIN)
        for i, v in enumerate(distinct)
        if not isinstance(v, Number)
    }
    decimal = _decimal_mark(decimal, strings.values(), what)
    is_text = np.zeros(len(distinct), bool)
    for i, string in strings.items():
        if _NUMBER[decimal].fullmatch(string):
            grouping = r"[.'\s]" if decimal == "," else r"[,'\s]"
            converted[i] = float(re.sub(grouping, "", string).replace(",", "."))
        else:
            is_text[i] = string.casefold() not in MARKS | marks
    if decimal == "," and any("," in string for string in strings.values()):
        notes.append(f"{what}: decimal commas are read as points")
    codes = codes.reshape(given.shape)
    values[:, ~plain] = np.append(converted, np.nan)[codes]  # missing values have the code -1
    text[:, ~plain] = np.append(is_text, False)[codes]
    # such as -999
    values[np.isin(values, [float(mark) for mark in marks if _NUMBER["."].fullmatch(mark)])] = (
        np.nan
    )
    return pd.DataFrame(values, table.index, table.columns), text | np.isinf(values)


def _decimal_mark(given: str | None, strings: Iterable[str], what: str) -> str:
    """The given decimal mark or, if it is None, the mark with which all values can be read."""
    spelled = [string for string in strings if "," in string or "." in string]
    point, comma = (
        [string for string in spelled if _NUMBER[mark].fullmatch(string)] for mark in ".,"
    )
    certain = (
        [string for string in point if string not in comma][:1],
        [s for s in comma if s not in point][:1],
    )
    doubtful = [string for string in point if "," in string][:1]
    if (
        given is None
        and (all(certain) or (doubtful and not any(certain)))
        or given not in (None, ".", ",")
    ):
        which = " and ".join(map(repr, sum(certain, []) or doubtful or [given]))
        raise ValueError(
            f"{what}: the decimal mark is unclear from {which}; set decimal=',' or decimal='.'"
        )
    return given or ("," if certain[1] else ".")


def require_none(
    wrong: np.ndarray, table: pd.DataFrame, what: str, problem: str, advice: str
) -> None:
    """Reject a table in which any value is `wrong`; the error counts these values by column and quotes the first."""
    if wrong.any():
        j, i = np.argwhere(wrong.T)[0]
        listed = some(
            f"{n} in column {name!r}"
            for name, n in zip(table.columns, wrong.sum(axis=0), strict=True)
            if n
        )
        place = f"the first is {str(table.iat[i, j])!r} for cell {table.index[i]!r}"
        raise ValueError(f"{what}: {problem}: {listed}; {place}; {advice}")


def as_numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Convert all columns to float64, with NaN for missing values; reject text."""
    numbers, text = to_numbers(table, what, None, (), [])
    require_none(text, table, what, "values that are not numbers", "correct them or leave them out")
    return numbers


def kept(gaps: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the cells and outputs to keep such that no value is missing; `gaps` is a mask of the missing values."""
    cells, outputs = (np.ones(size, bool) for size in gaps.shape)
    if missing == "cells":
        return ~gaps.any(axis=1), outputs
    if missing == "outputs":
        cells = ~gaps.all(axis=1)  # a cell without any value would leave no output
        return cells, ~gaps[cells].any(axis=0)
    # drop the cell or output with the largest share
    while (left := gaps & cells[:, np.newaxis] & outputs).any():
        by_cell, by_output = left.sum(axis=1) / outputs.sum(), left.sum(axis=0) / cells.sum()
        if by_cell.max() > by_output.max():
            cells[by_cell.argmax()] = False
        else:
            outputs[by_output.argmax()] = False
    ways = (cells, outputs), kept(gaps, "cells"), kept(gaps, "outputs")
    return max(ways, key=lambda way: way[0].sum() * way[1].sum())


def no_genes(names: pd.Index) -> np.ndarray:
    """Boolean mask, of shape (n_genes,), of the columns that are spike-ins or counters of unassigned reads."""
    return np.array([_NO_GENE.fullmatch(name) is not None for name in names], dtype=bool)


def unique_genes(X: pd.DataFrame, duplicates: str, is_log: bool, notes: list[str]) -> pd.DataFrame:
    """Merge genes that have the same name, in order of first occurrence."""
    twice = X.columns[X.columns.duplicated()].unique()
    if not len(twice):
        return X
    repeated = f"expression: gene names that appear more than once ({len(twice)}): {some(twice)}"
    if duplicates == "error" or (duplicates == "sum" and is_log):
        raise ValueError(
            f"{repeated}; set duplicates='first' to take the first of each or 'sum' to add up counts"
        )
    notes.append(f"{repeated}; duplicates={duplicates!r}")
    return (
        X.loc[:, ~X.columns.duplicated()]
        if duplicates == "first"
        else X.T.groupby(level=0, sort=False).sum().T
    )


def loosened(names: pd.Index) -> pd.Index:
    """Remove differences between programs from names: case, blanks, punctuation, R's X before a digit, 10x's -1."""
    plain = [
        re.sub(r"^x(?=\d)", "", re.sub(r"[\W_]+", ".", name.lower()).strip(".")) for name in names
    ]
    return pd.Index([_BARCODE.sub(r"\1", name) for name in plain], dtype=object)


def same_cells(X: pd.DataFrame, Y: pd.DataFrame, genes_in_rows: bool | None, match: str) -> tuple:
    """Orient both tables such that they share the most cells, in the order of X; also return the unmatched names."""
    x_axes = (0, 1) if genes_in_rows is None else (int(genes_in_rows),)

    def best(alike):
        """Largest number of shared cells, and the axes of X and Y that hold the cells (the rows if there is a tie)."""
        ways = (
            (alike(X.axes[x]).isin(alike(Y.axes[y])).sum(), -x, -y) for x in x_axes for y in (0, 1)
        )
        return np.abs(max(ways))

    alike = loosened if match == "loose" else pd.Index
    shared, x_axis, y_axis = best(alike)
    x_names, y_names = X.axes[x_axis], Y.axes[y_axis]
    x_keys, y_keys = alike(x_names), alike(y_names)
    problems = []
    if not shared:
        places = [
            f"rows: {some(table.index, 3)}; columns: {some(table.columns, 3)}" for table in (X, Y)
        ]
        loose = best(loosened)[0]
        advice = (
            f"set match='loose', which matches {loose}"
            if loose
            else "set cell_key to the column of cell names"
        )
        advice += ", or cell_names to a table of matching names"
        problems.append(
            f"expression ({places[0]}) and outputs ({places[1]}) share no cell name; {advice}"
        )
    for what, names, keys in (("expression", x_names, x_keys), ("outputs", y_names, y_keys)):
        twice = names[
            names.duplicated()
            | (keys.duplicated(keep=False) & keys.isin(x_keys) & keys.isin(y_keys))
        ]
        if shared and len(twice):
            problems.append(f"{what}: cells appear more than once: {some(twice)}")
    if problems:
        raise ValueError("; ".join(problems))
    rows, others = np.flatnonzero(x_keys.isin(y_keys)), np.flatnonzero(y_keys.isin(x_keys))
    Y = _taken(Y, y_axis, others[y_keys[others].get_indexer(x_keys[rows])]).set_axis(
        x_names[rows], axis=0
    )
    return _taken(X, x_axis, rows), Y, x_names.delete(rows), y_names.delete(others)


def _taken(table: pd.DataFrame, axis: int, cells: np.ndarray) -> pd.DataFrame:
    """Select cells before transposing, since text in any other column would turn all values into text."""
    return table.iloc[cells] if axis == 0 else table.iloc[:, cells].T
