"""Fits of committed results, computed again: the same bits, on data of every kind and by both protocols.

Any change of the algorithm shows here. The bits are those of x86-64 processors with AVX2 or AVX-512.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sbnn import DistilledSettings, SparseBottleneckRegressor, cross_validate, load_dataset, results

SAVED_MODELS = Path(__file__).resolve().parents[3] / "saved_models"
FOLD = 0


def assert_same_fit(data, experiment, **point):
    """Refit one fold of a committed cross-validation as it was fitted."""
    committed = results.load(SAVED_MODELS / data.name / f"{experiment}.pickle")
    assert committed.sha256 == data.sha256
    g = committed.find(**point)
    known = SparseBottleneckRegressor().get_params()
    params = {k: v for k, v in committed.settings["estimator"]["params"].items() if k in known} | committed.params[g]
    if params.get("distillation"):
        params["distillation"] = DistilledSettings(**params["distillation"])
    model = SparseBottleneckRegressor(**{k: tuple(v) if isinstance(v, list) else v for k, v in params.items()})
    folds, scaling = [committed.folds[FOLD]], committed.settings["scaling"]
    again = cross_validate(model, data, folds, scaling=scaling, seed=committed.seed, verbose=False)
    for detail in ("test_predictions", "test_latent"):
        stored = committed.values[detail][g][FOLD] if detail in committed.values else None
        if stored is not None:  # experiments of many points keep neither, wide models no latent coordinates
            np.testing.assert_array_equal(again.values[detail][0][0], stored)
    np.testing.assert_array_equal(again.test_r2[0, 0], committed.test_r2[FOLD, g])
    np.testing.assert_array_equal(again.selected[0, 0], committed.selected[FOLD, g])
    np.testing.assert_array_equal(again.gene_norms[0, 0], committed.gene_norms[FOLD, g])
    pd.testing.assert_frame_equal(again.history[0][0], committed.history[g][FOLD], check_exact=True)


@pytest.fixture(scope="module")
def simulated():
    return load_dataset("simulated", verbose=False)


def test_default_on_simulated_data(simulated):
    assert_same_fit(simulated, "cv_default", n_components=2)


def test_paper_protocol_on_simulated_data(simulated):
    assert_same_fit(simulated, "cv_network", n_components=2, group_lasso=0.1, pretraining=True)


def test_default_on_real_data(real_scala):
    assert_same_fit(real_scala, "cv_default", n_components=2)


def test_paper_protocol_on_real_data(real_scala):
    assert_same_fit(real_scala, "cv_network", n_components=2, group_lasso=0.1, pretraining=True)
