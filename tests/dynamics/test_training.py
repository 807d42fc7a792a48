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
def training(samples, prior, generator):
    """Training of a new network with gates on all samples."""
    network = Phoenix(n_genes=30, n_hidden=4, generator=generator, gated=True)
    settings = PhoenixSettings(
        pruning="c_node",
        batch_size=99,
        learning_rate=1e-3,
        data_weight=0.25,
        n_prior_points=500,
        penalty=None,
        as_published=(),
    )
    return PhoenixTraining(
        settings=settings,
        pruner=Pruner(network, (0, 0)),
        generator=generator,
        train=Intervals(as_trajectories(samples), 1.0),
        prior=torch.from_numpy(prior.to_numpy(dtype=float)),
    )


@pytest.fixture
def watched(training, monkeypatch):
    """An epoch of two batches, with the rows and gates of their losses.

    Losses are replaced by multiples of one sum, and nothing is learned.
    """
    training.settings = replace(training.settings, learning_rate=0.0, batch_size=12)
    multiplier = training.network.multiplier
    training.rows_of_batches = []
    training.gates_of_batches = []

    def data_loss(network, rows):
        training.rows_of_batches.append(rows.tolist())
        training.gates_of_batches.append(network.gates["sum_in"])
        return multiplier.sum()

    monkeypatch.setattr(training.train, "loss", data_loss)
    monkeypatch.setattr(training, "prior_loss", lambda: 10 * multiplier.sum())
    monkeypatch.setattr(training, "penalty", lambda: 100 * multiplier.sum())
    training.run(1, {})
    return training


def test_a_step_follows_all_losses(watched):
    assert watched.network.multiplier.grad.unique() == 0.25 + 7.5 + 100


def test_the_history_has_the_loss_of_data(watched):
    total = watched.network.multiplier.sum().item()
    assert watched.history[0]["loss"] == approx(total)


def test_gates_are_drawn_for_each_batch(watched):
    first, second = watched.gates_of_batches
    assert not torch.equal(first, second)


def test_every_interval_is_in_one_batch(watched):
    first, second = watched.rows_of_batches
    assert sorted(first + second) == [*range(24 * 4)]


def test_batches_are_in_random_order(watched):
    first, second = watched.rows_of_batches
    assert first + second != [*range(24 * 4)]


def test_the_penalty_has_the_published_weight(training):
    assert training.penalty() == PENALTY_WEIGHTS["c_node"] * training.network.penalty("c_node")


def test_the_weight_of_the_penalty_can_change(training):
    training.settings = replace(training.settings, penalty=0.0)
    assert training.penalty() == 0


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
def epochs_of_growing_loss(training, monkeypatch):
    """Weights after each epoch, of which the first one has the lowest monitored loss."""
    weights = []
    train_epoch = training._train_epoch

    def grow():
        train_epoch()
        weights.append(training.network.sum_in.detach().clone())
        return float(len(weights))

    monkeypatch.setattr(training, "_train_epoch", grow)
    return weights


def test_patience_ends_training(training, epochs_of_growing_loss):
    training.run(60, {})
    assert len(epochs_of_growing_loss) == 1 + 40


def test_the_best_epoch_is_kept(training, epochs_of_growing_loss):
    training.run(60, {})
    assert torch.equal(training.network.sum_in, epochs_of_growing_loss[0])


def test_patience_starts_at_the_last_pruning(training, epochs_of_growing_loss):
    training.run(60, {2: 0.5})
    assert len(epochs_of_growing_loss) == 2 + 1 + 40


def test_weights_before_a_pruning_are_lost(training, epochs_of_growing_loss):
    training.run(60, {2: 0.5})
    assert torch.equal(training.network.sum_in, epochs_of_growing_loss[2])


@pytest.mark.parametrize("as_published", [(), ("keep_moments",)])
def test_moments_are_kept_only_as_published(training, as_published):
    """The optimiser has taken as many steps as since its moments started."""
    training.settings = replace(training.settings, as_published=as_published)
    training.run(3, {2: 0.5})
    steps = training.optimizer.state[training.network.sum_in]["step"]
    assert steps == (3 if as_published else 1)


def test_learning_rates_fall_without_progress(training, epochs_of_growing_loss):
    training.run(5, {})
    rates = [group["lr"] for group in training.optimizer.param_groups]
    assert_allclose(rates, [0.9e-3, 4.5e-3])
