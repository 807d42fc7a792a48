"""Values that are possible and still not what they are taken for: counts as log values, typing errors, X as Y."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy import sparse

LARGEST_LOG = 20  # log2 of a million molecules: log values lie below, and some of many counts above
BEYOND_LOG = 50  # and no logarithm of anything that was counted lies here
VALUES_LOOKED_AT = 2**20  # of the first cells
FAR_OUT = 1e6  # SD of the other cells
LARGEST = 1e15  # beyond, sums of squares leave single precision
GENES_AT_ONCE = 64  # so that deviations in double precision stay small


def warn_of_raw_counts(values, argument, advice):
    """Warn where log values are expected and all numbers of the first cells are whole and reach further."""
    if _looked_at(values[:16])[2] < 1:  # one fraction is enough, and mostly found at once
        return
    low, high, whole, usual = _looked_at(values)
    if whole == 1 and low >= 0 and (high > LARGEST_LOG or (high > 2 and usual == 1)):
        warnings.warn(
            f"{argument} looks like raw counts ({_range(low, high, whole)}) where log values are expected; {advice}",
            stacklevel=4,
        )


def warn_of_log_values(values, argument):
    """Warn where counts are expected and numbers of the first cells are not whole, or reach no further than logs do."""
    low, high, whole, usual = _looked_at(values)
    if whole < 1 or (high <= LARGEST_LOG and usual > 1):
        warnings.warn(
            f"{argument} is said to be raw counts and looks like log values ({_range(low, high, whole)}), which are "
            f"not to be normalised once more; leave out counts=True if they are",
            stacklevel=4,
        )


class ExpressionKind(NamedTuple):
    """What a table of expression holds."""

    kind: str  # "counts", "normalised" (not logged, such as CPM or TPM) or "log": to be taken as they are
    told: str  # range and share of whole numbers
    doubt: str  # why it may be something else; mostly empty


def kind_of_expression(values) -> ExpressionKind:
    """Tell raw counts, normalised and log values of an array apart; one fraction and it is no table of counts.

    Some counts reach beyond what log values do, or most that are not zero are 1. Normalised values are not whole and
    reach far beyond. Logarithms to different bases are not told apart.
    """
    usual = _looked_at(values)[3]
    low, high, fractions, expressed = values.min(), values.max(), 0, 0
    step = max(1, VALUES_LOOKED_AT // values.shape[1])
    for first in range(0, len(values), step):
        block = values[first : first + step]
        expressed += np.count_nonzero(block)
        fractions += np.count_nonzero(block != np.rint(block))
    about = _range(low, high, 1 - fractions / values.size)
    if low < 0:
        return ExpressionKind("log", about, "")
    if not fractions:
        if high > LARGEST_LOG or (high > 2 and usual == 1):
            return ExpressionKind("counts", about, "")
        return ExpressionKind("log", about, "small whole numbers may be counts too")
    if high > BEYOND_LOG:
        estimated = expressed > 2 * fractions
        return ExpressionKind("normalised", about, "they may be estimated counts, to be rounded" if estimated else "")
    return ExpressionKind("log", about, "they reach far for log values" if high > LARGEST_LOG else "")


def _looked_at(values):
    """Range, share of whole numbers, and median of what is not zero: mostly 1 where counts do not reach far."""
    block = values[: max(1, VALUES_LOOKED_AT // values.shape[1])]
    size = block.shape[0] * block.shape[1]
    numbers = block.data if sparse.issparse(block) else np.asarray(block).ravel()
    if not numbers.size:
        return 0.0, 0.0, 1.0, 0.0
    with np.errstate(invalid="ignore"):  # infinite ones are somebody else's message
        fractions = np.count_nonzero(numbers != np.rint(numbers))
    zero = [0.0] * (numbers.size < size)
    expressed = numbers[numbers != 0]
    usual = float(np.median(expressed)) if len(expressed) else 0.0
    return min([numbers.min(), *zero]), max([numbers.max(), *zero]), 1 - fractions / size, usual


def _range(low, high, whole):
    return f"values from {low:g} to {high:g}, {np.floor(1000 * whole) / 10:g} % of them whole numbers"


def check_outliers(values, argument, cells=None, columns=None):
    """Refuse finite values beyond 1e15, and warn of a cell more than a million SD of the others away from them.

    One typing error makes the SD of its column so large that all other cells become one and the same.
    """

    def place(i, j):
        cell = f"the cell at position {i}" if cells is None else f"cell {str(cells[i])!r}"
        return f"{cell}, column {j if columns is None else repr(str(columns[j]))}"

    for first in range(0, values.shape[1], GENES_AT_ONCE):
        part = values[:, first : first + GENES_AT_ONCE]
        low, high = part.min(0).astype(np.float64), part.max(0).astype(np.float64)
        j = int(np.maximum(-low, high).argmax())
        if max(-low[j], high[j]) > LARGEST:
            i = int(np.abs(part[:, j]).argmax())
            raise ValueError(
                f"{argument}: {part[i, j]:g} of {place(i, first + j)} is beyond {LARGEST:g}, too large to compute "
                f"with; correct it, leave the cell out, or take another unit"
            )
        mean, sd = part.mean(0, dtype=np.float64), part.std(0, dtype=np.float64)
        # A cell that is alone far out has nearly the largest z-score that there can be, the root of n - 1.
        alone = np.maximum(high - mean, mean - low) > 0.999 * np.sqrt(max(0, len(part) - 1)) * sd
        for j in np.flatnonzero(alone & (high > low)):
            i = int(np.abs(part[:, j] - mean[j]).argmax())
            others = np.delete(part[:, j], i).astype(np.float64)
            if np.ptp(others) > 0 and abs(part[i, j] - others.mean()) > FAR_OUT * others.std():
                warnings.warn(
                    f"{argument}: {part[i, j]:g} of {place(i, first + j)} is more than {FAR_OUT:g} SD away from the "
                    f"other cells; if it is a mistake, correct it or leave the cell out",
                    stacklevel=5,
                )


def check_given_once(X, Y):
    """Refuse several outputs of which each has in all cells the values of a gene: expression given again as outputs."""
    outputs = [y for y in np.asarray(Y).T if np.ptp(y) > 0]
    if len(outputs) > 1 and all(_among(X, y.astype(X.dtype)) for y in outputs):
        raise ValueError(
            f"Y: all {len(outputs)} outputs are columns of X too, so the expression seems to have been given again as "
            f"outputs; expected another measurement of the same cells"
        )


def _among(X, y):
    columns = np.arange(X.shape[1])
    for first in range(0, len(y), 16):  # few genes get beyond the first cells
        cells = slice(first, first + 16)
        columns = columns[(X[cells, columns] == y[cells, np.newaxis]).all(0)]
        if not len(columns):
            return False
    return True
