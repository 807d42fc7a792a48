"""How well models find the genes that drive simulated outputs."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.paired import as_paired
from sbnn.evaluation.folds import paper_folds, split_and_scale
from sbnn.evaluation.identity import described_models
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record


def find_known_genes(models, draws, params, *, results=None, overwrite=False):
    """Fit models to simulated cells, and count the true genes among those that they keep.

    Parameters
    ----------
    models : dict of str to SparseBottleneckRegressor
        For z-scored data. Each keeps as many genes as there are true ones.
    draws : sequence of AnnData
        Returned by `sbnn.simulate_patchseq`, with the same number of cells each.
    params : list of dict
        The ``noise`` and ``seed`` of each draw.
    results : str or path-like, optional
        File to save to. If it already holds these fits, they are loaded instead.
    overwrite : bool
        Fit again, even if `results` contains these fits.

    Returns
    -------
    Record
        ``values`` has ``table``, a row for every draw and model: its ``noise`` and ``seed``, ``model``, ``precision``,
        ``recall``, their value for random genes, ``chance``, and, on a held-out fifth of the cells, ``test_r2``
        and ``best_r2``, that of the noise-free outputs.
    """
    draws = [as_paired(draw) for draw in draws]
    fingerprint = fingerprint_parameters({"draws": [data.sha256 for data in draws]})
    settings = described_models(models, dict.fromkeys(models, draws[0].n_cells * 4 // 5), results, overwrite)
    wanted = Record("noise", draws[0].name, fingerprint, params, settings=settings)
    return load_or_compute(wanted, lambda: {"table": _found(models, draws, params)}, results, overwrite)


def _found(models, draws, params):
    rows = []
    for data, point in zip(draws, params, strict=True):
        true = np.isin(data.gene_names, data.truth["genes"])
        X_train, Y_train, X_test, Y_test = split_and_scale(data, paper_folds(data.n_cells, 5)[0])
        for name, model in models.items():
            fitted = clone(model).set_params(n_genes=int(true.sum())).fit(X_train, Y_train)
            kept = fitted.get_support()
            row = {"model": name, "precision": true[kept].mean(), "recall": kept[true].mean()}
            row |= {"test_r2": fitted.score(X_test, Y_test), "best_r2": 1 / (1 + point["noise"] ** 2)}
            rows.append(point | row | {"chance": true.mean()})
    return pd.DataFrame(rows)
