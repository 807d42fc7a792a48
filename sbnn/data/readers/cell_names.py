"""Which cells two tables have in common, and which way the tables lie: by the names, as they are or nearly."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from sbnn.data.checks import some
from sbnn.data.readers.counts import require_unique

_BARCODE = re.compile(r"([acgt]{12,})\.1$")  # a suffix that 10x gives to all barcodes of a sample


class SameCells(NamedTuple):
    """Two tables of the same cells in the same order, and what is only in one of them."""

    X: pd.DataFrame  # cells x genes, or whatever the columns are
    Y: pd.DataFrame
    only_X: pd.Index
    only_Y: pd.Index
    doubt: str  # what may be wrong with it; mostly empty


def loosened(names: pd.Index) -> pd.Index:
    """Take from names what differs between programs: case, blanks, punctuation, R's X before a digit, 10x's -1."""
    return pd.Index([_loosened(name) for name in names], dtype=object)


def same_cells(
    X: pd.DataFrame, Y: pd.DataFrame, genes_in_rows: bool | None, match: str | None, hint: str = ""
) -> SameCells:
    """Turn both tables so that cells are in rows, the way in which they share most names, and take the shared ones.

    Parameters
    ----------
    X, Y : DataFrame
        Expression and outputs, with names of type str.
    genes_in_rows : bool or None
        Which way expression lies, if it is known.
    match : {"exact", "loose", None}
        Whether names match as they are, or as `loosened`; None is as they are, and an error where twice as many would
        match otherwise.
    hint : str
        What else may help if nothing matches.

    Returns
    -------
    SameCells
        In the order, and with the names, of X.

    Raises
    ------
    ValueError
        No shared cell, cells whose names repeat, or names that others would match.
    """
    if match not in (None, "exact", "loose"):
        raise ValueError(f"match must be 'exact' or 'loose', got {match!r}")
    alike = loosened if match == "loose" else pd.Index
    x_axis, y_axis, shared = _way(X, Y, genes_in_rows, alike)
    more = 0 if match else _way(X, Y, genes_in_rows, loosened)[2]
    told = (
        f"{more} would match if case, blanks, punctuation, an X before a digit and the -1 of a barcode did not count: "
        f"match='loose'"
    )
    if not shared or (more > 2 * shared):
        names = (
            f"expression has the rows {some(X.index, 3)} and the columns {some(X.columns, 3)}, outputs has the rows "
            f"{some(Y.index, 3)} and the columns {some(Y.columns, 3)}"
        )
        raise ValueError(
            f"expression and outputs share {f'only {shared}' if shared else 'no'} cell name{'s'[: shared > 1]}: {names}"
            + ("" if genes_in_rows is None else f" (genes_in_rows={genes_in_rows})")
            + (f". {told}, or match='exact' to go on with {shared}" if more and shared else f". {told}" if more else "")
            + hint
        )
    x_names, y_names = X.axes[x_axis], Y.axes[y_axis]
    require_unique(x_names, "expression: cell names")
    require_unique(y_names, "outputs: cell names")
    x_keys, y_keys = alike(x_names), alike(y_names)
    for what, names, keys, others in (("expression", x_names, x_keys, y_keys), ("outputs", y_names, y_keys, x_keys)):
        repeated = names[keys.duplicated(keep=False) & keys.isin(others)]
        if len(repeated):
            raise ValueError(f"{what}: with match='loose' these cells have the same name: {some(repeated)}")
    rows, others = x_keys.isin(y_keys).nonzero()[0], y_keys.isin(x_keys).nonzero()[0]
    cells = x_names[rows]
    return SameCells(
        X=_taken(X, x_axis, rows),
        Y=_taken(Y, y_axis, others[y_keys[others].get_indexer(x_keys[rows])]).set_axis(cells, axis=0),
        only_X=x_names.delete(rows),
        only_Y=y_names.delete(others),
        doubt=f"{shared} cells match by name, and {told}" if more > shared else "",
    )


def _loosened(name: str) -> str:
    plain = re.sub(r"[\W_]+", ".", name.lower()).strip(".")
    return _BARCODE.sub(r"\1", re.sub(r"^x(?=\d)", "", plain))


def _way(X: pd.DataFrame, Y: pd.DataFrame, genes_in_rows: bool | None, alike: Callable) -> tuple[int, int, int]:
    """Axis of the cells in both tables, and how many cells they share."""
    x_axes = (0, 1) if genes_in_rows is None else (int(genes_in_rows),)
    names = {("X", axis): alike(X.axes[axis]) for axis in x_axes} | {
        ("Y", axis): alike(Y.axes[axis]) for axis in (0, 1)
    }
    ways = [(x, y, int(names["X", x].isin(names["Y", y]).sum())) for x in x_axes for y in (0, 1)]
    return max(ways, key=lambda way: way[2])


def _taken(table: pd.DataFrame, axis: int, cells) -> pd.DataFrame:
    """Take cells before turning: what else stands beside them, such as text, would make text of everything."""
    return table.iloc[cells] if axis == 0 else table.iloc[:, cells].T
