"""A user's time course and prior network, from tables in any of the usual formats."""

from __future__ import annotations

import csv
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

from sbnn.data.checks import kind_of_expression, some
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.counts import open_file
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table import read_table
from sbnn.data.readers.table_numbers import as_numbers
from sbnn.data.trajectories import as_trajectories, prior_matrix, read_pseudotime, trajectories
from sbnn.errors import check_number, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from sbnn.typehints import PathLike, TableLike


TIME = "time"  # usual name of the column of measured times; other names in .h5ad are pseudotimes
_SIZES = re.compile(r'"?\d+"?\s*,\s*"?\d+"?[\s,]*')  # numbers of genes and samples in line 1
_HEAD = 50  # lines among which that of the names is searched
_SEPARATORS = "\t;|, "
_WORKBOOKS = b"PK\3\4", b"\xd0\xcf\x11\xe0"  # first bytes of .xlsx and of .xls
_OPTIONS = ("header", "cell_key", "sheet")  # of `TableOptions`
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
        ``sheet``, ``header`` and ``cell_key`` of `sbnn.read_tables`.

    Returns
    -------
    AnnData
        As returned by `trajectories`. ``uns["sbnn"]["notes"]`` says how the tables were understood,
        and ``uns["sbnn"]["dropped"]`` lists cells that are left out.

    Raises
    ------
    ValueError
        If the columns of samples and times are missing, a sample has several rows at one time, the
        tables share less than half of the cells of both, or `trajectories` rejects the content.
    """
    check_number("n_bins", n_bins, int, 2)
    reader = _Reader(sample_key, time_key, how)
    for what, table in (("expression", expression), ("times", times)):
        reader.describe(what, table)
    head = _head(expression)
    if _is_h5ad(expression):
        expression = ad.read_h5ad(Path(expression).expanduser())
    is_anndata = isinstance(expression, ad.AnnData)
    is_layout = times is None and _SIZES.fullmatch(head[0]) is not None
    if times is not None:
        values, at = reader.cells_and_times(expression, times)
    elif is_anndata and "sbnn" in expression.uns and {"sample", TIME} <= {*expression.obs}:
        as_trajectories(expression)
        return expression if "read" in expression.uns["sbnn"] else reader.reading.attach(expression)
    elif is_anndata:
        values, at = reader.annotated(expression)
    elif is_layout:
        data = read_trajectories(expression, gene_names, name=name)
        reader.notes.append("format: a block per sample, below the numbers of genes and samples")
        values, at = data.to_df(), data.obs
    else:
        values, at = reader.long_table(expression, head)
    logs = reader.logarithms(values)
    about = {"name": name, "source": reader.reading.source(), "dropped": reader.dropped}
    if reader.pseudotimes:
        course = read_pseudotime(logs, at, n_bins, **about)
    elif is_layout and logs is values:
        course = data  # in its own layout
    else:
        at = reader.in_order(at)
        course = trajectories(at.join(logs), **about)
    lengths = course.obs.groupby("sample", sort=False).size()
    n_times = f"{lengths.min()} to {lengths.max()} times each"
    size = f"samples: {len(lengths)}, with {n_times}; genes: {course.n_vars}"
    course.uns["sbnn"]["notes"] = [*reader.notes, size]
    return reader.reading.attach(course)


def _is_h5ad(table):
    return isinstance(table, str | Path) and Path(table).suffix.lower() == ".h5ad"


def _head(table):
    """First lines of a text file, or first rows of a workbook as lines; none of other objects."""
    path, sheet = table if isinstance(table, tuple) else (table, 0)
    if not isinstance(path, str | Path) or _is_h5ad(path):
        return [""]
    path = Path(path).expanduser()
    with open_file(path) as handle:
        lines = list(islice(handle, _HEAD)) or [b""]
    if not lines[0].startswith(_WORKBOOKS):
        return [line.decode("utf-8-sig", errors="replace").strip() for line in lines]
    rows = pd.read_excel(path, sheet, header=None, nrows=_HEAD).astype(str)
    return ["\t".join(row) for row in rows.to_numpy()]


def _first_name(head, others):
    """Name of the first column, found in the line with the names of the other columns, or ""."""
    for separator in _SEPARATORS:
        for fields in csv.reader(head, delimiter=separator):
            first, *rest = [field.strip() for field in fields] or [""]
            if list(filter(None, rest)) == list(others):
                return first
    return ""


class _Reader:
    """Notes on one course, and what was left out.

    Every method that reads a format returns two tables with the same rows: values (rows, genes),
    and ``sample`` and ``time`` or, if `pseudotimes`, one column per trajectory.
    """

    def __init__(self, sample_key, time_key, how):
        others = how.keys() - _OPTIONS
        if others:
            raise ValueError(f"{some(sorted(others))}: not used for a time course")
        choices = {"sample_key": sample_key, "time_key": time_key}
        self.reading = Reading("course", how, choices)
        self.sample_key = sample_key
        self.time_key = time_key
        self.notes = self.reading.notes
        self.dropped = self.reading.dropped
        self.pseudotimes = False
        self.has_samples = True

    def describe(self, what, table):
        """Store the name of the file of a table."""
        path = table[0] if isinstance(table, tuple) else table
        if isinstance(path, str | Path):
            self.reading.describe(what, file=Path(path).name)

    def table(self, given, what):
        """Read a table with row names."""
        header, key, sheet = [self.reading.how.of(name, what) for name in _OPTIONS]
        if sheet is not None and isinstance(given, str | Path):
            given = given, sheet
        return read_table(given, what, header=header, key=key)

    def long_table(self, expression, head):
        """Values and times in one table."""
        table = self.table(expression, "expression")
        self._restore_first_column(table, head)
        table = table.reset_index(drop=True)
        time = _column(table, self.time_key)
        sample = _column(table, self.sample_key)
        if time is None:
            self._no_column(self.time_key, "expression", table)
        self.notes.append("format: one table with a row per sample and time")
        at = self._samples_and_times(table, sample, time, "expression")
        values = table.drop(columns=[sample, time], errors="ignore")
        return as_numbers(values, "expression").loc[at.index], at

    def _restore_first_column(self, table, head):
        """Insert the first column, which `read_table` takes for names of rows, if it has values."""
        name = _first_name(head, table.columns)
        numbers = pd.to_numeric(table.index, errors="coerce")
        numbered = (np.diff(numbers) == 1).all()  # not a gene
        of_keys = name.casefold() in (self.sample_key.casefold(), self.time_key.casefold())
        of_gene = name and not numbers.hasnans and not numbered
        if of_keys or of_gene:
            table.insert(0, name, table.index)

    def annotated(self, data):
        """Values and times of an AnnData."""
        time = _column(data.obs, self.time_key)
        sample = _column(data.obs, self.sample_key)
        if time is None:
            self._no_column(self.time_key, "obs", data.obs)
        self.notes.append(f"format: AnnData with obs[{time!r}]")
        at = self._samples_and_times(data.obs, sample, time, "obs")
        if time.casefold() != TIME:
            at = at.pivot(columns="sample", values="time")
            self._binned(at)
        return data.to_df().loc[at.index], at

    def cells_and_times(self, expression, times):
        """Values of cells, and their times from another table."""
        table = expression
        if isinstance(expression, ad.AnnData):
            table = expression.to_df()
        else:
            table = self.table(expression, "expression")
        times = self.table(times, "times")
        cells = times.index
        in_rows = table.index.isin(cells).sum()
        in_columns = table.columns.isin(cells).sum()
        place = "rows"
        if in_columns > in_rows:
            place = "columns"
            table = table.T
        known = cells.isin(table.index)
        n_shared = known.sum()
        if 2 * n_shared < len(cells) and 2 * n_shared < len(table):
            raise ValueError(
                f"times: only {n_shared} of its {len(cells)} cells, such as {some(cells, 3)}, are "
                f"among the {len(table)} {place} of expression, such as {some(table.index, 3)}"
            )
        self.notes.append(f"format: cells in the {place} of expression, and a table of times")
        self._leave_out("cells without expression", cells[~known])
        self._leave_out("cells without a time", table.index[~table.index.isin(cells)])
        at = self._times_of_cells(times[known])
        values = table.loc[at.index]
        if len(values) > len(at):
            twice = values.index[values.index.duplicated()]
            raise ValueError(f"expression: cells appear more than once: {some(twice)}")
        return as_numbers(values, "expression"), at

    def _times_of_cells(self, times):
        """Samples and times, or pseudotimes, from a table with a row per cell."""
        time = _column(times, self.time_key)
        if time is not None:
            sample = _column(times, self.sample_key)
            return self._samples_and_times(times, sample, time, "times")
        if self.time_key != TIME:
            self._no_column(self.time_key, "times", times)
        at = _finite(times, "times")
        timed = at.notna().any(axis=1)
        self._leave_out("cells without a time", at.index[~timed])
        self._binned(at)
        return at[timed]

    def _samples_and_times(self, table, sample, time, what):
        """Samples and times of the rows that have a time; all rows are one sample without names."""
        at = _finite(table[[time]], what).set_axis([TIME], axis=1)
        self.has_samples = sample is not None
        if self.has_samples:
            if table[sample].isna().any():
                raise ValueError(f"{what}: the column {sample} has missing values")
            at.insert(0, "sample", table[sample].astype(str))
        else:
            at.insert(0, "sample", "0")
            self.notes.append(f"there is no column {self.sample_key!r}: all rows are one sample")
        timed = at[TIME].notna()
        self._leave_out("cells without a time", at.index[~timed])
        return at[timed]

    def in_order(self, at):
        """Rows sorted by time within each sample; a repeated time is an error."""
        twice = at[at.duplicated(["sample", TIME])]
        if len(twice):
            sample, time = twice[["sample", TIME]].iloc[0]
            if self.has_samples:
                text = f"sample {sample} has several rows at time {time:g}; average replicates"
            else:
                text = f"several rows have the time {time:g}"
            key = "sample_key (--sample-key) to the column of the samples"
            raise ValueError(f"expression: {text}, or set {key}")
        of_sample, _ = pd.factorize(at["sample"])
        return at.iloc[np.lexsort([at[TIME], of_sample])]

    def logarithms(self, values):
        """Take logarithms if the values look like counts; the same table otherwise."""
        kind, span, doubt = kind_of_expression(values.to_numpy())
        if kind == "counts":
            text = "scaled to the same total in each row, then log2(1 + x)"
            self.notes.append(f"counts ({span}): {text}")
            logs = log2p1(normalize_library_size(values.to_numpy()))
            return pd.DataFrame(logs, values.index, values.columns)
        self.notes.append(f"values are used unchanged: {span}")
        if kind == "normalised" or doubt:
            doubt = doubt or "they look like normalised counts without logarithms"
            warn(f"expression: {span}, used unchanged; {doubt}; take logarithms if so")
        return values

    def _binned(self, at):
        self.pseudotimes = True
        self.notes.append(f"pseudotimes of {at.shape[1]} trajectories; cells are averaged in bins")

    def _leave_out(self, why, names):
        """Store names that are left out, and warn about them."""
        if len(names):
            self.dropped[why] = [*self.dropped.get(why, []), *map(str, names)]
            warn(f"{len(names)} {why} are left out: {some(names)}")

    def _no_column(self, key, what, table):
        option = f"{'time' if key == self.time_key else 'sample'}_key"
        flag = f"--{option.replace('_', '-')}"
        layout = "or give a table of the times of the cells (times, --times)"
        raise ValueError(
            f"{what}: there is no column {key!r} among {some(table.columns)}; set {option} "
            f"({flag}), {layout}"
        )


def _finite(table, what):
    """Times as numbers; those of cells that a pseudotime cannot reach, infinite, are missing."""
    return as_numbers(table.replace([-np.inf, np.inf], np.nan), what)


def _column(table, key):
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
