"""Losses and the penalty against independent formulas, and fits to simulated counts."""

import numpy as np
import pytest
import torch
from pytest import approx
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error
from torch.testing import assert_close

from sbnn import SparseBottleneckRegressor
from sbnn.models.bottleneck.losses import CrossEntropy, Poisson, SquaredError
from sbnn.models.bottleneck.training import GroupLasso


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


OUTPUT = torch.randn(30, 4, generator=seeded(), dtype=torch.float64)
RATES = torch.tensor([0.5, 2.0, 8.0, 20.0], dtype=torch.float64).expand(30, 4)
COUNTS = torch.poisson(RATES, generator=seeded(1))
CLASSES = COUNTS[:, 1].clamp(max=3).long()
DEVIANCE = mean_poisson_deviance(COUNTS.ravel(), OUTPUT.exp().ravel())


@pytest.mark.parametrize(
    ("loss", "target", "expected"),
    [
        (SquaredError(), COUNTS, mean_squared_error(COUNTS, OUTPUT)),
        (Poisson(), COUNTS, DEVIANCE),
        (CrossEntropy(), CLASSES, log_loss(CLASSES, OUTPUT.softmax(1), labels=range(4))),
    ],
)
def test_values_are_those_of_scikit_learn_and_gradients_those_of_autograd(loss, target, expected):
    variable = OUTPUT.clone().requires_grad_()
    value = loss.value(variable, target) / target.numel()
    assert value.item() == approx(expected)
    value.backward()
    assert_close(loss.gradient(OUTPUT.clone(), target), variable.grad)


@pytest.mark.parametrize("loss", [SquaredError(), Poisson()])
def test_training_starts_from_the_mean_to_which_r2_refers(loss):
    target = COUNTS
    if loss.standardised:
        target = COUNTS - COUNTS.mean(0)
    start = loss.start(target)
    value = loss.value(start.expand_as(target), target)
    assert loss.r2(float(value), target, start) == approx(0)
    assert loss.r2(float(value) / 4, target, start) == approx(0.75)
    for step in (-0.01, 0.01):
        assert loss.value((start + step).expand_as(target), target) > value
    assert np.isnan(loss.r2(1.0, 0 * target, start * 0 if loss.standardised else start - torch.inf))


def test_counts_start_from_a_low_rate_and_are_clustered_by_standardised_roots():
    start = Poisson().start(torch.tensor([[0.0, 1.0], [0.0, 3.0]]))
    assert_close(start, torch.tensor([0.5, 2.0]).log())
    root = COUNTS.sqrt()
    expected = (root - root.mean(0)) / root.std(0)
    assert_close(Poisson().comparable(COUNTS), expected)


def test_group_lasso():
    weights = torch.randn(5, 3, generator=seeded(), requires_grad=True)
    value = 0.3 * weights.square().sum(1).sqrt().sum()
    value.backward()
    penalty = GroupLasso(0.3)
    gradient = torch.ones(5, 3)
    penalty.add_gradient(weights.detach(), gradient)
    assert penalty.value(weights.detach()) == approx(value.item())
    assert_close(gradient, 1 + weights.grad)
    penalty.add_gradient(torch.zeros(5, 3), gradient)
    assert_close(gradient, 1 + weights.grad)  # a gene without weights stays so


@pytest.mark.parametrize("pretraining", [True, False])
def test_a_fit_to_counts_beats_least_squares_and_the_mean(pretraining):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 20))
    slopes = 0.8 * rng.normal(size=(2, 4))
    counts = rng.poisson(np.exp(X[:, :2] @ slopes) * [0.5, 2, 8, 0.2])
    model = SparseBottleneckRegressor(n_genes=4, pretraining=pretraining, hidden_layers=(32, 16))
    model.set_params(epochs=(10, 10, 20, 40), learning_rate=2e-3, random_state=2)
    deviances = []
    for loss in ("poisson", "squared_error"):
        rates = model.set_params(loss=loss).fit(X[:300], counts[:300]).predict(X[300:])
        new = rates.clip(1e-3).ravel()
        deviances.append(mean_poisson_deviance(counts[300:].ravel(), new))
    mean = np.broadcast_to(counts[:300].mean(0), (100, 4)).ravel()
    by_poisson, by_squares = deviances
    assert by_poisson < 0.7 * by_squares
    assert by_poisson < 0.3 * mean_poisson_deviance(counts[300:].ravel(), mean)
    with pytest.raises(ValueError, match="y: expected counts"):
        model.set_params(loss="poisson").fit(X, counts - 1.0)
