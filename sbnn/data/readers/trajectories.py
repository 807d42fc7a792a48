"""Files of trajectories, as Hossain et al. (Genome Biology 2024, arXiv 2403.04805) publish them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sbnn.data.trajectories import Trajectories


def read_trajectories(path: Any, gene_names: Any = None, **about) -> Trajectories:
    """Read a file of trajectories: simulated, yeast or breast cancer.

    The first line holds the numbers of genes and samples. Of each sample there follow a line of values for each gene
    and a line with the times.

    Parameters
    ----------
    path : path-like
    gene_names : sequence of str or path-like, optional
        In the order of the lines, or a table with them in the first column; by default ``gene_0`` ... The suffix
        ``_input`` is left out.
    **about
        `signed`, `name`, `source`, `sha256` and `files` of the `Trajectories`; the name is by default that of the file,
        and values below zero are taken as meant.

    Returns
    -------
    Trajectories

    Raises
    ------
    FileNotFoundError
    ValueError
        A file of another layout (the message says what was expected), or content that `Trajectories` refuses.
    """
    path = Path(path)
    lines = path.read_text().splitlines()
    try:
        n_genes, n_samples = (int(part) for part in lines[0].replace('"', "").split(",")[:2])
    except (ValueError, IndexError):
        raise ValueError(f"{path}: expected the numbers of genes and samples in the first line") from None
    rows = [line for line in lines[1:] if line.strip(", \t")]
    if len(rows) != n_samples * (n_genes + 1):
        raise ValueError(
            f"{path}: expected {n_samples} samples of {n_genes} lines of values and one of times, got {len(rows)} lines"
        )
    try:
        table = np.array([[float(part) for part in row.split(",")] for row in rows])
    except ValueError as error:
        raise ValueError(f"{path}: expected as many numbers in every line after the first; {error}") from None
    blocks = table.reshape(n_samples, n_genes + 1, -1)
    if gene_names is not None and not isinstance(gene_names, list | tuple | np.ndarray | pd.Index | pd.Series):
        gene_names = pd.read_csv(gene_names).iloc[:, 0]
    if gene_names is not None:
        gene_names = [str(name).removesuffix("_input") for name in gene_names]
    about = {"signed": True, "name": path.stem, "source": str(path.name)} | about
    return Trajectories(blocks[:, :-1].transpose(0, 2, 1), blocks[:, -1], gene_names, **about)
