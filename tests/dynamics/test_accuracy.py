"""Scores of networks and predictions, against counts by hand."""

import numpy as np
import pandas as pd
import pytest

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.experiments import PriorAlone
from sbnn.dynamics.solver import DivergenceError

GENES = ["a", "b", "c"]


def table(rows, index=GENES):
    return pd.DataFrame(rows, index, GENES, dtype=float)


TRUTH = table([[0, 1, -1], [0, 0, 1], [0, 0, 0]])  # a -> b, a -| c, b -> c
PRIOR = table([[0, 1, 0], [0, 0, 1], [1, 1, 0]])  # lacks a -| c; c -> a and c -> b are wrong
FOUND = table([[0, 0.5, -0.2], [0.1, 0, 0], [0, -0.3, 0]])  # finds the missing one, keeps c -> b, adds b -> a


def test_edges_are_counted():
    scores = edge_accuracy(FOUND, TRUTH, PRIOR)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 4 / 6) / 2)
    assert scores["recall_missing"] == 1 and scores["kept_wrong"] == 0.5 and scores["n_edges"] == 4
    # Of absolute scores: the true .5, .2, 0 against the others .1, .3 and four of 0.
    wins = 6 + 5 + 4 * 0.5
    assert scores["auroc"] == pytest.approx(wins / 18)


def test_pairs_are_ranked_by_confidence_where_there_is_one():
    scores = edge_accuracy(FOUND, TRUTH, PRIOR, table([[0, 0.9, 0.8], [0.1, 0, 0.7], [0, 0.2, 0]]))
    assert scores["auroc"] == 1 and scores["n_edges"] == 4


def test_a_prior_that_is_right_has_nothing_to_correct():
    scores = edge_accuracy(TRUTH, TRUTH, TRUTH)
    assert np.isnan(scores["recall_missing"]) and np.isnan(scores["kept_wrong"])
    assert scores["balanced_accuracy"] == scores["auroc"] == 1


def test_only_regulators_of_which_the_truth_is_known_count():
    some = TRUTH.loc[["b"]]
    scores = edge_accuracy(FOUND, some, PRIOR)
    assert scores["n_edges"] == 1 and scores["balanced_accuracy"] == pytest.approx((0 + 1 / 2) / 2)
    assert np.isnan(scores["recall_missing"])  # what b does is all in the prior


def test_errors_of_samples_that_stay_as_they_are():
    one, other = [[0.0, 1.0], [0.5, 1.0], [1.5, 1.0]], [[0.0, 1.0], [1.0, 1.0]]
    test = trajectories([one], [0.0, 1.0, 2.0])
    still = PriorAlone().fit(test, np.zeros((2, 2)))
    errors = path_errors(still, as_trajectories(test))
    assert errors["mse_rollout"] == pytest.approx((0.25 + 2.25) / 4)  # the start is not counted
    assert errors["mse_ahead"] == pytest.approx((0.25 / 2 + 1 / 2) / 2)
    ragged = as_trajectories(trajectories([other, one], [[0, 1], [0, 1, 2]]))
    errors = path_errors(still, ragged)
    assert errors["mse_rollout"] == pytest.approx((1 + 0.25 + 2.25) / 6)
    assert errors["mse_ahead"] == pytest.approx((1 + 0.25 + 1) / 6), "every interval counts alike"


def test_what_grows_beyond_all_bounds_has_no_error():
    class Diverging:
        def predict(self, x0, times):
            raise DivergenceError("too large")

    test = trajectories([[[0.0], [0.5]]], [0.0, 1.0])
    assert np.isnan(path_errors(Diverging(), as_trajectories(test))["mse_ahead"])
