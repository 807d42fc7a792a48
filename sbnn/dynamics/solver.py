"""An ODE solver for decay towards moving targets, of many samples at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

# numbers of steps per interval; a solution that needs more counts as divergent
STEP_NUMBERS = [2**i for i in range(2, 16)]
SOLVER_TOLERANCE = 1e-6  # largest difference of values between two numbers of steps


class DecayModel(Protocol):
    """Rates of the form ``dx/dt = decay * (targets(x) - x)``."""

    def decay(self) -> torch.Tensor:
        """Decay rates, shape (genes,)."""

    def targets(self, x: torch.Tensor) -> torch.Tensor:
        """Values towards which the genes decay at expression x, both (..., genes)."""


class DivergenceError(RuntimeError):
    """Raised if the predictions or the training loss of a model diverge."""


def step_factors(
    decay: torch.Tensor, step: torch.Tensor | float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``exp(-z)``, ``1 - exp(-z)`` and ``1 - (1 - exp(-z)) / z`` for ``z = decay * step``."""
    z = decay * step
    approach = -torch.expm1(-z)
    # For small z, the difference loses digits, so its Taylor series is used.
    is_small = z < 0.1
    series = z * (1 / 2 - z * (1 / 6 - z * (1 / 24 - z / 120)))
    # `where` drops the NaN of 0 / 0 but not its gradient, so small z are replaced by 1.
    exact = 1 - approach / z.masked_fill(is_small, 1)
    change = torch.where(is_small, series, exact)
    return 1 - approach, approach, change


def integrate_in_steps(
    targets: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    factors: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    n_steps: int,
) -> torch.Tensor:
    """Integrate ``dx/dt = decay * (targets(x) - x)`` by exponential Runge-Kutta steps of order 2.

    The decay is solved exactly (Cox and Matthews, J. Comput. Phys. 2002, equations 20 to 22).
    `factors` are those of `step_factors`; x has the shape (..., genes).
    """
    remainder, approach, change = factors
    for _ in range(n_steps):
        # Predictor, equation 20: the targets stay where they are at the start of the step.
        first_targets = targets(x)
        x = torch.addcmul(remainder * x, approach, first_targets)
        # Corrector, equation 22: they move at a constant rate to those at the predicted values.
        x = torch.addcmul(x, change, targets(x) - first_targets)
    return x


def integrate_to_tolerance(
    model: DecayModel, x: torch.Tensor, length: torch.Tensor
) -> torch.Tensor:
    """Integrate samples (samples, genes) over intervals of `length`, (samples, 1).

    Steps are halved, with Richardson extrapolation; NaN if the solution needs too many.
    """
    coarse = torch.full_like(x, torch.nan)
    last = coarse
    for n_steps in STEP_NUMBERS:
        factors = step_factors(model.decay(), length / n_steps)
        fine = integrate_in_steps(model.targets, x, factors, n_steps=n_steps)
        # Halving the steps divides an error of second order by 4, so that a third of the
        # difference is left (Richardson 1911).
        best = fine + (fine - coarse) / 3
        if (best - last).abs().max() <= SOLVER_TOLERANCE:
            return best
        # More steps do not help values that are not finite with the second number or later.
        if n_steps > STEP_NUMBERS[1] and not best.isfinite().all():
            return best
        coarse = fine
        last = best
    return x * torch.nan


def integrate_trajectories(
    model: DecayModel, start: np.ndarray, times: np.ndarray, time_scale: float = 1.0
) -> np.ndarray:
    """Trajectories (samples, times, genes) from a start (samples, genes), at (samples, times).

    Rates of the model are per unit of the scaled times. Trajectories that diverge raise a
    `DivergenceError`.
    """
    states = [torch.tensor(start)]
    lengths = torch.tensor(times).diff(dim=1) * time_scale  # (samples, intervals)
    for length in lengths.T:
        state = integrate_to_tolerance(model, states[-1], length[:, None])
        states.append(state)
    values = torch.stack(states, dim=1)
    if not values.isfinite().all():
        raise DivergenceError(
            "predictions diverge; a start may be too far from the training data, or the times too "
            "far apart"
        )
    return values.numpy()
