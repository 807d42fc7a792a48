"""A user's own tables, in which cells are matched by name.

Nothing is guessed: an error says what to do in pandas.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, read_h5ad
from scipy import sparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils.sparsefuncs import min_max_axis

from sbnn.data.checks import (
    MOST_GROUPS,
    abbreviate,
    check_finite,
    check_names,
    check_only_genes,
    group_columns,
    is_anndata,
    names_as_text,
    numbers,
)
from sbnn.data.counts import BEYOND_LOG, are_counts, log2p1, row_sums
from sbnn.data.inputs import load_into_memory, select_outputs
from sbnn.data.paired import paired
from sbnn.errors import require, warn
from sbnn.own_data.advice import (
    are_numbered,
    count_matches,
    describe_change,
    describe_dictionary,
    describe_header,
    describe_leaving_out,
    describe_long_table,
    describe_similar,
    describe_text,
    find_column_with,
    find_columns_of_names,
)

SEPARATORS = ",", "\t", ";"
#: Endings of packed files, which have checksums.
PACKED = ".gz", ".bz2", ".zip", ".xz", ".zst", ".tar"
BLOCK_SIZE = 2**20  # bytes
LEAST_SHARED = 0.5  # of the cells of the smaller table
#: First bytes of workbooks of Excel 2003, and of Excel 2, 3 and 4.
BINARY_WORKBOOKS = b"\xd0\xcf\x11\xe0", b"\x09\0\x04\0", b"\x09\x02\x06\0", b"\x09\x04\x06\0"
#: Names of columns that tools add, dates that spreadsheets make of genes such as MARCH1, and what
#: HTSeq and STAR count besides genes.
BOOKKEEPING = re.compile(
    r"Unnamed: \d+|(n_genes|n_counts|total_counts|pct_counts).*|batch|cluster|leiden|louvain"
    r"|\d+-(Mar|Sep|Dec)|(Mar|Sep|Dec)-\d+|\d{4}-\d\d-\d\d.*"
    r"|__.*|N_(unmapped|multimapping|noFeature|ambiguous)"
)
#: Errors that say what is wrong.
CLEAR_ERRORS = FileNotFoundError, ImportError, IsADirectoryError, MemoryError, PermissionError
COPY_CORRELATION = 0.999  # of an output with the gene or output that it copies
LARGEST_STEP = 0.1  # between numbers in single precision, relative to the SD of an output
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
    by_position: bool = False,
    name: str = "custom",
) -> AnnData:
    """Read expression, outputs and labels, and match their cells by name.

    Files are CSV, TSV or Excel, also compressed, with the names of the rows in the first column.
    Workbooks need the extra ``excel``.
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
    by_position : bool, optional
        True if rows are numbered, and the cells of all tables are the same in the same order, which
        nothing in the tables can confirm. They must be equally many.
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
        counts nor logarithms, or a file is damaged. With `by_position`, if tables have other
        numbers of cells, or the names of the same cells in another order.
    TypeError
        If a table is neither a path nor a DataFrame.
    ImportError
        If a workbook needs a package that is not installed.

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
    notes = []
    if isinstance(expression, AnnData):
        if not _is_file(outputs):
            # what is in one AnnData is of the same cells
            is_whole = labels is None
            by_position = by_position or is_whole and are_numbered(expression.obs_names)
            outputs = select_outputs(expression, outputs)
        if labels is None:
            labels = expression.obs
        expression, taken = get_expression(expression, counts)
        notes.append(taken)
    if by_position:
        expression, outputs, labels = name_by_position(expression, outputs, labels, genes_in_rows)
        genes_in_rows = False
    X, Y, cell_labels = match_cells(expression, outputs, labels, genes_in_rows)
    complete = find_complete_cells(Y)
    expressed, are_raw = check_expression(X[complete.to_numpy()], counts)
    genes, copies = find_varying_genes(expressed)
    Y = drop_constant(Y.loc[expressed.obs_names], "outputs")
    warn_of_suspects(Y, genes, copies=copies)
    warn_of_long_tails(Y)
    if cell_labels is not None:
        cell_labels = cell_labels.loc[expressed.obs_names]
        warn_of_no_groups(cell_labels)
    chosen = expressed[:, genes].X
    if are_raw:
        notes.append("expression is taken as raw counts; X is log2(1 + counts / total * median)")
    else:
        notes.append("expression is taken as log values")
    if by_position:
        notes.append("cells are matched by position")
    require_precision(Y)
    adata = paired(
        X=None if are_raw else chosen,
        Y=Y,
        gene_names=genes,
        labels=cell_labels,
        counts=chosen.astype(np.int64) if are_raw else None,
        name=name,
        notes=notes,
    )
    outputs_of_cells = adata.obsm["outputs"]
    for values in [adata.X, chosen, log2p1(chosen)] if are_raw else [chosen]:
        refuse_copies(
            values, outputs_of_cells.to_numpy(), genes=genes, outputs=outputs_of_cells.columns
        )
    return adata


def _is_file(outputs):
    """Whether outputs of an AnnData are in a file, not in the AnnData."""
    return isinstance(outputs, str | PathLike) and Path(outputs).is_file()


def match_cells(
    expression: Any, outputs: Any, labels: Any, genes_in_rows: bool | None
) -> tuple[pd.DataFrame | AnnData, pd.DataFrame, pd.DataFrame | None]:
    """Expression, outputs and labels of the cells that expression and outputs share."""
    X: pd.DataFrame | AnnData
    if isinstance(expression, AnnData):
        unnamed = pd.DataFrame(index=expression.obs_names)
        names, Y = join_tables(unnamed, outputs, False, labels)
        X = expression[names.index]
    else:
        X, Y = join_tables(expression, outputs, genes_in_rows, labels)
    cell_labels = None if labels is None else match_labels(labels, Y.index)
    if isinstance(X, pd.DataFrame):
        check_only_genes(X, Y, "expression")
        check_only_genes(X, cell_labels, "expression")
    return X, numbers(Y, "outputs").astype(float), cell_labels


def find_complete_cells(Y: pd.DataFrame) -> pd.Series:
    """Whether each cell has all outputs; an error if most lack some."""
    complete = Y.notna().all(axis=1)
    if complete.mean() < LEAST_SHARED:
        raise ValueError(
            f"outputs: only {complete.sum()} of {len(Y)} cells have all of them; missing most "
            f"often: {abbreviate(Y.count().nsmallest(3).index)}; {describe_leaving_out(Y)}"
        )
    warn_left_out("cells with missing outputs", Y.index[~complete])
    check_finite(Y[complete], "outputs")
    return complete


def find_varying_genes(expressed: AnnData) -> tuple[pd.Index, pd.Index]:
    """Genes with two or more values, and cells with the expression of an earlier one."""
    values = sparse.csr_array(expressed.X)
    extremes = pd.DataFrame(min_max_axis(values, axis=0), columns=expressed.var_names)
    # DataFrame.duplicated takes seconds
    weights = np.random.default_rng(0).random(expressed.n_vars)
    sums = pd.Index(values @ weights)
    return drop_constant(extremes, "genes").columns, expressed.obs_names[sums.duplicated()]


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


def read_table(given: Any, what: str, accept_numbered: bool = False) -> pd.DataFrame:
    """Table with unique names of rows and columns, as text."""
    table = given
    if not isinstance(table, pd.DataFrame):
        table = read_columns(given, what, as_text=what == "labels")
        table = table.iloc[:, 1:].set_axis(table.iloc[:, 0])
    table = table.set_axis(names_as_text(table.index))
    table = table.set_axis(names_as_text(table.columns), axis=1)
    check_table_names(table, what)
    if not accept_numbered and are_numbered(table.index):
        of_names = find_columns_of_names(table)
        advice = "no column has a different text in every row"
        if of_names:
            advice = (
                "make the column of names the index with table.set_index(COLUMN), of "
                f"{abbreviate(of_names)}"
            )
        raise ValueError(
            f"{what}: rows are numbered ({abbreviate(table.index, 3)}), but cells are matched by "
            f"name; {advice}; if the rows of all tables are the same cells in the same order, set "
            "by_position=True (--by-position)"
        )
    return table


def check_table_names(table: pd.DataFrame, what: str) -> None:
    """Refuse rows or columns of a table that have no name, or the same one."""
    rows, columns = table.index, table.columns
    n_unnamed_rows = (rows == "").sum()
    n_unnamed_columns = (columns == "").sum()
    if n_unnamed_rows or n_unnamed_columns:
        raise ValueError(
            f"{what}: {n_unnamed_rows} rows and {n_unnamed_columns} columns without a name; leave "
            "them out with table.loc[table.index != '', table.columns != '']; separators at the "
            f"ends of lines make such columns{describe_header(table)}"
        )
    repeated_columns = columns[columns.duplicated()].unique()
    if len(repeated_columns):
        advice = "they may be different measurements, so do not average them, but"
        if what == "expression":
            advice = "add counts of one gene with table.T.groupby(level=0).sum().T, or"
        raise ValueError(
            f"{what}: names of columns that appear more than once: "
            f"{abbreviate(repeated_columns, 3)}; {advice} make the names unique with "
            "table.columns = [f'{name} {i}' for i, name in enumerate(table.columns)]"
            f"{describe_header(table)}"
        )
    repeated_rows = rows[rows.duplicated()].unique()
    if len(repeated_rows):
        raise ValueError(
            f"{what}: names of rows that appear more than once: {abbreviate(repeated_rows, 3)}; "
            f"{describe_repeated_rows(table)}"
        )


def describe_repeated_rows(table: pd.DataFrame) -> str:
    """What to do about rows of one name."""
    of_names = find_columns_of_names(table)
    if of_names:
        return (
            "make a column of names the index with table.set_index(COLUMN), of "
            f"{abbreviate(of_names)}{describe_text(table.drop(columns=of_names))}"
        )
    if pd.to_numeric(table.index, errors="coerce").notna().all():
        return (
            "the first column holds numbers, not names; if the rows of all tables are the same "
            "cells in the same order, pass pd.read_csv(path) with by_position=True"
        )
    long_table = describe_long_table(table)
    if long_table:
        return (
            f"if there is a row for each cell and measurement, make columns of these: {long_table}"
        )
    return (
        "average such rows with table.groupby(level=0).mean() (counts: sum()), or keep the first "
        "with table[~table.index.duplicated()]"
    )


def read_columns(path: Any, what: str, as_text: bool) -> pd.DataFrame:
    """All columns of a file, the first one or all as text; names may repeat."""
    if not isinstance(path, str | Path):
        raise TypeError(f"{what}: expected a path or a DataFrame, got {type(path).__name__}")
    try:
        book = open_workbook(path)
        read = choose_csv_reader(path) if book is None else choose_sheet_reader(book)
        table = read_with_header(read, as_text)
    except CLEAR_ERRORS:
        raise
    except Exception as error:  # of packed files, archives, encodings and unequal lines
        raise ValueError(
            f"{what}: {path} is not a plain table, or damaged: {error}; read it with "
            "pd.read_csv(path, index_col=0, sep=..., header=..., encoding=..., quoting=...), "
            "pd.read_excel(path, index_col=0, sheet_name=...) or scanpy, and pass the table"
        ) from error
    if book is None and has_empty_bytes(path):
        raise ValueError(
            f"{what}: {path} is damaged: it has bytes of 0, which a crash leaves; write or copy it "
            "again"
        )
    return table


def choose_sheet_reader(book: pd.ExcelFile) -> Callable[..., pd.DataFrame]:
    """What reads the only sheet of a workbook."""
    if len(book.sheet_names) > 1:
        raise ValueError(f"it has the sheets {abbreviate(book.sheet_names)}")
    return partial(book.parse, header=None, keep_default_na=False, na_values=[""])


def choose_csv_reader(path: str | Path) -> Callable[..., pd.DataFrame]:
    """What reads a text file with the separator that gives the most columns."""
    readers = []
    for separator in SEPARATORS:
        reader = partial(
            pd.read_csv,
            path,
            sep=separator,
            header=None,
            low_memory=False,
            skipinitialspace=True,
        )
        readers.append(reader)
    return max(readers, key=lambda read: read(nrows=1).size)


def read_with_header(read: Callable[..., pd.DataFrame], as_text: bool) -> pd.DataFrame:
    """Table with the names of its first line; what is no plain table is refused."""
    header = read(nrows=1, dtype=str, na_filter=False).loc[0].tolist()
    if len(header) < 2:
        raise ValueError("its first line has one column")
    # without a converter, a gene called NA would be missing
    # and without types, donors 01 and 1 would be one
    n_columns = read(skiprows=1, nrows=1).shape[1]
    types = dict.fromkeys(range(1, n_columns), str) if as_text else None
    table = read(skiprows=1, converters={0: str}, dtype=types)
    if table[0].isna().any():  # pandas 3 also takes converted text as missing
        table[0] = read(skiprows=1, usecols=[0], dtype=str, na_filter=False)[0]
    if str(header[0]).startswith("#") and n_columns != len(header):
        raise ValueError("its first line is a comment: leave it out with comment='#'")
    if n_columns > len(header) + 1:
        raise ValueError(
            f"its first line has {len(header)} columns and the next one {n_columns}, so it is "
            "no header: leave such lines out with skiprows=[...] or comment='#'"
        )
    if n_columns == len(header) + 1:  # write.table of R leaves out the name of the first
        header = ["", *header]
    if table[0].str.contains("\n").any():  # the lines between two quotation marks are one name
        raise ValueError("the name of a row has several lines; is there a quotation mark?")
    return table.set_axis(header, axis=1)


def open_workbook(path: str | Path) -> pd.ExcelFile | None:
    """The workbook at a path that ends as one, also packed by gzip, or None if it is text."""
    if not re.search(r"\.xls[xm]?(\.gz)?$", str(path).lower()):
        return None
    content = Path(path).read_bytes()
    if str(path).lower().endswith(".gz"):
        content = gzip.decompress(content)
    if content.startswith(b"PK"):  # a ZIP archive
        require("openpyxl")
        return pd.ExcelFile(io.BytesIO(content), engine="openpyxl")
    if content.startswith(BINARY_WORKBOOKS):
        require("xlrd")
        return pd.ExcelFile(io.BytesIO(content), engine="xlrd")
    if b"\0" in content:
        raise ValueError("it ends like a workbook, but is none")
    return None  # many instruments write text with tabs to files called .xls


def has_empty_bytes(path: str | Path) -> bool:
    """Whether a text file has bytes of 0, after which pandas drops the rest of a number."""
    name = str(path).lower()
    if name.endswith(PACKED) or not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return any(b"\0" in block for block in iter(partial(file.read, BLOCK_SIZE), b""))


def join_tables(
    expression: Any, outputs: Any, genes_in_rows: bool | None, labels: Any = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with the cells that they share; genes in rows are turned.

    Labels are for the error only, as they may have the names of both.
    """
    X = read_table(expression, "expression")
    Y = read_table(outputs, "outputs")
    cells_in_rows = genes_in_rows is not True and _share_enough_names(Y.index, X.index)
    cells_in_columns = genes_in_rows is not False and _share_enough_names(Y.index, X.columns)
    if cells_in_rows and cells_in_columns:
        raise ValueError(
            "expression and outputs: both rows and columns of expression have the names of cells; "
            "set genes_in_rows"
        )
    if not (cells_in_rows or cells_in_columns):
        n_rows, n_columns = (count_matches(Y.index, names) for names in (X.index, X.columns))
        raise ValueError(
            f"expression and outputs: names of cells do not match; of the {len(Y)} rows of outputs "
            f"({abbreviate(Y.index, 3)}), {n_rows} are among the rows of expression "
            f"({abbreviate(X.index, 3)}), and {n_columns} among its columns "
            f"({abbreviate(X.columns, 3)})"
            f"{describe_matching(X, Y, labels)}{describe_text(Y)}"
        )
    cells = X.columns if cells_in_columns else X.index
    is_shared = cells.isin(Y.index)
    warn_left_out("cells not in outputs", cells[~is_shared])
    warn_left_out("cells not in expression", Y.index[~Y.index.isin(cells)])
    X = X.loc[:, is_shared].T if cells_in_columns else X[is_shared]
    return X, Y.loc[X.index]


def _share_enough_names(cells, names):
    """Whether an axis of expression has enough names of the cells."""
    n_shared = names.isin(cells).sum()
    least = LEAST_SHARED * min(len(names), len(cells))
    return n_shared >= least > 0


def describe_matching(X: pd.DataFrame, Y: pd.DataFrame, labels: Any) -> str:
    """What makes names of cells equal."""
    cells = X.index.append(X.columns)
    n_turned = count_matches(Y.columns, cells)
    if n_turned > max(count_matches(Y.index, cells), 1):
        return f"; {n_turned} are columns of outputs: turn it with table.T"
    column, n_found = find_column_with(Y, cells)
    if n_found > count_matches(Y.index, cells):
        return f"; {n_found} are in a column of outputs: table.set_index({column!r})"
    column, n_found = find_column_with(X, Y.index)
    if n_found > count_matches(X.index, Y.index):
        return f"; {n_found} are in a column of expression: table.set_index({column!r})"
    if labels is not None:
        table = read_table(labels, "labels", accept_numbered=True)
        dictionary = describe_dictionary(table, cells, Y.index)
        if dictionary:
            return dictionary
    of_rows = describe_change(X.index, Y.index, "expression.index", "outputs.index")
    of_columns = describe_change(X.columns, Y.index, "expression.columns", "outputs.index")
    turned = describe_change(X.columns, Y.columns, "expression.columns", "outputs.columns")
    return (
        of_rows
        or of_columns
        or (turned and f"{turned} and outputs = outputs.T")
        or "; make them equal with table.set_index(COLUMN), table.T or table.rename(index=...)"
        + describe_similar(cells, Y.index)
    )


def name_by_position(
    expression: Any, outputs: Any, labels: Any, genes_in_rows: bool | None
) -> tuple[Any, pd.DataFrame, pd.DataFrame | None]:
    """Tables of the same cells in the same order, all with the names that one of them has."""
    Y = read_table(outputs, "outputs", accept_numbered=True)
    if isinstance(expression, AnnData):
        X = expression.obs
    else:
        X = read_table(expression, "expression", accept_numbered=True)
        X = turn_to_cells(X, len(Y), genes_in_rows)
    tables = {"expression": X, "outputs": Y}
    if labels is not None:
        tables["labels"] = read_table(labels, "labels", accept_numbered=True)
    names = get_shared_names(tables)
    named = {what: table.set_axis(names) for what, table in tables.items()}
    if isinstance(expression, AnnData):
        expression.obs_names = names
    else:
        expression = named["expression"]
    return expression, named["outputs"], named.get("labels")


def turn_to_cells(X: pd.DataFrame, n_cells: int, genes_in_rows: bool | None) -> pd.DataFrame:
    """Expression with cells in rows; by default, the axis of their number has the cells."""
    if genes_in_rows is None:
        if X.shape[0] == X.shape[1]:
            raise ValueError(
                f"by_position: expression has {n_cells} rows and as many columns; set genes_in_rows"
            )
        genes_in_rows = X.shape[1] == n_cells
    return X.T if genes_in_rows else X


def get_shared_names(tables: dict[str, pd.DataFrame]) -> pd.Index:
    """Names of the cells of tables whose rows are the same cells in the same order."""
    sizes = {what: len(table) for what, table in tables.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{size} of {what}" for what, size in sizes.items())
        raise ValueError(
            f"by_position: expected the same number of cells in all tables, got {listed}; if the "
            "numbers name the cells, match them by name after table.add_prefix('cell', axis=0)"
        )
    names = tables["expression"].index
    for what, table in tables.items():
        if are_numbered(names):
            names = table.index
        is_elsewhere = table.index.isin(names) & (table.index != names)
        if is_elsewhere.any() and not are_numbered(table.index):
            raise ValueError(
                f"by_position: {what} has names of other cells of the same place, such as "
                f"{abbreviate(table.index[is_elsewhere], 3)}; leave by_position out, as cells can "
                "be matched by name"
            )
    if are_numbered(names):
        names = "cell" + names
    return names


def check_expression(table: pd.DataFrame | AnnData, counts: bool | None) -> tuple[AnnData, bool]:
    """Expression without spike-ins, and whether it is raw counts; all but logarithms is refused."""
    adata = table
    if isinstance(table, pd.DataFrame):
        adata = AnnData(numbers(table, "expression").astype(float))
    spikes = adata.var_names.str.startswith("ERCC-")
    warn_left_out("ERCC spike-ins", adata.var_names[spikes])
    adata = adata[:, ~spikes]
    entries = sparse.csr_array(adata.X)
    missing = adata.var_names[_columns_with(entries, np.isnan(entries.data))]
    if len(missing):
        advice = ""
        if isinstance(table, pd.DataFrame):  # all values of an AnnData may be too many
            advice = f": {describe_leaving_out(table)}"
        raise ValueError(
            f"expression: missing values of {abbreviate(missing, 3)}; use table.fillna(0) if they "
            f"were not detected, or leave genes out{advice}"
        )
    are_raw = _are_raw_counts(entries, adata.var_names, counts)
    if are_raw:
        is_counted = row_sums(entries) > 0
        warn_left_out("cells without counts", adata.obs_names[~is_counted])
        adata = adata[is_counted]
    return adata, are_raw


def _columns_with(entries, mask):
    """Whether each column has an entry of the mask."""
    return np.bincount(entries.indices[mask], minlength=entries.shape[1]) > 0


def _are_raw_counts(entries, genes, counts):
    """Whether expression is raw counts, not logarithms; an error if it is neither."""
    others = genes[_columns_with(entries, ~are_counts(entries.data))]
    are_raw = counts
    if are_raw is None:
        n_expressed = _columns_with(entries, entries.data != 0).sum()
        are_raw = len(others) <= FEW_COLUMNS * n_expressed
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
    return are_raw


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
            f"{abbreviate(cells, 3)}{describe_matching_labels(table, cells)}"
        )
    table = table.reindex(cells)
    if "type" in table and "family" not in table:
        table["family"] = table["type"]
    return table


def describe_matching_labels(table: pd.DataFrame, cells: pd.Index) -> str:
    """What makes names of labels those of the cells."""
    column, n_found = find_column_with(table, cells)
    if n_found:
        return f"; {n_found} are in a column of labels: table.set_index({column!r})"
    advice = describe_change(table.index, cells, "labels.index", "the names of the other tables")
    return advice or "; make them equal with table.set_index(COLUMN)"


def warn_left_out(reason: str, names: pd.Index) -> None:
    """Warn of names that are left out."""
    if len(names):
        warn(f"{len(names)} {reason} left out: {abbreviate(names, 3)}")


def check_in_memory(values: Any, argument: str) -> None:
    """Reject what NumPy does not read as an array, such as sparse matrices in a file."""
    if is_anndata(values):
        values = None if values.isbacked else values.X
    if values is None or sparse.issparse(values) or isinstance(values, np.ndarray | pd.DataFrame):
        return
    if np.asarray(values).ndim == 0:
        raise TypeError(
            f"{argument}: expected numbers in an array, table or sparse matrix in memory, got "
            f"{type(values).__name__}; read it first, all of an AnnData with adata.to_memory()"
        )


def require_precision(Y: pd.DataFrame) -> None:
    """Reject outputs, such as times since 1970, whose differences single precision loses."""
    values = Y.to_numpy(np.float64)
    steps = np.spacing(np.abs(values).max(axis=0).astype(np.float32))
    is_coarse = steps > LARGEST_STEP * values.std(axis=0)
    lost = Y.columns[is_coarse & (np.ptp(values, axis=0) > 0)]
    if len(lost):
        raise ValueError(
            f"Y: single precision loses the differences between cells in {abbreviate(lost)}; "
            "subtract the mean of such columns"
        )


def refuse_copies(X: Any, Y: np.ndarray, *, genes: np.ndarray, outputs: np.ndarray) -> None:
    """Reject outputs that are genes."""
    x = sparse.csr_array(X, dtype=np.float64)
    # an array, whatever scikit-learn is set to
    scaler = StandardScaler().set_output(transform="default")
    y = scaler.fit_transform(Y.astype(np.float64))
    # what a correlation of 1 gives
    size = len(y) * StandardScaler(with_mean=False).fit(x).scale_
    alike = np.argwhere(np.abs(y.T @ x) > COPY_CORRELATION * size)
    if len(alike) and len(y) > 2:  # any two columns of two cells are alike
        i, j = alike[0]
        raise ValueError(f"Y: the output {outputs[i]} copies the gene {genes[j]}; leave it out")
