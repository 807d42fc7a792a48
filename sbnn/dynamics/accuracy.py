"""How right a network is against a known truth, and how well trajectories are predicted."""

import numpy as np
from sklearn.metrics import roc_auc_score

from sbnn.dynamics.solver import DivergenceError


def edge_accuracy(scores, truth, prior, confidence=None):
    """Compare edges with the true ones; what the prior had right already is told apart from what was corrected.

    Balanced accuracy alone can be had by repeating the prior, so that it says little without the other two.

    Parameters
    ----------
    scores : DataFrame, genes by genes
        ``[regulator, target]``; 0 is no edge.
    truth : DataFrame, regulators by genes
        Not 0 where there is an edge. Only its rows are compared.
    prior : DataFrame, genes by genes
    confidence : DataFrame, genes by genes, optional
        By which pairs are ranked, such as probabilities of edges; absolute scores by default.

    Returns
    -------
    dict of str to float
        ``balanced_accuracy`` and ``auroc``; ``recall_missing``, the share of true edges that the
        prior lacks and that were found; ``kept_wrong``, the share of edges that the prior has wrongly and that were
        kept; both NaN where there are none; ``n_edges``.
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
    """Mean squared errors on trajectories that were not seen.

    Parameters
    ----------
    model : estimator
        With ``predict(x0, times)``.
    test : Trajectories

    Returns
    -------
    dict of str to float
        ``mse_rollout``: all later times from the first one. ``mse_ahead``: each time from the one before.
        NaN where trajectories grow beyond all bounds.
    """
    values, times = test.values, test.times
    steps = [
        _squared_error(model, values[:, i : i + 2], times[:, i : i + 2], values[:, i + 1 : i + 2])
        for i in range(values.shape[1] - 1)
    ]
    return {"mse_rollout": _squared_error(model, values, times, values[:, 1:]), "mse_ahead": float(np.mean(steps))}


def _squared_error(model, values, times, true):
    try:
        predicted = model.predict(values[:, 0], times)[:, 1:]
    except DivergenceError:
        return np.nan
    return float(((predicted - true) ** 2).mean())


def _share(edge, of):
    return float(edge[of].mean()) if of.any() else np.nan
