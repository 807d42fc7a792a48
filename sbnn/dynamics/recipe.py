"""How PHOENIX is trained, as one object that is recorded with the results."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from sbnn.dynamics.pruning import Schedule
from sbnn.models.base import check_number


@dataclass(frozen=True)
class Recipe:
    """Training of a `PhoenixRegressor`.

    Parameters
    ----------
    epochs : int
        Passes over the training samples, at most.
    batch_size : int
        Samples of a step; the published one is 1.
    learning_rate : float
        Of Adam.
    multiplier_speed : float
        Factor of the learning rate of the multipliers m.
    lowest_rate, rate_factor, rate_patience : float, float, int
        The learning rate falls by a factor, to the lowest one, after epochs without a better validation loss; it starts
        anew at each pruning.
    patience : int
        Epochs without a better validation loss, after the last pruning, before training stops.
    n_steps : int
        Of the solver, from one time to the next.
    validation_share : float
        Of the samples, set aside to watch the loss; with a single sample the loss of the training counts.
    data_weight : float
        Lambda in (0, 1]: what is left of 1 is the weight of the prior in the loss.
    n_prior_points : int
        Random points at which the network is compared with the prior.
    schedule : Schedule
        Of the pruning.
    fine_tuning : int
        Epochs after the pruning that is done at once, ``pruning="post_hoc"`` alone.
    penalty : float, optional
        Weight of the penalty in the loss, ``pruning="l0"``, ``"c_node"`` or ``"path_reg"`` alone. By default that of
        `sbnn.dynamics.penalties.PENALTIES`.
    drop_rates : tuple of (float, float)
        In (0, 1), how closed the gates of genes and those of sums and products are at the start, ``pruning="l0"`` or
        ``"path_reg"`` alone.

    Raises
    ------
    ValueError
        A number out of its range, such as a penalty below 0.
    TypeError
        A parameter of another type.
    """

    epochs: int = 200
    batch_size: int = 4
    learning_rate: float = 1e-3
    multiplier_speed: float = 5.0
    lowest_rate: float = 4e-5
    rate_factor: float = 0.9
    rate_patience: int = 3
    patience: int = 40
    n_steps: int = 3
    validation_share: float = 0.07
    data_weight: float = 1.0
    n_prior_points: int = 10_000
    schedule: Schedule = Schedule()
    fine_tuning: int = 40
    penalty: float | None = None
    drop_rates: tuple = (0.2, 0.5)

    def __post_init__(self):
        for name in ("epochs", "batch_size", "patience", "n_steps", "n_prior_points"):
            check_number(name, getattr(self, name), Integral, 1)
        for name in ("rate_patience", "fine_tuning"):
            check_number(name, getattr(self, name), Integral, 0)
        for name in ("learning_rate", "multiplier_speed", "lowest_rate"):
            check_number(name, getattr(self, name), Real, 0)
        check_number("rate_factor", self.rate_factor, Real, 0, 1, closed="neither")
        check_number("validation_share", self.validation_share, Real, 0, 1, closed="left")
        check_number("data_weight", self.data_weight, Real, 0, 1)
        if self.data_weight == 0:
            raise ValueError("data_weight: expected a number above 0, got 0: nothing would be learned of the data")
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule: expected a Schedule, got {type(self.schedule).__name__}")
        if self.penalty is not None and not (isinstance(self.penalty, Real) and self.penalty >= 0):
            raise ValueError(f"penalty: expected a number of 0 or more or None, got {self.penalty!r}")
        rates = tuple(self.drop_rates) if np.iterable(self.drop_rates) else ()
        if len(rates) != 2 or not all(isinstance(rate, Real) and 0 < rate < 1 for rate in rates):
            raise ValueError(f"drop_rates: expected two numbers in (0, 1), got {self.drop_rates!r}")
