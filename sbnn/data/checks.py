"""Validation at the border: turn what a user passes into clean arrays, or say what is wrong with it."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.labels import GREY, OKABE_ITO, UNKNOWN


def check_matrix(values: Any, argument: str) -> np.ndarray:
    """Convert an array, a sparse matrix or a DataFrame to dense, C-contiguous float32 of two dimensions."""
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which check_finite reports
            numbers = np.asarray(values.toarray() if sparse.issparse(values) else values, dtype=np.float32, order="C")
    except (TypeError, ValueError) as error:
        kind = type(values).__name__
        raise TypeError(f"{argument} must be an array, a sparse matrix or a DataFrame, got {kind}: {error}") from None
    if numbers.ndim != 2:
        raise ValueError(f"{argument}: expected numbers of shape (cells, columns), got shape {numbers.shape}")
    return numbers


def check_names(given: Any, argument: str, kind: str, size: int) -> np.ndarray:
    """Convert names to a 1-D array of str, unique and not empty; ``None`` numbers them."""
    if given is None:
        return np.array([f"{kind}_{i}" for i in range(size)], dtype=str)
    names = np.asarray(given, dtype=object)
    if names.shape != (size,) or pd.isna(names).any() or (names == "").any():
        raise ValueError(f"{argument}: expected {size} names, none empty, got {some(names)} (shape {names.shape})")
    names = names.astype(str)
    unique, repeats = np.unique(names, return_counts=True)
    if len(unique) < size:
        raise ValueError(f"duplicate {kind} names in {argument}: {some(unique[repeats > 1])}")
    return names


def check_finite(values: np.ndarray, argument: str, rows: np.ndarray, columns: np.ndarray) -> None:
    """Refuse NaN and infinite values, naming the first."""
    bad = ~np.isfinite(values)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise ValueError(
            f"{argument}: expected finite float32 numbers, got {bad.sum()} NaN or infinite value(s), the first "
            f"({values[i, j]}) for cell {str(rows[i])!r} in column {str(columns[j])!r}"
        )


def check_varies(values: np.ndarray, argument: str, kind: str, columns: np.ndarray) -> None:
    """Refuse columns with one value in all cells, naming some."""
    constant = np.ptp(values, axis=0) == 0
    if constant.any():
        raise ValueError(
            f"{constant.sum()} {kind}(s) of {argument} have one constant value in all {len(values)} cells: "
            f"{some(columns[constant])}; leave them out, nothing can be learned from them"
        )


def check_labels(
    given: pd.DataFrame | None, cells: np.ndarray, always: Iterable[str], if_given: Iterable[str] = ()
) -> pd.DataFrame:
    """Align labels with the cells; some columns exist `always` afterwards, as text, and others are text `if_given`."""
    if given is None:
        given = pd.DataFrame(index=pd.Index(cells, dtype=object))
    if not isinstance(given, pd.DataFrame):
        raise TypeError(f"labels: expected a pandas DataFrame, got {type(given).__name__}")
    labels = given.set_axis(given.index.astype(str), axis=0)
    alone = labels.index.symmetric_difference(cells)
    if len(alone) or labels.index.has_duplicates:
        raise ValueError(
            f"labels: expected exactly the cells of the data as its index, each once, but {len(alone)} names are only "
            f"in one of the two: {some(alone)}; repeated: {some(labels.index[labels.index.duplicated()])}"
        )
    labels = labels.loc[cells]
    for column in (*always, *(column for column in if_given if column in labels)):
        text = labels[column].astype(object) if column in labels else pd.Series(UNKNOWN, labels.index)
        labels[column] = text.where(text.notna() & (text != ""), UNKNOWN).astype(str)
    return labels


def check_colors(given: Mapping[str, str] | None, types: Iterable[str]) -> dict[str, str]:
    """Give every type a ``"#RRGGBB"``: the one given, else one of a palette, grey for the unknown type."""
    colors = {str(key): str(color) for key, color in (given or {}).items()}
    malformed = {key: color for key, color in colors.items() if not re.fullmatch(r"#[0-9A-Fa-f]{6}", color)}
    if malformed:
        raise ValueError(f"colors: expected '#RRGGBB', got {malformed}")
    missing = sorted(set(types) - colors.keys() - {UNKNOWN})
    colors.update(zip(missing, _palette(len(missing)), strict=True))
    if UNKNOWN in set(types):
        colors.setdefault(UNKNOWN, GREY)
    return colors


def _palette(size: int) -> list[str]:
    """Take safe colours as far as they go, else evenly spaced hues: no two types share a colour."""
    if size <= len(OKABE_ITO):
        return list(OKABE_ITO[:size])
    levels = (colorsys.hls_to_rgb(i / size, 0.55 if i % 2 else 0.4, 0.65) for i in range(size))
    return ["#" + "".join(f"{round(255 * level):02X}" for level in rgb) for rgb in levels]


def check_counts(given: Any, shape: tuple[int, int]) -> np.ndarray | sparse.csr_array | None:
    """Convert raw counts to an integer array or CSR matrix of the shape of `X`."""
    if given is None:
        return None
    counts = sparse.csr_array(given) if sparse.issparse(given) else np.asarray(given)
    values = counts.data if sparse.issparse(counts) else counts
    numbers = values.dtype.kind in "iuf"
    if counts.shape != shape or not numbers or not (np.isfinite(values) & (values % 1 == 0) & (values >= 0)).all():
        raise ValueError(
            f"counts: expected whole numbers of 0 or more, one for each of the {shape[0]} x {shape[1]} values of X, "
            f"got {values.dtype} of shape {counts.shape}"
            + (f" from {values.min()} to {values.max()}" if numbers and values.size else "")
        )
    return counts.astype(np.int64) if values.dtype.kind == "f" else counts


def positions(chosen: Any, names: np.ndarray, argument: str) -> np.ndarray:
    """Convert a boolean mask, positions or names to positions in `names`; ``None`` takes all."""
    if chosen is None:
        return np.arange(len(names))
    chosen = np.atleast_1d(np.asarray(chosen))
    if chosen.size == 0:
        raise ValueError(f"{argument} is empty; choose at least one")
    if chosen.dtype.kind in "biu":
        return np.arange(len(names))[chosen]
    found = pd.Index(names).get_indexer(chosen.astype(str))
    if (found < 0).any():
        raise KeyError(f"{argument} holds names that are not in the data: {some(chosen[found < 0])}")
    return found


def some(names: Iterable[Any], limit: int = 5) -> str:
    """List the first few names of many, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
