"""A user's own tables, in which cells are matched by name.

Nothing is guessed: an error says what to do in pandas.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, read_h5ad
from scipy import sparse
from sklearn.utils.sparsefuncs import min_max_axis

from sbnn.data.checks import (
    MOST_GROUPS,
    abbreviate,
    check_finite,
    check_in_memory,
    check_names,
    check_only_genes,
    describe_similar,
    group_columns,
    names_as_text,
    numbers,
)
from sbnn.data.counts import BEYOND_LOG, are_counts, row_sums
from sbnn.data.inputs import load_into_memory, select_outputs
from sbnn.data.paired import COPY_CORRELATION, paired
from sbnn.errors import warn

SEPARATORS = ",", "\t", ";"
#: Endings of packed files, which have checksums.
PACKED = ".gz", ".bz2", ".zip", ".xz", ".zst", ".tar"
BLOCK_SIZE = 2**20  # bytes
LEAST_SHARED = 0.5  # of the cells of the smaller table
#: Names of columns that tools add, dates that spreadsheets make of genes such as MARCH1, and what
#: HTSeq and STAR count besides genes.
BOOKKEEPING = re.compile(
    r"Unnamed: \d+|(n_genes|n_counts|total_counts|pct_counts).*|batch|cluster|leiden|louvain"
    r"|\d+-(Mar|Sep|Dec)|(Mar|Sep|Dec)-\d+|\d{4}-\d\d-\d\d.*"
    r"|__.*|N_(unmapped|multimapping|noFeature|ambiguous)"
)
#: Errors that say what is wrong.
CLEAR_ERRORS = FileNotFoundError, ImportError, IsADirectoryError, MemoryError, PermissionError
WIDE_RANGE = 200  # of whole numbers, beyond the numbers of action potentials
STRONG_SKEW = 3  # of an output of which few cells have most of the variance
NAMES_IN_CODE = 10  # in a line of code that an error or a warning suggests
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
        ``layers["counts"]``, if present, replaces ``X`` unless `counts` is False.
    outputs : path-like, DataFrame, str or list of str
        Cells x outputs. Of an AnnData, also a key of ``obsm`` or a list of columns of ``obs``.
    labels : path-like or DataFrame, optional
        Cells x labels, such as ``type``, ``family`` and ``donor``; by default ``obs``. Those of a
        file are text.
    counts : bool, optional
        True for raw counts, False for log values. By default, whole numbers are counts.
    genes_in_rows : bool, optional
        By default, the axis of `expression` that has the names of the cells is found.
    name : str, optional
        Short name of the data.

    Returns
    -------
    AnnData
        As returned by `sbnn.paired`, in the order of `expression`. For counts, ``X`` is
        ``log2(1 + counts / total * median of totals)``.

    Raises
    ------
    ValueError
        If cells do not match, there are text or missing values among numbers, names are empty,
        repeat or only number the rows, there are columns beside the genes, values are neither
        counts nor logarithms, or a file is damaged.
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
    if isinstance(expression, str | PathLike) and str(expression).lower().endswith(".h5ad"):
        expression = read_anndata(expression)
    X: pd.DataFrame | AnnData
    notes = []
    if isinstance(expression, AnnData):
        if labels is None:
            labels = expression.obs
        if not (isinstance(outputs, str | PathLike) and Path(outputs).is_file()):
            outputs = select_outputs(expression, outputs)
        cells, taken = get_expression(expression, counts)
        notes.append(taken)
        names, Y = join_tables(pd.DataFrame(index=cells.obs_names), outputs, genes_in_rows=False)
        cell_labels = None if labels is None else match_labels(labels, names.index)
        X = cells[names.index]
    else:
        X, Y = join_tables(expression, outputs, genes_in_rows)
        cell_labels = None if labels is None else match_labels(labels, X.index)
        check_only_genes(X, Y, "expression")
        check_only_genes(X, cell_labels, "expression")
    Y = numbers(Y, "outputs").astype(float)
    complete = Y.notna().all(axis=1)
    if complete.mean() < LEAST_SHARED:
        raise ValueError(
            f"outputs: only {complete.sum()} of {len(Y)} cells have all of them; leave out those "
            f"most often missing: {abbreviate(Y.count().nsmallest(3).index)}"
        )
    warn_left_out("cells with missing outputs", Y.index[~complete])
    check_finite(Y[complete], "outputs")
    expressed, are_raw = check_expression(X[complete.to_numpy()], counts)
    values = sparse.csr_array(expressed.X)
    extremes = pd.DataFrame(min_max_axis(values, axis=0), columns=expressed.var_names)
    # DataFrame.duplicated takes seconds
    weights = np.random.default_rng(0).random(expressed.n_vars)
    sums = pd.Index(values @ weights)
    genes = drop_constant(extremes, "genes").columns
    Y = drop_constant(Y.loc[expressed.obs_names], "outputs")
    warn_of_suspects(Y, genes, copies=expressed.obs_names[sums.duplicated()])
    warn_of_long_tails(Y)
    if cell_labels is not None:
        cell_labels = cell_labels.loc[expressed.obs_names]
        warn_of_no_groups(cell_labels)
    chosen = expressed[:, genes].X
    note = "expression is taken as log values"
    if are_raw:
        note = "expression is taken as raw counts; X is log2(1 + counts / total * median)"
    return paired(
        X=None if are_raw else chosen,
        Y=Y,
        gene_names=genes,
        labels=cell_labels,
        counts=chosen.astype(np.int64) if are_raw else None,
        name=name,
        notes=[*notes, note],
    )


def read_anndata(path: str | PathLike[str]) -> AnnData:
    """The AnnData of an ``.h5ad`` file; if it cannot be read, an error names it."""
    try:
        return read_h5ad(path)
    except CLEAR_ERRORS:
        raise
    except Exception as error:  # of HDF5 or anndata, which do not name the file
        raise ValueError(
            f"expression: {path} is damaged, incomplete or no file of an AnnData: {error}; copy it "
            "again, or read it with anndata or scanpy, and pass the AnnData"
        ) from error


def get_expression(adata: AnnData, counts: bool | None) -> tuple[AnnData, str]:
    """Counts, or else ``X``, with the names of cells and genes only, and which of them it is.

    ``X`` is taken if there is no layer of counts, or `counts` is False. It may be sparse.
    """
    check_names(adata.var_names, "expression", kind="gene", size=adata.n_vars)
    layer = adata.layers.get("counts")
    other_way = "counts=False (--log) takes X"
    if layer is None:
        values = load_into_memory(adata).X
        taken = "expression is X of the AnnData"
    elif counts is False:
        values = load_into_memory(adata).X
        taken = 'expression is X of the AnnData; counts=True takes layers["counts"]'
    else:
        values = layer
        taken = f'expression is layers["counts"] of the AnnData; {other_way}'
    check_in_memory(values, "expression")
    if layer is not None and counts is None and adata.X is not None:
        n_counted = _number_of_expressed_genes(layer)
        n_in_x = _number_of_expressed_genes(load_into_memory(adata).X)
        if n_counted < n_in_x:
            warn(
                f'expression: layers["counts"] is taken, which has counts of {n_counted} genes, '
                f"fewer than the {n_in_x} of X; {other_way}"
            )
    return AnnData(values, adata.obs[[]], adata.var[[]]), taken


def _number_of_expressed_genes(values):
    """Genes with a value other than 0 in any cell."""
    low, high = min_max_axis(sparse.csr_array(values), axis=0)
    return int(((low != 0) | (high != 0)).sum())


def warn_of_long_tails(Y: pd.DataFrame) -> None:
    """Warn of outputs, such as raw counts of proteins, whose R2 depends on few cells."""
    is_whole = (Y == Y.round()).all(axis=0)
    is_wide = Y.max() - Y.min() > WIDE_RANGE
    has_tail = (is_whole & is_wide) | (Y.skew() > STRONG_SKEW)
    if not has_tail.any():
        return
    can_be_logged = Y.min() >= 0
    logged = Y.columns[has_tail & can_be_logged]
    clipped = Y.columns[has_tail & ~can_be_logged]
    line = "{columns} = np.log2({columns} + 1)"
    _warn_of_tail(logged, line, n_outputs=Y.shape[1])
    line = "{columns} = {columns}.clip(upper={columns}.quantile(0.99), axis=1)"
    _warn_of_tail(clipped, line, n_outputs=Y.shape[1])


def _warn_of_tail(outputs, line, n_outputs):
    """Warn of outputs with the line of pandas that transforms them."""
    if not len(outputs):
        return
    columns = f"table[{list(outputs)}]"
    if len(outputs) == n_outputs:
        columns = "table"
    elif len(outputs) > NAMES_IN_CODE:
        columns = f"table[{list(outputs[:NAMES_IN_CODE])} + [...]]"
    warn(
        f"outputs with a long tail, such as raw counts: {abbreviate(outputs)}; a few cells decide "
        f"their R2: transform them with {line.format(columns=columns)}"
    )


def warn_of_no_groups(labels: pd.DataFrame) -> None:
    """Warn if no label can colour a map."""
    if len(labels.columns) and not group_columns(labels):
        warn(
            f"labels: no column has 2 to {MOST_GROUPS} different values, so maps stay grey; "
            f"columns are {abbreviate(labels.columns)}"
        )


def warn_of_suspects(Y: pd.DataFrame, genes: pd.Index, copies: pd.Index) -> None:
    """Warn of columns, cells and outputs that are better left out."""
    names = genes.append(Y.columns)
    alike = np.triu(Y.corr().abs(), 1) > COPY_CORRELATION  # (outputs, outputs)
    suspects = {
        "names that tools make": names[names.str.fullmatch(BOOKKEEPING)],
        "cells with the expression of an earlier cell": copies,
        "outputs that copy an earlier one": Y.columns[alike.any(axis=0)],
    }
    for what, suspected in suspects.items():
        if len(suspected):
            warn(f"{what}: {abbreviate(suspected)}; leave them out")


def read_table(given: Any, what: str) -> pd.DataFrame:
    """Table with unique names of rows and columns, as text."""
    table = given
    if not isinstance(table, pd.DataFrame):
        table = read_columns(given, what, as_text=what == "labels")
        table = table.iloc[:, 1:].set_axis(table.iloc[:, 0])
    rows = names_as_text(table.index)
    columns = names_as_text(table.columns)
    n_unnamed_rows = (rows == "").sum()
    n_unnamed_columns = (columns == "").sum()
    if n_unnamed_rows or n_unnamed_columns:
        raise ValueError(
            f"{what}: {n_unnamed_rows} rows and {n_unnamed_columns} columns without a name; leave "
            "them out with table.loc[table.index != '', table.columns != '']; separators at the "
            "ends of lines make such columns"
        )
    table = table.set_axis(rows).set_axis(columns, axis=1)
    repeated_columns = columns[columns.duplicated()]
    twice = rows[rows.duplicated()].append(repeated_columns)
    if len(twice):
        raise ValueError(
            f"{what}: names that appear more than once: {abbreviate(twice, 3)}; average "
            "such rows with "
            "table.groupby(level=0).mean() (counts: sum()), or keep the first with "
            "table[~table.index.duplicated()] (columns: the same of table.T)"
        )
    numbers_of_rows = pd.RangeIndex(len(rows) + 1).astype(str)
    if rows.equals(numbers_of_rows[:-1]) or rows.equals(numbers_of_rows[1:]):
        raise ValueError(
            f"{what}: rows are numbered ({abbreviate(rows, 3)}), but cells are matched by "
            "name; make the column of names the index with table.set_index(COLUMN), of "
            f"{abbreviate(table.columns, 3)}"
        )
    return table


def read_columns(path: Any, what: str, as_text: bool) -> pd.DataFrame:
    """All columns of a file, the first one or all as text; names may repeat."""
    if not isinstance(path, str | Path):
        raise TypeError(f"{what}: expected a path or a DataFrame, got {type(path).__name__}")
    try:
        if str(path).lower().endswith(".xlsx"):
            with pd.ExcelFile(path) as book:
                sheets = book.sheet_names
            if len(sheets) > 1:
                raise ValueError(f"it has the sheets {abbreviate(sheets)}")
            read = partial(pd.read_excel, header=None, keep_default_na=False, na_values=[""])
        else:
            readers = []
            for separator in SEPARATORS:
                reader = partial(
                    pd.read_csv,
                    sep=separator,
                    header=None,
                    low_memory=False,
                    skipinitialspace=True,
                )
                readers.append(reader)
            # the separator that gives the most columns
            read = max(readers, key=lambda read_csv: read_csv(path, nrows=1).size)
        header = read(path, nrows=1, dtype=str, na_filter=False).loc[0]
        if len(header) < 2:
            raise ValueError("its first line has one column")
        # without a converter, a gene called NA would be missing
        # and without types, donors 01 and 1 would be one
        types = dict.fromkeys(range(1, len(header)), str) if as_text else None
        table = read(path, skiprows=1, converters={0: str}, dtype=types)
        if table[0].str.contains("\n").any():  # the lines between two quotation marks are one name
            raise ValueError("the name of a row has several lines; is there a quotation mark?")
        table = table.set_axis([*header], axis=1)
    except CLEAR_ERRORS:
        raise
    except Exception as error:  # of packed files, archives, encodings and unequal lines
        raise ValueError(
            f"{what}: {path} is not a plain table, or damaged: {error}; read it with "
            "pd.read_csv(path, index_col=0, sep=..., header=..., encoding=..., quoting=...), "
            "pd.read_excel(path, index_col=0, sheet_name=...) or scanpy, and pass the table"
        ) from error
    if has_empty_bytes(path):
        raise ValueError(
            f"{what}: {path} is damaged: it has bytes of 0, which a crash leaves; write or copy it "
            "again"
        )
    return table


def has_empty_bytes(path: str | Path) -> bool:
    """Whether a text file has bytes of 0, after which pandas drops the rest of a number."""
    name = str(path).lower()
    if name.endswith((".xlsx", *PACKED)) or not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return any(b"\0" in block for block in iter(partial(file.read, BLOCK_SIZE), b""))


def join_tables(
    expression: Any, outputs: Any, genes_in_rows: bool | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with the cells that they share; genes in rows are turned."""
    X = read_table(expression, "expression")
    Y = read_table(outputs, "outputs")
    fits = []
    for names in (X.index, X.columns):
        n_shared = names.isin(Y.index).sum()
        least = LEAST_SHARED * min(len(names), len(Y))
        fits.append(n_shared >= least > 0)
    if genes_in_rows is not None:
        fits[not genes_in_rows] = False
    cells_in_rows, cells_in_columns = fits
    if cells_in_rows == cells_in_columns:
        raise ValueError(
            "expression and outputs: names of cells do not match; expression has the rows "
            f"{abbreviate(X.index, 3)} and the columns {abbreviate(X.columns, 3)}, outputs "
            "has the rows "
            f"{abbreviate(Y.index, 3)}; make them equal with table.set_index(COLUMN), table.T or "
            f"table.rename(index=...){describe_similar(X.index.append(X.columns), Y.index)}; if "
            "rows and columns match, set genes_in_rows"
        )
    cells = X.columns if cells_in_columns else X.index
    is_shared = cells.isin(Y.index)
    warn_left_out("cells not in outputs", cells[~is_shared])
    warn_left_out("cells not in expression", Y.index[~Y.index.isin(cells)])
    X = X.loc[:, is_shared].T if cells_in_columns else X[is_shared]
    return X, Y.loc[X.index]


def check_expression(table: pd.DataFrame | AnnData, counts: bool | None) -> tuple[AnnData, bool]:
    """Expression without spike-ins, and whether it is raw counts; all but logarithms is refused."""
    adata = table
    if isinstance(table, pd.DataFrame):
        adata = AnnData(numbers(table, "expression").astype(float))
    spikes = adata.var_names.str.startswith("ERCC-")
    warn_left_out("ERCC spike-ins", adata.var_names[spikes])
    adata = adata[:, ~spikes]
    entries = sparse.csr_array(adata.X)

    def genes_with(mask):
        n_entries = np.bincount(entries.indices[mask], minlength=adata.n_vars)
        return adata.var_names[n_entries > 0]

    missing = genes_with(np.isnan(entries.data))
    if len(missing):
        raise ValueError(
            f"expression: missing values of {abbreviate(missing, 3)}; leave these genes "
            "out, or use table.fillna(0) if they were not detected"
        )
    others = genes_with(~are_counts(entries.data))
    are_raw = counts
    if are_raw is None:
        expressed = genes_with(entries.data != 0)
        are_raw = len(others) <= FEW_COLUMNS * len(expressed)
    if are_raw and len(others):
        raise ValueError(
            "expression: not whole numbers from 0 on, unlike the others: "
            f"{abbreviate(others, 3)}; leave "
            "columns that are no genes out with table.drop(columns=...), round estimated counts "
            "with table.round(), or set counts=False for log values"
        )
    largest = entries.data.max(initial=0)
    if not are_raw and largest > BEYOND_LOG:
        raise ValueError(
            f"expression: values up to {largest:g} are no log values; use np.log2(table + 1) of "
            "TPM or CPM, or round estimated counts with table.round()"
        )
    if are_raw:
        is_counted = row_sums(entries) > 0
        warn_left_out("cells without counts", adata.obs_names[~is_counted])
        adata = adata[is_counted]
    return adata, are_raw


def drop_constant(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Columns with two or more values."""
    varies = table.max() > table.min()
    warn_left_out(f"{kind} with one value in all cells", table.columns[~varies])
    if not varies.any():
        raise ValueError(f"{kind}: none has two different values")
    return table.loc[:, varies]


def match_labels(labels: Any, cells: pd.Index) -> pd.DataFrame:
    """Labels of the cells, NaN for cells without; a type without a family is its own."""
    table = read_table(labels, "labels")
    if not table.index.isin(cells).any():
        raise ValueError(
            "labels: no row has the name of a cell; rows are "
            f"{abbreviate(table.index, 3)}, cells are "
            f"{abbreviate(cells, 3)}; make them equal with table.set_index(COLUMN)"
        )
    table = table.reindex(cells)
    if "type" in table and "family" not in table:
        table["family"] = table["type"]
    return table


def warn_left_out(reason: str, names: pd.Index) -> None:
    """Warn of names that are left out."""
    if len(names):
        warn(f"{len(names)} {reason} left out: {abbreviate(names, 3)}")
