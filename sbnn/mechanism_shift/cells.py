"""What models of screens share: input that is checked once, and counts in batches, sparse until they are needed."""

import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.checks import some
from sbnn.data.screens import as_screen, check_screen_counts, codes_of

DENSE_VALUES = 2**25  # kept as dense numbers where there are no more (128 MiB)
CONTROLS = {"control", "controls", "ctrl", "ctl", "nt", "ntc", "non-targeting", "nontargeting", "non_targeting"}


class ScreenModel(TransformerMixin, BaseEstimator):
    """Base of models that are fitted to counts and the perturbation of each cell."""

    def _training_cells(self, counts, perturbation, control):
        """Counts (CSR), names of the perturbations, and the position of each cell's among them."""
        if perturbation is None:
            screen = as_screen(counts)
            perturbation, control = screen.perturbation, screen.control
        self.control_ = None if control is None else str(control)
        checked = self._checked(counts, reset=True)
        names, codes, _ = codes_of(perturbation, checked.shape[0], self.control_)
        n_perturbations = len(names) - (control is not None)
        likely = [name for name in names if name.lower() in CONTROLS]
        if self.n_latent > n_perturbations:
            doubt = f"n_latent: {self.n_latent} latents, but only {n_perturbations} perturbations to separate them"
            warnings.warn(doubt, stacklevel=3)
        if control is None and likely:
            warnings.warn(f"{some(likely)} looks like a control; name it by control={str(likely[0])!r}", stacklevel=3)
        return checked, names, codes

    def _checked(self, counts, reset=False):
        """Counts (CSR) of cells with the genes that the model was fitted to, or with `reset` will be."""
        if not reset:
            check_is_fitted(self)
        table = counts
        if hasattr(counts, "obs"):  # AnnData: scikit-learn compares the names of a DataFrame
            counts, table = counts.X, pd.DataFrame(columns=counts.var_names)
        checked = check_screen_counts(counts).astype(np.float32)
        empty = np.flatnonzero(np.asarray(checked.sum(axis=1)) == 0)
        if len(empty):
            raise ValueError(f"counts: {len(empty)} cells have no count, at positions {some(empty)}; leave them out")
        validate_data(self, table, skip_check_array=True, reset=reset)
        return checked

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags


class Cells:
    """Counts of cells (CSR), dense by the batch."""

    def __init__(self, counts):
        self.shape = counts.shape
        self.totals = torch.from_numpy(np.asarray(counts.sum(axis=1), dtype=np.float32))[:, None]
        self._small = counts.shape[0] * counts.shape[1] <= DENSE_VALUES
        self._counts = counts.toarray().astype(np.float32) if self._small else counts.astype(np.float32)

    def batch(self, positions):
        """Counts and totals of the cells at `positions` (b,), Tensors of shape (b, p) and (b, 1)."""
        rows = self._counts[positions]
        return torch.from_numpy(rows if self._small else rows.toarray()), self.totals[torch.from_numpy(positions)]

    def log_moments(self, positions):
        """Mean and standard deviation of the log of (1 + count) of each gene, Tensors of shape (p,)."""
        sums = np.zeros((2, self.shape[1]))
        for block in blocks(positions):
            logs = self.batch(block)[0].log1p_().double().numpy()
            sums += logs.sum(axis=0), (logs**2).sum(axis=0)
        mean, square = sums / len(positions)
        sd = np.sqrt(np.maximum(square - mean**2, 0))
        return torch.from_numpy(mean).float(), torch.from_numpy(np.where(sd > 1e-6, sd, 1)).float()


def blocks(positions, size=2048):
    """Positions cut into blocks, for a pass over the cells."""
    return [positions[start : start + size] for start in range(0, len(positions), size)]
