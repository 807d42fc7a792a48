"""How accurate a network is against a known truth, and how well trajectories are predicted."""

import numpy as np
from sklearn.metrics import roc_auc_score

from sbnn.dynamics.model import rollouts
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


def path_errors(model, test):
    """Mean squared errors on `Samples`: ``mse_rollout``, all later times from the first, ``mse_ahead``, one interval.

    NaN where trajectories grow beyond all bounds.
    """
    values, times = test.values, test.times
    ahead, weights = [], []
    for i in range(max(map(len, times)) - 1):
        parts = [[part[i : i + 2] for part in of if len(part) > i + 1] for of in (values, times)]
        ahead.append(_squared_error(model, *parts))
        weights.append(len(parts[0]))
    weights = np.array(weights) / weights[0]  # exactly 1 where all samples have as many times
    return {
        "mse_rollout": _squared_error(model, values, times),
        "mse_ahead": float(np.average(ahead, weights=weights)),
    }


def _squared_error(model, values, times):
    try:
        predicted = rollouts(model, values, times)
    except DivergenceError:
        return np.nan
    return float(np.concatenate([(p[1:] - v[1:]) ** 2 for p, v in zip(predicted, values, strict=True)]).mean())


def _share(edge, of):
    return float(edge[of].mean()) if of.any() else np.nan
