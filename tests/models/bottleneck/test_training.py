"""Training against autograd and torch.optim.Adam, the schedule of the paper, and the history."""

import numpy as np
import pytest
import torch
from pytest import approx
from torch.nn.functional import cross_entropy, mse_loss
from torch.testing import assert_close

from sbnn import DistilledSettings, SparseBottleneckRegressor
from sbnn.determinism import reproducible
from sbnn.models.bottleneck import training
from sbnn.models.bottleneck.losses import CrossEntropy
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import paper
from sbnn.models.bottleneck.training import (
    Adam,
    Run,
    Stage,
    Trainer,
    networks_of_teacher,
    one_cycle,
    train_student,
)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they gain on such small matrices."""
    with reproducible():
        yield


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def new_network(seed=0):
    return BottleneckNetwork(12, 3, 2, (8, 6), generator=seeded(seed))


def measured(n=60):
    """Cells, (n, 12), and outputs, (n, 3), that two genes determine."""
    x = torch.randn(n, 12, generator=seeded(9))
    y = x[:, :2] @ torch.randn(2, 3, generator=seeded(8))
    return x, y - y.mean(0)


# --- the paper protocol


def test_stages_of_the_paper():
    model = SparseBottleneckRegressor(group_lasso=0.3, epochs=(1, 2, 3, 4), learning_rate=1e-2)
    pretraining, *published = paper.published_stages(model)
    assert isinstance(pretraining.loss, CrossEntropy)
    assert pretraining == Stage("pretraining", 1, 1e-2, 0, 0.3, pretraining.loss)
    assert published == [
        Stage("frozen", 2, 1e-2, frozen=2),
        Stage("unfrozen", 3, 5e-3, group_lasso=0.3),
        Stage("fine-tuning", 4, 5e-3),
    ]
    regression, finetuning = paper.straight_stages(model)
    assert regression == Stage("unfrozen", 5, 1e-2, group_lasso=0.3)
    assert finetuning == published[-1]


def train_by_autograd(network, generator, x, y, stage, value, weight_decay):
    """One stage with autograd, torch's Adam and nothing computed once for all epochs."""
    flat = network.flat.requires_grad_()
    n_frozen = sum(w.numel() for w in network.weights[: stage.frozen])
    n_frozen += sum(b.numel() for b in network.biases[: stage.frozen])
    n_without_decay = network.weights[0].numel() if stage.group_lasso else n_frozen
    optimiser = torch.optim.Adam([flat], lr=stage.learning_rate, eps=1e-7)
    for _ in range(stage.epochs):
        order = torch.randperm(len(x), generator=generator)
        for rows in order.split(32):
            loss = value(network(x[rows]), y[rows])
            loss = loss + stage.group_lasso * network.weights[0].norm(dim=1).sum()
            loss = loss + weight_decay * flat[n_without_decay:].square().sum()
            optimiser.zero_grad()
            loss.backward()
            flat.grad[:n_frozen] = 0
            optimiser.step()
    return flat.detach()


@pytest.mark.parametrize(
    ("stage", "value"),
    [
        (Stage("lasso", 3, 1e-2, group_lasso=0.1), mse_loss),
        (Stage("two frozen", 3, 1e-2, frozen=2), mse_loss),
        (Stage("classes", 3, 1e-2, 0, 0.01, CrossEntropy()), cross_entropy),
    ],
)
@pytest.mark.parametrize("weight_decay", [1e-10, 0.05])
def test_a_stage_equals_autograd(stage, value, weight_decay, monkeypatch):
    monkeypatch.setattr(training, "WEIGHT_DECAY", weight_decay)
    x, y = measured()
    if stage.name == "classes":
        y = (y[:, 0] > 0).long()
    network = new_network()
    Trainer(network, seeded()).run(stage, x, y)
    expected = train_by_autograd(new_network(), seeded(), x, y, stage, value, weight_decay)
    assert_close(network.flat, expected, rtol=2e-4, atol=2e-5)


def constant_network():
    """Gives 0.5 whatever the inputs; gene norms are 5, 0.5 and 0.516."""
    network = BottleneckNetwork(3, 2, 1, (2, 2), generator=seeded())
    network.flat.zero_()
    network.weights[0][:] = torch.tensor([[3.0, 4.0], [0.5, 0.0], [0.3, -0.42]])
    network.biases[-1][:] = 0.5
    return network


CELLS = torch.ones(5, 3)
OUTPUTS = torch.tensor([[1.0, 0.0], [2.0, 0], [0.5, 0], [0, 0], [-1, 1]])
CLASSES = torch.tensor([0, 1, 1, 0, 1])


def test_a_row_of_the_history_for_every_epoch():
    trainer = Trainer(constant_network(), seeded())
    watched = CELLS[:2], OUTPUTS[:2]
    trainer.run(Stage("one", 2, 0.0, group_lasso=0.1), CELLS, OUTPUTS, watched)
    trainer.run(Stage("two", 1, 0.0, frozen=2), CELLS, OUTPUTS, watched)
    trainer.run(Stage("three", 1, 0.0, loss=CrossEntropy()), CELLS, CLASSES)
    *of_one, frozen, classified = trainer.history
    assert len(of_one) == 2
    error = float((OUTPUTS - 0.5).square().sum())
    expected = {
        "loss": error / 10,
        "penalty": 0.1 * (5 + 0.5 + (0.3**2 + 0.42**2) ** 0.5),
        "r2": 1 - error / float(OUTPUTS.square().sum()),
        "eval_loss": 3.0 / 4,
        "eval_r2": 1 - 3.0 / 5,
        "genes_alive": 2,
    }
    for row in of_one:
        assert row.pop("stage") == "one"
        assert row == approx(expected)
    assert frozen == approx(expected | {"penalty": 0, "stage": "two"})
    assert classified["loss"] == approx(np.log(2))
    assert np.isnan([classified[name] for name in ("r2", "eval_loss", "eval_r2")]).all()


@pytest.mark.filterwarnings("error")  # scikit-learn warns of more clusters than different cells
def test_small_clusters_are_left_out():
    """At least 20 cells a cluster on average; one of 9 is too small, one of 10 is not."""
    Y = np.linspace(0, 0.1, 60)
    Y[31:50] += 5
    Y[50:] += 9
    labels = paper.cluster_outputs(Y[:, None], 20, 0)
    assert sorted(np.bincount(labels)) == [10, 19, 31]
    Y[59] = 5
    labels = paper.cluster_outputs(Y[:, None], 3, 0)
    assert sorted(np.bincount(labels + 1)) == [9, 20, 31]
    assert (labels[50:59] == -1).all()
    two = np.repeat([[0.0, 1.0], [2.0, 3.0]], 50, axis=0)
    assert paper.cluster_outputs(two, 20, 0).max() == 1


def test_sixty_percent_of_the_labelled_cells_are_for_pretraining():
    labels = np.array([0, 1, -1, 1, 0, 0, 1, -1, 2, 2, 1, 1])
    train, held_out = paper.pretraining_cells(labels, np.random.RandomState(0))
    assert (len(train), len(held_out)) == (6, 4)
    assert sorted([*train, *held_out]) == np.flatnonzero(labels >= 0).tolist()
    assert train.tolist() != sorted(train)


# --- the distilled protocol


def test_adam_is_that_of_torch():
    values = torch.tensor([1.0, 2.0, 3.0])
    parameter = values.clone().requires_grad_()
    how = {"weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 0.01}
    peer = torch.optim.Adam([parameter], lr=0.1, **how)
    gradient = torch.tensor([0.5, -0.1, 0.0])
    adam = Adam(values, gradient, 0.1, epsilon=0.01, betas=(0.8, 0.95))
    for _ in range(3):
        parameter.grad = gradient.clone()
        peer.step()
        adam.step(0.1)
        gradient.mul_(-3)
    assert_close(values, parameter.detach())


@pytest.mark.parametrize("n_steps", [14, 50])
def test_learning_rates_are_those_of_one_cycle(n_steps):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.01, n_steps, pct_start=0.15, div_factor=25, cycle_momentum=False
    )
    rates = []
    for _ in range(n_steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert one_cycle(n_steps, 0.01) == approx(rates, rel=1e-9)
    assert one_cycle(1, 0.5) == [0.5]
    assert one_cycle(2, 0.5) == approx([0.5, 0.5e-4 / 25])


def step(optimiser, rate, loss):
    optimiser.param_groups[0]["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def test_networks_of_the_teacher_equal_autograd():
    """Two networks at once, each on its own cells with noise on the genes."""
    x, y = measured(n=20)
    members = [torch.arange(12), torch.arange(4, 20)]
    settings = DistilledSettings(steps_of_teachers=2, rate_of_teachers=0.01)
    new = iter([new_network(1), new_network(2)]).__next__
    networks = networks_of_teacher(new, x, y, Run(settings, None, seeded()), 0.3, members)
    generator = seeded()
    others = [new_network(1), new_network(2)]
    optimisers = [torch.optim.Adam([one.flat.requires_grad_()]) for one in others]
    for rate in one_cycle(2, 0.01):
        # the smaller set has 12 cells, so a pass is a single batch
        rows = [own[torch.randperm(len(own), generator=generator)[:12]] for own in members]
        noise = 0.3 * torch.randn(2, 12, 12, generator=generator)
        for i, network in enumerate(others):
            output = network(x[rows[i]] + noise[i])
            step(optimisers[i], rate, mse_loss(output, y[rows[i]]))
    for network, other in zip(networks, others, strict=True):
        assert_close(network.flat, other.flat.detach(), rtol=1e-4, atol=1e-5)


def test_the_student_equals_autograd():
    """64 measured cells with noise, of weight 1/2, and 128 labelled cells in every step."""
    settings = DistilledSettings(steps_of_student=4, rate_of_student=0.01)
    x, y = measured(n=128)
    labelled = x.repeat(2, 1) + 1, y.repeat(2, 1) - 1
    network, other = new_network(), new_network()
    train_student(network, x, y, labelled, 0.3, Run(settings, None, seeded()))
    generator = seeded()
    optimiser = torch.optim.Adam([other.flat.requires_grad_()])
    weights = torch.cat([torch.full((64, 1), 0.5), torch.ones(128, 1)])
    for i, rate in enumerate(one_cycle(4, 0.01)):
        if i % 2 == 0:
            own = torch.randperm(128, generator=generator).split(64)
        noise = 0.3 * torch.randn(64, 12, generator=generator)
        if i % 2 == 0:
            more = torch.randperm(256, generator=generator).split(128)
        cells, given = own[i % 2], more[i % 2]
        inputs = torch.cat([x[cells] + noise, labelled[0][given]])
        error = (other(inputs) - torch.cat([y[cells], labelled[1][given]])).square()
        step(optimiser, rate, (error * weights / weights.mean()).mean())
    assert_close(network.flat, other.flat.detach(), rtol=1e-4, atol=1e-5)


def test_rows_of_the_student(monkeypatch):
    """Every second step and the last; R2 is that of the first three cells."""
    monkeypatch.setattr(training, "RECORDED_EVERY", 2)
    monkeypatch.setattr(training, "WATCHED_CELLS", 3)
    monkeypatch.setattr(training, "WEIGHT_OF_MEASURED", 1)
    settings = DistilledSettings(steps_of_student=5, rate_of_student=0.0)
    given = CELLS, OUTPUTS, (CELLS, OUTPUTS * 2), 0.1, Run(settings, None, seeded())
    watched = CELLS[:2], OUTPUTS[:2]
    history = train_student(constant_network(), *given, watched)
    assert len(history) == 3
    errors = torch.cat([OUTPUTS - 0.5, OUTPUTS * 2 - 0.5]).square()
    expected = {
        "loss": float(errors.mean()),
        "penalty": 0,
        "r2": 1 - float(errors[:3].sum() / OUTPUTS[:3].square().sum()),
        "eval_loss": 0.75,
        "eval_r2": 0.4,
        "genes_alive": 3,
    }
    for row in history:
        assert row.pop("stage") == "student"
        assert row == approx(expected)
