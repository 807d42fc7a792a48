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
FOLD = 0
CLASSES = {
    "cv_default": DistilledBottleneckRegressor,
    "cv_network": SparseBottleneckRegressor,
}
POINTS = {"cv_default": {"n_components": 2}}
POINTS["cv_network"] = POINTS["cv_default"] | {"group_lasso": 0.1, "pretraining": True}


@pytest.mark.parametrize("experiment", POINTS)
@pytest.mark.parametrize("dataset", ["simulated", "scala"])
def test_a_committed_fold_comes_out_the_same(dataset, experiment, request):
    data = (
        request.getfixturevalue("real_scala")
        if dataset == "scala"
        else as_paired(load_dataset(dataset))
    )
    committed = results.load(SAVED_MODELS / data.name / f"{experiment}.pickle")
    assert committed.sha256 == data.sha256
    g = committed.find(**POINTS[experiment])
    stored_params = committed.settings["estimator"]["params"] | committed.params[g]
    model = CLASSES[experiment]()
    for name in model.get_params().keys() & stored_params.keys():
        value = stored_params[name]
        if isinstance(value, list):
            value = tuple(value)
        if name == "distillation":
            value = DistilledSettings(**value)
        model.set_params(**{name: value})
    folds, scaling = [committed.folds[FOLD]], committed.settings["scaling"]
    again = cross_validate(model, data, folds, scaling=scaling, seed=committed.seed, verbose=False)
    stored, selected = committed.selected[FOLD, g], again.selected[0, 0]
    assert selected.sum() == stored.sum() and (selected & stored).sum() >= 0.8 * stored.sum()
    np.testing.assert_allclose(again.test_r2[0, 0], committed.test_r2[FOLD, g], atol=0.01)
    if (selected == stored).all():
        np.testing.assert_allclose(
            again.gene_norms[0, 0], committed.gene_norms[FOLD, g], rtol=0.05, atol=0.05
        )
        history, before = again.history[0][0], committed.history[g][FOLD]
        assert (
            history.shape == before.shape and history["stage"].tolist() == before["stage"].tolist()
        )
        np.testing.assert_allclose(history["loss"], before["loss"], rtol=0.01)
