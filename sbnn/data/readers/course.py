"""A user's time course and prior network, from tables in any of the usual formats."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from sbnn.data.checks import kind_of_expression, some
from sbnn.data.objects import AnnDataLike
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.containers import opened_container
from sbnn.data.readers.counts import open_file
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.readers.matching import describe_file, joined
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table import are_row_numbers, read_table
from sbnn.data.readers.table_names import texts
from sbnn.data.readers.table_numbers import as_numbers
from sbnn.data.trajectories import as_trajectories, prior_matrix, read_pseudotime, trajectories
from sbnn.errors import check_number, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from sbnn.typehints import PathLike, TableLike


TIME = "time"  # usual name of the column of measured times; other names in .h5ad are pseudotimes
_SIZES = re.compile(rb'"?\d+"?\s*,\s*"?\d+"?[\s,]*')  # numbers of genes and samples in line 1
_LIKE_TIMES = re.compile("time|dpt|day|hour|week|age", re.I)
_SIGNS = {"+": "1", "-": "-1"}


def read_course(
    expression: TableLike | AnnData,
    times: TableLike | None = None,
    *,
    gene_names: Sequence[str] | PathLike | None = None,
    sample_key: str = "sample",
    time_key: str = TIME,
    n_bins: int = 25,
    name: str = "own",
    **how: object,
) -> AnnData:
    """Read expression over time from a user's tables, and note how they were understood.

    There are four formats:

    - a long table: one row per sample and time, with the columns ``sample``, ``time`` and one per
      gene; without samples, all rows are one sample;
    - a table of cells (in rows or in columns), and `times`, which has a row per cell and either the
      columns ``sample`` and ``time`` or a pseudotime for each trajectory, as in BEELINE;
    - the layout of `read_trajectories`, which is recognised by its first line;
    - an ``.h5ad`` file with ``obs["time"]`` and, optionally, ``obs["sample"]``, or with a
      pseudotime that `time_key` names. A saved course is returned unchanged.

    Rows need not be sorted. Cells with a pseudotime are averaged in bins (see `read_pseudotime`).
    Counts are scaled to the same total, and log2(1 + x) is applied.

    Parameters
    ----------
    expression : path-like, (path-like, str), DataFrame or AnnData
    times : path-like, (path-like, str) or DataFrame, optional
    gene_names : sequence of str or path-like, optional
        Names of the genes, only for the layout of `read_trajectories`.
    sample_key, time_key : str
        Columns of the samples and of the times; letter case is ignored.
    n_bins : int
        Number of bins for each trajectory with pseudotimes.
    name : str
    **how
        Options of all readers, see `sbnn.data.readers.reading.TableOptions`.

    Returns
    -------
    AnnData
        As returned by `trajectories`. ``uns["sbnn"]["notes"]`` says how the tables were understood,
        and ``uns["sbnn"]["dropped"]`` lists cells that are left out.

    Raises
    ------
    sbnn.data.readers.reading.ReadingError
        A ValueError with all problems: the columns of samples and times are missing, a sample has
        several rows at one time, or the tables share less than half of the cells of both.
    ValueError
        If `trajectories` rejects the content.
    """
    check_number("n_bins", n_bins, int, 2)
    keys = {"sample_key": sample_key, "time_key": time_key}
    defaults = {"sample_key": "sample", "time_key": TIME}
    reading = Reading("course", how, {key: keys[key] for key in keys if keys[key] != defaults[key]})
    data = opened_container(reading, expression)
    if data is not None and "sbnn" in data.uns and {"sample", TIME} <= {*data.obs}:
        as_trajectories(data)
        return data if "read" in data.uns["sbnn"] else reading.attach(data)
    given = {"expression": expression if data is None else data, "times": times}
    in_blocks = data is None and times is None and _has_blocks(expression)
    if in_blocks:
        reading.describe("expression", file=os.path.basename(expression))
        blocks = read_trajectories(expression, gene_names, name=name)
        reading.notes.append("format: a block per sample, below the numbers of genes and samples")
        values, at, binned = blocks.to_df(), blocks.obs, False
    else:
        values, at, binned = _values_and_times(reading, reading.open(given), keys)
    logs = _logarithms(reading, values)
    if not binned:
        at = _in_order(reading, at)
    reading.require_known_columns()
    reading.require_no_problem()
    about = {"name": name, "source": reading.source(), "dropped": reading.dropped}
    if binned:
        course = read_pseudotime(logs, at, n_bins, **about)
    elif in_blocks and logs is values:
        course = blocks  # in its own layout
    else:
        course = trajectories(at.join(logs), **about)
    lengths = course.obs.groupby("sample", sort=False).size()
    n_times = f"{lengths.min()} to {lengths.max()} times each"
    size = f"samples: {len(lengths)}, with {n_times}; genes: {course.n_vars}"
    course.uns["sbnn"]["notes"] = [*reading.notes, size]
    reading.describe("expression", used=f"{len(logs)} rows, {course.n_vars} genes")
    return reading.attach(course)


def _has_blocks(expression) -> bool:
    """Whether the first line of a file holds the numbers of genes and samples."""
    if not isinstance(expression, str | os.PathLike) or not os.path.isfile(expression):
        return False
    with open_file(expression) as file:
        first = file.readline().removeprefix(b"\xef\xbb\xbf").strip()
    return _SIZES.fullmatch(first) is not None


def _values_and_times(reading, tables, keys) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Values (rows, genes), and sample and time of the rows, or a pseudotime per trajectory."""
    expression = tables["expression"]
    if "times" in tables:
        values, at = joined(reading, expression, tables["times"])
        axis = reading.facts["expression"]["cells in"]
        reading.notes.append(f"format: cells in the {axis} of expression, and a table of times")
        if isinstance(values, AnnDataLike):
            values = values.to_df()
        what = "times"
        binned = keys["time_key"] == TIME and _column(at, TIME) is None
    elif expression.adata is not None:
        values, at, what = expression.adata.to_df(), expression.adata.obs, "obs"
        reading.notes.append(f"format: AnnData with obs[{keys['time_key']!r}]")
        binned = keys["time_key"].casefold() != TIME
    else:
        values = _long_table(reading, expression, keys)
        at, what, binned = values, "expression", False
        reading.notes.append("format: one table with a row per sample and time")
    if binned and what == "times":
        # times of cells that a pseudotime cannot reach, infinite, are missing
        at = reading.numbers(at.replace([-np.inf, np.inf], np.nan), what, "trajectories")
    else:
        columns = [_column(at, keys["sample_key"]), _required_time(reading, at, keys, what)]
        at = _samples_and_times(reading, at, *columns, what)
        columns.append(reading.choices.get("sample_key"))
        values = values.drop(columns=[one for one in columns if one in values])
        if binned:
            at = at.pivot(columns="sample", values=TIME)
    timed = at.notna().any(axis=1) if binned else at[TIME].notna()
    reading.leave_out(what, "cells without a time", at.index[~timed], len(at))
    if binned:
        found = f"pseudotimes of {at.shape[1]} trajectories"
        reading.notes.append(f"{found}; cells are averaged in bins")
    values = reading.numbers(values.loc[at.index[timed]], "expression", "genes")
    return values, at[timed], binned


def _long_table(reading, table, keys) -> pd.DataFrame:
    """All columns of a table whose first column may hold values."""
    describe_file(reading, table, table.ways()[0], "")
    reading.describe("expression", **{"cells named by": "no column"})
    names, body, _ = next(iter(table.sheets.values()))
    found = body.set_axis(texts(names), axis=1)
    is_key = names[0].casefold() in [key.casefold() for key in keys.values()]
    if are_row_numbers(texts(body.iloc[:, 0])) and not is_key:
        found = found.iloc[:, 1:]
    found = found.loc[:, found.columns != ""]
    return reading.edited(found, "expression")


def _required_time(reading, table, keys, what) -> str:
    """Column of the times; ask for it if there is none."""
    time = _column(table, keys["time_key"])
    if time is not None:
        return time
    text = f"{what}: there is no column {keys['time_key']!r} among {some(table.columns, 12)}"
    likely = [name for name in table.columns if _LIKE_TIMES.search(str(name))]
    if not likely:
        other = "name it by time_key=..., or give a table of the times of the cells (times)"
        reading.problem(f"{text}; {other}")
        raise reading.error()
    reading.problem(text, time_key=likely[0])
    return likely[0]


def _samples_and_times(reading, table, sample, time, what) -> pd.DataFrame:
    """Samples and times of the rows; all rows are one sample if there are no samples."""
    times = table[[time]].replace([-np.inf, np.inf], np.nan)
    at = reading.numbers(times, what, "columns of times").set_axis([TIME], axis=1)
    if sample is None and at[TIME].duplicated().any():
        likely = [one for one in table if one != time and not is_numeric_dtype(table[one])]
        if likely:
            sample = likely[0]
            text = f"{what}: several rows have one time, and there is no column of samples"
            reading.problem(text, sample_key=sample)
    if sample is None:
        reading.notes.append("there is no column of samples: all rows are one sample")
        return at.assign(sample="0")[["sample", TIME]]
    if table[sample].isna().any():
        reading.problem(f"{what}: the column {sample} has missing values")
    return at.assign(sample=table[sample].astype(str))[["sample", TIME]]


def _in_order(reading, at) -> pd.DataFrame:
    """Rows sorted by time within each sample; a repeated time is a problem."""
    twice = at[at.duplicated(["sample", TIME])]
    if len(twice):
        sample, time = twice[["sample", TIME]].iloc[0]
        text = f"sample {sample} has several rows at time {time:g}; average replicates"
        reading.problem(f"expression: {text}, or name the column of samples by sample_key=...")
    of_sample, _ = pd.factorize(at["sample"])
    return at.iloc[np.lexsort([at[TIME], of_sample])]


def _logarithms(reading, values) -> pd.DataFrame:
    """Take logarithms if the values look like counts; the same table otherwise."""
    kind, span, doubt = kind_of_expression(values.to_numpy())
    if kind == "counts":
        text = "scaled to the same total in each row, then log2(1 + x)"
        reading.notes.append(f"counts ({span}): {text}")
        logs = log2p1(normalize_library_size(values.to_numpy()))
        return pd.DataFrame(logs, values.index, values.columns)
    reading.notes.append(f"values are used unchanged: {span}")
    if kind == "normalised" or doubt:
        doubt = doubt or "they look like normalised counts without logarithms"
        warn(f"expression: {span}, used unchanged; {doubt}; take logarithms if so")
    return values


def _column(table, key) -> str | None:
    """Column with this name, or with this name in other letter case; None if there is none."""
    if key in table:
        return key
    names = {str(name).casefold(): name for name in reversed(table.columns)}
    return names.get(key.casefold())


def read_prior(path: TableLike | None, genes: Sequence[str]) -> pd.DataFrame:
    """Read known regulation as signs, [regulator, target], of the genes of a course.

    Parameters
    ----------
    path : path-like, (path-like, str), DataFrame or None
        A table of regulators x targets, with entries of one size such as 1, -1 and 0; or a list of
        edges with the columns ``regulator``, ``target`` and, optionally, ``sign`` (1, -1 or 0), or
        with ``Gene1``, ``Gene2`` and, optionally, ``Type`` (+ or -), as in BEELINE. Letter case of
        these names is ignored. None is a prior without edges.
    genes : sequence of str

    Returns
    -------
    DataFrame, genes by genes

    Raises
    ------
    ValueError
        If a sign is unknown, or no edge joins two of the genes.

    Warns
    -----
    UserWarning
        Genes of the prior are not among `genes` and are left out.
    """
    genes = pd.Index(genes)
    if path is None:
        return pd.DataFrame(0.0, genes, genes)
    try:
        # the first column of a list has repeated names, as in a table of expression
        table = read_table(path, "expression")
    except ValueError as error:
        raise ValueError(str(error).replace("expression", "prior", 1)) from error
    columns = table.columns.str.casefold()
    if columns.isin(["regulator", "target", "gene1", "gene2"]).any():
        table = _table_of_edges(table.set_axis(columns, axis=1))
    else:
        table = as_numbers(table, "prior")
    given = table.index.union(table.columns)
    others = given.difference(genes)
    if len(others):
        found = f"{len(others)} of {len(given)} genes are not in the course"
        warn(f"prior: {found} and are left out: {some(others)}")
    known = table.loc[table.index.isin(genes), table.columns.isin(genes)]
    if table.to_numpy().any() and not known.to_numpy().any():
        raise ValueError(
            f"prior: no edge joins two genes of the course; the prior has {some(given, 3)}, the "
            f"course has {some(genes, 3)}"
        )
    return pd.DataFrame(prior_matrix(known, genes), genes, genes)


def _table_of_edges(edges):
    """Signs, regulators by targets, from a list of edges; of contrary signs, the usual one."""
    names = {"gene1": "regulator", "gene2": "target", "type": "sign"}
    edges = edges.rename(columns=names)
    for name in ("regulator", "target"):
        if name not in edges:  # the first column, which `read_table` takes for names of the rows
            edges[name] = edges.index
    if "sign" not in edges:
        edges["sign"] = 1
    text = edges["sign"].astype(str).str.strip()
    signs = pd.to_numeric(text.replace(_SIGNS), errors="coerce")
    wrong = edges[~signs.isin([1, -1, 0])]
    if len(wrong):
        edge = wrong.iloc[0]
        names = f"{edge['regulator']} to {edge['target']}"
        expected = "expected the signs 1, -1 or 0 (or + and -)"
        raise ValueError(f"prior: {expected}, got {edge['sign']} from {names}")
    return np.sign(edges.assign(sign=signs).pivot_table("sign", "regulator", "target", "sum", 0))
