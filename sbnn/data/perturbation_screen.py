"""What a loader of a perturbation screen returns: counts of cells, and what was perturbed in each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import check_labels, check_names, positions, some
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.readers.screens import screen_parts, screen_to_anndata
from sbnn.data.screen_checks import (
    as_names,
    check_perturbation,
    check_screen_counts,
    check_screen_truth,
    in_order_of_cells,
    names_cells,
)

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
        Name of what was perturbed in each cell, such as a gene or a guide, in the order of the cells; of a Series that
        names the cells its index counts, not its order. Stored as an array of str.
    control : str, optional
        Name of the cells in which nothing was perturbed.
    gene_names, cell_names : sequence of str, optional
        Unique; by default those of the DataFrame, of cells also those of the Series, else ``gene_0``, ``cell_0`` ...
    labels : DataFrame, optional
        What else is known of the cells, such as the replicate, by cell name in any order.
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint of the data, by which stored results know it; by default that of counts, perturbations and names. A
        reader or simulation gives that of the files or parameters the data follow from.
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
        perturbations than of cells, cells without one, a control that no cell has, duplicate names, labels or a truth
        of other cells or perturbations.
    TypeError
        Counts that are not numbers, labels that are not a DataFrame.
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
    # Fingerprint of the content that `sha256` was given for: it does not hold for another, as `dataclasses.replace` may
    # bring.
    content_sha256: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Validate, and fill in what was left out."""
        genes, cells = self.gene_names, self.cell_names
        if isinstance(self.counts, pd.DataFrame):
            genes = self.counts.columns if genes is None else genes
            cells = self.counts.index if cells is None else cells
        elif cells is None and names_cells(self.perturbation):
            cells = self.perturbation.index
        counts = check_screen_counts(self.counts, "counts").astype(np.int32)
        n, p = counts.shape
        genes, cells = check_names(genes, "gene_names", "gene", p), check_names(cells, "cell_names", "cell", n)
        perturbation = check_perturbation(in_order_of_cells(self.perturbation, cells), n)
        control = None if self.control is None else str(self.control)
        if control is not None and not (perturbation == control).any():
            raise ValueError(f"control: no cell is {control!r}; the perturbations are {some(np.unique(perturbation))}")
        names = {"perturbation": perturbation, "control": control, "genes": genes, "cells": cells}
        content = _fingerprint(counts, names)
        given = self.sha256 if self.content_sha256 in ("", content) else ""
        checked = {
            "counts": counts,
            "perturbation": perturbation,
            "control": control,
            "gene_names": genes,
            "cell_names": cells,
            "labels": check_labels(self.labels, cells, ()),
            "sha256": given or content,
            "content_sha256": content,
            "files": dict(self.files),
            "dropped": {why: int(n_cells) for why, n_cells in self.dropped.items() if n_cells},
            "truth": check_screen_truth(self.truth, perturbation, control),
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
        control = "no control" if self.control is None else f"control {self.control!r} {sizes[self.control]} cells"
        sizes = sizes[self.targets]
        of = f" of {sizes.min()} to {sizes.max()} cells" if len(sizes) else ""
        return (
            f"{self.name}: {self.n_cells} cells x {self.n_genes} genes, {len(sizes)} perturbations{of}; {control}\n"
            f"  source: {self.source}"
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
            With a fingerprint of its own, derived from this one and the names taken. Without the control where none of
            its cells is among them; with the true shifts of all perturbations.

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
            truth["latents"] = np.asarray(truth["latents"])[rows]
        perturbation = self.perturbation[rows]
        whole = np.array_equal(names, self.cell_names)
        return PerturbationScreen(
            counts=self.counts[rows],
            perturbation=perturbation,
            control=self.control if self.control in perturbation.tolist() else None,
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
        perturbations : str or iterable of str
            The control may be among them.

        Returns
        -------
        PerturbationScreen

        Raises
        ------
        ValueError
            None chosen, or a perturbation that no cell has.
        """
        wanted = as_names(perturbations)
        there = np.unique(self.perturbation)
        unknown = sorted(wanted.difference(there))
        if unknown:
            raise ValueError(f"perturbations: no cell is under {some(unknown)}; there are {some(there)}")
        if not wanted:
            raise ValueError("perturbations is empty; choose at least one")
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
            Counts in ``X``, `labels` in ``obs``, true latents in ``obsm["true_latents"]``, and name, source, control,
            fingerprint, files, dropped and true shifts in ``uns["sbnn"]``.

        Raises
        ------
        ValueError
            A `key` that is a column of `labels`.
        """
        return screen_to_anndata(self, key)

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
            `name` and `source`; by default what `to_anndata` wrote, if it did.

        Returns
        -------
        PerturbationScreen
            With the fingerprint, files and dropped cells that `to_anndata` wrote if the content is still the same.

        Raises
        ------
        KeyError
            A column or layer that the object does not hold; the message lists those there are.
        ValueError, TypeError
            As for `PerturbationScreen`.
        """
        screen = cls(**(screen_parts(adata, key, control, layer) | about))
        written = adata.uns.get("sbnn", {})
        if written.get("content_sha256") == screen.content_sha256:
            screen = replace(screen, **{name: written[name] for name in ("sha256", "files", "dropped")})
        return screen


def _fingerprint(counts: sparse.csr_array, names: dict[str, Any]) -> str:
    places = (counts.indices.astype(np.int64), counts.indptr.astype(np.int64))  # scipy chooses their type by size
    return fingerprint_parameters({"counts": fingerprint_arrays(counts.data, *places), **names})
