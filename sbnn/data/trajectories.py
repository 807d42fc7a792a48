"""Expression of genes over time: an AnnData with one row per sample and time point, and the arrays that models use."""

import itertools
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd

from sbnn.data.checks import check_finite, check_names, some
from sbnn.data.containers import about_data, with_about
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.objects import dense
from sbnn.errors import check_flag, check_number, naming


@dataclass(frozen=True)
class Samples:
    """Trajectories as float64 arrays: for each sample, values of shape (times, genes) and times of shape (times,)."""

    values: list
    times: list
    gene_names: np.ndarray
    gene_major: bool = False  # layout in memory
    whole: tuple = ()  # for each piece, the position of the sample that it was cut from

    def intervals(self):
        """Values before and after each interval, both of shape (intervals, genes), and its start
        and end times.

        The start and end times are an array of shape (intervals, 2).
        """
        before, after = (
            np.concatenate([v[part] for v in self.values]) for part in (slice(-1), slice(1, None))
        )
        return (
            before,
            after,
            np.concatenate([np.stack([t[:-1], t[1:]], axis=1) for t in self.times]),
        )

    def pieces(self, most):
        """Split samples into pieces of at most `most` intervals; each piece starts where the previous one ends."""
        values, times, whole = [], [], []
        for i, (v, t) in enumerate(zip(self.values, self.times, strict=True)):
            n = -(-(len(t) - 1) // most)
            whole += n * [i]
            ends = np.linspace(0, len(t) - 1, n + 1).round().astype(int)
            values += [v[a : b + 1] for a, b in itertools.pairwise(ends)]
            times += [t[a : b + 1] for a, b in itertools.pairwise(ends)]
        return replace(self, values=values, times=times, whole=tuple(whole))

    def joined(self):
        """Join the pieces of each sample again; a missing piece becomes one long interval."""
        if not self.whole:
            return self
        keys = pd.DataFrame(
            {
                "whole": np.repeat(self.whole, [*map(len, self.times)]),
                "time": np.concatenate(self.times),
            }
        )
        # adjacent pieces share a time point
        rows = [*keys.drop_duplicates().groupby("whole").groups.values()]
        values, times = ([np.concatenate(of)[i] for i in rows] for of in (self.values, self.times))
        return replace(self, values=values, times=times, whole=())

    def chosen(self, rows):
        """Select samples by their positions."""
        values, times = ([of[i] for i in rows] for of in (self.values, self.times))
        return replace(
            self, values=values, times=times, whole=tuple(self.whole[i] for i in rows if self.whole)
        )

    def padded(self):
        """Values of shape (samples, times, genes) and times of shape (samples, times).

        Shorter samples are padded with their last values and last time.
        """
        most = max(map(len, self.times))
        values = np.stack(
            [np.pad(v, ((0, most - len(v)), (0, 0)), mode="edge") for v in self.values]
        )
        if self.gene_major:
            values = values.transpose(0, 2, 1).copy().transpose(0, 2, 1)
        return values, np.stack(
            [np.pad(times, (0, most - len(times)), mode="edge") for times in self.times]
        )


def trajectories(values, times=None, gene_names=None, **about):
    """Build an AnnData of expression over time; samples may have different numbers of time points.

    Parameters
    ----------
    values : array-like of shape (samples, times, genes), list of arrays (times, genes), or DataFrame
        Arrays with different numbers of time points are given as a list. A DataFrame is a long
        table with the columns ``sample`` and ``time`` and one column per gene. The models expect
        values between 0 and about 1.
    times : array-like of shape (times,) or (samples, times), or list of arrays (times,)
        Increasing times in any unit, the same for all samples or given for each sample; not used
        with a long table.
    gene_names : sequence of str, optional
        Unique names; by default the columns of the table, or ``gene_0`` ...
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With ``X`` (float64, one row per sample and time), ``obs["sample"]``, ``obs["time"]`` and
        ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        If the times of a sample do not fit its values, do not increase or are fewer than two,
        values are NaN or infinite, samples are identical, or names repeat.
    """
    labels, values = None, _checked(values) if isinstance(values, pd.DataFrame) else values
    with naming(
        "values and times: expected numbers, of shape (samples, times, genes) and (times,), or a long table"
    ):
        if isinstance(values, pd.DataFrame):
            parts = dict(iter(values.groupby("sample", sort=False)))
            gene_names = (
                values.columns.drop(["sample", "time"]) if gene_names is None else gene_names
            )
            labels, times = list(parts), [part["time"] for part in parts.values()]
            values = [part.drop(columns=["sample", "time"]) for part in parts.values()]
        values = [np.asarray(block, dtype=np.float64) for block in values]
        times = [
            np.asarray(of, np.float64)
            for of in ([times] * len(values) if np.ndim(times[0]) == 0 else times)
        ]
        shapes, lengths = [block.shape for block in values], [len(of_sample) for of_sample in times]
    if not values or shapes != [(length, *shapes[0][-1:]) for length in lengths]:
        raise ValueError(
            f"values: expected (times, genes) for each sample, got {shapes} for {lengths} times"
        )
    names = check_names(gene_names, "gene_names", "gene", shapes[0][1])
    labels = list(map(str, range(len(values)) if labels is None else labels))
    obs = pd.DataFrame(
        {"sample": np.repeat(labels, lengths), "time": np.concatenate(times).astype(np.float64)}
    )
    obs.index = obs["sample"] + "_" + obs.groupby("sample").cumcount().astype(str)
    adata = ad.AnnData(np.concatenate(values), obs, pd.DataFrame(index=names))
    return with_about(adata, about_data(**about), _fingerprint(as_trajectories(adata)))


def read_pseudotime(expression, pseudotime, n_bins=25, *, scaled=True, **about):
    """Turn cells with a pseudotime into trajectories by averaging cells in bins of equal size along
    each trajectory.

    Parameters
    ----------
    expression : DataFrame or path-like
        Cells by genes, or the path of a CSV file with cell names in its first column.
    pseudotime : DataFrame, Series or path-like
        Cells by trajectories, or the path of a CSV file with such a table; values are blank for
        cells that are not on a trajectory. Cells are matched by name.
    n_bins : int
        Number of bins per trajectory, at least 2; trajectories with fewer distinct times get fewer
        bins.
    scaled : bool
        Whether to divide each gene by its largest absolute value and rescale all times to the range
        0 to 9, as in simulations.
    **about
        See `trajectories`.

    Returns
    -------
    AnnData
        As returned by `trajectories`, with one sample for each trajectory.

    Raises
    ------
    ValueError
        If a cell has no row in `expression`, a trajectory has fewer than two different times, or
        `trajectories` rejects the result.
    """
    check_number("n_bins", n_bins, int, 2)
    with naming("expression and pseudotime: expected tables of numbers"):
        expression, pseudotime = (
            given
            if isinstance(given, pd.DataFrame | pd.Series)
            else pd.read_csv(given, index_col=0)
            for given in (expression, pseudotime)
        )
        expression, pseudotime = expression.astype(float), pd.DataFrame(pseudotime).astype(float)
    if missing := [cell for cell in pseudotime.index if cell not in expression.index]:
        raise ValueError(f"expression: no row for these cells in pseudotime: {some(missing)}")
    values, times = [], []
    for name, of_cells in pseudotime.items():
        of_cells = of_cells.dropna().sort_values(kind="stable")
        if of_cells.nunique() < 2:
            raise ValueError(
                f"pseudotime: trajectory {name!r} has fewer than two cells with different times"
            )
        parts = np.array_split(np.arange(len(of_cells)), min(n_bins, of_cells.nunique()))
        cells = expression.loc[of_cells.index].to_numpy()
        of_bins, bins = np.unique(
            [of_cells.to_numpy()[part].mean() for part in parts], return_inverse=True
        )
        sums = np.zeros((len(of_bins), cells.shape[1]))  # bins whose mean times are tied are merged
        np.add.at(sums, bins, [cells[part].sum(axis=0) for part in parts])
        values.append(sums / np.bincount(bins, [len(part) for part in parts])[:, None])
        times.append(of_bins)
    if check_flag("scaled", scaled):
        largest = np.abs(np.concatenate(values)).max(axis=0)
        start, end = min(t[0] for t in times), max(t[-1] for t in times)
        values = [v / np.where(largest > 0, largest, 1) for v in values]
        times = [9 * (t - start) / (end - start) for t in times]
    return trajectories(values, times, expression.columns, **about)


def as_trajectories(data):
    """Check an AnnData as returned by `trajectories` and convert it to `Samples` in order of first appearance."""
    if isinstance(data, Samples):
        return data
    if (
        not isinstance(data, ad.AnnData)
        or not {"sample", "time"} <= {*data.obs}
        or not data.n_obs
        or data.X is None
    ):
        raise TypeError(
            f"trajectories: expected an AnnData with X, and sample, time in obs, got {type(data).__name__}"
        )
    X = dense(data.X).astype(np.float64, copy=False)
    names = check_names(data.var_names, "trajectories", "gene", data.n_vars)
    check_finite(X, "trajectories", data.obs_names, names)
    codes, labels = pd.factorize(data.obs["sample"])
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    time = data.obs["time"].to_numpy(np.float64)
    gene_major = bool(data.uns.get("sbnn", {}).get("gene_major", False))
    samples = Samples([X[i] for i in rows], [time[i] for i in rows], names, gene_major)
    seen = {}
    for label, i, times in zip(labels, rows, samples.times, strict=True):
        early = np.flatnonzero(~(np.diff(times) > 0))  # also true for NaN
        if len(times) < 2 or len(early):
            got = f"{times[early[0] + 1]:g} after {times[early[0]]:g}" if len(early) else "one time"
            raise ValueError(
                f"trajectories: sample {label} has {got}, expected two or more times that increase"
            )
        if (same := seen.setdefault(X[i].tobytes() + times.tobytes(), label)) is not label:
            raise ValueError(
                f"trajectories: sample {label} is a copy of sample {same}, so test data could equal training data"
            )
    return samples


def _checked(table):
    """Check and convert a long table; errors name the sample, the gene and the line (line 1 holds the names)."""
    if lacking := [name for name in ("sample", "time") if name not in table]:
        raise ValueError(
            f"values: expected columns sample, time and one per gene; no {lacking[0]} in {some(table)}"
        )
    numbers = (
        table.drop(columns="sample").apply(pd.to_numeric, errors="coerce").reset_index(drop=True)
    )
    samples = table["sample"].reset_index(drop=True)
    wrong = np.argwhere(~np.isfinite(numbers.to_numpy(float)) | samples.isna().to_numpy()[:, None])
    late = np.flatnonzero(numbers["time"].groupby(samples).diff() <= 0)
    if len(wrong) or len(late):
        row, name = (wrong[0][0], numbers.columns[wrong[0][1]]) if len(wrong) else (late[0], "time")
        expected = "a number" if len(wrong) else "a later time than the one before"
        place = f"line {row + 2}, sample {samples[row]}"
        raise ValueError(f"values: {place}: {name} is {table[name].iloc[row]}, expected {expected}")
    return numbers.assign(sample=samples)


def _fingerprint(samples):
    values, times = samples.values, samples.times
    if len({len(t) for t in times}) == 1:
        values, times = [np.stack(values)], [np.stack(times)]
    return fingerprint_parameters(
        {"values": fingerprint_arrays(*values, *times), "genes": samples.gene_names}
    )


def prior_matrix(given, gene_names):
    """Prior network as an array, [regulator, target], in the order of the genes; a DataFrame is matched by names."""
    p, names = len(gene_names), [*map(str, gene_names)]
    if isinstance(given, pd.DataFrame):
        given = given.rename(index=str, columns=str)
        for axis in (given.index, given.columns):
            if wrong := [*axis.difference(names), *axis[axis.duplicated()]]:
                raise ValueError(
                    f"prior: {some(wrong)} unknown or repeated; the trajectories have genes {some(names)}"
                )
        given = given.reindex(index=names, columns=names, fill_value=0)
    with naming(
        f"prior: expected signs, such as 1, -1 and 0, of shape ({p}, {p}), [regulator, target]"
    ):
        prior = np.array(given, dtype=np.float64)
    if prior.shape != (p, p):
        raise ValueError(
            f"prior: expected shape ({p}, {p}), [regulator, target], got shape {prior.shape}"
        )
    size = np.abs(prior).max()
    if len(odd := np.argwhere((prior != 0) & ~np.isclose(np.abs(prior), size))):
        one, other = odd[0]
        text = f"{names[one]} -> {names[other]} has {prior[one, other]:g} and others {size:g}"
        raise ValueError(f"prior: expected signs, such as 1, -1 and 0, all of one size; {text}")
    return prior
