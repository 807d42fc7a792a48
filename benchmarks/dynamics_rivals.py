"""Other ways to rank edges, which the benchmarks of dynamics compare, and tables saved as CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LassoCV

from sbnn.data.trajectories import as_trajectories


def saved(name):
    """Path of a table of results beside this file."""
    return Path(__file__).with_name(f"dynamics_{name}.csv")


def saved_rows(path, fresh):
    """Rows of a table as dicts; none if there is no table or it is measured anew."""
    if fresh or not path.exists():
        return []
    return pd.read_csv(path).to_dict("records")


def changes(train):
    """Expression before each interval, and rates of change."""
    before, after, spans = as_trajectories(train).intervals()
    return before, (after - before) / np.diff(spans, axis=1)


def importances(X, Y, same=True):
    """Of each column of X in a forest of 100 trees for each column of Y.

    If not `same`, a column does not predict itself.
    """
    found = np.zeros((X.shape[1], Y.shape[1]))
    for gene in range(Y.shape[1]):
        used = np.arange(X.shape[1])
        if not same:
            used = np.delete(used, gene)
        forest = RandomForestRegressor(100, max_features="sqrt", random_state=0)
        forest.fit(X[:, used], Y[:, gene])
        found[used, gene] = forest.feature_importances_
    return found


def lasso(train, scale=None, **how):
    """Absolute lasso coefficients of all genes for rates of change, and their held-out error.

    Of edges with a larger `scale`, (genes, genes), the penalty is lower.
    """
    before, rates = changes(train)
    if scale is None:
        scale = np.ones(2 * [before.shape[1]])
    found = np.zeros(scale.shape)
    error = 0.0
    for gene in np.flatnonzero(np.ptp(rates, axis=0)):
        fit = LassoCV(cv=5, **how).fit(before * scale[:, gene], rates[:, gene])
        found[:, gene] = np.abs(fit.coef_) * scale[:, gene]
        error += fit.mse_path_.mean(axis=1).min() / rates[:, gene].var()
    return found, error


def probability_then_strength(model):
    """Probabilities of the edges of a fitted `SparseRegulationRegressor`; ties by strength."""
    strength = model.edge_scores_.abs().to_numpy()
    return model.edge_probabilities_.to_numpy() + 1e-9 * strength / max(strength.max(), 1e-12)
