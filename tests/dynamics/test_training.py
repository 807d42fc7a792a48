"""Losses, steps and epochs in the training of PHOENIX."""

from dataclasses import replace

import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.data.trajectories import as_trajectories
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.pruning import Pruner
from sbnn.dynamics.solver import integrate_trajectories
from sbnn.dynamics.training import (
    PENALTY_WEIGHTS,
    Intervals,
    PhoenixSettings,
    PhoenixTraining,
)


@pytest.fixture
def make_training(samples, prior):
    """Makes a training of a new network on all samples, always with the same seed."""

    def make(pruning="none", validation=None, **changes):
        settings = PhoenixSettings(
            pruning=pruning,
            batch_size=99,
            learning_rate=1e-3,
            data_weight=0.25,
            n_prior_points=500,
            penalty=None,
            as_published=(),
        )
        generator = torch.Generator().manual_seed(0)
        gated = pruning in PENALTY_WEIGHTS
        network = Phoenix(n_genes=30, n_hidden=4, generator=generator, gated=gated)
        return PhoenixTraining(
            settings=replace(settings, **changes),
            pruner=Pruner(network, (0, 0)),
            generator=generator,
            train=Intervals(as_trajectories(samples), 1.0),
            prior=torch.from_numpy(prior.to_numpy(dtype=float)),
            validation=validation,
        )

    return make


@pytest.fixture
def training(make_training):
    """Of a network with gates."""
    return make_training("c_node")


def test_a_step_follows_data_and_prior(make_training):
    training = make_training(learning_rate=0.0)
    training.run(1, {})
    multiplier = training.network.multiplier
    loss = 0.25 * training.train.loss(training.network) + 0.75 * training.prior_loss()
    (expected,) = torch.autograd.grad(loss, multiplier)
    torch.testing.assert_close(multiplier.grad, expected)


def test_a_step_follows_the_penalty(make_training):
    """So large a one that the other losses do not matter."""
    training = make_training("l0", learning_rate=0.0, penalty=1e6)
    training.run(1, {})
    location = training.network.locations["sum_in"]
    (expected,) = torch.autograd.grad(1e6 * training.network.penalty("l0"), location)
    torch.testing.assert_close(location.grad, expected, rtol=1e-3, atol=0)


def test_the_history_has_the_loss_of_data(make_training):
    """Of every interval, although one batch is smaller."""
    training = make_training(learning_rate=0.0, batch_size=17)
    training.run(1, {})
    expected = training.train.loss(training.network).item()
    assert training.history[0]["loss"] == approx(expected, rel=1e-5)


def test_gates_are_drawn_for_each_batch(make_training, monkeypatch):
    training = make_training("c_node", batch_size=12)
    data_loss = training.train.loss
    gates = []

    def watched_loss(network, rows):
        gates.append(network.gates["sum_in"])
        return data_loss(network, rows)

    monkeypatch.setattr(training.train, "loss", watched_loss)
    training.run(1, {})
    first, second = gates
    assert not torch.equal(first, second)


def test_the_penalty_has_the_published_weight(training):
    assert training.penalty() == PENALTY_WEIGHTS["c_node"] * training.network.penalty("c_node")


def test_the_weight_of_the_penalty_can_change(make_training):
    assert make_training("c_node", penalty=0.0).penalty() == 0


def test_points_for_the_prior_are_uniform(training):
    assert training.points.abs().max().item() == approx(0.5, abs=0.01)


@pytest.fixture
def plain_network(training):
    """The network of the training, without gates."""
    training.network.requires_grad_(False).remove_gates()
    return training.network


def test_the_prior_loss_is_a_mean_square(training, plain_network, prior):
    z = training.points
    gap = plain_network.targets(z).numpy() - z.numpy() @ prior.to_numpy()
    assert_allclose(training.prior_loss(), (gap**2).mean(), rtol=1e-5)


def test_the_data_loss_is_a_mean_square(training, plain_network, samples):
    """Up to the error of a few steps of the solver."""
    loss = training.train.loss(plain_network, training.train.rows[3])
    before, after, spans = as_trajectories(samples).select([3]).intervals()
    errors = integrate_trajectories(plain_network.double(), before, spans)[:, 1] - after
    assert loss.item() == approx((errors**2).mean(), rel=1e-2)


@pytest.fixture
def without_progress(samples):
    """Validation intervals without length, whose loss no network can change."""
    return Intervals(as_trajectories(samples), 0.0)


@pytest.mark.parametrize(("schedule", "n_epochs"), [({}, 1), ({2: 0.5}, 3)])
def test_patience_starts_at_the_last_pruning(make_training, without_progress, schedule, n_epochs):
    training = make_training(validation=without_progress)
    training.run(60, schedule)
    assert len(training.history) == n_epochs + 40


@pytest.mark.parametrize(("schedule", "n_epochs"), [({}, 1), ({2: 0.5}, 3)])
def test_the_best_pruned_epoch_is_kept(make_training, without_progress, schedule, n_epochs):
    long = make_training(validation=without_progress)
    long.run(60, schedule)
    short = make_training(validation=without_progress)
    short.run(n_epochs, schedule)
    assert torch.equal(long.network.sum_in, short.network.sum_in)


@pytest.mark.parametrize("as_published", [(), ("keep_moments",)])
def test_moments_are_kept_only_as_published(make_training, as_published):
    """The optimiser has taken as many steps as since its moments started."""
    training = make_training(as_published=as_published)
    training.run(3, {2: 0.5})
    steps = training.optimizer.state[training.network.sum_in]["step"]
    assert steps == (3 if as_published else 1)


def test_learning_rates_fall_without_progress(make_training, without_progress):
    training = make_training(validation=without_progress)
    training.run(5, {})
    rates = [group["lr"] for group in training.optimizer.param_groups]
    assert_allclose(rates, [0.9e-3, 4.5e-3])
