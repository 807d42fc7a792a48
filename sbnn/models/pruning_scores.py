"""Pruning scores of weights or genes, mixed from their size and prior knowledge as in DASH.

Hossain et al., NeurIPS 2024, arXiv 2403.04805, section 3.
"""

import torch


def shared(size):
    """Nonnegative sizes divided by their sum, unless all are zero."""
    total = size.sum()
    return size / total if total > 0 else size


def mixed(from_prior, size, influence):
    """``l * prior + (1 - l) * size`` for influence l."""
    return influence * from_prior + (1 - influence) * size


def keep_largest(scores, mask, n_kept, size=None):
    """Mask of the largest scores in `mask`; ties go to the larger `size`."""
    scores = scores.masked_fill(~mask, -torch.inf).flatten()
    ranked = torch.arange(mask.numel())
    if size is not None:
        ranked = size.flatten().argsort(descending=True, stable=True)
    ranked = ranked[scores[ranked].argsort(descending=True, stable=True)]
    n_kept = min(n_kept, int(mask.sum()))
    kept = torch.zeros(mask.numel(), dtype=torch.bool)
    kept[ranked[:n_kept]] = True
    return kept.reshape(mask.shape)
