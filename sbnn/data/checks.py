"""Validation of user input: convert it to clean arrays, or raise an error that explains what is
wrong.

The checks also detect valid numbers that are probably mistakes, such as counts passed as log
values, typing errors, or X passed as Y.
"""

import colorsys
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.errors import attempt, check_number, naming

UNKNOWN = "unknown"  # cells without a known group
GREY = "#808080"  # colour of unknown cells
# Okabe & Ito (2008): distinguishable with the common forms of colour blindness; their yellow is
# left out because it is too pale for dots.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# log2 of a million molecules; log values are smaller, and the largest counts are larger
LARGEST_LOG = 20
BEYOND_LOG = 50  # no logarithm of a count is this large
VALUES_LOOKED_AT = 2**20  # number of values to inspect, taken from the first cells
# least distance of an extreme outlier from the mean of the other cells, in SDs of these cells
FAR_OUT = 1e6
LARGEST = 1e15  # beyond this value, sums of squares overflow in single precision
# genes checked at a time, so that their deviations in double precision need little memory
GENES_AT_ONCE = 64
# marks of missing values in tables
NINES = [sign * float("9" * n) for n in range(2, 7) for sign in (1, -1)]
_MONTH = "(Jan|Feb|Ma[iry]|Mär|Mrz|Apr|Jun|Jul|Aug|Sept?|O[ck]t|Nov|De[cz])"
DATE = re.compile(  # dates into which spreadsheets turn gene names such as SEPT2 and MARCH1
    rf"\d{{4}}-\d\d-\d\d( 00:00:00)?|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|\d{{1,2}}[-. ]+{_MONTH}|{_MONTH}-\d\d"
)
# a mark that occurs once must differ from the other values by more than this multiple of their
# range
ALONE = 3
FEWEST_NUMBERED = 8  # minimum number of cells to recognise IDs
MOST = 1e9  # largest value of a setting; with larger values, numbers overflow or loops do not end


class CheckedSettings:
    """Base class for settings: each field has the type of its default, and numbers lie between `_LEAST` and `_MOST`."""

    # smallest values of fields; by default 1 for whole numbers and 0 for other numbers
    _LEAST: dict = {}
    _LENGTHS: dict = {}  # smallest and largest length of a tuple
    # largest values of fields; by default 1 for rates and shares and 1e9 for other numbers
    _MOST: dict = {}

    def __post_init__(self):
        """Check the types and ranges of all fields."""
        for name, default in ((one.name, one.default) for one in fields(self)):
            value, several = getattr(self, name), isinstance(default, tuple)
            values = (
                attempt(f"{name}: expected numbers, such as {default}", tuple, value)
                if several
                else (value,)
            )
            check_number(
                f"the length of {name}", len(values), int, *self._LENGTHS.get(name, (1, MOST))
            )
            kind = type(default[0] if several else default)
            if kind in (int, float) or (default is None and value is not None):
                kind = kind if kind is int else float
                most = self._MOST.get(
                    name, 1 if {"rate", "share"} & {*name.split("_")} and kind is float else MOST
                )
                for number in values:
                    check_number(name, number, kind, self._LEAST.get(name, int(kind is int)), most)
                # Built-in Python numbers, so that equal settings are stored alike.
                object.__setattr__(self, name, tuple(map(kind, values)) if several else kind(value))
            elif not isinstance(value, kind):
                raise TypeError(f"{name}: expected {kind.__name__}, got {value!r}")


def check_matrix(values: Any, argument: str) -> np.ndarray:
    """Convert an array, a sparse matrix or a DataFrame to a dense, C-contiguous, two-dimensional float32 array."""
    check_unmasked(values, argument)
    expected = (
        f"{argument}: expected numbers of shape (cells, columns), got {type(values).__name__}"
    )
    # overflow becomes infinite, which check_outliers reports
    with naming(expected), np.errstate(over="ignore"):
        numbers = np.asarray(values.toarray() if sparse.issparse(values) else values)
        numbers = numbers.astype(
            np.float32, "C", "unsafe" if numbers.dtype.kind in "OSU" else "same_kind", copy=False
        )
        _, _ = numbers.shape
    return numbers


def check_unmasked(values: Any, argument: str) -> None:
    """Reject a masked array with masked values, since numpy and scikit-learn would ignore the mask."""
    if np.ma.is_masked(values):
        raise ValueError(f"{argument}: got masked values; fill them in or leave out their cells")


def dates_among(names: Iterable[str]) -> list[str]:
    """List the names that look like dates, or none if at least half of the names do, since dates
    are then intended.

    If a date ends in 00:00:00, as after a conversion by a spreadsheet program, all dates are
    listed.
    """
    found = [name for name in names if DATE.fullmatch(name)]
    return (
        found
        if 2 * len(found) < len(names) or any(name.endswith("00:00:00") for name in found)
        else []
    )


def check_names(given: Any, argument: str, kind: str, size: int) -> np.ndarray:
    """Convert names to a 1-D array of unique, non-empty str; ``None`` gives numbered names."""
    if given is None:
        return np.array([f"{kind}_{i}" for i in range(size)], dtype=str)
    names = pd.Series(np.ravel(np.asarray(given, dtype=object)))
    text = names.astype(str)
    bad = some(map(repr, text[names.isna() | (text == "") | text.duplicated()].unique()))
    if len(names) != size or bad:
        raise ValueError(
            f"{argument}: expected {size} {kind} names, got {text.size}; empty or repeated: {bad or None}"
        )
    return text.to_numpy().astype(str)


def check_labels(
    given: pd.DataFrame | None,
    cells: np.ndarray,
    always: Iterable[str],
    if_given: Iterable[str] = (),
) -> pd.DataFrame:
    """Align labels with the cells, and add the columns in `always` that are missing.

    The columns in `always` and `if_given` are converted to text.
    """
    given = pd.DataFrame(index=pd.Index(cells, dtype=object)) if given is None else given
    with naming("labels: expected a DataFrame with a row for each cell"):
        given = given.to_frame() if isinstance(given, pd.Series) else given
        labels = given.set_axis(given.index.astype(str), axis=0)
    alone = labels.index.symmetric_difference(cells)
    if len(alone) or labels.index.has_duplicates:
        apart, twice = (
            some(alone) or "none",
            some(labels.index[labels.index.duplicated()]) or "none",
        )
        raise ValueError(
            f"labels: expected one row for each cell; unmatched names: {apart}; repeated names: {twice}"
        )
    labels = labels.loc[cells]
    for column in (*always, *(column for column in if_given if column in labels)):
        text = labels[column] if column in labels else pd.Series(UNKNOWN, labels.index)
        # Whole numbers stay whole (7, not 7.0) in columns with missing values.
        text = text.convert_dtypes(convert_string=False).astype(object)
        labels[column] = text.where(text.notna(), UNKNOWN).astype(str).replace("", UNKNOWN)
    return labels


def check_blanks(labels, argument: str) -> None:
    """Reject labels that differ only in whitespace, which would be counted as different groups."""
    labels = pd.Index(np.unique(np.asarray(labels).astype(str)))
    plain = labels.str.strip()
    if plain.has_duplicates:
        twice = some(map(repr, labels[plain.duplicated(keep=False)]))
        raise ValueError(
            f"{argument}: labels differ only in blanks: {twice}; remove the blanks with .str.strip()"
        )


@naming("colors: expected a dict that maps types to colours")
def check_colors(given: Mapping[str, Any], types: Iterable[str]) -> dict[str, str]:
    """Map every type to ``"#RRGGBB"``: the given colour or one from a palette; by default, "unknown" is grey."""
    colors = {str(key): _as_hex(color) for key, color in given.items()}
    missing = sorted(set(types) - colors.keys() - {UNKNOWN})
    colors.update(zip(missing, _palette(len(missing)), strict=True))
    if UNKNOWN in set(types):
        colors.setdefault(UNKNOWN, GREY)
    return colors


def _as_hex(color: Any) -> str:
    if isinstance(color, str) and re.fullmatch(r"#[0-9A-Fa-f]{6}", color):
        return color
    from matplotlib.colors import to_hex  # slow to import, and only needed here

    return to_hex(color).upper()


def _palette(size: int) -> list[str]:
    """Colours of a colour-blind-safe palette, or evenly spaced hues if there are more types than colours."""
    if size <= len(OKABE_ITO):
        return list(OKABE_ITO[:size])
    levels = (colorsys.hls_to_rgb(i / size, 0.55 if i % 2 else 0.4, 0.65) for i in range(size))
    return ["#" + "".join(f"{round(255 * level):02X}" for level in rgb) for rgb in levels]


def check_counts(given: Any, shape: tuple[int, int]) -> np.ndarray | sparse.csr_array | None:
    """Convert raw counts, which must have the `shape` of X, to an integer array or CSR matrix."""
    if given is None:
        return None
    counts = sparse.csr_array(given) if sparse.issparse(given) else np.asarray(given)
    values = counts.data if sparse.issparse(counts) else counts
    numbers = values.dtype.kind in "iuf"
    if (
        counts.shape != shape
        or not numbers
        or not (np.isfinite(values) & (values % 1 == 0) & (values >= 0)).all()
    ):
        reach = f" from {values.min()} to {values.max()}" if numbers and values.size else ""
        text = f"got {values.dtype} values of shape {counts.shape}{reach}"
        raise ValueError(
            f"counts: expected non-negative whole numbers in the shape of X, {shape}, {text}"
        )
    return counts.astype(np.int64) if values.dtype.kind == "f" else counts


def some(names: Iterable[Any], limit: int = 5) -> str:
    """List the first few of many names, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:limit]) + (
        f" and {len(names) - limit} more" if len(names) > limit else ""
    )


def warn_of_raw_counts(values, argument, advice):
    """Warn if log values are expected but the first cells hold only whole numbers that look like counts."""
    if looked_at(values[:16])[2] < 1:  # a single fraction rules out counts
        return
    low, high, whole, usual = looked_at(values)
    if whole == 1 and low >= 0 and (high > LARGEST_LOG or (high > 2 and usual == 1)):
        text = f"{argument} looks like raw counts ({_range(low, high, whole)}) where log values are expected"
        warnings.warn(f"{text}; {advice}", stacklevel=4)


def warn_of_log_values(values, argument):
    """Warn if counts are expected but the first cells hold fractions, or whole numbers that may be logarithms."""
    low, high, whole, usual = looked_at(values)
    if whole < 1 or (high <= LARGEST_LOG and usual > 1):
        text = f"{argument} is declared as raw counts but looks like log values ({_range(low, high, whole)})"
        warnings.warn(f"{text}; if they are log values, leave out counts=True", stacklevel=4)


def kind_of_expression(values) -> tuple[str, str, str]:
    """Classify values as "counts", "normalised" (CPM, TPM) or "log", with their range and any
    reason for doubt.

    Whole numbers are counts if some exceed `LARGEST_LOG`, or if some exceed 2 and the median
    nonzero value is 1. Values are normalised if some are fractions and some exceed `BEYOND_LOG`.
    All other values, and all values in a table with negative numbers, are logarithms; the base is
    not detected.
    """
    usual, low, high = looked_at(values)[3], values.min(), values.max()
    fractions, expressed = np.count_nonzero(values != np.rint(values)), np.count_nonzero(values)
    kind, doubt = "log", ""
    if low >= 0 and not fractions:
        counted = high > LARGEST_LOG or (high > 2 and usual == 1)
        kind, doubt = (
            ("counts", "") if counted else ("log", "small whole numbers may be counts too")
        )
    elif low >= 0 and high > BEYOND_LOG:
        estimated = expressed > 2 * fractions
        kind, doubt = (
            "normalised",
            "they may be estimated counts, which need rounding" if estimated else "",
        )
    elif low >= 0 and high > LARGEST_LOG:
        doubt = "they are unusually large for log values"
    return kind, _range(low, high, 1 - fractions / values.size), doubt


def looked_at(values):
    """Minimum, maximum, share of whole numbers and median nonzero value (often 1 for counts) in the first cells."""
    block = values[: max(1, VALUES_LOOKED_AT // values.shape[1])]
    size = block.shape[0] * block.shape[1]
    numbers = block.data if sparse.issparse(block) else np.asarray(block).ravel()
    numbers = numbers if numbers.size else np.zeros(1)
    with np.errstate(invalid="ignore"):  # infinite values are reported elsewhere
        fractions = np.count_nonzero(numbers != np.rint(numbers))
    zero = [0.0] * (numbers.size < size)
    expressed = numbers[numbers != 0]
    usual = float(np.median(expressed)) if len(expressed) else 0.0
    return min([numbers.min(), *zero]), max([numbers.max(), *zero]), 1 - fractions / size, usual


def _range(low, high, whole):
    return (
        f"values from {low:g} to {high:g}, {np.floor(1000 * whole) / 10:g} % of them whole numbers"
    )


def check_finite(values: np.ndarray, argument: str, rows, columns) -> None:
    """Reject NaN and absolute values above 1e15; the error shows the first such value."""
    wrong = ~(np.abs(values) <= LARGEST)
    if wrong.any():
        text = _entry(values, *np.argwhere(wrong)[0], argument, rows, columns)
        raise ValueError(
            f"{text}, expected a number within ±{LARGEST:g}; correct it or leave the cell out"
        )


def check_recorded(
    values: np.ndarray, argument: str, rows=None, columns=None, stacklevel=3
) -> None:
    """Like `check_finite`, but accept NaN as a value that was not recorded; warn about cells without any value."""
    columns = range(values.shape[1]) if columns is None else columns
    missing = np.isnan(values)
    check_finite(np.where(missing, 0, values), argument, rows, columns)
    if (empty := missing.all(axis=1)).any():
        names = some(np.flatnonzero(empty) if rows is None else np.asarray(rows)[empty])
        text = f"{argument}: no values for {empty.sum()} of {len(values)} cells: {names}; leave such cells out"
        warnings.warn(text, stacklevel=stacklevel)


def _entry(values, i, j, argument, rows, columns):
    row = f"{i} (counting from 0)" if rows is None else repr(str(rows[i]))
    return f"{argument}: the value of cell {row} in column {str(columns[j])!r} is {values[i, j]:g}"


def check_outliers(values, argument, cells=None, columns=None):
    """Reject values that are not finite; warn about marks for missing values and about extreme
    outliers.

    A single typing error can make the SD of its column so large that all other cells become
    indistinguishable.
    """
    for first in range(0, values.shape[1], GENES_AT_ONCE):
        part = values[:, first : first + GENES_AT_ONCE]
        names = (range(values.shape[1]) if columns is None else columns)[
            first : first + GENES_AT_ONCE
        ]
        check_finite(part, argument, cells, names)
        warn_of_marks(part, argument, names, stacklevel=5)
        low, high = part.min(0).astype(np.float64), part.max(0).astype(np.float64)
        mean, sd = part.mean(0, dtype=np.float64), part.std(0, dtype=np.float64)
        # If one cell is far from all others, its z-score is nearly the largest possible one, the
        # square root of n - 1.
        alone = np.maximum(high - mean, mean - low) > 0.999 * np.sqrt(max(0, len(part) - 1)) * sd
        for j in np.flatnonzero(alone & (high > low)):
            i = int(np.abs(part[:, j] - mean[j]).argmax())
            others = np.delete(part[:, j], i).astype(np.float64)
            if np.ptp(others) > 0 and abs(part[i, j] - others.mean()) > FAR_OUT * others.std():
                text = f"{_entry(part, i, j, argument, cells, names)}, more than {FAR_OUT:g} SD away from the others"
                warnings.warn(
                    f"{text}; if it is a mistake, correct it or leave the cell out", stacklevel=5
                )


def warn_of_marks(values, argument, columns=None, stacklevel=4):
    """Warn about values such as -999 that lie far from the others in their column and may mark missing values."""
    columns, found = range(values.shape[1]) if columns is None else columns, []
    low, high = np.fmin.reduce(values).astype(np.float64), np.fmax.reduce(values).astype(np.float64)
    for j in np.flatnonzero(np.isin(low, NINES) | np.isin(high, NINES)):
        column = values[~np.isnan(values[:, j]), j].astype(np.float64)
        others = column[~np.isin(column, NINES)]
        for mark in {low[j], high[j]}.intersection(NINES):
            n, gap = np.count_nonzero(column == mark), np.abs(others - mark).min(initial=np.inf)
            spread = np.ptp(others) if len(others) > 1 else np.inf
            alone = n == 1 and abs(mark) > 99 and gap > ALONE * spread > 0
            if alone or (
                n > 1 and len(others) > 1 and (gap > spread or np.mean(others % 1 == 0) < 0.1)
            ):
                found.append(
                    f"{mark:g} in {n} cell{'s' if n > 1 else ''} of column {str(columns[j])!r}"
                )
    if found:
        text = f"{argument}: values that may mark missing values: {some(found)}"
        warnings.warn(
            f"{text}; if they do, leave them out (in read_tables, set missing_marks)",
            stacklevel=stacklevel,
        )


def warn_of_mistaken_columns(X, Y, genes=None, outputs=None):
    """Warn if gene names are dates, if an output looks like an ID, or if X and Y seem to be swapped."""
    found = []
    if genes is not None and (dates := dates_among([str(gene) for gene in genes])):
        found.append(
            f"X: dates instead of gene names (SEPT2 became 2-Sep): {some(dates)}; correct them"
        )
    steps = np.diff(Y, axis=0)  # large IDs may be equal in single precision
    rising = (steps >= 0).all(0) & (np.count_nonzero(steps, axis=0) > len(Y) // 2)
    ids = rising & (Y % 1 == 0).all(0) & (len(Y) >= FEWEST_NUMBERED)
    if ids.any():
        names = some(np.arange(Y.shape[1])[ids] if outputs is None else np.asarray(outputs)[ids])
        found.append(
            f"Y: outputs that look like numbers or IDs of the cells: {names}; if they are, leave them out"
        )
    if (
        Y.shape[1] > X.shape[1]
        and Y.min() >= 0
        and (X.min() < 0 or np.mean(Y == 0) > np.mean(X == 0) + 0.1)
    ):
        found.append(
            f"Y ({Y.shape[1]} columns), unlike X ({X.shape[1]}), looks like expression; are they swapped?"
        )
    for text in found:
        warnings.warn(text, stacklevel=4)


def check_given_once(X, Y):
    """Reject Y if all its outputs are columns of X, since expression was probably passed twice."""
    # the z-scores of two cells are always 1 and -1
    outputs = [y for y in np.asarray(Y).T if len(np.unique(y)) > 2]
    if len(outputs) > 1 and all(_among(X, y.astype(X.dtype)) for y in outputs):
        raise ValueError(
            f"Y: all {len(outputs)} outputs are columns of X; was expression passed as outputs too?"
        )


def _among(X, y):
    columns = np.arange(X.shape[1])
    for first in range(0, len(y), 16):  # few genes still match after the first cells
        cells = slice(first, first + 16)
        columns = columns[(X[cells, columns] == y[cells, np.newaxis]).all(0)]
        if not len(columns):
            return False
    return True


def check_in_order(X, values, argument):
    """Reject a Series or table unless it has the same cells as `X` (a DataFrame or AnnData), in the same order."""
    cells, rows = getattr(X, "obs_names", getattr(X, "index", None)), getattr(values, "index", None)
    if isinstance(cells, pd.Index) and isinstance(rows, pd.Index):
        check_same_cells(cells, rows, argument=argument)


def check_same_cells(cells, rows, strict=False, argument="Y"):
    """Reject a Y that does not have the cells of X in the same order; default indices (0, 1, ...) are not compared."""
    cells, rows = cells.astype(str), rows.astype(str)
    numbers = pd.RangeIndex(len(cells)).astype(str)
    named = strict or not (rows.equals(numbers) or cells.equals(numbers)) or set(cells) == set(rows)
    if named and len(cells) == len(rows) and not cells.equals(rows):
        got = f"{argument} has {some(rows, 2)}; if only the order differs, sort the rows of {argument} like those of X"
        raise ValueError(
            f"{argument}: expected the cells of X in the same order; X has {some(cells, 2)}, and {got}"
        )
