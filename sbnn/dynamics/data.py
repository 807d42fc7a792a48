"""Expression over time, as AnnData with a row per sample and time, and as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import check_array

from sbnn.data.checks import (
    abbreviate,
    check_finite,
    check_numeric,
    dense,
    fill_names,
    known_labels,
    order_by_name,
    read_numbers,
    refuse_other_table,
)
from sbnn.data.counts import BEYOND_LOG
from sbnn.data.fingerprint import annotate_adata


@dataclass(frozen=True)
class Samples:
    """Values and times of each sample, float64."""

    values: list[np.ndarray]  # of shape (times, genes)
    times: list[np.ndarray]  # of shape (times,)
    gene_names: np.ndarray
    gene_major: bool = False  # layout in memory

    def intervals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values before and after intervals, (intervals, genes), and times, (intervals, 2)."""
        before = np.concatenate([values[:-1] for values in self.values])
        after = np.concatenate([values[1:] for values in self.values])
        starts = np.concatenate([times[:-1] for times in self.times])
        ends = np.concatenate([times[1:] for times in self.times])
        return before, after, np.column_stack([starts, ends])

    def select(self, positions: Iterable[int]) -> Samples:
        """Samples at these positions."""
        chosen = list(positions)
        values = [self.values[i] for i in chosen]
        times = [self.times[i] for i in chosen]
        return replace(self, values=values, times=times)

    def pad(self) -> tuple[np.ndarray, np.ndarray]:
        """Values, (samples, times, genes), and times, padded with the last ones."""
        longest = max(len(times) for times in self.times)
        padded_values = []
        padded_times = []
        for values, times in zip(self.values, self.times, strict=True):
            n_missing = longest - len(times)
            padded_values.append(np.pad(values, ((0, n_missing), (0, 0)), mode="edge"))
            padded_times.append(np.pad(times, (0, n_missing), mode="edge"))
        values_of_samples = np.stack(padded_values)
        if self.gene_major:
            by_gene = values_of_samples.swapaxes(1, 2).copy()
            values_of_samples = by_gene.swapaxes(1, 2)
        return values_of_samples, np.stack(padded_times)


def trajectories(
    values: ArrayLike | pd.DataFrame | Sequence[ArrayLike],
    times: ArrayLike | Sequence[ArrayLike] | None = None,
    gene_names: Sequence[str] | None = None,
    **about: object,
) -> AnnData:
    """Build an AnnData of expression over time; numbers of times may differ.

    Parameters
    ----------
    values : array-like of shape (samples, times, genes), list of such samples, or DataFrame
        A DataFrame has the columns ``sample``, ``time`` and one per gene; a list may hold
        DataFrames of times by genes, whose genes are matched by name. The models expect values
        between 0 and about 1.
    times : array-like of shape (times,) or (samples, times), or list of arrays (times,)
        Increasing times in any unit, of all samples or of each sample; not with a DataFrame.
    gene_names : sequence of str, optional
        By default ``gene_0`` ...; not with DataFrames.
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With ``X`` (float64), ``obs["sample"]`` and ``obs["time"]``.

    Raises
    ------
    ValueError
        If times do not fit the values, do not increase or are fewer than two, a column is missing,
        values are not finite or too large for logarithms, or names repeat.
    TypeError
        If there are no times.

    Examples
    --------
    >>> from sbnn.dynamics import trajectories
    >>> sample = [[0.1, 0.5], [0.2, 0.4], [0.3, 0.3]]  # three times of two genes
    >>> course = trajectories([sample], times=[0, 1, 4], gene_names=["SWI4", "CLN2"])
    >>> course.obs["time"].tolist()
    [0.0, 1.0, 4.0]
    """
    refuse_other_table(values, "values")
    if isinstance(values, pd.DataFrame):
        if times is not None:
            raise TypeError("times: expected none beside a table, whose column 'time' is used")
        table = read_table_of_times(values)
        obs = table[["sample", "time"]]
        expression = table.drop(columns=["sample", "time"])
        columns = expression.columns.astype(str).tolist()
        if gene_names is not None and [str(name) for name in gene_names] != columns:
            raise ValueError(
                f"gene_names: the table has the genes {abbreviate(columns)}; leave gene_names out"
            )
        gene_names, argument = columns, "values"
    else:
        argument = "gene_names"
        _check_samples(values, times)
        samples, gene_names = _arrange_genes(values, gene_names)
        obs, expression = _concatenate_samples(samples, times)
    check_numeric(expression, "values")
    check_numeric(obs["time"], "times")
    X = np.asarray(expression, dtype=float)
    obs = obs.astype({"sample": str, "time": float})
    positions = obs.groupby("sample").cumcount().astype(str)
    obs.index = obs["sample"] + "_" + positions
    names = fill_names(gene_names, argument, kind="gene", size=X.shape[1])
    adata = ad.AnnData(X, obs, pd.DataFrame(index=names))
    as_trajectories(adata, "values")
    return annotate_adata(adata, "trajectories", ("sample", "time"), **about)


def _check_samples(values, times):
    """Reject what is no list of values and of times of samples."""
    parts: dict[str, Any] = {"values": values, "times": times}
    for argument, given in parts.items():
        if given is None:
            raise TypeError(f"{argument}: expected the times of each sample beside an array")
        if isinstance(given, str) or not np.iterable(given) or not [*given]:
            raise TypeError(f"{argument}: expected those of each sample, got {given!r}")
    for sample_values in values:
        check_numeric(sample_values, "values")  # masks are lost below


def _arrange_genes(values, gene_names):
    """Values of samples, (times, genes), and the names of the genes; tables are matched by name."""
    samples = list(values)
    tables = [sample for sample in samples if isinstance(sample, pd.DataFrame)]
    if not tables:
        return samples, gene_names
    names = tables[0].columns.tolist()
    arranged = []
    for sample in samples:
        table = read_numbers(pd.DataFrame(sample), "values")
        columns = order_by_name(table.columns, names, "values")
        arranged.append(table.iloc[:, columns].to_numpy())
    return arranged, names


def _concatenate_samples(values, times):
    """Table of samples and times, and values, (samples and times, genes)."""
    times = list(times)
    same_times = np.ndim(times[0]) == 0
    times_of_samples = [times] * len(values) if same_times else times
    lengths = [len(sample_times) for sample_times in times_of_samples]
    if lengths != [len(sample_values) for sample_values in values]:
        raise ValueError("times: expected a time for each row of values of each sample")
    n_genes = {np.shape(sample_values)[-1] for sample_values in values}
    if len(n_genes) > 1:
        raise ValueError(f"values: expected the same genes in all samples, got {sorted(n_genes)}")
    sample = np.repeat(np.arange(len(values)), lengths)
    time = read_numbers(pd.DataFrame({"time": np.concatenate(times_of_samples)}), "times")
    # in this order in the identity of results
    return pd.DataFrame({"sample": sample, "time": time["time"]}), np.concatenate(values)


def read_table_of_times(table: pd.DataFrame) -> pd.DataFrame:
    """The table with text as numbers; mistakes are named by their columns."""
    missing = [column for column in ("sample", "time") if column not in table]
    if missing:
        columns = abbreviate(table.columns, 8)
        raise ValueError(f"values: no column {' and '.join(missing)} among {columns}")
    is_unnamed = table.columns.astype(str).str.fullmatch(r"Unnamed: \d+")
    unnamed = table.columns[is_unnamed]
    if len(unnamed):
        raise ValueError(f"values: {abbreviate(unnamed)} is no gene; leave it out")
    return read_numbers(table.drop(columns="sample"), "values").assign(sample=table["sample"])


def as_trajectories(data: AnnData | Samples, argument: str = "trajectories") -> Samples:
    """Check an AnnData from `trajectories` and convert it, in order of appearance."""
    if isinstance(data, Samples):
        return data
    if not isinstance(data, AnnData) or not {"sample", "time"} <= {*data.obs}:
        raise TypeError("trajectories: expected an AnnData with sample and time in obs")
    check_numeric(data, argument)
    table = data.to_df()
    check_finite(table, argument)
    X = table.to_numpy(dtype=np.float64)
    largest = X.max(initial=0)
    if largest > BEYOND_LOG:
        raise ValueError(f"values: up to {largest:g}, which are no log values")
    check_numeric(data.obs["time"], "time")
    time = read_numbers(data.obs[["time"]], "time").to_numpy(np.float64).ravel()
    check_finite(data.obs[["time"]], "trajectories")
    labels = data.obs["sample"].to_numpy()
    without = data.obs_names[known_labels(labels).isna()]
    if len(without):
        raise ValueError(
            f"sample: there is none for the rows {abbreviate(without)}; name it, or leave them out"
        )
    values = []
    times = []
    for label in data.obs["sample"].unique():
        is_in_sample = labels == label
        sample_times = time[is_in_sample]
        if len(sample_times) < 2 or not (np.diff(sample_times) > 0).all():
            raise ValueError(
                f"trajectories: expected two or more increasing times in sample {label}, got "
                f"{abbreviate(sample_times)}"
            )
        values.append(X[is_in_sample])
        times.append(sample_times)
    description = data.uns.get("sbnn", {})
    return Samples(
        values=values,
        times=times,
        gene_names=data.var_names.to_numpy(str),
        gene_major=description.get("gene_major", False),
    )


def prior_matrix(prior: ArrayLike | pd.DataFrame, gene_names: Iterable[str]) -> np.ndarray:
    """Prior network, [regulator, target]; a DataFrame is matched by names."""
    names = list(gene_names)
    if isinstance(prior, pd.DataFrame):
        table = prior.rename(index=str, columns=str)
        unknown = table.index.union(table.columns).difference(names)
        if len(unknown):
            raise ValueError(
                f"prior: {abbreviate(unknown)} are not among the genes, which are "
                f"{abbreviate(names)}"
            )
    edges = gene_pairs(prior, names, "prior")
    if np.isnan(edges).any():
        raise ValueError("prior: NaN; pairs without an edge have 0")
    sizes = np.abs(edges[edges != 0])
    if not np.allclose(sizes, sizes.max(initial=0)):
        raise ValueError(
            "prior: expected signs of one size, [regulator, target], got sizes from "
            f"{sizes.min():g} to {sizes.max():g}"
        )
    return edges


def gene_pairs(
    pairs: ArrayLike | pd.DataFrame | sparse.sparray | sparse.spmatrix,
    gene_names: Iterable[str],
    argument: str,
) -> np.ndarray:
    """Numbers of pairs of genes, (genes, genes).

    A DataFrame is matched by names: pairs that it lacks have 0, and those of other genes are
    ignored.
    """
    refuse_other_table(pairs, argument)
    names = list(gene_names)
    if isinstance(pairs, pd.DataFrame):
        table = read_numbers(pairs, argument).rename(index=str, columns=str)
        for labels in (table.index, table.columns):
            fill_names(labels, argument, "gene", size=len(labels))
        pairs = table.reindex(index=names, columns=names, fill_value=0)
    matrix = check_array(
        dense(pairs),
        dtype=np.float64,
        copy=True,
        ensure_all_finite="allow-nan",
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name=argument,
    )
    if matrix.shape != 2 * (len(names),):
        raise ValueError(
            f"{argument}: expected the shape (genes, genes), {len(names)} by {len(names)}, got "
            f"{matrix.shape}"
        )
    return matrix
