"""What a loader of a perturbation screen returns: counts of cells, and what was perturbed in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import check_names, positions, some
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.readers.anndata import entry

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, eq=False, repr=False)
class PerturbationScreen:
    """Counts of single cells, each under one perturbation.

    It validates itself and its fields cannot be reassigned, so whatever receives one may rely on it.

    Parameters
    ----------
    counts : array, sparse matrix or DataFrame of shape (n, p)
        Counts of genes or transcripts. Stored as a CSR matrix of int32.
    perturbation : sequence of str, shape (n,)
        Name of what was perturbed in each cell, such as a gene or a guide. Stored as an array of str.
    control : str, optional
        Name of the cells in which nothing was perturbed.
    gene_names, cell_names : sequence of str, optional
        Unique; by default those of the DataFrame, else ``gene_0``, ``cell_0`` and so on.
    labels : DataFrame of n rows, optional
        What else is known of the cells, such as the replicate; in the order of the cells.
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint of the data, by which stored results know it; by default that of the counts and names.
    files : mapping of str to str, optional
        Name -> sha256 of the files the data was read from; for information.
    dropped : mapping of str to int, optional
        Why -> number of cells that a reader left out.
    truth : mapping, optional
        Of simulated data: ``"latents"``, shape (n, d), and ``"shifts"``, a DataFrame of perturbations by latents.

    Raises
    ------
    ValueError
        No cells or genes, counts that are negative, fractional or NaN (with their share), another number of
        perturbations than of cells, cells without one, a control that no cell has, duplicate names.
    TypeError
        Counts that are not numbers.
    """

    counts: sparse.csr_array
    perturbation: np.ndarray
    control: str | None = None
    gene_names: np.ndarray | None = None
    cell_names: np.ndarray | None = None
    labels: pd.DataFrame | None = None
    name: str = "custom"
    source: str = "the user's counts"
    sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate, and fill in what was left out."""
        genes, cells = self.gene_names, self.cell_names
        if isinstance(self.counts, pd.DataFrame):
            genes = self.counts.columns if genes is None else genes
            cells = self.counts.index if cells is None else cells
        counts = check_screen_counts(self.counts, "counts").astype(np.int32)
        n, p = counts.shape
        perturbation = check_perturbation(self.perturbation, n)
        control = None if self.control is None else str(self.control)
        if control is not None and control not in set(perturbation):
            raise ValueError(f"control: no cell is {control!r}; the perturbations are {some(np.unique(perturbation))}")
        cells = check_names(cells, "cell_names", "cell", n)
        labels = pd.DataFrame(index=cells) if self.labels is None else self.labels
        if len(labels) != n:
            raise ValueError(f"labels: expected {n} rows, one for each cell, got {len(labels)}")
        latents = self.truth.get("latents")
        if latents is not None and len(latents) != n:
            raise ValueError(f"truth['latents']: expected {n} rows, one for each cell, got {len(latents)}")
        checked = {
            "counts": counts,
            "perturbation": perturbation,
            "control": control,
            "gene_names": check_names(genes, "gene_names", "gene", p),
            "cell_names": cells,
            "labels": labels.set_axis(pd.Index(cells, dtype=object)),
            "sha256": self.sha256 or _fingerprint(counts, perturbation, control),
            "files": dict(self.files),
            "dropped": {why: int(n_cells) for why, n_cells in self.dropped.items() if n_cells},
            "truth": dict(self.truth),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # the class is frozen to everyone else

    @property
    def n_cells(self) -> int:
        """Number of cells, n."""
        return self.counts.shape[0]

    @property
    def n_genes(self) -> int:
        """Number of genes, p."""
        return self.counts.shape[1]

    @property
    def targets(self) -> np.ndarray:
        """Sorted names of the perturbations, without the control."""
        names = np.unique(self.perturbation)
        return names[names != self.control] if self.control is not None else names

    def __repr__(self) -> str:
        """Tell name, shape and fingerprint in one line."""
        return (
            f"PerturbationScreen({self.name!r}: {self.n_cells} cells x {self.n_genes} genes, "
            f"{len(self.targets)} perturbations, sha256 {self.sha256[:12]})"
        )

    def summary(self) -> str:
        """Tell in two lines what the data is and where it comes from."""
        sizes = pd.Series(self.perturbation).value_counts()
        control = f"control {self.control!r} {sizes[self.control]} cells" if self.control else "no control"
        sizes = sizes.drop(self.control) if self.control else sizes
        return (
            f"{self.name}: {self.n_cells} cells x {self.n_genes} genes, {len(sizes)} perturbations of {sizes.min()} to "
            f"{sizes.max()} cells; {control}\n  source: {self.source}"
        )

    def subset(self, cells: Any = None) -> PerturbationScreen:
        """Take some cells, in the order given.

        Parameters
        ----------
        cells : sequence of str, sequence of int or boolean mask, optional
            Names, positions or a mask; ``None`` takes all.

        Returns
        -------
        PerturbationScreen
            With a fingerprint of its own. Without the control where none of its cells is among them.

        Raises
        ------
        KeyError, IndexError
            A name or position that the data does not hold.
        ValueError
            Nothing chosen, a mask of the wrong length, a cell taken twice.
        """
        rows = positions(cells, self.cell_names, "cells")
        names = self.cell_names[rows]
        truth = dict(self.truth)
        if "latents" in truth:
            truth["latents"] = truth["latents"][rows]
        perturbation = self.perturbation[rows]
        whole = np.array_equal(names, self.cell_names)
        return PerturbationScreen(
            counts=self.counts[rows],
            perturbation=perturbation,
            control=self.control if self.control in set(perturbation) else None,
            gene_names=self.gene_names,
            cell_names=names,
            labels=self.labels.iloc[rows],
            name=self.name,
            source=self.source,
            sha256=self.sha256 if whole else fingerprint_parameters({"subset of": self.sha256, "cells": names}),
            files=self.files,
            dropped=self.dropped,
            truth=truth,
        )

    def of(self, perturbations: Any) -> PerturbationScreen:
        """Take the cells of some perturbations, in the order of the data.

        Parameters
        ----------
        perturbations : sequence of str

        Returns
        -------
        PerturbationScreen

        Raises
        ------
        ValueError
            A perturbation that no cell has.
        """
        wanted = {str(name) for name in np.atleast_1d(perturbations)}
        unknown = sorted(wanted - set(self.perturbation))
        if unknown or not wanted:
            raise ValueError(f"perturbations: no cell is under {some(unknown)}; there are {some(self.targets)}")
        return self.subset(np.isin(self.perturbation, list(wanted)))

    def to_anndata(self, key: str = "perturbation") -> AnnData:
        """Convert to AnnData, for scanpy and its relatives.

        Parameters
        ----------
        key : str
            Column of ``obs`` for the perturbation.

        Returns
        -------
        AnnData
            Counts in ``X``, `labels` in ``obs``, and name, source, control, fingerprint and truth in ``uns["sbnn"]``.
        """
        import anndata  # takes longer to import than all the rest

        obs = self.labels.assign(**{key: pd.Categorical(self.perturbation)})
        adata = anndata.AnnData(X=self.counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=self.gene_names))
        about = {"name": self.name, "source": self.source, "control": self.control or "", "perturbation_key": key}
        shifts = self.truth.get("shifts")
        if shifts is not None:
            adata.obsm["true_latents"] = np.asarray(self.truth["latents"])
            about |= {"shifts": shifts.to_numpy(), "shift_names": shifts.index.to_numpy(dtype=object)}
        adata.uns["sbnn"] = about
        return adata

    @classmethod
    def from_anndata(
        cls, adata: AnnData, key: str = "perturbation", control: str | None = None, *, layer: str | None = None, **about
    ) -> PerturbationScreen:
        """Take a screen out of an AnnData object.

        Parameters
        ----------
        adata : AnnData
            Cells x genes.
        key : str
            Column of ``adata.obs`` that names the perturbation. Cells with an empty entry are left out and counted.
        control : str, optional
            Value of that column of the cells in which nothing was perturbed; by default what `to_anndata` wrote.
        layer : str, optional
            Layer with the counts; by default ``adata.X``.
        **about
            `name` and `source`.

        Returns
        -------
        PerturbationScreen

        Raises
        ------
        KeyError
            A column or layer that the object does not hold; the message lists those there are.
        ValueError, TypeError
            As for `PerturbationScreen`.
        """
        named = entry(adata.obs, key, "adata.obs")
        counts = adata.X if layer is None else entry(adata.layers, layer, "adata.layers")
        if counts is None:
            raise ValueError(f"adata.X is empty; pass layer=, one of {sorted(adata.layers)}")
        known = (named.notna() & (named.astype(str) != "")).to_numpy()
        if not known.any():
            raise ValueError(f"adata.obs[{key!r}] names no perturbation: all {len(known)} entries are empty")
        written: Mapping = adata.uns.get("sbnn", {})
        truth = {}
        if "shifts" in written and "true_latents" in adata.obsm:
            names = [str(name) for name in written["shift_names"]]
            truth = {
                "latents": np.asarray(adata.obsm["true_latents"])[known],
                "shifts": pd.DataFrame(written["shifts"], index=names),
            }
        about = {name: written[name] for name in ("name", "source") if name in written} | about
        return cls(
            counts=counts[np.flatnonzero(known)],
            perturbation=named[known].astype(str).to_numpy(),
            control=control if control is not None else written.get("control") or None,
            gene_names=adata.var_names,
            cell_names=adata.obs_names[known],
            labels=adata.obs.loc[known].drop(columns=key),
            dropped={f"cells without an entry in obs[{key!r}]": int((~known).sum())},
            truth=truth,
            **about,
        )


def check_screen_counts(given: Any, argument: str) -> sparse.csr_array:
    """Convert counts to a CSR matrix, refusing what are none, with the share of offending values.

    Parameters
    ----------
    given : array, sparse matrix or DataFrame of shape (n, p)
    argument : str
        Its name in messages.

    Returns
    -------
    csr_array of shape (n, p), of the dtype given

    Raises
    ------
    ValueError
        Negative, fractional, NaN or infinite values, no cells or genes.
    TypeError
        No numbers.
    """
    if isinstance(given, pd.DataFrame):
        given = given.to_numpy()
    if not sparse.issparse(given):
        given = np.asarray(given)
        if given.ndim != 2:
            raise ValueError(f"{argument}: expected cells x genes, got shape {given.shape}")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected counts, got values of type {given.dtype}")
    if min(given.shape) == 0:
        raise ValueError(f"{argument}: expected at least one cell and one gene, got shape {given.shape}")
    counts = sparse.csr_array(given)
    values, size = counts.data, counts.shape[0] * counts.shape[1]
    wrong = {"NaN or infinite": ~np.isfinite(values)}
    wrong["negative"] = values < 0
    with np.errstate(invalid="ignore"):  # NaN and infinity are counted above
        wrong["fractional"] = np.isfinite(values) & (values % 1 != 0)
    for kind, where in wrong.items():
        if where.any():
            raise ValueError(
                f"{argument}: expected whole numbers >= 0, got {where.sum()} {kind} values "
                f"({100 * where.sum() / size:.2g} % of all), the first {values[where.argmax()]}; "
                "give raw counts, not normalised or logarithmic ones"
            )
    return counts


def check_perturbation(given: Any, n_cells: int) -> np.ndarray:
    """Convert the names of perturbations to an array of str, one of each cell."""
    names = np.asarray(given, dtype=object)
    if names.shape != (n_cells,):
        raise ValueError(f"perturbation: expected {n_cells} names, one of each cell, got shape {names.shape}")
    empty = pd.isna(names) | (names == "")
    if empty.any():
        raise ValueError(
            f"perturbation: {empty.sum()} cells have none (NaN or empty), the first at position {empty.argmax()}; "
            "leave them out, or give the control a name"
        )
    return names.astype(str)


def _fingerprint(counts: sparse.csr_array, perturbation: np.ndarray, control: str | None) -> str:
    return fingerprint_parameters(
        {"counts": fingerprint_arrays(counts), "perturbation": perturbation, "control": control}
    )
