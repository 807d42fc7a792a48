"""Made-up records that the explorer can show: a fit with known places, its folds, and more."""

import numpy as np
import pandas as pd

from sbnn.data.paired import as_paired
from sbnn.evaluation.folds import paper_folds
from sbnn.results import Record

PARAMS = {"protocol": "distilled", "n_components": 2}
ESTIMATOR = {"class": "sbnn.SparseBottleneckRegressor", "params": {}}
COLORS = ("#AA0000", "#00AA00", "#0000CC", "#CC8800")


def fit_to_explore(
    n=90, n_outputs=3, n_genes=4, width=2, n_types=3, names=None, types=None, seed=0
):
    """A fit whose types lie in different places; the first output is high in the first type."""
    rng = np.random.default_rng(seed)
    types = [f"kind {i}" for i in range(n_types)] if types is None else types
    codes = np.arange(n) % len(types)
    around = np.exp(2j * np.pi * codes / len(types))
    places = (5 * np.column_stack([around.real, around.imag]) + rng.normal(size=(n, 2))).astype(
        "f4"
    )
    latent = np.zeros((n, width), "f4")
    latent[:, :2] = places[:, :width]
    outputs = rng.normal(size=(n, n_outputs)) + 3.0 * (codes == 0)[:, np.newaxis] * (
        np.arange(n_outputs) == 0
    )
    outputs = ((outputs - outputs.mean(0)) / outputs.std(0)).astype("f4")
    labels = {
        "family": np.array(["even", "odd"], object)[codes % 2],
        "type": np.array(types)[codes],
    }
    values = {
        "latent": latent,
        "embedding": places,
        "outputs": outputs,
        "labels": pd.DataFrame(labels),
        "predictions": (0.5 * outputs + 0.1 * rng.normal(size=outputs.shape)).astype("f4"),
        "train_feature_r2": np.linspace(0.2, 0.8, n_outputs),
        "feature_names": np.array([f"output {i}" for i in range(n_outputs)], object),
        "kept_genes": np.array([f"Gene{i}" for i in range(n_genes)], object),
        # most genes are off in many cells
        "expression": np.maximum(rng.normal(size=(n, n_genes)), 0).astype("f4"),
        "predicted_expression": rng.normal(size=(n, n_genes)).astype("f4"),
        "cell_names": np.array([f"cell{i}" for i in range(n)] if names is None else names, object),
        "colors": {name: COLORS[i % len(COLORS)] for i, name in enumerate(types)},
    }
    return Record("fit", "made up", "s", [dict(PARAMS)], 0, {"estimator": ESTIMATOR}, [], values)


def folds_to_explore(fit, n_folds=4, seed=1):
    """A cross-validation in the units of its folds, that held out all cells but the last few."""
    rng = np.random.default_rng(seed)
    folds = paper_folds(len(fit.outputs), n_folds)
    predicted = [
        rng.normal(size=(len(test), fit.outputs.shape[1])).astype("f4") for _, test in folds
    ]
    values = {
        "test_predictions": [[None] * n_folds, predicted],
        "test_r2": rng.uniform(size=(n_folds, 2)),
    }
    values["test_feature_r2"] = rng.uniform(size=(n_folds, 2, fit.outputs.shape[1]))
    params = [{"n_components": 1}, {"n_components": 2}]
    settings = {
        "scaling": "fold",
        "estimator": {"class": ESTIMATOR["class"], "params": {"protocol": "distilled"}},
    }
    return Record("cross-validation", "made up", fit.sha256, params, 0, settings, folds, values)


def with_all_genes(fit, seed=2):
    """Data of the fit with 30 other genes, halves in which the first gene is stable, and t-SNE."""
    rng = np.random.default_rng(seed)
    n = len(fit.outputs)
    names = [*fit.kept_genes, *(f"Other{i}" for i in range(30))]
    X = np.log2(1 + rng.poisson(rng.uniform(0.5, 20, len(names)), (n, len(names))))
    tables = (
        pd.DataFrame(X, fit.cell_names, names),
        pd.DataFrame(fit.outputs, fit.cell_names, fit.feature_names),
    )
    data = as_paired(tables)
    fit.sha256 = data.sha256
    pairs = [np.split(rng.permutation(n), 2) for _ in range(25)]
    values = {
        "selected": np.tile(np.arange(len(names)) < 1, (50, 1, 1)),
        "n_selected": np.ones((50, 1), int),
    }
    values["gene_names"] = np.array(names, object)
    folds = [fold for one, other in pairs for fold in ((one, other), (other, one))]
    halves = Record("cross-validation", "made up", fit.sha256, [{}], folds=folds, values=values)
    places = {name: rng.normal(size=(n, 2)).astype("f4") for name in ("transcriptome", "outputs")}
    return data, {
        "halves": halves,
        "tsne": Record("t-SNE", "made up", fit.sha256, [{}], values=places),
    }
