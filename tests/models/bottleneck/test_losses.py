"""Losses and the penalty against independent formulas."""

import numpy as np
import pytest
import torch
from pytest import approx
from sklearn.metrics import log_loss, mean_squared_error, r2_score
from torch.testing import assert_close

from sbnn.models.bottleneck.losses import CrossEntropy, SquaredError
from sbnn.models.bottleneck.training import GroupLasso


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


OUTPUT = torch.randn(30, 4, generator=seeded(), dtype=torch.float64)
TARGET = torch.randn(30, 4, generator=seeded(1), dtype=torch.float64)
TARGET -= TARGET.mean(0)
CLASSES = torch.arange(30) % 4


@pytest.mark.parametrize(
    ("loss", "target", "expected"),
    [
        (SquaredError(), TARGET, mean_squared_error(TARGET, OUTPUT)),
        (CrossEntropy(), CLASSES, log_loss(CLASSES, OUTPUT.softmax(1), labels=range(4))),
    ],
)
def test_values_are_those_of_scikit_learn_and_gradients_those_of_autograd(loss, target, expected):
    variable = OUTPUT.clone().requires_grad_()
    value = loss.value(variable, target) / target.numel()
    assert value.item() == approx(expected)
    value.backward()
    assert_close(loss.gradient(OUTPUT.clone(), target), variable.grad)


def test_r2_of_one_output_is_that_of_scikit_learn():
    output, target = OUTPUT[:, :1], TARGET[:, :1]
    value = float(SquaredError().value(output, target))
    assert SquaredError().r2(value, target) == approx(r2_score(target, output))
    assert np.isnan(SquaredError().r2(1.0, 0 * target))
    assert np.isnan(CrossEntropy().r2(1.0, CLASSES))


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
