"""Training of the network on one part of the cells, stopped by another part."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import nn

from sbnn.data.checks import some
from sbnn.ephys_types.inputs import check_known
from sbnn.ephys_types.losses import (
    add_angular_margin,
    balanced_weights,
    cross_entropy,
    effective_number_weights,
    focal,
)
from sbnn.ephys_types.network import Tokens
from sbnn.models.base import check_number

CLIP = 2.0  # norm of the gradient
LOSSES = ("cross_entropy", "focal", "arcface")
STOPS = ("macro_f1", "accuracy", "loss")
SCHEDULES = ("one_cycle", "constant")


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Parameters
    ----------
    loss : {"cross_entropy", "focal", "arcface"}
    learning_rate, weight_decay : float
        Of AdamW.
    schedule : {"one_cycle", "constant"}
        Of the learning rate: up to `learning_rate` and down to nothing within `max_epochs`, or always the same.
    batch_size, max_epochs : int
    patience : int
        Epochs without a better validation score after which training ends.
    stop_on : {"macro_f1", "accuracy", "loss"}
        Validation score; the smaller loss decides between equal scores.
    hide : float
        Share of the features hidden from each cell in each epoch.
    noise : float
        SD of the noise added to the features in each epoch.

    Raises
    ------
    ValueError, TypeError
        A setting that is unknown, out of its range or of the wrong type.
    """

    loss: str = "cross_entropy"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    schedule: str = "one_cycle"
    batch_size: int = 64
    max_epochs: int = 50
    patience: int = 7
    stop_on: str = "macro_f1"
    hide: float = 0.0
    noise: float = 0.0

    def __post_init__(self):
        """Check the settings."""
        for name in ("batch_size", "max_epochs", "patience"):
            check_number(name, getattr(self, name), Integral, 1)
        check_number("learning_rate", self.learning_rate, Real, 0, closed="neither")
        for name, high in (("hide", 1), ("noise", np.inf), ("weight_decay", np.inf)):
            check_number(name, getattr(self, name), Real, 0, high)
        for name, known in (("loss", LOSSES), ("schedule", SCHEDULES), ("stop_on", STOPS)):
            check_known(name, getattr(self, name), known)


def class_weights(given, loss, classes, counts):
    """Weights of the classes, from their training cells alone.

    Parameters
    ----------
    given : "balanced", dict of class -> weight, or None
        ``"balanced"`` stands for weights inverse to the cells of a class, in focal losses to their effective number.
    loss : str
    classes : ndarray, shape (k,)
    counts : tensor of int, shape (k,)

    Returns
    -------
    tensor of float32, shape (k,)

    Raises
    ------
    ValueError
        Something else, an unknown class, a weight that is not positive.
    """
    if isinstance(given, str) and given == "balanced":
        return (balanced_weights if loss == "cross_entropy" else effective_number_weights)(counts).float()
    if not (given is None or isinstance(given, Mapping)):
        raise ValueError(f"class_weight must be 'balanced', a dict of class -> weight or None, got {given!r}")
    given, names = given or {}, classes.tolist()
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"class_weight: no such class: {some(unknown)}; there are {some(names)}")
    for name, weight in given.items():
        check_number(f"class_weight[{name!r}]", weight, Real, 1e-9)
    return torch.tensor([given.get(name, 1.0) for name in names], dtype=torch.float32)


def loss_of(plan, output, labels, weights):
    """Loss of what the network gives for cells of these labels."""
    if plan.loss == "cross_entropy":
        return cross_entropy(output, labels, weights)
    return focal(add_angular_margin(output, labels) if plan.loss == "arcface" else output, labels, weights)


def train(network, plan, tokens, labels, weights, validation, generator):
    """Train a network; it is left with the weights of the best epoch.

    Parameters
    ----------
    network : FamilyNetwork
    plan : Plan
    tokens : Tokens
        Of the training cells.
    labels : tensor of int, shape (n,)
    weights : tensor, shape (k,), or None
        Of the classes.
    validation : tuple of Tokens and labels, or None
        Cells that decide when to stop, and nothing else. None trains for `max_epochs`.
    generator : torch.Generator
        Of the order of the cells, and of what is hidden from them.

    Returns
    -------
    list of dict
        For each epoch its number, the mean training loss, and the validation scores.
    """
    optimizer = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay, fused=True)
    n = len(labels)
    starts = range(0, n, plan.batch_size)
    schedule = None
    if plan.schedule == "one_cycle":
        steps = plan.max_epochs * len(starts)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.learning_rate, max(steps, 2))
    history, best, best_state, waited = [], None, None, 0
    for epoch in range(1, plan.max_epochs + 1):
        network.train()
        order, total = torch.randperm(n, generator=generator), 0.0
        for start in starts:
            cells = order[start : start + plan.batch_size]
            batch = disturbed(tokens.of(cells), plan, generator)
            loss = loss_of(plan, network(batch), labels[cells], weights)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            if schedule is not None:
                schedule.step()
            total += float(loss.detach()) * len(cells)
        row = {"epoch": epoch, "loss": total / n}
        history.append(row)
        if validation is None:
            continue
        row |= score(network, plan, *validation, weights)
        rank = -row["validation_loss"] if plan.stop_on == "loss" else row[f"validation_{plan.stop_on}"]
        rank = (rank, -row["validation_loss"])
        if best is None or rank > best:
            best, waited = rank, 0
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
        else:
            waited += 1
            if waited >= plan.patience:
                break
    if best_state is not None:
        network.load_state_dict(best_state)
    network.eval()
    return history


def disturbed(tokens, plan, generator):
    """Cells with some features hidden and noise on the others."""
    values, missing, present = tokens
    if plan.noise:
        values = values + plan.noise * torch.randn(values.shape, generator=generator)
    if plan.hide:
        missing = missing | (torch.rand(missing.shape, generator=generator) < plan.hide)
    return Tokens(values, missing, present)


@torch.no_grad()
def score(network, plan, tokens, labels, weights):
    """Validation scores; the margin of ArcFace and dropout are for training only."""
    network.eval()
    output = network(tokens)
    if plan.loss == "arcface":
        output = add_angular_margin(output, labels, margin=0.0)
    found = output.argmax(1)
    loss = cross_entropy(output, labels, weights) if plan.loss == "cross_entropy" else focal(output, labels, weights)
    f1 = f1_score(labels.numpy(), found.numpy(), average="macro", labels=np.unique(labels), zero_division=0)
    return {
        "validation_loss": float(loss),
        "validation_accuracy": float((found == labels).float().mean()),
        "validation_macro_f1": float(f1),
    }
