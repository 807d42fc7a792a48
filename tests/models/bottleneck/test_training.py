"""Losses, the loop and the stages against autograd, torch.optim.Adam and scikit-learn."""

from functools import partial

import numpy as np
import pytest
import torch
from pytest import approx
from sklearn.metrics import log_loss, mean_squared_error
from torch.nn.functional import cross_entropy as torch_cross_entropy
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from sbnn.determinism import reproducible
from sbnn.models.bottleneck import training
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.training import (
    add_group_lasso,
    cross_entropy,
    squared_error,
    train_stage,
)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they gain on such small matrices."""
    with reproducible():
        yield


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def new_network():
    return BottleneckNetwork([12, 8, 6, 2, 6, 8, 3], generator=seeded())


OUTPUT = torch.randn(30, 4, generator=seeded(), dtype=torch.float64)
TARGET = torch.randn(30, 4, generator=seeded(1), dtype=torch.float64)
CLASSES = torch.arange(30) % 4


@pytest.mark.parametrize(
    ("loss", "target", "expected"),
    [
        (squared_error, TARGET, mean_squared_error(TARGET, OUTPUT)),
        (cross_entropy, CLASSES, log_loss(CLASSES, OUTPUT.softmax(1), labels=range(4))),
    ],
)
def test_losses_are_those_of_scikit_learn_and_gradients_those_of_autograd(loss, target, expected):
    value, gradient = loss(OUTPUT.clone(), target)
    assert value.item() / target.numel() == approx(expected)
    variable = OUTPUT.clone().requires_grad_()
    function = mse_loss if loss is squared_error else torch_cross_entropy
    function(variable, target).backward()
    assert_close(gradient, variable.grad)


def test_group_lasso():
    weights = torch.randn(5, 3, generator=seeded(), requires_grad=True)
    (0.3 * weights.square().sum(1).sqrt().sum()).backward()
    gradient = torch.ones(5, 3)
    add_group_lasso(0.3, weights.detach(), gradient)
    assert_close(gradient, 1 + weights.grad)
    add_group_lasso(0.3, torch.zeros(5, 3), gradient)
    assert_close(gradient, 1 + weights.grad)  # a gene without weights stays so


def train_by_autograd(network, generator, x, y, frozen, lasso, loss, weight_decay):
    """Three epochs with autograd, torch's Adam and nothing computed once for all epochs."""
    flat = network.flat.requires_grad_()
    n_frozen = sum(w.numel() + b.numel() for w, b, _ in network.layers[:frozen])
    n_without_decay = network.layers[0].weight.numel() if lasso else n_frozen
    optimiser = torch.optim.Adam([flat], lr=1e-2, eps=1e-7)
    for _ in range(3):
        order = torch.randperm(len(x), generator=generator)
        for rows in order.split(32):
            value = loss(network(x[rows]), y[rows])
            value = value + lasso * network.layers[0].weight.norm(dim=1).sum()
            value = value + weight_decay * flat[n_without_decay:].square().sum()
            optimiser.zero_grad()
            value.backward()
            flat.grad[:n_frozen] = 0
            optimiser.step()
    return flat.detach()


@pytest.mark.parametrize(
    ("frozen", "lasso", "loss", "peer"),
    [
        (0, 0.1, squared_error, mse_loss),
        (2, 0.0, squared_error, mse_loss),
        (0, 0.01, cross_entropy, torch_cross_entropy),
    ],
)
@pytest.mark.parametrize("weight_decay", [1e-10, 0.05])
def test_a_stage_equals_autograd(frozen, lasso, loss, peer, weight_decay, monkeypatch):
    monkeypatch.setattr(training, "WEIGHT_DECAY", weight_decay)
    x = torch.randn(60, 12, generator=seeded(9))
    y = x[:, :2] @ torch.randn(2, 3, generator=seeded(8))
    if loss is cross_entropy:
        y = (y[:, 0] > 0).long()
    network = new_network()
    train_stage(network, seeded(), 32, "", 3, 1e-2, x, y, frozen=frozen, lasso=lasso, loss=loss)
    given = x, y, frozen, lasso, peer, weight_decay
    expected = train_by_autograd(new_network(), seeded(), *given)
    assert_close(network.flat, expected, rtol=2e-4, atol=2e-5)


CELLS = torch.ones(5, 3)
OUTPUTS = torch.tensor([[1.0, 0.0], [2.0, 0], [0.5, 0], [0, 0], [-1, 1]])


def constant_network():
    """Gives 0.5 whatever the inputs; gene norms are 5, 0.5 and 0.516."""
    network = BottleneckNetwork([3, 2, 2, 1, 2, 2, 2], generator=seeded())
    network.flat.zero_()
    network.layers[0].weight[:] = torch.tensor([[3.0, 4.0], [0.5, 0.0], [0.3, -0.42]])
    network.layers[-1].bias[:] = 0.5
    return network


def test_a_row_of_the_history_for_every_epoch():
    train = partial(train_stage, constant_network(), seeded(), 2)
    history = train("one", 2, 0.0, CELLS, OUTPUTS, (CELLS[:2], OUTPUTS[:2]), lasso=0.1)
    assert len(history) == 2
    error = float((OUTPUTS - 0.5).square().sum())
    expected = {
        "loss": error / 10,
        "penalty": 0.1 * (5 + 0.5 + (0.3**2 + 0.42**2) ** 0.5),
        "r2": 1 - error / float(OUTPUTS.square().sum()),
        "eval_loss": 3.0 / 4,
        "eval_r2": 1 - 3.0 / 5,
        "genes_alive": 2,
    }
    for row in history:
        assert row.pop("stage") == "one"
        assert row == approx(expected)
    [frozen] = train("two", 1, 0.0, CELLS, OUTPUTS, frozen=2)
    assert frozen["loss"] == approx(error / 10) and frozen["penalty"] == 0
    classes = torch.tensor([0, 1, 1, 0, 1])
    [classified] = train("three", 1, 0.0, CELLS, classes, loss=cross_entropy)
    assert classified["loss"] == approx(np.log(2)) and np.isnan(classified["r2"])
    [constant] = train("four", 1, 0.0, CELLS, 0 * OUTPUTS)
    assert np.isnan(constant["r2"])
