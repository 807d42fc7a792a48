"""Genome-scale Perturb-seq in the layout of Replogle et al.: an AnnData file that may be larger than memory.

Mapping information-rich genotype-phenotype landscapes with genome-scale Perturb-seq, Cell 185, 2559 (2022). The files
``*_raw_singlecell_01.h5ad`` (figshare plus, 20029387) hold raw counts as a dense matrix, of K562 cells genome-wide
1989578 x 8248 in 66 GB. Columns of ``obs``: ``gene`` (targeted, or "non-targeting"), ``gene_transcript``, ``sgID_AB``
(pair of guides), ``gem_group`` (batch), ``mitopercent``, ``UMI_count`` and others; ``var`` is indexed by Ensembl
identifiers and has the symbols in ``gene_name``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some
from sbnn.data.perturbation_screen import PerturbationScreen
from sbnn.data.readers.anndata import entry
from sbnn.data.screen_checks import as_names, check_screen_counts

SOURCE = "Perturb-seq in the layout of Replogle et al., Cell 185, 2559 (2022)"
CONTROL = "non-targeting"

_TARGET = "gene"
_VALUES_AT_ONCE = 2**24  # of the dense matrix, 64 MB


def read_replogle(
    path,
    column: str = _TARGET,
    *,
    perturbations: str | Iterable[str] | None = None,
    genes: str | Iterable[str] | None = None,
    min_cells: int = 1,
    name: str = "replogle",
    source: str = SOURCE,
) -> PerturbationScreen:
    """Read a screen, some cells at a time: at no time is the matrix dense as a whole.

    Parameters
    ----------
    path : path-like
        ``.h5ad`` file with raw counts in ``X``, dense or sparse.
    column : str
        Column of ``obs`` that names the perturbation: ``"gene"``, or ``"gene_transcript"`` or ``"sgID_AB"`` to tell
        guides apart. Cells whose ``gene`` is "non-targeting" are the control whatever the column calls them.
    perturbations : str or iterable of str, optional
        Those to read, besides the control; by default all.
    genes : str or iterable of str, optional
        Those to read, by symbol or Ensembl identifier, in the order of the file; by default all.
    min_cells : int
        Perturbations of fewer cells are left out.
    name, source : str
        As for `PerturbationScreen`.

    Returns
    -------
    PerturbationScreen
        In the order of the file. Genes by symbol, those whose symbol is not unique as ``<symbol>_<identifier>``. Labels
        are the other columns of ``obs``.

    Raises
    ------
    FileNotFoundError
    KeyError
        A column that ``obs`` does not hold; the message lists those there are.
    ValueError
        Perturbations or genes that the file does not hold, no cell left, values that are no counts (as in the files
        ``*_normalized_*``).
    """
    import anndata  # takes longer to import than all the rest

    if not Path(path).is_file():
        raise FileNotFoundError(f"path: no file {str(path)!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # the files are older than the present layout
        adata = anndata.read_h5ad(path, backed="r")
    try:
        named, left_out = _perturbation(adata.obs, column, perturbations, min_cells)
        rows = np.flatnonzero(named.notna())
        if not len(rows):
            raise ValueError(f"{path}: no cell is left; left out are {left_out}")
        gene_names = _gene_names(adata.var)
        columns = _columns(adata.var, gene_names, genes)
        return PerturbationScreen(
            counts=_read_counts(adata.X, rows, columns, path),
            perturbation=named.iloc[rows],
            control=CONTROL if (named == CONTROL).any() else None,
            gene_names=gene_names[columns],
            labels=_labels(adata.obs.iloc[rows].drop(columns=column)),
            name=name,
            source=source,
            dropped=left_out,
        )
    finally:
        adata.file.close()


def _perturbation(obs: pd.DataFrame, column: str, wanted, min_cells: int) -> tuple[pd.Series, dict[str, int]]:
    """Perturbation of each cell, missing for those to leave out, and how many cells are left out for which reason."""
    named = entry(obs, column, "obs").astype(object)
    named = named.mask(named == "").mask(entry(obs, _TARGET, "obs").astype(object) == CONTROL, CONTROL)
    left_out = {f"no entry in obs[{column!r}]": int(named.isna().sum())}
    if wanted is not None:
        wanted = as_names(wanted)
        unknown = sorted(wanted.difference(named.dropna()))
        if unknown:
            raise ValueError(f"perturbations: no cell has {some(unknown)} in obs[{column!r}]")
        another = named.notna() & ~named.isin({*wanted, CONTROL})
        left_out["another perturbation"] = int(another.sum())
        named = named.mask(another)
    few = (named.map(named.value_counts()) < min_cells) & (named != CONTROL)
    left_out[f"perturbation of fewer than {min_cells} cells"] = int(few.sum())
    return named.mask(few), left_out


def _gene_names(var: pd.DataFrame) -> np.ndarray:
    identifiers = var.index.to_numpy(dtype=object)
    if "gene_name" not in var:
        return identifiers
    symbols = var["gene_name"].astype(object).reset_index(drop=True)
    symbols = symbols.where(symbols.notna(), pd.Series(identifiers))
    unique = ~symbols.duplicated(keep=False)
    return symbols.where(unique, symbols + "_" + identifiers).to_numpy()


def _columns(var: pd.DataFrame, gene_names: np.ndarray, wanted) -> np.ndarray:
    if wanted is None:
        return np.arange(len(var))
    wanted = as_names(wanted)
    taken = np.isin(gene_names.astype(str), list(wanted)) | var.index.isin(wanted)
    if not wanted:
        raise ValueError("genes is empty; choose at least one")
    unknown = sorted(wanted.difference(gene_names).difference(var.index))
    if unknown:
        raise ValueError(f"genes: the file holds no {some(unknown)}; it holds {some(gene_names)}")
    return np.flatnonzero(taken)


def _read_counts(matrix: Any, rows: np.ndarray, columns: np.ndarray, path) -> sparse.csr_array:
    """Counts of some cells and genes, sparse; `matrix` lies on disk, where neighbouring rows are read together."""
    if getattr(matrix, "format", "") == "csc":  # on disk by columns: rows cannot be read by themselves
        matrix = matrix.to_memory().tocsr()
    n, p = matrix.shape
    size = max(1, _VALUES_AT_ONCE // p)
    pieces = []
    for start in range(0, n, size):
        inside = rows[(rows >= start) & (rows < start + size)]
        if len(inside):
            piece = sparse.csr_array(matrix[start : min(start + size, n)])[inside - start][:, columns]
            pieces.append(check_screen_counts(piece, f"{path}: X").astype(np.int32))
    return sparse.vstack(pieces, format="csr")


def _labels(obs: pd.DataFrame) -> pd.DataFrame:
    """Text as text: categories of a genome-wide file outnumber the cells that are left."""
    return obs.astype({name: object for name in obs.select_dtypes("category")})
