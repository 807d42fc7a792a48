"""Convert user input to clean arrays, or name the mistake."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.errors import warn

if TYPE_CHECKING:
    from anndata import AnnData

UNKNOWN = "unknown"  # cells without a known group
#: What files have in place of a label.
MISSING = ("", "-", "<NA>", "N/A", "NA", "NaN", "None", "nan", UNKNOWN, "unmapped")
MOST_GROUPS = 100  # of a label that can colour a map
#: Before the numbers of cells, genes and outputs without names.
DEFAULT_PREFIXES = ("", "cell_", "gene_", "output", "output_")


def is_anndata(values: Any) -> TypeGuard[AnnData]:
    """Whether values are an AnnData; whoever has one has imported anndata, which takes a second."""
    anndata = sys.modules.get("anndata")
    return anndata is not None and isinstance(values, anndata.AnnData)


def dense(matrix: Any) -> np.ndarray:
    """Matrix as a dense array."""
    return matrix.toarray(order="C") if sparse.issparse(matrix) else np.asarray(matrix)


def fill_names(names: Any, argument: str, kind: str, size: int) -> np.ndarray:
    """Convert to unique, non-empty str; ``None`` gives numbered names."""
    if names is None:
        numbered = [f"{kind}_{i}" for i in range(size)]
        return np.array(numbered, dtype=str)
    is_list = isinstance(names, Iterable) and getattr(names, "ndim", 1) == 1
    if not is_list or isinstance(names, str | Set):  # a set has no order
        got = type(names).__name__
        raise TypeError(
            f"{argument}: expected a list or one-dimensional array of {kind} names, got {got}"
        )
    series = pd.Series([*names], dtype=object)
    if len(series) != size:
        raise ValueError(f"{argument}: expected {size} {kind} names, got {len(series)}")
    text = series.where(series.notna(), "").astype(str)
    is_wrong = (text == "") | text.duplicated()
    if is_wrong.any():
        wrong = abbreviate(map(repr, text[is_wrong].unique()))
        raise ValueError(f"{argument}: empty or repeated {kind} names: {wrong}")
    return text.to_numpy().astype(str)


def names_as_text(names: Iterable[Any]) -> pd.Index:
    """Names as text, also bytes, as files of HDF5 give, and those of several levels."""
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    return pd.Index(texts, dtype=object)


def order_by_name(names: Iterable[Any], expected: Iterable[Any], argument: str) -> np.ndarray:
    """Positions of the expected names among those of a table; default names fit any others."""
    in_table = names_as_text(names)
    in_order = names_as_text(expected)
    if in_table.is_unique and in_order.is_unique and set(in_table) == set(in_order):
        return in_table.get_indexer(in_order)
    if in_table.equals(in_order) or _are_default(in_table) or _are_default(in_order):
        return np.arange(len(in_table))
    missing = in_order[~in_order.isin(in_table)]
    unexpected = in_table[~in_table.isin(in_order)]
    raise ValueError(
        f"{argument}: expected the names {abbreviate(in_order)}, in any order and once each, got "
        f"{abbreviate(in_table)} (missing: {abbreviate(missing) or 'none'}; not expected: "
        f"{abbreviate(unexpected) or 'none'})"
    )


def _are_default(names):
    """Whether names only number what they name."""
    numbers = [str(i) for i in range(len(names))]
    return any([*names] == [prefix + number for number in numbers] for prefix in DEFAULT_PREFIXES)


def gene_positions(genes: Any, names: Iterable[Any], argument: str) -> np.ndarray:
    """Different positions of genes among the names of all, in the order given."""
    if np.ndim(genes) != 1:
        got = type(genes).__name__
        raise TypeError(f"{argument}: expected a list of names of genes, got {got}")
    place_by_name = {str(name): place for place, name in enumerate(names)}
    unknown = [gene for gene in genes if gene not in place_by_name]
    if unknown:
        raise ValueError(
            f"{argument}: {len(unknown)} of {len(genes)} genes are not among the "
            f"{len(place_by_name)} genes of the data: {abbreviate(unknown, 10)}; the data have the "
            f"names {abbreviate(place_by_name)}"
        )
    positions = [place_by_name[gene] for gene in genes]
    return np.array(list(dict.fromkeys(positions)), dtype=int)


def numbered_names(kind: str, numbers: range) -> list[str]:
    """Names such as gene_01, of equal length."""
    digits = len(str(numbers[-1]))
    return [f"{kind}{i:0{digits}d}" for i in numbers]


def order_labels(labels: pd.DataFrame | None, cells: np.ndarray) -> pd.DataFrame:
    """Labels in the order of the cells, matched by name, with text as names of columns."""
    if labels is None:
        return pd.DataFrame(index=pd.Index(cells, dtype=object))
    check_table(labels, "labels")
    table = labels.set_axis(names_as_text(labels.index))
    table = table.set_axis(names_as_text(table.columns), axis=1)
    wrong = table.index.symmetric_difference(cells)
    if len(wrong) or len(table) != len(cells):
        raise ValueError(f"labels: expected one row for each cell; unmatched: {abbreviate(wrong)}")
    return table.loc[cells]


def fill_labels(
    labels: pd.DataFrame, required: Iterable[str], optional: Iterable[str] = ()
) -> pd.DataFrame:
    """Labels with the required columns, "unknown" where missing; these and others are text."""
    # without the name of the index, which may be that of a column
    table = labels.rename_axis(index=None)
    for column in [*required, *table.columns.intersection(optional)]:
        if column not in table:
            table[column] = UNKNOWN
        known = known_labels(table[column])
        was_given = table[column].astype(object) != UNKNOWN
        n_lost = (known.isna() & was_given).sum()
        if n_lost:
            warn(f"{n_lost} of {len(table)} cells have no {column}")
        table[column] = known.where(known.notna(), UNKNOWN).astype(str)
    for column in table:  # dates, and numbers beside text, cannot be saved
        if not pd.api.types.is_numeric_dtype(table[column]) and not is_category(table[column]):
            table[column] = table[column].astype(object).map(str, na_action="ignore")
    return table


def is_category(column: Any) -> bool:
    """Whether these are categories of pandas."""
    return isinstance(getattr(column, "dtype", None), pd.CategoricalDtype)


def refuse_other_table(values: Any, argument: str) -> None:
    """Reject a table that is not of pandas, whose names would not be matched."""
    # those of PyArrow have `column_names`
    has_names = hasattr(values, "columns") or hasattr(values, "column_names")
    if has_names and not isinstance(values, pd.DataFrame):
        kind = type(values)
        raise TypeError(
            f"{argument}: expected an array or a DataFrame of pandas, got "
            f"{kind.__module__}.{kind.__qualname__}; convert it with .to_pandas()"
        )


def check_table(table: Any, argument: str) -> None:
    """Reject what is no table with the names of cells, and columns of one name."""
    refuse_other_table(table, argument)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"{argument}: expected a DataFrame indexed by cell name, got {type(table).__name__}"
        )
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ValueError(
            f"{argument}: columns that appear more than once: {abbreviate(twice.unique())}"
        )


def match_rows(
    table: pd.DataFrame | pd.Series, cells: np.ndarray | pd.Index, argument: str
) -> pd.DataFrame | pd.Series:
    """Rows of labels in the order of the cells, matched by name; there may be other rows."""
    table = table.set_axis(names_as_text(table.index))
    is_missing = ~np.isin(cells, table.index)
    missing = pd.Index(cells[is_missing])
    if len(missing):
        raise ValueError(
            f"{argument}: no row for {len(missing)} of {len(cells)} cells: "
            f"{abbreviate(missing, 3)}; it has the rows {abbreviate(table.index, 3)}"
        )
    rows = table[table.index.isin(cells)]
    twice = rows.index[rows.index.duplicated()]
    if len(twice):
        names = abbreviate(twice.unique(), 3)
        raise ValueError(f"{argument}: rows that appear more than once: {names}")
    return rows.loc[cells]


def known_labels(labels: Any) -> pd.Series:
    """Labels without spaces around them, NaN if missing or one of `MISSING`."""
    values = pd.Series(labels, dtype=object)
    stripped = values.map(lambda label: label.strip() if isinstance(label, str) else label)
    # 7 stays 7, not 7.0, beside missing values
    stripped = stripped.convert_dtypes(convert_string=False).astype(object)
    is_missing = stripped.isna() | stripped.isin(MISSING)
    return stripped.mask(is_missing)


def group_columns(labels: pd.DataFrame) -> list[str]:
    """Columns that divide the cells into few groups, and so can colour a map."""
    columns = []
    for name, column in labels.items():
        n_groups = known_labels(column).nunique()
        if 2 <= n_groups <= min(MOST_GROUPS, len(labels) // 2):
            columns.append(str(name))
    return columns


def check_one_for_each(values: Any, argument: str, what: str = "cell") -> None:
    """Reject a single value, a dict or a table in place of a list with one value for each."""
    shape = np.shape(values)  # an AnnData has one, but no dimensions for NumPy
    if len(shape) != 1:
        got = type(values).__name__ if shape else repr(values)
        raise TypeError(f"{argument}: expected a list of one for each {what}, got {got:.80}")


def match_groups(groups: Any, cells: Any, argument: str) -> np.ndarray:
    """Convert groups to str; each cell must have a known one."""
    check_one_for_each(groups, argument)
    check_in_order(cells, groups, argument)
    labels = known_labels(np.asarray(groups, dtype=object))
    n_cells = cells.shape[0] if hasattr(cells, "shape") else len(cells)
    if len(labels) != n_cells:
        raise ValueError(f"{argument}: expected one for each cell, got {len(labels)}")
    unknown = labels.index[labels.isna()]
    if len(unknown):
        names = get_cell_names(groups)
        if names is None:
            where = f"at positions {abbreviate(unknown)}"
        else:
            where = abbreviate(names[unknown])
        raise ValueError(f"{argument}: unknown for cells {where}; leave them out")
    return labels.to_numpy().astype(str)


def read_numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """The table with text as numbers, NaN where empty."""
    if all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
        return table
    check_numeric(table, what)
    # as objects, since dates would become numbers
    converted = table.astype(object).apply(pd.to_numeric, errors="coerce")
    is_wrong = converted.isna() & table.notna()
    if not is_wrong.any(axis=None):
        return converted
    i, j = np.argwhere(is_wrong)[0]
    row = str(table.index[i])
    raise ValueError(
        f"{what}: expected numbers, got {table.iat[i, j]!r} in row "
        f"{row!r}, column {table.columns[j]!r}"
    )


def check_numeric(values: Any, argument: str) -> None:
    """Reject what is no array or table of numbers, but would become one.

    These are dates, spans of time, categories, complex and masked values, and tables of libraries
    other than pandas.
    """
    refuse_other_table(values, argument)
    if np.ma.is_masked(values):
        raise ValueError(f"{argument}: masked values; leave these cells or columns out")
    if is_anndata(values):
        values = values.X
    if isinstance(values, list | tuple):
        values = np.asarray(values)
    array = values if hasattr(values, "shape") else np.asarray(values)
    kind = getattr(getattr(array, "dtype", None), "kind", "f")  # a table has none
    if array.shape == () or kind in "US":
        raise TypeError(f"{argument}: expected numbers in an array or table, got {values!r:.80}")
    if kind == "O":
        values = pd.DataFrame(values)
    if not isinstance(values, pd.DataFrame):
        columns = {} if kind in "biuf" else {"": values}
    else:
        is_suspect = [dtype.kind not in "biuf" for dtype in values.dtypes]
        columns = values.loc[:, is_suspect]
    for name, column in columns.items():
        found = pd.api.types.infer_dtype(np.asarray(column).ravel(), skipna=True)
        if is_category(column):
            found = "categorical"
        if found.startswith(("date", "timedelta", "period", "complex", "categorical")):
            where = f" in column {name!r}" if name != "" else ""
            raise ValueError(
                f"{argument}: {found.capitalize()} data not supported{where}; leave it out, or "
                "make it a number"
            )


def check_finite(
    values: Any,
    argument: str,
    cells: Iterable[Any] | None = None,
    columns: Iterable[Any] | None = None,
) -> None:
    """Reject missing and infinite numbers, with the cell and column of the first.

    Names are by default those of a table, or positions.
    """
    if isinstance(values, pd.DataFrame | pd.Series):
        matrix = values.to_numpy(float, na_value=np.nan)
    elif sparse.issparse(values):
        matrix = values
    else:
        matrix = np.asarray(values)
    if matrix.dtype.kind == "O":
        matrix = matrix.astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        total = matrix.sum()  # needs no memory, unlike a mask
    if np.isfinite(total):
        return
    entries = sparse.coo_array(matrix if matrix.ndim == 2 else matrix.reshape(len(matrix), -1))
    is_wrong = ~np.isfinite(entries.data)
    if not is_wrong.any():
        return
    rows = entries.row[is_wrong]
    kind = "NaN" if np.isnan(entries.data[is_wrong][0]) else "infinity or a number too large"
    if cells is None:
        cells = get_cell_names(values)
    if columns is None:
        columns = getattr(values, "columns", None)
    cell = _name_at(rows[0], cells)
    column = _name_at(entries.col[is_wrong][0], columns)
    raise ValueError(
        f"{argument}: {kind} in cell {cell}, column {column} (in {len(np.unique(rows))} of "
        f"{matrix.shape[0]} cells); leave such cells or columns out"
    )


def _name_at(position, names):
    """Name at a position for a message, or the position."""
    return str(position) if names is None else repr(str([*names][position]))


def check_only_genes(X: pd.DataFrame, beside: pd.DataFrame | None, argument: str) -> None:
    """Reject columns that are flags or have the name of an output or label."""
    no_genes = X.select_dtypes(bool).columns
    if beside is not None:
        in_both = X.columns.intersection(beside.columns)
        no_genes = no_genes.union(in_both, sort=False)
    if len(no_genes):
        names = abbreviate(no_genes, 3)
        raise ValueError(
            f"{argument}: flags, or the name of an output or label: {names}; leave them out, or "
            "rename them"
        )


def abbreviate(names: Iterable[Any], limit: int = 5) -> str:
    """List the first few names, for a message."""
    texts = [str(name) for name in names]
    listed = ", ".join(texts[:limit])
    n_more = len(texts) - limit
    return f"{listed} and {n_more} more" if n_more > 0 else listed


def get_cell_names(X: Any) -> pd.Index | None:
    """Names of the cells in a container, or None."""
    names = getattr(X, "obs_names", getattr(X, "cell_names", getattr(X, "index", None)))
    return names if isinstance(names, pd.Index) else None


def check_in_order(X: Any, values: Any, argument: str) -> None:
    """Reject cells other than those of X in order; the default index fits any names."""
    cells = get_cell_names(X)
    rows = get_cell_names(values)
    if cells is None or rows is None or len(cells) != len(rows):
        return
    cells = names_as_text(cells)
    rows = names_as_text(rows)
    default = pd.RangeIndex(len(cells)).astype(str)
    are_unnamed = rows.equals(default) or cells.equals(default)
    are_same = set(cells) == set(rows)
    if not cells.equals(rows) and (are_same or not are_unnamed):
        raise ValueError(
            f"{argument}: expected the cells {abbreviate(cells, 2)} in the same order, got "
            f"{abbreviate(rows, 2)}"
        )
