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
            quad(lambda s, i=i: rate * np.exp(-rate * (grid[i] - s)) * np.interp(s, grid, f), a, b)[0]
            for a, b in zip(grid[:i], grid[1 : i + 1], strict=True)
        ]
        assert memory[i] @ f == pytest.approx(sum(parts), rel=1e-9, abs=1e-15)
    np.testing.assert_allclose(memory.sum(axis=1), 1 - clock.left(rate)[0], atol=1e-9)
    assert not memory[0].any() and not np.triu(memory, 1).any()


def test_relaxation_finds_rates_levels_and_noise():
    rng = np.random.default_rng(0)
    clock = Clock(np.tile(TIMES, (60, 1)))
    rates = np.array([0.5, 2.0, 0.0])  # per mean interval
    start, end = rng.random((2, 60, 1, 3))
    left = np.exp(-rates * clock.grid[0][:, None])
    true = end + (start - end) * left
    noisy = true[:, clock.observed] + 0.02 * rng.standard_normal((60, 5, 3))
    paths, found, noise = relaxation(noisy, clock)
    assert found[2] == 0 and found[:2] == pytest.approx(rates[:2], rel=0.15)
    assert noise == pytest.approx(0.02, rel=0.1)
    assert np.sqrt(((paths - true) ** 2).mean()) < 0.02
    np.testing.assert_array_equal(np.ptp(paths[:, :, 2], axis=1), 0)
    np.testing.assert_allclose(paths[:, 0, 2], noisy[:, :, 2].mean(axis=1))
