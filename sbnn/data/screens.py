"""Perturbation screens, as AnnData and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.utils.validation import check_array

from sbnn.data.checks import (
    abbreviate,
    check_groups,
    check_labels,
    check_names,
    check_only_genes,
    match_rows,
    numbers,
)
from sbnn.data.counts import are_counts, check_counts
from sbnn.data.fingerprint import annotate_adata, annotation_arguments
from sbnn.data.inputs import load_into_memory
from sbnn.errors import check_among

KEY = "perturbation"


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
    counts,
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
        Raw counts; of an AnnData, ``X``.
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
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired_cells`.

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
    if isinstance(counts, AnnData):
        check_among("perturbation", perturbation, [*counts.obs])
        gene_names = counts.var_names
        cell_names = counts.obs_names
        labels = counts.obs.drop(columns=perturbation)
        perturbation = counts.obs[perturbation]
        counts = load_into_memory(counts).X
    elif isinstance(perturbation, str | pd.DataFrame):
        raise TypeError(
            f"perturbation: expected one for each cell, got {type(perturbation).__name__}; of a "
            "table of labels, pass a column such as labels['perturbation']"
        )
    if isinstance(counts, pd.DataFrame):
        counts = check_table_of_counts(counts, labels)
        gene_names = counts.columns
        cell_names = counts.index
    counts = check_screen_counts(counts)
    genes = check_names(gene_names, "gene_names", "gene", counts.shape[1])
    cells = check_names(cell_names, "cell_names", "cell", counts.shape[0])
    obs = check_labels(labels, cells, ())
    if control is not None:
        control = str(control)
    if cell_names is not None and isinstance(perturbation, pd.Series):
        perturbation = match_rows(perturbation, cells, "perturbation")
    obs[KEY] = pd.Categorical(check_perturbation(perturbation, obs, control))
    adata = AnnData(counts, obs, pd.DataFrame(index=genes))
    return annotate_adata(adata, [KEY], control=control, **about)


def as_screen(data):
    """Convert an AnnData from `screen`; `control` is None without control cells."""
    if isinstance(data, Screen):  # converted before
        return data
    if not isinstance(data, AnnData) or KEY not in data.obs:
        raise TypeError(f"counts, adata or new: expected an AnnData with obs[{KEY!r}]")
    about = annotation_arguments(data)
    if about.get("control") not in data.obs[KEY].astype(str).to_numpy():
        about["control"] = None
    built = screen(data, KEY, **about)
    described_as = built.uns["sbnn"]
    return Screen(
        built.X,
        built.obs[KEY].to_numpy(str),
        about["control"],
        built.var_names.to_numpy(str),
        described_as["name"],
        described_as["sha256"],
        about["truth"],
    )


def check_table_of_counts(table, labels):
    """Reject columns that are no counts, with their names."""
    table = numbers(table, "counts")
    check_only_genes(table, labels, "counts")
    others = table.columns[~are_counts(table).all()]
    if len(others):
        raise ValueError(
            f"counts: missing, or not whole numbers from 0 on: {abbreviate(others, 3)}; "
            "leave columns "
            "that are no genes out with table.drop(columns=...), use table.fillna(0) for genes "
            "that were not detected, and round estimated counts with table.round()"
        )
    return table


def check_screen_counts(given):
    """Convert counts to canonical CSR, int32."""
    counts = check_array(given, accept_sparse="csr", input_name="counts")
    counts = check_counts(sparse.csr_array(counts), counts.shape)
    counts.eliminate_zeros()
    return counts.astype(np.int32)


def check_perturbation(given, cells, control=None):
    """Convert perturbations to str; `control` must be among them."""
    names = check_groups(given, cells, "perturbation")
    if control is not None and str(control) not in names:
        text = f"the perturbations are {abbreviate(np.unique(names))}"
        raise ValueError(f"control: no cell is {control!r}; {text}")
    return names


def perturbation_codes(perturbation, control):
    """Sorted perturbations, their index for each cell, and numbers of cells."""
    names, codes, sizes = np.unique(perturbation, return_inverse=True, return_counts=True)
    if sizes.min() < 2 or len(names) < 2 + (control is not None):
        expected = "two or more besides the control, with two or more cells each"
        raise ValueError(f"perturbation: expected {expected}, got {abbreviate(names)}")
    return names, codes, sizes
