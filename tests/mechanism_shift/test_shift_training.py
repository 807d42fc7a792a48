"""Priors and training of models of screens, against what can be worked out by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from sbnn.mechanism_shift import training as training_module
from sbnn.mechanism_shift.network import ShiftNetwork, drawn_gates
from sbnn.mechanism_shift.training import OneCycleTraining, PublishedTraining, split


def small_training(screen, prior="ivae", kind=OneCycleTraining):
    counts = screen.counts[:200].astype(np.float32)
    codes = np.unique(screen.perturbation[:200], return_inverse=True)[1]
    new = partial(ShiftNetwork, counts.shape[1], 2, codes.max() + 1, prior, hidden=8)
    training = kind(counts, codes, new, 0)
    training.train = np.arange(150)
    training.validation = np.arange(150, 200)
    return training


def test_the_penalties_are_the_published_ones():
    logits = torch.tensor([[5.0, 0.0, -2.0], [1.0, 3.0, -1.0]])
    network = ShiftNetwork(4, 3, 2, "svae+", 10.0, 4)
    lasso = ShiftNetwork(4, 3, 2, "svae", 100.0, 4)
    for one in (network, lasso):
        one.gates.data.copy_(logits)
    p = logits.sigmoid().numpy()
    assert network.penalty().item() == pytest.approx(-stats.beta.logpdf(p, 1, 10).sum(), rel=1e-5)
    assert lasso.penalty().item() == pytest.approx(100 * p.mean(), rel=1e-5)
    assert ShiftNetwork(4, 3, 2, "ivae", None, 4).penalty() == 0


def test_a_gate_is_drawn_hard_with_a_soft_gradient():
    logits = torch.tensor([[1.0, -1.0]]).expand(20000, 2).clone().requires_grad_()
    drawn = drawn_gates(logits, torch.Generator().manual_seed(0))
    assert set(drawn.detach().unique().round().tolist()) == {0.0, 1.0}
    assert drawn.mean(0)[0].item() == pytest.approx(0.731, abs=0.02)
    drawn.sum().backward()
    assert (logits.grad > 0).all()


def test_the_penalty_is_spread_over_the_cells_and_warms_up_where_the_loss_is_a_sum(
    screen, monkeypatch
):
    training = small_training(screen)

    def loss(weight):
        training.generator.manual_seed(0)
        return training.loss(torch.arange(40), weight).item()

    whole = loss(1.0)
    quarter = loss(0.25)
    monkeypatch.setattr(training.network, "penalty", lambda: torch.tensor(3e4))
    assert loss(1.0) - whole == pytest.approx(3e4, rel=1e-3), "of a mean: sVAE"
    assert loss(0.25) - quarter == pytest.approx(3e4, rel=1e-3)
    training.network.summed = True
    assert loss(1.0) - whole == pytest.approx(3e4 / 150, rel=1e-3)
    assert loss(0.25) - quarter == pytest.approx(0.25 * 3e4 / 150, rel=1e-3)


def test_the_loss_of_svae_plus_is_the_sum_over_the_training_cells(screen, monkeypatch):
    gradients = []
    decays = []

    def step(optimizer):
        decays.append([group["weight_decay"] for group in optimizer.param_groups])
        gradients.append(training.network.logits.bias.grad.clone())

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    for summed in (True, False):
        training = small_training(screen, "svae+")
        training.network.summed = summed
        training.network.strength = 1.0
        training.batch_size = 150
        training.cycle(1)
    torch.testing.assert_close(gradients[0], 150 * gradients[1], rtol=1e-3, atol=1e-2)
    assert decays == [[36, 0], [36 / 150, 0]], "weights have a normal prior, gates have none"


def test_four_cycles_of_the_learning_rate_rise_and_fall(screen, monkeypatch):
    rates = []
    step = torch.optim.Adam.step

    def watched(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        step(optimizer)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    training = small_training(screen)
    training.run(80)
    assert len(training.history) == 80
    assert len(rates) == 80 + 13, "the last of 40, 13, 14, 13 epochs is carried out twice"
    assert np.argmax(rates[:40]) == 7 and max(rates) == pytest.approx(2.5e-3)
    assert rates[0] == pytest.approx(1e-4) and rates[39] < 1e-6
    assert rates[40] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("given", "factor"), [((1.0, 2.0), 0.5), ((2.0, 1.0), 2.0), ((np.nan, np.nan), 2.0)]
)
def test_the_last_cycle_keeps_the_shrinkage_that_validation_cells_prefer(
    screen, monkeypatch, given, factor
):
    training = small_training(screen)
    scores = iter(given)
    runs = []

    def cycle(epochs):
        runs.append((training.precision, training.generator.get_state()))
        training.network.logits.bias.data.fill_(training.precision)
        training.history.append({"epoch": epochs})

    monkeypatch.setattr(training, "cycle", cycle)
    monkeypatch.setattr(training, "held_out", lambda *_: next(scores))
    training.best_cycle(3)
    assert [precision for precision, _ in runs] == [72.0, 18.0]
    assert torch.equal(runs[0][1], runs[1][1]), "with the same batches and draws"
    assert training.precision == 36 * factor
    assert (training.network.logits.bias == 36 * factor).all()
    assert training.history == [{"epoch": 3}]


def test_scores_are_compared_from_the_end_of_the_warm_up_on(screen, monkeypatch):
    scores = iter([5.0, 4.0, 1.0, 2.0, 0.5])
    monkeypatch.setattr(training_module, "elbo_of_cells", lambda *_: torch.tensor([next(scores)]))
    training = small_training(screen, kind=PublishedTraining)
    training.warm_up, training.patience = 3, 2
    weights = []

    def loss(batch, weight, loss=training.loss):
        assert training.network.training, "with dropout, also after validation"
        weights.append(weight)
        return loss(batch, weight)

    monkeypatch.setattr(training, "loss", loss)
    training.network.eval()
    training.run(5)
    assert len(training.history) == 5
    np.testing.assert_allclose(weights, np.minimum(1, np.linspace(0, 5, len(weights) + 1)[1:] / 3))


def test_inputs_are_scaled_over_the_training_cells(screen):
    training = small_training(screen)
    inputs = training.network.inputs(torch.from_numpy(screen.counts[:200].toarray()).float())
    codes = np.unique(screen.perturbation[:200], return_inverse=True)[1]
    train, _ = split(codes, 0.1, np.random.RandomState(0))
    np.testing.assert_allclose(inputs[train].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(inputs[train].std(0, correction=0), 1, rtol=1e-5)


@pytest.mark.parametrize(("n_cells", "epochs"), [(150, 3400), (64_000, 28)])
def test_usual_epochs_are_as_many_as_the_least_number_of_updates_needs(
    screen, monkeypatch, n_cells, epochs
):
    training = small_training(screen)
    training.train = np.arange(n_cells)
    cycles = []
    monkeypatch.setattr(training, "cycle", lambda n, *_: cycles.append(n))
    monkeypatch.setattr(training, "held_out", lambda *_: 0.0)
    training.run(None)
    assert sum(cycles[:4]) == epochs and cycles[3] == cycles[4]


def test_a_share_of_the_cells_of_every_perturbation_is_held_out():
    codes = np.array([0, 1, 0, 1, 1, 0, 0, 2, 1])
    train, held_out = split(codes, 0.5, np.random.RandomState(0))
    assert sorted([*train, *held_out]) == list(range(9))
    assert (np.diff(train) > 0).all() and (np.diff(held_out) > 0).all()
    assert np.bincount(codes[held_out], minlength=3).tolist() == [2, 2, 0]
