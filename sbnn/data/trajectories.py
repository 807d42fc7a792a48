"""Expression over time, as AnnData with a row per sample and time, and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite

from sbnn.data.checks import abbreviate, check_names, numbers
from sbnn.data.fingerprint import annotate_adata
from sbnn.data.inputs import BEYOND_LOG


@dataclass(frozen=True)
class Samples:
    """Values and times of each sample, float64."""

    values: list  # arrays of shape (times, genes)
    times: list  # arrays of shape (times,)
    gene_names: np.ndarray
    gene_major: bool = False  # layout in memory

    def intervals(self):
        """Values before and after intervals, (intervals, genes), and times, (intervals, 2)."""
        before = np.concatenate([of_sample[:-1] for of_sample in self.values])
        after = np.concatenate([of_sample[1:] for of_sample in self.values])
        times = [np.column_stack([at[:-1], at[1:]]) for at in self.times]
        return before, after, np.concatenate(times)

    def chosen(self, rows):
        """Select samples by their positions."""
        values = [self.values[i] for i in rows]
        times = [self.times[i] for i in rows]
        return replace(self, values=values, times=times)

    def padded(self):
        """Values, (samples, times, genes), and times, padded with the last ones."""
        most = max(map(len, self.times))
        values = [
            np.pad(values, ((0, most - len(values)), (0, 0)), "edge") for values in self.values
        ]
        values = np.stack(values)
        if self.gene_major:
            values = values.swapaxes(1, 2).copy().swapaxes(1, 2)
        return values, np.stack([np.pad(at, (0, most - len(at)), "edge") for at in self.times])


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
        A DataFrame has the columns ``sample``, ``time`` and one per gene. The models expect values
        between 0 and about 1.
    times : array-like of shape (times,) or (samples, times), or list of arrays (times,)
        Increasing times in any unit, of all samples or of each sample; not with a DataFrame.
    gene_names : sequence of str, optional
        By default ``gene_0`` ...; not with a DataFrame.
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired_cells`.

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
    if isinstance(values, pd.DataFrame):
        table = check_table_of_times(values)
        obs = table[["sample", "time"]]
        values = table.drop(columns=["sample", "time"])
        gene_names = values.columns
    elif times is None:
        raise TypeError(
            "times: expected the times of each sample, as values are no DataFrame; a file is read "
            "with pd.read_csv(path)"
        )
    else:
        if np.ndim(times[0]) == 0:  # the same for all samples
            times = [times] * len(values)
        lengths = [len(at) for at in times]
        if lengths != [len(of_sample) for of_sample in values]:
            raise ValueError("times: expected a time for each row of values of each sample")
        sample = np.repeat(np.arange(len(values)), lengths)
        obs = pd.DataFrame({"sample": sample, "time": np.concatenate(times)})
        values = np.concatenate(values)
    values = np.asarray(values, dtype=float)
    largest = values.max(initial=0)
    if largest > BEYOND_LOG:
        raise ValueError(
            f"values: up to {largest:g}, which are no log values; use np.log2(table + 1) of TPM or "
            "CPM, and divide genes by their maximum"
        )
    obs = obs.astype({"sample": str, "time": float})
    obs.index = obs["sample"] + "_" + obs.groupby("sample").cumcount().astype(str)
    names = check_names(gene_names, "gene_names", "gene", values.shape[1])
    adata = ad.AnnData(values, obs, pd.DataFrame(index=names))
    as_trajectories(adata)
    return annotate_adata(adata, ("sample", "time"), **about)


def check_table_of_times(table):
    """The table with text as numbers; mistakes are named by their columns."""
    missing = [column for column in ("sample", "time") if column not in table]
    if missing:
        raise ValueError(
            f"values: no column {' and '.join(missing)} among "
            f"{abbreviate(table.columns, 8)}; rename one "
            "with table.rename(columns={OLD: NEW}), or name a single sample with "
            "table.assign(sample=0)"
        )
    unnamed = table.columns[table.columns.astype(str).str.fullmatch(r"Unnamed: \d+")]
    if len(unnamed):
        raise ValueError(
            f"values: {abbreviate(unnamed)} is no gene; read names of rows with "
            "pd.read_csv(path, index_col=0)"
        )
    incomplete = table.columns[table.isna().any()]
    if len(incomplete):
        raise ValueError(
            f"values: NaN in the columns {abbreviate(incomplete, 3)}; leave out genes with "
            "table.drop(columns=...), or rows with table.dropna()"
        )
    return numbers(table.drop(columns="sample"), "values").assign(sample=table["sample"])


def as_trajectories(data):
    """Check an AnnData from `trajectories` and convert it, in order of appearance."""
    if isinstance(data, Samples):
        return data
    if not isinstance(data, AnnData) or not {"sample", "time"} <= {*data.obs}:
        raise TypeError("trajectories: expected an AnnData with sample and time in obs")
    X = data.to_df().to_numpy(dtype=np.float64)
    assert_all_finite(X, input_name="trajectories")
    time = data.obs["time"].to_numpy(np.float64)
    assert_all_finite(time, input_name="time")
    values, times = [], []
    for label in data.obs["sample"].unique():
        rows = data.obs["sample"].to_numpy() == label
        at = time[rows]
        if len(at) < 2 or not (np.diff(at) > 0).all():
            raise ValueError(
                f"trajectories: expected two or more increasing times in sample {label}, got "
                f"{abbreviate(at)}; name each sample in the column 'sample', and sort and "
                "average rows with table.groupby(['sample', 'time'], as_index=False).mean()"
            )
        values.append(X[rows])
        times.append(at)
    about = data.uns.get("sbnn", {})
    return Samples(values, times, data.var_names.to_numpy(str), about.get("gene_major", False))


def prior_matrix(given, gene_names):
    """Prior network, [regulator, target]; a DataFrame is matched by names."""
    names = list(gene_names)
    if isinstance(given, pd.DataFrame):
        given = given.rename(index=str, columns=str)
        unknown = given.index.union(given.columns).difference(names)
        if len(unknown):
            known = f"genes, such as {abbreviate(names)}"
            raise ValueError(
                f"prior: {abbreviate(unknown)} are not {known}; capitals must match, too"
            )
        given = given.reindex(index=names, columns=names, fill_value=0)
    prior = np.array(given, dtype=np.float64)
    sizes = np.abs(prior[prior != 0])
    if prior.shape != 2 * (len(names),) or not np.allclose(sizes, sizes.max(initial=0)):
        raise ValueError(
            f"prior: expected signs of one size, [regulator, target] of {len(names)} genes"
        )
    return prior
