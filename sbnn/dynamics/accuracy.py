"""Accuracy of inferred networks and of predicted trajectories, and a test of gene sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.utils import assert_all_finite, check_random_state

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


def gene_set_test(
    values: pd.Series,
    gene_sets: Mapping[str, Sequence[str]],
    n_permutations: int = 999,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Test whether values are larger for the genes in a set than for as many random genes.

    Parameters
    ----------
    values : Series
        A value for each gene, by name, such as ``model.edge_scores_.abs().sum(axis=1)``.
    gene_sets : dict of str to list of str
        Sets by name, such as pathways; genes without a value are ignored.
    n_permutations : int
        Number of random sets.
    random_state : int, RandomState or None

    Returns
    -------
    DataFrame
        A row for each set: ``n_genes`` with a value; ``z``, the sum of their values minus the mean
        over random sets, divided by its SD; ``p``, one-sided, not corrected for the number of sets.
        If a set contains no gene or all genes, z is NaN and p is 1.

    Raises
    ------
    ValueError
        A value is not finite.

    Notes
    -----
    Genes of a pathway often have similar expression; random genes do not.

    Examples
    --------
    >>> import pandas as pd
    >>> from sbnn.dynamics import gene_set_test
    >>> values = pd.Series(range(10), list("abcdefghij"))
    >>> gene_set_test(values, {"last": ["h", "i", "j"]}, random_state=0).round(2)
          n_genes     z     p
    last        3  2.33  0.01
    """
    assert_all_finite(values)
    random = check_random_state(random_state)
    members = pd.DataFrame({name: values.index.isin(genes) for name, genes in gene_sets.items()})
    permuted = [values, *(random.permutation(values) for _ in range(n_permutations))]
    sums = np.array(permuted) @ members
    beyond = sums - sums.loc[0]
    rounding = 1e-9 * abs(values).sum()  # sums of the same numbers in another order differ
    of_random = beyond[1:]
    sd = of_random.std()
    z = -of_random.mean() / sd.where(sd > rounding)
    p = (beyond >= -rounding).mean()
    return pd.DataFrame({"n_genes": members.sum(), "z": z, "p": p})
