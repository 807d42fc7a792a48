"""Validation of perturbation screens: counts that are counts, a perturbation for every cell, a truth that fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some

_LARGEST = np.iinfo(np.int32).max


def check_screen_counts(given: Any, argument: str) -> sparse.csr_array:
    """Convert counts to a CSR matrix, refusing what are none, with the share of offending values.

    Parameters
    ----------
    given : array, sparse matrix or DataFrame of shape (n, p)
        Is not changed.
    argument : str
        Its name in messages.

    Returns
    -------
    csr_array of shape (n, p), of the dtype given
        Equal counts are stored in one way: columns in order, no entry twice and no zero.

    Raises
    ------
    ValueError
        Negative, fractional, NaN or infinite values, values beyond int32, no cells or genes.
    TypeError
        No numbers.
    """
    if isinstance(given, pd.DataFrame):
        given = given.to_numpy()
    if not sparse.issparse(given):
        given = np.asarray(given)
    if given.ndim != 2:
        raise ValueError(f"{argument}: expected cells x genes, got shape {given.shape}")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected counts, got values of type {given.dtype}")
    if min(given.shape) == 0:
        raise ValueError(f"{argument}: expected at least one cell and one gene, got shape {given.shape}")
    counts = sparse.csr_array(given)
    if not counts.has_canonical_format or not counts.data.all():
        counts = counts.copy()  # what follows works in place, on what may be memory of the caller
        counts.sum_duplicates()
        counts.eliminate_zeros()
    values, size = counts.data, counts.shape[0] * counts.shape[1]
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):  # NaN and infinity are counted first
        wrong = {
            "NaN or infinite": ~finite,
            "negative": values < 0,
            "fractional": finite & (values % 1 != 0),
            f"larger (than {_LARGEST})": values > _LARGEST,
        }
    for kind, where in wrong.items():
        if where.any():
            raise ValueError(
                f"{argument}: expected whole numbers >= 0, got {where.sum()} {kind} values "
                f"({100 * where.sum() / size:.3g} % of all), the first {values[where.argmax()]}; "
                "give raw counts, not normalised or logarithmic ones"
            )
    return counts


def check_perturbation(given: Any, n_cells: int) -> np.ndarray:
    """Convert the names of perturbations to an array of str, one of each cell."""
    names = np.asarray(given, dtype=object)
    if names.shape != (n_cells,):
        raise ValueError(f"perturbation: expected {n_cells} names, one of each cell, got shape {names.shape}")
    empty = pd.isna(names) | (names == "")
    if empty.any():
        raise ValueError(
            f"perturbation: {empty.sum()} cells have none (NaN or empty), the first at position {empty.argmax()}; "
            "leave them out, or give the control a name"
        )
    return names.astype(str)


def in_order_of_cells(perturbation: Any, cells: np.ndarray) -> Any:
    """Bring a Series that names its cells into their order; whatever else is left as it is."""
    if not names_cells(perturbation):
        return perturbation
    named = perturbation.set_axis(perturbation.index.astype(str))
    strangers = named.index.symmetric_difference(cells)
    if len(strangers) or named.index.has_duplicates:
        raise ValueError(
            "perturbation: its index must hold each cell name once, or be a plain 0, 1, 2 ... for the order of the "
            f"cells; {len(strangers)} names are only in one of the two: {some(strangers)}"
        )
    return named.loc[cells]


def as_names(given: str | Iterable[Any]) -> set[str]:
    """Take names as text, each once; a single one needs no list."""
    return {given} if isinstance(given, str) else {str(name) for name in given}


def names_cells(table: Any) -> bool:
    """Whether a Series or DataFrame has names of cells in its index, not just their positions."""
    return isinstance(table, pd.Series | pd.DataFrame) and not isinstance(table.index, pd.RangeIndex)


def check_screen_truth(given: Mapping[str, Any], perturbation: np.ndarray, control: str | None) -> dict[str, Any]:
    """Check that the ground truth of a simulation speaks of these cells and perturbations."""
    truth = dict(given)
    latents, shifts = truth.get("latents"), truth.get("shifts")
    if latents is not None and (np.ndim(latents) != 2 or len(latents) != len(perturbation)):
        raise ValueError(f"truth['latents'] has shape {np.shape(latents)}, expected ({len(perturbation)}, d)")
    if shifts is not None:
        if not isinstance(shifts, pd.DataFrame):
            raise TypeError(f"truth['shifts'] must be a DataFrame of perturbations, got {type(shifts).__name__}")
        missing = sorted(set(perturbation) - set(shifts.index) - {control})
        if missing:
            raise ValueError(f"truth['shifts'] lacks the perturbations {some(missing)}")
        if latents is not None and np.shape(latents)[1] != shifts.shape[1]:
            raise ValueError(f"truth: {np.shape(latents)[1]} latents of cells, but shifts of {shifts.shape[1]}")
    return truth
