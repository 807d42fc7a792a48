"""Paired data from a user's own tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions, validate_params

from sbnn.data.checks import BEYOND_LOG, are_counts, check_counts, kind_of_expression, some
from sbnn.data.objects import AnnDataLike, gene_modality, with_outputs
from sbnn.data.paired import paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.containers import opened_container
from sbnn.data.readers.matching import joined, kept, labels_of
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table_names import counters, no_genes
from sbnn.errors import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from sbnn.typehints import TableLike


@validate_params(
    {
        "counts": ["boolean", StrOptions({"normalised"}), None],
        "genes_in_rows": ["boolean", None],
        "type_key": [str, None],
        "family_key": [str, None],
        "missing": [StrOptions({"error", "cells", "outputs", "fewest"})],
        "duplicates": [StrOptions({"error", "sum", "first"})],
    },
    prefer_skip_nested_validation=True,
)
def read_tables(
    expression: TableLike,
    outputs: TableLike | None = None,
    labels: TableLike | None = None,
    *,
    counts: bool | str | None = None,
    genes_in_rows: bool | None = None,
    missing: str = "error",
    duplicates: str = "error",
    family_key: str | None = None,
    type_key: str | None = None,
    colors: Mapping[str, str] | None = None,
    name: str = "custom",
    source: str | None = None,
    **how: object,
) -> AnnData:
    """Read the user's tables, match their cells by name and check them.

    Cells are kept in the order of `expression`. Spike-ins, counters of reads and columns such as
    nCount_RNA are left out. All problems are reported at once, with the options that solve them.

    Parameters
    ----------
    expression : path-like, (path-like, str), DataFrame, AnnData or MuData
        Cells x genes, or genes x cells: text (CSV, TSV), Excel, ``.h5ad``, ``.h5mu``, ``.h5`` of
        10x Genomics or MatrixMarket; may be packed (``.gz``, ``.zip``).
    outputs : path-like, (path-like, str) or DataFrame, optional
        Cells x features, or features x cells; also a key of ``obsm`` or a modality.
    labels : path-like, (path-like, str) or DataFrame, optional
        Cells x labels; by default ``obs`` of an AnnData.
    counts : bool or "normalised", optional
        True for raw counts, ``"normalised"`` for CPM or TPM, False for logarithms. By default,
        whole numbers are counts, and fractions are normalised if some exceed 50.
    genes_in_rows : bool, optional
        Detected by default.
    missing : {"error", "cells", "outputs", "fewest"}
        If values are missing: leave out their cells, their outputs, or some of both.
    duplicates : {"error", "sum", "first"}
        If genes have the same name: add up their values (unless these are logarithms), or take the
        first.
    family_key, type_key : str, optional
        Columns of the coarse and the fine label, by default ``"family"`` and ``"type"``.
    colors : mapping of str to str, optional
        Type -> colour.
    name, source : str, optional
    **how
        Options of all readers, see `sbnn.data.readers.reading.TableOptions`.

    Returns
    -------
    AnnData
        As returned by `sbnn.paired`, with ``"dropped"``, ``"notes"`` and ``["read"]["table"]`` in
        ``uns["sbnn"]``.

    Raises
    ------
    sbnn.data.readers.reading.ReadingError
        A ValueError with all problems.

    Examples
    --------
    >>> from sbnn import read_tables, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=50, n_genes=30)
    >>> data.to_df("counts").to_csv("counts.csv")
    >>> data.obsm["outputs"].to_csv("ephys.csv")
    >>> read_tables("counts.csv", "ephys.csv").shape
    (50, 30)
    """
    choices = {
        "counts": counts,
        "genes_in_rows": genes_in_rows,
        "family_key": family_key,
        "type_key": type_key,
        "missing": missing,
        "duplicates": duplicates,
    }
    reading = Reading("paired", how, choices)
    given = {"expression": expression, "outputs": outputs, "labels": labels}
    data = opened_container(reading, expression)
    if data is not None:
        given |= _of_container(reading, data, outputs, labels)
    elif outputs is None:
        reading.problem("outputs: missing; give the table of the outputs to predict")
    for key in ("type_key", "family_key"):
        if key in reading.choices and given["labels"] is None:
            reading.problem(f"labels: needed for {key}={reading.choices[key]!r}")
    tables = reading.open(given)
    X, Y = joined(reading, tables["expression"], tables["outputs"])
    if isinstance(X, AnnDataLike):
        X = X.to_df("counts" if "counts" in X.layers else None)
    if "labels" in tables:
        labels = _labels(reading, labels_of(reading, tables["labels"], X.index))
    reading.require_known_columns()

    Y = reading.numbers(Y, "outputs", "outputs")
    Y = reading.without(Y, counters(Y.columns), "outputs", "counters")
    X, Y = _without_gaps(reading, X, Y)
    X = reading.numbers(X, "expression", "genes")
    X = reading.genes_only(X)
    X = reading.without(X, no_genes(X.columns), "expression", "spike-ins and counters")
    X = _without_missing_genes(reading, X)
    kind = kind_of_values(reading, X.to_numpy())
    if kind is True:
        X = X.round()
    X = _unique_genes(reading, X, is_log=kind is False)
    if kind is not False:
        seen = X.to_numpy().any(axis=1)
        reading.leave_out("expression", "cells without counts", X.index, ~seen)
        X = X[seen]
        Y = Y[seen]
    X = _varying(reading, X, "expression", "genes")
    Y = _varying(reading, Y, "outputs", "outputs")
    reading.describe("expression", used=f"{len(X)} cells, {X.shape[1]} genes")
    outputs = f"{Y.shape[1]} outputs: {some(Y.columns, 8)}"
    reading.describe("outputs", used=f"{len(Y)} cells, {outputs}")
    reading.require_no_problem()
    adata = paired(
        log_expression(X, kind),
        Y,
        X.columns,
        labels=labels if labels is None else labels.loc[X.index],
        colors=colors,
        counts=check_counts(X.to_numpy(), X.shape) if kind is True else None,
        **reading.about(name, source),
    )
    return reading.attach(adata)


def _of_container(reading, data, outputs, labels) -> dict:
    adata = gene_modality(data)
    found = {"expression": adata}
    if outputs is None or (isinstance(outputs, str) and not os.path.isfile(outputs)):
        _, found["outputs"], lost = with_outputs(data, outputs or "outputs")
        reading.dropped |= lost
    if labels is None and adata.obs.shape[1]:
        found["labels"] = adata.obs
    return found


def _labels(reading, given):
    labels = given.copy()
    for kind in ("type", "family"):
        key = reading.choices.get(f"{kind}_key", kind)
        if key in given:
            labels[kind] = given[key].map(_stripped)
        elif key != kind:
            reading.problem(f"{kind}_key: no column {key!r} in labels, which has {some(given, 12)}")
    if labels.columns.isin(["type", "family"]).any():
        labels["type"] = labels.get("type", labels.get("family"))
        labels["family"] = labels.get("family", labels["type"])
        untyped = labels["type"].isna()
        if untyped.any():
            n_cells = f"{untyped.sum()} of {len(labels)} cells"
            reading.notes.append(f"labels: {n_cells} have no type: {some(labels.index[untyped])}")
        return labels
    advice = "if one of them holds the types, name it with type_key=COLUMN"
    reading.notes.append(f"labels: no column type or family among {some(labels, 12)}; {advice}")
    return labels


def _stripped(label):
    return label.strip() if isinstance(label, str) else label


def _without_gaps(reading, X, Y):
    gaps = Y.isna().to_numpy()  # (n_cells, n_outputs)
    if not gaps.any():
        return X, Y
    missing = reading.choices.get("missing")
    if missing is None:
        missing = "fewest"
        cells, columns = kept(gaps, missing)
        where = some(Y.columns[gaps.any(axis=0)])
        left = f"{cells.sum()} of {len(Y)} cells and {columns.sum()} of {Y.shape[1]} outputs"
        text = f"outputs: missing values in columns {where} ({gaps.sum()} in all)"
        reading.problem(text, f"to keep {left}", missing=missing)
    cells, columns = kept(gaps, missing)
    reading.leave_out("outputs", "cells with missing outputs", Y.index, ~cells)
    Y = reading.without(Y[cells], ~columns, "outputs", "outputs with missing values")
    return X[cells], Y


def _without_missing_genes(reading, X):
    gaps = X.isna().any().to_numpy()  # (n_genes,)
    if not gaps.any():
        return X
    text = f"expression: missing values of {some(X.columns[gaps])}, which are not taken for 0"
    reading.problem(text, "to leave these genes out", drop_columns=list(X.columns[gaps]))
    return X.loc[:, ~gaps]


def kind_of_values(reading, values: np.ndarray):
    """True for counts, False for logarithms, or "normalised"."""
    counts = reading.choices.get("counts")
    if counts is None:
        counts = _detected_kind(reading, values)
    else:
        _check_kind(reading, values, counts)
    reading.describe("expression", values={True: "counts", False: "log"}.get(counts, counts))
    reading.choices["counts"] = counts
    return counts


def _check_kind(reading, values, counts):
    kind, span, _ = kind_of_expression(values)
    if counts is True and not are_counts(values).all():
        if kind != "normalised":
            text = f"expression: expected counts, whole numbers from 0 on, got {span}"
            reading.stop(text, counts=False)
        warn(f"expression: fractions of counts are rounded ({span})")
    if counts is False and kind == "counts" and values.max() > BEYOND_LOG:
        text = f"expression: expected log values, got {span}, which are raw counts"
        reading.stop(text, counts=True)


def _detected_kind(reading, values):
    kind, span, doubt = kind_of_expression(values)
    counts = {"counts": True, "normalised": "normalised", "log": False}[kind]
    if doubt:
        counts = kind == "normalised"  # mostly whole numbers
        aim = "if so" if counts else "if they are log values"
        reading.problem(f"expression: {span}; {doubt}", aim, counts=counts)
    elif values.min() < 0 and values.max() > BEYOND_LOG:  # rather another measurement
        advice = "if they are nevertheless the expression, add counts=False"
        reading.problem(f"expression: {span}; they are too large for log values; {advice}")
    taken = {
        True: "raw counts; log2(x + 1) is taken after each cell is divided by its total",
        "normalised": "normalised values such as TPM; log2(x + 1) is taken of them",
        False: "log values, and used as they are",
    }[counts]
    found = f"expression is read as {taken} ({span})"
    change = "if this is wrong, set counts=True, counts='normalised' or counts=False"
    reading.notes.append(f"{found}; {change}")
    return counts


def _unique_genes(reading, X: pd.DataFrame, is_log: bool) -> pd.DataFrame:
    twice = X.columns[X.columns.duplicated()].unique()
    if twice.empty:
        return X
    found = f"expression: genes that appear more than once: {some(twice)}"
    duplicates = reading.choices.get("duplicates")
    aims = {"sum": "to add up their values", "first": "to take the first of each"}
    if duplicates is None or (duplicates == "sum" and is_log):
        duplicates = "first" if is_log else "sum"
        reading.problem(found, aims[duplicates], duplicates=duplicates)
    return X.T.groupby(level=0, sort=False).agg(duplicates).T


def _varying(reading, table: pd.DataFrame, what: str, kind: str) -> pd.DataFrame:
    constant = np.ptp(table.to_numpy(), axis=0) == 0
    return reading.without(table, constant, what, f"{kind} with one value in all cells")


def log_expression(X: pd.DataFrame, counts):
    """Log expression from counts, from normalised values, or as it is."""
    if counts is True:
        return log2p1(normalize_library_size(X))
    if counts == "normalised":
        return log2p1(X)
    return X.to_numpy()
