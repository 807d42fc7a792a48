"""Scores of networks and predictions, against counts of pairs and squares."""

import numpy as np
import pandas as pd
from pytest import approx

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.baselines import PriorAlone
from sbnn.dynamics.solver import DivergenceError

GENES = list("abcdef")


def test_edges_of_known_regulators_are_compared(rng):
    tables = rng.integers(-1, 2, (3, 6, 6)) * rng.random((3, 6, 6))
    found, prior, confidence = [pd.DataFrame(table, GENES, GENES) for table in tables]
    truth = pd.DataFrame(rng.integers(-1, 2, (3, 6)), list("dbf"), GENES)
    true = truth.to_numpy() != 0
    edge, given, _ = tables[:, [3, 1, 5]] != 0
    rank = tables[2, [3, 1, 5]]
    gaps = rank[true][:, None] - rank[~true]
    expected = {
        "balanced_accuracy": (edge[true].mean() + 1 - edge[~true].mean()) / 2,
        "auroc": (np.sign(gaps).mean() + 1) / 2,
        "recall_missing": edge[true & ~given].mean(),
        "kept_wrong": edge[~true & given].mean(),
        "precision": true[edge].mean(),
        "new_right": true[edge & ~given].mean(),
        "n_edges": edge.sum(),
    }
    assert edge_accuracy(found, truth, prior, confidence) == approx(expected)
    assert np.isnan(edge_accuracy(truth, truth, truth, truth)["new_right"])


class Late(PriorAlone):
    """Predicts no change, and diverges over more than one interval."""

    def predict(self, x0, times):
        if np.shape(times)[1] > 2:
            raise DivergenceError("too large")
        return super().predict(x0, times)


def test_errors_are_means_over_later_times_of_samples_of_any_length(rng):
    values = [rng.random((n, 2)) for n in (3, 2, 3)]
    samples = as_trajectories(trajectories(values, [np.arange(len(v)) for v in values]))
    errors = path_errors(PriorAlone().predict, samples)
    changes = [(v[1:] - v[0]).ravel() for v in values]
    assert errors["mse_rollout"] == approx((np.concatenate(changes) ** 2).mean())
    steps = [np.diff(v, axis=0).ravel() for v in values]
    assert errors["mse_ahead"] == approx((np.concatenate(steps) ** 2).mean())
    lost = path_errors(Late().predict, samples)
    assert np.isnan(lost["mse_rollout"])
    assert lost["mse_ahead"] == errors["mse_ahead"]
