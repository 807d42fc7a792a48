"""Training of both networks against autograd and torch.optim.Adam, and its history."""

from functools import partial
from itertools import repeat

import numpy as np
import pytest
import torch
from pytest import approx
from torch.nn.functional import cross_entropy as torch_cross_entropy
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from sbnn import DistilledSettings
from sbnn.models import distilled
from sbnn.models import network as of_network
from sbnn.models.base import train_stage
from sbnn.models.distilled import (
    one_cycle_learning_rates,
    train_distilled,
    train_teacher_networks,
)
from sbnn.models.network import (
    BottleneckNetwork,
    cross_entropy,
    list_parameters,
    squared_error,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def new_network(activation="elu"):
    network = BottleneckNetwork([12, 8, 6, 2, 6, 8, 3], activation, generator=seeded())
    network.layers[0].weight[3] = 0  # where the norm has no gradient
    return network


def measured(n):
    """Cells, (n, 12), and outputs, (n, 3), that two genes determine."""
    x = torch.randn(n, 12, generator=seeded(9))
    return x, x[:, :2] @ torch.randn(2, 3, generator=seeded(8))


def train_by_autograd(layers, losses, rates, epsilon=1e-8):
    """A step of torch's Adam for every loss, each computed after the step before."""
    optimiser = torch.optim.Adam([v.requires_grad_() for v in list_parameters(layers)], eps=epsilon)
    for loss, rate in zip(losses, rates, strict=False):
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def assert_same(layers, others):
    expected = [value.detach() for value in list_parameters(others)]
    assert_close(list_parameters(layers), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("frozen", "lasso", "loss", "peer"),
    [
        (0, 0.1, squared_error, mse_loss),
        (2, 0.0, squared_error, mse_loss),
        (0, 0.01, cross_entropy, torch_cross_entropy),
    ],
)
def test_a_stage_equals_autograd(frozen, lasso, loss, peer, monkeypatch):
    """Three epochs, with nothing computed once for all of them."""
    monkeypatch.setattr(of_network, "WEIGHT_DECAY", 0.05)
    x, y = measured(60)
    if loss is cross_entropy:
        y = (y[:, 0] > 0).long()
    network, other = new_network(), new_network()
    train_stage(network, seeded(), 32, 3, 1e-2, "", x, y, frozen=frozen, lasso=lasso, loss=loss)

    def losses():
        generator = seeded()
        decayed = list_parameters(other.layers[frozen:])[lasso > 0 :]
        for _ in range(3):
            for rows in torch.randperm(60, generator=generator).split(32):
                penalty = lasso * other.layers[0].weight.norm(dim=1).sum()
                penalty = penalty + 0.05 * sum(value.square().sum() for value in decayed)
                yield peer(other(x[rows]), y[rows]) + penalty

    train_by_autograd(other.layers[frozen:], losses(), repeat(1e-2), epsilon=1e-7)
    assert_same(network.layers, other.layers)


def test_a_row_of_the_history_for_every_epoch():
    x, y = measured(5)
    network = new_network()
    train = partial(train_stage, network, seeded(), 2)
    expected = {
        "penalty": 0.1 * network.layers[0].weight.norm(dim=1).sum().item(),
        "genes_alive": 11,
    }
    for kind, n in (("", 5), ("eval_", 2)):
        error = mse_loss(network(x[:n]), y[:n])
        expected[f"{kind}loss"] = error.item()
        expected[f"{kind}r2"] = 1 - (error / y[:n].square().mean()).item()
    history = train(2, 0.0, "one", x, y, (x[:2], y[:2]), lasso=0.1)
    assert [row.pop("stage") for row in history] == ["one", "one"]
    assert history == [approx(expected, rel=1e-5)] * 2
    classes = torch.tensor([0, 1, 1, 2, 1])
    [classified] = train(1, 0.0, "two", x, classes, loss=cross_entropy)
    assert classified["loss"] == approx(torch_cross_entropy(network(x), classes).item(), rel=1e-5)
    assert "r2" not in classified
    [constant] = train(1, 0.0, "three", x, 0 * y)
    assert np.isnan(constant["r2"])


# --- of the distilled network


def test_learning_rates_are_those_of_one_cycle():
    rates = one_cycle_learning_rates(20, 0.01)
    assert rates[:3] == approx([0.01 / 25, 0.0052, 0.01]) and rates[-1] == approx(0.01 / 25e4)


def test_networks_of_the_teacher_equal_autograd():
    """Two networks at once, each on its own cells with noise on the genes."""
    x, y = measured(20)
    members = [torch.arange(12), torch.arange(4, 20)]
    settings = DistilledSettings(steps_of_teachers=2, rate_of_teachers=0.01)
    sizes = [12, 8, 6, 2, 6, 8, 3]
    trained = train_teacher_networks(sizes, x, y, 0.3, settings, seeded(), members)
    generator = seeded()
    others = [BottleneckNetwork(sizes, "silu", generator=generator) for _ in members]

    def losses():
        for _ in range(2):
            # the smaller set has 12 cells, so a pass is a single batch
            rows = [own[torch.randperm(len(own), generator=generator)[:12]] for own in members]
            noise = 0.3 * torch.randn(2, 12, 12, generator=generator)
            yield sum(mse_loss(others[i](x[rows[i]] + noise[i]), y[rows[i]]) for i in range(2))

    train_by_autograd(
        others[0].layers + others[1].layers, losses(), one_cycle_learning_rates(2, 0.01)
    )
    for network, other in zip(trained, others, strict=True):
        assert_same(network.layers, other.layers)


def test_the_student_equals_autograd(monkeypatch):
    """64 measured cells with noise, of weight 1/2, and 128 labelled cells in every step."""
    monkeypatch.setattr(distilled, "RECORDED_EVERY", 2)
    monkeypatch.setattr(distilled, "WATCHED_CELLS", 30)
    x, y = measured(100)
    more_x, more_y = measured(200)
    network, other = new_network("silu"), new_network("silu")
    settings = DistilledSettings(steps_of_student=3, rate_of_student=0.01)
    labelled, watched = (more_x, more_y), (x[:30], y[:30])
    history = train_distilled(network, x, y, labelled, 0.3, settings, seeded(), watched)
    means = []

    def losses():
        generator = seeded()
        for _ in range(3):
            # a pass is a single batch
            rows = torch.randperm(100, generator=generator)[:64]
            noise = 0.3 * torch.randn(64, 12, generator=generator)
            made = torch.randperm(200, generator=generator)[:128]
            output = other(torch.cat([x[rows] + noise, more_x[made]]))
            error = (output - torch.cat([y[rows], more_y[made]])).square()
            means.append(error.mean().item())
            yield (error[:64].sum() / 2 + error[64:].sum()) / (160 * 3)

    train_by_autograd(other.layers, losses(), one_cycle_learning_rates(3, 0.01))
    assert_same(network.layers, other.layers)
    assert [row["loss"] for row in history] == approx([np.mean(means[:2]), means[2]], rel=1e-4)
    assert history[-1]["r2"] == history[-1]["eval_r2"]
