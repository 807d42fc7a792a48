"""Grids, weighted means of past values and relaxation, against integrals and known curves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.integrate import quad

from sbnn.dynamics.paths import LEAST_NOISE, Clock, relaxation

TIMES = np.array([[1.0, 3, 4, 8, 10], [2.0, 3, 5, 5, 5]])  # the second sample ends earlier


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.3, 5.0])
def test_memory_is_the_integral_of_a_piecewise_linear_past(rate, rng):
    clock = Clock(TIMES)
    memory = clock.memory(rate)[0]
    grid = clock.grid[0]
    f = rng.random(25)

    def weighted(s, end):
        return rate * np.exp(-rate * (end - s)) * np.interp(s, grid, f)

    for i in (0, 7, 24):
        total = sum(quad(weighted, grid[k], grid[k + 1], (grid[i],))[0] for k in range(i))
        # weights near 1 are rounded in absolute terms
        assert memory[i] @ f == approx(total, rel=1e-9, abs=1e-14)
    assert not np.triu(memory, 1).any()
    later = clock.later_memory(rate)
    assert_allclose(later[0], memory[6::6])
    assert not later[1, 2:].any(), "nothing counts after the end of a sample"
    assert_allclose(clock.left(rate)[0], np.exp(-rate * grid))


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_genes_relax_at_their_rates_unless_they_change_less_than_the_noise(noise):
    """Genes relax from 0.3 by 0 to 0.3."""
    clock = Clock(TIMES)
    seen = clock.seen[..., None]
    left = np.exp(-0.5 * (TIMES - TIMES[:, :1]))[..., None]
    true = 0.3 + np.linspace(0, 0.3, 101) * (1 - left)
    signs = np.array([[1, -1, 1, 1, -1], [-1, 1, -1, 5, 5]])[..., None]
    values = true + noise * signs
    paths, rates, sd = relaxation(values, clock)
    assert rates[-1] == approx(0.5 * clock.unit, rel=0.2)
    errors = (paths[:, clock.observed] - true) * seen
    assert np.abs(errors[:, :, -1]).max() < 0.002 + 1.5 * noise
    means = (values * seen).sum(axis=1) / seen.sum(axis=1)
    squares = ((values - means[:, None]) ** 2 * seen).sum(axis=(0, 1))
    # the variance around a constant, with 4 and 2 degrees of freedom, and four standard errors
    constant = squares / 6 < sd**2 * (1 + 4 * np.sqrt(2 / 6))
    assert_array_equal(rates == 0, constant)
    assert_allclose(paths[:, 7, constant], means[:, constant])
    assert sd == (approx(0.013, rel=0.05) if noise else LEAST_NOISE)
