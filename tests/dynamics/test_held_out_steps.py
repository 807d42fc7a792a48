"""The weight of a network against simple models, from made-up residuals."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.base import clone

from sbnn.data.trajectories import Samples
from sbnn.dynamics.held_out import (
    SIMPLE,
    best_weight,
    compared,
    folds_of,
    held_out_residuals,
    is_certain,
)


def residuals(rng, network, simple, shared=0.0):
    """Residuals of 100 intervals and 3 genes, with these SDs, of which `shared` is common."""
    common = shared * rng.standard_normal((100, 3))
    found = {"network": common + network * rng.standard_normal((100, 3))}
    for name in SIMPLE:
        found[name] = 9 + rng.standard_normal((100, 3))
    found["ridge"] = common + simple * rng.standard_normal((100, 3))
    found["no change"] = 2 * np.ones((100, 3))
    return found


def test_pieces_are_held_out_in_turn_or_a_fifth_of_many():
    assert folds_of(1) == []
    assert [fold.tolist() for fold in folds_of(3)] == [[0], [1], [2]]
    assert [len(fold) for fold in folds_of(24)] == [5, 5, 5, 5, 4]
    [fold] = folds_of(25)
    assert fold.tolist() == [0, 5, 10, 15, 20]


def test_the_weight_leaves_the_least_sum_of_squares(rng):
    simple = rng.standard_normal((50, 2))
    network = 0.5 * simple + rng.standard_normal((50, 2))
    gap = simple - network
    weight = best_weight(simple, gap)
    tried = np.linspace(0, 1, 10_001)
    squares = [((simple - share * gap) ** 2).sum() for share in tried]
    assert 0 < weight < 1
    assert weight == approx(tried[np.argmin(squares)], abs=1e-4)
    assert best_weight(simple, -gap) == 0
    assert best_weight(simple, simple / 2) == 1
    assert best_weight(simple, 0 * gap) == 0


def test_a_gain_is_certain_above_two_standard_errors_of_blocks(rng):
    means = rng.standard_normal(10)
    means -= means.mean()
    error = means.std(ddof=1) / np.sqrt(10)
    for factor, certain in ((1.9, False), (2.1, True)):
        gains = pd.Series(np.repeat(means + factor * error, 7))
        assert is_certain(gains) == certain
    assert not is_certain(pd.Series([1.0]))


def test_a_network_that_leaves_little_predicts_alone(rng):
    best, weight, errors = compared(residuals(rng, 0.1, 1.0))
    assert (best, weight) == ("ridge", 1)
    assert errors["network"] == approx(0.01 / 4, rel=0.2)
    assert errors["no change"] == 1


def test_two_models_of_independent_errors_are_averaged(rng):
    found = residuals(rng, 1.0, 1.0)
    _, weight, errors = compared(found)
    assert weight == approx(0.5, abs=0.1)
    together = weight * found["network"] + (1 - weight) * found["ridge"]
    assert errors["together"] == approx((together**2).mean() / 4)


@pytest.mark.parametrize(("network", "shared"), [(9.0, 0.0), (0.0999, 1.0)])
def test_a_network_without_a_clear_gain_of_a_hundredth_has_no_weight(rng, network, shared):
    _, weight, errors = compared(residuals(rng, network, 0.1, shared))
    assert weight == 0
    assert errors["together"] <= errors["ridge"]


class Still:
    """A network without change, which keeps the values that it was given."""

    lag = 0.0
    given = []

    def __init__(self, kept):
        self.given.append(np.concatenate(kept.values))

    def decay(self):
        return torch.zeros(2, dtype=torch.float64)

    def targets(self, x):
        return x


def test_residuals_are_of_values_that_were_not_fitted(rng):
    values = [rng.random((3, 2)), rng.random((3, 2))]
    times = np.array([0.0, 1, 3])
    samples = Samples(values, [times, times], np.array(["a", "b"]))
    found = held_out_residuals(samples, Still)
    assert_array_equal(Still.given, values[::-1])
    change = np.concatenate([np.diff(block, axis=0) for block in values])
    assert_allclose(found["no change"], -change)
    assert_allclose(found["network"], -change)
    spans = [[0, 1], [1, 3]]
    for name, model in SIMPLE.items():
        model = clone(model).fit(samples.chosen([1]))
        expected = model.predict(values[0][:2], spans)[:, 1] - values[0][1:]
        assert_allclose(found[name][:2], expected)
    assert held_out_residuals(samples.chosen([0]), Still) is None
