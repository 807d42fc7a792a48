"""The solver against closed forms."""

import numpy as np
import pytest
import torch
from pytest import approx

from sbnn.dynamics.solver import DivergenceError, advance, follow, step_factors

START = np.array([[0.1], [0.3], [2.0]])


class Logistic:
    """``dx/dt = x (1 - x)``, that is, decay at rate 1 towards ``2 x - x^2``."""

    def decay(self):
        return torch.ones(1, dtype=torch.float64)

    def targets(self, x):
        return 2 * x - x**2


class Growing(Logistic):
    """``dx/dt = x^2``, which is infinite at time 1 / x."""

    def targets(self, x):
        return x + x**2


def error(values, t=2.0):
    """Largest error of values (3, 1) at times t."""
    left = np.exp(-t)
    return abs(np.asarray(values) - START / (START + (1 - START) * left)).max()


def test_steps_are_of_second_order():
    """Twice the steps: a quarter of the error."""
    errors = []
    for n in (64, 128, 256):
        factors = step_factors(torch.ones(1, dtype=torch.float64), 2 / n)
        errors.append(error(advance(Logistic().targets, torch.tensor(START), factors, n)))
    assert np.divide(errors[:-1], errors[1:]) == approx(4, rel=0.1)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8])
def test_paths_have_values_at_the_times_of_each_sample(tolerance):
    times = np.array([[0.0, 1, 3], [2, 2.5, 3], [1, 5, 6]])
    path = follow(Logistic(), START, times, tolerance)
    assert path.shape == (3, 3, 1)
    errors = [error(path[:, i], (times[:, i] - times[:, 0])[:, None]) for i in range(3)]
    assert errors[0] == 0
    assert max(errors) < tolerance


def test_a_path_that_diverges_is_an_error():
    with pytest.raises(DivergenceError, match="diverge"):
        follow(Growing(), START, np.array([[0.0, 0.2, 0.7]] * 3))
