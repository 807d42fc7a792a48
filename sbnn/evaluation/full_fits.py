"""A model of all cells, with everything its figures need: the map of the cells, predictions, kept genes."""

import inspect
from pathlib import Path

import numpy as np
from sklearn.linear_model import LinearRegression

from sbnn.data.paired import as_paired
from sbnn.data.preselection import with_preselected
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import zscored
from sbnn.evaluation.identity import configured, described
from sbnn.evaluation.runs import load_or_compute
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.models.bottleneck.scales import model_in_units
from sbnn.models.maps import embed
from sbnn.results import Record


def fit_full(estimator, data, *, preselect=None, results=None, model_file=None, overwrite=False, seed=0):
    """Fit an estimator to all cells, z-scored, and keep what there is to see.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        With ``transform`` (latent space) and ``get_support`` (kept genes).
    data : AnnData, MuData or tuple (X, Y)
    preselect : int, optional
        Fit so many genes, chosen on all cells by the published criterion; names and masks of the record are of these.
    results : str or path-like, optional
        File to save to. If it already holds this fit, it is loaded instead.
    model_file : str or path-like, optional
        File for the fitted model, a `SparseBottleneckRegressor`: it takes cells in the units of `data`, by the names of
        their genes (`sbnn map`). If it is missing, the model is fitted anew.
    overwrite : bool
        Fit anew, whatever `results` holds.
    seed : int
        ``random_state`` for an estimator whose own is None, and of t-SNE.

    Returns
    -------
    Record
        ``values`` has ``latent`` (n, d), ``embedding`` (n, 2: the latent space itself, or its t-SNE if d > 2),
        ``predictions`` and ``outputs`` (n, q, z-scored), ``kept_genes`` (k names), ``expression`` and
        ``predicted_expression`` (n, k, z-scored; predicted from the latent space), ``selected`` (p, bool),
        ``train_r2``, ``train_feature_r2`` (q), the names, labels and colours of the data; and ``gene_norms`` (p) and
        ``history`` (table) where the estimator has them.
    """
    data = as_paired(data)
    chosen, said = with_preselected(data, preselect)
    model = configured(estimator, {}, seed, chosen.gene_names)
    wanted = Record("fit", data.name, data.sha256, [described(model)["params"]], seed, {"scaling": "all"} | said)

    def compute():
        values = _fitted(model, chosen, seed)
        if model_file is not None:
            model_in_units(model, data, chosen.gene_names).save(model_file)
        return values

    overwrite = overwrite or (model_file is not None and not Path(model_file).expanduser().exists())
    return load_or_compute(wanted, compute, results, overwrite, estimator=model, n_cells=len(data.X))


def _fitted(model, data, seed):
    """Values of the record of a fit."""
    X, Y, _ = zscored(data)
    with reproducible():
        model.fit(X, Y)
        latent, kept = np.asarray(model.transform(X)), np.asarray(model.get_support())
        predictions = np.asarray(model.predict(X)).reshape(Y.shape)
        if getattr(model, "reconstruct", False) and inspect.ismethod(getattr(model, "reconstruct_genes", None)):
            expression = model.reconstruct_genes(X)  # by the model's own head
        else:
            expression = LinearRegression().fit(latent, X[:, kept]).predict(latent)
        drawn = {"latent": latent, "embedding": embed(latent, seed), "predictions": predictions}
        drawn = {name: values.astype(np.float32) for name, values in drawn.items()}
        values = drawn | {"outputs": Y, "selected": kept, "kept_genes": data.gene_names[kept]}
        values |= {"expression": X[:, kept], "predicted_expression": expression.astype(np.float32)}
        values |= {"train_r2": pooled_r2(Y, predictions, 0.0), "train_feature_r2": feature_r2(Y, predictions, 0.0)}
    values |= data.names | {"labels": data.labels[["family", "type"]], "colors": dict(data.colors)}
    more = [name for name in ("gene_norms", "history") if hasattr(model, f"{name}_")]
    return values | {name: getattr(model, f"{name}_") for name in more}
