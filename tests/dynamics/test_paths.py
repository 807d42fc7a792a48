"""Grids, weighted means of past values and relaxation, against integrals and known curves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
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
        total = quad(weighted, 0, grid[i], grid[i], points=grid[: i + 1], limit=99)[0]
        # weights near 1 are rounded in absolute terms
        assert memory[i] @ f == approx(total, rel=1e-9, abs=1e-14)
    later = clock.later_memory(rate)
    assert_allclose(later[0], memory[6::6])
    assert not later[1, 2:].any(), "nothing counts after the end of a sample"
    assert_allclose(clock.left(rate)[0], np.exp(-rate * grid))


def test_genes_relax_at_their_rates():
    """One of two genes is constant."""
    clock = Clock(TIMES)
    seen = clock.seen[..., None]
    values = 0.3 + np.array([0, 0.3]) * (1 - np.exp(-0.5 * (TIMES - TIMES[:, :1])))[..., None]
    paths, rates, noise = relaxation(values, clock)
    assert rates == approx([0, 0.5 * clock.unit], rel=0.2)
    assert_allclose(paths[:, clock.observed] * seen, values * seen, atol=2e-3)
    assert noise == LEAST_NOISE
