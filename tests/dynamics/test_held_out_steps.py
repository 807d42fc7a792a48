"""The weight of a network against simple models, from made-up residuals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.data.trajectories import Samples
from sbnn.dynamics.baselines import AutoRegression
from sbnn.dynamics.held_out import SIMPLE, compared, held_out_residuals


@pytest.mark.parametrize(
    ("network", "expected", "together"),
    [
        (-0.1, 1, 0),  # leaves little, and predicts alone
        (-2, 1 / 3, 0),
        (9, 0, 0.25),
        (0.997, 0, 0.997**2 / 4),  # a gain that is too small
    ],
)
def test_a_network_has_the_weight_of_its_gain(rng, network, expected, together):
    """Its residuals are these times those of the best simple model."""
    rest = rng.standard_normal((100, 3))
    found = dict.fromkeys(SIMPLE, 9 * rest)
    found |= {"ridge": rest, "network": network * rest, "no change": 2 * rest}
    best, weight, errors = compared(found)
    assert best == "ridge"
    assert weight == approx(expected)
    names = ["ridge", "network", "no change", "together"]
    assert errors[names].tolist() == approx([0.25, network**2 / 4, 1, together])


def test_a_gain_in_one_interval_is_uncertain():
    rest = np.ones((100, 3))
    rest[0] = 99
    found = dict.fromkeys([*SIMPLE, "no change"], rest) | {"network": rest / 2}
    assert compared(found)[1] == 0


def to_the_mean(kept):
    """Predict the mean of the values that were kept."""
    mean = np.concatenate(kept.values).mean(axis=0)
    return lambda start, times: np.stack([start, mean + 0 * start], axis=1)


def test_residuals_are_of_values_that_were_not_fitted(rng):
    values = rng.random((2, 3, 2))
    times = np.array([0.0, 1, 3])
    samples = Samples([*values], [times, times], np.array(["a", "b"]))
    found = held_out_residuals(samples, to_the_mean)
    before, after, spans = samples.intervals()
    assert_allclose(found["no change"], before - after)
    other = values[::-1].mean(axis=1).repeat(2, axis=0)  # mean of the sample that was kept
    assert_allclose(found["network"], other - after)
    ar1 = AutoRegression().fit(samples.chosen([1])).predict(before[:2], spans[:2])
    assert_allclose(found["ar1"][:2], ar1[:, 1] - after[:2])
