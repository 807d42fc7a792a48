"""Accuracy of the latents and the shift graph of a model."""

import time

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone

from sbnn.data.screens import as_screen
from sbnn.determinism import reproducible
from sbnn.errors import attempt
from sbnn.mechanism_shift.graph import edges_of, largest_shifts, wide
from sbnn.mechanism_shift.unmixing import unmix

SHOWN_CELLS = 500
EDGES = ("probable", "largest", "unmixed")


def recovery(model, adata, edges="probable", new=None):
    """Fit a model to a simulated screen, and compare its latents and shift graph with the true
    ones.

    Parameters
    ----------
    model : estimator
        A `SparseShiftVAE`, or another model with ``fit(counts, perturbation, control)``,
        ``transform`` and ``shift_graph_``; a clone of it is fitted.
    adata : AnnData
        As returned by `simulate_perturbations`.
    edges : {"probable", "largest", "unmixed"}
        Which shifts count as edges: those with a probability above 1/2 (``"probable"``), the two
        largest shifts of each perturbation (``"largest"``), or those found by `unmix`, which then
        also rotates the latents (``"unmixed"``).
    new : AnnData, optional
        Cells of held-out perturbations. Shifts are estimated from one half of the cells, and up to
        500 cells of the other half are scored.

    Returns
    -------
    scores : dict
        ``mcc``, the mean absolute correlation of matched latents; ``precision``, ``recall`` and
        ``f1`` of edges; ``elbo``, for networks, of the validation cells; and CPU ``seconds``. With
        `new`, there are also bounds for new cells: ``new_elbo`` and ``new_iwelbo`` with the learned
        shifts, and ``new_elbo_before`` and ``new_iwelbo_before`` without shifts.
    found : dict
        ``latents`` and ``true_latents`` of some cells, and the DataFrames ``effects``, ``edges``
        and ``true_shifts`` (perturbations by latents). Latents have the order and the signs of the
        true latents.

    Raises
    ------
    ValueError
        If the screen has no true latents, or if `edges` has an invalid value.
    """
    screen = as_screen(adata)
    attempt(
        "model: expected methods fit(counts, perturbation, control) and transform",
        getattr,
        model,
        "transform",
    )
    if edges not in EDGES or "latents" not in screen.truth:
        raise ValueError(
            f"edges: expected one of {EDGES} and a screen with true latents, got {edges!r}"
        )
    with reproducible():  # for the correlations and projections, not only for the fit
        started = time.process_time()
        model = clone(model).fit(screen.counts, screen.perturbation, screen.control)
        latents, graph = model.transform(screen.counts), model.shift_graph_
        if edges == "unmixed":
            rotated = unmix(
                latents, screen.perturbation, screen.control, random_state=model.random_state or 0
            )
            latents, graph = rotated.transform(latents), rotated.graph
        found = largest_shifts(graph) if edges == "largest" else edges_of(graph)
        seconds, true = time.process_time() - started, screen.truth["latents"]
        scores = {"mcc": mean_correlation(true, latents)}
        scores |= edge_scores(screen.truth["shifts"], found, *match_latents(true, latents)[1:])
    if hasattr(model, "elbo"):
        aside = model.validation_
        scores["elbo"] = model.elbo(screen.counts[aside], screen.perturbation[aside])
    scores["seconds"] = seconds
    if new is not None and hasattr(model, "fit_new_perturbations"):
        scores |= held_out_bounds(model, as_screen(new))
    return scores, aligned(screen, latents, graph, found)


def held_out_bounds(model, new, n_samples=100, n_cells=500):
    """Bounds on the likelihood of cells from new perturbations, before and after their shifts are learned."""
    order, bounds = np.random.default_rng(model.random_state).permutation(len(new.perturbation)), {}
    learn, test = order[::2], order[1::2][:n_cells]
    for name, learned in (("", True), ("_before", False)):
        fitted = model.fit_new_perturbations(new.counts[learn], new.perturbation[learn], learned)
        bounds[f"new_elbo{name}"] = fitted.elbo(new.counts[test], new.perturbation[test])
        bounds[f"new_iwelbo{name}"] = fitted.iwelbo(
            new.counts[test], new.perturbation[test], n_samples
        )
    return bounds


def aligned(screen, latents, graph, edges):
    """Latents of some cells, effects and edges, with the order and the signs of the true latents."""
    cells = np.random.default_rng(0).permutation(len(latents))[:SHOWN_CELLS]
    correlation, of_true, of_found = match_latents(screen.truth["latents"], latents)
    signs, true = np.sign(correlation), screen.truth["shifts"].loc[edges.index]
    names = true.columns[of_true]
    return {
        "latents": (latents[cells][:, of_found] * signs).astype(np.float32),
        "true_latents": screen.truth["latents"][cells][:, of_true].astype(np.float32),
        "effects": wide(graph, "effect").iloc[:, of_found].set_axis(names, axis=1) * signs,
        "edges": edges.iloc[:, of_found].set_axis(names, axis=1),
        "true_shifts": true.iloc[:, of_true],
    }


def match_latents(true, found):
    """Match found latents to true latents by their absolute correlation over cells (Hungarian
    method).

    `true` has shape (n, k), and `found` has shape (n, d). Returns the signed correlation of each
    pair, and the positions of its true and its found latent.
    """
    a, b = (np.asarray(values, dtype=float) for values in (true, found))
    a, b = (
        (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-12) for values in (a, b)
    )
    correlation = a.T @ b / len(a)
    of_true, of_found = linear_sum_assignment(-np.abs(correlation))
    return correlation[of_true, of_found], of_true, of_found


def mean_correlation(true, found):
    """Mean absolute correlation of matched latents (MCC); true latents without a partner count as 0."""
    return float(np.abs(match_latents(true, found)[0]).sum() / np.shape(true)[1])


def edge_scores(true_shifts, edges, of_true, of_found):
    """Precision, recall and F1 of `edges` (DataFrame of bool, perturbations by latents) for matched
    latents.

    Every true shift that is not 0 is a true edge. Edges of latents without a partner count as
    wrong.
    """
    true = true_shifts.loc[edges.index].to_numpy() != 0
    found = edges.to_numpy(dtype=bool)
    right = float((true[:, of_true] & found[:, of_found]).sum())
    precision, recall = right / max(found.sum(), 1), right / max(true.sum(), 1)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * right / max(found.sum() + true.sum(), 1),
    }
