"""Expression over time, as AnnData with a row per sample and time, and as arrays."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from sbnn.data.checks import check_names, dense, some
from sbnn.data.fingerprint import described, fingerprint_arrays, fingerprint_parameters
from sbnn.errors import check_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import ArrayLike


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
        before, after, times = [], [], []
        for of_sample, at in zip(self.values, self.times, strict=True):
            before.append(of_sample[:-1])
            after.append(of_sample[1:])
            times.append(sliding_window_view(at, 2))
        return np.concatenate(before), np.concatenate(after), np.concatenate(times)

    def pieces(self, most):
        """Pieces of at most `most` intervals; neighbours share a time."""
        values, times, whole = [], [], []
        for i, of_sample in enumerate(self.times):
            last = len(of_sample) - 1
            n_pieces = math.ceil(last / most)
            ends = np.linspace(0, last, n_pieces + 1).round().astype(int)
            for start, end in itertools.pairwise(ends):
                values.append(self.values[i][start : end + 1])
                times.append(of_sample[start : end + 1])
                whole.append(i)
        return replace(self, values=values, times=times, whole=tuple(whole))

    def joined(self):
        """Join the pieces of each sample; a gap becomes one interval."""
        if not self.whole:
            return self
        values, times = [], []
        for sample in np.unique(self.whole):
            pieces = self.chosen(np.flatnonzero(np.equal(self.whole, sample)))
            of_sample, rows = np.unique(np.concatenate(pieces.times), return_index=True)
            times.append(of_sample)
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
        By default the columns of the table, or ``gene_0`` ...
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
        values are NaN or infinite, samples are identical, or names repeat.

    Examples
    --------
    >>> from sbnn.dynamics import trajectories
    >>> sample = [[0.1, 0.5], [0.2, 0.4], [0.3, 0.3]]  # three times of two genes
    >>> course = trajectories([sample], times=[0, 1, 4], gene_names=["SWI4", "CLN2"])
    >>> course.obs["time"].tolist()
    [0.0, 1.0, 4.0]
    """
    labels = None
    if isinstance(values, pd.DataFrame):
        if gene_names is None:
            gene_names = values.columns.drop(["sample", "time"], errors="ignore")
        labels, values, times = _of_long_table(values)
    values = _numbers(values, "values")
    times = _numbers(times, "times")
    if np.ndim(times[0]) == 0:  # the same for all samples
        times = [np.array(times)] * len(values)
    lengths = list(map(len, times))
    shapes = [block.shape for block in values]
    if shapes != [(length, *shapes[0][-1:]) for length in lengths]:
        got = f"{some(shapes)} for {some(lengths)} times"
        raise ValueError(f"values: expected (times, genes) for each sample, got {got}")
    names = check_names(gene_names, "gene_names", "gene", shapes[0][1])
    if labels is None:
        labels = range(len(values))
    sample = np.repeat(np.array(labels).astype(str), lengths)
    obs = pd.DataFrame({"sample": sample, "time": np.concatenate(times)})
    position = obs.groupby("sample").cumcount()
    obs.index = obs["sample"] + "_" + position.astype(str)
    adata = ad.AnnData(np.concatenate(values), obs, pd.DataFrame(index=names))
    if not about.get("files"):
        about = {"sha256": _fingerprint(as_trajectories(adata))} | about
    return described(adata, ("sample", "time"), **about)


def _of_long_table(table):
    if not {"sample", "time"} <= {*table}:
        expected = "columns sample, time and one per gene"
        raise ValueError(f"values: expected {expected}, got {some(table)}")
    if table["sample"].isna().any():
        raise ValueError("values: the column sample has missing values")
    labels, values, times = [], [], []
    for label, part in table.groupby("sample", sort=False):
        labels.append(label)
        values.append(part.drop(columns=["sample", "time"]))
        times.append(part["time"])
    return labels, values, times


def _numbers(given, argument):
    try:
        arrays = [np.asarray(block, dtype=np.float64) for block in given]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}: expected numbers; {error}") from error
    if not arrays:
        raise ValueError(f"{argument}: expected numbers, got none")
    return arrays


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
    check_number("n_bins", n_bins, int, 2)
    expression = expression.astype(float)
    pseudotime = pseudotime.astype(float)
    missing = pseudotime.index.difference(expression.index)
    if len(missing):
        raise ValueError(f"expression: no row for these cells in pseudotime: {some(missing)}")
    values, times = [], []
    for name, of_cells in pseudotime.items():
        of_cells = of_cells.dropna().sort_values(kind="stable")
        n_times = of_cells.nunique()
        if n_times < 2:
            raise ValueError(f"pseudotime: fewer than two different times in trajectory {name!r}")
        cells = expression.loc[of_cells.index].to_numpy()
        parts = np.array_split(np.arange(len(of_cells)), min(n_bins, n_times))
        means = [of_cells.to_numpy()[part].mean() for part in parts]
        of_bins, bins = np.unique(means, return_inverse=True)  # merges bins of the same mean time
        sums = np.zeros((len(of_bins), cells.shape[1]))
        sizes = np.zeros((len(of_bins), 1))
        for i, part in zip(bins, parts, strict=True):
            sums[i] += cells[part].sum(axis=0)
            sizes[i] += len(part)
        values.append(sums / sizes)
        times.append(of_bins)
    if scaled:
        largest = np.abs(np.concatenate(values)).max(axis=0)
        largest[largest == 0] = 1
        start = min(map(np.min, times))
        span = max(map(np.max, times)) - start
        values = [of_bins / largest for of_bins in values]
        times = [9 * (of_bins - start) / span for of_bins in times]
    return trajectories(values, times, expression.columns, **about)


def as_trajectories(data):
    """Check an AnnData from `trajectories` and convert it, in order of appearance."""
    if isinstance(data, Samples):
        return data
    known = isinstance(data, ad.AnnData) and {"sample", "time"} <= {*data.obs}
    if not known or not data.n_obs or data.X is None:
        expected = "an AnnData with X, and with sample, time in obs"
        raise TypeError(f"trajectories: expected {expected}, got {type(data).__name__}")
    X = dense(data.X).astype(np.float64, copy=False)
    names = check_names(data.var_names, "trajectories", "gene", data.n_vars)
    for row, gene in np.argwhere(~np.isfinite(X))[:1]:
        place = f"{data.obs_names[row]!r} in column '{names[gene]}'"
        raise ValueError(f"trajectories: expected finite values, got {X[row, gene]} of {place}")
    time = data.obs["time"].to_numpy(np.float64)
    codes, labels = pd.factorize(data.obs["sample"])
    sizes = np.bincount(codes)
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])
    values, times = [], []
    sample_of = {}
    for label, of_sample in zip(labels, rows, strict=True):
        at = time[of_sample]
        if len(at) < 2 or not (np.diff(at) > 0).all():
            text = f"increasing times in sample {label}"
            raise ValueError(f"trajectories: expected two or more {text}, got {some(at)}")
        values.append(X[of_sample])
        times.append(at)
        content = values[-1].tobytes() + at.tobytes()
        if content in sample_of:
            text = f"sample {label} is a copy of sample {sample_of[content]}"
            raise ValueError(f"trajectories: {text}, so test data could equal training data")
        sample_of[content] = label
    gene_major = bool(data.uns.get("sbnn", {}).get("gene_major", False))
    return Samples(values, times, names, gene_major)


def _fingerprint(samples):
    values = samples.values
    times = samples.times
    if len(set(map(len, times))) == 1:
        values = [np.stack(values)]
        times = [np.stack(times)]
    arrays = fingerprint_arrays(*values, *times)
    return fingerprint_parameters({"values": arrays, "genes": samples.gene_names})


def prior_matrix(given, gene_names):
    """Prior network, [regulator, target]; a DataFrame is matched by names."""
    names = [str(name) for name in gene_names]
    if isinstance(given, pd.DataFrame):
        given = given.rename(index=str, columns=str)
        for axis in (given.index, given.columns):
            wrong = axis[axis.duplicated() | ~axis.isin(names)]
            if len(wrong):
                text = f"{some(wrong)} unknown or repeated; the trajectories have genes"
                raise ValueError(f"prior: {text} {some(names)}")
        given = given.reindex(index=names, columns=names, fill_value=0)
    shape = (len(names), len(names))
    if np.shape(given) != shape:
        got = np.shape(given)
        raise ValueError(f"prior: expected shape {shape}, [regulator, target], got {got}")
    prior = np.stack(_numbers(np.asarray(given), "prior"))
    sizes = np.abs(prior[prior != 0])
    if not np.allclose(sizes, sizes.max(initial=0)):
        text = f"signs, such as 1, -1 and 0, all of one size, got {some(np.unique(sizes))}"
        raise ValueError(f"prior: expected {text}")
    return prior
