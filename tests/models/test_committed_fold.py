"""Fits of committed results are computed again, up to the last digits of another processor."""

import pytest
from material.paths import SAVED_MODELS
from numpy.testing import assert_allclose

from sbnn import (
    DistilledBottleneckRegressor,
    SparseBottleneckRegressor,
    cross_validate,
    load_dataset,
    results,
)

pytestmark = pytest.mark.slow
FIXED = {"standardize": False, "device": "cpu", "random_state": 42}


@pytest.mark.parametrize(
    ("dataset", "experiment", "model", "point"),
    [
        ("scala", "cv_distilled", DistilledBottleneckRegressor(**FIXED), {"n_components": 2}),
        (
            "simulated",
            "cv_published",
            SparseBottleneckRegressor(hidden_layers=(512, 128), **FIXED),
            {"n_components": 2, "group_lasso": 0.1, "pretraining": True},
        ),
    ],
)
def test_a_committed_fold_comes_out_the_same(dataset, experiment, model, point, request, tmp_path):
    data = request.getfixturevalue("real_scala") if dataset == "scala" else load_dataset(dataset)
    committed = results.load(SAVED_MODELS / dataset / f"{experiment}.pickle.xz")
    g = committed.find(**point)
    path = tmp_path / "again.pickle.xz"
    again = cross_validate(model, data, committed.folds[:1], seed=42, results=path, verbose=False)
    # of the data, the parameters and the fold
    assert again.settings["keys"] == [committed.settings["keys"][g][:1]]
    assert_allclose(again.test_r2[0, 0], committed.test_r2[0, g], atol=0.01)
    if (again.selected[0, 0] == committed.selected[0, g]).all():
        before = committed.history[g][0]["loss"]
        assert_allclose(again.history[0][0]["loss"], before, rtol=0.01)
