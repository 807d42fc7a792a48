"""Accuracy of inferred networks, compared with a known truth, and of predicted trajectories."""

import numpy as np
from sklearn.metrics import roc_auc_score

from sbnn.dynamics.solver import DivergenceError


def edge_accuracy(scores, truth, prior, confidence=None):
    """Compare edge scores, ``[regulator, target]``, with the true edges of the regulators in `truth`."""
    # Simply repeating the prior gives a high balanced accuracy, so corrections of the prior are
    # scored as well.
    found = scores.loc[truth.index].to_numpy()
    true, given = truth.to_numpy() != 0, prior.loc[truth.index].to_numpy() != 0
    edge = found != 0
    ranked = np.abs(found) if confidence is None else confidence.loc[truth.index].to_numpy()
    return {
        "balanced_accuracy": (edge[true].mean() + (~edge[~true]).mean()) / 2,
        "auroc": roc_auc_score(true.ravel(), ranked.ravel()),
        "recall_missing": _share(edge, true & ~given),
        "kept_wrong": _share(edge, given & ~true),
        "n_edges": int(edge.sum()),
    }


def path_errors(model, samples):
    """Rollout MSE (from the first time on) and one-step MSE (over one interval); NaN if predictions diverge."""
    before, after, spans = samples.intervals()
    lengths, errors = np.array([len(times) for times in samples.times]), []
    try:
        for length in np.unique(lengths):  # samples of equal length are predicted together
            rows = np.flatnonzero(lengths == length)
            values, times = (
                np.stack([of[i] for i in rows]) for of in (samples.values, samples.times)
            )
            errors.append((model.predict(values[:, 0], times) - values)[:, 1:].ravel() ** 2)
        rollout = float(np.concatenate(errors).mean())
    except DivergenceError:
        rollout = np.nan
    try:
        ahead = float(((model.predict(before, spans)[:, 1] - after) ** 2).mean())
    except DivergenceError:
        ahead = np.nan
    return {"mse_rollout": rollout, "mse_ahead": ahead}


def _share(edge, of):
    return float(edge[of].mean()) if of.any() else np.nan
