"""Cells of several tables: the axis on which they are, matching names, and cells to leave out."""

import itertools

import numpy as np
import pandas as pd

from sbnn.data.checks import some


def loosened(names: pd.Index) -> pd.Index:
    """Remove case, blanks, punctuation, R's X before a digit and 10x's -1 from names."""
    plain = names.str.lower().str.replace(r"[\W_]+", ".", regex=True).str.strip(".")
    plain = plain.str.replace(r"^x(?=\d)", "", regex=True)
    return plain.str.replace(r"([acgt]{12,})\.1$", r"\1", regex=True)


def same_cells(X: pd.DataFrame, Y: pd.DataFrame, genes_in_rows: bool | None, alike) -> tuple:
    """Orient both tables such that they share the most cells; also return unmatched names.

    Names are matched if they are equal after `alike`, such as `loosened`.
    """
    x_axes = (0, 1) if genes_in_rows is None else (int(genes_in_rows),)
    shared = {}  # axes of X and Y -> number of cells on both
    for x_axis, y_axis in itertools.product(x_axes, (0, 1)):
        x_keys = alike(X.axes[x_axis])
        shared[x_axis, y_axis] = x_keys.isin(alike(Y.axes[y_axis])).sum()
    x_axis, y_axis = max(shared, key=shared.get)  # rows, if tied
    x_names, y_names = X.axes[x_axis], Y.axes[y_axis]
    x_keys, y_keys = alike(x_names), alike(y_names)
    in_y = x_keys.isin(y_keys)  # (n_cells of X,)
    in_x = y_keys.isin(x_keys)  # (n_cells of Y,)
    if not in_y.any():
        raise ValueError(
            f"expression {_names(X)} and outputs {_names(Y)} share no cell name; set match='loose',"
            " cell_key to the column of cell names, or cell_names to a table of matching names"
        )
    require_single("expression", x_names, x_keys, in_y)
    require_single("outputs", y_names, y_keys, in_x)
    X = _taken(X, x_axis, np.flatnonzero(in_y))
    Y = _taken(Y, y_axis, y_keys.get_indexer(x_keys[in_y]))
    return X, Y.set_axis(X.index, axis=0), x_names[~in_y], y_names[~in_x]


def _names(table: pd.DataFrame) -> str:
    return f"(rows: {some(table.index, 3)}; columns: {some(table.columns, 3)})"


def require_single(what, names, keys, shared):
    """Reject names of `shared` cells whose keys, by which they are matched, repeat."""
    twice = names[keys.duplicated() & shared]
    if len(twice):
        raise ValueError(f"{what}: cells appear more than once: {some(twice)}")


def _taken(table: pd.DataFrame, axis: int, cells: np.ndarray) -> pd.DataFrame:
    """Select cells before transposing: text in another column would make all values text."""
    taken = table.take(cells, axis=axis)
    return taken.T if axis else taken


def kept(gaps: np.ndarray, missing: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the cells and outputs to keep, from the mask of missing values."""
    if missing == "cells":
        return ~gaps.any(axis=1), np.ones(gaps.shape[1], dtype=bool)
    if missing == "outputs":
        cells = ~gaps.all(axis=1)  # a cell without any value would leave no output
        return cells, ~gaps[cells].any(axis=0)
    ways = _fewest_left_out(gaps), kept(gaps, "cells"), kept(gaps, "outputs")
    return max(ways, key=lambda way: way[0].sum() * way[1].sum())


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
