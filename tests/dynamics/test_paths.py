import numpy as np
import pytest
from scipy.integrate import quad

from sbnn.dynamics.paths import N_BETWEEN, Clock

TIMES = np.array([1.0, 3, 4, 8, 10])


def test_the_grid_divides_every_interval():
    clock = Clock(np.stack([TIMES, TIMES + 5]))
    assert clock.unit == 2.25 and clock.grid.shape == (1, 4 * N_BETWEEN + 1)
    np.testing.assert_allclose(clock.grid[0, clock.observed] * clock.unit, TIMES - 1)
    np.testing.assert_allclose(np.diff(clock.grid[0, :7]) * clock.unit, 2 / N_BETWEEN)
    ragged = Clock(np.stack([TIMES, TIMES**2]))
    assert Clock(np.array([[0, 1, 2, 2], [0, 1, 2, 3]])).unit == 1, "without what fills up the shorter sample"
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
