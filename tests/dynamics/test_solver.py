"""The solver against closed forms."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.dynamics import solver
from sbnn.dynamics.solver import DivergenceError, advance, advance_exactly, follow, step_factors


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


START = torch.tensor([[0.1], [0.3], [2.0]], dtype=torch.float64)


def logistic(t):
    """Solution at time t, of shape (3, 1)."""
    left = torch.exp(-torch.as_tensor(t, dtype=torch.float64))
    return START / (START + (1 - START) * left)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_factors_are_integrals_of_the_decay(dtype):
    c = torch.tensor([0.0, 1e-9, 1e-4, 0.05, 0.0999, 0.1001, 1.0, 30.0], dtype=dtype)
    keep, gone, change = step_factors(c / 2, 2.0)
    share = np.linspace(0, 1, 20_001)
    weights = np.exp(-c.double().numpy()[:, None] * (1 - share))
    of_change = c.numpy() * np.trapezoid(weights * share, share, axis=1)
    assert_allclose(change, of_change, rtol=2e-6)
    assert_allclose(keep, torch.exp(-c.double()), rtol=1e-6, atol=1e-7)
    assert_allclose(gone, -torch.expm1(-c.double()), rtol=1e-6)


def in_steps(n_steps):
    """Values at time 2 after so many steps."""
    factors = step_factors(torch.ones(1, dtype=torch.float64), 2 / n_steps)
    return advance(Logistic().targets, START, factors, n_steps)


def largest_error(values):
    return abs(values - logistic(2)).max().item()


def test_halving_the_steps_divides_the_error_by_four():
    errors = [largest_error(in_steps(n)) for n in (32, 64, 128)]
    assert errors[0] / errors[1] == approx(4, rel=0.1)
    assert errors[1] / errors[2] == approx(4, rel=0.05)


def test_extrapolation_is_of_third_order(monkeypatch):
    """Steps are halved once more than needed to see that the result has settled."""
    lengths = torch.full((3, 1), 2.0, dtype=torch.float64)
    errors = []
    for n_steps in (16, 64, 256):
        expected = (4 * in_steps(n_steps) - in_steps(n_steps // 2)) / 3
        settled = (4 * in_steps(n_steps // 2) - in_steps(n_steps // 4)) / 3
        tolerance = 1.01 * abs(expected - settled).max().item()
        found = advance_exactly(Logistic(), START, lengths, tolerance)
        assert_allclose(found, expected, rtol=1e-14)
        errors.append(largest_error(found))
    assert errors[1] / errors[2] == approx(64, rel=0.15)
    assert largest_error(in_steps(256)) > 50 * errors[2]
    monkeypatch.setattr(solver, "MOST_STEPS", 16)
    assert advance_exactly(Logistic(), START, lengths, tolerance=1e-9).isnan().all()
    assert advance_exactly(Logistic(), START, lengths, tolerance=1.0).isfinite().all()


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8])
def test_each_sample_has_an_interval_of_its_own(tolerance):
    lengths = torch.tensor([[0.5], [3.0], [1.0]], dtype=torch.float64)
    found = advance_exactly(Logistic(), START, lengths, tolerance)
    assert_allclose(found, logistic(lengths), atol=tolerance)


def test_paths_have_values_at_the_times_of_each_sample():
    times = torch.tensor([[0.0, 1, 3], [2, 2.5, 3], [1, 5, 6]], dtype=torch.float64)
    path = follow(Logistic(), START, times)
    assert path.shape == (3, 3, 1)
    for i in range(3):
        expected = logistic((times[:, i] - times[:, 0])[:, None])
        assert_allclose(path[:, i], expected, atol=1e-5)


def test_a_path_that_diverges_is_an_error_that_names_sample_and_time():
    times = torch.tensor([[0.0, 0.2, 0.7]] * 3, dtype=torch.float64)
    with pytest.raises(DivergenceError, match=r"sample 2 .* 0\.7"):
        follow(Growing(), START, times)
