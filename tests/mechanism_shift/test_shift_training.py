"""Priors and training of models of screens, against what can be worked out by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy import stats

from sbnn.mechanism_shift.network import ShiftNetwork, drawn_gates
from sbnn.mechanism_shift.training import (
    OneCycleTraining,
    PublishedTraining,
    RetrainedTraining,
    split,
)


@pytest.fixture
def small(screen):
    """A function that makes a training of some cells."""

    def new_training(kind=OneCycleTraining, seed=0):
        new = partial(ShiftNetwork, 60, 2, 4, "ivae", hidden=8)
        return kind(screen.counts[:200].astype(np.float32), np.arange(200) % 4, new, seed)

    return new_training


@pytest.fixture
def training(small):
    return small()


def test_the_penalties_are_the_published_ones():
    logits = torch.tensor([[5.0, 0.0, -2.0], [1.0, 3.0, -1.0]])
    p = logits.sigmoid().numpy()
    expected = {"svae+": -stats.beta.logpdf(p, 1, 10).sum(), "svae": 100 * p.mean(), "ivae": 0}
    for prior, value in expected.items():
        network = ShiftNetwork(4, 3, 2, prior)
        network.gates.data.copy_(logits)
        assert network.penalty().item() == approx(value, rel=1e-5)


def test_a_gate_is_drawn_hard_with_a_soft_gradient():
    logits = torch.tensor([[1.0, -1.0]]).expand(20000, 2).clone().requires_grad_()
    drawn = drawn_gates(logits, torch.Generator().manual_seed(0))
    assert set(drawn.detach().unique().round().tolist()) == {0.0, 1.0}
    assert drawn.mean(0)[0].item() == approx(0.731, abs=0.02)
    drawn.sum().backward()
    assert (logits.grad > 0).all()


@pytest.mark.parametrize("summed", [False, True])
def test_the_penalty_is_spread_over_the_cells_and_warms_up_where_the_loss_is_a_sum(
    training, monkeypatch, summed
):
    training.network.summed = summed
    losses = []
    for penalty in (0.0, 3e4):
        monkeypatch.setattr(training.network, "penalty", lambda of=penalty: torch.tensor(of))
        training.generator.manual_seed(0)
        losses.append(training.loss(torch.arange(40), 0.25).item())
    added = 0.25 * 3e4 / len(training.train) if summed else 3e4
    assert np.diff(losses) == approx(added, rel=1e-3)


def test_the_loss_of_svae_plus_is_the_sum_over_the_training_cells(small, monkeypatch):
    steps = []

    def step(optimizer):
        decays = [group["weight_decay"] for group in optimizer.param_groups]
        steps.append((training.network.logits.bias.grad.clone(), decays))

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    for summed in (True, False):
        training = small()
        training.network.summed = summed
        n = training.batch_size = len(training.train)
        training.cycle(1)
    (of_sum, decays), (of_mean, spread) = steps
    torch.testing.assert_close(of_sum, n * of_mean, rtol=1e-3, atol=1e-2)
    assert (decays, spread) == ([36, 0], [36 / n, 0]), "weights have a normal prior, gates none"


@pytest.mark.parametrize(
    ("given", "precision"), [((1.0, 2.0), 18), ((2.0, 1.0), 72), ((np.nan, np.nan), 72)]
)
def test_the_last_cycle_keeps_the_shrinkage_that_validation_cells_prefer(
    training, given, precision
):
    scores = iter(given)
    draws = []

    def cycle(epochs):
        draws.append(torch.rand((), generator=training.generator))
        training.network.logits.bias.data.fill_(training.precision)
        training.history.append(training.precision)

    training.cycle = cycle
    training.held_out = lambda *_: next(scores)
    training.best_cycle(3)
    assert draws[0] == draws[1], "with the same batches and draws"
    assert training.history == [precision] == [training.precision]
    assert (training.network.logits.bias == precision).all()


def test_scores_are_compared_from_the_end_of_the_warm_up_on(small):
    scores = iter([5.0, 4.0, 1.0, 2.0, 0.5, 0.4])
    training = small(PublishedTraining)
    training.patience = 2
    training.batch_size = 60
    biases = []
    weights = []

    def held_out(*_):
        biases.append(training.network.mean.bias.clone())
        return next(scores)

    def loss(batch, weight, loss=training.loss):
        assert training.network.training, "with dropout, also after validation"
        weights.append(weight)
        return loss(batch, weight)

    training.held_out = held_out
    training.loss = loss
    training.network.eval()
    training.until_best(9, warm_up=3)
    assert [row["validation_elbo"] for row in training.history] == [5, 4, 1, 2, 0.5, 0.4]
    assert torch.equal(training.network.mean.bias, biases[3]), "the best since the warm-up"
    assert_allclose(weights, np.minimum(1, np.arange(1, len(weights) + 1) / 9))


def test_inputs_are_scaled_over_the_training_cells(training):
    inputs = training.network.inputs(training.counts)[training.train]
    assert_allclose(inputs.mean(0), 0, atol=1e-5)
    assert_allclose(inputs.std(0, correction=0), 1, rtol=1e-5)


def test_validation_cells_are_scored(training):
    counts = training.held_out(lambda _, counts, *rest: counts, 1)
    assert counts == approx(training.counts[training.validation].mean().item())


def test_first_weights_and_batches_depend_on_the_seed(small):
    first, second = small(seed=1), small(seed=2)
    assert not torch.equal(first.network.mean.weight, second.network.mean.weight)
    assert not torch.equal(first.batches()[0], second.batches()[0])


def test_a_share_of_the_cells_of_every_perturbation_is_held_out():
    codes = np.array([0, 1, 0, 1, 1, 0, 0, 2, 1])
    train, held_out = split(codes, 0.5, np.random.RandomState(0))
    assert sorted([*train, *held_out]) == list(range(9))
    assert sorted(codes[held_out]) == [0, 0, 1, 1]


@pytest.mark.parametrize(("given", "expected"), [(None, (300, 50)), (50, (50, 10))])
def test_published_epochs_warm_up_as_on_simulated_and_on_real_screens(
    small, monkeypatch, given, expected
):
    training = small(PublishedTraining)
    monkeypatch.setattr(training, "until_best", lambda *how: training.history.append(how))
    training.run(given)
    assert training.history == [expected]


def test_a_rounded_mask_stays_as_it_is_while_the_shifts_are_trained_on(small, monkeypatch):
    training = small(RetrainedTraining)
    network = training.network
    gates = torch.tensor([[-1.0, 2.0]]).repeat(len(network.gates), 1)
    network.prior, network.gates = "svae+", torch.nn.Parameter(gates)
    monkeypatch.setattr(PublishedTraining, "run", lambda *_: training.history.append({}))
    before = network.shifts.detach().clone()
    training.run(3)
    assert len(training.history) == 1 + 3
    assert torch.equal(network.gates, torch.tensor([-torch.inf, torch.inf]).expand_as(gates))
    moved = (network.shifts - before).abs() > 1e-5
    assert moved[:, 1].all() and not moved[:, 0].any(), "only open gates have a gradient"
