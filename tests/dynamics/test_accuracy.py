"""Scores of networks and predictions, against counts by hand."""

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.testing import assert_array_equal
from pytest import approx

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.baselines import PriorAlone
from sbnn.dynamics.evaluation import strongest
from sbnn.dynamics.solver import DivergenceError


def table(rows):
    return pd.DataFrame(rows, list("abc"), list("abc"), dtype=float)


TRUTH = table([[0, 1, -1], [0, 0, 1], [0, 0, 0]])  # a -> b, a -| c, b -> c
PRIOR = table([[0, 1, 0], [0, 0, 1], [1, 1, 0]])  # lacks a -| c; c -> a and c -> b are wrong
# finds the missing one, keeps c -> b, adds b -> a
FOUND = table([[0, 0.5, -0.2], [0.1, 0, 0], [0, -0.3, 0]])


def test_edges_are_counted():
    scores = edge_accuracy(FOUND, TRUTH, PRIOR)
    assert scores["balanced_accuracy"] == approx((2 / 3 + 4 / 6) / 2)
    assert scores["recall_missing"] == 1
    assert scores["kept_wrong"] == 0.5
    assert scores["n_edges"] == 4
    # Of absolute scores: the true .5, .2, 0 against the others .1, .3 and four of 0.
    assert scores["auroc"] == approx((6 + 5 + 4 * 0.5) / 18)


def test_edges_are_ranked_by_confidence_if_given():
    confidence = table([[0, 0.9, 0.8], [0.1, 0, 0.7], [0, 0.2, 0]])
    assert edge_accuracy(FOUND, TRUTH, PRIOR, confidence)["auroc"] == 1


def test_a_correct_prior_has_nothing_to_correct():
    scores = edge_accuracy(TRUTH, TRUTH, TRUTH)
    assert np.isnan(scores["recall_missing"])
    assert np.isnan(scores["kept_wrong"])
    assert scores["auroc"] == 1


def test_only_regulators_with_a_known_truth_count():
    scores = edge_accuracy(FOUND, TRUTH.loc[["b"]], PRIOR)
    assert scores["n_edges"] == 1
    assert scores["balanced_accuracy"] == approx((0 + 1 / 2) / 2)


def test_the_strongest_edges_are_looked_up_by_regulator_and_target():
    truth = TRUTH.to_numpy(copy=True)
    truth[2] = np.nan  # unknown
    known = AnnData(np.zeros((1, 3)), varp={"prior": PRIOR.to_numpy(), "truth": truth})
    found = strongest(FOUND, known)
    assert (found.regulator + found.target).tolist() == ["ab", "cb", "ac", "ba"]
    assert found.score.tolist() == [0.5, -0.3, -0.2, 0.1]
    assert found.in_prior.tolist() == [True, True, False, False]
    assert_array_equal(found.true, [1, np.nan, 1, 0])
    many = AnnData(np.zeros((1, 23)), varp={"prior": np.eye(23)})
    assert len(strongest(pd.DataFrame(np.ones((23, 23))), many)) == 500


VALUES = np.array([[0.0, 1.0], [0.5, 1.0], [1.5, 1.0]])


def test_errors_of_samples_of_any_length():
    one = as_trajectories(trajectories([VALUES], [[0, 1, 2]]))
    errors = path_errors(PriorAlone(), one)
    assert errors["mse_rollout"] == approx((0.25 + 2.25) / 4)  # the start is not counted
    assert errors["mse_ahead"] == approx((0.25 + 1) / 4)
    short = [[2.0, 0.0], [2.0, 3.0]]
    ragged = as_trajectories(trajectories([VALUES, short], [[0, 1, 2], [0, 9]]))
    errors = path_errors(PriorAlone(), ragged)
    assert errors["mse_rollout"] == approx((0.25 + 2.25 + 9) / 6)
    assert errors["mse_ahead"] == approx((0.25 + 1 + 9) / 6)


def test_predictions_that_diverge_have_no_error():
    class LongPaths(PriorAlone):
        def predict(self, x0, times):
            if np.shape(times)[1] > 2:
                raise DivergenceError("too large")
            return super().predict(x0, times)

    errors = path_errors(LongPaths(), as_trajectories(trajectories([VALUES], [[0, 1, 2]])))
    assert np.isnan(errors["mse_rollout"])
    assert errors["mse_ahead"] == approx((0.25 + 1) / 4)
