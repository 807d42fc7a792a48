import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.solver import DivergenceError, advance, advance_exactly, follow, step_factors

LENGTH = torch.full((4, 1), 0.5, dtype=torch.float64)


@pytest.fixture
def model(generator):
    """A network with strong weights, so that targets change fast."""
    model = Phoenix(12, 5, generator).double()
    with torch.no_grad():
        model.sum_in.normal_(generator=generator)
        model.product_in.normal_(generator=generator)
        model.multiplier[:3] = torch.tensor([-0.5, 0.0, 1e-4])
    return model


@pytest.fixture
def start():
    return torch.rand((4, 12), generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_factors_are_those_of_the_paper_for_all_sizes():
    c = torch.tensor([0.0, 1e-9, 1e-4, 0.099, 0.101, 1.0, 30.0], dtype=torch.float64)
    keep, gone, change = step_factors(c, torch.ones((1, 1), dtype=torch.float64))
    expected = [1 - (1 - math.exp(-v)) / v if v > 1e-3 else v / 2 - v * v / 6 for v in c.tolist()]
    np.testing.assert_allclose(change[0], expected, rtol=2e-6, atol=1e-15)
    np.testing.assert_allclose(keep[0], torch.exp(-c), atol=1e-15)
    np.testing.assert_allclose(gone[0], -torch.expm1(-c), rtol=1e-9, atol=1e-15)
    single = step_factors(c.float(), torch.ones((1, 1)))[2]
    np.testing.assert_allclose(single[0], expected, rtol=2e-5, atol=1e-12, err_msg="digits cancel out")


def test_a_step_is_that_of_the_paper(model, start):
    length = torch.tensor([[0.5], [1.0], [0.1], [2.0]], dtype=torch.float64)
    with torch.no_grad():
        c = model.decay() * length
        first = torch.exp(-c) * start - torch.expm1(-c) * model.targets(start)
        # h phi_2(-c) (N(a) - N(x)), with N = decay * targets
        phi = torch.where(c > 1e-3, (torch.exp(-c) - 1 + c) / c.clamp(min=1e-9) ** 2, 0.5 - c / 6)
        expected = first + c * phi * (model.targets(first) - model.targets(start))
        np.testing.assert_allclose(advance(model.targets, start, step_factors(model.decay(), length), 1), expected)


@torch.no_grad()
def test_the_solution_is_that_of_another_solver(model, start):
    times = torch.tensor([[0.0, 2, 3, 7, 9]] * 4, dtype=torch.float64)

    def rates(_, x):
        x = torch.from_numpy(x.reshape(4, 12))
        return (model.decay() * (model.targets(x) - x)).numpy().ravel()

    ours = follow(model, start, times)
    theirs = solve_ivp(rates, (0, 9), start.numpy().ravel(), t_eval=times[0], rtol=1e-10, atol=1e-12).y
    theirs = theirs.T.reshape(5, 4, 12).swapaxes(0, 1)
    assert np.abs(theirs[:, 1:] - start.numpy()[:, None]).max() > 0.5, "something moves"
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)
    np.testing.assert_array_equal(ours[:, 4, :2], start[:, :2], err_msg="no multiplier, no change")
    later = follow(model, start[:2], torch.tensor([[1, 3], [5, 8.0]], dtype=torch.float64))
    np.testing.assert_allclose(later[:, 1], ours[[0, 1], [1, 2]], atol=1e-5, err_msg="each has times of its own")


def test_a_divergence_is_told(start):
    class Exploding:
        def targets(self, x):
            return 10 * x.exp()

        def decay(self):
            return torch.ones(12, dtype=torch.float64)

    times = torch.tensor([[0.0, 0.001, 5.0]] * 4, dtype=torch.float64)
    with pytest.raises(DivergenceError, match="sample 0 grows beyond all bounds before time 5"):
        follow(Exploding(), start, times)


def test_gradients_are_those_of_finite_differences(model, start):
    def loss():
        return advance(model.targets, start, step_factors(model.decay(), LENGTH), 3).square().mean()

    value = loss()
    value.backward()
    for name, place in (("sum_in", (1, 3)), ("product_out", (5, 2)), ("multiplier", (4,)), ("multiplier", (2,))):
        parameter = getattr(model, name)
        with torch.no_grad():
            parameter[place] += 1e-6
            higher = loss()
            parameter[place] -= 1e-6
        assert (higher - value).item() / 1e-6 == pytest.approx(parameter.grad[place].item(), rel=1e-3, abs=1e-8)


@torch.no_grad()
def test_solutions_are_extrapolated_by_the_order_of_the_steps(model, start):
    """What is left of two solutions after that is small against the better one of them."""
    exact = advance_exactly(model, start, 8 * LENGTH, 1e-8)
    of_16 = advance(model.targets, start, step_factors(model.decay(), LENGTH / 2), 16)
    extrapolated = advance_exactly(model, start, 8 * LENGTH, 1.0)  # any change is small enough: from 8 and 16 steps
    assert (extrapolated - exact).abs().max() < (of_16 - exact).abs().max() / 5
