"""Losses, the penalty and the loop against autograd and torch.optim.Adam."""

from functools import partial

import numpy as np
import pytest
import torch
from pytest import approx
from torch.nn.functional import cross_entropy as torch_cross_entropy
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from sbnn.models.bottleneck import network as of_network
from sbnn.models.bottleneck.base import train_stage
from sbnn.models.bottleneck.network import (
    BottleneckNetwork,
    cross_entropy,
    squared_error,
    values_of,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def new_network():
    network = BottleneckNetwork([12, 8, 6, 2, 6, 8, 3], generator=seeded())
    network.layers[0].weight[3] = 0  # where the norm has no gradient
    return network


def train_by_autograd(network, generator, x, y, frozen, lasso, loss):
    """Three epochs with autograd, torch's Adam and nothing computed once for all epochs."""
    trained = [value.requires_grad_() for value in values_of(network.layers[frozen:])]
    decayed = trained[1:] if lasso else trained
    optimiser = torch.optim.Adam(trained, lr=1e-2, eps=1e-7)
    for _ in range(3):
        order = torch.randperm(len(x), generator=generator)
        for rows in order.split(32):
            value = loss(network(x[rows]), y[rows])
            value = value + lasso * network.layers[0].weight.norm(dim=1).sum()
            value = value + 0.05 * sum(values.square().sum() for values in decayed)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    return [value.detach() for value in values_of(network.layers)]


@pytest.mark.parametrize(
    ("frozen", "lasso", "loss", "peer"),
    [
        (0, 0.1, squared_error, mse_loss),
        (2, 0.0, squared_error, mse_loss),
        (0, 0.01, cross_entropy, torch_cross_entropy),
    ],
)
def test_a_stage_equals_autograd(frozen, lasso, loss, peer, monkeypatch):
    monkeypatch.setattr(of_network, "WEIGHT_DECAY", 0.05)
    x = torch.randn(60, 12, generator=seeded(9))
    y = x[:, :2] @ torch.randn(2, 3, generator=seeded(8))
    if loss is cross_entropy:
        y = (y[:, 0] > 0).long()
    network = new_network()
    train_stage(network, seeded(), 32, 3, 1e-2, "", x, y, frozen=frozen, lasso=lasso, loss=loss)
    expected = train_by_autograd(new_network(), seeded(), x, y, frozen, lasso, peer)
    assert_close(values_of(network.layers), expected, rtol=2e-4, atol=2e-5)


def test_a_row_of_the_history_for_every_epoch():
    x = torch.randn(5, 12, generator=seeded(9))
    y = torch.randn(5, 3, generator=seeded(8))
    network = new_network()
    train = partial(train_stage, network, seeded(), 2)
    errors, squares = ((network(x) - y).square().numpy(), y.square().numpy())
    expected = {
        "loss": errors.mean(),
        "penalty": 0.1 * network.layers[0].weight.norm(dim=1).sum().item(),
        "r2": 1 - errors.sum() / squares.sum(),
        "eval_loss": errors[:2].mean(),
        "eval_r2": 1 - errors[:2].sum() / squares[:2].sum(),
        "genes_alive": 11,
    }
    history = train(2, 0.0, "one", x, y, (x[:2], y[:2]), lasso=0.1)
    assert [row.pop("stage") for row in history] == ["one", "one"]
    assert history[0] == history[1] == approx(expected, rel=1e-5)
    classes = torch.tensor([0, 1, 1, 2, 1])
    [classified] = train(1, 0.0, "two", x, classes, loss=cross_entropy)
    assert classified["loss"] == approx(torch_cross_entropy(network(x), classes).item(), rel=1e-5)
    assert "r2" not in classified
    [constant] = train(1, 0.0, "three", x, 0 * y)
    assert np.isnan(constant["r2"])
