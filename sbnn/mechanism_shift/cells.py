"""Cells of a screen as the networks take them: checked, in batches, sparse until they are needed."""

import warnings

import numpy as np
import torch

from sbnn.data.checks import some
from sbnn.data.screen_checks import check_perturbation, check_screen_counts

DENSE_VALUES = 2**25  # kept as dense numbers where there are no more (128 MiB)
CONTROLS = {"control", "controls", "ctrl", "ctl", "nt", "ntc", "non-targeting", "nontargeting", "non_targeting"}


class Cells:
    """Counts of cells, dense by the batch.

    Parameters
    ----------
    counts : csr_array, shape (n, p)
        As from `checked_counts`.
    """

    def __init__(self, counts):
        self.shape = counts.shape
        self.totals = torch.from_numpy(np.asarray(counts.sum(axis=1), dtype=np.float32))[:, None]
        small = counts.shape[0] * counts.shape[1] <= DENSE_VALUES
        self._counts = counts.toarray().astype(np.float32) if small else counts.astype(np.float32)
        self._small = small

    def __len__(self):
        return self.shape[0]

    def batch(self, positions):
        """Counts and totals of some cells, Tensors of shape (b, p) and (b, 1).

        Parameters
        ----------
        positions : ndarray of int, shape (b,)
        """
        rows = self._counts[positions]
        return torch.from_numpy(rows if self._small else rows.toarray()), self.totals[torch.from_numpy(positions)]

    def blocks(self, positions, size=2048):
        """Positions cut into blocks, for a pass over the cells."""
        return [positions[start : start + size] for start in range(0, len(positions), size)]

    def log_moments(self, positions):
        """Mean and standard deviation of the log of (1 + count) of each gene, Tensors of shape (p,)."""
        sums = np.zeros((2, self.shape[1]))
        for block in self.blocks(positions):
            logs = self.batch(block)[0].log1p_().double().numpy()
            sums += logs.sum(axis=0), (logs**2).sum(axis=0)
        mean, square = sums / len(positions)
        sd = np.sqrt(np.maximum(square - mean**2, 0))
        return torch.from_numpy(mean).float(), torch.from_numpy(np.where(sd > 1e-6, sd, 1)).float()


def checked_counts(counts):
    """Counts of cells as a CSR matrix of float32, or an error that says what is wrong with them.

    Parameters
    ----------
    counts : array, sparse matrix or DataFrame of shape (n, p)

    Returns
    -------
    csr_array

    Raises
    ------
    ValueError
        Negative, fractional or NaN counts (with their share), cells without any count.
    TypeError
        No numbers.
    """
    counts = check_screen_counts(counts, "counts").astype(np.float32)
    empty = np.flatnonzero(np.asarray(counts.sum(axis=1)) == 0)
    if len(empty):
        raise ValueError(
            f"counts: {len(empty)} cells have no count at all, at the positions {some(empty)}; leave them out"
        )
    return counts


def checked_screen(counts, perturbation, control, n_latents):
    """Training cells: CSR matrix, names of the perturbations and the position of each cell's among them.

    Parameters
    ----------
    counts : array, sparse matrix or DataFrame of shape (n, p)
    perturbation : array-like, shape (n,)
    control : str or None
    n_latents : int

    Returns
    -------
    counts : csr_array
    names : ndarray of str
    codes : ndarray of int, shape (n,)

    Raises
    ------
    ValueError
        As `checked_counts`; another number of perturbations, cells without one, a control that no cell has, a
        perturbation of one cell, fewer than two of them.

    Warns
    -----
    UserWarning
        Genes without any count, more latents than perturbations, cells that look like a control that is not named.
    """
    counts = checked_counts(counts)
    names, codes, sizes = np.unique(
        check_perturbation(perturbation, counts.shape[0]), return_inverse=True, return_counts=True
    )
    if control is not None and control not in names:
        raise ValueError(f"control: no cell is {control!r}; the perturbations are {some(names)}")
    if sizes.min() < 2:
        raise ValueError(
            f"perturbation: {some(names[sizes < 2])} has one cell alone; each needs two or more, leave it out"
        )
    n_perturbations = len(names) - (control is not None)
    if n_perturbations < 2:
        raise ValueError(f"perturbation: expected two or more besides the control, got {n_perturbations}")
    silent = np.flatnonzero(np.asarray(counts.sum(axis=0)) == 0)
    if len(silent):
        warnings.warn(f"{len(silent)} genes have no count in any cell, at {some(silent)}", stacklevel=4)
    if n_latents > n_perturbations:
        warnings.warn(
            f"there are {n_latents} latents and only {n_perturbations} perturbations to tell them apart", stacklevel=4
        )
    likely = [name for name in names if name.lower() in CONTROLS]
    if control is None and likely:
        warnings.warn(f"{some(likely)} looks like a control; name it by control={str(likely[0])!r}", stacklevel=4)
    return counts, names, codes
