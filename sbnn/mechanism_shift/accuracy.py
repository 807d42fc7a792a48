"""Accuracy of the latents and the shift graph of a model."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from sbnn.determinism import reproducible
from sbnn.errors import check_among
from sbnn.mechanism_shift.data import Screen, as_screen, check_cells_with_counts
from sbnn.mechanism_shift.graph import (
    compare_with_control,
    differ_from_zero,
    edges_of,
    largest_shifts,
    pivot_graph,
)
from sbnn.mechanism_shift.unmixing import unmix

MOST_NEW_CELLS = 500  # of new perturbations that are scored
SAMPLES_OF_NEW_CELLS = 100  # of the latents of each of them
EDGE_RULES = ("probable", "largest", "unmixed")


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
    aligned : dict
        The DataFrames ``effects``, ``edges`` and ``true_shifts`` (perturbations by latents), in
        the order and signs of the true latents.

    Raises
    ------
    ValueError
        If the screen has no true latents, or `edges` is invalid.
    """
    check_among("edges", edges, EDGE_RULES)
    screen = _as_simulated_screen(adata)
    with reproducible():  # also for the correlations and projections
        started = time.process_time()
        fitted = clone(model).fit(screen.counts, screen.perturbation, screen.control)
        latents = fitted.transform(screen.counts)
        graph = fitted.shift_graph_
        if edges == "unmixed":
            unmixing = unmix(
                latents,
                screen.perturbation,
                screen.control,
                random_state=fitted.random_state or 0,
            )
            latents = unmixing.transform(latents)
            graph = unmixing.graph
        if edges == "largest":
            estimated_edges = largest_shifts(pivot_graph(graph, "effect"))
        else:
            estimated_edges = edges_of(graph)
        seconds = time.process_time() - started
        scores = recovery_scores(screen.truth, latents, estimated_edges)
    if hasattr(fitted, "elbo"):
        validation = fitted.validation_
        scores["elbo"] = fitted.elbo(screen.counts[validation], screen.perturbation[validation])
        if new is not None:
            scores |= new_perturbation_bounds(fitted, as_screen(new))
    scores["seconds"] = seconds
    return scores, align_with_truth(screen.truth, latents, graph=graph, edges=estimated_edges)


def _as_simulated_screen(adata):
    """A screen whose true latents are known."""
    screen = as_screen(adata)
    if "latents" not in screen.truth:
        raise ValueError("adata: expected a simulated screen, whose true latents are known")
    return screen


def new_perturbation_bounds(model: BaseEstimator, new: Screen) -> dict[str, float]:
    """Bounds of new perturbations, before and after their shifts are learned; see `recovery`."""
    # cells whose shifts are learned are not scored
    rng = np.random.default_rng(model.random_state)
    order = rng.permutation(len(new.perturbation))
    learn = order[::2]
    test = order[1::2][:MOST_NEW_CELLS]
    counts = new.counts[test]
    perturbation = new.perturbation[test]
    fit = partial(model.fit_new_perturbations, new.counts[learn], new.perturbation[learn])
    learned = fit(learn_shifts=True)
    unlearned = fit(learn_shifts=False)
    return {
        "new_elbo": learned.elbo(counts, perturbation),
        "new_iwelbo": learned.iwelbo(counts, perturbation, SAMPLES_OF_NEW_CELLS),
        "new_elbo_before": unlearned.elbo(counts, perturbation),
        "new_iwelbo_before": unlearned.iwelbo(counts, perturbation, SAMPLES_OF_NEW_CELLS),
    }


def align_with_truth(
    truth: dict, latents: np.ndarray, graph: pd.DataFrame, edges: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Effects and edges, in the order and signs of the true latents."""
    correlation, true_order, order = match_latents(truth["latents"], latents)
    shifts = truth["shifts"].loc[edges.index]
    true_shifts = shifts.iloc[:, true_order]
    effects = pivot_graph(graph, "effect").iloc[:, order]
    effects.columns = true_shifts.columns
    matched_edges = edges.iloc[:, order]
    matched_edges.columns = true_shifts.columns
    return {
        "effects": effects * np.sign(correlation),
        "edges": matched_edges,
        "true_shifts": true_shifts,
    }


def match_latents(
    true: ArrayLike, estimated: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match estimated (n, d) to true latents (n, k) by absolute correlation (Hungarian method).

    Returns the signed correlation of each pair, and the positions of its true and estimated latent.
    A ValueError is raised if the numbers of cells differ, or values are not finite.
    """
    true_latents = check_array(true, dtype=float, input_name="true")
    estimated_latents = check_array(estimated, dtype=float, input_name="estimated")
    if len(true_latents) != len(estimated_latents):
        raise ValueError(
            f"estimated: expected as many cells as true latents have, {len(true_latents)}, got "
            f"{len(estimated_latents)}"
        )
    correlation = correlations(true_latents, estimated_latents)
    true_positions, positions = linear_sum_assignment(-np.abs(correlation))
    return correlation[true_positions, positions], true_positions, positions


def correlations(true: ArrayLike, estimated: ArrayLike) -> np.ndarray:
    """Correlations of all true (n, k) with all estimated latents (n, d), 0 if one is constant."""
    n_true = np.shape(true)[1]
    with np.errstate(invalid="ignore"):
        of_all = np.corrcoef(np.asarray(true), np.asarray(estimated), rowvar=False)
    return np.nan_to_num(of_all[:n_true, n_true:])


def recovery_scores(truth: dict, latents: np.ndarray, edges: pd.DataFrame) -> dict[str, float]:
    """Scores of latents and of `edges` (bool, perturbations by latents); see `recovery`.

    Unmatched true latents have a correlation of 0; edges of unmatched estimated latents are wrong.
    """
    true_latents = truth["latents"]
    n_true = np.shape(true_latents)[1]
    regression = LinearRegression().fit(latents, true_latents)
    scores = {"r2": regression.score(latents, true_latents)}
    correlation, true_positions, positions = match_latents(true_latents, latents)
    scores["mcc"] = float(np.abs(correlation).sum() / n_true)
    true_ranks = rankdata(true_latents, axis=0)
    ranks = rankdata(latents, axis=0)
    rank_correlation, _, _ = match_latents(true_ranks, ranks)
    scores["mcc_rank"] = float(np.abs(rank_correlation).sum() / n_true)
    true_edges = truth["shifts"] != 0
    # the published score counts perturbations without cells, and an inverted latent as another one
    signed = correlations(true_latents, latents)
    published_match = linear_sum_assignment(-signed)
    scores["f1_published"] = edge_scores(true_edges, edges, published_match)["f1"]
    with_cells = true_edges.loc[edges.index]
    return scores | edge_scores(with_cells, edges, (true_positions, positions))


def edge_scores(
    true_edges: pd.DataFrame,
    edges: pd.DataFrame,
    match: tuple[np.ndarray, np.ndarray],
) -> dict[str, float]:
    """Precision, recall and F1 of edges, given the positions of true latents and their matches."""
    true_positions, positions = match
    estimated = edges.reindex(true_edges.index, fill_value=False).to_numpy()
    true = true_edges.to_numpy()
    correct = true[:, true_positions] & estimated[:, positions]
    n_correct = correct.sum()
    n_estimated = estimated.sum()
    n_true = true.sum()
    # 0 if there is no edge at all
    return {
        "precision": n_correct / max(n_estimated, 1),
        "recall": n_correct / max(n_true, 1),
        "f1": 2 * n_correct / max(n_estimated + n_true, 1),
    }


def z_score_expression(adata: AnnData | Screen) -> tuple[pd.DataFrame, pd.DataFrame]:
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

    Raises
    ------
    TypeError
        If `adata` is no screen.
    ValueError
        If a cell has no counts.
    """
    screen = as_screen(adata)
    check_cells_with_counts(screen.counts)
    totals = screen.counts.sum(axis=1)
    fractions = screen.counts.toarray() / totals[:, None]
    z_scores = StandardScaler().fit_transform(np.log1p(1e3 * fractions))
    # z-scores of all cells have a mean of 0
    comparison = compare_with_control(z_scores, screen.perturbation, screen.control)
    differences = comparison.differences
    differences.columns = screen.gene_names
    changed = differ_from_zero(differences, comparison.errors)
    return differences, pd.DataFrame(changed, differences.index, differences.columns)


def recovery_of_genes(adata: AnnData) -> dict[str, float]:
    """Scores as those of `recovery`, of z-scored differences of single genes.

    The gene that correlates most with it represents each true latent; the two largest differences
    of each perturbation are edges.
    """
    screen = _as_simulated_screen(adata)
    started = time.process_time()
    differences, _ = z_score_expression(screen)
    logs = np.log1p(screen.counts.toarray())
    _, _, genes = match_latents(screen.truth["latents"], logs)
    edges = largest_shifts(differences.iloc[:, genes])
    seconds = time.process_time() - started
    scores = recovery_scores(screen.truth, logs[:, genes], edges)
    scores["seconds"] = seconds
    return scores
