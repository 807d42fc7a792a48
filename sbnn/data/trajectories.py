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

from sbnn.data.checks import check_names, some
from sbnn.data.fingerprint import described


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
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With ``X`` (float64), ``obs["sample"]`` and ``obs["time"]``.

    Raises
    ------
    ValueError
        If times do not fit the values, do not increase or are fewer than two, values are not
        finite, or names repeat.

    Examples
    --------
    >>> from sbnn.dynamics import trajectories
    >>> sample = [[0.1, 0.5], [0.2, 0.4], [0.3, 0.3]]  # three times of two genes
    >>> course = trajectories([sample], times=[0, 1, 4], gene_names=["SWI4", "CLN2"])
    >>> course.obs["time"].tolist()
    [0.0, 1.0, 4.0]
    """
    if isinstance(values, pd.DataFrame):
        obs = values[["sample", "time"]]
        values = values.drop(columns=["sample", "time"])
        gene_names = values.columns
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
    obs = obs.astype({"sample": str, "time": float})
    obs.index = obs["sample"] + "_" + obs.groupby("sample").cumcount().astype(str)
    names = check_names(gene_names, "gene_names", "gene", values.shape[1])
    adata = ad.AnnData(values, obs, pd.DataFrame(index=names))
    as_trajectories(adata)
    return described(adata, ("sample", "time"), **about)


def read_pseudotime(
    expression: pd.DataFrame,
    pseudotime: pd.DataFrame,
    n_bins: int | pd.Series = 25,
    *,
    scaled: bool = True,
    **about: object,
) -> AnnData:
    """Average cells in bins of equal size along each trajectory.

    `expression` is a table of cells by genes, and `pseudotime` of cells by trajectories, NaN for
    cells that are not on one. If `scaled`, genes are divided by their largest absolute value and
    times rescaled to 0 to 9.
    """
    values, times = [], []
    assert_all_finite(pseudotime, allow_nan=True, input_name="pseudotime")
    n_bins = pd.Series(n_bins, pseudotime.columns)
    for trajectory, of_cells in pseudotime.items():
        of_cells = of_cells.dropna().sort_values(kind="stable")
        cells = expression.loc[of_cells.index].to_numpy(dtype=float)
        parts = np.array_split(of_cells.to_numpy(), min(n_bins[trajectory], of_cells.nunique()))
        # bins of the same mean time are merged
        means = np.concatenate([np.full(len(part), part.mean()) for part in parts])
        at = np.unique(means)
        values.append(np.stack([cells[means == mean].mean(axis=0) for mean in at]))
        times.append(at)
    if scaled:
        largest = np.abs(np.concatenate(values)).max(axis=0)
        largest[largest == 0] = 1
        values = [of_bins / largest for of_bins in values]
        at = np.concatenate(times)
        times = [9 * (of_bins - at.min()) / np.ptp(at) for of_bins in times]
    return trajectories(values, times, expression.columns, **about)


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
            text = f"increasing times in sample {label}"
            raise ValueError(f"trajectories: expected two or more {text}, got {some(at)}")
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
            known = f"genes, such as {some(names)}"
            raise ValueError(f"prior: {some(unknown)} are not {known}; capitals must match, too")
        given = given.reindex(index=names, columns=names, fill_value=0)
    prior = np.array(given, dtype=np.float64)
    sizes = np.abs(prior[prior != 0])
    if prior.shape != 2 * (len(names),) or not np.allclose(sizes, sizes.max(initial=0)):
        raise ValueError(
            f"prior: expected signs of one size, [regulator, target] of {len(names)} genes"
        )
    return prior
