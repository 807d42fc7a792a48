"""Comparison with the truth, and results that are computed once."""

import numpy as np
import pandas as pd
import pytest
from short_recipes import TINY

from sbnn.mechanism_shift import SparseShiftVAE, recovery, report
from sbnn.mechanism_shift.accuracy import aligned, edge_scores, match_latents, mean_correlation
from sbnn.mechanism_shift.graph import graph_table
from sbnn.mechanism_shift.linear import LinearShift
from sbnn.mechanism_shift.records import compute_once

MODEL = SparseShiftVAE(3, recipe=TINY, random_state=0)


def test_scores_of_a_match():
    rng = np.random.default_rng(0)
    true = rng.standard_normal((500, 3))
    found = -true[:, [2, 0, 1]]
    correlation, of_true, of_found = match_latents(true, found)
    assert of_found.tolist() == [1, 2, 0] and np.allclose(correlation, -1)
    assert mean_correlation(true, found) == pytest.approx(1)
    assert mean_correlation(true, found[:, :2]) == pytest.approx(2 / 3)  # a latent that is not found counts as 0
    shifts = pd.DataFrame([[5.0, 0, 0], [0, 5, 0]], ["a", "b"])
    edges = pd.DataFrame([[False, True, False], [True, True, False]], ["a", "b"])
    scores = edge_scores(shifts, edges, of_true, of_found)  # a: right; b: latent 0 wrong, latent 2 of it missed
    assert scores == {"precision": pytest.approx(1 / 3), "recall": 0.5, "f1": pytest.approx(0.4)}


def test_what_is_shown_is_in_the_order_and_with_the_signs_of_the_truth(screen):
    true, order = screen.truth["latents"], [2, 0, 1, 4, 3]
    shifts = screen.truth["shifts"].loc[screen.targets]
    found = pd.DataFrame(-shifts.to_numpy()[:, order], shifts.index, [f"latent_{i}" for i in range(5)])
    shown = aligned(screen, -true[:, order], graph_table(found.index, found, found.abs()), found != 0)
    np.testing.assert_allclose(shown["effects"], shown["true_shifts"])
    np.testing.assert_allclose(shown["latents"], shown["true_latents"], rtol=1e-5)
    assert np.array_equal(shown["edges"], shown["true_shifts"].to_numpy() != 0)


def test_edges_are_the_largest_shifts_or_those_of_unmixed_latents(adata):
    mixed, found = recovery(LinearShift(5, "none"), adata, "largest")
    assert (found["edges"].sum(axis=1) == 2).all() and set(mixed) == {"mcc", "precision", "recall", "f1", "seconds"}
    unmixed, _ = recovery(LinearShift(5), adata, "unmixed")
    assert unmixed["mcc"] > mixed["mcc"] + 0.1 and unmixed["f1"] > 0.6
    with pytest.raises(ValueError, match="edges: "):
        recovery(LinearShift(5), adata, "all")


def test_shifts_of_new_perturbations_are_learned_from_other_cells_than_are_scored(adata, monkeypatch):
    new = adata.obs["perturbation"].isin(adata.obs["perturbation"].cat.categories[-10:])
    seen, learn = [], SparseShiftVAE.fit_new_perturbations

    def cells(counts):
        return {row.tobytes() for row in counts.toarray()}

    def watched(model, counts, names, learned):
        seen.append((cells(counts), learned))
        return learn(model, counts, names, learned)

    monkeypatch.setattr(SparseShiftVAE, "fit_new_perturbations", watched)
    monkeypatch.setattr(SparseShiftVAE, "iwelbo", lambda model, counts, names, n: seen.append(cells(counts)) or 0.0)
    scores, _ = recovery(MODEL, adata[~new], new=adata[new])
    (learn_on, _), test, *_ = seen
    assert seen == [(learn_on, True), test, (learn_on, False), test] and len(learn_on) == len(test) == 300
    assert not learn_on & test and scores["new_elbo"] > scores["new_elbo_before"]
    assert not hasattr(MODEL, "network_"), "a clone is fitted"


def test_results_are_computed_once_and_answer_their_question(adata, tmp_path):
    how = {"results": tmp_path / "shift_fits.pickle", "seeds": [0]}
    record = compute_once("fits", adata, MODEL, lambda: {"elbo": np.ones(2)}, **how)
    again = compute_once("fits", adata, MODEL, pytest.fail, **how)
    assert again.elbo.tolist() == record.elbo.tolist() and record.dataset == "simulated_screen" and record.seed == 0
    with pytest.raises(ValueError, match="another seeds"):
        compute_once("fits", adata, MODEL, pytest.fail, **how | {"seeds": [1]})
    sizes = compute_once("varied", {"n_genes": 40}, MODEL, dict, params={"of": "shift"})
    assert (
        sizes.settings["configuration"] == {"n_genes": 40} and sizes.seed is None and sizes.params == [{"of": "shift"}]
    )


def test_false_discovery_rate_counts_permuted_effects_as_large_as_the_smallest_edge():
    effects = pd.DataFrame([[4.0, 0.1], [0.2, -2.0], [0.0, 0.3]], list("abc"), ["x", "y"])
    graph = graph_table(effects.index, effects, (effects.abs() > 1).astype(float))
    null = np.array([0.1] * 11 + [2.5])  # twelve pairs of two fits: half a false edge is expected of six
    assert report.false_discovery_rate(graph, null) == pytest.approx(0.5 / 2)
    assert report.false_discovery_rate(graph, np.zeros(5)) == 0
    assert np.isnan(report.false_discovery_rate(graph_table(effects.index, effects, effects * 0), null))
