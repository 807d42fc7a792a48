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
    """Fit models to simulated cells and compare the kept genes with the true genes.

    Parameters
    ----------
    models : dict of str to network
        Models for z-scored data, which are set to keep as many genes as are true.
    draws : sequence of AnnData
        Data of `sbnn.simulate_patchseq` with the same number of cells.
    params : list of dict
        The ``noise`` and ``seed`` of each draw.
    results, overwrite
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``table`` has a row for every draw and model, with ``noise``, ``seed``, ``model``,
        ``precision``, ``recall``, ``chance`` (of random genes), ``test_r2`` (on a held-out fifth of
        the cells) and ``best_r2`` (of the noise-free outputs).
    """
    draws = [as_paired(draw) for draw in draws]
    fingerprint = fingerprint_parameters({"draws": [data.sha256 for data in draws]})
    n_cells = dict.fromkeys(models, draws[0].n_cells * 4 // 5)
    settings = described_models(models, n_cells, results, overwrite)
    wanted = Record("noise", draws[0].name, fingerprint, params, settings=settings)

    def compute():
        return {"table": _found(models, draws, params)}

    return load_or_compute(wanted, compute, results, overwrite)


def _found(models, draws, params):
    rows = []
    for data, point in zip(draws, params, strict=True):
        true = np.isin(data.gene_names, data.truth["genes"])
        X_train, Y_train, X_test, Y_test = split_and_scale(data, paper_folds(data.n_cells, 5)[0])
        for name, model in models.items():
            fitted = clone(model).set_params(n_genes=int(true.sum())).fit(X_train, Y_train)
            kept = fitted.get_support()
            row = {
                "model": name,
                "precision": true[kept].mean(),
                "recall": kept[true].mean(),
                "test_r2": fitted.score(X_test, Y_test),
                "best_r2": 1 / (1 + point["noise"] ** 2),
                "chance": true.mean(),
            }
            rows.append(point | row)
    return pd.DataFrame(rows)
