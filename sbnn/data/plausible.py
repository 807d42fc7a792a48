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
    """Warn where log values are expected and all numbers are whole and reach further than log values do.

    Parameters
    ----------
    values : array or CSR matrix, shape (n, p)
        Its first cells are looked at.
    argument : str
        How the message calls them.
    advice : str
        What to do instead.

    Warns
    -----
    UserWarning
        With the range and the share of whole numbers.
    """
    if _looked_at(values, at_first=16)[2] < 1:
        return
    low, high, whole, usual = _looked_at(values)
    if whole == 1 and low >= 0 and (high > LARGEST_LOG or (high > 2 and usual == 1)):
        warnings.warn(
            f"{argument} looks like raw counts ({_told(low, high, whole)}) where log values are expected; {advice}",
            stacklevel=4,
        )


def warn_of_log_values(values, argument):
    """Warn where counts are expected and numbers are not whole, or reach no further than log values do.

    Parameters
    ----------
    values : array or CSR matrix, shape (n, p)
        Its first cells are looked at.
    argument : str
        How the message calls them.

    Warns
    -----
    UserWarning
        With the range and the share of whole numbers.
    """
    low, high, whole, usual = _looked_at(values)
    if whole < 1 or (high <= LARGEST_LOG and usual > 1):
        warnings.warn(
            f"{argument} is said to be raw counts and looks like log values ({_told(low, high, whole)}), which are not "
            f"to be normalised once more; leave out counts=True if they are",
            stacklevel=4,
        )


class ExpressionKind(NamedTuple):
    """What a table of expression holds."""

    kind: str  # "counts", "normalised" (not logged, such as CPM or TPM) or "log": to be taken as they are
    told: str  # range and share of whole numbers
    doubt: str  # why it may be something else; mostly empty


def kind_of_expression(values) -> ExpressionKind:
    """Tell raw counts, normalised values and log values apart, by their range and by whether they are whole.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        All of it is looked at: one fraction and it is no table of counts.

    Returns
    -------
    ExpressionKind
        Counts are whole, and some reach beyond what log values do, or most that are not zero are 1. Normalised values
        are not whole and reach far beyond. Logarithms to different bases are not told apart.
    """
    usual = _looked_at(values)[3]
    low, high, whole, expressed = np.inf, -np.inf, 0, 0
    step = max(1, VALUES_LOOKED_AT // values.shape[1])
    for first in range(0, len(values), step):
        block = values[first : first + step]
        low, high = min(low, block.min()), max(high, block.max())
        seen = block[block != 0]
        expressed += len(seen)
        whole += np.count_nonzero(seen == np.rint(seen))
    fractions = expressed - whole
    told = _told(low, high, 1 - fractions / values.size)
    if low < 0:
        return ExpressionKind("log", told, "")
    if not fractions:
        if high > LARGEST_LOG or (high > 2 and usual == 1):
            return ExpressionKind("counts", told, "")
        return ExpressionKind("log", told, "small whole numbers may be counts too")
    if high > BEYOND_LOG:
        estimated = whole > fractions
        return ExpressionKind("normalised", told, "they may be estimated counts, to be rounded" if estimated else "")
    return ExpressionKind("log", told, "they reach far for log values" if high > LARGEST_LOG else "")


def _looked_at(values, at_first=None):
    """Range, share of whole numbers and median of what is not zero, in the first cells.

    Where counts do not reach far, most of what is not zero is 1.
    """
    n_cells = max(1, VALUES_LOOKED_AT // values.shape[1]) if at_first is None else at_first
    block = values[:n_cells]
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


def _told(low, high, whole):
    return f"values from {low:g} to {high:g}, {np.floor(1000 * whole) / 10:g} % of them whole numbers"


def check_outliers(values, argument, cells=None, columns=None):
    """Refuse values that no arithmetic survives, and warn of a cell that is out of all proportion to the others.

    One typing error makes the SD of its column so large that all other cells become one and the same.

    Parameters
    ----------
    values : ndarray, shape (n, k)
        Finite.
    argument : str
        How the message calls them.
    cells, columns : sequence, optional
        Their names; by default positions.

    Raises
    ------
    ValueError
        If a value is beyond 1e15, where sums of squares leave single precision.

    Warns
    -----
    UserWarning
        If a value is further from the mean of the other cells than a million of their SD.
    """
    for first in range(0, values.shape[1], GENES_AT_ONCE):
        part = values[:, first : first + GENES_AT_ONCE]
        low, high = part.min(0).astype(np.float64), part.max(0).astype(np.float64)
        j = int(np.maximum(-low, high).argmax())
        if max(-low[j], high[j]) > LARGEST:
            i = int(np.abs(part[:, j]).argmax())
            raise ValueError(
                f"{argument}: {part[i, j]:g} of {_place(i, first + j, cells, columns)} is beyond {LARGEST:g}, too "
                f"large to compute with; correct it, leave the cell out, or take another unit"
            )
        mean, sd = part.mean(0, dtype=np.float64), part.std(0, dtype=np.float64)
        # A cell that is alone far out has nearly the largest z-score that there can be, the root of n - 1.
        alone = np.maximum(high - mean, mean - low) > 0.999 * np.sqrt(max(0, len(part) - 1)) * sd
        for j in np.flatnonzero(alone & (high > low)):
            i = int(np.abs(part[:, j] - mean[j]).argmax())
            others = np.delete(part[:, j], i).astype(np.float64)
            if np.ptp(others) > 0 and abs(part[i, j] - others.mean()) > FAR_OUT * others.std():
                warnings.warn(
                    f"{argument}: {part[i, j]:g} of {_place(i, first + j, cells, columns)} is more than {FAR_OUT:g} SD "
                    f"away from the other cells; if it is a mistake, correct it or leave the cell out",
                    stacklevel=5,
                )


def check_given_once(X, Y):
    """Refuse several outputs that are all genes of X as well: nothing is predicted by what is known already.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    Y : ndarray, shape (n, q)

    Raises
    ------
    ValueError
        If there are at least two outputs, and each has in all cells the values of a gene.
    """
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


def _place(i, j, cells, columns):
    cell = f"the cell at position {i}" if cells is None else f"cell {str(cells[i])!r}"
    return f"{cell}, column {j if columns is None else repr(str(columns[j]))}"
