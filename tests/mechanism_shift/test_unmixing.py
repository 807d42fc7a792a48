"""Unmixing: pure functions, on latents of which the truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from sbnn.mechanism_shift import LinearShift, graph, unmix, unmixing
from sbnn.mechanism_shift.accuracy import accuracy, match_latents
from sbnn.mechanism_shift.unmixing import SpikeSlab, fit_spike_slab


def made(n_latents=6, n_perturbations=40, n_cells=60, size=4.0, targets=2, seed=0, control=False):
    """Cells that perturbations shift sparsely: latents, mixed latents, names and true shifts."""
    rng = np.random.default_rng(seed)
    shifts = np.zeros((n_perturbations, n_latents))
    for row in shifts:
        chosen = rng.choice(n_latents, targets, replace=False)
        row[chosen] = rng.choice([-1, 1], targets) * rng.normal(size, 0.5, targets)
    names = np.array([f"p{i:02d}" for i in range(n_perturbations)], dtype="U8")
    if control:
        shifts[0], names[0] = 0.0, "ctrl"
    codes = np.repeat(np.arange(n_perturbations), n_cells)
    true = shifts[codes] + rng.standard_normal((len(codes), n_latents))
    mixing = rng.standard_normal((n_latents, n_latents)) + 2 * np.eye(n_latents)
    return true, true @ mixing + 3.0, names[codes], pd.DataFrame(shifts, names)


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("size", [2.5, 8.0])
def test_mixed_latents_and_their_graph_are_recovered(size, control):
    true, mixed, names, shifts = made(size=size, control=control)
    found = unmix(mixed, names, "ctrl" if control else None, random_state=1)
    latents = found.transform(mixed)
    means = pd.DataFrame(latents).groupby(names).mean().loc[found.shifts.index]
    np.testing.assert_allclose(found.shifts, means, atol=1e-6)
    correlation, of_true, of_found = match_latents(true, latents)
    assert np.abs(correlation).min() > 0.99
    truth = {"latents": true, "shifts": shifts}
    assert accuracy(truth, latents, found.edges)["f1"] > 0.97
    effects = found.shifts.to_numpy()[:, of_found] * np.sign(correlation)
    expected = shifts.loc[found.shifts.index].to_numpy()[:, of_true]
    assert np.abs(effects - expected).max() < (1.2 if control else 0.8)
    assert "ctrl" not in found.shifts.index
    assert found.shifts.abs().sum().is_monotonic_decreasing
    assert ((found.shifts * found.shifts.abs()).sum() > 0).all()
    assert found.graph["effect"].tolist() == found.shifts.to_numpy().ravel().tolist()


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_size_spread_and_density_of_shifts_are_estimated(share):
    rng = np.random.default_rng(0)
    n = 4000
    moved = rng.random(n) < share
    large = rng.choice([-1, 1], n) * rng.normal(3, 0.6, n)
    shifts = np.where(moved, large, rng.laplace(0, 0.2, n))
    fit = fit_spike_slab(shifts, 1e-4)
    assert fit.size == pytest.approx(3, abs=0.1)
    assert fit.sd == pytest.approx(0.6, abs=0.1)
    assert fit.density == pytest.approx(share, abs=0.02)
    assert fit.spike == pytest.approx(0.2, abs=0.03)
    assert ((fit.probability(shifts) > 0.5) == moved).mean() > 0.99


def test_bad_latents_are_named():
    _, mixed, names, _ = made(n_cells=5)
    with pytest.raises(ValueError, match="latents: .* repeat others"):
        unmix(np.column_stack([mixed, mixed[:, 0]]), names)
    with pytest.raises(ValueError, match="variances: expected the shape of latents"):
        unmix(mixed, names, variances=np.ones((len(mixed), 1)))


def test_the_density_of_shifts_is_a_density_and_its_parts_give_the_probability():
    mixture = SpikeSlab(spike=0.2, size=3.0, sd=0.5, density=0.1)
    shifts = np.array([0.0, 1.2, -1.4, 3.0, -4.0])
    spike = 0.9 * stats.laplace(0, 0.2).pdf(shifts)
    slab = 0.05 * (stats.norm(3, 0.5).pdf(shifts) + stats.norm(-3, 0.5).pdf(shifts))
    np.testing.assert_allclose(np.exp(mixture.log_density(shifts)), spike + slab)
    np.testing.assert_allclose(mixture.probability(shifts), slab / (spike + slab))


def test_the_spike_is_at_least_as_wide_as_the_sampling_error_and_the_slab_as_the_spike():
    shifts = np.array([0.1, -2.0, 0.0, 0.2, 2.5, -0.1, 0.05, 0.3, 0.1, 3.1])
    fit = fit_spike_slab(shifts, 0.3)
    assert fit.spike == 0.3 <= fit.sd
    still = fit_spike_slab(np.zeros(4), 0.3)
    assert still.spike == still.sd == 0.3 and still.size == 0


def test_the_mode_is_the_mean_of_the_densest_half_of_the_densest_half():
    values = np.array([0.0, 5.0, 0.3, 0.1, 7.0, 9.0])  # densest: 0, .1, .3
    other = np.array([9.0, 1.0, 1.3, 1.1, 4.0, -3.0])  # densest: 1, 1.1, 1.3
    modes = unmixing._mode(np.stack([values, other], axis=1))
    assert modes == pytest.approx([0.4 / 3, 3.4 / 3])


def test_edges_exceed_sampling_errors_after_adjustment_for_the_number_of_tests():
    rng = np.random.default_rng(0)
    shifts = rng.standard_normal((100, 5))
    assert graph.significant(shifts, np.ones((100, 1))).sum() <= 1
    errors = np.array([[0.2], [1.0]])
    found = graph.significant(np.array([[1.0, -1.0], [1.0, 4.0]]), errors)
    assert found.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize("control", [None, "0"])
def test_standard_errors_of_shifts_are_those_of_repeated_screens(monkeypatch, control):
    rng = np.random.default_rng(0)
    sizes = np.array([30, 60, 20, 40])
    names = np.repeat(list("0123"), sizes)
    given = []
    monkeypatch.setattr(unmixing, "significant", lambda shifts, errors: given.append(errors) or 1)
    unmix(rng.standard_normal((150, 2)), names, control)
    expected = 1 / sizes if control is None else 1 / sizes[1:] + 1 / 30
    np.testing.assert_allclose(given[0].ravel(), np.sqrt(expected))


def test_uncertain_latents_have_smaller_shifts_in_units_of_their_spread():
    _, mixed, names, _ = made(n_latents=3, n_perturbations=9)
    within = unmix(mixed, names).shifts
    variances = np.full(mixed.shape, mixed.var(axis=0))
    uncertain = unmix(mixed, names, variances=variances).shifts
    assert uncertain.abs().to_numpy().sum() < within.abs().to_numpy().sum()


def test_edges_are_probable_or_large_shifts_in_the_order_of_the_graph():
    effects = [[0.1, -3.0, 0.2], [1.0, 1.0, -1.0]]
    probabilities = [[0.5, 0.6, 0.0], [1.0, 0.2, 0.51]]
    table = graph.graph_table(["q", "p"], np.array(effects), probabilities)
    assert graph.wide(table, "effect").to_numpy().tolist() == effects
    assert graph.edges_of(table).to_numpy().tolist() == [[False, True, False], [True, False, True]]
    largest = graph.largest_shifts(table).to_numpy().tolist()
    assert largest == [[False, True, True], [True, True, False]]


def test_shifts_of_linear_latents_are_in_standard_deviations_within_a_perturbation(monkeypatch):
    latents = np.array([[0.0, 2], [2, 4], [5, 0], [7, 2], [1, 1], [1, 3]])
    names = np.array(["b", "b", "a", "a", "none", "none"])
    sd = np.sqrt([(1 + 1 + 1 + 1 + 0 + 0) / 6, 1.0])
    monkeypatch.setattr(LinearShift, "transform", lambda *_: latents)
    counts = sparse.csr_array(np.abs(latents))
    found = LinearShift(2).fit(counts, names, "none").shift_graph_
    np.testing.assert_allclose(graph.wide(found, "effect"), [[5, -1], [0, 1]] / sd)
    free = graph.wide(LinearShift(2).fit(counts, names).shift_graph_, "effect")
    np.testing.assert_allclose(free.loc["a"], ([6.0, 1] - latents.mean(axis=0)) / sd)
