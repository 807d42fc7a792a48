"""Comparison with the truth, and results that are computed once."""

from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pytest import approx
from scipy import stats

from sbnn.mechanism_shift import SparseShiftVAE, recovery, z_scored
from sbnn.mechanism_shift.accuracy import accuracy, held_out_bounds
from sbnn.mechanism_shift.graph import significant
from sbnn.mechanism_shift.records import compute_once

MODEL = SparseShiftVAE(3, hidden=8, epochs=2, random_state=0)


def test_shifts_of_new_perturbations_are_learned_from_other_cells_than_are_scored():
    model = Mock(random_state=0)
    cells = np.arange(1200)
    held_out_bounds(model, SimpleNamespace(counts=cells, perturbation=cells))
    learned, unlearned = model.fit_new_perturbations.call_args_list
    assert learned.kwargs["learn_shifts"] and not unlearned.kwargs["learn_shifts"]
    bound = model.fit_new_perturbations().iwelbo
    for fit, score in zip((learned, unlearned), bound.call_args_list, strict=True):
        counts, names, n_samples = score.args
        assert_array_equal(counts, names)
        assert len(counts) == 500 and n_samples == 100
        assert len(fit.args[0]) == 600 and not np.isin(fit.args[0], counts).any()


def test_networks_are_scored_on_held_out_cells_and_perturbations(adata):
    new = adata.obs["perturbation"].isin(["perturbation_38", "perturbation_39"])
    scores, found = recovery(MODEL, adata[~new], new=adata[new])
    assert scores["new_elbo"] < scores["new_iwelbo"] and scores["elbo"] < 0
    assert len(found["effects"]) == 38
    assert not hasattr(MODEL, "network_"), "a clone is fitted"


CALLS = []


def bounds(scale):
    CALLS.append(scale)
    return {"elbo": scale}


def test_results_are_computed_once_and_answer_their_question(adata, tmp_path):
    CALLS.clear()
    once = partial(compute_once, "fits", adata, MODEL, results=tmp_path / "shift_fits.pickle.xz")
    assert once(partial(bounds, 1), seeds=[0]).dataset == "simulated_screen"
    assert once(partial(bounds, 1), seeds=[0]).elbo == 1
    with pytest.raises(ValueError, match="differs in compute;"):
        once(partial(bounds, 2), seeds=[0])
    with pytest.raises(ValueError, match="differs in seeds;"):
        once(partial(bounds, 1), seeds=[1])
    assert CALLS == [1]


TRUE = np.array([[1.0, 0.0, 3.0], [2.0, 1.0, -1.0], [3.0, 0.5, 0.0], [5.0, -1.0, 1.0]])
FOUND = np.column_stack([-2 * TRUE[:, 2] + [0.1, 0, 0, 0], TRUE[:, 0], np.ones(4)])
THIRD = np.corrcoef(TRUE[:, 2], FOUND[:, 0])[0, 1]  # near -1
SHIFTS = pd.DataFrame([[3.0, 0, 0], [0, 2, -1], [0, 0, 0]], ["a", "b", "c"], ["x", "y", "z"])
TRUTH = {"latents": TRUE, "shifts": SHIFTS}
EDGES = pd.DataFrame([[True, True, False], [False, True, True]], ["b", "a"])


def test_precision_is_of_the_found_edges_and_recall_of_the_true_ones():
    # found: latents 2 and 0 of b, 0 and 1 of a; true: latents 1 and 2 of b, 0 of a
    expected = {"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7, "mcc": (1 - THIRD) / 3}
    found = accuracy(TRUTH, FOUND, EDGES)
    assert {name: found[name] for name in expected} == approx(expected)
    none = pd.DataFrame(False, ["c"], range(2))
    without = accuracy(TRUTH, FOUND[:, :2], none)
    assert without["f1"] == 0 and without["mcc"] == approx((1 - THIRD) / 3)


def test_differences_of_genes_are_z_scored_against_the_control(adata, screen):
    differences, changed = z_scored(adata)
    counts = screen.counts.toarray()
    z = stats.zscore(np.log1p(1000 * counts / counts.sum(axis=1, keepdims=True)))
    means = pd.DataFrame(z, columns=screen.gene_names).groupby(screen.perturbation).mean()
    expected = (means - means.loc[screen.control]).drop(screen.control)
    pd.testing.assert_frame_equal(differences, expected, check_names=False)
    errors = np.full((40, 1), np.sqrt(1 / 60 + 1 / 100))
    assert_array_equal(changed, significant(expected.to_numpy(), errors))


def test_published_scores_match_signed_correlations_and_count_untrained_perturbations():
    latents = np.random.default_rng(0).normal(size=(200, 2))
    found = np.column_stack([-np.exp(latents[:, 0]), np.exp(latents[:, 1])])
    shifts = pd.DataFrame([[3.0, 0], [0, 2], [1, 0]], ["a", "b", "untrained"])
    truth = {"latents": latents, "shifts": shifts}
    edges = pd.DataFrame([[True, False], [False, True]], ["a", "b"])
    scores = accuracy(truth, found, edges)
    assert scores["f1"] == 1 and scores["f1_published"] == approx(2 * 2 / (2 + 3))
    crossed = accuracy(truth, found[:, ::-1] * [-1, 1], edges.iloc[:, ::-1])
    assert crossed["f1"] == 1 and crossed["f1_published"] == 0, "both signs are against it"
    assert scores["mcc_rank"] == approx(1) and scores["mcc"] < 0.9
    predicted = np.column_stack([np.ones(200), found])
    fit = predicted @ np.linalg.lstsq(predicted, latents, rcond=None)[0]
    expected = 1 - (latents - fit).var(axis=0) / latents.var(axis=0)
    assert scores["r2"] == approx(expected.mean())
