"""Minibatches of all networks; steps, epochs and early stopping of those trained by autograd."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

import torch


def epoch_batches(
    n_cells: int, batch_size: int, generator: torch.Generator, drop_last: bool = False
) -> tuple[torch.Tensor, ...]:
    """Positions of all cells in random order, batch after batch.

    With `drop_last`, an incomplete last batch is left out, unless it is the only one.
    """
    batch_size = min(batch_size, n_cells)
    order = torch.randperm(n_cells, generator=generator)
    if drop_last:
        order = order[: n_cells - n_cells % batch_size]
    return order.split(batch_size)


def minibatches(
    n_cells: int, batch_size: int, generator: torch.Generator, drop_last: bool = False
) -> Iterator[torch.Tensor]:
    """Yield batches without end, in a new order for every pass through the cells."""
    while True:
        yield from epoch_batches(n_cells, batch_size, generator, drop_last=drop_last)


def take_steps(
    losses: Iterable[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    max_gradient_norm: float | None = None,
    after_step: Callable[[], None] | None = None,
) -> Iterator[float]:
    """Take a step of the optimiser for every loss; yield the value of the loss before it.

    `losses` are computed one at a time, with the weights after the last step. A `schedule` sets the
    learning rate of every step.
    """
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()
        if max_gradient_norm is not None:
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            torch.nn.utils.clip_grad_norm_(weights, max_gradient_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        if after_step is not None:
            after_step()
        yield loss.item()


class BestWeights:
    """Early stopping: the weights of a module at its highest score.

    `n_waited` counts the epochs since then.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.score: Any = None
        self.n_waited = 0

    def offer(self, score: Any, always: bool = False) -> None:
        """Keep the weights of this epoch if its score is the highest so far, or `always`.

        Scores are numbers, or tuples that are compared entry by entry.
        """
        self.n_waited += 1
        if always or self.score is None or score > self.score:
            self.score = score
            self.weights = deepcopy(self.module.state_dict())
            self.n_waited = 0

    def restore(self) -> None:
        """Load the best weights, if any were offered."""
        if self.score is not None:
            self.module.load_state_dict(self.weights)


def train_epochs(
    best: BestWeights,
    run_epoch: Callable[[int], object],
    n_epochs: int,
    patience: int,
    first_counted: int = 0,
    never_stop_before: int = 0,
) -> None:
    """Train for at most `n_epochs`, and then restore the best weights.

    Parameters
    ----------
    best : BestWeights
    run_epoch : callable
        Trains for an epoch, of this number (from 0 on), and returns a score, the higher the better,
        or None if there is nothing by which epochs could be compared.
    patience : int
        Epochs without a higher score that end the training.
    first_counted : int
        First epoch that has to be better than those before; earlier ones replace each other.
    never_stop_before : int
        First epoch that may be the last.
    """
    for epoch in range(n_epochs):
        score = run_epoch(epoch)
        if score is None:
            continue
        best.offer(score, always=epoch < first_counted)
        if epoch >= never_stop_before and best.n_waited >= patience:
            break
    best.restore()
