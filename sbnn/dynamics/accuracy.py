"""Accuracy of inferred networks and of predicted trajectories."""

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from sbnn.dynamics.solver import DivergenceError


def edge_accuracy(scores, truth, prior):
    """Compare edges, [regulator, target], with the true ones of the regulators in `truth`.

    Edges, the scores that are not 0, are ranked by size, and by its share of the sum.
    """
    # Repeating the prior gives a high accuracy, so corrections of the prior are scored as well.
    sizes = scores.abs()
    shares = sizes / sizes.sum()  # as published: of the sum over all regulators
    tables = scores, truth, prior, sizes, shares.fillna(0)
    values = [table.loc[truth.index].to_numpy().ravel() for table in tables]
    edge, true, given = (pd.Series(numbers != 0) for numbers in values[:3])
    return {
        "balanced_accuracy": balanced_accuracy_score(true, edge),
        "auroc": roc_auc_score(true, values[3]),
        "auroc_share": roc_auc_score(true, values[4]),
        "recall_missing": edge[true & ~given].mean(),
        "kept_wrong": edge[given & ~true].mean(),
        "precision": true[edge].mean(),
        "new_right": true[edge & ~given].mean(),
        "n_edges": int(edge.sum()),
    }


def path_errors(predict, samples):
    """Rollout MSE (from the first time on) and one-step MSE (over one interval).

    `predict` gives paths from starts and times. An error is NaN if predictions diverge.
    """
    before, after, spans = samples.intervals()
    ahead = (paths(predict, before, spans)[:, 1] - after) ** 2
    lengths = np.array([len(times) for times in samples.times])
    errors = []
    for length in np.unique(lengths):  # samples of equal length are predicted together
        values, times = samples.chosen(np.flatnonzero(lengths == length)).padded()
        later = paths(predict, values[:, 0], times)[:, 1:] - values[:, 1:]
        errors.append(later.ravel() ** 2)
    rollout = np.concatenate(errors)
    return {"mse_rollout": rollout.mean(), "mse_ahead": ahead.mean()}


def paths(predict, start, times):
    """Predicted paths, NaN if they diverge."""
    try:
        return predict(start, times)
    except DivergenceError:
        return np.full((*times.shape, 1), np.nan)
