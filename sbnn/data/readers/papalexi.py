"""The ECCITE-seq screen of Papalexi et al.: genes of the response to interferon knocked out in THP-1 cells.

Characterizing the molecular regulation of inhibitory immune checkpoints with multimodal single-cell screens, Nature
Genetics 53, 322 (2021), GEO GSE153056.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from scipy import sparse

from sbnn.data.fingerprint import fingerprint_files, fingerprint_parameters
from sbnn.data.perturbation_screen import PerturbationScreen

SOURCE = "Papalexi et al., Nature Genetics 53, 322 (2021), GEO GSE153056; 299 genes of Katsevich-Lab/sceptredata"
CONTROL = "non-targeting"

_LABELS = ("guide", "bio_rep", "guide_umi", "guide_frac", "confident")


def read_papalexi(
    counts_path, genes_path, cells_path, *, confident_only: bool = True, files: dict[str, str] | None = None
) -> PerturbationScreen:
    """Read the screen.

    Parameters
    ----------
    counts_path : path-like
        ``response_cells_x_genes.npz``: sparse matrix of scipy, cells x genes, of UMI counts.
    genes_path : path-like
        ``genes.txt``: name of a gene in each line.
    cells_path : path-like
        ``cells.csv.gz``: a row for each cell, with the columns "target" and those of the labels below.
    confident_only : bool
        Whether to leave out the cells in which the assigned guide has no more than 80 % of the counts of all guides.
    files : dict of str to str, optional
        Name -> sha256 of the three files, for the fingerprint.

    Returns
    -------
    PerturbationScreen
        In the order of the files, named after the row, ``cell_0`` first, whether others are left out or not.
        Perturbations are the targeted genes, the control is ``"non-targeting"``. In the published files 16093 confident
        cells of 20729, 299 genes and 25 targets, of 33 (SPI1) to 1056 cells (IFNGR1), and 1912 control cells.

        Labels: `guide` (107, up to four of a target and nine of the control), `bio_rep` (replicate), `guide_umi` and
        `guide_frac` (counts of the guide, and their share of those of all guides), `confident`.

    Raises
    ------
    FileNotFoundError
    ValueError
        Columns that are not there, files of different numbers of cells or genes, values that are no counts.
    """
    counts = sparse.load_npz(counts_path)
    genes = Path(genes_path).read_text().splitlines()
    cells = pd.read_csv(cells_path)
    missing = [column for column in ("target", *_LABELS) if column not in cells]
    if missing:
        raise ValueError(f"{cells_path} lacks the column(s) {missing}; it has {list(cells.columns)}")
    if counts.shape != (len(cells), len(genes)):
        raise ValueError(
            f"{counts_path} has shape {counts.shape}, expected {len(cells)} cells as {cells_path} has rows, and "
            f"{len(genes)} genes as {genes_path} has lines"
        )
    if cells["confident"].dtype != bool:
        raise ValueError(f"{cells_path}: the column 'confident' must be True or False, got {cells['confident'].dtype}")
    cells.index = "cell_" + cells.index.astype(str)
    kept = cells["confident"].to_numpy() | (not confident_only)
    options = {"confident_only": confident_only}  # the same files give other data with others
    return PerturbationScreen(
        counts=sparse.csr_array(counts)[kept],
        perturbation=cells["target"][kept],
        control=CONTROL,
        gene_names=genes,
        labels=cells.loc[kept, list(_LABELS)],
        name="papalexi",
        source=SOURCE,
        sha256=fingerprint_parameters(options | {"files": fingerprint_files(files)}) if files else "",
        files=files or {},
        dropped={"guide without 80 % of the guide counts": int((~kept).sum())},
    )
