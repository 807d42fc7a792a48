"""Fits with and without a prior of the genes, for estimators that take one; `prior_tables` says what it does."""

import numpy as np
import pandas as pd

from sbnn.evaluation.crossval import cross_validate


def compare_priors(models, data, folds, lists, influences, **how):
    """Cross-validate models with each list of genes as their prior, at several influences.

    Parameters
    ----------
    models : dict of str to estimator
        With ``get_support``, as many genes in every fit, and the parameters ``gene_prior`` and ``prior_influence``.
    data : PairedData
    folds : dict of str to list of (train, test)
        For each of `models`; as many for all.
    lists : dict of str to list of str
        Genes by the name of their list.
    influences : dict of str to sequence of float
        For each of `models`. At 0 there is no prior and lists are alike: one fit stands for all.
    **how
        As for `cross_validate`, of which nothing is saved.

    Returns
    -------
    dict
        ``table``, DataFrame with a row per ``model``, ``list``, ``influence`` and ``fold``: ``test_r2``, ``listed``,
        the share of the kept genes that are in the list, and, where the truth is known, ``true``, the share that are
        true; ``kept``, ndarray of int (rows of the table, kept genes), positions in ``gene_names``, which are the genes
        that were ever kept; and ``lists``.
    """
    rows, kept = [], []
    true = np.isin(data.gene_names, data.truth["genes"]) if "genes" in data.truth else None
    for name, model in models.items():
        some = [influence for influence in influences[name] if influence]
        grid = [{"prior_influence": [0.0]}] * (len(some) < len(influences[name]))
        grid += [{"gene_prior": [genes], "prior_influence": [one]} for genes in lists.values() for one in some]
        record = cross_validate(model, data, folds[name], grid, **how)
        places = {(str(point.get("gene_prior")), point["prior_influence"]): g for g, point in enumerate(record.params)}
        for title, genes in lists.items():
            listed = np.isin(data.gene_names, genes)
            for influence in influences[name]:
                g = places[str(genes if influence else None), influence]
                for fold, selected in enumerate(record.selected[:, g]):
                    row = {"model": name, "list": title, "influence": influence, "fold": fold}
                    row |= {"test_r2": record.test_r2[fold, g], "listed": listed[selected].mean()}
                    rows.append(row if true is None else row | {"true": true[selected].mean()})
                    kept.append(np.flatnonzero(selected))
    used, positions = np.unique(kept, return_inverse=True)
    kept = positions.reshape(len(rows), -1).astype(np.int16)
    return {"table": pd.DataFrame(rows), "kept": kept, "gene_names": data.gene_names[used], "lists": lists}
