"""Scores of networks and predictions, against counts of pairs and squares."""

import numpy as np
import pandas as pd
import pytest
from pytest import approx

from sbnn.dynamics.data import Samples
from sbnn.dynamics.evaluation import edge_accuracy, path_errors
from sbnn.dynamics.solver import DivergenceError

GENES = ["a", "b", "x", "c"]
REGULATORS = ["x", "a", "b"]


def network(rows):
    """Regulators x, a and b by genes, from digits."""
    digits = [[int(digit) for digit in row] for row in rows.split()]
    return pd.DataFrame(digits, index=REGULATORS, columns=GENES)


@pytest.fixture
def truth():
    """The targets of x are not known."""
    return network("0000 1100 0010").loc[["b", "a"]]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("balanced_accuracy", (2 / 3 + 3 / 5) / 2),
        # pairs of a true and another edge in the right order; ties are half
        ("auroc", 11.5 / 15),
        ("auroc_share", 11.5 / 15),
        ("recall_missing", 1),
        ("kept_wrong", 0),
        ("precision", 2 / 4),
        ("new_right", 1 / 3),
        ("n_edges", 4),
    ],
)
def test_edges_of_known_regulators_are_compared(truth, score, expected):
    scores = network("9999 8705 4000")
    prior = network("1111 1010 0010")
    accuracy = edge_accuracy(scores, truth, prior)
    assert accuracy[score] == approx(expected)
    assert len(accuracy) == 8


def test_without_new_edges_none_is_right(truth):
    assert np.isnan(edge_accuracy(truth, truth, truth)["new_right"])


@pytest.mark.parametrize(("score", "expected"), [("auroc", 2 / 3), ("auroc_share", 1)])
def test_fractions_are_of_the_sum_over_regulators(score, expected):
    """The effects on b are larger, but most come from x, whose targets are not known."""
    truth = network("0000 1000 0000").loc[["a"]]
    scores = network("0900 2300 0000")
    assert edge_accuracy(scores, truth, scores)[score] == approx(expected)


def predict_sum(x0, times):
    """Predict sums of the first values and the times, which diverge after a time of 2."""
    if times.max() > 2:
        raise DivergenceError("too large")
    return x0[:, None] + times[..., None]


@pytest.fixture
def samples(rng):
    """Samples of 3, 2 and 3 times."""
    return Samples(
        values=[rng.random((3, 2)), rng.random((2, 2)), rng.random((3, 2))],
        times=[np.arange(3), np.arange(2), np.arange(3)],
        gene_names=np.array(["a", "b"]),
    )


def test_rollout_errors_are_of_all_later_times(samples):
    squares = []
    for values, times in zip(samples.values, samples.times, strict=True):
        change = values[1:] - values[0]
        squares.append((change - times[1:, None]) ** 2)
    expected = np.concatenate(squares).mean()
    assert path_errors(predict_sum, samples)["mse_rollout"] == approx(expected)


def test_one_step_errors_start_from_every_time(samples):
    squares = []
    for values, times in zip(samples.values, samples.times, strict=True):
        change = np.diff(values, axis=0)
        # what is predicted is the later time, not the length of the interval
        squares.append((change - times[1:, None]) ** 2)
    expected = np.concatenate(squares).mean()
    assert path_errors(predict_sum, samples)["mse_ahead"] == approx(expected)


def test_errors_of_predictions_that_diverge_are_nan(samples):
    late = Samples(samples.values, [times + 1 for times in samples.times], samples.gene_names)
    errors = path_errors(predict_sum, late)
    assert np.isnan(errors["mse_rollout"])
    assert np.isnan(errors["mse_ahead"])
