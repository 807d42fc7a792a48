"""A batched ODE solver for decay towards moving targets."""

import torch

# numbers of steps per interval; a solution that needs more counts as divergent
STEPS = [2**i for i in range(2, 16)]
TOLERANCE = 1e-6  # largest difference of values between two numbers of steps


class DivergenceError(RuntimeError):
    """Raised if the predictions or the training loss of a model diverge."""


def step_factors(decay, step):
    """``exp(-c)``, ``1 - exp(-c)`` and ``1 - (1 - exp(-c)) / c`` for ``c = decay * step``."""
    c = decay * step
    gone = -torch.expm1(-c)
    # For small c, the difference loses digits, so its Taylor series is used.
    small = c < 0.1
    series = c * (1 / 2 - c * (1 / 6 - c * (1 / 24 - c / 120)))
    # `where` drops the NaN of 0 / 0 but not its gradient, so small c are replaced by 1.
    exact = 1 - gone / c.masked_fill(small, 1)
    return 1 - gone, gone, torch.where(small, series, exact)


def advance(targets, x, factors, n_steps):
    """Integrate ``dx/dt = decay * (targets(x) - x)`` by exponential Runge-Kutta steps of order 2.

    The decay is solved exactly (Cox and Matthews, J. Comput. Phys. 2002, equations 20 to 22).
    `factors` are those of `step_factors`; x has the shape (..., genes).
    """
    keep, gone, change = factors
    for _ in range(n_steps):
        before = targets(x)
        x = torch.addcmul(keep * x, gone, before)
        x = torch.addcmul(x, change, targets(x) - before)
    return x


def advance_exactly(model, x, length):
    """Integrate samples (samples, genes) over intervals of `length`, (samples, 1).

    Steps are halved, with Richardson extrapolation.
    """
    coarse = torch.full_like(x, torch.nan)
    last = coarse
    for n_steps in STEPS:
        factors = step_factors(model.decay(), length / n_steps)
        fine = advance(model.targets, x, factors, n_steps)
        # Halving the steps divides an error of second order by 4.
        best = fine + (fine - coarse) / 3
        if (best - last).abs().max() <= TOLERANCE:
            return best
        if n_steps > STEPS[1] and not best.isfinite().all():
            return best
        coarse = fine
        last = best
    return x * torch.nan


def follow(model, start, times, time_scale=1.0):
    """Trajectories (samples, times, genes) from a start (samples, genes), at (samples, times).

    Rates of the model are per unit of the scaled times.
    """
    path = [torch.tensor(start)]
    for length in torch.tensor(times).diff(dim=1).T * time_scale:
        path.append(advance_exactly(model, path[-1], length[:, None]))
    values = torch.stack(path, dim=1)
    if not values.isfinite().all():
        raise DivergenceError(
            "predictions diverge; a start may be too far from the training data, or the times too "
            "far apart"
        )
    return values.numpy()
