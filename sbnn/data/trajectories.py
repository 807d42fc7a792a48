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
    whole: tuple = ()  # of each piece, the position of its sample

    def intervals(self):
        """Values before and after intervals, (intervals, genes), and times, (intervals, 2)."""
        before = np.concatenate([of_sample[:-1] for of_sample in self.values])
        after = np.concatenate([of_sample[1:] for of_sample in self.values])
        times = np.concatenate([np.column_stack([at[:-1], at[1:]]) for at in self.times])
        return before, after, times

    def pieces(self, most):
        """Pieces of at most `most` intervals; neighbours share a time."""
        values, times, whole = [], [], []
        for i, at in enumerate(self.times):
            last = len(at) - 1
            n_pieces = -(-last // most)
            ends = np.linspace(0, last, n_pieces + 1).round().astype(int)
            for start, end in zip(ends[:-1], ends[1:], strict=True):
                values.append(self.values[i][start : end + 1])
                times.append(at[start : end + 1])
                whole.append(i)
        return replace(self, values=values, times=times, whole=tuple(whole))

    def joined(self):
        """Join the pieces of each sample; a gap becomes one interval."""
        if not self.whole:
            return self
        values, times = [], []
        for sample in np.unique(self.whole):
            pieces = self.chosen(np.flatnonzero(np.equal(self.whole, sample)))
            at, rows = np.unique(np.concatenate(pieces.times), return_index=True)
            times.append(at)
            values.append(np.concatenate(pieces.values)[rows])
        return replace(self, values=values, times=times, whole=())

    def chosen(self, rows):
        """Select samples by their positions."""
        values = [self.values[i] for i in rows]
        times = [self.times[i] for i in rows]
        whole = tuple(np.array(self.whole)[rows]) if self.whole else ()
        return replace(self, values=values, times=times, whole=whole)

    def padded(self):
        """Values, (samples, times, genes), and times, padded with the last ones."""
        most = max(map(len, self.times))
        values, times = [], []
        for of_sample, at in zip(self.values, self.times, strict=True):
            rows = np.minimum(np.arange(most), len(at) - 1)
            values.append(of_sample[rows])
            times.append(at[rows])
        values = np.stack(values)
        if self.gene_major:
            values = values.swapaxes(1, 2).copy().swapaxes(1, 2)
        return values, np.stack(times)


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
        A DataFrame has the columns ``sample`` and ``time`` and one per gene. The models expect
        values between 0 and about 1.
    times : array-like of shape (times,) or (samples, times), or list of arrays (times,)
        Increasing times in any unit, of all samples or of each sample; not with a DataFrame.
    gene_names : sequence of str, optional
        By default ``gene_0`` ...; not with a DataFrame.
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With ``X`` (float64), ``obs["sample"]``, ``obs["time"]`` and ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        If the times of a sample do not fit its values, do not increase or are fewer than two,
        values are NaN or infinite, or names repeat.

    Examples
    --------
    >>> from sbnn.dynamics import trajectories
    >>> sample = [[0.1, 0.5], [0.2, 0.4], [0.3, 0.3]]  # three times of two genes
    >>> course = trajectories([sample], times=[0, 1, 4], gene_names=["SWI4", "CLN2"])
    >>> course.obs["time"].tolist()
    [0.0, 1.0, 4.0]
    """
    if not isinstance(values, pd.DataFrame):
        if times is None:
            raise ValueError("times: expected increasing times")
        if np.ndim(times[0]) == 0:  # the same for all samples
            times = [times] * len(values)
        names = check_names(gene_names, "gene_names", "gene", np.shape(values[0])[1])
        parts = []
        for i, (of_sample, at) in enumerate(zip(values, times, strict=True)):
            parts.append(
                pd.DataFrame(of_sample, columns=names).assign(sample=i, time=np.asarray(at))
            )
        values = pd.concat(parts)
    obs = values[["sample", "time"]].astype({"sample": str, "time": float})
    obs.index = obs["sample"] + "_" + obs.groupby("sample").cumcount().astype(str)
    values = values.drop(columns=["sample", "time"])
    names = check_names(values.columns, "gene_names", "gene", values.shape[1])
    adata = ad.AnnData(values.to_numpy(dtype=float), obs, pd.DataFrame(index=names))
    as_trajectories(adata)
    return described(adata, ("sample", "time"), **about)


def read_pseudotime(
    expression: pd.DataFrame,
    pseudotime: pd.DataFrame,
    n_bins: int = 25,
    *,
    scaled: bool = True,
    **about: object,
) -> AnnData:
    """Average cells in bins of equal size along each trajectory.

    `expression` is a table of cells by genes, and `pseudotime` of cells by trajectories, NaN for
    cells that are not on a trajectory. Cells are matched by name. Trajectories with fewer distinct
    times than `n_bins` get fewer bins. If `scaled`, genes are divided by their largest absolute
    value and times rescaled to 0 to 9.
    """
    values, times = [], []
    for _, of_cells in pseudotime.astype(float).items():
        of_cells = of_cells.dropna().sort_values(kind="stable")
        cells = expression.loc[of_cells.index].to_numpy(dtype=float)
        parts = np.array_split(of_cells.to_numpy(), min(n_bins, of_cells.nunique()))
        means = [part.mean() for part in parts]
        at, bins = np.unique(means, return_inverse=True)  # merges bins of the same mean time
        of_cell = np.repeat(bins, [len(part) for part in parts])
        values.append(np.stack([cells[of_cell == i].mean(axis=0) for i in range(len(at))]))
        times.append(at)
    if scaled:
        largest = np.abs(np.concatenate(values)).max(axis=0)
        largest[largest == 0] = 1
        start = min(at[0] for at in times)
        span = max(at[-1] for at in times) - start
        values = [of_bins / largest for of_bins in values]
        times = [9 * (at - start) / span for at in times]
    return trajectories(values, times, expression.columns, **about)


def as_trajectories(data):
    """Check an AnnData from `trajectories` and convert it, in order of appearance."""
    if isinstance(data, Samples):
        return data
    if not isinstance(data, AnnData) or not data.n_obs or not {"sample", "time"} <= {*data.obs}:
        expected = "an AnnData with sample and time in obs"
        raise TypeError(f"trajectories: expected {expected}, got {type(data).__name__}")
    X = data.to_df().to_numpy(dtype=np.float64)
    names = data.var_names.to_numpy(str)
    assert_all_finite(X, input_name="trajectories")
    time = data.obs["time"].to_numpy(np.float64)
    values, times = [], []
    for label in data.obs["sample"].unique():
        rows = data.obs["sample"].to_numpy() == label
        at = time[rows]
        if len(at) < 2 or not (np.diff(at) > 0).all():
            text = f"increasing times in sample {label}"
            raise ValueError(f"trajectories: expected two or more {text}, got {some(at)}")
        values.append(X[rows])
        times.append(at)
    gene_major = bool(data.uns.get("sbnn", {}).get("gene_major", False))
    return Samples(values, times, names, gene_major)


def prior_matrix(given, gene_names):
    """Prior network, [regulator, target]; a DataFrame is matched by names."""
    names = [str(name) for name in gene_names]
    if isinstance(given, pd.DataFrame):
        given = given.rename(index=str, columns=str)
        unknown = given.index.union(given.columns).difference(names)
        if len(unknown):
            text = f"{some(unknown)} are not among the genes of the trajectories, {some(names)}"
            raise ValueError(f"prior: {text}")
        given = given.reindex(index=names, columns=names, fill_value=0)
    prior = np.array(given, dtype=np.float64)
    sizes = np.abs(prior[prior != 0])
    if prior.shape != 2 * (len(names),) or not np.allclose(sizes, sizes.max(initial=0)):
        expected = f"signs of one size, such as 1, -1 and 0, [regulator, target] of {len(names)}"
        raise ValueError(f"prior: expected {expected} genes, got {some(np.unique(prior))}")
    return prior
