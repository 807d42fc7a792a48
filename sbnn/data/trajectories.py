"""Expression of genes over time: an AnnData with a row per sample and time, and the arrays that models work on."""

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters


@dataclass(frozen=True)
class Samples:
    """Trajectories as arrays: of each sample the values (times, genes) and the times, both float64."""

    values: list
    times: list
    gene_names: np.ndarray
    gene_major: bool = False  # layout in memory

    def padded(self):
        """Values (samples, times, genes) and times (samples, times); shorter samples repeat their last ones."""
        most = max(map(len, self.times))
        values = np.stack([np.pad(v, ((0, most - len(v)), (0, 0)), mode="edge") for v in self.values])
        if self.gene_major:
            values = values.transpose(0, 2, 1).copy().transpose(0, 2, 1)
        return values, np.stack([np.pad(times, (0, most - len(times)), mode="edge") for times in self.times])


def trajectories(
    values, times=None, gene_names=None, *, name="custom", source="the user's trajectories", sha256=None, files=None
):
    """Put expression over time into an AnnData; samples may have any number of times.

    Parameters
    ----------
    values : array-like of shape (samples, times, genes), list of arrays (times, genes), or DataFrame
        A list where samples have different numbers of times. A DataFrame is a long table with the columns ``sample``
        and ``time`` and one column per gene. The methods are made for a scale from 0 to about 1.
    times : array-like of shape (times,) or (samples, times), or list of arrays (times,)
        Of all samples alike or of each one, increasing, in any unit. None with a long table.
    gene_names : sequence of str, optional
        Unique; by default the columns of the table, or ``gene_0`` ...
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint by which stored results recognise the data; by default that of values, times and names.
    files : mapping of str to str, optional
        Name -> sha256 of the files the data was read from; for information.

    Returns
    -------
    AnnData
        ``X`` float64, a row per sample and time; ``obs["sample"]`` and ``obs["time"]``; ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        Times that do not fit the values or do not increase, fewer than two times, NaN or infinite values, identical
        samples, repeated names.
    """
    labels = None
    if isinstance(values, pd.DataFrame):
        table = values
        parts = dict(iter(table.groupby("sample", sort=False)))
        gene_names = table.columns.drop(["sample", "time"]) if gene_names is None else gene_names
        labels, times = list(parts), [part["time"] for part in parts.values()]
        values = [part.drop(columns=["sample", "time"]) for part in parts.values()]
    values = [np.asarray(block, dtype=np.float64) for block in values]
    if not values or {(block.ndim, block.shape[-1:]) for block in values} != {(2, values[0].shape[-1:])}:
        raise ValueError(f"values: expected (times, genes) of each sample, got {[block.shape for block in values]}")
    times = [times] * len(values) if np.ndim(times[0]) == 0 else times
    times = [np.asarray(of_sample, dtype=np.float64) for of_sample in times]
    if [len(of_sample) for of_sample in times] != [len(block) for block in values]:
        raise ValueError(f"times: expected {[len(b) for b in values]} by sample, got {[len(t) for t in times]}")
    names = [f"gene_{i}" for i in range(values[0].shape[1])] if gene_names is None else list(map(str, gene_names))
    labels = list(map(str, range(len(values)) if labels is None else labels))
    rows = [(label, time) for label, of_sample in zip(labels, times, strict=True) for time in of_sample]
    obs = pd.DataFrame(rows, columns=["sample", "time"])
    obs.index = obs["sample"] + "_" + obs.groupby("sample").cumcount().astype(str)
    adata = ad.AnnData(np.concatenate(values), obs, pd.DataFrame(index=names))
    checked = as_trajectories(adata)
    content = _fingerprint(checked)
    adata.uns["sbnn"] = {
        "name": name, "source": source, "sha256": sha256 or content, "content_sha256": content, "files": files or {}
    }  # fmt: skip
    return adata


def as_trajectories(data):
    """Arrays of an AnnData as `trajectories` makes it, checked: `Samples` in the order in which samples appear."""
    if not isinstance(data, ad.AnnData) or not {"sample", "time"} <= {*data.obs}:
        raise TypeError(f"trajectories: expected an AnnData with obs['sample'], obs['time'], got {type(data).__name__}")
    X = np.asarray(data.X.toarray() if sparse.issparse(data.X) else data.X, dtype=np.float64)
    codes, labels = pd.factorize(data.obs["sample"])
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    time = data.obs["time"].to_numpy(np.float64)
    gene_major = bool(data.uns.get("sbnn", {}).get("gene_major", False))
    samples = Samples([X[i] for i in rows], [time[i] for i in rows], data.var_names.to_numpy(str), gene_major)
    if not data.var_names.is_unique:
        raise ValueError("trajectories: names of genes repeat")
    if not np.isfinite(X).all():
        row, gene = np.argwhere(~np.isfinite(X))[0]
        place = f"{data.var_names[gene]!r} at time {time[row]:g} of sample {data.obs['sample'].iloc[row]!r}"
        raise ValueError(
            f"trajectories: {(~np.isfinite(X)).sum()} values are NaN or infinite, the first of gene {place}"
        )
    for label, of_sample in zip(labels, samples.times, strict=True):
        if len(of_sample) < 2 or not (np.diff(of_sample) > 0).all():
            raise ValueError(f"times: expected two or more that increase in sample {label!r}, got {of_sample}")
    pairs = zip(samples.values, samples.times, strict=True)
    if len({(v.tobytes(), t.tobytes()) for v, t in pairs}) < len(rows):
        raise ValueError("trajectories: some samples are identical")  # one would test what the other trained
    return samples


def _fingerprint(samples):
    values, times = samples.values, samples.times
    if len({len(t) for t in times}) == 1:
        values, times = [np.stack(values)], [np.stack(times)]
    return fingerprint_parameters({"values": fingerprint_arrays(*values, *times), "genes": samples.gene_names})


def prior_matrix(given, gene_names):
    """Prior of regulation, [regulator, target], in the order of the genes; names of a DataFrame are matched."""
    if isinstance(given, pd.DataFrame):
        given = given.rename(index=str, columns=str)
        unknown = sorted({*given.index, *given.columns} - {*gene_names})
        if unknown:
            raise ValueError(f"prior: the trajectories lack the genes {', '.join(unknown[:5])}")
        given = given.reindex(index=gene_names, columns=gene_names, fill_value=0)
    prior, p = np.array(given, dtype=np.float64), len(gene_names)
    if prior.shape != (p, p) or not np.isfinite(prior).all():
        raise ValueError(f"prior: expected finite numbers of shape ({p}, {p}), [regulator, target], got {prior.shape}")
    return prior
