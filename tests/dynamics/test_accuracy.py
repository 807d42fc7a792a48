"""Scores of networks and predictions, against counts of pairs and squares."""

import numpy as np
import pandas as pd
from pytest import approx

from sbnn.data.trajectories import Samples
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.solver import DivergenceError


def table(rows):
    """Regulators x, a and b by genes, from digits."""
    return pd.DataFrame([list(row) for row in rows.split()], list("xab"), list("abxc")).astype(int)


def test_edges_of_known_regulators_are_compared():
    """The targets of x are not known."""
    truth = table("0000 1100 0010").loc[["b", "a"]]
    scores, prior = map(table, ("9999 8705 4000", "1111 1010 0010"))
    expected = {
        "balanced_accuracy": (2 / 3 + 3 / 5) / 2,
        "auroc": 11.5 / 15,  # pairs of a true and another edge in the right order; ties are half
        "auroc_share": 11.5 / 15,
        "recall_missing": 1,
        "kept_wrong": 0,
        "precision": 2 / 4,
        "new_right": 1 / 3,
        "n_edges": 4,
    }
    assert edge_accuracy(scores, truth, prior) == approx(expected)
    assert np.isnan(edge_accuracy(truth, truth, truth)["new_right"])


def moving(x0, times):
    """Predict sums of the first values and the times, which diverge after a time of 2."""
    if times.max() > 2:
        raise DivergenceError("too large")
    return x0[:, None] + times[..., None]


def test_errors_are_means_over_later_times_of_samples_of_any_length(rng):
    values = [rng.random((n, 2)) for n in (3, 2, 3)]
    times = [np.arange(n) for n in (3, 2, 3)]
    errors = path_errors(moving, Samples(values, times, None))
    later = np.array([1, 2, 1, 1, 2])[:, None]
    rest = np.concatenate([v[1:] - v[0] for v in values]) - later
    steps = np.concatenate([np.diff(v, axis=0) for v in values]) - later
    assert errors == approx({"mse_rollout": (rest**2).mean(), "mse_ahead": (steps**2).mean()})
    late = Samples(values, [at + 1 for at in times], None)
    assert np.isnan([*path_errors(moving, late).values()]).all()


def test_shares_are_of_the_sum_over_all_regulators():
    """The effects on b are larger, but most come from x, whose targets are not known."""
    truth, scores = table("0000 1000 0000").loc[["a"]], table("0900 2300 0000")
    found = edge_accuracy(scores, truth, scores)
    assert (found["auroc"], found["auroc_share"]) == approx((2 / 3, 1))
