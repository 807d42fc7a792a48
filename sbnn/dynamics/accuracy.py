"""How accurate a network is against a known truth, and how well trajectories are predicted."""

import numpy as np
from sklearn.metrics import roc_auc_score

from sbnn.dynamics.solver import DivergenceError


def edge_accuracy(scores, truth, prior, confidence=None):
    """Compare edges, genes by genes [regulator, target], with the true ones; only the rows of the truth count.

    Balanced accuracy alone can be had by repeating the prior. So also ``recall_missing``, the share of true edges that
    the prior lacks and that were found, and ``kept_wrong``, the share of edges that the prior has wrongly and that were
    kept; both NaN where there are none. Pairs are ranked by `confidence`, by default by absolute scores.
    """
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
    """Mean squared errors: ``mse_rollout``, all later times from the first, ``mse_ahead``, one interval.

    Of values (samples, times, genes) at times (samples, times); NaN where trajectories grow beyond all bounds.
    """
    ahead = [_squared_error(model, values[:, i : i + 2], times[:, i : i + 2]) for i in range(times.shape[1] - 1)]
    return {"mse_rollout": _squared_error(model, values, times), "mse_ahead": float(np.mean(ahead))}


def _squared_error(model, values, times):
    try:
        return float(((model.predict(values[:, 0], times) - values)[:, 1:] ** 2).mean())
    except DivergenceError:
        return np.nan


def _share(edge, of):
    return float(edge[of].mean()) if of.any() else np.nan
