"""Training of both networks against autograd and torch.optim.Adam, and its history."""

from itertools import repeat

import numpy as np
import pytest
import torch
from material.estimators import seeded
from pytest import approx
from torch.nn.functional import cross_entropy as torch_cross_entropy
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from sbnn import DistilledSettings
from sbnn.models import distilled
from sbnn.models import network as network_module
from sbnn.models.base import ScaledCells, Stage, train_stage
from sbnn.models.distilled import (
    one_cycle_learning_rates,
    train_distilled,
    train_teacher_networks,
)
from sbnn.models.network import (
    BottleneckNetwork,
    cross_entropy,
    squared_error,
)

SIZES = [12, 8, 6, 2, 6, 8, 3]


def new_network(activation="elu"):
    network = BottleneckNetwork(SIZES, activation, generator=seeded())
    network.layers[0].weight[3] = 0  # where the norm has no gradient
    return network


def scaled_cells(n):
    """Cells, (n, 12), and outputs, (n, 3), that two genes determine."""
    x = torch.randn(n, 12, generator=seeded(9))
    target = x[:, :2] @ torch.randn(2, 3, generator=seeded(8))
    return ScaledCells(x=x, target=target)


def list_parameters(layers):
    """Weights and biases, layer by layer."""
    parameters = []
    for layer in layers:
        parameters += [layer.weight, layer.bias]
    return parameters


def train_by_autograd(layers, losses, rates, epsilon=1e-8):
    """A step of torch's Adam for every loss, each computed after the step before."""
    parameters = [parameter.requires_grad_() for parameter in list_parameters(layers)]
    optimizer = torch.optim.Adam(parameters, eps=epsilon)
    for loss, rate in zip(losses, rates, strict=False):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def assert_same(layers, expected_layers):
    expected = [value.detach() for value in list_parameters(expected_layers)]
    assert_close(list_parameters(layers), expected, rtol=2e-4, atol=2e-5)


# --- a stage of the published protocol


@pytest.mark.parametrize(
    ("n_frozen", "group_lasso", "loss", "peer"),
    [
        (0, 0.1, squared_error, mse_loss),
        (2, 0.0, squared_error, mse_loss),
        (0, 0.01, cross_entropy, torch_cross_entropy),
    ],
)
def test_a_stage_equals_autograd(n_frozen, group_lasso, loss, peer, monkeypatch):
    """Three epochs, with nothing computed once for all of them."""
    monkeypatch.setattr(network_module, "L2_PENALTY", 0.05)
    x, target = scaled_cells(60)
    if loss is cross_entropy:
        target = (target[:, 0] > 0).long()
    stage = Stage(
        name="",
        n_epochs=3,
        learning_rate=1e-2,
        batch_size=32,
        n_frozen=n_frozen,
        group_lasso=group_lasso,
        loss=loss,
    )
    network, expected = new_network(), new_network()
    train_stage(network, stage, ScaledCells(x=x, target=target), seeded())

    def losses():
        generator = seeded()
        decayed = list_parameters(expected.layers[n_frozen:])
        if group_lasso:
            decayed = decayed[1:]
        for _ in range(3):
            for rows in torch.randperm(60, generator=generator).split(32):
                lasso = group_lasso * expected.layers[0].weight.norm(dim=1).sum()
                decay = 0.05 * sum(value.square().sum() for value in decayed)
                yield peer(expected(x[rows]), target[rows]) + lasso + decay

    train_by_autograd(expected.layers[n_frozen:], losses(), repeat(1e-2), epsilon=1e-7)
    assert_same(network.layers, expected.layers)


NO_STEPS = Stage(name="one", n_epochs=2, learning_rate=0.0, batch_size=2, group_lasso=0.1)


def test_history_counts_the_genes_that_are_alive():
    [row, _] = train_stage(new_network(), NO_STEPS, scaled_cells(5), seeded())
    assert row["genes_alive"] == 11


def test_history_scores_training_and_watched_cells():
    x, target = scaled_cells(5)
    network = new_network()
    error = mse_loss(network(x), target).item()
    eval_error = mse_loss(network(x[:2]), target[:2]).item()
    cells = ScaledCells(x=x, target=target)
    eval_cells = ScaledCells(x=x[:2], target=target[:2])
    [row, _] = train_stage(network, NO_STEPS, cells, generator=seeded(), eval_cells=eval_cells)
    mean_square = target.square().mean().item()
    eval_mean_square = target[:2].square().mean().item()
    assert row["loss"] == approx(error, rel=1e-5)
    assert row["r2"] == approx(1 - error / mean_square, rel=1e-5)
    assert row["eval_loss"] == approx(eval_error, rel=1e-5)
    assert row["eval_r2"] == approx(1 - eval_error / eval_mean_square, rel=1e-5)


def test_history_of_classes_has_no_r2():
    x, _ = scaled_cells(5)
    classes = torch.tensor([0, 1, 1, 2, 1])
    network = new_network()
    stage = NO_STEPS._replace(loss=cross_entropy)
    [row, _] = train_stage(network, stage, ScaledCells(x=x, target=classes), seeded())
    assert row["loss"] == approx(torch_cross_entropy(network(x), classes).item(), rel=1e-5)
    assert "r2" not in row


def test_r2_of_constant_outputs_is_unknown():
    x, target = scaled_cells(5)
    constant = ScaledCells(x=x, target=0 * target)
    [row, _] = train_stage(new_network(), NO_STEPS, constant, seeded())
    assert np.isnan(row["r2"])


# --- the distilled network


def test_learning_rates_are_those_of_one_cycle():
    rates = one_cycle_learning_rates(20, 0.01)
    assert rates[:3] == approx([0.01 / 25, 0.0052, 0.01])
    assert rates[-1] == approx(0.01 / 25e4)


def test_networks_of_the_teacher_equal_autograd():
    """Two networks at once, each on its own cells with noise on the genes."""
    x, target = cells = scaled_cells(20)
    training_sets = [torch.arange(12), torch.arange(4, 20)]
    settings = DistilledSettings(steps_of_teachers=2, rate_of_teachers=0.02)
    networks = train_teacher_networks(
        SIZES, cells, training_sets, noise=0.3, settings=settings, generator=seeded()
    )
    generator = seeded()
    expected = [BottleneckNetwork(SIZES, "silu", generator=generator) for _ in training_sets]

    def losses():
        for _ in range(2):
            # the smaller set has 12 cells, so a pass is a single batch
            batches = []
            for training in training_sets:
                order = torch.randperm(len(training), generator=generator)
                batches.append(training[order[:12]])
            noise = 0.3 * torch.randn(2, 12, 12, generator=generator)
            loss = 0
            for network, rows, own_noise in zip(expected, batches, noise, strict=True):
                loss = loss + mse_loss(network(x[rows] + own_noise), target[rows])
            yield loss

    all_layers = expected[0].layers + expected[1].layers
    train_by_autograd(all_layers, losses(), one_cycle_learning_rates(2, 0.02))
    for network, expected_network in zip(networks, expected, strict=True):
        assert_same(network.layers, expected_network.layers)


@pytest.fixture
def student(monkeypatch):
    """A student after three steps, its history, and what autograd gives.

    Every step has 64 measured cells with noise, of weight 0.15, and 128 labelled cells.
    """
    monkeypatch.setattr(distilled, "RECORDED_EVERY", 2)
    monkeypatch.setattr(distilled, "MOST_WATCHED_CELLS", 30)
    x, target = cells = scaled_cells(100)
    labelled_x, labels = labelled_cells = scaled_cells(200)
    network, expected = new_network("silu"), new_network("silu")
    history = train_distilled(
        network,
        cells,
        labelled_cells,
        noise=0.3,
        settings=DistilledSettings(steps_of_student=3, rate_of_student=0.01),
        generator=seeded(),
        eval_cells=ScaledCells(x=x[:30], target=target[:30]),
    )
    means = []

    def losses():
        generator = seeded()
        for _ in range(3):
            # a pass is a single batch
            rows = torch.randperm(100, generator=generator)[:64]
            noise = 0.3 * torch.randn(64, 12, generator=generator)
            labelled_rows = torch.randperm(200, generator=generator)[:128]
            output = expected(torch.cat([x[rows] + noise, labelled_x[labelled_rows]]))
            error = output - torch.cat([target[rows], labels[labelled_rows]])
            squares = error.square()
            means.append(squares.mean().item())
            weighted_sum = 0.15 * squares[:64].sum() + squares[64:].sum()
            yield weighted_sum / ((0.15 * 64 + 128) * 3)

    train_by_autograd(expected.layers, losses(), one_cycle_learning_rates(3, 0.01))
    return network, history, expected, means


def test_the_student_equals_autograd(student):
    network, _, expected, _ = student
    assert_same(network.layers, expected.layers)


def test_history_of_the_student_has_mean_losses(student):
    _, history, _, means = student
    losses = [row["loss"] for row in history]
    assert losses == approx([np.mean(means[:2]), means[2]], rel=1e-4)


def test_history_of_the_student_watches_measured_cells(student):
    _, history, _, _ = student
    assert history[-1]["r2"] == history[-1]["eval_r2"]
