"""Made-up records that the explorer can show: a fit with known places, its folds, and more."""

import numpy as np
import pandas as pd
from made_up import fit_record

from sbnn.evaluation.folds import paper_folds
from sbnn.results import Record

COLORS = ("#AA0000", "#00AA00", "#0000CC")
TYPES = ("kind 0", "kind 1", "kind 2")


def fit_to_explore(n=90, n_outputs=3, n_genes=4, width=2, names=None, types=TYPES):
    """A fit whose types lie in different places; the first output is high in the first type."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % len(types)
    angle = 2 * np.pi * codes / len(types)
    places = 5 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(size=(n, 2))
    outputs = rng.normal(size=(n, n_outputs))
    outputs[codes == 0, 0] += 3
    outputs = (outputs - outputs.mean(0)) / outputs.std(0)
    fit = fit_record(width, n, n_genes, [f"output {i}" for i in range(n_outputs)])
    fit.params = [{"n_components": 2}]
    labels = {"family": np.array(["even", "odd"])[codes % 2], "type": np.array(types)[codes]}
    fit.values |= {
        "embedding": places.astype("f4"),
        "outputs": outputs.astype("f4"),
        "predictions": rng.normal(size=outputs.shape).astype("f4"),
        # most genes are off in many cells
        "expression": np.maximum(rng.normal(size=(n, n_genes)), 0).astype("f4"),
        "predicted_expression": rng.normal(size=(n, n_genes)).astype("f4"),
        "labels": pd.DataFrame(labels, dtype=object),
        "colors": dict(zip(types, COLORS, strict=False)),
        "cell_names": np.array(names or [f"cell{i}" for i in range(n)]),
    }
    return fit


def folds_to_explore(fit):
    """A cross-validation in the units of its folds, that held out all cells but the last few."""
    rng = np.random.default_rng(1)
    n_outputs = fit.outputs.shape[1]
    folds = paper_folds(len(fit.outputs), 4)
    predicted = [rng.normal(size=(len(test), n_outputs)).astype("f4") for _, test in folds]
    values = {
        "test_predictions": [[None] * 4, predicted],
        "test_r2": rng.uniform(size=(4, 2)),
        "test_feature_r2": rng.uniform(size=(4, 2, n_outputs)),
    }
    params = [{"n_components": 1}, {"n_components": 2}]
    estimator = {"class": "sbnn.SparseBottleneckRegressor", "params": {}}
    settings = {"scaling": "fold", "estimator": estimator}
    return Record("cross-validation", "made up", fit.sha256, params, 0, settings, folds, values)
