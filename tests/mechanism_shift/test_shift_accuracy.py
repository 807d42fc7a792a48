"""Comparison with the truth."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from material.cells import without_counts
from material.estimators import quick
from numpy.testing import assert_array_equal
from pytest import approx
from scipy import stats
from sklearn.base import clone

from sbnn.mechanism_shift import (
    SparseShiftVAE,
    recovery,
    recovery_of_genes,
    z_score_expression,
)
from sbnn.mechanism_shift.accuracy import new_perturbation_bounds, recovery_scores
from sbnn.mechanism_shift.graph import differ_from_zero

MODEL = quick(SparseShiftVAE, n_latent=3, random_state=0)


@pytest.fixture
def new_cells():
    """A model that only records its calls, after the bounds of 1200 new cells."""
    model = Mock(random_state=0)
    cells = np.arange(1200)
    new_perturbation_bounds(model, SimpleNamespace(counts=cells, perturbation=cells))
    return model


def test_shifts_are_learned_once_and_once_not(new_cells):
    learned, unlearned = new_cells.fit_new_perturbations.call_args_list
    assert learned.kwargs == {"learn_shifts": True}
    assert unlearned.kwargs == {"learn_shifts": False}


def test_cells_whose_shifts_are_learned_are_not_scored(new_cells):
    bound = new_cells.fit_new_perturbations.return_value.iwelbo
    for fit, score in zip(
        new_cells.fit_new_perturbations.call_args_list, bound.call_args_list, strict=True
    ):
        learned_cells = fit.args[0]
        scored_cells, labels, n_samples = score.args
        assert len(learned_cells) == 600
        assert len(scored_cells) == 500
        assert n_samples == 100
        assert_array_equal(scored_cells, labels)
        assert not np.isin(learned_cells, scored_cells).any()


@pytest.fixture(scope="module")
def recovered(adata):
    """Scores and tables of a network, with two held-out perturbations."""
    new = adata.obs["perturbation"].isin(["perturbation_38", "perturbation_39"])
    return *recovery(MODEL, adata[~new], new=adata[new]), adata[~new]


def test_networks_are_scored_on_cells_set_aside(recovered):
    scores, _, known = recovered
    fitted = clone(MODEL).fit(known)
    cells = known[fitted.validation_]
    assert scores["elbo"] == approx(fitted.elbo(cells, cells.obs["perturbation"]))


def test_networks_are_scored_on_new_perturbations(recovered):
    scores, *_ = recovered
    assert scores["new_elbo"] < scores["new_iwelbo"]


def test_tables_have_the_perturbations_of_the_fit(recovered):
    _, tables, _ = recovered
    assert list(tables["effects"].index) == [f"perturbation_{i:02d}" for i in range(38)]


def test_recovery_fits_a_clone(recovered):
    assert not hasattr(MODEL, "network_")


TRUE = np.array([[1.0, 0.0, 3.0], [2.0, 1.0, -1.0], [3.0, 0.5, 0.0], [5.0, -1.0, 1.0]])
FOUND = np.column_stack([-2 * TRUE[:, 2] + [0.1, 0, 0, 0], TRUE[:, 0], np.ones(4)])
THIRD = np.corrcoef(TRUE[:, 2], FOUND[:, 0])[0, 1]  # near -1
SHIFTS = pd.DataFrame([[3.0, 0, 0], [0, 2, -1], [0, 0, 0]], ["a", "b", "c"], ["x", "y", "z"])
TRUTH = {"latents": TRUE, "shifts": SHIFTS}
# found: latents 2 and 0 of b, 0 and 1 of a; true: latents 1 and 2 of b, 0 of a
EDGES = pd.DataFrame([[True, True, False], [False, True, True]], ["b", "a"])


@pytest.mark.parametrize(
    ("score", "expected"),
    [("precision", 2 / 4), ("recall", 2 / 3), ("f1", 4 / 7), ("mcc", (1 - THIRD) / 3)],
)
def test_scores_of_three_latents(score, expected):
    scores = recovery_scores(TRUTH, FOUND, EDGES)
    assert scores[score] == approx(expected)


def test_scores_without_edges_and_with_fewer_latents():
    no_edge = pd.DataFrame(False, ["c"], range(2))
    scores = recovery_scores(TRUTH, FOUND[:, :2], no_edge)
    assert scores["f1"] == 0
    assert scores["mcc"] == approx((1 - THIRD) / 3)


@pytest.fixture(scope="module")
def gene_differences(screen):
    """Expected differences of z-scored genes from the control."""
    counts = screen.counts.toarray()
    fractions = counts / counts.sum(axis=1, keepdims=True)
    z = stats.zscore(np.log1p(1000 * fractions))
    means = pd.DataFrame(z, columns=screen.gene_names).groupby(screen.perturbation).mean()
    return (means - means.loc[screen.control]).drop(screen.control)


def test_genes_are_z_scored_against_the_control(adata, gene_differences):
    differences, _ = z_score_expression(adata)
    pd.testing.assert_frame_equal(differences, gene_differences, check_names=False)


def test_changed_genes_exceed_the_sampling_error(adata, gene_differences):
    _, changed = z_score_expression(adata)
    errors = np.full((40, 1), np.sqrt(1 / 60 + 1 / 100))
    assert_array_equal(changed, differ_from_zero(gene_differences.to_numpy(), errors))


def without_truth(adata):
    measured = adata.copy()
    del measured.obsm["true_latents"]
    return measured


@pytest.mark.parametrize(
    ("compute", "change", "words"),
    [
        (z_score_expression, without_counts, "counts: .* at positions 3"),
        (recovery_of_genes, without_truth, "adata: expected a simulated screen"),
    ],
)
def test_screens_that_are_no_comparison_are_refused(compute, change, words, adata):
    with pytest.raises(ValueError, match=words):
        compute(change(adata))


@pytest.fixture
def latents():
    return np.random.default_rng(0).normal(size=(200, 2))


@pytest.fixture
def monotone(latents):
    """Latents that are monotone functions of the true ones; the first one is inverted."""
    return np.column_stack([-np.exp(latents[:, 0]), np.exp(latents[:, 1])])


@pytest.fixture
def truth(latents):
    """Two latents, and shifts of two perturbations with cells and of one without."""
    shifts = pd.DataFrame([[3.0, 0], [0, 2], [1, 0]], ["a", "b", "untrained"])
    return {"latents": latents, "shifts": shifts}


RIGHT_EDGES = pd.DataFrame([[True, False], [False, True]], ["a", "b"])


def test_published_score_counts_untrained_perturbations(truth, monotone):
    scores = recovery_scores(truth, monotone, RIGHT_EDGES)
    assert scores["f1"] == 1
    assert scores["f1_published"] == approx(2 * 2 / (2 + 3))


def test_published_score_matches_signed_correlations(truth, monotone):
    crossed = monotone[:, ::-1] * [-1, 1]  # both signs are against it
    scores = recovery_scores(truth, crossed, RIGHT_EDGES.iloc[:, ::-1])
    assert scores["f1"] == 1
    assert scores["f1_published"] == 0


def test_ranks_of_monotone_latents_correlate(truth, monotone):
    scores = recovery_scores(truth, monotone, RIGHT_EDGES)
    assert scores["mcc_rank"] == approx(1)
    assert scores["mcc"] < 0.9


def test_r2_is_of_a_linear_regression(truth, latents, monotone):
    predictors = np.column_stack([np.ones(200), monotone])
    coefficients = np.linalg.lstsq(predictors, latents, rcond=None)[0]
    residuals = latents - predictors @ coefficients
    expected = 1 - residuals.var(axis=0) / latents.var(axis=0)
    scores = recovery_scores(truth, monotone, RIGHT_EDGES)
    assert scores["r2"] == approx(expected.mean())
