"""How near latents and shifts are to the true ones of a simulation."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression


def match_latents(true, found, rank=False):
    """Match latents to the true ones by their absolute correlation over cells (Hungarian method).

    Parameters
    ----------
    true : ndarray, shape (n, k)
    found : ndarray, shape (n, d)
        At least as many.
    rank : bool
        Spearman's correlation in place of Pearson's.

    Returns
    -------
    correlation : ndarray, shape (min(k, d),)
        Signed, of each matched pair.
    of_true, of_found : ndarray of int
        Which they are.
    """
    if rank:
        true, found = rankdata(true, axis=0), rankdata(found, axis=0)
    correlation = _correlation(np.asarray(true, dtype=float), np.asarray(found, dtype=float))
    of_true, of_found = linear_sum_assignment(-np.abs(correlation))
    return correlation[of_true, of_found], of_true, of_found


def mean_correlation(true, found, rank=False):
    """Mean absolute correlation of matched latents (MCC); true latents without a partner count as 0."""
    return float(np.abs(match_latents(true, found, rank)[0]).sum() / np.shape(true)[1])


def linear_r2(true, found):
    """R2 of a linear regression of the true latents on those found, mean over latents."""
    return float(LinearRegression().fit(found, true).score(found, true))


def edge_scores(true_shifts, edges, of_true, of_found):
    """Precision, recall and F1 of (perturbation, latent) pairs after matching.

    Parameters
    ----------
    true_shifts : DataFrame
        Perturbations by true latents; not 0 where there is an edge.
    edges : DataFrame of bool
        Perturbations by found latents; only these perturbations count.
    of_true, of_found : ndarray of int
        From `match_latents`. Edges of latents without a partner count as wrong.

    Returns
    -------
    dict of str to float
    """
    true = true_shifts.loc[edges.index].to_numpy() != 0
    found = edges.to_numpy(dtype=bool)
    right = float((true[:, of_true] & found[:, of_found]).sum())
    precision, recall = right / max(found.sum(), 1), right / max(true.sum(), 1)
    return {"precision": precision, "recall": recall, "f1": 2 * right / max(found.sum() + true.sum(), 1)}


def _correlation(a, b):
    a, b = ((values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12) for values in (a, b))
    return a.T @ b / len(a)
