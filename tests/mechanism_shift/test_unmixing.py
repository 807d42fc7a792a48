"""Unmixing: pure functions, on latents of which the truth is known."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sbnn.mechanism_shift import graph, unmix
from sbnn.mechanism_shift.accuracy import aligned, match_latents
from sbnn.mechanism_shift.unmixing import SpikeSlab


def made(size=4.0):
    """Mixed latents of cells that perturbations shift sparsely, their names, and the truth."""
    rng = np.random.default_rng(0)
    shifts = rng.choice([-1, 1], (40, 6)) * rng.normal(size, 0.5, (40, 6))
    shifts[rng.random((40, 6)).argsort(axis=1) > 1] = 0
    shifts[0] = 0
    codes = np.repeat(np.arange(40), 60)
    true = shifts[codes] + rng.standard_normal((2400, 6))
    mixing = rng.standard_normal((6, 6)) + 2 * np.eye(6)
    names = np.arange(40).astype(str)
    truth = {"latents": true, "shifts": pd.DataFrame(shifts, names)}
    return true @ mixing + 3.0, names[codes], truth


@pytest.mark.parametrize("control", [None, "0"])
@pytest.mark.parametrize("size", [2.5, 8.0])
def test_mixed_latents_and_their_graph_are_recovered(size, control):
    mixed, names, truth = made(size)
    found = unmix(mixed, names, control, random_state=1)
    latents = found.transform(mixed)
    means = pd.DataFrame(latents).groupby(names).mean().loc[found.shifts.index]
    assert_allclose(found.shifts, means, atol=1e-6)
    assert np.abs(match_latents(truth["latents"], latents)[0]).min() > 0.99
    shown = aligned(truth, latents, found.graph, found.edges)
    true = shown["true_shifts"]
    assert (shown["effects"] - true).abs().to_numpy().max() < 1.2
    assert (shown["edges"] == (true != 0)).to_numpy().mean() > 0.98
    assert found.shifts.abs().sum().is_monotonic_decreasing
    assert ((found.shifts * found.shifts.abs()).sum() > 0).all()


def test_latents_that_repeat_others_are_refused():
    mixed, names, _ = made()
    with pytest.raises(ValueError, match="latents: .* repeat others"):
        unmix(np.column_stack([mixed, mixed[:, 0]]), names)


def test_the_density_of_shifts_is_a_density_and_its_parts_give_the_probability():
    mixture = SpikeSlab(spike=0.2, size=3.0, sd=0.5, density=0.1)
    shifts = np.array([0.0, 1.2, -1.4, 3.0, -4.0])
    spike = 0.9 * stats.laplace(0, 0.2).pdf(shifts)
    slab = 0.05 * (stats.norm(3, 0.5).pdf(shifts) + stats.norm(-3, 0.5).pdf(shifts))
    assert_allclose(np.exp(mixture.log_density(shifts)), spike + slab)
    assert_allclose(mixture.probability(shifts), slab / (spike + slab))


def test_edges_exceed_sampling_errors_after_adjustment_for_the_number_of_tests(rng):
    noise = rng.standard_normal((808, 5))
    assert graph.significant(noise, np.ones((808, 1))).sum() <= 1
    names = np.repeat(np.arange(101).astype(str), 8)
    assert unmix(noise, names, "0").edges.to_numpy().sum() <= 1
    found = graph.significant(np.array([[1.0, -1.0], [2.5, 4.0]]), np.array([[0.2], [1.0]]))
    assert found.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize("control", [None, "a"])
def test_perturbations_are_compared_with_the_control_or_0(rng, control):
    names = np.repeat([*"abcd"], [30, 60, 20, 40])
    values = rng.standard_normal((150, 2))
    groups = pd.DataFrame(values).groupby(names)
    means = groups.mean()
    variances = 1 / groups[[0]].count()
    residuals = values - groups.transform("mean")
    origin = 0 * means.loc["a"]
    if control is not None:
        origin = means.loc["a"]
        means, variances = means.drop("a"), variances.drop("a") + 1 / 30
    expected = means - origin, origin, np.sqrt(variances), residuals
    for found, right in zip(graph.compared(values, names, control), expected, strict=True):
        assert_allclose(found, right)


def test_uncertain_latents_have_smaller_shifts_in_units_of_their_spread():
    mixed, names, _ = made()
    within = unmix(mixed, names).shifts
    uncertain = unmix(mixed, names, variances=np.full(mixed.shape, 2.0)).shifts
    assert uncertain.abs().to_numpy().sum() < within.abs().to_numpy().sum()
