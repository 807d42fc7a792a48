"""Accuracy of inferred networks, compared with a known truth, and of predicted trajectories."""

import numpy as np
from sklearn.metrics import roc_auc_score

from sbnn.dynamics.solver import DivergenceError


def edge_accuracy(scores, truth, prior, confidence=None):
    """Compare edge scores, [regulator, target], with the true edges of regulators in `truth`."""
    # Simply repeating the prior gives a high balanced accuracy, so corrections of the prior are
    # scored as well.
    found = scores.loc[truth.index].to_numpy()
    edge = found != 0
    true = truth.to_numpy() != 0
    given = prior.loc[truth.index].to_numpy() != 0
    ranked = np.abs(found)
    if confidence is not None:
        ranked = confidence.loc[truth.index].to_numpy()
    return {
        "balanced_accuracy": (edge[true].mean() + (~edge[~true]).mean()) / 2,
        "auroc": roc_auc_score(true.ravel(), ranked.ravel()),
        "recall_missing": _share(edge[true & ~given]),
        "kept_wrong": _share(edge[given & ~true]),
        "n_edges": int(edge.sum()),
    }


def _share(edge):
    if not edge.size:
        return np.nan
    return float(edge.mean())


def path_errors(model, samples):
    """Rollout MSE (from the first time on) and one-step MSE (over one interval).

    An error is NaN if predictions diverge.
    """
    before, after, spans = samples.intervals()
    ahead = _squares(model, before, spans, after[:, None])
    lengths = np.array([len(times) for times in samples.times])
    errors = []
    for length in np.unique(lengths):  # samples of equal length are predicted together
        rows = np.flatnonzero(lengths == length)
        values = np.stack([samples.values[i] for i in rows])
        times = np.stack([samples.times[i] for i in rows])
        errors.append(_squares(model, values[:, 0], times, values[:, 1:]))
    rollout = np.concatenate(errors)
    return {"mse_rollout": float(rollout.mean()), "mse_ahead": float(ahead.mean())}


def _squares(model, start, times, later):
    """Squared errors, flattened, of predictions of later values (samples, times - 1, genes)."""
    try:
        predicted = model.predict(start, times)
    except DivergenceError:
        return np.full(later.size, np.nan)
    return (predicted[:, 1:] - later).ravel() ** 2
