"""Unmixing: pure functions, on latents of which the truth is known."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sbnn.mechanism_shift import graph, unmix
from sbnn.mechanism_shift.accuracy import align_with_truth, match_latents
from sbnn.mechanism_shift.unmixing import SpikeSlab

NAMES = np.arange(40).astype(str)
LABELS = np.repeat(NAMES, 60)  # of cells; the first perturbation shifts nothing


def simulate_latents(shift=4.0):
    """Mixed latents, and the truth: sparse shifts by perturbations, and the latents."""
    rng = np.random.default_rng(0)
    shifts = rng.choice([-1, 1], (40, 6)) * rng.normal(shift, 0.5, (40, 6))
    shifts[rng.random((40, 6)).argsort(axis=1) > 1] = 0
    shifts[0] = 0
    latents = shifts.repeat(60, axis=0) + rng.standard_normal((2400, 6))
    mixing = rng.standard_normal((6, 6)) + 2 * np.eye(6)
    truth = {"latents": latents, "shifts": pd.DataFrame(shifts, NAMES)}
    return latents @ mixing + 3.0, truth


@pytest.fixture(scope="module", params=[2.5, 8.0])
def mixed_and_truth(request):
    return simulate_latents(request.param)


@pytest.fixture(scope="module", params=[None, "0"], ids=["free origin", "control"])
def unmixing(mixed_and_truth, request):
    mixed, _ = mixed_and_truth
    return unmix(mixed, LABELS, request.param, random_state=1)


@pytest.fixture(scope="module")
def tables(mixed_and_truth, unmixing):
    """Effects, edges and true shifts, in the order and signs of the true latents."""
    mixed, truth = mixed_and_truth
    latents = unmixing.transform(mixed)
    return align_with_truth(truth, latents, graph=unmixing.graph, edges=unmixing.edges)


def test_mixed_latents_are_recovered(mixed_and_truth, unmixing):
    mixed, truth = mixed_and_truth
    correlation, _, _ = match_latents(truth["latents"], unmixing.transform(mixed))
    assert np.abs(correlation).min() > 0.99


def test_shifts_are_means_of_unmixed_latents(mixed_and_truth, unmixing):
    mixed, _ = mixed_and_truth
    means = pd.DataFrame(unmixing.transform(mixed)).groupby(LABELS).mean()
    assert_allclose(unmixing.shifts, means.loc[unmixing.shifts.index], atol=1e-6)


def test_effects_are_the_true_shifts(tables):
    errors = tables["effects"] - tables["true_shifts"]
    assert errors.abs().to_numpy().max() < 1.2


def test_edges_are_the_true_shifts(tables):
    right = tables["edges"] == (tables["true_shifts"] != 0)
    assert right.to_numpy().mean() > 0.98


def test_latents_are_in_order_of_their_shifts(unmixing):
    assert unmixing.shifts.abs().sum().is_monotonic_decreasing


def test_most_shifts_of_a_latent_are_positive(unmixing):
    signed_squares = unmixing.shifts * unmixing.shifts.abs()
    assert (signed_squares.sum() > 0).all()


def test_latents_may_be_lists():
    expected = unmix(MIXED, LABELS)
    assert np.array_equal(unmix(MIXED.tolist(), LABELS.tolist()).matrix, expected.matrix)


MIXED, _ = simulate_latents()
REPEATED = np.column_stack([MIXED, MIXED[:, 0]])
WITHOUT_VALUE = [[np.nan] * 6]
#: What is refused, and words of the message.
REFUSED = {}
REFUSED["repeated"] = (lambda: unmix(REPEATED, LABELS), "latents: .* repeat others")
REFUSED["table"] = (
    lambda: unmix(MIXED, LABELS[:, None]),
    "perturbation: expected a list of one for each cell, got ndarray",
)
REFUSED["columns"] = (
    lambda: unmix(MIXED, LABELS).transform(np.zeros((4, 5))),
    "latents: expected 6 columns.* got 5",
)
REFUSED["missing"] = (lambda: unmix(MIXED, LABELS).transform(WITHOUT_VALUE), "latents.* NaN")
REFUSED["fewer cells"] = (
    lambda: match_latents(np.eye(5), np.zeros((4, 2))),
    "estimated: expected as many cells .* 5, got 4",
)
REFUSED["missing estimate"] = (lambda: match_latents(np.eye(5), [[np.nan]] * 5), "estimated.* NaN")


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED)
def test_latents_that_do_not_fit_are_refused(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


MIXTURE = SpikeSlab(spike=0.2, size=3.0, sd=0.5, density=0.1)
SHIFTS = np.array([0.0, 1.2, -1.4, 3.0, -4.0])
SPIKE = 0.9 * stats.laplace(0, 0.2).pdf(SHIFTS)
SLAB = 0.05 * (stats.norm(3, 0.5).pdf(SHIFTS) + stats.norm(-3, 0.5).pdf(SHIFTS))


def test_density_of_shifts_is_that_of_a_mixture():
    assert_allclose(np.exp(MIXTURE.log_density(SHIFTS)), SPIKE + SLAB)


def test_probability_of_a_shift_is_that_of_the_slab():
    assert_allclose(MIXTURE.probability(SHIFTS), SLAB / (SPIKE + SLAB))


def test_noise_is_hardly_significant(rng):
    noise = rng.standard_normal((808, 5))
    assert graph.differ_from_zero(noise, np.ones((808, 1))).sum() <= 1


def test_noise_has_hardly_an_edge(rng):
    noise = rng.standard_normal((808, 5))
    names = np.repeat(np.arange(101).astype(str), 8)
    assert unmix(noise, names, "0").edges.to_numpy().sum() <= 1


def test_values_are_compared_with_their_errors():
    values = np.array([[1.0, -1.0], [2.5, 4.0]])
    significant = graph.differ_from_zero(values, np.array([[0.2], [1.0]]))
    assert significant.tolist() == [[True, True], [False, True]]


GROUPS = np.repeat([*"abcd"], [30, 60, 20, 40])


@pytest.fixture
def values(rng):
    """Two values of cells of four perturbations."""
    return rng.standard_normal((150, 2))


def test_perturbations_are_compared_with_0(values):
    comparison = graph.compare_with_control(values, GROUPS, None)
    means = pd.DataFrame(values).groupby(GROUPS).mean()
    assert_allclose(comparison.differences, means)
    assert_allclose(comparison.origin, [0, 0])
    assert_allclose(comparison.errors[:, 0], np.sqrt([1 / 30, 1 / 60, 1 / 20, 1 / 40]))


def test_perturbations_are_compared_with_the_control(values):
    comparison = graph.compare_with_control(values, GROUPS, "a")
    means = pd.DataFrame(values).groupby(GROUPS).mean()
    assert_allclose(comparison.differences, means.drop("a") - means.loc["a"])
    assert_allclose(comparison.origin, means.loc["a"])
    variances = np.array([1 / 60, 1 / 20, 1 / 40]) + 1 / 30
    assert_allclose(comparison.errors[:, 0], np.sqrt(variances))


@pytest.mark.parametrize("control", [None, "a"])
def test_residuals_are_within_perturbations(values, control):
    comparison = graph.compare_with_control(values, GROUPS, control)
    means = pd.DataFrame(values).groupby(GROUPS).transform("mean")
    assert_allclose(comparison.residuals, values - means)


def test_unit_variance_includes_the_uncertainty():
    """Of latents within a perturbation."""
    unmixing = unmix(MIXED, LABELS, variances=np.full(MIXED.shape, 2.0))
    residuals = MIXED - pd.DataFrame(MIXED).groupby(LABELS).transform("mean").to_numpy()
    within = residuals.T @ residuals / len(MIXED) + 2 * np.eye(6)
    assert_allclose(unmixing.matrix.T @ within @ unmixing.matrix, np.eye(6), atol=1e-9)
