"""How accurate a network is against a known truth, and how well trajectories are predicted."""

import numpy as np
from sklearn.metrics import roc_auc_score

from sbnn.dynamics.solver import DivergenceError


def edge_accuracy(scores, truth, prior, confidence=None):
    """Compare edges, [regulator, target], with the true ones; only regulators of which the truth is known count."""
    # Balanced accuracy alone can be had by repeating the prior; so also what is corrected of it.
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


def path_errors(model, values, times):
    """Mean squared errors of all later times from the first, and of one interval; NaN beyond all bounds."""
    ahead = [_squared_error(model, values[:, i : i + 2], times[:, i : i + 2]) for i in range(times.shape[1] - 1)]
    return {"mse_rollout": _squared_error(model, values, times), "mse_ahead": float(np.mean(ahead))}


def _squared_error(model, values, times):
    try:
        return float(((model.predict(values[:, 0], times) - values)[:, 1:] ** 2).mean())
    except DivergenceError:
        return np.nan


def _share(edge, of):
    return float(edge[of].mean()) if of.any() else np.nan
