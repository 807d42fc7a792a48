"""Expression of genes followed over time, in one or several samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.checks import check_names, positions, some
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters


@dataclass(frozen=True, eq=False, repr=False)
class Trajectories:
    """Expression of genes at several times of each sample.

    It validates itself and its fields cannot be reassigned, so whatever receives one may rely on it.

    Parameters
    ----------
    values : array-like, shape (samples, times, genes)
        Stored as float64. The methods are made for a scale from 0 to about 1.
    times : array-like, shape (times,) or (samples, times)
        Of all samples alike, or of each; in any unit, increasing. Stored as float64 of shape (samples, times).
    gene_names : sequence of str, optional
        Unique; by default ``gene_0`` ...
    signed : bool
        Whether values below zero are meant, as of log ratios or of noise about zero; otherwise they are warned of.
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint of the data, by which stored results know it; by default that of values, times and names.
    files : mapping of str to str, optional
        Name -> sha256 of the files the data was read from; for information.

    Raises
    ------
    ValueError
        Another number of dimensions, no sample or gene, a single time, NaN or infinite values or times, times that do
        not increase, samples that are the same twice, duplicate names.
    TypeError
        Values or times that are not numbers.

    Warns
    -----
    UserWarning
        Values below zero, unless `signed`.
    """

    values: np.ndarray
    times: np.ndarray
    gene_names: np.ndarray | None = None
    signed: bool = False
    name: str = "custom"
    source: str = "the user's trajectories"
    sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate, and fill in what was left out."""
        values = numbers(self.values, "values")
        if values.ndim != 3:
            raise ValueError(f"values: expected shape (samples, times, genes), got {values.shape}")
        n, t, p = values.shape
        if n == 0 or p == 0:
            raise ValueError(f"values: expected at least one sample and one gene, got shape {values.shape}")
        if t < 2:
            raise ValueError(f"values: expected two times or more of each sample, got {t}")
        names = check_names(self.gene_names, "gene_names", "gene", p)
        times = check_times(self.times, n, t)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            i, j, k = bad[0]
            raise ValueError(
                f"values: {len(bad)} are NaN or infinite ({100 * len(bad) / values.size:.3g} %), the first of gene "
                f"{str(names[k])!r} at time {times[i, j]:g} of sample {i}; fill them in or leave the gene out"
            )
        if n > 1 and len(np.unique(np.concatenate([values.reshape(n, -1), times], axis=1), axis=0)) < n:
            raise ValueError("values: some samples are the same twice; give each once")
        low = values < 0
        if low.any() and not self.signed:
            warnings.warn(
                f"values: {100 * low.mean():.3g} % are negative, down to {values.min():.3g}; expression is expected to "
                "be 0 or more. signed=True says that they are meant (log ratios, noise about zero)",
                stacklevel=3,
            )
        content = fingerprint_parameters({"values": fingerprint_arrays(values, times), "genes": names})
        checked = {"values": values, "times": times, "gene_names": names, "files": dict(self.files)}
        for field_name, value in (checked | {"sha256": self.sha256 or content}).items():
            object.__setattr__(self, field_name, value)  # the class is frozen to everyone else

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.values.shape[0]

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.values.shape[2]

    def __len__(self) -> int:
        """Number of samples."""
        return self.n_samples

    def __repr__(self) -> str:
        """Tell name, shape and fingerprint in one line."""
        n, t, p = self.values.shape
        return f"Trajectories({self.name!r}: {n} samples x {t} times x {p} genes, sha256 {self.sha256[:12]})"

    def summary(self) -> str:
        """Tell in two lines what the data is and where it comes from."""
        n, t, p = self.values.shape
        return (
            f"{self.name}: {n} samples x {t} times ({self.times.min():g} to {self.times.max():g}) x {p} genes\n"
            f"  source: {self.source}"
        )

    def subset(self, samples: Any = None, genes: Any = None) -> Trajectories:
        """Take some samples and genes, in the order given.

        Parameters
        ----------
        samples : sequence of int or boolean mask, optional
            Positions or a mask; ``None`` takes all.
        genes : sequence of str, sequence of int or boolean mask, optional

        Returns
        -------
        Trajectories

        Raises
        ------
        KeyError, IndexError
            A name or position that the data does not hold.
        ValueError
            Nothing chosen, a mask of the wrong length, anything taken twice.
        """
        rows = positions(samples, np.arange(self.n_samples), "samples")
        columns = positions(genes, self.gene_names, "genes")
        return Trajectories(
            self.values[rows][:, :, columns], self.times[rows], self.gene_names[columns],
            signed=True, name=self.name, source=self.source, files=self.files,
        )  # fmt: skip


def check_times(given: Any, n_samples: int, n_times: int) -> np.ndarray:
    """Convert times to float64 of shape (n_samples, n_times), refusing what does not increase.

    Raises
    ------
    ValueError
        Another shape, NaN or infinite times, times that repeat or are not in order.
    TypeError
        No numbers.
    """
    times = numbers(given, "times")
    if times.shape not in ((n_times,), (n_samples, n_times)):
        raise ValueError(
            f"times: expected shape ({n_times},) or ({n_samples}, {n_times}) as values have, got {times.shape}"
        )
    times = np.broadcast_to(times, (n_samples, n_times)).copy()
    if not np.isfinite(times).all():
        raise ValueError("times: expected finite numbers, got NaN or infinite ones")
    steps = np.diff(times, axis=1)
    if (steps <= 0).any():
        i, j = np.argwhere(steps <= 0)[0]
        what = "repeats" if steps[i, j] == 0 else f"comes after {times[i, j]:g}"
        raise ValueError(f"times: must increase, but in sample {i} the time {times[i, j + 1]:g} {what}")
    return times


def prior_matrix(given: Any, gene_names: np.ndarray, argument: str = "prior") -> np.ndarray:
    """Convert prior knowledge of regulation to a matrix in the order of the genes.

    Parameters
    ----------
    given : array-like or DataFrame, shape (genes, genes)
        ``[regulator, target]``: positive for an activation, negative for a repression, 0 where none is known. The
        names of a DataFrame are matched, in any order; genes that it lacks have no edges.
    gene_names : ndarray of str, shape (genes,)
    argument : str
        What messages call it.

    Returns
    -------
    ndarray of float64, shape (genes, genes)

    Raises
    ------
    ValueError
        Another shape, NaN or infinite entries, names that repeat or that the data lacks.
    TypeError
        No numbers.
    """
    if isinstance(given, pd.DataFrame):
        if not (given.index.is_unique and given.columns.is_unique):
            raise ValueError(f"{argument}: names of genes repeat")
        unknown = sorted({*map(str, given.index), *map(str, given.columns)} - set(gene_names))
        if unknown:
            raise ValueError(f"{argument}: the trajectories lack the genes {some(unknown)}")
        given = given.set_axis(given.index.astype(str)).set_axis(given.columns.astype(str), axis=1)
        given = given.reindex(index=gene_names, columns=gene_names, fill_value=0)
    prior, p = numbers(given, argument), len(gene_names)
    if prior.shape != (p, p):
        raise ValueError(f"{argument}: expected shape ({p}, {p}), [regulator, target], got {prior.shape}")
    if not np.isfinite(prior).all():
        raise ValueError(f"{argument}: {(~np.isfinite(prior)).sum()} entries are NaN or infinite")
    return prior


def numbers(given: Any, argument: str) -> np.ndarray:
    """Convert to a new array of float64, refusing with a TypeError what holds no numbers."""
    try:
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{argument}: expected an array of numbers, got {type(given).__name__}: {error}") from None
