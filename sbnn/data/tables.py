"""A user's own tables, in which cells are matched by name.

Nothing is guessed: an error says what to do in pandas.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from gzip import BadGzipFile
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData, read_h5ad
from scipy import sparse
from sklearn.utils.sparsefuncs import min_max_axis

from sbnn.data.checks import abbreviate, check_names, check_only_genes, numbers
from sbnn.data.counts import are_counts, row_sums
from sbnn.data.inputs import BEYOND_LOG, load_into_memory, select_outputs
from sbnn.data.paired import SAME, paired_cells
from sbnn.errors import warn

SEPARATORS = ",", "\t", ";"
LEAST_SHARED = 0.5  # of the cells of the smaller table
#: Names of columns that tools add, and dates that spreadsheets make of genes such as MARCH1.
BOOKKEEPING = re.compile(
    r"Unnamed: \d+|(n_genes|n_counts|total_counts|pct_counts).*|batch|cluster|leiden|louvain"
    r"|\d+-(Mar|Sep|Dec)|(Mar|Sep|Dec)-\d+|\d{4}-\d\d-\d\d.*"
)
FEW_COLUMNS = 0.2  # of the expressed ones: no counts, beside counts


def read_tables(
    expression: str | Path | pd.DataFrame | AnnData,
    outputs: str | Path | pd.DataFrame | Sequence[str] = "outputs",
    labels: str | Path | pd.DataFrame | None = None,
    counts: bool | None = None,
    genes_in_rows: bool | None = None,
    *,
    name: str = "custom",
) -> AnnData:
    """Read expression, outputs and labels, and match their cells by name.

    Files are CSV, TSV or Excel, also compressed, with the names of the rows in the first column.
    Left out, with a warning: cells in only one table, without counts or with a missing output;
    ``ERCC-`` spike-ins; genes and outputs with one value in all cells.

    Parameters
    ----------
    expression : path-like, DataFrame or AnnData
        Cells x genes or genes x cells, or an AnnData or ``.h5ad`` file, of which
        ``layers["counts"]``, if present, replaces ``X``.
    outputs : path-like, DataFrame, str or list of str
        Cells x outputs. Of an AnnData, also a key of ``obsm`` or a list of columns of ``obs``.
    labels : path-like or DataFrame, optional
        Cells x labels, such as ``type``, ``family`` and ``donor``; by default ``obs``.
    counts : bool, optional
        True for raw counts, False for log values. By default, whole numbers are counts.
    genes_in_rows : bool, optional
        By default, the axis of `expression` that has the names of the cells is found.
    name : str, optional
        Short name of the data.

    Returns
    -------
    AnnData
        As returned by `sbnn.paired_cells`, in the order of `expression`. For counts, ``X`` is
        ``log2(1 + counts / total * median of totals)``.

    Raises
    ------
    ValueError
        If cells do not match, there are text or missing values among numbers, names repeat or only
        number the rows, there are columns beside the genes, or values are neither counts nor
        logarithms.
    TypeError
        If a table is neither a path nor a DataFrame.

    Examples
    --------
    >>> from sbnn import read_tables, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=50, n_genes=30)
    >>> data.to_df("counts").to_csv("counts.csv")
    >>> data.obsm["outputs"].to_csv("ephys.csv")
    >>> read_tables("counts.csv", "ephys.csv").shape
    (50, 30)
    """
    if str(expression).endswith(".h5ad"):
        expression = read_h5ad(expression)
    of_adata = isinstance(expression, AnnData)
    if of_adata:
        labels = expression.obs if labels is None else labels
        if not (isinstance(outputs, str) and Path(outputs).is_file()):
            outputs = select_outputs(expression, outputs)
        is_counted = "counts" in expression.layers
        values = expression.layers["counts"] if is_counted else load_into_memory(expression).X
        table = AnnData(values, expression.obs[[]], expression.var[[]])  # may be sparse
        check_names(table.var_names, "expression", "gene", table.n_vars)
        expression = pd.DataFrame(index=table.obs_names)
        genes_in_rows = False
    X, Y = joined(expression, outputs, genes_in_rows)
    if labels is not None:
        labels = labels_of(labels, X.index)
    check_only_genes(X, Y, "expression")
    check_only_genes(X, labels, "expression")
    if of_adata:
        X = table[X.index]
    Y = numbers(Y, "outputs").astype(float)
    complete = Y.notna().all(axis=1)
    if complete.mean() < LEAST_SHARED:
        raise ValueError(
            f"outputs: only {complete.sum()} of {len(Y)} cells have all of them; leave out those "
            f"most often missing: {abbreviate(Y.count().nsmallest(3).index)}"
        )
    leave_out("cells with missing outputs", Y.index[~complete])
    X, are_raw = expression_of(X[complete.to_numpy()], counts)
    rows = sparse.csr_array(X.X)
    extremes = pd.DataFrame(min_max_axis(rows, axis=0), columns=X.var_names)
    # DataFrame.duplicated takes seconds
    sums = pd.Index(rows @ np.random.default_rng(0).random(X.n_vars))
    X = X[:, varying(extremes, "genes").columns]
    Y = varying(Y.loc[X.obs_names], "outputs")
    named = X.var_names.append(Y.columns)
    alike = np.triu(Y.corr().abs(), 1) > SAME  # (outputs, outputs)
    suspects = {
        "names that tools make": named[named.str.fullmatch(BOOKKEEPING)],
        "cells with the expression of an earlier cell": X.obs_names[sums.duplicated()],
        "outputs that copy an earlier one": Y.columns[alike.any(axis=0)],
    }
    for what, names in suspects.items():
        if len(names):
            warn(f"{what}: {abbreviate(names)}; leave them out")
    if labels is not None:
        labels = labels.loc[X.obs_names]
    values = X.X
    note = "expression is taken as log values"
    raw = None
    if are_raw:
        note = "expression is taken as raw counts; X is log2(1 + counts / total * median)"
        raw = values.astype(np.int64)
        values = None
    return paired_cells(values, Y, X.var_names, labels=labels, counts=raw, name=name, notes=[note])


def read_table(given, what: str) -> pd.DataFrame:
    """Table with unique names of rows and columns, as text."""
    table = given
    if not isinstance(table, pd.DataFrame):
        table = read_columns(given, what)
        table = table.set_index(table.columns[0])
    # also of two levels
    table = table.set_axis(table.index.map(str)).set_axis(table.columns.map(str), axis=1)
    rows = table.index
    twice = rows[rows.duplicated()].append(table.columns[table.columns.duplicated()])
    if len(twice):
        raise ValueError(
            f"{what}: names that appear more than once: {abbreviate(twice, 3)}; average "
            "such rows with "
            "table.groupby(level=0).mean(), or keep the first with table[~table.index.duplicated()]"
            " (columns: the same of table.T)"
        )
    numbers_of_rows = pd.RangeIndex(len(rows) + 1).astype(str)
    if rows.equals(numbers_of_rows[:-1]) or rows.equals(numbers_of_rows[1:]):
        raise ValueError(
            f"{what}: rows are numbered ({abbreviate(rows, 3)}), but cells are matched by "
            "name; make the column of names the index with table.set_index(COLUMN), of "
            f"{abbreviate(table.columns, 3)}"
        )
    return table


def read_columns(path, what: str) -> pd.DataFrame:
    """All columns of a file, the first one as text; names may repeat."""
    if not isinstance(path, str | Path):
        raise TypeError(f"{what}: expected a path or a DataFrame, got {type(path).__name__}")
    try:
        if str(path).endswith(".xlsx"):
            sheets = pd.ExcelFile(path).sheet_names
            if len(sheets) > 1:
                raise ValueError(f"it has the sheets {abbreviate(sheets)}")
            read = partial(pd.read_excel, header=None, keep_default_na=False, na_values=[""])
        else:
            usual = [
                partial(pd.read_csv, sep=sep, header=None, low_memory=False) for sep in SEPARATORS
            ]
            read = max(usual, key=lambda read: read(path, nrows=1).size)
        header = read(path, nrows=1, dtype=str, na_filter=False).loc[0]
        # without a converter, a gene called NA would be missing
        table = read(path, skiprows=1, converters={0: str})
        return table.set_axis([*header], axis=1)
    except (BadGzipFile, EOFError, ValueError) as error:  # also of encodings and unequal lines
        raise ValueError(
            f"{what}: {path} is not a plain table: {error}; read it with pd.read_csv(path, "
            "index_col=0, sep=..., header=..., encoding=...), pd.read_excel(path, index_col=0, "
            "sheet_name=...) or scanpy, and pass the table"
        ) from error


def joined(expression, outputs, in_rows):
    """Both tables with the cells that they share; genes in rows are turned."""
    X = read_table(expression, "expression")
    Y = read_table(outputs, "outputs")
    fits = []
    for names in (X.index, X.columns):
        n_shared = names.isin(Y.index).sum()
        fits.append(n_shared >= LEAST_SHARED * min(len(names), len(Y)) > 0)
    if in_rows is not None:
        fits[not in_rows] = False
    in_rows = fits[1]
    if fits[0] == in_rows:
        raise ValueError(
            "expression and outputs: names of cells do not match; expression has the rows "
            f"{abbreviate(X.index, 3)} and the columns {abbreviate(X.columns, 3)}, outputs "
            "has the rows "
            f"{abbreviate(Y.index, 3)}; make them equal with table.set_index(COLUMN), table.T or "
            "table.rename(index=...); if rows and columns match, set genes_in_rows"
        )
    names = X.columns if in_rows else X.index
    shared = names.isin(Y.index)
    leave_out("cells not in outputs", names[~shared])
    leave_out("cells not in expression", Y.index[~Y.index.isin(names)])
    X = X.loc[:, shared].T if in_rows else X[shared]
    return X, Y.loc[X.index]


def expression_of(X: pd.DataFrame | AnnData, counts: bool | None) -> tuple[AnnData, bool]:
    """Expression without spike-ins, and whether it is raw counts; all but logarithms is refused."""
    if isinstance(X, pd.DataFrame):
        X = AnnData(numbers(X, "expression").astype(float))
    spikes = X.var_names.str.startswith("ERCC-")
    leave_out("ERCC spike-ins", X.var_names[spikes])
    X = X[:, ~spikes]
    entries = sparse.csr_array(X.X)

    def genes_with(mask):
        return X.var_names[np.bincount(entries.indices[mask], minlength=X.n_vars) > 0]

    missing = genes_with(np.isnan(entries.data))
    if len(missing):
        raise ValueError(
            f"expression: missing values of {abbreviate(missing, 3)}; leave these genes "
            "out, or use table.fillna(0) if they were not detected"
        )
    others = genes_with(~are_counts(entries.data))
    if counts is None:
        counts = len(others) <= FEW_COLUMNS * len(genes_with(entries.data != 0))
    if counts and len(others):
        raise ValueError(
            "expression: not whole numbers from 0 on, unlike the others: "
            f"{abbreviate(others, 3)}; leave "
            "columns that are no genes out with table.drop(columns=...), round estimated counts "
            "with table.round(), or set counts=False for log values"
        )
    largest = entries.data.max(initial=0)
    if not counts and largest > BEYOND_LOG:
        raise ValueError(
            f"expression: values up to {largest:g} are no log values; use np.log2(table + 1) of "
            "TPM or CPM, or round estimated counts with table.round()"
        )
    if counts:
        counted = row_sums(entries) > 0
        leave_out("cells without counts", X.obs_names[~counted])
        X = X[counted]
    return X, counts


def varying(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Columns with two or more values."""
    varies = table.max() > table.min()
    leave_out(f"{kind} with one value in all cells", table.columns[~varies])
    if not varies.any():
        raise ValueError(f"{kind}: none has two different values")
    return table.loc[:, varies]


def labels_of(labels, cells: pd.Index) -> pd.DataFrame:
    """Labels of the cells, NaN for cells without; a type without a family is its own."""
    labels = read_table(labels, "labels")
    if not labels.index.isin(cells).any():
        raise ValueError(
            "labels: no row has the name of a cell; rows are "
            f"{abbreviate(labels.index, 3)}, cells are "
            f"{abbreviate(cells, 3)}; make them equal with table.set_index(COLUMN)"
        )
    labels = labels.reindex(cells)
    if "type" in labels and "family" not in labels:
        labels["family"] = labels["type"]
    return labels


def leave_out(reason: str, names: pd.Index) -> None:
    """Warn of names that are left out."""
    if len(names):
        warn(f"{len(names)} {reason} left out: {abbreviate(names, 3)}")
