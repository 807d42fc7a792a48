"""Accuracy of the latents and the shift graph of a model."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler

from sbnn.data.screens import as_screen
from sbnn.determinism import reproducible
from sbnn.errors import check_among
from sbnn.mechanism_shift.graph import edges_of, largest_shifts, wide
from sbnn.mechanism_shift.unmixing import unmix

SHOWN_CELLS = 500
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
        Which shifts are edges: those with a probability above 1/2, the two largest of each
        perturbation, or those found by `unmix`, which then also rotates the latents.
    new : AnnData, optional
        Cells of held-out perturbations. Shifts are estimated from one half, and up to 500 cells of
        the other are scored.

    Returns
    -------
    scores : dict
        ``mcc``, the mean absolute correlation of matched latents; ``precision``, ``recall`` and
        ``f1`` of edges; for networks, ``elbo`` of the validation cells; CPU ``seconds``. With
        `new`, ``new_elbo`` and ``new_iwelbo`` of new cells with learned shifts, and
        ``new_elbo_before`` and ``new_iwelbo_before`` without shifts.
    found : dict
        ``latents`` and ``true_latents`` of some cells, and the DataFrames ``effects``, ``edges``
        and ``true_shifts`` (perturbations by latents), in the order and signs of the true latents.

    Raises
    ------
    ValueError
        If the screen has no true latents, or `edges` is invalid.

    Examples
    --------
    >>> from sbnn.mechanism_shift import SparseShiftVAE, recovery, simulate_perturbations
    >>> screen = simulate_perturbations(30, 20, 4, 40, random_state=0)
    >>> scores, found = recovery(SparseShiftVAE(4, hidden=32, epochs=2, random_state=0), screen)
    >>> found["edges"].shape
    (20, 4)
    """
    check_among("edges", edges, EDGES)
    screen = as_screen(adata)
    if "latents" not in screen.truth:
        raise ValueError("adata: expected a simulated screen, whose true latents are known")
    with reproducible():  # for the correlations and projections, not only for the fit
        started = time.process_time()
        model = clone(model).fit(screen.counts, screen.perturbation, screen.control)
        latents = model.transform(screen.counts)
        graph = model.shift_graph_
        if edges == "unmixed":
            seed = model.random_state or 0
            found = unmix(latents, screen.perturbation, screen.control, random_state=seed)
            latents = found.transform(latents)
            graph = found.graph
        marked = largest_shifts(graph) if edges == "largest" else edges_of(graph)
        seconds = time.process_time() - started
        _, of_true, of_found = match_latents(screen.truth["latents"], latents)
        scores = {"mcc": mean_correlation(screen.truth["latents"], latents)}
        scores |= edge_scores(screen.truth["shifts"], marked, of_true, of_found)
    if hasattr(model, "elbo"):
        held_out = model.validation_
        scores["elbo"] = model.elbo(screen.counts[held_out], screen.perturbation[held_out])
    scores["seconds"] = seconds
    if new is not None and hasattr(model, "fit_new_perturbations"):
        scores |= held_out_bounds(model, as_screen(new))
    return scores, aligned(screen, latents, graph, marked)


def held_out_bounds(model, new):
    """Bounds of new perturbations, before and after their shifts are learned; see `recovery`."""
    order = np.random.default_rng(model.random_state).permutation(len(new.perturbation))
    training = order[::2]
    test = order[1::2][:HELD_OUT_CELLS]
    training_cells = new.counts[training], new.perturbation[training]
    test_cells = new.counts[test], new.perturbation[test]
    bounds = {}
    for suffix, learn_shifts in (("", True), ("_before", False)):
        fitted = model.fit_new_perturbations(*training_cells, learn_shifts=learn_shifts)
        bounds[f"new_elbo{suffix}"] = fitted.elbo(*test_cells)
        bounds[f"new_iwelbo{suffix}"] = fitted.iwelbo(*test_cells, HELD_OUT_DRAWS)
    return bounds


def aligned(screen, latents, graph, edges):
    """Latents of some cells, effects and edges, in the order and signs of the true latents."""
    cells = np.random.default_rng(0).permutation(len(latents))[:SHOWN_CELLS]
    true_latents = screen.truth["latents"]
    correlation, of_true, of_found = match_latents(true_latents, latents)
    signs = np.sign(correlation)
    true_shifts = screen.truth["shifts"].loc[edges.index].iloc[:, of_true]
    found = latents[cells][:, of_found] * signs
    true = true_latents[cells][:, of_true]
    effects = wide(graph, "effect").iloc[:, of_found]
    effects.columns = true_shifts.columns
    edges = edges.iloc[:, of_found]
    edges.columns = true_shifts.columns
    return {
        "latents": found.astype(np.float32),
        "true_latents": true.astype(np.float32),
        "effects": effects * signs,
        "edges": edges,
        "true_shifts": true_shifts,
    }


def match_latents(true, found):
    """Match found (n, d) to true latents (n, k) by their absolute correlation (Hungarian method).

    Returns the signed correlation of each pair, and the positions of its true and found latent.
    """
    correlation = _standardized(true).T @ _standardized(found) / len(true)
    of_true, of_found = linear_sum_assignment(-np.abs(correlation))
    return correlation[of_true, of_found], of_true, of_found


def _standardized(values):
    values = np.asarray(values, dtype=float)
    return (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12)


def mean_correlation(true, found):
    """Mean absolute correlation of matched latents (MCC); unmatched true latents count as 0."""
    correlation, _, _ = match_latents(true, found)
    _, n_true = np.shape(true)
    return float(np.abs(correlation).sum() / n_true)


def edge_scores(true_shifts, edges, of_true, of_found):
    """Precision, recall and F1 of `edges` (bool, perturbations by latents) for matched latents.

    Edges of latents without a partner are wrong.
    """
    true = true_shifts.loc[edges.index].to_numpy() != 0
    found = edges.to_numpy(dtype=bool)
    right = float((true[:, of_true] & found[:, of_found]).sum())
    n_found = found.sum()
    n_true = true.sum()
    return {
        "precision": right / max(n_found, 1),
        "recall": right / max(n_true, 1),
        "f1": 2 * right / max(n_found + n_true, 1),
    }


def z_scored(screen, perturbation):
    """Mean z-scored log counts of each perturbation minus those of the control, or of all cells.

    Returns a DataFrame of perturbations by genes, and the p-values of these differences.
    """
    shares = screen.counts.toarray() / screen.counts.sum(axis=1)[:, None]
    z = pd.DataFrame(StandardScaler().fit_transform(np.log1p(1e3 * shares)))
    z.columns = screen.gene_names
    means = z.groupby(perturbation).mean()
    variances = 1 / pd.Series(perturbation).value_counts()[means.index]
    origin = 0
    of_origin = 0
    if screen.control is not None:
        origin = means.loc[screen.control]
        of_origin = variances[screen.control]
    moved = means.index != screen.control
    differences = means[moved] - origin
    errors = np.sqrt(variances[moved] + of_origin)
    p = 2 * norm.sf(differences.abs().div(errors, axis=0))
    return differences, pd.DataFrame(p, differences.index, differences.columns)


def recovery_of_genes(adata, n_edges=2):
    """Scores as those of `recovery`, of z-scored differences of single genes.

    Each true latent is represented by the gene that correlates most with it; the genes with the
    largest differences are edges.
    """
    screen = as_screen(adata)
    started = time.process_time()
    differences, _ = z_scored(screen, screen.perturbation)
    logs = np.log1p(screen.counts.toarray())
    correlation, of_true, of_gene = match_latents(screen.truth["latents"], logs)
    sizes = differences.iloc[:, of_gene].abs()
    edges = sizes.rank(axis=1, ascending=False) <= n_edges
    seconds = time.process_time() - started
    scores = {"mcc": float(np.abs(correlation).mean())}
    scores |= edge_scores(screen.truth["shifts"], edges, of_true, np.arange(len(of_true)))
    return scores | {"seconds": seconds}
