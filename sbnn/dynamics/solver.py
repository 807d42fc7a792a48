"""A solver made for decay towards moving targets, batched over trajectories and intervals, and a general one."""

import torch

MOST_STEPS = 2**15  # of an interval, after which the solution counts as lost


class DivergenceError(RuntimeError):
    """Values that follow from a model grow beyond all bounds."""


def step_factors(decay, step):
    """Factors of one step of `advance`: of the old value, of the targets and of their change.

    Parameters
    ----------
    decay : Tensor, shape (genes,)
        Rates, 0 or more.
    step : Tensor, shape (..., 1)

    Returns
    -------
    tuple of Tensor, each of shape (..., genes)
        ``exp(-c)``, ``1 - exp(-c)`` and ``1 - (1 - exp(-c)) / c`` of ``c = decay * step``.
    """
    c = decay * step
    gone = -torch.expm1(-c)
    # By its series where the digits of the difference cancel out.
    small = c < 0.1
    series = c * (1 / 2 - c * (1 / 6 - c * (1 / 24 - c / 120)))
    change = torch.where(small, series, 1 - gone / torch.where(small, torch.ones_like(c), c))
    return 1 - gone, gone, change


def advance(targets, x, factors, n_steps):
    """Follow ``dx/dt = decay * (targets(x) - x)`` by exponential Runge-Kutta steps of second order.

    The decay is solved exactly, so that steps need to be short against changes of the targets only (Cox and Matthews,
    J. Comput. Phys. 2002, equations 20 to 22).

    Parameters
    ----------
    targets : callable
        Of values (..., genes), same shape.
    x : Tensor, shape (..., genes)
    factors : tuple of Tensor
        By `step_factors`.
    n_steps : int

    Returns
    -------
    Tensor, shape (..., genes)
    """
    keep, gone, change = factors
    for _ in range(n_steps):
        before = targets(x)
        x = torch.addcmul(keep * x, gone, before)
        x = torch.addcmul(x, change, targets(x) - before)
    return x


def advance_exactly(model, x, length, tolerance):
    """Follow samples over an interval, with as many steps as it takes.

    Steps are halved, and solutions of n and 2 n steps extrapolated (Richardson), until that changes nothing.

    Parameters
    ----------
    model : Phoenix
    x : Tensor, shape (samples, genes)
    length : Tensor, shape (samples, 1)
    tolerance : float
        Largest change.

    Returns
    -------
    Tensor, shape (samples, genes)
        NaN where the steps would become too many.
    """
    n_steps, coarse, last = 4, None, None
    while n_steps <= MOST_STEPS:
        fine = advance(model.targets, x, step_factors(model.decay(), length / n_steps), n_steps)
        if coarse is not None:
            best = fine + (fine - coarse) / 3
            if last is not None and ((best - last).abs().max() <= tolerance or not best.isfinite().all()):
                return best
            last = best
        coarse, n_steps = fine, 2 * n_steps
    return torch.full_like(x, torch.nan)


def follow(model, start, times, tolerance=1e-6, method="exponential"):
    """Trajectories of a model.

    Parameters
    ----------
    model : Phoenix
        Or what else has `targets` and `decay`.
    start : Tensor, shape (samples, genes)
    times : Tensor, shape (samples, times)
        Increasing; the first is that of the start. In the precision of `start`, which is that of the solution.
    tolerance : float
        Of the exponential solver, of each interval.
    method : {"exponential", "dopri5"}
        The latter is that of torchdiffeq, which must be installed; all samples must have the same times.

    Returns
    -------
    Tensor, shape (samples, times, genes)

    Raises
    ------
    DivergenceError
        Values that are not finite; the message says from which time on.
    ImportError
        Without torchdiffeq.
    ValueError
        An unknown method, samples with times of their own for dopri5.
    """
    if method == "dopri5":
        values = _dopri5(model, start, times)
    elif method == "exponential":
        path = [start]
        for length in times.diff(dim=1).T:
            path.append(advance_exactly(model, path[-1], length[:, None], tolerance))
        values = torch.stack(path, dim=1)
    else:
        raise ValueError(f"method: expected 'exponential' or 'dopri5', got {method!r}")
    lost = ~values.isfinite().all(dim=2)
    if lost.any():
        sample, time = lost.nonzero()[0].tolist()
        raise DivergenceError(
            f"the trajectory of sample {sample} grows beyond all bounds before time {times[sample, time]:g}; the model "
            "does not hold so far from the data it was fitted to"
        )
    return values


def _dopri5(model, start, times):
    try:
        from torchdiffeq import odeint
    except ImportError:
        raise ImportError("the solver 'dopri5' needs torchdiffeq: pip install torchdiffeq") from None
    if (times != times[0]).any():
        raise ValueError("method 'dopri5' follows all samples at the same times; 'exponential' does not need that")

    def rates(_, x):
        return model.decay() * (model.targets(x) - x)

    return odeint(rates, start, times[0], rtol=1e-7, atol=1e-9, method="dopri5").transpose(0, 1)
