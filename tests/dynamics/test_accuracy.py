"""Scores of networks and predictions, against counts by hand."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.baselines import AutoRegression, PriorAlone
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
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 4 / 6) / 2)
    assert scores["recall_missing"] == 1 and scores["kept_wrong"] == 0.5 and scores["n_edges"] == 4
    # Of absolute scores: the true .5, .2, 0 against the others .1, .3 and four of 0.
    assert scores["auroc"] == pytest.approx((6 + 5 + 4 * 0.5) / 18)
    confidence = table([[0, 0.9, 0.8], [0.1, 0, 0.7], [0, 0.2, 0]])
    assert edge_accuracy(FOUND, TRUTH, PRIOR, confidence)["auroc"] == 1
    right = edge_accuracy(TRUTH, TRUTH, TRUTH)  # a prior that is right has nothing to correct
    assert (
        np.isnan(right["recall_missing"]) and np.isnan(right["kept_wrong"]) and right["auroc"] == 1
    )
    # only regulators of which the truth is known count
    some = edge_accuracy(FOUND, TRUTH.loc[["b"]], PRIOR)
    assert some["n_edges"] == 1 and some["balanced_accuracy"] == pytest.approx((0 + 1 / 2) / 2)


def test_the_strongest_edges_are_looked_up_by_regulator_and_target():
    truth = TRUTH.drop(index="c").reindex(TRUTH.index).to_numpy()  # that of c is unknown
    found = strongest(
        FOUND, AnnData(np.zeros((1, 3)), varp={"prior": PRIOR.to_numpy(), "truth": truth})
    )
    assert (found.regulator + found.target).tolist() == ["ab", "cb", "ac", "ba"]
    assert found.in_prior.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(found.true, [1, np.nan, 1, 0])
    many = AnnData(np.zeros((1, 23)), varp={"prior": np.eye(23)})
    assert len(strongest(pd.DataFrame(np.ones((23, 23))), many)) == 500


def test_auto_regression_finds_levels_and_rates_at_any_times(rng):
    model = AutoRegression()
    model.rates_, model.levels_ = np.array([0.1, 1.0]), np.array([0.3, 0.7])
    times = [[0, 2, 3, 7], [1, 3, 4, 8]]
    paths = model.predict(starts := rng.random((2, 2)), times)
    np.testing.assert_allclose(
        paths[:, 2], model.levels_ + np.exp([-0.3, -3]) * (starts - model.levels_)
    )
    found = AutoRegression().fit(trajectories(paths, times))
    np.testing.assert_allclose(found.predict(starts, times), paths, atol=0.01)
    slow = AutoRegression().fit(trajectories(paths, 60 * np.array(times)))
    np.testing.assert_allclose(60 * slow.rates_, found.rates_)


def test_errors_of_samples_that_stay_as_they_are():
    values, times = [np.array([[0.0, 1.0], [0.5, 1.0], [1.5, 1.0]])], [[0.0, 1.0, 2.0]]
    errors = path_errors(PriorAlone(), as_trajectories(trajectories(values, times)))
    assert errors["mse_rollout"] == pytest.approx((0.25 + 2.25) / 4)  # the start is not counted
    assert errors["mse_ahead"] == pytest.approx((0.25 / 2 + 1 / 2) / 2)

    class Diverging:
        def predict(self, x0, times):
            raise DivergenceError("too large")

    ragged = as_trajectories(
        trajectories([*values, [[2.0, 0.0], [2.0, 3.0]]], [*times, [0.0, 9.0]])
    )
    errors = path_errors(PriorAlone(), ragged)
    assert errors["mse_rollout"] == pytest.approx((0.25 + 2.25 + 9) / 6), "samples of any length"
    assert errors["mse_ahead"] == pytest.approx((0.25 + 1 + 9) / 6)
    assert np.isnan(path_errors(Diverging(), ragged)["mse_ahead"])
