"""Fits of committed results are computed again, up to the last digits of another processor."""

from pathlib import Path

import numpy as np
import pytest

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    SparseBottleneckRegressor,
    cross_validate,
    load_dataset,
    results,
)
from sbnn.data.paired import as_paired

pytestmark = pytest.mark.slow
SAVED_MODELS = Path(__file__).resolve().parents[3] / "saved_models"


@pytest.mark.parametrize(
    ("dataset", "experiment", "model", "point"),
    [
        ("scala", "cv_default", DistilledBottleneckRegressor(), {"n_components": 2}),
        (
            "simulated",
            "cv_network",
            SparseBottleneckRegressor(),
            {"n_components": 2, "group_lasso": 0.1, "pretraining": True},
        ),
    ],
)
def test_a_committed_fold_comes_out_the_same(dataset, experiment, model, point, request):
    if dataset == "scala":
        data = request.getfixturevalue("real_scala")
    else:
        data = as_paired(load_dataset(dataset))
    committed = results.load(SAVED_MODELS / data.name / f"{experiment}.pickle")
    assert committed.sha256 == data.sha256
    g = committed.find(**point)
    params = committed.settings["estimator"]["params"] | committed.params[g]
    if "distillation" in params:
        params["distillation"] = DistilledSettings(**params["distillation"])
    model.set_params(**{name: params[name] for name in model.get_params() if name in params})
    how = {"scaling": committed.settings["scaling"], "seed": committed.seed, "verbose": False}
    again = cross_validate(model, data, committed.folds[:1], **how)
    np.testing.assert_allclose(again.test_r2[0, 0], committed.test_r2[0, g], atol=0.01)
    if (again.selected[0, 0] == committed.selected[0, g]).all():
        norms = committed.gene_norms[0, g]
        np.testing.assert_allclose(again.gene_norms[0, 0], norms, rtol=0.05, atol=0.05)
        before = committed.history[g][0]["loss"]
        np.testing.assert_allclose(again.history[0][0]["loss"], before, rtol=0.01)
