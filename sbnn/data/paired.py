"""The one thing every loader returns: two measurements of the same cells, with names, labels and provenance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import (
    check_colors,
    check_counts,
    check_finite,
    check_labels,
    check_matrix,
    check_names,
    check_truth,
    check_varies,
    positions,
    some,
)
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.labels import UNKNOWN
from sbnn.data.plausible import check_given_once, check_outliers, warn_of_raw_counts
from sbnn.data.preprocessing import size_of_library
from sbnn.data.readers.anndata import paired_parts
from sbnn.data.readers.tables import read_tables

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, eq=False, repr=False)
class PairedData:
    """Two measurements of the same cells: genes `X` and outputs `Y`, with names, labels and provenance.

    It validates itself and its fields cannot be reassigned, so whatever receives one may rely on it. Arrays
    that already have the right type are not copied: do not write into them.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame of shape (n_cells, n_genes)
        Gene expression as the models take it (log-normalised, or raw counts where `Y` is empty). Stored as
        dense float32.
    Y : array or DataFrame of shape (n_cells, n_outputs), optional
        The second measurement (electrophysiology, proteins) in its own units. Stored as float32; ``None``
        gives shape (n_cells, 0).
    gene_names, feature_names, cell_names : sequence of str, optional
        Unique names of the columns of `X`, the columns of `Y` and the rows of both. By default those of the
        DataFrames, else ``gene_0``, ``output_0``, ``cell_0`` and so on. Stored as 1-D arrays of str.
    labels : DataFrame, optional
        Indexed by cell name (any order). Columns `family` and `type` always exist afterwards, as text,
        ``"unknown"`` where nothing was given.
    colors : mapping of str to str, optional
        Cell type -> ``"#RRGGBB"``. Types without a colour get one, so every type of `labels` has an entry.
    counts : integer array or sparse matrix of shape (n_cells, n_genes), optional
        The raw counts behind `X`; sparse ones are stored as CSR.
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint of the data, by which stored results know it; by default that of the bytes of `X`, `Y` and `counts`.
        A reader whose arrays follow from files gives that of the files, which no rounding can change.
    files : mapping of str to str, optional
        Name -> sha256 of the files the data was read from; for information.
    dropped : mapping of str to sequence of str, optional
        Why -> names of the cells or genes that a reader left out of what it was given; nothing where it took all.
    notes : sequence of str, optional
        What a reader did to what it was given, a sentence each: whether it took counts or log values, say.
    truth : mapping, optional
        Ground truth of simulated data. ``"genes"`` (names of those that drive `Y`), ``"latent"`` of shape
        (n_cells, d) and ``"outputs"`` (noise-free, as `Y`) follow `subset`; other entries are kept as they are.

    Raises
    ------
    ValueError
        NaN or infinite values, or values beyond 1e15; rows or names that do not match, duplicate names, genes or
        outputs with one constant value (genes only where there are outputs: a set of raw counts may hold genes that no
        cell expresses), outputs that are genes of `X` alone, negative or fractional counts, labels of other cells, a
        malformed colour.
    TypeError
        `X`, `Y` or `counts` that do not hold numbers, `labels` that are not a DataFrame.

    Warns
    -----
    UserWarning
        Where there are outputs: an `X` that looks like raw counts, a cell out of all proportion to the others.
    """

    X: np.ndarray
    Y: np.ndarray | None = None
    gene_names: np.ndarray | None = None
    feature_names: np.ndarray | None = None
    cell_names: np.ndarray | None = None
    labels: pd.DataFrame | None = None
    colors: dict[str, str] | None = None
    counts: np.ndarray | sparse.csr_array | None = None
    name: str = "custom"
    source: str = "the user's arrays"
    sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    # Fingerprint of the arrays that `sha256` was given for: it does not hold for others, as `dataclasses.replace` may
    # bring.
    arrays_sha256: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Validate, and fill in what was left out."""
        frames = [values for values in (self.X, self.Y) if isinstance(values, pd.DataFrame)]
        if len(frames) == 2 and not frames[0].index.equals(frames[1].index):
            raise ValueError("the DataFrames X and Y must have the same index: the same cells in the same order")

        X = check_matrix(self.X, "X")
        n, p = X.shape
        if n == 0 or p == 0:
            raise ValueError(f"X has shape {X.shape}, expected at least one cell and one gene")
        Y = np.zeros((n, 0), np.float32) if self.Y is None else check_matrix(self.Y, "Y")
        if len(Y) != n:
            raise ValueError(f"X has {n} rows and Y has {len(Y)}, expected the same cells in both")

        def names(argument: str, default: Any, kind: str, size: int) -> np.ndarray:
            given = getattr(self, argument)
            return check_names(default if given is None else given, argument, kind, size)

        genes = names("gene_names", getattr(self.X, "columns", None), "gene", p)
        outputs = names("feature_names", getattr(self.Y, "columns", None), "output", Y.shape[1])
        cells = names("cell_names", frames[0].index if frames else None, "cell", n)
        check_finite(X, "X", cells, genes)
        check_finite(Y, "Y", cells, outputs)
        if Y.shape[1]:
            check_varies(X, "X", "gene", genes)
            check_varies(Y, "Y", "output", outputs)
            check_outliers(X, "X", cells, genes)
            check_outliers(Y, "Y", cells, outputs)
            check_given_once(X, Y)
            warn_of_raw_counts(X, "X", "log-transform it, or hand counts over as from_tables(..., counts=True)")

        labels = check_labels(self.labels, cells, ("family", "type"))
        counts = check_counts(self.counts, X.shape)
        arrays = fingerprint_arrays(X, Y) if counts is None else fingerprint_arrays(X, Y, counts)
        given = self.sha256 if self.arrays_sha256 in ("", arrays) else ""
        checked = {
            "X": X,
            "Y": Y,
            "gene_names": genes,
            "feature_names": outputs,
            "cell_names": cells,
            "labels": labels,
            "colors": check_colors(self.colors, labels["type"]),
            "counts": counts,
            "sha256": given or arrays,
            "arrays_sha256": arrays,
            "files": dict(self.files),
            "dropped": {why: [str(name) for name in names] for why, names in self.dropped.items() if len(names)},
            "truth": check_truth(self.truth, n, genes),
            "notes": tuple(map(str, self.notes)),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # the class is frozen to everyone else

    @property
    def n_cells(self) -> int:
        """Number of cells, n."""
        return self.X.shape[0]

    @property
    def n_genes(self) -> int:
        """Number of genes, p."""
        return self.X.shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs, q; 0 where only genes were measured."""
        return self.Y.shape[1]

    @property
    def library_size(self) -> float | None:
        """Counts per cell that `X` is normalised to.

        A model that is fitted to this data keeps it, and normalises the counts of new cells to it. None where `X` is
        not log2(x + 1) of the normalised `counts`: without counts, or for a part of the genes, which do not add up.
        """
        return None if self.counts is None else size_of_library(self.X, self.counts)

    def __repr__(self) -> str:
        """Tell name, shape and fingerprint in one line."""
        return (
            f"PairedData({self.name!r}: {self.n_cells} cells x {self.n_genes} genes -> "
            f"{self.n_outputs} outputs, sha256 {self.sha256[:12]})"
        )

    def summary(self) -> str:
        """Tell in two lines what the data is (shape, families with their counts) and its source, then its notes."""
        families = ", ".join(f"{name} {size}" for name, size in self.labels["family"].value_counts().items())
        outputs = f"{self.n_outputs} outputs" if self.n_outputs else "no outputs"
        return (
            f"{self.name}: {self.n_cells} cells x {self.n_genes} genes -> {outputs}; families: {families}\n"
            f"  source: {self.source}" + "".join(f"\n  note: {note}" for note in self.notes)
        )

    def groups(self, name: str) -> np.ndarray:
        """Group of every cell, such as its donor, batch or date of recording, by which folds can be made.

        Parameters
        ----------
        name : str
            Column of `labels`.

        Returns
        -------
        ndarray of str, shape (n_cells,)

        Raises
        ------
        KeyError
            A name that the labels do not hold.
        ValueError
            Cells of which it is not known: they would count as one group.
        """
        if name not in self.labels:
            raise KeyError(f"{self.name} has no labels {name!r}; it has {', '.join(map(str, self.labels))}")
        values = self.labels[name]
        lacking = values.isna() | values.isin([UNKNOWN, ""])
        if lacking.any():
            raise ValueError(
                f"{self.name}: of {lacking.sum()} cells {name!r} is not known, {some(values.index[lacking])}; leave "
                "them out with data.subset, or name one for each"
            )
        return values.to_numpy(dtype=str)

    def subset(self, cells=None, genes=None, *, drop_constant: bool = False) -> PairedData:
        """Take some cells and genes, in the order given.

        Parameters
        ----------
        cells, genes : sequence of str, sequence of int or boolean mask, optional
            Names, positions or a mask; ``None`` takes all.
        drop_constant : bool
            Leave out the genes that do not vary among the chosen cells, which would otherwise be an error.

        Returns
        -------
        PairedData
            With a fingerprint of its own, derived from this one and the names taken.

        Raises
        ------
        KeyError
            A name that the data does not hold.
        IndexError
            A position out of range.
        ValueError
            Nothing chosen, a mask of the wrong length, a cell or gene taken twice, or genes or outputs left
            with one constant value.
        """
        rows = positions(cells, self.cell_names, "cells")
        columns = positions(genes, self.gene_names, "genes")
        if drop_constant:
            columns = columns[np.ptp(self.X[np.ix_(rows, columns)], axis=0) > 0]
        names = {"cells": self.cell_names[rows], "genes": self.gene_names[columns]}
        whole = np.array_equal(names["cells"], self.cell_names) and np.array_equal(names["genes"], self.gene_names)
        truth = dict(self.truth)
        for key in ("latent", "outputs"):
            if key in truth:
                truth[key] = np.asarray(truth[key])[rows]
        if "genes" in truth:
            kept = set(names["genes"])
            truth["genes"] = [gene for gene in truth["genes"] if gene in kept]
        return PairedData(
            X=self.X[np.ix_(rows, columns)],
            Y=self.Y[rows],
            gene_names=names["genes"],
            feature_names=self.feature_names,
            cell_names=names["cells"],
            labels=self.labels.iloc[rows],
            colors=self.colors,
            counts=None if self.counts is None else self.counts[rows][:, columns],
            name=self.name,
            source=self.source,
            sha256=self.sha256 if whole else fingerprint_parameters({"subset of": self.sha256, **names}),
            files=self.files,
            dropped=self.dropped,
            truth=truth,
            notes=self.notes,
        )

    def to_anndata(self) -> AnnData:
        """Convert to AnnData, for scanpy and its relatives.

        Returns
        -------
        AnnData
            `X` in ``X``, `counts` in ``layers["counts"]``, `Y` as a DataFrame in ``obsm["outputs"]``, `labels`
            in ``obs``, the colours in ``uns["type_colors"]`` in the order of the categories of ``obs["type"]``
            (scanpy's convention), and name, source, fingerprint and truth in ``uns["sbnn"]``.
        """
        import anndata  # takes longer to import than all the rest

        obs = self.labels.copy()
        obs["type"] = pd.Categorical(obs["type"], categories=list(self.colors))
        adata = anndata.AnnData(X=self.X.copy(), obs=obs, var=pd.DataFrame(index=self.gene_names))
        adata.obsm["outputs"] = pd.DataFrame(self.Y.copy(), index=obs.index, columns=self.feature_names)
        if self.counts is not None:
            adata.layers["counts"] = self.counts.copy()
        adata.uns["type_colors"] = list(self.colors.values())
        adata.uns["sbnn"] = {
            "name": self.name,
            "source": self.source,
            "sha256": self.sha256,
            "files": dict(self.files),
            "dropped": {why: np.array(names, dtype=object) for why, names in self.dropped.items()},
            "truth": dict(self.truth),
            "notes": np.array(self.notes, dtype=str),
            "arrays_sha256": self.arrays_sha256,
        }
        return adata

    @classmethod
    def from_anndata(
        cls,
        adata: AnnData,
        outputs: str | Iterable[str] | None = "outputs",
        *,
        expression: str = "rna",
        layer: str | None = None,
        counts: str | None = "counts",
        family_key: str = "family",
        type_key: str = "type",
        name: str | None = None,
        source: str | None = None,
    ) -> PairedData:
        """Take paired data out of an AnnData or MuData object.

        Parameters
        ----------
        adata : AnnData or MuData
            Cells x genes; of a MuData its modality `expression`.
        outputs : str, list of str or None
            A modality of a MuData, by default the only one beside `expression`; a key of ``adata.obsm`` (DataFrame,
            array or sparse matrix; columns without names are named by ``adata.uns``, see
            `sbnn.data.readers.anndata`); columns of ``adata.obs``; or ``None`` for no outputs.
        expression : str
            Modality with the genes, where there are modalities.
        layer : str, optional
            Layer to take `X` from; by default ``adata.X``.
        counts : str or None
            Layer with the raw counts, taken if it is there.
        family_key, type_key : str
            Columns of ``adata.obs`` with the coarse and the fine label; ``"unknown"`` if they are not there. The
            colours of the types are those of ``adata.uns["<type_key>_colors"]``.
        name, source : str, optional
            By default what `to_anndata` wrote, if it did.

        Returns
        -------
        PairedData
            With the fingerprint, files and truth written by `to_anndata` if `X` and `Y` are still the same. Cells that
            only one of two modalities holds are left out and named in `dropped`.

        Raises
        ------
        KeyError
            `outputs`, `expression` or `layer` that the object does not hold (the message lists what it does hold).
        ValueError, TypeError
            As for `PairedData`; modalities without a common cell; names that do not fit the outputs; an AnnData that is
            open on disk.

        Warns
        -----
        UserWarning
            Naming the cells that are left out.
        """
        taken = paired_parts(
            adata,
            outputs,
            expression=expression,
            layer=layer,
            counts=counts,
            family_key=family_key,
            type_key=type_key,
        )
        about = adata.uns.get("sbnn", {})
        taken["name"] = name or about.get("name", cls.name)
        taken["source"] = source or about.get("source", "an AnnData object")
        data = cls(**taken)
        if about.get("arrays_sha256") == data.arrays_sha256:
            taken |= {key: about[key] for key in ("sha256", "files", "dropped", "truth", "notes") if key in about}
            data = cls(**taken)
        return data

    @classmethod
    def from_tables(cls, expression, outputs, labels=None, **options) -> PairedData:
        """Build paired data from two tables of your own, and one of labels if there is one.

        Parameters
        ----------
        expression, outputs, labels : path-like, (path-like, str) or DataFrame
            Tables with cell names: text (.csv, .tsv, .txt; also .gz and .zip) or Excel, where a pair names the sheet.
        **options
            See `sbnn.data.readers.tables.read_tables`, which this calls: whether expression is counts, what to do with
            missing outputs, and how a table is written where that is not found out.

        Returns
        -------
        PairedData
            What was left out is in `dropped`, and what was done besides in `notes`.
        """
        return cls(**read_tables(expression, outputs, labels, **options))
