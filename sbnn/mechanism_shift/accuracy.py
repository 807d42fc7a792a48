"""Accuracy of the latents and the shift graph of a model."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from sbnn.data.screens import as_screen
from sbnn.determinism import reproducible
from sbnn.errors import check_among
from sbnn.mechanism_shift.graph import compared, edges_of, largest_shifts, significant, wide
from sbnn.mechanism_shift.unmixing import unmix

HELD_OUT_CELLS = 500
HELD_OUT_DRAWS = 100
EDGES = ("probable", "largest", "unmixed")


def recovery(
    model: BaseEstimator, adata: AnnData, edges: str = "probable", new: AnnData | None = None
) -> tuple[dict, dict]:
    """Fit a model to a simulated screen, and compare its latents and shifts with the true ones.

    Parameters
    ----------
    model : estimator
        With ``fit(counts, perturbation, control)``, ``transform`` and ``shift_graph_``; a clone is
        fitted.
    adata : AnnData
        As returned by `simulate_perturbations`.
    edges : {"probable", "largest", "unmixed"}
        Shifts with a probability above 1/2, the two largest of each perturbation, or those found by
        `unmix`, which then also rotates the latents.
    new : AnnData, optional
        Cells of held-out perturbations. Shifts are estimated from one half, and up to 500 cells of
        the other are scored.

    Returns
    -------
    scores : dict
        ``mcc``, the mean absolute correlation of matched latents, and ``mcc_rank``, that of ranks;
        ``r2`` of a linear regression of the true latents; ``precision``, ``recall`` and ``f1`` of
        edges, and ``f1_published``, with latents matched by signed correlations and
        perturbations without cells counted; for networks, ``elbo`` of the validation cells; CPU
        ``seconds``. With `new`, ``new_elbo`` and ``new_iwelbo`` of new cells with learned shifts,
        and ``new_elbo_before`` and ``new_iwelbo_before`` without shifts.
    found : dict
        The DataFrames ``effects``, ``edges`` and ``true_shifts`` (perturbations by latents), in
        the order and signs of the true latents.

    Raises
    ------
    ValueError
        If the screen has no true latents, or `edges` is invalid.
    """
    check_among("edges", edges, EDGES)
    screen = as_screen(adata)
    if "latents" not in screen.truth:
        raise ValueError("adata: expected a simulated screen, whose true latents are known")
    with reproducible():  # also for the correlations and projections
        started = time.process_time()
        model = clone(model).fit(screen.counts, screen.perturbation, screen.control)
        latents = model.transform(screen.counts)
        graph = model.shift_graph_
        if edges == "unmixed":
            seed = model.random_state or 0
            found = unmix(latents, screen.perturbation, screen.control, random_state=seed)
            latents = found.transform(latents)
            graph = found.graph
        marked = largest_shifts(wide(graph, "effect")) if edges == "largest" else edges_of(graph)
        seconds = time.process_time() - started
        scores = accuracy(screen.truth, latents, marked)
    if hasattr(model, "elbo"):
        held_out = model.validation_
        scores["elbo"] = model.elbo(screen.counts[held_out], screen.perturbation[held_out])
        if new is not None:
            scores |= held_out_bounds(model, as_screen(new))
    return scores | {"seconds": seconds}, aligned(screen.truth, latents, graph, marked)


def held_out_bounds(model, new):
    """Bounds of new perturbations, before and after their shifts are learned; see `recovery`."""
    order = np.random.default_rng(model.random_state).permutation(len(new.perturbation))
    halves = order[::2], order[1::2][:HELD_OUT_CELLS]
    learn, test = ((new.counts[half], new.perturbation[half]) for half in halves)
    bounds = {}
    for suffix in ("", "_before"):
        fitted = model.fit_new_perturbations(*learn, learn_shifts=not suffix)
        bounds[f"new_elbo{suffix}"] = fitted.elbo(*test)
        bounds[f"new_iwelbo{suffix}"] = fitted.iwelbo(*test, HELD_OUT_DRAWS)
    return bounds


def aligned(truth, latents, graph, edges):
    """Effects and edges, in the order and signs of the true latents."""
    correlation, of_true, of_found = match_latents(truth["latents"], latents)
    signs = np.sign(correlation)
    shifts = truth["shifts"].loc[edges.index].iloc[:, of_true]
    effects = wide(graph, "effect").iloc[:, of_found].set_axis(shifts.columns, axis=1)
    return {
        "effects": effects * signs,
        "edges": edges.iloc[:, of_found].set_axis(shifts.columns, axis=1),
        "true_shifts": shifts,
    }


def match_latents(true, found):
    """Match found (n, d) to true latents (n, k) by their absolute correlation (Hungarian method).

    Returns the signed correlation of each pair, and the positions of its true and found latent.
    """
    correlation = correlations(true, found)
    of_true, of_found = linear_sum_assignment(-np.abs(correlation))
    return correlation[of_true, of_found], of_true, of_found


def correlations(true, found):
    """Correlations of all true (n, k) with all found latents (n, d), 0 if one is constant."""
    n_true = np.shape(true)[1]
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.corrcoef(true, found, rowvar=False)[:n_true, n_true:])


def accuracy(truth, latents, edges):
    """Scores of latents and of `edges` (bool, perturbations by latents); see `recovery`.

    Unmatched true latents have a correlation of 0; edges of unmatched found latents are wrong.
    """
    true = truth["latents"]
    scores = {"r2": LinearRegression().fit(latents, true).score(latents, true)}
    ranks = rankdata(true, axis=0), rankdata(latents, axis=0)
    for score, values in {"mcc": (true, latents), "mcc_rank": ranks}.items():
        scores[score] = float(np.abs(match_latents(*values)[0]).sum() / np.shape(true)[1])
    _, *matched = match_latents(true, latents)
    signed = linear_sum_assignment(-correlations(true, latents))
    shifted = truth["shifts"] != 0
    scores["f1_published"] = accuracy_of_edges(shifted, edges, *signed)["f1"]
    return scores | accuracy_of_edges(shifted.loc[edges.index], edges, *matched)


def accuracy_of_edges(true, found, of_true, of_found):
    """Precision, recall and F1 of edges, given the positions of matched latents."""
    found = found.reindex(true.index, fill_value=False).to_numpy()
    true = true.to_numpy()
    right = (true[:, of_true] & found[:, of_found]).sum()
    return {
        "precision": right / max(found.sum(), 1),
        "recall": right / max(true.sum(), 1),
        "f1": 2 * right / max(found.sum() + true.sum(), 1),
    }


def z_scored(adata: AnnData) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean z-scored log counts of each perturbation minus those of the control, or of all cells.

    Parameters
    ----------
    adata : AnnData
        As returned by `screen`.

    Returns
    -------
    differences : DataFrame
        Perturbations by genes.
    changed : DataFrame of bool
        Whether a difference is significant, with a false discovery rate of 1 %.
    """
    screen = as_screen(adata)
    shares = screen.counts.toarray() / screen.counts.sum(axis=1)[:, None]
    z = StandardScaler().fit_transform(np.log1p(1e3 * shares))
    # z-scores of all cells have a mean of 0
    differences, _, errors, _ = compared(z, screen.perturbation, screen.control)
    differences.columns = screen.gene_names
    changed = significant(differences, errors)
    return differences, pd.DataFrame(changed, differences.index, differences.columns)


def recovery_of_genes(adata):
    """Scores as those of `recovery`, of z-scored differences of single genes.

    The gene that correlates most with it represents each true latent; the two largest differences
    of each perturbation are edges.
    """
    screen = as_screen(adata)
    started = time.process_time()
    differences, _ = z_scored(screen)
    logs = np.log1p(screen.counts.toarray())
    _, _, of_gene = match_latents(screen.truth["latents"], logs)
    edges = largest_shifts(differences.iloc[:, of_gene])
    seconds = time.process_time() - started
    return accuracy(screen.truth, logs[:, of_gene], edges) | {"seconds": seconds}
