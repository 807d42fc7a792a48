"""Pruning schedule, and what is left of a network."""

import numpy as np
import pytest
import torch
from pytest import approx

from sbnn.dynamics.pruning import INFLUENCE, Pruner, pruning_schedule, solve_least_squares


def test_one_weight_is_always_left(phoenix):
    Pruner(phoenix, INFLUENCE["imp"]).prune(1e-9)
    assert (phoenix.sum_in != 0).sum() == 1


def test_the_largest_weights_stay(phoenix):
    """Of products, the most negative inputs go first; outputs count at the rate of their gene."""
    rate = phoenix.decay()[:, None]
    sizes = {
        "sum_in": phoenix.sum_in.abs(),
        "product_in": phoenix.product_in,
        "sum_out": phoenix.sum_out.abs() * rate,
        "product_out": phoenix.product_out.abs() * rate,
    }
    sizes = {name: values.detach().clone() for name, values in sizes.items()}
    Pruner(phoenix, INFLUENCE["imp"]).prune(0.3)
    for name, of_layer in sizes.items():
        kept = getattr(phoenix, name) != 0
        assert kept.sum() == 30
        assert of_layer[kept].min() >= of_layer[~kept].max()


def test_a_singular_system_has_the_shortest_solution():
    singular = torch.tensor([[2.0, 2.0], [2.0, 2.0]])
    solution = solve_least_squares(singular, torch.tensor([[4.0], [4.0]]))
    assert solution.ravel().tolist() == approx([1, 1])


@pytest.fixture
def published_schedule():
    return pruning_schedule(0.95, 3, first_fraction=0.7, interval=10, fraction=0.1)


def test_weights_are_pruned_every_ten_epochs(published_schedule):
    assert list(published_schedule) == [3, *range(10, 181, 10)]


def test_weights_are_pruned_until_the_sparsity(published_schedule):
    expected = [*0.3 * 0.9 ** np.arange(18), 0.05]
    assert list(published_schedule.values()) == approx(expected)


def test_a_low_sparsity_needs_one_pruning():
    schedule = pruning_schedule(0.5, 3, first_fraction=0.7, interval=10, fraction=0.1)
    assert schedule == {3: 0.5}
