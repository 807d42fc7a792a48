"""What a prior of the genes does to accuracy and to the chosen genes: tables of what `prior_fits` computes."""

from itertools import combinations

import numpy as np
import pandas as pd


def priors_table(record):
    """What each prior does, over the folds.

    Parameters
    ----------
    record : Record
        Its values are those of `sbnn.evaluation.prior_fits.compare_priors`.

    Returns
    -------
    DataFrame
        Indexed by model, list and influence, means over the folds: ``test_r2``; ``change``, of test R2 by the prior in
        the same fold, and its standard error ``SE``; ``listed``, ``true`` where it is known; and ``stability``, the
        share of the kept genes that two folds have in common, over all pairs of folds.
    """
    by = ["model", "list", "influence"]
    table = record.table.assign(row=range(len(record.table)))
    without = table[table.influence == 0].set_index(["model", "list", "fold"]).test_r2
    table["change"] = table.test_r2 - table.set_index(["model", "list", "fold"]).index.map(without)
    groups = table.groupby(by, sort=False)
    means = groups[[name for name in ("test_r2", "change", "listed", "true") if name in table]].mean()
    means.insert(2, "SE", groups.change.sem())
    means["stability"] = groups.row.agg(lambda rows: _in_common(record.kept[rows]))
    return means


def _in_common(kept):
    """Share of genes that two folds have in common, mean over pairs; NaN of one fold."""
    shares = [np.isin(one, other).mean() for one, other in combinations(kept, 2)]
    return np.mean(shares) if shares else np.nan


def folds_kept(record, model, title, influence):
    """In how many folds each gene is kept.

    Parameters
    ----------
    record : Record
        Its values are those of `sbnn.evaluation.prior_fits.compare_priors`.
    model, title : str
    influence : float

    Returns
    -------
    Series of int
        By gene, for all genes that are ever kept.
    """
    table = record.table
    rows = (table.model == model) & (table.list == title) & (table.influence == influence)
    counts = np.bincount(record.kept[rows.to_numpy()].ravel(), minlength=len(record.gene_names))
    return pd.Series(counts, pd.Index(record.gene_names.astype(str), name="gene"))
