"""A user's own tables, in which cells are matched by name.

Nothing is guessed: `values_table` shows what was understood, and an error says what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, product
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils.sparsefuncs import min_max_axis

from sbnn.data.checks import (
    abbreviate,
    check_finite,
    check_only_genes,
    fill_names,
    is_anndata,
    names_as_text,
    read_numbers,
    refuse_other_table,
)
from sbnn.data.counts import are_beyond_logarithms, are_counts, log2p1, row_sums
from sbnn.data.inputs import load_into_memory, select_outputs
from sbnn.data.paired import paired
from sbnn.errors import warn
from sbnn.own_data.names import (
    are_numbered,
    axes,
    find_match,
    naming_the_page,
    say_change,
    suggest_spelling,
    what_was_seen,
)
from sbnn.own_data.table_files import read_anndata, read_file_columns

LEAST_COMPLETE = 0.5  # of the cells
FEWEST_TESTED = 40  # cells of which a fit was measured
KINDS_OF_NAMES = "rows", "columns"
#: Python for the names of both axes.
EXPRESSION_AXES = "expression.index", "expression.columns"
ADATA_AXES = "adata.obs_names", "adata.var_names"
OUTPUT_AXES = "outputs.index", "outputs.columns"
COPY_CORRELATION = 0.999  # of an output with the gene that it copies
LARGEST_STEP = 0.1  # between numbers in single precision, relative to the SD of an output
FEW_COLUMNS = 0.2  # of the expressed ones: no counts, beside counts


@naming_the_page()
def read_tables(
    expression: str | Path | pd.DataFrame | AnnData,
    outputs: str | Path | pd.DataFrame | Sequence[str] = "outputs",
    labels: str | Path | pd.DataFrame | None = None,
    counts: bool | None = None,
    genes_in_rows: bool | None = None,
    outputs_in_rows: bool | None = None,
    *,
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
        Cells x outputs or outputs x cells. Of an AnnData, also a key of ``obsm`` or a list of
        columns of ``obs``.
    labels : path-like or DataFrame, optional
        Cells x labels, such as ``type``, ``family`` and ``donor``; by default ``obs``. Those of a
        file are text.
    counts : bool, optional
        True for raw counts, False for log values. By default, whole numbers are counts.
    genes_in_rows, outputs_in_rows : bool, optional
        By default, the axes of `expression` and `outputs` that share names are the cells, if there
        is one such pair of axes. An AnnData always has cells in rows.
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
        If cells do not match, or two axes of a table may be the cells, there are text or missing
        values among numbers, names are empty, repeat or only number the rows, there are columns
        beside the genes, values are neither counts nor logarithms, or a file is damaged.
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
    is_numbered = False
    if isinstance(expression, AnnData):
        given = outputs
        if not isinstance(outputs, pd.DataFrame) and not _is_file(outputs):
            outputs = select_outputs(expression, outputs)
        # all that one AnnData holds is of the same cells, which then need no names
        is_whole = outputs is not given and labels is None
        is_numbered = is_whole and are_numbered(expression.obs_names)
        if labels is None:
            labels = expression.obs
        expression, taken = get_expression(expression, counts)
        notes.append(taken)
        if is_numbered:
            cells = "cell" + expression.obs_names
            expression.obs_names = cells
            outputs = read_table(outputs, "outputs", accept_numbered=True).set_axis(cells)
            labels = read_table(labels, "labels", accept_numbered=True).set_axis(cells)
    X, Y, cell_labels = read_matched_tables(
        expression, outputs, labels, genes_in_rows, outputs_in_rows
    )
    complete = find_complete_cells(Y)
    expressed, are_raw = counts_or_logs(X[complete.to_numpy()], counts)
    genes = find_varying_genes(expressed)
    Y = drop_constant(Y.loc[expressed.obs_names], "outputs", kind="outputs")
    if cell_labels is not None:
        cell_labels = cell_labels.loc[expressed.obs_names]
    chosen = expressed[:, genes].X
    if are_raw:
        notes.append("expression is taken as raw counts; X is log2(1 + counts / total * median)")
    else:
        notes.append("expression is taken as log values")
        if chosen.min() < 0:
            notes.append(
                "X has negative values: scaled? Log values are better; in an AnnData of scanpy, "
                "`adata.raw.to_adata()` has them"
            )
    if is_numbered:
        notes.append("cells are matched by position")
    if len(Y) < FEWEST_TESTED:
        notes.append(f"{len(Y)} cells are few: sbnn was not tested with fewer than {FEWEST_TESTED}")
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


def read_matched_tables(
    expression: Any,
    outputs: Any,
    labels: Any,
    genes_in_rows: bool | None,
    outputs_in_rows: bool | None,
) -> tuple[pd.DataFrame | AnnData, pd.DataFrame, pd.DataFrame | None]:
    """Expression, outputs and labels of the cells that expression and outputs share."""
    X, Y = match_cells(expression, outputs, genes_in_rows, outputs_in_rows)
    cell_labels = None if labels is None else match_labels(labels, Y)
    if isinstance(X, pd.DataFrame):
        check_only_genes(X, cell_labels, "expression")
    return X, read_numbers(Y, "outputs").astype(float), cell_labels


def find_complete_cells(Y: pd.DataFrame) -> pd.Series:
    """Whether each cell has all outputs; an error if most lack some."""
    complete = Y.notna().all(axis=1)
    if complete.mean() < LEAST_COMPLETE:
        raise ValueError(
            f"outputs: only {complete.sum()} of {len(Y)} cells have all of them; missing most "
            f"often: {abbreviate(Y.count().nsmallest(3).index)}; leave such outputs out"
        )
    warn_left_out("cells with missing outputs", Y.index[~complete])
    check_finite(Y[complete], "outputs")
    return complete


def find_varying_genes(expressed: AnnData) -> pd.Index:
    """Genes with two or more values."""
    values = sparse.csr_array(expressed.X)
    extremes = pd.DataFrame(min_max_axis(values, axis=0), columns=expressed.var_names)
    return drop_constant(extremes, "expression", kind="genes").columns


def get_expression(adata: AnnData, counts: bool | None) -> tuple[AnnData, str]:
    """Counts, or else ``X``, with the names of cells and genes only, and which of them it is.

    ``X`` is taken if there is no layer of counts, or `counts` is False. It may be sparse.
    """
    fill_names(adata.var_names, "expression", kind="gene", size=adata.n_vars)
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


def read_table(given: Any, what: str, accept_numbered: bool = False) -> pd.DataFrame:
    """Table with unique names of rows and columns, as text."""
    refuse_other_table(given, what)
    table = given
    if not isinstance(table, pd.DataFrame):
        table = read_file_columns(given, what, as_text=what == "labels")
        table = table.iloc[:, 1:].set_axis(table.iloc[:, 0])
    table = table.set_axis(names_as_text(table.index))
    table = table.set_axis(names_as_text(table.columns), axis=1)
    check_table_names(table, what)
    if not accept_numbered:
        check_not_numbered(table, what)
    return table


def check_table_names(table: pd.DataFrame | AnnData, what: str) -> None:
    """Refuse rows or columns of a table that have no name, or the same one."""
    rows, columns = axes(table)
    n_unnamed_rows = (rows == "").sum()
    n_unnamed_columns = (columns == "").sum()
    if n_unnamed_rows or n_unnamed_columns:
        raise ValueError(
            f"{what}: {n_unnamed_rows} rows and {n_unnamed_columns} columns without a name; "
            f"{what_was_seen({what: table})}"
        )
    for axis, names in (("columns", columns), ("rows", rows)):
        repeated = names[names.duplicated()].unique()
        if len(repeated):
            raise ValueError(
                f"{what}: names of {axis} that appear more than once: {abbreviate(repeated, 3)}; "
                f"{what_was_seen({what: table})}"
            )


def check_not_numbered(table: pd.DataFrame | AnnData, what: str) -> None:
    """Refuse rows that are only numbered."""
    rows, _ = axes(table)
    if are_numbered(rows):
        names = "adata.obs_names" if isinstance(table, AnnData) else "table.index"
        raise ValueError(
            f"{what}: rows are numbered, but cells are matched by name; if another table has the "
            f"names of these cells, in the same order, set {names} = other.index; "
            f"{what_was_seen({what: table})}"
        )


def match_cells(
    expression: Any,
    outputs: Any,
    genes_in_rows: bool | None,
    outputs_in_rows: bool | None,
) -> tuple[pd.DataFrame | AnnData, pd.DataFrame]:
    """Expression and outputs of the cells that they share, with cells in rows."""
    if isinstance(expression, AnnData):
        X, genes_in_rows = expression, False
        check_table_names(X, "expression")
        check_not_numbered(X, "expression")
    else:
        X = read_table(expression, "expression")
    Y = read_table(outputs, "outputs")
    of_x, of_y = find_cells(X, Y, genes_in_rows, outputs_in_rows)
    cells, others = axes(X)[of_x], axes(Y)[of_y]
    is_shared = cells.isin(others)
    warn_left_out("cells not in outputs", cells[~is_shared])
    warn_left_out("cells not in expression", others[~others.isin(cells)])
    X = X.loc[:, is_shared].T if of_x else X[is_shared]
    return X, (Y.T if of_y else Y).loc[cells[is_shared]]


def find_cells(
    X: pd.DataFrame | AnnData,
    Y: pd.DataFrame,
    genes_in_rows: bool | None,
    outputs_in_rows: bool | None,
) -> tuple[int, int]:
    """The axes of expression and outputs that are the cells: 0 for rows, 1 for columns.

    Cells are the only axes that share names. A second pair of axes is refused, also one that only
    nearly matches: genes may be called as proteins, while barcodes differ at their ends.
    """
    names_of_x = ADATA_AXES if isinstance(X, AnnData) else EXPRESSION_AXES
    matches = {}
    for of_x, of_y in product(_possible_axes(genes_in_rows), _possible_axes(outputs_in_rows)):
        matches[of_x, of_y] = find_match(
            axes(X)[of_x], axes(Y)[of_y], names_of_x[of_x], OUTPUT_AXES[of_y]
        )
    equal = [pair for pair, match in matches.items() if match.n_names and not match.change]
    # fewer after a change are outputs that are nearly called as genes
    least = max([matches[pair].n_names for pair in equal], default=0)
    ways = []
    for (of_x, of_y), match in matches.items():
        if (of_x, of_y) in equal or (match.change and match.n_names >= least):
            after = f" after {match.change}" if match.change else ""
            ways.append(
                f"{match.n_names} {KINDS_OF_NAMES[of_x]} of expression are {KINDS_OF_NAMES[of_y]} "
                f"of outputs{after}"
            )
    if equal and len(ways) == 1:
        return equal[0]
    problem = (
        f"which names are the cells? {'; '.join(ways)}; set genes_in_rows and outputs_in_rows "
        "(--genes-in-rows, --outputs-in-rows) to True or False, or give outputs other names than "
        "genes"
    )
    if not equal:
        change = say_change(max(matches.values(), key=lambda match: match.n_names))
        spelling = suggest_spelling(chain(*axes(X)), Y.index)
        problem = f"names of cells do not match{change or spelling}"
    seen = what_was_seen({"expression": X, "outputs": Y})
    raise ValueError(f"expression and outputs: {problem}; {seen}")


def _possible_axes(are_turned):
    """Axes of a table that may be the cells: 0 for rows, 1 for columns."""
    return (0, 1) if are_turned is None else (int(are_turned),)


def counts_or_logs(table: pd.DataFrame | AnnData, counts: bool | None) -> tuple[AnnData, bool]:
    """Expression without spike-ins, and whether it is raw counts or, if not, logarithms."""
    adata = table
    if isinstance(table, pd.DataFrame):
        adata = AnnData(read_numbers(table, "expression").astype(float))
    spikes = adata.var_names.str.startswith("ERCC-")
    warn_left_out("ERCC spike-ins", adata.var_names[spikes])
    adata = adata[:, ~spikes]
    entries = sparse.csr_array(adata.X)
    missing = adata.var_names[_columns_with(entries, np.isnan(entries.data))]
    if len(missing):
        raise ValueError(
            f"expression: missing values of {abbreviate(missing, 3)}; leave such genes out, or "
            "fill in 0 if they were not detected"
        )
    are_raw = _are_raw_counts(entries, adata.var_names, counts)
    if are_raw:
        is_counted = row_sums(entries) > 0
        warn_left_out("cells without counts", adata.obs_names[~is_counted])
        adata = adata[is_counted]
    if not adata.n_obs:
        raise ValueError("expression: no cell is left")
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
            f"{abbreviate(others, 3)}; leave columns that are no genes out, round estimated "
            "counts, or set counts=False (--log) for log values"
        )
    if not are_raw and are_beyond_logarithms(entries.data):
        raise ValueError(
            f"expression: values up to {entries.data.max():g} are no log values; take logarithms "
            "of TPM or CPM, or round estimated counts"
        )
    return are_raw


def drop_constant(table: pd.DataFrame, argument: str, kind: str) -> pd.DataFrame:
    """Columns with two or more values."""
    varies = table.max() > table.min()
    warn_left_out(f"{kind} with one value in all cells", table.columns[~varies])
    if not varies.any():
        raise ValueError(f"{argument}: none of the {kind} has two different values")
    return table.loc[:, varies]


def match_labels(labels: Any, Y: pd.DataFrame) -> pd.DataFrame:
    """Labels of the cells, NaN for cells without; a type without a family is its own."""
    table = read_table(labels, "labels")
    if not table.index.isin(Y.index).any():
        nearly = find_match(table.index, Y.index, "labels.index", "outputs.index")
        raise ValueError(
            f"labels: no row has the name of a cell{say_change(nearly)}; "
            f"{what_was_seen({'outputs': Y, 'labels': table})}"
        )
    table = table.reindex(Y.index)
    if "type" in table and "family" not in table:
        table["family"] = table["type"]
    return table


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
            f"outputs: single precision loses the differences between cells in {abbreviate(lost)}; "
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
        raise ValueError(f"outputs: {outputs[i]} copies the gene {genes[j]}; leave it out")
