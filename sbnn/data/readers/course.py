"""A user's time course and prior network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from sbnn.data.checks import some
from sbnn.data.objects import AnnDataLike
from sbnn.data.readers.containers import opened_container
from sbnn.data.readers.matching import describe_file, joined, kept, larger
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table import Way, are_numbers, are_row_numbers, numbered, read_table
from sbnn.data.readers.table_names import about_genes, texts
from sbnn.data.readers.table_numbers import as_numbers, to_numbers
from sbnn.data.readers.tables import kind_of_values, log_expression
from sbnn.data.readers.times import (
    possible_repeats,
    times_of,
    times_of_names,
    times_of_numbers,
)
from sbnn.data.trajectories import as_trajectories, prior_matrix, read_pseudotime, trajectories
from sbnn.errors import check_number, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from sbnn.typehints import TableLike


TIME = "time"  # usual name of the column
_LIKE_TIMES = re.compile("time|dpt|day|hour|week|(?<![a-z])(st)?age", re.I)
_LIKE_SAMPLES = re.compile("sample|rep(licate)?s?(?![a-z])|donor|patient|animal|subject", re.I)
_GENE = re.compile("(gene|target|probe|assay|marker)s?([_ ](names?|symbols?|ids?))?|symbols?", re.I)
# columns of lists of edges, in BEELINE and in databases
_OF_EDGES = {"gene1": "regulator", "gene2": "target", "type": "sign"}
_OF_EDGES |= {"source": "regulator", "tf": "regulator", "weight": "sign", "mor": "sign"}
# words for signs
_SIGNS = {r"\+|activat.*|stimulat.*|induc.*|up.*|positive": "1"}
_SIGNS |= {"-|repress.*|inhibit.*|down.*|negative": "-1"}


def read_course(
    expression: TableLike | AnnData,
    times: TableLike | None = None,
    *,
    sample_key: str = "sample",
    time_key: str = TIME,
    genes_in_rows: bool | None = None,
    counts: bool | str | None = None,
    n_bins: int = 25,
    name: str = "own",
    **how: object,
) -> AnnData:
    """Read expression over time from a user's tables.

    Four formats:

    - a table with the columns ``sample`` (optional), ``time`` and one per gene;
    - genes in rows, and times in the column names, such as t0, t2h, or 2h_rep1;
    - a table of cells, and `times` with the columns ``sample`` and ``time`` or a pseudotime for
      each trajectory;
    - ``.h5ad`` with ``obs["time"]`` and, optionally, ``obs["sample"]``, or with a pseudotime that
      `time_key` names. A saved course is returned unchanged.

    Times may have a unit, as in "2 h". Rows of one sample at one time are averaged, and so are
    cells in bins of pseudotime. Missing values are left out with their gene or row, whichever loses
    less. log2(1 + x) is taken of normalised values and of counts scaled to one total.

    Parameters
    ----------
    expression : path-like, (path-like, str), DataFrame or AnnData
    times : path-like, (path-like, str) or DataFrame, optional
    sample_key, time_key : str
        Columns, in any letter case.
    genes_in_rows : bool, optional
        Detected by default.
    counts : bool or "normalised", optional
        See `read_tables`.
    n_bins : int
        Bins of each trajectory.
    name : str
    **how
        Options of all readers, see `sbnn.data.readers.reading.TableOptions`.

    Returns
    -------
    AnnData
        As returned by `trajectories`, with ``"notes"`` and ``"dropped"`` in ``uns["sbnn"]``.

    Raises
    ------
    sbnn.data.readers.reading.ReadingError
        A ValueError with all problems.
    """
    check_number("n_bins", n_bins, int, 2)
    keys = {"sample": sample_key, TIME: time_key}
    choices = {f"{kind}_key": key for kind, key in keys.items() if key != kind}
    choices |= {"genes_in_rows": genes_in_rows, "counts": counts}
    reading = Reading("course", how, choices)
    data = opened_container(reading, expression)
    if data is not None and "sbnn" in data.uns and {"sample", TIME} <= {*data.obs}:
        as_trajectories(data)
        return data if "read" in data.uns["sbnn"] else reading.attach(data)
    given = {"expression": expression if data is None else data, "times": times}
    values, at, binned = _values_and_times(reading, reading.open(given), keys, n_bins)
    kind = kind_of_values(reading, values.to_numpy())
    logs = pd.DataFrame(log_expression(values, kind), values.index, values.columns)
    reading.require_known_columns()
    reading.require_no_problem()
    if binned:
        course = read_pseudotime(logs, at, n_bins, **reading.about(name))
    else:
        table = _averaged(reading, at, logs)
        course = trajectories(table, **reading.about(name))
    lengths = course.obs.groupby("sample", sort=False).size()
    n_times = " to ".join(map(str, sorted({lengths.min(), lengths.max()})))
    of_samples = f"samples: {len(lengths)}, with {n_times} times each"
    size = f"{of_samples}; genes: {course.n_vars} ({some(course.var_names, 3)})"
    course.uns["sbnn"]["notes"] = [*reading.notes, size]
    reading.describe("expression", used=f"{len(logs)} rows, {course.n_vars} genes")
    return reading.attach(course)


def _values_and_times(reading, tables, keys, n_bins) -> tuple[pd.DataFrame, pd.DataFrame, bool]:
    """Values, their samples and times or pseudotimes, and whether these are to be binned."""
    expression = tables["expression"]
    if "times" in tables:
        what = "times"
        values, at = _beside_times(reading, expression, tables["times"])
    elif expression.adata is not None:
        what = "obs"
        values, at = _of_anndata(reading, expression.adata)
    else:
        what = "expression"
        values, at = _of_one_table(reading, _long_table(reading, expression, keys), keys)
    if what == "times" and keys[TIME] == TIME and _column(at, TIME) is None:
        pseudotimes = reading.numbers(_without_infinity(at), what, "trajectories")
        return *_along_trajectories(reading, values, pseudotimes, what), True
    sample = _column(at, keys["sample"])
    time = _required_time(reading, at, keys, what)
    at = _samples_and_times(reading, at, sample, time, what)
    columns = [sample, time, reading.choices.get("sample_key")]
    values = values.drop(columns=[one for one in columns if one in values])
    if what == "obs" and time.casefold() != TIME and at[TIME].nunique() > n_bins:
        pseudotimes = at.pivot(columns="sample", values=TIME)
        return *_along_trajectories(reading, values, pseudotimes, what), True
    timed = at[TIME].notna()
    reading.leave_out(what, "cells without a time", at.index, ~timed)
    at = at[timed]
    names = at["sample"] + " at " + at[TIME].map("{:g}".format)
    values = _complete_genes(reading, values.loc[at.index], names)
    return values, at.loc[values.index], False


def _along_trajectories(reading, values, pseudotimes, what) -> tuple[pd.DataFrame, pd.DataFrame]:
    timed = pseudotimes.notna().any(axis=1)
    reading.leave_out(what, "cells without a time", pseudotimes.index, ~timed)
    pseudotimes = pseudotimes[timed]
    n = pseudotimes.shape[1]
    found = f"{n} trajectories" if n > 1 else "one trajectory"
    reading.notes.append(f"pseudotimes of {found}; cells are averaged in bins")
    values = _complete_genes(reading, values.loc[pseudotimes.index], pseudotimes.index)
    return values, pseudotimes.loc[values.index]


def _beside_times(reading, expression, times) -> tuple[pd.DataFrame, pd.DataFrame]:
    values, at = joined(reading, expression, times)
    axis = reading.facts["expression"]["cells in"]
    reading.notes.append(f"format: cells in the {axis} of expression, and a table of times")
    if isinstance(values, AnnDataLike):
        values = values.to_df()
    return values, at


def _of_anndata(reading, adata) -> tuple[pd.DataFrame, pd.DataFrame]:
    reading.notes.append("format: AnnData with times in obs")
    values, at = adata.to_df(), adata.obs
    if at.index.has_duplicates:  # of concatenated data
        values = values.reset_index(drop=True)
        at = at.reset_index(drop=True)
    return values, at


def _without_infinity(table) -> pd.DataFrame:
    return table.mask(table.isin([-np.inf, np.inf]))


def _complete_genes(reading, values, names) -> pd.DataFrame:
    values = values.set_axis(numbered(values.columns, "expression"), axis=1)
    values = reading.genes_only(values)
    values = reading.numbers(values, "expression", "columns")
    gaps = values.isna().to_numpy()
    rows, genes = larger(kept(gaps, "cells"), kept(gaps, "outputs"))
    reading.leave_out("expression", "rows with missing values", names, ~rows)
    return reading.without(values[rows], ~genes, "expression", "genes with missing values")


def _long_table(reading, table, keys) -> pd.DataFrame:
    describe_file(reading, table, Way(0, None, pd.Index([])), "")
    reading.describe("expression", **{"cells named by": "no column"})
    names, body, _ = table.content
    found = body.set_axis(names, axis=1)
    is_key = names[0].casefold() in [key.casefold() for key in keys.values()]
    is_key |= _LIKE_TIMES.search(names[0]) is not None
    if are_row_numbers(texts(body.iloc[:, 0])) and not is_key:
        found = found.iloc[:, 1:]
    wanted = (found.columns != "").copy()
    wanted[0] = wanted[0] or _may_be_names(found)
    return reading.edited(found.loc[:, wanted], "expression")


def _may_be_names(table) -> bool:
    # not row numbers before names
    return not are_numbers(table.iloc[:, 0]) or is_numeric_dtype(table.iloc[:, 1])


def _of_one_table(reading, table, keys) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values, and a table that has their samples and times."""
    if reading.choices.get("genes_in_rows", True):
        table = _with_row_of_times(reading, table, keys)
        if _column(table, keys[TIME]) is None:
            table = _without_possible_repeats(reading, table)
            found = _by_names(table, times_of_names)
            if found is None:
                found = _by_numbers(reading, table)
            if found is not None:
                return _of_columns(reading, *found, keys)
    table = _with_named_rows(reading, table, keys)
    _require_gene_columns(reading, table)
    reading.notes.append("format: one table with a row per sample and time")
    return table, table


def _of_columns(reading, values, at, keys) -> tuple[pd.DataFrame, pd.DataFrame]:
    name, sample, time = at.iloc[-1]
    example = f"{name} is time {time:g} of sample {sample}"
    _note_genes_in_rows(reading, f"times in the column names: {example}")
    return values, at.set_axis(["name", keys["sample"], keys[TIME]], axis=1)


def _note_genes_in_rows(reading, layout) -> None:
    reading.notes.append(f"format: {layout}")
    reading.choose("genes_in_rows", True)
    reading.describe("expression", **{"cells in": "columns"})


def _require_gene_columns(reading, table) -> None:
    for name in table:
        if _GENE.fullmatch(name) and 1 < table[name].nunique() < len(table):
            text = f"a row per gene, named in column {name!r}; give a table with a column per gene"
            reading.stop(f"expression: {text}")


def _with_row_of_times(reading, table, keys) -> pd.DataFrame:
    names = texts(table.iloc[:, 0])
    known = _column(table, keys[TIME]) is not None
    if known or keys[TIME].casefold() not in names.str.casefold():
        return table
    _note_genes_in_rows(reading, f"genes in rows, and times in the row {keys[TIME]!r}")
    return table.iloc[:, 1:].set_axis(names, axis=0).T


def _without_possible_repeats(reading, table) -> pd.DataFrame:
    repeats = possible_repeats(map(str, table.columns))
    if repeats:
        text = f"expression: {some(repeats, 3)} may be repeats or times; if they are times"
        text += ", give them in another table (times)"
        reading.problem(text, "if they are repeats", rename=repeats)
    return table.rename(columns=repeats)


def _with_named_rows(reading, table, keys) -> pd.DataFrame:
    if table.columns[0] != "":
        return table
    first = texts(table.iloc[:, 0])
    times, _ = times_of(first)
    if _column(table, keys[TIME]) is not None or are_numbers(first) or times is None:
        return table.iloc[:, 1:]
    if possible_repeats(first):
        text = f"{some(first, 3)} in the first column may be repeats or times"
        reading.stop(f"expression: {text}; give the columns sample and time")
    reading.notes.append("the first column, which has no name, holds the times")
    return table.rename(columns={"": keys[TIME]})


def _by_names(table, times_of_columns):
    first = table.iloc[:, 0]
    if is_numeric_dtype(first) and not _GENE.fullmatch(table.columns[0] or "gene"):
        return None
    values = table.set_axis(texts(first), axis=0).iloc[:, 1:]
    values = values.loc[:, ~about_genes(values.columns)]
    at = times_of_columns(values.columns)
    # text describes genes
    if at is None or any(map(is_numeric_dtype, values.drop(columns=at["name"]).dtypes)):
        return None
    return values.iloc[:, at.index].T.set_axis(at.index, axis=0), at


def _by_numbers(reading, table):
    found = _by_names(table, times_of_numbers)
    if found is not None and not reading.choices.get("genes_in_rows"):
        names = some(found[1]["name"], 3)
        text = f"expression: there is no column of times, and columns are named {names}"
        reading.problem(text, "if these are times", genes_in_rows=True)
    return found


def _required_time(reading, table, keys, what) -> str:
    time = _column(table, keys[TIME])
    if time is not None:
        return time
    text = f"{what}: there is no column {keys[TIME]!r} among {some(table.columns, 12)}"
    likely = [name for name in table.columns if _LIKE_TIMES.search(str(name))]
    if len(likely) != 1:  # several: values at times whose names are not understood
        other = "give the sample and the time of each row or column in another table (times)"
        reading.stop(f"{text}; name it by time_key=..., or {other}")
    reading.problem(text, time_key=likely[0])
    return likely[0]


def _samples_and_times(reading, table, sample, time, what) -> pd.DataFrame:
    at = _times(reading, table[[time]], what)
    if sample is None and at[TIME].duplicated().any():
        sample = _likely_sample(table.drop(columns=time), at[TIME])
        if sample is not None:
            text = f"{what}: several rows have one time, and there is no column of samples"
            reading.problem(text, sample_key=sample)
    if sample is None:
        reading.notes.append("there is no column of samples: all rows are one sample")
        return at.assign(sample="0")[["sample", TIME]]
    if table[sample].isna().any():
        reading.problem(f"{what}: the column {sample} has missing values")
    return at.assign(sample=table[sample].astype(str))[["sample", TIME]]


def _times(reading, table, what) -> pd.DataFrame:
    [name] = table
    table = _without_infinity(table)
    wrong = to_numbers(table).wrong.ravel()
    present = table[name].dropna()
    times, unit = times_of(present)
    if times is not None and (unit or wrong.any()):
        example = f"{present.iloc[-1]} is read as {times[-1]:g} {unit}".strip()
        reading.notes.append(f"times have units: {example}")
        return pd.DataFrame({TIME: times}, present.index).reindex(table.index)
    if wrong.all():
        expected = "expected numbers, or numbers with a unit such as 2 h"
        reading.stop(f"{what}: {expected} in column {name}, got {table[name].iloc[0]}")
    return reading.numbers(table, what, "columns of times").set_axis([TIME], axis=1)


def _likely_sample(table, times) -> str | None:
    likely = {}  # column -> whether its name is usual
    for name in table:
        is_named = _LIKE_SAMPLES.search(str(name)) is not None
        if is_named or not is_numeric_dtype(table[name]):
            n_times = times.groupby(table[name], observed=True).nunique()
            if n_times.min() > 1:
                likely[name] = is_named
    return max(likely, key=likely.get, default=None)


def _averaged(reading, at, logs) -> pd.DataFrame:
    of_sample, _ = pd.factorize(at["sample"])
    at = at.iloc[np.lexsort([at[TIME], of_sample])]
    table = at.join(logs)
    if at.duplicated(["sample", TIME]).any():
        table = table.groupby(["sample", TIME], sort=False).mean().reset_index()
        text = f"rows of one sample at one time are averaged: {len(at)} rows to {len(table)}"
        reading.notes.append(text)
    single = table.groupby("sample")[TIME].transform("size") == 1
    reading.leave_out("expression", "samples with only one time", table["sample"], single)
    return table[~single]


def _column(table, key) -> str | None:
    if key in table:
        return key
    names = {str(name).casefold(): name for name in reversed(table.columns)}
    return names.get(key.casefold())


def read_prior(path: TableLike | None, genes: Sequence[str]) -> pd.DataFrame:
    """Read known regulation as signs, [regulator, target].

    A table of regulators x targets, with entries of one size such as 1, -1 and 0; or a list of
    edges with the columns ``regulator`` (or ``source``, ``TF``, ``Gene1``), ``target`` (or
    ``Gene2``) and, optionally, ``sign`` (or ``weight``, ``mor``, ``Type``): 1, -1 or 0, + or -, or
    a word such as activates. Without `path`, there are no edges. Edges of other genes are left out
    with a warning.
    """
    genes = pd.Index(genes)
    if path is None:
        return pd.DataFrame(0.0, genes, genes)
    table = read_table(path, "prior")
    columns = table.columns.str.casefold()
    if columns.isin(["regulator", "target", *_OF_EDGES]).any():
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
    """Signs, [regulator, target]; of contrary signs, the usual one."""
    edges = edges.rename(columns={a: b for a, b in _OF_EDGES.items() if b not in edges})
    for name in ("regulator", "target"):
        if name not in edges:  # the first column, which `read_table` takes for names
            edges[name] = edges.index
    if "sign" not in edges:
        others = edges.columns.drop(["regulator", "target"])
        edges["sign"] = 1
        if len(others):
            text = f"no column of signs among {some(others)}; all edges are taken as activation"
            warn(f"prior: {text}")
    numbers = _signs(edges["sign"])
    wrong = edges[numbers.isna()]
    if len(wrong):
        edge = wrong.iloc[0]
        names = f"{edge['regulator']} to {edge['target']}"
        expected = "expected the signs 1, -1 or 0 (or + and -, or activates and represses)"
        raise ValueError(f"prior: {expected}, got {edge['sign']} from {names}")
    edges = edges.assign(sign=numbers)
    return np.sign(edges.pivot_table("sign", "regulator", "target", "sum", 0))


def _signs(values):
    text = values.astype(str).str.strip().str.casefold()
    for pattern, sign in _SIGNS.items():
        text = text.where(~text.str.fullmatch(pattern), sign)
    numbers = pd.to_numeric(text, errors="coerce")
    return numbers.where(numbers.isin([1, -1, 0]))
