import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.solver import follow, step_factors


@pytest.fixture
def model(generator):
    """A network with strong weights, so that targets change fast."""
    model = Phoenix(12, 5, generator).double()
    with torch.no_grad():
        model.sum_in.normal_(generator=generator)
        model.product_in.normal_(generator=generator)
        model.multiplier[:3] = torch.tensor([-0.5, 0.0, 1e-4])
    return model


def test_factors_are_those_of_the_paper_for_all_sizes():
    c = torch.tensor([0.0, 1e-9, 1e-4, 0.099, 0.101, 1.0, 30.0], dtype=torch.float64)
    keep, gone, change = step_factors(c, torch.ones((1, 1), dtype=torch.float64))
    expected = [1 - (1 - math.exp(-v)) / v if v > 1e-3 else v / 2 - v * v / 6 for v in c.tolist()]
    np.testing.assert_allclose(change[0], expected, rtol=2e-6, atol=1e-15)
    np.testing.assert_allclose(keep[0], torch.exp(-c), atol=1e-15)
    np.testing.assert_allclose(gone[0], -torch.expm1(-c), rtol=1e-9, atol=1e-15)
    single = step_factors(c.float(), torch.ones((1, 1)))[2]
    np.testing.assert_allclose(
        single[0], expected, rtol=2e-5, atol=1e-12, err_msg="digits cancel out"
    )


@torch.no_grad()
def test_the_solution_is_that_of_another_solver(model):
    start = torch.rand((4, 12), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    times = torch.tensor([[0.0, 2, 3, 7, 9]] * 4, dtype=torch.float64)

    def rates(_, x):
        x = torch.from_numpy(x.reshape(4, 12))
        return (model.decay() * (model.targets(x) - x)).numpy().ravel()

    ours = follow(model, start, times)
    theirs = solve_ivp(
        rates, (0, 9), start.numpy().ravel(), t_eval=times[0], rtol=1e-10, atol=1e-12
    ).y
    theirs = theirs.T.reshape(5, 4, 12).swapaxes(0, 1)
    assert np.abs(theirs[:, 1:] - start.numpy()[:, None]).max() > 0.5, "something moves"
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)
    np.testing.assert_array_equal(ours[:, 4, :2], start[:, :2], err_msg="no multiplier, no change")
    later = follow(model, start[:2], torch.tensor([[1, 3], [5, 8.0]], dtype=torch.float64))
    np.testing.assert_allclose(
        later[:, 1], ours[[0, 1], [1, 2]], atol=1e-5, err_msg="each has times of its own"
    )
