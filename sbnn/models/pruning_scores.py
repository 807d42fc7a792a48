"""Pruning scores of weights or genes, computed from their size and prior knowledge.

Size and prior knowledge are mixed as in DASH (Hossain et al., "Pruning neural network models for
gene regulatory dynamics using data and domain knowledge", NeurIPS 2024, arXiv 2403.04805, section
3). The functions do not depend on the type of network.
"""

import torch


def shared(size):
    """Divide nonnegative sizes by their sum; if all are zero, return them unchanged."""
    total = size.sum()
    return size / total if total > 0 else size


def mixed(from_prior, size, influence):
    """Compute ``l * prior + (1 - l) * size`` for influence l; with l = 0, this is the size."""
    return influence * from_prior + (1 - influence) * size


def keep_largest(scores, mask, n_kept, size=None):
    """Mask of the `n_kept` largest scores in `mask`; ties go to the larger `size`, if given."""
    scores = scores.masked_fill(~mask, -torch.inf).flatten()
    ranked = torch.arange(mask.numel())
    if size is not None:
        ranked = size.flatten().argsort(descending=True, stable=True)
    ranked = ranked[scores[ranked].argsort(descending=True, stable=True)]
    n_kept = min(n_kept, int(mask.sum()))
    kept = torch.zeros(mask.numel(), dtype=torch.bool)
    kept[ranked[:n_kept]] = True
    return kept.reshape(mask.shape)
