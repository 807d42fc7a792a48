"""Grids, weighted means of past values and relaxation, against integrals and known curves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.integrate import quad

from sbnn.dynamics.paths import LEAST_NOISE, N_BETWEEN, RATES, Clock, relaxation

TIMES = np.array([1.0, 3, 4, 8, 10])


def test_the_grid_divides_every_interval():
    clock = Clock(np.stack([TIMES, TIMES + 5]))
    assert clock.unit == 2.25
    assert clock.grid.shape == (1, 4 * N_BETWEEN + 1)
    assert_allclose(clock.grid[0, clock.observed] * clock.unit, TIMES - 1)
    assert_allclose(np.diff(clock.grid[0, :7]) * clock.unit, 2 / N_BETWEEN)


def test_samples_with_other_times_have_grids_of_their_own():
    clock = Clock(np.stack([TIMES, TIMES**2]))
    assert clock.grid.shape == (2, 25)
    assert clock.unit == approx((9 + 99) / 8)
    assert_allclose(clock.grid[1, clock.observed] * clock.unit, TIMES**2 - 1)


def test_repeated_times_are_not_seen():
    clock = Clock(np.array([[0, 1, 2, 2], [0, 1, 2, 3]]))
    assert clock.unit == 1
    assert_array_equal(clock.seen, [[1, 1, 1, 0], [1, 1, 1, 1]])
    later = clock.later_memory(0.5)
    memory = clock.memory(0.5)
    assert not later[0, 2].any()
    assert_array_equal(later[1], memory[1, [6, 12, 18]])
    assert_array_equal(later[0, :2], memory[0, [6, 12]])


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.3, 5.0])
def test_memory_is_the_integral_of_a_piecewise_linear_past(rate):
    clock = Clock(TIMES[None])
    f = np.random.default_rng(0).random(25)
    memory = clock.memory(rate)[0]
    grid = clock.grid[0]
    for i in (1, 7, 24):

        def weighted(s, end=grid[i]):
            return rate * np.exp(-rate * (end - s)) * np.interp(s, grid, f)

        total = sum(quad(weighted, grid[k], grid[k + 1])[0] for k in range(i))
        assert memory[i] @ f == approx(total, rel=1e-9, abs=1e-15)
    assert_allclose(clock.left(rate)[0], np.exp(-rate * grid))
    assert_allclose(memory.sum(axis=1), 1 - clock.left(rate)[0], atol=1e-9)
    assert not memory[0].any()
    assert not np.triu(memory, 1).any()


@pytest.fixture
def relaxed():
    """Two samples, of five and three times, of genes that relax by 0 to 0.3, with noise 0.01."""
    times = np.array([[0.0, 1, 2, 4, 5], [1.0, 3, 4, 4, 4]])
    noise = np.array([[1, -1, 1, 1, -1], [-1, 1, -1, 5, 5]])[..., None]
    left = np.exp(-0.5 * (times - times[:, :1]))[..., None]
    change = np.linspace(0, 0.3, 101) * (1 - left)
    return Clock(times), 0.3 + change, 0.3 + 0.01 * noise + change


def test_genes_relax_at_their_rates(relaxed):
    clock, true, values = relaxed
    paths, rates, sd = relaxation(values, clock)
    assert sd == approx(0.013, rel=0.01)
    assert rates[-1] in RATES
    assert rates[-1] == approx(0.5 * clock.unit, rel=0.12)
    found = paths[:, clock.observed, -1]
    assert_allclose(found[0], true[0, :, -1], atol=0.015)
    assert_allclose(found[1, :3], true[1, :3, -1], atol=0.015)


def test_genes_that_change_less_than_the_noise_are_constant(relaxed):
    """The mean square around a constant exceeds the variance by less than four standard errors."""
    clock, _, values = relaxed
    paths, rates, sd = relaxation(values, clock)
    within = values * clock.seen[..., None]
    n = clock.seen.sum(axis=1)[:, None]
    means = within.sum(axis=1) / n
    gaps = (values - means[:, None]) * clock.seen[..., None]
    variance = (gaps**2).sum(axis=(0, 1)) / (n - 1).sum()
    constant = variance < sd**2 * (1 + 4 * np.sqrt(2 / 6))
    assert_array_equal(rates == 0, constant)
    assert 0 < constant.sum() < 101
    assert_allclose(paths[0, 0, constant], means[0, constant])
    assert not np.ptp(paths[:, :, constant], axis=1).any()


def test_noise_has_a_least_value_and_paths_without_noise_are_exact(relaxed):
    clock, true, _ = relaxed
    paths, _, sd = relaxation(true, clock)
    assert sd == LEAST_NOISE
    found = paths[0, clock.observed, -1]
    assert_allclose(found, true[0, :, -1], atol=2e-3)
