import warnings

import numpy as np
import pytest
import torch

from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols.paper import cluster_outputs, paper_stages
from sbnn.models.bottleneck.training import Stage, Trainer, one_cycle


def make(seed=0, p=12, n=60, q=3):
    generator = torch.Generator().manual_seed(seed)
    network = BottleneckNetwork(p, q, 2, (8, 6), generator=generator)
    x = torch.randn(n, p, generator=torch.Generator().manual_seed(9))
    y = x[:, :2] @ torch.randn(2, q, generator=torch.Generator().manual_seed(8))
    return network, Trainer(network, generator), x, y - y.mean(0)


def test_paper_stages_follow_the_publication():
    pretraining, frozen, unfrozen, finetuning = paper_stages(group_lasso=0.1)
    stages = {stage.name: stage.epochs for stage in paper_stages()}
    assert stages == {"pretraining": 50, "frozen": 50, "unfrozen": 50, "fine-tuning": 100}
    assert pretraining.classify and pretraining.group_lasso == 0.1
    assert frozen.frozen == 2 and frozen.learning_rate == 1e-4 and frozen.group_lasso == 0
    assert unfrozen.frozen == 0 and unfrozen.learning_rate == 5e-5 and unfrozen.group_lasso == 0.1
    assert finetuning.group_lasso == 0 and finetuning.learning_rate == 5e-5


def test_the_straight_variant_follows_the_publication():
    """One optimiser for 100 epochs at the full rate, under the lasso; the pruning, and 100 epochs at half of it."""
    regression = Stage("unfrozen", 100, 1e-4, group_lasso=0.1)
    assert paper_stages(pretraining=False) == (regression, Stage("fine-tuning", 100, 5e-5))
    regression, finetuning = paper_stages(0.3, False, epochs=(1, 2, 3, 4), learning_rate=1e-2)
    assert (regression.epochs, finetuning.epochs) == (5, 4)
    assert (regression.group_lasso, regression.learning_rate) == (0.3, 1e-2)


def reference_training(network, generator, x, y, stage, batch_size=32, weight_decay=1e-10):
    """The same stage with autograd, plain Adam and no caching."""
    weights, biases = list(network.weights), list(network.biases)
    trained = [t for t in weights[stage.frozen :] + biases[stage.frozen :]]
    optimizer = torch.optim.Adam(trained, lr=stage.learning_rate, eps=1e-7)
    for _ in range(stage.epochs):
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), batch_size):
            rows = order[start : start + batch_size]
            output = network(x[rows])
            if stage.classify:
                loss = torch.nn.functional.cross_entropy(output, y[rows])
            else:
                loss = (output - y[rows]).square().mean()
            if stage.frozen == 0:
                loss = loss + stage.group_lasso * weights[0].norm(dim=1).sum()
            free = (
                trained if stage.group_lasso == 0 else [t for t in trained if t is not weights[0]]
            )
            loss = loss + weight_decay * sum(t.square().sum() for t in free)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


OPTIONS = [
    {},
    {"group_lasso": 0.1},
    {"frozen": 2},
    {"frozen": 3},
    {"classify": True, "group_lasso": 0.01},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("weight_decay", [1e-10, 0.05])
def test_a_stage_equals_plain_autograd(options, weight_decay):
    stage = Stage("a", 3, 1e-2, **options)
    network, trainer, x, y = make()
    other, other_trainer, _, _ = make()
    trainer.weight_decay = weight_decay  # the usual one is too weak to be seen in so few steps
    target = (y[:, 0] > 0).long() if stage.classify else y
    trainer.run(stage, x, target)
    reference_training(other, other_trainer.generator, x, target, stage, weight_decay=weight_decay)
    torch.testing.assert_close(network.flat, other.flat, rtol=2e-4, atol=2e-5)


def test_learning_rates_are_those_of_one_cycle(n_steps=50):
    optimizer, rates = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), []
    how = {"pct_start": 0.15, "div_factor": 25, "cycle_momentum": False}
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, n_steps, **how)
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert one_cycle(n_steps, 0.01) == pytest.approx(rates, rel=1e-9)


def test_fewer_clusters_where_there_is_less():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn warns of more clusters than different cells
        assert cluster_outputs(np.repeat([[0.0, 1.0], [2.0, 3.0]], 50, axis=0), 20, 0).max() == 1
    assert cluster_outputs(np.repeat([[0.0], [1.0]], 50, axis=0), 20, 0).max() == 1
    Y = np.random.default_rng(0).normal(size=(60, 2))
    assert cluster_outputs(Y, 20, 0).max() <= 2, "at least 20 cells a cluster on average"
