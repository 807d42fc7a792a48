"""Priors and training of models of screens, against what can be worked out by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy import stats

from sbnn.mechanism_shift.network import ShiftNetwork, sample_gates
from sbnn.mechanism_shift.training import (
    OneCycleTraining,
    PublishedTraining,
    RetrainedTraining,
    split_cells,
)


@pytest.fixture
def new_training(screen):
    """A function that makes a training of 200 cells with four perturbations."""
    counts = screen.counts[:200].astype(np.float32)
    codes = np.arange(200) % 4
    new_network = partial(ShiftNetwork, 60, 2, 4, prior="ivae", hidden=8)

    def make(kind=OneCycleTraining, seed=0):
        return kind(counts, codes, new_network, seed=seed)

    return make


@pytest.fixture
def training(new_training):
    return new_training()


LOGITS = np.array([[5.0, 0.0, -2.0], [1.0, 3.0, -1.0]])
PROBABILITIES = 1 / (1 + np.exp(-LOGITS))


@pytest.mark.parametrize(
    ("prior", "penalty"),
    [
        ("svae+", -stats.beta.logpdf(PROBABILITIES, 1, 10).sum()),
        ("svae", 100 * PROBABILITIES.mean()),
        ("ivae", 0),
    ],
)
def test_penalties_are_the_published_ones(prior, penalty):
    network = ShiftNetwork(4, 3, 2, prior=prior)
    network.gates.data.copy_(torch.from_numpy(LOGITS))
    assert network.penalty().item() == approx(penalty, rel=1e-5)


@pytest.fixture
def gates():
    """Logits of two gates, with gradients, and 20000 samples of them."""
    logits = torch.tensor([[1.0, -1.0]]).expand(20000, 2).clone().requires_grad_()
    return logits, sample_gates(logits, torch.Generator().manual_seed(0))


def test_sampled_gates_are_open_or_closed(gates):
    _, samples = gates
    values = samples.detach().unique().round()
    assert set(values.tolist()) == {0.0, 1.0}


def test_gates_are_open_with_their_probability(gates):
    _, samples = gates
    assert samples.mean(0)[0].item() == approx(0.731, abs=0.02)


def test_gates_have_soft_gradients(gates):
    logits, samples = gates
    samples.sum().backward()
    assert (logits.grad > 0).all()


@pytest.mark.parametrize("is_sum", [False, True])
def test_penalty_of_a_summed_loss_warms_up(training, monkeypatch, is_sum):
    training.network.loss_is_sum = is_sum
    losses = []
    for penalty in (torch.tensor(0.0), torch.tensor(3e4)):
        monkeypatch.setattr(training.network, "penalty", partial(torch.clone, penalty))
        training.generator.manual_seed(0)
        loss = training.loss(torch.arange(40), 0.25)
        losses.append(loss.item())
    # spread over the cells, with the weight of the divergence
    expected = 0.25 * 3e4 / len(training.train) if is_sum else 3e4
    assert np.diff(losses) == approx(expected, rel=1e-3)


@pytest.fixture
def first_steps(new_training, monkeypatch):
    """Gradients and weight decays of a step for all cells, with a summed and with a mean loss."""
    steps = []

    def record_step(optimizer):
        decays = [group["weight_decay"] for group in optimizer.param_groups]
        gradient = training.network.logits.bias.grad.clone()
        steps.append((gradient, decays))

    monkeypatch.setattr(torch.optim.Adam, "step", record_step)
    for is_sum in (True, False):
        training = new_training()
        training.network.loss_is_sum = is_sum
        training.batch_size = len(training.train)
        training.cycle(1)
    return *steps, len(training.train)


def test_summed_loss_is_over_the_training_cells(first_steps):
    (of_sum, _), (of_mean, _), n_cells = first_steps
    torch.testing.assert_close(of_sum, n_cells * of_mean, rtol=1e-3, atol=1e-2)


def test_weights_have_a_normal_prior_and_gates_none(first_steps):
    (_, of_sum), (_, of_mean), n_cells = first_steps
    assert of_sum == [36, 0]
    assert of_mean == [36 / n_cells, 0]


@pytest.fixture
def cycles(training):
    """A training whose last cycles only record their precision and a random number."""
    training.random_numbers = []

    def cycle(epochs):
        number = torch.rand((), generator=training.generator)
        training.random_numbers.append(number)
        training.network.logits.bias.data.fill_(training.precision)
        training.history.append(training.precision)

    training.cycle = cycle
    return training


@pytest.mark.parametrize(
    ("scores", "precision"), [((1.0, 2.0), 18), ((2.0, 1.0), 72), ((np.nan, np.nan), 72)]
)
def test_validation_cells_choose_the_last_shrinkage(cycles, scores, precision):
    remaining = iter(scores)
    cycles.validation_bound = lambda *_: next(remaining)
    cycles.best_cycle(3)
    assert cycles.precision == precision
    assert cycles.history == [precision]
    assert (cycles.network.logits.bias == precision).all()


def test_last_cycles_have_the_same_random_numbers(cycles):
    cycles.validation_bound = lambda *_: 0.0
    cycles.best_cycle(3)
    first, second = cycles.random_numbers
    assert first == second


@pytest.fixture
def early_stopping(new_training):
    """A published training with given scores of six epochs, three of them before the warm-up."""
    scores = iter([5.0, 4.0, 1.0, 2.0, 0.5, 0.4])
    training = new_training(PublishedTraining)
    training.patience = 2
    training.batch_size = 60
    training.biases = []
    training.weights = []
    training.modes = []
    loss_of_batch = training.loss

    def validation_bound(*_):
        bias = training.network.mean.bias.clone()
        training.biases.append(bias)
        training.network.eval()  # as the bound does
        return next(scores)

    def loss(batch, weight):
        training.modes.append(training.network.training)
        training.weights.append(weight)
        return loss_of_batch(batch, weight)

    training.validation_bound = validation_bound
    training.loss = loss
    training.network.eval()
    training.train_until_best(9, warm_up=3)
    return training


def test_training_ends_without_a_better_score(early_stopping):
    scores = [row["validation_elbo"] for row in early_stopping.history]
    assert scores == [5, 4, 1, 2, 0.5, 0.4]


def test_best_weights_since_the_warm_up_stay(early_stopping):
    assert torch.equal(early_stopping.network.mean.bias, early_stopping.biases[3])


def test_dropout_is_on_after_validation(early_stopping):
    assert all(early_stopping.modes)


def test_weight_of_the_divergence_rises(early_stopping):
    weights = early_stopping.weights
    steps = np.arange(1, len(weights) + 1)
    assert_allclose(weights, np.minimum(1, steps / 9))


def test_inputs_are_scaled_over_the_training_cells(training):
    inputs = training.network.inputs(training.counts)[training.train]
    assert_allclose(inputs.mean(0), 0, atol=1e-5)
    assert_allclose(inputs.std(0, correction=0), 1, rtol=1e-5)


def test_validation_cells_are_scored(training):
    mean_count = training.validation_bound(lambda network, counts, **_: counts, 1)
    expected = training.counts[training.validation].mean()
    assert mean_count == approx(expected.item())


def test_first_weights_and_batches_depend_on_the_seed(new_training):
    first = new_training(seed=1)
    second = new_training(seed=2)
    assert not torch.equal(first.network.mean.weight, second.network.mean.weight)
    assert not torch.equal(first.batches()[0], second.batches()[0])


CODES = np.array([0, 1, 0, 1, 1, 0, 0, 2, 1])


def test_every_cell_is_for_training_or_validation():
    train, validation = split_cells(CODES, 0.5, np.random.RandomState(0))
    assert sorted([*train, *validation]) == list(range(9))


def test_a_fraction_of_each_perturbation_is_for_validation():
    _, validation = split_cells(CODES, 0.5, np.random.RandomState(0))
    assert sorted(CODES[validation]) == [0, 0, 1, 1]


@pytest.mark.parametrize(("epochs", "expected"), [(None, (300, 50)), (50, (50, 10))])
def test_published_epochs_and_warm_up(new_training, epochs, expected):
    """Those of the simulated and of the real screens of the article."""
    training = new_training(PublishedTraining)
    calls = []
    training.train_until_best = lambda *epochs: calls.append(epochs)
    training.run(epochs)
    assert calls == [expected]


MASK = torch.tensor([[-1.0, 2.0]]).repeat(4, 1)


@pytest.fixture
def retrained(new_training, monkeypatch):
    """A training with a mask, after the published training, and its first shifts."""
    training = new_training(RetrainedTraining)
    training.network.prior = "svae+"
    training.network.gates = torch.nn.Parameter(MASK.clone())
    monkeypatch.setattr(PublishedTraining, "run", lambda *_: training.history.append({}))
    first_shifts = training.network.shifts.detach().clone()
    training.run(3)
    return training, first_shifts


def test_retraining_takes_as_many_epochs_again(retrained):
    training, _ = retrained
    assert len(training.history) == 1 + 3


def test_a_rounded_mask_stays_as_it_is(retrained):
    training, _ = retrained
    rounded = torch.tensor([-torch.inf, torch.inf]).expand_as(MASK)
    assert torch.equal(training.network.gates, rounded)


def test_only_shifts_with_open_gates_are_retrained(retrained):
    training, first_shifts = retrained
    changed = (training.network.shifts - first_shifts).abs() > 1e-5
    assert changed[:, 1].all()
    assert not changed[:, 0].any()
