"""Perturbation screens, as AnnData and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.validation import check_array

from sbnn.data.checks import (
    abbreviate,
    check_numeric,
    check_only_genes,
    check_table,
    fill_labels,
    fill_names,
    known_labels,
    match_groups,
    match_rows,
    names_as_text,
    order_labels,
    read_numbers,
)
from sbnn.data.counts import are_counts, convert_counts
from sbnn.data.fingerprint import annotate_adata, annotation_arguments
from sbnn.data.inputs import load_into_memory

#: What counts may be given as.
Counts: TypeAlias = AnnData | ArrayLike | pd.DataFrame | sparse.sparray | sparse.spmatrix

PERTURBATION = "perturbation"  # column of ``obs``


@dataclass(frozen=True, eq=False)
class Screen:
    """Arrays made by `as_screen`."""

    counts: sparse.csr_array  # int32 of shape (n_cells, n_genes)
    perturbation: np.ndarray  # str of shape (n_cells,)
    control: str | None  # label of unperturbed cells
    gene_names: np.ndarray
    name: str
    sha256: str
    truth: dict  # of simulated data


def screen(
    counts: Counts,
    perturbation: str | Sequence[str],
    control: str | None = None,
    gene_names: Sequence[str] | None = None,
    cell_names: Sequence[str] | None = None,
    labels: pd.DataFrame | None = None,
    **about: object,
) -> AnnData:
    """Build a validated AnnData of a perturbation screen.

    Parameters
    ----------
    counts : AnnData, or array, sparse matrix or DataFrame, shape (n_cells, n_genes)
        Raw counts; of an AnnData, ``layers["counts"]`` or else ``X``.
    perturbation : str or sequence of str, shape (n_cells,)
        What was perturbed in each cell; of an AnnData, a column of its ``obs``. A Series is matched
        by the names of the cells, and may hold other cells.
    control : str, optional
        Label of unperturbed cells.
    gene_names, cell_names : sequence of str, optional
        Unique; by default those of the table, or ``gene_0`` and so on.
    labels : DataFrame, optional
        Other labels, such as the replicate, indexed by cell name.
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With the counts in ``X`` (CSR, int32) and ``obs["perturbation"]``.

    Raises
    ------
    ValueError
        If counts are negative, fractional or NaN, a cell has no perturbation, no cell is a control,
        or names repeat or do not match.
    TypeError
        If `perturbation` is a table, or of a table of counts a name.

    Examples
    --------
    >>> from sbnn.mechanism_shift import screen
    >>> adata = screen([[3, 0], [5, 1], [0, 4]], ["control", "control", "IRF1"], "control")
    >>> adata.obs["perturbation"].tolist()
    ['control', 'control', 'IRF1']
    """
    values = counts
    labels_of_cells = perturbation
    if isinstance(counts, AnnData):
        if gene_names is not None or cell_names is not None or labels is not None:
            raise TypeError(
                "gene_names, cell_names, labels: leave them out, as those of the AnnData are used"
            )
        check_column_of_obs(perturbation, counts)
        gene_names = counts.var_names
        cell_names = counts.obs_names
        labels = counts.obs.drop(columns=perturbation)
        labels_of_cells = counts.obs[perturbation]
    if labels is not None:
        check_table(labels, "labels")
    if isinstance(values, pd.DataFrame):
        values = read_table_of_counts(values, labels)
        gene_names = values.columns if gene_names is None else gene_names
        cell_names = values.index if cell_names is None else cell_names
    matrix = read_screen_counts(values)
    n_cells, n_genes = matrix.shape
    genes = fill_names(gene_names, "gene_names", kind="gene", size=n_genes)
    cells = fill_names(cell_names, "cell_names", kind="cell", size=n_cells)
    if isinstance(values, pd.DataFrame):
        refuse_permuted(genes, values.columns, "gene_names")
        refuse_permuted(cells, values.index, "cell_names")
    obs = fill_labels(order_labels(labels, cells), ())
    control = read_control(control)
    if cell_names is not None and isinstance(labels_of_cells, pd.Series):
        labels_of_cells = match_rows(labels_of_cells, cells, "perturbation")
    obs[PERTURBATION] = pd.Categorical(match_perturbation(labels_of_cells, obs, control))
    adata = AnnData(matrix, obs, pd.DataFrame(index=genes))
    return annotate_adata(adata, "screen", [PERTURBATION], control=control, **about)


def as_screen(data: AnnData | Screen) -> Screen:
    """Convert an AnnData from `screen`; `control` is None without control cells."""
    if isinstance(data, Screen):  # converted before
        return data
    if not isinstance(data, AnnData) or PERTURBATION not in data.obs:
        raise TypeError(
            f"counts, adata or new: expected an AnnData with obs[{PERTURBATION!r}], as from screen"
        )
    arguments = annotation_arguments(data)
    if arguments.get("control") not in data.obs[PERTURBATION].astype(str).to_numpy():
        arguments["control"] = None
    adata = screen(data, PERTURBATION, **arguments)
    description = adata.uns["sbnn"]
    return Screen(
        counts=adata.X,
        perturbation=adata.obs[PERTURBATION].to_numpy(str),
        control=arguments["control"],
        gene_names=adata.var_names.to_numpy(str),
        name=description["name"],
        sha256=description["sha256"],
        truth=arguments["truth"],
    )


def read_table_of_counts(table: pd.DataFrame, labels: pd.DataFrame | None) -> pd.DataFrame:
    """Reject columns that are no counts, with their names."""
    counts = read_numbers(table, "counts")
    fill_names(counts.columns, "counts", "gene", size=counts.shape[1])
    check_only_genes(counts, labels, "counts")
    wrong = counts.columns[~are_counts(counts).all()]
    if len(wrong):
        raise ValueError(f"counts: missing, or not whole numbers from 0 on: {abbreviate(wrong, 3)}")
    return counts


def read_screen_counts(counts: Counts) -> sparse.csr_array:
    """Convert counts to canonical CSR, int32; those of an AnnData may be in a layer."""
    if isinstance(counts, AnnData):
        layer = counts.layers.get("counts")
        counts = load_into_memory(counts).X if layer is None else layer
    check_numeric(counts, "counts")
    finite = check_array(counts, accept_sparse="csr", input_name="counts")
    matrix = sparse.csr_array(convert_counts(finite, finite.shape))
    matrix.eliminate_zeros()
    return matrix.astype(np.int32)


def check_column_of_obs(perturbation: Any, adata: AnnData) -> None:
    """Reject what is no column of ``obs``."""
    is_name = isinstance(perturbation, str)
    if is_name and perturbation in adata.obs:
        return
    raise ValueError(
        f"perturbation: {perturbation!r:.80} is unknown, expected a column of obs: "
        f"{abbreviate(adata.obs, 8)}"
    )


def check_cells_with_counts(counts: sparse.csr_array) -> None:
    """Reject cells without any counts, which have no fractions of genes."""
    empty = np.flatnonzero(counts.sum(axis=1) == 0)
    if len(empty):
        raise ValueError(
            f"counts: leave out the cells without any, at positions {abbreviate(empty)}"
        )


def match_perturbation(
    perturbation: ArrayLike | None, cells: Counts, control: str | None = None
) -> np.ndarray:
    """Convert perturbations of cells to str; `control` must be among them."""
    labels = match_groups(perturbation, cells, "perturbation")
    check_control(labels, control)
    return labels


def read_control(control: ArrayLike | None) -> str | None:
    """The label of the control as text, read as those of the cells are."""
    if control is None:
        return None
    if np.ndim(control) > 0:
        raise TypeError(f"control: expected one label, got {control}")
    return str(known_labels([control])[0])


def check_control(labels: np.ndarray, control: str | None) -> None:
    """Reject a `control` that is the label of no cell."""
    if control is not None and control not in labels:
        text = f"the perturbations are {abbreviate(np.unique(labels))}"
        raise ValueError(f"control: no cell is {control!r}; {text}")


def perturbation_codes(
    perturbation: np.ndarray, control: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted perturbations, their index for each cell, and numbers of cells."""
    names, codes, sizes = np.unique(perturbation, return_inverse=True, return_counts=True)
    if sizes.min() < 2:
        raise ValueError(
            f"perturbation: leave out those of a single cell: {abbreviate(names[sizes < 2])}"
        )
    if len(names) < 2 + (control is not None):
        raise ValueError(
            f"perturbation: expected two or more besides the control, got {abbreviate(names)}"
        )
    return names, codes, sizes


def refuse_permuted(names: np.ndarray, of_table: pd.Index | None, argument: str) -> None:
    """Reject names beside a table that has the same ones in another order."""
    if of_table is None:
        return
    columns = [*names_as_text(of_table)]
    if columns != [*names] and sorted(columns) == sorted(names):
        raise ValueError(
            f"{argument}: the table has the same names in another order; leave {argument} out, as "
            "its own are used"
        )
