"""The solver against closed forms."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.dynamics.solver import (
    SOLVER_TOLERANCE,
    DivergenceError,
    integrate_in_steps,
    integrate_trajectories,
    step_factors,
)

START = np.array([[0.1], [0.3], [2.0]])


class Logistic:
    """``dx/dt = x (1 - x)``, that is, decay at rate 1 towards ``2 x - x^2``."""

    def decay(self):
        return torch.ones(1, dtype=torch.float64)

    def targets(self, x):
        return 2 * x - x**2


def logistic(t):
    """Exact values, (3, times), at times t."""
    return START / (START + (1 - START) * np.exp(-t))


def test_steps_are_of_second_order():
    """Twice the steps: a quarter of the error."""
    model = Logistic()
    errors = []
    for n in (64, 128, 256):
        factors = step_factors(model.decay(), 2 / n)
        end = integrate_in_steps(model.targets, torch.tensor(START), factors, n_steps=n)
        errors.append(abs(end.numpy() - logistic(2.0)).max())
    assert np.divide(errors[:-1], errors[1:]) == approx(4, rel=0.1)


def test_paths_have_the_times_of_each_sample():
    times = np.array([[0.0, 1, 3], [2, 2.5, 3], [1, 5, 6]])
    path = integrate_trajectories(Logistic(), START, times)
    expected = logistic(times - times[:, :1])
    assert_allclose(path[..., 0], expected, rtol=0, atol=SOLVER_TOLERANCE)


def test_a_path_that_diverges_is_an_error():
    times = np.array([[0.0, 0.2, 0.7]] * 3)
    with pytest.raises(DivergenceError, match="diverge"):
        integrate_trajectories(Logistic(), -START, times)
