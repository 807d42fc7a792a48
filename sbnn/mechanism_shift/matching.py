"""How near latents and shifts are to the true ones of a simulation."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata


def match_latents(true, found, rank=False):
    """Match latents (n, d) to the true ones (n, k) by their absolute correlation over cells (Hungarian method).

    Gives the signed correlation (Spearman's with `rank`) of each pair, and which of the true and of the found it is.
    """
    a, b = (rankdata(values, axis=0) if rank else np.asarray(values, dtype=float) for values in (true, found))
    a, b = ((values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12) for values in (a, b))
    correlation = a.T @ b / len(a)
    of_true, of_found = linear_sum_assignment(-np.abs(correlation))
    return correlation[of_true, of_found], of_true, of_found


def mean_correlation(true, found, rank=False):
    """Mean absolute correlation of matched latents (MCC); true latents without a partner count as 0."""
    return float(np.abs(match_latents(true, found, rank)[0]).sum() / np.shape(true)[1])


def edge_scores(true_shifts, edges, of_true, of_found):
    """Precision, recall and F1 of edges, a DataFrame of bool of perturbations by latents, after matching.

    True edges are where the true shifts are not 0. Edges of latents without a partner count as wrong.
    """
    true = true_shifts.loc[edges.index].to_numpy() != 0
    found = edges.to_numpy(dtype=bool)
    right = float((true[:, of_true] & found[:, of_found]).sum())
    precision, recall = right / max(found.sum(), 1), right / max(true.sum(), 1)
    return {"precision": precision, "recall": recall, "f1": 2 * right / max(found.sum() + true.sum(), 1)}
