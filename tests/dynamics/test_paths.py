import numpy as np
import pytest
from scipy.integrate import quad

from sbnn.dynamics.paths import N_BETWEEN, Clock, relaxation

TIMES = np.array([1.0, 3, 4, 8, 10])


def test_the_grid_divides_every_interval():
    clock = Clock(np.stack([TIMES, TIMES + 5]))
    assert clock.unit == 2.25 and clock.grid.shape == (1, 4 * N_BETWEEN + 1)
    np.testing.assert_allclose(clock.grid[0, clock.observed] * clock.unit, TIMES - 1)
    np.testing.assert_allclose(np.diff(clock.grid[0, :7]) * clock.unit, 2 / N_BETWEEN)
    ragged = Clock(np.stack([TIMES, TIMES**2]))
    assert Clock(np.array([[0, 1, 2, 2], [0, 1, 2, 3]])).unit == 1, (
        "without what fills up the shorter sample"
    )
    assert ragged.grid.shape == (2, 25) and ragged.unit == pytest.approx((9 + 99) / 8)
    np.testing.assert_allclose(ragged.grid[1, ragged.observed] * ragged.unit, TIMES**2 - 1)


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.3, 5.0])
def test_memory_is_the_integral_of_a_piecewise_linear_past(rate):
    clock = Clock(TIMES[None])
    f = np.random.default_rng(0).random(25)
    memory = clock.memory(rate)[0]
    grid = clock.grid[0]
    for i in (1, 7, 24):
        parts = [
            quad(lambda s, i=i: rate * np.exp(-rate * (grid[i] - s)) * np.interp(s, grid, f), a, b)[
                0
            ]
            for a, b in zip(grid[:i], grid[1 : i + 1], strict=True)
        ]
        assert memory[i] @ f == pytest.approx(sum(parts), rel=1e-9, abs=1e-15)
    np.testing.assert_allclose(memory.sum(axis=1), 1 - clock.left(rate)[0], atol=1e-9)
    assert not memory[0].any() and not np.triu(memory, 1).any()


def test_genes_relax_at_their_rates_and_are_constant_within_the_noise():
    times = np.array([[0.0, 1, 2, 4, 5], [1.0, 3, 4, 4, 4]])  # the second sample ends earlier
    clock, noise = Clock(times), np.array([[1, -1, 1, 1, -1], [-1, 1, -1, 5, 5]])[..., None]
    change = np.linspace(0, 0.3, 101) * (1 - np.exp(-0.5 * (times - times[:, :1])))[..., None]
    paths, rates, sd = relaxation(0.3 + 0.01 * noise + change, clock)
    assert (rates == 0).sum() == 18 and (sd, rates[-1]) == pytest.approx(
        (0.01297, 0.7079), rel=1e-3
    )
    np.testing.assert_allclose(
        paths[:, [0, 8, -1], -1], [[0.304, 0.451, 0.573], [0.292, 0.506, 0.532]], atol=1e-3
    )
    assert relaxation(0.3 + change, clock)[2] == 0.01
